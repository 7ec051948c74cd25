"""Pictures of the pages: ``python -m tests.web.screenshots`` (make screenshots), into build/screenshots.

Each page of ``tests.web.pages``, a submission that is being judged, and the contest of ``deepoj contest demo``: 390
and 1,400 px wide, light and dark, in English and Chinese. ``--chosen DIRECTORY`` writes the pictures of the documents,
small ones, instead.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser

from tests.e2e.nodes import ROOT, SLEEPS
from tests.e2e.typed import typed
from tests.web.browser import Look, chromium, watched
from tests.web.pages import PAGES, Shown, Who
from tests.web.png import quantised
from tests.web.site import NAMES, PASSWORD, Site, running_site

_RUNNING = Shown(path="/submissions/{running}", who=Who.MEMBER, name="submission-running")
#: pages of the demonstration's contest, as others and as those who run it see them
_CONTEST = tuple(
    Shown(path=path, who=who, name=name)
    for path, who, name in (
        ("/contests/{demo}", Who.STRANGER, "contest"),
        ("/contests/{demo}/scoreboard", Who.STRANGER, "contest-board"),
        ("/contests/{demo}/board/owls/C", Who.STRANGER, "contest-cell"),
        ("/contests/{demo}/clarifications", Who.STRANGER, "contest-clarifications"),
        ("/manage/contests/{demo}", Who.ADMIN, "contest-settings"),
        ("/manage/contests/{demo}/clock", Who.ADMIN, "contest-clock"),
        ("/manage/contests/{demo}/submissions", Who.ADMIN, "contest-submissions"),
        ("/manage/contests/{demo}/teams", Who.ADMIN, "contest-teams"),
        ("/manage/contests/{demo}/rejudges", Who.ADMIN, "contest-rejudges"),
        ("/manage/contests/{demo}/waits", Who.ADMIN, "contest-waits"),
    )
)
_WIDE = 1100
#: what the documents show: a name of a page, and how it is looked at
_CHOSEN = (
    ("problem", Look(width=_WIDE)),
    ("problem", Look(language="zh", width=390)),
    ("submission-accepted", Look(width=_WIDE)),
    ("submission-wrong", Look(theme="dark", width=_WIDE)),
    ("playground-run", Look(theme="dark", width=_WIDE)),
    ("users-member", Look(width=_WIDE)),
    ("manage-problems-problem", Look(width=_WIDE)),
    ("manage-users", Look(language="zh", width=_WIDE)),
    ("contest-board", Look(width=_WIDE)),
    ("contest-board", Look(language="zh", width=390)),
    ("contest-cell", Look(language="zh", width=_WIDE)),
    ("contest-clock", Look(width=_WIDE)),
    ("contest-submissions", Look(theme="dark", width=_WIDE)),
    ("contest-settings", Look(language="zh", width=_WIDE)),
)
_LOOKS = tuple(
    Look(language=language, theme=theme, width=width)
    for language in ("en", "zh")
    for theme in ("light", "dark")
    for width in (1400, 390)
)
#: a picture of the documents
_MAX_BYTES = 80_000


def _with_more(site: Site) -> Site:
    """Play the demonstration's contest, and submit what is judged for as long as pictures are taken."""
    environ = {
        "PATH": os.environ["PATH"],
        "DEEPOJ_HOME": str(site.node.log.with_suffix("")),
        "DEEPOJ_URL": site.base,
        "DEEPOJ_TOKEN": _token(site, Who.ADMIN),
    }
    demo = typed("contest", "demo", "--json", env=environ)
    if demo.returncode != 0:
        raise AssertionError(demo.stderr)
    job = site.node.submit(_token(site, Who.MEMBER), int(site.ids["problem"]), SLEEPS)
    more = {"running": job, "demo": json.loads(demo.stdout)["contest_id"]}
    return Site(site.node, site.sessions, {**site.ids, **more})


def _token(site: Site, who: Who) -> str:
    account = {"username": NAMES[who], "password": PASSWORD}
    return str(site.node.client.post("/api/v1/auth/login", json=account).json()["token"])


def _take(browser: Browser, site: Site, shown: Shown, look: Look, directory: Path, *, whole: bool) -> Path:
    file = directory / f"{shown}-{look}.png"
    with watched(browser, site, shown.who, look) as watcher:
        watcher.visit(shown)
        picture = watcher.page.screenshot(full_page=whole, animations="disabled")
    file.write_bytes(picture if whole else quantised(picture))
    return file


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.web.screenshots")
    parser.add_argument("--chosen", type=Path, metavar="DIRECTORY", help="take the pictures of the documents")
    chosen: Path | None = parser.parse_args().chosen
    directory = chosen or ROOT / "build" / "screenshots"
    if chosen is None:
        shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True, exist_ok=True)
    pages = {str(shown): shown for shown in (*PAGES, _RUNNING, *_CONTEST)}
    wanted = _CHOSEN if chosen else tuple((name, look) for name in pages for look in _LOOKS)
    with tempfile.TemporaryDirectory() as home, running_site(Path(home) / "home") as site, chromium() as browser:
        busy = _with_more(site)
        files = [_take(browser, busy, pages[name], look, directory, whole=chosen is None) for name, look in wanted]
    large = [file for file in files if chosen and file.stat().st_size > _MAX_BYTES]
    for file in files:
        sys.stdout.write(f"{file} {file.stat().st_size} bytes\n")
    for file in large:
        sys.stderr.write(f"deepoj: {file} has more than {_MAX_BYTES} bytes\n")
    return 1 if large else 0


if __name__ == "__main__":
    sys.exit(main())
