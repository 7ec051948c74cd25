"""A whole node over fakes: the real tree and steps, a store and a stream in memory, and a scripted judge.

Several nodes may share one store and one stream server.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import trio

from deepoj.execution.canary import CanaryRound
from deepoj.judging.languages import LANGUAGES
from deepoj.nursery import loops
from deepoj.nursery.canaries import PART as CANARY
from deepoj.nursery.canaries import Canaries
from deepoj.nursery.gate import Gate
from deepoj.nursery.hand_over import LocalHandOver
from deepoj.nursery.leases import Leases
from deepoj.nursery.playground import RunIntake, RunWork, TakeRuns
from deepoj.nursery.scopes import NodeTasks, StopDeadline
from deepoj.nursery.supervise import Child, ChildStatus
from deepoj.nursery.tree import LeasedWork, Node, run
from deepoj.nursery.work import JobIntake, Work
from deepoj.observe import Metrics
from deepoj.pipeline.claim import LeaseSettings
from deepoj.pipeline.outbox import OutboxSettings
from deepoj.pipeline.reclaim import ReclaimSettings
from deepoj.pipeline.repair import RepairSettings
from deepoj.pipeline.submit import submit
from deepoj.playground.lease import RunKeeping, RunLeasing, sweep_runs
from deepoj.ports.live import Progress
from deepoj.ports.stream import OutboxNotifications
from deepoj.words.errors import StoreUnavailable, StreamUnavailable
from deepoj.words.jobs import Claim, State
from deepoj.words.playground import CustomClaim, CustomReport
from deepoj.words.results import Infra, Report
from deepoj.words.submissions import Draft, Receipt
from tests.fakes.ports import Store
from tests.fakes.store import MemoryStore
from tests.fakes.stream import MemoryStream
from tests.unit.makers import a_problem, a_report

AWAY = (StoreUnavailable, StreamUnavailable)
STREAM_KEY = "deepoj:jobs"


@dataclass(kw_only=True)
class FakeNode:
    """Builds its parts as ``wiring`` does, with short periods."""

    store: MemoryStore
    #: another database; None: ``store``
    database: Store | None = None
    stream: MemoryStream
    metrics: Metrics
    #: wakes the dispatcher; None: the store does
    notifications: OutboxNotifications | None = None
    reclaim_s: float = 5.0
    #: receives every change of a job in hand
    progress: Progress | None = None
    owner: str = "node-a"
    #: languages that it can judge; None: all
    languages: frozenset[str] | None = None
    slots: int = 2
    lease_s: float = 60.0
    heartbeat_s: float = 10.0
    grace_s: float = 15.0
    drain_s: float = 30.0
    judge_s: float = 2.0
    #: result of judging; None: Accepted after ``judge_s``
    judge: Callable[[Claim], Awaitable[Report | Infra]] | None = None
    #: result of a custom run; None: a node without custom runs
    run_custom: Callable[[CustomClaim], Awaitable[CustomReport | Infra]] | None = None
    run_share: int = 1
    #: result of a round of canaries; None: a node without canaries
    judge_round: Callable[[], Awaitable[CanaryRound]] | None = None
    #: period of the rounds, instead of the usual ones
    canary_s: float | None = None
    judged: list[tuple[str, int]] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    child_status: ChildStatus = field(default_factory=ChildStatus)
    stop_deadline: StopDeadline = field(default_factory=StopDeadline)
    intake_extra: tuple[Child, ...] = ()

    async def _judge(self, claim: Claim) -> Report | Infra:
        if self.judge is not None:
            return await self.judge(claim)
        async with trio.open_nursery():  # as tests beside each other: a cut comes out of it in a group
            try:
                await trio.sleep(self.judge_s)
            except trio.Cancelled:
                self.cut.append(claim.job_id)
                raise
        self.judged.append((claim.job_id, claim.attempt_id))
        return a_report()

    @property
    def _ports(self) -> Store:
        return self.database or self.store.ports

    def node(self) -> Node:
        ports, tasks = self._ports, NodeTasks()
        leases = Leases(self.lease_s, self.slots)
        gate = Gate(is_open=self.judge_round is None)
        leasing = LeaseSettings(self.owner, self.lease_s, 5, self.languages)
        run_intake = self._run_intake(leases, gate)
        job_intake = JobIntake(
            ports.leases,
            self.stream,
            leases,
            leasing,
            self.metrics,
            gate=gate,
            progress=self.progress,
            on_run=run_intake.due.set if run_intake else lambda: None,
        )
        work = Work(
            jobs=ports.leases,
            stream=self.stream,
            judge_claim=self._judge,
            metrics=self.metrics,
            progress=self.progress,
            start_task=tasks.start,
        )
        heartbeat = loops.Heartbeat(
            leases=leases,
            stores={Claim: ports.leases, CustomClaim: ports.run_leases},
            owner=self.owner,
            metrics=self.metrics,
        )
        back = loops.Reclaim(
            stream=self.stream,
            job_intake=job_intake,
            settings=ReclaimSettings(round((self.lease_s + self.grace_s) * 1000), 16),
            metrics=self.metrics,
            stop_deadline=self.stop_deadline,
        )

        mend = loops.Repair(
            strays=ports.strays,
            stream=self.stream,
            settings=RepairSettings(60.0, 200, STREAM_KEY),
            metrics=self.metrics,
        )
        dispatch = loops.Dispatch(
            outbox=ports.outbox,
            stream=self.stream,
            notifications=self.notifications or self.store,
            settings=OutboxSettings(100, 0.5, 10.0),
            metrics=self.metrics,
            stop_deadline=self.stop_deadline,
            hand_over=LocalHandOver(notifications=self.store, hidden_s=0.5),
            poll_s=0.2,
        )
        consume = loops.Consume(
            stream=self.stream,
            job_intake=job_intake,
            metrics=self.metrics,
            stop_deadline=self.stop_deadline,
            read_count=16,
            block_ms=2000,
        )
        return Node(
            keepers=[
                heartbeat.child(self.heartbeat_s),
                Child(name="dispatcher", run=dispatch, restart_on=AWAY),
                Child(name="reclaim", run=loops.Periodic(self.reclaim_s, back.once), restart_on=AWAY),
                Child(name="repair", run=loops.Periodic(30.0, mend.once), restart_on=AWAY),
                Child(name="runs kept", run=loops.Periodic(2.0, self._sweep_runs), restart_on=AWAY),
            ],
            intake=[
                *self._canaries(gate),
                Child(name="consumer", run=consume, restart_on=AWAY),
                *self._runs(run_intake),
                *self.intake_extra,
            ],
            work=[LeasedWork(kind="job", intake=job_intake, handler=work), *self._run_work(run_intake)],
            child_status=self.child_status,
            metrics=self.metrics,
            drain_s=self.drain_s,
            tasks=tasks,
        )

    def _run_intake(self, leases: Leases, gate: Gate) -> RunIntake | None:
        if self.run_custom is None:
            return None
        leasing = RunLeasing(self.owner, self.lease_s, self.languages or LANGUAGES)
        run_leases = self._ports.run_leases
        return RunIntake(run_leases, self.stream, leases, leasing, self.metrics, share=self.run_share, gate=gate)

    def _run_work(self, run_intake: RunIntake | None) -> list[LeasedWork[Any, Any]]:
        if self.run_custom is None or run_intake is None:
            return []
        run_work = RunWork(runs=self._ports.run_leases, run_claim=self.run_custom, metrics=self.metrics)
        return [LeasedWork(kind="run", intake=run_intake, handler=run_work)]

    def _runs(self, run_intake: RunIntake | None) -> list[Child]:
        if run_intake is None:
            return []
        return [
            Child(name="runs", run=TakeRuns(run_intake=run_intake, stop_deadline=self.stop_deadline), restart_on=AWAY)
        ]

    async def _sweep_runs(self) -> None:
        await sweep_runs(self._ports.runs, RunKeeping(120.0, 600.0), self.metrics)

    def _canaries(self, gate: Gate) -> list[Child]:
        if self.judge_round is None:
            return []
        canaries = Canaries(
            judge_round=self.judge_round, gate=gate, child_status=self.child_status, metrics=self.metrics
        )
        if self.canary_s is not None:
            canaries = replace(canaries, period_s=self.canary_s, again_s=self.canary_s)
        return [Child(name=CANARY, run=canaries)]

    async def run(self, stop: trio.Event, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        await run(self.node(), stop, task_status=task_status)


async def submitted(store: MemoryStore, metrics: Metrics, code: str = "int main(){}") -> str:
    """Submit a program of user 1001 to problem 2001 by the submit step. Return its job id."""
    problem = a_problem()
    if await store.problem(problem.id) is None:
        await store.insert_problem(problem)
    draft = Draft(user_id=1001, problem_id=problem.id, language="cpp17", code=code, trace_id="trace-1")
    receipt = await submit(store, draft, inflight_cap=500, dedup_window_s=600, stream_key=STREAM_KEY, metrics=metrics)
    assert isinstance(receipt, Receipt)
    return receipt.job_id


async def until_done(store: MemoryStore, *job_ids: str, within_s: float = 600.0) -> float:
    """Wait, with a jumping clock, until all jobs are done. Return trio's time then."""
    with trio.fail_after(within_s):
        while any(store.rows[job_id].state is not State.DONE for job_id in job_ids):
            await trio.sleep(0.05)
    return trio.current_time()
