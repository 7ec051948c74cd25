"""Rejudging, for administrators, the jury, and setters."""

from __future__ import annotations

from deepoj.api.access import needs
from deepoj.api.catalog import maker_of
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.filters import query_scope, scope_fields
from deepoj.api.http.paths import job_id_of, query_flag, query_number
from deepoj.api.models.rejudges import RejudgedView, RejudgeOrderView, RejudgeProblemQuery, RejudgeQuery
from deepoj.api.publishing import Publishing
from deepoj.api.rejudging import order_rejudge
from deepoj.api.rights import Right, RightScope, reach, require
from deepoj.api.route import route
from deepoj.pipeline import rejudge as step
from deepoj.words.accounts import User
from deepoj.words.rejudges import Rejudged, RejudgeOrder, RejudgeRefusal

_MAX_JUDGING = 2**31 - 1

_REFUSALS = {
    RejudgeRefusal.UNKNOWN_JOB: ApiError.NO_SUCH_JOB,
    RejudgeRefusal.NOT_FINISHED: ApiError.NOT_FINISHED,
    RejudgeRefusal.DEAD: ApiError.IS_A_DEAD_LETTER,
    RejudgeRefusal.ERASED: ApiError.SOURCE_ERASED,
}


class RejudgeRoutes:
    """``/api/v1/submissions/{job_id}/rejudge``, ``/api/v1/problems/{id}/rejudge``."""

    def __init__(self, context: ApiContext) -> None:
        self._rejudges, self._submissions, self._problems = context.rejudges, context.submissions, context.problems
        self._publishing = Publishing(context)
        self._stream_key = context.settings.stream_key

    @route(
        "POST",
        "/api/v1/submissions/<job_id>/rejudge",
        access=needs(Right.REJUDGE),
        query=RejudgeQuery,
        responses={202: RejudgedView},
        errors=(409,),
    )
    async def submission(self, user: User, job_id: str) -> RejudgedView:
        """Rejudge a submission.

        For administrators, the jury, and the setter of its problem. Only tests whose data, checker or limits changed
        are run, unless ``full``. The previous verdict stays readable under ``judgings``.
        """
        judging, in_full = query_number("judging", None, _MAX_JUDGING), query_flag("full")
        if job_id_of(job_id) is None:
            raise Refused(ApiError.NO_SUCH_JOB)
        await self._require(user, job_id)
        rejudged = await step.rejudge(
            self._rejudges,
            job_id,
            judging=judging,
            by=user.username,
            in_full=in_full,
            stream_key=self._stream_key,
        )
        match rejudged:
            case Rejudged():
                return RejudgedView(job_id=rejudged.job_id, judging=rejudged.judging, repeated=rejudged.repeated)
            case RejudgeRefusal():
                raise Refused(_REFUSALS[rejudged])

    @route(
        "POST",
        "/api/v1/problems/<problem_id>/rejudge",
        access=needs(Right.REJUDGE),
        query=RejudgeProblemQuery,
        responses={202: RejudgeOrderView},
    )
    async def problem(self, user: User, problem_id: str) -> RejudgeOrderView:
        """Rejudge the submissions of a problem, all or those that the filters name.

        For administrators, the jury, and its setter. It runs in the background, with lower priority than contestants'
        submissions. A repeated request, while it is in progress and the problem is unchanged, returns its progress.
        With other filters than those of the one in progress it becomes a rejudge of all submissions.
        """
        in_full = query_flag("full")
        scope = query_scope()
        problem = await self._publishing.allowed(user, Right.REJUDGE, problem_id)
        return _view(await order_rejudge(self._rejudges, problem.id, user, in_full=in_full, scope=scope))

    @route(
        "GET", "/api/v1/problems/<problem_id>/rejudge", access=needs(Right.REJUDGE), responses={200: RejudgeOrderView}
    )
    async def progress(self, user: User, problem_id: str) -> RejudgeOrderView:
        """Return the progress of the latest rejudge of a problem.

        For those who may order one.
        """
        problem = await self._publishing.allowed(user, Right.REJUDGE, problem_id)
        latest = await self._rejudges.rejudge_order(problem.id)
        if latest is None:
            raise Refused(ApiError.NO_SUCH_REJUDGE)
        return _view(latest)

    async def _require(self, user: User, job_id: str) -> None:
        """Raise Refused unless the user may rejudge the submission."""
        if reach(user, Right.REJUDGE) is RightScope.ALL:
            return
        submission = await self._submissions.submission(job_id)
        if submission is None:
            raise Refused(ApiError.NO_SUCH_JOB)
        require(user, Right.REJUDGE, await maker_of(self._problems, user, Right.REJUDGE, submission.problem_id))


def _view(order: RejudgeOrder) -> RejudgeOrderView:
    return RejudgeOrderView(
        problem_id=order.problem_id,
        problem_version=order.problem_version,
        full=order.in_full,
        ordered_by=order.ordered_by,
        submissions=order.submissions,
        opened=order.opened,
        passed=order.passed,
        finished=order.finished,
        repeated=order.repeated,
        **scope_fields(order.scope),
    )
