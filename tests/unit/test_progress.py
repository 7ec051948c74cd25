"""Live results on their way to the store: batched and bounded, and judging never waits for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace

import pytest
import trio

from deepoj.nursery.progress import FIRST_S, LAST_S, WINDOW_S, TellProgress
from deepoj.nursery.supervise import Child, ChildStatus, kept
from deepoj.observe import Metrics
from deepoj.pipeline.progress import BATCH_TESTS, KEEP_S, ProgressBuffer, sweep, tell
from deepoj.words.errors import Breakage, StoreUnavailable
from deepoj.words.jobs import Claim
from deepoj.words.live import EndedTests, LiveJob
from deepoj.words.results import Report, TestResult, Verdict
from tests.fakes.node import FakeNode, submitted, until_done
from tests.fakes.store import MemoryStore
from tests.fakes.stream import MemoryStream
from tests.unit.makers import a_claim, a_report
from tests.unit.test_tree import running


class Listener:
    """``ports.LiveResults`` that notes what it is told, and breaks when it is asked to."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[tuple[str, int, int, int]], set[str], set[str]]] = []
        self.at: list[float] = []
        self.breaks: Exception | None = None
        self.takes_s = 0.0

    async def tell_live(self, tests: Sequence[EndedTests], changed: Collection[str], over: Collection[str]) -> None:
        await trio.sleep(self.takes_s)
        if self.breaks is not None:
            raise self.breaks
        self.calls.append(([(one.job_id, one.attempt_id, one.first, one.last) for one in tests], {*changed}, {*over}))
        self.at.append(trio.current_time())

    async def live(self, job_id: str, attempt_id: int, after: int) -> LiveJob | None:
        raise AssertionError("no test reads events")

    async def sweep_live(self, keep_s: float, limit: int) -> int:
        assert keep_s == KEEP_S
        return limit


def ended(progress: ProgressBuffer, claim: Claim, *indexes: int) -> None:
    for index in indexes:
        progress.test_ended(claim, index, 100, TestResult(name=str(index), status=Verdict.ACCEPTED))


def counted(metrics: Metrics, result: str) -> float:
    return float(metrics.live_tests.labels(result=result)._value.get())


async def test_all_jobs_of_a_node_are_one_statement(metrics: Metrics) -> None:
    progress, listener = ProgressBuffer(metrics), Listener()
    one, two = a_claim("one"), a_claim("two", 3)
    ended(progress, one, 1, 2)
    ended(progress, two, 1)
    ended(progress, one, 3)
    progress.changed("three")
    progress.changed("four", over=True)
    await tell(listener, progress, metrics)
    assert listener.calls == [([("one", 1, 1, 3), ("two", 3, 1, 1)], {"three"}, {"four"})]
    await tell(listener, progress, metrics)
    assert len(listener.calls) == 1
    assert counted(metrics, "told") == 4


async def test_watchers_of_this_process_learn_of_an_end_before_the_statement(
    autojump_clock: object, metrics: Metrics
) -> None:
    topics: list[str] = []

    class Watchers:
        def notify(self, topic: str) -> bool:
            topics.append(topic)
            return topic == "two"

        def listens(self, *, well: bool) -> None:
            raise AssertionError("nothing is connected here")

    progress, listener = ProgressBuffer(metrics, watchers=Watchers()), Listener()
    progress.changed("one")
    progress.changed("two", over=True)
    assert topics == ["two"]
    await tell(listener, progress, metrics)
    assert listener.calls == [([], {"one"}, {"two"})], "other nodes are told, too"
    for job_id, is_urgent in (("two", False), ("three", True)):
        progress.changed(job_id, over=True)
        with trio.move_on_after(1) as waiting:
            await progress.wait_over()
        assert waiting.cancelled_caught is not is_urgent, "the others of a job without a watcher here, at once"


async def test_a_test_as_the_result_has_it(metrics: Metrics) -> None:
    progress = ProgressBuffer(metrics)
    ended(progress, a_claim(), 1)
    batch = progress.batch()
    assert batch is not None
    [portion] = batch.tests
    assert (portion.count, portion.tests[0]["name"], portion.tests[0]["status"]) == (100, "1", "Accepted")
    assert set(portion.tests[0]) >= {"cpu_ms", "memory_kb", "sample", "borderline", "fingerprint"}


async def test_progress_that_could_not_be_stored_is_stored_first_next_time(metrics: Metrics) -> None:
    progress, listener = ProgressBuffer(metrics), Listener()
    ended(progress, a_claim(), 1)
    progress.changed("job-1")
    listener.breaks = StoreUnavailable("away")
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            await tell(listener, progress, metrics)
    ended(progress, a_claim(), 2, 3)
    listener.breaks = None
    await tell(listener, progress, metrics)
    await tell(listener, progress, metrics)
    assert listener.calls == [([("job-1", 1, 1, 1)], {"job-1"}, set()), ([("job-1", 1, 2, 3)], set(), set())]


async def test_progress_that_the_store_refuses_is_dropped(metrics: Metrics) -> None:
    progress, listener = ProgressBuffer(metrics), Listener()
    ended(progress, a_claim(), 1, 2)
    listener.breaks = Breakage("a bug of ours")
    await tell(listener, progress, metrics)
    assert counted(metrics, "refused") == 2
    listener.breaks = None
    ended(progress, a_claim(), 3)
    await tell(listener, progress, metrics)
    assert listener.calls == [([("job-1", 1, 3, 3)], set(), set())]


async def test_there_is_room_for_so_much(metrics: Metrics) -> None:
    progress, listener = ProgressBuffer(metrics, max_tests=3), Listener()
    ended(progress, a_claim(), 1, 2, 3, 4, 5)
    assert counted(metrics, "dropped") == 2
    await tell(listener, progress, metrics)
    ended(progress, a_claim(), 6)
    await tell(listener, progress, metrics)
    assert [tests for tests, _, _ in listener.calls] == [[("job-1", 1, 1, 3)], [("job-1", 1, 6, 6)]]


async def test_a_gap_begins_a_new_portion(metrics: Metrics) -> None:
    progress, listener = ProgressBuffer(metrics), Listener()
    ended(progress, a_claim(), 1, 2, 5, 6)
    ended(progress, a_claim(attempt_id=2), 1)
    await tell(listener, progress, metrics)
    assert listener.calls[0][0] == [("job-1", 1, 1, 2), ("job-1", 1, 5, 6), ("job-1", 2, 1, 1)]


async def test_a_statement_is_of_bounded_size_and_what_is_over_comes_last(metrics: Metrics) -> None:
    progress, listener = ProgressBuffer(metrics), Listener()
    for number in range(BATCH_TESTS // 400 + 2):
        ended(progress, a_claim(f"job-{number}"), *range(1, 401))
    progress.changed("job-0", over=True)
    while progress.batch() is not None:
        await tell(listener, progress, metrics)
    sizes = [sum(last - first + 1 for _, _, first, last in tests) for tests, _, _ in listener.calls]
    assert max(sizes) < BATCH_TESTS + 400
    assert [over for _, _, over in listener.calls] == [*[set()] * (len(sizes) - 1), {"job-0"}]
    with trio.move_on_after(0) as nothing_to_wait_for:
        await progress.wait()
    assert nothing_to_wait_for.cancelled_caught


async def test_the_first_is_told_soon_and_the_next_together(autojump_clock: object, metrics: Metrics) -> None:
    progress, listener = ProgressBuffer(metrics), Listener()
    loop = TellProgress(live=listener, progress=progress, metrics=metrics)
    async with trio.open_nursery() as nursery:
        await nursery.start(_started(loop))
        await trio.sleep(10)
        began = trio.current_time()
        for index in range(1, 11):
            ended(progress, a_claim(), index)
            await trio.sleep(0.025)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert listener.at[0] == pytest.approx(began + FIRST_S)
    assert [tests for tests, _, _ in listener.calls] == [
        [("job-1", 1, 1, 1)], [("job-1", 1, 2, 5)], [("job-1", 1, 6, 9)], [("job-1", 1, 10, 10)],
    ]  # fmt: skip
    gaps = [later - earlier for earlier, later in zip(listener.at, listener.at[1:], strict=False)]
    assert gaps == pytest.approx([WINDOW_S] * 3)


def _started(loop: TellProgress) -> Callable[..., Awaitable[None]]:
    async def run(task_status: trio.TaskStatus[None]) -> None:
        await loop(task_status=task_status)

    return run


async def test_the_end_of_a_job_is_told_within_a_window(autojump_clock: object, metrics: Metrics) -> None:
    progress, listener = ProgressBuffer(metrics), Listener()
    async with trio.open_nursery() as nursery:
        await nursery.start(TellProgress(live=listener, progress=progress, metrics=metrics))
        began = trio.current_time()
        progress.changed("a job")
        await trio.sleep(WINDOW_S / 4)
        progress.changed("a job", over=True)
        await trio.sleep(WINDOW_S / 4)
        progress.changed("another job")
        await trio.sleep(2 * WINDOW_S)
        nursery.cancel_scope.cancel()
    assert [over for _, _, over in listener.calls] == [set(), {"a job"}, set()]
    assert [at - began for at in listener.at] == pytest.approx([FIRST_S, WINDOW_S / 4, WINDOW_S * 5 / 4])


async def test_last_progress_is_stored_within_a_moment_of_the_stop(autojump_clock: object, metrics: Metrics) -> None:
    for takes_s, told in ((0.0, 2), (LAST_S * 2, 1)):
        progress, listener = ProgressBuffer(metrics), Listener()
        loop = TellProgress(live=listener, progress=progress, metrics=metrics)
        async with trio.open_nursery() as nursery:
            await nursery.start(_started(loop))
            ended(progress, a_claim(), 1)
            await trio.sleep(WINDOW_S / 2)
            progress.changed("job-1", over=True)
            listener.takes_s = takes_s
            began = trio.current_time()
            nursery.cancel_scope.cancel()
        assert len(listener.calls) == told
        assert trio.current_time() - began <= LAST_S


async def test_a_database_that_is_away_costs_a_restart_of_the_child_and_nothing_else(
    autojump_clock: object, metrics: Metrics
) -> None:
    progress, listener = ProgressBuffer(metrics), Listener()
    loop = TellProgress(live=listener, progress=progress, metrics=metrics)
    child = Child(name="progress", run=loop, restart_on=(StoreUnavailable,))
    listener.breaks = StoreUnavailable("away")
    async with trio.open_nursery() as nursery:
        await nursery.start(kept, child, ChildStatus(), metrics)
        ended(progress, a_claim(), 1)
        await trio.sleep(3600)
        listener.breaks = None
        await trio.sleep(10)
        nursery.cancel_scope.cancel()
    assert [tests for tests, _, _ in listener.calls] == [[("job-1", 1, 1, 1)]]


async def test_sweeping_asks_for_what_is_old(metrics: Metrics) -> None:
    assert await sweep(Listener()) > 0


# ---------------------------------------------------------------------------------------------------------------------
# In a whole node


class Told:
    """``ports.Progress`` that remembers."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, bool]] = []

    def test_ended(self, claim: Claim, index: int, count: int, test: TestResult) -> None:
        raise AssertionError("this judge runs no tests")

    def changed(self, job_id: str, *, over: bool = False) -> None:
        self.changes.append((job_id, over))


async def test_a_claim_and_its_end_notify(autojump_clock: object, metrics: Metrics) -> None:
    told = Told()
    fake = FakeNode(store=MemoryStore(), stream=MemoryStream(), metrics=metrics, progress=told)
    job_id = await submitted(fake.store, metrics)
    async with running(fake):
        await until_done(fake.store, job_id)
        await trio.sleep(1)
    assert told.changes == [(job_id, False), (job_id, True)]


async def test_a_death_by_exhaustion_rings(autojump_clock: object, metrics: Metrics) -> None:
    told = Told()
    fake = FakeNode(store=MemoryStore(), stream=MemoryStream(), metrics=metrics, progress=told)
    job_id = await submitted(fake.store, metrics)
    fake.store.rows[job_id].judging_attempts = 5
    async with running(fake):
        with trio.fail_after(600):
            while fake.store.rows[job_id].state != "dead":
                await trio.sleep(0.1)
            await trio.sleep(1)
    assert told.changes == [(job_id, True)]


async def test_a_verdict_that_is_refused_is_not_over(autojump_clock: object, metrics: Metrics) -> None:
    """Somebody else has the job by then: what he tells stays."""
    told = Told()
    store = MemoryStore()

    async def lose(claim: Claim) -> Report:
        row = store.rows[claim.job_id]
        if claim.attempt_id == 1:
            row.lease_until = trio.current_time()
        return replace(a_report())

    fake = FakeNode(store=store, stream=MemoryStream(), metrics=metrics, progress=told, judge=lose)
    job_id = await submitted(store, metrics)
    async with running(fake):
        await until_done(store, job_id)
        await trio.sleep(1)
    assert told.changes[:2] == [(job_id, False), (job_id, False)]
    assert told.changes[-1] == (job_id, True)
