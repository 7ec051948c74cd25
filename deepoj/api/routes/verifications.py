"""Verifying a problem's package, for those who may rejudge its submissions."""

from __future__ import annotations

from deepoj.api.access import needs
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.models.verifications import VerificationView, VerifiedExampleView, WorstTimeView
from deepoj.api.publishing import Publishing
from deepoj.api.rights import Right
from deepoj.api.route import route
from deepoj.api.verifying import VerificationResult, Verifying
from deepoj.judging.verifications import VerifiedExample
from deepoj.words.accounts import User
from deepoj.words.problems import Problem


class VerificationRoutes:
    """``/api/v1/problems/{id}/verification``."""

    def __init__(self, context: ApiContext) -> None:
        self._publishing, self._verifying = Publishing(context), Verifying(context)

    @route(
        "POST",
        "/api/v1/problems/<problem_id>/verification",
        access=needs(Right.REJUDGE),
        responses={202: VerificationView},
        errors=(400,),
    )
    async def start(self, user: User, problem_id: str) -> VerificationView:
        """Judge the submissions of a problem's package, and compare with the verdicts that the package promises.

        For administrators, the jury, and the problem's setter. The judge nodes do it below what users wait for. If a
        verification of this version is running, that one goes on.
        """
        problem = await self._publishing.allowed(user, Right.REJUDGE, problem_id)
        await self._verifying.start(problem, user)
        return await self._view(await self._publishing.problem(problem_id))

    @route(
        "GET",
        "/api/v1/problems/<problem_id>/verification",
        access=needs(Right.REJUDGE),
        responses={200: VerificationView},
    )
    async def show(self, user: User, problem_id: str) -> VerificationView:
        """The running verification of a problem, else the last one that was completed.

        For those who may start one.
        """
        return await self._view(await self._publishing.allowed(user, Right.REJUDGE, problem_id))

    @route(
        "DELETE",
        "/api/v1/problems/<problem_id>/verification",
        access=needs(Right.REJUDGE),
        responses={200: VerificationView},
    )
    async def cancel(self, user: User, problem_id: str) -> VerificationView:
        """Cancel the running verification of a problem.

        For those who may start one.
        """
        problem = await self._publishing.allowed(user, Right.REJUDGE, problem_id)
        await self._verifying.cancel(problem)
        return await self._view(problem)

    async def _view(self, problem: Problem) -> VerificationView:
        result = await self._verifying.result(problem)
        if result is None:
            raise Refused(ApiError.NOT_VERIFIED)
        return _view(result)


def _view(result: VerificationResult) -> VerificationView:
    verification, slowest = result.verification, result.slowest
    return VerificationView(
        problem_id=verification.problem_id,
        problem_version=verification.problem_version,
        is_current=result.is_current,
        state=verification.state,
        created_at=verification.created_at,
        finished_at=verification.finished_at,
        total=verification.total,
        ended=verification.ended,
        checked=verification.matched + verification.differing,
        matched=verification.matched,
        skipped=verification.skipped,
        unpromised=verification.unpromised,
        left_out=verification.left_out,
        time_limit_ms=verification.time_limit_ms,
        slowest_accepted_ms=None if slowest is None else slowest.time_ms,
        is_tight=result.is_tight,
        suggested_limit_ms=result.suggested_limit_ms,
        cases=[_case(one) for one in result.examples],
        slowest_tests=[
            WorstTimeView(test=one.test, time_ms=one.time_ms, submission=one.submission) for one in result.worst_times
        ],
    )


def _case(one: VerifiedExample) -> VerifiedExampleView:
    return VerifiedExampleView(
        submission=one.example.name,
        language=one.language or None,
        state=one.state,
        expected=list(one.example.expected),
        expected_scores=[list(bounds) for bounds in one.example.expected_scores],
        promised_by=one.example.promised_by,
        got=one.status,
        score=one.score,
        status=None if one.kept is None else one.kept.value,
        why=one.why,
        slowest_test=one.slowest_test or None,
        time_ms=one.time_ms,
        memory_kb=one.memory_kb,
    )
