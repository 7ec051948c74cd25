"""Canaries of a whole node over fakes: no claims before the first round, and closing and opening of the gate."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trio

from deepoj.execution.canary import CanaryRound, Differs
from deepoj.nursery.gate import Gate
from deepoj.observe import Metrics
from deepoj.words.jobs import State
from deepoj.words.readiness import PartState
from deepoj.words.results import Report
from tests.fakes.node import FakeNode, submitted, until_done
from tests.fakes.store import MemoryStore
from tests.fakes.stream import MemoryStream
from tests.logs import captured_logs

CLEAN = CanaryRound(as_expected=38, of=38)
LATE = CanaryRound(
    as_expected=37,
    of=38,
    differing=(Differs("cpu-loop", "Time Limit Exceeded (rule cpu)", "Accepted (rule ok)"),),
)
AWAY = CanaryRound(as_expected=3, of=38, unjudged="the launcher cannot be started")


class Sky:
    """Scripted rounds of one node, which wait while the test holds them."""

    def __init__(self) -> None:
        self.found = CLEAN
        self.held = Gate()
        self.rounds = 0

    async def judge_round(self) -> CanaryRound:
        await self.held.wait_open()
        await trio.sleep(0.5)
        self.rounds += 1
        return self.found


@pytest.fixture
def sky() -> Sky:
    return Sky()


@pytest.fixture
def fake(metrics: Metrics, sky: Sky) -> FakeNode:
    return FakeNode(store=MemoryStore(), stream=MemoryStream(), metrics=metrics, judge_round=sky.judge_round)


@asynccontextmanager
async def running(fake: FakeNode) -> AsyncIterator[None]:
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(fake.run, stop)
        yield
        stop.set()


async def until(state: PartState, fake: FakeNode) -> None:
    with trio.fail_after(5000):
        while fake.child_status.readiness().parts.get("canary") is not state:
            await trio.sleep(1)


async def next_round(sky: Sky) -> None:
    """Wait until a round that begins from now on has ended."""
    seen = sky.rounds
    with trio.fail_after(5000):
        while sky.rounds == seen:
            await trio.sleep(1)
    await trio.sleep(1)


def failures(metrics: Metrics, case: str) -> float:
    value: float = metrics.canary_failures.labels(case=case)._value.get()
    return value


async def test_nothing_is_judged_before_the_first_round_is_clean(
    autojump_clock: object, fake: FakeNode, sky: Sky
) -> None:
    sky.held.shut()
    async with running(fake):  # but the node is up
        job_id = await submitted(fake.store, fake.metrics)
        await trio.sleep(300)
        assert fake.store.rows[job_id].state is State.PENDING
        shown = fake.child_status.readiness()
        assert not shown.ready
        assert shown.parts["canary"] is PartState.STARTING
        assert shown.parts["consumer"] is PartState.UP
        sky.held.open()
        await until_done(fake.store, job_id)
        assert fake.child_status.readiness().ready


async def test_rounds_come_back(autojump_clock: object, fake: FakeNode, sky: Sky) -> None:
    async with running(fake):
        await until(PartState.UP, fake)
        began, seen = trio.current_time(), sky.rounds
        await next_round(sky)
        assert sky.rounds == seen + 1
        assert 590 < trio.current_time() - began < 700


async def test_a_box_that_lies_stops_the_node_and_a_healed_one_lets_it_go_on(
    autojump_clock: object, fake: FakeNode, sky: Sky
) -> None:
    fake.judge_s = 100.0
    async with running(fake):
        await until(PartState.UP, fake)
        in_hand = await submitted(fake.store, fake.metrics, "in hand")
        sky.found = LATE
        await trio.sleep(550)
        in_hand = await submitted(fake.store, fake.metrics, "in hand when the canary falls")
        with captured_logs() as lines:
            await until(PartState.DOWN, fake)
        refused = await submitted(fake.store, fake.metrics, "too late")
        await until_done(fake.store, in_hand)
        await trio.sleep(1000)
        # jobs in hand have ended, and no job was claimed since
        assert fake.store.rows[refused].state is State.PENDING
        assert [job for job, _ in fake.judged].count(in_hand) == 1
        shown = fake.child_status.readiness()
        assert not shown.ready
        assert shown.reasons["canary"] == (
            "nothing is judged here: canary cpu-loop: expected Time Limit Exceeded (rule cpu), found Accepted (rule ok)"
        )
        told = next(line for line in lines if line["event"] == "canary_failed")
        assert (told["case"], told["expected"], told["found"]) == (
            "cpu-loop", "Time Limit Exceeded (rule cpu)", "Accepted (rule ok)",
        )  # fmt: skip
        assert failures(fake.metrics, "cpu-loop") >= 2  # each round that differs counts
        assert failures(fake.metrics, "abort") == 0
        sky.found = CLEAN
        began = trio.current_time()
        await until_done(fake.store, refused)
        assert trio.current_time() - began < 300  # it does not take ten minutes
        assert fake.child_status.readiness().ready


async def test_reclaim_takes_nothing_over_either(autojump_clock: object, fake: FakeNode, sky: Sky) -> None:
    """Entries of a dead node stay for nodes that judge right."""

    async def never(_claim: object) -> Report:
        await trio.sleep_forever()
        raise AssertionError

    dead = FakeNode(
        store=fake.store, stream=fake.stream.beside("dead"), metrics=Metrics(), owner="dead", judge=never, drain_s=0
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(dead.run, trio.Event())
        job_id = await submitted(fake.store, fake.metrics)
        while fake.store.rows[job_id].state is State.PENDING:
            await trio.sleep(0.1)
        fake.store.down = True  # it cannot give back
        nursery.cancel_scope.cancel()
    fake.store.down = False
    sky.found = LATE
    async with running(fake):
        await until(PartState.DOWN, fake)
        await trio.sleep(1000)
        assert fake.store.rows[job_id].lease_owner == "dead"
        sky.found = CLEAN
        await until_done(fake.store, job_id)
    assert fake.judged == [(job_id, 2)]


async def test_a_box_that_is_away_changes_nothing(autojump_clock: object, fake: FakeNode, sky: Sky) -> None:
    async with running(fake):
        await until(PartState.UP, fake)
        sky.found = AWAY
        with captured_logs() as lines:
            await next_round(sky)
        assert [line["event"] for line in lines if "canary" in line["event"]] == ["canary_unjudged"]
        assert fake.child_status.readiness().ready
        job_id = await submitted(fake.store, fake.metrics)
        await until_done(fake.store, job_id)
        assert failures(fake.metrics, "abort") == 0


async def test_a_box_that_is_away_at_the_start_is_waited_for(autojump_clock: object, fake: FakeNode, sky: Sky) -> None:
    sky.found = AWAY
    async with running(fake):
        job_id = await submitted(fake.store, fake.metrics)
        await next_round(sky)
        shown = fake.child_status.readiness()
        assert shown.parts["canary"] is PartState.STARTING
        assert "the launcher cannot be started" in shown.reasons["canary"]
        assert fake.store.rows[job_id].state is State.PENDING
        sky.found = CLEAN
        await until_done(fake.store, job_id)


async def test_a_box_that_is_away_does_not_clear_a_suspicion(autojump_clock: object, fake: FakeNode, sky: Sky) -> None:
    sky.found = LATE
    async with running(fake):
        await until(PartState.DOWN, fake)
        sky.found = AWAY
        await next_round(sky)
        assert fake.child_status.readiness().parts["canary"] is PartState.DOWN
        job_id = await submitted(fake.store, fake.metrics)
        await trio.sleep(100)
        assert fake.store.rows[job_id].state is State.PENDING


async def test_wavering_canary_is_logged_and_the_gate_stays_open(
    autojump_clock: object, fake: FakeNode, sky: Sky
) -> None:
    sky.found = replace(CLEAN, wavering=LATE.differing)
    with captured_logs() as lines:
        async with running(fake):
            await until_done(fake.store, await submitted(fake.store, fake.metrics))
    assert [line["case"] for line in lines if line["event"] == "canary_wavered"] == ["cpu-loop"]


async def test_a_drain_does_not_wait_for_a_round(autojump_clock: object, fake: FakeNode, sky: Sky) -> None:
    sky.held.shut()
    async with running(fake):
        await trio.sleep(1)
        began = trio.current_time()
    assert trio.current_time() - began < 5


async def test_a_shut_gate_is_waited_for(autojump_clock: object) -> None:
    gate = Gate(is_open=False)
    passed: list[float] = []

    async def pass_through() -> None:
        await gate.wait_open()
        passed.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(pass_through)
        await trio.sleep(5)
        gate.open()
        gate.shut()  # before the waiter ran
        await trio.sleep(5)
        assert passed == []
        gate.open()
    assert len(passed) == 1


def test_a_node_without_canaries_has_an_open_gate() -> None:
    assert Gate().is_open
