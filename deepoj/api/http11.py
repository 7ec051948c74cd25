"""hypercorn's connection handling, fitted to this house.

We take hypercorn's ``TCPServer`` (one connection) and ``H11Protocol`` (HTTP/1.1 by h11) and mend around them:

* its read timeout would cut requests that take long to answer, and its one idle timeout serves for headers too: here
  headers have a deadline of their own, and so has the pause between requests;
* its sends are shielded without a deadline, so a client that stops reading blocks even a hard cancel: here a send has
  the write timeout;
* after a client has gone its idle timer keeps the connection's socket until it rings: here it is stopped;
* its idle timer is a task that is started anew around every request: here it is the deadline of the scope in which the
  connection is read;
* between it and the application stand a queue, a nursery and two tasks for each request: here the connection of the
  application is told by calls what comes (``Stream``), and one task answers;
* an answer's head goes out by itself, and its end as an empty piece: here head and first piece are one packet;
* of each connection is known since when its client is awaited: by that, connections make room for others;
* upgrades to WebSocket and HTTP/2 are not spoken: one protocol less to be attacked through;
* what is refused below the application (malformed requests) is answered in our JSON too.

All of this leans on private parts: CONTRIBUTING.md lists what to re-check when one of the libraries is updated.
"""

from __future__ import annotations

import json
import logging
import os
from contextlib import suppress
from fcntl import ioctl
from math import inf
from termios import FIONREAD
from typing import Any
from urllib.parse import unquote

import h11
import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.events import Body, EndBody, StreamClosed
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.events import Request as StreamRequest
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState, HTTPScope
from hypercorn.utils import parse_socket_addr

from deepoj.api.body import MIN_BYTES_PER_S
from deepoj.api.connection import Connection, MeasuredApp, request_id_of
from deepoj.api.errors import Refused, Say
from deepoj.api.paths import PROBES
from deepoj.api.settings import ApiSettings
from deepoj.api.strict_h11 import StrictConnection

_RECEIVE_BYTES = _SEND_BYTES = 64 * 1024
#: how long a client that has sent or taken much may pause before it counts as waited for
_CREDIT_S = 5.0
#: of h11, while the client has something to send; after an error it is waited for until it closes
_CLIENTS_TURN = frozenset({h11.IDLE, h11.SEND_BODY, h11.ERROR})
#: what still comes after a refused request is dropped for this long, and so much of it
_LINGER_S = 2.0
_LINGER_BYTES = 1024 * 1024


def hypercorn_config() -> Config:
    """hypercorn's settings: silent but for what its own code finds broken."""
    config = Config()
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn.error")
    config.include_server_header = False
    return config


class Stream(HTTPStream):
    """One request and its answer, in the application's hands without ASGI's messages in between."""

    app: MeasuredApp  # type: ignore[assignment]  # hypercorn wraps its applications

    async def handle(self, event: StreamEvent) -> None:
        if self.closed:
            return
        if isinstance(event, StreamRequest):
            await self._begin(event)
        elif isinstance(event, Body):
            await self._exchange.came(bytes(event.data))
        elif isinstance(event, EndBody):
            self._exchange.came_whole()
        elif isinstance(event, StreamClosed):
            self.closed = True
            self._exchange.client_left()

    async def _begin(self, request: StreamRequest) -> None:
        path, _, query_string = request.raw_path.partition(b"?")
        self.start_time = 0.0  # of hypercorn's access log, which we do not keep
        self.scope = HTTPScope(
            type="http",
            http_version=request.http_version,
            asgi={"spec_version": "2.1", "version": "3.0"},
            method=request.method,
            scheme=self.scheme,
            path=unquote(path.decode("ascii")),
            raw_path=path,
            query_string=query_string,
            root_path="",
            headers=request.headers,
            client=self.client,
            server=self.server,
            state=ConnectionState({}),
            extensions={},
        )
        self._exchange = Connection(self.app, self.scope)
        self._exchange.begin(self.app_send)
        # theirs: what falls out of an application is logged and answered
        await self.task_group.spawn_app(self._answer, self.config, self.scope, self.app_send)

    async def _answer(self, scope: Any, receive: Any, send: Any, sync_spawn: Any, call_soon: Any) -> None:
        await self._exchange.answer()


class Protocol(H11Protocol):
    """HTTP/1.1 and nothing else on a connection."""

    stream: Stream | None
    connection: StrictConnection
    #: the head of an answer, until something of its body comes
    _held = b""
    #: a refusal was just sent; what else the client sends is dropped
    lingers = False
    #: answers every request but those in ``PROBES``
    refusal: Refused | None = None

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.connection = StrictConnection()

    async def _check_protocol(self, event: h11.Request) -> None:
        """No upgrade to HTTP/2."""

    async def _create_stream(self, request: h11.Request) -> None:
        # hypercorn's own, without the branch to WebSocket
        path = _origin_form(request.target)
        if self.refusal is not None and path.partition(b"?")[0].decode() not in PROBES:
            await self._refuse(self.refusal, self.refusal.say.status)
            await self.send(Closed())
            return
        stream = Stream(
            self.app,
            self.config,
            self.context,
            self.task_group,
            self.ssl,
            self.client,
            self.server,
            self.stream_send,
            STREAM_ID,
        )
        self.stream = stream
        await stream.handle(
            StreamRequest(
                stream_id=STREAM_ID,
                headers=list(request.headers),
                http_version=request.http_version.decode(),
                method=request.method.decode("ascii").upper(),
                raw_path=path,
                state=self.connection_state,
            )
        )
        self.keep_alive_requests += 1
        await self.context.mark_request()

    async def _send_h11_event(self, event: Any) -> None:
        # hypercorn's own, but that it sends no empty pieces and a head with what follows it: each send is a system call
        # (and a lock, a scope and a checkpoint), and each packet wakes the client: a tenth of a submit
        try:
            data = self._held + (self.connection.send(event) or b"")
        except h11.LocalProtocolError:
            if self.connection.their_state != h11.ERROR:
                raise
            return
        if isinstance(event, h11.Response):
            self._held = data
            return
        self._held = b""
        if data:
            await self.send(RawData(data))

    async def _send_error_response(self, status_code: int) -> None:
        await self._refuse(Refused(Say.BAD_REQUEST), status_code)

    async def _refuse(self, refused: Refused, status_code: int) -> None:
        body = json.dumps(refused.body(chinese=False)).encode()
        headers = [
            *((name.lower().encode(), value.encode()) for name, value in refused.extra_headers().items()),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
            (b"x-request-id", request_id_of(None).encode()),
            *self.config.response_headers("h11"),
        ]
        piece = () if self.connection.answers_head else (h11.Data(data=body),)
        events = (h11.Response(status_code=status_code, headers=headers), *piece, h11.EndOfMessage())
        # one piece: were the application to answer between two of them, h11 would refuse the rest of ours
        data = b"".join(self.connection.send(event) or b"" for event in events)
        await self.send(RawData(data))
        self.lingers = True


def _origin_form(target: bytes) -> bytes:
    """``/path?query`` of a request target, also of one written for a proxy (``http://host/path``)."""
    if target.startswith(b"/"):
        return target
    _, scheme, rest = target.partition(b"://")
    slash = rest.find(b"/")
    return rest[slash:] if scheme and slash >= 0 else b"/"


class ServedConnection(TCPServer):
    """One connection, from accept to close."""

    protocol: Protocol  # type: ignore[assignment]  # hypercorn wraps its protocols to switch between them

    def __init__(
        self,
        app: MeasuredApp,
        config: Config,
        context: WorkerContext,
        settings: ApiSettings,
        stream: trio.SocketStream,
        *,
        refusal: Refused | None = None,
    ) -> None:
        """``refusal``: the answer to every request but those in ``PROBES``."""
        super().__init__(app, config, context, ConnectionState({}), stream)  # type: ignore[arg-type]
        self._settings = settings
        self._refusal = refusal
        self._between_requests = False
        #: the client's turn began, to send or to take; later by what it has sent or taken at ``MIN_BYTES_PER_S``
        self._sends_since, self._takes_since = trio.current_time(), inf
        self._is_lingering = self._is_given_up = False
        self._scope = trio.CancelScope()
        #: in which the connection is read; it has a deadline unless a request is under way
        self._patience = trio.CancelScope()

    def give_up(self) -> None:
        """Closes the connection without another byte: others need its place."""
        self._is_given_up = True
        self._scope.cancel()

    def drain(self) -> None:
        """The server stops: closes the connection unless a request is under way, after which it closes itself."""
        if self._patience.deadline < inf:
            self._patience.cancel()

    @property
    def waits_since(self) -> float:
        """Since when the server waits for the client; infinite while the client waits for the server.

        A client that sends or takes at least ``MIN_BYTES_PER_S`` has just come; single bytes count for nothing.
        """
        is_begun = hasattr(self, "protocol")
        is_to_send = not is_begun or self._is_lingering or self.protocol.connection.their_state in _CLIENTS_TURN
        return min(self._sends_since if is_to_send else inf, self._takes_since)

    @property
    def has_unread_request(self) -> bool:
        """The next request is here and was not read yet. Then the server is awaited, though it does not know."""
        try:
            return self._between_requests and any(ioctl(self.stream.socket.fileno(), FIONREAD, bytes(4)))
        except OSError:  # it is closed
            return False

    async def run(self) -> None:
        """Serves requests until either side closes. A connection that breaks ends quietly."""
        try:
            with self._scope:
                await self._serve()
        except* (OSError, h11.ProtocolError, trio.BrokenResourceError, trio.ClosedResourceError):
            # the peer went away or broke the protocol in the middle: nobody is left to be told
            pass
        except* trio.BusyResourceError:
            # closing while a send was under way
            pass
        finally:
            await self._close()

    async def _serve(self) -> None:
        socket = self.stream.socket
        client = parse_socket_addr(socket.family, socket.getpeername())
        server = parse_socket_addr(socket.family, socket.getsockname())
        async with TaskGroup() as tasks:
            self._task_group = tasks
            self.protocol = Protocol(
                self.app,
                self.config,
                self.context,
                tasks,
                ConnectionState({}),
                False,
                client,
                server,
                self.protocol_send,
            )
            self.protocol.refusal = self._refusal
            self._wait_at_most(self._settings.read_header_timeout_s)
            if self.context.terminated.is_set():
                self.drain()
            with self._patience:
                await self._read_data()
            if self._patience.cancelled_caught:
                await self._initiate_server_close()

    async def protocol_send(self, event: Event) -> None:
        """What the protocol wants done: bytes sent, the connection closed, idleness noted."""
        if isinstance(event, RawData):
            await self._send(event.data)
        elif isinstance(event, Closed):
            if self.protocol.lingers:
                self.protocol.lingers = False
                await self._linger()
            await self._close()
            await self.protocol.handle(Closed())
        elif isinstance(event, Updated):
            self._sends_since = trio.current_time()
            if event.idle:
                # bytes of the next request may be here already: then its headers are what we wait for
                self._between_requests = not self.protocol.connection.trailing_data[0]
                pause, headers = self._settings.idle_timeout_s, self._settings.read_header_timeout_s
                self._wait_at_most(pause if self._between_requests else headers)
            else:
                self._between_requests = False
                self._wait_at_most(inf)

    async def _send(self, data: bytes) -> None:
        if self._is_given_up:  # hypercorn answers 500 when an application was cancelled
            return
        # What the kernel takes at once it gets at once. The lock and trio's own send each go once around the scheduler,
        # with a look at all sockets: a twentieth of a status read, for nothing as long as the client keeps up.
        if not self.send_lock.locked():
            with suppress(OSError):  # full, broken or closed: what follows finds out which
                data = data[os.write(self.stream.socket.fileno(), data) :]
            if not data:
                return
        async with self.send_lock:
            sent = False
            self._takes_since = trio.current_time()
            with trio.move_on_after(self._settings.write_timeout_s):
                try:
                    for at in range(0, len(data), _SEND_BYTES):
                        await self.stream.send_all(data[at : at + _SEND_BYTES])
                        self._takes_since = _later(self._takes_since, _SEND_BYTES)
                    sent = True
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    pass
            self._takes_since = inf
        if not sent:
            await trio.aclose_forcefully(self.stream)
            await self.protocol.handle(Closed())

    async def _linger(self) -> None:
        """Closing while bytes lie unread resets the connection, and the answer may be lost with it."""
        self._is_lingering = True
        with trio.move_on_after(_LINGER_S), suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self.stream.send_eof()
            for _ in range(_LINGER_BYTES // _RECEIVE_BYTES):
                if not await self.stream.receive_some(_RECEIVE_BYTES):
                    break

    async def _read_data(self) -> None:
        while True:
            try:
                data = await self.stream.receive_some(_RECEIVE_BYTES)
            except (trio.ClosedResourceError, trio.BrokenResourceError):
                break
            if data and self._between_requests:
                # the next request begins: from here its headers have their deadline
                self._between_requests = False
                self._sends_since = trio.current_time()
                self._wait_at_most(self._settings.read_header_timeout_s)
            elif self.protocol.connection.their_state is h11.SEND_BODY:
                self._sends_since = _later(self._sends_since, len(data))
            await self.protocol.handle(RawData(bytes(data)))
            if data == b"":
                break
        await self.protocol.handle(Closed())

    def _wait_at_most(self, seconds: float) -> None:
        self._patience.deadline = trio.current_time() + seconds


def _later(since: float, size_bytes: int) -> float:
    return min(trio.current_time() + _CREDIT_S, since + size_bytes / MIN_BYTES_PER_S)
