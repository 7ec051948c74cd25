"""The slow clients of ``deepoj bench slow``, as a process of its own: ``python -m deepoj.operate.bench.slow_load``.

They cost little beside what they hold up: one thread acts for each of them once a second. Each has an address of its
own below 127.1.0.0/16, shared by a reader and a writer, and connects again when the server has closed its connection.
"""

from __future__ import annotations

import json
import resource
import socket
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field

from deepoj.operate.bench.api_load import Loaded, LoadRequest

#: each client acts once in so many ticks
_TICKS = 10
_TICK_S = 0.1
#: clients whose number is no multiple of 2 read so much each time, the others nothing. It is enough for the write
#: timeout, so they stay as long as the server lets them
_READ_BYTES = 4096
#: of the kernel for a reader: 2,304 bytes are its minimum
_RECEIVE_BUFFER_BYTES = 1024
_STATUS = slice(9, 12)


@dataclass(slots=True)
class SlowSeen:
    """What all clients met. ``answers``: statuses, and ``ended`` for connections that the server closed."""

    opened: int = 0
    read_bytes: int = 0
    answers: Counter[str] = field(default_factory=Counter)


class SlowClient:
    """One client. ``first`` is sent at once, then ``drip`` each time; a reader has no drip."""

    def __init__(self, address: tuple[str, int], source: str, first: bytes, drip: bytes, reads_bytes: int) -> None:
        self._address, self._source, self._first, self._drip = address, source, first, drip
        self._reads_bytes = reads_bytes
        self._sock: socket.socket | None = None
        self._has_status = False

    def act(self, seen: SlowSeen) -> None:
        """Connect if there is no connection; else send the next bytes, and read some. Counts what it sees."""
        try:
            if self._sock is None:
                self._connect()
                seen.opened += 1
            elif self._drip:
                self._sock.send(self._drip)
            self._receive(seen)
        except BlockingIOError:
            pass
        except OSError:  # the server has closed the connection, or does not take any
            seen.answers["ended"] += 1
            self.close()

    def _connect(self) -> None:
        self._has_status = False
        self._sock = socket.socket()
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        self._sock.bind((self._source, 0))
        self._sock.settimeout(_TICK_S)
        self._sock.connect(self._address)
        self._sock.setblocking(False)
        self._sock.send(self._first)

    def _receive(self, seen: SlowSeen) -> None:
        if self._sock is None or (self._has_status and not self._reads_bytes):
            return
        data = self._sock.recv(self._reads_bytes or _STATUS.stop)
        if not data:
            raise ConnectionResetError
        if not self._has_status:
            seen.answers[data[_STATUS].decode("latin-1")] += 1
            self._has_status = True
        seen.read_bytes += len(data)

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None


def slow_clients(order: LoadRequest) -> list[SlowClient]:
    """Return as many readers as writers."""
    address, clients = ("127.0.0.1", order.port), []
    for number in range(order.clients):
        source = f"127.1.{number // 250}.{number % 250 + 1}"
        path = order.paths[number % len(order.paths)]
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        # the same path has readers that read and readers that do not
        reads_bytes = _READ_BYTES * (number // len(order.paths) % 2)
        clients.append(SlowClient(address, source, request.encode(), b"", reads_bytes))
        first, drip = order.drips[number % len(order.drips)]
        clients.append(SlowClient(address, source, first.encode(), drip.encode(), 0))
    return clients


def _hold(order: LoadRequest) -> Loaded:
    """Act for all clients until the order's time is over."""
    began, burnt = time.perf_counter(), time.process_time()
    clients, seen, tick = slow_clients(order), SlowSeen(), 0
    while time.perf_counter() < began + order.seconds:
        for client in clients[tick % _TICKS :: _TICKS]:
            client.act(seen)
        tick += 1
        time.sleep(max(0.0, began + tick * _TICK_S - time.perf_counter()))
    for client in clients:
        client.close()
    return Loaded(
        answers=seen.opened,
        refused=dict(seen.answers),
        received_bytes=seen.read_bytes,
        seconds=time.perf_counter() - began,
        cpu_s=time.process_time() - burnt,
    )


def main() -> None:
    """Obey until stdin ends."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for line in sys.stdin:
        sys.stdout.write(json.dumps(asdict(_hold(LoadRequest(**json.loads(line))))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
