"""What people decide about their own data: address, readers of the profile, secrets, export, erasure, GitHub."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from deepoj.webhooks.callback_urls import CallbackRules
from deepoj.words.accounts import GithubPerson, GithubRefusal
from tests.api.house import PASSWORD, House, house
from tests.web.pages import RIGHTS, Who
from tests.web.test_rights import furnished
from tests.web.visits import Reply, Visit, administrator, registered


@pytest.fixture
def home(tmp_path: Path) -> House:
    return house(tmp_path, has_pages=True)


async def test_an_address_is_changed_with_the_password(home: House) -> None:
    alice = await registered(home, "alice", headers={"Accept": "text/html"})
    wrong = await alice.post("/account/email", {"email": "a@x", "password": "wrong"})
    assert (wrong.status, 'value="a@x"' in wrong.text) == (403, True)
    bad = await alice.post("/account/email", {"email": "nonsense", "password": PASSWORD})
    assert bad.status == 400
    good = await alice.post("/account/email", {"email": "a@x", "password": PASSWORD})
    assert good.location == "/account?changed=email"
    assert "Your e-mail address is changed." in (await alice.get(good.location)).text


async def test_a_profile_is_seen_by_those_whom_its_owner_chose(home: House) -> None:
    alice, bob = await registered(home, "alice"), await registered(home, "bob")
    chief, stranger = await administrator(home, "chief"), Visit(home)
    seen = {
        "everyone": (200, 200, 200, 200),
        "members": (303, 200, 200, 200),
        "administrators": (303, 404, 200, 200),
    }
    for choice, statuses in seen.items():
        await alice.post("/account/privacy", {"profile_for": choice})
        found = [(await who.get("/users/alice")).status for who in (stranger, bob, alice, chief)]
        assert tuple(found) == statuses, choice
    assert (await alice.post("/account/privacy", {"profile_for": "x"})).status == 400
    for name in ("alice", "unknown"):
        reply = await stranger.get(f"/users/{name}")
        assert (reply.status, reply.location) == (303, f"/login?next=/users/{name}"), "no name can be guessed"
    unknown, closed = await bob.get("/users/unknown"), await bob.get("/users/alice")
    assert unnamed(unknown, "unknown") == unnamed(closed, "alice")


def unnamed(reply: Reply, name: str) -> str:
    """A page's text without the request's number, the token and the name that was asked for."""
    return reply.text.replace(reply.form_token, "").replace(reply.headers["x-request-id"], "").replace(name, "")


async def test_no_page_shows_an_address_to_others(tmp_path: Path) -> None:
    _home, visits, ids = await furnished(tmp_path)
    secret = "secret@example.org"
    stranger, member, other, chief = (visits[who] for who in (Who.STRANGER, Who.MEMBER, Who.OTHER, Who.ADMIN))
    await member.post("/account/email", {"email": secret, "password": PASSWORD})
    await member.post("/account/privacy", {"profile_for": "everyone"})
    assert secret in (await member.get("/account")).text
    assert secret in (await chief.get("/manage/users")).text
    for right in RIGHTS:
        if right.method == "GET":
            for visit in (stranger, other):
                assert secret not in (await visit.get(right.path.format(**ids))).text, right


async def test_a_token_for_the_command_line_is_shown_once(home: House) -> None:
    alice = await registered(home, "alice")
    assert (await alice.post("/account/token", {"name": "x", "password": "wrong"})).status == 403
    for name in (" ", "\u3164", "\u2800", "\ufe0f \u115f", "\u200blaptop"):
        assert (await alice.post("/account/token", {"name": name, "password": PASSWORD})).status == 400, ascii(name)
    reply = await alice.post("/account/token", {"name": "x", "password": PASSWORD})
    token = reply.text.partition("<code>")[2].partition("</code>")[0]
    assert reply.headers["Cache-Control"] == "no-store"
    assert re.search(r'<pre class="output" id="(\w+)".*data-copy="\1"', reply.text, re.DOTALL), "wrapped, with a button"
    assert (await home.ask("GET", "/api/v1/users/me", token=token)).status_code == 200
    assert token not in (await alice.get("/account")).text


async def test_one_of_two_tokens_is_ended_by_its_name(home: House) -> None:
    alice, bob = await registered(home, "alice"), await registered(home, "bob")
    tokens = {}
    for name in ("<laptop>", "server"):
        reply = await alice.post("/account/token", {"name": name, "password": PASSWORD})
        tokens[name] = reply.text.partition("<code>")[2].partition("</code>")[0]

    async def answers(name: str) -> int:
        return (await home.ask("GET", "/api/v1/users/me", token=tokens[name])).status_code

    def ids(page: str) -> dict[str, str]:
        found = re.findall(
            r'<th scope="row"><bdi>([^<]*)</bdi></th>.*?name="token_id" value="([^"]*)"', page, re.DOTALL
        )
        return {html.unescape(name): token_id for name, token_id in found}

    page = (await alice.get("/account")).text
    assert ids(page).keys() == tokens.keys()
    assert page.count("<td>never</td>") == 2
    assert [await answers(name) for name in tokens] == [200, 200]
    page = (await alice.get("/account")).text
    assert "<td>never</td>" not in page
    token_id = ids(page)["<laptop>"]
    assert (await bob.post("/account/tokens", {"token_id": token_id})).status == 303
    assert await answers("<laptop>") == 200, "it is not bob's"
    assert (await alice.post("/account/tokens", {"token_id": token_id})).location == "/account?changed=tokens#tokens"
    assert [await answers(name) for name in tokens] == [401, 200]
    submitted = await home.ask("POST", "/api/v1/submit", json={}, token=tokens["<laptop>"])
    listed = await home.ask("GET", "/api/v1/status/1", token=tokens["<laptop>"])
    assert (submitted.status_code, listed.status_code) == (401, 401)
    export = json.loads((await alice.get("/account/export")).text)["access_tokens"]
    assert [(one["name"], one["used_at"] is not None) for one in export] == [("server", True)]


async def test_the_webhook_secret_is_shown_and_changed(tmp_path: Path) -> None:
    alice = await registered(
        house(tmp_path, has_pages=True, callbacks=CallbackRules.of(enabled=True, hosts=(), networks=())), "alice"
    )
    texts = [(await alice.post("/account/webhook-secret", {"act": act})).text for act in ("show", "show", "rotate")]
    secrets = [text.partition("<code>")[2].partition("</code>")[0] for text in texts]
    assert secrets[0].startswith("whsec_")
    assert secrets[0] == secrets[1] != secrets[2]


async def test_an_account_is_exported_and_erased(home: House) -> None:
    alice, chief = await registered(home, "alice"), await administrator(home, "chief")
    reply = await alice.get("/account/export")
    assert "attachment" in reply.headers["Content-Disposition"]
    user_id = json.loads(reply.text)["account"]["id"]
    asked = await alice.get("/account/erase")
    assert f"deleted-{user_id}" in asked.text
    assert (await alice.post("/account/erase", {"password": "wrong"})).status == 403
    other = Visit(home)
    await other.log_in("alice")
    erased = await alice.post("/account/erase", {"password": PASSWORD})
    assert (erased.status, "Your account is erased." in erased.text) == (200, True)
    assert "deepoj_session" not in alice.cookies
    assert (await other.get("/account")).location == "/login?next=/account"
    log = (await chief.get("/manage/audit")).text
    assert "erased the account" in log
    assert "alice" not in log


async def test_an_administrator_erases_an_account_for_its_owner(home: House) -> None:
    alice, chief = await registered(home, "alice"), await administrator(home, "chief")
    account = await home.store.credentials("alice")
    assert account is not None
    path = f"/manage/users/{account.user.id}/erase"
    assert "Erase the account <bdi>alice</bdi>?" in (await chief.get(path)).text
    assert (await chief.post(path)).location == "/manage/users"
    assert (await alice.get("/account")).status == 303
    assert "alice" not in (await chief.get("/manage/users")).text
    assert (await chief.get(path)).status == 404


# -- GitHub


class Provider:
    """GitHub without HTTP: the code is the number of the person."""

    def authorize_url(self, state: str, challenge: str) -> str:
        return f"https://github.example/login?state={state}&challenge={challenge}"

    async def person(self, code: str, verifier: str) -> GithubPerson | GithubRefusal:
        return GithubPerson(code, "octocat", None) if code.isdecimal() and verifier else GithubRefusal.BAD_CODE


@pytest.fixture
def github(tmp_path: Path) -> House:
    return house(tmp_path, has_pages=True, github=Provider(), github_redirect_url="https://oj.example/api/x")


async def back(visit: Visit, sent: Reply, code: str = "7") -> Reply:
    """Come back from GitHub as a browser does, by the API's callback."""
    state = parse_qs(urlsplit(sent.location).query)["state"][0]
    reply = await visit.get(f"/api/v1/auth/github/callback?code={code}&state={state}")
    assert (reply.status, reply.location.partition("?")[0]) == (303, "/login/github/callback")
    return await visit.get(reply.location)


async def test_a_login_with_github_goes_on_to_the_page_that_asked_for_it(github: House) -> None:
    visit = Visit(github)
    page = await visit.get("/login?next=/submissions")
    assert 'href="/login/github?next=/submissions"' in page.text
    assert "/login/github" in (await Visit(github).get("/register")).text
    sent = await visit.get("/login/github?next=/submissions")
    assert sent.location.startswith("https://github.example/login?")
    reply = await back(visit, sent)
    assert (reply.status, reply.location) == (303, "/submissions")
    assert "octocat" in (await visit.get("/submissions")).text
    assert "deepoj_github" not in visit.cookies


async def test_a_login_with_github_belongs_to_the_browser_that_began_it(github: House) -> None:
    visit, thief = Visit(github), Visit(github)
    sent = await visit.get("/login/github")
    attributes = sent.cookies["deepoj_github"]
    assert attributes["httponly"]
    assert attributes["secure"]
    assert (attributes["samesite"], attributes["path"]) == ("Lax", "/login/github")
    assert (await back(thief, sent)).status == 400
    assert (await back(visit, sent, "x")).status == 400, "the code is refused on the page of the login"
    assert (await back(visit, sent)).status == 400, "a state is good for one login"
    denied = await visit.get("/login/github")
    state = parse_qs(urlsplit(denied.location).query)["state"][0]
    reply = await visit.get(f"/login/github/callback?error=access_denied&state={state}")
    assert (reply.status, "GitHub refused the login." in reply.text) == (400, True)


async def test_a_state_of_the_api_is_none_of_the_pages_and_the_reverse(github: House) -> None:
    visit = Visit(github)
    api = await visit.get("/api/v1/auth/github/login")
    state = parse_qs(urlsplit(api.location).query)["state"][0]
    for forged in (state, f"web.{state}"):
        visit.cookies["deepoj_github"] = f"{forged}:%2F"
        assert (await visit.get(f"/login/github/callback?code=7&state={forged}")).status == 400


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x"])
async def test_a_login_with_github_leads_to_no_other_site(github: House, elsewhere: str) -> None:
    visit = Visit(github)
    assert (await back(visit, await visit.get(f"/login/github?next={elsewhere}"))).location == "/"
