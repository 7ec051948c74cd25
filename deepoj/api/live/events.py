"""Live events (``text/event-stream``): one wire for everything that can be watched.

A route makes a ``Feed`` of what it wants to show and answers with ``Live.answer(user_id, topic, feed, …)``. The feed
is asked for news at the start, after each ring for its topic, and once in a while without one; it reads the truth,
and keeps nothing but how far its client has come. So there is no queue that could grow, a ring that was lost is
harmless, and a client that reads slowly only has its next look later::

    node that judges ─ NOTIFY ─▶ listener (one connection a node) ─▶ Live.ring(topic) ─▶ the streams of that topic: look

A client that has gone is noticed by the server's read, one that has stopped reading by the write timeout; either ends
its request and with it the stream. A client whose token is revoked while it watches, or who is an administrator no
more, is shown nothing more after ``RECHECK_S``;
and each stream ends by itself after ``MAX_AGE_S``: whoever comes again (browsers do so by themselves, and say how far
they have come) is asked anew what he may see. When the server drains, all streams end at once.

What a stream costs while nothing happens: parked tasks, a keep-alive comment every 15 s, and a look at the truth with
it; 500 of them 9 MiB and a thirtieth of a core (``tests/e2e/test_live_crowd.py`` weighs them). Streams hold
connections, of which there are ``max_connections``: so there are at most ``max_streams`` of them,
``max_streams_per_user`` of one account and ``max_streams_per_address`` of one address; more are answered 429.

When all ``max_streams`` are taken, a new one ends the oldest of the account that has most, or of equal accounts of the
address that has most, if that one still has at least as many then. So whoever has fewer than others always gets one,
and whoever has most gets none by coming again.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

import trio
from quart import Response, request
from quart_trio.wrappers import TrioResponse

from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.address import client_of, networks
from deepoj.api.http.exchange import at_end
from deepoj.api.settings import ApiSettings
from deepoj.observe import Metrics
from deepoj.words.errors import StoreUnavailable

CONTENT_TYPE = "text/event-stream"
#: after a stream has ended, a client comes again after so long
RETRY_MS = 2_000
#: between two looks without a ring, each with a keep-alive; proxies cut what is silent for 60 s
KEEP_ALIVE_S = 15.0
#: the same while nobody listens for rings, or the last look failed
DEAF_LOOK_S = 5.0
#: looks that began together (after a ring for all) do not stay in step: each comes earlier by up to this part
_JITTER = 0.25
#: how long a stream goes on without any answer of the database
AWAY_S = 60.0
#: between two looks whether the client's token still holds
RECHECK_S = 60.0
#: how long a stream goes on at most
MAX_AGE_S = 900.0

_HEAD = f"retry: {RETRY_MS}\n\n".encode()
_KEEP_ALIVE = b": keep-alive\n\n"


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """One event. ``id`` comes back as ``Last-Event-ID``; it must be of one line."""

    name: str
    id: str
    data: Mapping[str, Any]

    def encoded(self) -> bytes:
        data = json.dumps(self.data, ensure_ascii=False, separators=(",", ":"))
        return f"id: {self.id}\nevent: {self.name}\ndata: {data}\n\n".encode()


def last_event_id() -> str | None:
    """How far the client of the request under way says it has come."""
    return request.headers.get("Last-Event-ID")


class Feed(Protocol):
    """What one client is shown, and how far it has come."""

    @property
    def over(self) -> bool:
        """Whether there will be no more news: the stream ends."""
        ...

    async def news(self) -> Sequence[LiveEvent]:
        """What has happened since the last call. Raises StoreUnavailable: it is called again, and misses nothing."""
        ...


class _WakeUps:
    """One stream's wake-ups: those that come while the stream is busy are remembered, as one."""

    __slots__ = ("_rung", "address", "is_displaced", "user_id")

    def __init__(self, user_id: int, address: str) -> None:
        self.user_id, self.address = user_id, address
        #: its place is another's by now
        self.is_displaced = False
        self._rung = trio.Event()

    def ring(self) -> None:
        self._rung.set()

    async def wait(self, timeout_s: float) -> bool:
        """Whether it rang within ``timeout_s``."""
        with trio.move_on_after(timeout_s):
            await self._rung.wait()
        rung = self._rung.is_set()
        if rung:
            self._rung = trio.Event()
        return rung


class Live:
    """All streams of this node; ``ports.LiveEars``."""

    def __init__(self, settings: ApiSettings, metrics: Metrics) -> None:
        self._settings, self._metrics = settings, metrics
        self._trusted = networks(settings.trusted_proxies)
        self._watches: dict[str, set[_WakeUps]] = {}
        #: those that have a place, the oldest first
        self._seated: dict[_WakeUps, None] = {}
        self._of_user: Counter[int] = Counter()
        self._of_address: Counter[str] = Counter()
        self._hears = False
        self._closed = False

    # -- rings

    def ring(self, topic: str) -> None:
        for watch in self._watches.get(topic, ()):
            watch.ring()

    def listens(self, *, well: bool) -> None:
        self._hears = well
        self._ring_all()

    def close(self) -> None:
        """Ends every stream now, and those that are yet to begin."""
        self._closed = True
        self._ring_all()

    def _ring_all(self) -> None:
        for watches in self._watches.values():
            for watch in watches:
                watch.ring()

    # -- streams

    def answer(self, user_id: int, topic: str, feed: Feed, welcome: Callable[[], Awaitable[bool]]) -> Response:
        """The answer to the request under way: ``feed``'s events until it is over.

        ``welcome``: whether the client's token and rights still hold; raises StoreUnavailable. Raises Refused (429)
        when there are too many streams.
        """
        if request.method == "HEAD":
            return TrioResponse(b"", content_type=CONTENT_TYPE)
        watch = self._take_seat(user_id, topic)
        at_end(request, lambda: self._leave(watch, topic))
        response = TrioResponse(self._stream(watch, feed, welcome), content_type=CONTENT_TYPE)
        response.headers["X-Accel-Buffering"] = "no"  # nginx would collect events
        return response

    def _take_seat(self, user_id: int, topic: str) -> _WakeUps:
        watch, limits = _WakeUps(user_id, client_of(request, self._trusted)), self._settings
        if self._of_user[user_id] >= limits.max_streams_per_user:
            self._refuse("user", ApiError.TOO_MANY_STREAMS_OF_USER, limits.max_streams_per_user)
        if self._of_address[watch.address] >= limits.max_streams_per_address:
            self._refuse("address", ApiError.TOO_MANY_STREAMS_OF_ADDRESS, limits.max_streams_per_address)
        if len(self._seated) >= limits.max_streams:
            displaced = max(self._seated, key=self._weight)
            mine = (self._of_user[user_id] + 1, self._of_address[watch.address] + 1)
            if self._weight(displaced) <= mine:
                self._refuse("node", ApiError.TOO_MANY_STREAMS)
            self._metrics.live_streams_refused.labels(reason="displaced").inc()
            displaced.is_displaced = True
            self._free(displaced)
            displaced.ring()
        self._watches.setdefault(topic, set()).add(watch)
        self._seated[watch] = None
        self._of_user[user_id] += 1
        self._of_address[watch.address] += 1
        self._metrics.live_streams.set(len(self._seated))
        return watch

    def _refuse(self, reason: str, api_error: ApiError, limit: int = 0) -> NoReturn:
        self._metrics.live_streams_refused.labels(reason=reason).inc()
        raise Refused(api_error, limit=limit)

    def _weight(self, watch: _WakeUps) -> tuple[int, int]:
        return self._of_user[watch.user_id], self._of_address[watch.address]

    def _leave(self, watch: _WakeUps, topic: str) -> None:
        watches = self._watches[topic]
        watches.remove(watch)
        if not watches:
            del self._watches[topic]
        if not watch.is_displaced:
            self._free(watch)

    def _free(self, watch: _WakeUps) -> None:
        del self._seated[watch]
        self._of_user -= Counter({watch.user_id: 1})  # drops what is 0
        self._of_address -= Counter({watch.address: 1})
        self._metrics.live_streams.set(len(self._seated))

    async def _stream(
        self, watch: _WakeUps, feed: Feed, welcome: Callable[[], Awaitable[bool]]
    ) -> AsyncGenerator[bytes]:
        """Runs outside of the request's context, until the feed is over or the stream's time is up."""
        yield _HEAD
        began = answered_at = checked_at = trio.current_time()
        while not (self._closed or watch.is_displaced):
            news: Sequence[LiveEvent] = ()
            answered = True
            try:
                if trio.current_time() - checked_at >= RECHECK_S:
                    if not await welcome():
                        return
                    checked_at = trio.current_time()
                news = await feed.news()
                answered_at = trio.current_time()
            except StoreUnavailable:  # the budget is AWAY_S
                answered = False
            if news:
                self._metrics.live_events.inc(len(news))
                yield b"".join(event.encoded() for event in news)
            now = trio.current_time()
            if feed.over or now - answered_at >= AWAY_S or now - began >= MAX_AGE_S:
                return
            look_s = KEEP_ALIVE_S if answered and self._hears else DEAF_LOOK_S
            if not await watch.wait(look_s * (1 - _JITTER * random.random())):  # noqa: S311 - no secret
                yield _KEEP_ALIVE
