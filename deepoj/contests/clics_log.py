"""The lines of event feeds, and the places of their readers.

All teams share one log: what one of them sees otherwise is kept as patches of it. So a line that 500 teams get is kept
once, and a team costs what is its own. The token of a line is its number in the reader's feed. It is added when the
line is read, because a line of the shared log has another number in each team's feed.
"""

from __future__ import annotations

import json
import re
import zlib
from abc import ABC, abstractmethod
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any

_TOKEN = re.compile(r"[0-9]{1,18}", re.ASCII)
#: lines that are compressed together: about a thousandth of a second to read again
_PAGE_LINES = 512


class FeedLog(ABC):
    """The lines of one reader's feed."""

    @property
    @abstractmethod
    def end(self) -> int:
        """Return how many lines there are."""

    @abstractmethod
    def event_of(self, place: int) -> int:
        """Return the number of the event of a line. ``place``: how many lines a reader has that has read it."""

    @abstractmethod
    def read(self, place: int) -> tuple[bytes, int]:
        """Return at most ``_PAGE_LINES`` lines from a place on, some of them if there are any, and the place after
        them."""

    @abstractmethod
    def until(self, number: int) -> int:
        """Return how many lines the events up to a number have."""

    def place(self, token: str) -> int | None:
        """Return how many lines a reader has that has read up to a token; None: there is no such line."""
        return int(token) if _TOKEN.fullmatch(token) and 1 <= int(token) <= self.end else None

    def resume(self, number: int, token: str | None) -> int:
        """Return how many lines a reader has that has all lines of the events up to a number, and those up to a token
        of the event after it. A token that this feed does not have is ignored: the viewer has changed."""
        after, at_most = self.until(number), self.until(number + 1)
        place = None if token is None else self.place(token)
        return after if place is None or place > at_most else max(after, place)


class SharedLog(FeedLog):
    """The lines that the public, the jury or all teams get. Old ones are compressed: they are a tenth as large."""

    def __init__(self) -> None:
        self._numbers = array("Q")
        self._pages: list[bytes] = []
        self._tail: list[bytes] = []

    def add(self, number: int, line: bytes) -> None:
        """Add a line (``line_of``). ``number``: of its event."""
        self._numbers.append(number)
        self._tail.append(line)
        if len(self._tail) == _PAGE_LINES:
            self._pages.append(zlib.compress(b"\n".join(self._tail), 1))
            self._tail.clear()

    @property
    def end(self) -> int:
        return len(self._numbers)

    def event_of(self, place: int) -> int:
        return self._numbers[place - 1]

    def read(self, place: int) -> tuple[bytes, int]:
        return _with_tokens(self.page_from(place), place)

    def page_from(self, place: int) -> Sequence[bytes]:
        """Return lines from a place on, as many as are kept together."""
        page, start = divmod(place, _PAGE_LINES)
        lines = zlib.decompress(self._pages[page]).split(b"\n") if page < len(self._pages) else self._tail
        return lines[start:]

    def until(self, number: int) -> int:
        return bisect_right(self._numbers, number)


class TeamLog(FeedLog):
    """The lines of one team's feed: those that all teams share, with patches. A patch puts in a line, or leaves one
    out, or both."""

    def __init__(self, shared: SharedLog) -> None:
        self._shared = shared
        #: of each patch: the number of its event
        self._numbers = array("Q")
        #: the shared lines before it
        self._starts = array("Q")
        #: … and with the one that it leaves out
        self._stops = array("Q")
        #: the lines of this feed after it
        self._ends = array("Q")
        #: what it puts in
        self._lines: list[bytes | None] = []

    def patch(self, number: int, start: int, stop: int, line: bytes | None) -> None:
        """Add a patch, after all others. ``number``: of its event; ``start``, ``stop``: the shared line that it leaves
        out; ``line``: what it puts in (``line_of``)."""
        before = self._place(len(self._lines), start)
        self._numbers.append(number)
        self._starts.append(start)
        self._stops.append(stop)
        self._ends.append(before + (line is not None))
        self._lines.append(line)

    @property
    def end(self) -> int:
        return self._place(len(self._lines), self._shared.end)

    def event_of(self, place: int) -> int:
        index = bisect_left(self._ends, place)  # the first patch that is not wholly before the line
        start = self._shared_place(index, place)
        if index < len(self._lines) and start > self._starts[index]:
            return self._numbers[index]
        return self._shared.event_of(start)

    def read(self, place: int) -> tuple[bytes, int]:
        index = bisect_right(self._ends, place)
        at, lines = self._shared_place(index, place), list[bytes]()
        while not lines and (at < self._shared.end or index < len(self._lines)):
            kept, first = self._shared.page_from(at), at
            stop = first + len(kept)
            while index < len(self._lines) and self._starts[index] <= stop and len(lines) < _PAGE_LINES:
                lines += kept[at - first : self._starts[index] - first]
                own = self._lines[index]
                lines += () if own is None else (own,)
                at, index = self._stops[index], index + 1
            lines += kept[at - first :]
            at = max(at, stop)
        return _with_tokens(lines[:_PAGE_LINES], place)

    def until(self, number: int) -> int:
        return self._place(bisect_right(self._numbers, number), self._shared.until(number))

    def _place(self, index: int, shared_place: int) -> int:
        """Return the place in this feed of a place in the shared one, between the patches before an index and those
        from it on."""
        return shared_place if not index else self._ends[index - 1] + shared_place - self._stops[index - 1]

    def _shared_place(self, index: int, place: int) -> int:
        return place if not index else self._stops[index - 1] + place - self._ends[index - 1]


def line_of(type_: str, object_id: bytes, data: bytes | None) -> bytes:
    """Return a line without its token. ``object_id``: as JSON; ``data``: as JSON, None if there is no such object any
    more."""
    return b'{"type":"%b","id":%b,"data":%b' % (type_.encode(), object_id, data or b"null")


def encoded(value: Any) -> bytes:
    """Return JSON in UTF-8, without spaces."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _with_tokens(lines: Sequence[bytes], place: int) -> tuple[bytes, int]:
    """Return lines with their tokens, the first of which is the number after a place, and the place after them."""
    encoded_lines = b"".join([b'%b,"token":"%d"}\n' % (line, token) for token, line in enumerate(lines, place + 1)])
    return encoded_lines, place + len(lines)
