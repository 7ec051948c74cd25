"""The canary step: wrong verdicts, faults of the host, and compiled programs that are kept."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from deepoj.execution import canary as step
from deepoj.execution.canary import CanaryRound, Differs, judge_canaries
from deepoj.judging.canaries import CANARIES
from deepoj.judging.languages import Toolchain
from deepoj.words.errors import BoxAway, BoxBroken
from deepoj.words.sandbox import Isolation, Policy, RunOutcome, RunSpec, RunVerdict, SandboxError
from tests.fakes.box import outcome
from tests.fakes.canary_box import CanaryBox, Lie
from tests.fakes.settings import judge_settings

OK, TLE, MLE, OLE, RE, SE = RunVerdict

#: tools that every host of the tests has, so that no canary is left out
TOOLS = Toolchain(gxx="/bin/sh", gcc="/bin/sh", python3="/bin/sh")


@pytest.fixture
def box() -> CanaryBox:
    return CanaryBox()


async def judged(box: CanaryBox, tmp_path: Path, tools: Toolchain = TOOLS) -> CanaryRound:
    return await judge_canaries(box, cache_dir=tmp_path / "shelf", settings=judge_settings(toolchain=tools))


@pytest.mark.parametrize("isolation", Isolation)
async def test_a_box_that_tells_the_truth_is_as_expected(isolation: Isolation, tmp_path: Path) -> None:
    found = await judged(CanaryBox(isolation), tmp_path)
    assert found.clean
    assert (found.as_expected, found.of, found.differing, found.without) == (len(CANARIES), len(CANARIES), (), ())


async def test_only_the_first_round_compiles(box: CanaryBox, tmp_path: Path) -> None:
    await judged(box, tmp_path)
    assert box.compiled == {"main.cpp": 2, "main.c": 1, "main.py": 1, "broken": 1}
    again = CanaryBox()  # another process, another round
    assert (await judged(again, tmp_path)).clean
    assert again.compiled == {"broken": 1}


async def test_other_compiler_version_compiles_canaries_again(box: CanaryBox, tmp_path: Path) -> None:
    tool = tmp_path / "gcc"
    tool.write_text("one")
    tool.chmod(0o755)
    tools = replace(TOOLS, gcc=str(tool))
    await judged(box, tmp_path, tools)
    tool.write_text("another")
    box.compiled.clear()
    assert (await judged(box, tmp_path, tools)).clean
    assert box.compiled == {"main.c": 1, "broken": 1}


async def test_a_round_leaves_programs_and_nothing_else(box: CanaryBox, tmp_path: Path) -> None:
    await judged(box, tmp_path)
    names = [path.name for path in (tmp_path / "shelf").iterdir()]
    assert len(names) == 4
    assert all(len(name) == 32 for name in names)


WRONG: list[tuple[str, RunOutcome, str]] = [
    ("cpu-loop", outcome(SE, sandbox_error=SandboxError("wait", errno.ECHILD)), "System Error (rule sandbox)"),
    ("cpu-loop", outcome(), "Accepted (rule ok)"),
    ("late-but-clean", outcome(cpu_ms=25), "Accepted (rule ok)"),
    ("return-minus-one", outcome(SE, sandbox_error=SandboxError("exec", errno.ENOENT)), "System Error (rule sandbox)"),
    ("return-minus-one", outcome(RE, exit_code=1), "Runtime Error (rule exit, exit code 1)"),
    ("uncaught-exception", outcome(RE, exit_signal=31), "Runtime Error (rule signal, signal 31)"),
    ("uncaught-exception", outcome(RE, exit_signal=6), "without 'nobody catches this' on stderr"),
    ("abort", outcome(RE, exit_signal=11), "Runtime Error (rule signal, signal 11)"),
    ("heap-growth", outcome(RE, exit_code=1), "Runtime Error (rule exit, exit code 1)"),
    ("vector-growth", outcome(RE, exit_signal=6), "Runtime Error (rule signal, signal 6)"),
    ("empty", outcome(memory_kb=10_240), "using 10240 KB, where 2047 are allowed"),
    ("exit-127-forged", outcome(SE, sandbox_error=SandboxError("exec", errno.ENOEXEC)), "System Error (rule sandbox)"),
    ("sleep-for-ever", outcome(TLE, rule="cpu"), "Time Limit Exceeded (rule cpu)"),
    ("output-flood", outcome(RE, exit_signal=13), "Runtime Error (rule signal, signal 13)"),
    ("wrong-answer", outcome(stdout=b"42"), "Accepted (rule ok)"),
    ("accepted", outcome(stdout=b"41"), "Wrong Answer (rule compare)"),
    ("large-output", outcome(stdout=b"x" * 1000), "Wrong Answer (rule compare)"),
    ("compile-error", outcome(RE, exit_code=1, stderr=b"no words"), "without 'undeclared' on stderr"),
    ("vectored-output", outcome(RE, exit_signal=31), "Runtime Error (rule signal, signal 31)"),
    ("host-files", outcome(RE, exit_code=93), "Runtime Error (rule exit, exit code 93)"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "lie", "words"), WRONG, ids=[f"{name}-{number}" for number, (name, *_) in
                                                              enumerate(WRONG)])  # fmt: skip
async def test_a_wrong_verdict_is_found(
    box: CanaryBox, tmp_path: Path, *, name: str, lie: RunOutcome, words: str
) -> None:
    """Wrong verdicts that happened, and some that could happen."""
    box.lies[name] = lie
    found = await judged(box, tmp_path)
    assert [differs.name for differs in found.differing] == [name]
    assert words in found.differing[0].found
    assert (found.as_expected, found.unjudged, found.clean) == (len(CANARIES) - 1, "", False)
    assert str(found.differing[0]).startswith(f"canary {name}: expected ")


async def test_a_compiler_that_takes_everything_is_found(box: CanaryBox, tmp_path: Path) -> None:
    box.lies["compile-error"] = outcome()  # and it leaves no program
    found = await judged(box, tmp_path)
    assert [differs.name for differs in found.differing] == ["compile-error"]


async def test_a_level_has_its_own_fate(tmp_path: Path) -> None:
    counted = outcome(RE, rule="processes", isolation=Isolation.NAMESPACES)
    by_level = {Isolation.NAMESPACES: counted, Isolation.FULL: replace(counted, isolation=Isolation.FULL)}
    differing = {}
    for level, lie in by_level.items():
        box = CanaryBox(level)
        box.lies["fork-bomb"] = lie
        differing[level] = [differs.name for differs in (await judged(box, tmp_path)).differing]
    assert differing == {Isolation.NAMESPACES: [], Isolation.FULL: ["fork-bomb"]}


async def test_canary_that_differs_in_fewer_than_all_tries_is_wavering(box: CanaryBox, tmp_path: Path) -> None:
    box.lies["cpu-loop"], box.times["cpu-loop"] = outcome(), step.TRIES - 1
    found = await judged(box, tmp_path)
    assert found.clean
    assert [differs.name for differs in found.wavering] == ["cpu-loop"] * (step.TRIES - 1)
    assert box.judged["cpu-loop"] == step.TRIES


async def test_a_slow_host_is_no_wrong_judge(box: CanaryBox, tmp_path: Path) -> None:
    """A slow host: its interpreter takes half a second to start."""

    def slow(spec: RunSpec) -> RunOutcome:
        late = spec.limits.cpu_ms < 500
        return outcome(TLE) if late else outcome(stdout=b"hello 42\n")

    box.lies["python-hello"] = slow
    assert (await judged(box, tmp_path)).clean


async def test_a_limit_that_is_looked_at_stays_as_it_is(box: CanaryBox, tmp_path: Path) -> None:
    box.lies["late-but-clean"] = outcome()
    await judged(box, tmp_path)
    limits = {spec.limits.cpu_ms for spec in box.specs if spec.stdin and spec.stdin.stem == "late-but-clean"}
    assert limits == {20}


async def test_spoilt_program_is_compiled_again(box: CanaryBox, tmp_path: Path) -> None:
    """A program that the disk lost must not stop a node for good."""
    await judged(box, tmp_path)
    for program in (tmp_path / "shelf").glob("*/main"):
        program.write_bytes(b"")
    box.compiled.clear()
    assert (await judged(box, tmp_path)).clean
    assert box.compiled == {"main.cpp": 2, "main.c": 1, "broken": 1}
    assert (await judged(box, tmp_path)).clean


@pytest.mark.parametrize(
    "lie",
    [
        BoxAway("the launcher cannot be started"),
        BoxBroken("the launcher fell"),
        outcome(SE, sandbox_error=SandboxError("clone", errno.ENOMEM)),
    ],
)
async def test_canary_that_the_sandbox_cannot_run_is_unjudged(box: CanaryBox, tmp_path: Path, lie: Lie) -> None:
    box.lies["abort"] = lie
    found = await judged(box, tmp_path)
    assert found.differing == ()
    assert found.unjudged
    assert 0 < found.as_expected < len(CANARIES)
    assert not found.clean
    assert not list((tmp_path / "shelf").glob("round-*"))


async def test_a_compiler_that_is_stopped_says_nothing_about_verdicts(
    box: CanaryBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A compiler stopped by its limits shows an overloaded host; one killed by a signal shows the OOM killer."""
    for ended in (outcome(TLE, rule="wall"), outcome(RE, exit_signal=9)):
        monkeypatch.setattr(box, "_compile", lambda _spec, ended=ended: ended)
        found = await judged(box, tmp_path)
        assert found.differing == ()
        assert "compiling canary" in found.unjudged


async def test_compiling_does_not_depend_on_the_operators_limits(box: CanaryBox, tmp_path: Path) -> None:
    settings = judge_settings(toolchain=TOOLS, compile_cpu_ms=1, compile_wall_ms=1)
    await judge_canaries(box, cache_dir=tmp_path / "shelf", settings=settings)
    compiling = [spec.limits for spec in box.specs if spec.policy is Policy.COMPILE]
    assert {limits.cpu_ms for limits in compiling} == {step.COMPILE_CPU_MS}
    assert {limits.wall_ms for limits in compiling} == {step.COMPILE_WALL_MS}


async def test_a_shelf_that_cannot_be_written_is_said(box: CanaryBox, tmp_path: Path) -> None:
    (tmp_path / "shelf").write_text("a file")
    found = await judged(box, tmp_path)
    assert (found.as_expected, found.differing) == (0, ())
    assert "shelf" in found.unjudged


async def test_languages_that_a_host_lacks_are_left_out(box: CanaryBox, tmp_path: Path) -> None:
    found = await judged(box, tmp_path, replace(TOOLS, gcc="/nowhere/gcc", python3="/nowhere/python3"))
    assert found.clean
    assert found.without == ("c17", "python3")
    assert found.as_expected == found.of == sum(canary.language == "cpp17" for canary in CANARIES)


async def test_a_round_on_a_box_that_gets_everything_wrong_ends_soon(box: CanaryBox, tmp_path: Path) -> None:
    box.lies = {canary.name: outcome(RE, exit_code=77) for canary in CANARIES}
    found = await judged(box, tmp_path)
    assert len(found.differing) == step.ENOUGH
    assert sum(box.judged.values()) <= step.ENOUGH * step.TRIES


async def test_leftovers_of_rounds_that_died_are_removed(box: CanaryBox, tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    for name, age_s in (("round-old", 2 * step.STALE_S), ("round-living", 10.0), ("a" * 32, 2 * step.FORGOTTEN_S)):
        path = shelf / name
        path.mkdir(parents=True)
        (path / "file").write_text("x")
        then = path.stat().st_mtime - age_s
        os.utime(path, (then, then))
    await judged(box, tmp_path)
    left = {path.name for path in shelf.iterdir()}
    assert "round-living" in left
    assert not left & {"round-old", "a" * 32}


def test_a_difference_reads_as_a_sentence() -> None:
    words = str(Differs("cpu-loop", "Time Limit Exceeded (rule cpu)", "Accepted (rule ok)"))
    assert words == "canary cpu-loop: expected Time Limit Exceeded (rule cpu), found Accepted (rule ok)"
