"""What a new package changes: tests by name and content, and the rules that decide verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from deepoj.packages.changes import ChangeKind, PackageChanges, PackageContent, changes_of, content_of
from deepoj.words.problems import Problem
from tests.fakes.settings import unzip_limits
from tests.unit.packages.makers import zipped

PROBLEM = Problem(
    id=1, title="t", description="", difficulty="", time_limit_ms=1000, memory_limit_mb=64, compare="tokens",
    data_path="problems/1.zip", data_hash="00",
)  # fmt: skip
SUMS = {f"{n}.{kind}": f"{kind} {n}\n" for n in (1, 2, 3) for kind in ("in", "out")}
#: a test with the checker of a Kattis package
CHECKED = {
    "problem.yaml": "name: A\nvalidation: custom\n",
    "data/secret/1.in": "1\n",
    "data/secret/1.ans": "1\n",
    "output_validators/check.py": "raise SystemExit(42)\n",
}


def content(path: Path, files: Mapping[str, str | bytes]) -> PackageContent:
    file = path / "p.zip"
    file.write_bytes(zipped(files))
    read = content_of(file, unzip_limits())
    assert isinstance(read, PackageContent), read
    return read


def changes(
    path: Path, old: Mapping[str, str | bytes], new: Mapping[str, str | bytes], after: Problem = PROBLEM
) -> PackageChanges:
    return changes_of(content(path, old), content(path, new), before=PROBLEM, after=after)


def shown(found: PackageChanges) -> list[tuple[str, str | None, str | None, tuple[str, ...]]]:
    return [
        (one.kind, one.before.name if one.before else None, one.after.name if one.after else None, one.parts)
        for one in found.cases
    ]


def test_same_package_changes_nothing(tmp_path: Path) -> None:
    found = changes(tmp_path, SUMS, SUMS)
    assert (found.cases, found.rules, found.unchanged, found.may_change_verdicts) == ((), (), 3, False)


def test_tests_are_added_removed_and_changed(tmp_path: Path) -> None:
    new = SUMS | {"2.out": "other\n", "4.in": "4\n", "4.out": "4\n"}
    del new["3.in"], new["3.out"]
    found = changes(tmp_path, SUMS, new)
    assert shown(found) == [
        ("changed", "2", "2", ("answer",)), ("added", None, "4", ()), ("removed", "3", None, ()),
    ]  # fmt: skip
    change = found.cases[0]
    assert change.before is not None
    assert change.after is not None
    assert change.before.input == change.after.input
    assert change.before.answer != change.after.answer
    assert found.unchanged == 1
    assert found.may_change_verdicts


def test_test_put_between_others_renames_them(tmp_path: Path) -> None:
    """Its own name belongs to the test that had it, so that one test is added and no test is changed."""
    new = {"1.in": "first\n", "1.out": "first\n"}
    new |= {f"{n + 1}.{kind}": f"{kind} {n}\n" for n in (1, 2, 3) for kind in ("in", "out")}
    found = changes(tmp_path, SUMS, new)
    assert shown(found) == [
        ("added", None, "1", ()), ("renamed", "1", "2", ()), ("renamed", "2", "3", ()), ("renamed", "3", "4", ()),
    ]  # fmt: skip
    assert [found.count(kind) for kind in ChangeKind] == [1, 0, 0, 3]


def test_renaming_alone_changes_no_verdict(tmp_path: Path) -> None:
    new = {name.replace("3.", "03."): text for name, text in SUMS.items()}
    found = changes(tmp_path, SUMS, new)
    assert (shown(found)[0][:3], found.may_change_verdicts) == (("renamed", "3", "03"), False)


def test_same_content_twice_is_paired_once(tmp_path: Path) -> None:
    twice = SUMS | {"4.in": SUMS["1.in"], "4.out": SUMS["1.out"]}
    assert shown(changes(tmp_path, SUMS, twice)) == [("added", None, "4", ())]
    assert shown(changes(tmp_path, twice, SUMS)) == [("removed", "4", None, ())]
    moved = {name.replace("1.", f"{copy}."): text for copy in (4, 5) for name, text in SUMS.items()}
    assert shown(changes(tmp_path, SUMS, moved)) == [("renamed", "1", "4", ()), ("added", None, "5", ())]


@pytest.mark.parametrize(
    ("files", "rules"),
    [
        ({"output_validators/check.py": "raise SystemExit(43)\n"}, ["checker"]),
        ({"problem.yaml": "name: B\nvalidation: custom\n"}, []),
        ({"problem.yaml": "name: A\nvalidation: custom\nlimits: {output: 3}\n"}, ["package_limits"]),
        ({"problem.yaml": "name: A\n"}, ["comparison", "checker"]),
    ],
)
def test_rules_of_the_package(tmp_path: Path, files: dict[str, str], rules: list[str]) -> None:
    found = changes(tmp_path, CHECKED, CHECKED | files)
    assert [one.rule for one in found.rules] == rules
    assert found.cases == ()
    assert found.may_change_verdicts == bool(rules)


def test_limits_of_the_problem(tmp_path: Path) -> None:
    after = replace(PROBLEM, time_limit_ms=2000, memory_limit_mb=32, compare="exact")
    rules = changes(tmp_path, SUMS, SUMS, after).rules
    assert [(one.rule, one.before) for one in rules] == [
        ("time_limit", "1000 ms"), ("memory_limit", "64 MB"), ("comparison", "tokens"),
    ]  # fmt: skip
    assert [one.after for one in rules][:2] == ["2000 ms", "32 MB"]


def test_folder_of_the_package_makes_no_difference(tmp_path: Path) -> None:
    moved = {f"problem/{name}": text for name, text in CHECKED.items()}
    found = changes(tmp_path, CHECKED, moved)
    assert (found.cases, found.rules, found.unchanged) == ((), (), 1)
