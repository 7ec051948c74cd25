"""One request over ASGI, from the first byte of its scope to the last byte of its answer.

Here is what every answer has in common, whoever made it: ``X-Request-ID``, ``traceparent``, the metrics, and what
becomes of a body that the route did not read. Such a body is dropped as it arrives, within bounds, before the
connection is closed: closing at once would reset the connection and take the answer away from a client that is still
sending.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import cast

import trio
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, ConnectionState, HTTPScope
from quart.typing import ResponseTypes
from quart.wrappers import Request as QuartRequest
from quart.wrappers.base import ClientDisconnectedError
from quart_trio import QuartTrio
from quart_trio.asgi import TrioASGIHTTPConnection

from deepoj.accounts.passwords import FairTurns
from deepoj.api.address import Network, client_of
from deepoj.api.body import MIN_BYTES_PER_S, Request
from deepoj.api.paths import PROBES
from deepoj.api.trace import Trace, trace_of
from deepoj.observe import Metrics

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: an unread body is dropped for this long and this much of it, as long as in each pause enough of it comes
_LINGER_S = 10.0
_LINGER_PAUSE_S = 2.0
_LINGER_BYTES = 64 * 1024 * 1024
#: requests under way at which a further one waits for its turn to begin, and how many begin in a turn
_BEGIN_FREELY, _BEGIN_AT_ONCE = 64, 4
#: nginx's word for a client that left before its answer
_CLIENT_GONE = "499"


def request_id_of(sent: str | None) -> str:
    """The client's ``X-Request-ID`` if it is harmless in a log line, else a new one."""
    return sent if sent is not None and _REQUEST_ID.fullmatch(sent) else str(uuid.uuid4())


class Starts:
    """Spreads the start of many requests over many turns of the scheduler, by turns of their addresses.

    All that can run in a turn of the scheduler runs in it: 600 requests that come at once took 2 s together, and
    ``/health`` waited for them all. Only the start is held up: a request that waits for its client, for a password's
    hash or for events keeps no other from starting. Probes start at once.
    """

    def __init__(self, trusted: Sequence[Network]) -> None:
        """``trusted``: proxies, see ``address``."""
        self._trusted = trusted
        self._turns = FairTurns(_BEGIN_AT_ONCE)
        #: requests that were begun and are not over
        self.under_way = 0

    async def turn(self, request: QuartRequest) -> None:
        """Waits until ``request`` may start."""
        if self.under_way < _BEGIN_FREELY or request.path in PROBES:
            return
        async with self._turns.turn(client_of(request, self._trusted)):
            await trio.lowlevel.checkpoint()


class MeasuredApp(QuartTrio):
    """A QuartTrio that counts its answers; what it is asked beyond HTTP it does not know."""

    request_class = Request
    metrics: Metrics
    starts: Starts
    #: called when the server begins to drain: what never ends by itself must end now
    on_drain: Callable[[], None] | None = None


class Connection(TrioASGIHTTPConnection):
    """quart-trio's way of handling one request, with the ends tied up.

    Our own server (``http11``) says what comes by calls: ``begin``, ``came``, ``came_whole`` and ``client_left``, while
    ``answer`` runs in a task. Whoever else speaks ASGI (quart's test client) calls it and has its messages read: a
    queue, a nursery and a task more for each request, which were a tenth of a submit.
    """

    app: MeasuredApp

    def __init__(self, app: MeasuredApp, scope: HTTPScope) -> None:
        super().__init__(app, scope)
        self._request_id = ""
        self._trace: Trace | None = None
        self._answered_at: float | None = None
        #: the last piece of the answer is being sent
        self._ending = False
        self._scope = trio.CancelScope()

    def begin(self, send: ASGISendCallable) -> None:
        """The head of the request is here; ``send`` is where its answer goes."""
        self._identify()
        self._send = send
        self._request = cast(Request, self._create_request_from_scope(send))

    async def answer(self) -> None:
        """Handles the request, to the end of its answer or until its client has left."""
        with self._scope, suppress(ClientDisconnectedError):
            await self._handle(self._request, self._send)

    async def came(self, data: bytes) -> None:
        """A piece of the body; waits while the route does not take it."""
        await self._request.body.put(data)

    def came_whole(self) -> None:
        """That was the whole body."""
        self._request.body.set_complete()

    def client_left(self) -> None:
        """Nobody waits for the answer any more. hypercorn says so also when the answer is complete, from within the
        very call that sends its end; see ``handle_messages``."""
        self._disconnected = True
        if not self._ending:
            self._scope.cancel()
            self._request.body.discard(0)

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        self._identify()
        await super().__call__(receive, send)

    def _identify(self) -> None:
        self._request_id = request_id_of(self._sent(b"x-request-id"))
        self._trace = trace_of(self._sent(b"traceparent"))
        # routes and log lines read them from the scope
        ours = {"request_id": self._request_id, "trace": self._trace}
        self.scope["state"] = ConnectionState({**(self.scope.get("state") or {}), **ours})

    def _sent(self, header: bytes) -> str | None:
        sent = next((value for name, value in self.scope["headers"] if name.lower() == header), None)
        return None if sent is None else sent.decode("latin-1")

    async def handle_messages(  # type: ignore[override]  # quart-trio's own signature
        self, nursery: trio.Nursery, request: QuartRequest, receive: ASGIReceiveCallable
    ) -> None:
        # Nearly quart-trio's own. hypercorn says http.disconnect also when an answer is complete, from
        # within the very call that sends its end; to cancel that call keeps hypercorn from recycling or closing the
        # connection: no idle timer starts, and a connection that was to be closed stays open for ever.
        while True:
            message = await receive()
            if message["type"] == "http.request":
                await request.body.put(message.get("body", b""))
                if not message.get("more_body", False):
                    request.body.set_complete()
            elif message["type"] == "http.disconnect":
                self._disconnected = True
                # not request.body.disconnect(): a route that waits for its body would see an error before the cancel
                if not self._ending:
                    nursery.cancel_scope.cancel()
                return

    async def handle_request(  # type: ignore[override]  # quart-trio's own signature
        self, nursery: trio.Nursery, request: QuartRequest, send: ASGISendCallable
    ) -> None:
        await self._handle(cast(Request, request), send)
        nursery.cancel_scope.cancel()

    async def _handle(self, request: Request, send: ASGISendCallable) -> None:
        began = trio.current_time()
        status, starts = _CLIENT_GONE, self.app.starts
        is_begun = False
        try:
            await starts.turn(request)
            starts.under_way += 1
            is_begun = True
            response = await self.app.handle_request(request)
            status = str(response.status_code)
            request.body.discard(_LINGER_BYTES)
            response.headers["X-Request-ID"] = self._request_id
            if self._trace is not None:
                response.headers["traceparent"] = self._trace.traceparent
            await self._answer(send, request, response)
        finally:
            starts.under_way -= is_begun
            for then in self.scope["state"].get("at_end", ()):
                then()
            self._count(request, status, (self._answered_at or trio.current_time()) - began)

    async def _answer(self, send: ASGISendCallable, request: Request, response: ResponseTypes) -> None:
        """Sends the whole answer, and its end only when the client has stopped sending too."""

        async def lingering(message: object) -> None:
            ends = isinstance(message, dict) and message.get("type") == "http.response.body"
            if ends and not cast("dict[str, object]", message).get("more_body", False):
                self._answered_at = trio.current_time()
                await _linger(request)
                self._ending = True
            await send(message)  # type: ignore[arg-type]

        await self._send_response(lingering, response)

    def _count(self, request: Request, status: str, seconds: float) -> None:
        method = request.method if request.method in _METHODS else "OTHER"
        labels = {"method": method, "path": template_of(request), "status": status}
        self.app.metrics.http_requests.labels(**labels).inc()
        self.app.metrics.http_request_duration_seconds.labels(**labels).observe(seconds)


def template_of(request: QuartRequest) -> str:
    """The route's template (``/api/v1/status/{job_id}``), never the path as sent: labels must stay few."""
    rule = request.url_rule
    return "unmatched" if rule is None else re.sub(r"<(?:[^:>]*:)?([^>]+)>", r"{\1}", rule.rule)


async def _linger(request: Request) -> None:
    with trio.move_on_after(_LINGER_S):
        wanted_bytes = 0.0
        while request.body.dropped_bytes >= wanted_bytes:
            wanted_bytes = request.body.dropped_bytes + _LINGER_PAUSE_S * MIN_BYTES_PER_S
            with trio.move_on_after(_LINGER_PAUSE_S):
                await request.body.drained()
                return


def at_end(request: QuartRequest, then: Callable[[], None]) -> None:
    """Calls ``then`` when the request is over, however it ends: answered, refused, or given up by its client."""
    request.scope["state"].setdefault("at_end", []).append(then)


def request_id(request: QuartRequest) -> str:
    """The id of this request, as answered in ``X-Request-ID``."""
    return str(request.scope["state"]["request_id"])


def trace_in(request: QuartRequest) -> Trace | None:
    """The caller's trace, if it sent a valid ``traceparent``."""
    trace: Trace | None = request.scope["state"]["trace"]
    return trace
