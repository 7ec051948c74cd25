"""The log of administrative acts: what of pages, API and commands is in it, and who sees it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deepoj.web.pages.audit import ACTS
from deepoj.words.accounts import UserRole
from deepoj.words.admin_events import AdminAct
from deepoj.words.ledger import Decision
from tests.api.house import form, package, submission
from tests.api.test_dlq import dies
from tests.web.clicking import Person, member, pages_house

PAGE = "/manage/audit"


async def test_acts_of_pages_and_of_the_api_are_shown_newest_first(tmp_path: Path) -> None:
    home = pages_house(tmp_path)
    admin, _ = await member(home, "root", is_admin=True)
    _, alice = await member(home, "alice")
    token = await home.token_of("root")
    assert "There are none." in (await admin.get(PAGE)).words

    await admin.post(f"/manage/users/{alice.id}/disable", {})
    await home.ask("POST", f"/api/v1/admin/users/{alice.id}/enable", token=token)
    await admin.post("/manage/users/import", {"people": "bob"})
    await home.ask("POST", f"/api/v1/admin/users/{alice.id}/password", token=token, json={})
    body, content_type = form({"title": "<T>"}, package())
    made = await home.ask("POST", "/api/v1/problems", token=token, data=body, headers={"Content-Type": content_type})
    problem_id = (await made.get_json())["id"]
    body, content_type = form({"title": "Sum"})
    headers = {"Content-Type": content_type}
    await home.ask("PUT", f"/api/v1/problems/{problem_id}", token=token, data=body, headers=headers)
    job_id = await submission(home, token, problem_id)
    await dies(home, job_id)
    fields = {"decision": "discarded", "attempt_id": "2", "note": "<why>"}
    await admin.post(f"/manage/system/letters/{job_id}", fields)
    await home.ask("POST", f"/api/v1/submissions/{job_id}/rejudge", token=token)
    await home.ask("POST", f"/api/v1/problems/{problem_id}/rejudge", token=token)
    await home.ask("DELETE", f"/api/v1/problems/{problem_id}?force=true", token=token)

    shown = await admin.get(PAGE)
    acts = re.findall(
        r"UTC</time></td><td><bdi>root</bdi></td><td>([^<]*)</td><td>(?:<a [^>]*>)?<bdi>([^<]*)<", shown.text
    )
    assert acts[::-1] == [
        ("disabled the account", "alice"),
        ("enabled the account", "alice"),
        ("created the account", "bob"),
        ("reset the password", "alice"),
        ("created the problem", str(problem_id)),
        ("changed the problem", str(problem_id)),
        ("discarded the dead letter", job_id),
        ("rejudged the submission", job_id),
        ("rejudged the problem", str(problem_id)),
        ("deleted the problem", str(problem_id)),
    ]
    assert "title · version 1" in shown.words
    assert "attempt 2 · note <why>" in shown.words
    assert "<why>" not in shown.text
    assert "<T>" not in shown.text


async def test_operators_read_no_titles_of_problems(tmp_path: Path) -> None:
    """It may be one that they do not see."""
    home = pages_house(tmp_path)
    admin, _ = await member(home, "root", is_admin=True)
    olga, account = await member(home, "olga")
    await home.ports.accounts.change_rights(account.id, roles=[UserRole.OPERATOR], by=None)
    body, content_type = form({"title": "Secret", "visibility": "draft"}, package())
    headers = {"Content-Type": content_type}
    token = await home.token_of("root")
    assert (await home.ask("POST", "/api/v1/problems", token=token, data=body, headers=headers)).status_code == 200
    assert "title Secret" in (await admin.get(PAGE)).words
    shown = (await olga.get(PAGE)).words
    assert "created the problem" in shown
    assert "Secret" not in shown


async def test_strangers_log_in_and_members_are_refused(tmp_path: Path) -> None:
    home = pages_house(tmp_path)
    alice, _ = await member(home, "alice")
    assert (await Person(home).get(PAGE)).location == f"/login?next={PAGE}"
    assert (await alice.get(PAGE)).status == 403


async def test_the_log_in_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deepoj.web.pages.audit._PAGE", 2)
    home = pages_house(tmp_path)
    admin, _ = await member(home, "root", is_admin=True)
    await admin.get("/manage/users/import")
    await admin.post("/manage/users/import", {"people": "bob\ncarol\ndave"})
    first = await admin.get(PAGE)
    assert re.findall(r'/manage/users/\d+"><bdi>(\w+)<', first.text) == ["dave", "carol"]
    older = re.search(r'rel="next" href="([^"]*)"', first.text)
    assert older is not None
    assert re.findall(r'/manage/users/\d+"><bdi>(\w+)<', (await admin.get(older[1])).text) == ["bob"]


def test_every_act_has_words() -> None:
    assert set(ACTS) == set(AdminAct)
    assert {f"dead_letter_{decision}" for decision in Decision} <= set(ACTS)


async def test_links_and_titles_follow_the_rights_of_the_reader(tmp_path: Path) -> None:
    home = pages_house(tmp_path)
    admin, _ = await member(home, "root", is_admin=True)
    _, alice = await member(home, "alice")
    token = await home.token_of("root")
    await admin.get("/manage/users")
    await admin.post(f"/manage/users/{alice.id}/disable", {})
    body, content_type = form({"title": "Secret", "visibility": "draft"}, package())
    made = await home.ask("POST", "/api/v1/problems", token=token, data=body, headers={"Content-Type": content_type})
    problem_id = (await made.get_json())["id"]
    job_id = await submission(home, token, problem_id)
    await dies(home, job_id)
    await home.ask("POST", f"/api/v1/problems/{problem_id}/rejudge", token=token)
    await admin.post(f"/manage/system/letters/{job_id}", {"decision": "discarded", "attempt_id": "2"})
    places = {f"/problems/{problem_id}", f"/submissions/{job_id}", f"/manage/users/{alice.id}"}
    operator = [UserRole.OPERATOR]
    for roles, seen in ((operator, set()), ([*operator, UserRole.JURY], places - {f"/manage/users/{alice.id}"})):
        person, account = await member(home, f"reader{len(roles)}")
        await home.ports.accounts.change_rights(account.id, roles=roles, by=None)
        shown = await person.get(PAGE)
        assert {place for place in places if f'href="{place}"' in shown.text} == seen
        assert ("title Secret" in shown.words) is bool(seen)
        for place in seen:
            assert (await person.get(place)).status == 200
    shown = await admin.get(PAGE)
    assert all(f'href="{place}"' in shown.text for place in places)
