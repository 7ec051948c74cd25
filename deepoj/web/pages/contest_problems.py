"""A problem of a contest, with the editor from which a team submits. Its members read it after the start, the jury
always."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from quart import Response, request

from deepoj.api.contest_errors import ContestError
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.limits import Limit, RequestLimits
from deepoj.api.statement_answers import file_answer
from deepoj.api.submitting import asked_job_id, readable, take_in
from deepoj.contests.views import reads_statements
from deepoj.ports.statements import Statements
from deepoj.web import forms
from deepoj.web.contests import ContestReader, ContestReading, ShownProblem
from deepoj.web.page import MEMBER, page
from deepoj.web.pages.problems import draft_of, editor_values, statement_values
from deepoj.web.render import Pages, redirect
from deepoj.web.runs import PageRuns, ShownRun
from deepoj.web.samples import SampleRuns, runnable
from deepoj.web.visitor import Visitor, Visitors
from deepoj.words.playground import CustomRun
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
        self._reader, self._runs = reader, PageRuns(context, limits, visitors, pages)
        self._samples = SampleRuns(context, self._runs)

    @page("GET", "/contests/<key>/problems/<label>", access=MEMBER)
    async def problem(self, visitor: Visitor, key: str, label: str) -> Response:
        """Show a problem, also with the result of a run on an own input (``run``), of runs on its samples
        (``samples``), or with the source of a submission in the editor (``from``)."""
        reading, shown, problem = await self._find(visitor, key, label)
        sent: Mapping[str, str] = {}
        if run_id := request.args.get("run", ""):
            try:
                own_run = await self._runs.shown(visitor, run_id)
            except Refused as refused:
                return await self._problem(visitor, reading, shown, problem, refused=refused)
            return await self._problem(visitor, reading, shown, problem, own_run=own_run)
        if run_ids := request.args.get("samples", ""):
            try:
                sampled = await self._samples.asked(visitor, run_ids)
            except Refused as refused:
                return await self._problem(visitor, reading, shown, problem, refused=refused)
            return await self._problem(visitor, reading, shown, problem, sampled=sampled)
        if job_id := request.args.get("from", ""):
            try:
                found = await self._context.submissions.submission(asked_job_id(job_id))
                former = (await readable(self._context, visitor.member, found)).submission
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

    @page("POST", "/contests/<key>/problems/<label>/run", access=MEMBER)
    async def run(self, visitor: Visitor, key: str, label: str) -> Response:
        """Run a program on the visitor's own input, within the problem's limits, if the contest allows it."""
        form = await self._runs.read(visitor)
        reading, shown, problem = await self._find(visitor, key, label)
        try:
            _require_runs(reading)
            run_id = await self._runs.take(
                visitor,
                form,
                time_limit_ms=problem.time_limit_ms,
                memory_limit_kb=problem.memory_limit_mb * 1024,
            )
        except Refused as refused:
            return await self._problem(visitor, reading, shown, problem, sent=form.fields, refused=refused)
        return self._runs.ordered(f"{reading.path}/problems/{label}?run={run_id}#run", form)

    @page("GET", "/contests/<key>/problems/<label>/run", access=MEMBER)
    async def after_run(self, visitor: Visitor, key: str, label: str) -> Response:
        """Lead to the problem: the login, and the choice of a language, lead to the path of the form before."""
        reading, _shown, _problem = await self._find(visitor, key, label)
        return redirect(f"{reading.path}/problems/{label}")

    @page("POST", "/contests/<key>/problems/<label>/samples", access=MEMBER)
    async def run_samples(self, visitor: Visitor, key: str, label: str) -> Response:
        """Run a program on the samples, within the problem's limits, if the contest allows it."""
        form = await self._runs.read(visitor)
        reading, shown, problem = await self._find(visitor, key, label)
        try:
            _require_runs(reading)
            run_ids = await self._samples.take(visitor, problem, await self._index(reading, problem), form)
        except Refused as refused:
            return await self._problem(visitor, reading, shown, problem, sent=form.fields, refused=refused)
        return self._runs.ordered(f"{reading.path}/problems/{label}?samples={run_ids}#run", form)

    @page("GET", "/contests/<key>/problems/<label>/samples", access=MEMBER)
    async def after_samples(self, visitor: Visitor, key: str, label: str) -> Response:
        """Answer a script with the results so far as a piece of the page; lead others to the problem."""
        reading, _shown, problem = await self._find(visitor, key, label)
        path, run_ids = f"{reading.path}/problems/{label}", request.args.get("samples", "")
        if "HX-Request" not in request.headers:
            return redirect(path)
        runs, index = await self._samples.asked(visitor, run_ids), await self._index(reading, problem)
        values = self._samples.values(visitor, problem, index, runs, path)
        return self._pages.html("_samples_piece.html", visitor, samples_asked=run_ids, **values)

    @page("GET", "/contests/<key>/problems/<label>/statement/files/<name>", access=MEMBER, limit=Limit.FILE)
    async def file(self, visitor: Visitor, key: str, label: str, name: str) -> Response:
        """Answer with an image or a PDF of a statement."""
        reading, _, problem = await self._find(visitor, key, label)
        return await file_answer(self._statements(reading), problem, StatementFileKind.SHOWN, name)

    @page("GET", "/contests/<key>/problems/<label>/attachments/<name>", access=MEMBER, limit=Limit.FILE)
    async def attachment(self, visitor: Visitor, key: str, label: str, name: str) -> Response:
        """Answer with a file for contestants."""
        reading, _, problem = await self._find(visitor, key, label)
        return await file_answer(self._statements(reading), problem, StatementFileKind.ATTACHMENT, name)

    async def _find(self, visitor: Visitor, key: str, label: str) -> tuple[ContestReading, ShownProblem, Problem]:
        """Return a problem for a member of a team or the jury. Raises Refused for others, and before the start."""
        reading = await self._reader.read(visitor, key)
        if not reads_statements(reading.viewer):
            raise Refused(ContestError.NOT_IN_CONTEST)
        shown = reading.problem(label)
        problem = await self._context.contests.taken_problem(reading.contest.id, shown.problem_id)
        if problem is None:
            raise Refused(ApiError.NO_SUCH_PROBLEM)
        return reading, shown, problem

    def _statements(self, reading: ContestReading) -> Statements:
        return self._context.statements.of_contest(reading.contest.id)

    async def _index(self, reading: ContestReading, problem: Problem) -> StatementIndex:
        return await self._statements(reading).statement_index(problem.id) or _NO_STATEMENT

    async def _problem(
        self,
        visitor: Visitor,
        reading: ContestReading,
        shown: ShownProblem,
        problem: Problem,
        *,
        sent: Mapping[str, str] | None = None,
        refused: Refused | None = None,
        own_run: ShownRun | None = None,
        sampled: Sequence[CustomRun | None] = (),
    ) -> Response:
        index = await self._index(reading, problem)
        path = f"{reading.path}/problems/{shown.label}"
        samples: dict[str, Any] = {"sample_runs": []}
        if own_run is not None:
            sent = own_run.sent
        if (first := next(filter(None, sampled), None)) is not None:
            sent = await self._runs.sent(first)
            samples = self._samples.values(visitor, problem, index, sampled, path)
        sent = sent or {}
        statement = await statement_values(self._statements(reading), visitor, problem, index, path)
        last, team_id = [], reading.viewer.team_id
        is_over = reading.contest.ended_at is not None
        practised = await self._context.problems.open_problem(problem.id, visitor.member.id) if is_over else None
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
            practice_path=None if practised is None else f"/problems/{problem.id}",
            allows_runs=reading.contest.rules.allows_custom_runs,
            stdin=sent.get("stdin", index.samples[0].input if index.samples else ""),
            has_samples=bool(runnable(index)),
            samples_asked=request.args.get("samples", ""),
            **samples,
            **self._runs.values(visitor, None if own_run is None else own_run.run),
            may_submit=reading.may_submit(),
            late_percent=reading.late_percent(),
            result=reading.results().get(shown.label),
            **editor_values(self._context, visitor, problem, sent, [one.language for one in last[:1]]),
            **statement,
            **reading.frame(),
        )


def _require_runs(reading: ContestReading) -> None:
    """Raises Refused unless the contest lets its teams run programs."""
    if not reading.contest.rules.allows_custom_runs:
        raise Refused(ContestError.CONTEST_RUNS_OFF)
