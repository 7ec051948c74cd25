"""Boards and grids as files, for those who see them in the browser; results of a problem by user."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from deepoj.web.user_results import UserResults
from deepoj.words.contests import ContestKind
from deepoj.words.jobs import State
from deepoj.words.submissions import SubmissionItem
from tests.contract.labs import PgLab
from tests.web.contest_scene import HOUR_MS, JURY, MEMBER, OTHER, TEAM, Arena, arena, draft_problem, rules, team


def rows_of(text: str) -> list[list[str]]:
    assert text.startswith("\ufeff"), "a spreadsheet sees the encoding by it"
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))


async def frozen_contest(place: Arena) -> None:
    """Hold a private contest whose board hides a solution."""
    said = rules(270.0, is_public=False)
    teams = [team("blue", "=1+1"), team("red", "Red")]
    contest = await place.hold("finals", said, [await draft_problem(place)], teams)
    place.submitted(contest, 900, "blue", "A", 250)
    place.judged(contest, 900, "Accepted")


async def test_a_private_board_is_a_file_for_its_members_and_keeps_the_freeze(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    await frozen_contest(place)
    page = (await place.visits[TEAM].get("/contests/finals/scoreboard")).text
    for ending in ("csv", "html"):
        assert f'href="/contests/finals/scoreboard.{ending}"' in page
        assert (await place.visits[MEMBER].get(f"/contests/finals/scoreboard.{ending}")).status == 404
    assert "/api/v1/contests/finals/scoreboard" not in page, "the API knows no sessions"
    [head, *teams] = rows_of((await place.visits[TEAM].get("/contests/finals/scoreboard.csv")).text)
    assert head == ["rank", "team_id", "team", "organization", "solved", "penalty", "A tries", "A minute"]
    assert {row[1]: row[4] for row in teams} == {"blue": "0", "red": "0"}
    assert "'=1+1" in {row[2] for row in teams}
    whole = rows_of((await place.visits[JURY].get("/manage/contests/finals/scoreboard.csv")).text)
    assert {row[1]: row[4] for row in whole[1:]} == {"blue": "1", "red": "0"}
    public, jury = [
        (await place.visits[JURY].get(f"{room}/contests/finals/scoreboard.html")).text for room in ("", "/manage")
    ]
    assert 'class="solved' not in public
    assert 'class="solved' in jury
    assert (await place.visits[OTHER].get("/manage/contests/finals/scoreboard.csv")).status == 403
    assert (await place.visits[JURY].get("/contests/finals/scoreboard.exe")).status == 404


async def test_a_grid_of_homework_has_a_row_for_each_person(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    said = rules(100.0, freeze_ms=None, is_public=False, late_ms=HOUR_MS, late_percent=10)
    contest = await place.hold("hw", said, [await draft_problem(place)], kind=ContestKind.HOMEWORK)
    place.submitted(contest, 900, "blue", "A", 10)
    place.judged(contest, 900, "Accepted", score=100, groups=[])
    page = (await place.visits[JURY].get("/manage/contests/hw/scoreboard")).text
    assert 'href="/manage/contests/hw/scoreboard.csv"' in page
    [head, *people] = rows_of((await place.visits[JURY].get("/manage/contests/hw/scoreboard.csv")).text)
    assert head == ["rank", "team_id", "team", "organization", "points", "A"]
    assert {row[1]: row[4] for row in people}["blue"] == "100.0"


def item(user: int, status: str, score: float | None, at: str) -> SubmissionItem:
    return SubmissionItem(
        job_id=at,
        user_id=user,
        username=f"t{user}",
        problem_id=1,
        language="cpp17",
        state=State.DONE,
        status=status,
        judging=1,
        score=score,
        time_used_ms=1,
        memory_used_kb=1,
        created_at=at,
        updated_at=at,
    )


def test_results_by_user_have_the_best_of_each_and_natural_order() -> None:
    results = UserResults()
    results.add([item(10, "Partial", 40.0, "5"), item(2, "Wrong Answer", 0.0, "4"), item(10, "Partial", 60.0, "3")])
    results.add([item(2, "Accepted", 100.0, "2"), item(2, "Accepted", 100.0, "6"), item(10, "Partial", 60.0, "7")])
    assert results.rows() == [
        ("t2", "Accepted", 100.0, 3, "2", "2", "2"),
        ("t10", "Partial", 60.0, 3, "", "3", "3"),
    ]
