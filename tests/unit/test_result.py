"""The result object: the contract's fields exactly, and text that every store takes."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from deepoj.judging.result import as_result
from deepoj.judging.text import cut, visible
from deepoj.words.results import CompileResult, TestResult, Verdict
from tests.unit.makers import a_claim, a_report

RESULT_KEYS = [
    "job_id", "attempt_id", "status", "score", "time_used", "memory_used", "wall_time", "language", "trace_id",
    "problem_version", "isolation", "compile", "tests", "groups", "explanation",
    "stages",
]  # fmt: skip
TEST_KEYS = [
    "name", "group", "status", "score", "cpu_ms", "wall_ms", "memory_kb", "exit_code", "exit_signal", "reason",
    "checker_message", "stdout_len", "truncated_stdout", "stderr_len", "truncated_stderr", "sample", "borderline",
    "fingerprint", "reused", "reused_attempt",
]  # fmt: skip


def test_the_contracts_fields() -> None:
    report = replace(a_report(), compile=CompileResult(ok=True, time_ms=7, output=""))
    result = as_result(a_claim(), report)
    assert list(result) == RESULT_KEYS
    assert list(result["tests"][0]) == TEST_KEYS
    assert result["compile"] == {"ok": True, "time_ms": 7, "output": "", "cached": False, "wall_ms": 0}
    assert (result["job_id"], result["attempt_id"], result["trace_id"]) == ("job-1", 1, "trace-1")
    assert (result["status"], result["time_used"], result["memory_used"]) == ("Accepted", 2, 1500)
    assert (result["wall_time"], result["isolation"], result["problem_version"]) == (3, "namespaces", "1")
    assert as_result(a_claim(), a_report())["compile"] is None


@given(st.text(alphabet=st.characters(codec=None), max_size=30))
def test_any_text_survives_any_store(text: str) -> None:
    report = replace(
        a_report(Verdict.WRONG_ANSWER),
        compile=CompileResult(ok=True, time_ms=1, output=text),
        tests=(TestResult(name=text, status=Verdict.WRONG_ANSWER, checker_message=text, group=text, reason=text),),
        explanation=({"rule": text, "measured_kb": 1},),
    )
    said = json.dumps(as_result(replace(a_claim(), trace_id=text), report), ensure_ascii=False)
    assert json.loads(said.encode("utf-8")) is not None  # strict: a lone surrogate would raise
    assert "\\u0000" not in said


@given(st.binary(max_size=60))
def test_visible_bytes(raw: bytes) -> None:
    text = visible(raw)
    text.encode("utf-8")
    assert all(char.isprintable() or ord(char) >= 128 or char in "\t\n\r" for char in text)


def test_visible_shows_what_was_there() -> None:
    assert visible(b"a\0b\x1b[31m\xff\t\n\x7f") == "a␀b␛[31m�\t\n␡"
    assert visible("\udcff") == "?"
    assert visible("é") == "é"
    assert visible("\x9b31m\x85é\xa0") == "\ufffd31m\ufffdé\xa0", "a terminal may take it for ESC ["


def test_cut() -> None:
    assert cut("short", 10) == "short"
    assert cut("0123456789", 4) == "0123\n[cut: 6 more characters]"
    assert cut("01", 4, missing_bytes=9) == "01\n[cut: 9 more bytes]"
