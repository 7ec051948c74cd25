"""Objects and feeds of the Contest API: by its forms and consistency rules, and silent about what the freeze hides."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deepoj.contests import clics_feed
from deepoj.contests.clics import RUNS, SINGLE, TYPES, access_of, has_endpoint, ids_of, references_of, shown
from deepoj.contests.clics_feed import MAX_FILTERS, SeenContest, TeamContest
from deepoj.contests.clics_log import encoded
from deepoj.contests.ledger import ContestLedger
from deepoj.contests.views import ANY_TEAM, JURY, PUBLIC, ContestViewer
from deepoj.words.contests import EventType
from deepoj.words.results import Verdict
from tests.contests.ledgers import (
    DURATION_MIN,
    FREEZE_MIN,
    LAID_OUT,
    LANGUAGES,
    MOVES,
    REVIEWS,
    TEAMS,
    Followed,
    MadeLedger,
    Step,
    feed,
    followed,
    minute,
    steps,
)
from tests.contests.specification import COLLECTIONS, check_all, object_of
from tests.contests.test_ledger import MOVED, ODD

TEAM = ContestViewer(team_id="t0")
OTHER = ContestViewer(team_id="t3")
VIEWERS = (PUBLIC, TEAM, JURY)
#: a contest in each of its states
RUNNING: list[Step] = [
    ("state", 0, 0, ""), ("submit", 0, 10, ""), ("submit", 1, 250, ""), ("judge", 0, 0, "Wrong Answer"),
    ("judge", 0, 0, "Accepted"), ("clarify", 0, 0, ""), ("clarify", 1, 1, ""), ("clarify", 2, 1, ""),
    ("comment", 0, 1, ""), ("comment", 1, 1, ""),
]  # fmt: skip
NEXT: Step = ("state", 0, 0, "")
STATES: dict[str, list[Step]] = {
    "before": [],
    "running": RUNNING,
    "frozen": [*RUNNING, NEXT],
    "over": [*RUNNING, NEXT, NEXT],
    "thawed": [*RUNNING, NEXT, NEXT, NEXT],
    "finalized": [*RUNNING, NEXT, NEXT, NEXT, NEXT, NEXT],
}


#: a team goes, with all that it did; a hidden group goes, and its team is seen
GONE: list[Step] = [
    *RUNNING, ("submit", 5, 20, ""), ("judge", 0, 0, "Accepted"), ("submit", 4, 20, ""), ("team", 17, 0, ""),
    ("group", 1, 1, ""), ("group", 15, 0, ""),
]  # fmt: skip


def made(
    each: list[Step], verdict: Callable[[dict[str, Any], str], str] = lambda _submission, word: word, kind: str = "icpc"
) -> MadeLedger:
    ledger = MadeLedger(verdict, kind=kind)
    for step in each:
        ledger.take(step)
    return ledger


def answers(ledger: ContestLedger, view: SeenContest | TeamContest) -> dict[str, Any]:
    """Everything that the view answers with, parsed."""
    bodies = {name: view.collection(ledger, name, {}) for name in COLLECTIONS}
    single = {name: view.object(name, "finals") for name in ("contest", "state")}
    whole = {**bodies, **single, "access": view.access(), "scoreboard": view.scoreboard(ledger, None)}
    return {name: json.loads(body) for name, body in whole.items() if body is not None}


@pytest.mark.parametrize("viewer", VIEWERS, ids=["public", "team", "jury"])
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("kind", ["icpc", "ioi"])
def test_each_state_is_shown_as_the_specification_says(state: str, kind: str, viewer: ContestViewer) -> None:
    ledger, (view,) = followed([viewer], made(STATES[state], kind=kind).events)
    found = answers(ledger, view)

    check_all(found, [json.loads(line) for line in feed(view).splitlines()])

    types = {each["judgement_type_id"] for each in found["judgements"]}
    everything = {"WA", "AC"} if state != "before" else set()
    is_frozen = viewer is not JURY and state in {"running", "frozen", "over"}
    assert types == (everything - {"AC"} if is_frozen else everything)
    assert bool(found["problems"]) == (viewer is JURY or state != "before")
    assert [bool(each["files"]) for each in found["submissions"]] == {PUBLIC: [False, False], TEAM: [True, False]}.get(
        viewer, [True, True]
    )[: len(found["submissions"])]
    told = [] if state == "before" else ["1"] if is_frozen else ["1", "2"]
    assert [each["id"] for each in found["commentary"]] == told, "the second is about a submission in the freeze"
    assert bool(found["runs"]) == (viewer is JURY and state != "before")


@pytest.mark.parametrize("state", ["finalized", "over"])
def test_filters_take_the_objects_that_have_the_property(state: str) -> None:
    quoting: Step = ("comment", 2, 1, "")
    ledger, (view,) = followed([JURY], made([*STATES[state], quoting]).events)
    whole = {name: json.loads(view.collection(ledger, name, {}) or b"[]") for name in COLLECTIONS}
    names = {name for objects in whole.values() for one in objects for name in one if name.endswith("_id")}
    assert len(names) > 5
    values = {one.get(name) or "" for objects in whole.values() for one in objects for name in names} | {'"', 't0"'}
    for endpoint, objects in whole.items():
        for name in (*names, "no_id", '"_id', "\\_id"):
            for value in values:
                found = json.loads(view.collection(ledger, endpoint, {name: value, "name": "not looked at"}) or b"")
                fitting = [one for one in objects if one.get(name) == (value or None)]
                assert _by_id(found) == _by_id(fitting), (endpoint, name, value)
    both = {"team_id": "t0", "problem_id": "A"}
    found = json.loads(view.collection(ledger, "submissions", both) or b"")
    assert found == [one for one in whole["submissions"] if both.items() <= one.items()]
    assert view.collection(ledger, "teams", {f"{number}_id": "" for number in range(MAX_FILTERS + 1)}) is None


@pytest.mark.parametrize(
    ("endpoint", "filters"),
    [
        ("submissions", {"team_id": "t1"}), ("submissions", {"team_id": "t0", "problem_id": "none"}),
        ("submissions", {f"{number}_id": "" for number in range(MAX_FILTERS)}), ("submissions", {"no_id": "x"}),
        ("judgements", {"submission_id": "3"}), ("runs", {"judgement_id": "3-1"}),
    ],
)  # fmt: skip
def test_objects_that_a_filter_leaves_out_cost_nothing(endpoint: str, filters: dict[str, str]) -> None:
    each: list[Step] = [(kind, 0, 5, "Accepted") for _ in range(200) for kind in ("submit", "judge")]
    ledger, (view,) = followed([JURY], made([NEXT, *each]).events)
    calls: list[str] = []
    view.collection(ledger, endpoint, {})
    view.collection(ledger, endpoint, filters)
    sys.setprofile(lambda _frame, event, _of: calls.append(event))
    try:
        view.collection(ledger, endpoint, filters)
    finally:
        sys.setprofile(None)

    assert calls.count("call") < 100


@given(steps(*MOVES, *REVIEWS), st.sampled_from(VIEWERS))
@example(GONE, JURY)
def test_newest_submissions_of_a_team_or_problem_are_those_of_all(each: list[Step], viewer: ContestViewer) -> None:
    ledger, _ = followed([viewer], made(each).events)
    sent = ledger.of(EventType.SUBMISSIONS)
    numbers = {one: ledger.number_of(EventType.SUBMISSIONS, one) for one in sent}
    for team in (None, "t0", "t1", "none"):
        for problem in (None, "A", "B", "none"):
            fitting = [
                one
                for one, data in sent.items()
                if team in (None, data["team_id"]) and problem in (None, data["problem_id"])
            ]
            found = list(ledger.newest_submissions(team, problem))
            assert sorted(found) == sorted(fitting)
            if (team, problem) != (None, None):
                assert found == sorted(fitting, key=numbers.__getitem__, reverse=True)


@given(steps(*MOVES, *REVIEWS), st.sampled_from(VIEWERS), st.sampled_from(["icpc", "ioi"]))
@example(ODD, PUBLIC, "icpc")
@example(MOVED, JURY, "icpc")
@example(GONE, PUBLIC, "icpc")
@example(GONE, JURY, "icpc")
@example(ODD, PUBLIC, "ioi")
@example([("state", 0, 0, ""), ("penalty", 0, -20, "")], JURY, "icpc")
def test_feed_and_endpoints_agree_whatever_happens(each: list[Step], viewer: ContestViewer, kind: str) -> None:
    ledger, (view,) = followed([viewer], made(each, kind=kind).events)

    check_all(answers(ledger, view), [json.loads(line) for line in feed(view).splitlines()], moved=True)


@given(steps(*MOVES, *REVIEWS), st.sampled_from([*VIEWERS, OTHER]))
@example([*STATES["thawed"], NEXT, ("team", 0, 1, ""), ("team", 1, 1, "")], PUBLIC)
@example(GONE, PUBLIC)
@example(GONE, TEAM)
@example(GONE, JURY)
def test_what_is_kept_after_each_event_is_what_the_viewer_sees_now(each: list[Step], viewer: ContestViewer) -> None:
    ledger, following = ContestLedger(), Followed(viewer)
    for event in made(each).events:
        ledger.take([event])
        following.follow(ledger, event)
        view = following.seen
        for type_ in TYPES:
            now = {one: shown(ledger, viewer, LANGUAGES, type_, one) for one in ids_of(ledger, LANGUAGES, type_)}
            kept = {one: view.object(type_, one) for one in now}
            assert kept == {one: data and encoded(data) for one, data in now.items()}, (event, type_)
            if has_endpoint(viewer, type_) and type_ not in SINGLE:
                whole = json.loads(view.collection(ledger, type_, {}) or b"")
                assert {one["id"] for one in whole} == {one for one, data in now.items() if data}, (event, type_)
                for name in references_of(type_):
                    for value in {one.get(name) or "" for one in whole}:
                        found = json.loads(view.collection(ledger, type_, {name: value}) or b"")
                        fitting = [one for one in whole if (one.get(name) or "") == value]
                        assert _by_id(found) == _by_id(fitting), (event, type_, name)


def _by_id(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(objects, key=lambda each: str(each["id"]))


@given(steps(*MOVES, *REVIEWS), st.sampled_from([ContestViewer(team_id=f"t{team}") for team in range(TEAMS)]))
@example(GONE, OTHER)
@example([*STATES["thawed"], NEXT], ContestViewer(team_id="t1"))
@example([*STATES["thawed"], ("team", 3, 1, ""), ("team", 3, 1, "")], OTHER)
@example([("group", 0, 1, ""), ("team", 17, 0, "")], ContestViewer(team_id="t5"))
def test_team_is_told_by_the_view_of_all_teams_what_one_of_its_own_would_tell(
    each: list[Step], viewer: ContestViewer
) -> None:
    ledger, following, alone = ContestLedger(), Followed(viewer), SeenContest(viewer, LANGUAGES)
    ends = 0, 0
    for event in made(each).events:
        ledger.take([event])
        following.follow(ledger, event)
        list(alone.follow(ledger, event))
        views = following.seen, alone
        lines = [sorted(_told(view, end)) for view, end in zip(views, ends, strict=True)]
        assert lines[0] == lines[1], event
        assert [view.log.resume(event.number - 1, None) for view in views] == list(ends)
        before, ends = ends[0], (views[0].log.end, alone.log.end)
        assert {views[0].log.event_of(place) for place in range(before + 1, ends[0] + 1)} <= {event.number}
    assert _told(views[0], 0) == [line for end in range(ends[0]) for line in _told(views[0], end)[:1]], "read anywhere"


def _told(view: SeenContest | TeamContest, place: int) -> list[str]:
    """Return the lines of a feed without their tokens."""
    return [line.partition(',"token"')[0] for line in feed(view, place).decode().splitlines()]


def test_feed_of_a_team_is_read_page_by_page_wherever_its_own_lines_are() -> None:
    """A team of all, or of none of the submissions, whose lines it has instead of the shared ones, and a message to it
    in between."""
    world = made([NEXT, *(step for m in range(700) for step in (("submit", 0, m % 300, ""), ("clarify", 6, 1, "")))])
    _, views = followed([TEAM, ContestViewer(team_id="t1"), ANY_TEAM], world.events)
    own, other, shared = (feed(view).splitlines(keepends=True) for view in views)
    assert (len(own), len(other)) == (len(shared) + 2 + 700, len(shared) + 2), "2: its account"
    for view, lines in zip(views, (own, other, shared), strict=True):
        assert [json.loads(line)["token"] for line in lines] == [f"{n}" for n in range(1, len(lines) + 1)]
        for place in (0, 511, 512, 513, *range(len(lines) - 500, len(lines) + 1)):
            assert feed(view, place) == b"".join(lines[place:]), place


def test_page_of_lines_that_a_team_does_not_get_does_not_end_its_feed() -> None:
    """Its own verdicts of the freeze, of which it was told at once."""
    step: Step = ("submit", 0, 299, "")
    judged: list[Step] = [("judge", 0, 0, "Accepted")] * 1_200
    world = made([NEXT, NEXT, NEXT, *([step] * 1_200), *judged, NEXT, NEXT, ("clarify", 2, 0, "")])
    _, (view, alone) = followed([TEAM, ContestViewer(team_id="t1")], world.events)
    lines = feed(view).splitlines()
    assert json.loads(lines[-1])["type"] == "clarifications"
    assert {view.log.read(place)[0].count(b"\n") <= 512 for place in range(0, len(lines), 100)} == {True}
    assert len(lines) == len(feed(alone).splitlines())


@pytest.mark.parametrize("step", [("team", 1, 1, ""), ("group", 1, 0, ""), ("group", 15, 0, "")])
@pytest.mark.parametrize("viewer", [PUBLIC, JURY, TEAM])
def test_change_of_a_team_or_group_encodes_what_refers_to_it_alone(
    viewer: ContestViewer, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_others: list[Step] = [(kind, 0, 5, "Accepted") for _ in range(100) for kind in ("submit", "judge")]
    world = made([NEXT, *of_others, ("submit", 1, 6, ""), ("submit", 4, 6, "")])
    before = len(world.events)
    ledger, view = ContestLedger(), Followed(viewer)
    for event in world.events:
        ledger.take([event])
        view.follow(ledger, event)
    world.take(step)
    encoding = Mock(side_effect=shown)
    monkeypatch.setattr(clics_feed, "shown", encoding)
    for event in world.events[before:]:
        ledger.take([event])
        view.follow(ledger, event)

    assert 0 < encoding.call_count < 20


@given(steps(*MOVES), st.sampled_from(VIEWERS), st.integers(0, 500))
def test_reader_that_continues_after_its_token_gets_the_rest(
    each: list[Step], viewer: ContestViewer, place: int
) -> None:
    events = made(each).events
    _, (view,) = followed([viewer], events)
    lines = feed(view).splitlines(keepends=True)
    read = lines[: place % len(lines)]
    _, (again,) = followed([viewer], events)  # on another node

    after = again.log.place(json.loads(read[-1])["token"]) if read else 0

    assert after is not None
    assert feed(again, after) == b"".join(lines[len(read) :])
    unknown = (f"{len(lines) + 1}", "0", "1-1", "x", "-1", "1-", "1 ", "٣", "")
    assert [view.log.place(token) for token in unknown] == [None] * len(unknown)


def test_log_of_many_lines_is_read_page_by_page() -> None:
    _, (view,) = followed([JURY], made([("clarify", 2, m % 300, "") for m in range(700)]).events)
    lines = feed(view).splitlines(keepends=True)

    assert len(lines) > 700
    assert feed(view, 600) == b"".join(lines[600:])
    assert [json.loads(line)["token"] for line in lines] == list(
        dict.fromkeys(json.loads(line)["token"] for line in lines)
    )


def worlds(each: list[Step], other: str, viewer: ContestViewer, kind: str = "icpc") -> tuple[MadeLedger, MadeLedger]:
    """Two worlds that differ only in verdicts, runs and points that the freeze hides from the viewer."""
    first = iso_of_freeze()

    def verdict(submission: dict[str, Any], word: str) -> str:
        is_hidden = submission["at"] >= first and submission["team_id"] != viewer.team_id
        return other if is_hidden else word

    return made(each, kind=kind), made(each, verdict, kind)


def iso_of_freeze() -> str:
    return minute(DURATION_MIN - FREEZE_MIN).isoformat(timespec="milliseconds").replace("+00:00", "Z")


LEAKS: list[Step] = [
    ("submit", 1, 250, ""), ("judge", 0, 0, "Wrong Answer"), ("submit", 1, 299, ""),
    ("submit", 2, 240, ""), ("judge", 0, 0, "Compile Error"), ("rejudge", 0, 0, ""), ("judge", 1, 0, "Wrong Answer"),
    ("state", 0, 0, ""), ("state", 0, 0, ""),
]  # fmt: skip


@pytest.mark.parametrize("kind", ["icpc", "ioi"])
@given(steps(), st.sampled_from([verdict.value for verdict in Verdict]), st.sampled_from([PUBLIC, TEAM, OTHER]))
@example(LEAKS, "Accepted", PUBLIC)
@example(LEAKS, "Accepted", TEAM)
def test_freeze_hides_every_verdict(kind: str, each: list[Step], other: str, viewer: ContestViewer) -> None:
    # what is hidden at last must not have been told before: the feed has all that was told of each object, and what is
    # no object of it is compared after each event
    seen: list[list[Any]] = [[], []]
    for world, told in zip(worlds([NEXT, *each], other, viewer, kind), seen, strict=True):
        ledger, following = ContestLedger(), Followed(viewer)
        for event in world.events:
            ledger.take([event])
            following.follow(ledger, event)
            view = following.seen
            if event.number > LAID_OUT:
                boards = [view.scoreboard(ledger, group) for group in (None, "g0")]
                told.append([view.collection(ledger, RUNS, {}), *boards])
        told.append([feed(view), *(view.collection(ledger, name, {}) for name in COLLECTIONS)])

    assert seen[0] == seen[1]


@given(steps(), st.sampled_from([verdict.value for verdict in Verdict]), st.sampled_from([PUBLIC, TEAM, OTHER]))
@example(LEAKS, "Accepted", TEAM)
def test_verdict_that_is_not_verified_is_hidden_from_its_team_too(
    each: list[Step], other: str, viewer: ContestViewer
) -> None:
    def told(verdict: Callable[[dict[str, Any], str], str]) -> list[Any]:
        ledger, (view,) = followed([viewer], made([("keep", 1, 0, ""), NEXT, *each], verdict).events)
        bodies = [view.collection(ledger, name, {}) for name in COLLECTIONS]
        return [feed(view), *bodies, view.scoreboard(ledger, None)]

    assert told(lambda _sent, word: word) == told(lambda _sent, _word: other)


def test_thaw_tells_what_was_withheld_and_then_the_state() -> None:
    world = made([NEXT, *LEAKS, NEXT])
    _, (view,) = followed([PUBLIC], world.events)
    before = followed([PUBLIC], world.events[:-1])[1][0].log.end
    lines = [json.loads(line) for line in feed(view, before).splitlines()]

    assert [(line["type"], line["id"], line["token"]) for line in lines] == [
        ("judgements", "1-1", f"{before + 1}"), ("judgements", "2-1", f"{before + 2}"),
        ("judgements", "3-1", f"{before + 3}"), ("state", None, f"{before + 4}"),
    ]  # fmt: skip


@pytest.mark.parametrize("viewer", [PUBLIC, OTHER])
def test_judgings_in_the_freeze_leave_no_gap_in_tokens_and_no_time(viewer: ContestViewer) -> None:
    """As many verdicts as there may be, the feed and the board are those of a contest without them."""
    sent = [("submit", 1, 250, ""), ("submit", 1, 299, ""), ("submit", 2, 240, "")]
    verdicts = [("judge", number, 0, "Wrong Answer") for number in range(3)]
    told = []
    for hidden in ([], verdicts, [*verdicts, ("rejudge", 0, 0, ""), *verdicts]):
        world = made([NEXT, *sent, *hidden])
        ledger, (view,) = followed([viewer], world.events)
        told.append((len(world.events), feed(view), view.scoreboard(ledger, None)))
    assert len({number for number, *_ in told}) == 3
    assert len({tuple(seen) for _, *seen in told}) == 1


def test_place_of_a_changed_viewer_skips_no_later_event() -> None:
    """A token of the jury's feed is further than the team's feed was after the same event."""
    world = made([NEXT, *LEAKS, NEXT])
    _, (jury, team) = followed([JURY, TEAM], world.events)
    number = len(world.events) - 3
    jury_place = jury.log.resume(number, None)
    team_place = team.log.resume(number, None)
    assert jury_place > team_place
    assert team.log.resume(number, f"{jury_place}") == team_place
    assert jury.log.resume(number, f"{jury_place + 1}") == jury_place + 1


@pytest.mark.parametrize("kind", ["icpc", "ioi"])
@pytest.mark.parametrize("viewer", VIEWERS)
def test_access_names_what_there_is_and_no_more(viewer: ContestViewer, kind: str) -> None:
    ledger, (view,) = followed([viewer], made(STATES["finalized"], kind=kind).events)
    found = answers(ledger, view)
    told = access_of(viewer, counts_points=kind == "ioi")
    assert found["access"] == told
    access = {each["type"]: set(each["properties"]) for each in told["endpoints"]}

    assert found.keys() | {"event-feed"} == access.keys() | {"access"}
    for name in [*TYPES, "runs"]:
        for each in found.get(name, []) if name in COLLECTIONS else [found[name]]:
            extra = {"hidden"} if name in {"teams", "groups"} and viewer is JURY else set()
            optional = {"rgb", "color", "max_run_time", "statement", "icpc_id"} | extra
            assert each.keys() <= access[name]
            assert access[name] - each.keys() <= optional
            assert object_of(name, each)
