"""Statements of problems, their files and attachments: read by those who see the problem."""

from __future__ import annotations

from quart import request
from quart_trio.wrappers import TrioResponse

from deepoj.api.access import READER, needs
from deepoj.api.body import read_json, text
from deepoj.api.catalog import problem_for
from deepoj.api.conditional import UNCHANGED
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.limits import Limit
from deepoj.api.models.statements import (
    RestoreQuery,
    StatementBody,
    StatementRestored,
    StatementSaved,
    StatementSourceView,
    StatementView,
)
from deepoj.api.publishing import Publishing
from deepoj.api.rights import Right, may
from deepoj.api.route import Described, route
from deepoj.api.statement_answers import FOREIGN_POLICY, best_language, file_answer, saved_view, statement_view
from deepoj.api.statement_editing import StatementDesk
from deepoj.packages.statements.sources import MAX_SOURCE_BYTES
from deepoj.words.accounts import User
from deepoj.words.problems import Problem
from deepoj.words.statements import StatementEdit, StatementFileKind, StatementIndex

#: of a JSON body with a source, of which each byte may take two
_MAX_BODY_BYTES = 2 * MAX_SOURCE_BYTES + 16 * 1024
_HEADERS = {
    "Content-Disposition": "attachment or inline, with the file's name",
    "Content-Security-Policy": FOREIGN_POLICY,
}


class StatementRoutes:
    """``/api/v1/problems/<id>/statement`` and ``/api/v1/problems/<id>/attachments``."""

    def __init__(self, context: ApiContext) -> None:
        self._statements, self._problems = context.statements, context.problems
        self._publishing, self._desk = Publishing(context), StatementDesk(context)
        self._timeout_s = context.settings.read_timeout_s

    @route("GET", "/api/v1/problems/<problem_id>/statement", access=READER, responses={200: StatementView})
    async def statement(self, reader: User | None, problem_id: str) -> StatementView:
        """The statement in the language that Accept-Language prefers, else in English, else in the first.

        Samples and attachments are there even if the package has no statement.
        """
        problem, index = await self._index(problem_id, reader)
        languages = [language for language, _ in index.languages]
        chosen = best_language(languages, request.accept_languages)
        return await self._view(problem, index, chosen, reader)

    @route("GET", "/api/v1/problems/<problem_id>/statement/<lang>", access=READER, responses={200: StatementView})
    async def statement_in(self, reader: User | None, problem_id: str, lang: str) -> StatementView:
        """The statement in one language."""
        problem, index = await self._index(problem_id, reader)
        if lang not in {language for language, _ in index.languages}:
            raise Refused(ApiError.NO_SUCH_STATEMENT)
        return await self._view(problem, index, lang, reader)

    @route(
        "GET",
        "/api/v1/problems/<problem_id>/statement/<lang>/source",
        access=needs(Right.CHANGE_PROBLEMS),
        responses={200: StatementSourceView},
        errors=(400,),
    )
    async def source(self, admin: User, problem_id: str, lang: str) -> StatementSourceView:
        """The source of the statement in one language, to be changed.

        For administrators and its setter. A language without a statement has an empty source: send one to add it.
        """
        found = await self._desk.source(await self._allowed(admin, problem_id), lang)
        if found.fault:
            raise Refused(ApiError.INVALID_PACKAGE, problem=found.fault)
        return StatementSourceView(
            lang=lang,
            format="tex" if found.kind == "tex" else "md",
            source=found.text,
            revision=found.revision,
            edited=found.is_edited,
        )

    @route(
        "PUT",
        "/api/v1/problems/<problem_id>/statement/<lang>",
        access=needs(Right.CHANGE_PROBLEMS),
        body=StatementBody,
        responses={200: StatementSaved},
        errors=(409,),
    )
    async def edit(self, admin: User, problem_id: str, lang: str) -> StatementSaved:
        """Change the statement in one language.

        For administrators and its setter. It is shown in place of the package's, also after the package is replaced. A
        statement that cannot be rendered is refused with file and line, and one that has changed since it was read with
        409.
        """
        problem = await self._allowed(admin, problem_id)
        body = await read_json(StatementBody, timeout_s=self._timeout_s, max_bytes=_MAX_BODY_BYTES)
        edit = StatementEdit(language=lang, kind=body.format, source=text("source", body.source))
        return saved_view(lang, await self._desk.save(problem, edit, body.revision, admin))

    @route(
        "DELETE",
        "/api/v1/problems/<problem_id>/statement/<lang>",
        access=needs(Right.CHANGE_PROBLEMS),
        query=RestoreQuery,
        responses={200: StatementRestored},
        errors=(409,),
    )
    async def restore(self, admin: User, problem_id: str, lang: str) -> StatementRestored:
        """Take back a changed statement: the package's is shown again.

        For administrators and its setter.
        """
        problem = await self._allowed(admin, problem_id)
        await self._desk.restore(problem, lang, request.args.get("revision", ""), admin)
        return StatementRestored(lang=lang)

    @route(
        "GET",
        "/api/v1/problems/<problem_id>/statement/files/<name>",
        access=READER,
        limit=Limit.FILE,
        responses={
            200: Described(description="The file: a PNG, JPEG, GIF, WebP or PDF.", headers=_HEADERS),
            304: UNCHANGED,
        },
    )
    async def file(self, reader: User | None, problem_id: str, name: str) -> TrioResponse:
        """An image or a PDF of a statement."""
        problem = await problem_for(self._problems, problem_id, reader)
        return await file_answer(self._statements, problem, StatementFileKind.SHOWN, name)

    @route(
        "GET",
        "/api/v1/problems/<problem_id>/attachments/<name>",
        access=READER,
        limit=Limit.FILE,
        responses={
            200: Described(description="The file.", content_type="application/octet-stream", headers=_HEADERS),
            304: UNCHANGED,
        },
    )
    async def attachment(self, reader: User | None, problem_id: str, name: str) -> TrioResponse:
        """A file for contestants."""
        problem = await problem_for(self._problems, problem_id, reader)
        return await file_answer(self._statements, problem, StatementFileKind.ATTACHMENT, name)

    async def _allowed(self, user: User, problem_id: str) -> Problem:
        return await self._publishing.allowed(user, Right.CHANGE_PROBLEMS, problem_id)

    async def _index(self, problem_id: str, reader: User | None) -> tuple[Problem, StatementIndex]:
        problem = await problem_for(self._problems, problem_id, reader)
        index = await self._statements.statement_index(problem.id)
        if index is None:
            raise Refused(ApiError.NO_SUCH_PROBLEM)
        return problem, index

    async def _view(
        self, problem: Problem, index: StatementIndex, language: str | None, reader: User | None
    ) -> StatementView:
        text = None if language is None else await self._statements.statement_text(problem.id, language)
        is_for_setters = reader is not None and may(reader, Right.READ_RESULTS, problem.created_by)
        return statement_view(problem, index, text, has_notes=is_for_setters)
