"""Leases as a node believes in them: never longer than the database does."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import trio
import trio.testing

from deepoj.nursery.leases import MARGIN, Lease, Leases
from deepoj.words.errors import LeaseLost
from deepoj.words.jobs import Held
from tests.unit.makers import a_claim, a_custom_claim


async def watch_until_lost(lease: Lease) -> float:
    with pytest.raises(LeaseLost):
        await lease.watch()
    return trio.current_time()


async def test_a_lease_is_believed_until_just_before_its_end(autojump_clock: object) -> None:
    lease = Leases(lease_s=10, slots=1).add(a_claim(), granted_at=trio.current_time())
    began = trio.current_time()
    assert await watch_until_lost(lease) - began == pytest.approx(10 * (1 - MARGIN))
    assert lease.lost


async def test_it_counts_from_before_the_claim_was_sent(autojump_clock: object) -> None:
    leases = Leases(lease_s=10, slots=1)
    granted_at = trio.current_time()
    await trio.sleep(4)  # the answer took its time
    lease = leases.add(a_claim(), granted_at)
    assert await watch_until_lost(lease) - granted_at == pytest.approx(9)


async def test_a_heartbeat_moves_the_end(autojump_clock: object) -> None:
    leases = Leases(lease_s=10, slots=1)
    began = trio.current_time()
    lease = leases.add(a_claim(), began)

    async def heartbeat() -> None:
        await trio.sleep(5)
        leases.extended([lease.held], lost=set(), sent_at=trio.current_time())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(heartbeat)
        ended = await watch_until_lost(lease)
    assert ended - began == pytest.approx(5 + 9)


async def test_a_heartbeat_counts_from_before_it_was_sent(autojump_clock: object) -> None:
    leases = Leases(lease_s=10, slots=1)
    began = trio.current_time()
    lease = leases.add(a_claim(), began)
    await trio.sleep(4)  # the answer took its time
    leases.extended([lease.held], lost=set(), sent_at=began + 1)
    assert lease.deadline - began == pytest.approx(1 + 9)


async def test_a_late_answer_does_not_shorten_a_lease(autojump_clock: object) -> None:
    leases = Leases(lease_s=10, slots=1)
    began = trio.current_time()
    lease = leases.add(a_claim(), began)
    leases.extended([lease.held], lost=set(), sent_at=began - 5)
    assert lease.deadline - began == pytest.approx(9)


async def test_a_lost_lease_wakes_only_its_own_watcher(autojump_clock: object) -> None:
    leases = Leases(lease_s=10, slots=2)
    began = trio.current_time()
    mine, other = leases.add(a_claim("a"), began), leases.add(a_claim("b"), began)

    async def lose() -> None:
        await trio.sleep(3)
        leases.extended(leases.held(), lost={mine.held}, sent_at=trio.current_time())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(lose)
        assert await watch_until_lost(mine) - began == pytest.approx(3)
    assert not other.lost


async def test_an_answer_for_a_finished_job_is_nothing(autojump_clock: object) -> None:
    leases = Leases(lease_s=10, slots=1)
    lease = leases.add(a_claim(), 0)
    leases.drop(lease)
    leases.extended([lease.held], lost={lease.held}, sent_at=1)
    assert leases.held() == []


async def waited_for(leases: Leases, free_one: Callable[[], None]) -> int:
    """Return what ``wait_free`` returns after ``free_one``, and not before."""
    seen: list[int] = []

    async def waiter() -> None:
        seen.append(await leases.wait_free())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(waiter)
        await trio.testing.wait_all_tasks_blocked()
        assert seen == []
        free_one()
    return seen[0]


async def test_slots_are_counted_and_waited_for(autojump_clock: object) -> None:
    leases = Leases(lease_s=10, slots=2)
    first, _second = leases.add(a_claim("a"), 0), leases.add(a_claim("b"), 0)
    assert leases.free == 0
    assert await waited_for(leases, partial(leases.drop, first)) == 1
    assert leases.held() == [Held("b", 1)]


async def test_judged_jobs_leave_their_slots_until_as_many_outcomes_are_unwritten(autojump_clock: object) -> None:
    leases = Leases(lease_s=10, slots=2)
    jobs = [leases.add(a_claim("a"), 0), leases.add(a_claim("b"), 0)]
    assert leases.free == 0
    assert await waited_for(leases, partial(leases.judged, jobs[0])) == 1
    leases.judged(jobs[1])
    assert (leases.free, len(leases.held())) == (2, 2), "their leases stay"
    leases.judged(leases.add(a_claim("e"), 0))
    assert leases.free == 1, "three of four"
    leases.add(a_claim("f"), 0)
    assert (leases.free, leases.free_for_contests) == (0, 0), "one runs, but three outcomes wait"
    leases.drop(jobs[0])
    assert leases.free == 1


async def test_a_judged_practice_job_leaves_its_slot_to_practice_where_slots_are_kept(autojump_clock: object) -> None:
    leases = Leases(lease_s=10, slots=2)
    leases.keep(1)
    practice = leases.add(a_claim("practice"), 0)
    assert (leases.free, leases.free_for_contests) == (0, 1)
    leases.judged(practice)
    assert (leases.free, leases.free_for_contests) == (1, 2)


async def test_kept_slots_are_for_contests_alone(autojump_clock: object) -> None:
    leases = Leases(lease_s=10, slots=3)
    leases.keep(2)
    practice = leases.add(a_claim("practice"), 0)
    assert (leases.free, leases.free_for_contests) == (0, 2)
    leases.add(a_claim("one"), 0, of_contest=True)
    leases.drop(practice)
    assert (leases.free, leases.free_for_contests) == (1, 2), "a job of a contest takes no room from practice"
    leases.add(a_claim("two"), 0, of_contest=True)
    leases.add(a_claim("three"), 0, of_contest=True)
    assert (leases.free, leases.free_for_contests) == (0, 0)
    leases.keep(9)
    leases.drop(leases.add(a_claim("three"), 0, of_contest=True))
    assert leases.free == 1, "all but one can be kept"


async def test_the_wait_for_kept_slots_ends_when_practice_has_all_others(autojump_clock: object) -> None:
    leases = Leases(lease_s=10, slots=2)
    seen: list[int] = []

    async def waiter() -> None:
        await leases.wait_only_for_contests()
        seen.append(leases.free_for_contests)

    async with trio.open_nursery() as nursery:
        nursery.cancel_scope.deadline = trio.current_time() + 5
        nursery.start_soon(waiter)
        leases.add(a_claim("practice"), 0)
        await trio.testing.wait_all_tasks_blocked()
        assert seen == [], "nothing is kept"
        leases.keep(1)
    assert seen == [1]


async def test_the_wait_for_kept_slots_ends_when_background_work_has_all_others(autojump_clock: object) -> None:
    leases = Leases(lease_s=10, slots=2)
    leases.keep(1)
    seen: list[int] = []

    async def waiter() -> None:
        await leases.wait_only_for_contests()
        seen.append(leases.free_for_contests)

    async with trio.open_nursery() as nursery:
        nursery.cancel_scope.deadline = trio.current_time() + 5
        nursery.start_soon(waiter)
        await trio.testing.wait_all_tasks_blocked()
        await leases.lend(patience_s=1)
    assert seen == [1]


async def test_a_second_custom_run_leaves_a_slot_for_a_submission(autojump_clock: object) -> None:
    leases = Leases(lease_s=10, slots=3)
    leases.add(a_custom_claim(), 0)
    submission = leases.add(a_claim(), 0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(leases.wait_free_for_run, 2)
        await trio.testing.wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 1
        leases.drop(submission)
