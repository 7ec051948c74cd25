"""What the intakes of submissions and of playground runs share, over both."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
import trio
import trio.testing

from deepoj.nursery.gate import Gate
from deepoj.nursery.intake import Intake
from deepoj.nursery.leases import Leases
from deepoj.nursery.playground import RunIntake
from deepoj.nursery.work import JobIntake
from deepoj.observe import Metrics
from deepoj.pipeline.claim import LeaseSettings
from deepoj.pipeline.outbox import Lanes, OutboxSettings, dispatch
from deepoj.playground.lease import RunLeasing
from deepoj.playground.order import order_run
from deepoj.words.jobs import State
from deepoj.words.playground import CustomDraft, CustomReceipt
from deepoj.words.stream import Entry
from tests.fakes.node import submitted
from tests.fakes.store import MemoryStore
from tests.fakes.stream import MemoryStream
from tests.logs import captured_logs
from tests.unit.makers import a_claim


@dataclass
class IntakeCase:
    """An intake over fakes, with one slot and one piece of work that waits."""

    intake: Intake[Any]
    leases: Leases
    gate: Gate
    wait_room: Callable[[], Awaitable[object]]
    #: claims what waits
    take: Callable[[], Awaitable[object]]
    #: its state and how many of its attempts count
    state: Callable[[], tuple[State, int]]


async def job_case(metrics: Metrics) -> IntakeCase:
    store, stream = MemoryStore(), MemoryStream()
    leases, gate = Leases(60.0, 1), Gate()
    job_id = await submitted(store, metrics)
    await dispatch(store, stream, OutboxSettings(100, 0.5, 10.0), metrics, Lanes(), now_s=0.0)
    entries = await stream.read(1, 0)
    intake = JobIntake(store, stream, leases, LeaseSettings("node-a", 60.0, 5), metrics, gate=gate)

    def state() -> tuple[State, int]:
        return store.rows[job_id].state, store.rows[job_id].judging_attempts

    return IntakeCase(intake, leases, gate, intake.wait_room, lambda: intake.admit(entries), state)


async def run_case(metrics: Metrics) -> IntakeCase:
    store, stream = MemoryStore(), MemoryStream()
    leases, gate = Leases(60.0, 1), Gate()
    draft = CustomDraft(
        user_id=1001, language="python3", code="x", stdin=b"", time_limit_ms=1, memory_limit_kb=1, trace_id="t"
    )
    receipt = await order_run(store, stream, draft, per_user=1, metrics=metrics)
    assert isinstance(receipt, CustomReceipt)
    leasing = RunLeasing("node-a", 60.0, {"python3"})
    intake = RunIntake(store.ports.run_leases, stream, leases, leasing, metrics, share=1, gate=gate)

    def state() -> tuple[State, int]:
        return store.runs[receipt.run_id].state, store.runs[receipt.run_id].attempts

    return IntakeCase(intake, leases, gate, intake.wait_room, intake.take, state)


@pytest.fixture(params=[job_case, run_case])
async def case(request: pytest.FixtureRequest, metrics: Metrics) -> IntakeCase:
    made: IntakeCase = await request.param(metrics)
    return made


async def test_an_open_intake_starts_each_claim_and_counts_its_slot(case: IntakeCase) -> None:
    started: list[object] = []
    case.intake.open(started.append)
    await case.take()
    assert len(started) == 1
    assert case.leases.free == 0
    assert case.state() == (State.PROCESSING, 1)


async def test_a_claim_won_after_the_close_is_given_back_without_counting(case: IntakeCase) -> None:
    case.intake.open(lambda _lease: None)
    case.intake.close()
    await case.take()
    assert case.leases.free == 1
    assert case.state() == (State.PENDING, 0)


async def test_a_claim_that_cannot_be_given_back_leaves_the_rest_of_its_batch_given_back(
    metrics: Metrics,
) -> None:
    store, stream = MemoryStore(), MemoryStream()
    jobs = [await submitted(store, metrics, f"int main(){{return {n};}}") for n in range(3)]
    await dispatch(store, stream, OutboxSettings(100, 0.5, 10.0), metrics, Lanes(), now_s=0.0)
    intake = JobIntake(store, stream, Leases(60.0, 3), LeaseSettings("node-a", 60.0, 5), metrics)
    store.break_next("give_back", applied=False)
    with captured_logs() as lines:
        await intake.admit(await stream.read(3, 0))  # closed, as in a stop
    left, *others = jobs
    assert [store.rows[job_id].state for job_id in others] == [State.PENDING] * 2
    assert store.rows[left].state is State.PROCESSING, "its lease runs out"
    assert [entry.job_id for entry in await stream.own_pending(3) if isinstance(entry, Entry)] == [left]
    assert [line["job_id"] for line in lines if line["event"] == "give_back_failed"] == [left]


async def test_a_gate_shut_during_the_wait_for_a_slot_is_waited_for_again(case: IntakeCase) -> None:
    busy = case.leases.add(a_claim("other"), trio.current_time())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(case.wait_room)
        await trio.testing.wait_all_tasks_blocked()
        case.gate.shut()
        case.leases.drop(busy)
        await trio.testing.wait_all_tasks_blocked()
        assert nursery.child_tasks, "it takes work behind a shut gate"
        case.gate.open()
