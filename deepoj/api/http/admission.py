"""Which connections may stay, and which one is closed for a new one.

A connection whose client is awaited (for a head, a body, or to take an answer) may be closed; one on which the server
works may not. Room is made by that whose client has been awaited for longest, first among those of its own address,
then among all. So a client that only holds connections, from however many addresses, shuts out no other: those who
come now have been awaited for the shortest time.

Where there is nothing to close, ``RESERVE`` connections more are answered: those in ``PROBES`` as ever, the others 503.
"""

from __future__ import annotations

import heapq
import itertools
from collections import defaultdict
from math import inf

import trio

from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.connection import Connection
from deepoj.observe import Metrics

#: connections beyond ``max_connections``, so that what watches the node is always answered
RESERVE = 64


class Admission:
    """The connections of one server."""

    def __init__(self, metrics: Metrics, max_connections: int, max_of_address: int) -> None:
        self._metrics = metrics
        self._max_connections, self._max_of_address = max_connections, max_of_address
        #: with their addresses
        self._connections: dict[Connection, str] = {}
        #: of these those that count, by their addresses and all, and those beyond what may be
        self._of_address: defaultdict[str, _ByWaiting] = defaultdict(_ByWaiting)
        self._counted = _ByWaiting()
        self._reserve = _ByWaiting()

    @property
    def connections(self) -> list[Connection]:
        return list(self._connections)

    def make_room(self, subject: str) -> Refused | None:
        """What a new connection of ``subject`` is to be answered if there is no room for it. ``subject``: its
        address; empty for a proxy, which speaks for many."""
        of_address, most = self._of_address.get(subject), self._max_of_address
        if subject and of_address and len(of_address) >= most and not self._close_one_of(of_address, "address"):
            return self._refused("address", Refused(ApiError.TOO_MANY_CONNECTIONS_OF_ADDRESS, limit=most))
        if len(self._counted) >= self._max_connections and not self._close_one_of(self._counted, "full"):
            return self._refused("full", Refused(ApiError.TOO_MANY_CONNECTIONS))
        return None

    def has_reserve(self) -> bool:
        """Whether there is room for a connection that is to be refused."""
        if len(self._reserve) < RESERVE or self._close_one_of(self._reserve, "reserve"):
            return True
        self._metrics.connections_refused.labels(reason="reserve").inc()
        return False

    def add(self, connection: Connection, subject: str, *, is_refused: bool) -> None:
        """A connection that is about to be served."""
        self._connections[connection] = subject
        for connections in (self._reserve,) if is_refused else (self._counted, self._of_address[subject]):
            connections.add(connection)
        self._metrics.connections.inc()

    def remove(self, connection: Connection) -> None:
        """It has been served."""
        self._metrics.connections.dec()
        self._forget(connection)

    def _refused(self, reason: str, refused: Refused) -> Refused:
        self._metrics.connections_refused.labels(reason=reason).inc()
        return refused

    def _close_one_of(self, candidates: _ByWaiting, reason: str) -> bool:
        """Whether one of ``candidates`` could be closed."""
        longest = candidates.longest()
        if longest is None:
            return False
        self._metrics.connections_evicted.labels(reason=reason).inc()
        longest.give_up()
        self._forget(longest)
        return True

    def _forget(self, connection: Connection) -> None:
        subject = self._connections.pop(connection, "")
        for connections in (self._counted, self._reserve, self._of_address[subject]):
            connections.discard(connection)
        if not self._of_address[subject]:
            del self._of_address[subject]


class _ByWaiting:
    """Connections, of which that whose client has been awaited for longest is found without a look at all of them: a
    flood of new ones asks for it thousands of times a second."""

    def __init__(self) -> None:
        self._members: set[Connection] = set()
        #: with since when each was awaited when it was last looked at, which only grows; and some that are gone
        self._heap: list[tuple[float, int, Connection]] = []
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._members)

    def add(self, connection: Connection) -> None:
        self._members.add(connection)
        if len(self._heap) > 2 * len(self._members) + RESERVE:
            self._heap = [entry for entry in self._heap if entry[2] in self._members]
            heapq.heapify(self._heap)
        heapq.heappush(self._heap, self._entry(connection, trio.current_time()))

    def discard(self, connection: Connection) -> None:
        self._members.discard(connection)

    def longest(self) -> Connection | None:
        """None: the server works on all of them."""
        now = trio.current_time()
        while self._heap and self._heap[0][0] < now:
            since, _, connection = self._heap[0]
            if connection not in self._members:
                heapq.heappop(self._heap)
            elif connection.awaited_since > since:
                heapq.heapreplace(self._heap, self._entry(connection, now))
            elif connection.has_unread_request:
                heapq.heapreplace(self._heap, (now, next(self._numbers), connection))
            else:
                return connection
        awaited = (one for one in self._members if one.awaited_since < inf and not one.has_unread_request)
        return next(awaited, None)

    def _entry(self, connection: Connection, now: float) -> tuple[float, int, Connection]:
        """A connection on which the server works will be awaited from now on at the earliest."""
        return min(connection.awaited_since, now), next(self._numbers), connection
