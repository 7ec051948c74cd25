"""The API's listening socket and its connections, inside our own tree.

``hypercorn.trio.serve`` is not used as a whole: it opens sockets itself (a taken port arrives as a nested group of
exceptions), cancelling it cuts requests under way, and with its ``shutdown_trigger`` the drain would need one more
nursery around it. ``trio.serve_listeners`` with hypercorn's connections does all of that plainly:

* the tree cancels ``serve``: that ends the accepting, and nothing else, since each connection is shielded;
* as the listener closes, idle connections are told to close, and every connection gets the drain deadline;
* what is not finished by then is cancelled. ``serve`` returns when the last connection is gone.
"""

from __future__ import annotations

import enum
import errno
import heapq
import itertools
import os
import resource
import socket
import time
from collections import OrderedDict, defaultdict, deque
from collections.abc import Sequence
from contextlib import suppress
from fcntl import ioctl
from math import inf
from termios import FIONREAD

import trio
from hypercorn.trio.worker_context import WorkerContext

from deepoj.api.address import is_within, networks, parse, subject_of
from deepoj.api.app import create_metrics_app
from deepoj.api.connection import MeasuredApp
from deepoj.api.errors import Refused, Say
from deepoj.api.http11 import ServedConnection, hypercorn_config
from deepoj.api.settings import ApiSettings
from deepoj.observe import Metrics, logger
from deepoj.words import StartRefused

_BACKLOG = 1024
#: connections whose serving begins in one turn of the scheduler, fewer while its turns take more CPU than that: what
#: new connections ask for is done before the next turn, which others wait for
_SERVE_AT_ONCE, _TURN_S = 32, 0.01
#: accepted connections that wait for that, and how many of them may be half closed
_ARRIVALS_MAX, _CLOSING_MAX = 1024, 128
#: how many of them one address keeps when all places are taken: the next ones come in through its place
_OF_ADDRESS_WHEN_FULL = _ARRIVALS_MAX // 8
#: of a connection: Linux' tcp_states.h
_ESTABLISHED, _CLOSE_WAIT = 1, 8
_CONFIGURATION = 2
#: connections beyond ``max_connections``, so that what watches the node is always answered
_RESERVE = 64
#: what else a node has open: its own servers' connections, files, pipes
_OTHER_DESCRIPTORS = 400
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
    house = _House(app, settings, _fitting(settings.max_connections))
    listeners = [_Gate(sock, house) for sock in listening]
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
    """The connections of one server, and which of them make room for others.

    A connection whose client is awaited (for a head, a body, or to take an answer) may be given up; one on which the
    server works may not. Room is made by that whose client has been awaited for longest, first among those of its own
    address, then among all. So whoever only holds connections, from however many addresses, shuts nobody out: those
    who come now have been awaited for the shortest time.

    Where there is nothing to give up, ``_RESERVE`` connections more are answered: those in ``PROBES`` as ever, the
    others 503.
    """

    def __init__(self, app: MeasuredApp, settings: ApiSettings, max_connections: int) -> None:
        self._app = app
        self._settings = settings
        self._max_connections = max_connections
        self._trusted = networks(settings.trusted_proxies)
        self._config = hypercorn_config()
        self._context = WorkerContext(None)
        self._connections: dict[ServedConnection, tuple[trio.CancelScope, str]] = {}
        #: of these those that count, by their addresses and all, and those beyond what may be
        self._of_address: defaultdict[str, _ByWaiting] = defaultdict(_ByWaiting)
        self._counted = _ByWaiting()
        self._reserve = _ByWaiting()
        self._deadline = float("inf")

    async def serve_connection(self, stream: trio.SocketStream) -> None:
        """One connection, out of reach of the tree's cancel until the drain's deadline."""
        try:
            subject = self.subject(stream)
        except OSError:  # it has gone already
            await trio.aclose_forcefully(stream)
            return
        refusal = self._make_room(subject)
        if refusal is not None and len(self._reserve) >= _RESERVE and not self._give_up(self._reserve, "reserve"):
            self._app.metrics.connections_refused.labels(reason="reserve").inc()
            await trio.aclose_forcefully(stream)
            return
        with trio.CancelScope(shield=True, deadline=self._deadline) as scope:
            connection = ServedConnection(
                self._app, self._config, self._context, self._settings, stream, refusal=refusal
            )
            self._connections[connection] = scope, subject
            for connections in (self._counted, self._of_address[subject]) if refusal is None else (self._reserve,):
                connections.add(connection)
            self._app.metrics.connections.inc()
            try:
                await connection.run()
            finally:
                self._app.metrics.connections.dec()
                self._forget(connection)

    def subject(self, stream: trio.SocketStream) -> str:
        """Whose connection it is; empty for that of a trusted proxy, which speaks for many."""
        peer = stream.socket.getpeername()[0]
        return "" if is_within(parse(peer), self._trusted) else subject_of(parse(peer))

    def _make_room(self, subject: str) -> Refused | None:
        """What a new connection is to be answered if there is no room for it."""
        of_address, most = self._of_address.get(subject), self._settings.max_connections_per_address
        if subject and of_address and len(of_address) >= most and not self._give_up(of_address, "address"):
            self._app.metrics.connections_refused.labels(reason="address").inc()
            return Refused(Say.TOO_MANY_CONNECTIONS_OF_ADDRESS, limit=most)
        if len(self._counted) >= self._max_connections and not self._give_up(self._counted, "full"):
            self._app.metrics.connections_refused.labels(reason="full").inc()
            return Refused(Say.TOO_MANY_CONNECTIONS)
        return None

    def _give_up(self, candidates: _ByWaiting, reason: str) -> bool:
        """Whether one of ``candidates`` could be given up."""
        worst = candidates.longest()
        if worst is None:
            return False
        self._app.metrics.connections_evicted.labels(reason=reason).inc()
        worst.give_up()
        self._forget(worst)
        return True

    def _forget(self, connection: ServedConnection) -> None:
        _, subject = self._connections.pop(connection, (None, ""))
        for connections in (self._counted, self._reserve, self._of_address[subject]):
            connections.discard(connection)
        if not self._of_address[subject]:
            del self._of_address[subject]

    async def drain(self) -> None:
        """No more connections come: idle ones close now, the others have until the deadline."""
        if self._context.terminated.is_set():
            return
        self._deadline = trio.current_time() + self._settings.shutdown_timeout_s
        for scope, _ in self._connections.values():
            scope.deadline = self._deadline
        if self._app.on_drain is not None:
            self._app.on_drain()
        await self._context.terminated.set()
        for connection in self._connections:
            connection.drain()


class _ByWaiting:
    """Connections, of which that whose client has been awaited for longest is found without a look at all of them: a
    flood of new ones asks for it thousands of times a second."""

    def __init__(self) -> None:
        self._members: set[ServedConnection] = set()
        #: with since when each was awaited when it was last looked at, which only grows; and some that are gone
        self._heap: list[tuple[float, int, ServedConnection]] = []
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._members)

    def add(self, connection: ServedConnection) -> None:
        self._members.add(connection)
        if len(self._heap) > 2 * len(self._members) + _RESERVE:
            self._heap = [entry for entry in self._heap if entry[2] in self._members]
            heapq.heapify(self._heap)
        heapq.heappush(self._heap, self._entry(connection, trio.current_time()))

    def discard(self, connection: ServedConnection) -> None:
        self._members.discard(connection)

    def longest(self) -> ServedConnection | None:
        """None: the server works on all of them."""
        now = trio.current_time()
        while self._heap and self._heap[0][0] < now:
            since, _, connection = self._heap[0]
            if connection not in self._members:
                heapq.heappop(self._heap)
            elif connection.waits_since > since:
                heapq.heapreplace(self._heap, self._entry(connection, now))
            elif connection.has_unread_request:
                heapq.heapreplace(self._heap, (now, next(self._numbers), connection))
            else:
                return connection
        awaited = (one for one in self._members if one.waits_since < inf and not one.has_unread_request)
        return next(awaited, None)

    def _entry(self, connection: ServedConnection, now: float) -> tuple[float, int, ServedConnection]:
        """Whose turn is the server's will be awaited from now on at the earliest."""
        return min(connection.waits_since, now), next(self._numbers), connection


class _Arrivals:
    """Accepted connections that are not served yet.

    In the kernel's queue they wait in the order in which they came: a flood of clients that leave at once filled it,
    and ``/health`` waited for 1,024 connections of clients that had left. Here such a connection costs a look at its
    state. Addresses take turns. A client that has closed its sending side, and may be gone, comes after all others.
    """

    def __init__(self) -> None:
        #: by whether the client has closed its side, and by address; no line is empty
        self._lines: dict[bool, OrderedDict[str, deque[trio.SocketStream]]] = {
            False: OrderedDict(),
            True: OrderedDict(),
        }
        self._closing = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, stream: trio.SocketStream, subject: str) -> None:
        """Closes it instead if it is over, or half closed as too many others are."""
        state = _state_of(stream)
        is_closing = state is _ClientState.CLOSING
        if state is _ClientState.GONE or (is_closing and self._closing >= _CLOSING_MAX):
            stream.socket.close()
            return
        self._lines[is_closing].setdefault(subject, deque()).append(stream)
        self._count += 1
        self._closing += is_closing

    def has_room(self) -> bool:
        """Whether one more may come, perhaps because the address with most connections was to lose its newest."""
        if self._count < _ARRIVALS_MAX:
            return True
        line = max(self._lines[False].values(), key=len, default=deque[trio.SocketStream]())
        if len(line) <= _OF_ADDRESS_WHEN_FULL:
            return False
        line.pop().socket.close()
        self._count -= 1
        return True

    def take(self) -> trio.SocketStream | None:
        """The connection to be served next; None if none is left."""
        while self._count:
            is_closing = not self._lines[False]
            subject, stream = self._next_of(self._lines[is_closing])
            self._count -= 1
            self._closing -= is_closing
            if is_closing or _state_of(stream) is _ClientState.SENDING:
                return stream
            self.add(stream, subject)
        return None

    def _next_of(self, lines: OrderedDict[str, deque[trio.SocketStream]]) -> tuple[str, trio.SocketStream]:
        subject, line = next(iter(lines.items()))
        stream = line.popleft()
        if line:
            lines.move_to_end(subject)
        else:
            del lines[subject]
        return subject, stream


class _ClientState(enum.Enum):
    """What a client can still do on its connection."""

    SENDING = enum.auto()
    #: it has closed its side after it had sent something, and may still read
    CLOSING = enum.auto()
    GONE = enum.auto()


def _state_of(stream: trio.SocketStream) -> _ClientState:
    state = stream.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    if state == _ESTABLISHED:
        return _ClientState.SENDING
    is_unread = state == _CLOSE_WAIT and any(ioctl(stream.socket.fileno(), FIONREAD, bytes(4)))
    return _ClientState.CLOSING if is_unread else _ClientState.GONE


class _Gate(trio.abc.Listener[trio.SocketStream]):
    """A listener that takes many connections in a turn of the scheduler, and begins the drain when it closes."""

    def __init__(self, sock: socket.socket, house: _House) -> None:
        self._sock = sock
        self._listener = trio.SocketListener(trio.socket.from_stdlib_socket(sock))
        self._house = house
        self._arrivals = _Arrivals()
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
            with suppress(OSError):  # none is left; or what the next call meets, too
                for _ in range(_ARRIVALS_MAX):
                    if not self._arrivals.has_room():
                        break
                    self._add(trio.SocketStream(trio.socket.from_stdlib_socket(self._sock.accept()[0])))

    def _add(self, stream: trio.SocketStream) -> None:
        try:
            subject = self._house.subject(stream)
        except OSError:  # it has gone already
            stream.socket.close()
            return
        self._arrivals.add(stream, subject)

    async def aclose(self) -> None:
        while (stream := self._arrivals.take()) is not None:
            stream.socket.close()
        await self._house.drain()
        await self._listener.aclose()


def _fitting(max_connections: int) -> int:
    """How many connections this process has descriptors for, at most ``max_connections``."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max_connections + _RESERVE + _ARRIVALS_MAX + _OTHER_DESCRIPTORS
    if soft < wanted and soft != resource.RLIM_INFINITY:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        if soft < wanted:
            max_connections = max(1, soft - _RESERVE - _ARRIVALS_MAX - _OTHER_DESCRIPTORS)
            logger().warning("connections_limited", count=max_connections, reason=f"RLIMIT_NOFILE is {hard}")
    return max_connections


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
