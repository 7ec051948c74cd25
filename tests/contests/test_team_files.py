"""Files of teams as the ICPC's registration writes them, taken into a contest that exists."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from deepoj.accounts.teams import MAX_TEXT_CHARS, read_team_objects, read_team_table
from deepoj.api import contest_teams
from deepoj.words.accounts import UserRole
from deepoj.words.contests import MAX_TEAM_ENTRIES, EventType
from tests.api.house import House
from tests.contests.scene import Scene, finals, scene
from tests.fakes.ports import Store

__all__ = ["scene"]

_GROUPS = "groups\t1\n902\tNorth America\n903\tEurope\n"
_TEAMS = (
    "teams\t1\n"
    "7\t24314\t902\tHoos\tUniversity of Virginia\tU Virginia\tUSA\tINST-U-1023\n"
    "008\t24315\t903\tOwls\tUniversity of Night\tNight\tSWE\n"
    "null\t24316\t\tNobodies\t\t\t\n"
)
_INSTITUTIONS = "File_Version\t1\nINST-U-1023\tUniversity of Virginia\tU Virginia\tUVA\tUSA\thttps://virginia.edu\n"
_ACCOUNTS = (
    "accounts\t1\n"
    "team\tHoos\tteam-007\ttill-wise-under\n"
    "judge\tPer Austrin\taustrin\tanother-long-one\n"
    "admin\tRoot\tchief\tyet-another-long-one\n"
    "analyst\tAnn\tanalyst1\tsome-long-password\n"
)


async def sent(scene: Scene, text: object, who: str = "admin", **more: Any) -> Any:
    raw = text if isinstance(text, str) else json.dumps(text)
    return await scene.done(who, "POST", "/finals/teams", {"text": raw, **more})


@pytest.mark.parametrize("list_format", ["auto", "csv"])
async def test_tables_of_the_icpc_are_told_by_their_first_line(scene: Scene, list_format: str) -> None:
    await scene.done("admin", "POST", "", finals())
    done = await sent(scene, _GROUPS, format=list_format)
    assert (done["groups"], done["teams"]) == (2, 0), "no teams named groups"
    done = await sent(scene, _INSTITUTIONS.replace("\n", "\r\n"), format=list_format)
    assert (done["organizations"], done["teams"]) == (1, 0)
    assert (await sent(scene, _TEAMS, format=list_format))["teams"] == 3
    shown = await scene.done("admin", "GET", "/finals/teams")
    assert {team["id"]: (team["icpc_id"], team["name"], team["group_ids"]) for team in shown["teams"]} == {
        "7": ("24314", "Hoos", ["902"]), "8": ("24315", "Owls", ["903"]), "24316": ("24316", "Nobodies", []),
    }  # fmt: skip
    assert {group["id"]: (group["icpc_id"], group["name"]) for group in shown["groups"]} == {
        "902": ("902", "North America"), "903": ("903", "Europe"),
    }  # fmt: skip
    organizations = {one["formal_name"]: one for one in shown["organizations"]}
    virginia = organizations["University of Virginia"]
    assert (virginia["id"], virginia["icpc_id"], virginia["country"]) == ("1023", "1023", "USA")
    assert organizations["University of Night"]["icpc_id"] is None
    assert shown["teams"][0]["organization"] == "U Virginia"


async def test_a_table_names_groups_and_organizations_that_there_are_by_id_or_name(scene: Scene) -> None:
    await scene.done("admin", "POST", "", finals())
    await sent(scene, [{"id": "902", "name": "North", "type": "site", "hidden": True}])
    await sent(scene, [{"id": "o1", "name": "KTH", "formal_name": "Kungliga", "country": "SWE"}])
    before = await scene.done("admin", "GET", "/finals/teams")
    done = await sent(scene, "id,name,organization,groups\nt1,Owls,KTH,902\nt2,Larks,o1,North|902\nt3,Storks,New,New\n")
    assert (done["teams"], done["groups"], done["organizations"]) == (3, 1, 1)
    after = await scene.done("admin", "GET", "/finals/teams")
    for kind in ("groups", "organizations"):
        assert [one for one in after[kind] if one["name"] != "New"] == before[kind], "they stay as they are"
    assert [team["group_ids"] for team in after["teams"]][:2] == [["902"], ["902"]]
    assert [team["organization"] for team in after["teams"]][:2] == ["KTH", "KTH"]


async def role_of(home: House[Store], name: str) -> tuple[bool, tuple[UserRole, ...]]:
    found = await home.store.accounts.credentials(name)
    assert found is not None
    return found.user.is_admin, tuple(found.user.roles)


async def test_accounts_of_judges_are_made_with_their_rights_or_named(scene: Scene) -> None:
    await scene.done("admin", "POST", "", finals())
    await sent(scene, _GROUPS)
    await sent(scene, _TEAMS)
    status, body = await scene.ask("jury", "POST", "/finals/teams", {"text": _ACCOUNTS, "create_accounts": True})
    assert (status, body["code"]) == (403, "FORBIDDEN"), "only administrators make accounts"
    await scene.home.account("team-007")
    done = await sent(scene, _ACCOUNTS, "jury")
    assert (done["accounts"], done["created"]) == (1, [])
    assert [note.partition(":")[0] for note in done["notes"]] == ["line 3", "line 4", "line 5"]
    assert all(f"“{name}”" in note for name, note in zip(("austrin", "chief", "analyst1"), done["notes"], strict=True))
    done = await sent(scene, _ACCOUNTS, create_accounts=True)
    assert [(one["username"], one["password"]) for one in done["created"]] == [
        ("austrin", "another-long-one"), ("chief", "yet-another-long-one"),
    ]  # fmt: skip
    assert await role_of(scene.home, "austrin") == (False, (UserRole.JURY,))
    assert await role_of(scene.home, "chief") == (True, ())
    done = await sent(scene, _ACCOUNTS, create_accounts=True)
    assert (done["created"], [note.partition(":")[0] for note in done["notes"]]) == ([], ["line 3", "line 4", "line 5"])
    assert "there already" in done["notes"][0]


async def test_a_token_for_programs_makes_no_accounts(scene: Scene) -> None:
    await scene.done("admin", "POST", "", finals())
    scene.tokens["program"] = await scene.home.named_token("root", "build")
    made = {"text": "- {id: a, username: evil, type: admin, password: a-long-one-of-mine}", "create_accounts": True}
    status, body = await scene.ask("program", "POST", "/finals/teams", made)
    assert (status, "made for a program" in body["error"]) == (403, True)
    assert await scene.home.store.accounts.credentials("evil") is None
    await scene.done("program", "POST", "/finals/teams", {"text": _GROUPS})


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        pytest.param([{"id": "1", "name": "Owls", "group_ids": []}], "teams", id="teams.json"),
        pytest.param([{"id": "1", "name": "Owls", "organization_id": None}], "teams", id="DOMjudge's teams.json"),
        pytest.param([{"id": "mit", "name": "MIT", "formal_name": "Massachusetts …"}], "organizations", id="org.json"),
        pytest.param("- id: g\n  name: North\n  sortorder: 0\n", "groups", id="groups.yaml"),
        pytest.param("---\n- {id: o, username: owl, type: judge}\n", "", id="accounts.yaml"),
    ],
)
async def test_json_and_yaml_are_told_by_their_keys(scene: Scene, text: object, counted: str) -> None:
    await scene.done("admin", "POST", "", finals())
    done = await sent(scene, text)
    assert [done[name] for name in ("teams", "groups", "organizations")] == [
        int(name == counted) for name in ("teams", "groups", "organizations")
    ]


async def test_keys_that_are_not_kept_are_named_once(scene: Scene) -> None:
    await scene.done("admin", "POST", "", finals())
    team: dict[str, Any] = {"name": "x", "group_ids": [], "members": "a", "location": None}
    assert (await sent(scene, [{"id": str(one), **team} for one in range(1, 4)]))["notes"] == [
        "entry 1: “members” is not kept"
    ]


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ([{"id": "1", "name": "Owls"}], 1, "say which they are"),
        ("teams\t1\n\n7\tx\n", 3, "7 columns"),
        ("members\t1\n7\tcoach\tA\tB\n", 1, "a list of members is not taken"),
        ("File_Version\t1\n7\tcoach\tA\tB\n", 1, "a list of members is not taken"),
        ("accounts\t1\nteam\tOwls\towls\tlong-enough-one\n", 2, "no number of a team"),
        ("accounts\t1\nteam\tOwls\tteam9\tlong-enough-one\n", 2, "there is no team “9”"),
        (_TEAMS, 2, "there is no group “902”: import groups first"),
        ("{}", 1, "no list"),
    ],
)
async def test_a_file_with_a_fault_imports_nothing(scene: Scene, text: object, place: int, says: str) -> None:
    await scene.done("admin", "POST", "", finals())
    raw = text if isinstance(text, str) else json.dumps(text)
    status, body = await scene.ask("admin", "POST", "/finals/teams", {"text": raw})
    assert (status, body["details"][0]["place"]) == (400, place), body
    assert says in body["details"][0]["problem"]
    shown = await scene.done("admin", "GET", "/finals/teams")
    assert (shown["teams"], shown["groups"], shown["organizations"]) == ([], [], [])


async def test_ids_of_the_icpc_are_sent_by_the_contest_api(scene: Scene) -> None:
    await scene.done("admin", "POST", "", finals())
    for text in (_GROUPS, _TEAMS):
        await sent(scene, text)
    await sent(scene, "id,name,icpc_id\n99,Wrens,777\n")
    found: dict[str, list[Any]] = {}
    for endpoint in ("teams", "groups", "organizations"):
        answer = await scene.home.ask("GET", f"/clics/contests/finals/{endpoint}", token=scene.tokens["admin"])
        found[endpoint] = await answer.get_json()
    assert [one.get("icpc_id") for one in found["teams"]] == ["24314", "24315", "24316", "777"]
    assert [one.get("icpc_id") for one in found["groups"]] == ["902", "903"]
    assert [one.get("icpc_id", "none") for one in found["organizations"]] == ["1023", "none"]


#: a list of nearly a megabyte that was read for minutes, or unfolded to gigabytes → its refusal
_HOSTILE = {
    "digits": (f"accounts\t1\nteam\tT\t{'1' * 900_000}x\tlong-password\n", "no number of a team"),
    "number": (f"accounts\t1\nteam\tT\tteam{'1' * 5_000}\tlong-password\n", "no number of a team"),
    "columns": ("id," * 300_000, "is no column, or is there twice"),
    "rows": ("teams\t1\n" + "a\n" * 300_000, "7 columns with tabs"),
    "objects": (json.dumps([{"label": 1}] * 60_000), "more than 2000 entries"),
    "aliases": (f'- id: t1\n  name: &a "{"z" * 400_000}"\n  hidden: [{"*a," * 99_000}]\n', "its aliases repeat more"),
    "repeated": (f"- &a {'z' * 900}\n- &b [{'*a,' * 90}]\n- [{'*b,' * 900}]\n", "its aliases repeat more"),
}  # fmt: skip


@pytest.mark.parametrize("name", _HOSTILE)
async def test_a_list_is_read_once_however_it_is_written(scene: Scene, name: str) -> None:
    await scene.done("admin", "POST", "", finals())
    text, expected = _HOSTILE[name]
    status, body = await scene.ask("admin", "POST", "/finals/teams", {"text": text})
    assert (status, body["code"]) == (400, "INVALID_PARAM")
    assert expected in json.dumps(body, ensure_ascii=False)


def _listed(count: int) -> dict[str, str]:
    """Return lists of so many teams, with a blank line after the first where lines are counted."""
    objects = json.dumps([{"id": f"t{n}", "name": "T", "label": "1"} for n in range(count)])
    lines = [f"{n}\t{n}\t\tT\t\t\t\n" for n in range(1, count + 1)]
    return {
        "table": "t0,T\n\n" + "".join(f"t{n},T\n" for n in range(1, count)),
        "teams.tsv": "teams\t1\n" + lines[0] + "\n" + "".join(lines[1:]),
        "json": objects,
        "yaml": "---\n" + objects,
        "groups of a cell": "t0,T,," + "|".join(f"g{n}" for n in range(count)),
    }


@pytest.mark.parametrize("name", _listed(1))
async def test_a_list_has_2000_entries_at_most(scene: Scene, name: str) -> None:
    await scene.done("admin", "POST", "", finals())
    status, body = await scene.ask("admin", "POST", "/finals/teams", {"text": _listed(2001)[name]})
    place = {"table": "line 2002", "teams.tsv": "line 2003"}.get(name, "")
    assert (status, place in body["error"], "more than 2000 entries" in body["error"]) == (400, True, True), body
    done = await sent(scene, _listed(2000)[name])
    assert 2000 in (done["teams"], done["groups"])


def test_what_a_list_says_wrong_is_bounded() -> None:
    faults = read_team_table("a\n" * 300_000, {type_: {} for type_ in EventType}).faults
    assert len(faults) <= 2 * MAX_TEAM_ENTRIES + 2
    long = json.loads(f'[{{"id": "t1", "name": "T", "hidden": ["{"z" * 100_000}"]}}]')
    found = read_team_objects(long, EventType.TEAMS, dict.fromkeys(EventType, ())).faults
    assert [len(one.value) for one in found] == [MAX_TEXT_CHARS]


async def test_a_list_is_read_in_a_thread(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []
    read = contest_teams._read_list

    def reading(*given: Any) -> Any:
        threads.append(threading.get_ident())
        return read(*given)

    monkeypatch.setattr(contest_teams, "_read_list", reading)
    await scene.done("admin", "POST", "", finals())
    await sent(scene, _GROUPS)
    assert len(threads) == 1
    assert threads != [threading.get_ident()]
