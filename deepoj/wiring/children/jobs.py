"""The parts of a node that judges: what decides which jobs and custom runs it takes, and the work on one of
them. ``nursery/tree.py`` starts a task for each in the nursery of the jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deepoj import observe
from deepoj.capacity.pressure import LatestPressure
from deepoj.config.model import Config
from deepoj.execution.compiling import Compiler
from deepoj.execution.context import AttemptContext
from deepoj.execution.early import IdleSlotCompiler
from deepoj.execution.header_cache import HeaderCache
from deepoj.execution.toolchain_cache import ToolchainCache
from deepoj.nursery.gate import Gate
from deepoj.nursery.idle_slots import HelperSlots
from deepoj.nursery.leases import Leases
from deepoj.nursery.playground import POLL_S as RUN_POLL_S
from deepoj.nursery.playground import RunIntake, RunWork
from deepoj.nursery.scopes import NodeTasks
from deepoj.nursery.toolchains import MakeToolchainArchives
from deepoj.nursery.tree import LeasedWork
from deepoj.nursery.waiting import WorkWatch
from deepoj.nursery.work import JobIntake, Work
from deepoj.pipeline.judge import judge
from deepoj.pipeline.progress import ProgressBuffer
from deepoj.pipeline.rejudge import former
from deepoj.playground.attempt import run_custom
from deepoj.ports.live import LiveReceiver
from deepoj.ports.rejudges import Rejudges
from deepoj.ports.sandbox import Box
from deepoj.ports.testdata import TestData
from deepoj.wiring import settings
from deepoj.wiring.adapters import Adapters
from deepoj.wiring.children.background import BackgroundJudges, BackgroundPrograms, background_judges
from deepoj.words.jobs import Claim
from deepoj.words.playground import CustomClaim, CustomReport
from deepoj.words.results import Infra, Report
from deepoj.words.sandbox import Isolation
from deepoj.words.waiting import WorkKind

#: subdirectory of the workspace: a directory per attempt
ATTEMPTS = "attempts"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobParts:
    """The objects of a node that judges."""

    box: Box
    compiler: Compiler
    #: closed until the canaries pass
    gate: Gate
    job_intake: JobIntake
    #: progress of judging, on its way to watchers
    progress: ProgressBuffer
    #: None where custom runs are disabled
    run_intake: RunIntake | None
    background: BackgroundJudges
    #: the kinds of work that the node takes, with their intakes
    work: Sequence[LeasedWork[Any, Any]]
    #: what the jobs leave to be done
    tasks: NodeTasks
    #: compiles submissions that this process takes in, on their way to their claim
    early_compiler: IdleSlotCompiler
    #: precompiled headers; None where they are disabled
    headers: HeaderCache | None
    #: builds toolchain archives after the start
    toolchains: MakeToolchainArchives


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimJudge:
    """Judges a claimed job, and runs a claimed custom run."""

    context: AttemptContext
    data: TestData
    rejudges: Rejudges
    progress: ProgressBuffer

    async def judge_claim(self, claim: Claim) -> Report | Infra:
        return await judge(
            self.context,
            self.data,
            claim,
            former=await former(self.rejudges, claim),
            on_test=lambda test, index, count: self.progress.test_ended(claim, index, count, test),
        )

    async def run_claim(self, claim: CustomClaim) -> CustomReport | Infra:
        return await run_custom(self.context, claim)


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyRoom:
    """Whether this node may compile a submission that it is storing."""

    leases: Leases
    gate: Gate
    pressure: LatestPressure

    def has_room(self, early: int) -> bool:
        """Whether a slot is idle beside ``early`` compilations, and the next job will be claimed here."""
        # With other nodes, one of them may claim the job, and a slot here would compile for nothing.
        return self.gate.is_open and self.pressure.consumers == 1 and self.leases.free > early


def job_parts(
    cfg: Config,
    adapters: Adapters,
    metrics: observe.Metrics,
    languages: Mapping[str, str],
    watchers: LiveReceiver,
    *,
    watch: WorkWatch,
    pressure: LatestPressure,
) -> JobParts | None:
    """Make the objects of a node that judges; None on other nodes. ``languages`` is filled while preparing.

    ``watchers``: the event streams of this process. ``watch``: tells the loops when there may be work. ``pressure``:
    tells how many nodes take jobs.
    """
    if adapters.box is None or adapters.data is None:
        return None
    wiring = _JobWiring(cfg, adapters, metrics, languages, watch, box=adapters.box, data=adapters.data)
    return wiring.parts(watchers, pressure)


class _JobWiring:
    """Makes the objects of ``JobParts`` from those that they share."""

    def __init__(
        self,
        cfg: Config,
        adapters: Adapters,
        metrics: observe.Metrics,
        languages: Mapping[str, str],
        watch: WorkWatch,
        *,
        box: Box,
        data: TestData,
    ) -> None:
        self._cfg, self._store, self._stream, self._metrics = cfg, adapters.store, adapters.stream, metrics
        self._languages, self._watch, self._box, self._data = languages, watch, box, data
        self._leases = Leases(cfg.worker.stream.lease_sec, cfg.worker.pool_size)
        self._gate, self._tasks = Gate(is_open=False), NodeTasks()  # the canaries open the gate
        options = settings.judging(cfg)
        self._headers = _headers(cfg, box, metrics)
        self._toolchain_cache = ToolchainCache(box=box, cache_dir=settings.toolchain_dir(cfg), settings=options)
        self._compiler = Compiler(
            box,
            settings=options,
            metrics=metrics,
            cache=adapters.compiled,
            headers=self._headers,
            toolchain_cache=self._toolchain_cache,
        )
        self._context = AttemptContext(
            box=box,
            compiler=self._compiler,
            workdir=cfg.workspace / ATTEMPTS,
            settings=options,
            metrics=metrics,
            idle_slots=HelperSlots(self._leases.idle) if cfg.worker.parallel_tests else None,
            start_task=self._tasks.start,
        )

    def parts(self, watchers: LiveReceiver, pressure: LatestPressure) -> JobParts:
        leases, gate, languages = self._leases, self._gate, self._languages
        progress = ProgressBuffer(self._metrics, watchers=watchers)
        judge_of = ClaimJudge(context=self._context, data=self._data, rejudges=self._store.rejudges, progress=progress)
        run_intake = self._run_intake() if self._cfg.api.limits.run_enabled else None
        job_intake = self._job_intake(progress, run_intake)
        work: list[LeasedWork[Any, Any]] = [self._job_work(job_intake, judge_of)]
        if run_intake is not None:
            work.append(self._run_work(run_intake, judge_of))
        room = EarlyRoom(leases=leases, gate=gate, pressure=pressure)
        return JobParts(
            box=self._box,
            compiler=self._compiler,
            gate=gate,
            job_intake=job_intake,
            progress=progress,
            run_intake=run_intake,
            background=self._background(),
            work=work,
            tasks=self._tasks,
            early_compiler=IdleSlotCompiler(
                context=self._context, start_task=self._tasks.start, has_room=room.has_room
            ),
            headers=self._headers,
            toolchains=MakeToolchainArchives(
                cache=self._toolchain_cache, leases=leases, gate=gate, languages=languages
            ),
        )

    def _job_intake(self, progress: ProgressBuffer, run_intake: RunIntake | None) -> JobIntake:
        return JobIntake(
            self._store.leases,
            self._stream,
            self._leases,
            settings.leasing(self._cfg, self._languages),
            self._metrics,
            gate=self._gate,
            progress=progress,
            on_run=_ignore_run if run_intake is None else run_intake.due.set,
        )

    def _job_work(self, intake: JobIntake, judge_of: ClaimJudge) -> LeasedWork[Any, Any]:
        work = Work(
            jobs=self._store.leases,
            stream=self._stream,
            judge_claim=judge_of.judge_claim,
            metrics=self._metrics,
            progress=judge_of.progress,
            start_task=self._tasks.start,
        )
        return LeasedWork(kind="job", intake=intake, handler=work)

    def _run_intake(self) -> RunIntake:
        return RunIntake(
            self._store.run_leases,
            self._stream,
            self._leases,
            settings.run_leasing(self._cfg, self._languages),
            self._metrics,
            share=self._cfg.worker.run_slots,
            gate=self._gate,
            due=self._watch.signal(WorkKind.RUNS, poll_s=RUN_POLL_S),
        )

    def _run_work(self, intake: RunIntake, judge_of: ClaimJudge) -> LeasedWork[Any, Any]:
        work = RunWork(
            runs=self._store.run_leases,
            run_claim=judge_of.run_claim,
            metrics=self._metrics,
            user_max_bytes=self._cfg.api.limits.run_kept_max_bytes,
        )
        return LeasedWork(kind="run", intake=intake, handler=work)

    def _background(self) -> BackgroundJudges:
        store = self._store
        programs = BackgroundPrograms(
            context=self._context,
            data=self._data,
            problems=store.problems,
            example_leases=store.example_leases,
            preview_leases=store.preview_leases,
            rerun_leases=store.rerun_leases,
            metrics=self._metrics,
        )
        return background_judges(
            programs,
            leases=self._leases,
            gate=self._gate,
            watch=self._watch,
            owner=self._cfg.consumer,
            languages=self._languages,
        )


def _headers(cfg: Config, box: Box, metrics: observe.Metrics) -> HeaderCache | None:
    where = settings.headers_dir(cfg)
    if where is None or box.isolation is Isolation.WEAK:  # `weak` cannot mount them for a run
        return None
    return HeaderCache(box, where, metrics=metrics)


def _ignore_run() -> None:
    """Do nothing: the notification of custom runs on a node that takes none."""
