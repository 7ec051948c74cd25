"""Scores of ICPC/Kattis packages, a small package a row: each format by its own grader's rules, or refused by name.

The expected scores are worked out by hand from the specifications (legacy, 2023-07-draft, 2025-09), from the source of
Kattis' default grader and from DOMjudge's aggregation.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from deepoj.judging import graders
from deepoj.judging.scoring.outcome import Graded, Outcome
from deepoj.judging.scoring.submission import Scoring
from deepoj.words.results import Verdict
from tests.unit.packages.makers import fault, plan

V = Verdict
WORDS = {
    "AC": V.ACCEPTED, "WA": V.WRONG_ANSWER, "TLE": V.TIME_LIMIT_EXCEEDED, "RE": V.RUNTIME_ERROR, "SE": V.SYSTEM_ERROR,
}  # fmt: skip
LEGACY, CUSTOM = "type: scoring\n", "type: scoring\nvalidation: custom\n"
SCORES = "type: scoring\nvalidation: custom score\n"
DRAFT = "problem_format_version: 2023-07-draft\nname: x\ntype: scoring\n"
STABLE = "problem_format_version: 2025-09\nname: x\ntype: scoring\n"
#: what makes a legacy package one of DOMjudge's
MARK = {"submissions/accepted/a.py": "# @EXPECTED_SCORE@: 100\n"}
VALIDATOR = {"output_validators/v.py": ""}
CONTINUE = "on_reject: continue"


@dataclass(frozen=True)
class Row:
    """``tests``: names below ``data``, blank-separated. ``groups``: the YAML of folders below ``data``. ``fates``: what
    a test gets: a verdict's initials, the points of a validator that accepts, or both, as ``WA 3``."""

    name: str
    yaml: str
    tests: str
    groups: Mapping[str, str] = field(default_factory=dict)
    fates: Mapping[str, str | float] = field(default_factory=dict)
    status: str = ""
    score: float | None = None
    maximum: float | None = None
    judged: str | None = None
    more: Mapping[str, str] = field(default_factory=dict)
    #: part of the sentence by which the package is refused, or the points of its validator
    refused: str = ""

    def files(self) -> dict[str, str]:
        config = "test_group.yaml" if "problem_format_version" in self.yaml else "testdata.yaml"
        found = {"problem.yaml": self.yaml} | dict(self.more)
        for test in self.tests.split():
            found |= {f"data/{test}.in": "", f"data/{test}.ans": ""}
        for folder, text in self.groups.items():
            found["/".join(part for part in ("data", folder, config) if part)] = text
        return found


ROWS = [
    # -- legacy: Kattis' default grader
    Row("one failure takes all", LEGACY, "secret/1 secret/2", {"": CONTINUE}, {"secret/2": "WA"}, "WA", 0, 2),
    Row("each test is worth 1", LEGACY, "secret/1 secret/2", {}, {}, "AC", 2, 2),
    Row("accept_score is a test's", LEGACY, "secret/1 secret/2", {"": "accept_score: 20"}, {}, "AC", 40, 40),
    Row(
        "decimal sums are exact", LEGACY, "secret/1 secret/2 secret/3", {"": "accept_score: 0.1"}, {}, "AC", 0.3, 0.3,
    ),
    Row(
        "always_accept keeps points", LEGACY, "secret/1 secret/2 secret/3",
        {"": f"{CONTINUE}\ngrader_flags: always_accept\naccept_score: 10"}, {"secret/2": "TLE"}, "Partial", 20, 30,
    ),
    Row(
        "always_accept without points", LEGACY, "secret/1 secret/2",
        {"": f"{CONTINUE}\ngrader_flags: always_accept"}, {"secret/1": "RE", "secret/2": "WA"}, "RE", 0, 2,
    ),
    Row(
        "accept_if_any_accepted", LEGACY, "secret/a/1 secret/b/1",
        {"": f"{CONTINUE}\ngrader_flags: accept_if_any_accepted", "secret/a": "accept_score: 30",
         "secret/b": "accept_score: 70"}, {"secret/a/1": "WA"}, "Partial", 70, 100,
    ),
    Row(
        "ignore_sample", LEGACY, "sample/1 secret/1",
        {"": f"{CONTINUE}\ngrader_flags: ignore_sample", "secret": "grader_flags: sum"}, {"sample/1": "WA"}, "AC", 1, 1,
    ),
    Row("samples count", LEGACY, "sample/1 secret/1", {}, {}, "AC", 2, 2),
    Row(
        "a failed sample ends all", LEGACY, "sample/1 secret/1", {}, {"sample/1": "TLE"}, "TLE", 0, 2, "sample/1",
    ),
    Row(
        "min of tests", LEGACY, "secret/g/1 secret/g/2",
        {"": f"{CONTINUE}\ngrader_flags: always_accept",
         "secret/g": f"grader_flags: min\naccept_score: 40\n{CONTINUE}"},
        {"secret/g/2": "WA"}, "WA", 0, 40,
    ),
    Row(
        "max of tests", LEGACY, "secret/1 secret/2",
        {"": f"{CONTINUE}\ngrader_flags: accept_if_any_accepted max\naccept_score: 7"}, {"secret/1": "WA"}, "AC", 7, 7,
    ),
    Row(
        "the last of several modes counts", LEGACY, "secret/1 secret/2",
        {"": f"{CONTINUE}\ngrader_flags: min always_accept sum max"}, {"secret/1": "WA"}, "AC", 1, 1,
    ),
    Row(
        "average of groups", LEGACY, "secret/a/1 secret/b/1 secret/c/1",
        {"": f"{CONTINUE}\ngrader_flags: always_accept", "secret": "grader_flags: avg always_accept",
         "secret/a": "accept_score: 15\ngrader_flags: ''", "secret/b": "accept_score: 30\ngrader_flags: ''",
         "secret/c": "accept_score: 45\ngrader_flags: ''"}, {"secret/b/1": "WA"}, "Partial", 20, 30,
    ),
    Row(
        "an average counts what was judged", LEGACY, "secret/1 secret/2 secret/3",
        {"secret": "on_reject: break\ngrader_flags: avg always_accept\naccept_score: 60",
         "": f"{CONTINUE}\ngrader_flags: always_accept"}, {"secret/2": "WA"}, "Partial", 30, 60, "secret/1 secret/2",
    ),
    Row(
        "tests come in the order of bytes", LEGACY, "secret/1 secret/2 secret/10",
        {"": f"{CONTINUE}\ngrader_flags: always_accept", "secret": "on_reject: break"},
        {"secret/10": "WA"}, "Partial", 1, 3, "secret/1 secret/10",
    ),
    Row(
        "a group that forgives does not end its parent", LEGACY, "secret/a/1 secret/a/2 secret/b/1",
        {"secret/a": f"grader_flags: accept_if_any_accepted\n{CONTINUE}"}, {"secret/a/1": "WA"}, "Partial", 2, 3,
    ),
    Row(
        "a group that is rejected at its end ends its parent", LEGACY, "secret/a/1 secret/a/2 secret/b/1",
        {"secret/a": f"grader_flags: accept_if_any_accepted\n{CONTINUE}"}, {"secret/a/1": "WA", "secret/a/2": "WA"},
        "WA", 0, 3, "secret/a/1 secret/a/2",
    ),
    Row(
        "a group goes on though its parent ends", LEGACY, "secret/a/1 secret/a/2 secret/b/1",
        {"": "grader_flags: always_accept\non_reject: continue", "secret": "on_reject: break\ngrader_flags: ''",
         "secret/a": CONTINUE}, {"secret/a/1": "WA"}, "Partial", 1, 3, "secret/a/1 secret/a/2",
    ),
    Row(
        "reject_score", LEGACY, "secret/1 secret/2",
        {"": f"{CONTINUE}\ngrader_flags: always_accept\naccept_score: 10\nreject_score: 2"}, {"secret/1": "WA"},
        "Partial", 12, 20,
    ),
    Row(
        "worst error", LEGACY, "secret/1 secret/2 secret/3", {"": CONTINUE},
        {"secret/1": "WA", "secret/2": "TLE", "secret/3": "RE"}, "RE", 0, 3,
    ),
    Row(
        "first error", LEGACY, "secret/1 secret/2", {"": f"{CONTINUE}\ngrader_flags: first_error"},
        {"secret/1": "WA", "secret/2": "RE"}, "WA", 0, 2,
    ),
    Row(
        "worst error of a pass-fail problem", "name: x\n", "secret/1 secret/2", {"": CONTINUE},
        {"secret/1": "WA", "secret/2": "RE"}, "RE", 0, 100,
    ),
    Row(
        "first error of a pass-fail problem that breaks", "name: x\n", "secret/1 secret/2", {},
        {"secret/1": "WA", "secret/2": "RE"}, "WA", 0, 100,
    ),
    Row(
        "a pass-fail problem that forgives", "name: x\n", "secret/1 secret/2",
        {"": f"{CONTINUE}\ngrader_flags: accept_if_any_accepted"}, {"secret/1": "WA"}, "AC", 100, 100,
    ),
    Row(
        "a pass-fail problem that forgives and breaks", "name: x\n", "secret/1 secret/2",
        {"": "grader_flags: accept_if_any_accepted"}, {"secret/1": "WA"}, "WA", 0, 100, "secret/1",
    ),
    Row(
        "a range is only a bound", LEGACY, "secret/1 secret/2", {"": "range: 0 100\naccept_score: 3"}, {}, "AC", 6, 6,
    ),
    Row(
        "old words of problem.yaml", "type: scoring\ngrading: {accept_score: 5, on_reject: grade}\n",
        "secret/1 secret/2", {"": "grader_flags: always_accept"}, {"secret/1": "WA"}, "Partial", 5, 10,
    ),
    Row("a slip of the pen", LEGACY, "secret/1", {"": "grader_flags: sum, worst_error"}, {}, "AC", 1, 1),
    Row("a slip that would matter", LEGACY, "secret/1", {"": "grader_flags: min, worst_error"}, refused="by commas"),
    Row("an unknown flag", LEGACY, "secret/1", {"": "grader_flags: median"}, refused="'median'"),
    Row("a grader of its own", LEGACY, "secret/1", {"": "grading: custom"}, refused="no program in graders/"),
    Row("ignore_sample inside", LEGACY, "secret/1", {"secret": "grader_flags: ignore_sample"}, refused="ignore_sample"),
    Row("the least wins", "type: scoring\ngrading: {objective: min}\n", "secret/1", refused="least score"),
    Row("an unknown policy", "type: scoring\ngrading: {on_reject: shrug}\n", "secret/1", refused="'shrug'"),
    # -- legacy: validators
    Row(
        "the validator's score replaces accept_score", SCORES, "secret/1 secret/2", {"": "accept_score: 1"},
        {"secret/1": 30.5, "secret/2": 43.92}, "AC", 74.42, None, more=VALIDATOR,
    ),
    Row(
        "a heuristic below its range", CUSTOM, "secret/1", {"": "range: 0 100"}, {"secret/1": 74.42},
        "Partial", 74.42, 100, more=VALIDATOR,
    ),
    Row("a heuristic with all", CUSTOM, "secret/1", {"": "range: 0 100"}, {"secret/1": 100.0}, "AC", 100, 100,
        more=VALIDATOR),
    Row("a heuristic of no worth", CUSTOM, "secret/1", {"": "range: 0 100"}, {"secret/1": 0.0}, "WA", 0, 100,
        more=VALIDATOR),
    Row(
        "a score of 0 does not end a group", SCORES, "secret/1 secret/2", {}, {"secret/1": 0.0, "secret/2": 3.0},
        "AC", 3, None, more=VALIDATOR,
    ),
    Row(
        "digits are kept", SCORES, "secret/1 secret/2", {}, {"secret/1": 0.123456789, "secret/2": 1000000.0},
        "AC", 1000000.123456789, None, more=VALIDATOR,
    ),
    Row(
        "rejected with points", SCORES, "secret/1", {}, {"secret/1": "WA 3"}, refused="rejected the output",
        more=VALIDATOR,
    ),
    Row(
        "rejected with a score of 0", SCORES, "secret/1", {}, {"secret/1": "WA 0"}, "WA", 0, None, more=VALIDATOR,
    ),
    # -- DOMjudge
    Row(
        "accept_score is a group's", LEGACY, "secret/a/1 secret/a/2 secret/b/1 secret/b/2",
        {"": f"{CONTINUE}\ngrader_flags: sum", "secret": f"{CONTINUE}\ngrader_flags: sum",
         "secret/a": "accept_score: 40", "secret/b": "accept_score: 60"}, {"secret/a/2": "WA"},
        "Partial", 60, 100, more=MARK,
    ),
    Row(
        "everything right", LEGACY, "sample/1 secret/a/1 secret/a/2",
        {"": CONTINUE, "secret": CONTINUE, "secret/a": "accept_score: 40"}, {}, "AC", 40, 40, more=MARK,
    ),
    Row(
        "samples without a file are not scored", CUSTOM, "sample/1 secret/main/1",
        {"": CONTINUE, "secret": CONTINUE, "secret/main": "range: 0 100\non_reject: continue"},
        {"sample/1": 100.0, "secret/main/1": 74.42}, "Partial", 74.42, 100, more={**VALIDATOR, **MARK},
    ),
    Row(
        "average and minimum of groups", LEGACY, "secret/b/1 secret/b/2 secret/e/s/1 secret/e/l/1 secret/r/n/1",
        {"": f"{CONTINUE}\ngrader_flags: sum, ignore_sample", "secret": f"{CONTINUE}\ngrader_flags: sum",
         "secret/b": f"accept_score: 20\n{CONTINUE}", "secret/e": f"grader_flags: avg\n{CONTINUE}",
         "secret/e/s": "accept_score: 15", "secret/e/l": "accept_score: 45",
         "secret/r": f"grader_flags: min\n{CONTINUE}", "secret/r/n": "accept_score: 50"},
        {"secret/e/l/1": "WA"}, "Partial", 77.5, 100, more=MARK,
    ),
    Row(
        "nothing is inherited", LEGACY, "secret/a/1 secret/a/2 secret/b/1",
        {"": f"{CONTINUE}\ngrader_flags: max", "secret": CONTINUE, "secret/a": "accept_score: 40",
         "secret/b": "accept_score: 60"}, {}, "AC", 100, 100, more=MARK,
    ),
    Row(
        "a rejected output with a score", CUSTOM, "secret/main/1",
        {"": CONTINUE, "secret": CONTINUE, "secret/main": "range: 0 100"}, {"secret/main/1": "WA 0"}, "WA", 0, 100,
        more={**VALIDATOR, **MARK},
    ),
    Row(
        "nothing gives a score", LEGACY, "secret/a/1", {"": CONTINUE, "secret": CONTINUE, "secret/a": CONTINUE},
        refused="accept_score", more=MARK,
    ),
    Row(
        "tests beside groups", LEGACY, "secret/1 secret/a/1",
        {"": CONTINUE, "secret": CONTINUE, "secret/a": "accept_score: 4"}, refused="beside groups", more=MARK,
    ),
    Row(
        "words of Kattis' grader win", LEGACY, "secret/a/1 secret/a/2",
        {"": f"{CONTINUE}\ngrader_flags: always_accept", "secret/a": "accept_score: 40"}, {}, "AC", 80, 80, more=MARK,
    ),
    Row(
        "nothing would be scored", LEGACY, "secret/a/1 secret/a/2",
        {"": f"{CONTINUE}\ngrader_flags: sum", "secret/a": "accept_score: 40"}, {}, "AC", 80, 80, more=MARK,
    ),
    # -- 2023-07
    Row("100 by default", DRAFT, "secret/1 secret/2", {}, {"secret/2": "WA"}, "Partial", 50, 100),
    Row(
        "what is left is shared", DRAFT, "secret/a/1 secret/b/1 secret/c/1", {"secret/a": "max_score: 40"},
        {"secret/b/1": "WA"}, "Partial", 70, 100,
    ),
    Row(
        "a pass-fail group is all or nothing", DRAFT, "secret/a/1 secret/a/2 secret/b/1",
        {"secret/a": "max_score: 40", "secret/b": "max_score: 60"}, {"secret/a/2": "TLE"}, "Partial", 60, 100,
    ),
    Row("the least of tests", DRAFT, "secret/1 secret/2", {"secret": "score_aggregation: min"}, {"secret/1": "WA"},
        "WA", 0, 100),
    Row(
        "without a bound", DRAFT, "secret/1 secret/2", {"secret": "max_score: unbounded"},
        {"secret/1": 500.25, "secret/2": 0.5}, "AC", 500.75, None, more=VALIDATOR,
    ),
    Row(
        "without a bound, a failure", DRAFT, "secret/1 secret/2", {"secret": "max_score: unbounded"},
        {"secret/1": 500.25, "secret/2": "WA"}, "Partial", 500.25, None, more=VALIDATOR,
    ),
    Row("without a bound, no points", DRAFT, "secret/1", {"secret": "max_score: unbounded"}, {"secret/1": "AC"},
        refused="no maximum", more=VALIDATOR),
    Row("without a bound or validator", DRAFT, "secret/1", {"secret": "max_score: unbounded"},
        refused="without a bound"),
    Row("part of the points", DRAFT, "secret/1 secret/2", {}, {"secret/1": 10.0}, "Partial", 60, 100, more=VALIDATOR),
    Row("too many points", DRAFT, "secret/1 secret/2", {}, {"secret/1": 51.0}, refused="maximum score is 50",
        more=VALIDATOR),
    Row("points in a pass-fail group", DRAFT, "secret/a/1", {}, {"secret/a/1": 1.0}, refused="as a whole",
        more=VALIDATOR),
    Row("points of a sample", DRAFT, "sample/1 secret/1", {}, {"sample/1": 5.0}, "AC", 100, 100, more=VALIDATOR),
    Row("rejected with a score", DRAFT, "secret/1", {}, {"secret/1": "WA 0"}, refused="rejected", more=VALIDATOR),
    Row(
        "what depends on a failed group has 0", DRAFT, "secret/a/1 secret/b/1",
        {"secret/a": "max_score: 40", "secret/b": "max_score: 60\nrequire_pass: secret/a"}, {"secret/a/1": "WA"},
        "WA", 0, 100, "secret/a/1",
    ),
    Row(
        "the least of groups counts those that are left out", DRAFT, "sample/1 secret/a/1 secret/b/1",
        {"secret": "score_aggregation: min", "secret/b": "require_pass: sample"}, {"sample/1": "WA"}, "WA", 0, 100,
        "sample/1 secret/a/1",
    ),
    Row(
        "only pass-fail groups are required", DRAFT, "secret/a/1 secret/b/1",
        {"secret/a": "score_aggregation: sum", "secret/b": "require_pass: secret/a"}, refused="not a pass-fail group",
    ),
    # -- 2025-09
    Row("secret has 100", STABLE, "secret/1 secret/2 secret/3 secret/4", {}, {"secret/1": "WA"}, "Partial", 75, 100),
    Row(
        "groups need a maximum", STABLE, "secret/a/1 secret/b/1", {"secret/a": "max_score: 40"},
        refused="max_score each",
    ),
    Row(
        "groups are not scaled", STABLE, "secret/a/1 secret/b/1",
        {"secret/a": "max_score: 40", "secret/b": "max_score: 20"}, {}, "AC", 60, 60,
    ),
    Row(
        "sum within a group", STABLE, "secret/a/1 secret/a/2 secret/a/3",
        {"secret/a": "max_score: 100\nscore_aggregation: sum"}, {"secret/a/1": "WA", "secret/a/2": "WA"},
        "Partial", 33.333333333, 100,
    ),
    Row(
        "the least within a group", STABLE, "secret/a/1 secret/a/2",
        {"secret/a": "max_score: 100\nscore_aggregation: min"}, {"secret/a/1": 12.5}, "Partial", 12.5, 100,
        more=VALIDATOR,
    ),
    Row(
        "deeper folders only sort", STABLE, "secret/a/x/1 secret/a/y/1",
        {"secret/a": "max_score: 100\nscore_aggregation: sum"}, {"secret/a/y/1": "WA"}, "Partial", 50, 100,
    ),
    Row(
        "groups in groups", STABLE, "secret/a/x/1", {"secret/a": "max_score: 100", "secret/a/x": "max_score: 3"},
        refused="groups within groups",
    ),
    Row("tests beside groups of tests", STABLE, "secret/1 secret/a/1", {"secret/a": "max_score: 1"}, refused="beside"),
    Row(
        "a group of pass-fail groups", STABLE, "secret/a/1",
        {"secret": "score_aggregation: pass-fail", "secret/a": "score_aggregation: sum"}, refused="pass-fail, too",
    ),
    Row(
        "an unbounded group of a bounded whole", STABLE, "secret/a/1",
        {"secret/a": "max_score: unbounded\nscore_aggregation: sum"}, refused="without a bound", more=VALIDATOR,
    ),
    Row(
        "unbounded groups", STABLE, "secret/a/1 secret/b/1",
        {"secret": "max_score: unbounded", "secret/a": "score_aggregation: sum", "secret/b": "max_score: 5"},
        {"secret/a/1": 1234.5}, "AC", 1239.5, None, more=VALIDATOR,
    ),
    Row(
        "an unbounded pass-fail group", STABLE, "secret/a/1", {"secret": "max_score: unbounded"},
        refused="pass-fail group", more=VALIDATOR,
    ),
    Row("a system error gives no score", STABLE, "secret/1 secret/2", {}, {"secret/2": "SE"}, "SE", 0, 100),
]  # fmt: skip


def play(row: Row) -> tuple[list[str], Outcome] | str:
    """The judged tests and the outcome, or the fault of the validator's points."""
    found = plan(row.files())
    scoring, judged = Scoring(found), []
    while (number := scoring.next()) is not None:
        name = found.cases[number].name
        judged.append(name)
        fate = row.fates.get(name, "AC")
        verdict, _, given = fate.partition(" ") if isinstance(fate, str) else ("AC", "", f"{fate!r}")
        points = float(given) if given else None
        wrong = scoring.points_fault(number, WORDS[verdict], points, None)
        if wrong is not None:
            return wrong
        scoring.record(number, WORDS[verdict], points)
    return judged, scoring.outcome()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_score_of_a_package(row: Row) -> None:
    if row.refused and not row.fates:
        assert row.refused in fault(row.files()).sentence
        return
    found = play(row)
    if row.refused:
        assert isinstance(found, str)
        assert row.refused in found
        return
    assert not isinstance(found, str), found
    judged, outcome = found
    assert (outcome.status, outcome.score, outcome.max_score) == (
        WORDS.get(row.status, V.PARTIAL), row.score, row.maximum,
    )  # fmt: skip
    if row.judged is not None:
        assert judged == row.judged.split()


@pytest.mark.parametrize("row", [row for row in ROWS if not row.refused], ids=lambda row: row.name)
def test_hurrying_changes_neither_verdict_nor_score(row: Row) -> None:
    found = plan(row.files())
    outcomes = []
    for hurry in (False, True):
        scoring = Scoring(found)
        while (number := scoring.next(hurry=hurry)) is not None:
            fate = row.fates.get(found.cases[number].name, "AC")
            verdict, _, given = fate.partition(" ") if isinstance(fate, str) else ("AC", "", f"{fate!r}")
            scoring.record(number, WORDS[verdict], float(given) if given else None)
        outcomes.append(scoring.outcome())
    assert (outcomes[0].status, outcomes[0].score) == (outcomes[1].status, outcomes[1].score)


def test_dialect_of_a_package_is_said() -> None:
    row = next(row for row in ROWS if row.name == "accept_score is a group's")
    assert any("DOMjudge's rules" in sentence for sentence in plan(row.files()).unsupported)
    unmarked = {name: text for name, text in row.files().items() if name not in MARK}
    assert not any("DOMjudge's rules" in sentence for sentence in plan(unmarked).unsupported)
    with_ini = unmarked | {"domjudge-problem.ini": "timelimit = 1\n"}
    assert any("DOMjudge's rules" in sentence for sentence in plan(with_ini).unsupported)


def test_many_tests_are_scored_in_linear_time() -> None:
    """A group that ends at its first failure looks at each member once, however many tests it has."""
    tests = " ".join(f"secret/{number:05}" for number in range(900))
    found = plan(Row("many", LEGACY, tests).files())
    looks = 0
    scoring = Scoring(found)
    absolute = scoring._absolute
    assert absolute is not None
    plain = absolute._verdict_of

    def counted(member: object) -> Verdict | None:
        nonlocal looks
        looks += 1
        return plain(member)  # type: ignore[arg-type]

    absolute._verdict_of = counted  # type: ignore[method-assign]
    while (number := scoring.next()) is not None:
        scoring.record(number, V.ACCEPTED)
    assert looks < 3 * len(found.cases)
    assert scoring.outcome().score == len(found.cases)


# ---------------------------------------------------------------------------------------------------------------------
# Kattis' default grader as its specification has it, in the plainest way: over random packages

Results = tuple[str, float]
WORST = ("RE", "TLE", "WA")


def graded(
    folder: str, tests: Mapping[str, str], configs: Mapping[str, dict[str, str]], told: dict[str, str]
) -> Results:
    """The verdict and the score of a folder: its members in order, until one is rejected if the folder breaks."""
    told = told | configs.get(folder, {})
    results: list[Results] = []
    inside = {name.removeprefix(f"{folder}/" if folder else "") for name in tests if name.startswith(folder)}
    for member in sorted({name.partition("/")[0] for name in inside}):
        path = f"{folder}/{member}" if folder else member
        if path in tests:
            verdict = tests[path]
            results.append((verdict, float(told["accept_score" if verdict == "AC" else "reject_score"])))
        else:
            results.append(graded(path, tests, configs, told))
        if results[-1][0] != "AC" and told["on_reject"] == "break":
            break
    return combined(told["grader_flags"].split(), results)


def combined(flags: Sequence[str], results: Sequence[Results]) -> Results:
    """The default grader's result."""
    verdicts, scores = [one for one, _ in results], [one for _, one in results]
    failures = [one for one in verdicts if one != "AC"]
    verdict = "AC"
    if failures and "always_accept" not in flags and not ("accept_if_any_accepted" in flags and "AC" in verdicts):
        verdict = failures[0] if "first_error" in flags else min(failures, key=WORST.index)
    ways = {"min": min(scores), "max": max(scores), "avg": sum(scores) / len(scores)}
    return verdict, next((ways[flag] for flag in flags if flag in ways), sum(scores))


@pytest.mark.parametrize("seed", range(200))
@pytest.mark.parametrize("custom", [False, True])
def test_random_packages_are_graded_as_kattis_grades_them(custom: bool, seed: int) -> None:
    """``custom``: some groups are graded by the package's own grader, which does as Kattis' does."""
    chance, chance_of_grader = random.Random(seed), random.Random(-seed)
    folders = ["", "sample", "secret", *(f"secret/{name}" for name in "ab"), "secret/a/x"]
    flags = ["", "min", "max", "avg", "always_accept", "accept_if_any_accepted", "first_error", "always_accept avg",
             "accept_if_any_accepted max", "first_error min"]  # fmt: skip
    fates = chance.choices(("AC", "WA", "TLE", "RE"), weights=(6, 2, 1, 1), k=100)
    names = [f"{folder}/{number}" for folder in folders[1:] for number in range(chance.randint(0, 3))] or ["secret/0"]
    names += ["secret/b/0"] if not any(name.startswith("secret") for name in names) else []
    tests = dict(zip(dict.fromkeys(names), fates, strict=False))
    configs = {
        folder: {
            key: value
            for key, value in (
                ("on_reject", chance.choice(("break", "continue"))),
                ("grader_flags", chance.choice(flags)),
                ("accept_score", f"{chance.choice((0, 1, 2.5, 10))}"),
                ("reject_score", f"{chance.choice((0, 0, 0, 1.5))}"),
            )
            if chance.random() < 0.7
        }
        for folder in folders
    }
    for config in configs.values() if custom else ():
        config["grading"] = chance_of_grader.choice(("custom", "default"))
    defaults = {"on_reject": "break", "grader_flags": "", "accept_score": "1", "reject_score": "0"}
    verdict, score = graded("", tests, configs, defaults)
    groups = {
        folder: "\n".join(f"{key}: {value or repr('')}" for key, value in config.items())
        for folder, config in configs.items()
        if config
    }
    for hurry in (False, True):
        row = Row("random", LEGACY, " ".join(tests), groups, more={"graders/g.py": ""} if custom else {})
        found = plan(row.files())
        scoring = Scoring(found)
        while True:
            number = scoring.next(hurry=hurry)
            if (ended := scoring.ungraded()) is not None:
                group, members = ended
                lines = [line.split() for line in graders.lines_of(members).splitlines()]
                word, points = combined(
                    group.grader_args or (), [(code.replace("RTE", "RE"), float(score)) for code, score in lines]
                )
                scoring.grade(group.name, Graded(WORDS[word], points))
            elif number is None:
                break
            else:
                scoring.record(number, WORDS[tests[found.cases[number].name]])
        outcome = scoring.outcome()
        if verdict != "AC":
            assert (outcome.status, outcome.score) == (WORDS[verdict], 0)
        else:
            assert outcome.score == pytest.approx(score)
            # no output of the grader is no acceptance, also with its flags
            is_nothing = score == 0 and any(fate != "AC" for fate in tests.values())
            assert is_nothing or outcome.status in (V.ACCEPTED, V.PARTIAL)
