"""The list of problems, and a problem with the editor in which a solution is written and submitted."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup
from quart import Response, request
from werkzeug.datastructures import LanguageAccept

from deepoj.api.catalog import allowed, problem_for
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.limits import Limit, RequestLimits
from deepoj.api.http.paths import query_number
from deepoj.api.models.submissions import SubmitBody
from deepoj.api.redact import item_for
from deepoj.api.sources import received_sources
from deepoj.api.statement_answers import best_language, file_answer, with_own_paths
from deepoj.api.submitting import asked_job_id, new_trace_id, readable, take_in
from deepoj.judging.languages import LANGUAGES, Language
from deepoj.judging.outputs import OUTPUTS, language_of
from deepoj.ports.statements import Statements
from deepoj.web import forms
from deepoj.web.page import ANYONE, MEMBER, page
from deepoj.web.render import Pages, redirect
from deepoj.web.runs import PageRuns, ShownRun
from deepoj.web.samples import SampleRuns, runnable
from deepoj.web.visitor import Visitor, Visitors
from deepoj.words.playground import CustomRun
from deepoj.words.problems import MAX_DIFFICULTY_CHARS, Problem, ProblemOrder, ProblemSearch, tag_of
from deepoj.words.statements import StatementFileKind, StatementIndex
from deepoj.words.submissions import Draft, SubmissionQuery

_PAGE = 50
_MAX_AFTER = 2**63 - 1
#: language that is chosen at first
USUAL_LANGUAGE = "cpp17"
#: longest search, in characters; the rest is not looked for
_MAX_SEARCH = 200
#: numbers of problems that a search can find
_NUMBER = re.compile(r"[0-9]{1,18}")
#: own submissions that are shown beside a problem
_LAST = 5
#: the first bytes of a zip
_ZIP = b"PK"
_NO_STATEMENT = StatementIndex(is_pending=False)


class ProblemPages:
    """``/problems``, ``/problems/{id}`` and the files of its statement."""

    def __init__(
        self, context: ApiContext, limits: RequestLimits, visitors: Visitors, pages: Pages, runs: PageRuns
    ) -> None:
        self._context, self._limits, self._visitors, self._pages = context, limits, visitors, pages
        self._runs, self._samples = runs, SampleRuns(context, runs)
        self._settings = context.settings

    @page("GET", "/problems", access=ANYONE)
    async def problems(self, visitor: Visitor) -> Response:
        """List the problems of a search, by number or by title, in pages."""
        after, search = query_number("after", 0, _MAX_AFTER), request.args.get("search", "").strip()[:_MAX_SEARCH]
        query = ProblemSearch(
            search=search,
            number=int(search) if _NUMBER.fullmatch(search) else None,
            tag=tag_of(request.args.get("tag", "")),
            difficulty=request.args.get("difficulty", "").strip()[:MAX_DIFFICULTY_CHARS],
            unsolved=visitor.user is not None and request.args.get("unsolved") == "1",
            viewer=None if visitor.user is None else visitor.user.id,
            order=_order(request.args.get("sort", "")),
        )
        found = await self._context.problems.find_problems(query, after, _PAGE + 1)
        shown, solved = found[:_PAGE], set[int]()
        if visitor.account is not None:
            solved = await self._context.marks.solved_of(visitor.account.user.id, [problem.id for problem in shown])
        return self._pages.html(
            "problems.html",
            visitor,
            problems=shown,
            solved=solved,
            query=query,
            next_after=shown[-1].id if len(found) > _PAGE else None,
            is_first=after == 0,
        )

    @page("GET", "/problems/<problem_id>", access=ANYONE)
    async def problem(self, visitor: Visitor, problem_id: str) -> Response:
        """Show a problem, also with the result of a run that was ordered here (``run``), of runs on the samples
        (``samples``), or with the source of a submission in the editor (``from``)."""
        problem = await self._find_problem(visitor, problem_id)
        run_id, job_id = request.args.get("run", ""), request.args.get("from", "")
        run_ids = request.args.get("samples", "")
        try:
            if visitor.account is not None and run_ids:
                return await self._problem(visitor, problem, sampled=await self._samples.asked(visitor, run_ids))
            if visitor.account is not None and run_id:
                return await self._problem(visitor, problem, shown=await self._runs.shown(visitor, run_id))
            if visitor.account is not None and job_id:
                found = await self._context.submissions.submission(asked_job_id(job_id))
                former = (await readable(self._context, visitor.account.user, found)).submission
                return await self._problem(visitor, problem, {"language": former.language, "code": former.code})
        except Refused as refused:
            return await self._problem(visitor, problem, refused=refused)
        return await self._problem(visitor, problem)

    @page("POST", "/problems/<problem_id>/run", access=MEMBER)
    async def run(self, visitor: Visitor, problem_id: str) -> Response:
        """Run a program on the visitor's own input, within the problem's limits."""
        problem = await self._find_problem(visitor, problem_id)
        sent: Mapping[str, str] = {}
        try:
            form = await self._runs.read(visitor)
            sent = form.fields
            memory_limit_kb = problem.memory_limit_mb * 1024
            run_id = await self._runs.take(
                visitor, form, time_limit_ms=problem.time_limit_ms, memory_limit_kb=memory_limit_kb
            )
        except Refused as refused:
            return await self._problem(visitor, problem, sent, refused)
        return self._runs.ordered(f"/problems/{problem.id}?run={run_id}#run", form)

    @page("GET", "/problems/<problem_id>/run", access=ANYONE)
    async def after_run(self, visitor: Visitor, problem_id: str) -> Response:
        """Lead to the problem: the login, and the choice of a language, lead to the path of the form before."""
        return redirect(f"/problems/{(await self._find_problem(visitor, problem_id)).id}")

    @page("GET", "/problems/<problem_id>/statement/files/<name>", access=ANYONE, limit=Limit.FILE)
    async def file(self, visitor: Visitor, problem_id: str, name: str) -> Response:
        """Answer with an image or a PDF of a statement: the API, which has them too, knows no sessions."""
        problem = await self._find_problem(visitor, problem_id)
        return await file_answer(self._context.statements, problem, StatementFileKind.SHOWN, name)

    @page("GET", "/problems/<problem_id>/attachments/<name>", access=ANYONE, limit=Limit.FILE)
    async def attachment(self, visitor: Visitor, problem_id: str, name: str) -> Response:
        """Answer with a file for contestants."""
        problem = await self._find_problem(visitor, problem_id)
        return await file_answer(self._context.statements, problem, StatementFileKind.ATTACHMENT, name)

    @page("POST", "/problems/<problem_id>/samples", access=MEMBER)
    async def run_samples(self, visitor: Visitor, problem_id: str) -> Response:
        """Run a program on the samples, within the problem's limits."""
        problem = await self._find_problem(visitor, problem_id)
        sent: Mapping[str, str] = {}
        try:
            form = await self._runs.read(visitor)
            sent = form.fields
            run_ids = await self._samples.take(visitor, problem, await self._index(problem), form)
        except Refused as refused:
            return await self._problem(visitor, problem, sent, refused)
        return self._runs.ordered(f"/problems/{problem.id}?samples={run_ids}#run", form)

    @page("GET", "/problems/<problem_id>/samples", access=MEMBER)
    async def after_samples(self, visitor: Visitor, problem_id: str) -> Response:
        """Answer a script with the results so far as a piece of the page; lead others to the problem."""
        problem, run_ids = await self._find_problem(visitor, problem_id), request.args.get("samples", "")
        if "HX-Request" not in request.headers:
            return redirect(f"/problems/{problem.id}")
        runs, index = await self._samples.asked(visitor, run_ids), await self._index(problem)
        values = self._samples.values(visitor, problem, index, runs, f"/problems/{problem.id}")
        return self._pages.html("_samples_piece.html", visitor, problem=problem, samples_asked=run_ids, **values)

    @page("POST", "/problems/<problem_id>", access=MEMBER)
    async def submit(self, visitor: Visitor, problem_id: str) -> Response:
        """Submit a solution; its page shows how it is judged. What was written is kept if it is refused."""
        problem = await self._find_problem(visitor, problem_id)
        sent: Mapping[str, str] = {}
        try:
            form = await self._runs.read(visitor)
            sent = form.fields
            # after the form, unlike in the API: what was written is kept if the limit is reached
            await self._limits.submit(visitor.member)
            receipt = await take_in(self._context, draft_of(self._context, visitor, problem, form))
        except Refused as refused:
            return await self._problem(visitor, problem, sent, refused)
        response = redirect(f"/submissions/{receipt.job_id}")
        self._visitors.remember(response.headers, programmed=sent.get("language"))
        return response

    async def _find_problem(self, visitor: Visitor, problem_id: str) -> Problem:
        return await problem_for(self._context.problems, problem_id, visitor.user)

    async def _index(self, problem: Problem) -> StatementIndex:
        return await self._context.statements.statement_index(problem.id) or _NO_STATEMENT

    async def _former_draft(self, visitor: Visitor, problem: Problem) -> str:
        """Return the place of the draft that the address names (``draft``); empty: there is none, or it may not be
        read. Anybody can make a link to any draft, also to one of another problem or of a contest that goes on."""
        asked = request.args.get("draft", "")
        key, _, label = asked.rpartition(":")
        if visitor.user is None or not asked:
            return ""
        is_over = await self._context.contests.is_over_for(visitor.user.id, key, label, problem.id)
        return asked if is_over else ""

    async def _problem(
        self,
        visitor: Visitor,
        problem: Problem,
        sent: Mapping[str, str] | None = None,
        refused: Refused | None = None,
        *,
        shown: ShownRun | None = None,
        sampled: Sequence[CustomRun | None] = (),
    ) -> Response:
        last, host = [], None
        if visitor.account is not None:
            host = await self._context.contests.host_of_problem(visitor.account.user.id, problem.id)
            query = SubmissionQuery(user_id=visitor.account.user.id, problem_id=problem.id)
            steps = self._context.settings.hidden_steps
            found = await self._context.lists.submissions(query, _LAST)
            last = [item_for(item, is_whole=False, steps=steps) for item in found.items]
        index = await self._index(problem)
        samples: dict[str, Any] = {"sample_runs": []}
        if (first := next(filter(None, sampled), None)) is not None:
            sent = await self._runs.sent(first)
            samples = self._samples.values(visitor, problem, index, sampled, f"/problems/{problem.id}")
        sent = sent or (shown.sent if shown is not None else {})
        first_input = index.samples[0].input if index.samples else ""
        response = self._pages.html(
            "problem.html",
            visitor,
            http_status=200 if refused is None else refused.api_error.status,
            has_editor=True,
            problem=problem,
            stdin=sent.get("stdin", first_input),
            last=last,
            host=host,
            refused=refused,
            has_samples=bool(runnable(index)),
            samples_asked=request.args.get("samples", ""),
            former_draft=await self._former_draft(visitor, problem),
            **editor_values(self._context, visitor, problem, sent, [one.language for one in last[:1]]),
            **await statement_values(self._context.statements, visitor, problem, index, f"/problems/{problem.id}"),
            **samples,
            **self._runs.values(visitor, None if shown is None else shown.run),
        )
        if refused is not None:
            response.headers.extend(refused.extra_headers())
        return response


def draft_of(
    context: ApiContext, visitor: Visitor, problem: Problem, form: forms.SentForm, contest_id: int | None = None
) -> Draft:
    """Return the submission that a form sends. Raises Refused."""
    language = language_of(form.get("language"))
    if language is None:
        raise Refused(ApiError.UNKNOWN_LANGUAGE)
    body = SubmitBody.model_validate({"problem_id": problem.id, "language": language.key, **_sources(form, language)})
    sources = received_sources(body, language, max_bytes=context.settings.submit_code_max_bytes)
    return Draft(
        user_id=visitor.member.id,
        problem_id=problem.id,
        language=language.key,
        code=sources.code,
        entry_point=sources.entry_point,
        beside=sources.beside,
        trace_id=new_trace_id(),
        contest_id=contest_id,
    )


def editor_values(
    context: ApiContext, visitor: Visitor, problem: Problem, sent: Mapping[str, str], former: Sequence[str]
) -> dict[str, Any]:
    """Return what the form of a solution needs. ``former``: languages of submissions before this one."""
    languages = allowed(problem, judged_languages(context))
    # the first that is offered is chosen
    wanted = (sent.get("language"), *former, visitor.programmed, USUAL_LANGUAGE)
    return {
        "languages": languages,
        "language": next((key for key in wanted if key in {one.key for one in languages}), ""),
        "outputs": next(iter(allowed(problem, [OUTPUTS])), None),
        "sent_language": sent.get("language"),
        "code": sent.get("code", ""),
        "max_bytes": context.settings.submit_code_max_bytes,
    }


async def statement_values(
    statements: Statements, visitor: Visitor, problem: Problem, index: StatementIndex, path: str
) -> dict[str, Any]:
    """Return what ``_statement.html`` needs. ``path``: of the problem's page, below which its files are."""
    language = _statement_language(index, visitor)
    text = None if language is None else await statements.statement_text(problem.id, language)
    return {
        "index": index,
        "statement_path": path,
        "statement": text,
        # made by our renderer: nothing of the package's own HTML is in it that could do harm
        "statement_html": Markup("" if text is None else with_own_paths(text.html, problem.id, path)),  # noqa: S704
    }


def _sources(form: forms.SentForm, language: Language) -> dict[str, str]:
    """Return the fields of ``SubmitBody``: a zip of outputs, or one text."""
    file = form.files.get("file")
    if language is OUTPUTS and file is not None and file.content.startswith(_ZIP):
        return {"archive": base64.b64encode(file.content).decode("ascii")}
    return {"code": form.program()}


def _statement_language(index: StatementIndex, visitor: Visitor) -> str | None:
    """Return the language that the address asks for, else the one that suits the interface; None: there is none."""
    languages = [language for language, _ in index.languages]
    asked = request.args.get("lang", "")
    return asked if asked in languages else best_language(languages, LanguageAccept([(visitor.language, 1)]))


def judged_languages(context: ApiContext) -> list[Language]:
    """Return the languages of the live judge nodes; all of them while none is known."""
    return [language for language in LANGUAGES.values() if context.is_judged_now(language.key)]


def _order(word: str) -> ProblemOrder:
    return ProblemOrder(word) if word in list(ProblemOrder) else ProblemOrder.NUMBER
