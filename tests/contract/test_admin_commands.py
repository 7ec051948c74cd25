"""``deepoj admin`` on real servers."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from deepoj.accounts.passwords import Passwords
from deepoj.words.accounts import Credentials
from deepoj.words.admin_events import AdminAct, AdminEvent
from tests.contract.labs import PgLab
from tests.contract.test_ledger_commands import Answer, Place, _logs_as_they_were, deepoj, place

__all__ = ["_logs_as_they_were", "deepoj", "place"]

PASSWORD = "a good password"


@pytest.fixture
def admin(deepoj: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Answer]:
    """Run ``deepoj admin`` with this password on stdin."""

    def call(*args: str, password: str = PASSWORD) -> Answer:
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{password}\n"))
        return deepoj("admin", *args)

    return call


@pytest.fixture
def people(place: Place) -> Place:
    async def work(lab: PgLab) -> None:
        for name in ("alice", "Albert", "bob"):
            await lab.store.accounts.create_user(name, "hash", f"{name}@example.org")
        await lab.store.accounts.create_github_user("octocat", "583231", None)

    place.do(work)
    return place


def credentials(place: Place, name: str) -> Credentials:
    async def work(lab: PgLab) -> Credentials | None:
        return await lab.store.accounts.credentials(name)

    found = place.do(work)
    assert found is not None
    return found


def told(answer: Answer) -> dict[str, Any]:
    code, out, err = answer
    assert (code, err, out.count("\n")) == (0, "", 1)
    found: dict[str, Any] = json.loads(out)
    return found


def test_accounts_are_listed_in_pages_and_by_name(people: Place, admin: Callable[..., Answer]) -> None:
    page = told(admin("list-users", "--limit", "3", "--json"))
    assert [user["username"] for user in page["users"]] == ["Albert", "alice", "bob"]
    assert page["next"] == "bob"
    page = told(admin("list-users", "--after", "bob", "--json"))
    assert ([user["username"] for user in page["users"]], page["next"]) == (["octocat"], None)
    assert page["users"][0]["github_id"] == "583231"
    page = told(admin("list-users", "--name", "AL", "--json"))
    assert [user["username"] for user in page["users"]] == ["Albert", "alice"]
    code, out, err = admin("list-users", "--limit", "2")
    assert (code, err) == (0, "")
    assert "Albert@example.org" in out
    assert out.endswith("2 accounts, and more: --after alice\n")
    assert "hash" not in out
    code, out, _ = admin("list-users", "--name", "ghost")
    assert (code, out) == (0, "0 accounts\n")


def test_disabling_and_enabling(people: Place, admin: Callable[..., Answer]) -> None:
    assert told(admin("disable-user", "ALICE", "--json"))["is_disabled"] is True
    held = credentials(people, "alice")
    assert (held.is_disabled, held.token_epoch) == (True, 1)
    code, out, _ = admin("list-users", "--name", "alice")
    assert code == 0
    assert "disabled" in out
    code, out, err = admin("enable-user", "alice")
    assert (code, out, err) == (0, f"alice is enabled (id {held.user.id})\n", "")
    assert not credentials(people, "alice").is_disabled


def test_the_last_administrator_stays(people: Place, admin: Callable[..., Answer]) -> None:
    assert told(admin("create-user", "alice", "--json"))["created"] is False
    for command in ("disable-user", "demote-user"):
        code, out, err = admin(command, "alice")
        assert (code, out) == (1, "")
        assert "last administrator" in err
    assert told(admin("create-user", "root", "--password-stdin", "--json"))["created"] is True
    assert told(admin("demote-user", "alice", "--json"))["is_admin"] is False
    assert not credentials(people, "alice").user.is_admin


async def _verifies(held: Credentials, password: str) -> bool:
    return await Passwords().verify(held, password)


def test_a_password_is_set(people: Place, admin: Callable[..., Answer]) -> None:
    account = told(admin("set-password", "alice", "--password-stdin", "--json"))
    assert (account["username"], account["password_is_temporary"]) == ("alice", True)
    held = credentials(people, "alice")
    assert held.token_epoch == 1

    async def work(_lab: PgLab) -> bool:
        return await _verifies(held, PASSWORD)

    assert people.do(work)


@pytest.mark.parametrize("password", ["short", "x" * 1025, "\udcff" * 9])
def test_a_password_that_can_be_none(people: Place, admin: Callable[..., Answer], password: str) -> None:
    code, out, err = admin("set-password", "alice", "--password-stdin", password=password)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert credentials(people, "alice").password_hash == "hash"


@pytest.mark.parametrize("command", ["disable-user", "enable-user", "demote-user", "set-password"])
def test_an_account_that_is_not_there(people: Place, admin: Callable[..., Answer], command: str) -> None:
    args = ["--password-stdin"] if command == "set-password" else []
    code, out, err = admin(command, "ghost", *args)
    assert (code, out) == (1, "")
    assert "no account ghost" in err
    code, _, err = admin(command, "x", *args)
    assert code == 2
    assert "username" in err


def test_acts_of_commands_are_logged_with_who_ran_them(people: Place, admin: Callable[..., Answer]) -> None:
    for call in (
        ("create-user", "chief", "--password-stdin"),
        ("create-user", "alice"),
        ("disable-user", "bob"),
        ("enable-user", "bob"),
    ):
        told(admin(*call, "--json"))
    told(admin("set-password", "bob", "--json", "--password-stdin"))
    told(admin("demote-user", "alice", "--json"))

    async def log(lab: PgLab) -> list[AdminEvent]:
        return await lab.store.admin_events.admin_events(99)

    events = people.do(log)
    assert {event.actor.partition(" ")[2] for event in events} == {"(deepoj admin)"}
    assert [(event.act, event.subject) for event in reversed(events)] == [
        (AdminAct.ACCOUNT_CREATED, "chief"),
        (AdminAct.PROMOTED, "alice"),
        (AdminAct.DISABLED, "bob"),
        (AdminAct.ENABLED, "bob"),
        (AdminAct.PASSWORD_RESET, "bob"),
        (AdminAct.DEMOTED, "alice"),
    ]


def test_roles_are_set_and_taken(people: Place, admin: Callable[..., Answer]) -> None:
    assert told(admin("set-roles", "alice", "setter", "jury", "--json"))["roles"] == ["jury", "setter"]
    assert "jury, setter" in admin("list-users", "--name", "alice")[1]
    code, out, err = admin("set-roles", "alice")
    assert (code, out, err) == (0, f"alice is without a role now (id {credentials(people, 'alice').user.id})\n", "")
    assert credentials(people, "alice").user.roles == frozenset()
    assert admin("set-roles", "alice", "chief")[0] == 2
    assert admin("set-roles", "ghost", "jury")[0] == 1


@pytest.mark.usefixtures("people")
def test_groups_by_commands(admin: Callable[..., Answer]) -> None:
    made = told(admin("groups", "create", "Class 7", "--json"))
    assert (made["name"], made["members"]) == ("Class 7", 0)
    assert admin("groups", "create", "CLASS 7")[0] == 1
    assert told(admin("groups", "add", "class 7", "Alice", "bob", "--json"))["members"] == 2
    code, _, err = admin("groups", "add", "class 7", "octocat", "ghost")
    assert (code, "no account ghost" in err) == (1, True)
    assert told(admin("groups", "take-out", "class 7", "bob", "--json"))["members"] == 1
    assert admin("groups", "take-out", "class 7", "bob")[0] == 1
    assert told(admin("groups", "rename", "class 7", "Class 8", "--json"))["id"] == made["id"]
    page = told(admin("groups", "list", "--json"))
    assert ([one["name"] for one in page["groups"]], page["next"]) == (["Class 8"], None)
    assert "Class 8" in admin("groups", "list")[1]
    assert told(admin("groups", "remove", "class 8", "--json"))["id"] == made["id"]
    code, _, err = admin("groups", "remove", "class 8")
    assert (code, "no group class 8" in err) == (1, True)


def test_an_account_is_erased_after_a_question(people: Place, admin: Callable[..., Answer]) -> None:
    user_id = credentials(people, "alice").user.id
    code, _, _ = admin("erase-user", "alice", password="n")
    assert code != 0
    assert told(admin("erase-user", "ALICE", "--yes", "--json")) == {"id": user_id, "username": f"deleted-{user_id}"}
    code, out, err = admin("erase-user", "alice", "--yes")
    assert (code, out) == (1, "")
    assert "no account alice" in err
    assert told(admin("create-user", "bob", "--json"))["created"] is False
    code, _, err = admin("erase-user", "bob", "--yes")
    assert (code, "last administrator" in err) == (1, True)
