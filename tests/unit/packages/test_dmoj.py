"""DMOJ problems: what init.yml may say, and what is refused."""

from __future__ import annotations

import io
from contextlib import nullcontext

import pytest

from deepoj.judging.problem import Aggregate, Compare, Protocol
from deepoj.packages.formats import PackageFault, open_package, unpack
from tests.fakes.settings import unzip_limits
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


@pytest.mark.parametrize(
    ("paths", "cases", "batches"),
    [
        # the 2 belongs to the problem's name
        ("sums2.1 sums2.3 sums2.12", ["sums2.1", "sums2.3", "sums2.12"], 0),
        ("sums2.1-1 sums2.1-2 sums2.2-1", ["sums2.1-1", "sums2.1-2", "sums2.2-1"], 2),
        ("2/1 1/2 1/1 3", ["1/1", "1/2", "2/1", "3"], 2),
        ("batch1/2 batch2/3", ["batch1/2", "batch2/3"], 0),
        ("0 1-0 1-1", ["0", "1-0", "1-1"], 1),
    ],
)
def test_batches_by_names_are_those_of_dmoj(paths: str, cases: list[str], batches: int) -> None:
    files = {f"{path}.{end}": "" for path in paths.split() for end in ("in", "out")}
    found = plan({"t.zip": zipped(files), "init.yml": "archive: t.zip\n"})
    assert [(case.input, case.answer) for case in found.cases] == [
        (f"t.zip/{path}.in", f"t.zip/{path}.out") for path in cases
    ]
    assert sum(one.name.startswith("batch") for one in found.groups) == batches


def test_names_of_either_case_and_with_zeros_pair_up() -> None:
    files = {"in/01.txt": "", "out/1.txt": "", "Input2.txt": "", "OUTPUT2.txt": "", "p.IN.3": "", "p.Out.3": ""}
    found = plan({"t.zip": zipped(files), "init.yml": "archive: t.zip\n"})
    assert [(case.input, case.answer) for case in found.cases] == [
        ("t.zip/in/01.txt", "t.zip/out/1.txt"),
        ("t.zip/Input2.txt", "t.zip/OUTPUT2.txt"),
        ("t.zip/p.IN.3", "t.zip/p.Out.3"),
    ]


def test_short_circuit_stops_at_the_first_failure() -> None:
    root = plan({**CASES, "init.yml": LIST + "short_circuit: true"}).groups[0]
    assert not root.judge_all


@pytest.mark.parametrize(
    ("checker", "compare"),
    [
        ("standard", Compare(way="lines")),
        ("identical", Compare(way="exact")),
        ("sorted", Compare(way="dmoj_sorted")),
        ("unordered", Compare(way="unordered_tokens")),
        ("{name: sorted, args: {split_on: whitespace}}", Compare(way="unordered_tokens")),
        ("floats", Compare(way="dmoj_floats", absolute=1e-6, relative=1e-6)),
        ("{name: floats, args: {precision: 3, error_mode: absolute}}", Compare(way="dmoj_floats", absolute=1e-3)),
        ("floatsrel", Compare(way="dmoj_floats", relative=1e-6)),
        ("{name: floatsabs, args: {precision: 2.9}}", Compare(way="dmoj_floats", absolute=1e-2)),
        ("easy", Compare(way="dmoj_easy")),
        ("linecount", Compare(way="dmoj_linecount")),
        ("{name: linecount, args: {feedback: false}}", Compare(way="dmoj_linecount")),
        ("rstripped", Compare(way="dmoj_rstripped", space_sensitive=True)),
        ("{name: rstripped, args: {filter_new_line: true}}", Compare(way="dmoj_rstripped")),
        ("{name: identical, args: {pe_allowed: false}}", Compare(way="exact")),
    ],
)
def test_checkers_by_name(checker: str, compare: Compare) -> None:
    assert plan({**CASES, "init.yml": LIST + f"checker: {checker}"}).compare == compare


@pytest.mark.parametrize(
    ("kind", "protocol"),
    [
        ("default", Protocol.PLAIN), ("testlib", Protocol.TESTLIB), ("coci", Protocol.COCI), ("peg", Protocol.PEG),
    ],
)  # fmt: skip
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
        (LIST + "signature_grader: {entry: c.cpp, header: c.h}", "signature_grader"),
        (LIST + "checker: check.py", "Python"),
        (LIST + "checker: linematches", "'linematches'"),
        (LIST + "checker: {name: linecount, args: {match: 'lambda p, j: True'}}", "'match'"),
        (LIST + "checker: {name: floats, args: {precison: 3}}", "'precison'"),
        (LIST + "checker: {name: floats, precision: 3}", "'precision'"),
        (LIST + "interactive: {files: c.cpp, lang: CPP17}\nunbuffered: true", "'unbuffered'"),
        (LIST + "interactive: {files: c.cpp, lang: CPP17, type: peg}", "'peg'"),
        (LIST + "interactive: {files: c.cpp, lang: CPP17, flag: [-DX]}", "'flag'"),
        (LIST + "symlinks: {a.txt: /dev/stdin}", "'symlinks'"),
        (LIST + "hints: [unicode]", "'hints'"),
        (LIST + "checker++: standard", "'checker++'"),
        (LIST + "output_limit_length: 1:30", "plain decimal"),
        (LIST + "wall_time_factor: 0", "out of range"),
        (LIST + "checker: {name: bridged, args: {files: c.cpp, lang: CPP17, flags: [-include, x.h]}}", "'-include'"),
        (LIST + "checker: {name: bridged, args: {files: c.py, lang: PY3, flags: [-DX]}}", "C and C++ alone"),
        ("test_cases: [{batched: [{in: 1.in, out: 1.out, checker: easy}]}]", "'checker'"),
        ("test_cases: [{in: 1.in, out: 1.out, pionts: 3}]", "'pionts'"),
        ("test_cases: [{in: 1.in, out: 1.out, symlinks: {a: b}}]", "'symlinks'"),
        ("test_cases: [{batched: [{batched: [{in: 1.in, out: 1.out}]}]}]", "batch in a batch"),
        (LIST + "checker: {name: bridged, args: {files: none.cpp, lang: CPP17}}", "none.cpp"),
        (LIST + "checker: {name: bridged, args: {files: c.cpp, lang: CPP17, type: themis}}", "themis"),
        (LIST + "checker: {name: bridged, args: {files: c.cpp, lang: INTERCAL}}", "INTERCAL"),
        (LIST + "interactive: {lang: CPP17}", "names no file"),
        (LIST + "checker: {name: floats, args: {precision: much}}", "precision"),
        (LIST + "short_circuit: maybe", "true or false"),
    ],
)
def test_refused(told: str, words: str) -> None:
    assert words in fault({**CASES, "c.cpp": "", "c.py": "", "init.yml": told}).sentence


def test_init_yml_keys_without_effect_are_reported() -> None:
    found = plan({**CASES, "init.yml": LIST + "unbuffered: true\nhints: []\nsymlinks: {}\nmystery: 1"})
    assert [any(word in one for one in found.unsupported) for word in ("unbuffered", "mystery")] == [True] * 2
    assert len(found.unsupported) == 2


def test_limits_of_init_yml_are_applied() -> None:
    limits = plan({**CASES, "init.yml": LIST + "wall_time_factor: 5\noutput_limit_length: 25165825"}).limits
    assert (limits.wall_factor, limits.output_mb) == (5, 25)


def test_flags_of_a_checker_reach_its_compiler() -> None:
    told = "checker: {name: bridged, args: {files: c.cpp, lang: CPP17, flags: [-DSTRICT=1, -O1, -std=c++14]}}"
    checker = plan({**CASES, "c.cpp": "", "init.yml": LIST + told}).checker
    assert checker is not None
    assert checker.program.flags == ("-DSTRICT=1", "-O1", "-std=c++14")


def test_case_without_points_is_worth_one() -> None:
    found = plan({**CASES, "init.yml": "test_cases: [{in: 1.in, out: 1.out}, {in: 2.in, out: 2.out, points: 4}]"})
    assert [case.score for case in found.cases] == [1, 4]


def test_pretest_scores_0_with_any_points() -> None:
    text = "pretest_test_cases: [{in: 1.in, out: 1.out, points: 50}]\ntest_cases: [{in: 2.in, out: 2.out, points: 4}]"
    assert [case.score for case in plan({**CASES, "init.yml": text}).cases] == [0, 4]


def test_case_inherits_what_it_does_not_say() -> None:
    text = "points: 7\nout: 1.out\ntest_cases:\n- {in: 1.in}\n- batched: [{out: 2.out}]\n  in: 2.in\n"
    found = plan({**CASES, "init.yml": text})
    assert [(case.input, case.answer) for case in found.cases] == [("1.in", "1.out"), ("2.in", "2.out")]
    assert [case.score for case in found.cases] == [7, 7]


@pytest.mark.parametrize(("told", "got"), [("", b"1\n2\n3\n"), ("binary_data: true", b"1\r\n2\r3")])
def test_tests_get_line_ends_of_unix_unless_they_are_binary(told: str, got: bytes) -> None:
    sinks: dict[str, io.BytesIO] = {}
    files: dict[str, str | bytes] = {**CASES, "1.in": b"1\r\n2\r3", "2.in": "", "init.yml": LIST + told}
    opened = open_package(io.BytesIO(zipped(files)), unzip_limits())
    assert not isinstance(opened, PackageFault)
    with opened:
        assert unpack(opened, lambda name: nullcontext(sinks.setdefault(name, io.BytesIO()))) is None
    assert sinks["1.in"].getvalue() == got
    assert sinks["2.in"].getvalue() == b""


def test_a_test_beside_the_archive_goes_before_one_in_it() -> None:
    inner = zipped({**CASES, "2.in": "old"})
    files: dict[str, str | bytes] = {"init.yml": "archive: t.zip\n" + LIST, "t.zip": inner, "2.in": "new"}
    assert [case.input for case in plan(files).cases] == ["t.zip/1.in", "2.in"]
    del files["2.in"]
    files["t.zip"] = zipped({"1.in": "", "1.out": ""})
    assert "'2.in', which init.yml names" in fault(files).sentence


@pytest.mark.parametrize(
    ("template", "order"),
    [
        ("{input_file} {output_file} {answer_file}", ("input", "output", "answer")),
        ("{output_file} {answer_file} {input_file}", ("output", "answer", "input")),
        ("-v {input_file} {output_file} {answer_file}", None),
        ("{input_file} {input_file} {answer_file}", None),
        ("anything", None),
    ],
)
def test_order_of_a_checkers_arguments_is_applied_and_arguments_of_its_own_are_refused(
    template: str, order: tuple[str, ...] | None
) -> None:
    args = f"{{files: c.cpp, lang: CPP17, args_format_string: '{template}'}}"
    files = {**CASES, "c.cpp": "", "init.yml": LIST + f"checker: {{name: bridged, args: {args}}}"}
    if order is None:
        assert "args_format_string" in fault(files).sentence
        return
    checker = plan(files).checker
    assert checker is not None
    assert checker.order == order
