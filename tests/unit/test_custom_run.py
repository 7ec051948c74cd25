"""A custom run, from the claim to the report, over a scripted box; and the taking of one, over fakes."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import trio

from deepoj.judging.exec_rules import MIB
from deepoj.judging.languages import LANGUAGES
from deepoj.observe import Metrics
from deepoj.playground import rules
from deepoj.playground.attempt import run_custom
from deepoj.playground.order import RING_S, order_run
from deepoj.words.errors import BoxBroken, StoreUnavailable, StreamUnavailable
from deepoj.words.playground import CustomClaim, CustomDraft, CustomReceipt, CustomRefusal, CustomReport, CustomStatus
from deepoj.words.results import Infra
from deepoj.words.sandbox import Isolation, Policy, RunOutcome, RunVerdict, SandboxError
from tests.fakes.attempts import attempt_context
from tests.fakes.box import ScriptedBox, outcome
from tests.fakes.settings import judge_settings
from tests.fakes.store import MemoryStore
from tests.fakes.stream import MemoryStream
from tests.unit.makers import a_custom_claim

SETTINGS = judge_settings(stdout_limit_bytes=8, stderr_limit_bytes=4)


def left_in(directory: Path) -> list[Path]:
    return list(directory.iterdir())


async def ran(box: ScriptedBox, claim: CustomClaim, tmp_path: Path, metrics: Metrics) -> CustomReport | Infra:
    found = await run_custom(attempt_context(box, tmp_path, SETTINGS, metrics=metrics), claim)
    assert left_in(tmp_path) == []  # nothing of the attempt is left
    return found


async def test_a_program_reads_its_input_and_what_it_prints_is_kept(tmp_path: Path, metrics: Metrics) -> None:
    box = ScriptedBox()
    found = await ran(box, a_custom_claim(), tmp_path, metrics)
    assert isinstance(found, CustomReport)
    assert (found.status, found.isolation) == (CustomStatus.FINISHED, Isolation.NAMESPACES)
    assert found.outcome is not None
    assert found.outcome.stdout == b"3\n"
    assert found.compile is not None
    assert found.compile.ok
    (spec,) = box.runs()
    assert spec.policy is Policy.RUN
    assert [one.user_id for one in box.specs] == [1001, 1001]
    assert (spec.limits.cpu_ms, spec.limits.memory_bytes) == (1500, 64 * MIB)
    assert spec.limits.wall_ms == 4500
    result = rules.as_result(a_custom_claim(), found)
    assert (result["stdout_len"], result["truncated_stdout"], result["exit_code"]) == (2, False, 0)
    assert result["explanation"] == []


@pytest.mark.parametrize(
    ("ended", "status", "rule"),
    [
        (outcome(RunVerdict.TLE, cpu_ms=1600), CustomStatus.TIME_LIMIT_EXCEEDED, "cpu"),
        (outcome(RunVerdict.TLE, rule="wall"), CustomStatus.TIME_LIMIT_EXCEEDED, "wall"),
        (outcome(RunVerdict.MLE), CustomStatus.MEMORY_LIMIT_EXCEEDED, "memory"),
        (outcome(RunVerdict.OLE), CustomStatus.OUTPUT_LIMIT_EXCEEDED, "output"),
        (outcome(RunVerdict.RE, exit_code=3), CustomStatus.RUNTIME_ERROR, "exit"),
        (outcome(RunVerdict.RE, exit_signal=11), CustomStatus.RUNTIME_ERROR, "signal"),
    ],
)
async def test_how_a_program_ends(
    tmp_path: Path, metrics: Metrics, ended: RunOutcome, status: CustomStatus, rule: str
) -> None:
    box = ScriptedBox()
    box.on(Policy.RUN, b"main", ended)
    found = await ran(box, a_custom_claim(), tmp_path, metrics)
    assert isinstance(found, CustomReport)
    assert found.status is status
    assert [why["rule"] for why in found.explanation] == [rule]
    result = rules.as_result(a_custom_claim(), found)
    assert (result["exit_code"], result["exit_signal"]) == (ended.exit_code, ended.exit_signal)


async def test_no_more_is_kept_of_the_output_than_is_said(tmp_path: Path, metrics: Metrics) -> None:
    box = ScriptedBox()
    box.on(Policy.RUN, b"main", outcome(stdout=b"0123456789", stderr=b"abcdef"))
    found = await ran(box, a_custom_claim(), tmp_path, metrics)
    assert isinstance(found, CustomReport)
    assert found.outcome is not None
    assert (found.outcome.stdout, found.outcome.stderr) == (b"01234567", b"abcd")
    result = rules.as_result(a_custom_claim(), found)
    assert (result["stdout_len"], result["truncated_stdout"]) == (10, True)
    assert (result["stderr_len"], result["truncated_stderr"]) == (6, True)


async def test_custom_run_that_does_not_compile_is_a_compile_error(tmp_path: Path, metrics: Metrics) -> None:
    box = ScriptedBox()
    box.on(Policy.COMPILE, b"main", outcome(RunVerdict.RE, exit_code=1, stderr=b"main.cpp:1: error: no\0good"))
    found = await ran(box, a_custom_claim(), tmp_path, metrics)
    assert isinstance(found, CustomReport)
    assert found.status is CustomStatus.COMPILE_ERROR
    assert box.runs() == []
    result = rules.as_result(a_custom_claim(), found)
    assert "error: no\u2400good" in result["compile"]["output"]
    assert (result["exit_code"], result["time_used"], result["stdout_len"]) == (None, 0, 0)
    assert [why["rule"] for why in result["explanation"]] == ["compile"]


@pytest.mark.parametrize("reply", [outcome(RunVerdict.SE), outcome(RunVerdict.RE, rule="a new one")])
async def test_custom_run_that_the_sandbox_broke_is_infra(tmp_path: Path, metrics: Metrics, reply: RunOutcome) -> None:
    box = ScriptedBox()
    box.on(Policy.RUN, b"main", reply)
    found = await ran(box, a_custom_claim(), tmp_path, metrics)
    assert isinstance(found, Infra)
    assert found.code == "sandbox"


async def test_a_full_host_is_an_outage(tmp_path: Path, metrics: Metrics) -> None:
    box = ScriptedBox()
    box.on(Policy.RUN, b"main", outcome(RunVerdict.SE, sandbox_error=SandboxError("mount", 28)))
    found = await ran(box, a_custom_claim(), tmp_path, metrics)
    assert isinstance(found, Infra)
    assert found.outage


async def test_a_box_that_falls_leaves_no_directory(tmp_path: Path, metrics: Metrics) -> None:
    box = ScriptedBox()
    box.on(Policy.RUN, b"main", BoxBroken("gone"))
    with pytest.raises(BoxBroken):
        await ran(box, a_custom_claim(), tmp_path, metrics)
    assert left_in(tmp_path) == []


async def test_a_language_of_another_version(tmp_path: Path, metrics: Metrics) -> None:
    assert await ran(ScriptedBox(), a_custom_claim("klingon"), tmp_path, metrics) == Infra(
        "unknown_language", "this node has no language 'klingon'"
    )


def test_every_run_verdict_has_a_word() -> None:
    for verdict in RunVerdict:
        assert rules.status_of(outcome(verdict)) in CustomStatus


def test_a_runtime_is_told_a_memory_limit_that_it_can_have() -> None:
    assert rules.memory_mb(a_custom_claim(memory_limit_kb=1)) == 1
    java = LANGUAGES["java"]
    limits = rules.limits_of(a_custom_claim("java", memory_limit_kb=65_536), SETTINGS, java)
    assert limits.memory_bytes == (64 + java.memory_added_mb) * MIB


# ---------------------------------------------------------------------------------------------------------------------
# Taking one


def a_draft(user_id: int = 1001) -> CustomDraft:
    return CustomDraft(
        user_id=user_id, language="python3", code="x", stdin=b"", time_limit_ms=1, memory_limit_kb=1, trace_id="t"
    )


async def ordered(store: MemoryStore, stream: MemoryStream, metrics: Metrics) -> CustomReceipt | CustomRefusal:
    return await order_run(store, stream, a_draft(), per_user=2, metrics=metrics)


async def test_a_run_that_is_taken_is_rung_and_nothing_of_it_goes_through_the_stream(
    autojump_clock: object, metrics: Metrics
) -> None:
    store, stream = MemoryStore(), MemoryStream()
    taken = await ordered(store, stream, metrics)
    assert isinstance(taken, CustomReceipt)
    assert [dict(entry) for entry in stream.server.entries.values()] == [
        {"job_id": taken.run_id, "enqueue_ts": str(taken.at_ms), "payload_ref": "", "priority": "2", "event_id": "0"}
    ]
    assert stream.server.payloads == {}


async def test_refused_run_sends_no_notification(autojump_clock: object, metrics: Metrics) -> None:
    store, stream = MemoryStore(), MemoryStream()
    answers = [await ordered(store, stream, metrics) for _ in range(3)]
    assert answers[2] is CustomRefusal.INFLIGHT_CAP_REACHED
    assert len(stream.server.entries) == 2


async def test_a_stream_that_is_away_leaves_nothing_that_would_run_later(
    autojump_clock: object, metrics: Metrics
) -> None:
    store, stream = MemoryStore(), MemoryStream()
    stream.server.down = True
    with pytest.raises(StreamUnavailable):
        await ordered(store, stream, metrics)
    assert store.runs == {}


async def test_a_stream_that_is_silent_is_away(autojump_clock: object, metrics: Metrics) -> None:
    class Silent(MemoryStream):
        async def notify_run(self, run_id: str, at_ms: int) -> str:
            await trio.sleep(math.inf)
            return ""

    store, began = MemoryStore(), trio.current_time()
    with pytest.raises(StreamUnavailable):
        await ordered(store, Silent(), metrics)
    assert trio.current_time() - began < RING_S + 1
    assert store.runs == {}


async def test_both_away_the_row_is_all_that_is_left(autojump_clock: object, metrics: Metrics) -> None:
    store, stream = MemoryStore(), MemoryStream()
    stream.server.down = True
    store.break_next("drop_run", applied=False)
    with pytest.raises(StoreUnavailable):
        await ordered(store, stream, metrics)
    assert len(store.runs) == 1
