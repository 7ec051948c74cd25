"""The report about a package: what decides verdicts, and what was left out."""

from __future__ import annotations

import io
from pathlib import Path
from typing import IO

import pytest

from deepoj.judging.problem import Case, Group, Plan
from deepoj.packages.formats import PackageFault, open_package
from deepoj.packages.report import MAX_GROUPS, PackageReport, report_of
from tests.fakes.settings import unzip_limits
from tests.unit.packages.makers import zipped

EXAMPLES = Path(__file__).parents[2] / "packages"


def reported(package: IO[bytes] | Path) -> PackageReport:
    opened = open_package(package, unzip_limits())
    assert not isinstance(opened, PackageFault), opened
    with opened:
        return report_of(opened.plan)


@pytest.mark.parametrize(
    ("name", "fmt", "checker", "interactor"),
    [
        ("polygon-checker", "polygon", True, False),
        ("polygon-interactive", "polygon", True, True),
        ("kattis-checker", "kattis-legacy", True, False),
        ("kattis-interactive", "kattis-legacy", False, True),
        ("dmoj-interactive", "dmoj", False, True),
        ("own-sums", "own", False, False),
    ],
)
def test_report_names_the_programs_that_decide(name: str, fmt: str, checker: bool, interactor: bool) -> None:
    report = reported(EXAMPLES / name)
    assert (report.format, report.checker is not None, report.interactor is not None) == (fmt, checker, interactor)
    assert report.tests > 0
    assert report.total_bytes > 0


def test_report_counts_tests_samples_and_groups() -> None:
    report = reported(EXAMPLES / "polygon-points")
    assert report.scored
    assert report.group_count == len(report.groups) > 1
    assert sum(group.tests for group in report.groups) <= report.tests
    assert report.samples <= report.tests
    assert report.examples >= report.promises > 0


def test_report_lists_files_that_were_left_out() -> None:
    files = {"1.in": "1\n", "1.out": "1\n", "deepoj.yaml": "title: A", "notes\\b.txt": "x"}
    assert any("left out" in note for note in reported(io.BytesIO(zipped(files))).notes)


def test_report_bounds_its_groups() -> None:
    groups = (Group(name="", parent=None), *(Group(name=f"g{n}") for n in range(MAX_GROUPS + 5)))
    report = report_of(Plan(format="own", cases=(Case(name="1", input=None, answer=None, group="g1"),), groups=groups))
    assert (len(report.groups), report.group_count) == (MAX_GROUPS, MAX_GROUPS + 5)
    assert [group.tests for group in report.groups[:3]] == [0, 1, 0]
