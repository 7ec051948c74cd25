"""Pictures of the pages: ``python -m tests.web.screenshots`` (make screenshots), into build/screenshots.

Each page of ``tests.web.pages`` and a submission that is being judged: 390 and 1,400 px wide, light and dark, in
English and Chinese. ``--chosen DIRECTORY`` writes the pictures of the README, small ones, instead.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser

from tests.e2e.nodes import ROOT, SLEEPS
from tests.web.browser import Look, chromium, watched
from tests.web.pages import PAGES, Shown, Who
from tests.web.png import quantised
from tests.web.site import NAMES, PASSWORD, Site, running_site

_RUNNING = Shown(path="/submissions/{running}", who=Who.MEMBER, name="submission-running")
_WIDE = 1100
#: what the README shows: a name of a page, and how it is looked at
_CHOSEN = (
    ("problem", Look(width=_WIDE)),
    ("problem", Look(language="zh", width=390)),
    ("submission-accepted", Look(width=_WIDE)),
    ("submission-wrong", Look(theme="dark", width=_WIDE)),
    ("playground-run", Look(theme="dark", width=_WIDE)),
    ("users-member", Look(width=_WIDE)),
    ("manage-problems-problem", Look(width=_WIDE)),
    ("manage-users", Look(language="zh", width=_WIDE)),
)
_LOOKS = tuple(
    Look(language=language, theme=theme, width=width)
    for language in ("en", "zh")
    for theme in ("light", "dark")
    for width in (1400, 390)
)
#: a picture of the README
_MAX_BYTES = 80_000


def _with_running(site: Site) -> Site:
    """Submit what is judged for as long as pictures are taken."""
    account = {"username": NAMES[Who.MEMBER], "password": PASSWORD}
    token = str(site.node.client.post("/api/v1/auth/login", json=account).json()["token"])
    job = site.node.submit(token, int(site.ids["problem"]), SLEEPS)
    return Site(site.node, site.sessions, {**site.ids, "running": job})


def _take(browser: Browser, site: Site, shown: Shown, look: Look, directory: Path, *, whole: bool) -> Path:
    file = directory / f"{shown}-{look}.png"
    with watched(browser, site, shown.who, look) as watcher:
        watcher.visit(shown)
        picture = watcher.page.screenshot(full_page=whole, animations="disabled")
    file.write_bytes(picture if whole else quantised(picture))
    return file


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.web.screenshots")
    parser.add_argument("--chosen", type=Path, metavar="DIRECTORY", help="take the pictures of the README")
    chosen: Path | None = parser.parse_args().chosen
    directory = chosen or ROOT / "build" / "screenshots"
    if chosen is None:
        shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True, exist_ok=True)
    pages = {str(shown): shown for shown in (*PAGES, _RUNNING)}
    wanted = _CHOSEN if chosen else tuple((name, look) for name in pages for look in _LOOKS)
    with tempfile.TemporaryDirectory() as home, running_site(Path(home) / "home") as site, chromium() as browser:
        busy = _with_running(site)
        files = [_take(browser, busy, pages[name], look, directory, whole=chosen is None) for name, look in wanted]
    large = [file for file in files if chosen and file.stat().st_size > _MAX_BYTES]
    for file in files:
        sys.stdout.write(f"{file} {file.stat().st_size} bytes\n")
    for file in large:
        sys.stderr.write(f"deepoj: {file} has more than {_MAX_BYTES} bytes\n")
    return 1 if large else 0


if __name__ == "__main__":
    sys.exit(main())
