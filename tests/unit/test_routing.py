"""Jobs go to nodes that have their language: other nodes send them on with growing delay and without an attempt."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trio

from deepoj.capacity.roster import LEASE_S, MAX_AGE_S, LatestLanguages, announce, look
from deepoj.observe import Metrics
from deepoj.words.errors import StoreUnavailable
from deepoj.words.jobs import State
from deepoj.words.roster import NodeFacts
from tests.fakes.node import FakeNode, submitted, until_done
from tests.fakes.store import MemoryStore
from tests.fakes.stream import MemoryStream
from tests.unit.test_tree import running


@pytest.fixture
def fake(metrics: Metrics) -> FakeNode:
    """A node without C++; all submissions are C++."""
    return FakeNode(store=MemoryStore(), stream=MemoryStream(), metrics=metrics, languages=frozenset({"python3"}))


def other(fake: FakeNode) -> FakeNode:
    stream = fake.stream.beside("node-b")
    return replace(fake, owner="node-b", stream=stream, languages=frozenset({"cpp17"}), judged=[], cut=[])


async def test_the_node_that_has_the_language_judges(autojump_clock: object, fake: FakeNode) -> None:
    able = other(fake)
    await announce(fake.store, "node-b", {"cpp17": "g++"}, NodeFacts(), takes_work=True)
    jobs = [await submitted(fake.store, fake.metrics, f"code {number}") for number in range(8)]
    async with running(fake), running(able):
        await until_done(fake.store, *jobs, within_s=120)
    assert fake.judged == []
    assert sorted(able.judged) == sorted((job, 1) for job in jobs)


async def test_without_such_a_node_nothing_spins_and_no_attempt_is_lost(autojump_clock: object, fake: FakeNode) -> None:
    job = await submitted(fake.store, fake.metrics)
    async with running(fake):
        await trio.sleep(600)
        sent = len(fake.store.outbox)
        # offered again after delays that grow by half, at most half a minute
        assert 20 <= sent <= 60
        assert fake.store.rows[job].state is State.PENDING
        assert (fake.store.rows[job].attempt_id, fake.store.ledger) == (0, [])
        await announce(fake.store, "node-b", {"cpp17": "g++"}, NodeFacts(), takes_work=True)
        async with running(able := other(fake)):
            await until_done(fake.store, job, within_s=60)
    assert able.judged == [(job, 1)]


async def test_a_look_is_kept_until_it_is_too_old(autojump_clock: object) -> None:
    store, latest = MemoryStore(), LatestLanguages()
    await look(store, latest)
    assert latest.get() is None
    await announce(store, "node-a", {"cpp17": "g++ 14"}, NodeFacts(), takes_work=True)
    await look(store, latest)
    assert latest.get() == {"cpp17": ("g++ 14",)}
    store.down = True
    with pytest.raises(StoreUnavailable):
        await look(store, latest)
    await trio.sleep(MAX_AGE_S - 1)
    assert latest.get() == {"cpp17": ("g++ 14",)}
    await trio.sleep(2)
    assert latest.get() is None


async def test_a_dead_node_vanishes(autojump_clock: object) -> None:
    store, latest = MemoryStore(), LatestLanguages()
    await announce(store, "node-a", {"cpp17": "g++ 14"}, NodeFacts(), takes_work=True)
    await trio.sleep(LEASE_S + 1)
    await look(store, latest)
    assert latest.get() is None
