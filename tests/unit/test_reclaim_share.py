"""Reclaim and the consumer share the slots of a node: neither takes more than there are, neither starves the other."""

from __future__ import annotations

import pytest
import trio

from deepoj.observe import Metrics
from deepoj.words.jobs import Claim
from deepoj.words.results import Report
from tests.fakes.node import FakeNode, submitted, until_done
from tests.fakes.store import MemoryStore
from tests.fakes.stream import MemoryStream
from tests.unit.makers import a_report
from tests.unit.test_tree import running


@pytest.fixture
def fake(metrics: Metrics) -> FakeNode:
    return FakeNode(store=MemoryStore(), stream=MemoryStream(), metrics=metrics, judge_s=1.0)


async def left_by_a_dead_node(fake: FakeNode, jobs: int) -> list[str]:
    """Submit jobs whose entries a consumer reads and never acks."""
    job_ids = [await submitted(fake.store, fake.metrics, f"read by the dead {n}") for n in range(jobs)]
    dead = fake.stream.beside("dead")
    events = await fake.store.take_outbox(jobs, 0.5, 10.0)
    entry_ids = await dead.publish(events)
    await fake.store.mark_delivered([(event.id, entry) for event, entry in zip(events, entry_ids, strict=True)])
    assert len(await dead.read(jobs, 0)) == jobs
    return job_ids


async def test_a_round_takes_over_no_more_than_there_are_slots_for(autojump_clock: object, fake: FakeNode) -> None:
    at_once = most = 0

    async def judge(claim: Claim) -> Report:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await trio.sleep(1)
        at_once -= 1
        return a_report()

    fake.judge = judge
    job_ids = await left_by_a_dead_node(fake, 16)
    async with running(fake):
        await until_done(fake.store, *job_ids)
    assert most == fake.slots


async def test_the_jobs_of_a_dead_node_do_not_wait_for_the_end_of_the_backlog(
    autojump_clock: object, fake: FakeNode
) -> None:
    job_ids = await left_by_a_dead_node(fake, 1)

    async def more_than_it_can_judge() -> None:
        for number in range(450):
            await submitted(fake.store, fake.metrics, f"code {number}")
            await trio.sleep(0.45)

    async with running(fake), trio.open_nursery() as users:
        users.start_soon(more_than_it_can_judge)
        await until_done(fake.store, *job_ids, within_s=fake.lease_s + fake.grace_s + 30)
        users.cancel_scope.cancel()
