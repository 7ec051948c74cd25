"""What scripts and print style do, in Chromium: keys, dropped files, copies, what rests in a hidden tab, clocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, JSHandle, Page, Route, expect

from deepoj.sample import accepted_source
from deepoj.web.assets import Assets
from tests.web.browser import PATIENCE_MS, Look, chromium, watched
from tests.web.pages import Who
from tests.web.planted import Planted, planted
from tests.web.site import PASSWORD, Site
from tests.web.test_journey import register

expect.set_options(timeout=PATIENCE_MS)
_DRAFTS = "Object.keys(localStorage).filter((key) => key.startsWith('deepoj:draft')).length"
_STREAM = "**/manage/system/events"
_HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
#: lets the clock of the reader be 125 seconds ahead of the machine's
_AHEAD = """
const now = Date.now;
Date.now = () => now() + 125_000;
Object.defineProperty(performance, "timeOrigin", { value: performance.timeOrigin + 125_000 });
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


def dragged(page: Page, name: str, text: str) -> JSHandle:
    """Return what a browser hands over when a file is dragged into its window."""
    return page.evaluate_handle(
        """([name, text]) => {
          const data = new DataTransfer();
          data.items.add(new File([text], name));
          return data;
        }""",
        [name, text],
    )


def drop(page: Page, selector: str, name: str, text: str) -> None:
    page.dispatch_event(selector, "drop", {"dataTransfer": dragged(page, name, text)})


def test_slash_goes_to_search_and_control_enter_submits(browser: Browser, site: Site) -> None:
    with watched(browser, site, Who.MEMBER) as watcher:
        page = watcher.page
        page.goto("/problems")
        page.keyboard.press("/")
        expect(page.get_by_label("Search", exact=True)).to_be_focused()
        page.keyboard.type("A/B")
        expect(page.get_by_label("Search", exact=True)).to_have_value("A/B")
        page.goto(site.path("/problems/{problem}"))
        code = page.get_by_label("Code", exact=True)
        code.fill(accepted_source())
        code.press("Control+Enter")
        page.wait_for_url(re.compile(r"/submissions/[0-9a-f-]{36}$"))


def test_file_that_is_dropped_on_the_editor_becomes_its_text(browser: Browser, site: Site) -> None:
    with watched(browser, site, Who.MEMBER) as watcher:
        page = watcher.page
        page.goto(site.path("/problems/{problem}"))
        drop(page, ".cm-content", "a.py", "print(3)  # dropped")
        expect(page.get_by_label("Code", exact=True)).to_contain_text("# dropped")


@pytest.mark.parametrize(
    ("path", "beside", "field"),
    [("/manage/problems", "#title", "#package"), ("/manage/users/import", "#people", "#file")],
)
def test_file_that_is_dropped_on_a_form_is_chosen(
    browser: Browser, site: Site, path: str, beside: str, field: str
) -> None:
    with watched(browser, site, Who.ADMIN) as watcher:
        page = watcher.page
        page.goto(path)
        page.dispatch_event(beside, "dragover", {"dataTransfer": dragged(page, "p.zip", "PK")})
        expect(page.locator("form.dropping")).to_have_count(1)
        drop(page, beside, "p.zip", "PK")
        expect(page.locator("form.dropping")).to_have_count(0)
        assert page.evaluate(f"[...document.querySelector('{field}').files].map((file) => file.name)") == ["p.zip"]
        page.dispatch_event(beside, "dragover", {"dataTransfer": dragged(page, "p.zip", "PK")})
        page.dispatch_event("h1", "dragover", {"dataTransfer": dragged(page, "p.zip", "PK")})
        expect(page.locator("form.dropping")).to_have_count(0)


def test_samples_and_tokens_are_copied_by_their_buttons(browser: Browser, site: Site) -> None:
    with watched(browser, site, Who.STRANGER, Look(width=390)) as watcher:
        page = watcher.page
        watcher.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.goto(site.path("/problems/{problem}"))
        copy = page.get_by_role("button", name="Copy", exact=True)
        copy.first.click()
        expect(page.get_by_role("button", name="Copied", exact=True)).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()") == page.locator("#sample-1-input").text_content()
        register(page, "copying")
        page.goto("/account")
        page.get_by_label("What the token is for").fill("laptop")
        page.get_by_label("Your password, for the token").fill(PASSWORD)
        page.get_by_role("button", name="Make a token").click()
        page.get_by_role("button", name="Copy", exact=True).click()
        expect(page.get_by_role("button", name="Copied", exact=True)).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()") == page.locator("#secret").text_content()


def test_stream_is_closed_while_its_tab_is_hidden_and_opened_again(browser: Browser, site: Site) -> None:
    with watched(browser, site, Who.ADMIN) as watcher:
        page = watcher.page
        with page.expect_request(_STREAM):
            page.goto("/manage/system")
        expect(page.locator("[data-sse-connect]")).to_have_attribute("data-live", "open")
        with page.expect_event("requestfailed", lambda request: request.url.endswith(_STREAM[2:])):
            page.evaluate(_HIDE, True)
        with page.expect_request(_STREAM):
            page.evaluate(_HIDE, False)


def _page(piece: str) -> Planted:
    script = Assets.load().url("app.js")
    head = f'<!doctype html><html lang=en><title>x</title><script src="{script}" defer></script>'
    return Planted(f"{head}<h1>x</h1>{piece}</html>".encode(), {"Content-Type": "text/html"})


@pytest.mark.parametrize("trigger", ["every 100ms", "load delay:100ms"])
def test_polling_rests_while_the_tab_is_hidden(browser: Browser, trigger: str) -> None:
    poller = f'<div id=state data-hx-get="/state" data-hx-trigger="{trigger}" data-hx-swap=outerHTML>{{}}</div>'
    with planted(browser, {"/x": _page(poller.format("first"))}) as watcher:
        page, asked = watcher.page, []

        def answer(route: Route) -> None:
            asked.append(route.request.url)
            route.fulfill(status=200, content_type="text/html", body=poller.format(f"answer {len(asked)}"))

        watcher.context.route("**/state", answer)
        page.goto("http://pages.test/x")
        expect(page.locator("#state")).to_contain_text("answer 3")
        page.evaluate(_HIDE, True)
        page.wait_for_timeout(300)  # an answer may be under way
        before = len(asked)
        page.wait_for_timeout(1000)
        assert len(asked) == before
        page.evaluate(_HIDE, False)
        expect(page.locator("#state")).to_contain_text(f"answer {before + 3}")


def test_drafts_are_kept_until_their_account_logs_out(browser: Browser, site: Site) -> None:
    with watched(browser, site, Who.STRANGER) as watcher:
        page = watcher.page
        register(page, "drafting")
        page.goto(site.path("/problems/{problem}"))
        page.get_by_label("Code", exact=True).fill("print('a draft')")
        page.reload()
        expect(page.get_by_label("Code", exact=True)).to_contain_text("a draft")
        assert page.evaluate(_DRAFTS) == 1
        page.get_by_role("button", name="Log out", exact=True).click()
        expect(page.get_by_role("link", name="Log in", exact=True).first).to_be_visible()
        assert page.evaluate(_DRAFTS) == 0


def test_theme_is_shown_at_once_and_kept(browser: Browser, site: Site) -> None:
    with watched(browser, site, Who.STRANGER) as watcher:
        page = watcher.page
        page.goto("/")
        light = page.evaluate("getComputedStyle(document.body).backgroundColor")
        with page.expect_response("**/preferences"):
            page.get_by_label("Theme", exact=True).select_option("dark")
            assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
        page.reload()
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_interface_language_changes_at_once(browser: Browser, site: Site) -> None:
    with watched(browser, site, Who.STRANGER) as watcher:
        page = watcher.page
        page.goto("/problems")
        page.get_by_label("Interface language", exact=True).select_option("zh")
        expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
        assert urlsplit(page.url).path == "/problems"


def test_footer_shows_the_clock_of_the_server_and_no_difference_that_is_none(browser: Browser, site: Site) -> None:
    with watched(browser, site, Who.STRANGER) as watcher:
        page, clock = watcher.page, watcher.page.locator("[data-server-clock]")
        page.goto("/runbook")
        expect(clock).to_contain_text("The server's clock:", use_inner_text=True)
        assert "your clock" not in clock.inner_text()
        shown = clock.inner_text()
        expect(clock).not_to_have_text(shown, use_inner_text=True)
    with watched(browser, site, Who.STRANGER, Look(has_scripts=False)) as watcher:
        watcher.page.goto("/runbook")
        text = watcher.page.locator("[data-server-clock]").inner_text()
        assert re.fullmatch(r"This page was made at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", text)


def test_footer_says_how_much_the_clock_of_the_reader_differs(browser: Browser, site: Site) -> None:
    with watched(browser, site, Who.STRANGER) as watcher:
        watcher.context.add_init_script(_AHEAD)
        watcher.page.goto("/runbook")
        clock = watcher.page.locator("[data-server-clock]")
        expect(clock).to_contain_text("The server's clock:", use_inner_text=True)
        assert clock.inner_text().endswith("your clock is ahead by 2 minutes")


def test_page_that_the_browser_had_kept_shows_the_time_of_now(browser: Browser, site: Site) -> None:
    def made_long_ago(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=re.sub(r"(\"server-time\" content=\")\d{4}", r"\g<1>2001", answer.text()))

    with watched(browser, site, Who.STRANGER) as watcher:
        page = watcher.page
        page.route("**/runbook", made_long_ago)
        page.goto("/runbook")
        clock = page.locator("[data-server-clock]")
        expect(clock).to_contain_text("The server's clock:", use_inner_text=True)
        assert "your clock" not in clock.inner_text()
        age_s = page.evaluate("(Date.now() - Date.parse(document.querySelector('[data-server-clock] time').dateTime))")
        assert abs(age_s) < 5000


def test_printed_problem_is_its_statement(browser: Browser, site: Site) -> None:
    with watched(browser, site, Who.MEMBER) as watcher:
        page = watcher.page
        page.goto(site.path("/problems/{problem}"))
        hidden = [page.locator(part) for part in ("header.site", "footer.site", ".solve", ".skip")]
        copy = page.get_by_role("button", name="Copy", exact=True).first
        expect(copy).to_be_visible()
        page.emulate_media(media="print")
        for part in (*hidden, copy):
            expect(part).to_be_hidden()
        expect(page.locator(".statement h2").first).to_be_visible()
