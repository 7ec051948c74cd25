"""What a page refuses: forms of other sites, planted cookies, ways to other sites, frames, fields that it lacks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.api.house import PASSWORD, House, house
from tests.web.pages import LOGIN, PAGES, RIGHTS, Who
from tests.web.test_rights import furnished
from tests.web.visits import SESSION, VISIT, Visit, registered

#: what `next`, in the login and in other forms, must not lead to
_ELSEWHERE = (
    "https://elsewhere.example/",
    "//elsewhere.example/",
    "///elsewhere.example/",
    "/\\elsewhere.example/",
    "\\\\elsewhere.example/",
    "/\t/elsewhere.example/",
    "/\n/elsewhere.example/",
    "/\r\nLocation: https://elsewhere.example/",
    "https:elsewhere.example",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "elsewhere.example",
    "/%09/elsewhere.example".replace("%09", "\x09"),
    " //elsewhere.example/",
    "\u2028//elsewhere.example/",
    "@elsewhere.example",
    ".elsewhere.example",
    "/./\\elsewhere.example",
)


def state_of(home: House) -> dict[str, str]:
    """Return all that the store keeps, to compare: a request that is refused changes none of it."""
    kept = {name: value for name, value in vars(home.store).items() if isinstance(value, dict | list | set)}
    shown = {name: repr(value) for name, value in kept.items()}
    # looking at a page is a sign of life of the session
    return {name: re.sub(r"seen_at=[0-9.]+", "", value) for name, value in shown.items()}


async def test_a_form_of_another_site_or_visitor_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    home, visits, ids = await furnished(tmp_path)
    senders = [
        (right, who)
        for right in RIGHTS
        for who in (Who.MEMBER, Who.ADMIN, Who.STRANGER)
        if right.method == "POST" and (who is not Who.STRANGER or right.statuses[0] != LOGIN)
    ]
    for right, who in senders:
        path, fields = right.path.format(**ids), right.form(ids)
        own, foreign = await visits[who].form_token(), await visits[Who.OTHER].form_token()
        attempts: tuple[tuple[str, dict[str, str]], ...] = (
            ("", {}),
            (foreign, {}),
            (own[:-1], {}),
            (own + "\xff", {}),
            (own, {"Sec-Fetch-Site": "cross-site"}),
            (own, {"Sec-Fetch-Site": "same-site"}),
        )
        before = state_of(home)
        for form_token, headers in attempts:
            reply = await visits[who].post(path, fields, form_token=form_token, headers=headers)
            assert reply.status == 403, (right, who, form_token, headers, reply.text)
            assert state_of(home) == before, (right, who, form_token, headers)
            assert SESSION not in reply.cookies


@pytest.mark.parametrize("site", ["same-origin", "none"])
async def test_a_form_of_ours_is_taken_whatever_way_the_browser_names_it(tmp_path: Path, site: str) -> None:
    home = house(tmp_path, has_pages=True)
    reply = await Visit(home).post("/preferences", {"next": "/problems"}, headers={"Sec-Fetch-Site": site})
    assert (reply.status, reply.location) == (303, "/problems")


async def test_a_token_of_before_the_login_or_after_the_logout_is_not_taken(tmp_path: Path) -> None:
    visit = await registered(house(tmp_path, has_pages=True), "member")
    inside = await visit.form_token()
    assert (await visit.post("/logout")).status == 303
    assert (await visit.post("/preferences", {}, form_token=inside)).status == 403
    outside = await visit.form_token()
    assert outside != inside
    assert (await visit.log_in("member")).status == 303
    assert (await visit.post("/preferences", {}, form_token=outside)).status == 403


async def test_a_cookie_planted_before_the_login_is_not_the_session_afterwards(tmp_path: Path) -> None:
    home = house(tmp_path, has_pages=True)
    attacker = await registered(home, "attacker")
    await registered(home, "victim")
    planted = attacker.cookies[SESSION]
    visit = Visit(home, cookies={SESSION: planted, VISIT: "planted"})
    token = await visit.form_token()
    assert (await visit.log_in("victim")).status == 303
    assert visit.cookies[SESSION] != planted
    assert VISIT not in visit.cookies
    assert "victim" in (await visit.get("/account")).text
    assert (await visit.post("/preferences", {}, form_token=token)).status == 403
    # neither does the attacker's browser have the victim's account now
    assert "victim" not in (await attacker.get("/account")).text


@pytest.mark.parametrize("name", [VISIT, SESSION])
async def test_a_planted_cookie_that_is_nobodys_gives_no_account(tmp_path: Path, name: str) -> None:
    home = house(tmp_path, has_pages=True)
    member = await registered(home, "member")
    value, _, _mac = member.cookies[SESSION].rpartition(".")
    for forged in ("planted", "1.0.planted.planted", f"{value}.", f"{value}.AAAA", ".", "..." * 2000):
        visit = Visit(home, cookies={name: forged})
        assert (await visit.get("/account")).location == "/login?next=/account", forged
        assert (await visit.log_in("member")).status == 303
        assert visit.cookies[SESSION] != forged


async def test_a_logout_ends_the_session_on_the_server(tmp_path: Path) -> None:
    home = house(tmp_path, has_pages=True)
    visit = await registered(home, "member")
    copied = dict(visit.cookies)
    assert (await visit.post("/logout")).status == 303
    assert (await Visit(home, cookies=copied).get("/account")).location == "/login?next=/account"


@pytest.mark.parametrize("elsewhere", _ELSEWHERE)
async def test_no_form_leads_to_another_site(tmp_path: Path, elsewhere: str) -> None:
    home = house(tmp_path, has_pages=True)
    member = await registered(home, "member")
    reply = await member.log_in("member", next=elsewhere)
    assert (reply.status, reply.location) == (303, "/")
    reply = await member.post("/preferences", {"next": elsewhere, "theme": "dark"})
    assert (reply.status, reply.location) == (303, "/")
    printable = "".join(c if " " < c <= "~" else "".join(f"%{b:02X}" for b in c.encode()) for c in elsewhere)
    asked = f"/login?next={printable.replace('&', '%26')}"
    assert (await member.get(asked)).location == "/"
    assert 'name="next" value="/"' in (await Visit(home).get(asked)).text


async def test_a_path_of_ours_is_where_the_login_leads(tmp_path: Path) -> None:
    home = house(tmp_path, has_pages=True)
    member = await registered(home, "member")
    for path in ("/problems/1", "/submissions?all=1&verdict=Wrong+Answer", "/problems?after=3"):
        assert (await member.log_in("member", next=path)).location == path


async def test_a_stranger_who_registers_goes_on_where_they_were(tmp_path: Path) -> None:
    home = house(tmp_path, has_pages=True)
    path = f"/problems/{await home.problem()}"
    stranger = Visit(home)
    page = (await stranger.get(path)).text
    for link in (f'href="/login?next={path}"', f'href="/register?next={path}"'):
        assert page.count(link) == 2, "in the header and beside the statement"
    assert f'href="/register?next={path}"' in (await stranger.get(f"/login?next={path}")).text
    form = (await stranger.get(f"/register?next={path}")).text
    assert f'name="next" value="{path}"' in form
    assert f'href="/login?next={path}"' in form
    assert (await stranger.register("ann", next=path)).location == path
    assert (await Visit(home).register("ben", next="//elsewhere.example/")).location == "/"


async def test_a_stranger_who_finds_nothing_may_log_in(tmp_path: Path) -> None:
    home = house(tmp_path, has_pages=True)
    page = (await Visit(home).get("/problems/999999")).text
    assert "<title>There is no such problem. · Deep-OJ</title>" in page
    assert "Some pages are shown only to people who are logged in." in page
    assert page.count('href="/login?next=/problems/999999"') == 2
    member = await registered(home, "member")
    assert "logged in" not in (await member.get("/problems/999999")).text


async def test_no_page_may_be_framed_sniffed_or_told_to_load_from_elsewhere(tmp_path: Path) -> None:
    _home, visits, ids = await furnished(tmp_path)
    ids |= dict.fromkeys(("accepted", "wrong", "broken"), ids["job"]) | {"staged": ""}
    for page in PAGES:
        reply = await visits[page.who].get(page.path.format(**ids))
        assert reply.status == page.status, (page, reply.text)
        policy = dict(part.strip().partition(" ")[::2] for part in reply.headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == "'none'", page
        assert policy["frame-ancestors"] == "'none'", page
        assert policy["base-uri"] == "'none'", page
        assert policy["form-action"] == "'self'", page
        assert "unsafe" not in str(policy), page
        assert set(re.findall(r"https?:|\*|'nonce-", policy["script-src"])) == set(), page
        assert reply.headers["X-Content-Type-Options"] == "nosniff", page
        assert reply.headers["Referrer-Policy"] == "same-origin", page
        assert {"camera=()", "geolocation=()", "microphone=()"} <= set(
            reply.headers["Permissions-Policy"].split(", ")
        ), page
        assert reply.headers["Cross-Origin-Opener-Policy"] == "same-origin", page
        assert "private" in reply.headers["Cache-Control"], page


async def test_a_registration_takes_no_field_that_it_does_not_offer(tmp_path: Path) -> None:
    home = house(tmp_path, has_pages=True)
    extra = {"is_admin": "1", "isAdmin": "true", "role": "admin", "id": "1", "user_id": "1", "token_epoch": "99"}
    visit = Visit(home)
    assert (await visit.register("newcomer", **extra)).status == 303
    account = await home.ports.accounts.credentials("newcomer")
    assert account is not None
    assert (account.user.is_admin, account.token_epoch) == (False, 0)
    assert (await visit.get("/submissions?all=1")).text.count('name="all"') == 0


async def test_an_own_submission_takes_no_other_user_or_problem(tmp_path: Path) -> None:
    home, visits, ids = await furnished(tmp_path)
    member = await home.ports.accounts.credentials("member")
    assert member is not None
    fields = {"language": "cpp17", "code": "int main(){return 1;}", "user_id": str(member.user.id), "problem_id": "999"}
    reply = await visits[Who.OTHER].post(f"/problems/{ids['problem']}", fields)
    assert reply.status == 303
    submission = await home.ports.submissions.submission(reply.location.rpartition("/")[2])
    assert submission is not None
    assert submission.user_id != member.user.id
    assert submission.problem_id == int(ids["problem"])


async def test_cookies_are_for_this_site_and_not_for_scripts(tmp_path: Path) -> None:
    home = house(tmp_path, has_pages=True)
    visit = Visit(home)
    replies = [await visit.get("/"), await visit.register("member")]
    replies.append(await visit.post("/preferences", {"theme": "dark", "interface_language": "zh"}))
    replies.append(await visit.post("/logout"))
    seen = set()
    for reply in replies:
        for name, cookie in reply.cookies.items():
            seen.add(name)
            assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/"), cookie
            assert (cookie["domain"], cookie["secure"]) == ("", ""), cookie
    assert seen == {SESSION, VISIT, "deepoj_language", "deepoj_theme"}


@pytest.mark.parametrize(
    ("peer", "scheme", "is_secure"),
    [("192.0.2.1", "https", True), ("192.0.2.1", "HTTPS", True), ("192.0.2.1", "http", False),
     ("198.51.100.1", "https", False)],
)  # fmt: skip
async def test_a_cookie_is_secure_behind_a_trusted_proxy_with_tls(
    tmp_path: Path, peer: str, scheme: str, is_secure: bool
) -> None:
    home = house(tmp_path, has_pages=True, trusted_proxies=("192.0.2.0/24",))
    visit: Any = Visit(home, peer=peer)
    visit.headers["X-Forwarded-Proto"] = scheme
    for reply in (await visit.get("/"), await visit.register("member"), await visit.post("/logout")):
        assert reply.cookies
        for cookie in reply.cookies.values():
            assert bool(cookie["secure"]) is is_secure, cookie


async def test_a_wrong_password_and_an_unknown_name_get_the_same_page(tmp_path: Path) -> None:
    home = house(tmp_path, has_pages=True)
    await registered(home, "member")

    async def page(name: str) -> str:
        visit = Visit(home)
        reply = await visit.post("/login", {"username": name, "password": f"{PASSWORD}!", "next": "/"})
        assert reply.status == 401
        assert "WWW-Authenticate" not in reply.headers
        text = re.sub(r'data-time="server">[^<]*', "", re.sub(r'<time datetime="[^"]*"', "", reply.text))
        return text.replace(name, "NAME").replace(reply.form_token, "TOKEN")

    assert await page("member") == await page("unknown")


@pytest.mark.parametrize("scheme", ["https", "http", ""])
async def test_a_site_that_is_always_behind_tls_needs_no_header_of_the_proxy(tmp_path: Path, scheme: str) -> None:
    home = house(tmp_path, has_pages=True, always_encrypted=True)
    visit: Any = Visit(home)
    visit.headers["X-Forwarded-Proto"] = scheme
    reply = await visit.get("/login")
    assert reply.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert all(cookie["secure"] for cookie in (await visit.register("member")).cookies.values())


async def test_hsts_is_sent_to_whom_a_trusted_proxy_calls_encrypted_and_to_no_other(tmp_path: Path) -> None:
    home = house(tmp_path, has_pages=True, trusted_proxies=("192.0.2.0/24",))
    for peer, scheme, is_sent in (("192.0.2.1", "https", True), ("192.0.2.1", "http", False), ("::1", "https", False)):
        visit: Any = Visit(home, peer=peer)
        visit.headers["X-Forwarded-Proto"] = scheme
        for path in ("/", "/api/v1/health", "/nowhere"):
            assert ("Strict-Transport-Security" in (await visit.get(path)).headers) is is_sent, (peer, scheme, path)


async def test_form_token_is_masked_anew_in_each_answer_and_each_mask_is_taken(tmp_path: Path) -> None:
    """The bytes of the page that a guess could match are never the same twice (BREACH)."""
    visit = await registered(house(tmp_path, has_pages=True), "alice")
    tokens = [(await visit.get("/account")).form_token for _ in range(8)]
    assert len(set(tokens)) == len(tokens)
    shared = {token[at : at + 6] for token in tokens[:1] for at in range(len(token) - 5)}
    assert not any(part in token for part in shared for token in tokens[1:])
    for token in tokens:
        assert (await visit.post("/preferences", {"theme": "dark", "next": "/"}, form_token=token)).status == 303
    flipped = ("B" if tokens[0][0] == "A" else "A") + tokens[0][1:]
    for wrong in (flipped, tokens[0][:-4], tokens[0][:32] + tokens[1][32:], "", "é", "AAA", "A" * 64):
        assert (await visit.post("/preferences", {}, form_token=wrong)).status == 403, wrong
