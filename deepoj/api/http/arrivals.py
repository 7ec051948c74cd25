"""The queue of accepted connections that are not served yet.

The kernel's queue is first in, first out: a flood of clients that disconnected at once filled it, and ``/health``
waited for 1,024 dead connections. In this queue, a dead connection costs one check of its state. Addresses take turns.
Clients that have closed their sending side, and may be gone, come last.
"""

from __future__ import annotations

from collections import OrderedDict, deque

import trio

from deepoj.api.http.sockets import ClientState, client_state
from deepoj.observe import Metrics

#: maximum number of waiting connections, and of half-closed ones among them
ARRIVALS_MAX, _CLOSING_MAX = 1024, 128
#: number of connections that an address keeps when the queue is full; its further ones are dropped for new arrivals
_OF_ADDRESS_WHEN_FULL = ARRIVALS_MAX // 8


type _Queues = OrderedDict[str, deque[trio.SocketStream]]


class Arrivals:
    """The queue of one listening socket."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        #: connections by half-closed state and by address; no queue is empty
        self._queues: dict[bool, _Queues] = {
            False: OrderedDict(),
            True: OrderedDict(),
        }
        self._closing = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, stream: trio.SocketStream, subject: str) -> None:
        """Queue a connection, or close it if it is dead or if too many are half closed. ``subject``: its address."""
        state = client_state(stream)
        is_closing = state is ClientState.CLOSING
        if state is ClientState.GONE:
            stream.socket.close()
        elif is_closing and self._closing >= _CLOSING_MAX:
            self._drop(stream)
        else:
            self._queues[is_closing].setdefault(subject, deque()).append(stream)
            self._count += 1
            self._closing += is_closing

    def has_room(self) -> bool:
        """Return whether there is room for one more connection.

        When the queue is full, it drops the newest connection of the address with most connections.
        """
        if self._count < ARRIVALS_MAX:
            return True
        longest = max(self._queues[False].values(), key=len, default=deque[trio.SocketStream]())
        if len(longest) <= _OF_ADDRESS_WHEN_FULL:
            return False
        self._drop(longest.pop())
        self._count -= 1
        return True

    def take(self) -> trio.SocketStream | None:
        """Return the connection to serve next, or None."""
        while self._count:
            is_closing = not self._queues[False]
            subject, stream = self._next_of(self._queues[is_closing])
            self._count -= 1
            self._closing -= is_closing
            if is_closing or client_state(stream) is ClientState.SENDING:
                return stream
            self.add(stream, subject)
        return None

    def _drop(self, stream: trio.SocketStream) -> None:
        self._metrics.connections_refused.labels(reason="queue").inc()
        stream.socket.close()

    def _next_of(self, queues: _Queues) -> tuple[str, trio.SocketStream]:
        subject, queue = next(iter(queues.items()))
        stream = queue.popleft()
        if queue:
            queues.move_to_end(subject)
        else:
            del queues[subject]
        return subject, stream
