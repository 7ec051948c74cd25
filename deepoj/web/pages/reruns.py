"""One test of a submission, run again: its input, the expected output, what the program printed, and the difference."""

from __future__ import annotations

from typing import Any

from quart import Response, request
from quart_trio.wrappers import TrioResponse

from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.rerunning import Rerunning, judged_test
from deepoj.api.rights import Right
from deepoj.judging.languages import LANGUAGES
from deepoj.web import reruns, sentences
from deepoj.web.page import member_with, page
from deepoj.web.render import Pages, gettext_of
from deepoj.web.visitor import Visitor
from deepoj.words.reruns import Rerun, RerunFile
from deepoj.words.submissions import Submission

_READ = member_with(Right.READ_RESULTS)


class RerunPages:
    """``/submissions/{job_id}/reruns/{rerun_id}`` and the files ``…/{name}``. ``SubmissionPages`` takes them."""

    def __init__(self, context: ApiContext, pages: Pages) -> None:
        self._context, self._pages = context, pages
        self._rerunning = Rerunning(context)

    @page("GET", "/submissions/<job_id>/reruns/<rerun_id>", access=_READ)
    async def shown(self, visitor: Visitor, job_id: str, rerun_id: str) -> Response:
        """Show a rerun. Answer a script with the result so far as a piece of the page."""
        submission = await self._rerunning.submission(visitor.member, job_id)
        rerun = await self._rerunning.rerun(submission, rerun_id)
        values = _values(visitor, submission, rerun)
        if "HX-Request" in request.headers:
            return self._pages.html("_rerun_piece.html", visitor, **values)
        return self._pages.html(
            "rerun.html",
            visitor,
            problem=await self._context.problems.problem(submission.problem_id),
            language=LANGUAGES.get(submission.language),
            place=await self._context.contests.place_of(submission.job_id),
            **values,
        )

    @page("GET", "/submissions/<job_id>/reruns/<rerun_id>/<name>", access=_READ)
    async def file(self, visitor: Visitor, job_id: str, rerun_id: str, name: str) -> Response:
        """Send the kept beginning of a file, unchanged, for saving."""
        submission = await self._rerunning.submission(visitor.member, job_id)
        rerun = await self._rerunning.rerun(submission, rerun_id)
        files = {} if rerun.outcome is None else rerun.outcome.files
        if name not in set(RerunFile) or RerunFile(name) not in files:
            raise Refused(ApiError.NO_SUCH_RERUN)
        response = TrioResponse(files[RerunFile(name)].beginning, content_type="text/plain; charset=utf-8")
        response.headers["Content-Disposition"] = f'attachment; filename="{rerun.id}-{name}.txt"'
        response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cache-Control"] = "private, no-store"
        return response


def _values(visitor: Visitor, submission: Submission, rerun: Rerun) -> dict[str, Any]:
    outcome, translate = rerun.outcome, gettext_of(visitor.language)
    judged = judged_test(submission, rerun.test)
    status = "Running" if rerun.is_running else "Queuing"
    if outcome is not None:
        status = outcome.status or "Skipped"
    version = (submission.result or {}).get("problem_version")
    return {
        "rerun": rerun,
        "outcome": outcome,
        "judged_test": judged,
        "status": status,
        "here": f"/submissions/{submission.job_id}/reruns/{rerun.id}",
        "submission": submission,
        "why": "" if outcome is None else sentences.of_rerun(rerun.test, outcome, translate),
        "is_changed": outcome is not None
        and None not in (version, outcome.problem_version)
        and str(version) != str(outcome.problem_version),
        "files": [] if outcome is None else reruns.shown_files(outcome),
        "lines": [] if outcome is None else reruns.difference(outcome),
    }
