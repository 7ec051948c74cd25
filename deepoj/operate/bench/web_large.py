"""The large pages of ``deepoj bench web``: their times, bytes and elements, at the first look and at later ones.

Each page of a contest is that of a contest of its own, which the node has not read before. A first look at it reads and
folds all events of the contest; the first look at the system's page is the node's first.
"""

from __future__ import annotations

import gzip
import http.client
import re
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import trio
from rich.console import Console
from rich.table import Table

from deepoj.adapters.embedded.home import EmbeddedHome
from deepoj.operate.bench.api import Target
from deepoj.operate.bench.filled_contest import ContestSize, fill_contest
from deepoj.operate.bench.web_people import START_S, session_of
from deepoj.words.errors import StartRefused

#: name of a page → its path; ``{key}``: a contest of the page's own
LARGE_PAGES: Mapping[str, str] = {
    "system": "/manage/system",
    "teams": "/manage/contests/{key}/teams",
    "submissions": "/manage/contests/{key}/submissions",
    "board": "/contests/{key}/scoreboard",
}
_ELEMENT = re.compile(rb"<[a-z]")


@dataclass(frozen=True, slots=True)
class PageLook:
    """One load of a page, as a browser asks for it. ``sent_bytes``: of its compressed body."""

    first_byte_ms: float
    whole_ms: float
    sent_bytes: int
    page_bytes: int
    elements: int


@dataclass(frozen=True, slots=True)
class LargePage:
    """The first look at a page, and the later ones."""

    first: PageLook
    later: Sequence[PageLook]

    def flat(self) -> dict[str, object]:
        """As JSON. Times of later looks are medians, sizes those of the last one."""
        last = self.later[-1]
        return {
            "first_look_first_byte_ms": round(self.first.first_byte_ms, 1),
            "first_look_ms": round(self.first.whole_ms, 1),
            "first_byte_ms": round(statistics.median(look.first_byte_ms for look in self.later), 1),
            "whole_ms": round(statistics.median(look.whole_ms for look in self.later), 1),
            "sent_bytes": last.sent_bytes,
            "page_bytes": last.page_bytes,
            "elements": last.elements,
        }


def look_at_large_pages(
    home: EmbeddedHome, base: str, target: Target, size: ContestSize, looks: int
) -> dict[str, LargePage]:
    """Fill a contest for each page of one, and look at each page once and then ``looks`` times."""
    headers = session_of(base, "/login", username="admin", password=target.admin_password)
    paths = {}
    for name, path in LARGE_PAGES.items():
        if "{key}" in path:
            trio.run(fill_contest, home, size, name)
        paths[name] = path.format(key=name)
    return {
        name: LargePage(_look(target, path, headers), [_look(target, path, headers) for _ in range(looks)])
        for name, path in paths.items()
    }


def _look(target: Target, path: str, headers: Mapping[str, str]) -> PageLook:
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=START_S)
    try:
        connection.connect()
        began = time.perf_counter()
        connection.request("GET", path, headers={**headers, "Accept-Encoding": "gzip"})
        answer = connection.getresponse()
        first_byte_ms = (time.perf_counter() - began) * 1000
        sent = answer.read()
        whole_ms = (time.perf_counter() - began) * 1000
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise StartRefused(f"{path}: the measured node answered {answer.status}", 1)
    page = gzip.decompress(sent) if answer.getheader("Content-Encoding") == "gzip" else sent
    return PageLook(first_byte_ms, whole_ms, len(sent), len(page), len(_ELEMENT.findall(page)))


def show_large_pages(pages: Mapping[str, LargePage], size: ContestSize, console: Console) -> None:
    """Print the table of the large pages."""
    title = f"large pages: {size.teams} teams, {size.problems} problems, {size.submissions:,} submissions"
    table = Table("page", "first look: first byte, whole", "later: first byte, whole", "sent", "elements", title=title)
    for name, page in pages.items():
        flat = page.flat()
        table.add_row(
            name,
            f"{flat['first_look_first_byte_ms']}, {flat['first_look_ms']} ms",
            f"{flat['first_byte_ms']}, {flat['whole_ms']} ms",
            f"{page.later[-1].sent_bytes / 1024:.1f} of {page.later[-1].page_bytes / 1024:.1f} KiB",
            f"{flat['elements']}",
        )
    console.print(table)
