"""Running one test of a submission again, to show what the program prints: as routes and pages do it.

For those who see hidden tests of the submission's problem. Nothing of a rerun counts, and a contest's freeze hides
nothing from those who may ask for one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deepoj import observe
from deepoj.api.body import text
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.paths import user_id_of
from deepoj.api.rights import Right, refusal_for
from deepoj.api.submitting import asked_job_id, readable
from deepoj.words.accounts import User
from deepoj.words.reruns import MAX_TEST_CHARS, MAX_UNFINISHED, Rerun, RerunRefusal
from deepoj.words.submissions import Submission


class Rerunning:
    """Takes and reads reruns. All methods raise Refused or StoreUnavailable."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    async def submission(self, user: User, job_id: str) -> Submission:
        """Return the submission for an account that sees its hidden tests."""
        found = await self._context.submissions.submission(asked_job_id(job_id))
        reading = await readable(self._context, user, found)
        if not reading.is_whole:
            raise Refused(refusal_for(Right.READ_RESULTS))
        return reading.submission

    async def ask(self, submission: Submission, test: str, user: User) -> Rerun:
        """Run the test of this name again."""
        if not 0 < len(text("test", test)) <= MAX_TEST_CHARS:
            raise Refused(ApiError.INVALID, field="test", problem=f"1 to {MAX_TEST_CHARS} characters")
        if not self._context.is_judged_now(submission.language):
            raise Refused(ApiError.LANGUAGE_UNAVAILABLE, language=submission.language)
        taken = await self._context.reruns.take_rerun(submission.job_id, test, by=user.id)
        if taken is RerunRefusal.TOO_MANY:
            raise Refused(ApiError.TOO_MANY_RERUNS, limit=MAX_UNFINISHED)
        if isinstance(taken, RerunRefusal):
            raise Refused(ApiError.SOURCE_ERASED)
        observe.log("rerun_taken", job_id=submission.job_id, user_id=user.id)
        return await self.rerun(submission, str(taken))

    async def rerun(self, submission: Submission, rerun_id: str) -> Rerun:
        """Return a rerun of a submission."""
        number = user_id_of(rerun_id)
        found = None if number is None else await self._context.reruns.rerun(number, self._context.settings.runs.keep_s)
        if found is None or found.job_id != submission.job_id:
            raise Refused(ApiError.NO_SUCH_RERUN)
        return found


def judged_test(submission: Submission, test: str) -> Mapping[str, Any] | None:
    """Return what the judging that counts says of a test; None: it was not run, or there is no verdict."""
    tests: list[Mapping[str, Any]] = (submission.result or {}).get("tests") or []
    return next((one for one in tests if one.get("name") == test), None)
