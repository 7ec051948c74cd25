"""Results as the ICPC's site takes them: medals, ranks by the median rule, honorable mentions."""

from __future__ import annotations

from typing import Any

import pytest

from deepoj.contests.awards import Medals, awards_of, results_of
from deepoj.contests.ledger import ContestLedger
from deepoj.words.contests import EventType
from deepoj.words.results import Verdict
from tests.contests.ledgers import PROBLEMS, MadeLedger, iso, minute
from tests.contests.scene import Scene, opened, scene

__all__ = ["scene"]


def ledger_of(solved: dict[str, list[int]]) -> ContestLedger:
    """Return a contest whose teams have solved problems at these minutes, the first one A."""
    made = MadeLedger()
    for team in made.teams:
        made.tell(EventType.TEAMS, team, None)
    made.tell(EventType.GROUPS, "g1", {"name": "Group 1", "type": "", "hidden": False})
    for number, (team, minutes) in enumerate(solved.items()):
        data = {"name": f"Team {team}", "display_name": "", "label": "", "organization_id": None,
                "group_ids": [f"g{number % 2}"], "is_hidden": False, "icpc_id": f"9{team}"}  # fmt: skip
        made.tell(EventType.TEAMS, team, data)
        assert len(minutes) <= PROBLEMS
        for label, at in zip("ABC", minutes, strict=False):
            sent: dict[str, Any] = {"job_id": f"{team}{label}", "team_id": team, "problem_id": label,
                                    "language": "cpp20", "entry_point": None, "at": iso(minute(at))}  # fmt: skip
            made.tell(EventType.SUBMISSIONS, f"{team}{label}", sent)
            judged = {"submission_id": f"{team}{label}", "verdict": Verdict.ACCEPTED.value, "is_current": True,
                      "began_at": iso(minute(at)), "ended_at": iso(minute(at)), "runs": []}  # fmt: skip
            made.tell(EventType.JUDGEMENTS, f"{team}{label}-1", judged)
    ledger = ContestLedger()
    ledger.take(made.events)
    return ledger


def awards(ledger: ContestLedger, medals: Medals) -> dict[str, list[str]]:
    return {one.id: list((one.data or {})["team_ids"]) for one in awards_of(ledger, medals)}


#: worked out by hand from "Scoring Data Generation" of the requirements for contest systems
_HAND = {
    "a": [10, 20, 30], "b": [11, 20, 30], "c": [12, 20, 30], "d": [10, 20], "f": [5, 200], "e": [10, 150],
    "h": [50], "g": [40], "j": [], "i": [],
}  # fmt: skip


def test_ranks_medals_and_mentions_are_those_of_the_requirements() -> None:
    ledger = ledger_of(_HAND)
    results = results_of(ledger, awards(ledger, Medals(gold=1, silver=1, bronze=1)))
    # ten teams: the sixth has solved two, so those with one or none are not ranked; e (160) is before f (205)
    assert [(one.team_id, one.rank, one.award.value, one.solved, one.penalty, one.last_minute) for one in results] == [
        ("a", 1, "Gold Medal", 3, 60, 30),
        ("b", 2, "Silver Medal", 3, 61, 30),
        ("c", 3, "Bronze Medal", 3, 62, 30),
        ("d", 4, "Ranked", 2, 30, 20),
        ("e", 4, "Ranked", 2, 160, 150),
        ("f", 4, "Ranked", 2, 205, 200),
        ("g", None, "Honorable", 1, 40, 40),
        ("h", None, "Honorable", 1, 50, 50),
        ("i", None, "Honorable", 0, 0, None),
        ("j", None, "Honorable", 0, 0, None),
    ]
    assert [one.groups for one in results[:3]] == [("Group 0",), ("Group 1",), ()]


@pytest.mark.parametrize(
    ("solved", "ranked"),
    [
        pytest.param([3, 2, 1, 0], ["a", "b", "c"], id="even: the third of four is the median team"),
        pytest.param([3, 2, 1], ["a", "b"], id="odd: the middle one"),
        pytest.param([1, 0, 0, 0], ["a", "b", "c", "d"], id="none is below a median of 0"),
        pytest.param([2], ["a"], id="alone"),
        pytest.param([], [], id="no team"),
    ],
)
def test_teams_below_the_median_team_are_not_ranked(solved: list[int], ranked: list[str]) -> None:
    ledger = ledger_of({"abcd"[place]: list(range(1, count + 1)) for place, count in enumerate(solved)})
    results = results_of(ledger, {})
    assert [one.team_id for one in results if one.rank is not None] == ranked


def test_awards_by_median_rank_the_others_by_problems_alone() -> None:
    ledger = ledger_of(_HAND)
    medals = Medals(gold=1, silver=1, bronze=1)
    usual = awards(ledger, medals)
    assert ("honorable-mention" in usual, usual["rank-5"]) == (False, ["e"])
    by_median = awards(ledger, Medals(gold=1, silver=1, bronze=1, by_median=True))
    assert by_median["honorable-mention"] == ["g", "h", "i", "j"]
    assert {one: teams for one, teams in by_median.items() if one.startswith("rank-")} == {
        "rank-1": ["a"], "rank-2": ["b"], "rank-3": ["c"], "rank-4": ["d", "e", "f"],
    }  # fmt: skip
    assert {one: by_median[one] for one in usual if not one.startswith("rank-")} == {
        one: teams for one, teams in usual.items() if not one.startswith("rank-")
    }


async def test_results_of_a_final_contest_are_files(scene: Scene) -> None:
    await opened(scene, freeze_ms=None)
    await scene.done("jury", "POST", "/finals/teams", {"text": "id,name,groups,accounts,icpc_id\n1,Owls,day,owl,24314"})
    await scene.verdict("owl", Verdict.ACCEPTED, "1")
    scene.lab.sql("UPDATE contests SET ended_at = now()")
    for name in ("results.tsv", "results.json"):
        status, body = await scene.ask("jury", "GET", f"/finals/{name}")
        assert (status, body["code"]) == (409, "CONTEST_NOT_FINAL")
    await scene.done("jury", "POST", "/finals/finalize", {"gold": 1, "silver": 1, "bronze": 1, "by_median": True})
    for who, status in (("stranger", 401), ("owl", 403), ("jury", 200)):
        assert (await scene.ask(who, "GET", "/finals/results.tsv"))[0] == status
    # the second of three teams has solved none, which is the median
    assert await scene.done("jury", "GET", "/finals/results.tsv") == (
        "results\t1\n24314\t1\tGold Medal\t1\t120\t120\tday\n2\t2\tRanked\t0\t0\t-1\t\n3\t2\tRanked\t0\t0\t-1\t\n"
    )
    first, *_ = await scene.done("jury", "GET", "/finals/results.json")
    assert first == {
        "team_id": "1", "icpc_id": "24314", "name": "Owls", "rank": 1, "award": "Gold Medal", "num_solved": 1,
        "total_time": 120, "last_time": 120, "group_winner": ["day"],
    }  # fmt: skip


async def test_results_of_a_contest_that_counts_points_are_refused(scene: Scene) -> None:
    await opened(scene, kind="ioi")
    scene.lab.sql("UPDATE contests SET ended_at = now(), finalized_at = now()")
    status, body = await scene.ask("jury", "GET", "/finals/results.tsv")
    assert (status, body["code"]) == (409, "CONTEST_COUNTS_POINTS")
