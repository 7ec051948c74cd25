"""The parts of a node that judges: what decides which jobs and custom runs it takes, and the work on one of
them. ``nursery/tree.py`` starts a task for each in the nursery of the jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from deepoj import observe
from deepoj.capacity.pressure import LatestPressure
from deepoj.config.model import Config
from deepoj.execution.compiling import Compiler
from deepoj.execution.context import AttemptContext
from deepoj.execution.early import IdleSlotCompiler
from deepoj.execution.header_cache import HeaderCache
from deepoj.execution.toolchain_cache import ToolchainCache
from deepoj.judging.reuse import Former, former_of
from deepoj.judging.verifications import ExampleOutcome
from deepoj.nursery.background import POLL_S, BackgroundJudge
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
from deepoj.packages.examples import example_job
from deepoj.pipeline.judge import judge
from deepoj.pipeline.preview import settle_preview_job
from deepoj.pipeline.progress import ProgressBuffer
from deepoj.pipeline.rejudge import former
from deepoj.pipeline.rerun import run_test_again, settle_rerun
from deepoj.pipeline.verify import settle_example
from deepoj.playground.attempt import run_custom
from deepoj.ports.live import LiveReceiver
from deepoj.ports.problems import Problems
from deepoj.ports.rejudges import Rejudges
from deepoj.ports.sandbox import Box
from deepoj.ports.testdata import TestData
from deepoj.wiring import settings
from deepoj.wiring.adapters import Adapters
from deepoj.words.background import BackgroundClaim
from deepoj.words.jobs import Claim
from deepoj.words.playground import CustomClaim, CustomReport
from deepoj.words.previews import PreviewClaim, PreviewOutcome
from deepoj.words.problems import Problem
from deepoj.words.reruns import RerunClaim, RerunOutcome
from deepoj.words.results import Infra, Report
from deepoj.words.sandbox import Isolation
from deepoj.words.verifications import ExampleClaim
from deepoj.words.waiting import WorkKind

#: subdirectory of the workspace: a directory per attempt
ATTEMPTS = "attempts"
#: of reruns, for which a person waits: patience beside submissions, and pause between polls
RERUN_PATIENCE_S, RERUN_POLL_S = 10.0, 1.0


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
    #: judges what packages promise, with slots that submissions leave
    verifying: BackgroundJudge[ExampleClaim, ExampleOutcome, Report]
    #: judges submissions again for previews of rejudges, with such slots as well
    previewing: BackgroundJudge[PreviewClaim, PreviewOutcome, Report]
    #: runs single tests again for people who wait, with such slots as well
    rerunning: BackgroundJudge[RerunClaim, RerunOutcome, RerunOutcome]
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
    problems: Problems
    progress: ProgressBuffer

    async def judge_claim(self, claim: Claim) -> Report | Infra:
        return await judge(
            self.context,
            self.data,
            claim,
            former=await former(self.rejudges, claim),
            on_test=lambda test, index, count: self.progress.test_ended(claim, index, count, test),
        )

    async def judge_example(self, claim: ExampleClaim) -> Report | Infra | None:
        """Judge a submission of a verification as a contestant's; None: its problem has another version by now."""
        problem = await self._problem_of(claim)
        return None if problem is None else await self._judge_background("verify", claim, problem)

    async def judge_preview(self, claim: PreviewClaim) -> Report | Infra | None:
        """Judge a submission of a preview as a rejudge would; None: its problem has another version by now."""
        problem = await self._problem_of(claim)
        if problem is None:
            return None
        problem = _limited(problem, claim)
        reusable = None if claim.former is None else former_of(claim.former)
        return await self._judge_background("preview", claim, problem, reusable)

    async def rerun(self, claim: RerunClaim) -> RerunOutcome | Infra | None:
        """Run a test of a submission again; None: its problem has another version by now."""
        problem = await self._problem_of(claim)
        if problem is None:
            return None
        job = self._background_job("rerun", claim, _limited(problem, claim))
        return await run_test_again(self.context, self.data, job, claim.test)

    async def _problem_of(self, claim: BackgroundClaim) -> Problem | None:
        problem = await self.problems.problem(claim.problem_id)
        return None if problem is None or problem.version != claim.problem_version else problem

    async def _judge_background(
        self, kind: str, claim: BackgroundClaim, problem: Problem, reusable: Former | None = None
    ) -> Report | Infra | None:
        return await judge(self.context, self.data, self._background_job(kind, claim, problem), former=reusable)

    def _background_job(self, kind: str, claim: BackgroundClaim, problem: Problem) -> Claim:
        job_id = f"{kind}-{claim.batch_id}-{claim.place}"
        attempt_id, owner = claim.attempt_id, claim.lease_owner
        return example_job(job_id, claim, claim.language, problem, attempt_id=attempt_id, owner=owner)

    async def run_claim(self, claim: CustomClaim) -> CustomReport | Infra:
        return await run_custom(self.context, claim)


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
    box, data, store, stream = adapters.box, adapters.data, adapters.store, adapters.stream
    if box is None or data is None:
        return None
    headers = _headers(cfg, box, metrics)
    options = settings.judging(cfg)
    toolchain_cache = ToolchainCache(box=box, cache_dir=settings.toolchain_dir(cfg), settings=options)
    compiler = Compiler(
        box,
        settings=options,
        metrics=metrics,
        cache=adapters.compiled,
        headers=headers,
        toolchain_cache=toolchain_cache,
    )
    leases = Leases(cfg.worker.stream.lease_sec, cfg.worker.pool_size)
    progress = ProgressBuffer(metrics, watchers=watchers)
    gate, tasks = Gate(is_open=False), NodeTasks()  # the canaries open the gate
    context = AttemptContext(
        box=box,
        compiler=compiler,
        workdir=cfg.workspace / ATTEMPTS,
        settings=options,
        metrics=metrics,
        idle_slots=HelperSlots(leases.idle) if cfg.worker.parallel_tests else None,
        start_task=tasks.start,
    )
    judge_of = ClaimJudge(
        context=context, data=data, rejudges=store.rejudges, problems=store.problems, progress=progress
    )
    run_intake = None
    if cfg.api.limits.run_enabled:
        run_intake = RunIntake(
            store.run_leases,
            stream,
            leases,
            settings.run_leasing(cfg, languages),
            metrics,
            share=cfg.worker.run_slots,
            gate=gate,
            due=watch.signal(WorkKind.RUNS, poll_s=RUN_POLL_S),
        )
    job_intake = JobIntake(
        store.leases,
        stream,
        leases,
        settings.leasing(cfg, languages),
        metrics,
        gate=gate,
        progress=progress,
        on_run=_ignore_run if run_intake is None else run_intake.due.set,
    )
    judging = Work(
        jobs=store.leases,
        stream=stream,
        judge_claim=judge_of.judge_claim,
        metrics=metrics,
        progress=progress,
        start_task=tasks.start,
    )
    work: list[LeasedWork[Any, Any]] = [LeasedWork(kind="job", intake=job_intake, handler=judging)]
    if run_intake is not None:
        running = RunWork(
            runs=store.run_leases,
            run_claim=judge_of.run_claim,
            metrics=metrics,
            user_max_bytes=cfg.api.limits.run_kept_max_bytes,
        )
        work.append(LeasedWork(kind="run", intake=run_intake, handler=running))
    return JobParts(
        box=box,
        compiler=compiler,
        gate=gate,
        job_intake=job_intake,
        progress=progress,
        run_intake=run_intake,
        verifying=BackgroundJudge(
            store=store.example_leases,
            leases=leases,
            gate=gate,
            owner=cfg.consumer,
            languages=languages,
            judge=judge_of.judge_example,
            settle=partial(settle_example, store.example_leases),
            due=watch.signal(WorkKind.EXAMPLES, poll_s=POLL_S),
        ),
        previewing=BackgroundJudge(
            store=store.preview_leases,
            leases=leases,
            gate=gate,
            owner=cfg.consumer,
            languages=languages,
            judge=judge_of.judge_preview,
            settle=partial(settle_preview_job, store.preview_leases, metrics),
            at_most=max(1, leases.slots - 1),
            due=watch.signal(WorkKind.PREVIEW_JOBS, poll_s=POLL_S),
        ),
        rerunning=BackgroundJudge(
            store=store.rerun_leases,
            leases=leases,
            gate=gate,
            owner=cfg.consumer,
            languages=languages,
            judge=judge_of.rerun,
            settle=partial(settle_rerun, store.rerun_leases, metrics),
            patience_s=RERUN_PATIENCE_S,
            poll_s=RERUN_POLL_S,
            due=watch.signal(WorkKind.RERUNS, poll_s=RERUN_POLL_S),
        ),
        work=work,
        tasks=tasks,
        early_compiler=IdleSlotCompiler(
            context=context, start_task=tasks.start, has_room=partial(has_room_early, leases, gate, pressure)
        ),
        headers=headers,
        toolchains=MakeToolchainArchives(cache=toolchain_cache, leases=leases, gate=gate, languages=languages),
    )


def has_room_early(leases: Leases, gate: Gate, pressure: LatestPressure, early: int) -> bool:
    """Whether a slot is idle beside ``early`` compilations, and the next job will be claimed here."""
    # With other nodes, one of them may claim the job, and a slot here would compile for nothing.
    return gate.is_open and pressure.consumers == 1 and leases.free > early


def _limited(problem: Problem, claim: PreviewClaim | RerunClaim) -> Problem:
    """Return the problem with the limits that the submission's contest gives it."""
    return replace(
        problem,
        time_limit_ms=claim.time_limit_ms or problem.time_limit_ms,
        memory_limit_mb=claim.memory_limit_mb or problem.memory_limit_mb,
    )


def _headers(cfg: Config, box: Box, metrics: observe.Metrics) -> HeaderCache | None:
    where = settings.headers_dir(cfg)
    if where is None or box.isolation is Isolation.WEAK:  # `weak` cannot mount them for a run
        return None
    return HeaderCache(box, where, metrics=metrics)


def _ignore_run() -> None:
    """Do nothing: the notification of custom runs on a node that takes none."""
