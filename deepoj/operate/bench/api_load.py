"""The load of ``deepoj bench api``, as a process of its own: ``python -m deepoj.operate.bench.api_load``.

It must cost little beside what it measures, for it stands on the same cores: one thread, epoll, requests put together
beforehand but for a nonce, answers looked at no closer than their status and length. What it burns itself it says with
each answer (``cpu_s``).

Requests come on stdin, a JSON line each, and a JSON line on stdout answers each; see ``LoadRequest``. It ends with its
stdin.
"""

from __future__ import annotations

import json
import re
import secrets
import select
import socket
import statistics
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

#: stands in an order's body for what makes each request another one
NONCE = "{nonce}"
_NONCE_DIGITS = 16
_RECEIVE_BYTES = 65_536
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"
#: what was sent at these microseconds of the Unix clock
STAMP = "at{:016d}z"
_STAMPED = re.compile(rb"at(\d{16})z")
_STAMP_BYTES = 19
#: connections of an open loop; what comes while all of them wait is late, and counted as late
_MOST_CLIENTS = 512
#: from the last intended request to the last answer
_DRAIN_S = 60.0
_POLL_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRequest:
    """One thing to do against 127.0.0.1:``port``.

    * ``closed``: each of ``clients`` connections asks again as soon as it has its answer, for ``seconds``;
    * ``open``: ``rate`` requests a second at moments fixed beforehand, for ``seconds``; latencies count from there;
    * ``streams``: one connection for each path, until each has received ``until``; they stay open;
    * ``listen``: those receive for ``seconds``; each ``STAMP`` in what comes is an answer, its age the latency;
    * ``release``: closes those;
    * ``slow``: ``clients`` slow readers of the paths and as many slow writers of ``drips`` for ``seconds``
      (``slow_load``).
    """

    do: Literal["closed", "open", "streams", "listen", "release", "slow"]
    port: int = 0
    method: str = "GET"
    #: one after the other, again from the first
    paths: Sequence[str] = ("/",)
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    clients: int = 1
    rate: float = 0.0
    seconds: float = 0.0
    until: str = ""
    #: bodies of answers to bring back, the latest
    keep: int = 0
    #: beginnings of requests, and what follows each time
    drips: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What came of an order. ``ms``: latencies of good answers; ``refused``: other statuses, ``lost`` among them for
    connections that broke; ``cpu_s``: what this process burnt in ``seconds``."""

    answers: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    median_ms: float = 0.0
    p99_ms: float = 0.0
    max_ms: float = 0.0
    seconds: float = 0.0
    cpu_s: float = 0.0
    #: by ``listen`` and ``slow``
    received_bytes: int = 0
    bodies: list[str] = field(default_factory=list)


def _latencies(ms: Sequence[float]) -> dict[str, Any]:
    """Return the figures of latencies, which are sorted."""
    if not ms:
        return {}
    return {"median_ms": statistics.median(ms), "p99_ms": ms[max(0, -(-len(ms) * 99 // 100) - 1)], "max_ms": ms[-1]}


class _Requests:
    """The bytes of one request after the other."""

    def __init__(self, order: LoadRequest) -> None:
        head = "".join(f"{name}: {value}\r\n" for name, value in {"Host": "127.0.0.1", **order.headers}.items())
        before, found, after = order.body.partition(NONCE)
        length = len((before + after).encode()) + (_NONCE_DIGITS if found else 0)
        if order.body:
            head += f"Content-Length: {length}\r\n"
        self._heads = [f"{order.method} {path} HTTP/1.1\r\n{head}\r\n{before}".encode() for path in order.paths]
        self._after = after.encode()
        self._next = 0
        # no two processes nor orders send the same
        self._nonce = secrets.randbits(63) if found else None

    def take(self) -> bytes:
        head = self._heads[self._next % len(self._heads)]
        self._next += 1
        if self._nonce is None:
            return head
        self._nonce += 1
        return b"%b%016x%b" % (head, self._nonce % 2**64, self._after)


class _Client:
    """A connection; at most one request is under way."""

    __slots__ = ("began", "received", "sock", "wanted_bytes")

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        #: of the whole answer, -1 as long as its head is not here
        self.wanted_bytes = -1
        #: 0 while it is idle
        self.began = 0.0

    def ask(self, request: bytes, began: float) -> None:
        self.received, self.wanted_bytes, self.began = b"", -1, began
        self.sock.sendall(request)

    def has_all(self) -> bool:
        """Takes what has come; whether the answer is whole. Raises ConnectionError when there will be none."""
        data = self.sock.recv(_RECEIVE_BYTES)
        if not data:
            raise ConnectionResetError
        self.received = self.received + data if self.received else data
        if self.wanted_bytes < 0:
            end = self.received.find(_HEAD_END)
            if end < 0:
                return False
            head = self.received[:end].lower()
            at = head.find(_LENGTH)
            length = int(head[at + len(_LENGTH) :].partition(b"\r")[0]) if at >= 0 else 0
            self.wanted_bytes = end + len(_HEAD_END) + length
        return len(self.received) >= self.wanted_bytes

    @property
    def status(self) -> str:
        return self.received[9:12].decode("latin-1")

    @property
    def closes(self) -> bool:
        return b"connection: close" in self.received[: self.received.find(_HEAD_END)].lower()


class _Loop:
    """Clients at work on one order."""

    def __init__(self, order: LoadRequest) -> None:
        self._order = order
        self._requests = _Requests(order)
        self._epoll = select.epoll()
        self._clients: dict[int, _Client] = {}
        self._idle: deque[_Client] = deque()
        self._ms: list[float] = []
        self._refused: Counter[str] = Counter()
        self._kept: deque[bytes] = deque(maxlen=order.keep)

    def _connect(self) -> _Client:
        client = _Client(self._order.port)
        self._clients[client.sock.fileno()] = client
        self._epoll.register(client.sock.fileno(), select.EPOLLIN)
        return client

    def _drop(self, client: _Client) -> None:
        self._epoll.unregister(client.sock.fileno())
        del self._clients[client.sock.fileno()]
        client.sock.close()

    def _ask(self, client: _Client, began: float) -> None:
        """A server may close a connection that it has kept for long enough, also just now: once more, on a new one."""
        request = self._requests.take()
        try:
            client.ask(request, began)
        except ConnectionError:
            self._drop(client)
            self._connect().ask(request, began)

    def _answered(self, client: _Client) -> bool:
        """Whether its request is over, well or not; then the client may be used again (or a new one in its place)."""
        try:
            if not client.has_all():
                return False
        except ConnectionError:
            self._refused["lost"] += 1
            self._replace(client)
            return True
        latency_ms, client.began = (time.perf_counter() - client.began) * 1000, 0.0
        if client.status == "200":
            self._ms.append(latency_ms)
            if self._order.keep:
                self._kept.append(client.received)
        else:
            self._refused[client.status] += 1
        if client.closes:
            self._replace(client)
        else:
            self._idle.append(client)
        return True

    def _replace(self, client: _Client) -> None:
        self._drop(client)
        self._idle.append(self._connect())

    def _close(self) -> None:
        for client in list(self._clients.values()):
            self._drop(client)
        self._epoll.close()

    def run(self) -> Loaded:
        for _ in range(self._order.clients):
            self._idle.append(self._connect())
        began, burnt = time.perf_counter(), time.process_time()
        if self._order.do == "open":
            self._open_loop(began)
        else:
            self._closed_loop(began)
        seconds, cpu_s = time.perf_counter() - began, time.process_time() - burnt
        self._close()
        return self._loaded(seconds, cpu_s)

    def _closed_loop(self, began: float) -> None:
        until = began + self._order.seconds
        under_way = 0
        while True:
            now = time.perf_counter()
            while self._idle and now < until:
                self._ask(self._idle.popleft(), time.perf_counter())
                under_way += 1
            if not under_way:
                return
            under_way -= self._wait(_DRAIN_S)

    def _open_loop(self, began: float) -> None:
        count = round(self._order.rate * self._order.seconds)
        sent = under_way = 0
        while sent < count or under_way:
            now = time.perf_counter()
            while sent < count and began + sent / self._order.rate <= now:
                if not self._idle:
                    if len(self._clients) >= _MOST_CLIENTS:
                        break
                    self._idle.append(self._connect())
                self._ask(self._idle.popleft(), began + sent / self._order.rate)
                sent, under_way = sent + 1, under_way + 1
            wait_s = began + sent / self._order.rate - now if sent < count else _DRAIN_S
            under_way -= self._wait(max(wait_s, 0.0))

    def _wait(self, timeout_s: float) -> int:
        """How many requests have ended meanwhile."""
        ended = 0
        events = self._epoll.poll(timeout_s)
        if not events and timeout_s >= _DRAIN_S:
            raise TimeoutError(f"no answer for {timeout_s:g} s")
        for fd, _ in events:
            client = self._clients.get(fd)
            if client is None:
                continue
            if not client.began:  # closed by the server
                self._idle.remove(client)
                self._replace(client)
            elif self._answered(client):
                ended += 1
        return ended

    def _loaded(self, seconds: float, cpu_s: float) -> Loaded:
        self._ms.sort()
        return Loaded(
            answers=len(self._ms),
            refused=dict(self._refused),
            **_latencies(self._ms),
            seconds=seconds,
            cpu_s=cpu_s,
            bodies=[answer.partition(_HEAD_END)[2].decode() for answer in self._kept],
        )


class _Streams:
    """Connections that stay open and only receive."""

    def __init__(self) -> None:
        self._clients: list[_Client] = []

    def open(self, order: LoadRequest) -> Loaded:
        """Returns as soon as every one has received what the order waits for; raises TimeoutError after ``seconds``."""
        requests, until = _Requests(order), time.perf_counter() + order.seconds
        began, burnt = time.perf_counter(), time.process_time()
        refused: Counter[str] = Counter()
        with select.epoll() as epoll:
            waiting: dict[int, _Client] = {}
            for _ in order.paths:
                client = _Client(order.port)
                client.ask(requests.take(), began)
                waiting[client.sock.fileno()] = client
                epoll.register(client.sock.fileno(), select.EPOLLIN)
                self._clients.append(client)
            while waiting:
                if time.perf_counter() > until:
                    raise TimeoutError(f"{len(waiting)} streams have not begun within {order.seconds:g} s")
                for fd, _ in epoll.poll(_POLL_S):
                    client = waiting[fd]
                    data = client.sock.recv(_RECEIVE_BYTES)
                    client.received += data
                    if order.until.encode() in client.received or not data or client.status != "200":
                        if order.until.encode() not in client.received:
                            refused[client.status or "lost"] += 1
                        epoll.unregister(fd)
                        del waiting[fd]
        return Loaded(
            answers=len(order.paths) - refused.total(),
            refused=dict(refused),
            seconds=time.perf_counter() - began,
            cpu_s=time.process_time() - burnt,
        )

    def listen(self, order: LoadRequest) -> Loaded:
        began, burnt = time.perf_counter(), time.process_time()
        ms: list[float] = []
        lost = received_bytes = 0
        with select.epoll() as epoll:
            listening = {client.sock.fileno(): client for client in self._clients}
            for fd, client in listening.items():
                client.received = b""
                epoll.register(fd, select.EPOLLIN)
            while (left_s := began + order.seconds - time.perf_counter()) > 0:
                for fd, _ in epoll.poll(left_s):
                    client = listening[fd]
                    data = client.sock.recv(_RECEIVE_BYTES)
                    now_us = time.time_ns() // 1000
                    if not data:
                        lost += 1
                        epoll.unregister(fd)
                        continue
                    received_bytes += len(data)
                    text, end = client.received + data, 0
                    for match in _STAMPED.finditer(text):
                        ms.append((now_us - int(match[1])) / 1000)
                        end = match.end()
                    client.received = text[max(end, len(text) - _STAMP_BYTES) :]
        ms.sort()
        return Loaded(
            answers=len(ms),
            refused={"lost": lost} if lost else {},
            seconds=time.perf_counter() - began,
            cpu_s=time.process_time() - burnt,
            received_bytes=received_bytes,
            **_latencies(ms),
        )

    def release(self) -> Loaded:
        for client in self._clients:
            client.sock.close()
        self._clients.clear()
        return Loaded()


def main() -> None:
    """Obeys until stdin ends."""
    streams = _Streams()
    for line in sys.stdin:
        order = LoadRequest(**json.loads(line))
        match order.do:
            case "closed" | "open":
                loaded = _Loop(order).run()
            case "streams":
                loaded = streams.open(order)
            case "listen":
                loaded = streams.listen(order)
            case "release":
                loaded = streams.release()
            case "slow":
                raise ValueError(f"{order.do} is an order for slow_load")
        sys.stdout.write(json.dumps(asdict(loaded)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
