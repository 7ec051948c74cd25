"""The progress of long work as pieces of its page: verifications, previews of rejudges."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from quart import Response

from deepoj.api.catalog import maker_with
from deepoj.api.live.events import Live, LiveEvent
from deepoj.api.rights import Right, may
from deepoj.web.visitor import Visitor, Visitors
from deepoj.words.accounts import User
from deepoj.words.problems import Problem


@dataclass(frozen=True, slots=True)
class ProgressStreams:
    """Streams the progress of work on a problem to those who may rejudge it."""

    live: Live
    visitors: Visitors

    def answer[R](self, visitor: Visitor, problem: Problem, topic: str, feed: ProgressFeed[R]) -> Response:
        """Return the response. It ends when the visitor's session or right does."""

        def is_allowed(user: User) -> bool:
            return may(user, Right.REJUDGE, maker_with(Right.REJUDGE, problem))

        async def remains() -> bool:
            return await self.visitors.remains(visitor, is_allowed)

        return self.live.answer(visitor.member.id, topic, feed, remains)


@dataclass(slots=True, kw_only=True)
class ProgressFeed[R]:
    """``Feed`` of two pieces, ``summary`` and ``result``, and of ``done`` at the end. It begins with both, so a browser
    that comes back sends no position."""

    #: reads the state; None: the work is gone
    result: Callable[[], Awaitable[R | None]]
    #: renders it
    pieces: Callable[[R | None], tuple[str, str]]
    is_running: Callable[[R], bool]
    #: what a reader would see change
    progress: Callable[[R], object]
    _seen: object = None
    _sent: int = 0
    _over: bool = field(default=False)

    @property
    def is_over(self) -> bool:
        return self._over

    async def events(self) -> Sequence[LiveEvent]:
        found = await self.result()
        self._over = found is None or not self.is_running(found)
        seen = None if found is None else self.progress(found)
        if self._sent and seen == self._seen:
            return ()
        self._seen = seen
        self._sent += 1
        event_id = str(self._sent)
        summary, result = self.pieces(found)
        shown = [LiveEvent("summary", event_id, summary), LiveEvent("result", event_id, result)]
        # the page closes the stream at this event
        return [*shown, LiveEvent("done", event_id, "")] if self._over else shown
