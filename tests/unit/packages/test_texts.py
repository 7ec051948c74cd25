"""YAML whose meaning differs from reader to reader: a sentence or the text that is written, and nothing raised."""

from __future__ import annotations

import pytest

from deepoj.packages.formats import PackageFault
from tests.unit.packages.makers import fault, plan, read

CASE = {"1.in": "1\n", "1.out": "1\n"}
KATTIS = {"data/secret/1.in": "1\n", "data/secret/1.ans": "1\n"}
LONG_SEXAGESIMAL = "1" + ":59" * 4000

AMBIGUOUS = ["1:30", "190:20:30.15", "010", "1_000", "0b101", "0o17", "0x" + "f" * 5000, "9" * 400, LONG_SEXAGESIMAL,
             "!!float " + "1" * 900_000 + "x"]  # fmt: skip


@pytest.mark.parametrize("scalar", AMBIGUOUS, ids=lambda scalar: scalar[:12])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("problem.yaml", "limits: {memory: %s}"),
        ("problem.yaml", "limits: {time_limit: %s}"),
        ("problem.yaml", "validator_flags: float_tolerance\nlimits: {output: %s}"),
        ("data/secret/testdata.yaml", "accept_score: %s"),
        ("init.yml", "test_cases: [{in: 1.in, out: 1.out, points: %s}]"),
        ("init.yml", "points: %s\ntest_cases: [{in: 1.in, out: 1.out}]"),
        ("init.yml", "test_cases: [{in: 1.in, out: 1.out, points: 1}]\nchecker: {name: floats, args: {precision: %s}}"),
        ("deepoj.yaml", "limits: {time_ms: %s}"),
    ],
)
def test_ambiguous_number_where_a_number_counts_is_refused(name: str, text: str, scalar: str) -> None:
    files = {**CASE, **KATTIS, name: text % scalar}
    if name.startswith("data"):
        files["problem.yaml"] = "type: scoring"
    found = fault(files)
    assert found.file == name
    assert len(found.sentence) < 500


@pytest.mark.parametrize("scalar", ["1:30", "010", "1_000", "2026-01-01", "2026-13-45", LONG_SEXAGESIMAL, "0x1F"])
def test_ambiguous_scalar_as_name_is_the_text_written(scalar: str) -> None:
    found = plan({**KATTIS, "problem.yaml": f"name: {scalar}"})
    assert found.title in {scalar, str(0x1F)}


@pytest.mark.parametrize("where", ["problem.yaml", "init.yml", "deepoj.yaml", "data/testdata.yaml"])
@pytest.mark.parametrize("scalar", [*AMBIGUOUS, "yes", "~", ".nan", "-.inf", "2026-01-01", "2026-13-45", "[1:30]"])
def test_scalar_of_any_kind_for_any_key_raises_nothing(where: str, scalar: str) -> None:
    keys = (
        "name type limits validator_flags points short_circuit title scored compare checker archive test_cases grading"
        " grader_flags range accept_score constants problem_format_version license embargo_until binary_data"
    )
    for key in (*keys.split(), scalar):
        files = {**CASE, **KATTIS, where: f"{key}: {scalar}\n"}
        if where.startswith("data"):
            files["problem.yaml"] = "type: scoring"
        read(files)


def test_ambiguous_constant_is_refused() -> None:
    found = fault({**KATTIS, "problem.yaml": "problem_format_version: 2025-09\nconstants: {n: 1_000}"})
    assert "constant n" in found.sentence
    assert "in quotes" in found.sentence


def test_key_that_yaml_1_1_takes_for_a_boolean_is_text() -> None:
    text = "problem_format_version: 2025-09\nname: {no: Hei, sv: Hej}"
    assert plan({**KATTIS, "problem.yaml": text}).title == "Hei"


@pytest.mark.parametrize(
    "text",
    ["name: a\nlimits: {memory: 1, memory: 2}", "type: scoring\ntype: pass-fail", "limits: {}\n'limits': {memory: 9}"],
)
def test_key_that_is_there_twice_is_refused(text: str) -> None:
    found = fault({**KATTIS, "problem.yaml": text})
    assert "there twice (line" in found.sentence


def test_merged_key_that_is_overridden_is_not_there_twice() -> None:
    text = "test_cases:\n- &one {in: 1.in, out: 1.out, points: 1}\n- {<<: *one, points: 2}\n- {<<: [*one, *one]}\n"
    assert [case.score for case in plan({**CASE, "init.yml": text}).cases] == [1, 2, 1]


def test_date_that_is_none_refuses_no_package() -> None:
    assert not isinstance(read({**KATTIS, "problem.yaml": "embargo_until: 2026-13-45"}), PackageFault)
