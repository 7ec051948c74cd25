"""A submission's progress as pieces of its page: the ``Feed`` of ``api.live.jobs``, rendered.

Three events: ``verdict`` replaces the line that says where the submission is; ``tests`` replaces what is below it;
``changed`` replaces the squares of the tests that have ended since. A stream begins with the first two, so a browser
that comes back has everything again; it sends no position. They come again when the judging begins again, and with the
result. After the last ones ``done`` tells the browser not to come back.

While the submission waits, its place in the queue is looked up at each call, which a quiet stream makes now and then,
and so is whether the queue is away.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deepoj.api.live.events import Feed, LiveEvent
from deepoj.api.submitting import QUEUING


@dataclass(frozen=True, slots=True)
class SoFar:
    """What is known of an unfinished submission."""

    status: str
    #: 1-based index → a test that has ended
    ended: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    #: number of tests of the problem; 0: not known yet
    count: int = 0
    #: how many submissions are before it, if it waits and that is known
    before: int | None = None
    #: it waits, and no node can get it at the moment
    is_delayed: bool = False

    @property
    def squares(self) -> list[Mapping[str, Any] | None]:
        """The tests in their order; None: not ended."""
        return [self.ended.get(index) for index in range(1, self.count + 1)]


@dataclass(slots=True, kw_only=True)
class PieceFeed:
    """``Feed`` of pieces. ``verdict`` and ``tests`` render the progress, ``changed`` the squares of some tests, and
    ``result`` the finished submission's body. ``before`` returns how many submissions are before it, and
    ``is_queue_away`` whether no node can get any now."""

    feed: Feed
    verdict: Callable[[SoFar], str]
    tests: Callable[[SoFar], str]
    changed: Callable[[Mapping[int, Mapping[str, Any]]], str]
    result: Callable[[Mapping[str, Any]], tuple[str, str]]
    before: Callable[[], Awaitable[int | None]]
    is_queue_away: Callable[[], bool]
    _status: str = ""
    _ended: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    _count: int = 0
    _before: int | None = None
    _is_delayed: bool = False
    _sent: int = 0

    @property
    def is_over(self) -> bool:
        return self.feed.is_over

    async def events(self) -> Sequence[LiveEvent]:
        fresh: dict[int, Mapping[str, Any]] = {}
        is_whole, former = self._sent == 0, (self._status, self._before, self._is_delayed)
        for event in await self.feed.events():
            data = event.data
            if isinstance(data, str):
                continue
            if event.name == "state":
                self._status, self._count, is_whole = str(data["status"]), 0, True
                self._ended.clear()
            elif event.name == "test":
                is_whole = is_whole or data["count"] != self._count
                self._ended[data["index"]], self._count = data["test"], data["count"]
                fresh[data["index"]] = data["test"]
            elif event.name == "done":
                verdict, tests = self.result(data)
                return *self._pieces(verdict, "tests", tests), LiveEvent("done", str(self._sent), "")
        if not self._status:
            return ()
        is_waiting = self._status == QUEUING
        self._before, self._is_delayed = (
            await self.before() if is_waiting else None,
            is_waiting and self.is_queue_away(),
        )
        progress = SoFar(self._status, self._ended, self._count, self._before, self._is_delayed)
        if is_whole:
            return self._pieces(self.verdict(progress), "tests", self.tests(progress))
        if fresh:
            return self._pieces(self.verdict(progress), "changed", self.changed(fresh))
        if (self._status, self._before, self._is_delayed) != former:
            self._sent += 1
            return (LiveEvent("verdict", str(self._sent), self.verdict(progress)),)
        return ()

    def _pieces(self, verdict: str, name: str, piece: str) -> tuple[LiveEvent, ...]:
        self._sent += 1
        return LiveEvent("verdict", str(self._sent), verdict), LiveEvent(name, str(self._sent), piece)
