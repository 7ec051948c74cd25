"""Five hundred open streams: their memory while idle, and that the node still answers and stops at once."""

from __future__ import annotations

import contextlib
import re
import selectors
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.e2e.cluster import Servers, deployed
from tests.e2e.nodes import ACCEPTED, Node, until

STREAMS = 500
MIB = 1024 * 1024
#: deadline for all streams together
MOST_MIB = 60.0


def rss_mib(node: Node) -> float:
    return float(psutil.Process(node.process.pid).memory_info().rss / MIB)


class Crowd:
    """Open streams, each on a socket of its own, read as bytes."""

    def __init__(self, node: Node, token: str, job_id: str) -> None:
        self._address = ("127.0.0.1", node.ports["api"])
        self._head = (
            f"GET /api/v1/status/{job_id}/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
        ).encode()
        self._selector = selectors.DefaultSelector()
        self.seen: dict[socket.socket, bytes] = {}

    def join(self, count: int) -> None:
        for _ in range(count):
            sock = socket.create_connection(self._address, timeout=60)
            sock.sendall(self._head)
            self.seen[sock] = b""
            self._selector.register(sock, selectors.EVENT_READ)

    def until_all(self, pattern: bytes, *, within_s: float) -> float:
        """Read until every stream has shown ``pattern``. Return the seconds that it took."""
        began = time.monotonic()
        while not all(re.search(pattern, seen) for seen in self.seen.values()):
            assert time.monotonic() - began < within_s, f"not all have seen {pattern!r}"
            for key, _ in self._selector.select(1):
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                piece = sock.recv(65536)
                self.seen[sock] += piece
                if not piece:
                    self._selector.unregister(sock)
        return time.monotonic() - began

    def leave(self) -> None:
        self._selector.close()
        for sock in self.seen:
            sock.close()


@contextlib.contextmanager
def crowd(node: Node, token: str, job_id: str) -> Iterator[Crowd]:
    made = Crowd(node, token, job_id)
    try:
        yield made
    finally:
        made.leave()


@pytest.fixture
def front(servers: Servers, tmp_path: Path) -> Iterator[Node]:
    """A node without worker: submissions wait."""
    env = dict.fromkeys(("API_LIVE_MAX_STREAMS_PER_USER", "API_LIVE_MAX_STREAMS_PER_ADDRESS"), str(STREAMS))
    with deployed(servers).node(tmp_path / "front", "--roles", "api,scheduler", env=env) as node:
        yield node


def test_five_hundred_idle_streams_are_light(front: Node, capsys: pytest.CaptureFixture[str]) -> None:
    token = front.token()
    job_id = front.submit(token, front.problem(token), ACCEPTED)
    with crowd(front, token, job_id) as some:
        some.join(10)
        some.until_all(b"event: state", within_s=120)
    until(lambda: front.measured("api_live_streams") == 0, within_s=60, what="those have left")
    before = rss_mib(front)
    with crowd(front, token, job_id) as all_of_them:
        all_of_them.join(STREAMS)
        all_of_them.until_all(b"event: state", within_s=300)
        assert front.measured("api_live_streams") == STREAMS
        before_cpu = psutil.Process(front.process.pid).cpu_times()
        began = time.monotonic()
        # each stream has queried once more by then
        all_of_them.until_all(b": keep-alive", within_s=300)
        grown = rss_mib(front) - before
        cpu = psutil.Process(front.process.pid).cpu_times()
        used = (cpu.user + cpu.system - before_cpu.user - before_cpu.system) / (time.monotonic() - began)
        with capsys.disabled():
            sys.stdout.write(f"\n{STREAMS} idle streams: {grown:.1f} MiB, {used:.1%} of a core ")
        # ordinary requests are served meanwhile
        assert front.status(token, job_id)["state"] == "pending"
        refused = front.client.get(f"/api/v1/status/{job_id}/events", headers={"Authorization": f"Bearer {token}"})
        assert refused.status_code == 429
        began = time.monotonic()
        assert front.stop() == 0
        with capsys.disabled():
            sys.stdout.write(f"and a clean stop in {time.monotonic() - began:.1f} s ")
        # each ended properly: a cut one would lack the last chunk
        all_of_them.until_all(rb"\r\n0\r\n\r\n$", within_s=60)
    assert grown < MOST_MIB
