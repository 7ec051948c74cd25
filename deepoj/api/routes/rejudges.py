"""Rejudging, for administrators."""

from __future__ import annotations

import re
from typing import Any

from quart import Blueprint
from quart_schema import document_querystring, document_response, security_scheme

from deepoj.api.auth import Auth
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.paths import flag, problem_id_of, whole
from deepoj.api.models.base import ErrorBody, reply
from deepoj.api.models.rejudges import RejudgedView, RejudgeOrderView, RejudgeProblemQuery, RejudgeQuery
from deepoj.pipeline import rejudge as step
from deepoj.words.rejudges import Rejudged, RejudgeOrder, RejudgeRefusal

_JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MAX_JUDGING = 2**31 - 1

_REFUSALS = {
    RejudgeRefusal.UNKNOWN_JOB: ApiError.NO_SUCH_JOB,
    RejudgeRefusal.NOT_FINISHED: ApiError.NOT_FINISHED,
    RejudgeRefusal.DEAD: ApiError.IS_A_DEAD_LETTER,
}


def blueprint(context: ApiContext, auth: Auth) -> Blueprint:
    """``/api/v1/submissions/{job_id}/rejudge``, ``/api/v1/problems/{id}/rejudge``."""
    routes = Blueprint("rejudges", __name__, url_prefix="/api/v1")
    settings = context.settings

    @routes.post("/submissions/<job_id>/rejudge")
    @security_scheme([{"bearer": []}])
    @document_querystring(RejudgeQuery)
    @document_response(RejudgedView, 202)
    @document_response(ErrorBody, 400)
    @document_response(ErrorBody, 401)
    @document_response(ErrorBody, 403)
    @document_response(ErrorBody, 404)
    @document_response(ErrorBody, 409)
    @document_response(ErrorBody, 503)
    async def submission(job_id: str) -> tuple[dict[str, Any], int]:
        """Rejudge a submission.

        For administrators. Only tests whose data, checker or limits changed are run, unless ``full``. The previous
        verdict stays readable under ``judgings``.
        """
        admin = await auth.admin()
        judging, in_full = whole("judging", None, _MAX_JUDGING), flag("full")
        if not _JOB_ID.fullmatch(job_id):
            raise Refused(ApiError.NO_SUCH_JOB)
        answer = await step.rejudge(
            context.rejudges,
            job_id,
            judging=judging,
            by=admin.username,
            in_full=in_full,
            stream_key=settings.stream_key,
        )
        match answer:
            case Rejudged():
                view = RejudgedView(job_id=answer.job_id, judging=answer.judging, repeated=answer.repeated)
                return reply(view), 202
            case RejudgeRefusal():
                raise Refused(_REFUSALS[answer])

    @routes.post("/problems/<problem_id>/rejudge")
    @security_scheme([{"bearer": []}])
    @document_querystring(RejudgeProblemQuery)
    @document_response(RejudgeOrderView, 202)
    @document_response(ErrorBody, 400)
    @document_response(ErrorBody, 401)
    @document_response(ErrorBody, 403)
    @document_response(ErrorBody, 404)
    @document_response(ErrorBody, 503)
    async def problem(problem_id: str) -> tuple[dict[str, Any], int]:
        """Rejudge all submissions of a problem.

        For administrators. It runs in the background, with lower priority than contestants' submissions. A repeated
        request, while it is in progress and the problem is unchanged, returns its progress.
        """
        admin = await auth.admin()
        in_full, number = flag("full"), problem_id_of(problem_id)
        given = (
            None if number is None else await step.order(context.rejudges, number, by=admin.username, in_full=in_full)
        )
        if given is None:
            raise Refused(ApiError.NO_SUCH_PROBLEM)
        return reply(_view(given)), 202

    @routes.get("/problems/<problem_id>/rejudge")
    @security_scheme([{"bearer": []}])
    @document_response(RejudgeOrderView)
    @document_response(ErrorBody, 401)
    @document_response(ErrorBody, 403)
    @document_response(ErrorBody, 404)
    @document_response(ErrorBody, 503)
    async def progress(problem_id: str) -> dict[str, Any]:
        """Return the progress of the latest rejudge of a problem.

        For administrators.
        """
        await auth.admin()
        number = problem_id_of(problem_id)
        if number is None or await context.problems.problem(number) is None:
            raise Refused(ApiError.NO_SUCH_PROBLEM)
        latest = await context.rejudges.rejudge_order(number)
        if latest is None:
            raise Refused(ApiError.NO_SUCH_REJUDGE)
        return reply(_view(latest))

    return routes


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
    )
