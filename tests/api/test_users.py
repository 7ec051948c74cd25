"""Accounts over HTTP: one's own password, and how administrators change other accounts."""

from __future__ import annotations

import io
from dataclasses import dataclass
from importlib.resources import read_text
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from deepoj.accounts.names import USERNAME_RULE, clean_username, is_reserved
from deepoj.accounts.people import PersonFault
from deepoj.api.models.accounts import RegisterBody
from deepoj.web.pages.users import FAULTS as PERSON_FAULTS
from tests.api.house import PASSWORD, House, house

BASE = "/api/v1/admin/users"
MINE = "/api/v1/users/me/password"
NEW = "a newer horse"


@dataclass
class Setting:
    """An administrator and a registered user at two nodes."""

    home: House
    other_node: House
    admin: str
    admin_id: int
    alice: str
    alice_id: int

    async def ask(
        self, method: str, path: str, token: str | None = None, body: object = None, *, home: House | None = None
    ) -> tuple[int, dict[str, Any]]:
        sent: dict[str, Any] = {} if body is None else {"json": body}
        answer = await (home or self.home).ask(method, path, token=token, **sent)
        return answer.status_code, await answer.get_json()

    async def act(self, what: str, user_id: int | str | None = None, body: object = None) -> tuple[int, dict[str, Any]]:
        who = self.alice_id if user_id is None else user_id
        return await self.ask("POST", f"{BASE}/{who}/{what}", self.admin, body)

    async def login(self, password: str = PASSWORD, name: str = "alice") -> tuple[int, dict[str, Any]]:
        return await self.ask("POST", "/api/v1/auth/login", None, {"username": name, "password": password})

    async def works(self, token: str) -> bool:
        """Whether both nodes accept a token; they must agree."""
        answers = {(await self.ask("GET", "/api/v1/users/me", token, home=home))[0] for home in self.nodes}
        assert answers in ({200}, {401})
        return answers == {200}

    @property
    def nodes(self) -> tuple[House, House]:
        return self.home, self.other_node


@pytest.fixture
async def setting(tmp_path: Path) -> Setting:
    home = house(tmp_path)
    admin = await home.token("root", is_admin=True)
    made = await home.ask("POST", "/api/v1/auth/register", json={"username": "alice", "password": PASSWORD})
    entry = await home.ask("POST", "/api/v1/auth/login", json={"username": "alice", "password": PASSWORD})
    root = await home.store.credentials("root")
    assert root is not None
    return Setting(
        home, house(tmp_path, store=home.store), admin, root.user.id,
        (await entry.get_json())["token"], (await made.get_json())["id"],
    )  # fmt: skip


# -- one's own password


async def test_a_new_password_revokes_older_tokens_on_every_node_and_gives_a_fresh_one(setting: Setting) -> None:
    _, elsewhere = await setting.login()
    status, body = await setting.ask(
        "POST", MINE, setting.alice, {"old_password": PASSWORD, "new_password": NEW}, home=setting.other_node
    )
    assert status == 200
    assert (set(body), body["username"]) == ({"token", "username", "user_id"}, "alice")
    assert not await setting.works(setting.alice)
    assert not await setting.works(elsewhere["token"])
    assert await setting.works(body["token"])
    assert (await setting.login())[0] == 401
    assert (await setting.login(NEW))[0] == 200


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"new_password": NEW}, 400, "INVALID_PARAM"),
        ({"old_password": PASSWORD}, 400, "INVALID_PARAM"),
        ({"old_password": "wrong horse", "new_password": NEW}, 403, "BAD_CREDENTIALS"),
        ({"old_password": "", "new_password": NEW}, 403, "BAD_CREDENTIALS"),
        ({"old_password": "x" * 5000, "new_password": NEW}, 403, "BAD_CREDENTIALS"),
        ({"old_password": "\ud800", "new_password": NEW}, 403, "BAD_CREDENTIALS"),
        ({"old_password": PASSWORD, "new_password": "short"}, 400, "INVALID_PARAM"),
        ({"old_password": PASSWORD, "new_password": "x" * 1025}, 400, "INVALID_PARAM"),
        ({"old_password": PASSWORD, "new_password": "\ud800" * 9}, 400, "INVALID_PARAM"),
        ({"old_password": PASSWORD, "new_password": None}, 400, "INVALID_PARAM"),
        ({"old_password": 7, "new_password": NEW}, 400, "INVALID_PARAM"),
        ([], 400, "BAD_REQUEST"),
    ],
)
async def test_a_password_that_is_not_changed(setting: Setting, body: object, status: int, code: str) -> None:
    answer = await setting.ask("POST", MINE, setting.alice, body)
    assert (answer[0], answer[1]["code"]) == (status, code)
    assert await setting.works(setting.alice)
    assert (await setting.login())[0] == 200


async def test_of_two_changes_at_once_the_later_one_is_told_so(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first finishes while the second hashes, and revokes the token of the second."""
    store = setting.home.store
    change = store.change_password

    async def slow(user_id: int, password_hash: str, *, epoch: int) -> int | None:
        await store.set_password(user_id, "somebody was faster")
        return await change(user_id, password_hash, epoch=epoch)

    monkeypatch.setattr(store, "change_password", slow)
    answer = await setting.ask("POST", MINE, setting.alice, {"old_password": PASSWORD, "new_password": NEW})
    assert (answer[0], answer[1]["code"]) == (401, "UNAUTHORIZED")
    held = await store.credentials("alice")
    assert held is not None
    assert held.password_hash == "somebody was faster"


async def test_the_whole_profile(setting: Setting) -> None:
    _, profile = await setting.ask("GET", "/api/v1/users/me", setting.alice)
    assert profile == {
        "id": setting.alice_id, "username": "alice", "email": None, "is_admin": False, "roles": [],
        "github_id": None, "avatar_url": None, "has_password": True, "password_is_temporary": False,
        "created_at": profile["created_at"],
    }  # fmt: skip
    held = await setting.home.store.account(setting.alice_id)
    assert held is not None
    assert profile["created_at"] == held.created_at


# -- lists


async def test_accounts_in_pages_and_by_name(setting: Setting) -> None:
    for name in ("bob", "Albert", "al-2", "zoë"):
        await setting.home.account(name)
    seen: list[str] = []
    path = f"{BASE}?limit=2"
    while True:
        status, page = await setting.ask("GET", path, setting.admin)
        assert status == 200
        assert len(page["users"]) <= 2
        seen += [user["username"] for user in page["users"]]
        if page["next"] is None:
            break
        path = f"{BASE}?limit=2&after={quote(page['next'])}"
    assert seen == ["al-2", "Albert", "alice", "bob", "root", "zoë"]
    _, page = await setting.ask("GET", f"{BASE}?name=AL", setting.admin)
    assert [user["username"] for user in page["users"]] == ["al-2", "Albert", "alice"]
    _, page = await setting.ask("GET", f"{BASE}?name={quote('ａＬＩ')}", setting.admin)
    assert [user["username"] for user in page["users"]] == ["alice"]
    _, page = await setting.ask("GET", f"{BASE}?name=%25", setting.admin)
    assert page == {"users": [], "next": None}


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "name=%00", "after=%00", "name=" + "x" * 65])
async def test_a_list_that_can_be_none(setting: Setting, query: str) -> None:
    status, body = await setting.ask("GET", f"{BASE}?{query}", setting.admin)
    assert (status, body["code"]) == (400, "INVALID_PARAM")


async def test_one_account(setting: Setting) -> None:
    status, body = await setting.ask("GET", f"{BASE}/{setting.alice_id}", setting.admin)
    assert status == 200
    assert body == {
        "id": setting.alice_id, "username": "alice", "email": None, "is_admin": False, "roles": [],
        "is_disabled": False, "github_id": None, "avatar_url": None, "has_password": True,
        "password_is_temporary": False, "created_at": body["created_at"], "updated_at": body["updated_at"],
    }  # fmt: skip
    assert "hash" not in str(body)


@pytest.mark.parametrize("user_id", ["0", "-1", "77", "x", "1" * 19, "9" * 19, "9" * 40, "１"])
@pytest.mark.parametrize("what", ["", "/promote", "/demote", "/disable", "/enable", "/password"])
async def test_an_account_that_is_not_there(setting: Setting, user_id: str, what: str) -> None:
    body: object = {} if what == "/password" else None
    path = f"{BASE}/{quote(user_id)}{what}"
    status, answer = await setting.ask("POST" if what else "GET", path, setting.admin, body)
    assert (status, answer["code"]) == (404, "USER_NOT_FOUND")


# -- rights


async def test_promoted_and_demoted_at_once_without_a_new_token(setting: Setting) -> None:
    assert (await setting.ask("GET", BASE, setting.alice))[0] == 403
    status, body = await setting.act("promote")
    assert (status, body["is_admin"]) == (200, True)
    for home in setting.nodes:
        assert (await setting.ask("GET", BASE, setting.alice, home=home))[0] == 200
    status, body = await setting.act("demote")
    assert (status, body["is_admin"]) == (200, False)
    for home in setting.nodes:
        assert (await setting.ask("GET", BASE, setting.alice, home=home))[0] == 403
    assert await setting.works(setting.alice)


async def test_a_disabled_account_stops_at_once_on_every_node(setting: Setting) -> None:
    assert await setting.works(setting.alice)
    for _ in range(2):
        status, body = await setting.act("disable")
        assert (status, body["is_disabled"]) == (200, True)
    assert not await setting.works(setting.alice)
    status, body = await setting.login()
    assert (status, body["code"]) == (403, "ACCOUNT_DISABLED")
    status, body = await setting.login("wrong horse")
    assert (status, body["code"]) == (401, "BAD_CREDENTIALS"), "a disabled account is reported only with its password"
    status, body = await setting.act("enable")
    assert (status, body["is_disabled"]) == (200, False)
    assert not await setting.works(setting.alice), "older tokens stay revoked"
    status, body = await setting.login()
    assert status == 200
    assert await setting.works(body["token"])


async def test_a_token_of_the_present_epoch_does_not_help_a_disabled_account(setting: Setting) -> None:
    await setting.act("disable")
    token = await setting.home.token_of("alice")
    assert not await setting.works(token)


async def test_administrators_do_not_lock_themselves_out(setting: Setting) -> None:
    await setting.act("promote")
    for what in ("demote", "disable"):
        status, body = await setting.act(what, setting.admin_id)
        assert (status, body["code"]) == (409, "OWN_ACCOUNT")
    status, body = await setting.act("password", setting.admin_id, {})
    assert (status, body["code"]) == (409, "OWN_ACCOUNT")
    for what in ("promote", "enable"):
        assert (await setting.act(what, setting.admin_id))[0] == 200
    assert await setting.works(setting.admin)


async def test_administrator_who_was_demoted_meanwhile_changes_nothing(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another administrator demotes the caller between the check of rights and the change."""
    store = setting.home.store
    await setting.act("promote")
    change = store.change_rights

    async def late(user_id: int, **changes: Any) -> Any:
        monkeypatch.setattr(store, "change_rights", change)
        await change(setting.admin_id, is_admin=False, by=setting.alice_id)
        return await change(user_id, **changes)

    monkeypatch.setattr(store, "change_rights", late)
    status, body = await setting.act("demote")
    assert (status, body["code"]) == (403, "FORBIDDEN")
    alice = await store.credentials("alice")
    assert alice is not None
    assert alice.user.is_admin


async def test_changes_are_in_the_log_with_who_made_them(setting: Setting, logged: io.StringIO) -> None:
    for what in ("promote", "demote", "disable", "enable"):
        await setting.act(what)
    await setting.act("password", body={"password": NEW})
    lines = [line for line in logged.getvalue().splitlines() if "account_changed" in line]
    assert len(lines) == 5
    assert all(f'"by_user_id":{setting.admin_id}' in line.replace(" ", "") for line in lines)
    assert NEW not in logged.getvalue()


# -- temporary passwords


async def test_a_temporary_password_until_its_owner_changes_it(setting: Setting) -> None:
    status, body = await setting.act("password", body={"password": "temporary horse"})
    assert (status, body) == (200, {"id": setting.alice_id, "username": "alice", "password": None})
    assert not await setting.works(setting.alice)
    assert (await setting.login())[0] == 401
    _, entry = await setting.login("temporary horse")
    _, profile = await setting.ask("GET", "/api/v1/users/me", entry["token"])
    assert profile["password_is_temporary"]
    status, entry = await setting.ask(
        "POST", MINE, entry["token"], {"old_password": "temporary horse", "new_password": NEW}
    )
    assert status == 200
    _, profile = await setting.ask("GET", "/api/v1/users/me", entry["token"])
    assert not profile["password_is_temporary"]


async def test_a_temporary_password_that_is_made_here(setting: Setting, logged: io.StringIO) -> None:
    made = [(await setting.act("password", body={}))[1]["password"] for _ in range(2)]
    assert made[0] != made[1]
    assert all(len(password) == 20 for password in made)
    assert (await setting.login(made[0]))[0] == 401
    assert (await setting.login(made[1]))[0] == 200
    assert made[1] not in logged.getvalue()


@pytest.mark.parametrize("password", ["short", "x" * 1025, "\ud800" * 9, 7])
async def test_a_temporary_password_that_can_be_none(setting: Setting, password: object) -> None:
    status, body = await setting.act("password", body={"password": password})
    assert (status, body["code"]) == (400, "INVALID_PARAM")
    assert await setting.works(setting.alice)


# -- names that look like an administrator's

#: spellings that look like, or compare equal to, "admin" and others
LOOKALIKES = [
    ("admin", "ADMIN"),
    ("admin", "ａｄｍｉｎ"),
    ("admin", "𝐚𝐝𝐦𝐢𝐧"),
    ("admin", "ⓐⓓⓜⓘⓝ"),
    ("admin", "ᵃᵈᵐⁱⁿ"),
    ("Ａｄｍｉｎ", "admin"),
    ("sysop", "ſyſop"),
    ("kim", "\u212aim"),
    ("straße", "STRASSE"),
    ("strasse", "straße"),
    ("Ünal", "u\u0308nal"),
    ("σοφός", "ΣΟΦΌΣ"),
    ("ﬁona", "fiona"),
    ("\u1e9eeta", "sseta"),
    ("ΐota", "\u03b9\u0308\u0301OTA"),
]


@pytest.mark.parametrize(("reserved", "written"), LOOKALIKES)
async def test_a_reserved_name_is_reserved_however_it_is_written(tmp_path: Path, reserved: str, written: str) -> None:
    home = house(tmp_path, admin_users=frozenset({reserved}))
    answer = await home.ask("POST", "/api/v1/auth/register", json={"username": written, "password": PASSWORD})
    assert (answer.status_code, (await answer.get_json())["code"]) == (409, "USERNAME_TAKEN")
    assert await home.store.accounts(1) == []


@pytest.mark.parametrize(
    "invisible",
    ["\u034f", "\u115f", "\u1160", "\u17b4", "\u180b", "\u180f", "\u3164", "\ufe0f", "\uffa0", "\U000e0100", "\u200b",
     "\u00ad", "\u2060", "\ufeff", "\U000e0061", "\u2800", "\u061c", "\u202e"],
)  # fmt: skip
async def test_a_name_holds_nothing_that_is_not_seen(tmp_path: Path, invisible: str) -> None:
    home = house(tmp_path, admin_users=frozenset({"admin"}))
    for name in (f"ad{invisible}min", f"admin{invisible}", f"{invisible}admin"):
        answer = await home.ask("POST", "/api/v1/auth/register", json={"username": name, "password": PASSWORD})
        assert answer.status_code in {400, 409}, name
    assert await home.store.accounts(1) == []


@pytest.mark.parametrize("name", ["admin2", "admins", "myadmin", "adm1n"])
def test_other_names_are_free(name: str) -> None:
    assert clean_username(name) == name
    assert not is_reserved(name, frozenset({"admin"}))


def test_two_letters_are_a_name_in_chinese_japanese_and_korean_alone() -> None:
    """Other wide scripts (Yi, Tangut, Nüshu, Khitan), repetition marks, and the parts of a syllable are not enough."""
    names = ["王伟", "\U00020000伟", "佐々", "りー", "リナ", "ㄅㄆ", "ㆠㆡ", "김연"]
    assert [name for name in names if clean_username(name) != name] == []
    others = ["ꀀꀁ", "\U00017000\U00017001", "\U0001b170\U0001b171", "\U00018b00\U00018b01", "ーー", "ー一", "々々",
              "ゝあ", "〆〆", "ᄀᄀ", "ㄱㄴ", "王1", "1王", "王.", "ab", "王", ""]  # fmt: skip
    assert [name for name in others if clean_username(name) is not None] == []
    assert [name for name in ("ꀀꀁꀂ", "〆木一", "王1a") if clean_username(name) != name] == []


def test_the_rule_of_names_is_the_same_everywhere() -> None:
    """Templates and tables of sentences hold literals, so that translations find them."""
    hints = [
        read_text("deepoj.web", "templates", name, encoding="utf-8") for name in ("register.html", "user_new.html")
    ]
    assert [hint for hint in hints if f'_("{USERNAME_RULE}")' not in hint] == []
    assert PERSON_FAULTS[PersonFault.NAME][1] == f"Use {USERNAME_RULE}."
    assert USERNAME_RULE in str(RegisterBody.model_fields["username"].description)


# -- log lines

_STATUSES = {
    ("get", "/api/v1/auth/github/login"): {307, 404, 503},
    ("get", "/api/v1/auth/github/callback"): {200, 400, 403, 404, 502, 503},
    ("post", MINE): {200, 400, 401, 403, 408, 413, 415, 429, 503},
    ("get", BASE): {200, 400, 401, 403, 503},
    ("get", BASE + "/{user_id}"): {200, 401, 403, 404, 503},
    ("post", BASE + "/{user_id}/promote"): {200, 401, 403, 404, 503},
    ("post", BASE + "/{user_id}/demote"): {200, 401, 403, 404, 409, 503},
    ("post", BASE + "/{user_id}/disable"): {200, 401, 403, 404, 409, 503},
    ("post", BASE + "/{user_id}/enable"): {200, 401, 403, 404, 503},
    ("post", BASE + "/{user_id}/password"): {200, 400, 401, 403, 404, 408, 409, 413, 415, 429, 503},
}


async def test_every_status_is_in_the_document(tmp_path: Path) -> None:
    document = await (await house(tmp_path).ask("GET", "/openapi.json")).get_json()
    for (method, path), statuses in _STATUSES.items():
        told = document["paths"][path][method]["responses"]
        assert {int(status) for status in told} >= statuses, path
    assert 403 in {int(status) for status in document["paths"]["/api/v1/auth/login"]["post"]["responses"]}


async def test_roles_are_replaced_as_a_whole(setting: Setting) -> None:
    path = f"{BASE}/{setting.alice_id}/roles"
    status, body = await setting.ask("PUT", path, setting.admin, {"roles": ["setter", "jury", "jury"]})
    assert (status, body["roles"]) == (200, ["jury", "setter"])
    assert (await setting.ask("GET", "/api/v1/users/me", setting.alice))[1]["roles"] == ["jury", "setter"]
    assert (await setting.ask("PUT", path, setting.admin, {"roles": ["admin"]}))[0] == 400
    assert (await setting.ask("PUT", path, setting.admin, {"roles": []}))[1]["roles"] == []
    assert (await setting.ask("PUT", f"{BASE}/77/roles", setting.admin, {"roles": []}))[0] == 404
