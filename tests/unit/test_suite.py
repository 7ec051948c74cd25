"""Stages, quarantine and report of ``tests/conftest.py``; names in both tables of faults and ``tests/mutants``."""

from __future__ import annotations

import ast
import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests import conftest
from tests.mutants.table import MUTANTS

SKIPS = "import pytest\n\ndef test_skips():\n    pytest.skip('no second core')\n"
NEEDS = """
import pytest
from tests import host

host.NEEDS = {"second moon": lambda: "there is one", "sun": lambda: ""}

@pytest.mark.needs("sun", "second moon")
def test_needs():
    pass
"""
#: its figures are wrong at first
MEASURES = """
import pytest

figures = []

@pytest.mark.measured
def test_measures():
    figures.append(1)
    assert len(figures) > RIGHT_FROM
"""
FAILS = "def test_fails():\n    assert False\n"
BREAKS = """
import pytest

@pytest.fixture
def server():
    raise RuntimeError("no server")

def test_breaks(server):
    pass
"""
PASSES = "def test_passes():\n    pass\n"


def functions(file: str) -> set[str]:
    """Names of the functions of a file; empty if it does not exist."""
    path = conftest.ROOT / file
    nodes = ast.walk(ast.parse(path.read_text())) if path.exists() else ()
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def fault_table() -> dict[int, list[str]]:
    """CONTRIBUTING's table of faults: number → the tests that it names."""
    text = (
        (conftest.ROOT / "CONTRIBUTING.md").read_text().split("\n## Faults that must not return\n")[1].split("\n## ")[0]
    )
    rows = re.findall(r"^\| (\d+)\. [^|]+\| ([^|]+) \|$", text, re.MULTILINE)
    return {int(number): re.findall(r"`([\w/.]+::\w+)`", cell) for number, cell in rows}


def own_fault_table() -> list[tuple[str, list[str]]]:
    """FAULTS.md's tables: each fault, and the tests that it names."""
    rows = re.findall(r"^\| ([^|]+) \| (`[^|]+) \|$", (conftest.ROOT / "tests" / "FAULTS.md").read_text(), re.MULTILINE)
    return [(fault, re.findall(r"`([\w/.]+::\w+)`", cell)) for fault, cell in rows]


def compliance_table() -> dict[int, tuple[str, list[str]]]:
    """The table of requirements for contests: number → whether it is met, and the tests that are named."""
    text = (conftest.ROOT / "deploy/docs/contest-compliance.md").read_text()
    rows = re.findall(r"^\| (\d+) \| [^|]+ \| [^|]+ \| ([^|]+) \| ([^|]+) \|$", text, re.MULTILINE)
    return {int(number): (state, re.findall(r"`([\w/.]+::\w+)`", cell)) for number, state, cell in rows}


def test_compliance_table_names_a_test_or_a_reason() -> None:
    rows = compliance_table()
    assert list(rows) == list(range(1, len(rows) + 1))
    assert len(rows) >= 115
    assert {state for state, _ in rows.values()} <= {"met", "partly", "**no**", "operator"}


def test_fault_table_names_tests_for_each_fault() -> None:
    faults = fault_table()
    assert list(faults) == list(range(1, 32))
    assert [number for number, tests in faults.items() if not tests] == []


def test_own_fault_table_names_tests_for_each_fault_once() -> None:
    faults = own_fault_table()
    lines = (conftest.ROOT / "tests" / "FAULTS.md").read_text().splitlines()
    assert len(faults) == sum(line.startswith("| ") and line != "| fault | held by |" for line in lines) > 160
    assert len({fault for fault, _ in faults}) == len(faults)
    assert [fault for fault, tests in faults if not tests] == []


@pytest.mark.parametrize(
    "names",
    [
        [name for tests in fault_table().values() for name in tests],
        [name for _, tests in own_fault_table() for name in tests],
        [name for _, tests in compliance_table().values() for name in tests],
        list(conftest.quarantined()),
        [mutant.test for mutant in MUTANTS],
    ],
    ids=["CONTRIBUTING", "FAULTS", "compliance", "quarantine", "mutants"],
)
def test_tests_that_are_named_exist(names: list[str]) -> None:
    split = {name: name.partition("[")[0].partition("::") for name in names}
    assert [name for name, (file, _, function) in split.items() if function not in functions(file)] == []


def test_paths_of_the_stages_exist() -> None:
    shared = (path for row in conftest.SHARED for path in row)
    paths = (*conftest.FULL, *conftest.ALONE, *conftest.LONGEST, *shared)
    assert [path for path in paths if not (conftest.ROOT / path).exists()] == []


def test_each_group_of_tests_has_its_day_and_names_tests() -> None:
    every = {name for row in conftest.TURNS for group in row for name in group}
    days = math.lcm(*(len(row) for row in conftest.TURNS))
    assert set.intersection(*(set(conftest.not_today(day)) for day in range(days))) == set()
    assert {len(row) for row in conftest.TURNS} <= set(range(2, 6))
    files = {name.partition("::")[0] for name in every}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:xdist", "--collect-only", "-q", *files],
        cwd=conftest.ROOT, capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    assert [name for name in every if f"\n{name}" not in f"\n{done.stdout}"] == []


def test_planted_fault_names_one_line_of_the_product() -> None:
    counts = {(one.file, one.was): (conftest.ROOT / one.file).read_text().count(one.was) for one in MUTANTS}
    assert [place for place, count in counts.items() if count != 1] == []


def test_planted_fault_of_a_stored_function_is_in_its_newest_body() -> None:
    """A fault in a body that a later migration replaces changes nothing, and no test can find it."""
    begins = re.compile(r"CREATE OR REPLACE FUNCTION (\w+)\(")
    migrations = sorted((conftest.ROOT / "sql/migrations").glob("*.sql"))
    newest = {name: path for path in migrations for name in begins.findall(path.read_text())}
    for one in MUTANTS:
        path = conftest.ROOT / one.file
        if path in migrations and (before := begins.findall(path.read_text().partition(one.was)[0])):
            assert newest[before[-1]] == path, (before[-1], one)


def test_files_that_share_a_node_are_run_by_one_worker() -> None:
    options = {"dist": "loadfile", "tx": ["2*popen"], "maxworkerrestart": None}
    config: Any = SimpleNamespace(getvalue=options.get, getoption=options.get)
    scheduler = conftest.pytest_xdist_make_scheduler(config, None)
    units = [{scheduler._split_scope(f"{path}::test_one") for path in row} for row in conftest.SHARED]
    assert units == [{row[0]} for row in conftest.SHARED]
    assert scheduler._split_scope("tests/unit/test_suite.py::test_two[::]") == "tests/unit/test_suite.py"


@pytest.mark.parametrize(
    ("source", "options", "quarantine", "code", "printed"),
    [
        (PASSES, ["--all-shown"], "", 0, "1 passed"),
        (SKIPS, [], "", 0, "tests/test_one.py::test_skips: no second core"),
        (SKIPS, ["--all-shown"], "", 1, "NOT SHOWN ON THIS HOST"),
        (NEEDS, [], "", 0, "tests/test_one.py::test_needs: this host offers no second moon: there is one"),
        (NEEDS.replace(', "second moon"', ""), ["--all-shown"], "", 0, "1 passed"),
        (MEASURES.replace("RIGHT_FROM", "1"), [], "", 0, "RERUN tests/test_one.py::test_measures"),
        (MEASURES.replace("RIGHT_FROM", "2"), [], "", 1, "1 failed"),
        (FAILS, [], "", 1, "1 failed"),
        (FAILS, [], "tests/test_one.py::test_fails  fails once in 200 runs\n", 0, "quarantine: fails once in 200 runs"),
    ],
)
def test_session_ends_by_the_rules(
    tmp_path: Path, *, source: str, options: list[str], quarantine: str, code: int, printed: str
) -> None:
    workers = ("-n", "1", "--dist", "loadfile") if options or quarantine else ("-p", "no:xdist")
    done = session(tmp_path, source, *options, quarantine=quarantine, workers=workers)

    assert done.returncode == code, done.stdout + done.stderr
    assert printed in done.stdout


@pytest.mark.parametrize("workers", [["-n", "1", "--dist", "loadfile"], ["-p", "no:xdist"]], ids=["worker", "none"])
def test_tests_of_other_days_are_left_out_and_named(tmp_path: Path, workers: list[str]) -> None:
    groups = '(("tests/test_one.py::test_passes",), ("tests/test_one.py::test_fails",))'
    turns = f"TURNS = ({groups},)\nSHARED = "
    done = session(tmp_path, PASSES + FAILS, "--day", "2", workers=workers, conftest_with=("SHARED = ", turns))

    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
    assert "LEFT TO OTHER DAYS THAN 2" in done.stdout
    assert "\ntests/test_one.py::test_fails\n" in done.stdout


@pytest.mark.parametrize(
    "workers", [["-n", "2", "--dist", "loadfile"], ["-p", "no:xdist"]], ids=["two workers", "none"]
)
def test_failure_is_printed_once_as_it_happens(tmp_path: Path, workers: list[str]) -> None:
    done = session(tmp_path, FAILS + PASSES + BREAKS, workers=workers)

    before_the_end, _, _ = done.stdout.partition("= ERRORS =")
    lines = [line for line in before_the_end.splitlines() if line.startswith(("FAILED", "ERROR"))]
    assert sorted(lines) == [
        "ERROR in setup of tests/test_one.py::test_breaks: RuntimeError: no server",
        "FAILED tests/test_one.py::test_fails: assert False",
    ]


def session(
    directory: Path,
    source: str,
    *options: str,
    quarantine: str = "",
    workers: Sequence[str],
    conftest_with: tuple[str, str] = ("", ""),
) -> subprocess.CompletedProcess[str]:
    """Run pytest with our conftest over one file of tests, without plugins that it would not use."""
    tests = directory / "tests"
    tests.mkdir()
    for name in ("conftest.py", "host.py"):
        shutil.copy(conftest.ROOT / "tests" / name, tests)
    ours = tests / "conftest.py"
    ours.write_text(ours.read_text().replace(*conftest_with, 1))
    (tests / "quarantine.txt").write_text(f"# a comment\n{quarantine}")
    (tests / "test_one.py").write_text(source)
    plugins = ("-p", "pytest_rerunfailures", *(() if "no:xdist" in workers else ("-p", "xdist")))
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-raR", *plugins, *workers, *options, "tests"],
        cwd=directory, capture_output=True, text=True, timeout=300, check=False,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )  # fmt: skip
