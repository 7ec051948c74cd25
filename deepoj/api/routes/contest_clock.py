"""The clock of a contest: shown, and changed by hand."""

from __future__ import annotations

from deepoj.api.access import needs
from deepoj.api.body import read_json
from deepoj.api.contest_clock import ContestClocks, clock_view
from deepoj.api.contesting import Contesting
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.paths import time_of
from deepoj.api.models.contest_clock import ClockBody, ClockView
from deepoj.api.rights import Right
from deepoj.api.route import route
from deepoj.words.accounts import User
from deepoj.words.contests import ClockAct, ClockChange


class ContestClockRoutes:
    """``/api/v1/contests/<key>/clock``."""

    def __init__(self, context: ApiContext) -> None:
        self._timeout_s, self._clocks = context.settings.read_timeout_s, ContestClocks(context)
        self._contesting = Contesting(context)

    @route("GET", "/api/v1/contests/<key>/clock", access=needs(Right.RUN_CONTESTS), responses={200: ClockView})
    async def clock(self, user: User, key: str) -> ClockView:
        """Return the clock of a contest: what is no time of it, who has more of it, and what was done to it.

        For administrators and the jury.
        """
        return await self._view(key, user)

    @route(
        "POST",
        "/api/v1/contests/<key>/clock",
        access=needs(Right.RUN_CONTESTS),
        body=ClockBody,
        responses={200: ClockView},
        errors=(403, 409),
    )
    async def change(self, user: User, key: str) -> ClockView:
        """Change the clock of a contest, or what it counts of time.

        The start, moves, pauses, freeze, thaw, length, removed intervals, extensions, penalty time, and whether a
        problem is judged. For administrators and the jury. Each act is an event of the contest, with its reason. An
        interval that is removed moves the end: a contest that is over may run again.
        """
        contest = await self._contesting.run(key, user)
        body = await read_json(ClockBody, timeout_s=self._timeout_s)
        if body.act is ClockAct.PENALTY and body.penalty_minutes is None:
            raise Refused(ApiError.INVALID, field="penalty_minutes", problem="it is missing; 0 takes them back")
        change = ClockChange(
            act=body.act,
            reason=body.reason,
            start_at=None if body.start_at is None else time_of("start_at", body.start_at),
            end_at=None if body.end_at is None else time_of("end_at", body.end_at),
            duration_ms=body.duration_ms or 0,
            interval=body.interval or 0,
            team_id=body.team or "",
            extra_ms=body.extra_ms or 0,
            penalty_min=body.penalty_minutes or 0,
            label=body.problem or "",
        )
        await self._clocks.change(contest, change, user)
        return await self._view(key, user)

    async def _view(self, key: str, user: User) -> ClockView:
        contest = await self._contesting.run(key, user)
        return clock_view(contest, await self._contesting.ledger(contest))
