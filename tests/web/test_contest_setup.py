"""Rejudges, teams, passwords, copies and practice of a contest, by the pages of those who run it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from deepoj.words.contests import Contest
from deepoj.words.previews import KEEP_S
from deepoj.words.results import Verdict
from tests.contract.labs import PgLab, claim, draft, report, send
from tests.contract.test_store_previews import outcome
from tests.web.contest_scene import JURY, MEMBER, OTHER, STRANGER, TEAM, Arena, arena, confirmed, draft_problem, rules

_REVISION = re.compile(r'name="revision" value="([^"]*)"')
HERE = "/manage/contests/finals"
pytestmark = pytest.mark.parametrize("postgres", ["embedded"], indirect=True)


async def submitted(place: Arena, contest: Contest, problem_id: int, verdict: Verdict) -> None:
    """Submit and judge a program of the team visitor."""
    store = place.real.store
    account = await store.accounts.credentials(TEAM)
    assert account is not None
    job_id = await send(store, replace(draft(account.user.id, problem_id), contest_id=contest.id))
    won = await claim(place.real, job_id, entry_id=f"{job_id}-1")
    assert await store.leases.finalize(won, report(verdict), {"tests": []}) is None


async def judged(place: Arena, verdict: Verdict) -> None:
    """Judge the submission of a preview, as a node does."""
    leases = place.real.store.preview_leases
    won = await leases.claim("node", 60, 2, ("cpp17",))
    assert won is not None
    assert await leases.finish(won, outcome(won, verdict))
    await leases.sweep_previews(2, 600, KEEP_S)


async def test_a_rejudge_is_previewed_and_applied(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    problem = await draft_problem(place)
    contest = await place.hold("finals", rules(100.0), [problem])
    await submitted(place, contest, problem, Verdict.WRONG_ANSWER)
    jury = place.visits[JURY]
    refused = await jury.post(f"{HERE}/rejudges", {"verdict": "Accepted"})
    assert refused.status == 400
    started = await jury.post(f"{HERE}/rejudges", {"problem": "A", "until": "200"})
    path = started.location
    assert re.fullmatch(f"{HERE}/rejudges/[0-9]+", path), started.text
    assert "0 of 1 judged again" in (await jury.get(path)).text
    await judged(place, Verdict.ACCEPTED)
    page = (await jury.get(path)).text
    assert "Red Pandas" in page
    assert "0 → <strong>1</strong>" in page
    assert "first-to-solve-A" in page
    assert (await place.visits[OTHER].get(path)).status == 403
    assert (await jury.post(path, {"act": "apply"})).location == path
    assert "Applied: 1 submissions" in (await jury.get(path)).text
    listed = (await jury.get(f"{HERE}/rejudges")).text
    assert "applied" in listed
    assert "before minute 200" in listed
    assert "solved first" in (await place.visits[STRANGER].get("/contests/finals/scoreboard")).text


async def test_a_contest_gets_a_statement_of_its_own(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    await place.hold("finals", rules(100.0), [await draft_problem(place)])
    jury, path = place.visits[JURY], f"{HERE}/problems/A/statement"
    page = (await jury.get(f"{path}?lang=zh")).text
    assert "Statement in this contest" in page
    fields = {"lang": "zh", "format": "md", "code": "# Contest", "revision": _REVISION.findall(page)[0]}
    assert (await jury.post(path, {**fields, "action": "save"})).location == f"{path}?lang=zh&changed=1"
    page = (await jury.get(f"{path}?lang=zh")).text
    assert "# Contest</textarea>" in page
    assert "(of this contest)" in page
    assert "(of this contest: zh)" in (await jury.get(HERE)).text
    assert (await jury.post(path, {**fields, "action": "save"})).status == 409
    pdf = {"lang": "zh", "revision": _REVISION.findall(page)[0], "action": "save"}
    assert (await jury.post(path, pdf, file=b"GIF89a")).status == 400
    assert (await jury.post(path, pdf, file=b"%PDF-1.4")).status == 303
    page = (await jury.get(f"{path}?lang=zh")).text
    assert "the statement is a PDF" in page
    restored = await jury.post(path, {**pdf, "revision": _REVISION.findall(page)[0], "action": "restore"})
    assert restored.status == 303
    assert "(of this contest" not in (await jury.get(HERE)).text
    assert (await place.visits[OTHER].get(path)).status == 403


async def test_teams_are_bound_hidden_and_removed(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    problem = await draft_problem(place)
    contest = await place.hold("finals", rules(100.0), [problem])
    await submitted(place, contest, problem, Verdict.ACCEPTED)
    jury = place.visits[JURY]
    for act, fields in {"bind": {"networks": "10.1.0.0/16, 10.2.0.1"}, "hide": {}}.items():
        reply = await jury.post(f"{HERE}/teams", {"act": act, "team": "red", **fields})
        assert reply.location == f"{HERE}/teams?done={act}", reply.text
    page = (await jury.get(f"{HERE}/teams")).text
    assert "10.1.0.0/16, 10.2.0.1/32" in page
    assert "cannot be removed" in (await jury.get(f"{HERE}/teams/red")).text
    assert "Red Pandas" not in (await place.visits[STRANGER].get("/contests/finals/scoreboard")).text
    remove = {"act": "remove", "confirm": "finals"}
    assert (await jury.post(f"{HERE}/teams", {**remove, "team": "red"})).status == 409
    assert 'name="confirm"' in (await jury.get(f"{HERE}/teams/blue")).text
    for typed in ("", "blue", "FINALS"):
        refused = await jury.post(f"{HERE}/teams", {**remove, "team": "blue", "confirm": typed})
        assert (refused.status, "Type finals to confirm" in refused.text) == (400, True)
        assert "Blue Whales" in refused.text
    assert (await jury.post(f"{HERE}/teams", {**remove, "team": "blue"})).location.endswith("done=remove")
    assert "Blue Whales" not in (await jury.get(f"{HERE}/teams")).text


@pytest.mark.parametrize(("minute", "is_asked"), [(-60.0, False), (100.0, True)])
async def test_problem_is_removed_with_the_key_while_the_contest_is_under_way(
    tmp_path: Path, real: PgLab, minute: float, is_asked: bool
) -> None:
    place = await arena(tmp_path, real)
    await place.hold("finals", rules(minute), [await draft_problem(place)])
    jury, form = place.visits[JURY], {"act": "remove_problem", "label": "A"}
    page = (await jury.get(HERE)).text
    assert ('name="confirm"' in page, "The problem leaves the contest" in page) == (is_asked, True)
    if is_asked:
        refused = await jury.post(HERE, form)
        assert (refused.status, "Type finals to confirm" in refused.text) == (400, True)
        assert "Problem A of finals" in refused.text
    assert (await jury.post(HERE, {**form, "confirm": "finals"})).location.endswith("done=remove_problem")
    assert "Problem A of finals" not in (await jury.get(HERE)).text


async def test_list_of_which_nothing_is_taken_is_not_said_to_be_imported(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    await place.hold("finals", rules(100.0), [await draft_problem(place)])
    lines = "- {id: x, username: bob, type: analyst, name: B}"
    page = (await place.visits[JURY].post(f"{HERE}/teams", {"act": "teams", "list": lines})).text
    assert "The teams are imported." not in page
    assert ("Nothing was imported" in page, "Not taken of the list" in page) == (True, True), page


async def test_list_of_objects_says_its_faults_by_entry_and_what_there_is_without_teams(
    tmp_path: Path, real: PgLab
) -> None:
    place = await arena(tmp_path, real)
    jury, path = place.visits[JURY], "/manage/contests/bare/teams"
    made = {"key": "bare", "name": "Bare", "length": "5:00", "penalty": "20", "kind": "icpc"}
    assert (await jury.post("/manage/contests", made)).status == 303
    groups = '[{"id": "g1", "name": "North", "type": "site"}, {"id": "!", "name": "South", "type": "site"}]'
    refused = await jury.post(path, {"act": "teams", "list": groups})
    assert (refused.status, "<li>Entry 2: " in refused.text) == (422, True)
    refused = await jury.post(path, {"act": "teams", "list": "t1,One\n!,Two"})
    assert (refused.status, "<li>Line 2: " in refused.text) == (422, True)
    assert (await jury.post(path, {"act": "teams", "list": groups.replace("!", "g2")})).status == 303
    assert "This contest has no teams yet. It has 2 groups of teams." in (await jury.get(path)).text


async def test_session_of_a_bound_account_is_a_strangers_from_elsewhere(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    await place.hold("finals", rules(100.0), [await draft_problem(place)])
    team = place.visits[TEAM]
    assert (await team.get("/account")).status == 200
    real.sql("UPDATE contest_members SET networks = '{10.1.0.0/16}' WHERE team_id = 'red'")
    assert (await team.get("/account")).status != 200
    team.peer = "10.1.2.3"
    assert (await team.get("/account")).status == 200


async def test_a_contest_is_copied_and_its_problems_are_practised(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    await place.hold("finals", rules(310.0), [await draft_problem(place)])
    jury = place.visits[JURY]
    made = await jury.post(f"{HERE}/afterwards", {"act": "copy", "key": "second", "name": "Second Cup", "teams": "1"})
    assert made.location == "/manage/contests/second?done=made", made.text
    assert "Second Cup" in (await jury.get("/manage/contests/second")).text
    assert "Red Pandas" in (await jury.get("/manage/contests/second/teams")).text
    assert (await jury.post(f"{HERE}/afterwards", {"act": "copy", "key": "second"})).status == 409
    assert (await jury.post(f"{HERE}/afterwards", {"act": "practice"})).status == 409, "the board is frozen"
    team, here = place.visits[TEAM], "/contests/finals/problems/A"
    assert "Practice this problem" not in (await team.get(here)).text
    await confirmed(jury, f"{HERE}/clock", {"act": "thaw"})
    assert "#practice" in (await jury.post(f"{HERE}/afterwards", {"act": "practice"})).location, "the copy has it"
    page = (await jury.get(f"{HERE}/afterwards")).text
    assert '<a href="/manage/contests/second"><bdi>Second Cup</bdi></a>' in page
    assert 'value="practice"' not in page
    real.sql("UPDATE contests SET closed_at = now() WHERE key = 'second'")
    assert "<li>A <bdi>Problem A of finals</bdi></li>" in (await jury.get(f"{HERE}/afterwards")).text
    assert (await jury.post(f"{HERE}/afterwards", {"act": "practice"})).location.endswith("done=practice")
    assert "nothing to open" in (await jury.get(f"{HERE}/afterwards")).text
    assert "Practice this problem" in (await team.get(here)).text
    assert (await place.visits[MEMBER].get("/problems")).text.count("A+B") >= 1
