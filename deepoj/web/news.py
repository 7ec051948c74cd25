"""News of a contest on its open pages: marks in its bar and in the tab's title, new rows of lists, verdicts of rows,
and whether the clock has another state than the page shows.

The event ``news`` has a piece of HTML for each place of the page that may have changed: ``data-news`` names the place.
New rows are counted and not inserted, so nothing moves under the reader. A reader gets only what its pages show it.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from quart import request

from deepoj.api.live.events import LiveEvent
from deepoj.web.boards import BoardFeed
from deepoj.web.contests import ContestReading, ShownSubmission, number_of, read_before
from deepoj.web.render import Pages
from deepoj.web.visitor import Visitor
from deepoj.words.contests import EventType

#: rows of a list whose verdicts are live, and new ones that are counted
_MAX_ROWS = 100
#: pieces that are kept: 7 MB, if all are of 100 rows
_KEPT = 256


@dataclass(frozen=True, slots=True)
class ShownList:
    """What the reader's page shows of a list of submissions, by the stream's address."""

    #: number of the newest submission of the contest when the page was made; None: the page has no such list
    newest: int | None
    team_id: str | None
    label: str | None
    rows: tuple[str, ...]

    @classmethod
    def of_request(cls) -> ShownList:
        asked = request.args
        newest = asked.get("newest", "")
        rows = tuple(one for one in asked.get("rows", "").split(",")[:_MAX_ROWS] if one)
        return cls(number_of(newest) if newest else None, asked.get("team") or None, asked.get("problem") or None, rows)


@dataclass(frozen=True, slots=True)
class RowVerdict:
    """What is live in a row of a list of submissions."""

    id: str
    verdict: str


@dataclass(slots=True)
class NewsFeed:
    """``Feed`` of news. ``read`` returns the contest as it is now."""

    read: Callable[[], Awaitable[ContestReading]]
    render: Callable[[ContestReading], str]
    _last: int = -1
    #: events that this reader got; the number of the ledger would tell of hidden ones
    _sent: int = 0
    _html: str = ""
    _is_over: bool = False

    @property
    def is_over(self) -> bool:
        return self._is_over

    async def events(self) -> Sequence[LiveEvent]:
        reading = await self.read()
        ledger = reading.ledger
        if ledger.last == self._last:
            return ()
        self._last, html, events = ledger.last, self.render(reading), list[LiveEvent]()
        if html != self._html:
            self._html, self._sent = html, self._sent + 1
            events.append(LiveEvent("news", str(self._sent), html))
        if ledger.state.get("finalized_at") is not None:
            self._is_over = True
            events.append(LiveEvent("done", str(self._sent), ""))
        return events


@dataclass(slots=True)
class BoardWithNews:
    """``Feed`` of a board and of news: a page has one connection."""

    board: BoardFeed
    news: NewsFeed

    @property
    def is_over(self) -> bool:
        return self.board.is_over

    async def events(self) -> Sequence[LiveEvent]:
        events = list(await self.board.events())
        # the browser comes back with the id of its last event, which must be that of a board it has
        number = "" if self.board.shown is None else self.board.shown.id
        news = [LiveEvent(one.name, number, one.data) for one in await self.news.events() if one.name == "news"]
        return [*news, *events]


def list_query(reading: ContestReading, filters: Mapping[str, str | None], rows: Sequence[ShownSubmission]) -> str:
    """Return the query of the stream of a page that shows a list of submissions (``ShownList``)."""
    asked = {name: filters[name] for name in ("team", "problem") if filters.get(name)}
    return urlencode({**asked, "newest": reading.newest(), "rows": ",".join(one.id for one in rows)})


class News:
    """The news of this node as HTML. What is the same for several readers is rendered once: rendering 50 rows takes
    2 ms of the event loop, and after each event all readers are due."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._html = functools.lru_cache(_KEPT)(self._render)

    def feed(self, visitor: Visitor, read: Callable[[], Awaitable[ContestReading]]) -> NewsFeed:
        """Return the news of the current request's reader."""
        shown, before, language = ShownList.of_request(), read_before(), visitor.language
        return NewsFeed(read, lambda now: self._html(language, tuple(news_values(now, before, shown).items())))

    def _render(self, language: str, values: tuple[tuple[str, Any], ...]) -> str:
        return self._pages.shared_piece("_contest_news.html", language, **dict(values))


def news_values(reading: ContestReading, before: int, shown: ShownList) -> dict[str, Any]:
    """Return what the piece of news shows, hashable. ``before``: the newest clarification that this browser has
    shown."""
    ledger, is_jury = reading.ledger, reading.viewer.is_jury
    known = ledger.of(EventType.SUBMISSIONS)
    rows = [reading.submission(one, known[one]) for one in shown.rows if one in known]
    fresh = 0
    if shown.newest is not None:
        found = reading.submissions(team_id=shown.team_id, label=shown.label)
        newer = itertools.takewhile(lambda one: number_of(one.id) > (shown.newest or 0), found)
        fresh = sum(1 for _one in itertools.islice(newer, _MAX_ROWS))
    unread = reading.unread(before)
    return {
        "clock_mark": reading.clock_mark(),
        "unread": 0 if is_jury else unread,
        "open_questions": ledger.unanswered() if is_jury else 0,
        "new_clarifications": unread,
        "new_submissions": fresh,
        "rows": tuple(RowVerdict(one.id, one.verdict) for one in rows if one is not None),
    }
