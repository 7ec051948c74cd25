"""Statements of a contest's problems, also of drafts, for its teams and those who run it; and statements that the
contest has of its own."""

from __future__ import annotations

import base64
from typing import Literal

from quart import request
from quart_trio.wrappers import TrioResponse

from deepoj.api.access import USER, needs
from deepoj.api.body import read_json, text
from deepoj.api.conditional import UNCHANGED
from deepoj.api.contest_errors import ContestError
from deepoj.api.contesting import Contesting
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.limits import Limit
from deepoj.api.models.contest_setup import StatementQuery
from deepoj.api.models.statements import (
    ContestStatementBody,
    ContestStatementSource,
    RestoreQuery,
    StatementRestored,
    StatementSaved,
    StatementView,
)
from deepoj.api.rights import Right
from deepoj.api.route import Described, route
from deepoj.api.statement_answers import FOREIGN_POLICY, best_language, file_answer, saved_view, statement_view
from deepoj.api.statement_editing import StatementDesk
from deepoj.contests.views import reads_statements
from deepoj.packages.statements.sources import MAX_FILE_BYTES
from deepoj.words.accounts import User
from deepoj.words.contests import Contest, EventType
from deepoj.words.problems import Problem
from deepoj.words.statements import StatementEdit, StatementFileKind

_HEADERS = {
    "Content-Disposition": "attachment or inline, with the file's name",
    "Content-Security-Policy": FOREIGN_POLICY,
}
#: of a JSON body with a PDF, or with a source of which each byte may take two
_MAX_BODY_BYTES = MAX_FILE_BYTES * 4 // 3 + 16 * 1024
_BASE = "/api/v1/contests/<key>/problems/<label>"


class ContestStatementRoutes:
    """``/api/v1/contests/{key}/problems/{label}/statement`` and ``…/attachments``."""

    def __init__(self, context: ApiContext) -> None:
        self._statements, self._contests = context.statements, context.contests
        self._desk, self._timeout_s = StatementDesk(context), context.settings.read_timeout_s
        self._contesting = Contesting(context)

    @route("GET", f"{_BASE}/statement", access=USER, query=StatementQuery, responses={200: StatementView})
    async def statement(self, user: User, key: str, label: str) -> StatementView:
        """The statement of a contest's problem, with samples and attachments.

        For members of its teams after the start, and for those who run it. In the language ``lang``, else in the one
        that Accept-Language prefers.
        """
        contest, problem = await self._problem(user, key, label)
        statements = self._statements.of_contest(contest.id)
        index = await statements.statement_index(problem.id)
        if index is None:
            raise Refused(ApiError.NO_SUCH_PROBLEM)
        languages, asked = [language for language, _ in index.languages], request.args.get("lang", "")
        if asked and asked not in languages:
            raise Refused(ApiError.NO_SUCH_STATEMENT)
        chosen = asked or best_language(languages, request.accept_languages)
        shown = None if chosen is None else await statements.statement_text(problem.id, chosen)
        return statement_view(problem, index, shown, base=f"/api/v1/contests/{key}/problems/{label}")

    @route(
        "GET",
        f"{_BASE}/statement/files/<name>",
        access=USER,
        limit=Limit.FILE,
        responses={
            200: Described(description="The file: a PNG, JPEG, GIF, WebP or PDF.", headers=_HEADERS),
            304: UNCHANGED,
        },
    )
    async def file(self, user: User, key: str, label: str, name: str) -> TrioResponse:
        """An image or a PDF of a statement."""
        contest, problem = await self._problem(user, key, label)
        return await file_answer(self._statements.of_contest(contest.id), problem, StatementFileKind.SHOWN, name)

    @route(
        "GET",
        f"{_BASE}/attachments/<name>",
        access=USER,
        limit=Limit.FILE,
        responses={
            200: Described(description="The file.", content_type="application/octet-stream", headers=_HEADERS),
            304: UNCHANGED,
        },
    )
    async def attachment(self, user: User, key: str, label: str, name: str) -> TrioResponse:
        """A file for contestants."""
        contest, problem = await self._problem(user, key, label)
        return await file_answer(self._statements.of_contest(contest.id), problem, StatementFileKind.ATTACHMENT, name)

    @route(
        "GET",
        f"{_BASE}/statement/<lang>/source",
        access=needs(Right.RUN_CONTESTS),
        responses={200: ContestStatementSource},
        errors=(400,),
    )
    async def source(self, user: User, key: str, label: str, lang: str) -> ContestStatementSource:
        """The source of the statement that a problem has in this contest, to be changed.

        For administrators and the jury. Where the contest has no statement of its own, it is the problem's.
        """
        contest, problem = await self._problem(user, key, label)
        found = await self._desk.source(problem, lang, contest.id)
        if found.fault:
            raise Refused(ApiError.INVALID_PACKAGE, problem=found.fault)
        return ContestStatementSource(
            lang=lang,
            format=contest_format(found.kind),
            source=found.text,
            pdf=base64.b64encode(found.pdf).decode("ascii") if found.pdf else None,
            revision=found.revision,
            edited=found.is_edited,
        )

    @route(
        "PUT",
        f"{_BASE}/statement/<lang>",
        access=needs(Right.RUN_CONTESTS),
        body=ContestStatementBody,
        responses={200: StatementSaved},
        errors=(409,),
    )
    async def change(self, user: User, key: str, label: str, lang: str) -> StatementSaved:
        """Give a problem a statement of its own in this contest, in one language.

        For administrators and the jury. The problem itself and other contests keep theirs. It may refer to the images
        of the problem's package. One that cannot be rendered is refused with file and line, and one that has changed
        since it was read with 409.
        """
        contest, problem = await self._problem(user, key, label)
        body = await read_json(ContestStatementBody, timeout_s=self._timeout_s, max_bytes=_MAX_BODY_BYTES)
        try:
            pdf = base64.b64decode(body.pdf, validate=True)
        except ValueError as error:
            raise Refused(ApiError.INVALID, field="pdf", problem="base64") from error
        if bool(pdf) != (body.format == "pdf"):
            raise Refused(ApiError.INVALID, field="pdf", problem="given if and only if the format is pdf")
        source = "" if pdf else text("source", body.source)
        edit = StatementEdit(language=lang, kind=body.format, source=source, pdf=pdf)
        return saved_view(lang, await self._desk.save(problem, edit, body.revision, user, contest.id))

    @route(
        "DELETE",
        f"{_BASE}/statement/<lang>",
        access=needs(Right.RUN_CONTESTS),
        query=RestoreQuery,
        responses={200: StatementRestored},
        errors=(409,),
    )
    async def restore(self, user: User, key: str, label: str, lang: str) -> StatementRestored:
        """Take a contest's own statement back: the problem's is shown again.

        For administrators and the jury.
        """
        contest, problem = await self._problem(user, key, label)
        await self._desk.restore(problem, lang, request.args.get("revision", ""), user, contest.id)
        return StatementRestored(lang=lang)

    async def _problem(self, user: User, key: str, label: str) -> tuple[Contest, Problem]:
        """Return a problem for a member of a team or the jury. Raises Refused for others, and before the start."""
        sight = await self._contesting.find(key, user)
        if not reads_statements(sight.viewer):
            raise Refused(ContestError.NOT_IN_CONTEST)
        shown = sight.objects(await self._contesting.ledger(sight.contest), EventType.PROBLEMS).get(label)
        problem = None
        if shown is not None:
            problem = await self._contests.taken_problem(sight.contest.id, int(shown["problem_id"]))
        if problem is None:
            raise Refused(ApiError.NO_SUCH_PROBLEM)
        return sight.contest, problem


def contest_format(kind: str) -> Literal["md", "tex", "pdf"]:
    """Return the kind of a source as answers have it."""
    return "pdf" if kind == "pdf" else "tex" if kind == "tex" else "md"
