"""Boards of feeds, against a scorer that knows the contest and not its feed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st

from deepoj.cli.contest import contest as command
from deepoj.contests.board import AttemptOutcome, Board, BoardAttempt
from deepoj.contests.clock import parse_reltime, parse_time
from deepoj.contests.feed import FeedError, read_events
from deepoj.contests.replay import board_fields, replay
from tests.contests.feeds import DIALECTS, ODD, contests, feed_of
from tests.contests.naive import MadeContest, MadeSubmission, naive_board


@given(contests, st.sampled_from(DIALECTS), st.integers(0, 2**32))
@example(ODD, "2020-03", 1)
@example(ODD, "2022-07", 1)
@example(ODD, "2026-01", 1)
def test_board_of_a_feed_is_the_contests(made: MadeContest, dialect: str, seed: int) -> None:
    replayed = replay(read_events(feed_of(made, dialect, seed), "feed"))

    assert board_fields(replayed.rows) == naive_board(made)


attempts = st.builds(
    BoardAttempt,
    time_ms=st.integers(0, 5),
    number=st.integers(0, 10**9),
    submission_id=st.sampled_from("abcdef"),
    team_id=st.sampled_from(["t1", "t2", "unknown"]),
    problem_id=st.sampled_from(["p1", "p2"]),
    outcome=st.sampled_from(AttemptOutcome),
)


@given(st.lists(attempts | st.sampled_from("abcdef"), max_size=20))
def test_changing_board_is_the_board_of_what_is_left(changes: list[BoardAttempt | str]) -> None:
    changed = Board(["t1", "t2"], ["p1", "p2"], penalty_ms=60_000)
    left: dict[str, BoardAttempt] = {}
    for change in changes:
        if isinstance(change, str):
            changed.remove(change)
            left.pop(change, None)
        else:
            changed.put(change)
            left[change.submission_id] = change
    fresh = Board(["t1", "t2"], ["p1", "p2"], penalty_ms=60_000)
    for attempt in left.values():
        fresh.put(attempt)

    assert changed.rows() == fresh.rows()


def _feed(*awards: dict[str, Any]) -> list[str]:
    """Team t1 solves p0 at minute 3 and t2 at minute 2; an attempt of t0 at p1 before t1's solution is not judged."""
    solved = (
        MadeSubmission(1, 0, 180_000, ("AC",)),
        MadeSubmission(2, 0, 120_000, ("AC",)),
        MadeSubmission(0, 1, 100_000, ()),
        MadeSubmission(1, 1, 110_000, ("AC",)),
    )
    made = MadeContest(3, 2, hidden_team=9, hidden_group=False, minutes=30, penalty=20, submissions=solved)
    return feed_of(made, "2022-07", 0) + [
        json.dumps({"type": "awards", "id": award["id"], "data": award}) for award in awards
    ]


@pytest.mark.parametrize(
    ("award", "teams"),
    [
        ("winner", ["t1"]),
        ("first-to-solve-p0", ["t2"]),
        ("first-to-solve-p1", ["t1"]),
        ("group-winner-g2", ["t2"]),
        ("group-winner-g0", []),
    ],
)
def test_award_that_the_board_does_not_give_is_told(award: str, teams: list[str]) -> None:
    right = replay(read_events(_feed({"id": award, "team_ids": teams}), "feed"))
    wrong = replay(read_events(_feed({"id": award, "team_ids": ["t0"]}), "feed"))

    assert right.differences == []
    assert [(found.award, found.published, found.computed) for found in wrong.differences] == [(award, ["t0"], teams)]


def test_first_solution_is_not_given_before_earlier_attempts_are_judged() -> None:
    assert replay(read_events(_feed({"id": "first-to-solve-p1", "team_ids": []}), "feed")).differences == []
    early = replay(read_events(_feed({"id": "first-to-solve-p0", "team_ids": []}), "feed"))
    assert [found.computed for found in early.differences] == [["t2"]]


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["{"], "feed, line 1: this is no JSON"),
        (["", '{"id": "1"}'], 'feed, line 2: an event is an object with a "type"'),
        (['{"type": "teams", "data": 3}'], '"data" of an event is an object, a list or null'),
        (['{"type": "teams", "data": [{}]}'], 'an object of "teams" has no id'),
        (['{"type": "teams", "id": "1", "data": {"id": "1"}}'], "no contest with a duration"),
        (['{"type": "contest", "data": {"id": "c", "duration": "5 hours"}}'], "'5 hours' is no time like 1:02:03.004"),
        (
            ['{"type": "contest", "data": {"id": "c", "duration": "1:00:00", "scoreboard_type": "score"}}'],
            "counts points",
        ),
        (
            [
                '{"type": "contest", "data": {"id": "c", "duration": "1:00:00"}}',
                '{"type": "submissions", "id": "7", "data": {"id": "7"}}',
            ],
            "submission 7 has no contest_time",
        ),
    ],
)
def test_unreadable_feed_is_refused_with_its_place(lines: list[str], sentence: str) -> None:
    with pytest.raises(FeedError, match=sentence):
        replay(read_events(lines, "feed"))


@pytest.mark.parametrize(
    ("text", "ms"),
    [("0:00:00", 0), ("1:02:03.4", 3_723_400), ("-17:15:20.1909", -62_120_190), ("123:00:00", 442_800_000)],
)
def test_relative_times_are_read(text: str, ms: int) -> None:
    assert parse_reltime(text) == ms


@pytest.mark.parametrize("text", ["", "1:2:3", "0:60:00", "1:00", "1:00:00.", " 1:00:00", "١:00:00"])
def test_other_texts_are_no_relative_times(text: str) -> None:
    with pytest.raises(ValueError, match="is no time like"):
        parse_reltime(text)


def test_absolute_times_need_a_zone() -> None:
    assert parse_time("2014-06-25T11:22:05.034+01") == 1_403_691_725_034
    with pytest.raises(ValueError, match="is no time like"):
        parse_time("2014-06-25T11:22:05")


def test_command_folds_a_file_and_a_folder_alike(tmp_path: Path) -> None:
    feed = tmp_path / "event-feed.ndjson"
    feed.write_text("\n".join(_feed({"id": "winner", "team_ids": ["t2"]})))
    board = tmp_path / "board.json"
    for source in (feed, tmp_path):
        done = CliRunner().invoke(command, ["replay", str(source), "--json", "--board", str(board)])

        assert done.exit_code == 1
        told = json.loads(done.stdout)
        assert (told["contest_id"], told["teams"], told["problems"], told["submissions"]) == ("c", 3, 2, 4)
        assert told["differences"] == [{"award": "winner", "published": ["t2"], "computed": ["t1"]}]
        assert json.loads(board.read_text())[0] == {"rank": 1, "team_id": "t1", "solved": 2, "penalty": 4}


def test_command_reads_the_json_of_each_endpoint(tmp_path: Path) -> None:
    replayed = replay(read_events(_feed(), "feed"))
    (tmp_path / "contest.json").write_text(json.dumps(replayed.objects.contest))
    for kind, objects in replayed.objects.collections.items():
        (tmp_path / f"{kind}.json").write_text(json.dumps(list(objects.values())))

    done = CliRunner().invoke(command, ["replay", str(tmp_path)])

    assert done.exit_code == 0
    assert done.stdout.splitlines()[2].split() == ["1", "=A", "2", "4", "1/3", "1/1"]
