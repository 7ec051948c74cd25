"""Copies of contests, teams and their logins, practice afterwards, and changes at the same time."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio

from deepoj.api.live import events
from deepoj.words.accounts import UserRole
from deepoj.words.contests import Contest, ContestRefusal
from deepoj.words.results import Verdict
from tests.api.house import client, form, house_on, served
from tests.api.sse import streaming
from tests.contests.scene import HOUR_MS, Scene, ago, finals, opened, scene
from tests.contract.labs import claim, new_problem

__all__ = ["scene"]


async def test_a_copy_has_rules_and_problems_and_has_not_happened(scene: Scene) -> None:
    await opened(scene, penalty_ms=7 * 60_000)
    await scene.done(
        "jury", "PUT", "/finals/problems/A", {"problem_id": scene.problem_id, "rgb": "#00ff00", "name": "X"}
    )
    await scene.verdict("owl", Verdict.ACCEPTED, "1")
    copy = await scene.done("jury", "POST", "/finals/copy", {"key": "second", "start_at": ago(-HOUR_MS)})
    assert (copy["key"], copy["name"], copy["penalty_ms"], copy["freeze_ms"]) == ("second", "Finals", 420_000, HOUR_MS)
    assert set(copy["state"].values()) == {None}
    assert [(one["label"], one["name"], one["rgb"]) for one in copy["problems"]] == [("A", "X", "#00ff00")]
    assert (await scene.done("jury", "GET", "/second/teams"))["teams"] == []
    told = "SELECT count(*) FROM contest_events JOIN contests AS c ON c.id = contest_id WHERE key = 'second'"
    assert scene.lab.sql(told) == "3", "the contest, its state, its problem"
    assert (await scene.ask("jury", "POST", "/finals/copy", {"key": "second"}))[1]["code"] == "CONTEST_KEY_TAKEN"
    whole = await scene.done("jury", "POST", "/finals/copy", {"key": "third", "name": "Third", "teams": True})
    assert (whole["name"], whole["start_at"]) == ("Third", None)
    teams = [(await scene.done("jury", "GET", f"/{key}/teams")) for key in ("finals", "third")]
    assert teams[0] == teams[1]
    assert (await scene.done("owl", "GET", "/third"))["team_id"] == "1"
    assert (await scene.done("jury", "GET", "/third/scoreboard"))["rows"][0]["solved"] == 0
    await scene.done("jury", "PATCH", "/third", {"start_at": ago(60_000)})
    await scene.advance()
    await scene.done("owl", "POST", "/third/submit", {"problem": "A", "language": "cpp17", "code": "3"})


async def test_a_team_goes_unless_it_has_submissions_and_is_then_hidden(scene: Scene) -> None:
    await opened(scene)
    await scene.verdict("owl", Verdict.ACCEPTED, "1")
    status, body = await scene.ask("jury", "DELETE", "/finals/teams/1")
    assert (status, body["code"]) == (409, "CONTEST_TEAM_USED")
    await scene.done("jury", "PATCH", "/finals/teams/1", {"hidden": True})
    assert (await scene.done("jury", "DELETE", "/finals/teams/2"))["status"] == "deleted"
    rows = (await scene.done("stranger", "GET", "/finals/scoreboard"))["rows"]
    assert [row["team_id"] for row in rows] == ["3"]
    assert (await scene.done("lark", "GET", "/finals"))["team_id"] is None
    await scene.done("jury", "PATCH", "/finals/teams/1", {"hidden": False})
    assert len((await scene.done("stranger", "GET", "/finals/scoreboard"))["rows"]) == 2


async def renewed(scene: Scene, teams: list[str] | None) -> list[dict[str, str]]:
    """Give accounts new passwords that hold."""
    made = await scene.done("admin", "POST", "/finals/credentials", {"teams": teams})
    await scene.done("admin", "POST", f"/finals/credentials/{made['set_id']}/apply")
    found: list[dict[str, str]] = made["credentials"]
    return found


async def logged_in(scene: Scene, username: str, password: str, peer: str) -> tuple[int, str | None]:
    login = {"username": username, "password": password}
    answer = await scene.home.ask("POST", "/api/v1/auth/login", json=login, peer=peer)
    return answer.status_code, (await answer.get_json()).get("code")


async def test_a_team_logs_in_at_its_addresses_until_its_contest_is_over(scene: Scene) -> None:
    await opened(scene)
    bound = await scene.done("jury", "PATCH", "/finals/teams/1", {"networks": ["10.1.0.7/16", "2001:db8::1"]})
    assert bound == {"id": "1", "hidden": False, "networks": ["10.1.0.0/16", "2001:db8::1/128"]}
    (made,) = await renewed(scene, ["1"])
    assert (made["team"], made["username"]) == ("Owls", "owl")
    tries = [await logged_in(scene, "owl", made["password"], peer) for peer in ("10.1.2.3", "10.2.0.1", "2001:db8::1")]
    assert tries == [(200, None), (403, "LOGIN_ELSEWHERE"), (200, None)]
    assert await logged_in(scene, "owl", "wrong", "10.2.0.1") == (401, "BAD_CREDENTIALS"), "strangers learn nothing"
    await scene.done("jury", "PATCH", "/finals/teams/1", {"networks": []})
    assert await logged_in(scene, "owl", made["password"], "10.2.0.1") == (200, None)
    text = "id,name,accounts,ip\n1,Owls,owl,192.168.0.0/24;10.9.9.9\n"
    await scene.done("jury", "POST", "/finals/teams", {"format": "csv", "text": text})
    assert (await logged_in(scene, "owl", made["password"], "10.2.0.1"))[0] == 403
    await scene.done("jury", "POST", "/finals/teams", {"format": "csv", "text": "id,name,accounts\n1,Owls,owl\n"})
    assert (await logged_in(scene, "owl", made["password"], "10.2.0.1"))[0] == 403, (
        "a list without addresses keeps them"
    )
    yaml = "- {username: owl, type: team, team_id: 1, ip: 10.2.0.1}"
    await scene.done("jury", "POST", "/finals/teams", {"format": "accounts", "text": yaml})
    assert [(await logged_in(scene, "owl", made["password"], peer))[0] for peer in ("10.2.0.1", "10.9.9.9")] == [
        200,
        403,
    ]
    scene.lab.sql("UPDATE contests SET ended_at = now()")
    assert (await logged_in(scene, "owl", made["password"], "10.9.9.9"))[0] == 200
    status, body = await scene.ask("jury", "PATCH", "/finals/teams/1", {"networks": ["here"]})
    assert (status, "networks" in body["error"]) == (400, True)


async def test_a_remembered_password_holds_at_its_address(scene: Scene) -> None:
    await opened(scene)
    (made,) = await renewed(scene, ["1"])
    headers = {"Authorization": f"Basic {base64.b64encode(f'owl:{made["password"]}'.encode()).decode()}"}
    await scene.done("jury", "PATCH", "/finals/teams/1", {"networks": ["10.1.0.0/16"]})
    found = [(await scene.home.ask("GET", "/clics/contests", headers=headers, peer=peer)).status_code
             for peer in ("10.1.0.1", "10.1.0.1", "10.2.0.1")]  # fmt: skip
    assert found == [200, 200, 403]


@pytest.mark.parametrize(
    ("sender", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}, 200),
        ({"Origin": "http://localhost"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://localhost"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://localhost:8080"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
async def test_change_with_a_password_from_another_site_is_refused(
    scene: Scene, tmp_path: Path, sender: dict[str, str], status: int
) -> None:
    """A browser that keeps a team's password sends it with the form of any site."""
    await opened(scene)
    (made,) = await renewed(scene, ["1"])
    basic = base64.b64encode(f"owl:{made['password']}".encode()).decode()
    boundary, fields = "frontier", {"problem": "A", "language": "cpp17"}
    body, kind = form(fields, b"int main(){}", boundary=boundary)
    body, sent = body.replace(b'"file"; filename="p.zip"', b'"code[]"; filename="a.cpp"'), {"Content-Type": kind}
    paths = ("/clics/contests/finals/submissions", "/api/v4/contests/finals/submissions")
    for path in paths:
        headers = {"Authorization": f"Basic {basic}", **sent, **sender}
        answer = await scene.home.ask("POST", path, headers=headers, data=body)
        assert answer.status_code == status, await answer.get_data(as_text=True)
        assert (await scene.home.ask("GET", "/clics/contests", headers=headers)).status_code == 200, "reading is free"
    told = scene.lab.sql("SELECT count(*) > 0 FROM submissions")
    assert told == ("t" if status == 200 else "f")
    by_token = {**headers, "Authorization": f"Bearer {await scene.home.token_of('owl')}"}
    answer = await scene.home.ask("POST", paths[0], headers=by_token, data=body)
    assert answer.status_code == 200, "only those who have a token send it"
    if origin := sender.get("Origin"):
        allowing = house_on(tmp_path, scene.lab.store, cors_allowed_origins=(origin,))
        answer = await allowing.ask("POST", paths[0], headers=headers, data=body)
        assert answer.status_code == 200, "its operator trusts that site"


@pytest.mark.parametrize("role", ["root", "jury", "setter", "operator", "maker"])
async def test_account_with_a_role_is_bound_by_no_list(scene: Scene, role: str) -> None:
    await opened(scene)
    scene.lab.sql("UPDATE contests SET created_by = (SELECT id FROM users WHERE username = 'member')")
    name = "member" if role == "maker" else role
    table = f"id,name,accounts,ip\n1,Owls,owl,10.1.0.1\n2,Larks,lark;{name.upper()},10.1.0.2\n"
    yaml = f"- {{username: owl, team_id: 1}}\n- {{username: {name}, team_id: 2, ip: 10.1.0.2}}"
    for list_format, text, place in (("csv", table, 3), ("accounts", yaml, 2)):
        status, body = await scene.ask("jury", "POST", "/finals/teams", {"format": list_format, "text": text})
        assert (status, [one["place"] for one in body["details"]]) == (400, [place]), body
        assert name in body["details"][0]["problem"].lower()
        assert "role" in body["details"][0]["problem"]
    assert scene.lab.sql("SELECT count(*) FROM contest_members WHERE networks IS NOT NULL") == "0", "all or nothing"
    text = f"id,name,accounts\n1,Owls,owl;{name}\n"
    await scene.done("jury", "POST", "/finals/teams", {"format": "csv", "text": text})
    status, body = await scene.ask("jury", "PATCH", "/finals/teams/1", {"networks": ["10.1.0.1"]})
    assert (status, body["code"], name in body["error"]) == (409, "CONTEST_TEAM_HAS_ROLE", True)


async def test_account_that_gets_a_role_is_bound_no_more(scene: Scene) -> None:
    await opened(scene)
    await scene.done("jury", "PATCH", "/finals/teams/1", {"networks": ["10.1.0.1"]})
    (made,) = await renewed(scene, ["1"])
    assert (await logged_in(scene, "owl", made["password"], "10.2.0.1"))[0] == 403
    owl = await scene.lab.store.accounts.credentials("owl")
    assert owl is not None
    for rights in ({"roles": [UserRole.SETTER]}, {"roles": [], "is_admin": True}):
        await scene.lab.store.accounts.change_rights(owl.user.id, **rights, by=None)
        assert (await logged_in(scene, "owl", made["password"], "10.2.0.1"))[0] == 200
    await scene.lab.store.accounts.change_rights(owl.user.id, is_admin=False, by=None)
    assert (await logged_in(scene, "owl", made["password"], "10.2.0.1"))[0] == 403
    scene.lab.sql(f"UPDATE contests SET created_by = {owl.user.id}")
    assert (await logged_in(scene, "owl", made["password"], "10.2.0.1"))[0] == 200


async def test_binding_holds_from_start_to_end_of_the_contest(scene: Scene) -> None:
    await opened(scene, start_at=ago(-HOUR_MS))
    await scene.done("jury", "PATCH", "/finals/teams/1", {"networks": ["10.1.0.1"]})
    token = scene.tokens["owl"]

    async def from_elsewhere() -> int:
        answer = await scene.home.ask("GET", "/api/v1/users/me", token=token, peer="10.2.0.1")
        return answer.status_code

    assert await from_elsewhere() == 200
    start, end = "UPDATE contests SET start_at = now() - interval '2 hours'", "UPDATE contests SET ended_at = now()"
    scene.lab.sql(start)
    assert await from_elsewhere() == 403
    scene.lab.sql("INSERT INTO contest_extensions SELECT id, '1', 4 * 3600000 FROM contests")
    scene.lab.sql(end)
    assert await from_elsewhere() == 403, "its team has more time"
    scene.lab.sql("DELETE FROM contest_extensions")
    assert await from_elsewhere() == 200


async def test_binding_ends_no_session_but_holds_for_each_request(scene: Scene) -> None:
    await opened(scene)
    (made,) = await renewed(scene, ["1"])
    login = {"username": "owl", "password": made["password"]}
    token = (await (await scene.home.ask("POST", "/api/v1/auth/login", json=login)).get_json())["token"]
    basic = base64.b64encode(f"owl:{made['password']}".encode()).decode()
    asked = (("/clics/contests", f"Basic {basic}"), ("/clics/contests", f"Bearer {token}"),
             ("/api/v1/users/me", f"Bearer {token}"))  # fmt: skip

    async def codes(peer: str) -> list[int]:
        return [
            (await scene.home.ask("GET", path, headers={"Authorization": header}, peer=peer)).status_code
            for path, header in asked
        ]

    assert [await codes(peer) for peer in ("10.1.0.1", "10.2.0.1")] == [[200] * 3, [200] * 3]
    await scene.done("jury", "PATCH", "/finals/teams/1", {"networks": ["10.1.0.0/16"]})
    assert [await codes(peer) for peer in ("10.1.0.1", "10.2.0.1")] == [[200] * 3, [403] * 3]


async def test_act_that_binds_is_in_the_log(scene: Scene) -> None:
    await opened(scene)
    text = "id,name,accounts,ip\n1,Owls,owl,10.1.0.1\n2,Larks,lark,\n"
    await scene.done("jury", "POST", "/finals/teams", {"format": "csv", "text": text})
    last = "SELECT details ->> 'networks' FROM admin_events WHERE act = 'contest_changed' ORDER BY id DESC LIMIT 1"
    assert json.loads(scene.lab.sql(last)) == ["owl 10.1.0.1/32"]


async def test_new_passwords_are_of_accounts_without_a_right(scene: Scene) -> None:
    await opened(scene)
    text = "id,name,accounts\n1,Owls,owl;setter\n2,Larks,lark\n"
    await scene.done("jury", "POST", "/finals/teams", {"format": "csv", "text": text})
    made = await renewed(scene, None)
    assert [(one["team_id"], one["username"]) for one in made] == [("2", "lark"), ("1", "owl")]
    assert len({one["password"] for one in made}) == 2
    assert (await scene.ask("owl", "GET", "/finals/problems/A/statement"))[0] == 401, "its token has ended"
    assert (await scene.ask("admin", "POST", "/finals/credentials", {"teams": ["9"]}))[0] == 404


async def test_practice_begins_when_the_board_shows_all_and_is_on_no_board(scene: Scene) -> None:
    scene.lab.sql(f"UPDATE problems SET visibility = 'draft' WHERE id = {scene.problem_id}")
    await opened(scene)
    await scene.verdict("owl", Verdict.ACCEPTED, "1")
    assert (await scene.ask("jury", "POST", "/finals/practice"))[1]["code"] == "CONTEST_NOT_OVER"
    await scene.done("jury", "PATCH", "/finals", {"duration_ms": 3 * HOUR_MS, "freeze_ms": HOUR_MS + 60_000})
    await scene.advance()
    await scene.done("jury", "PATCH", "/finals", {"duration_ms": 2 * HOUR_MS, "freeze_ms": 60_000})
    await scene.advance()
    assert (await scene.ask("jury", "POST", "/finals/practice"))[0] == 409, "the board is frozen still"
    practice = {"problem_id": scene.problem_id, "language": "cpp17", "code": "9"}
    assert (
        await scene.home.ask("POST", "/api/v1/submit", token=scene.tokens["lark"], json=practice)
    ).status_code == 400
    await scene.done("jury", "PATCH", "/finals", {"thaw_at": ago(0)})
    await scene.advance()
    await scene.done("jury", "POST", "/finals/copy", {"key": "second"})
    held = {"opened": [], "held": [{"label": "A", "contest": "second"}]}
    assert await scene.done("jury", "POST", "/finals/practice") == held, "its teams shall not have seen the problem"
    scene.lab.sql("UPDATE contests SET closed_at = now() WHERE key = 'second'")
    assert await scene.done("jury", "POST", "/finals/practice") == {"opened": ["A"], "held": []}
    assert await scene.done("jury", "POST", "/finals/practice") == {"opened": [], "held": []}
    last = scene.lab.sql("SELECT last FROM contest_counters")
    board = await scene.done("jury", "GET", "/finals/scoreboard")
    for who in ("lark", "owl", "member"):
        answer = await scene.home.ask("POST", "/api/v1/submit", token=scene.tokens[who], json=practice)
        assert answer.status_code == 200
    scene.lab.sql("UPDATE submissions SET state = 'done', status = 'Accepted', result = '{}' WHERE contest_id IS NULL")
    assert scene.lab.sql("SELECT last FROM contest_counters") == last
    assert await scene.done("jury", "GET", "/finals/scoreboard") == board


async def test_the_stream_of_a_submission_ends_for_an_account_that_has_left_its_team(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "RECHECK_S", 0.0)
    await opened(scene)
    listed = {"format": "csv", "text": "id,name,accounts\n1,Owls,owl;member\n2,Larks,lark\n"}
    await scene.done("jury", "POST", "/finals/teams", listed)
    sent = {"problem": "A", "language": "cpp17", "code": "1"}
    job_id = (await scene.done("owl", "POST", "/finals/submit", sent))["job_id"]
    path = f"/api/v1/status/{job_id}/events"
    async with (
        served(scene.home) as (url, _),
        client(url) as http,
        streaming(http, path, scene.tokens["member"]) as left,
        streaming(http, path, scene.tokens["owl"]) as kept,
    ):
        await left.next()
        await kept.next()
        moved = {"format": "csv", "text": "id,name,accounts\n1,Owls,owl\n2,Larks,lark;member\n"}
        await scene.done("jury", "POST", "/finals/teams", moved)
        await claim(scene.lab, job_id)
        scene.home.context.live.notify(job_id)
        assert await left.next() is None
        assert (await kept.next()) is not None
    answer = await scene.home.ask("GET", path, token=scene.tokens["member"])
    assert answer.status_code == 403


async def test_a_team_reads_the_statement_of_a_draft_after_the_start(scene: Scene) -> None:
    scene.lab.sql(f"UPDATE problems SET visibility = 'draft' WHERE id = {scene.problem_id}")
    html = f'<p>Add.</p><img src="/api/v1/problems/{scene.problem_id}/statement/files/x.png">'
    scene.lab.sql("INSERT INTO problem_texts SELECT id, testcase_hash, '[]', '[]' FROM problems")
    scene.lab.sql(
        "INSERT INTO problem_statements (problem_id, language, place, kind, title, html)"
        f" VALUES ({scene.problem_id}, 'en', 1, 'html', 'Sum', '{html}')"
    )
    await opened(scene, start_at=ago(-HOUR_MS))
    assert (await scene.ask("owl", "GET", "/finals/problems/A/statement"))[0] == 404
    await scene.done("jury", "PATCH", "/finals", {"start_at": ago(60_000)})
    await scene.advance()
    assert (await scene.ask("member", "GET", "/finals/problems/A/statement"))[0] == 403
    shown = await scene.done("owl", "GET", "/finals/problems/A/statement?lang=en")
    assert (shown["title"], shown["lang"]) == ("Sum", "en")
    assert 'src="/api/v1/contests/finals/problems/A/statement/files/x.png"' in shown["html"]
    assert (await scene.ask("owl", "GET", "/finals/problems/A/statement?lang=xx"))[0] == 404


async def test_a_change_of_rules_that_are_outdated_is_refused_and_made_again(scene: Scene) -> None:
    await opened(scene)
    contests = scene.lab.pg_store.contests
    found = await contests.contest("finals")
    assert found is not None
    assert found.created_by is not None

    async def change(**fields: Any) -> object:
        rules = replace(found.rules, **fields)
        return await contests.change_contest(found.id, rules, before=found.rules, by=found.created_by or 0)

    assert isinstance(await change(name="Renamed"), Contest)
    assert await change(penalty_ms=300_000) is ContestRefusal.MOVED

    async def ask(sent: dict[str, Any]) -> None:
        assert (await scene.ask("jury", "PATCH", "/finals", sent))[0] == 200

    async with trio.open_nursery() as nursery:
        for number in range(4):
            nursery.start_soon(ask, {"formal_name": f"Name {number}"})
        nursery.start_soon(ask, {"penalty_ms": 300_000})
    shown = await scene.done("jury", "GET", "/finals")
    assert (shown["name"], shown["penalty_ms"], shown["formal_name"][:5]) == ("Renamed", 300_000, "Name ")


@pytest.mark.parametrize("raw", ["10.1.0.0/33", "here", "10.1"])
async def test_a_list_with_a_wrong_address_is_refused(scene: Scene, raw: str) -> None:
    await opened(scene)
    sent = {"format": "csv", "text": f"id,name,accounts,ip\n1,Owls,owl,{raw}\n"}
    status, body = await scene.ask("jury", "POST", "/finals/teams", sent)
    assert (status, raw in body["error"]) == (400, True)


async def test_the_jury_gives_a_team_penalty_time(scene: Scene) -> None:
    await opened(scene)
    await scene.verdict("owl", Verdict.ACCEPTED, "1")
    before = (await scene.done("stranger", "GET", "/finals/scoreboard"))["rows"][0]["penalty"]
    act = {"act": "penalty", "team": "1", "reason": "They were loud."}
    assert (await scene.ask("jury", "POST", "/finals/clock", {**act, "reason": "", "penalty_minutes": 5}))[0] == 400
    for minutes in (30, -10):
        clock = await scene.done("jury", "POST", "/finals/clock", {**act, "penalty_minutes": minutes})
        assert clock["penalties"] == [{"team_id": "1", "minutes": minutes, "reason": "They were loud."}]
        assert clock["acts"][0]["act"] == "penalty"
        rows = (await scene.done("stranger", "GET", "/finals/scoreboard"))["rows"]
        assert (rows[0]["team_id"], rows[0]["penalty"]) == ("1", before + minutes)
    answer = await scene.home.ask("GET", "/clics/contests/finals/scoreboard")
    assert (await answer.get_json())["rows"][0]["score"]["total_time"].startswith(f"{(before - 10) // 60}:")
    assert (await scene.done("jury", "POST", "/finals/clock", {**act, "penalty_minutes": 0}))["penalties"] == []
    assert (await scene.done("stranger", "GET", "/finals/scoreboard"))["rows"][0]["penalty"] == before
    assert (await scene.ask("jury", "POST", "/finals/clock", {**act, "penalty_minutes": 0}))[0] == 409
    assert (await scene.ask("jury", "POST", "/finals/clock", act))[0] == 400
    assert (await scene.ask("jury", "POST", "/finals/clock", {**act, "team": "9", "penalty_minutes": 1}))[0] == 404
    assert (await scene.ask("jury", "POST", "/finals/clock", {**act, "penalty_minutes": 10**6}))[0] == 400
    await scene.done("jury", "POST", "", {"key": "points", "name": "Points", "kind": "ioi", "duration_ms": HOUR_MS})
    assert (await scene.ask("jury", "POST", "/points/clock", {**act, "penalty_minutes": 1}))[0] == 400


@pytest.mark.parametrize(
    ("sent", "changed"),
    [
        ({"time_limit_ms": 1500}, {"time_limit_ms": 1500}),
        ({"ordinal": 7}, {"ordinal": 7}),
        ({"rgb": ""}, {"rgb": ""}),
        ({"name": "Other"}, {"name": "Other"}),
        ({"memory_limit_mb": None}, {"memory_limit_mb": 256}),
        ({}, {}),
    ],
)
async def test_a_change_of_a_problem_leaves_what_it_does_not_name(
    scene: Scene, sent: dict[str, Any], changed: dict[str, Any]
) -> None:
    await scene.done("jury", "POST", "", finals())
    path = "/finals/problems/A"
    scene.lab.sql("UPDATE problems SET memory_limit_mb = 256")
    made = {"problem_id": scene.problem_id, "name": "Sums", "rgb": "#ff0000", "color": "red", "ordinal": 3,
            "time_limit_ms": 2500, "memory_limit_mb": 99, "max_score": 50.0}  # fmt: skip
    (before,) = (await scene.done("jury", "PUT", path, made))["problems"]
    (after,) = (await scene.done("jury", "PUT", path, sent))["problems"]
    assert after == {**before, **changed}
    (row,) = scene.lab.rows("SELECT time_limit_ms, memory_limit_mb FROM contest_problems")
    assert row["memory_limit_mb"] == (None if "memory_limit_mb" in sent else 99)
    assert row["time_limit_ms"] == sent.get("time_limit_ms", 2500)


async def test_another_problem_at_a_label_keeps_place_and_color_alone(scene: Scene) -> None:
    await scene.done("jury", "POST", "", finals())
    path, other = "/finals/problems/A", (await new_problem(scene.lab.store)).id
    made = {"problem_id": scene.problem_id, "name": "Sums", "rgb": "#ff0000", "ordinal": 3, "time_limit_ms": 2500}
    await scene.done("jury", "PUT", path, made)
    (after,) = (await scene.done("jury", "PUT", path, {"problem_id": other}))["problems"]
    assert (after["problem_id"], after["rgb"], after["ordinal"]) == (other, "#ff0000", 3)
    assert (after["name"], after["time_limit_ms"]) != ("Sums", 2500)
    status, body = await scene.ask("jury", "PUT", "/finals/problems/B", {"rgb": "#ff0000"})
    assert (status, "problem_id" in body["error"]) == (400, True), "a new label needs a problem"
