"""Event streams (``text/event-stream``) of jobs and runs.

A route creates a ``Feed`` and answers with ``Live.answer(user_id, topic, feed, …)``. The stream asks the feed for news
at the start, after each notification for its topic, and periodically. The feed reads the stored state and remembers
only its client's position. So there is no queue that could grow, a lost notification is harmless, and a slow client
only delays its own next read::

    judge node ─ NOTIFY ─▶ listener (one connection per node) ─▶ Live.ring(topic) ─▶ each stream of the topic reads

The server's read detects a client that has disconnected; the write timeout detects one that has stopped reading. Either
ends the request and its stream. ``RECHECK_S`` after a token is revoked, or an administrator is demoted, the client
receives no more events. Each stream ends after ``MAX_AGE_S``; browsers reconnect by themselves with their position, and
their rights are checked again. When the server drains, all streams end at once.

An idle stream costs parked tasks and, every 15 s, a keep-alive comment and a read. 500 streams cost 9 MiB and a
thirtieth of a core (measured by ``tests/e2e/test_live_crowd.py``). Streams hold connections, which are bounded by
``max_connections``. So there are at most ``max_streams``, ``max_streams_per_user`` of one account and
``max_streams_per_address`` of one address; more are answered 429.

When all ``max_streams`` are taken, a new stream ends the oldest stream of the account with most streams (among equal
accounts: of the address with most), provided that it then still has at least as many as the newcomer. So a user with
few streams always gets one, and the user with most cannot gain any by reconnecting.
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
#: delay before clients reconnect after the end of a stream
RETRY_MS = 2_000
#: interval of reads and keep-alives without notifications; proxies close connections that are silent for 60 s
KEEP_ALIVE_S = 15.0
#: the same while this node receives no notifications, or after a failed read
DEAF_LOOK_S = 5.0
#: each interval is shortened by a random part up to this, so that streams do not stay synchronized
_JITTER = 0.25
#: how long a stream goes on while the database does not answer
AWAY_S = 60.0
#: interval of checks whether the client's token is still valid
RECHECK_S = 60.0
#: maximum duration of a stream
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
    """Return the ``Last-Event-ID`` of the current request."""
    return request.headers.get("Last-Event-ID")


class Feed(Protocol):
    """The events of one client, and its position in them."""

    @property
    def over(self) -> bool:
        """Return whether there will be no more news, so that the stream ends."""
        ...

    async def news(self) -> Sequence[LiveEvent]:
        """What has happened since the last call. Raises StoreUnavailable: it is called again, and misses nothing."""
        ...


class _WakeUps:
    """One stream's wake-ups: those that come while the stream is busy are remembered, as one."""

    __slots__ = ("_rung", "address", "is_displaced", "user_id")

    def __init__(self, user_id: int, address: str) -> None:
        self.user_id, self.address = user_id, address
        #: a new stream has taken its place
        self.is_displaced = False
        self._rung = trio.Event()

    def ring(self) -> None:
        self._rung.set()

    async def wait(self, timeout_s: float) -> bool:
        """Return whether a wake-up came within ``timeout_s``."""
        with trio.move_on_after(timeout_s):
            await self._rung.wait()
        rung = self._rung.is_set()
        if rung:
            self._rung = trio.Event()
        return rung


class Live:
    """All event streams of this node; implements ``ports.LiveEars``."""

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
        """End all streams now, and future ones as soon as they start."""
        self._closed = True
        self._ring_all()

    def _ring_all(self) -> None:
        for watches in self._watches.values():
            for watch in watches:
                watch.ring()

    # -- streams

    def answer(self, user_id: int, topic: str, feed: Feed, welcome: Callable[[], Awaitable[bool]]) -> Response:
        """Answer the current request with the events of ``feed`` until it is over.

        ``welcome``: returns whether the client's token and rights are still valid; may raise StoreUnavailable. Raises
        Refused (429) when there are too many streams.
        """
        if request.method == "HEAD":
            return TrioResponse(b"", content_type=CONTENT_TYPE)
        watch = self._take_seat(user_id, topic)
        at_end(request, lambda: self._leave(watch, topic))
        response = TrioResponse(self._stream(watch, feed, welcome), content_type=CONTENT_TYPE)
        response.headers["X-Accel-Buffering"] = "no"  # nginx would buffer the events
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
        self._of_user -= Counter({watch.user_id: 1})  # subtraction drops zero counts
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
            except StoreUnavailable:  # retried for up to AWAY_S
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
