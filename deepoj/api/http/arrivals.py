"""Accepted connections that are not served yet.

In the kernel's queue they wait in the order in which they came: a flood of clients that leave at once filled it, and
``/health`` waited for 1,024 connections of clients that had left. Here such a connection costs a look at its state.
Addresses take turns. A client that has closed its sending side, and may be gone, comes after all others.
"""

from __future__ import annotations

from collections import OrderedDict, deque

import trio

from deepoj.api.http.sockets import ClientState, client_state
from deepoj.observe import Metrics

#: accepted connections that wait, and how many of them may be half closed
ARRIVALS_MAX, _CLOSING_MAX = 1024, 128
#: how many of them one address keeps when all places are taken: the next ones come in through its place
_OF_ADDRESS_WHEN_FULL = ARRIVALS_MAX // 8


type _Lines = OrderedDict[str, deque[trio.SocketStream]]


class Arrivals:
    """The queue of one listening socket."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
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
        """Closes it instead if it is over, or half closed as too many others are. ``subject``: whose it is."""
        state = client_state(stream)
        is_closing = state is ClientState.CLOSING
        if state is ClientState.GONE:
            stream.socket.close()
        elif is_closing and self._closing >= _CLOSING_MAX:
            self._drop(stream)
        else:
            self._lines[is_closing].setdefault(subject, deque()).append(stream)
            self._count += 1
            self._closing += is_closing

    def has_room(self) -> bool:
        """Whether one more may come, perhaps because the address with most connections was to lose its newest."""
        if self._count < ARRIVALS_MAX:
            return True
        line = max(self._lines[False].values(), key=len, default=deque[trio.SocketStream]())
        if len(line) <= _OF_ADDRESS_WHEN_FULL:
            return False
        self._drop(line.pop())
        self._count -= 1
        return True

    def take(self) -> trio.SocketStream | None:
        """The connection to be served next; None if none is left."""
        while self._count:
            is_closing = not self._lines[False]
            subject, stream = self._next_of(self._lines[is_closing])
            self._count -= 1
            self._closing -= is_closing
            if is_closing or client_state(stream) is ClientState.SENDING:
                return stream
            self.add(stream, subject)
        return None

    def _drop(self, stream: trio.SocketStream) -> None:
        self._metrics.connections_refused.labels(reason="queue").inc()
        stream.socket.close()

    def _next_of(self, lines: _Lines) -> tuple[str, trio.SocketStream]:
        subject, line = next(iter(lines.items()))
        stream = line.popleft()
        if line:
            lines.move_to_end(subject)
        else:
            del lines[subject]
        return subject, stream
