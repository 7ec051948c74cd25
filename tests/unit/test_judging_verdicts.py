"""The verdict table row by row, and the fold over tests."""

from __future__ import annotations

import pytest

from deepoj.judging import verdicts
from deepoj.words.results import Verdict
from deepoj.words.sandbox import RunVerdict

R, V = RunVerdict, Verdict

ROWS = [
    (R.OK, "ok", 0, 0, None),
    # a program that exits with a failure has failed, also after a right output
    (R.OK, "ok", 1, 0, V.RUNTIME_ERROR),
    (R.OK, "ok", 255, 0, V.RUNTIME_ERROR),
    (R.OK, "ok", 0, 11, V.RUNTIME_ERROR),
    (R.TLE, "cpu", 0, 0, V.TIME_LIMIT_EXCEEDED),
    (R.TLE, "cpu", 0, 9, V.TIME_LIMIT_EXCEEDED),
    (R.TLE, "wall", 0, 9, V.TIME_LIMIT_EXCEEDED),
    (R.MLE, "memory", 0, 0, V.MEMORY_LIMIT_EXCEEDED),
    (R.MLE, "memory", 134, 6, V.MEMORY_LIMIT_EXCEEDED),
    (R.MLE, "heap", 3, 0, V.MEMORY_LIMIT_EXCEEDED),
    (R.OLE, "output", 0, 9, V.OUTPUT_LIMIT_EXCEEDED),
    (R.RE, "signal", 0, 11, V.RUNTIME_ERROR),
    (R.RE, "exit", 1, 0, V.RUNTIME_ERROR),
    (R.RE, "exit", 127, 0, V.RUNTIME_ERROR),
    (R.RE, "exec", 0, 0, V.RUNTIME_ERROR),
    (R.RE, "processes", 0, 9, V.RUNTIME_ERROR),
    (R.SE, "sandbox", 0, 0, V.SYSTEM_ERROR),
    # no fault is assumed by default
    (R.OK, "no such rule", 0, 0, V.SYSTEM_ERROR),
    (R.TLE, "memory", 0, 0, V.SYSTEM_ERROR),
]


@pytest.mark.parametrize(("run", "rule", "code", "signal", "verdict"), ROWS)
def test_rows(run: RunVerdict, rule: str, code: int, signal: int, verdict: Verdict | None) -> None:
    assert verdicts.of_run(run, rule, exit_code=code, exit_signal=signal) is verdict


def test_every_run_verdict_has_a_row_and_every_row_a_test() -> None:
    assert {run for run, _ in verdicts.RUN_TABLE} == set(RunVerdict)
    assert set(verdicts.RUN_TABLE) <= {(run, rule) for run, rule, *_ in ROWS}
