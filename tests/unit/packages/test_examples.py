"""The example packages in ``tests/packages``: each reads into the plan that its author meant."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from deepoj.judging.problem import Aggregate, Compare, Example, Plan, Points, Protocol, plan_json, plan_of_json
from deepoj.packages.formats import PackageFault, open_package, pack_directory
from tests.fakes.settings import unzip_limits

HOME = Path(__file__).parents[2] / "packages"
PACKAGES = sorted(path.name for path in HOME.iterdir() if path.is_dir())


def plan_of(name: str, *, inside: str = "") -> Plan:
    """The plan of an example, which may stand in a folder of the archive."""
    out = io.BytesIO()
    assert pack_directory(HOME / name, out, unzip_limits(), 1 << 20) is None
    if inside:
        moved = io.BytesIO()
        with zipfile.ZipFile(out) as source, zipfile.ZipFile(moved, "w") as target:
            for entry in source.infolist():
                target.writestr(inside + entry.filename, source.read(entry))
            target.writestr("README.txt", b"beside it")
        out = moved
    opened = open_package(out, unzip_limits())
    assert not isinstance(opened, PackageFault), opened
    with opened:
        return opened.plan


def example(plan: Plan, end: str) -> Example:
    return next(one for one in plan.examples if one.name.endswith(end))


def group_rows(plan: Plan) -> list[tuple[str, Aggregate, float | None, tuple[str, ...]]]:
    return [(one.name, one.aggregate, one.max_score, one.depends_on) for one in plan.groups]


@pytest.mark.parametrize("name", PACKAGES)
def test_every_example_reads(name: str) -> None:
    plan = plan_of(name)
    assert plan.format.startswith(name.partition("-")[0].removesuffix("2023"))
    assert plan.cases
    assert plan.examples
    assert all(one.expected or one.expected_scores for one in plan.examples), "each promises something"
    assert {one.expected[:1] for one in plan.examples} >= {("Accepted",)}
    assert {case.group for case in plan.cases} <= {group.name for group in plan.groups} | {""}
    assert len({case.name for case in plan.cases}) == len(plan.cases)
    assert plan_of_json(plan_json(plan)) == plan


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_may_stand_in_a_folder_of_its_archive(name: str) -> None:
    plain, moved = plan_of(name), plan_of(name, inside="problem-a/")
    assert moved.files() == tuple("problem-a/" + file for file in plain.files())
    assert moved.groups == plain.groups
    assert [case.name for case in moved.cases] == [case.name for case in plain.cases]
    assert moved.total_bytes == plain.total_bytes > 0


def test_packing_a_directory_is_stable() -> None:
    first, second = io.BytesIO(), io.BytesIO()
    for out in (first, second):
        assert pack_directory(HOME / "own-sums", out, unzip_limits(), 1 << 20) is None
    assert first.getvalue() == second.getvalue()


def check_own_sums(plan: Plan) -> None:
    assert (plan.title, plan.scored, plan.compare, plan.checker) == ("Sums", False, None, None)
    assert [case.name for case in plan.cases] == ["cases/1", "cases/2", "cases/10", "sample/1"]
    assert [case.sample for case in plan.cases] == [False, False, False, True]
    assert (plan.limits.time_ms, plan.limits.memory_mb, plan.limits.time_factors) == (1000, 128, (("python3", 2.0),))
    assert example(plan, "no.cpp").expected == ("Compile Error",)
    assert example(plan, "overflow.cpp").promised_by == "deepoj.yaml"


def check_own_points(plan: Plan) -> None:
    assert plan.scored
    assert group_rows(plan) == [
        ("", Aggregate.SUM, None, ()),
        ("small", Aggregate.ALL, 30, ()),
        ("large", Aggregate.SUM, 60, ("small",)),
        ("bonus", Aggregate.MIN, 10, ()),
    ]
    assert [case.group for case in plan.cases] == ["small", "small", "large", "large", "bonus"], "what it needs first"
    partial = example(plan, "overflow.cpp")
    assert (partial.expected, partial.expected_scores) == (("Partial",), ((70, 70),))


def check_own_checker(plan: Plan) -> None:
    assert plan.checker is not None
    assert plan.checker.protocol is Protocol.TESTLIB
    assert plan.checker.program.files == ("checker/check.cpp", "checker/numbers.h")
    assert plan.checker.program.entry == "checker/check.cpp"
    assert set(plan.checker.program.files) <= set(plan.files())


def check_kattis_floats(plan: Plan) -> None:
    assert plan.compare == Compare(way="floats", case_sensitive=False, absolute=1e-4, relative=1e-4)
    assert (plan.limits.time_ms, plan.limits.memory_mb) == (1000, 256)
    assert [case.name for case in plan.cases] == ["sample/1", "secret/1", "secret/2", "secret/10"]
    assert {one.language for one in plan.statements} == {"en", "sv"}
    module, parts = example(plan, "module"), example(plan, "parts")
    assert (module.language, module.entry) == ("python3", "submissions/accepted/module/main.py")
    assert (parts.language, parts.entry) == ("cpp20", "submissions/accepted/parts/main.cpp")
    assert len(parts.files) == 3
    either = example(plan, "either.py")
    assert either.expected == ("Wrong Answer", "Runtime Error", "Memory Limit Exceeded")
    assert either.promised_by.startswith("@EXPECTED_RESULTS@")
    assert len(plan.input_validators) == 1


def check_kattis_checker(plan: Plan) -> None:
    assert plan.checker is not None
    assert (plan.checker.protocol, plan.checker.args) == (Protocol.VALIDATOR, ("positive",))
    assert plan.checker.program.root == "output_validators/summands/"
    assert plan.compare is None


def check_kattis_interactive(plan: Plan) -> None:
    assert plan.checker is not None
    assert plan.checker.interactive
    assert plan.checker.args == ("10",)


def check_kattis_heuristic(plan: Plan) -> None:
    assert (plan.points, plan.checker is not None and plan.checker.scores) == (Points.LEGACY, False)
    assert group_rows(plan) == [
        ("", Aggregate.SUM, None, ()),
        ("sample", Aggregate.SUM, None, ()),
        ("secret", Aggregate.SUM, None, ()),
        ("secret/main", Aggregate.SUM, 100, ()),
    ]
    assert [group.ignored for group in plan.groups] == [False, True, False, False]
    assert example(plan, "near.py").expected_scores == ((74.42, 74.42),)
    assert any("DOMjudge's rules" in sentence for sentence in plan.unsupported)


def check_kattis_scoring(plan: Plan) -> None:
    assert plan.scored
    assert group_rows(plan) == [
        ("", Aggregate.SUM, 100, ()),
        ("sample", Aggregate.SUM, 0, ()),
        ("secret", Aggregate.SUM, 100, ()),
        ("secret/group1", Aggregate.MIN, 40, ()),
        ("secret/group2", Aggregate.MIN, 60, ()),
    ]
    assert [group.ignored for group in plan.groups] == [False, True, False, False, False]
    assert [group.judge_all for group in plan.groups] == [True, True, True, False, False]
    assert [case.score for case in plan.cases] == [0, 40, 40, 60, 60]
    small = example(plan, "small.py")
    assert (small.expected, small.expected_scores) == (("Partial",), ((40, 40),))


def check_kattis2023_points(plan: Plan) -> None:
    assert plan.title == "Sums by groups"
    assert group_rows(plan) == [
        ("", Aggregate.SUM, None, ()),
        ("sample", Aggregate.ALL, None, ()),
        ("secret", Aggregate.SUM, 100, ()),
        ("secret/1-small", Aggregate.ALL, 20, ("sample",)),
        ("secret/2-large", Aggregate.SUM, 50, ("secret/1-small",)),
        ("secret/3-least", Aggregate.MIN, 30, ()),
    ]
    assert [case.score for case in plan.cases] == [None, None, None, 25, 25, 30]
    assert plan.attachments == ("attachments/hint.txt",)


def check_kattis2023_beside(plan: Plan) -> None:
    assert set(plan.included_for("cpp20")) == {"unit.txt", "driver.cpp", "total.h"}
    assert set(plan.included_for("python3")) == {"unit.txt", "main.py"}
    assert set(plan.included_for("javascript")) == {"unit.txt"}
    assert plan.constants == (("currency", "crowns"), ("most", "100"))
    assert {case.checker_args for case in plan.cases} == {("crowns",)}
    assert [case.args for case in plan.cases] == [(), (), ("tip",)]
    assert not plan.unsupported


def check_kattis2023_passes(plan: Plan) -> None:
    assert plan.checker is not None
    assert (plan.checker.multipass, plan.checker.max_passes, plan.checker.interactive) == (True, 2, False)


def check_kattis2023_answers(plan: Plan) -> None:
    assert plan.output_only
    assert example(plan, "half").expected == ("Wrong Answer",)
    assert len(example(plan, "half").files) == 2


def check_polygon_checker(plan: Plan) -> None:
    assert plan.checker is not None
    assert (plan.checker.protocol, plan.checker.program.language) == (Protocol.TESTLIB, "cpp17")
    assert [case.input for case in plan.cases] == ["tests/01", "tests/02", "tests/03"]
    assert [case.sample for case in plan.cases] == [True, False, False]
    assert (plan.limits.time_ms, plan.limits.memory_mb) == (1000, 256)
    assert [one.promised_by for one in plan.examples] == [
        "main", "accepted", "wrong-answer", "time-limit-exceeded", "rejected",
    ]  # fmt: skip


def check_polygon_points(plan: Plan) -> None:
    assert plan.compare == Compare()
    assert group_rows(plan) == [
        ("", Aggregate.SUM, None, ()),
        ("small", Aggregate.ALL, 30, ()),
        ("large", Aggregate.SUM, 70, ("small",)),
    ]
    assert plan.unsupported


def check_polygon_interactive(plan: Plan) -> None:
    assert plan.checker is not None
    assert plan.checker.interactive
    assert plan.output_checker is not None
    assert not plan.output_checker.interactive
    assert {"files/check.cpp", "files/interactor.cpp"} <= set(plan.files())


def check_dmoj_batches(plan: Plan) -> None:
    assert group_rows(plan) == [
        ("", Aggregate.SUM, None, ()),
        ("case 1", Aggregate.MIN, 0, ()),
        ("batch 1", Aggregate.MIN, 40, ("case 1",)),
        ("batch 2", Aggregate.MIN, 60, ("case 1", "batch 1")),
    ]
    assert [case.name for case in plan.cases] == ["1", "2.1", "2.2", "3.1"]


def check_dmoj_interactive(plan: Plan) -> None:
    assert plan.checker is not None
    assert (plan.checker.protocol, plan.checker.interactive) == (Protocol.PLAIN, True)
    assert [case.answer for case in plan.cases] == [None, None]
    assert plan.unsupported == ()


CHECKS: dict[str, Callable[[Plan], None]] = {
    name.removeprefix("check_").replace("_", "-"): check
    for name, check in list(globals().items())
    if name.startswith("check_")
}


def test_every_example_is_looked_at() -> None:
    assert sorted(CHECKS) == PACKAGES


@pytest.mark.parametrize("name", CHECKS)
def test_plan_of_an_example_package_is_as_expected(name: str) -> None:
    CHECKS[name](plan_of(name))
