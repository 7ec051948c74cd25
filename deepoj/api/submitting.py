"""Taking in a submission, and reading one, as routes and pages do them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import trio
from quart import request

from deepoj.api.catalog import language_refused, maker_of
from deepoj.api.contest_errors import ContestError
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.exchange import began_at, request_id, trace_in
from deepoj.api.http.paths import job_id_of
from deepoj.api.redact import HiddenSteps, result_for, submission_for
from deepoj.api.rights import Right, may
from deepoj.observe import log
from deepoj.pipeline.submit import submit
from deepoj.ports.problems import Problems
from deepoj.words.accounts import User
from deepoj.words.jobs import State
from deepoj.words.submissions import Draft, Receipt, Submission, SubmissionItem, SubmitRefusal

QUEUING = "Queuing"
#: submissions before a waiting one are counted to this
MOST_BEFORE = 200
_JUDGING = "Judging"
_REFUSALS = {
    SubmitRefusal.PROBLEM_NOT_FOUND: ApiError.NO_SUCH_PROBLEM_TO_SUBMIT,
    SubmitRefusal.NOT_IN_CONTEST: ContestError.NOT_IN_CONTEST,
    SubmitRefusal.CONTEST_NOT_RUNNING: ContestError.CONTEST_NOT_RUNNING,
    SubmitRefusal.CONTEST_PAUSED: ContestError.CONTEST_PAUSED,
    SubmitRefusal.CONTEST_PROBLEM: ContestError.CONTEST_PROBLEM,
    SubmitRefusal.INFLIGHT_CAP_REACHED: ApiError.INFLIGHT_CAP,
    SubmitRefusal.USER_INFLIGHT_CAP_REACHED: ApiError.USER_INFLIGHT_CAP,
    SubmitRefusal.IDEMPOTENCY_KEY_REUSED: ApiError.KEY_REUSED,
}


async def take_in(context: ApiContext, draft: Draft) -> Receipt:
    """Store a submission. The caller has checked its author's rate (``RequestLimits.submit``).

    Raises:
      Refused: no live node has the language, the author does not see the problem, it takes other languages only, too
        much is unfinished, the key is another's.
    """
    settings = context.settings
    if not context.is_judged_now(draft.language):
        context.metrics.submission.labels(language=draft.language, status="language_unavailable").inc()
        raise Refused(ApiError.LANGUAGE_UNAVAILABLE, language=draft.language)
    context.metrics.stage_seconds.labels(stage="http").observe(trio.current_time() - began_at(request))
    job = await submit(
        context.submissions,
        draft,
        inflight_cap=settings.inflight_cap,
        user_inflight_cap=settings.user_inflight_cap,
        dedup_window_s=settings.inflight_ttl_s,
        stream_key=settings.stream_key,
        metrics=context.metrics,
        stream=context.stream,
        hand_over=context.hand_over,
        early_compiler=context.early_compiler,
    )
    if isinstance(job, SubmitRefusal):
        if job is SubmitRefusal.INFLIGHT_CAP_REACHED:
            context.metrics.submit_429.labels(reason="inflight_cap").inc()
        elif job is SubmitRefusal.USER_INFLIGHT_CAP_REACHED:
            context.metrics.submit_429.labels(reason="user_inflight_cap").inc()
        raise await refusal_of(context, draft, job)
    log(
        "submit",
        job_id=job.job_id,
        trace_id=draft.trace_id,
        span_id=trace.span_id if (trace := trace_in(request)) else "",
        request_id=request_id(request),
        user_id=draft.user_id,
        problem_id=draft.problem_id,
        language=draft.language,
        result="repeated" if job.repeated else "accepted",
    )
    return job


async def refusal_of(context: ApiContext, draft: Draft, refusal: SubmitRefusal) -> Refused:
    """Return the error for a draft that the store has refused."""
    settings = context.settings
    match refusal:
        case SubmitRefusal.LANGUAGE_NOT_ALLOWED:
            if draft.contest_id is None:
                problem = await context.problems.open_problem(draft.problem_id, draft.user_id)
            else:
                problem = await context.contests.taken_problem(draft.contest_id, draft.problem_id)
            if problem is not None and problem.languages:
                return language_refused(problem, draft.language)
            return Refused(ApiError.NO_SUCH_PROBLEM_TO_SUBMIT)  # it has changed since
        case SubmitRefusal.USER_BATCH_QUOTA_REACHED:
            return Refused(ApiError.USER_BATCH_QUOTA, limit=settings.user_batch_quota)
        case _:
            return Refused(_REFUSALS[refusal], limit=settings.user_inflight_cap)


def new_trace_id() -> str:
    """Return the id that follows a submission of the current request: of its trace, else of the request."""
    return trace.trace_id if (trace := trace_in(request)) else request_id(request)


def asked_job_id(job_id: str) -> str:
    """Return the id if it is well-formed; else the empty one, which no submission has."""
    return job_id_of(job_id) or ""


@dataclass(frozen=True, slots=True)
class Reading:
    """A submission that a user may read. ``is_whole``: with everything about hidden tests, not as its author."""

    submission: Submission
    is_whole: bool
    #: whether an account, whose rights may have changed, may still read it so
    is_allowed: Callable[[User], bool]
    #: whether a reader who is not the author is still in the team that sent it. Raises StoreUnavailable
    is_in_team: Callable[[], Awaitable[bool]]


async def readable(context: ApiContext, user: User, submission: Submission | None) -> Reading:
    """Return the submission for its author, for members of the team for which a contest took it, and for accounts that
    may read the results of its problem.

    Raises Refused for others, and if there is none.
    """
    if submission is None:
        raise Refused(ApiError.NO_SUCH_JOB)
    created_by = await maker_of(context.problems, user, Right.READ_RESULTS, submission.problem_id)

    def reads_whole(account: User) -> bool:
        return may(account, Right.READ_RESULTS, created_by)

    if reads_whole(user):
        return Reading(submission, is_whole=True, is_allowed=reads_whole, is_in_team=_always)
    shown = submission_for(submission, is_whole=False)
    if submission.user_id == user.id:
        return Reading(shown, is_whole=False, is_allowed=lambda _user: True, is_in_team=_always)
    place = await context.contests.place_of(submission.job_id)

    async def is_in_team() -> bool:
        return place is not None and await context.contests.team_of(place.contest_id, user.id) == place.team_id

    if not await is_in_team():
        raise Refused(ApiError.NOT_YOURS)
    return Reading(shown, is_whole=False, is_allowed=lambda _user: True, is_in_team=is_in_team)


async def _always() -> bool:
    return True


async def reads_all_of(problems: Problems, user: User, problem_id: int | None) -> bool:
    """Return whether the user may read the submissions of all people: to a problem, or to every one (None)."""
    created_by = None if problem_id is None else await maker_of(problems, user, Right.READ_RESULTS, problem_id)
    return may(user, Right.READ_RESULTS, created_by)


async def before_of(context: ApiContext, submission: Submission) -> int | None:
    """Return about how many submissions are before one that waits, ``MOST_BEFORE`` at most; else None."""
    if submission.state is not State.PENDING:
        return None
    return await context.submissions.count_before(submission.job_id, MOST_BEFORE)


def status_word(submission: Submission | SubmissionItem) -> str:
    """Return ``Queuing`` or ``Judging`` until the job is finished, then the verdict."""
    return status_word_of(submission.state, submission.status)


def status_word_of(state: State, status: str) -> str:
    """Return the same as ``status_word``, from the state and status of a row."""
    match state:
        case State.PENDING:
            return QUEUING
        case State.PROCESSING:
            return _JUDGING
        case State.DONE | State.DEAD:
            return status


def status_body(submission: Submission, *, is_whole: bool, steps: HiddenSteps) -> dict[str, Any]:
    """Return the body of ``/status`` without ``waiting``."""
    # as StatusView describes it; the model would copy the whole result
    return {
        "job_id": submission.job_id,
        "status": status_word(submission),
        "state": submission.state.value,
        "data": result_for(submission.result, is_whole=is_whole, steps=steps),
    }
