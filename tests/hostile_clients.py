"""Clients that mean harm, and what they cost the others: ``python -m tests.hostile_clients`` prints a table.

A node serves on its embedded servers, with no limit on requests: what holds here is the server itself. A polite client
reads and submits, one request after the other, first alone and then beside one kind of attackers, by turns in the same
run; what is compared are the medians. The attackers are a process of their own. The node's memory is watched all along.

Strict: each kind leaves the polite client within twice its usual time and the node within 50 MiB of idle. What a
loaded machine adds to a single run, the test's bounds leave room for.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from socket import SO_LINGER, SOL_SOCKET

import httpx
import trio

from deepoj.cli.bench.node import pss_kb_of
from tests.e2e.nodes import ROOT, Node, bearer, running
from tests.servers import tied

STRICT_RATIO = 2.0
STRICT_MIB = 50.0
MIB = 1024 * 1024
#: of the idle connections
IDLE = 1000
#: of every other kind at a time
ABREAST = 4

#: token → a connection that does its worst, once
type Attack = Callable[[trio.SocketStream, str], Awaitable[None]]


def head(method: str, path: str, token: str, *lines: str) -> bytes:
    told = "".join(f"{line}\r\n" for line in lines)
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{told}\r\n".encode()


async def drips_a_body(stream: trio.SocketStream, token: str) -> None:
    """One byte a second, of a body that was announced."""
    await stream.send_all(head("POST", "/api/v1/submit", token, "Content-Type: application/json", "Content-Length: 99"))
    while True:
        await stream.send_all(b" ")
        await trio.sleep(1)


async def drips_a_head(stream: trio.SocketStream, token: str) -> None:
    """One byte a second, of the headers."""
    for byte in head("GET", "/api/v1/problems", token):
        await stream.send_all(bytes([byte]))
        await trio.sleep(1)


async def never_reads(stream: trio.SocketStream, token: str) -> None:
    """Asks for the largest answer there is, again and again, and takes none of it."""
    while True:
        await stream.send_all(head("GET", "/openapi.json", token))


async def leaves_a_body_unread(stream: trio.SocketStream, token: str) -> None:
    """200 MB to a route that has refused before it reads: no such token."""
    await stream.send_all(
        head("POST", "/api/v1/problems", "none", "Content-Type: multipart/form-data; boundary=b",
             f"Content-Length: {200 * MIB}")
    )  # fmt: skip
    for _ in range(200 * 16):
        await stream.send_all(b" " * (64 * 1024))


async def sends_it_chunked(stream: trio.SocketStream, token: str) -> None:
    """200 MB without saying so, to a route that reads."""
    await stream.send_all(
        head("POST", "/api/v1/submit", token, "Content-Type: application/json", "Transfer-Encoding: chunked")
    )
    for _ in range(200 * 16):
        await stream.send_all(b"10000\r\n" + b" " * (64 * 1024) + b"\r\n")


async def uploads_and_disappears(stream: trio.SocketStream, token: str) -> None:
    """Some of a package, then a reset."""
    part = '--b\r\nContent-Disposition: form-data; name="file"; filename="p.zip"\r\n\r\n'
    await stream.send_all(
        head("POST", "/api/v1/problems", token, "Content-Type: multipart/form-data; boundary=b",
             f"Content-Length: {40 * MIB}")
        + part.encode()
    )  # fmt: skip
    for _ in range(16):
        await stream.send_all(random.randbytes(64 * 1024))
    stream.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))


async def sends_a_bomb(stream: trio.SocketStream, token: str) -> None:
    """As deep as fits into a body."""
    body = b'{"problem_id":' + b"[" * (1_000_000)
    kind = ("Content-Type: application/json", f"Content-Length: {len(body)}")
    for path in ("/api/v1/submit", "/api/v1/auth/login"):
        await stream.send_all(head("POST", path, token, *kind) + body)
    found = b""
    while found.count(b"HTTP/1.1 ") < 2:
        piece = await stream.receive_some()
        if not piece:
            return
        found += piece


async def holds_a_connection(stream: trio.SocketStream, _token: str) -> None:
    """Nothing, until the server has enough of it."""
    await stream.receive_some()


@dataclass(frozen=True, slots=True)
class Kind:
    attack: Attack
    abreast: int = ABREAST
    #: between two of one attacker
    pause_s: float = 0.0


KINDS: Mapping[str, Kind] = {
    "one byte a second, body": Kind(drips_a_body, 20),
    "one byte a second, head": Kind(drips_a_head, 20),
    "never reads": Kind(never_reads),
    "200 MB unread": Kind(leaves_a_body_unread, 1),
    "200 MB chunked": Kind(sends_it_chunked, 1),
    "1,000 idle connections": Kind(holds_a_connection, IDLE, 1.0),
    "uploads and disappears": Kind(uploads_and_disappears, 1, 0.1),
    "bomb of nested JSON": Kind(sends_a_bomb, 1, 0.1),
}


async def attack(kind: Kind, port: int, token: str) -> None:
    """For ever, on as many connections as the kind has, each made anew when it is over. Says ``there`` once all have
    been made."""
    missing = kind.abreast

    async def one() -> None:
        nonlocal missing
        is_first = True
        while True:
            with contextlib.suppress(OSError, trio.BrokenResourceError, trio.ClosedResourceError):
                async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                    missing -= is_first
                    if is_first and not missing:
                        sys.stdout.write("there\n")
                        sys.stdout.flush()
                    is_first = False
                    await kind.attack(stream, token)
            await trio.sleep(kind.pause_s)

    async with trio.open_nursery() as nursery:
        for number in range(kind.abreast):
            nursery.start_soon(one)
            if number % 50 == 49:
                await trio.sleep(0.02)


# ---------------------------------------------------------------------------------------------------------------------
# What it costs the others


@dataclass(frozen=True, slots=True)
class Cost:
    """Medians in milliseconds, of ``count`` requests each; ``grown_mib``: the node's most above idle."""

    kind: str
    alone_ms: float
    beside_ms: float
    count: int
    grown_mib: float

    @property
    def ratio(self) -> float:
        return self.beside_ms / self.alone_ms

    def complaints(self, ratio: float = STRICT_RATIO, grown_mib: float = STRICT_MIB) -> list[str]:
        found = []
        if self.ratio > ratio:
            found.append(f"{self.kind}: {self.ratio:.2f} times the usual time, allowed is {ratio:g}")
        if self.grown_mib > grown_mib:
            found.append(f"{self.kind}: {self.grown_mib:.0f} MiB above idle, allowed are {grown_mib:g}")
        return found


class Scale:
    """Watches what a process holds (PSS), in a thread of its own."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.idle_mib = self.now_mib()
        self.most_mib = self.idle_mib
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def now_mib(self) -> float:
        return pss_kb_of(self._pid) / 1024

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            self.most_mib = max(self.most_mib, self.now_mib())

    def __enter__(self) -> Scale:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


class Polite:
    """Reads who it is and submits, on connections of its own."""

    def __init__(self, node: Node, token: str, problem_id: int) -> None:
        self._client = httpx.Client(base_url=node.base, timeout=60, trust_env=False, headers=bearer(token))
        self._problem_id = problem_id

    def once_ms(self) -> float:
        """A read, and a submission of what is refused late: it costs what a submission costs, and judges nobody."""
        began = time.perf_counter()
        self._client.get("/api/v1/users/me").raise_for_status()
        body = {"problem_id": self._problem_id, "language": "cpp17", "code": f"// {random.random()}"}
        answer = self._client.post("/api/v1/submit", json=body)
        took_ms = (time.perf_counter() - began) * 1000
        if answer.status_code != httpx.codes.BAD_REQUEST:
            raise AssertionError(f"expected PROBLEM_NOT_FOUND: {answer.status_code} {answer.text}")
        return took_ms

    def close(self) -> None:
        self._client.close()

    def fresh_connection(self) -> None:
        """As somebody who comes now: the attackers must not have all the slots."""
        self.close()
        self._client = httpx.Client(
            base_url=self._client.base_url, timeout=60, trust_env=False, headers=self._client.headers
        )


@contextlib.contextmanager
def attacked(kind: str, node: Node, token: str) -> Iterator[None]:
    command = [sys.executable, "-m", "tests.hostile_clients", "--attack", kind, "--port", str(node.ports["api"])]
    process = subprocess.Popen(
        tied(*command, death_signal="KILL"), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(token.encode())
    process.stdin.close()
    try:
        assert process.stdout.readline() == b"there\n"
        yield
        if process.poll() is not None:
            raise AssertionError(f"the attackers have fallen: {process.returncode}")
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()


def measured(node: Node, token: str, kind: str, *, turns: int, seconds: float) -> Cost:
    """``turns`` times alone and beside the attackers, for ``seconds`` each."""
    scale = Scale(node.process.pid)
    alone: list[float] = []
    beside: list[float] = []

    def stretch(into: list[float]) -> None:
        polite.fresh_connection()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline or len(into) < 5:
            into.append(polite.once_ms())

    with scale, contextlib.closing(Polite(node, token, 2**31 - 1)) as polite:
        for _ in range(turns):
            stretch(alone)
            with attacked(kind, node, token):
                stretch(beside)
    grown = scale.most_mib - scale.idle_mib
    return Cost(kind, statistics.median(alone), statistics.median(beside), min(len(alone), len(beside)), grown)


@contextlib.contextmanager
def a_node(home: Path) -> Iterator[tuple[Node, str]]:
    """One that has served a little: what a first request loads is no growth."""
    with running(home, "--roles", "api") as node:
        token = node.token()
        with contextlib.closing(Polite(node, token, 2**31 - 1)) as polite:
            for _ in range(50):
                polite.once_ms()
        node.client.get("/openapi.json")
        yield node, token


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--attack", choices=list(KINDS))
    parser.add_argument("--port", type=int)
    parser.add_argument("--only", choices=list(KINDS))
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args()
    if told.attack:
        trio.run(attack, KINDS[told.attack], told.port, sys.stdin.read())
    complaints: list[str] = []
    with tempfile.TemporaryDirectory(prefix="ojhostile") as scratch, a_node(Path(scratch) / "home") as (node, token):
        for kind in [told.only] if told.only else KINDS:
            cost = measured(node, token, kind, turns=told.turns, seconds=told.seconds)
            complaints += cost.complaints()
            line = (
                f"{kind:26} alone {cost.alone_ms:6.1f} ms, beside {cost.beside_ms:6.1f} ms (x {cost.ratio:4.2f}, "
                f"{cost.count} each), {cost.grown_mib:+5.1f} MiB"
            )
            shown = {"kind": kind, "ratio": round(cost.ratio, 2), "grown_mib": round(cost.grown_mib, 1)}
            sys.stdout.write((json.dumps(shown) if told.json else line) + "\n")
            sys.stdout.flush()
    for complaint in complaints:
        sys.stderr.write(f"{complaint}\n")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
