"""Statements of a contest's problems, also of drafts, for its teams and those who run it."""

from __future__ import annotations

from quart import request
from quart_trio.wrappers import TrioResponse

from deepoj.api.access import USER
from deepoj.api.administering import Administering
from deepoj.api.auth import Auth
from deepoj.api.contest_errors import ContestError
from deepoj.api.contesting import Contesting
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.limits import Limit
from deepoj.api.models.contest_setup import StatementQuery
from deepoj.api.models.statements import StatementView
from deepoj.api.route import Described, route
from deepoj.api.statement_answers import FOREIGN_POLICY, best_language, file_answer, statement_view
from deepoj.words.accounts import User
from deepoj.words.contests import EventType
from deepoj.words.problems import Problem
from deepoj.words.statements import StatementFileKind

_HEADERS = {
    "Content-Disposition": "attachment or inline, with the file's name",
    "Content-Security-Policy": FOREIGN_POLICY,
}
_BASE = "/api/v1/contests/<key>/problems/<label>"


class ContestStatementRoutes:
    """``/api/v1/contests/{key}/problems/{label}/statement`` and ``…/attachments``."""

    def __init__(self, context: ApiContext, auth: Auth) -> None:
        self._statements, self._contests = context.statements, context.contests
        self._contesting = Contesting(context, Administering(context, auth))

    @route("GET", f"{_BASE}/statement", access=USER, query=StatementQuery, responses={200: StatementView})
    async def statement(self, user: User, key: str, label: str) -> StatementView:
        """The statement of a contest's problem, with samples and attachments.

        For members of its teams after the start, and for those who run it. In the language ``lang``, else in the one
        that Accept-Language prefers.
        """
        problem = await self._problem(user, key, label)
        index = await self._statements.statement_index(problem.id)
        if index is None:
            raise Refused(ApiError.NO_SUCH_PROBLEM)
        languages, asked = [language for language, _ in index.languages], request.args.get("lang", "")
        if asked and asked not in languages:
            raise Refused(ApiError.NO_SUCH_STATEMENT)
        chosen = asked or best_language(languages, request.accept_languages)
        text = None if chosen is None else await self._statements.statement_text(problem.id, chosen)
        return statement_view(problem, index, text, base=f"/api/v1/contests/{key}/problems/{label}")

    @route(
        "GET",
        f"{_BASE}/statement/files/<name>",
        access=USER,
        limit=Limit.NONE,
        responses={200: Described(description="The file: a PNG, JPEG, GIF, WebP or PDF.", headers=_HEADERS)},
    )
    async def file(self, user: User, key: str, label: str, name: str) -> TrioResponse:
        """An image or a PDF of a statement."""
        return await file_answer(self._statements, await self._problem(user, key, label), StatementFileKind.SHOWN, name)

    @route(
        "GET",
        f"{_BASE}/attachments/<name>",
        access=USER,
        limit=Limit.NONE,
        responses={200: Described(description="The file.", content_type="application/octet-stream", headers=_HEADERS)},
    )
    async def attachment(self, user: User, key: str, label: str, name: str) -> TrioResponse:
        """A file for contestants."""
        return await file_answer(
            self._statements, await self._problem(user, key, label), StatementFileKind.ATTACHMENT, name
        )

    async def _problem(self, user: User, key: str, label: str) -> Problem:
        """Return a problem for a member of a team or the jury. Raises Refused for others, and before the start."""
        sight = await self._contesting.find(key, user)
        if sight.viewer.team_id is None and not sight.viewer.is_jury:
            raise Refused(ContestError.NOT_IN_CONTEST)
        shown = sight.objects(await self._contesting.ledger(sight.contest), EventType.PROBLEMS).get(label)
        problem = None
        if shown is not None:
            problem = await self._contests.taken_problem(sight.contest.id, int(shown["problem_id"]))
        if problem is None:
            raise Refused(ApiError.NO_SUCH_PROBLEM)
        return problem
