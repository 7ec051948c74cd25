"""The times of the stages from submit to verdict: which are measured where, and that they add up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import trio

from deepoj.execution.context import AttemptContext
from deepoj.nursery.idle_slots import HelperSlots
from deepoj.observe import Metrics
from deepoj.pipeline import judge as judge_step
from deepoj.pipeline.claim import LeaseSettings, claim
from deepoj.words.jobs import Claim, ClaimRefusal
from deepoj.words.results import Report, Stages
from deepoj.words.sandbox import Policy, RunOutcome, RunSpec
from deepoj.words.stream import Entry
from tests.fakes.attempts import attempt_context
from tests.fakes.box import ScriptedBox
from tests.fakes.node import FakeNode, submitted, until_done
from tests.fakes.settings import judge_settings
from tests.fakes.store import MemoryStore
from tests.fakes.stream import MemoryStream
from tests.fakes.testdata import PlainTestData
from tests.unit.makers import a_claim, a_report, an_entry
from tests.unit.test_tree import running


class OneAnswer(MemoryStore):
    """A store whose claim has this answer."""

    def __init__(self, answer: Claim | ClaimRefusal) -> None:
        super().__init__()
        self.its_answer = answer

    async def claim(self, *_args: object, **_options: object) -> dict[str, Claim | ClaimRefusal]:
        return {"1700000000250-3": self.its_answer}


@pytest.mark.parametrize(
    ("enqueued_ms", "dispatch_ms"),
    [
        (1_700_000_000_240, 10),
        (1_700_000_000_000, 90),  # before the job waited at all: two clocks
        (1_700_000_000_260, 0),
    ],
)
async def test_claim_counts_the_wait_before_the_stream_apart(
    metrics: Metrics, enqueued_ms: int, dispatch_ms: int
) -> None:
    entry = replace(an_entry(entry_id="1700000000250-3"), enqueue_ts_ms=enqueued_ms)
    store = OneAnswer(replace(a_claim(entry_id=entry.entry_id), waited_ms=90))
    won = await answered(store, entry, metrics)
    assert isinstance(won, Claim)
    assert (won.waited_ms, won.dispatch_ms) == (90, dispatch_ms)
    assert seconds(metrics, "dispatch") == dispatch_ms / 1000
    assert seconds(metrics, "claim") == (90 - dispatch_ms) / 1000


async def test_claim_that_is_refused_has_no_stages(metrics: Metrics) -> None:
    refused = await answered(OneAnswer(ClaimRefusal.LEASED), an_entry(entry_id="1700000000250-3"), metrics)
    assert refused is ClaimRefusal.LEASED
    assert seconds(metrics, "dispatch") == 0


async def answered(store: MemoryStore, entry: Entry, metrics: Metrics) -> Claim | ClaimRefusal:
    answers = await claim(store, [entry], LeaseSettings("node", 60.0, 5), metrics)
    return answers[entry.entry_id]


class SlowBox(ScriptedBox):
    """A box that needs five seconds to compile and two for a test."""

    async def run(self, spec: RunSpec) -> RunOutcome:
        await trio.sleep(5.0 if spec.policy is Policy.COMPILE else 2.0)
        return await super().run(spec)


async def test_attempt_measures_compiling_and_running_by_its_own_clock(
    autojump_clock: object, tmp_path: Path, metrics: Metrics
) -> None:
    (tmp_path / "data").mkdir()
    data = PlainTestData(tmp_path / "data", [(b"1 2\n", b"3\n"), (b"5 5\n", b"10\n")])
    context = attempt_context(SlowBox(), tmp_path / "work", judge_settings(), metrics=metrics)
    report = await judge_step.judge(context, data, a_claim())
    assert isinstance(report, Report)
    assert (report.stages.compile_ms, report.stages.run_ms) == pytest.approx((5000, 4000))
    assert report.stages.compare_ms == pytest.approx(0)


async def test_attempt_counts_the_time_of_runs_beside_each_other_once(
    autojump_clock: object, tmp_path: Path, metrics: Metrics
) -> None:
    (tmp_path / "data").mkdir()
    data = PlainTestData(tmp_path / "data", [(b"1 2\n", b"3\n"), (b"5 5\n", b"10\n"), (b"0 0\n", b"0\n")])
    context = attempt_context(SlowBox(), tmp_path / "work", judge_settings(), metrics=metrics)
    report = await judge_step.judge(context_with(context, idle=1), data, a_claim())
    assert isinstance(report, Report)
    assert report.stages.run_ms == pytest.approx(4000)
    assert report.stages.compare_ms == pytest.approx(0)


def context_with(context: AttemptContext, *, idle: int) -> AttemptContext:
    """The context of a node with so many idle slots beside the attempt's own."""
    return replace(context, idle_slots=HelperSlots(lambda: idle))


async def test_stages_of_a_verdict_add_up_to_the_time_since_the_submit(
    autojump_clock: object, metrics: Metrics
) -> None:
    fake = FakeNode(store=MemoryStore(), stream=MemoryStream(), metrics=metrics)
    judged = Stages(compile_ms=300.0, run_ms=200.0, compare_ms=100.0)

    async def judge(_claim: Claim) -> Report:
        await trio.sleep(2.0)
        return replace(a_report(), stages=judged)

    fake.judge = judge
    async with running(fake):
        job_id = await submitted(fake.store, metrics)
        await until_done(fake.store, job_id)
    result = fake.store.rows[job_id].result
    assert result is not None
    stages = result["stages"]
    assert (stages["compile_ms"], stages["run_ms"], stages["compare_ms"]) == (300, 200, 100)
    assert stages["prepare_ms"] == pytest.approx(1400, abs=20)
    assert seconds(metrics, "prepare") == pytest.approx(1.4, abs=0.02)
    assert seconds(metrics, "run") == 0.2
    assert all(seconds(metrics, stage, "count") == 1 for stage in ("commit", "dispatch", "claim", "finalize"))


def seconds(metrics: Metrics, stage: str, part: str = "sum") -> float:
    """What the histogram has of a stage."""
    [value] = [
        sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == f"job_stage_seconds_{part}" and sample.labels["stage"] == stage
    ]
    return value
