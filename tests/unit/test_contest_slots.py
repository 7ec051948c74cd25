"""Slots that are kept for contests: when, and how their jobs pass the entries of practice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import trio
import trio.testing

from deepoj.nursery.contests import KeepContestSlots, TakeContestJobs
from deepoj.nursery.gate import Gate
from deepoj.nursery.leases import Lease, Leases
from deepoj.nursery.scopes import StopDeadline
from deepoj.nursery.work import JobIntake
from deepoj.observe import Metrics
from deepoj.pipeline.claim import LeaseSettings
from deepoj.pipeline.outbox import Lanes, OutboxSettings, dispatch
from deepoj.words.contests import ContestStanding
from deepoj.words.jobs import Claim, State
from deepoj.words.outbox import Priority
from deepoj.words.stream import Entry
from tests.fakes.contests import NoContests
from tests.fakes.node import submitted
from tests.fakes.store import MemoryStore
from tests.fakes.stream import MemoryStream
from tests.unit.makers import a_claim


class Standing(NoContests):
    """As many contests run as ``running`` says."""

    running = 0

    async def standing(self) -> ContestStanding:
        return replace(await super().standing(), running=self.running)


@pytest.mark.parametrize("running", [0, 2])
async def test_slots_are_kept_while_a_contest_runs(running: int) -> None:
    contests, leases = Standing(), Leases(60.0, 4)
    contests.running = running
    await KeepContestSlots(contests=contests, leases=leases, count=3).once()
    assert leases.free == (1 if running else 4)


class CountedStore(MemoryStore):
    """Counts the claims."""

    claims = 0

    async def claim(self, *args: Any, **more: Any) -> Any:
        self.claims += 1
        return await super().claim(*args, **more)


async def _sent(store: MemoryStore, stream: MemoryStream, metrics: Metrics, lane: Priority) -> list[str]:
    """Submit two programs, whose entries are in the stream. Return their jobs."""
    jobs = [await submitted(store, metrics, f"// {lane} {number}") for number in range(2)]
    for event in store.outbox.values():
        if event.job_id in jobs:
            event.priority = lane
    await dispatch(store, stream, OutboxSettings(100, 0.5, 10.0), metrics, Lanes(), now_s=0.0)
    return jobs


async def _take_for_five_seconds(stream: MemoryStream, intake: JobIntake) -> None:
    with trio.move_on_after(5):
        await TakeContestJobs(stream=stream, job_intake=intake, stop_deadline=StopDeadline())(
            task_status=trio.TASK_STATUS_IGNORED
        )


async def test_jobs_of_contests_use_kept_slots_first() -> None:
    leases = Leases(60.0, 4)
    leases.keep(2)
    for number in range(2):
        leases.add(a_claim(f"contest {number}"), 0.0, of_contest=True)
    assert (leases.free, leases.free_for_contests) == (2, 2)
    leases.add(a_claim("practice"), 0.0)
    assert (leases.free, leases.free_for_contests) == (1, 1)


async def test_a_node_that_keeps_all_slots_leaves_one_to_practice() -> None:
    leases = Leases(60.0, 2)
    leases.keep(2)
    assert leases.free == 1


async def test_a_job_of_a_contest_that_the_consumer_reads_is_one(metrics: Metrics) -> None:
    store, stream, leases = MemoryStore(), MemoryStream(), Leases(60.0, 4)
    await _sent(store, stream, metrics, Priority.CONTEST)
    intake = JobIntake(store, stream, leases, LeaseSettings("node-a", 60.0, 5), metrics, gate=Gate(is_open=True))
    begun: list[Lease[Claim]] = []
    intake.open(begun.append)
    await intake.admit(await stream.read(9, 0))
    assert [lease.of_contest for lease in begun] == [True, True]


async def test_an_entry_whose_job_another_node_has_is_tried_once(metrics: Metrics, autojump_clock: object) -> None:
    store, stream, leases = CountedStore(), MemoryStream(), Leases(60.0, 2)
    await _sent(store, stream, metrics, Priority.CONTEST)
    await store.claim(await stream.beside("looker").unread(Priority.CONTEST, 9), "node-b", 60.0, 5)
    intake = JobIntake(store, stream, leases, LeaseSettings("node-a", 60.0, 5), metrics, gate=Gate(is_open=True))
    intake.open(lambda _lease: None)
    leases.add(a_claim("practice"), trio.current_time())
    leases.keep(1)
    await _take_for_five_seconds(stream, intake)
    assert store.claims == 3, "that of the other node, and one of each entry"


async def test_a_kept_slot_takes_the_contest_job_behind_practice(metrics: Metrics, autojump_clock: object) -> None:
    store, stream, leases = MemoryStore(), MemoryStream(), Leases(60.0, 2)
    jobs = await _sent(store, stream, metrics, Priority.INTERACTIVE) + await _sent(
        store, stream, metrics, Priority.CONTEST
    )
    order = [entry.job_id for entry in await stream.beside("looker").unread(Priority.CONTEST, 9)]
    assert sorted(order) == sorted(jobs[2:])
    intake = JobIntake(store, stream, leases, LeaseSettings("node-a", 60.0, 5), metrics, gate=Gate(is_open=True))
    begins, begun = trio.open_memory_channel[Lease[Claim]](9)
    intake.open(begins.send_nowait)
    busy = leases.add(a_claim("practice"), trio.current_time())
    leases.keep(1)
    take = TakeContestJobs(stream=stream, job_intake=intake, stop_deadline=StopDeadline())
    async with trio.open_nursery() as nursery:
        await nursery.start(take)
        with trio.fail_after(5):
            first = await begun.receive()
        with pytest.raises(trio.TooSlowError), trio.fail_after(1):
            await begun.receive()  # one slot is kept
        intake.done(first)
        with trio.fail_after(5):
            started = [first, await begun.receive()]
        leases.drop(busy)
        nursery.cancel_scope.cancel()
    assert [lease.claim.job_id for lease in started] == order
    assert all(lease.of_contest for lease in started)
    left = [entry.job_id for entry in await stream.read(9, 0) if isinstance(entry, Entry)]
    assert sorted(left) == sorted(jobs[:2]), "practice was left unread"
    assert {store.rows[job_id].state for job_id in jobs[:2]} == {State.PENDING}


@pytest.mark.parametrize("is_shut", [False, True])
async def test_what_happened_during_the_look_counts(metrics: Metrics, autojump_clock: object, is_shut: bool) -> None:
    """The consumer may take a slot meanwhile, or the canaries shut the gate."""
    store, leases, gate = CountedStore(), Leases(60.0, 3), Gate(is_open=True)

    class Slow(MemoryStream):
        async def unread(self, priority: int, limit: int) -> list[Entry]:
            found = await super().unread(priority, limit)
            if is_shut:
                gate.shut()
            elif leases.free_for_contests > 1:
                leases.add(a_claim("read meanwhile"), trio.current_time(), of_contest=True)
            return found

    stream = Slow()
    await _sent(store, stream, metrics, Priority.CONTEST)
    intake = JobIntake(store, stream, leases, LeaseSettings("node-a", 60.0, 5), metrics, gate=gate)
    intake.open(lambda _lease: None)
    leases.add(a_claim("practice"), trio.current_time())
    leases.keep(2)
    await _take_for_five_seconds(stream, intake)
    assert len(leases.held()) == (1 if is_shut else 3)
