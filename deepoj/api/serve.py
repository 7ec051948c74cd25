"""The API's listening socket and its connections, inside our own tree.

``hypercorn.trio.serve`` is not used as a whole: it opens sockets itself (a taken port arrives as a nested group of
exceptions), cancelling it cuts requests under way, and with its ``shutdown_trigger`` the drain would need one more
nursery around it. ``trio.serve_listeners`` with hypercorn's connections does all of that plainly:

* the tree cancels ``serve``: that ends the accepting, and nothing else, since each connection is shielded;
* as the listener closes, idle connections are told to close, and every connection gets the drain deadline;
* what is not finished by then is cancelled. ``serve`` returns when the last connection is gone.
"""

from __future__ import annotations

import errno
import os
import socket
from collections import OrderedDict
from collections.abc import Sequence

import trio
from hypercorn.trio.worker_context import WorkerContext

from deepoj.api.app import create_metrics_app
from deepoj.api.connection import MeasuredApp
from deepoj.api.http11 import ServedConnection, hypercorn_config
from deepoj.api.settings import ApiSettings
from deepoj.observe import Metrics
from deepoj.words import StartRefused

_BACKLOG = 1024
_CONFIGURATION = 2
_REASONS = {
    errno.EADDRINUSE: "the port is taken by another program",
    errno.EACCES: "this user may not use that port",
    errno.EADDRNOTAVAIL: "this host has no such address",
}


async def serve(
    app: MeasuredApp,
    *,
    host: str,
    port: int,
    settings: ApiSettings,
    setting: str = "PORT or api.port",
    task_status: trio.TaskStatus[Sequence[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answers HTTP/1.1 on ``host:port`` until cancelled; then finishes what is under way within
    ``settings.shutdown_timeout_s``. Starts with the URLs it listens on (port 0: a free one).

    ``setting``: how the port is changed, for the sentence of a refusal.

    Raises:
      StartRefused: it cannot listen there.
    """
    listening = await _bind(host, port, setting, user_timeout_s=settings.write_timeout_s)
    house = _House(app, settings)
    listeners = [_Gate(trio.SocketListener(trio.socket.from_stdlib_socket(sock)), house) for sock in listening]
    task_status.started([_url(sock) for sock in listening])
    await trio.serve_listeners(house.serve_connection, listeners)


async def serve_metrics(
    metrics: Metrics,
    *,
    host: str,
    port: int,
    settings: ApiSettings,
    setting: str = "SCHEDULER_METRICS_PORT, WORKER_METRICS_PORT",
    task_status: trio.TaskStatus[Sequence[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """``/metrics`` alone on a port of its own; as ``serve`` otherwise."""
    app = create_metrics_app(metrics, settings)
    await serve(app, host=host, port=port, settings=settings, setting=setting, task_status=task_status)


class _House:
    """The connections of one server."""

    def __init__(self, app: MeasuredApp, settings: ApiSettings) -> None:
        self._app = app
        self._settings = settings
        self._config = hypercorn_config()
        self._context = WorkerContext(None)
        self._scopes: set[trio.CancelScope] = set()
        self._connections: set[ServedConnection] = set()
        #: connections that wait for a request, the one that has waited longest first
        self._waiting: OrderedDict[ServedConnection, trio.CancelScope] = OrderedDict()
        self._deadline = float("inf")
        #: taken by ``_Gate.accept``, given back by ``serve_connection``
        self.slots = trio.Semaphore(settings.max_connections)

    async def serve_connection(self, stream: trio.SocketStream) -> None:
        """One connection, out of reach of the tree's cancel until the drain's deadline."""
        with trio.CancelScope(shield=True, deadline=self._deadline) as scope:
            self._scopes.add(scope)

            def waits(connection: ServedConnection, is_idle: bool) -> None:
                self._waiting.pop(connection, None)
                if is_idle:
                    self._waiting[connection] = scope

            connection = ServedConnection(self._app, self._config, self._context, self._settings, stream, waits=waits)
            self._connections.add(connection)
            try:
                await connection.run()
            finally:
                waits(connection, False)
                self._scopes.discard(scope)
                self._connections.discard(connection)
                self.slots.release()

    def make_room(self) -> None:
        """Gives up the connection that has waited longest for a request: whoever only holds connections open, however
        many, shuts nobody out."""
        if self._waiting:
            _, scope = self._waiting.popitem(last=False)
            scope.cancel()

    async def drain(self) -> None:
        """No more connections come: idle ones close now, the others have until the deadline."""
        if self._context.terminated.is_set():
            return
        self._deadline = trio.current_time() + self._settings.shutdown_timeout_s
        for scope in self._scopes:
            scope.deadline = self._deadline
        if self._app.on_drain is not None:
            self._app.on_drain()
        await self._context.terminated.set()
        for connection in self._connections:
            connection.drain()


class _Gate(trio.abc.Listener[trio.SocketStream]):
    """A listener that lets in as many connections as there are slots, for more of them has those given up that nothing
    comes from, and begins the drain when it closes."""

    def __init__(self, listener: trio.SocketListener, house: _House) -> None:
        self._listener = listener
        self._house = house

    async def accept(self) -> trio.SocketStream:
        if not self._house.slots.value:
            await trio.lowlevel.wait_readable(self._listener.socket)  # somebody knocks
            if not self._house.slots.value:
                self._house.make_room()
        await self._house.slots.acquire()
        try:
            stream = await self._listener.accept()
        except BaseException:  # cancelled, or out of descriptors: nobody came, the slot is free again
            self._house.slots.release()
            raise
        return stream

    async def aclose(self) -> None:
        await self._house.drain()
        await self._listener.aclose()


async def _bind(host: str, port: int, setting: str, *, user_timeout_s: float) -> list[socket.socket]:
    """Listening sockets on every address of ``host``; on one of them if ``port`` is 0."""
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        found = await trio.socket.getaddrinfo(
            host.strip("[]") or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (socket.gaierror, OverflowError, UnicodeError) as error:
        raise StartRefused(f"cannot listen on {where}: {error} (set API_HOST or api.host).", _CONFIGURATION) from error
    bound: list[socket.socket] = []
    try:
        for family, _, protocol, _, address in dict.fromkeys(found):
            if bound and port == 0:
                break
            bound.append(_listen(family, protocol, address, user_timeout_s))
    except OSError as error:
        for sock in bound:
            sock.close()
        reason = _REASONS.get(error.errno or 0) or os.strerror(error.errno or 0)
        raise StartRefused(f"cannot listen on {where}: {reason} (set {setting}).", _CONFIGURATION) from error
    return bound


def _listen(family: int, protocol: int, address: object, user_timeout_s: float) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # inherited by the connections: a peer that vanished, or stopped reading, is given up by the kernel too
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(user_timeout_s * 1000))
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)  # type: ignore[arg-type]  # as getaddrinfo gave it
        sock.listen(_BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def _url(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
