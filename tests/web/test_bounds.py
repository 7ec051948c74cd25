"""Forms and sources that cost much, requests that are not counted, sessions that do not end: found by reading."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from deepoj.api.settings import RateLimit
from deepoj.contests.ledger import ContestLedger
from deepoj.web.pages.home import own_path
from tests.api.house import PASSWORD, house, package
from tests.contract.labs import PgLab
from tests.fakes.settings import rate_limit
from tests.web.contest_scene import arena, rules
from tests.web.scene import add_problem
from tests.web.surfer import member
from tests.web.test_big_board import big_contest
from tests.web.visits import SESSION, Visit, registered


async def test_a_form_of_very_many_fields_is_refused(tmp_path: Path) -> None:
    visit = await registered(house(tmp_path, has_pages=True), "alice")
    reply = await visit.post("/preferences", {f"f{number}": "" for number in range(100)})
    assert (reply.status, "BAD_REQUEST" in reply.text) == (400, True)


async def test_a_source_made_for_a_highlighter_is_shown_at_once(tmp_path: Path) -> None:
    home = house(tmp_path, has_pages=True)
    visit = await registered(home, "alice")
    problem = await home.problem()
    source = f"a{' ' * 60_000}b\n\n<i>"
    sent = await visit.post(f"/problems/{problem}", {"language": "cpp17", "code": source})
    assert sent.status == 303, sent.text
    began = time.process_time()
    shown = await visit.get(sent.location)
    # a pattern with a square of steps took minutes; this takes milliseconds
    assert time.process_time() - began < 5
    assert source.replace("<i>", "&lt;i&gt;") in shown.text
    assert "1\n2\n3</pre>" in shown.text


def test_an_address_that_is_none_leads_home() -> None:
    assert own_path("//[") == "/"
    assert own_path("/problems?after=3") == "/problems?after=3"


async def test_a_place_beyond_the_calendar_is_the_first_page(tmp_path: Path) -> None:
    visit = await registered(house(tmp_path, has_pages=True), "alice")
    assert (await visit.get("/submissions?before=999999999999999999-1")).status == 200


async def test_a_page_that_is_refused_for_its_rate_reads_no_session(tmp_path: Path) -> None:
    few = RateLimit(ip_limit=2, user_limit=2, window_s=600.0)
    home = house(tmp_path, has_pages=True, rate=few)
    visit = await registered(home, "alice")
    statuses = [(await visit.get("/problems")).status for _ in range(3)]
    assert statuses == [200, 200, 429]
    home.store.down = True
    assert (await visit.get("/problems")).status == 429
    assert (await visit.post("/account/password", {}, form_token="")).status == 429


async def test_requests_with_a_cookie_use_up_nothing_of_the_quota_of_tokens(tmp_path: Path) -> None:
    """Whether its session has ended is not asked before a request is counted: a stolen cookie may be an old one."""
    few = RateLimit(ip_limit=100, user_limit=2, window_s=600.0)
    home = house(tmp_path, has_pages=True, rate=few)
    visit = await registered(home, "alice")
    assert [(await visit.get("/problems")).status for _ in range(3)] == [200, 200, 429]
    answer = await home.ask("GET", "/api/v1/users/me", token=await home.token_of("alice"))
    assert answer.status_code == 200


async def test_a_school_behind_one_address_reaches_the_login(tmp_path: Path) -> None:
    home = house(tmp_path, has_pages=True, rate=RateLimit(ip_limit=2, user_limit=0, window_s=600.0))
    for _ in range(5):
        pupil = Visit(home)
        assert [(await pupil.get(path)).status for path in ("/", "/login", "/register")] == [200, 200, 200]


@pytest.mark.parametrize("postgres", ["embedded"], indirect=True)
async def test_spectators_behind_one_address_open_a_contest_and_its_board(tmp_path: Path, real: PgLab) -> None:
    """With the default limits: members behind one address are counted by account, spectators have none."""
    place = await arena(tmp_path, real, rate=rate_limit())
    await place.hold("hall", rules(100.0), [])
    statuses: Counter[int] = Counter()
    for _ in range(300):
        spectator = Visit(place.home)
        for path in ("", "/hall", "/hall/scoreboard", "/hall/submissions", "/hall/clarifications"):
            statuses[(await spectator.get(f"/contests{path}")).status] += 1
    assert statuses == {200: 1500}
    flood = [(await Visit(place.home).get("/contests/hall/board")).status for _ in range(301)]
    assert flood == [303] * 300 + [429], "a flood ends, too"


@pytest.mark.parametrize("postgres", ["embedded"], indirect=True)
async def test_later_pages_of_submissions_are_counted_as_other_pages_and_show_only_theirs(
    tmp_path: Path, real: PgLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = await arena(tmp_path, real, rate=RateLimit(ip_limit=4, user_limit=0, window_s=600.0))
    await big_contest(place)
    shown: Counter[str] = Counter()
    former = ContestLedger.current_judgement

    def counted(ledger: ContestLedger, submission_id: str) -> str | None:
        shown[submission_id] += 1
        return former(ledger, submission_id)

    looks = []
    for query in ("", "?after=4300", "?after=2000000000", "?after=4300", ""):  # the first reads the contest
        monkeypatch.setattr(ContestLedger, "current_judgement", counted if query else former)
        reply = await Visit(place.home).get(f"/contests/big/submissions{query}")
        looks.append((reply.status, reply.text.count('data-news="verdict-')))
    assert looks == [(200, 100), (200, 100), (200, 0), (200, 100), (200, 100)]
    assert len(shown) == 101, "one more than a page tells whether there is a next one"
    assert (await Visit(place.home).get("/contests/big/submissions?after=100")).status == 429


@pytest.mark.parametrize("postgres", ["embedded"], indirect=True)
@pytest.mark.parametrize(
    "pages",
    [("/contests/{}/scoreboard", "/contests/{}/scoreboard.csv"), ("/clics/contests/{}/state", "/clics/contests/{}")],
)
async def test_contests_that_a_node_does_not_keep_are_counted_as_other_pages(
    tmp_path: Path, real: PgLab, pages: tuple[str, ...]
) -> None:
    place = await arena(tmp_path, real, rate=RateLimit(ip_limit=2, user_limit=2, window_s=600.0))
    for key in ("one", "two", "three", "four", "five"):
        await place.hold(key, rules(100.0), [])
    looks = [
        (await Visit(place.home).get(page.format(key))).status
        for key in ("one", "two", "one", "three", "two")
        for page in pages
    ]
    assert looks == [200] * 6 + [429] * 2 + [200] * 2
    token = await place.home.token("amy")
    asked = [await place.home.ask("GET", f"/clics/contests/{key}", token=token) for key in ("three", "four", "five")]
    assert [answer.status_code for answer in asked] == [200, 200, 429], "an account's are its own"


async def test_spectators_use_up_nothing_of_their_addresses_other_requests(tmp_path: Path) -> None:
    home = house(tmp_path, has_pages=True, rate=RateLimit(ip_limit=1, user_limit=2, window_s=600.0))
    assert [(await Visit(home).get("/contests")).status for _ in range(31)] == [200] * 30 + [429]
    assert [(await Visit(home).get("/problems")).status for _ in range(2)] == [200, 429]
    visit = await registered(home, "alice")
    assert [(await visit.get("/contests")).status for _ in range(3)] == [200, 200, 429], "members: by account"


async def test_the_cookie_of_a_session_that_is_too_old_counts_as_none(tmp_path: Path) -> None:
    home = house(tmp_path, has_pages=True)
    visit = await registered(home, "alice")
    user, epoch, begun, secret, mac = visit.cookies[SESSION].split(".")
    assert abs(time.time() - int(begun)) < 60
    visit.cookies[SESSION] = ".".join((user, epoch, str(int(begun) + 1), secret, mac))
    assert (await visit.get("/account")).location.startswith("/login"), "the time is signed"


async def test_a_new_password_ends_other_sessions_and_says_so(tmp_path: Path) -> None:
    home = house(tmp_path, has_pages=True)
    visit = await registered(home, "alice")
    other = Visit(home)
    assert (await other.log_in("alice")).status == 303
    fields = {"password": PASSWORD, "new_password": "another password"}
    reply = await visit.post("/account/password", fields)
    assert reply.status == 303, reply.text
    assert "Your password is changed." in (await visit.get(reply.location)).text
    assert (await other.get("/account")).location.startswith("/login")


async def test_a_reset_right_after_a_password_change_ends_the_session_of_the_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = house(tmp_path, has_pages=True)
    visit = await registered(home, "alice")
    change = home.store.change_password

    async def change_before_a_reset(user_id: int, password_hash: str, *, epoch: int) -> int | None:
        changed = await change(user_id, password_hash, epoch=epoch)
        await home.store.set_password(user_id, "of an administrator")
        return changed

    monkeypatch.setattr(home.store, "change_password", change_before_a_reset)
    reply = await visit.post("/account/password", {"password": PASSWORD, "new_password": "another password"})
    assert reply.status == 303, reply.text
    assert (await visit.get("/account")).location.startswith("/login")


async def test_a_new_administrator_by_registration_is_in_the_log(tmp_path: Path) -> None:
    home = house(tmp_path, has_pages=True, admin_users=frozenset({"root"}), admin_registration_open=True)
    visit = await registered(home, "root")
    assert "root" in (await visit.get("/manage/audit")).text.partition("<main")[2]


async def test_the_home_page_of_strangers_costs_no_statement_for_some_seconds(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    home = house(tmp_path, has_pages=True)
    await home.problem()
    assert "A+B" in (await Visit(home).get("/")).text
    alice = await registered(home, "alice")
    home.store.down = True
    assert "A+B" in (await Visit(home).get("/")).text
    home.store.down = False
    await add_problem(home, title="New one")
    assert "New one" not in (await Visit(home).get("/")).text
    assert "New one" in (await alice.get("/")).text
    await trio.sleep(6)
    assert "New one" in (await Visit(home).get("/")).text


async def test_outputs_are_taken_as_a_text_or_as_a_zip(tmp_path: Path) -> None:
    home = house(tmp_path, has_pages=True)
    alice, number = await member(home, "alice"), await home.problem()
    assert '<input type="hidden" name="language" value="text">' in await alice.get(f"/problems/{number}")
    fields = {"language": "text", "code": "", "stdin": ""}
    path = await alice.post(f"/problems/{number}", fields, file=package({"1.out": "3\n", "2.out": "4 < 5\n"}))
    shown = await alice.get(path)
    assert "<code>2.out</code>" in shown
    assert "4 &lt; 5" in shown
    assert "42\n" in await alice.get(await alice.post(f"/problems/{number}", {**fields, "code": "42\n"}))
    assert "archive" in await alice.post(f"/problems/{number}", fields, file=b"PK\3\4 no zip", status=400)
