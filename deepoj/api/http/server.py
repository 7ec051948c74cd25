"""The API's listening sockets: accept connections, start a task for each, and drain on cancellation.

* The nursery tree cancels ``serve``. That only stops accepting, because each connection is shielded.
* When the listeners close, idle connections are closed, and all others get the drain deadline.
* Requests unfinished at the deadline are cancelled. ``serve`` returns when the last connection is closed.
"""

from __future__ import annotations

import os
import resource
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from math import inf

import trio

from deepoj.api.http.address import is_within, networks, parse, subject_of
from deepoj.api.http.admission import RESERVE, Admission
from deepoj.api.http.arrivals import ARRIVALS_MAX, Arrivals
from deepoj.api.http.connection import Connection
from deepoj.api.http.exchange import Address, MeasuredApp
from deepoj.api.http.sockets import API_PORT, listen, url_of
from deepoj.api.http.unsent import UnsentAnswers
from deepoj.api.settings import ApiSettings
from deepoj.observe import log

#: maximum connections started per scheduler turn, and the CPU time of a turn above which fewer are started: other tasks
#: wait while the requests of new connections run
_SERVE_AT_ONCE, _TURN_S = 32, 0.01
#: interval of checks for disconnected clients of requests in progress
_CHECK_S = 0.25
#: descriptors reserved for the node's other connections, files and pipes
_OTHER_DESCRIPTORS = 400


async def serve(
    app: MeasuredApp,
    *,
    host: str,
    port: int,
    settings: ApiSettings,
    setting: str = API_PORT,
    reuse_port: bool = False,
    task_status: trio.TaskStatus[Sequence[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve HTTP/1.1 on ``host:port`` until cancelled; then finish the requests in progress within
    ``settings.shutdown_timeout_s``. Reports the URLs as started (port 0: a free port).

    ``setting``: name of the port's setting, for error sentences; ``reuse_port``: share the port with other processes of
    this user that do so too.

    Raises:
      StartRefused: the address cannot be used.
    """
    listeners = await listen(host, port, setting, user_timeout_s=settings.write_timeout_s, reuse_port=reuse_port)
    server = Server(app, settings, _connection_limit(settings.max_connections))
    task_status.started([url_of(listener) for listener in listeners])
    async with trio.open_nursery() as nursery:
        checking = trio.CancelScope(shield=True)
        nursery.start_soon(server.check_clients, checking)
        try:
            await trio.serve_listeners(server.serve_connection, [_Gate(listener, server) for listener in listeners])
        finally:
            checking.cancel()


class Server:
    """Serves connections within the limits of the settings."""

    def __init__(self, app: MeasuredApp, settings: ApiSettings, max_connections: int) -> None:
        self._app, self._settings = app, settings
        self._trusted = networks(settings.trusted_proxies)
        self._admission = Admission(app.metrics, max_connections, settings.max_connections_per_address)
        self._unsent = UnsentAnswers(app.metrics, settings.unsent_max_bytes)
        self.arrivals = Arrivals(app.metrics)
        self._deadline = inf

    async def serve_connection(self, stream: trio.SocketStream, client: Address | None = None) -> None:
        """Serve one connection, shielded from cancellation until the drain deadline.

        ``client``: address of the peer, if the socket does not know it.
        """
        if client is None:
            try:
                client = stream.socket.getpeername()[:2]
            except OSError:  # it has disconnected already
                return
        subject = self.subject(client)
        refusal = self._admission.make_room(subject)
        if refusal is not None and not self._admission.has_reserve():
            return
        connection = Connection(self._app, self._settings, stream, client, self._unsent, refusal=refusal)
        self._admission.add(connection, subject, is_refused=refusal is not None)
        try:
            if self._deadline < inf:
                connection.drain(self._deadline)
            await connection.run()
        finally:
            self._admission.remove(connection)

    def subject(self, client: Address) -> str:
        """Return the subject of connection limits; empty for a trusted proxy, which has many clients."""
        peer = parse(client[0])
        return "" if is_within(peer, self._trusted) else subject_of(peer)

    async def check_clients(self, scope: trio.CancelScope) -> None:
        """Cancel requests of disconnected clients, until ``scope`` is cancelled."""
        with scope:
            while True:
                # three idle servers that look for none cost 0.1 % of a core
                await self._admission.wait_connections()
                await trio.sleep(_CHECK_S)
                for connection in self._admission.connections:
                    connection.check_client()

    def drain(self) -> None:
        """Close idle connections now, and give the others the drain deadline."""
        if self._deadline < inf:
            return
        self._deadline = trio.current_time() + self._settings.shutdown_timeout_s
        if self._app.on_drain is not None:
            self._app.on_drain()
        for connection in self._admission.connections:
            connection.drain(self._deadline)


class _Gate(trio.abc.Listener[trio.SocketStream]):
    """A listening socket that accepts many connections per scheduler turn; closing it starts the drain."""

    def __init__(self, listener: trio.SocketListener, server: Server) -> None:
        self._listener, self._server = listener, server
        #: the same socket, to accept without yielding to the scheduler, for which trio has no call
        self._sock = socket.socket(fileno=os.dup(listener.socket.fileno()))
        self._sock.setblocking(False)
        self._arrivals = server.arrivals
        self._at_once, self._left, self._cpu_s = 1, 0, 0.0

    async def accept(self) -> trio.SocketStream:
        while True:
            stream = self._arrivals.take() if self._left else None
            if stream is not None:
                self._left -= 1
                return stream
            if self._arrivals:
                await trio.lowlevel.checkpoint()
            else:
                self._add(await self._listener.accept())
            before_s, self._cpu_s = self._cpu_s, time.thread_time()
            is_slow = self._cpu_s - before_s > _TURN_S
            self._at_once = max(1, self._at_once // 2) if is_slow else min(2 * self._at_once, _SERVE_AT_ONCE)
            self._left = self._at_once
            with suppress(OSError):  # no more connections, or an error that the next call will raise too
                for _ in range(ARRIVALS_MAX):
                    if not self._arrivals.has_room():
                        break
                    self._add(trio.SocketStream(trio.socket.from_stdlib_socket(self._sock.accept()[0])))

    def _add(self, stream: trio.SocketStream) -> None:
        try:
            subject = self._server.subject(stream.socket.getpeername()[:2])
        except OSError:  # it has disconnected already
            stream.socket.close()
            return
        self._arrivals.add(stream, subject)

    async def aclose(self) -> None:
        while (stream := self._arrivals.take()) is not None:
            stream.socket.close()
        self._server.drain()
        self._sock.close()
        await self._listener.aclose()


def _connection_limit(max_connections: int) -> int:
    """Return the number of connections for which there are descriptors, at most ``max_connections``."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max_connections + RESERVE + ARRIVALS_MAX + _OTHER_DESCRIPTORS
    if soft < wanted and soft != resource.RLIM_INFINITY:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        if soft < wanted:
            max_connections = max(1, soft - RESERVE - ARRIVALS_MAX - _OTHER_DESCRIPTORS)
            log("connections_limited", level="warning", count=max_connections, reason=f"RLIMIT_NOFILE is {hard}")
    return max_connections
