"""The programs that a node judges below submissions: of verifications, of previews of rejudges, and reruns."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from deepoj import observe
from deepoj.execution.context import AttemptContext
from deepoj.judging.reuse import Former, former_of
from deepoj.judging.verifications import ExampleOutcome
from deepoj.nursery.background import POLL_S, BackgroundJudge
from deepoj.nursery.gate import Gate
from deepoj.nursery.leases import Leases
from deepoj.nursery.waiting import WorkWatch
from deepoj.packages.examples import example_job
from deepoj.pipeline.judge import judge
from deepoj.pipeline.preview import settle_preview_job
from deepoj.pipeline.rerun import run_test_again, settle_rerun
from deepoj.pipeline.verify import settle_example
from deepoj.ports.previews import PreviewLeases
from deepoj.ports.problems import Problems
from deepoj.ports.reruns import RerunLeases
from deepoj.ports.testdata import TestData
from deepoj.ports.verifications import ExampleLeases
from deepoj.words.background import BackgroundClaim
from deepoj.words.jobs import Claim
from deepoj.words.previews import PreviewClaim, PreviewOutcome
from deepoj.words.problems import Problem
from deepoj.words.reruns import RerunClaim, RerunOutcome
from deepoj.words.results import Infra, Report
from deepoj.words.verifications import ExampleClaim
from deepoj.words.waiting import WorkKind

#: of reruns, for which a person waits: patience beside submissions, and pause between polls
RERUN_PATIENCE_S, RERUN_POLL_S = 10.0, 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundPrograms:
    """Judges a claimed program of each kind, and writes its outcome.

    Each way of judging returns None if the problem has another version by now."""

    context: AttemptContext
    data: TestData
    problems: Problems
    example_leases: ExampleLeases
    preview_leases: PreviewLeases
    rerun_leases: RerunLeases
    metrics: observe.Metrics

    async def judge_example(self, claim: ExampleClaim) -> Report | Infra | None:
        """Judge a submission of a verification as a contestant's."""
        problem = await self._problem_of(claim)
        return None if problem is None else await self._judge("verify", claim, problem)

    async def settle_example(self, claim: ExampleClaim, judged: Report | Infra) -> None:
        await settle_example(self.example_leases, claim, judged)

    async def judge_preview(self, claim: PreviewClaim) -> Report | Infra | None:
        """Judge a submission of a preview as a rejudge would."""
        problem = await self._problem_of(claim)
        if problem is None:
            return None
        reusable = None if claim.former is None else former_of(claim.former)
        return await self._judge("preview", claim, _limited(problem, claim), reusable)

    async def settle_preview(self, claim: PreviewClaim, judged: Report | Infra) -> None:
        await settle_preview_job(self.preview_leases, self.metrics, claim, judged)

    async def rerun(self, claim: RerunClaim) -> RerunOutcome | Infra | None:
        """Run a test of a submission again."""
        problem = await self._problem_of(claim)
        if problem is None:
            return None
        job = _job("rerun", claim, _limited(problem, claim))
        return await run_test_again(self.context, self.data, job, claim.test)

    async def settle_rerun(self, claim: RerunClaim, done: RerunOutcome | Infra) -> None:
        await settle_rerun(self.rerun_leases, self.metrics, claim, done)

    async def _problem_of(self, claim: BackgroundClaim) -> Problem | None:
        problem = await self.problems.problem(claim.problem_id)
        return None if problem is None or problem.version != claim.problem_version else problem

    async def _judge(
        self, kind: str, claim: BackgroundClaim, problem: Problem, reusable: Former | None = None
    ) -> Report | Infra | None:
        return await judge(self.context, self.data, _job(kind, claim, problem), former=reusable)


def _job(kind: str, claim: BackgroundClaim, problem: Problem) -> Claim:
    job_id = f"{kind}-{claim.batch_id}-{claim.place}"
    attempt_id, owner = claim.attempt_id, claim.lease_owner
    return example_job(job_id, claim, claim.language, problem, attempt_id=attempt_id, owner=owner)


def _limited(problem: Problem, claim: PreviewClaim | RerunClaim) -> Problem:
    """Return the problem with the limits that the submission's contest gives it."""
    return replace(
        problem,
        time_limit_ms=claim.time_limit_ms or problem.time_limit_ms,
        memory_limit_mb=claim.memory_limit_mb or problem.memory_limit_mb,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundJudges:
    """A child for each kind. They use slots that submissions leave."""

    #: judges what packages promise
    verifying: BackgroundJudge[ExampleClaim, ExampleOutcome, Report]
    #: judges submissions again for previews of rejudges
    previewing: BackgroundJudge[PreviewClaim, PreviewOutcome, Report]
    #: runs single tests again for people who wait
    rerunning: BackgroundJudge[RerunClaim, RerunOutcome, RerunOutcome]


def background_judges(
    programs: BackgroundPrograms,
    *,
    leases: Leases,
    gate: Gate,
    watch: WorkWatch,
    owner: str,
    languages: Collection[str],
) -> BackgroundJudges:
    """Make the children. ``owner``: of their leases. ``languages``: those that this node judges, filled while it
    prepares."""
    return BackgroundJudges(
        verifying=BackgroundJudge(
            store=programs.example_leases,
            leases=leases,
            gate=gate,
            owner=owner,
            languages=languages,
            judge=programs.judge_example,
            settle=programs.settle_example,
            due=watch.signal(WorkKind.EXAMPLES, poll_s=POLL_S),
        ),
        previewing=BackgroundJudge(
            store=programs.preview_leases,
            leases=leases,
            gate=gate,
            owner=owner,
            languages=languages,
            judge=programs.judge_preview,
            settle=programs.settle_preview,
            at_most=max(1, leases.slots - 1),
            due=watch.signal(WorkKind.PREVIEW_JOBS, poll_s=POLL_S),
        ),
        rerunning=BackgroundJudge(
            store=programs.rerun_leases,
            leases=leases,
            gate=gate,
            owner=owner,
            languages=languages,
            judge=programs.rerun,
            settle=programs.settle_rerun,
            patience_s=RERUN_PATIENCE_S,
            poll_s=RERUN_POLL_S,
            due=watch.signal(WorkKind.RERUNS, poll_s=RERUN_POLL_S),
        ),
    )
