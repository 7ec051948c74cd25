"""The verdict table, row by row."""

from __future__ import annotations

import dataclasses
import errno
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepoj.adapters.sandbox.verdict import Ended, Figures, decide, is_unfit
from deepoj.judging.verdicts import RUN_TABLE
from deepoj.words.sandbox import FileIn, RunLimits, RunSpec, RunVerdict

LIMITS = RunLimits(cpu_ms=1000, wall_ms=3000, memory_bytes=64 << 20, output_bytes=1000)
FINE = Figures(
    ended_by=Ended.ITSELF, exit_code=0, exit_signal=0, cpu_us=10, wall_us=20, memory_bytes=1 << 20, output_bytes=5
)
OK, TLE, MLE, OLE, RE, SE = RunVerdict

ROWS = [
    ("fine", {}, OK, "ok"),
    ("at the limits exactly", {"cpu_us": 1_000_000, "wall_us": 3_000_000, "output_bytes": 1000}, OK, "ok"),
    ("memory at its limit, exit 0", {"memory_bytes": 64 << 20}, OK, "ok"),
    ("over CPU though exit 0", {"cpu_us": 1_000_001}, TLE, "cpu"),
    ("over wall though exit 0", {"wall_us": 3_000_001}, TLE, "wall"),
    ("over wall but for what others took", {"wall_us": 7_000_000, "delay_us": 4_000_000}, OK, "ok"),
    ("over wall with what others took", {"wall_us": 7_000_001, "delay_us": 4_000_000}, TLE, "wall"),
    ("over CPU and exit 1", {"cpu_us": 1_000_001, "exit_code": 1}, TLE, "cpu"),
    ("over memory though exit 0", {"memory_bytes": (64 << 20) + 1}, MLE, "memory"),
    ("over output though exit 0", {"output_bytes": 1001}, OLE, "output"),
    ("memory at its limit, exit 1", {"memory_bytes": 64 << 20, "exit_code": 1}, MLE, "memory"),
    ("memory at its limit, signal", {"memory_bytes": 64 << 20, "exit_signal": 11}, MLE, "memory"),
    ("the kernel killed for memory", {"oom_kill": 1, "exit_signal": 9}, MLE, "memory"),
    ("a child was killed for memory, the program said so", {"oom_kill": 1, "exit_code": 1}, MLE, "memory"),
    ("killed for memory while over CPU", {"oom_kill": 1, "exit_signal": 9, "cpu_us": 2_000_000}, MLE, "memory"),
    ("signal", {"exit_signal": 6}, RE, "signal"),
    ("SIGKILL of its own", {"exit_signal": 9}, RE, "signal"),
    ("we killed for CPU", {"ended_by": Ended.CPU, "exit_signal": 9, "cpu_us": 1_000_001}, TLE, "cpu"),
    ("we killed for wall", {"ended_by": Ended.WALL, "exit_signal": 9}, TLE, "wall"),
    ("we killed for memory", {"ended_by": Ended.MEMORY, "exit_signal": 9}, MLE, "memory"),
    ("we killed for output", {"ended_by": Ended.OUTPUT, "exit_signal": 9, "cpu_us": 1_100_000}, OLE, "output"),
    ("we killed for processes", {"ended_by": Ended.PROCESSES, "exit_signal": 9}, RE, "processes"),
    ("a step of ours failed", {"faulted": True, "cpu_us": 9_000_000}, SE, "sandbox"),
    ("what it brought is no program", {"unfit": True}, RE, "exec"),
    *[(f"exit {code}", {"exit_code": code}, RE, "exit") for code in (1, 2, 119, 120, 124, 125, 126, 127, 128, 255)],
]


@pytest.mark.parametrize(("changed", "verdict", "rule"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_row(changed: dict[str, int], verdict: RunVerdict, rule: str) -> None:
    assert decide(dataclasses.replace(FINE, **changed), LIMITS) == (verdict, rule)  # type: ignore[arg-type]


@pytest.mark.parametrize(("verdict", "rule"), dict.fromkeys(row[2:] for row in ROWS))
def test_judging_knows_every_rule(verdict: RunVerdict, rule: str) -> None:
    """A rule that it did not know would be a System Error: an attempt after the other, then a dead letter."""
    assert (verdict, rule) in RUN_TABLE


@pytest.mark.parametrize(
    ("step", "error", "argv", "unfit"),
    [
        ("exec", errno.ENOEXEC, "./main", True),
        ("exec", errno.ENOENT, "./main", True),  # its interpreter
        ("exec", errno.ENOMEM, "./main", False),
        ("exec", errno.EAGAIN, "./main", False),
        ("exec", errno.EMFILE, "./main", False),
        ("exec", errno.ENFILE, "./main", False),
        ("exec", errno.EIO, "./main", True),  # its interpreter is too short
        ("exec", errno.EPERM, "./main", True),
        ("exec", errno.ETXTBSY, "./main", True),
        ("exec", errno.EIO, "/usr/bin/python3", False),
        ("exec", errno.ENOENT, "/usr/bin/python3", False),
        ("exec", errno.ENOENT, "./main.py", False),
        ("scratch", errno.ENOENT, "./main", False),
    ],
)
def test_program_that_cannot_start_is_blamed_on_program_or_host(step: str, error: int, argv: str, unfit: bool) -> None:
    files = (FileIn("main", Path("program"), executable=True), FileIn("main.py", Path("source")))

    assert is_unfit(step, error, RunSpec(argv=(argv,), limits=LIMITS, files_in=files)) is unfit


figures = st.builds(
    Figures,
    ended_by=st.sampled_from(Ended),
    exit_code=st.integers(0, 255),
    exit_signal=st.sampled_from([0, 0, 6, 9, 11, 31]),
    cpu_us=st.integers(0, 2_000_000),
    wall_us=st.integers(0, 6_000_000),
    memory_bytes=st.integers(0, 128 << 20),
    output_bytes=st.integers(0, 2000),
    oom_kill=st.integers(0, 2),
    faulted=st.booleans(),
)


@given(figures)
def test_only_a_clean_run_within_every_limit_is_ok_and_only_a_fault_is_ours(found: Figures) -> None:
    verdict, _ = decide(found, LIMITS)

    assert (verdict is SE) == found.faulted
    if verdict is OK:
        assert found.ended_by in (Ended.ITSELF, Ended.CANCELLED)
        assert (found.exit_code, found.exit_signal) == (0, 0)
        assert found.cpu_us <= 1_000_000
        assert found.wall_us <= 3_000_000
        assert found.memory_bytes <= LIMITS.memory_bytes
        assert found.output_bytes <= LIMITS.output_bytes
