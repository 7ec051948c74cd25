"""A problem of a contest, with the editor from which a team submits. Its members read it after the start, the jury
always."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from quart import Response, request

from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.limits import Limit, RequestLimits
from deepoj.api.statement_answers import file_answer
from deepoj.api.submitting import asked_job_id, readable, take_in
from deepoj.web import forms
from deepoj.web.contests import ContestPhase, ContestReader, ContestReading, ShownProblem, phase_of
from deepoj.web.page import MEMBER, page
from deepoj.web.pages.problems import draft_of, editor_values, statement_values
from deepoj.web.render import Pages, redirect
from deepoj.web.visitor import Visitor, Visitors
from deepoj.words.problems import Problem
from deepoj.words.statements import StatementFileKind, StatementIndex

_NO_STATEMENT = StatementIndex(is_pending=False)
#: the team's own submissions that are shown beside a problem
_LAST = 5


class ContestProblemPages:
    """``/contests/{key}/problems/{label}`` and the files of its statement."""

    def __init__(
        self, context: ApiContext, limits: RequestLimits, visitors: Visitors, pages: Pages, reader: ContestReader
    ) -> None:
        self._context, self._limits, self._visitors, self._pages = context, limits, visitors, pages
        self._reader = reader

    @page("GET", "/contests/<key>/problems/<label>", access=MEMBER)
    async def problem(self, visitor: Visitor, key: str, label: str) -> Response:
        """Show a problem, also with the source of a submission in the editor (``from``)."""
        reading, shown, problem = await self._find(visitor, key, label)
        sent: Mapping[str, str] = {}
        if job_id := request.args.get("from", ""):
            try:
                found = await self._context.submissions.submission(asked_job_id(job_id))
                former = (await readable(self._context.problems, visitor.member, found)).submission
                sent = {"language": former.language, "code": former.code}
            except Refused as refused:
                return await self._problem(visitor, reading, shown, problem, refused=refused)
        return await self._problem(visitor, reading, shown, problem, sent=sent)

    @page("POST", "/contests/<key>/problems/<label>", access=MEMBER)
    async def submit(self, visitor: Visitor, key: str, label: str) -> Response:
        """Submit a solution for the team; its page shows how it is judged. What was written is kept if it is
        refused."""
        settings = self._context.settings
        max_bytes = forms.bytes_for(settings.submit_code_max_bytes)
        form = await forms.read(self._visitors, visitor, timeout_s=settings.read_timeout_s, max_bytes=max_bytes)
        reading, shown, problem = await self._find(visitor, key, label)
        sent = form.fields
        try:
            await self._limits.submit(visitor.member)
            draft = draft_of(self._context, visitor, problem, form, reading.contest.id)
            receipt = await take_in(self._context, draft)
        except Refused as refused:
            return await self._problem(visitor, reading, shown, problem, sent=sent, refused=refused)
        response = redirect(f"/submissions/{receipt.job_id}")
        self._visitors.remember(response.headers, programmed=sent.get("language"))
        return response

    @page("GET", "/contests/<key>/problems/<label>/statement/files/<name>", access=MEMBER, limit=Limit.NONE)
    async def file(self, visitor: Visitor, key: str, label: str, name: str) -> Response:
        """Answer with an image or a PDF of a statement."""
        _, _, problem = await self._find(visitor, key, label)
        return await file_answer(self._context.statements, problem, StatementFileKind.SHOWN, name)

    @page("GET", "/contests/<key>/problems/<label>/attachments/<name>", access=MEMBER, limit=Limit.NONE)
    async def attachment(self, visitor: Visitor, key: str, label: str, name: str) -> Response:
        """Answer with a file for contestants."""
        _, _, problem = await self._find(visitor, key, label)
        return await file_answer(self._context.statements, problem, StatementFileKind.ATTACHMENT, name)

    async def _find(self, visitor: Visitor, key: str, label: str) -> tuple[ContestReading, ShownProblem, Problem]:
        """Return a problem for a member of a team or the jury. Raises Refused for others, and before the start."""
        reading = await self._reader.read(visitor, key)
        if reading.viewer.team_id is None and not reading.viewer.is_jury:
            raise Refused(ApiError.NOT_IN_CONTEST)
        shown = reading.problem(label)
        problem = await self._context.contests.taken_problem(reading.contest.id, shown.problem_id)
        if problem is None:
            raise Refused(ApiError.NO_SUCH_PROBLEM)
        return reading, shown, problem

    async def _problem(
        self,
        visitor: Visitor,
        reading: ContestReading,
        shown: ShownProblem,
        problem: Problem,
        *,
        sent: Mapping[str, str] | None = None,
        refused: Refused | None = None,
    ) -> Response:
        index = await self._context.statements.statement_index(problem.id) or _NO_STATEMENT
        path = f"{reading.path}/problems/{shown.label}"
        statement = await statement_values(self._context, visitor, problem, index, path)
        last, team_id = [], reading.viewer.team_id
        if team_id is not None:
            last = list(itertools.islice(reading.submissions(team_id=team_id, label=shown.label), _LAST))
        return self._pages.html_with_refusal(
            "contest_problem.html",
            visitor,
            refused,
            has_editor=True,
            problem=problem,
            shown=shown,
            last=last,
            run=None,
            may_submit=team_id is not None and phase_of(reading.contest) in (ContestPhase.RUNNING, ContestPhase.FROZEN),
            **editor_values(self._context, visitor, problem, sent or {}, [one.language for one in last[:1]]),
            **statement,
            **reading.frame(),
        )
