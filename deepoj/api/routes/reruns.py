"""Reruns of single tests, for those who see hidden tests."""

from __future__ import annotations

from deepoj.api.access import needs
from deepoj.api.body import read_json
from deepoj.api.context import ApiContext
from deepoj.api.models.reruns import JudgedTestView, RerunBody, RerunFileView, RerunView
from deepoj.api.playground_view import shown
from deepoj.api.rerunning import Rerunning, judged_test
from deepoj.api.rights import Right
from deepoj.api.route import route
from deepoj.words.accounts import User
from deepoj.words.reruns import Rerun, RerunOutcome
from deepoj.words.submissions import Submission


class RerunRoutes:
    """``/api/v1/submissions/{job_id}/reruns``."""

    def __init__(self, context: ApiContext) -> None:
        self._rerunning, self._timeout_s = Rerunning(context), context.settings.read_timeout_s

    @route(
        "POST",
        "/api/v1/submissions/<job_id>/reruns",
        access=needs(Right.READ_RESULTS),
        body=RerunBody,
        responses={202: RerunView},
        errors=(400, 409),
    )
    async def ask(self, user: User, job_id: str) -> RerunView:
        """Run one test of a submission again, to see what the program prints.

        For administrators, the jury, and the setter of its problem. It counts nowhere: no verdict, board or statistic
        changes. A judge node runs it with a slot that submissions leave. An account may have 5 unfinished ones; one
        more is answered 429. The same test again, while it is unfinished, returns the same rerun.
        """
        submission = await self._rerunning.submission(user, job_id)
        body = await read_json(RerunBody, timeout_s=self._timeout_s)
        return _view(submission, await self._rerunning.ask(submission, body.test, user))

    @route(
        "GET",
        "/api/v1/submissions/<job_id>/reruns/<rerun_id>",
        access=needs(Right.READ_RESULTS),
        responses={200: RerunView},
    )
    async def show(self, user: User, job_id: str, rerun_id: str) -> RerunView:
        """Return a rerun of a test: input, answer, output and standard error, each from its beginning.

        For those who may ask for one. Kept as long as a custom run, the newest 20 of an account.
        """
        submission = await self._rerunning.submission(user, job_id)
        return _view(submission, await self._rerunning.rerun(submission, rerun_id))


def _view(submission: Submission, rerun: Rerun) -> RerunView:
    outcome, judged = rerun.outcome or RerunOutcome(), judged_test(submission, rerun.test)
    files = []
    for name, kept in outcome.files.items():
        text, base64 = shown(kept.beginning, is_cut=kept.is_cut)
        files.append(RerunFileView(name=name, text=text, base64=base64, size=kept.size, truncated=kept.is_cut))
    return RerunView(
        id=rerun.id,
        job_id=rerun.job_id,
        test=rerun.test,
        asked_by=rerun.asked_by,
        state="done" if rerun.outcome is not None else "running" if rerun.is_running else "waiting",
        failure=outcome.failure,
        status=outcome.status,
        judged=None
        if judged is None
        else JudgedTestView(status=judged["status"], time_ms=judged["cpu_ms"], memory_kb=judged["memory_kb"]),
        message=outcome.message,
        compile_output=outcome.compiled,
        time_ms=outcome.cpu_ms,
        wall_ms=outcome.wall_ms,
        memory_kb=outcome.memory_kb,
        exit_code=outcome.exit_code,
        exit_signal=outcome.exit_signal,
        time_limit_ms=outcome.time_limit_ms,
        memory_limit_kb=outcome.memory_limit_kb,
        problem_version=outcome.problem_version,
        interactive=outcome.is_interactive,
        files=files,
    )
