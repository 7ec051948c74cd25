"""Event streams (``text/event-stream``) of jobs and runs.

A route creates a ``Feed`` and answers with ``Live.answer(user_id, topic, feed, …)``. The stream asks the feed for new
events at the start, after each notification for its topic, and periodically. The feed reads the stored state and
remembers only its client's position. So there is no queue that could grow, a lost notification is harmless, and a slow
client only delays its own next read::

    judge node ─ NOTIFY ─▶ listener (one connection per node) ─▶ Live.notify(topic) ─▶ each stream of the topic reads

The server detects that a client has disconnected when it reads from the connection, and that a client has stopped
reading by the write timeout. Either ends the request and its stream. ``RECHECK_S`` after a token is revoked, or an
administrator is demoted, the client receives no more events. Each stream ends after ``MAX_AGE_S``; browsers reconnect
by themselves with their position, and their rights are checked again. When the server drains, all streams end at once.

An idle stream costs parked tasks and, every 15 s, a keep-alive comment and a read. 500 streams cost 9 MiB and a
thirtieth of a core (measured by ``tests/e2e/test_live_crowd.py``). Streams hold connections, which are bounded by
``max_connections``. So there are at most ``max_streams``, ``max_streams_per_user`` of one account and
``max_streams_per_address`` of one address; more are answered 429.

When all ``max_streams`` are taken, a new stream ends the oldest stream of the account with most streams (among equal
accounts: of the address with most), provided that it then still has at least as many as the new stream's account. So a
user with few streams always gets one, and the user with most streams gains none by reconnecting.
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
#: the same interval while this node receives no notifications, or after a failed read
DEAF_LOOK_S = 5.0
#: each interval is shortened by a random part up to this, so that streams do not stay synchronized
_JITTER = 0.25
#: how long a stream continues while the database does not answer
AWAY_S = 60.0
#: interval of checks whether the client's token is still valid
RECHECK_S = 60.0
#: maximum duration of a stream
MAX_AGE_S = 900.0

#: topic of the system's page: notified after each measurement of what waits
SYSTEM_TOPIC = "system"

_HEAD = f"retry: {RETRY_MS}\n\n".encode()
_KEEP_ALIVE = b": keep-alive\n\n"


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """One event. The client sends its ``id``, a single line, back as ``Last-Event-ID``."""

    name: str
    id: str
    #: an object, or a text, such as a piece of a page
    data: Mapping[str, Any] | str

    def encoded(self) -> bytes:
        """Return the event in the format of ``text/event-stream``."""
        if isinstance(self.data, str):
            data = "\ndata: ".join(self.data.splitlines() or [""])
        else:
            data = json.dumps(self.data, ensure_ascii=False, separators=(",", ":"))
        return f"id: {self.id}\nevent: {self.name}\ndata: {data}\n\n".encode()


def last_event_id() -> str | None:
    """Return the ``Last-Event-ID`` of the current request."""
    return request.headers.get("Last-Event-ID")


class Encodable(Protocol):
    """What a stream sends."""

    def encoded(self) -> bytes:
        """Return it as bytes of the stream's format."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFormat:
    """How a stream is written. ``head`` is sent first, ``keep_alive`` while there is nothing else."""

    content_type: str
    head: bytes
    keep_alive: bytes
    #: the stream has no maximum duration, and a feed that has sent something may have more at once
    is_endless: bool = False
    #: interval of reads without notifications, and of keep-alives; None: ``KEEP_ALIVE_S``
    look_s: float | None = None


_SERVER_SENT = StreamFormat(content_type=CONTENT_TYPE, head=_HEAD, keep_alive=_KEEP_ALIVE)


class Feed[Event: Encodable = LiveEvent](Protocol):
    """The events of one client, and its position in them."""

    @property
    def is_over(self) -> bool:
        """Return whether there will be no more events, so that the stream ends."""
        ...

    async def events(self) -> Sequence[Event]:
        """Return the events since the last call.

        Raises StoreUnavailable; the next call then returns the events since the last successful one.
        """
        ...


class _WakeUps:
    """The wake-ups of one stream. Wake-ups while the stream is busy are remembered as one."""

    __slots__ = ("_woken", "address", "is_displaced", "user_id", "woken_at")

    def __init__(self, user_id: int | None, address: str) -> None:
        self.user_id, self.address = user_id, address
        #: a new stream has replaced it
        self.is_displaced = False
        self._woken = trio.Event()
        #: moment of the first wake-up since the last wait; None: there was none
        self.woken_at: float | None = None

    def wake(self) -> None:
        if not self._woken.is_set():
            self.woken_at = trio.current_time()
        self._woken.set()

    async def wait(self, timeout_s: float) -> bool:
        """Return whether a wake-up came within ``timeout_s``."""
        if not self._woken.is_set():
            self.woken_at = None
        with trio.move_on_after(timeout_s):
            await self._woken.wait()
        is_woken = self._woken.is_set()
        if is_woken:
            self._woken = trio.Event()
        return is_woken


class Live:
    """All event streams of this node; implements ``ports.LiveReceiver``."""

    def __init__(self, settings: ApiSettings, metrics: Metrics) -> None:
        self._settings, self._metrics = settings, metrics
        self._trusted = networks(settings.trusted_proxies)
        self._streams: dict[str, set[_WakeUps]] = {}
        #: the streams that count towards the limits, oldest first
        self._counted: dict[_WakeUps, None] = {}
        #: None: readers without an account, who are limited by address alone
        self._of_user: Counter[int | None] = Counter()
        self._of_address: Counter[str] = Counter()
        #: notifications arrive
        self._is_notified = False
        self._closed = False

    # -- notifications

    def notify(self, topic: str) -> bool:
        streams = self._streams.get(topic, ())
        for stream in streams:
            stream.wake()
        return bool(streams)

    def listens(self, *, well: bool) -> None:
        self._is_notified = well
        self._wake_all()

    def close(self) -> None:
        """End all streams now, and future ones as soon as they start."""
        self._closed = True
        self._wake_all()

    def _wake_all(self) -> None:
        for streams in self._streams.values():
            for stream in streams:
                stream.wake()

    # -- streams

    def answer(
        self,
        user_id: int | None,
        topic: str,
        feed: Feed[Encodable],
        is_allowed: Callable[[], Awaitable[bool]],
        style: StreamFormat = _SERVER_SENT,
    ) -> Response:
        """Answer the current request with the events of ``feed`` until it is over.

        ``user_id``: None without an account.
        ``is_allowed``: returns whether the client's token and rights are still valid; may raise StoreUnavailable.
        Raises Refused (429) when there are too many streams.
        """
        if request.method == "HEAD":
            return TrioResponse(b"", content_type=style.content_type)
        stream = self._admit(user_id, topic)
        at_end(request, lambda: self._remove(stream, topic))
        response = TrioResponse(self._events(stream, feed, is_allowed, style), content_type=style.content_type)
        response.headers["X-Accel-Buffering"] = "no"  # nginx would buffer the events
        return response

    def _admit(self, user_id: int | None, topic: str) -> _WakeUps:
        """Register a new stream within the limits, possibly in place of another one. Raises Refused."""
        stream, limits = _WakeUps(user_id, client_of(request, self._trusted)), self._settings
        if user_id is not None and self._of_user[user_id] >= limits.max_streams_per_user:
            self._refuse("user", ApiError.TOO_MANY_STREAMS_OF_USER, limits.max_streams_per_user)
        if self._of_address[stream.address] >= limits.max_streams_per_address:
            self._refuse("address", ApiError.TOO_MANY_STREAMS_OF_ADDRESS, limits.max_streams_per_address)
        if len(self._counted) >= limits.max_streams:
            displaced = max(self._counted, key=self._weight)
            own_weight = (self._of_account(stream) + 1, self._of_address[stream.address] + 1)
            if self._weight(displaced) <= own_weight:
                self._refuse("node", ApiError.TOO_MANY_STREAMS)
            self._metrics.live_streams_refused.labels(reason="displaced").inc()
            displaced.is_displaced = True
            self._uncount(displaced)
            displaced.wake()
        self._streams.setdefault(topic, set()).add(stream)
        self._counted[stream] = None
        self._of_user[user_id] += 1
        self._of_address[stream.address] += 1
        self._metrics.live_streams.set(len(self._counted))
        return stream

    def _refuse(self, reason: str, api_error: ApiError, limit: int = 0) -> NoReturn:
        self._metrics.live_streams_refused.labels(reason=reason).inc()
        raise Refused(api_error, limit=limit)

    def _weight(self, stream: _WakeUps) -> tuple[int, int]:
        """Return the number of streams of its account and of its address."""
        return self._of_account(stream), self._of_address[stream.address]

    def _of_account(self, stream: _WakeUps) -> int:
        """Return the number of streams of its account; without one, of its address."""
        return self._of_address[stream.address] if stream.user_id is None else self._of_user[stream.user_id]

    def _remove(self, stream: _WakeUps, topic: str) -> None:
        streams = self._streams[topic]
        streams.remove(stream)
        if not streams:
            del self._streams[topic]
        if not stream.is_displaced:
            self._uncount(stream)

    def _uncount(self, stream: _WakeUps) -> None:
        del self._counted[stream]
        self._of_user -= Counter({stream.user_id: 1})  # subtraction drops zero counts
        self._of_address -= Counter({stream.address: 1})
        self._metrics.live_streams.set(len(self._counted))

    async def _events(
        self, stream: _WakeUps, feed: Feed[Encodable], is_allowed: Callable[[], Awaitable[bool]], style: StreamFormat
    ) -> AsyncGenerator[bytes]:
        """Yield the encoded events until the feed is over or the stream reaches its maximum age.

        Runs outside of the request's context.
        """
        if style.head:
            yield style.head
        began = answered_at = checked_at = sent_at = trio.current_time()
        share = 1 - _JITTER * random.random()  # noqa: S311 - no secret
        is_due = True
        while not (self._closed or stream.is_displaced):
            events: Sequence[Encodable] = ()
            has_answered = True
            try:
                if trio.current_time() - checked_at >= RECHECK_S:
                    if not await is_allowed():
                        return
                    checked_at = trio.current_time()
                events = await feed.events()
                answered_at = trio.current_time()
            except StoreUnavailable:  # retried for up to AWAY_S
                has_answered = False
            if events:
                self._metrics.live_events.inc(len(events))
                if feed.is_over and stream.woken_at is not None:
                    self._metrics.stage_seconds.labels(stage="notify").observe(trio.current_time() - stream.woken_at)
                yield b"".join(event.encoded() for event in events)
                sent_at = trio.current_time()
            now = trio.current_time()
            # the end of an old stream waits for what the client gets anyway: a notification alone would show in it
            is_old = now - began >= MAX_AGE_S and not style.is_endless and (is_due or bool(events))
            if feed.is_over or now - answered_at >= AWAY_S or is_old:
                return
            if events and style.is_endless:
                continue
            look_s = KEEP_ALIVE_S if style.look_s is None else style.look_s
            interval_s = look_s if has_answered and self._is_notified else min(DEAF_LOOK_S, look_s)
            # a notification without an event does not put off the keep-alive: that would tell of what the feed hides
            is_due = not await stream.wait(max(0.0, sent_at + interval_s * share - now))
            if is_due:
                yield style.keep_alive
                sent_at, share = trio.current_time(), 1 - _JITTER * random.random()  # noqa: S311 - no secret
