"""Rejudges of contests, for those who run them."""

from __future__ import annotations

from typing import Any

from deepoj.api.access import needs
from deepoj.api.body import read_json
from deepoj.api.contest_rejudging import ContestRejudgeResult, ContestRejudging
from deepoj.api.contesting import Contesting
from deepoj.api.context import ApiContext
from deepoj.api.filters import language_filter, verdict_filter
from deepoj.api.models.contest_rejudges import (
    AwardChangeView,
    BoardChangeView,
    BoardEffectView,
    BoardStandView,
    ContestRejudgeBody,
    ContestRejudgeItem,
    ContestRejudgeList,
    ContestRejudgeView,
    ContestVerdictChangeView,
)
from deepoj.api.models.previews import PreviewFailureView
from deepoj.api.rights import Right
from deepoj.api.route import route
from deepoj.contests.board import BoardRow
from deepoj.contests.preview import BoardEffect
from deepoj.words.accounts import User
from deepoj.words.contest_rejudges import ContestRejudge, ContestRejudgeScope
from deepoj.words.contests import Contest


class ContestRejudgeRoutes:
    """``/api/v1/contests/{key}/rejudges``."""

    def __init__(self, context: ApiContext) -> None:
        self._timeout_s = context.settings.read_timeout_s
        self._contesting = Contesting(context)
        self._rejudging = ContestRejudging(context)

    @route(
        "POST",
        "/api/v1/contests/<key>/rejudges",
        access=needs(Right.RUN_CONTESTS),
        body=ContestRejudgeBody,
        responses={202: ContestRejudgeView},
        errors=(409,),
    )
    async def start(self, user: User, key: str) -> ContestRejudgeView:
        """Judge submissions of a contest again without touching their verdicts.

        For administrators and the jury. It concerns the submissions with a verdict that match all fields, at most
        5,000. When all are judged, it shows what would change on the board; then it is applied or cancelled. The same
        request again returns the same rejudge while it is open; another one is refused. Refused of a finalized contest.
        """
        contest = await self._contesting.run(key, user)
        body = await read_json(ContestRejudgeBody, timeout_s=self._timeout_s)
        scope = ContestRejudgeScope(
            problem=body.problem,
            language=language_filter(body.language),
            team_id=body.team,
            from_ms=body.from_ms,
            until_ms=body.until_ms,
            verdict=verdict_filter(body.verdict),
            host=body.host,
        )
        rejudge = await self._rejudging.start(contest, user, scope, in_full=body.full)
        return await self._view(contest, str(rejudge.id))

    @route(
        "GET",
        "/api/v1/contests/<key>/rejudges",
        access=needs(Right.RUN_CONTESTS),
        responses={200: ContestRejudgeList},
    )
    async def rejudges(self, user: User, key: str) -> ContestRejudgeList:
        """List the newest 50 rejudges of a contest, newest first.

        For administrators and the jury.
        """
        contest = await self._contesting.run(key, user)
        listed = [ContestRejudgeItem(**_fields(one)) for one in await self._rejudging.past(contest)]
        return ContestRejudgeList(rejudges=listed, hosts=await self._rejudging.hosts(contest))

    @route(
        "GET",
        "/api/v1/contests/<key>/rejudges/<rejudge_id>",
        access=needs(Right.RUN_CONTESTS),
        responses={200: ContestRejudgeView},
    )
    async def show(self, user: User, key: str, rejudge_id: str) -> ContestRejudgeView:
        """Return a rejudge with its effect on the jury's board: verdicts, rows and awards that change.

        For administrators and the jury. It is kept for 30 days; one that waits 7 days for a decision is cancelled.
        """
        return await self._view(await self._contesting.run(key, user), rejudge_id)

    @route(
        "POST",
        "/api/v1/contests/<key>/rejudges/<rejudge_id>/apply",
        access=needs(Right.RUN_CONTESTS),
        responses={200: ContestRejudgeView},
        errors=(409,),
    )
    async def apply(self, user: User, key: str, rejudge_id: str) -> ContestRejudgeView:
        """Apply a rejudge: give all its submissions their new verdicts, at once.

        For administrators and the jury. A submission that was rejudged since it began is left out, and so is one that
        could not be judged. A repeated request changes nothing more. Refused of a finalized contest.
        """
        contest = await self._contesting.run(key, user)
        await self._rejudging.apply(contest, rejudge_id, user)
        return await self._view(contest, rejudge_id)

    @route(
        "POST",
        "/api/v1/contests/<key>/rejudges/<rejudge_id>/cancel",
        access=needs(Right.RUN_CONTESTS),
        responses={200: ContestRejudgeView},
        errors=(409,),
    )
    async def cancel(self, user: User, key: str, rejudge_id: str) -> ContestRejudgeView:
        """Cancel a rejudge that is running or ready: no verdict changes.

        For administrators and the jury.
        """
        contest = await self._contesting.run(key, user)
        await self._rejudging.cancel(contest, rejudge_id, user)
        return await self._view(contest, rejudge_id)

    async def _view(self, contest: Contest, rejudge_id: str) -> ContestRejudgeView:
        result: ContestRejudgeResult = await self._rejudging.result(contest, rejudge_id)
        return ContestRejudgeView(
            **_fields(result.rejudge),
            failures=[PreviewFailureView(why=one.why, count=one.count) for one in result.failures],
            effect=None if result.effect is None else _effect(result.effect),
        )


def _fields(rejudge: ContestRejudge) -> dict[str, Any]:
    """Return the fields of a ``ContestRejudgeItem``."""
    scope = rejudge.scope
    names = ("id", "ordered_by", "decided_by", "created_at", "decided_at", "submissions", "ended", "judged", "failed",
             "changed", "applied")  # fmt: skip
    return {
        **{name: getattr(rejudge, name) for name in names},
        **{name: getattr(scope, name) for name in ("problem", "language", "from_ms", "until_ms", "verdict", "host")},
        "team": scope.team_id,
        "state": rejudge.state.value,
        "full": rejudge.in_full,
    }


def _effect(effect: BoardEffect) -> BoardEffectView:
    return BoardEffectView(
        verdicts=[
            ContestVerdictChangeView(**{name: getattr(one, name) for name in ContestVerdictChangeView.model_fields})
            for one in effect.verdicts
        ],
        rows=[
            BoardChangeView(
                team_id=one.team_id, before=_stand(one.before), after=_stand(one.after), problems=list(one.cells)
            )
            for one in effect.rows
        ],
        awards=[
            AwardChangeView(id=one.award_id, before=list(one.before), after=list(one.after)) for one in effect.awards
        ],
    )


def _stand(row: BoardRow) -> BoardStandView:
    return BoardStandView(rank=row.rank, solved=row.solved, penalty=row.penalty, points=row.points)
