"""Login with GitHub, against a provider over real HTTP."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator, Mapping
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import argon2
import pytest
import trio
from quart import Response

from deepoj.adapters.github import GithubOverHttp
from deepoj.api.oauth import LoginStates
from deepoj.words.errors import GithubUnavailable
from tests.api.house import PASSWORD, PATIENCE_S, SECRET, House, client, house, served
from tests.fakes.github import CLIENT_ID, CLIENT_SECRET, FakeGithub, Mood, fake_github, send, send_json

LOGIN, CALLBACK = "/api/v1/auth/github/login", "/api/v1/auth/github/callback"
REDIRECT = "http://127.0.0.1:18080" + CALLBACK


@pytest.fixture
def github() -> Iterator[FakeGithub]:
    with fake_github(REDIRECT) as fake:
        yield fake


def adapter(fake: FakeGithub, *, timeout_s: float = PATIENCE_S, client_secret: str = CLIENT_SECRET) -> GithubOverHttp:
    return GithubOverHttp(
        client_id=CLIENT_ID, client_secret=client_secret, redirect_url=fake.redirect_url, base_url=fake.url,
        api_url=f"{fake.url}/api", timeout_s=timeout_s,
    )  # fmt: skip


def at_home(tmp_path: Path, fake: FakeGithub, *, door: GithubOverHttp | None = None, **changes: Any) -> House:
    return house(tmp_path, github=door or adapter(fake), github_redirect_url=fake.redirect_url, **changes)


def cookie_of(answer: Response) -> SimpleCookie:
    cookie = SimpleCookie()
    cookie.load(answer.headers["Set-Cookie"])
    return cookie


async def begun(home: House) -> tuple[str, dict[str, str]]:
    """Begin a login. Return the state, and the query of GitHub's address."""
    answer = await home.ask("GET", LOGIN)
    assert answer.status_code == 307
    query = {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}
    assert cookie_of(answer)["oauth_state"].value == query["state"]
    return query["state"], query


def agreed(fake: FakeGithub, query: Mapping[str, str]) -> dict[str, str]:
    """Agree at the provider. Return the query of the redirect to the callback."""
    back = fake.authorize(dict(query))
    return {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}


async def returns(home: House, query: Mapping[str, str], cookie: str | None) -> tuple[int, dict[str, Any]]:
    headers = {} if cookie is None else {"Cookie": f"oauth_state={cookie}"}
    answer = await home.ask("GET", f"{CALLBACK}?{urlencode(query)}", headers=headers)
    return answer.status_code, await answer.get_json()


async def entered(home: House, fake: FakeGithub) -> tuple[int, dict[str, Any]]:
    state, query = await begun(home)
    return await returns(home, agreed(fake, query), state)


# -- login


async def test_a_browser_goes_there_and_back(tmp_path: Path, github: FakeGithub) -> None:
    """The whole login over sockets, with a client that keeps cookies as a browser does."""
    home = at_home(tmp_path, github)
    async with served(home) as (url, _), client(url) as browser:
        sent = await browser.get(LOGIN)
        assert sent.status_code == 307
        assert sent.json() == {"location": sent.headers["Location"]}
        assert sent.headers["Location"].startswith(f"{github.url}/login/oauth/authorize?")
        back = await browser.get(sent.headers["Location"])
        assert back.status_code == 302
        here = back.headers["Location"].replace("http://127.0.0.1:18080", url)
        got = await browser.get(here)
        assert got.status_code == 200, got.text
        assert got.headers["Cache-Control"] == "no-store"
        body = got.json()
        assert set(body) == {"token", "username", "user_id"}
        assert body["username"] == "octocat"
        me = await browser.get("/api/v1/users/me", headers={"Authorization": f"Bearer {body['token']}"})
        profile = me.json()
        assert (profile["github_id"], profile["avatar_url"]) == ("583231", "https://avatars.example/1")
        assert (profile["has_password"], profile["is_admin"], profile["email"]) == (False, False, None)
        assert "oauth_state" not in browser.cookies, "it has done its work"
        again = await browser.get(here)
        assert (again.status_code, again.json()["code"]) == (400, "OAUTH_STATE_INVALID")
    assert github.asked == ["/login/oauth/authorize", "/login/oauth/access_token", "/api/user"]


async def test_login_redirects_to_github_with_state_and_challenge(tmp_path: Path, github: FakeGithub) -> None:
    _, query = await begun(at_home(tmp_path, github))
    assert set(query) == {
        "client_id", "redirect_uri", "response_type", "state", "code_challenge", "code_challenge_method",
    }  # fmt: skip
    assert (query["client_id"], query["redirect_uri"], query["response_type"]) == (CLIENT_ID, REDIRECT, "code")
    assert (query["code_challenge_method"], len(query["code_challenge"])) == ("S256", 43)


@pytest.mark.parametrize(
    ("redirect_url", "secure", "path"),
    [
        ("http://localhost:18080/api/v1/auth/github/callback", False, "/api/v1/auth/github"),
        ("https://oj.example.org/api/v1/auth/github/callback", True, "/api/v1/auth/github"),
        ("https://example.org/judge/api/v1/auth/github/callback", True, "/judge/api/v1/auth/github"),
        ("https://example.org/callback", True, "/"),
        ("https://example.org", True, "/"),
    ],
)
async def test_the_cookie(tmp_path: Path, github: FakeGithub, redirect_url: str, secure: bool, path: str) -> None:
    home = house(tmp_path, github=adapter(github), github_redirect_url=redirect_url, oauth_state_ttl_s=120.0)
    cookie = cookie_of(await home.ask("GET", LOGIN))["oauth_state"]
    assert (cookie["httponly"], cookie["samesite"], cookie["max-age"]) == (True, "Lax", "120")
    assert (bool(cookie["secure"]), cookie["path"], cookie["domain"]) == (secure, path, "")


async def test_the_same_person_comes_back_to_the_same_account(tmp_path: Path, github: FakeGithub) -> None:
    home = at_home(tmp_path, github)
    _, first = await entered(home, github)
    github.person |= {"login": "renamed", "avatar_url": "https://avatars.example/2"}
    status, second = await entered(home, github)
    assert (status, second["user_id"], second["username"]) == (200, first["user_id"], "octocat")
    account = await home.store.account(first["user_id"])
    assert account is not None
    assert account.avatar_url == "https://avatars.example/2"
    github.person["id"] = 7
    _, third = await entered(home, github)
    assert (third["username"], third["user_id"] != first["user_id"]) == ("renamed", True)


async def test_a_login_begun_at_one_node_ends_at_another(tmp_path: Path, github: FakeGithub) -> None:
    one = at_home(tmp_path, github)
    two = at_home(tmp_path, github, store=one.store)
    state, query = await begun(one)
    back = agreed(github, query)
    assert (await returns(two, back, state))[0] == 200
    assert (await returns(one, back, state))[1]["code"] == "OAUTH_STATE_INVALID", "used at the other node"
    stranger = at_home(tmp_path, github, store=one.store, jwt_secret="another secret of another site")
    state, query = await begun(stranger)
    assert (await returns(one, agreed(github, query), state))[1]["code"] == "OAUTH_STATE_INVALID"


# -- names and rights


async def test_an_account_of_the_same_name_is_not_taken_over(tmp_path: Path, github: FakeGithub) -> None:
    home = at_home(tmp_path, github)
    local = await home.account("OctoCat", is_admin=True)
    status, body = await entered(home, github)
    assert (status, body["username"]) == (200, "octocat-2")
    assert body["user_id"] != local.id
    untouched = await home.store.account(local.id)
    assert untouched is not None
    assert untouched.github_id is None
    denied = await home.ask("GET", "/api/v1/admin/dlq", token=body["token"])
    assert denied.status_code == 403


@pytest.mark.parametrize("login", ["admin", "ADMIN", "Admin"])
@pytest.mark.parametrize("is_open", [True, False])
async def test_a_reserved_name_is_not_granted(tmp_path: Path, github: FakeGithub, login: str, is_open: bool) -> None:
    home = at_home(tmp_path, github, admin_users=frozenset({"admin"}), admin_registration_open=is_open)
    github.person["login"] = login
    status, body = await entered(home, github)
    assert (status, body["username"]) == (200, f"{login}-2")
    assert await home.store.credentials("admin") is None
    denied = await home.ask("GET", "/api/v1/admin/dlq", token=body["token"])
    assert denied.status_code == 403


@pytest.mark.parametrize(
    ("login", "taken", "name"),
    [
        ("ab", [], "ab-2"),
        ("x" * 39, [], "x" * 32),
        ("x" * 39, ["x" * 32], "x" * 30 + "-2"),
        ("a b", [], "github-583231"),
        ("-._", ["github-583231"], None),
        ("octocat", ["octocat", *(f"octocat-{n}" for n in range(2, 10))], "github-583231"),
        ("octocat", ["octocat", *(f"octocat-{n}" for n in range(2, 10)), "github-583231"], None),
    ],
)
async def test_a_free_name_is_found(
    tmp_path: Path, github: FakeGithub, login: str, taken: list[str], name: str | None
) -> None:
    home = at_home(tmp_path, github)
    for one in taken:
        await home.account(one)
    github.person["login"] = login
    status, body = await entered(home, github)
    assert status == 200
    if name is not None:
        assert body["username"] == name
    else:
        assert body["username"].startswith("github-")
        assert body["username"] != "github-583231"


async def test_an_account_from_github_has_no_password_to_guess(tmp_path: Path, github: FakeGithub) -> None:
    home = at_home(tmp_path, github)
    await entered(home, github)
    for password in ("", "octocat", "no account has this password"):
        answer = await home.ask("POST", "/api/v1/auth/login", json={"username": "octocat", "password": password})
        assert (answer.status_code, (await answer.get_json())["code"]) == (401, "BAD_CREDENTIALS")


async def test_an_account_without_a_password_takes_as_long_as_any(
    tmp_path: Path, github: FakeGithub, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = at_home(tmp_path, github)
    await entered(home, github)
    seen: list[str] = []
    verify = argon2.PasswordHasher.verify

    def spy(self: argon2.PasswordHasher, hashed: str, password: str) -> bool:
        seen.append(hashed.split("$")[3])
        return bool(verify(self, hashed, password))

    monkeypatch.setattr(argon2.PasswordHasher, "verify", spy)
    for name in ("octocat", "stranger"):
        await home.ask("POST", "/api/v1/auth/login", json={"username": name, "password": "wrong horse"})
    assert len(seen) == 2
    assert seen[0] == seen[1], "the same cost parameters"


async def test_an_account_from_github_sets_its_first_password(tmp_path: Path, github: FakeGithub) -> None:
    home = at_home(tmp_path, github)
    _, body = await entered(home, github)
    answer = await home.ask("POST", "/api/v1/users/me/password", token=body["token"], json={"new_password": PASSWORD})
    assert answer.status_code == 200
    entry = await home.ask("POST", "/api/v1/auth/login", json={"username": "octocat", "password": PASSWORD})
    assert entry.status_code == 200
    assert (await entered(home, github))[1]["user_id"] == body["user_id"]


async def test_a_disabled_account_does_not_get_in_by_github(tmp_path: Path, github: FakeGithub) -> None:
    home = at_home(tmp_path, github)
    root = await home.account("root", is_admin=True)
    _, body = await entered(home, github)
    await home.store.change_rights(body["user_id"], is_disabled=True, by=root.id)
    status, refused = await entered(home, github)
    assert (status, refused["code"]) == (403, "ACCOUNT_DISABLED")


# -- states


async def test_a_state_must_come_back_by_both_ways(tmp_path: Path, github: FakeGithub) -> None:
    home = at_home(tmp_path, github)
    state, query = await begun(home)
    other, _ = await begun(home)
    back = agreed(github, query)
    flipped = state[:-2] + ("A" if state[-2] != "A" else "B") + state[-1]
    tries: list[tuple[dict[str, str], str | None]] = [
        (back, None),
        (back, ""),
        (back, other),
        ({**back, "state": other}, state),
        ({**back, "state": ""}, ""),
        ({"code": back["code"]}, state),
        ({**back, "state": flipped}, flipped),
        ({**back, "state": state + "="}, state + "="),
        ({**back, "state": state[:40]}, state[:40]),
        ({**back, "state": "ü" * 75}, "ü" * 75),
        ({**back, "state": "A" * 5000}, "A" * 5000),
        ({}, None),
    ]
    for sent, cookie in tries:
        status, refused = await returns(home, sent, cookie)
        assert (status, refused["code"]) == (400, "OAUTH_STATE_INVALID"), (sent, cookie)
    assert "/login/oauth/access_token" not in github.asked, "we ask the provider only after a browser that we sent"
    assert (await returns(home, back, state))[0] == 200, "none of these has spent it"


async def test_a_state_runs_out_by_the_databases_clock(tmp_path: Path, github: FakeGithub) -> None:
    home = at_home(tmp_path, github, oauth_state_ttl_s=100.0)
    now = [50.0]
    home.store.clock = lambda: now[0]
    for waited_s, expected in ((99.0, 200), (101.0, 400)):
        state, query = await begun(home)
        back = agreed(github, query)
        now[0] += waited_s
        assert (await returns(home, back, state))[0] == expected, waited_s


async def test_a_state_is_spent_even_by_a_login_that_fails(tmp_path: Path, github: FakeGithub) -> None:
    home = at_home(tmp_path, github)
    state, query = await begun(home)
    assert (await returns(home, {"state": state, "error": "access_denied"}, state))[1]["code"] == "OAUTH_DENIED"
    assert (await returns(home, agreed(github, query), state))[1]["code"] == "OAUTH_STATE_INVALID"


def test_states_tell_nothing_and_differ() -> None:
    states = LoginStates(SECRET)
    many = [states.new(1000.0) for _ in range(50)]
    assert len({state.text for state in many}) == len({state.verifier for state in many}) == 50
    for state in many:
        assert state.verifier not in state.text
        assert states.read(state.text, state.text) == state
        assert 43 <= len(state.verifier) <= 128


# -- codes, and what the provider can answer


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ({"error": "access_denied", "error_description": "no"}, "OAUTH_DENIED"),
        ({"error": ""}, "OAUTH_DENIED"),
        ({"error": "<script>", "code": "x"}, "OAUTH_DENIED"),
        ({}, "OAUTH_CODE_INVALID"),
        ({"code": ""}, "OAUTH_CODE_INVALID"),
        ({"code": "x" * 513}, "OAUTH_CODE_INVALID"),
        ({"code": "never given"}, "OAUTH_CODE_INVALID"),
        ({"code": "ü\0"}, "OAUTH_CODE_INVALID"),
    ],
)
async def test_a_login_without_a_good_code(tmp_path: Path, github: FakeGithub, sent: dict[str, str], code: str) -> None:
    home = at_home(tmp_path, github)
    state, _ = await begun(home)
    status, refused = await returns(home, {"state": state, **sent}, state)
    assert (status, refused["code"]) == (400, code)
    assert "script" not in refused["error"]


async def test_a_code_of_another_login_is_no_good(tmp_path: Path, github: FakeGithub) -> None:
    """An injected code (the attack of RFC 7636): its challenge was not made of our verifier."""
    home = at_home(tmp_path, github)
    mine, _ = await begun(home)
    _, theirs = await begun(home)
    status, refused = await returns(home, {"code": agreed(github, theirs)["code"], "state": mine}, mine)
    assert (status, refused["code"]) == (400, "OAUTH_CODE_INVALID")


def _drips(handler: BaseHTTPRequestHandler) -> None:
    """Answer byte by byte, each within the timeout of a read."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    while True:
        handler.wfile.write(b" ")
        time.sleep(0.02)


def _breaks_off(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.close_connection = True


def _says_no_http(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"SSH-2.0-OpenSSH\r\n")
    handler.close_connection = True


def _endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b"[" * 65536)


def _says(value: object, status: int = 200) -> Mood:
    return lambda handler: send_json(handler, value, status)


#: ways to break the token answer and the user answer
NONSENSE: dict[str, Mood] = {
    "500": _says({"message": "x"}, 500),
    "503": _says({}, 503),
    "429": _says({}, 429),
    "404": _says({"message": "Not Found"}, 404),
    "html": lambda handler: send(handler, 200, b"<html>unicorn</html>", Content_Type="text/html"),
    "empty": lambda handler: send(handler, 200, b""),
    "list": _says([1]),
    "null": _says(None),
    "empty object": _says({}),
    "not UTF-8": lambda handler: send(handler, 200, b"\xff\xfe{"),
    "deep": lambda handler: send(handler, 200, b"[" * 100_000),
    "endless": _endless,
    "breaks off": _breaks_off,
    "no HTTP": _says_no_http,
    "bad gzip": lambda handler: send(handler, 200, b"not gzip", Content_Encoding="gzip"),
}
NO_TOKEN: dict[str, Mood] = {
    "error of ours": _says({"error": "incorrect_client_credentials"}),
    "error 400": _says({"error": "redirect_uri_mismatch"}, 400),
    "strange error": _says({"error": "<b>\n"}),
    "number": _says({"access_token": 7}),
    "empty": _says({"access_token": ""}),
    "a header more": _says({"access_token": "x\r\nHost: evil"}),
    "not ASCII": _says({"access_token": "tökén"}),
    "long": _says({"access_token": "x" * 5000}),
}
NO_USER: dict[str, Mood] = {
    "401": _says({"message": "Bad credentials"}, 401),
    "no id": _says({"login": "x"}),
    "id is text": _says({"id": "1", "login": "x"}),
    "id is true": _says({"id": True, "login": "x"}),
    "id is huge": _says({"id": 2**70, "login": "x"}),
    "id is 0": _says({"id": 0, "login": "x"}),
    "id is a fraction": _says({"id": 1.5, "login": "x"}),
    "no login": _says({"id": 1}),
    "login is none": _says({"id": 1, "login": None}),
}
BROKEN = (
    [("token", name, mood) for name, mood in (NONSENSE | NO_TOKEN).items()]
    + [("user", name, mood) for name, mood in (NONSENSE | NO_USER).items()]
)  # fmt: skip


@pytest.mark.parametrize(("what", "mood"), [row[::2] for row in BROKEN], ids=[f"{a} {b}" for a, b, _ in BROKEN])
async def test_a_provider_that_breaks_is_a_502(
    tmp_path: Path, github: FakeGithub, logged: io.StringIO, what: str, mood: Mood
) -> None:
    home = at_home(tmp_path, github)
    github.moods[what] = mood
    status, refused = await entered(home, github)
    assert (status, refused["code"]) == (502, "OAUTH_PROVIDER_ERROR")
    assert await home.store.accounts(1) == []
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    assert [line["level"] for line in lines if line["event"] == "oauth_provider_failed"] == ["warning"]
    for secret in (CLIENT_SECRET, "gho_", "evil", "<b>"):
        assert secret not in logged.getvalue()
    del github.moods[what]
    assert (await entered(home, github))[0] == 200, "the next one gets in"


@pytest.mark.parametrize("what", ["token", "user"])
@pytest.mark.parametrize("mood", ["hangs", "drips"])
async def test_a_provider_that_is_too_slow_is_a_502(tmp_path: Path, github: FakeGithub, what: str, mood: str) -> None:
    home = at_home(tmp_path, github, door=adapter(github, timeout_s=0.5))

    def hangs(_handler: BaseHTTPRequestHandler) -> None:
        github.over.wait()

    github.moods[what] = hangs if mood == "hangs" else _drips
    with trio.fail_after(PATIENCE_S):
        status, refused = await entered(home, github)
    assert (status, refused["code"]) == (502, "OAUTH_PROVIDER_ERROR")


async def test_a_provider_that_is_not_there_is_a_502(tmp_path: Path) -> None:
    with fake_github(REDIRECT) as gone:
        home = at_home(tmp_path, gone)
        state, query = await begun(home)
        back = agreed(gone, query)
    status, refused = await returns(home, back, state)
    assert (status, refused["code"]) == (502, "OAUTH_PROVIDER_ERROR")


async def test_client_secret_is_sent_to_the_provider_only(tmp_path: Path, github: FakeGithub) -> None:
    """Redirects are not followed."""
    with fake_github(REDIRECT) as other:
        home = at_home(tmp_path, github)
        for status in (301, 302, 303, 307, 308):
            github.moods["token"] = lambda handler, status=status: send(  # type: ignore[misc]
                handler, status, b"", Location=f"{other.url}/login/oauth/access_token"
            )
            assert (await entered(home, github))[0] == 502
        assert other.asked == []


async def test_wrong_credentials_of_ours_are_not_the_persons_fault(
    tmp_path: Path, github: FakeGithub, logged: io.StringIO
) -> None:
    home = at_home(tmp_path, github, door=adapter(github, client_secret="mistyped"))
    assert (await entered(home, github))[0] == 502
    assert "incorrect_client_credentials" in logged.getvalue()
    assert "mistyped" not in logged.getvalue()


@pytest.mark.parametrize(
    "avatar", [None, 7, "http://plain.example/a", "javascript:alert(1)", "https://a/" + "x" * 3000, "https://a/\n"]
)
async def test_a_picture_that_is_none_is_left_out(tmp_path: Path, github: FakeGithub, avatar: object) -> None:
    home = at_home(tmp_path, github)
    github.person["avatar_url"] = avatar
    status, body = await entered(home, github)
    assert status == 200
    account = await home.store.account(body["user_id"])
    assert account is not None
    assert account.avatar_url is None


async def test_tokens_and_codes_stand_in_no_log(tmp_path: Path, github: FakeGithub, logged: io.StringIO) -> None:
    home = at_home(tmp_path, github)
    state, query = await begun(home)
    back = agreed(github, query)
    status, body = await returns(home, back, state)
    assert status == 200
    for secret in (state, back["code"], body["token"], *github.tokens, CLIENT_SECRET):
        assert secret not in logged.getvalue()


# -- without it, and without a database


async def test_without_a_client_there_is_no_such_login(tmp_path: Path) -> None:
    home = house(tmp_path)
    for path in (LOGIN, CALLBACK, CALLBACK + "?state=x&code=y"):
        answer = await home.ask("GET", path)
        assert (answer.status_code, (await answer.get_json())["code"]) == (404, "OAUTH_NOT_CONFIGURED")
        assert "Set-Cookie" not in answer.headers


async def test_a_database_that_is_away_is_a_503(tmp_path: Path, github: FakeGithub) -> None:
    home = at_home(tmp_path, github)
    state, query = await begun(home)
    back = agreed(github, query)
    home.store.down = True
    assert (await home.ask("GET", LOGIN)).status_code == 503
    assert (await returns(home, back, state))[0] == 503
    home.store.down = False
    assert (await returns(home, back, state))[0] == 200


async def test_an_account_whose_making_was_not_answered_is_found_the_next_time(
    tmp_path: Path, github: FakeGithub
) -> None:
    home = at_home(tmp_path, github)
    home.store.break_next("create_github_user", applied=True)
    assert (await entered(home, github))[0] == 503
    status, body = await entered(home, github)
    assert (status, body["username"]) == (200, "octocat")


async def test_the_adapter_takes_nothing_from_the_environment(
    github: FakeGithub, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with pytest.raises(GithubUnavailable, match="no access token"):
        github.moods["token"] = _says({})
        await adapter(github).person("code", "verifier")
