"""A submission's progress as pieces of its page: the ``Feed`` of ``api.live.jobs``, rendered.

Two events: ``verdict`` replaces the line that says where the submission is, ``tests`` replaces what is below it. A
stream begins with both, so a browser that comes back has everything again; it sends no position. After the last ones
``done`` tells it not to come back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deepoj.api.live.events import Feed, LiveEvent


@dataclass(frozen=True, slots=True)
class SoFar:
    """What is known of an unfinished submission."""

    status: str
    #: tests that have ended, in their order
    tests: Sequence[Mapping[str, Any]] = ()
    #: number of tests of the problem; 0: not known yet
    count: int = 0


@dataclass(slots=True, kw_only=True)
class PieceFeed:
    """``Feed`` of pieces. ``verdict`` and ``tests`` render the progress, ``result`` the finished submission's body."""

    feed: Feed
    verdict: Callable[[SoFar], str]
    tests: Callable[[SoFar], str]
    result: Callable[[Mapping[str, Any]], tuple[str, str]]
    _status: str = ""
    _ended: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    _count: int = 0
    _sent: int = 0

    @property
    def is_over(self) -> bool:
        return self.feed.is_over

    async def events(self) -> Sequence[LiveEvent]:
        events = await self.feed.events()
        done: Mapping[str, Any] | None = None
        for event in events:
            data = event.data
            if isinstance(data, str):
                continue
            if event.name == "state":
                self._status, self._count = str(data["status"]), 0
                self._ended.clear()
            elif event.name == "test":
                self._ended[data["index"]], self._count = data["test"], data["count"]
            elif event.name == "done":
                done = data
        if not events:
            return ()
        if done is not None:
            return *self._pieces(*self.result(done)), LiveEvent("done", str(self._sent), "")
        tests = [self._ended[index] for index in sorted(self._ended)]
        progress = SoFar(self._status, tests, self._count)
        return self._pieces(self.verdict(progress), self.tests(progress))

    def _pieces(self, verdict: str, tests: str) -> tuple[LiveEvent, ...]:
        self._sent += 1
        return LiveEvent("verdict", str(self._sent), verdict), LiveEvent("tests", str(self._sent), tests)
