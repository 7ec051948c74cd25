"""A contest from its making to its final result, in a real browser, by each of the four who meet it.

What is looked for are names of fields and acts, not words: the same steps are walked in both languages.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from deepoj.sample import accepted_source
from tests.e2e.nodes import VERDICT_S, WRONG, until
from tests.web.browser import PATIENCE_MS, Look, Watcher, chromium, watched
from tests.web.pages import Who
from tests.web.site import NAMES, PASSWORD, Site

LANGUAGE = "cpp17"
TEAMS = f"one,Team One,,,,{NAMES[Who.MEMBER]}\ntwo,Team Two,,,,{NAMES[Who.OTHER]}"
JUROR = "juror"
ONE = re.compile(r"^\s*1\s*$")
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


def act(page: Page, name: str) -> None:
    page.locator(f"button[name=act][value={name}]").first.click()


def submit(page: Page, path: str, code: str) -> None:
    """Submit a program to a problem of the contest, and wait for its verdict."""
    page.goto(path)
    page.locator("select[name=language]").first.select_option(LANGUAGE)
    expect(page.locator(".cm-content")).to_be_visible()
    page.locator(".cm-content").fill(code)
    page.locator(".submit-form button").first.click()
    page.wait_for_url(re.compile(r"/submissions/[0-9a-f-]{36}$"))
    expect(page.locator("[role=status] .verdict, [role=status].verdict").first).not_to_have_class(re.compile("waiting"))


def row(page: Page, team: str) -> Locator:
    return page.locator("tr", has=page.get_by_text(team, exact=True))


def solved(page: Page, team: str) -> Locator:
    """How many problems the board says that a team has solved."""
    return row(page, team).locator("td, th").nth(2)


@dataclass(frozen=True)
class Cast:
    """The four who meet a contest, two teams among them, and the contest's pages."""

    site: Site
    key: str
    director: Watcher
    team: Watcher
    other: Watcher
    spectator: Watcher
    jury: Watcher

    @property
    def path(self) -> str:
        return f"/contests/{self.key}"

    @property
    def manage(self) -> str:
        return f"/manage{self.path}"

    def is_over(self) -> bool:
        return self.site.node.client.get(f"/api/v1{self.path}").json()["state"]["ended_at"] is not None


@pytest.mark.full
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_contest_from_its_making_to_its_final_result(browser: Browser, site: Site, language: str) -> None:
    admin, look = make_juror(site), Look(language=language)
    with ExitStack() as stack:
        people = (Who.ADMIN, Who.MEMBER, Who.OTHER, Who.STRANGER, Who.STRANGER)
        cast = Cast(
            site,
            f"journey-{language}",
            *(stack.enter_context(watched(browser, site, who, look)) for who in people),
        )
        the_director_makes_the_contest_and_starts_it(cast)
        a_spectator_sees_the_board_move(cast)
        a_question_is_answered_to_all(cast)
        the_freeze_hides_a_solution(cast, admin)
        the_board_is_thawed_and_made_final(cast, admin)


def the_director_makes_the_contest_and_starts_it(cast: Cast) -> None:
    page = cast.director.page
    page.goto("/manage/contests")
    page.locator("#key").fill(cast.key)
    page.locator("#rules-name").fill("Journey")
    page.locator("#length").fill("5:00")
    page.locator("#freeze").fill("60")
    page.locator("form[action='/manage/contests'] button.main").click()
    page.wait_for_url(f"**{cast.manage}*")
    page.locator("#label").fill("A")
    page.locator("#problem_id").fill(cast.site.ids["problem"])
    act(page, "problem")
    expect(page.get_by_role("rowheader", name="A")).to_be_visible()
    page.goto(f"{cast.manage}/teams")
    page.locator("#list").fill(TEAMS)
    act(page, "teams")
    expect(row(page, "Team Two")).to_be_visible()
    cast.director.check_access()
    by_the_clock(cast, "start")


def by_the_clock(cast: Cast, name: str) -> None:
    """Do an act on the page of the clock, which asks first."""
    page = cast.director.page
    page.goto(f"{cast.manage}/clock")
    act(page, name)
    cast.director.check_access()
    page.locator("button[name=sure]").click()
    expect(page.locator(f"button[value={name}]")).to_have_count(0)


def a_spectator_sees_the_board_move(cast: Cast) -> None:
    board, team = cast.spectator.page, cast.team.page
    board.goto(f"{cast.path}/board")
    expect(row(board, "Team One")).to_be_visible()
    loads: list[str] = []
    board.on("load", lambda loaded: loads.append(loaded.url))
    submit(team, f"{cast.path}/problems/A", WRONG)
    submit(team, f"{cast.path}/problems/A", accepted_source())
    expect(solved(board, "Team One")).to_have_text(ONE)
    assert loads == [], "the board was loaded again"
    cast.spectator.check_access()
    team.goto(cast.path)
    cast.team.check_access()


def a_question_is_answered_to_all(cast: Cast) -> None:
    team, jury, other = cast.team.page, cast.jury.page, cast.other.page
    team.goto(f"{cast.path}/clarifications")
    team.locator("textarea[name=text]").fill("Is zero a number?")
    team.locator("form:has(textarea[name=text]) button").first.click()
    log_in(jury, JUROR)
    jury.goto(f"{cast.manage}/clarifications")
    expect(jury.get_by_text("Is zero a number?")).to_be_visible()
    cast.jury.check_access()
    answer = jury.locator("form:has([name=reply_to])").first
    answer.locator("textarea[name=text]").fill("It is.")
    answer.locator("[name=to_all]").first.check()
    answer.locator("button").first.click()
    expect(jury.locator("p.words", has_text="It is.")).to_be_visible()
    other.goto(f"{cast.path}/clarifications")
    expect(other.locator("p.words", has_text="Is zero a number?")).to_contain_text("It is.")


def the_freeze_hides_a_solution(cast: Cast, admin: dict[str, str]) -> None:
    frozen = cast.site.node.client.patch(f"/api/v1{cast.path}", json={"freeze_ms": 5 * 3_600_000}, headers=admin)
    frozen.raise_for_status()
    submit(cast.other.page, f"{cast.path}/problems/A", accepted_source())
    jury, board = cast.jury.page, cast.spectator.page
    jury.goto(f"{cast.manage}/scoreboard")
    expect(solved(jury, "Team Two")).to_have_text(ONE)
    board.goto(f"{cast.path}/board")
    expect(solved(board, "Team Two")).not_to_have_text(ONE)


def the_board_is_thawed_and_made_final(cast: Cast, admin: dict[str, str]) -> None:
    client, page, board = cast.site.node.client, cast.director.page, cast.spectator.page
    start = dt.datetime.fromisoformat(client.get(f"/api/v1{cast.path}").json()["start_at"])
    elapsed_ms = (dt.datetime.now(dt.UTC) - start) // dt.timedelta(milliseconds=1)
    change = {"duration_ms": elapsed_ms, "freeze_ms": elapsed_ms}
    client.patch(f"/api/v1{cast.path}", json=change, headers=admin).raise_for_status()
    until(cast.is_over, within_s=VERDICT_S, what="the end of the contest")
    page.goto(cast.manage)
    cast.director.check_access()
    by_the_clock(cast, "thaw")
    page.goto(cast.manage)
    page.locator(f"a[href='{cast.manage}/finalize']").click()
    cast.director.expected.add(400)
    page.locator("#comment").fill("Thanks to all.")
    page.locator("#confirm").fill("another")
    page.locator("button.danger").click()
    expect(page.get_by_role("alert")).to_contain_text(cast.key)
    cast.director.check_access()
    page.locator("#confirm").fill(cast.key)
    page.locator("button.danger").click()
    expect(page.get_by_text("Thanks to all.")).to_be_visible()
    board.goto(f"{cast.path}/board")
    expect(solved(board, "Team Two")).to_have_text(ONE)
    board.goto(cast.path)
    expect(board.get_by_text("Thanks to all.")).to_be_visible()
    cast.spectator.check_access()


def make_juror(site: Site) -> dict[str, str]:
    """Make the jury's account, once. Return the header of an administrator's requests."""
    chief = {"username": NAMES[Who.ADMIN], "password": PASSWORD}
    token = site.node.client.post("/api/v1/auth/login", json=chief).json()["token"]
    admin = {"Authorization": f"Bearer {token}"}
    made = site.node.client.post("/api/v1/auth/register", json={"username": JUROR, "password": PASSWORD})
    if made.status_code == 201:
        path = f"/api/v1/admin/users/{made.json()['id']}/roles"
        site.node.client.put(path, json={"roles": ["jury"]}, headers=admin).raise_for_status()
    return admin


def log_in(page: Page, name: str) -> None:
    page.goto("/login")
    page.locator("#username").fill(name)
    page.locator("#password").fill(PASSWORD)
    page.locator("form[action^='/login'] button").first.click()
    expect(page.locator("form[action='/logout'] button")).to_be_visible()
