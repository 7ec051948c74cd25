"""New passwords of a contest's accounts hold when they are applied; until then the old ones do."""

from __future__ import annotations

from typing import Any

import pytest

from deepoj.accounts.passwords import Passwords
from tests.contests.scene import Scene, opened, scene
from tests.contests.test_setup import logged_in

__all__ = ["scene"]

_OLD = "correct horse"
_AT = "/finals/credentials"


async def begun(scene: Scene) -> None:
    """Hold a contest whose teams can log in with ``_OLD``."""
    await opened(scene)
    hashed = await Passwords().hash(_OLD)
    scene.lab.sql(f"UPDATE users SET password_hash = '{hashed}' WHERE username IN ('owl', 'lark')")


async def made(scene: Scene, teams: list[str] | None = None) -> tuple[str, dict[str, str]]:
    """Make new passwords: the id of their set, and the passwords by name."""
    answer = await scene.done("admin", "POST", _AT, {"teams": teams})
    return answer["set_id"], {one["username"]: one["password"] for one in answer["credentials"]}


async def waiting(scene: Scene) -> list[dict[str, Any]]:
    return [one for one in (await scene.done("admin", "GET", _AT))["sets"] if one["applied_at"] is None]


async def works(scene: Scene, name: str, password: str) -> bool:
    return (await logged_in(scene, name, password, "10.9.9.9"))[0] == 200


async def test_old_passwords_and_sessions_hold_until_new_ones_are_applied(scene: Scene) -> None:
    await begun(scene)
    set_id, new = await made(scene)
    hashes = scene.lab.sql("SELECT string_agg(password_hash, ' ') FROM pending_passwords")
    assert all(password not in hashes for password in new.values())
    for name, password in new.items():
        assert (await works(scene, name, _OLD), await works(scene, name, password)) == (True, False)
    assert (await scene.ask("owl", "GET", "/finals/submissions"))[0] == 200
    (one,) = await waiting(scene)
    assert (one["set_id"], one["made_by"], one["usernames"]) == (set_id, "root", sorted(new))
    done = await scene.done("admin", "POST", f"{_AT}/{set_id}/apply")
    assert done == {"set_id": set_id, "usernames": sorted(new)}
    for name, password in new.items():
        assert (await works(scene, name, _OLD), await works(scene, name, password)) == (False, True)
    assert (await scene.ask("owl", "GET", "/finals/problems/A/statement"))[0] == 401, "its token has ended"
    assert await waiting(scene) == []
    assert scene.lab.sql("SELECT count(*) FROM pending_passwords WHERE password_hash <> ''") == "0"


async def test_applying_twice_answers_the_same_and_ends_no_newer_session(scene: Scene) -> None:
    await begun(scene)
    set_id, new = await made(scene)
    first = await scene.done("admin", "POST", f"{_AT}/{set_id}/apply")
    epochs = scene.lab.sql("SELECT sum(token_epoch) FROM users")
    assert await scene.done("admin", "POST", f"{_AT}/{set_id}/apply") == first
    assert scene.lab.sql("SELECT sum(token_epoch) FROM users") == epochs
    assert (await scene.ask("admin", "DELETE", f"{_AT}/{set_id}"))[0] == 404, "they hold"
    acts = "SELECT count(*) FROM admin_events WHERE act = 'password_reset' AND actor = 'root'"
    assert scene.lab.sql(acts) == str(len(new))


async def test_set_that_was_made_again_is_not_applied(scene: Scene) -> None:
    await begun(scene)
    all_teams, _ = await made(scene)
    of_owls, new = await made(scene, ["1"])
    status, body = await scene.ask("admin", "POST", f"{_AT}/{all_teams}/apply")
    assert (status, "Make new ones" in body["error"]) == (404, True), body
    of_larks, others = await made(scene, ["2"])
    assert {one["set_id"] for one in await waiting(scene)} == {of_owls, of_larks}, "they share no account"
    await scene.done("admin", "POST", f"{_AT}/{of_owls}/apply")
    assert (await works(scene, "owl", new["owl"]), await works(scene, "lark", _OLD)) == (True, True)
    await scene.done("admin", "DELETE", f"{_AT}/{of_larks}")
    assert (await scene.ask("admin", "POST", f"{_AT}/{of_larks}/apply"))[0] == 404
    assert (await works(scene, "lark", _OLD), await works(scene, "lark", others["lark"])) == (True, False)


@pytest.mark.parametrize("passed", ["day", "other contest", "unknown", "nul"])
async def test_set_that_is_old_or_of_another_contest_is_not_applied(scene: Scene, passed: str) -> None:
    await begun(scene)
    set_id, _ = await made(scene)
    path = f"{_AT}/{set_id}/apply"
    if passed == "day":
        scene.lab.sql("UPDATE pending_passwords SET made_at = now() - interval '1 day'")
        assert await waiting(scene) == []
    elif passed == "other contest":
        await scene.done("jury", "POST", "/finals/copy", {"key": "second", "teams": True})
        path = f"/second/credentials/{set_id}/apply"
    else:
        path = f"{_AT}/{'x' if passed == 'unknown' else '%00'}/apply"
    assert (await scene.ask("admin", "POST", path))[0] == 404
    assert await works(scene, "owl", _OLD)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE users SET roles = '{jury}' WHERE username = 'owl'",
        "UPDATE users SET is_admin = true WHERE username = 'owl'",
        "UPDATE contests SET created_by = (SELECT id FROM users WHERE username = 'owl')",
        "DELETE FROM contest_members WHERE team_id = '1'",
    ],
)
async def test_account_that_got_a_right_or_left_meanwhile_keeps_its_password(scene: Scene, change: str) -> None:
    await begun(scene)
    set_id, new = await made(scene)
    scene.lab.sql(change)
    assert (await scene.done("admin", "POST", f"{_AT}/{set_id}/apply"))["usernames"] == ["lark"]
    assert (await works(scene, "owl", _OLD), await works(scene, "lark", new["lark"])) == (True, True)


async def test_old_sets_are_deleted_and_go_with_an_erased_account(scene: Scene) -> None:
    await begun(scene)
    store = scene.lab.pg_store
    await made(scene, ["1"])
    await made(scene, ["2"])
    owl = await store.accounts.credentials("owl")
    assert owl is not None
    await store.account_data.erase(owl.user.id, by=None, operator="root")
    count = "SELECT count(*) FROM pending_passwords"
    assert scene.lab.sql(count) == "1"
    assert await store.contest_setup.delete_old_passwords(9) == 0
    scene.lab.sql("UPDATE pending_passwords SET made_at = now() - interval '1 day'")
    assert await store.contest_setup.delete_old_passwords(9) == 1
    assert scene.lab.sql(count) == "0"


async def test_set_without_accounts_has_no_id(scene: Scene) -> None:
    await begun(scene)
    assert await made(scene, ["3"]) == ("", {})
    assert await waiting(scene) == []
