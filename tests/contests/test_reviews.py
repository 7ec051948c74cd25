"""The jury's desk, by its routes and pages."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deepoj.pipeline.audit import AuditFault, audit
from deepoj.words.contests import Contest, EventType
from deepoj.words.results import Verdict
from deepoj.words.submissions import Receipt
from tests.contests.scene import HOUR_MS, Scene, opened, scene
from tests.contract.labs import PgLab, claim, draft, report, submit
from tests.web.contest_scene import JURY, MEMBER, STRANGER, TEAM, Arena, arena, draft_problem, rules

__all__ = ["scene"]


async def _sent(scene: Scene, verdict: Verdict) -> str:
    """Submit and judge a program. Return its id in the contest."""
    job_id = await scene.verdict("owl", verdict, "x")
    return scene.lab.sql(f"SELECT id FROM submissions WHERE job_id = '{job_id}'").strip()


async def _act(scene: Scene, who: str, submission: str, act: str, **more: Any) -> str:
    """Do an act. Return the code of its refusal, or ``done``."""
    sent = {"act": act, "judging": 1, **more}
    status, body = await scene.ask(who, "POST", f"/finals/submissions/{submission}/review", sent)
    return "done" if status == 200 else str(body["code"])


async def _solved(scene: Scene, who: str = "stranger") -> list[int]:
    return [row["solved"] for row in (await scene.done(who, "GET", "/finals/scoreboard"))["rows"]]


async def test_a_claimed_submission_is_verified_by_its_account_alone_or_after_a_release(scene: Scene) -> None:
    await opened(scene, freeze_ms=None, is_verifying=True)
    submission = await _sent(scene, Verdict.ACCEPTED)
    for who, act, expected in (
        ("jury", "claim", "done"), ("admin", "claim", "SUBMISSION_CLAIMED"), ("admin", "verify", "SUBMISSION_CLAIMED"),
    ):  # fmt: skip
        assert await _act(scene, who, submission, act) == expected
    for unknown in ("9" * 5000, "9" * 19, "٣"):
        assert await _act(scene, "jury", unknown, "claim") == "JOB_NOT_FOUND"
    mine = await scene.done("jury", "GET", "/finals/reviews?filter=mine")
    assert [(one["id"], one["claimed_by"]) for one in mine["submissions"]] == [(submission, "jury")]
    assert (await scene.done("admin", "GET", "/finals/reviews?filter=mine"))["submissions"] == []
    assert len((await scene.done("admin", "GET", "/finals/reviews?filter=to_verify"))["submissions"]) == 1
    assert await _act(scene, "admin", submission, "release") == "done"
    assert await _act(scene, "admin", submission, "verify", judging=2) == "JUDGED_AGAIN"
    assert await _act(scene, "admin", submission, "verify") == "done"
    assert (await scene.done("admin", "GET", "/finals/reviews?filter=to_verify"))["submissions"] == []
    history = (await scene.done("jury", "GET", f"/finals/submissions/{submission}/review"))["history"]
    assert [(one["by"], one["act"]) for one in history] == [("jury", "claim"), ("root", "release"), ("root", "verify")]
    assert scene.lab.sql("SELECT count(*) FROM admin_events WHERE act = 'contest_reviewed'").strip() == "3"
    assert AuditFault.CONTEST_DIFFERS not in (await audit(scene.lab.store.audit)).by_fault
    scene.lab.sql("""UPDATE contest_reviews SET data = data || '{"verified": null}'""")
    assert AuditFault.CONTEST_DIFFERS in (await audit(scene.lab.store.audit)).by_fault


async def test_an_override_counts_when_a_second_account_confirms_it_and_ends_with_a_rejudge(scene: Scene) -> None:
    await opened(scene, freeze_ms=None)
    submission = await _sent(scene, Verdict.ACCEPTED)
    assert await _solved(scene) == [1, 0, 0]
    sent = {"verdict": "Wrong Answer", "reason": "It reads the answers."}
    assert await _act(scene, "jury", submission, "confirm") == "NO_OVERRIDE_PROPOSED"
    assert await _act(scene, "jury", submission, "override", verdict="Wrong Answer") == "INVALID_PARAM"
    assert await _act(scene, "jury", submission, "override", **sent) == "done"
    assert await _act(scene, "admin", submission, "verify") == "OVERRIDE_PROPOSED"
    assert await _act(scene, "jury", submission, "confirm") == "OWN_PROPOSAL"
    assert await _solved(scene) == [1, 0, 0], "it is only proposed"
    assert await _act(scene, "admin", submission, "confirm") == "done"
    assert (await _solved(scene), await _solved(scene, "jury")) == ([0, 0, 0], [0, 0, 0])
    listed = await scene.home.ask("GET", "/api/v1/submissions?verdict=Wrong%20Answer", token=scene.tokens["owl"])
    [own] = json.loads(await listed.get_data())["submissions"]
    assert own["status"] == "Wrong Answer"
    await scene.lab.store.rejudges.rejudge(own["job_id"], None, by="jury", in_full=True, stream_key="s")
    won = await claim(scene.lab, own["job_id"], entry_id="2-1")
    assert await scene.lab.store.leases.finalize(won, report(Verdict.ACCEPTED), {"tests": []}) is None
    assert await _solved(scene) == [1, 0, 0]


async def test_the_only_account_of_the_jury_confirms_its_own_override(scene: Scene) -> None:
    await opened(scene, freeze_ms=None)
    submission = await _sent(scene, Verdict.WRONG_ANSWER)
    scene.lab.sql("UPDATE users SET is_disabled = true WHERE username = 'root'")
    sent = {"verdict": "Accepted", "reason": "The answer was wrong."}
    assert await _act(scene, "jury", submission, "override", **sent) == "done"
    assert await _act(scene, "jury", submission, "confirm") == "done"
    assert await _solved(scene) == [1, 0, 0]


async def test_an_override_that_is_confirmed_after_the_end_moves_the_solved_mark(scene: Scene) -> None:
    await opened(scene, freeze_ms=None)
    first, second = [await _sent(scene, Verdict.ACCEPTED), await _sent(scene, Verdict.WRONG_ANSWER)]
    await scene.done("jury", "PATCH", "/finals", {"duration_ms": HOUR_MS})
    await scene.advance()

    def mark() -> str:
        marks = scene.lab.rows("SELECT s.id FROM solved AS m JOIN submissions AS s ON s.job_id = m.job_id")
        return " ".join(str(row["id"]) for row in marks)

    async def override(submission: str, verdict: str) -> None:
        sent = {"verdict": verdict, "reason": "The tests were wrong."}
        assert await _act(scene, "jury", submission, "override", **sent) == "done"
        assert await _act(scene, "admin", submission, "confirm") == "done"

    assert mark() == first
    await override(second, "Accepted")
    assert mark() == first, "it is earlier"
    await override(first, "Wrong Answer")
    assert mark() == second, "an override made it the first"
    await override(second, "Wrong Answer")
    assert mark() == ""
    await override(first, "Accepted")
    assert mark() == first


async def test_an_ignored_submission_is_on_no_board_until_it_is_restored(scene: Scene) -> None:
    await opened(scene, freeze_ms=None, is_verifying=True)
    submission = await _sent(scene, Verdict.ACCEPTED)
    assert await _act(scene, "jury", submission, "ignore", reason="Sent by mistake.") == "done"
    assert await _solved(scene, "jury") == [0, 0, 0]
    assert await _act(scene, "jury", submission, "restore") == "done"
    assert await _solved(scene, "jury") == [1, 0, 0]
    assert await _act(scene, "jury", submission, "ignore", reason="Sent by mistake.") == "done"
    await scene.done("jury", "PATCH", "/finals", {"duration_ms": HOUR_MS})
    await scene.advance()
    await scene.done("jury", "POST", "/finals/finalize", {})
    assert await _act(scene, "jury", submission, "restore") == "CONTEST_FINALIZED"


@pytest.mark.parametrize(
    ("sent", "status"), [({"act": "verify"}, 409), ({"act": "else"}, 400), ({"act": "claim", "judging": "x"}, 400)]
)
async def test_a_page_of_the_jury_says_what_it_refuses(
    tmp_path: Path, real: PgLab, sent: dict[str, str], status: int
) -> None:
    place = await arena(tmp_path, real)
    contest = await place.hold("spring", rules(100.0, is_verifying=True), [await draft_problem(place)])
    _, submission = await _submitted(place, contest)
    path = f"/manage/contests/spring/submissions/{submission}"
    reply = await place.visits[JURY].post(path, {"judging": "1", **sent})
    assert reply.status == status, reply.text


async def _submitted(place: Arena, contest: Contest) -> tuple[str, str]:
    """Submit a program of the team of the pages' visitor. Return its job and its id in the contest."""
    author = await place.home.ports.accounts.credentials(TEAM)
    assert author is not None
    problem_id = int(place.real.sql("SELECT problem_id FROM contest_problems"))
    job = await submit(place.real.store, replace(draft(author.user.id, problem_id), contest_id=contest.id))
    assert isinstance(job, Receipt), job
    return job.job_id, place.real.sql("SELECT max(id) FROM submissions").strip()


async def test_the_jurys_page_verifies_and_the_teams_page_then_shows_the_verdict(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    contest = await place.hold("spring", rules(100.0, is_verifying=True), [await draft_problem(place)])
    job_id, submission = await _submitted(place, contest)
    won = await claim(real, job_id)
    assert await real.store.leases.finalize(won, report(Verdict.ACCEPTED), {"tests": []}) is None
    path, team = f"/manage/contests/spring/submissions/{submission}", place.visits[TEAM]
    for who, expected in ((STRANGER, 303), (MEMBER, 403), (TEAM, 403), (JURY, 200)):
        assert (await place.visits[who].get(path)).status == expected, who
    page = (await team.get(f"/submissions/{job_id}")).text
    assert "The result is shown when" in page
    assert "Accepted" not in page
    listed = (await place.visits[JURY].get("/manage/contests/spring/submissions?review=to_verify")).text
    assert f'href="{path}"' in listed
    reply = await place.visits[JURY].post(path, {"act": "verify", "judging": "1"})
    assert reply.location == f"{path}?done=verify", reply.text
    assert "verified the verdict" in (await place.visits[JURY].get(reply.location)).text
    assert "Accepted" in (await team.get(f"/submissions/{job_id}")).text
    assert "Accepted" in (await team.get("/contests/spring/submissions")).text


async def test_categories_and_usual_answers_are_lists_of_the_contest(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    contest = await place.hold("spring", rules(100.0), [await draft_problem(place)])
    path, team, jury = "/contests/spring/clarifications", place.visits[TEAM], place.visits[JURY]
    lists = {"act": "texts", "categories": "Statements\n\nMachines\n", "answers": "Ask <again>.\n"}
    reply = await jury.post(f"/manage{path}", lists)
    assert reply.location == f"/manage{path}?done=texts", reply.text
    page = (await team.get(path)).text
    assert "<option>Machines</option>" in page
    assert "again" not in page, "the answers are the jury's"
    assert (await team.post(path, {"text": "Why?", "category": "Else"})).status == 400
    assert (await team.post(path, {"text": "Why?", "category": "Machines"})).status == 303
    [first, again] = [(await jury.get(f"/manage{path}")).text for _ in range(2)]
    assert "Ask &lt;again&gt;." in first
    assert ("clarification new" in first, "clarification new" in again) == (True, False)
    shown = await place.home.ask("GET", "/api/v1/contests/spring/texts")
    assert json.loads(await shown.get_data()) == {"categories": ["Statements", "Machines"], "answers": []}
    assert (await jury.post(f"/manage{path}", {**lists, "answers": "x" * 300})).status == 400
    ledger = await place.home.context.ledgers.ledger(contest)
    assert "answers" in ledger.of(EventType.TEXTS)


async def test_a_contest_with_a_judges_failure_is_not_finalized(scene: Scene) -> None:
    await opened(scene)
    await scene.verdict("owl", Verdict.ACCEPTED, "1")
    failed = await scene.verdict("lark", Verdict.SYSTEM_ERROR, "2")
    await scene.verdict("owl", Verdict.SYSTEM_ERROR, "3")
    ids = [scene.lab.sql(f"SELECT id FROM submissions WHERE code = '{code}'").strip() for code in "23"]
    status, body = await scene.ask("jury", "POST", "/finals/finalize", {})
    assert (status, body["code"]) == (409, "CONTEST_NOT_OVER")
    await scene.done("jury", "PATCH", "/finals", {"duration_ms": 3 * HOUR_MS - 1, "freeze_ms": None})
    scene.lab.sql(f"UPDATE contests SET duration_ms = 2 * {HOUR_MS} + 1")
    scene.lab.sql("UPDATE contests SET start_at = start_at - interval '1 hour'")
    await scene.advance()
    status, body = await scene.ask("jury", "POST", "/finals/finalize", {})
    assert (status, body["code"], body["details"]) == (409, "CONTEST_JUDGE_FAILED", ids), body
    assert f"submissions {ids[0]}, {ids[1]}: rejudge them" in body["error"]
    await scene.done(
        "jury", "POST", f"/finals/submissions/{ids[1]}/review", {"act": "ignore", "judging": 1, "reason": "twice"}
    )
    await scene.lab.store.rejudges.rejudge(failed, None, by="jury", in_full=True, stream_key="s")
    _, body = await scene.ask("jury", "POST", "/finals/finalize", {})
    assert body["code"] == "CONTEST_UNJUDGED"
    won = await claim(scene.lab, failed, entry_id="again")
    assert await scene.lab.store.leases.finalize(won, report(Verdict.WRONG_ANSWER), {"tests": []}) is None
    await scene.done("jury", "POST", "/finals/finalize", {})
