"""The clock of a contest in the store: what is done by hand, and what submissions, freeze and end make of it."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
import trio

from deepoj.contests.clock import moment_of
from deepoj.pipeline.audit import AuditFault, audit
from deepoj.words.contests import ClockAct, ClockChange, Contest, ContestRefusal, EventType
from deepoj.words.jobs import ClaimRefusal
from deepoj.words.results import Verdict
from deepoj.words.submissions import Draft, Receipt, SubmitRefusal
from tests.contract.labs import (
    LEASE_S,
    MAX_ATTEMPTS,
    PgLab,
    claim,
    deliver,
    entry,
    holding,
    report,
    send,
    submit,
    until_somebody_waits_for_a_lock,
)
from tests.contract.test_store_contests import HOUR_MS, RESULT, arranged, by, judged, ledger_of, rules


def ago(minutes: float) -> dt.datetime:
    at = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=minutes)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


async def act(real: PgLab, contest: Contest, act: ClockAct, **fields: Any) -> Contest | ContestRefusal:
    change = ClockChange(act=act, reason="the power failed", **fields)
    done = await real.pg_store.contests.change_clock(contest.id, change, by=by(contest))
    await real.pg_store.contests.advance()
    return done


async def differences(real: PgLab) -> list[str]:
    """Return where rows of contests differ from their ledgers."""
    outcome = await audit(real.store.audit)
    return [one.detail for one in outcome.found if one.fault is AuditFault.CONTEST_DIFFERS]


async def found(real: PgLab, contest: Contest) -> Contest:
    now = await real.pg_store.contests.contest(contest.key)
    assert now is not None
    return now


def another(mine: Draft, number: int) -> Draft:
    return replace(mine, code=f"int main(){{return {number};}}")


async def test_a_pause_stops_the_clock_and_submissions(real: PgLab) -> None:
    contest, mine = await arranged(real, rules(started_min=299))
    paused = await act(real, contest, ClockAct.PAUSE)
    assert isinstance(paused, Contest)
    assert paused.paused_at is not None
    assert moment_of(paused, 5 * HOUR_MS) is None
    assert await act(real, contest, ClockAct.PAUSE) is ContestRefusal.NOTHING_TO_DO
    assert await submit(real.store, mine) is SubmitRefusal.CONTEST_PAUSED
    assert await submit(real.store, replace(mine, contest_id=None)) is SubmitRefusal.CONTEST_PROBLEM


async def test_a_pause_keeps_the_end_away_until_it_is_over(real: PgLab) -> None:
    contest, mine = await arranged(real, rules(started_min=299.9))
    assert isinstance(await act(real, contest, ClockAct.PAUSE), Contest)
    # the pause has begun ten minutes ago
    real.sql(
        "UPDATE contest_intervals SET start_at = start_at - interval '10 min';"
        "UPDATE contests SET removed = (SELECT range_agg(tstzrange(start_at, end_at)) FROM contest_intervals)"
    )
    await real.pg_store.contests.advance()
    resumed = await act(real, contest, ClockAct.RESUME)
    assert isinstance(resumed, Contest)
    assert resumed.ended_at is None
    assert resumed.paused_at is None
    end, start = moment_of(resumed, 5 * HOUR_MS), resumed.rules.start_at
    assert end is not None
    assert start is not None
    assert dt.timedelta(minutes=310) <= end - start < dt.timedelta(minutes=311)
    assert isinstance(await submit(real.store, mine), Receipt)
    assert await act(real, contest, ClockAct.RESUME) is ContestRefusal.NOTHING_TO_DO


async def test_the_countdown_is_paused_and_goes_on(real: PgLab) -> None:
    contest, mine = await arranged(real, rules(started_min=-10))
    paused = await act(real, contest, ClockAct.PAUSE)
    assert isinstance(paused, Contest)
    assert paused.rules.start_at is None
    assert paused.countdown_pause_ms is not None
    assert 590_000 < paused.countdown_pause_ms <= 600_000
    assert (await ledger_of(real, contest)).contest["countdown_pause_ms"] == paused.countdown_pause_ms
    assert await submit(real.store, mine) is SubmitRefusal.CONTEST_NOT_RUNNING
    assert await act(real, contest, ClockAct.PAUSE) is ContestRefusal.NOTHING_TO_DO
    resumed = await act(real, contest, ClockAct.RESUME)
    assert isinstance(resumed, Contest)
    assert resumed.countdown_pause_ms is None
    assert resumed.rules.start_at is not None
    assert ago(-9) < resumed.rules.start_at < ago(-11)
    assert isinstance(await act(real, contest, ClockAct.PAUSE), Contest)
    assert isinstance(await act(real, contest, ClockAct.START), Contest)
    assert isinstance(await submit(real.store, mine), Receipt)
    assert await act(real, contest, ClockAct.MOVE, start_at=ago(-9)) is ContestRefusal.HAS_STARTED


async def test_an_interval_is_removed_and_restored(real: PgLab) -> None:
    contest, mine = await arranged(real, rules(started_min=60))
    await judged(real, mine, Verdict.ACCEPTED)
    before = (await ledger_of(real, contest)).jury_board.rows()
    assert before[0].penalty == 60
    assert (
        await act(real, contest, ClockAct.REMOVE, start_at=ago(61), end_at=ago(50)) is ContestRefusal.UNKNOWN_INTERVAL
    )
    assert await act(real, contest, ClockAct.REMOVE, start_at=ago(9), end_at=ago(-1)) is ContestRefusal.UNKNOWN_INTERVAL
    removed = await act(real, contest, ClockAct.REMOVE, start_at=ago(40), end_at=ago(30))
    assert isinstance(removed, Contest)
    ledger = await ledger_of(real, contest)
    assert ledger.jury_board.rows()[0].penalty == 50
    ((interval, data),) = ledger.of(EventType.INTERVALS).items()
    assert (data["reason"], data["by"], data["is_restored"]) == ("the power failed", by(contest), False)
    assert await act(real, contest, ClockAct.RESTORE, interval=99) is ContestRefusal.UNKNOWN_INTERVAL
    assert isinstance(await act(real, contest, ClockAct.RESTORE, interval=int(interval)), Contest)
    ledger = await ledger_of(real, contest)
    assert ledger.jury_board.rows() == before
    assert [one["act"] for one in ledger.of(EventType.CLOCK).values()] == ["remove", "restore"]
    assert await differences(real) == []


async def test_a_contest_that_is_over_runs_again_when_its_end_is_to_come(real: PgLab) -> None:
    contest, mine = await arranged(real, rules(started_min=301))
    assert await submit(real.store, mine) is SubmitRefusal.CONTEST_NOT_RUNNING
    again = await act(real, contest, ClockAct.REMOVE, start_at=ago(100), end_at=ago(90))
    assert isinstance(again, Contest)
    assert again.ended_at is None
    assert again.frozen_at is not None
    assert isinstance(await submit(real.store, mine), Receipt)
    assert (await ledger_of(real, contest)).state["ended_at"] is None
    interval = int(next(iter((await ledger_of(real, contest)).of(EventType.INTERVALS))))
    assert isinstance(await act(real, contest, ClockAct.RESTORE, interval=interval), Contest)
    over = await found(real, contest)
    assert over.ended_at is not None
    assert over.rules.start_at is not None
    assert over.ended_at - over.rules.start_at == dt.timedelta(hours=5)
    assert isinstance(await act(real, contest, ClockAct.THAW), Contest)
    assert (await found(real, contest)).thawed_at is not None
    refused = await act(real, contest, ClockAct.REMOVE, start_at=ago(100), end_at=ago(90))
    assert refused is ContestRefusal.HAS_HAPPENED, "its board has shown all verdicts"
    assert (await found(real, contest)).removed == (), "nothing of it stays"
    short = await act(real, contest, ClockAct.REMOVE, start_at=ago(100), end_at=ago(99.5))
    assert isinstance(short, Contest), "it stays over"
    assert short.ended_at == over.ended_at + dt.timedelta(seconds=30)


async def test_a_contest_that_runs_again_shows_no_mark_until_its_end(real: PgLab) -> None:
    contest, mine = await arranged(real, rules(started_min=301, freeze_ms=None))
    assert isinstance(await act(real, contest, ClockAct.REMOVE, start_at=ago(100), end_at=ago(90)), Contest)
    await judged(real, mine, Verdict.ACCEPTED)
    assert real.rows("SELECT user_id FROM solved") == []
    interval = int(next(iter((await ledger_of(real, contest)).of(EventType.INTERVALS))))
    assert isinstance(await act(real, contest, ClockAct.RESTORE, interval=interval), Contest)
    assert len(real.rows("SELECT user_id FROM solved")) == 1


async def test_a_thaw_right_after_the_end_keeps_the_freeze_of_the_rules(real: PgLab) -> None:
    contest, _ = await arranged(real, rules(started_min=299))
    real.sql("UPDATE contests SET start_at = start_at - interval '2 min', frozen_at = frozen_at - interval '2 min'")
    assert (await found(real, contest)).ended_at is None, "no node has noted the end yet"
    assert isinstance(await act(real, contest, ClockAct.THAW), Contest)
    thawed = await found(real, contest)
    assert thawed.thawed_at is not None
    assert thawed.rules.freeze_ms == HOUR_MS


async def test_the_board_is_frozen_and_thawed_by_hand(real: PgLab) -> None:
    contest, mine = await arranged(real, rules(started_min=60))
    await judged(real, mine, Verdict.ACCEPTED)
    assert await act(real, contest, ClockAct.THAW) is ContestRefusal.NOTHING_TO_DO
    frozen = await act(real, contest, ClockAct.FREEZE)
    assert isinstance(frozen, Contest)
    assert frozen.frozen_at is not None
    assert await act(real, contest, ClockAct.FREEZE) is ContestRefusal.NOTHING_TO_DO
    await judged(real, another(mine, 1), Verdict.WRONG_ANSWER)
    ledger = await ledger_of(real, contest)
    assert [ledger.is_withheld(one) for one in ledger.of(EventType.SUBMISSIONS)] == [False, True]
    longer = await act(real, contest, ClockAct.LENGTH, duration_ms=6 * HOUR_MS)
    assert isinstance(longer, Contest)
    stays_at = moment_of(longer, 6 * HOUR_MS - (longer.rules.freeze_ms or 0))
    assert stays_at is not None
    assert abs(stays_at - frozen.frozen_at) < dt.timedelta(milliseconds=2)
    assert await act(real, contest, ClockAct.LENGTH, duration_ms=HOUR_MS // 2) is ContestRefusal.HAS_HAPPENED
    assert isinstance(await act(real, contest, ClockAct.THAW), Contest)
    ledger = await ledger_of(real, contest)
    assert (ledger.state["frozen_at"], ledger.freeze_ms) == (None, None)
    assert await differences(real) == []


async def test_a_team_has_more_time_than_others(real: PgLab) -> None:
    contest, mine = await arranged(real, rules(started_min=301, freeze_ms=None), names=("alice", "bob"))
    assert await submit(real.store, mine) is SubmitRefusal.CONTEST_NOT_RUNNING
    assert await act(real, contest, ClockAct.EXTEND, team_id="t-x", extra_ms=1) is ContestRefusal.UNKNOWN_TEAM
    assert isinstance(await act(real, contest, ClockAct.EXTEND, team_id="t-alice", extra_ms=10 * 60_000), Contest)
    await judged(real, mine, Verdict.ACCEPTED)
    assert await differences(real) == []
    ledger = await ledger_of(real, contest)
    assert [(row.team_id, row.solved) for row in ledger.jury_board.rows()] == [("t-alice", 1), ("t-bob", 0)]
    last = ledger.last
    assert await real.pg_store.contests.finalize(contest.id, [], last, by=by(contest)) is ContestRefusal.NOT_OVER
    assert isinstance(await act(real, contest, ClockAct.EXTEND, team_id="t-alice"), Contest)
    assert await submit(real.store, another(mine, 1)) is SubmitRefusal.CONTEST_NOT_RUNNING
    ledger = await ledger_of(real, contest)
    assert ledger.jury_board.rows()[0].solved == 0
    assert isinstance(await real.pg_store.contests.finalize(contest.id, [], ledger.last, by=by(contest)), Contest)
    assert await act(real, contest, ClockAct.EXTEND, team_id="t-alice", extra_ms=1) is ContestRefusal.FINALIZED


async def test_judging_of_a_problem_is_paused_also_for_what_comes_back(real: PgLab) -> None:
    contest, mine = await arranged(real, rules())
    first, second = await send(real.store, mine), await send(real.store, another(mine, 1))
    assert len(await deliver(real)) == 2
    await claim(real, first, entry_id="1-1", lease_s=0.01)
    won = await claim(real, second, entry_id="2-1")
    waiting = await send(real.store, another(mine, 2))
    assert isinstance(await act(real, contest, ClockAct.HOLD, label="A"), Contest)
    assert await act(real, contest, ClockAct.HOLD, label="A") is ContestRefusal.NOTHING_TO_DO
    assert await act(real, contest, ClockAct.HOLD, label="Z") is ContestRefusal.UNKNOWN_PROBLEM
    later = await send(real.store, another(mine, 3))
    direct = await real.store.submissions.submit(
        another(mine, 4), inflight_cap=500, dedup_window_s=60, payload={}, stream_key="deepoj:jobs", direct=True
    )
    assert isinstance(direct, Receipt)
    assert direct.event is None, "it is not sent past the pause"
    assert await real.store.leases.finalize(won, report(), RESULT) is None, "what is with a worker is judged"
    assert await differences(real) == []
    # the worker of the first was killed: its job comes back, and waits with the others
    real.advance(3600)
    answers = await real.store.leases.claim([entry(first, "1-1")], "other", LEASE_S, MAX_ATTEMPTS)
    assert answers["1-1"] is ClaimRefusal.UNFIT, "nor does a worker take it from the stream"
    repaired = await real.store.strays.repair(set(), 1.0, 10, "deepoj:jobs")
    assert repaired == [first]
    assert await deliver(real) == []
    outbox = real.pg_store.outbox
    assert not (await outbox.outbox_waiting(10)).is_waiting, "the dispatcher need not look again"
    assert (await outbox.outbox_pending()).total == 0
    assert (await outbox.outbox_pending()).unfinished_age_ms is None, "no alert for what waits for the jury"
    place = await real.pg_store.contests.place_of(later)
    assert place is not None
    assert place.is_paused
    assert isinstance(await act(real, contest, ClockAct.RELEASE, label="A"), Contest)
    assert len(await deliver(real)) == 4
    for job_id in (first, waiting, later, direct.job_id):
        assert [one.status for one in real.outbox(job_id)][-1] == "delivered"
    assert (await ledger_of(real, contest)).of(EventType.PROBLEMS)["A"]["is_paused"] is False


async def test_a_removed_contest_lets_go_what_a_paused_problem_held(real: PgLab) -> None:
    contest, mine = await arranged(real, rules())
    assert isinstance(await act(real, contest, ClockAct.HOLD, label="A"), Contest)
    job_id = await send(real.store, mine)
    now = await found(real, contest)
    changed = await real.pg_store.contests.change_contest(now.id, replace(now.rules, name="Semifinals"), by=by(now))
    assert isinstance(changed, Contest)
    assert await deliver(real) == [], "a change of the rules lets go nothing"
    assert await real.pg_store.contests.remove_contest(contest.id, by=by(contest))
    assert len(await deliver(real)) == 1
    assert [one.status for one in real.outbox(job_id)] == ["delivered"]


async def test_an_event_that_comes_during_a_pause_in_the_making_is_held(real: PgLab) -> None:
    contest, mine = await arranged(real, rules())
    pause = f"UPDATE contest_problems SET is_paused = true WHERE contest_id = {contest.id}"
    async with holding(real, pause) as end, trio.open_nursery() as nursery:
        nursery.start_soon(send, real.store, mine)
        await until_somebody_waits_for_a_lock(real)
        end("commit")
    assert await deliver(real) == []


@pytest.mark.parametrize("minutes", [0, 10, 100, 239, 240, 299, 300])
async def test_sql_and_python_agree_on_moments(real: PgLab, minutes: int) -> None:
    contest, _ = await arranged(real, rules(started_min=600))
    for begin, end in ((610, 590), (580, 570), (575, 560), (360, 359), (30, None)):
        there = "NULL" if end is None else f"now() - interval '{end} min'"
        real.sql(
            "INSERT INTO contest_intervals (contest_id, start_at, end_at)"
            f" VALUES ({contest.id}, now() - interval '{begin} min', {there})"
        )
    real.sql("UPDATE contests SET removed = (SELECT range_agg(tstzrange(start_at, end_at)) FROM contest_intervals)")
    now = await found(real, contest)
    told = real.rows(f"SELECT contest_moment(c, {minutes * 60_000}) AS at FROM contests AS c")[0]["at"]
    ours = moment_of(now, minutes * 60_000)
    if told == "infinity":
        assert ours is None
    else:
        assert ours is not None
        assert abs(dt.datetime.fromisoformat(told) - ours) <= dt.timedelta(milliseconds=2)
