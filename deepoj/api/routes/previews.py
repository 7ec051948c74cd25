"""Previews of rejudges, for those who may rejudge."""

from __future__ import annotations

from deepoj.api.access import needs
from deepoj.api.context import ApiContext
from deepoj.api.filters import query_scope, scope_fields
from deepoj.api.http.paths import query_flag
from deepoj.api.models.previews import (
    PastRejudgesView,
    PastRejudgeView,
    PreviewChangeView,
    PreviewFailureView,
    PreviewVerdictsView,
    PreviewView,
)
from deepoj.api.models.rejudges import RejudgeProblemQuery
from deepoj.api.previewing import Previewing, PreviewResult
from deepoj.api.publishing import Publishing
from deepoj.api.rights import Right
from deepoj.api.route import route
from deepoj.words.accounts import User
from deepoj.words.previews import PastRejudge
from deepoj.words.problems import Problem


class PreviewRoutes:
    """``/api/v1/problems/{id}/rejudge-previews``, ``/api/v1/problems/{id}/rejudges``."""

    def __init__(self, context: ApiContext) -> None:
        self._publishing, self._previewing = Publishing(context), Previewing(context)

    @route(
        "POST",
        "/api/v1/problems/<problem_id>/rejudge-previews",
        access=needs(Right.REJUDGE),
        query=RejudgeProblemQuery,
        responses={202: PreviewView},
        errors=(400, 409),
    )
    async def start(self, user: User, problem_id: str) -> PreviewView:
        """Preview a rejudge: judge a problem's submissions again without touching their verdicts.

        For administrators, the jury, and its setter. All submissions with a verdict, or those that the filters name, at
        most 5,000. It runs in the background, behind all submissions. The same request again returns the same preview
        while it is open. One that is ready is cancelled for a new one; while another one is running, this is refused.
        The number of running previews of one setter's problems is limited: one more is answered 429.
        """
        in_full, scope = query_flag("full"), query_scope()
        problem = await self._allowed(user, problem_id)
        preview = await self._previewing.start(problem, user, in_full=in_full, scope=scope)
        return await self._view(problem, str(preview.id))

    @route(
        "GET",
        "/api/v1/problems/<problem_id>/rejudge-previews/<preview_id>",
        access=needs(Right.REJUDGE),
        responses={200: PreviewView},
    )
    async def show(self, user: User, problem_id: str, preview_id: str) -> PreviewView:
        """A preview of a rejudge, with old and new verdicts.

        For those who may start one. Previews are kept for 30 days; one that waits 7 days for a decision
        is cancelled.
        """
        return await self._view(await self._allowed(user, problem_id), preview_id)

    @route(
        "POST",
        "/api/v1/problems/<problem_id>/rejudge-previews/<preview_id>/apply",
        access=needs(Right.REJUDGE),
        responses={200: PreviewView},
        errors=(409,),
    )
    async def apply(self, user: User, problem_id: str, preview_id: str) -> PreviewView:
        """Apply a preview: give all its submissions their new verdicts, at once.

        For those who may start one. A submission that was rejudged since the preview began is left out, and so is one
        that could not be judged. The previous verdicts stay readable under ``judgings``. A repeated request changes
        nothing more.
        """
        problem = await self._allowed(user, problem_id)
        await self._previewing.apply(problem, preview_id, user)
        return await self._view(problem, preview_id)

    @route(
        "POST",
        "/api/v1/problems/<problem_id>/rejudge-previews/<preview_id>/cancel",
        access=needs(Right.REJUDGE),
        responses={200: PreviewView},
        errors=(409,),
    )
    async def cancel(self, user: User, problem_id: str, preview_id: str) -> PreviewView:
        """Cancel a preview that is running or ready: no verdict changes, and what is not judged yet is given up.

        For those who may start one.
        """
        problem = await self._allowed(user, problem_id)
        await self._previewing.cancel(problem, preview_id, user)
        return await self._view(problem, preview_id)

    @route(
        "GET",
        "/api/v1/problems/<problem_id>/rejudges",
        access=needs(Right.REJUDGE),
        responses={200: PastRejudgesView},
    )
    async def past(self, user: User, problem_id: str) -> PastRejudgesView:
        """The newest 50 rejudges of a problem and previews of them, newest first.

        For those who may order one.
        """
        past = await self._previewing.past(await self._allowed(user, problem_id))
        return PastRejudgesView(rejudges=[_past(one) for one in past])

    async def _allowed(self, user: User, problem_id: str) -> Problem:
        return await self._publishing.allowed(user, Right.REJUDGE, problem_id)

    async def _view(self, problem: Problem, preview_id: str) -> PreviewView:
        return _view(await self._previewing.result(problem, preview_id))


def _view(result: PreviewResult) -> PreviewView:
    preview = result.preview
    return PreviewView(
        id=preview.id,
        problem_id=preview.problem_id,
        problem_version=preview.problem_version,
        is_current=result.is_current,
        state=preview.state,
        full=preview.in_full,
        ordered_by=preview.ordered_by,
        decided_by=preview.decided_by,
        created_at=preview.created_at,
        judged_at=preview.judged_at,
        decided_at=preview.decided_at,
        submissions=preview.submissions,
        ended=preview.ended,
        judged=preview.judged,
        failed=preview.failed,
        changed=preview.changed,
        applied=preview.applied,
        left_out=preview.left_out,
        **scope_fields(preview.scope),
        verdicts=[
            PreviewVerdictsView(
                before=one.before, after=one.after, count=one.count, score_changes=one.score_changes
            )
            for one in result.verdicts
        ],
        failures=[PreviewFailureView(why=one.why, count=one.count) for one in result.failures],
        changes=[
            PreviewChangeView(
                job_id=one.job_id, username=one.username, before=one.before, after=one.after,
                score_before=one.score_before, score_after=one.score_after, applied=one.is_applied,
            )
            for one in result.changes
        ],
    )  # fmt: skip


def _past(one: PastRejudge) -> PastRejudgeView:
    return PastRejudgeView(
        preview_id=one.preview_id,
        ordered_by=one.by,
        ordered_at=one.at,
        state=one.state,
        problem_version=one.problem_version,
        full=one.in_full,
        submissions=one.submissions,
        rejudged=one.rejudged,
        **scope_fields(one.scope),
    )
