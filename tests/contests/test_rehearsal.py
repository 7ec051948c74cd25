"""The plan of a dress rehearsal: what it sends, and when its boards differ."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given

from deepoj.contests.feed import ContestObjects, FeedError, FeedEvent, read_events
from deepoj.contests.rehearsal import StandIn, busiest_from_ms, differences, plan_of
from deepoj.contests.replay import replay
from tests.contests.feeds import ODD, contests, feed_of
from tests.contests.naive import MadeContest, MadeSubmission

_MINUTE_MS = 60_000


def objects_of(made: MadeContest) -> ContestObjects:
    objects = ContestObjects()
    for event in read_events(feed_of(made, "2023-06", 1), "feed"):
        objects.apply(event)
    return objects


@given(contests)
@example(ODD)
def test_programs_of_a_plan_give_the_board_of_its_feed(made: MadeContest) -> None:
    objects = objects_of(made)
    try:
        plan = plan_of(objects)
    except FeedError as error:
        assert "no submission" in str(error)
        return
    promised = [one if one.planned.is_judged else replace(one, verdict="") for one in plan.promised()]

    rows = replay(read_events(feed_of(made, "2023-06", 1), "feed")).rows
    assert [(row.rank, row.team_id, row.penalty, row.cells) for row in plan.board(promised)] == [
        (row.rank, row.team_id, row.penalty, row.cells) for row in rows
    ]


@pytest.mark.parametrize("costs", [False, True])
def test_a_compile_error_costs_what_it_does_in_the_feed(costs: bool) -> None:
    objects = objects_of(ODD)
    objects.of("judgement-types")["CE"]["penalty"] = costs
    plan = plan_of(objects)
    [penalty] = [row.penalty for row in plan.board(plan.promised()) if row.team_id == "t2"]
    assert penalty == ODD.penalty * (2 if costs else 1), "a wrong answer, and the compile error before it"


def test_a_verdict_that_costs_nothing_gets_a_program_that_does_not_compile() -> None:
    objects = objects_of(replace(ODD, submissions=[MadeSubmission(0, 0, 0, ("WA",), False)]))
    objects.of("judgement-types")["WA"]["penalty"] = False
    assert [one.stand_in for one in plan_of(objects).submissions] == [StandIn.BROKEN]


def test_submissions_without_a_verdict_get_those_of_the_others_in_turn() -> None:
    words = [("AC",), (), ("TLE",), (), ("CE",), (), ()]
    submissions = [MadeSubmission(0, 0, n * _MINUTE_MS, word, False) for n, word in enumerate(words)]
    made = replace(ODD, submissions=submissions)

    assert [one.stand_in for one in plan_of(objects_of(made)).submissions] == [
        StandIn.ACCEPTED, StandIn.ACCEPTED, StandIn.ENDLESS, StandIn.ENDLESS, StandIn.BROKEN, StandIn.BROKEN,
        StandIn.ACCEPTED,
    ]  # fmt: skip


def test_a_cut_takes_the_busiest_minutes_alone() -> None:
    minutes = (0, 1, 7, 8, 8, 11, 29)
    submissions = [
        MadeSubmission(number % 5, 0, minute * _MINUTE_MS + number, ("WA",), False)
        for number, minute in enumerate(minutes)
    ]
    objects = objects_of(replace(ODD, submissions=submissions))

    from_ms = busiest_from_ms(objects, 5 * _MINUTE_MS)
    plan = plan_of(objects, from_ms=from_ms, to_ms=from_ms + 5 * _MINUTE_MS)
    assert from_ms == 7 * _MINUTE_MS
    assert [one.time_ms // _MINUTE_MS for one in plan.submissions] == [7, 8, 8, 11]
    assert (plan.from_ms, plan.to_ms, plan.left_out) == (7 * _MINUTE_MS, 12 * _MINUTE_MS, 0)
    with pytest.raises(FeedError, match="no submission"):
        plan_of(objects, from_ms=15 * _MINUTE_MS, to_ms=20 * _MINUTE_MS)


def test_a_lost_verdict_and_another_time_are_differences_of_boards() -> None:
    plan = plan_of(objects_of(ODD))
    promised = plan.promised()
    (lost,) = [one for one in promised if one.planned.team_id == "t4" and one.planned.problem_id == "p1"]

    assert differences("feed", plan.board(promised), plan.board(promised)) == []
    found = differences("feed", plan.board(promised), plan.board([one for one in promised if one is not lost]))
    assert "t4" in {one.team_id for one in found}
    late = [replace(one, time_ms=one.time_ms + _MINUTE_MS) if one is lost else one for one in promised]
    assert [one.team_id for one in differences("feed", plan.board(promised), plan.board(late))] == ["t4"]
    fewer = plan.board(promised)[1:]
    assert [one.expected for one in differences("feed", fewer, plan.board(promised))][:1] == [""]


@pytest.mark.parametrize(
    ("freeze", "to_min", "freeze_at_min"),
    [("0:10:00", None, 20), ("0:10:00", 21, 20), ("0:10:00", 20, None), ("0:00:00", None, None), (None, None, None)],
)
def test_a_plan_freezes_when_its_feed_did(freeze: str | None, to_min: int | None, freeze_at_min: int | None) -> None:
    objects = objects_of(replace(ODD, submissions=[MadeSubmission(0, 0, _MINUTE_MS, ("WA",), False)]))
    times = {"duration": "0:30:00", "scoreboard_freeze_duration": freeze}
    objects.apply(FeedEvent("contest", None, {**objects.contest, **times}))
    plan = plan_of(objects, to_ms=None if to_min is None else to_min * _MINUTE_MS)
    assert plan.freeze_at_ms == (None if freeze_at_min is None else freeze_at_min * _MINUTE_MS)
