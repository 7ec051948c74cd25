"""Chromium, and a watcher of each page in it: each fault that a browser sees fails the test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response, sync_playwright

from tests.web.pages import Shown, Who
from tests.web.site import Site
from tests.web.visits import Visit

#: transferred on a first visit, without the font of formulas, whose size tests/web/test_assets.py bounds
ORDINARY_BYTES, EDITOR_BYTES = 60_000, 220_000
#: for every step of a test: the machine may be busy
PATIENCE_MS = 60_000
_WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
#: of the browser's own: they leave no trace on the network
_OWN_SCHEMES = frozenset({"data", "blob", "about"})
#: runs before each page's own scripts: the console's errors are watched
_REPORT_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy violated: ${event.violatedDirective} by ${event.blockedURI || event.sample}`));
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a visitor's browser is set."""

    language: str = "en"
    theme: str = "light"
    width: int = 1400
    has_scripts: bool = True

    def __str__(self) -> str:
        return f"{self.language}-{self.theme}-{self.width}{'' if self.has_scripts else '-noscript'}"


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run Debian's Chromium. Playwright's own browser is not downloaded."""
    program = shutil.which("chromium")
    assert program is not None, "chromium is missing: `make test` installs tests/apt-packages.txt"
    with sync_playwright() as playwright:
        # Chromium's sandbox does not start as root; a container has a small /dev/shm
        arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


def profile_of(browser: Browser, visit: Visit, url: str) -> BrowserContext:
    """Return a browser profile with the cookies of a visit to the server at ``url``."""
    context = browser.new_context()
    context.add_cookies([{"name": name, "value": value, "url": url} for name, value in visit.cookies.items()])
    return context


@dataclass
class Watcher:
    """One page of a fresh browser profile, and what went wrong on it."""

    page: Page
    context: BrowserContext
    site: Site
    look: Look
    faults: list[str] = field(default_factory=list)
    #: statuses of refusals that the test provokes: the browser's console calls them errors
    expected: set[int] = field(default_factory=set)
    #: transferred since the last visit, without fonts
    received: int = 0
    #: fonts that were loaded from the site since the last visit: the requests that the browser gave them
    fonts: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        page, network = self.page, self.context.new_cdp_session(self.page)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.faults.append(f"an uncaught error: {error}"))
        page.on("dialog", self._dialog)
        page.on("request", self._request)
        page.on("response", self._response)
        network.on("Network.responseReceived", self._received)
        network.on("Network.loadingFinished", self._finished)
        network.send("Network.enable")

    def visit(self, shown: Shown) -> None:
        """Open a page for the first time: nothing is cached. Check its status."""
        self.received = 0
        self.fonts.clear()
        if shown.status != 200:
            self.expected.add(shown.status)
        response = self.page.goto(self.site.path(shown.path), wait_until="load")
        assert response is not None
        assert response.status == shown.status, f"{shown}: {response.status}"
        if shown.has_editor and self.look.has_scripts:
            self.page.locator(".cm-content").wait_for()

    def check(self, shown: Shown) -> None:
        """Add what is wrong with the page that is open, and its budget if it was just visited."""
        budget = EDITOR_BYTES if shown.has_editor else ORDINARY_BYTES
        if self.received > budget:
            self.faults.append(f"{self.received} bytes were transferred; the budget is {budget}")
        self.faults += _faults_of_shape(self.page)
        if self.look.has_scripts:  # axe is a script that waits for timers, which do not run then
            self.check_access()

    def check_access(self) -> None:
        """Add what axe finds against WCAG 2.2 AA and its best practices."""
        found = Axe().run(self.page, options={"runOnly": {"type": "tag", "values": _WCAG}}).response
        for violation in found["violations"]:
            nodes = [f"{node['html'][:160]} ({'; '.join(_why(node))})" for node in violation["nodes"][:3]]
            self.faults.append(f"axe {violation['id']}: {violation['help']}: {' | '.join(nodes)}")

    def _console(self, message: ConsoleMessage) -> None:
        text = message.text
        if any(f"status of {status}" in text for status in self.expected):
            return
        if message.type == "error" or "Refused to" in text or "Content Security Policy" in text:
            self.faults.append(f"in the console: {text} ({message.location.get('url')})")

    def _dialog(self, dialog: Any) -> None:
        self.faults.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in _OWN_SCHEMES and f"{parts.scheme}://{parts.netloc}" != self.site.base:
            self.faults.append(f"a request to {request.url}")

    def _response(self, response: Response) -> None:
        if response.status >= 500:
            self.faults.append(f"{response.status} from {response.url}")

    def _received(self, event: dict[str, Any]) -> None:
        if event["type"] == "Font":
            self.fonts.add(event["requestId"])

    def _finished(self, event: dict[str, Any]) -> None:
        if event["requestId"] not in self.fonts:
            self.received += int(event["encodedDataLength"])


@contextmanager
def watched(browser: Browser, site: Site, who: Who, look: Look | None = None) -> Iterator[Watcher]:
    """Open a page in a profile of its own, with the visitor's session. AssertionError for each fault, at the end."""
    look = look or Look()
    context = browser.new_context(
        base_url=site.base,
        locale={"en": "en-US", "zh": "zh-CN"}[look.language],
        color_scheme="dark" if look.theme == "dark" else "light",
        viewport={"width": look.width, "height": 900},
        java_script_enabled=look.has_scripts,
    )
    context.set_default_timeout(PATIENCE_MS)
    try:
        if who in site.sessions:
            context.add_cookies([{"name": "deepoj_session", "value": site.sessions[who], "url": site.base}])
        context.add_init_script(_REPORT_VIOLATIONS)
        watcher = Watcher(context.new_page(), context, site, look)
        yield watcher
        assert watcher.faults == [], f"on {watcher.page.url}:\n" + "\n".join(watcher.faults)
    finally:
        context.close()


def _why(node: dict[str, Any]) -> list[str]:
    return [str(check["message"]) for check in (*node["any"], *node["all"], *node["none"])]


def _faults_of_shape(page: Page) -> Iterator[str]:
    """Yield what is wrong with the page's frame: headings, title, width."""
    headings = page.locator("h1").count()
    if headings != 1:
        yield f"{headings} elements h1"
    if not page.title().strip(" ·").removesuffix("Deep-OJ").strip(" ·"):
        yield f"the title is {page.title()!r}"
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if wide > 0:
        yield f"the page is {wide} px wider than the window"
