"""DMOJ problems: what init.yml may say, and what is refused."""

from __future__ import annotations

import pytest

from deepoj.judging.problem import Aggregate, Compare, Protocol
from tests.unit.packages.makers import fault, plan, zipped

CASES = {"1.in": "1", "1.out": "1", "2.in": "2", "2.out": "2"}
LIST = "test_cases: [{in: 1.in, out: 1.out, points: 40}, {in: 2.in, out: 2.out, points: 60}]\n"


def test_tests_in_an_archive_of_their_own() -> None:
    found = plan({"init.yml": "archive: t.zip\n" + LIST, "t.zip": zipped(CASES)})
    assert [(case.input, case.answer, case.score) for case in found.cases] == [
        ("t.zip/1.in", "t.zip/1.out", 40),
        ("t.zip/2.in", "t.zip/2.out", 60),
    ]
    assert found.scored
    assert found.groups == ()
    assert found.total_bytes == 4


def test_cases_by_their_names() -> None:
    files = {f"p.{n}.{end}": "" for n in ("1", "2-1", "2-2", "10") for end in ("in", "out")}
    found = plan({**files, "init.yml": "points: 5\n"})
    assert [case.name for case in found.cases] == ["1", "2.1", "2.2", "3"]
    assert [(one.name, one.aggregate, one.max_score) for one in found.groups] == [
        ("", Aggregate.SUM, None),
        ("batch 1", Aggregate.MIN, 5),
    ]


def test_short_circuit_stops_at_the_first_failure() -> None:
    root = plan({**CASES, "init.yml": LIST + "short_circuit: true"}).groups[0]
    assert not root.judge_all


@pytest.mark.parametrize(
    ("checker", "compare"),
    [
        ("standard", Compare(way="lines")),
        ("identical", Compare(way="exact")),
        ("sorted", Compare(way="unordered_lines")),
        ("unordered", Compare(way="unordered_tokens")),
        ("{name: sorted, args: {split_on: whitespace}}", Compare(way="unordered_tokens")),
        ("floats", Compare(way="floats", absolute=1e-6, relative=1e-6)),
        ("{name: floats, args: {precision: 3, error_mode: absolute}}", Compare(way="floats", absolute=1e-3)),
        ("floatsrel", Compare(way="floats", relative=1e-6)),
    ],
)
def test_checkers_by_name(checker: str, compare: Compare) -> None:
    assert plan({**CASES, "init.yml": LIST + f"checker: {checker}"}).compare == compare


@pytest.mark.parametrize(("kind", "protocol"), [("default", Protocol.PLAIN), ("testlib", Protocol.TESTLIB)])
def test_bridged_checkers(kind: str, protocol: Protocol) -> None:
    told = f"checker: {{name: bridged, args: {{files: [check.cpp, lib.h], lang: CPP20, type: {kind}}}}}"
    checker = plan({**CASES, "check.cpp": "", "lib.h": "", "init.yml": LIST + told}).checker
    assert checker is not None
    assert (checker.protocol, checker.program.language) == (protocol, "cpp20")
    assert checker.program.files == ("check.cpp", "lib.h")


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ("test_cases: []", "no test case"),
        ("test_cases: [{in: 1.in, out: 1.out}]", "without points"),
        ("test_cases: [{in: 3.in, out: 1.out, points: 1}]", "'3.in'"),
        ("test_cases: [{in: 1.in, points: 1}]", "no 'out'"),
        ("test_cases: [{in: 1.in, out: 1.out, points: -1}]", "out of range"),
        ("test_cases: [{batched: [], points: 1}]", "without cases"),
        ("test_cases: [{batched: [{in: 1.in, out: 1.out}], points: 1, dependencies: [1]}]", "batch 1"),
        ("test_cases: [{in: 1.in, out: 1.out, points: 1, generator_args: [1], generator: {}}]", "generator"),
        ("test_cases: {input_format: '(a+)+$'}", "patterns"),
        ("test_cases: {case_points: [1]}", "1 numbers for 2"),
        (LIST + "archive: none.zip", "none.zip"),
        (LIST + "archive: 1.in", "not a zip"),
        (LIST + "generator: gen.cpp", "generator"),
        (LIST + "custom_judge: g.py", "Python"),
        (LIST + "signature_grader: {}", "signature_grader"),
        (LIST + "checker: check.py", "Python"),
        (LIST + "checker: easy", "'easy'"),
        (LIST + "checker: linecount", "'linecount'"),
        (LIST + "checker: {name: bridged, args: {files: none.cpp, lang: CPP17}}", "none.cpp"),
        (LIST + "checker: {name: bridged, args: {files: c.cpp, lang: CPP17, type: coci}}", "coci"),
        (LIST + "checker: {name: bridged, args: {files: c.cpp, lang: INTERCAL}}", "INTERCAL"),
        (LIST + "interactive: {lang: CPP17}", "names no file"),
        (LIST + "checker: {name: floats, args: {precision: much}}", "precision"),
        (LIST + "short_circuit: maybe", "true or false"),
    ],
)
def test_refused(told: str, words: str) -> None:
    assert words in fault({**CASES, "c.cpp": "", "init.yml": told}).sentence


def test_what_changes_nothing_is_said() -> None:
    found = plan({**CASES, "init.yml": LIST + "unbuffered: true\nwall_time_factor: 5\nmystery: 1"})
    assert [any(word in one for one in found.unsupported) for word in ("flush", "real time", "mystery")] == [True] * 3


def test_a_test_beside_the_archive_goes_before_one_in_it() -> None:
    inner = zipped({**CASES, "2.in": "old"})
    files: dict[str, str | bytes] = {"init.yml": "archive: t.zip\n" + LIST, "t.zip": inner, "2.in": "new"}
    assert [case.input for case in plan(files).cases] == ["t.zip/1.in", "2.in"]
    del files["2.in"]
    files["t.zip"] = zipped({"1.in": "", "1.out": ""})
    assert "'2.in', which init.yml names" in fault(files).sentence


@pytest.mark.parametrize(
    ("template", "usual"),
    [
        ("{input_file} {output_file} {answer_file}", True),
        ("{output_file} {answer_file} {input_file}", False),
        ("-v {input_file} {output_file} {answer_file}", False),
        ("anything", False),
    ],
)
def test_arguments_of_a_checker_in_an_order_of_its_own_are_refused(template: str, usual: bool) -> None:
    args = f"{{files: c.cpp, lang: CPP17, args_format_string: '{template}'}}"
    files = {**CASES, "c.cpp": "", "init.yml": LIST + f"checker: {{name: bridged, args: {args}}}"}
    if usual:
        assert plan(files).checker is not None
    else:
        assert "args_format_string" in fault(files).sentence
