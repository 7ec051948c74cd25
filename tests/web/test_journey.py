"""A newcomer's first steps in a real browser, and one look at each page. The rest is in test_pages.py.

Playwright's synchronous functions run in the test's own thread. Its loop must not outlive this file: other files start
loops of their own in this process.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, FloatRect, Page, expect

from deepoj.sample import accepted_source
from deepoj.web.assets import Assets
from tests.api.house import package
from tests.e2e.nodes import BROKEN, WRONG
from tests.web.browser import PATIENCE_MS, Look, chromium, watched
from tests.web.pages import PAGES, Shown, Who
from tests.web.site import PASSWORD, Site

LANGUAGE = "cpp17"
expect.set_options(timeout=PATIENCE_MS)
#: the state of each font that the style sheets name
_FONTS = "document.fonts.ready.then((fonts) => [...fonts].map((font) => font.status))"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


def log_in(page: Page, name: str, password: str = PASSWORD) -> None:
    page.get_by_label("Username", exact=True).fill(name)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Log in", exact=True).click()


def register(page: Page, name: str) -> None:
    page.goto("/")
    page.get_by_role("link", name="Register", exact=True).first.click()
    page.get_by_label("Username", exact=True).fill(name)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Register", exact=True).click()
    expect(page.get_by_role("button", name="Log out", exact=True)).to_be_visible()


def submit(page: Page, code: str, *, has_scripts: bool = True) -> None:
    """Go to A+B by the list of problems, and submit the program there."""
    page.get_by_role("link", name="Problems", exact=True).first.click()
    page.get_by_role("link", name="A+B").first.click()
    page.get_by_label("Language", exact=True).select_option(LANGUAGE)
    if has_scripts:  # the text area is hidden once the editor is there
        expect(page.locator(".cm-content")).to_be_visible()
    page.get_by_label("Code", exact=True).fill(code)
    page.get_by_role("button", name="Submit", exact=True).click()
    page.wait_for_url(re.compile(r"/submissions/[0-9a-f-]{36}$"))


def sees(page: Page, verdict: str) -> None:
    """Wait until the page says the verdict, in its first status: that is what a screen reader announces."""
    expect(page.get_by_role("status").first).to_have_text(re.compile(rf"^\s*{verdict}\b"))


def test_a_newcomer_registers_submits_and_sees_each_test_without_reload(browser: Browser, site: Site) -> None:
    with watched(browser, site, Who.STRANGER) as watcher:
        page = watcher.page
        register(page, "newcomer")
        submit(page, accepted_source())
        loads: list[str] = []
        page.on("load", lambda loaded: loads.append(loaded.url))
        sees(page, "Accepted")
        expect(page).to_have_title("Accepted · A+B · Deep-OJ")
        tests = page.get_by_role("row").filter(has=page.get_by_role("rowheader"))
        expect(tests).not_to_have_count(0)
        for row in tests.all():
            expect(row).to_contain_text("Accepted")
        expect(page.get_by_label("Tests", exact=True).first.get_by_role("listitem")).to_have_count(tests.count())
        # the page stays where it is: what ended is its stream
        page.wait_for_timeout(1500)
        assert loads == [], "the page was loaded again"
        watcher.check_access()
        source = page.locator("pre[data-language]")
        expect(source.locator(".tok-keyword, .tok-typeName").first).to_be_visible()
        assert source.text_content() == accepted_source()

        page.get_by_role("link", name="Resubmit", exact=True).click()
        expect(page.locator(".cm-content")).to_be_visible()
        page.get_by_role("button", name="Run on samples", exact=True).click()
        expect(page.get_by_role("status").first).to_have_text(re.compile("1 of 1 samples passed"))
        watcher.check_access()

        submit(page, WRONG)
        sees(page, "Wrong Answer")
        submit(page, BROKEN)
        sees(page, "Compile Error")
        expect(page.get_by_text("undeclared_name").first).to_be_visible()

        page.get_by_role("button", name="Log out", exact=True).click()
        expect(page.get_by_role("link", name="Log in", exact=True).first).to_be_visible()
        watcher.expected.add(401)
        page.goto("/login?next=//elsewhere.example/")
        log_in(page, "newcomer", "not the password")
        expect(page.get_by_role("alert")).to_be_visible()
        expect(page.get_by_label("Username", exact=True)).to_have_value("newcomer")
        log_in(page, "newcomer")
        expect(page.get_by_role("button", name="Log out", exact=True)).to_be_visible()
        assert page.url == f"{site.base}/"
        page.get_by_role("button", name="Log out", exact=True).click()
        page.goto(site.path("/problems/{problem}"))
        page.locator("main").get_by_role("link", name="Log in", exact=True).click()
        log_in(page, "newcomer")
        page.wait_for_url(site.path("**/problems/{problem}"))
        expect(page.get_by_role("button", name="Submit", exact=True)).to_be_visible()


def test_a_newcomer_without_scripts_sees_the_verdict(browser: Browser, site: Site) -> None:
    with watched(browser, site, Who.STRANGER, Look(has_scripts=False)) as watcher:
        register(watcher.page, "scriptless")
        submit(watcher.page, accepted_source(), has_scripts=False)
        sees(watcher.page, "Accepted")


#: a page of each kind; test_pages.py looks at all
SOME = [
    shown
    for shown in PAGES
    if str(shown) in ("home-member", "problem", "submission-wrong", "manage-users", "manage-system")
]


@pytest.mark.parametrize("shown", SOME, ids=str)
def test_a_page_is_sound(browser: Browser, site: Site, shown: Shown) -> None:
    with watched(browser, site, shown.who) as watcher:
        watcher.visit(shown)
        watcher.check(shown)


#: a page with a fault → what is said of it
_FAULTY = {
    "<script>console.error('out of order')</script>": "in the console: out of order",
    "<script>throw new Error('out of order')</script>": "an uncaught error: ",
    "<script>alert('out of order')</script>": "a dialog: out of order",
    "<script>fetch('http://elsewhere.example/').catch(() => 0)</script>": "a request to http://elsewhere.example/",
    "<style>p { color: red }</style>": "policy violated: style-src-elem",
    "<img src=data:image/gif;base64,R0lGODlhAQABAAAAACw=>": "axe image-alt",
    "<h1>Another heading</h1>": "2 elements h1",
    "<div class=wide></div>": "px wider than the window",
}


@pytest.mark.parametrize(("piece", "complaint"), _FAULTY.items(), ids=_FAULTY.values())
def test_the_watcher_sees_a_fault(browser: Browser, site: Site, piece: str, complaint: str) -> None:
    policy = "default-src 'self' 'unsafe-inline' http://elsewhere.example; img-src data:"
    if "<style>" in piece:
        policy += "; style-src 'self'"
    headers = {"Content-Type": "text/html", "Content-Security-Policy": policy}
    html = f"<!doctype html><html lang=en><title>Planted</title><main><h1>Planted</h1>{piece}</main></html>"
    html = html.replace("<div class=wide>", "<div style='width: 3000px; height: 1px'>")
    planted = Shown(path="/planted", who=Who.STRANGER)
    with pytest.raises(AssertionError, match=complaint), watched(browser, site, planted.who) as watcher:
        watcher.page.route("**/planted", lambda route: route.fulfill(status=200, headers=headers, body=html))
        watcher.visit(planted)
        watcher.check(planted)


def test_the_watcher_sees_an_answer_of_a_broken_server(browser: Browser, site: Site) -> None:
    planted = Shown(path="/planted", who=Who.STRANGER, status=503)
    with pytest.raises(AssertionError, match="503 from "), watched(browser, site, planted.who) as watcher:
        watcher.page.route("**/planted", lambda route: route.fulfill(status=503, body="<title>x</title>"))
        watcher.visit(planted)


def test_the_watcher_counts_what_is_transferred(browser: Browser, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.web.browser.ORDINARY_BYTES", 1000)
    home = PAGES[0]
    with pytest.raises(AssertionError, match="the budget is 1000"), watched(browser, site, home.who) as watcher:
        watcher.visit(home)
        watcher.check(home)


def test_formulas_alone_load_the_font_and_are_set_by_it(browser: Browser, site: Site) -> None:
    """A font of the reader's system that can set them is taken instead."""
    raised = "<msup><mn id=base>10</mn><mn id=raised>18</mn></msup>"
    lines = "<mtr><mtd><mn>1</mn></mtd></mtr>" * 6
    tall = f"<mo id=brace>{{</mo><mtable id=rows>{lines}</mtable>"
    html = (
        f'<!doctype html><html lang=en><link rel=stylesheet href="{Assets.load().url("site.css")}"><title>x</title>'
        f"<h1>x</h1><div class=rendered><math><mrow>{raised}</mrow></math><math><mrow>{tall}</mrow></math></div>"
    )
    planted, plain = Shown(path="/planted", who=Who.STRANGER), PAGES[0]
    with watched(browser, site, planted.who) as watcher:
        page = watcher.page
        watcher.visit(plain)
        assert page.evaluate(_FONTS) == ["unloaded"]
        assert watcher.fonts == set()
        page.route("**/planted", lambda route: route.fulfill(status=200, content_type="text/html", body=html))
        watcher.visit(planted)
        page.evaluate("document.fonts.ready")
        assert page.evaluate(_FONTS) == ["loaded"]
        base, high, brace, rows = (_box(page, name) for name in ("base", "raised", "brace", "rows"))
        assert base["y"] - high["y"] < base["height"] / 2
        assert brace["height"] >= rows["height"] * 0.9


def _box(page: Page, name: str) -> FloatRect:
    box = page.locator(f"#{name}").bounding_box()
    assert box is not None
    return box


#: notes every text of the progress that a person could see, across pages
_NOTE_PROGRESS = """() => {
  const place = document.querySelector(".upload-progress");
  const note = () => {
    const seen = place.hidden ? "" : place.innerText.trim();
    sessionStorage.seen = (sessionStorage.seen ?? "") + seen + "\\n";
  };
  new MutationObserver(note).observe(place, { attributes: true, childList: true, subtree: true });
}"""


def seen_of(page: Page) -> str:
    return str(page.evaluate("sessionStorage.seen"))


def test_a_package_shows_how_far_it_is_sent_and_the_page_after_it_comes(browser: Browser, site: Site) -> None:
    with watched(browser, site, Who.ADMIN) as watcher:
        page = watcher.page
        page.goto(site.base + "/manage/problems")
        expect(page.locator(".upload-progress")).to_be_hidden()
        page.evaluate(_NOTE_PROGRESS)
        page.get_by_label("Title", exact=True).fill("With progress")
        file = {"name": "p.zip", "mimeType": "application/zip", "buffer": package()}
        page.locator("#package").set_input_files(file)  # type: ignore[arg-type]
        page.get_by_role("button", name="Upload").click()
        page.wait_for_url("**/manage/problems/*")
        expect(page.get_by_role("heading", level=1)).to_contain_text("With progress")
        assert "Sent: " in seen_of(page)
        assert "Sent. The server is at work on it …" in seen_of(page)


def test_people_are_shown_once_after_a_connection_that_broke(browser: Browser, site: Site) -> None:
    with watched(browser, site, Who.ADMIN) as watcher:
        page = watcher.page
        page.goto(site.base + "/manage/users/import")
        page.evaluate(_NOTE_PROGRESS)
        page.get_by_label("or lines").fill("progressing\nprogressed")
        page.route("**/manage/users/import", lambda route: route.abort())
        button = page.get_by_role("button", name="Create accounts")
        button.click()
        expect(page.get_by_text("The connection broke. Try again.")).to_be_visible()
        watcher.faults = [fault for fault in watcher.faults if "net::ERR_FAILED" not in fault]
        page.unroute("**/manage/users/import")
        button.click()
        expect(page.get_by_text("2 accounts are created")).to_be_visible()
        expect(page.get_by_text("progressing")).to_be_visible()
        assert "Sent. The server is at work on it … 2 / 2" in seen_of(page)
        watcher.check_access()
