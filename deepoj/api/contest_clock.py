"""Acts on the clock of a contest, and what it shows, for routes and pages.

What if we die here? An act is one transaction. What is due after it (a freeze, an end) happens within a second by the
loop of some node (``nursery/contests.py``), if not at once.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter

from deepoj import observe
from deepoj.api.contesting import MAX_DURATION_MS, REFUSALS, checked_line, checked_moment
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.models.contest_clock import ClockActView, ClockView, ExtensionView, HeldView, IntervalView, PenaltyView
from deepoj.contests.clock import ContestClock, iso_time, merged, moment_of, parse_time
from deepoj.contests.ledger import ContestLedger
from deepoj.words.accounts import User
from deepoj.words.contests import ClockAct, ClockChange, Contest, ContestKind, ContestRefusal, EventType

#: acts that change what teams could rely on: they are explained
NEEDS_REASON = frozenset({ClockAct.LENGTH, ClockAct.REMOVE, ClockAct.RESTORE, ClockAct.EXTEND, ClockAct.PENALTY})
_SHOWN_ACTS = 100
_MAX_PENALTY_MIN = 10_000


class ContestClocks:
    """Changes the clocks of contests. Raises Refused or StoreUnavailable."""

    def __init__(self, context: ApiContext) -> None:
        self._contests = context.contests

    async def change(self, contest: Contest, change: ClockChange, user: User) -> Contest:
        """Do an act, and let happen what is due then."""
        if change.act is ClockAct.PENALTY and contest.kind is not ContestKind.ICPC:
            raise Refused(ApiError.INVALID, field="act", problem="in this contest points count, and no penalty time")
        done = await self._contests.change_clock(contest.id, checked_change(change), by=user.id)
        if isinstance(done, ContestRefusal):
            raise Refused(REFUSALS[done])
        observe.log("contest_changed", reason=f"clock: {change.act.value}", contest_id=contest.id, by_user_id=user.id)
        await self._contests.advance()
        return done


def checked_change(change: ClockChange) -> ClockChange:
    """Return an act that has what it needs. Raises Refused."""
    if not checked_line("reason", change.reason) and change.act in NEEDS_REASON:
        raise Refused(ApiError.INVALID, field="reason", problem="say why: it is kept on record")
    needed = {
        ClockAct.MOVE: ("start_at",),
        ClockAct.REMOVE: ("start_at", "end_at"),
    }.get(change.act, ())
    for field in needed:
        if checked_moment(field, getattr(change, field)) is None:
            raise Refused(ApiError.INVALID, field=field, problem="a time")
    if change.act is ClockAct.LENGTH and not 0 < change.duration_ms <= MAX_DURATION_MS:
        raise Refused(ApiError.INVALID, field="duration_ms", problem=f"1 to {MAX_DURATION_MS}")
    if change.act is ClockAct.EXTEND and not 0 <= change.extra_ms <= MAX_DURATION_MS:
        raise Refused(ApiError.INVALID, field="extra_ms", problem=f"0 to {MAX_DURATION_MS}")
    if change.act is ClockAct.PENALTY and abs(change.penalty_min) > _MAX_PENALTY_MIN:
        raise Refused(ApiError.INVALID, field="penalty_minutes", problem=f"-{_MAX_PENALTY_MIN} to {_MAX_PENALTY_MIN}")
    if change.act is ClockAct.RESTORE and not 0 < change.interval < 2**63:
        raise Refused(ApiError.INVALID, field="interval", problem="the number of an interval")
    return change


def clock_view(contest: Contest, ledger: ContestLedger) -> ClockView:
    """Return what the clock of a contest shows now."""
    rules = contest.rules
    now_ms = round(dt.datetime.now(dt.UTC).timestamp() * 1000)
    acts = list(ledger.of(EventType.CLOCK).values())
    return ClockView(
        key=contest.key,
        start_at=iso_time(rules.start_at),
        countdown_pause_ms=contest.countdown_pause_ms,
        paused_at=iso_time(contest.paused_at),
        time_ms=None if ledger.clock is None else ledger.clock.time_ms(now_ms),
        freezes_at=None if rules.freeze_at_ms is None else iso_time(moment_of(contest, rules.freeze_at_ms)),
        ends_at=iso_time(moment_of(contest, rules.duration_ms)),
        intervals=[
            IntervalView(
                id=int(interval), start_at=one["start_at"], end_at=one["end_at"], is_restored=one["is_restored"],
                reason=one["reason"],
            )
            for interval, one in ledger.of(EventType.INTERVALS).items()
        ],
        extensions=[
            ExtensionView(
                team_id=team_id, extra_ms=one["extra_ms"], reason=one["reason"],
                ends_at=iso_time(moment_of(contest, rules.duration_ms + one["extra_ms"])),
            )
            for team_id, one in ledger.of(EventType.EXTENSIONS).items()
        ],
        penalties=[
            PenaltyView(team_id=team_id, minutes=one["minutes"], reason=one["reason"])
            for team_id, one in ledger.of(EventType.PENALTIES).items()
        ],
        judging=held_problems(ledger),
        acts=[
            ClockActView(at=one["at"], act=one["act"], reason=one.get("reason", ""), by=one["by"])
            for one in reversed(acts[-_SHOWN_ACTS:])
        ],
    )  # fmt: skip


def end_after(contest: Contest, ledger: ContestLedger, change: ClockChange) -> dt.datetime | None:
    """Return when the contest ends after an act that moves its end; None: the act does not, or it is not known."""
    if ledger.clock is None or change.act not in {ClockAct.LENGTH, ClockAct.REMOVE, ClockAct.RESTORE}:
        return None
    gaps = [
        (one["start_at"], one["end_at"])
        for interval, one in ledger.of(EventType.INTERVALS).items()
        if not one["is_restored"] and (change.act is not ClockAct.RESTORE or interval != str(change.interval))
    ]
    removed = [(parse_time(start), None if end is None else parse_time(end)) for start, end in gaps]
    if change.start_at is not None and change.end_at is not None:
        removed.append((parse_time(change.start_at.isoformat()), parse_time(change.end_at.isoformat())))
    clock = ContestClock(ledger.clock.start_ms, merged(removed))
    end_ms = clock.moment_ms(change.duration_ms or contest.rules.duration_ms)
    return None if end_ms is None else dt.datetime.fromtimestamp(end_ms / 1000, dt.UTC)


def sent_between(ledger: ContestLedger, change: ClockChange) -> int | None:
    """Return how many submissions lie in the interval that an act removes; None: it removes none."""
    if change.act is not ClockAct.REMOVE or change.start_at is None or change.end_at is None:
        return None
    times = (dt.datetime.fromisoformat(one["at"]) for one in ledger.of(EventType.SUBMISSIONS).values())
    return sum(change.start_at <= at <= change.end_at for at in times)


def held_problems(ledger: ContestLedger) -> list[HeldView]:
    """Return for each problem whether judging is paused, and how many submissions wait."""
    waiting = Counter(
        one["problem_id"]
        for submission_id, one in ledger.of(EventType.SUBMISSIONS).items()
        if ledger.judgement_of(submission_id) is None
    )
    problems = ledger.of(EventType.PROBLEMS)
    return [
        HeldView(problem=label, is_paused=bool(problems[label].get("is_paused")), waiting=waiting[label])
        for label in ledger.jury_board.problems
    ]
