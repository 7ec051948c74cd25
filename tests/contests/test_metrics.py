"""No metric names a verdict of a contest that is not over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import trio

from deepoj.nursery.work import Work
from deepoj.observe import Metrics
from deepoj.pipeline.finalize import finalize
from deepoj.words.jobs import Claim
from deepoj.words.results import Report, Verdict
from tests.contests.scene import HOUR_MS, Scene, ago, opened, scene
from tests.contract.labs import claim, report
from tests.fakes.stream import MemoryStream

__all__ = ["scene"]


async def _judge(scene: Scene, job_id: str, verdict: Verdict, entry_id: str) -> str:
    """Judge a job as a node does. Return its metrics."""
    metrics, leases = Metrics(), scene.lab.store.leases

    async def judged(_claim: Claim) -> Report:
        await trio.lowlevel.checkpoint()
        return report(verdict)

    won = await claim(scene.lab, job_id, entry_id=entry_id)
    work = Work(jobs=leases, stream=MemoryStream(), judge_claim=judged, metrics=metrics)
    ended = await work.judge(won)
    assert isinstance(ended, Report)
    assert await finalize(leases, won, ended, metrics) is None
    return metrics.render().decode()


def _named(metrics: str) -> set[str]:
    """Return the words for verdicts that stand in metrics."""
    return {word for word in ("withheld", *(verdict.value for verdict in Verdict)) if f'"{word}"' in metrics}


@pytest.mark.parametrize(
    "rules",
    [
        {"freeze_ms": None},
        {"freeze_ms": 4 * HOUR_MS},
        {"freeze_ms": None, "kind": "ioi"},
        {"freeze_ms": None, "feedback": "hidden"},
        {"freeze_ms": None, "is_verifying": True},
        {"freeze_ms": None, "kind": "homework", "late_ms": HOUR_MS},
    ],
    ids=["running", "frozen", "ioi", "hidden", "verifying", "homework"],
)
async def test_metrics_name_no_verdict_of_a_contest_before_its_end(scene: Scene, rules: Mapping[str, Any]) -> None:
    await opened(scene, **rules)
    for number, verdict in enumerate((Verdict.ACCEPTED, Verdict.WRONG_ANSWER, Verdict.COMPILE_ERROR)):
        sent = {"problem": "A", "language": "cpp17", "code": f"{number}"}
        job_id = str((await scene.done("owl", "POST", "/finals/submit", sent))["job_id"])
        assert _named(await _judge(scene, job_id, verdict, f"{number}-1")) == {"withheld"}
    await scene.lab.store.rejudges.rejudge(job_id, None, by="jury", in_full=True, stream_key="s")
    assert _named(await _judge(scene, job_id, Verdict.WRONG_ANSWER, "9-1")) == {"withheld"}


async def test_metrics_name_verdicts_once_a_contest_is_over_and_thawed(scene: Scene) -> None:
    await opened(scene, freeze_ms=HOUR_MS, start_at=ago(2 * HOUR_MS))
    job_id = await scene.verdict("owl", Verdict.WRONG_ANSWER, "1")
    rejudges = scene.lab.store.rejudges
    await scene.done("jury", "PATCH", "/finals", {"duration_ms": HOUR_MS})
    await scene.advance()
    await rejudges.rejudge(job_id, None, by="jury", in_full=True, stream_key="s")
    assert _named(await _judge(scene, job_id, Verdict.ACCEPTED, "2-1")) == {"withheld"}, "its freeze goes on"
    await scene.done("jury", "POST", "/finals/clock", {"act": "thaw"})
    await scene.advance()
    await rejudges.rejudge(job_id, None, by="jury", in_full=True, stream_key="s")
    assert _named(await _judge(scene, job_id, Verdict.ACCEPTED, "3-1")) == {"Accepted"}


async def test_metrics_name_a_system_error_of_a_running_contest(scene: Scene) -> None:
    """It says nothing about the program, and an alert waits for it."""
    await opened(scene, freeze_ms=4 * HOUR_MS)
    sent = {"problem": "A", "language": "cpp17", "code": "1"}
    job_id = str((await scene.done("owl", "POST", "/finals/submit", sent))["job_id"])
    assert _named(await _judge(scene, job_id, Verdict.SYSTEM_ERROR, "1-1")) == {"System Error"}
