"""Scoring: each rule in a row, and properties of random problems."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepoj.judging.problem import Accepts, Aggregate, Case, Group, Plan, Points
from deepoj.judging.scoring.faults import MAX_DEPTH, fault_of
from deepoj.judging.scoring.outcome import Graded, Outcome
from deepoj.judging.scoring.submission import Scoring
from deepoj.words.results import Verdict

V, A = Verdict, Aggregate
#: results of a test in the tables: a verdict's initials, or points
WORDS = {
    "AC": V.ACCEPTED, "WA": V.WRONG_ANSWER, "TLE": V.TIME_LIMIT_EXCEEDED, "RE": V.RUNTIME_ERROR, "SE": V.SYSTEM_ERROR,
}  # fmt: skip


def case(name: str, group: str = "", score: float | None = None) -> Case:
    return Case(name=name, input=None, answer=None, group=group, score=score)


def plain(names: tuple[str, ...]) -> Plan:
    """Return the plan of a problem that has only tests and is all or nothing."""
    return Plan(format="own", cases=tuple(Case(name=name, input=None, answer=None) for name in names))


def scored(cases: list[Case], *groups: Group) -> Plan:
    return Plan(format="own", cases=tuple(cases), groups=groups, scored=True)


def play(plan: Plan, fates: dict[str, str | float], *, hurry: bool = False) -> tuple[list[str], Outcome]:
    """Judge with these results (Accepted by default). Return the judged tests in order, and the outcome."""
    scoring = Scoring(plan)
    judged = []
    while (number := scoring.next(hurry=hurry)) is not None:
        name = plan.cases[number].name
        judged.append(name)
        fate = fates.get(name, "AC")
        if isinstance(fate, str):
            scoring.record(number, WORDS[fate])
        else:
            scoring.record(number, V.PARTIAL, fate)
    return judged, scoring.outcome()


# ---------------------------------------------------------------------------------------------------------------------
# The rules


@pytest.mark.parametrize(
    ("fates", "status", "score"),
    [
        ({}, V.ACCEPTED, 100.0),
        ({"2": "TLE", "3": "WA"}, V.TIME_LIMIT_EXCEEDED, 0.0),
        ({"1": "WA", "3": "SE"}, V.SYSTEM_ERROR, 0.0),
        # points do not count where nothing is scored
        ({"2": 50.0}, V.WRONG_ANSWER, 0.0),
    ],
)
def test_a_problem_that_is_not_scored(fates: dict[str, str | float], status: Verdict, score: float) -> None:
    judged, outcome = play(plain(("1", "2", "3")), fates)
    assert judged == ["1", "2", "3"]
    assert (outcome.status, outcome.score, outcome.max_score) == (status, score, 100.0)
    assert outcome.groups == ()


@pytest.mark.parametrize("points", Points)
def test_incomplete_judging_is_not_accepted(points: Points) -> None:
    scoring = Scoring(replace(plain(("1", "2")), points=points))
    scoring.record(0, V.ACCEPTED)
    assert scoring.outcome().status is V.SYSTEM_ERROR


def fold(tests: Sequence[Verdict]) -> Verdict:
    scoring = Scoring(plain(tuple(f"{number}" for number in range(len(tests)))))
    for number, verdict in enumerate(tests):
        scoring.record(number, verdict)
    return scoring.outcome().status


@pytest.mark.parametrize(
    ("tests", "verdict"),
    [
        ([V.INVALID], V.SYSTEM_ERROR),
        ([V.ACCEPTED, V.INVALID], V.SYSTEM_ERROR),
        ([V.WRONG_ANSWER, V.SYSTEM_ERROR], V.SYSTEM_ERROR),
        ([V.ACCEPTED], V.ACCEPTED),
        ([V.ACCEPTED, V.ACCEPTED], V.ACCEPTED),
        ([V.ACCEPTED, V.RUNTIME_ERROR, V.WRONG_ANSWER], V.RUNTIME_ERROR),
        ([V.TIME_LIMIT_EXCEEDED, V.ACCEPTED], V.TIME_LIMIT_EXCEEDED),
    ],
)
def test_the_first_that_is_not_accepted_decides(tests: list[Verdict], verdict: Verdict) -> None:
    assert fold(tests) is verdict


def test_accepted_needs_every_test() -> None:
    """For all pairs and triples of verdicts."""
    for length in (1, 2, 3):
        for tests in itertools.product(Verdict, repeat=length):
            assert (fold(tests) is V.ACCEPTED) == all(test is V.ACCEPTED for test in tests)


def test_nothing_judged_is_no_verdict() -> None:
    assert Scoring(plain(("1", "2"))).outcome().status is V.SYSTEM_ERROR
    half = Scoring(plain(("1", "2")))
    half.record(0, V.ACCEPTED)
    assert half.outcome().status is V.SYSTEM_ERROR


@pytest.mark.parametrize(
    ("aggregate", "fates", "status", "score"),
    [
        (A.SUM, {}, V.ACCEPTED, 60.0),
        (A.SUM, {"b": "WA"}, V.PARTIAL, 40.0),
        (A.SUM, {"b": 10.0}, V.PARTIAL, 50.0),
        (A.SUM, {"a": "RE", "b": "WA", "c": "TLE"}, V.RUNTIME_ERROR, 0.0),
        (A.MIN, {}, V.ACCEPTED, 60.0),
        (A.MIN, {"b": 10.0}, V.PARTIAL, 30.0),
        (A.MIN, {"b": 10.0, "c": "TLE"}, V.WRONG_ANSWER, 0.0),
        (A.MIN, {"c": "TLE"}, V.TIME_LIMIT_EXCEEDED, 0.0),
        (A.ALL, {}, V.ACCEPTED, 60.0),
        (A.ALL, {"b": 10.0}, V.WRONG_ANSWER, 0.0),
        (A.SUM, {"a": "SE", "b": "WA"}, V.SYSTEM_ERROR, 0.0),
    ],
)
def test_aggregates(aggregate: Aggregate, fates: dict[str, str | float], status: Verdict, score: float) -> None:
    cases = [case(name, "g", 20.0) for name in "abc"]
    _, outcome = play(scored(cases, Group(name="g", aggregate=aggregate, max_score=60.0)), fates)
    assert (outcome.status, outcome.score, outcome.max_score) == (status, score, 60.0)


@pytest.mark.parametrize(
    ("cases", "groups", "worth", "whole"),
    [
        # no points are given: 100, in equal shares
        ([case("a"), case("b")], (), [50.0, 50.0], 100.0),
        ([case("a", score=1.0), case("b", score=4.0)], (), [1.0, 4.0], 5.0),
        # a test without points beside others gets one point, or the rest of the group's
        ([case("a"), case("b", score=4.0)], (), [1.0, 4.0], 5.0),
        ([case("a", "g"), case("b", "g", 4.0)], (Group(name="g", max_score=10.0),), [6.0, 4.0], 10.0),
        (
            [case("a", "g"), case("b", "h"), case("c", "h")],
            (Group(name="g", max_score=30.0), Group(name="h", max_score=70.0)),
            [30.0, 35.0, 35.0],
            100.0,
        ),
        # MIN: each test has all points, and the group gets the least of them
        ([case("a", "g", 10.0), case("b", "g", 20.0)], (Group(name="g", aggregate=A.MIN),), [10.0, 20.0], 10.0),
        ([case("a", "g"), case("b", "g")], (Group(name="g", max_score=30.0, aggregate=A.MIN),), [30.0, 30.0], 30.0),
        # a test that does not count scores 0
        (
            [case("a", "s"), case("b", "g")],
            (Group(name="s", max_score=30.0, ignored=True), Group(name="g", max_score=70.0)),
            [0.0, 70.0],
            70.0,
        ),
        # the group's own points count, not the sum of its parts
        (
            [case("a", score=1.0), case("b", score=4.0)],
            (Group(name="", parent=None, max_score=10.0),),
            [1.0, 4.0],
            10.0,
        ),
    ],
)  # fmt: skip
def test_worth(cases: list[Case], groups: tuple[Group, ...], worth: list[float], whole: float) -> None:
    plan = scored(cases, *groups)
    scoring = Scoring(plan)
    assert [scoring.worth(number) for number in range(len(cases))] == worth
    assert play(plan, {})[1].score == whole


def test_points_are_scaled_to_what_the_whole_is_worth() -> None:
    plan = scored([case("a", score=1.0), case("b", score=4.0)], Group(name="", parent=None, max_score=10.0))
    assert play(plan, {"a": "WA"})[1].score == 8.0


@pytest.mark.parametrize(
    ("verdict", "points", "graded"),
    [
        (V.ACCEPTED, None, Graded(V.ACCEPTED, 20.0)),
        (V.ACCEPTED, 5.0, Graded(V.PARTIAL, 5.0)),
        (V.PARTIAL, 5.0, Graded(V.PARTIAL, 5.0)),
        (V.PARTIAL, 20.0, Graded(V.ACCEPTED, 20.0)),
        (V.PARTIAL, 1000.0, Graded(V.ACCEPTED, 20.0)),
        (V.PARTIAL, -3.0, Graded(V.WRONG_ANSWER, 0.0)),
        (V.PARTIAL, 0.0, Graded(V.WRONG_ANSWER, 0.0)),
        (V.PARTIAL, None, Graded(V.WRONG_ANSWER, 0.0)),
        # points of a program that ran out of time do not count
        (V.TIME_LIMIT_EXCEEDED, 5.0, Graded(V.TIME_LIMIT_EXCEEDED, 0.0)),
        (V.ACCEPTED, math.nan, Graded(V.SYSTEM_ERROR, 0.0)),
        (V.INVALID, None, Graded(V.SYSTEM_ERROR, 0.0)),
    ],
)
def test_the_verdict_follows_the_points(verdict: Verdict, points: float | None, graded: Graded) -> None:
    scoring = Scoring(scored([case("a", score=20.0), case("b", score=1.0)]))
    assert scoring.record(0, verdict, points) == graded


@pytest.mark.parametrize(
    ("aggregate", "fates", "judged", "score"),
    [
        (A.SUM, {"b": "WA"}, ["a", "b", "z"], 30.0),
        (A.SUM, {"b": 10.0}, ["a", "b", "c", "z"], 60.0),
        (A.MIN, {"b": "WA"}, ["a", "b", "z"], 10.0),
        # c may yet be worse
        (A.MIN, {"b": 10.0}, ["a", "b", "c", "z"], 40.0),
        (A.MIN, {"b": 10.0, "c": "WA"}, ["a", "b", "c", "z"], 10.0),
        (A.ALL, {"b": 10.0}, ["a", "b", "z"], 10.0),
    ],
)
def test_a_group_that_ends_at_its_first_failure(
    aggregate: Aggregate, fates: dict[str, str | float], judged: list[str], score: float
) -> None:
    cases = [case(name, "g", 20.0) for name in "abc"] + [case("z", score=10.0)]
    plan = scored(cases, Group(name="g", aggregate=aggregate, max_score=60.0, judge_all=False))
    seen, outcome = play(plan, fates)
    assert (seen, outcome.score) == (judged, score)
    assert [(one.rule, one.group, one.because, one.tests) for one in outcome.skipped] == (
        [] if "c" in judged else [("short_circuit", "g", "b", 1)]
    )


def test_a_problem_that_ends_at_its_first_failure() -> None:
    plan = replace(plain(("1", "2", "3")), groups=(Group(name="", parent=None, judge_all=False),))
    judged, outcome = play(plan, {"2": "TLE"})
    assert (judged, outcome.status) == (["1", "2"], V.TIME_LIMIT_EXCEEDED)


def test_a_group_waits_for_what_it_depends_on() -> None:
    cases = [case("l1", "late", 50.0), case("e1", "early", 30.0), case("e2", "early", 20.0)]
    plan = scored(cases, Group(name="late", depends_on=("early",)), Group(name="early"))
    judged, outcome = play(plan, {})
    assert judged == ["e1", "e2", "l1"]
    assert (outcome.status, outcome.score) == (V.ACCEPTED, 100.0)
    judged, outcome = play(plan, {"e2": "WA"})
    assert judged == ["e1", "e2"]
    assert (outcome.status, outcome.score) == (V.PARTIAL, 30.0)
    assert [(one.rule, one.group, one.because, one.tests) for one in outcome.skipped] == [
        ("dependency", "late", "early", 1)
    ]
    assert [(group.name, group.status, group.score, group.max_score) for group in outcome.groups] == [
        ("", V.PARTIAL, 30.0, 100.0), ("late", None, 0.0, 50.0), ("early", V.PARTIAL, 30.0, 50.0),
    ]  # fmt: skip


def test_group_that_depends_on_a_skipped_group_is_skipped() -> None:
    cases = [case(name, name) for name in "abc"]
    groups = (Group(name="a"), Group(name="b", depends_on=("a",)), Group(name="c", depends_on=("b",)))
    assert play(scored(cases, *groups), {"a": "WA"})[0] == ["a"]


def test_partial_is_not_accepted_for_who_depends_on_it() -> None:
    plan = scored([case("a", "a", 10.0), case("b", "b", 10.0)], Group(name="a"), Group(name="b", depends_on=("a",)))
    judged, outcome = play(plan, {"a": 4.0})
    assert (judged, outcome.score, outcome.status) == (["a"], 4.0, V.PARTIAL)


@pytest.mark.parametrize("is_scored", [True, False])
def test_ignored_tests_are_judged_and_do_not_count(*, is_scored: bool) -> None:
    cases = [case("s", "sample"), case("1", "secret"), case("2", "secret")]
    groups = (Group(name="", parent=None, judge_all=False), Group(name="sample", ignored=True), Group(name="secret"))
    plan = replace(scored(cases, *groups), scored=is_scored)
    judged, outcome = play(plan, {"s": "RE"})
    assert judged == ["s", "1", "2"]
    assert (outcome.status, outcome.score) == (V.ACCEPTED, 100.0)
    # but one can depend on them, and then they are why there is no score
    plan = replace(plan, groups=(*groups[:2], Group(name="secret", depends_on=("sample",))))
    judged, outcome = play(plan, {"s": "RE"})
    assert judged == ["s"]
    assert (outcome.status, outcome.score) == (V.RUNTIME_ERROR, 0.0)


def test_groups_in_groups() -> None:
    groups = (
        Group(name="all", aggregate=A.MIN, max_score=100.0),
        Group(name="x", parent="all"),
        Group(name="y", parent="all", aggregate=A.ALL),
    )
    cases = [case("x1", "x"), case("x2", "x"), case("y1", "y"), case("y2", "y")]
    plan = scored(cases, *groups)
    assert play(plan, {"x1": "WA"})[1].score == 50.0
    assert play(plan, {"y1": "WA"})[1].score == 0.0
    _, outcome = play(plan, {"x1": "WA"})
    assert [(group.name, group.status, group.score) for group in outcome.groups] == [
        ("", V.PARTIAL, 50.0), ("all", V.PARTIAL, 50.0), ("x", V.PARTIAL, 50.0), ("y", V.ACCEPTED, 100.0),
    ]  # fmt: skip


def test_a_failure_inside_does_not_end_what_it_does_not_bring_to_nothing() -> None:
    groups = (Group(name="all", aggregate=A.MIN, judge_all=False), Group(name="x", parent="all"))
    plan = scored([case("x1", "x"), case("x2", "x"), case("y", "all")], *groups)
    judged, outcome = play(plan, {"x1": "WA"})
    assert judged == ["x1", "x2", "y"]
    assert outcome.score == 50.0


def test_hurrying_judges_what_others_depend_on() -> None:
    """Also tests of a group with score 0: another group depends on whether they are accepted."""
    groups = (
        Group(name="lost", aggregate=A.MIN),
        Group(name="part", parent="lost"),
        Group(name="other", depends_on=("part",)),
    )
    plan = scored([case("x", "lost"), case("p", "part"), case("o", "other")], *groups)
    assert play(plan, {"x": "WA"}, hurry=True)[1].score == 50.0
    judged, outcome = play(plan, {"x": "WA", "p": "WA"}, hurry=True)
    assert (judged, outcome.score) == (["x", "p"], 0.0)


@pytest.mark.parametrize(
    ("cases", "groups", "words"),
    [
        ([case("a", "g")], (), "is in the group 'g', which does not exist"),
        ([case("a")], (Group(name="g"), Group(name="g")), "two groups 'g'"),
        ([case("a")], (Group(name="g", parent="h"), Group(name="h")), "is not listed before it"),
        ([case("a")], (Group(name="g", parent="g"),), "is not listed before it"),
        ([case("a")], (Group(name="g", parent=None),), "no parent"),
        ([case("a")], (Group(name=""),), "the root group has a parent"),
        ([case("a", "g")], (Group(name="g", depends_on=("h",)),), "depends on 'h', which does not exist"),
        ([case("a", "g")], (Group(name="g", depends_on=("g",)),), "depends on itself"),
        ([case("a", "g")], (Group(name="g", depends_on=("",)),), "depends on itself"),
        ([case("a", "h")], (Group(name="g"), Group(name="h", parent="g"), Group(name="i")), None),
        (
            [case("a", "h"), case("b", "i")],
            (Group(name="g", depends_on=("i",)), Group(name="h", parent="g"), Group(name="i", depends_on=("h",))),
            "depends on itself",
        ),
        ([case("a", score=math.inf)], (), "not a valid number of points"),
        ([case("a", score=-1.0)], (), "not a valid number of points"),
        ([case("a", "g")], (Group(name="g", max_score=math.nan),), "not a valid number of points"),
        ([case("a", "g")], (Group(name="g", ignored=True),), "no test that counts"),
        ([], (), "no test that counts"),
        (
            [case("a")],
            tuple(Group(name=f"{depth}", parent=f"{depth - 1}" if depth else "") for depth in range(MAX_DEPTH + 1)),
            "nested deeper",
        ),
    ],
)  # fmt: skip
def test_plans_that_cannot_be_scored(cases: list[Case], groups: tuple[Group, ...], words: str | None) -> None:
    plan = scored(cases, *groups)
    fault = fault_of(plan)
    if words is None:
        assert fault is None
        return
    assert fault is not None
    assert words in fault
    with pytest.raises(ValueError, match=words):
        Scoring(plan)


def test_many_groups_that_depend_on_all_before_them() -> None:
    """The time is linear in their number and depth."""
    names = [f"{number}" for number in range(1000)]
    groups = [
        Group(name=name, depends_on=tuple(names[max(0, number - 30) : number])) for number, name in enumerate(names)
    ]
    plan = scored([case(name, name) for name in names], *reversed(groups))
    judged, outcome = play(plan, {"500": "WA"})
    assert judged == names[:501]
    assert outcome.score == 50.0


# ---------------------------------------------------------------------------------------------------------------------
# Random problems


@st.composite
def plans(draw: st.DrawFn, *, is_scored: bool | None = None) -> Plan:
    """A random tree: up to five groups and eight tests, and dependencies on earlier groups that do not contain them."""
    groups: list[Group] = []
    for number in range(draw(st.integers(0, 5))):
        parent = draw(st.sampled_from(["", *(group.name for group in groups)]))
        around = _around(groups, parent)
        others = [group.name for group in groups if group.name not in around]
        groups.append(
            Group(
                name=f"g{number}",
                parent=parent,
                aggregate=draw(st.sampled_from(A)),
                max_score=draw(st.none() | st.integers(0, 50).map(float)),
                depends_on=tuple(draw(st.lists(st.sampled_from(others), max_size=2, unique=True))) if others else (),
                judge_all=draw(st.booleans()),
                ignored=draw(st.sampled_from([False, False, False, True])),
                accepts=draw(st.sampled_from(Accepts)),
            )
        )
    names = ["", *(group.name for group in groups)]
    cases = [
        case(f"{number}", draw(st.sampled_from(names)), draw(st.none() | st.integers(0, 20).map(float)))
        for number in range(draw(st.integers(0, 7)))
    ]
    cases.append(case("last"))  # one that counts
    root = Group(name="", parent=None, aggregate=draw(st.sampled_from(A)), judge_all=draw(st.booleans()))
    told = draw(st.booleans()) if is_scored is None else is_scored
    plan = replace(scored(cases, root, *groups), scored=told)
    return plan if fault_of(plan) is None else replace(
        plan, groups=tuple(replace(group, depends_on=()) for group in plan.groups)
    )  # fmt: skip


def _around(groups: list[Group], name: str | None) -> set[str]:
    parents = {group.name: group.parent for group in groups}
    around = set()
    while name is not None:
        around.add(name)
        name = parents.get(name)
    return around


FATES = st.sampled_from([V.ACCEPTED, V.ACCEPTED, V.WRONG_ANSWER, V.TIME_LIMIT_EXCEEDED, V.PARTIAL])
#: a verdict and a share of the points for each test of a plan
ROLLS = st.lists(st.tuples(FATES, st.floats(0, 1)), min_size=8, max_size=8)
Rolls = list[tuple[Verdict, float]]


def roll(plan: Plan, rolls: Rolls, *, hurry: bool = False, looks_ahead: bool = False) -> tuple[list[int], Outcome]:
    scoring = Scoring(plan)
    judged = []
    while (number := scoring.next(hurry=hurry)) is not None:
        if looks_ahead:
            first, *_ = scoring.upcoming(hurry=hurry)
            assert first == number
        judged.append(number)
        verdict, share = rolls[number]
        scoring.record(number, verdict, share * scoring.worth(number) if verdict is V.PARTIAL else None)
    return judged, scoring.outcome()


@given(plans(), ROLLS, st.sampled_from(Points))
def test_looking_ahead_changes_nothing(plan: Plan, rolls: Rolls, points: Points) -> None:
    absolute = replace(plan, points=points)
    assert roll(absolute, rolls, looks_ahead=True) == roll(absolute, rolls)


@given(plans(), ROLLS)
def test_every_test_is_judged_at_most_once_and_the_score_is_in_its_range(plan: Plan, rolls: Rolls) -> None:
    judged, outcome = roll(plan, rolls)
    assert len(set(judged)) == len(judged)
    assert len(judged) + sum(skipped.tests for skipped in outcome.skipped) == len(plan.cases)
    assert outcome.max_score is not None
    assert 0 <= outcome.score <= outcome.max_score
    assert (outcome.status is V.ACCEPTED) <= (outcome.score == outcome.max_score)
    if outcome.status not in (V.ACCEPTED, V.PARTIAL):
        assert outcome.score == 0
    assert outcome.status is not V.PARTIAL or (plan.scored and outcome.score > 0)
    for group in outcome.groups:
        assert group.max_score is not None
        assert 0 <= group.score <= group.max_score
        assert (group.status is V.PARTIAL) <= (group.score > 0)


@given(plans(), ROLLS)
def test_the_verdict_is_that_of_a_test(plan: Plan, rolls: Rolls) -> None:
    """The verdict is that of some test, and Accepted only if every test that counts is."""
    judged, outcome = roll(plan, rolls)
    failed = {rolls[number][0] for number in judged} - {V.ACCEPTED}
    if outcome.status is V.ACCEPTED:
        ignored = {group.name for group in plan.groups if group.ignored}
        groups = list(plan.groups)
        for number, one in enumerate(plan.cases):
            if not _around(groups, one.group) & ignored:
                assert number in judged
                assert rolls[number][0] is V.ACCEPTED or (rolls[number][0] is V.PARTIAL and rolls[number][1] > 0.99)
    elif outcome.status is not V.PARTIAL:
        assert outcome.status in failed or (outcome.status is V.WRONG_ANSWER and V.PARTIAL in failed)


@given(plans(), ROLLS)
def test_hurrying_changes_neither_the_verdict_nor_the_score(plan: Plan, rolls: Rolls) -> None:
    judged, slow = roll(plan, rolls)
    hurried, fast = roll(plan, rolls, hurry=True)
    assert (fast.status, fast.score) == (slow.status, slow.score)
    assert [number for number in judged if number in hurried] == hurried


@given(plans(), ROLLS)
def test_ending_early_changes_nothing_where_the_worst_counts(plan: Plan, rolls: Rolls) -> None:
    """Groups of MIN and ALL get the same result when all their tests are judged."""
    plan = replace(plan, groups=tuple(
        replace(group, judge_all=group.judge_all or group.aggregate is A.SUM) for group in plan.groups
    ))  # fmt: skip
    patient = replace(plan, groups=tuple(replace(group, judge_all=True) for group in plan.groups))
    judged, early = roll(plan, rolls)
    everything, late = roll(patient, rolls)
    assert (early.status, early.score) == (late.status, late.score)
    assert set(judged) <= set(everything)


@given(plans(is_scored=True), ROLLS, st.integers(0, 7))
def test_an_accepted_test_more_never_costs_anything(plan: Plan, rolls: Rolls, place: int) -> None:
    _, before = roll(plan, rolls)
    _, after = roll(plan, [*rolls[:place], (V.ACCEPTED, 1.0), *rolls[place + 1 :]])
    assert after.score >= before.score - 1e-6


@given(plans(), ROLLS, st.integers(0, 7), st.sampled_from([V.SYSTEM_ERROR, V.INVALID]))
def test_failure_of_the_host_is_system_error_without_score(plan: Plan, rolls: Rolls, place: int, ours: Verdict) -> None:
    """At any place, beside any other results: System Error, and no score."""
    rolls = [*rolls[:place], (ours, 1.0), *rolls[place + 1 :]]
    judged, outcome = roll(plan, rolls)
    if place in judged:
        assert (outcome.status, outcome.score) == (V.SYSTEM_ERROR, 0.0)
