"""Export and erasure of accounts over HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from deepoj.words.accounts import Credentials
from tests.api.house import PASSWORD, House, house
from tests.web.scene import add_problem, add_submission, report_saying

ME, EXPORT, TOKENS = "/api/v1/users/me", "/api/v1/users/me/export", "/api/v1/users/me/tokens"


async def entered(home: House, name: str) -> str:
    """Register over HTTP and return a token."""
    account = {"username": name, "password": PASSWORD, "email": f"{name}@example.org"}
    assert (await home.ask("POST", "/api/v1/auth/register", json=account)).status_code == 201
    answer = await home.ask("POST", "/api/v1/auth/login", json=account)
    return str((await answer.get_json())["token"])


async def asked(home: House, method: str, path: str, token: str, body: object = None) -> tuple[int, dict[str, Any]]:
    sent: dict[str, Any] = {} if body is None else {"json": body}
    answer = await home.ask(method, path, token=token, **sent)
    return answer.status_code, json.loads(await answer.get_data())


async def test_an_export_has_everything_and_only_ones_own(tmp_path: Path) -> None:
    home = house(tmp_path)
    alice, problem = await entered(home, "alice"), await add_problem(home)
    await entered(home, "bob")
    for number in range(23):  # more than are read at a time
        await add_submission(home, "alice", problem, code=f"alice {number}", report=report_saying("hidden"))
    await add_submission(home, "bob", problem, code="bob's")
    await asked(home, "POST", "/api/v1/run", alice, {"language": "python3", "code": "print(1)", "stdin": "é"})
    answer = await home.ask("GET", EXPORT, token=alice)
    assert answer.headers["Content-Disposition"] == 'attachment; filename="deepoj-account.json"'
    data = json.loads(await answer.get_data())
    parts = {
        "account",
        "sessions",
        "access_tokens",
        "contest_webhooks",
        "active_days",
        "custom_runs",
        "solved",
        "submissions",
    }
    assert set(data) == parts
    assert data["account"]["email"] == "alice@example.org"
    assert [one["code"] for one in data["submissions"]] == [f"alice {number}" for number in range(23)]
    assert data["submissions"][0]["result"]["compile"]["output"] == "hidden"
    assert [(one["code"], one["stdin"]) for one in data["custom_runs"]] == [("print(1)", "w6k=")]
    assert data["active_days"][0]["submissions"] == 23
    assert "bob" not in json.dumps(data)


async def test_an_export_of_a_new_account_is_json(tmp_path: Path) -> None:
    home = house(tmp_path)
    status, data = await asked(home, "GET", EXPORT, await entered(home, "alice"))
    assert (status, data["submissions"], data["solved"], data["custom_runs"]) == (200, [], [], [])


async def test_an_erased_account_is_gone_for_everyone(tmp_path: Path) -> None:
    home = house(tmp_path)
    alice, root = await entered(home, "alice"), await home.token("root", is_admin=True)
    job = await add_submission(home, "alice", await add_problem(home), report=report_saying("x"))
    user_id = (await asked(home, "GET", ME, alice))[1]["id"]
    for body in ({}, {"password": "wrong"}, {"username": "alice"}):
        assert (await asked(home, "DELETE", ME, alice, body))[0] == 403
    erased = await asked(home, "DELETE", ME, alice, {"password": PASSWORD})
    assert erased == (200, {"id": user_id, "username": f"deleted-{user_id}"})
    assert (await asked(home, "GET", ME, alice))[0] == 401
    account = {"username": "alice", "password": PASSWORD}
    assert (await home.ask("POST", "/api/v1/auth/login", json=account)).status_code == 401
    assert (await asked(home, "GET", f"/api/v1/admin/users/{user_id}", root))[0] == 404
    assert (await asked(home, "POST", f"/api/v1/admin/users/{user_id}/enable", root))[0] == 404
    assert (await asked(home, "POST", f"/api/v1/admin/users/{user_id}/password", root, {}))[0] == 404
    assert await home.store.erase_sources(9) == 1
    _, shown = await asked(home, "GET", f"/api/v1/submissions/{job}", root)
    assert (shown["code"], shown["status"]) == ("", "Wrong Answer")
    _, listed = await asked(home, "GET", "/api/v1/submissions", root)
    assert listed["submissions"][0]["username"] == f"deleted-{user_id}"
    status, refused = await asked(home, "POST", f"/api/v1/submissions/{job}/rejudge", root)
    assert (status, refused["code"]) == (409, "SOURCE_ERASED")
    await entered(home, "alice")


async def test_an_account_without_a_password_is_erased_by_its_name(tmp_path: Path) -> None:
    home = house(tmp_path)
    made = await home.store.create_github_user("octocat", "7", None)
    token = await home.token_of("octocat")
    assert (await asked(home, "DELETE", ME, token, {"username": "other"}))[0] == 400
    assert (await asked(home, "DELETE", ME, token, {"username": "octocat"}))[0] == 200
    assert await home.store.github_credentials("7", None) is None, f"{made}: the person may come back"


async def test_administrators_erase_others_and_the_last_one_stays(tmp_path: Path) -> None:
    home = house(tmp_path)
    alice, root = await entered(home, "alice"), await entered(home, "root")
    await home.store.promote("root", by="x")
    ids = {name: (await asked(home, "GET", ME, token))[1]["id"] for name, token in (("alice", alice), ("root", root))}
    path = "/api/v1/admin/users/{}".format
    assert (await asked(home, "DELETE", path(ids["root"]), root))[1]["code"] == "OWN_ACCOUNT"
    assert (await asked(home, "DELETE", ME, root, {"password": PASSWORD}))[1]["code"] == "LAST_ADMINISTRATOR"
    assert (await asked(home, "DELETE", path(ids["alice"]), root))[0] == 200
    assert (await asked(home, "DELETE", path(ids["alice"]), root))[0] == 404
    events = await home.store.admin_events(9)
    assert (events[0].actor, events[0].subject) == ("root", f"deleted-{ids['alice']}")


async def test_a_pseudonym_is_no_name_for_a_new_account(tmp_path: Path) -> None:
    home = house(tmp_path)
    for name in ("deleted-7", "DELETED-7x"):
        account = {"username": name, "password": PASSWORD}
        assert (await home.ask("POST", "/api/v1/auth/register", json=account)).status_code == 400


async def test_a_token_is_made_with_the_password_listed_and_ended(tmp_path: Path) -> None:
    home = house(tmp_path)
    login, bob = await entered(home, "alice"), await entered(home, "bob")
    for body, code in (
        ({"name": "build"}, 403), ({"name": "build", "password": "wrong"}, 403),
        *(({"name": name, "password": PASSWORD}, 400) for name in ("", " ", "\u3164", "x" * 65)),
    ):  # fmt: skip
        assert (await asked(home, "POST", TOKENS, login, body))[0] == code, body
    status, made = await asked(home, "POST", TOKENS, login, {"name": " build ", "password": PASSWORD})
    assert (status, made["name"]) == (201, "build")
    assert (await asked(home, "GET", ME, made["token"]))[1]["username"] == "alice"
    listed = (await asked(home, "GET", TOKENS, login))[1]["tokens"]
    assert [(one["id"], one["name"], one["used_at"] is not None) for one in listed] == [(made["id"], "build", True)]
    assert made["token"] not in json.dumps(listed)
    assert (await asked(home, "DELETE", f"{TOKENS}/{made['id']}", bob))[0] == 404, "it is not bob's"
    assert (await asked(home, "DELETE", f"{TOKENS}/{made['id']}", login))[0] == 200
    assert (await asked(home, "GET", ME, made["token"]))[0] == 401
    assert (await asked(home, "DELETE", f"{TOKENS}/{made['id']}", login))[0] == 404


async def test_the_thief_of_a_made_token_makes_none_and_ends_that_one_only(tmp_path: Path) -> None:
    home = house(tmp_path)
    login = await entered(home, "alice")
    stolen, other = await home.named_token("alice", "stolen"), await home.named_token("alice", "other")
    status, refused = await asked(home, "POST", TOKENS, stolen, {"name": "x", "password": PASSWORD})
    assert (status, refused["code"]) == (403, "FORBIDDEN")
    assert (await asked(home, "DELETE", f"{TOKENS}/other", stolen))[0] == 403
    assert (await asked(home, "GET", ME, other))[0] == 200
    assert (await asked(home, "DELETE", f"{TOKENS}/stolen", stolen))[0] == 200
    assert [one["name"] for one in (await asked(home, "GET", TOKENS, login))[1]["tokens"]] == ["other"]


async def test_the_thief_of_a_made_token_cannot_keep_an_account_without_a_password(tmp_path: Path) -> None:
    home = house(tmp_path)
    assert isinstance(await home.ports.accounts.create_github_user("octo", "583231", None), Credentials)
    stolen, login = await home.named_token("octo", "stolen"), await home.token_of("octo")
    acts = (
        ("POST", f"{ME}/password", {"new_password": PASSWORD}),
        ("DELETE", ME, {"username": "octo"}),
        ("POST", TOKENS, {"name": "more"}),
    )
    for method, path, body in acts:
        assert (await asked(home, method, path, stolen, body))[0] == 403, path
    assert (await asked(home, "POST", TOKENS, login, {"name": "more"}))[0] == 201
    assert (await asked(home, "DELETE", ME, login, {"username": "octo"}))[0] == 200
