"""The contract of ``ports.LiveResults``, and that every visible change sends a notification."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.pg import PgLiveNotifications
from deepoj.judging.result import as_test
from deepoj.words.errors import StoreUnavailable
from deepoj.words.jobs import Claim, State
from deepoj.words.ledger import Decision
from deepoj.words.live import EndedTests, LiveJob
from deepoj.words.results import TestResult, Verdict
from tests.contract.labs import (
    LEASE_S,
    MAX_ATTEMPTS,
    NODE,
    OTHER,
    SOON_S,
    Lab,
    PgLab,
    claim,
    entry,
    new_job,
    report,
)
from tests.servers import PostgresServer


def a_test(number: int) -> dict[str, Any]:
    return as_test(TestResult(name=f"case {number} 例\u2028", status=Verdict.ACCEPTED, cpu_ms=number))


def told(job: Claim | str, first: int, last: int, *, attempt_id: int = 1) -> EndedTests:
    job_id, attempt_id = (job, attempt_id) if isinstance(job, str) else (job.job_id, job.attempt_id)
    tests = tuple(a_test(number) for number in range(first, last + 1))
    return EndedTests(job_id=job_id, attempt_id=attempt_id, first=first, count=10, tests=tests)


async def tell(lab: Lab, *tests: EndedTests, changed: Collection[str] = (), over: Collection[str] = ()) -> None:
    await lab.store.live.tell_live(tests, changed, over)


async def look(lab: Lab, job_id: str, attempt_id: int = 0, after: int = 0) -> LiveJob:
    seen = await lab.store.live.live(job_id, attempt_id, after)
    assert seen is not None
    return seen


async def indexes(lab: Lab, job_id: str, attempt_id: int = 0, after: int = 0) -> list[int]:
    seen = await look(lab, job_id, attempt_id, after)
    assert all((one.count, dict(one.test)) == (10, a_test(one.index)) for one in seen.tests)
    return [one.index for one in seen.tests]


async def test_a_job_that_waits(lab: Lab) -> None:
    job_id = await new_job(lab)
    assert await look(lab, job_id) == LiveJob(state=State.PENDING, status="pending", judging=1, attempt_id=0)
    for unknown in ("no id", "00000000-0000-0000-0000-000000000000"):
        assert await lab.store.live.live(unknown, 0, 0) is None


async def test_live_tests_are_listed_after_an_index(lab: Lab) -> None:
    won = await claim(lab, await new_job(lab))
    await tell(lab, told(won, 1, 3))
    await tell(lab, told(won, 4, 4), told(won, 6, 7))
    seen = await look(lab, won.job_id)
    assert (seen.state, seen.status, seen.judging, seen.attempt_id) == (State.PROCESSING, "running", 1, 1)
    assert await indexes(lab, won.job_id) == [1, 2, 3, 4, 6, 7]
    assert await indexes(lab, won.job_id, 1, 0) == [1, 2, 3, 4, 6, 7]
    assert await indexes(lab, won.job_id, 1, 2) == [3, 4, 6, 7]
    assert await indexes(lab, won.job_id, 1, 6) == [7]
    assert await indexes(lab, won.job_id, 1, 7) == []
    # of another attempt: from the start
    assert await indexes(lab, won.job_id, 7, 6) == [1, 2, 3, 4, 6, 7]


async def test_watchers_that_read_at_once_see_their_own_jobs_after_their_own_index(lab: Lab) -> None:
    """The database answers those that wait in one statement."""
    jobs = [await claim(lab, await new_job(lab, name)) for name in ("alice", "bob", "carol")]
    await tell(lab, *(told(job, 1, 4) for job in jobs[:2]))
    seen: dict[tuple[str, int, int], LiveJob | None] = {}

    async def watch(*asked: Any) -> None:
        seen[asked] = await lab.store.live.live(*asked)

    async with trio.open_nursery() as nursery:
        for after in range(5):
            for job in jobs:
                nursery.start_soon(watch, job.job_id, 1, after)
            nursery.start_soon(watch, "00000000-0000-0000-0000-000000000000", 1, after)
    found = {asked: None if job is None else [one.index for one in job.tests] for asked, job in seen.items()}
    assert found == {
        **{(job.job_id, 1, after): list(range(after + 1, 5)) for after in range(5) for job in jobs[:2]},
        **{(jobs[2].job_id, 1, after): [] for after in range(5)},
        **{("00000000-0000-0000-0000-000000000000", 1, after): None for after in range(5)},
    }


async def test_told_twice_is_told_once(lab: Lab) -> None:
    won = await claim(lab, await new_job(lab))
    await tell(lab, told(won, 1, 2))
    await tell(lab, told(won, 1, 2))
    assert await indexes(lab, won.job_id) == [1, 2]


async def test_an_attempt_that_is_not_under_way_is_not_heard(lab: Lab) -> None:
    job_id = await new_job(lab)
    await tell(lab, told(job_id, 1, 1, attempt_id=0), told(job_id, 1, 1), told("no id", 1, 1))
    first = await claim(lab, job_id)
    assert await indexes(lab, job_id) == []
    await tell(lab, told(first, 1, 2))
    lab.advance(LEASE_S)
    second = await claim(lab, job_id, OTHER)
    # tests of the first attempt are not the second's, and the first can store no more
    assert await indexes(lab, job_id) == []
    await tell(lab, told(first, 3, 3), told(second, 1, 1))
    assert await indexes(lab, job_id) == [1]
    assert await indexes(lab, job_id, 1, 2) == [1]
    assert await lab.store.leases.give_back(second, reason="x", counts=True) is None
    await tell(lab, told(second, 2, 2))
    assert await indexes(lab, job_id) == []
    # nor is it stored: two batches were in time
    assert await lab.store.live.sweep_live(-1, 100) == 2


async def test_live_tests_of_a_finished_job_are_deleted(lab: Lab) -> None:
    first = await claim(lab, await new_job(lab))
    await tell(lab, told(first, 1, 5))
    assert await lab.store.leases.finalize(first, report(), {"tests": []}) is None
    await tell(lab, told(first, 6, 6), over={first.job_id})
    seen = await look(lab, first.job_id)
    assert (seen.state, seen.status, seen.tests) == (State.DONE, "Accepted", ())
    assert seen.finished == await lab.store.submissions.submission(first.job_id)
    assert await lab.store.live.sweep_live(-1.0, 100) == 0


async def test_late_end_of_an_attempt_keeps_tests_of_the_next(lab: Lab) -> None:
    first = await claim(lab, await new_job(lab))
    await tell(lab, told(first, 1, 5))
    assert await lab.store.leases.finalize(first, report(), {"tests": []}) is None
    await lab.store.rejudges.rejudge(first.job_id, 1, by="root", in_full=True, stream_key="s")
    second = await claim(lab, first.job_id, OTHER)
    await tell(lab, told(second, 1, 1))
    await tell(lab, over={first.job_id})
    seen = await look(lab, first.job_id)
    assert (seen.judging, seen.attempt_id, [one.index for one in seen.tests]) == (2, 2, [1])
    assert seen.finished is None
    assert await lab.store.live.sweep_live(-1.0, 100) == 1


async def test_leftovers_are_swept_oldest_first(lab: Lab) -> None:
    won = await claim(lab, await new_job(lab), lease_s=10_000)
    await tell(lab, told(won, 1, 2))
    lab.advance(100)
    await tell(lab, told(won, 3, 3), told(won, 5, 5))
    assert await lab.store.live.sweep_live(101, 100) == 0
    assert await lab.store.live.sweep_live(99, 100) == 1
    assert await indexes(lab, won.job_id) == [3, 5]
    assert await lab.store.live.sweep_live(-1, 1) == 1
    assert await lab.store.live.sweep_live(-1, 9) == 1
    assert await indexes(lab, won.job_id) == []


async def test_live_results_with_nul_surrogates_and_nan_are_stored(real: PgLab) -> None:
    won = await claim(real, await new_job(real))
    strange = TestResult(name="\0\ud800", status=Verdict.ACCEPTED, score=float("nan"))
    tests = ({**as_test(strange), "name": "\0\ud800"},)
    await tell(real, EndedTests(job_id=won.job_id, attempt_id=1, first=1, count=1, tests=tests))
    [shown] = (await look(real, won.job_id)).tests
    assert (shown.test["name"], shown.test["score"]) == ("␀�", None)


# ---------------------------------------------------------------------------------------------------------------------
# Notifications


class Receiver:
    """Records notifications."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.well: list[bool] = []

    def notify(self, topic: str) -> bool:
        self.heard.append(topic)
        return True

    def listens(self, *, well: bool) -> None:
        self.well.append(well)

    async def until(self, *topics: str) -> None:
        """Wait until exactly these were notified since the last call."""
        with trio.fail_after(SOON_S):
            while len(self.heard) < len(topics):
                await trio.sleep(0.01)
        assert sorted(self.heard) == sorted(topics)
        self.heard.clear()


@pytest.fixture
async def notifications(postgres: PostgresServer, database: str, bridge: AioBridge) -> PgLiveNotifications:
    return PgLiveNotifications(bridge, postgres.dsn(database))


@asynccontextmanager
async def listening(notifications: PgLiveNotifications) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    async with trio.open_nursery() as nursery:
        await nursery.start(notifications.serve, receiver)
        yield receiver
        nursery.cancel_scope.cancel()


async def test_every_change_rings_with_the_id_and_nothing_else(real: PgLab, notifications: PgLiveNotifications) -> None:
    async with listening(notifications) as receiver:
        assert receiver.well == [True]
        job_id, other = await new_job(real), await new_job(real, "bob")
        won = await claim(real, job_id)
        await tell(real, changed={job_id, other, "no id"})
        await receiver.until(job_id, other)
        await tell(real, told(won, 1, 3), told(won, 4, 9), told(other, 1, 1))
        await receiver.until(job_id)
        assert await real.store.leases.give_back(won, reason="x", counts=False) is None
        await receiver.until(job_id)
        won = await claim(real, job_id)
        assert await real.store.leases.finalize(won, report(), {"tests": []}) is None
        await tell(real, over={job_id})
        await receiver.until(job_id)
        await real.pg_store.rejudges.rejudge(job_id, 1, by="root", in_full=False, stream_key="s")
        await receiver.until(job_id)
        for _ in range(MAX_ATTEMPTS):
            won = await claim(real, job_id)
            assert await real.store.leases.give_back(won, reason="x", counts=True) is None
            await receiver.until(job_id)
        await real.store.leases.claim([entry(job_id)], NODE, LEASE_S, MAX_ATTEMPTS)
        letter = await real.pg_store.letters.dead_letter(job_id)
        assert letter is not None
        await real.pg_store.letters.decide(
            Decision.REQUEUE, job_id, letter.attempt_id, by="root", note="", stream_key="s"
        )
        await receiver.until(job_id)
    assert receiver.well == [True, False]


async def test_notification_of_a_long_batch_is_short(real: PgLab, notifications: PgLiveNotifications) -> None:
    """NOTIFY takes 8000 bytes; a batch is far longer."""
    won = await claim(real, await new_job(real))
    long = ({**a_test(1), "name": "x" * 100_000},)
    async with listening(notifications) as receiver:
        await tell(real, EndedTests(job_id=won.job_id, attempt_id=1, first=1, count=1, tests=long))
        await receiver.until(won.job_id)


async def test_listeners_learn_that_the_connection_was_lost(
    real: PgLab, notifications: PgLiveNotifications, postgres: PostgresServer
) -> None:
    receiver = Receiver()
    with pytest.RaisesGroup(StoreUnavailable):
        async with trio.open_nursery() as nursery:
            await nursery.start(notifications.serve, receiver)
            postgres.psql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'deepoj-live' "
                f"AND datname = '{real.database}'"
            )
            with trio.fail_after(SOON_S):
                await trio.sleep_forever()
    assert receiver.well == [True, False]


async def test_the_server_does_not_log_what_is_told(real: PgLab) -> None:
    assert real.sql("SELECT relpersistence FROM pg_class WHERE relname = 'live_tests'") == "u"
