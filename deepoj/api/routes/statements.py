"""Statements of problems, their files and attachments: public to read."""

from __future__ import annotations

from collections.abc import Sequence

from quart import request
from quart_trio.wrappers import TrioResponse
from werkzeug.datastructures import LanguageAccept

from deepoj.api.access import PUBLIC
from deepoj.api.auth import Auth, bearer
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.limits import Limit
from deepoj.api.http.paths import problem_id_of
from deepoj.api.models.statements import AttachmentView, SampleView, StatementView
from deepoj.api.rights import Right, may
from deepoj.api.route import Described, route
from deepoj.words.statements import StatementFile, StatementFileKind, StatementIndex, StatementText

_FILE_PATH = "/api/v1/problems/{problem_id}/statement/files/{name}"
#: A foreign file gets no script, no form and no origin, however a browser treats it
_POLICY = "sandbox; default-src 'none'"
_MAX_AGE_S = 300
_HEADERS = {"Content-Disposition": "attachment or inline, with the file's name", "Content-Security-Policy": _POLICY}


class StatementRoutes:
    """``/api/v1/problems/<id>/statement`` and ``/api/v1/problems/<id>/attachments``."""

    def __init__(self, context: ApiContext, auth: Auth) -> None:
        self._statements, self._problems, self._auth = context.statements, context.problems, auth

    @route("GET", "/api/v1/problems/<problem_id>/statement", access=PUBLIC, responses={200: StatementView})
    async def statement(self, problem_id: str) -> StatementView:
        """The statement in the language that Accept-Language prefers, else in English, else in the first.

        Samples and attachments are there even if the package has no statement.
        """
        number, index = await self._index(problem_id)
        languages = [language for language, _ in index.languages]
        chosen = best_language(languages, request.accept_languages)
        return await self._view(number, index, chosen)

    @route("GET", "/api/v1/problems/<problem_id>/statement/<lang>", access=PUBLIC, responses={200: StatementView})
    async def statement_in(self, problem_id: str, lang: str) -> StatementView:
        """The statement in one language."""
        number, index = await self._index(problem_id)
        if lang not in {language for language, _ in index.languages}:
            raise Refused(ApiError.NO_SUCH_STATEMENT)
        return await self._view(number, index, lang)

    @route(
        "GET",
        "/api/v1/problems/<problem_id>/statement/files/<name>",
        access=PUBLIC,
        limit=Limit.NONE,  # pages have several, and a school is one address
        responses={200: Described(description="The file: a PNG, JPEG, GIF, WebP or PDF.", headers=_HEADERS)},
    )
    async def file(self, problem_id: str, name: str) -> TrioResponse:
        """An image or a PDF of a statement."""
        return _answer(await self._file(problem_id, StatementFileKind.SHOWN, name))

    @route(
        "GET",
        "/api/v1/problems/<problem_id>/attachments/<name>",
        access=PUBLIC,
        limit=Limit.NONE,
        responses={200: Described(description="The file.", content_type="application/octet-stream", headers=_HEADERS)},
    )
    async def attachment(self, problem_id: str, name: str) -> TrioResponse:
        """A file for contestants."""
        return _answer(await self._file(problem_id, StatementFileKind.ATTACHMENT, name))

    async def _index(self, problem_id: str) -> tuple[int, StatementIndex]:
        number = problem_id_of(problem_id)
        index = None if number is None else await self._statements.statement_index(number)
        if number is None or index is None:
            raise Refused(ApiError.NO_SUCH_PROBLEM)
        return number, index

    async def _view(self, number: int, index: StatementIndex, language: str | None) -> StatementView:
        text = None if language is None else await self._statements.statement_text(number, language)
        return StatementView(
            lang=None if text is None else text.language,
            langs=[one for one, _ in index.languages],
            title=await self._title(number, text),
            kind="none" if text is None else text.kind.value,
            html="" if text is None else text.html,
            pdf=None if text is None or text.pdf is None else _FILE_PATH.format(problem_id=number, name=text.pdf),
            samples=[
                SampleView(input=one.input, output=one.output, interaction=one.interaction) for one in index.samples
            ],
            attachments=[AttachmentView(name=name, bytes=size) for name, size in index.attachments],
            pending=index.is_pending,
            notes=list(index.notes) if await self._is_for_setters(number) else None,
        )

    async def _title(self, number: int, text: StatementText | None) -> str:
        """Return the statement's title, else the problem's."""
        if text is not None and text.title:
            return text.title
        problem = await self._problems.problem(number)
        return "" if problem is None else problem.title

    async def _is_for_setters(self, number: int) -> bool:
        """Whether the request has a token of an account that may see what setters see; none is needed."""
        if bearer(request.headers.get("Authorization")) is None:
            return False
        try:
            user = await self._auth.user()
        except Refused:
            return False
        problem = await self._problems.problem(number)
        return may(user, Right.READ_RESULTS, None if problem is None else problem.created_by)

    async def _file(self, problem_id: str, kind: StatementFileKind, name: str) -> StatementFile:
        number = problem_id_of(problem_id)
        file = None if number is None else await self._statements.statement_file(number, kind, name)
        if file is None:
            raise Refused(ApiError.NO_SUCH_FILE)
        return file


def best_language(languages: Sequence[str], accepted: LanguageAccept) -> str | None:
    """Return the language that suits best; None: there is none."""
    wanted = [language.lower() for language, quality in accepted if quality > 0]
    for asked in (*wanted, "en"):
        exact = next((one for one in languages if one.lower() == asked), None)
        same = next((one for one in languages if one.lower().partition("-")[0] == asked.partition("-")[0]), None)
        if exact or same:
            return exact or same
    return languages[0] if languages else None


def _answer(file: StatementFile) -> TrioResponse:
    is_shown = file.kind is StatementFileKind.SHOWN
    response = TrioResponse(file.content, content_type=file.media_type if is_shown else "application/octet-stream")
    # its characters need no escapes: see ``words.statements``
    response.headers["Content-Disposition"] = f'{"inline" if is_shown else "attachment"}; filename="{file.name}"'
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["Cache-Control"] = f"private, max-age={_MAX_AGE_S}"
    return response
