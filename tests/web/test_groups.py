"""The pages of groups and roles: what an administrator does there, and what the list of people shows of it."""

from __future__ import annotations

import re
from pathlib import Path

from deepoj.words.accounts import UserRole
from tests.api.house import house
from tests.web.scene import add_group, add_problem, add_submission
from tests.web.visits import administrator, with_role


async def test_a_group_is_made_filled_renamed_and_removed(tmp_path: Path) -> None:
    home = house(tmp_path, has_pages=True)
    chief = await administrator(home, "chief")
    alice = await home.account("alice")
    await home.account("bob")
    made = await chief.post("/manage/groups", {"name": "  Class <7> "})
    assert made.status == 303
    page = await chief.get(made.location)
    assert "<h1><bdi>Class &lt;7&gt;</bdi></h1>" in page.text
    again = await chief.post("/manage/groups", {"name": "CLASS <7>"})
    assert (again.status, "Another group has this name" in again.text) == (409, True)
    for name in ("x" * 65, "\u3164", "\u2800", "\ufe0f \u115f"):  # the others are invisible
        assert (await chief.post("/manage/groups", {"name": name})).status == 400, ascii(name)

    wrong = await chief.post(made.location, {"act": "add", "people": "alice, nemo"})
    assert (wrong.status, "there is no account nemo" in wrong.text, ">alice, nemo</textarea>" in wrong.text) == (
        400, True, True,
    )  # fmt: skip
    added = await chief.post(made.location, {"act": "add", "people": "ALICE;\r\nbob"})
    assert added.location == f"{made.location}?done=add"
    assert f'href="/manage/users/{alice.id}"' in (await chief.get(added.location)).text
    out = await chief.post(made.location, {"act": "take_out", "user_id": str(alice.id)})
    assert f'href="/manage/users/{alice.id}"' not in (await chief.get(out.location)).text
    assert (await chief.post(made.location, {"act": "take_out", "user_id": str(alice.id)})).status == 404
    assert (await chief.post(made.location, {"act": "nothing"})).status == 400

    assert (await chief.post(made.location, {"act": "rename", "name": "Class 8"})).status == 303
    assert "Class 8" in (await chief.get("/manage/groups")).text
    assert (await chief.post(made.location, {"act": "remove"})).location == "/manage/groups?done=remove"
    assert (await chief.get(made.location)).status == 404
    assert (await home.ports.accounts.credentials("bob")) is not None


async def test_people_are_listed_by_group(tmp_path: Path) -> None:
    home = house(tmp_path, has_pages=True)
    chief = await administrator(home, "chief")
    for name in ("alice", "bob"):
        await home.account(name)
    group = await add_group(home, ["alice"])
    everyone = await chief.get("/manage/users")
    assert ("<bdi>alice</bdi></a>" in everyone.text, "<bdi>bob</bdi></a>" in everyone.text) == (True, True)
    assert "<td><bdi>Class 7</bdi></td>" in everyone.text
    members = await chief.get(f"/manage/users?group={group}")
    assert ("<bdi>alice</bdi></a>" in members.text, "<bdi>bob</bdi></a>" in members.text) == (True, False)
    assert f'<option value="{group}" selected>' in members.text
    assert (await chief.get("/manage/users?group=")).status == 200


async def test_results_are_limited_to_a_group(tmp_path: Path) -> None:
    home = house(tmp_path, has_pages=True)
    chief, problem = await administrator(home, "chief"), await add_problem(home)
    for name in ("alice", "bob"):
        await home.account(name)
        await add_submission(home, name, problem)
    group = await add_group(home, ["alice"])
    results = f"/manage/problems/{problem}/results"
    for path in (f"{results}.csv?group={group}", f"{results}.json?group={group}", f"/submissions?all=1&group={group}"):
        page = await chief.get(path)
        assert (page.status, "alice" in page.text, "bob" in page.text) == (200, True, False), path
    assert "bob" in (await chief.get(f"{results}.csv?group=")).text
    assert f'<option value="{group}">Class 7</option>' in (await chief.get(f"/manage/problems/{problem}")).text
    path = f"/api/v1/submissions?group_id={group}"
    answer = await home.ask("GET", path, token=await home.token_of("chief"))
    assert [one["username"] for one in (await answer.get_json())["submissions"]] == ["alice"]
    assert (await home.ask("GET", path, token=await home.token_of("alice"))).status_code == 403


async def test_a_list_of_people_names_their_groups(tmp_path: Path) -> None:
    home = house(tmp_path, has_pages=True)
    chief = await administrator(home, "chief")
    wrong = await chief.post("/manage/users/import", {"people": f"username,group\nann,{'x' * 65}"})
    assert (wrong.status, "cannot be the name of a group" in wrong.text) == (422, True)
    sent = await chief.post("/manage/users/import", {"people": "username,group\nann,Team 1\nben,Team 1\ncat,"})
    assert sent.status == 200
    (group,) = await home.ports.groups.groups(9)
    assert (group.name, group.members) == ("Team 1", 2)


async def test_roles_are_given_and_act_at_once(tmp_path: Path) -> None:
    home = house(tmp_path, has_pages=True)
    chief, helper = await administrator(home, "chief"), await with_role(home, "helper", UserRole.JURY)
    account = await home.ports.accounts.credentials("helper")
    assert account is not None
    problem = await add_problem(home, by="chief")
    shown = await helper.get(f"/manage/problems/{problem}")
    assert (shown.status, 'name="time_limit"' in shown.text, "/delete" in shown.text) == (200, False, False)
    assert 'href="/manage/system"' not in shown.text

    path = f"/manage/users/{account.user.id}"
    given = await chief.post(f"{path}/roles", {"operator": "1", "setter": "1", "chief": "1", "is_admin": "1"})
    assert given.location == f"{path}?done=roles"
    page = await chief.get(given.location)
    assert (page.text.count(" checked"), "<dd>operator, setter</dd>" in page.text) == (2, True)
    assert (await helper.get(f"/manage/problems/{problem}")).status == 403
    own = await helper.get("/manage/problems")
    assert (own.status, "A+B" in own.text, 'href="/manage/system"' in own.text) == (200, False, True)
    assert (await helper.get("/manage/audit")).status == 200
    assert (await helper.get("/manage/users")).status == 403


async def test_groups_are_offered_and_listed_in_their_readers_order(tmp_path: Path) -> None:
    names = ["Class 2", "class 10", "Ébène", "محمد", "阿", "张"]
    home = house(tmp_path, has_pages=True)
    chief = await administrator(home, "chief")
    for name in reversed(names):
        await add_group(home, name=name)
    pages = [
        (f"/manage/problems/{await add_problem(home)}", r'name="group-\d+"[^>]*> <bdi>([^<]+)'),
        ("/manage/users", r'<option value="\d+">([^<]+)'),
        ("/submissions?all=1", r'<option value="\d+">([^<]+)'),
        ("/manage/groups", r'<a href="/manage/groups/\d+"><bdi>([^<]+)'),
    ]
    shown = {path: re.findall(pattern, (await chief.get(path)).text) for path, pattern in pages}
    assert shown == {path: names for path, _ in pages}
