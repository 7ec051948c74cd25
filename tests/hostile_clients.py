"""Clients that mean harm, and what they cost the others: ``python -m tests.hostile_clients`` prints a table.

A node serves on its embedded servers, with no limit on requests: what holds here is the server itself. A polite client
reads and submits, one request after the other, first alone and then beside one kind of attackers, by turns in the same
run; what is compared are the medians. The attackers are a process of their own. The node's memory is watched all along.

Strict: each kind leaves the polite client within twice its usual time and the node within 50 MiB of idle. What a
loaded machine adds to a single run, the test's bounds leave room for.

A second table is of attacks on availability (``SIEGES``), with an embedded node's limits, from one address and from
many of 127.0.0.0/8. While each goes on, ``/health`` answers every time within 1 s, and an honest client logs in, reads
and submits without a refusal.
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
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from socket import SO_LINGER, SOL_SOCKET
from typing import Any

import httpx
import trio

from deepoj.operate.bench.node import pss_kb_of
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
    """Attack until killed, on as many connections as the kind has. Each that ends is replaced. Prints ``there`` once
    all are made."""
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
        """A read, and a submission to an unknown problem: it is refused late, so it costs as much as others."""
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
def attacked(kind: str, node: Node, known: str, *, option: str = "--attack") -> Iterator[None]:
    """``known``: what the attackers are told on their stdin."""
    command = [sys.executable, "-m", "tests.hostile_clients", option, kind, "--port", str(node.ports["api"])]
    process = subprocess.Popen(
        tied(*command, death_signal="KILL"), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(known.encode())
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


# ---------------------------------------------------------------------------------------------------------------------
# Attacks on availability

HEALTH_S = 1.0
#: what an attacker knows: where, and a token and the job of each account that it has
ME, OWNER, PASSWORD = "127.0.0.1", "owner", "correct horse"
HOARDERS, SCHOOL, PER_HOARDER = 31, 300, 20
#: the limits of an embedded node, which ``running`` would lift
LIMITED = {
    f"{kind}RATE_LIMIT_{whose}_PER_WINDOW": {"IP": "60", "USER": "120"}[whose]
    for kind in ("", "AUTH_", "SUBMIT_")
    for whose in ("IP", "USER")
} | {
    "SUBMIT_RATE_LIMIT_IP_PER_WINDOW": "1200",
    "SUBMIT_MAX_INFLIGHT": "5000",
    "SUBMIT_MAX_INFLIGHT_PER_USER": "1000",
}


def address(number: int) -> str:
    """One of this host's many."""
    return f"127.{1 + number // 62_500}.{number // 250 % 250}.{number % 250 + 1}"


def login_request(name: str, password: str) -> bytes:
    body = json.dumps({"username": name, "password": password}).encode()
    return (
        head("POST", "/api/v1/auth/login", "", "Content-Type: application/json", f"Content-Length: {len(body)}") + body
    )


async def half_a_body(stream: trio.SocketStream, _number: int, _tokens: Mapping[str, str]) -> None:
    await stream.send_all(
        head("POST", "/api/v1/auth/login", "", "Content-Type: application/json", "Content-Length: 9999") + b"{"
    )
    while True:
        await trio.sleep(1.2)
        await stream.send_all(b" ")


async def slow_head(stream: trio.SocketStream, _number: int, _tokens: Mapping[str, str]) -> None:
    for byte in head("GET", "/api/v1/problems", "x" * 500):
        await stream.send_all(bytes([byte]))
        await trio.sleep(1.2)


async def takes_nothing(stream: trio.SocketStream, _number: int, _tokens: Mapping[str, str]) -> None:
    while True:
        await stream.send_all(head("GET", "/openapi.json", ""))


async def hoards_streams(stream: trio.SocketStream, number: int, tokens: Mapping[str, str]) -> None:
    """``PER_HOARDER`` of each account, each again as soon as it ends."""
    name = f"hoarder{number % HOARDERS}"
    await stream.send_all(head("GET", f"/api/v1/status/{tokens['job-' + name]}/events", tokens[name]))
    while await stream.receive_some():
        pass
    await trio.sleep(0.2)


async def floods_logins(stream: trio.SocketStream, number: int, _tokens: Mapping[str, str]) -> None:
    await stream.send_all(login_request(f"unknown{number}", "wrong password"))
    await stream.receive_some()


async def guesses_the_owners(stream: trio.SocketStream, _number: int, _tokens: Mapping[str, str]) -> None:
    await stream.send_all(login_request(OWNER, "wrong password"))
    await stream.receive_some()
    await trio.sleep(0.2)


async def leaves_before_the_answer(stream: trio.SocketStream, _number: int, _tokens: Mapping[str, str]) -> None:
    await stream.send_all(head("POST", "/api/v1/auth/login", "", "Expect: 100-continue", "Content-Length: 50"))


async def leaves_within_its_body(stream: trio.SocketStream, _number: int, _tokens: Mapping[str, str]) -> None:
    """To a route that reads it; 200 KB are here as soon as the head is."""
    size = ("Content-Type: application/json", f"Content-Length: {MIB}")
    await stream.send_all(head("POST", "/api/v1/auth/login", "", *size) + b" " * 200_000)


async def connects_and_resets(stream: trio.SocketStream, _number: int, _tokens: Mapping[str, str]) -> None:
    stream.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))


@dataclass(frozen=True, slots=True)
class Siege:
    attack: Callable[[trio.SocketStream, int, Mapping[str, str]], Awaitable[None]]
    abreast: int
    is_from_many: bool


SIEGES: Mapping[str, Siege] = {
    "dripping bodies, one address": Siege(half_a_body, 1010, False),
    "dripping bodies, many addresses": Siege(half_a_body, 1010, True),
    "slow heads, many addresses": Siege(slow_head, 1010, True),
    "answers not taken, many addresses": Siege(takes_nothing, 200, True),
    "streams hoarded, one address": Siege(hoards_streams, HOARDERS * PER_HOARDER, False),
    "streams hoarded, many addresses": Siege(hoards_streams, HOARDERS * PER_HOARDER, True),
    "logins flood, one address": Siege(floods_logins, 80, False),
    "logins flood, many addresses": Siege(floods_logins, 80, True),
    "clients that leave, one address": Siege(leaves_before_the_answer, 100, False),
    "clients that leave, many addresses": Siege(leaves_before_the_answer, 100, True),
    "clients that leave within a body, many addresses": Siege(leaves_within_its_body, 100, True),
    "clients that reset, many addresses": Siege(connects_and_resets, 100, True),
    "owner's password guessed, many addresses": Siege(guesses_the_owners, 100, True),
}


async def besiege(siege: Siege, port: int, tokens: Mapping[str, str]) -> None:
    async def one(number: int) -> None:
        source = address(1000 + number) if siege.is_from_many else address(999)
        while True:
            with contextlib.suppress(OSError, trio.BrokenResourceError, trio.ClosedResourceError):
                async with await trio.open_tcp_stream(ME, port, local_address=source) as stream:
                    await siege.attack(stream, number, tokens)
            await trio.sleep(0.05)

    async with trio.open_nursery() as nursery:
        for number in range(siege.abreast):
            nursery.start_soon(one, number)
        sys.stdout.write("there\n")
        sys.stdout.flush()


class Honest:
    """From an address of its own: probes all the time, and logs in, reads, watches and submits as it can."""

    def __init__(self, node: Node, source: str, problem_id: int) -> None:
        transport = httpx.HTTPTransport(local_address=source)
        self._client = httpx.Client(base_url=node.base, timeout=60, trust_env=False, transport=transport)
        self._problem_id = problem_id
        self.worst_health_s, self.probes = 0.0, 0
        self.faults: list[str] = []

    def probe(self) -> None:
        began = time.perf_counter()
        try:
            self._expect("health", self._fresh("GET", "/api/v1/health"))
        except httpx.HTTPError as error:
            self.faults.append(f"health: {error!r}")
        self.worst_health_s = max(self.worst_health_s, time.perf_counter() - began)
        self.probes += 1

    def once(self, name: str = OWNER) -> None:
        """Logs in, reads, has an event stream, submits."""
        try:
            account = {"username": name, "password": PASSWORD}
            answer = self._fresh("POST", "/api/v1/auth/login", json=account)
            self._expect("login", answer)
            if answer.is_success:
                headers = bearer(answer.json()["token"])
                self._expect("read", self._fresh("GET", "/api/v1/users/me", headers=headers))
                body = {"problem_id": self._problem_id, "language": "cpp17", "code": f"// {random.random()}"}
                sent = self._fresh("POST", "/api/v1/submit", json=body, headers=headers)
                self._expect("submit", sent)
                if sent.is_success:
                    path = f"/api/v1/status/{sent.json()['job_id']}/events"
                    with self._client.stream("GET", path, headers=headers) as events:
                        self._expect("events", events)
        except httpx.HTTPError as error:
            self.faults.append(f"{error.request.method} {error.request.url.path}: {error!r}")

    def _fresh(self, method: str, path: str, **told: Any) -> httpx.Response:
        """On a connection of its own, as somebody who comes now."""
        headers = {"Connection": "close", **told.pop("headers", {})}
        return self._client.request(method, path, headers=headers, **told)

    def _expect(self, what: str, answer: httpx.Response) -> None:
        if answer.status_code != httpx.codes.OK:
            self.faults.append(f"{what}: {answer.status_code}")

    def close(self) -> None:
        self._client.close()


@dataclass(frozen=True, slots=True)
class Outcome:
    """``faults``: what the honest client was refused, of ``probes`` looks at health and ``rounds`` of its own."""

    siege: str
    worst_health_s: float
    probes: int
    rounds: int
    faults: tuple[str, ...]

    def complaints(self, health_s: float = HEALTH_S) -> list[str]:
        found = [f"{self.siege}: {fault}" for fault in self.faults]
        if self.worst_health_s > health_s:
            found.append(f"{self.siege}: health took {self.worst_health_s:.2f} s, allowed are {health_s:g} s")
        return found


def endured(node: Node, name: str, tokens: Mapping[str, str], problem_id: int, *, seconds: float) -> Outcome:
    """What became of an honest client and of ``/health`` during ``seconds`` of a siege."""
    source = address(500 + list(SIEGES).index(name))  # its submissions are counted by address, too
    rounds = 0
    with (
        contextlib.closing(Honest(node, source, problem_id)) as honest,
        contextlib.closing(Honest(node, source, problem_id)) as watcher,
    ):
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.1):
                watcher.probe()

        thread = threading.Thread(target=watch, daemon=True)
        with attacked(name, node, json.dumps(tokens), option="--siege"):
            thread.start()
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline or not rounds:
                honest.once()
                rounds += 1
                time.sleep(1.0)
            over.set()
            thread.join()
    return Outcome(name, watcher.worst_health_s, watcher.probes, rounds, (*honest.faults, *watcher.faults))


def school(node: Node, problem_id: int, *, pupils: int = SCHOOL, seconds: float = 120.0) -> Outcome:
    """So many people behind one address log in, read and submit; all of them come within ``seconds``."""
    watcher, faults = Honest(node, address(1), problem_id), list[str]()

    def pupil(number: int) -> None:
        time.sleep(seconds * number / pupils)
        with contextlib.closing(Honest(node, address(1), problem_id)) as honest:
            answer = honest._fresh(
                "POST", "/api/v1/auth/login", json={"username": f"pupil{number}", "password": PASSWORD}
            )
            honest._expect("login", answer)
            if answer.is_success:
                headers = bearer(answer.json()["token"])
                for path in ("/api/v1/users/me", "/api/v1/problems", f"/api/v1/problems/{problem_id}"):
                    honest._expect(path, honest._fresh("GET", path, headers=headers))
                body = {"problem_id": problem_id, "language": "cpp17", "code": f"// {number}"}
                honest._expect("submit", honest._fresh("POST", "/api/v1/submit", json=body, headers=headers))
            faults.extend(honest.faults)

    threads = [threading.Thread(target=pupil, args=(number,), daemon=True) for number in range(pupils)]
    for thread in threads:
        thread.start()
    with contextlib.closing(watcher):
        while any(thread.is_alive() for thread in threads):
            watcher.probe()
            time.sleep(0.1)
    return Outcome(
        "school behind one address", watcher.worst_health_s, watcher.probes, pupils, (*faults, *watcher.faults)
    )


@contextlib.contextmanager
def a_limited_node(home: Path, pupils: int = SCHOOL) -> Iterator[tuple[Node, Mapping[str, str], int]]:
    """With the contract's limits; the tokens and jobs of the hoarders, and a problem."""
    with running(home, "--roles", "api", env=LIMITED) as node:
        tokens: dict[str, str] = {}
        names = [
            "admin",
            OWNER,
            *(f"hoarder{number}" for number in range(HOARDERS)),
            *(f"pupil{number}" for number in range(pupils)),
        ]
        problem_id = 0
        for number, name in enumerate(names):
            transport = httpx.HTTPTransport(local_address=address(2000 + number // 40))
            with httpx.Client(base_url=node.base, timeout=60, trust_env=False, transport=transport) as client:
                account = {"username": name, "password": PASSWORD}
                client.post("/api/v1/auth/register", json=account).raise_for_status()
                if name == "admin" or name.startswith("hoarder"):
                    answer = client.post("/api/v1/auth/login", json=account).raise_for_status()
                    tokens[name] = answer.json()["token"]
                if name == "admin":
                    problem_id = node.problem(tokens[name])
                elif name in tokens:
                    body = {"problem_id": problem_id, "language": "cpp17", "code": f"// {name}"}
                    sent = client.post("/api/v1/submit", json=body, headers=bearer(tokens[name])).raise_for_status()
                    tokens[f"job-{name}"] = sent.json()["job_id"]
        yield node, tokens, problem_id


def print_costs(kinds: Iterable[str], told: argparse.Namespace) -> list[str]:
    complaints: list[str] = []
    with tempfile.TemporaryDirectory(prefix="ojhostile") as scratch, a_node(Path(scratch) / "home") as (node, token):
        for kind in kinds:
            cost = measured(node, token, kind, turns=told.turns, seconds=told.seconds)
            complaints += cost.complaints()
            line = (
                f"{kind:26} alone {cost.alone_ms:6.1f} ms, beside {cost.beside_ms:6.1f} ms (x {cost.ratio:4.2f}, "
                f"{cost.count} each), {cost.grown_mib:+5.1f} MiB"
            )
            shown = {"kind": kind, "ratio": round(cost.ratio, 2), "grown_mib": round(cost.grown_mib, 1)}
            sys.stdout.write((json.dumps(shown) if told.json else line) + "\n")
            sys.stdout.flush()
    return complaints


def print_sieges(names: Iterable[str], told: argparse.Namespace) -> list[str]:
    complaints: list[str] = []
    with (
        tempfile.TemporaryDirectory(prefix="ojhostile") as scratch,
        a_limited_node(Path(scratch) / "home") as (node, tokens, problem_id),
    ):
        outcomes = (endured(node, name, tokens, problem_id, seconds=told.siege_seconds) for name in names)
        for outcome in (school(node, problem_id), *outcomes) if not told.only else outcomes:
            complaints += outcome.complaints()
            line = (
                f"{outcome.siege:42} health {outcome.worst_health_s:5.2f} s at worst of {outcome.probes:4}, "
                f"{outcome.rounds:3} rounds, {len(outcome.faults)} faults"
            )
            shown = {"siege": outcome.siege, "worst_health_s": round(outcome.worst_health_s, 2)}
            shown |= {"rounds": outcome.rounds, "faults": len(outcome.faults)}
            sys.stdout.write((json.dumps(shown) if told.json else line) + "\n")
            sys.stdout.flush()
    return complaints


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--attack", choices=list(KINDS))
    parser.add_argument("--siege", choices=list(SIEGES))
    parser.add_argument("--port", type=int)
    parser.add_argument("--only", choices=[*KINDS, *SIEGES])
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--siege-seconds", type=float, default=30.0)
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args()
    if told.attack:
        trio.run(attack, KINDS[told.attack], told.port, sys.stdin.read())
    if told.siege:
        trio.run(besiege, SIEGES[told.siege], told.port, json.load(sys.stdin))
    kinds, sieges = ([name for name in table if told.only in {None, name}] for table in (KINDS, SIEGES))
    complaints = print_costs(kinds, told) if kinds else []
    complaints += print_sieges(sieges, told) if sieges else []
    for complaint in complaints:
        sys.stderr.write(f"{complaint}\n")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
