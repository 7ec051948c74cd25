"""Verdicts from a checker's run: the table, the points, and that a failing checker never blames the contestant."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepoj.judging import checker_points, checkers, exec_rules, interactors, verdicts
from deepoj.judging.checkers import FEEDBACK_FILES, Ruling, ruling_of
from deepoj.judging.languages import LANGUAGES, Language, resolve
from deepoj.judging.problem import Checker, Program, Protocol
from deepoj.words.results import Infra, Verdict
from deepoj.words.sandbox import FileIn, RunLimits, RunOutcome, RunSpec, RunVerdict, SandboxError
from tests.fakes.box import outcome
from tests.fakes.settings import judge_settings
from tests.unit.makers import a_problem

R, V = RunVerdict, Verdict
TESTLIB, VALIDATOR, PLAIN = Protocol.TESTLIB, Protocol.VALIDATOR, Protocol.PLAIN
COCI, PEG, CMS, HYDRO, UOJ = Protocol.COCI, Protocol.PEG, Protocol.CMS, Protocol.HYDRO, Protocol.UOJ
LIMITS = RunLimits(cpu_ms=2000, wall_ms=6000, memory_bytes=256 << 20, output_bytes=8 << 20)
PROGRAM = Program(language="cpp17", files=("check.cpp",), entry="check.cpp")


def a_checker(protocol: Protocol = TESTLIB, *, scores: bool = False) -> Checker:
    return Checker(program=PROGRAM, protocol=protocol, scores=scores)


def ends(verdict: RunVerdict, rule: str, code: int, signal: int, protocol: Protocol) -> Verdict:
    return verdicts.of_check(protocol, verdict, rule, exit_code=code, exit_signal=signal)


ROWS = [
    *(
        (protocol, code, verdict)
        for protocol in (TESTLIB, HYDRO, UOJ)
        for code, verdict in (
            (0, V.ACCEPTED),
            (1, V.WRONG_ANSWER),
            (2, V.PRESENTATION_ERROR),
            (3, V.SYSTEM_ERROR),
            (4, V.PRESENTATION_ERROR),
            (5, V.PARTIAL),
            (7, V.PARTIAL),
            (8, V.WRONG_ANSWER),
        )
    ),
    (VALIDATOR, 42, V.ACCEPTED),
    (VALIDATOR, 43, V.WRONG_ANSWER),
    (PLAIN, 0, V.ACCEPTED),
    (PLAIN, 1, V.WRONG_ANSWER),
    (COCI, 0, V.ACCEPTED),
    (COCI, 1, V.WRONG_ANSWER),
    (COCI, 2, V.PRESENTATION_ERROR),
    (COCI, 3, V.SYSTEM_ERROR),
    (COCI, 7, V.PARTIAL),
    (PEG, 0, V.ACCEPTED),
    (PEG, 1, V.WRONG_ANSWER),
    (CMS, 0, V.PARTIAL),
]


@pytest.mark.parametrize(("protocol", "code", "verdict"), ROWS)
def test_rows(protocol: Protocol, code: int, verdict: Verdict) -> None:
    run, rule = (R.OK, "ok") if code == 0 else (R.RE, "exit")
    assert ends(run, rule, code, 0, protocol) is verdict


def test_every_row_is_tested_and_every_other_code_is_a_failure() -> None:
    known = {(protocol, code) for protocol, code, _ in ROWS}
    assert known == set(verdicts.CHECK_TABLE)
    for protocol in Protocol:
        for code in set(range(256)) - {code for each, code in known if each is protocol}:
            assert ends(R.OK, "ok", code, 0, protocol) is V.SYSTEM_ERROR
            assert ends(R.RE, "exit", code, 0, protocol) is V.SYSTEM_ERROR


@pytest.mark.parametrize(("run", "rule"), [*sorted(verdicts.RUN_TABLE), (R.OK, "a new rule"), (R.RE, "cpu")])
@pytest.mark.parametrize("protocol", Protocol)
def test_a_run_that_ended_otherwise_says_nothing(run: RunVerdict, rule: str, protocol: Protocol) -> None:
    """With any exit code."""
    for code in (0, 1, 2, 42, 43):
        found = ends(run, rule, code, 0, protocol)
        speaks = (run, rule) in ((R.OK, "ok"), (R.RE, "exit"))
        assert found is (verdicts.CHECK_TABLE.get((protocol, code), V.SYSTEM_ERROR) if speaks else V.SYSTEM_ERROR)
        assert ends(run, rule, code, 11, protocol) is V.SYSTEM_ERROR


# ---------------------------------------------------------------------------------------------------------------------
# No failure is a verdict

words = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"ok 3 numbers\n", b"wrong answer no\n", b"points 5 x", b"points nan", b"points -1"]),
)
feedbacks = st.dictionaries(
    st.sampled_from(FEEDBACK_FILES),
    st.one_of(st.binary(max_size=20), st.sampled_from([b"1", b"0.5\n", b"nan", b"inf", b"-1", b"2", b"1_0", b""])),
)
runs_of = st.builds(
    lambda run, rule, code, signal, out, err: outcome(
        run, rule=rule, exit_code=code, exit_signal=signal, stdout=out, stderr=err
    ),
    st.sampled_from(R),
    st.sampled_from(["ok", "exit", "signal", "cpu", "wall", "memory", "output", "processes", "exec", "sandbox", "new"]),
    st.integers(0, 255),
    st.sampled_from([0, 0, 0, 6, 9, 11, 31]),
    words,
    words,
)


asked_checkers = st.builds(a_checker, st.sampled_from(Protocol), scores=st.booleans())
errors = st.sampled_from([None, None, SandboxError("exec", 5), SandboxError("mount", 28)])


@given(runs_of, feedbacks, asked_checkers, st.booleans(), errors)
@settings(max_examples=300)
def test_no_failure_of_a_checker_or_of_the_sandbox_is_a_verdict(
    run: RunOutcome, feedback: dict[str, bytes], checker: Checker, scored: bool, error: SandboxError | None
) -> None:
    protocol, ended = checker.protocol, replace(run, sandbox_error=error or run.sandbox_error)
    found = ruling_of(checker, ended, feedback, test="1", limits=LIMITS, scored=scored)
    spoke = (
        ended.sandbox_error is None
        and ended.exit_signal == 0
        and (ended.verdict, ended.rule) in ((R.OK, "ok"), (R.RE, "exit"))
        and (
            checker_points.is_partly(protocol, ended, scored=scored)
            or verdicts.CHECK_TABLE.get((protocol, ended.exit_code), V.SYSTEM_ERROR) is not V.SYSTEM_ERROR
        )
    )
    if not spoke:
        assert isinstance(found, Infra)
        assert found.message
        return
    if isinstance(found, Infra):
        return  # it accepted, but wrote no points or malformed ones
    assert found.verdict in (V.ACCEPTED, V.WRONG_ANSWER, V.PRESENTATION_ERROR, V.PARTIAL)
    if found.verdict is V.PARTIAL:
        points = found.points_of(10.0)
        assert scored
        assert points is not None
        assert math.isfinite(points)
        assert points >= 0
        assert found.share is None or found.share <= 1


# ---------------------------------------------------------------------------------------------------------------------
# Points


@pytest.mark.parametrize(
    ("stderr", "points"),
    [
        (b"points 12.5 half\n", 12.5),
        (b"points 0\n", 0.0),
        (b"points 1e2", 100.0),
        (b"debug\npoints 3 of 5\npoints 4", 3.0),
        (b"points\t7", 7.0),
    ],
)
def test_points_of_testlib(stderr: bytes, points: float) -> None:
    ended = outcome(R.RE, exit_code=7, stderr=stderr)
    found = ruling_of(a_checker(), ended, {}, test="1", limits=LIMITS, scored=True)
    assert found == Ruling(verdict=V.PARTIAL, points=points, message=stderr.decode().strip())


@pytest.mark.parametrize(
    "stderr", [b"", b"12", b"no points 3", b"points", b"points nan", b"points -2", b"points x", b"points 1_0"]
)
def test_points_that_are_due_and_not_there(stderr: bytes) -> None:
    found = ruling_of(a_checker(), outcome(R.RE, exit_code=7, stderr=stderr), {}, test="4", limits=LIMITS, scored=True)
    assert isinstance(found, Infra)
    assert (found.code, found.outage) == ("checker_broken", False)
    assert found.message.startswith("the checker failed on test 4: ")


@pytest.mark.parametrize(
    ("protocol", "code", "ended", "share"),
    [
        (COCI, 7, {"stderr": b"partial 3/5\n"}, 0.6),
        (COCI, 7, {"stderr": b"well\npartial 0/5\n"}, None),
        (COCI, 7, {"stderr": b"partial 6/5"}, "no share"),
        (COCI, 7, {"stderr": b"partial 1/0"}, "no share"),
        (COCI, 7, {"stderr": b"points 3"}, "no share"),
        (COCI, 7, {"stdout": b"partial 3/5\n"}, "no share"),
        (PEG, 1, {"stdout": b"3\n5\n"}, 0.6),
        (PEG, 1, {"stdout": b"0\n5\n"}, None),
        (PEG, 1, {"stdout": b"wrong\n"}, None),
        (PEG, 1, {"stdout": b"2.5\n10"}, 0.25),
        (PEG, 1, {"stdout": b"so\n 2.5 \n1e1\n5\n"}, 0.25),
        (PEG, 1, {"stdout": b"3\n0\n-1\n2\n1\n4\n"}, 1.0),
        (PEG, 0, {"stdout": b"5\n10\n"}, 0.5),
        (PEG, 0, {"stdout": b"5\n10"}, 0.5),
        (PEG, 0, {"stdout": b"10\n10\n"}, 1.0),
        (PEG, 0, {"stdout": b"20\n10\n"}, 1.0),
        (PEG, 0, {"stdout": b"0\n10\n"}, 1.0),
        (PEG, 0, {"stdout": b"right\n"}, 1.0),
        (CMS, 0, {"stdout": b"0.5 well\n"}, 0.5),
        (CMS, 0, {"stdout": b"1.0\n"}, 1.0),
        (CMS, 0, {"stdout": b"0\n"}, None),
        (CMS, 0, {"stdout": b"1.5\n"}, "from 0 to 1"),
        (CMS, 0, {"stdout": b""}, "from 0 to 1"),
        (CMS, 0, {"stdout": b"nan\n"}, "from 0 to 1"),
        (HYDRO, 7, {"stderr": b"points 60 well"}, 0.6),
        (HYDRO, 7, {"stderr": b"points 0.6"}, 0.6),
        (HYDRO, 7, {"stderr": b"points 1"}, 1.0),
        (HYDRO, 7, {"stderr": b"points 120"}, 1.0),
        (HYDRO, 16 + 40, {"stderr": b"partially correct (40) x"}, 0.4),
        (HYDRO, 16, {"stderr": b"partially correct (0) x"}, None),
        (HYDRO, 7, {"stderr": b"points x"}, "not a number"),
        (UOJ, 7, {"stderr": b"points 0.6"}, 0.6),
        (UOJ, 7, {"stderr": b"points 0"}, None),
        (UOJ, 16 + 40, {"stderr": b"partially correct (40) x"}, None),
        (PEG, 1, {"stderr": b"3\n5\n"}, None),
    ],
)
def test_share_of_a_dmoj_checker_is_what_it_says(
    protocol: Protocol, code: int, ended: dict[str, bytes], share: float | str | None
) -> None:
    run = replace(outcome(R.RE, exit_code=code), stdout=ended.get("stdout", b""), stderr=ended.get("stderr", b""))
    found = ruling_of(a_checker(protocol), run, {}, test="1", limits=LIMITS, scored=True)
    if isinstance(share, str):
        assert isinstance(found, Infra)
        assert share in found.message
        return
    assert isinstance(found, Ruling)
    by_share = {None: (V.WRONG_ANSWER, None), 1.0: (V.ACCEPTED, None)}
    assert (found.verdict, found.share) == by_share.get(share, (V.PARTIAL, share))


def accepts(feedback: dict[str, bytes], *, scores: bool = False, scored: bool = True, code: int = 42) -> Ruling | Infra:
    checker = a_checker(VALIDATOR, scores=scores)
    return ruling_of(checker, outcome(R.RE, exit_code=code), feedback, test="1", limits=LIMITS, scored=scored)


def test_points_of_a_validator() -> None:
    assert accepts({}) == Ruling(verdict=V.ACCEPTED)
    assert accepts({"score.txt": b" 7.5\n"}) == Ruling(verdict=V.PARTIAL, points=7.5)
    share = accepts({"score_multiplier.txt": b"0.25"})
    assert share == Ruling(verdict=V.PARTIAL, share=0.25)
    assert isinstance(share, Ruling)
    assert share.points_of(40) == 10.0
    shared = accepts({"score_multiplier.txt": b"0.5"}, code=43)
    assert isinstance(shared, Ruling)
    assert shared.verdict is V.WRONG_ANSWER
    rejected = accepts({"score.txt": b"3"}, code=43)
    assert rejected == Ruling(verdict=V.WRONG_ANSWER, points=3.0), "whether that is a fault is the format's rule"
    assert isinstance(rejected, Ruling)
    assert rejected.points_of(40) is None
    unreadable = accepts({"score.txt": b"x"}, code=43)
    assert isinstance(unreadable, Ruling)
    assert math.isnan(unreadable.points or 0.0)


@pytest.mark.parametrize(
    ("feedback", "sentence"),
    [
        ({"score.txt": b"much"}, "score.txt contains no number, or a negative one"),
        ({"score.txt": b""}, "score.txt contains no number, or a negative one"),
        ({"score.txt": b"-1"}, "score.txt contains no number, or a negative one"),
        ({"score_multiplier.txt": b"1.5"}, "score_multiplier.txt contains no number from 0 to 1"),
        ({"score.txt": b"1", "score_multiplier.txt": b"1"}, "it wrote both score.txt and score_multiplier.txt"),
        ({}, "it accepted, and wrote no score.txt"),
    ],
)
def test_points_of_a_validator_that_are_none(feedback: dict[str, bytes], sentence: str) -> None:
    assert accepts(feedback, scores=True) == Infra("checker_broken", f"the checker failed on test 1: {sentence}")


@pytest.mark.parametrize(
    ("protocol", "code", "stderr", "verdict"),
    [
        (TESTLIB, 7, b"points 12.5 well", V.ACCEPTED),
        (TESTLIB, 7, b"points 0", V.WRONG_ANSWER),
        (TESTLIB, 16 + 50, b"partially correct (50)", V.ACCEPTED),
        (TESTLIB, 16, b"partially correct (0)", V.WRONG_ANSWER),
        (COCI, 7, b"partial 3/5", V.ACCEPTED),
        (COCI, 7, b"partial 0/5", V.WRONG_ANSWER),
    ],
)
def test_points_of_testlib_accept_where_nothing_is_scored(
    protocol: Protocol, code: int, stderr: bytes, verdict: Verdict
) -> None:
    run = outcome(R.RE, exit_code=code, stderr=stderr)
    found = ruling_of(a_checker(protocol), run, {}, test="1", limits=LIMITS, scored=False)
    assert isinstance(found, Ruling)
    assert (found.verdict, found.points, found.share) == (verdict, None, None)


@pytest.mark.parametrize("code", [16, 17, 66, 99, 116, 127, 134, 255])
@pytest.mark.parametrize("stderr", [b"", b"out of order", b"partially correct (201) x", b"x\npartially correct (50)"])
@pytest.mark.parametrize("protocol", [TESTLIB, HYDRO, UOJ])
@pytest.mark.parametrize("scored", [True, False])
def test_exit_code_of_a_broken_checker_is_not_taken_for_partly_correct(
    code: int, stderr: bytes, protocol: Protocol, scored: bool
) -> None:
    run = outcome(R.RE, exit_code=code, stderr=stderr)
    found = ruling_of(a_checker(protocol), run, {}, test="1", limits=LIMITS, scored=scored)
    assert isinstance(found, Infra)


def test_points_where_nothing_is_scored() -> None:
    found = accepts({"score.txt": b"1"}, scored=False)
    assert isinstance(found, Infra)
    assert "this problem is not scored" in found.message


# ---------------------------------------------------------------------------------------------------------------------
# Evidence


@pytest.mark.parametrize(
    ("run", "sentence"),
    [
        (outcome(R.RE, exit_code=3), "it reported a failure of its own (exit code 3)"),
        (outcome(R.RE, exit_code=15), "it exited with 15, which is none of 0, 1, 2, 3, 4, 5, 7, 8"),
        (outcome(R.RE, rule="signal", exit_signal=11), "signal 11 ended it"),
        (outcome(R.TLE), "it ran longer than 2 s"),
        (outcome(R.TLE, rule="wall", exit_signal=9), "it was still running after 6 s of wall time"),
        (outcome(R.MLE), "it took more than 256 MiB of memory"),
        (outcome(R.OLE), "it printed more than 8 MiB"),
        (outcome(R.RE, rule="processes"), "it started more than 20 processes"),
        (outcome(R.RE, rule="exec"), "it is not an executable program"),
        (outcome(R.OK, rule="news"), "OK by rule 'news'"),
    ],
)
def test_how_it_failed(run: RunOutcome, sentence: str) -> None:
    said = replace(run, stderr=b"last \x1bwords\n", stderr_len=12)
    found = ruling_of(a_checker(), said, {}, test="7", limits=LIMITS, scored=False)
    expected = f"the checker failed on test 7: {sentence}\nIt said:\nlast ␛words"
    assert found == Infra("checker_broken", expected)


def test_partly_correct_gives_no_points_where_points_are_scored() -> None:
    found = ruling_of(a_checker(), outcome(R.RE, exit_code=66), {}, test="7", limits=LIMITS, scored=True)
    assert isinstance(found, Infra)
    assert "'partially correct' by _pc(50), which gives no points: let it call quitp" in found.message


CRASHED = {
    "python3": b'Traceback (most recent call last):\n  File "/p/main.py", line 1, in <module>\nValueError: x\n',
    "pypy3": b'Traceback (most recent call last):\n  File "/p/main.py", line 1, in <module>\nValueError: x\n',
    "java": b'Exception in thread "main" java.lang.NumberFormatException: null\n\tat Main.main(Main.java:3)\n',
    "kotlin": b'Exception in thread "main" java.lang.NumberFormatException: null\n\tat MainKt.main(main.kt:1)\n',
    "scala": b'Exception in thread "main" java.lang.NumberFormatException: null\n\tat Main.main(main.scala)\n',
    "javascript": b"/p/main.js:1\nnull.x\n\nTypeError: x\n    at Object.<anonymous> (/p/main.js:1:6)\n\nNode.js v18\n",
    "csharp": b"\nUnhandled Exception:\nSystem.FormatException: Input string was not in a correct format.\n",
    "ruby": b"/p/main.rb:1:in `Integer': invalid value for Integer(): x (ArgumentError)\n\tfrom /p/main.rb:1\n",
    "perl": b"no number at /p/main.pl line 3, <STDIN> line 1.\n",
    "php": b"PHP Fatal error:  Uncaught TypeError: x in /p/main.php:1\n",
    "lua": b"lua5.4: /p/main.lua:1: attempt to index a nil value\nstack traceback:\n\t[C]: in ?\n",
    "haskell": b"main: Prelude.read: no parse\n",
    "ocaml": b'Fatal error: exception Failure("int_of_string")\n',
    "go": b"panic: runtime error: index out of range [3]\n\ngoroutine 1 [running]:\nmain.main()\n",
    "pascal": b"Runtime error 106 at $0000000000401094\n",
}


@pytest.mark.parametrize("language", sorted(checkers.CRASHES))
def test_a_crash_that_looks_like_a_rejection(language: str) -> None:
    checker = replace(a_checker(), program=replace(PROGRAM, language=language))
    for code in (1, 2):
        ended = outcome(R.RE, exit_code=code, stderr=CRASHED[language])
        found = ruling_of(checker, ended, {}, test="1", limits=LIMITS, scored=False)
        assert isinstance(found, Infra)
        assert f"its runtime ended it with exit code {code}" in found.message
    for stderr in (b"", b"wrong answer 3, not 4\n", b"the Traceback is at line 3\n"):
        rejected = outcome(R.RE, exit_code=1, stderr=stderr)
        found = ruling_of(checker, rejected, {}, test="1", limits=LIMITS, scored=False)
        assert isinstance(found, Ruling)
        assert found.verdict is V.WRONG_ANSWER


@pytest.mark.parametrize(
    ("language", "stderr"),
    [
        ("python3", b"Exception in thread Thread-1 (main):\nTraceback (most recent call last):\nValueError: x\n"),
        ("java", b'Exception in thread "Thread-0" java.lang.NumberFormatException: null\n'),
        ("ruby", b"#<Thread:0x1 /p/main.rb:1 run> terminated with exception (report_on_exception is true):\n"),
        ("perl", b"Thread 1 terminated abnormally: x at /p/main.pl line 1.\n"),
    ],
)
@pytest.mark.parametrize("protocol", [TESTLIB, VALIDATOR])
def test_ruling_of_an_acceptance_after_a_thread_crashed_is_broken(
    protocol: Protocol, language: str, stderr: bytes
) -> None:
    checker = replace(a_checker(protocol), program=replace(PROGRAM, language=language))
    code = 42 if protocol is VALIDATOR else 0
    ended = outcome(R.RE if code else R.OK, exit_code=code, stderr=stderr)

    found = ruling_of(checker, ended, {}, test="1", limits=LIMITS, scored=False)

    assert isinstance(found, Infra)
    assert "one of its threads" in found.message
    calm = replace(ended, stderr=b"ok, no Exception in thread 1\n")
    assert isinstance(ruling_of(checker, calm, {}, test="1", limits=LIMITS, scored=False), Ruling)


def test_trouble_of_the_sandbox_is_not_the_checkers() -> None:
    for error, outage in ((SandboxError("scratch", 28), True), (SandboxError("exec", 12), False)):
        found = ruling_of(a_checker(), outcome(R.SE, sandbox_error=error), {}, test="1", limits=LIMITS, scored=False)
        assert isinstance(found, Infra)
        assert (found.code, found.outage) == ("sandbox", outage)


def test_words() -> None:
    def said(protocol: Protocol, feedback: dict[str, bytes], out: bytes = b"", err: bytes = b"") -> str:
        code = 43 if protocol is VALIDATOR else 1
        ended = outcome(R.RE, exit_code=code, stdout=out, stderr=err)
        found = ruling_of(a_checker(protocol), ended, feedback, test="1", limits=LIMITS, scored=False)
        assert isinstance(found, Ruling)
        return found.message

    assert said(TESTLIB, {}, b"out", b"err") == "err"
    assert said(TESTLIB, {}, b"out", b" \n") == "out"
    assert said(VALIDATOR, {"judgemessage.txt": b"why\n", "teammessage.txt": b"look at 0"}, err=b"err") == (
        "why\nTo the contestant: look at 0"
    )
    assert said(VALIDATOR, {"judgeerror.txt": b"trouble"}) == "trouble"
    assert said(VALIDATOR, {}, err=b"err") == "err"
    long = said(TESTLIB, {}, err=b"x" * 100_000)
    assert len(long) < checkers.MESSAGE_CHARS + 100
    assert "more bytes]" in long


# ---------------------------------------------------------------------------------------------------------------------
# The run in the box


def asked(protocol: Protocol) -> RunSpec:
    checker = replace(a_checker(protocol), args=("--max", "3"))
    return checkers.check_spec(
        checker,
        argv=("/p/main",),
        files_in=(FileIn("main", Path("/x/main"), executable=True, program=True),),
        env=(("A", "b"),),
        files={name: Path("/data") / name for name in ("input", "output", "answer")},
        args=("case",),
        feedback=Path("/feedback"),
        limits=LIMITS,
    )


@pytest.mark.parametrize("protocol", [TESTLIB, PLAIN])
def test_how_a_checker_is_called(protocol: Protocol) -> None:
    spec = asked(protocol)
    assert spec.argv == ("/p/main", "input", "output", "answer", "--max", "3", "case")
    assert spec.stdin is None
    assert [file.name for file in spec.files_in] == ["main", "input", "output", "answer"]
    assert spec.files_out == ()


def test_how_a_validator_is_called() -> None:
    spec = asked(VALIDATOR)
    assert spec.argv == ("/p/main", "input", "answer", "./", "--max", "3", "case")
    assert spec.stdin == Path("/data/output")
    assert [file.name for file in spec.files_in] == ["main", "input", "answer"]
    assert tuple(file.name for file in spec.files_out) == FEEDBACK_FILES


def test_a_checker_has_at_least_as_long_as_the_program() -> None:
    node = judge_settings(check_cpu_ms=2000)
    assert checkers.check_limits(replace(a_problem(), time_limit_ms=100), node, None).cpu_ms == 2000
    slow = checkers.check_limits(replace(a_problem(), time_limit_ms=5000), node, None)
    assert (slow.cpu_ms, slow.wall_ms) == (50_000, 150_000)
    assert checkers.compile_limits(node, LANGUAGES["cpp20"]).cpu_ms >= node.compile_cpu_ms


@pytest.mark.parametrize("language", LANGUAGES.values(), ids=LANGUAGES)
def test_needs_of_a_runtime_are_added_to_the_limits_of_checkers(language: Language) -> None:
    node = judge_settings()
    limits = checkers.check_limits(a_problem(), node, language)
    assert limits.memory_bytes >> 20 == checkers.heap_mb(node) + language.memory_added_mb
    assert limits.processes == node.check_processes + language.processes_added
    talking = interactors.interactor_limits(limits, node, language)
    assert (talking.memory_bytes, talking.processes) == (limits.memory_bytes, limits.processes)
    compiling, usual = checkers.compile_limits(node, language), exec_rules.compile_spec(language, Path(), node)
    assert usual is not None
    assert compiling.cpu_ms >= usual.limits.cpu_ms
    assert compiling.wall_ms >= usual.limits.wall_ms
    assert replace(compiling, cpu_ms=0, wall_ms=0) == replace(usual.limits, cpu_ms=0, wall_ms=0)


@pytest.mark.parametrize(
    ("source", "wants"),
    [
        (b'#include "testlib.h"\n', True),
        (b"#include <testlib.h>", True),
        (b'int x;\n  #  include "../lib/testlib.h"\r\n', True),
        (b'// #include "testlib.h"', False),
        (b'#include "mytestlib.h"', False),
        (b"", False),
    ],
)
def test_wants_testlib_only_for_an_include_of_it(source: bytes, wants: bool) -> None:
    assert checkers.wants_testlib(source) is wants


def test_sources() -> None:
    both = Program(language="cpp17", files=("v/a.cpp", "v/b.h"), entry="v/a.cpp", root="v/")
    assert checkers.source_names(both) == {"v/a.cpp": "a.cpp", "v/b.h": "b.h"}
    assert checkers.source_names(replace(both, files=("v/a.cpp", "v/lib/b.h"))) is None
    cpp, python = LANGUAGES["cpp17"], LANGUAGES["python3"]
    assert ("CPATH", ".") in checkers.with_headers_beside(cpp).compile_env
    assert checkers.with_headers_beside(python) == python


@pytest.mark.parametrize(
    ("protocol", "order", "words"),
    [
        (PLAIN, (), ("input", "output", "answer")),
        (PEG, (), ("answer", "output", "input")),
        (CMS, (), ("input", "answer", "output")),
        (HYDRO, (), ("input", "output", "answer")),
        (UOJ, (), ("input", "output", "answer")),
        (TESTLIB, ("answer", "output", "input"), ("answer", "output", "input")),
    ],
)
def test_arguments_of_a_checker_stand_in_its_order(
    protocol: Protocol, order: tuple[str, ...], words: tuple[str, ...]
) -> None:
    spec = checkers.check_spec(
        replace(a_checker(protocol), order=order),
        argv=("./main",),
        files_in=(),
        env=(),
        files={name: Path(name) for name in ("input", "output", "answer")},
        args=("more",),
        feedback=Path("feedback"),
        limits=LIMITS,
    )
    assert spec.argv == ("./main", *words, "more")


def test_flags_of_a_program_end_its_compilers_line() -> None:
    cpp = resolve("cpp17")
    assert cpp is not None
    found = checkers.with_flags(cpp, replace(PROGRAM, flags=("-DX=1",)))
    assert found.compile is not None
    assert found.compile == (*(cpp.compile or ()), "-DX=1")
    assert checkers.with_flags(cpp, PROGRAM) is cpp
