"""A full server, as bytes over TCP: a new client is served, although earlier ones hold all connections.

Attackers come from one address or from many (all of 127.0.0.0/8 is this host). No row knows which HTTP library serves.
"""

from __future__ import annotations

import json
import os
import random
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trio

from deepoj.api.http.server import Server
from deepoj.words.accounts import Credentials
from tests.api.house import House, house, served
from tests.api.test_serve import _Slow, answer, bearer, rest, until

_FULL = 20
_HOUR_S = 3600.0
#: no timeout of the server ends a connection
_PATIENT: dict[str, Any] = dict.fromkeys(
    ("read_header_timeout_s", "read_timeout_s", "write_timeout_s", "idle_timeout_s"), _HOUR_S
)
_HEALTH = b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n"
_LOGIN = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
_LARGE = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"


async def dial(url: str, source: str = "127.0.0.1") -> trio.SocketStream:
    port = int(url.rpartition(":")[2])
    return await trio.open_tcp_stream("127.0.0.1", port, local_address=source)


def addresses(count: int) -> list[str]:
    return [f"127.1.{number // 250}.{number % 250 + 1}" for number in range(count)]


async def asked(url: str, raw: bytes = _HEALTH, source: str = "127.0.0.1") -> tuple[int, bytes]:
    """The answer to one request on a new connection."""
    async with await dial(url, source) as stream:
        await stream.send_all(raw)
        return await answer(stream)


#: what an attacker sends, and whether it goes on sending without taking an answer
KINDS = {
    "nothing": (b"", False),
    "half a head": (_HEALTH[:20], False),
    "half a header": (_HEALTH[:-2] + b"X: ", False),
    "a request, and nothing more": (_HEALTH, False),
    "half a body": (_LOGIN + b"Content-Length: 9999\r\n\r\n{", False),
    "half a chunked body": (_LOGIN + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", False),
    "half an unread body": (b"POST /api/v1/submit HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{", False),
    "half a body of a GET": (_HEALTH[:-2] + b"Content-Length: 99\r\n\r\n{", False),
    "requests whose answers it does not take": (_LARGE, True),
}


async def attack(url: str, source: str, kind: str) -> trio.SocketStream:
    raw, never_reads = KINDS[kind]
    stream = await dial(url, source)
    try:
        with suppress(trio.BrokenResourceError):
            await stream.send_all(raw)
            if never_reads:
                with trio.move_on_after(0.1):
                    while True:
                        await stream.send_all(raw)
    except trio.Cancelled:
        await trio.aclose_forcefully(stream)
        raise
    return stream


@asynccontextmanager
async def crowd(url: str, kind: str, sources: list[str]) -> AsyncIterator[list[trio.SocketStream]]:
    """One attacker at each source, who stays."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(await attack(url, source, kind)) for source in sources]


@pytest.mark.parametrize("many", [False, True], ids=["one address", "many addresses"])
@pytest.mark.parametrize("kind", KINDS)
async def test_full_of_waiting_clients_serves_those_who_come(tmp_path: Path, kind: str, many: bool) -> None:
    home = house(tmp_path, max_connections=_FULL, max_connections_per_address=_FULL, **_PATIENT)
    token = await home.token("alice")
    count = 2 * _FULL
    sources = addresses(count) if many else ["127.0.0.1"] * count
    me = f"GET /api/v1/users/me HTTP/1.1\r\nHost: x\r\n{bearer(token)}\r\n".encode()
    async with served(home, patience_s=60) as (url, _), crowd(url, kind, sources):
        assert (await asked(url))[0] == 200
        assert (await asked(url, me))[0] == 200
        assert (await asked(url, me, "127.9.9.9"))[0] == 200
        assert evicted(home) >= count - _FULL
        assert 'status="500"' not in shown(home)


async def test_evicted_request_gets_no_answer(tmp_path: Path) -> None:
    home = house(tmp_path, max_connections=1, **_PATIENT)
    async with served(home, patience_s=60) as (url, _), crowd(url, "half a body", ["127.0.0.1"]) as (stream,):
        await until(lambda: connections(home) == 1)
        assert (await asked(url))[0] == 200
        assert await rest(stream) == b""


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("is_first", [True, False])
async def test_a_request_that_came_before_its_connection_was_given_up_is_answered(
    tmp_path: Path, is_first: bool, turns: int
) -> None:
    """The connection is the longest awaited one, and the request is not read yet when others come. Often, for which of
    two tasks trio runs first is a matter of chance."""
    home = house(tmp_path, max_connections=_FULL, max_connections_per_address=1, trusted_proxies=(), **_PATIENT)
    async with served(home, patience_s=60) as (url, _):
        for _ in range(10):
            before = evicted(home)
            async with await dial(url) as honest:
                if is_first:
                    await until(lambda: connections(home) == 1)
                else:
                    await honest.send_all(_HEALTH)
                    assert (await answer(honest))[0] == 200
                with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))):
                    for _ in range(turns):
                        await trio.lowlevel.checkpoint()
                    is_given_up = evicted(home) > before
                    if not is_given_up:
                        send_now(honest, _HEALTH)
                    assert await rest(honest) == b"" if is_given_up else (await answer(honest))[0] == 200
            await until(lambda: connections(home) == 0)


@pytest.mark.parametrize("kind", ["half a body", "half a header"])
@pytest.mark.parametrize("many", [False, True], ids=["one address", "many addresses"])
async def test_dripping_clients_do_not_keep_their_places(tmp_path: Path, many: bool, kind: str) -> None:
    """Each byte is progress, and none counts; who is thrown out comes again at once."""
    home = house(tmp_path, max_connections=_FULL, max_connections_per_address=_FULL, **_PATIENT)
    sources = addresses(2 * _FULL) if many else ["127.0.0.1"] * 2 * _FULL
    arrived = 0

    async def drip(source: str) -> None:
        nonlocal arrived
        while True:
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError, OSError):
                async with await attack(url, source, kind) as stream:
                    arrived += 1
                    while True:
                        await stream.send_all(b"x")
                        await trio.sleep(0.01 * random.random())

    async with served(home, patience_s=60) as (url, _), trio.open_nursery() as nursery:
        for source in sources:
            nursery.start_soon(drip, source)
        await until(lambda: arrived >= 4 * _FULL)
        thrown_out = 0
        for _ in range(20):
            try:
                assert (await asked(url))[0] == 200
            except trio.BrokenResourceError:
                thrown_out += 1
        # all places may change hands before its request is read, where the loop that it shares with all clients is slow
        assert thrown_out <= 2
        nursery.cancel_scope.cancel()


async def test_upload_in_progress_outlives_those_who_only_wait(tmp_path: Path) -> None:
    """It came first, and what it has sent counts as time."""
    home = house(tmp_path, max_connections=_FULL, **_PATIENT)
    head = _LOGIN.replace(b"auth/login", b"submit") + bearer(await home.token("alice")).encode()
    body = json.dumps({"x": " " * 900_000}).encode()
    async with served(home, patience_s=60) as (url, _), await dial(url) as honest:
        await honest.send_all(head + f"Content-Length: {len(body)}\r\n\r\n".encode() + body[:-1])
        await until(lambda: connections(home) == 1)
        for source in addresses(3):
            async with crowd(url, "half a body", [source] * _FULL):
                assert (await asked(url))[0] == 200
        await honest.send_all(body[-1:])
        assert (await answer(honest))[0] == 400  # it names no problem


async def test_dripping_a_refused_body_does_not_keep_the_connection(tmp_path: Path) -> None:
    home = house(tmp_path)
    head = b"POST /api/v1/problems HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n"
    async with served(home) as (url, _), await dial(url) as stream:
        began = trio.current_time()
        with suppress(trio.BrokenResourceError):
            await stream.send_all(head)
            while trio.current_time() - began < 9:
                await stream.send_all(b" ")
                await trio.sleep(0.2)
            pytest.fail("the connection is still there")


@asynccontextmanager
async def at_work(url: str, raw: bytes, slow: _Slow, count: int, source: str) -> AsyncIterator[list[trio.SocketStream]]:
    """Requests on which the server works."""
    async with AsyncExitStack() as stack:
        streams = []
        for _ in range(count):
            streams.append(await stack.enter_async_context(await dial(url, source)))
            slow.arrived = trio.Event()
            await streams[-1].send_all(raw)
            await slow.arrived.wait()
        yield streams
        slow.go.set()
        for stream in streams:
            assert (await answer(stream))[0] == 200


async def test_full_of_requests_under_way_answers_probes_and_refuses_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = house(tmp_path, max_connections=_FULL, metrics_token="s3cret", **_PATIENT)
    me = f"GET /api/v1/users/me HTTP/1.1\r\nHost: x\r\n{bearer(await home.token('alice'))}\r\n".encode()
    metrics = b"GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer s3cret\r\n\r\n"
    slow = _Slow(home, monkeypatch)
    async with served(home, patience_s=60) as (url, _):
        async with at_work(url, me, slow, _FULL, "127.0.0.1"), crowd(url, "nothing", addresses(100)):
            for raw in (_HEALTH, _HEALTH.replace(b"health", b"ready"), metrics):
                assert (await asked(url, raw, "127.0.0.2"))[0] == 200
            async with await dial(url, "127.0.0.2") as refused:
                await refused.send_all(me + _HEALTH)
                got = await rest(refused)
            assert got.startswith(b"HTTP/1.1 503 ")
            assert got.count(b"HTTP/1.1 ") == 1, "and the connection is closed"
            assert b"\r\nretry-after: " in got.lower()
            assert json.loads(got.partition(b"\r\n\r\n")[2])["code"] == "SERVER_BUSY"
        assert (await asked(url, me, "127.0.0.2"))[0] == 200
        assert 'api_connections_refused_total{instance="",reason="full",service="deep-oj-api"}' in shown(home)


async def test_one_address_full_of_requests_under_way_leaves_room_for_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = house(tmp_path, max_connections=_FULL, max_connections_per_address=5, trusted_proxies=(), **_PATIENT)
    me = f"GET /api/v1/users/me HTTP/1.1\r\nHost: x\r\n{bearer(await home.token('alice'))}\r\n".encode()
    slow = _Slow(home, monkeypatch)
    async with served(home, patience_s=60) as (url, _), at_work(url, me, slow, 5, "127.0.0.1"):
        status, body = await asked(url, me)
        assert (status, json.loads(body)["code"]) == (429, "RATE_LIMITED")
        assert (await asked(url))[0] == 200
        slow.go.set()
        assert (await asked(url, me, "127.0.0.2"))[0] == 200


async def test_one_address_makes_room_by_its_own_connections(tmp_path: Path) -> None:
    home = house(tmp_path, max_connections=_FULL, max_connections_per_address=5, trusted_proxies=(), **_PATIENT)
    async with served(home, patience_s=60) as (url, _), await dial(url, "127.0.0.2") as other:
        await other.send_all(_HEALTH)
        assert (await answer(other))[0] == 200
        async with crowd(url, "nothing", ["127.0.0.1"] * 10) as streams:
            assert (await asked(url))[0] == 200
            for stream in streams[:5]:
                assert await rest(stream) == b""
        await other.send_all(_HEALTH)
        assert (await answer(other))[0] == 200, "idle for longer, and of another address"


async def test_trusted_proxy_is_not_one_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = house(tmp_path, max_connections=_FULL, max_connections_per_address=2, **_PATIENT)
    me = f"GET /api/v1/users/me HTTP/1.1\r\nHost: x\r\n{bearer(await home.token('alice'))}\r\n".encode()
    slow = _Slow(home, monkeypatch)
    async with served(home, patience_s=60) as (url, _), at_work(url, me, slow, _FULL - 1, "127.0.0.1"):
        slow.go.set()
        assert (await asked(url, me))[0] == 200


async def test_queued_request_that_makes_room_is_answered_503(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = house(tmp_path, max_connections=3, trusted_proxies=(), **_PATIENT)
    turn, queued = trio.Event(), 0

    async def wait_turn(_request: Any) -> None:
        nonlocal queued
        queued += 1
        if queued <= 3:
            await turn.wait()

    monkeypatch.setattr(home.app.starts, "turn", wait_turn)
    post = _LOGIN + b"Content-Length: 2\r\n\r\n{}"
    async with served(home, patience_s=60) as (url, _), crowd(url, "nothing", ["127.0.0.2"] * 3) as streams:
        await until(lambda: connections(home) == 3)
        for stream in streams:
            send_now(stream, post)
        await until(lambda: queued == 3)
        assert (await asked(url, _HEALTH, "127.0.0.3"))[0] == 200
        turn.set()
        answers = sorted([await answer(stream) for stream in streams], key=lambda got: got[0])
    assert [status for status, _ in answers] == [400, 400, 503]
    assert json.loads(answers[2][1])["code"] == "SERVER_BUSY"
    assert 'status="503"' in shown(home)


class _Begun:
    """Counts the requests whose account was looked up."""

    def __init__(self, home: House, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self._really = home.store.credentials_by_id
        monkeypatch.setattr(home.store, "credentials_by_id", self)

    async def __call__(self, user_id: int) -> Credentials | None:
        self.count += 1
        return await self._really(user_id)


def send_now(stream: trio.SocketStream, raw: bytes) -> None:
    """Without a turn of the scheduler, so that the server sees all of them in one."""
    assert os.write(stream.socket.fileno(), raw) == len(raw)


_AT_ONCE = 300


@pytest.mark.parametrize("who", ["health", "another address"])
async def test_requests_that_come_at_once_are_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    home = house(tmp_path, trusted_proxies=(), **_PATIENT)
    me = f"GET /api/v1/users/me HTTP/1.1\r\nHost: x\r\n{bearer(await home.token('alice'))}\r\n".encode()
    begun = _Begun(home, monkeypatch)
    async with served(home, patience_s=60) as (url, _), crowd(url, "nothing", ["127.0.0.2"] * _AT_ONCE) as streams:
        source, raw = ("127.0.0.2", _HEALTH) if who == "health" else ("127.0.0.3", me)
        async with await dial(url, source) as honest:
            await until(lambda: connections(home) == _AT_ONCE + 1)
            for stream in streams:
                send_now(stream, me)
            send_now(honest, raw)
            assert (await answer(honest))[0] == 200
            assert begun.count < _AT_ONCE / 2
        for stream in streams:
            assert (await answer(stream))[0] == 200


async def test_client_that_leaves_before_its_request_starts_holds_up_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = house(tmp_path, **_PATIENT)
    me = f"GET /api/v1/users/me HTTP/1.1\r\nHost: x\r\n{bearer(await home.token('alice'))}\r\n".encode()
    slow = _Slow(home, monkeypatch)
    async with served(home, patience_s=60) as (url, _), at_work(url, me, slow, 30, "127.0.0.1"):
        async with crowd(url, "nothing", ["127.0.0.2"] * 30) as streams:
            for stream in streams:
                send_now(stream, me)
        slow.go.set()
        await until(lambda: connections(home) == 30)
        assert (await asked(url, me))[0] == 200


async def test_connections_that_come_at_once_are_accepted_together(tmp_path: Path) -> None:
    """Else the last of 300 is seen after 300 turns of the scheduler, each as long as what others ask takes."""

    class Turns(trio.abc.Instrument):
        count = 0

        def before_io_wait(self, timeout: float) -> None:
            self.count += 1

    home = house(tmp_path, **_PATIENT)
    async with served(home, patience_s=60) as (url, _):
        port = int(url.rpartition(":")[2])
        with ExitStack() as stack:
            for _ in range(_AT_ONCE):
                stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            turns = Turns()
            trio.lowlevel.add_instrument(turns)
            await until(lambda: connections(home) == _AT_ONCE)
            trio.lowlevel.remove_instrument(turns)
    assert turns.count < _AT_ONCE / 4


@pytest.fixture
def begun_connections(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses of the connections whose serving began, in that order."""
    begun: list[str] = []
    really = Server.serve_connection

    async def serve_connection(server: Server, stream: trio.SocketStream) -> None:
        begun.append(stream.socket.getpeername()[0])
        await really(server, stream)

    monkeypatch.setattr(Server, "serve_connection", serve_connection)
    return begun


def leave_connections(url: str, source: str, raw: bytes, count: int, *, resets: bool = False) -> None:
    """Connections that are over before the server can accept them, which it does only when we wait."""
    for _ in range(count):
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), source_address=(source, 0)) as client:
            client.sendall(raw)
            if resets:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


_EXPECT = _LOGIN + b"Expect: 100-continue\r\nContent-Length: 50\r\n\r\n"


async def test_connections_of_clients_that_have_gone_are_not_served(
    tmp_path: Path, begun_connections: list[str]
) -> None:
    home = house(tmp_path, **_PATIENT)
    async with served(home, patience_s=60) as (url, _):
        leave_connections(url, "127.0.0.2", b"", _AT_ONCE)
        leave_connections(url, "127.0.0.2", _EXPECT, _AT_ONCE, resets=True)
        assert (await asked(url, source="127.0.0.3"))[0] == 200
        await until(lambda: connections(home) == 0)
    assert begun_connections == ["127.0.0.3"]


@pytest.mark.parametrize("many", [False, True], ids=["one address", "many addresses"])
async def test_clients_that_closed_their_side_are_served_after_others(
    tmp_path: Path, begun_connections: list[str], many: bool
) -> None:
    home = house(tmp_path, **_PATIENT)
    async with served(home, patience_s=60) as (url, _):
        for source in addresses(_AT_ONCE) if many else ["127.0.0.2"] * _AT_ONCE:
            leave_connections(url, source, _EXPECT, 1)
        assert (await asked(url, source="127.0.0.3"))[0] == 200
        await until(lambda: connections(home) == 0)
    assert begun_connections.index("127.0.0.3") < _AT_ONCE / 4
    assert len(begun_connections) > 1
    closed = home.metrics.connections_refused.labels(reason="queue")._value.get()
    assert closed + len(begun_connections) == _AT_ONCE + 1


async def test_connections_that_come_at_once_begin_by_turns_of_their_addresses(
    tmp_path: Path, begun_connections: list[str]
) -> None:
    home = house(tmp_path, trusted_proxies=(), **_PATIENT)
    async with served(home, patience_s=60) as (url, _):
        with ExitStack() as stack:
            for source in [*["127.0.0.2"] * _AT_ONCE, "127.0.0.3"]:
                stack.enter_context(
                    socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), source_address=(source, 0))
                )
            await until(lambda: connections(home) == _AT_ONCE + 1)
    assert begun_connections.index("127.0.0.3") < _AT_ONCE / 4


async def test_flood_from_one_address_leaves_room_to_others_before_they_are_served(
    tmp_path: Path, begun_connections: list[str]
) -> None:
    """The flood fills the server's own queue. The kernel's queue behind it keeps the order of arrival."""
    home = house(tmp_path, trusted_proxies=(), **_PATIENT)
    async with served(home, patience_s=60) as (url, _):
        port = int(url.rpartition(":")[2])
        with ExitStack() as stack:
            for _ in range(2):
                for _ in range(900):
                    client = socket.create_connection(("127.0.0.1", port), source_address=("127.0.0.2", 0))
                    stack.enter_context(client)
                for _ in range(3):  # the server takes them, and begins to serve few
                    await trio.lowlevel.checkpoint()
            assert (await asked(url, source="127.0.0.3"))[0] == 200
    assert begun_connections.index("127.0.0.3") < _AT_ONCE


def shown(home: House) -> str:
    return home.metrics.render().decode()


def evicted(home: House) -> float:
    samples = next(iter(home.metrics.connections_evicted.collect())).samples
    return sum(sample.value for sample in samples if sample.name.endswith("_total"))


def connections(home: House) -> float:
    return float(home.metrics.connections._value.get())
