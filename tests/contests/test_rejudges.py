"""Rejudges of a contest: their effect on the board, and that all of it happens at once or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from deepoj.contests.ledger import ContestLedger
from deepoj.contests.preview import effect_of, jobs_of
from deepoj.pipeline.audit import AuditFault, audit
from deepoj.words.contest_rejudges import ContestRejudgeScope, RejudgedVerdict
from deepoj.words.contests import EventType
from deepoj.words.previews import KEEP_S
from deepoj.words.results import Verdict
from tests.contests.ledgers import MadeLedger, iso, minute
from tests.contests.scene import Scene, opened, scene
from tests.contract.labs import new_problem
from tests.contract.test_store_previews import outcome

__all__ = ["scene"]

AC, WA = Verdict.ACCEPTED, Verdict.WRONG_ANSWER
_REJUDGES = "/finals/rejudges"


async def judged(scene: Scene, *verdicts: Verdict) -> None:
    """Judge that many submissions of previews, as a node does, and end the previews."""
    leases = scene.lab.store.preview_leases
    for verdict in verdicts:
        claim = await leases.claim("node", 60, 2, ("cpp17",))
        assert claim is not None
        assert await leases.finish(claim, outcome(claim, verdict))
    await leases.sweep_previews(2, 600, KEEP_S)


async def started(scene: Scene, **scope: Any) -> dict[str, Any]:
    status, body = await scene.ask("jury", "POST", _REJUDGES, scope)
    assert status == 202, body
    return dict(body)


async def solved(scene: Scene) -> dict[str, int]:
    board = await scene.done("jury", "GET", "/finals/scoreboard")
    return {row["team_id"]: row["solved"] for row in board["rows"]}


async def test_a_rejudge_shows_its_effect_and_is_applied_at_once(scene: Scene) -> None:
    await opened(scene)
    first = await scene.verdict("owl", WA, "1")
    second = await scene.verdict("lark", AC, "2")
    rejudge = await started(scene, problem="A")
    assert (rejudge["state"], rejudge["submissions"], rejudge["effect"]) == ("running", 2, None)
    assert (await started(scene, problem="A"))["id"] == rejudge["id"]
    path = f"{_REJUDGES}/{rejudge['id']}"
    assert (await scene.ask("jury", "POST", f"{path}/apply"))[1]["code"] == "PREVIEW_RUNNING"
    await judged(scene, AC, WA)
    shown = await scene.done("jury", "GET", path)
    assert (shown["state"], shown["changed"]) == ("ready", 2)
    assert {one["job_id"]: (one["team_id"], one["before"], one["after"]) for one in shown["effect"]["verdicts"]} == {
        first: ("1", WA, AC), second: ("2", AC, WA),
    }  # fmt: skip
    assert [(one["team_id"], one["before"]["solved"], one["after"]["solved"], one["after"]["rank"], one["problems"])
            for one in shown["effect"]["rows"]] == [("1", 0, 1, 1, ["A"]), ("2", 1, 0, 2, ["A"])]  # fmt: skip
    awards = {one["id"]: (one["before"], one["after"]) for one in shown["effect"]["awards"]}
    assert awards["first-to-solve-A"] == awards["gold-medal"] == (["2"], ["1"])
    assert await solved(scene) == {"1": 0, "2": 1, "3": 0}, "nothing has changed yet"
    applied = await scene.done("jury", "POST", f"{path}/apply")
    assert (applied["state"], applied["applied"], applied["effect"]) == ("applied", 2, None)
    assert await solved(scene) == {"1": 1, "2": 0, "3": 0}
    assert (await scene.done("jury", "POST", f"{path}/apply"))["applied"] == 2
    assert AuditFault.CONTEST_DIFFERS not in (await audit(scene.lab.pg_store.audit)).by_fault
    accepted = "type = 'judgements' AND data ->> 'verdict' = 'Accepted' AND (data ->> 'is_current')::boolean"
    told = scene.lab.sql(f"SELECT count(*) FROM contest_events WHERE {accepted}")
    assert told == "2", "the former verdict, and the one of the rejudge"


async def test_what_is_cancelled_changes_nothing_and_frees_the_contest(scene: Scene) -> None:
    await opened(scene)
    await scene.verdict("owl", WA, "1")
    rejudge = await started(scene, team="1")
    assert (await scene.ask("jury", "POST", _REJUDGES, {}))[1]["code"] == "PREVIEW_RUNNING"
    path = f"{_REJUDGES}/{rejudge['id']}"
    await judged(scene, AC)
    assert (await scene.done("jury", "POST", f"{path}/cancel"))["state"] == "cancelled"
    assert (await scene.ask("jury", "POST", f"{path}/apply"))[1]["code"] == "PREVIEW_ENDED"
    assert await solved(scene) == {"1": 0, "2": 0, "3": 0}
    again = await started(scene, team="1")
    await scene.done("jury", "POST", f"{_REJUDGES}/{again['id']}/cancel")
    listed = (await scene.done("jury", "GET", _REJUDGES))["rejudges"]
    assert [(one["id"], one["state"], one["team"]) for one in listed] == [
        (again["id"], "cancelled", "1"), (rejudge["id"], "cancelled", "1"),
    ]  # fmt: skip


async def test_a_final_contest_is_not_rejudged(scene: Scene) -> None:
    await opened(scene)
    await scene.verdict("owl", WA, "1")
    rejudge = await started(scene)
    await judged(scene, AC)
    scene.lab.sql("UPDATE contests SET ended_at = now()")
    # as if the rejudge had been started at the same moment
    scene.lab.sql("UPDATE contest_rejudges SET is_applied = false")
    await scene.done("jury", "POST", "/finals/finalize", {})
    scene.lab.sql("UPDATE contest_rejudges SET is_applied = NULL")
    for path in (_REJUDGES, f"{_REJUDGES}/{rejudge['id']}/apply"):
        assert (await scene.ask("jury", "POST", path, {}))[1]["code"] == "CONTEST_FINALIZED"
    # as if the finalization had come while it was applied
    scene.lab.sql("UPDATE contests SET finalized_at = NULL")
    status, body = await scene.ask("jury", "POST", f"{_REJUDGES}/{rejudge['id']}/apply", {})
    assert (status, body["code"]) == (409, "CONTEST_FINALIZED")
    assert scene.lab.sql("SELECT DISTINCT status FROM submissions") == "Wrong Answer"


async def test_the_preview_of_a_contest_is_not_decided_at_the_problem(scene: Scene) -> None:
    await opened(scene)
    await scene.verdict("owl", WA, "1")
    await started(scene)
    await judged(scene, AC)
    preview = scene.lab.sql("SELECT id FROM previews")
    base = f"/api/v1/problems/{scene.problem_id}/rejudge-previews"
    for path in (f"{base}/{preview}/apply", f"{base}/{preview}/cancel"):
        answer = await scene.home.ask("POST", path, token=scene.tokens["admin"])
        assert (answer.status_code, (await answer.get_json())["code"]) == (409, "PREVIEW_ENDED")
    answer = await scene.home.ask("POST", base, token=scene.tokens["admin"])
    assert (answer.status_code, (await answer.get_json())["code"]) == (409, "PREVIEW_RUNNING")


@pytest.mark.parametrize(
    ("scope", "code"),
    [
        ({"problem": "Z"}, "INVALID_PARAM"), ({"team": "9"}, "INVALID_PARAM"), ({"verdict": "Great"}, "INVALID_PARAM"),
        ({"host": "elsewhere"}, "INVALID_PARAM"), ({"verdict": "Accepted"}, "INVALID_PARAM"),
        ({"from_ms": 0, "until_ms": 1}, "INVALID_PARAM"), ({"language": "java"}, "INVALID_PARAM"),
    ],
)  # fmt: skip
async def test_a_scope_without_submissions_is_refused(scene: Scene, scope: dict[str, Any], code: str) -> None:
    await opened(scene)
    await scene.verdict("owl", WA, "1")
    status, body = await scene.ask("jury", "POST", _REJUDGES, scope)
    assert (status, body["code"]) == (400, code)
    assert scene.lab.sql("SELECT count(*) FROM contest_rejudges") == "0"


async def test_a_host_is_one_of_those_that_have_judged(scene: Scene) -> None:
    await opened(scene)
    await scene.verdict("owl", WA, "1")
    (host,) = (await scene.done("jury", "GET", _REJUDGES))["hosts"]
    assert (await started(scene, host=host, verdict="Wrong Answer", language="cpp17"))["submissions"] == 1


def _ledger() -> ContestLedger:
    made = MadeLedger()
    for number, (team, label, at, verdict) in enumerate(
        [("t0", "A", 10, AC), ("t1", "A", 20, AC), ("t2", "A", 30, WA), ("t0", "B", 290, WA)]
    ):
        data = {
            "job_id": f"j{number}",
            "team_id": team,
            "problem_id": label,
            "language": "cpp20",
            "at": iso(minute(at)),
        }
        made.tell(EventType.SUBMISSIONS, f"s{number}", data)
        made.tell(EventType.JUDGEMENTS, f"s{number}-1", _judgement(f"s{number}", verdict))
    ledger = ContestLedger()
    ledger.take(made.events)
    return ledger


def _judgement(submission_id: str, verdict: str) -> dict[str, Any]:
    return {"submission_id": submission_id, "verdict": verdict, "is_current": True, "began_at": iso(minute(300)),
            "ended_at": iso(minute(300)), "runs": []}  # fmt: skip


def test_the_effect_is_the_difference_of_two_boards_and_leaves_the_ledger_alone() -> None:
    ledger = _ledger()
    rows, last = ledger.jury_board.rows(), ledger.last
    assert effect_of(ledger, [RejudgedVerdict("s0-2", _judgement("s0", AC))]).rows == []
    effect = effect_of(
        ledger, [RejudgedVerdict("s0-2", _judgement("s0", WA)), RejudgedVerdict("s3-2", _judgement("s3", AC))]
    )
    assert [(one.submission_id, one.before, one.after) for one in effect.verdicts] == [("s0", AC, WA), ("s3", WA, AC)]
    changed = {one.team_id: (one.before.solved, one.after.solved, tuple(one.cells)) for one in effect.rows}
    assert changed == {"t0": (1, 1, ("A", "B")), "t1": (1, 1, ())}, "the second is first now"
    assert {one.award_id: (one.before, one.after) for one in effect.awards}["first-to-solve-A"] == (["t0"], ["t1"])
    assert (ledger.jury_board.rows(), ledger.last) == (rows, last)
    assert ledger.judgement_of("s0") == _judgement("s0", AC)


@pytest.mark.parametrize(
    ("scope", "jobs"),
    [
        ({}, ["j0", "j1", "j2", "j3"]), ({"problem": "B"}, ["j3"]), ({"team_id": "t0"}, ["j0", "j3"]),
        ({"verdict": WA}, ["j2", "j3"]), ({"language": "java"}, []),
        ({"from_ms": 20 * 60_000, "until_ms": 30 * 60_000}, ["j1"]), ({"verdict": WA, "team_id": "t2"}, ["j2"]),
    ],
)  # fmt: skip
def test_filters_are_combined(scope: dict[str, Any], jobs: list[str]) -> None:
    found = jobs_of(_ledger(), ContestRejudgeScope(**scope))
    assert sorted(job for each in found.values() for job in each) == jobs


async def test_a_rejudge_has_the_limits_of_the_contest(scene: Scene) -> None:
    await opened(scene)
    await scene.verdict("owl", WA, "1")
    scene.lab.sql("UPDATE contest_problems SET time_limit_ms = 777")
    await started(scene)
    claim = await scene.lab.store.preview_leases.claim("node", 60, 2, ("cpp17",))
    assert claim is not None
    assert (claim.time_limit_ms, claim.memory_limit_mb) == (777, None)


async def test_a_rejudge_by_verdict_has_the_submissions_whose_verdict_the_jury_has_overridden(scene: Scene) -> None:
    await opened(scene, freeze_ms=None)
    job_id = await scene.verdict("owl", AC, "1")
    submission = scene.lab.sql(f"SELECT id FROM submissions WHERE job_id = '{job_id}'").strip()
    path = f"/finals/submissions/{submission}/review"
    override = {"act": "override", "judging": 1, "verdict": WA.value, "reason": "It reads the answers."}
    await scene.done("jury", "POST", path, override)
    await scene.done("admin", "POST", path, {"act": "confirm", "judging": 1})
    assert (await started(scene, verdict=WA.value))["submissions"] == 1


async def test_a_rejudge_that_changes_nothing_closes_itself(scene: Scene) -> None:
    await opened(scene)
    await scene.done("jury", "PUT", "/finals/problems/B", {"problem_id": (await new_problem(scene.lab.store)).id})
    await scene.verdict("owl", WA, "1")
    await scene.verdict("lark", WA, "2", "B")
    rejudge = await started(scene)
    await judged(scene, WA)
    path = f"{_REJUDGES}/{rejudge['id']}"
    assert (await scene.done("jury", "GET", path))["state"] == "running", "one is not judged yet"
    await judged(scene, WA)
    closed = await scene.done("jury", "GET", path)
    assert (closed["state"], closed["changed"], closed["decided_by"]) == ("cancelled", 0, None)
    assert closed["decided_at"] is not None
    again = await started(scene, problem="B")
    assert again["id"] != rejudge["id"], "it keeps no other one from starting"
    await judged(scene, AC)
    assert (await scene.done("jury", "GET", f"{_REJUDGES}/{again['id']}"))["state"] == "ready", "this one changes"


async def test_a_refusal_names_the_rejudge_and_the_problem_that_are_in_the_way(scene: Scene) -> None:
    await opened(scene)
    await scene.done("jury", "PUT", "/finals/problems/B", {"problem_id": (await new_problem(scene.lab.store)).id})
    await scene.verdict("owl", WA, "1")
    await scene.verdict("owl", WA, "2", "B")
    first = await started(scene, problem="B")
    _, refused = await scene.ask("jury", "POST", _REJUDGES, {"problem": "A"})
    assert (refused["code"], refused["error"].partition(" is ")[0]) == (
        "PREVIEW_RUNNING", f"The rejudge {first['id']} of this contest (problem B)",
    )  # fmt: skip
    await scene.done("jury", "POST", f"{_REJUDGES}/{first['id']}/cancel")
    url = f"/api/v1/problems/{scene.problem_id}/rejudge-previews"
    answer = await scene.home.ask("POST", url, token=scene.tokens["admin"])
    assert answer.status_code in (200, 202), await answer.get_data()
    _, refused = await scene.ask("jury", "POST", _REJUDGES, {})
    assert refused["error"].startswith("A preview of the problem A is not decided yet"), refused
