"""Real sockets: limits while reading, slow and rude clients, the drain, ports that are taken."""

from __future__ import annotations

import io
import json
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from quart import Response
from quart_trio.wrappers import TrioResponse

from deepoj.api.app import create_metrics_app
from deepoj.api.http.server import serve
from deepoj.words.accounts import Credentials
from deepoj.words.errors import StartRefused
from tests.api.house import PATIENCE_S, House, client, form, house, package, served, settings_for

MIB = 1024 * 1024
#: a deadline that a request must beat to be answered, though the machine is loaded; clients that miss it are waited for
_ENOUGH_S = 3.0


async def dial(url: str) -> trio.SocketStream:
    host, _, port = url.removeprefix("http://").partition(":")
    return await trio.open_tcp_stream(host, int(port))


def bearer(token: str) -> str:
    return f"Authorization: Bearer {token}\r\n"


async def until(condition: Callable[[], bool]) -> None:
    """Waits for a condition that has no signal of its own."""
    while not condition():
        await trio.sleep(0.01)


async def rest(stream: trio.SocketStream) -> bytes:
    """Everything until the server closes."""
    found = bytearray()
    try:
        async for piece in stream:
            found += piece
    except trio.BrokenResourceError:
        pass
    return bytes(found)


async def answer(stream: trio.SocketStream) -> tuple[int, bytes]:
    """One answer with a Content-Length."""
    found = bytearray()
    while b"\r\n\r\n" not in found:
        piece = await stream.receive_some()
        assert piece, bytes(found)
        found += piece
    head, _, body = bytes(found).partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    length = next(int(line.split(":")[1]) for line in lines if line.startswith("content-length:"))
    while len(body) < length:
        body += await stream.receive_some()
    return int(lines[0].split()[1]), body


def requests_counted(home: House, **labels: str) -> float:
    return float(home.metrics.http_requests.labels(**labels)._value.get())


async def chunks(total: int, size: int = 64 * 1024) -> AsyncIterator[bytes]:
    piece = b" " * size
    for _ in range(total // size):
        yield piece


# ---------------------------------------------------------------------------------------------------------------------
# Limits


@pytest.fixture
def drops_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that drops an unread body as fast as it comes, however slowly that is. Otherwise it closes on a client
    that takes half a minute for 60 MB, as on a loaded machine, or pauses; and at its own pace it takes four seconds."""
    monkeypatch.setattr("deepoj.api.http.connection._DROP_BYTES_PER_S", 1 << 40)
    monkeypatch.setattr("deepoj.api.http.connection._DROP_S", float(PATIENCE_S))
    monkeypatch.setattr("deepoj.api.http.connection._DROP_PAUSE_S", float(PATIENCE_S))


@pytest.mark.usefixtures("drops_all")
async def test_a_chunked_body_has_a_limit(tmp_path: Path) -> None:
    home = house(tmp_path)
    token = await home.token("alice")
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    async with served(home) as (url, _), client(url) as http:
        got = await http.post("/api/v1/submit", content=chunks(3 * MIB), headers=headers)
        assert (got.status_code, got.json()["code"]) == (413, "BODY_TOO_LARGE")
        assert (await http.get("/api/v1/health")).status_code == 200


@pytest.mark.usefixtures("drops_all")
@pytest.mark.parametrize("chunked", [False, True])
async def test_60_mb_are_too_many(tmp_path: Path, chunked: bool) -> None:
    home = house(tmp_path)
    token = await home.token("root", is_admin=True)
    total = 60 * MIB
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="p.zip"\r\n\r\n'

    async def body() -> AsyncIterator[bytes]:
        yield head
        async for piece in chunks(total):
            yield piece

    headers = {"Authorization": f"Bearer {token}", "Content-Type": "multipart/form-data; boundary=b"}
    if not chunked:
        headers["Content-Length"] = str(total + len(head))
    async with served(home) as (url, _), client(url) as http:
        got = await http.post("/api/v1/problems", content=body(), headers=headers)
        assert (got.status_code, got.json()["code"]) == (413, "FILE_TOO_LARGE")
        await until(lambda: not (tmp_path / "uploads").exists() or not list((tmp_path / "uploads").iterdir()))


async def test_a_large_package_goes_to_disk(tmp_path: Path) -> None:
    home = house(tmp_path)
    token = await home.token("root", is_admin=True)
    body, content_type = form({"title": "t"}, package({"1.in": "x" * 20 * MIB, "1.out": "y" * 20 * MIB}))
    headers = {"Authorization": f"Bearer {token}", "Content-Type": content_type}
    async with served(home) as (url, _), client(url) as http:
        got = await http.post("/api/v1/problems", content=body, headers=headers)
        assert got.status_code == 200, got.text
        assert len(home.blobs.objects[got.json()["minio_path"]]) > 40 * MIB


@pytest.mark.usefixtures("drops_all")
async def test_a_body_nobody_reads_is_not_kept(tmp_path: Path) -> None:
    home = house(tmp_path)
    async with served(home) as (url, _), client(url) as http:
        await http.get("/api/v1/health")
        before = psutil.Process().memory_info().rss
        got = await http.post("/api/v1/problems", content=chunks(60 * MIB))
        assert got.status_code == 401
        assert psutil.Process().memory_info().rss - before < 24 * MIB


async def test_unread_body_is_taken_no_faster_than_16_mib_a_second(tmp_path: Path, autojump_clock: object) -> None:
    """The next request of the connection waits for that."""
    home = house(tmp_path)
    async with home.connected() as stream, trio.open_nursery() as nursery:
        head = f"POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: {32 * MIB}\r\n\r\n"
        nursery.start_soon(stream.send_all, head.encode() + b" " * 32 * MIB + _HEALTH)
        assert (await answer(stream))[0] == 404
        assert (await answer(stream))[0] == 200
        assert trio.current_time() == pytest.approx(2.0, abs=0.1)


@pytest.mark.usefixtures("drops_all")
async def test_the_connection_survives_a_small_unread_body(tmp_path: Path) -> None:
    home = house(tmp_path)
    async with served(home) as (url, _), await dial(url) as stream:
        for path, status in (("/nothing", 404), ("/api/v1/submit", 401), ("/api/v1/auth/login", 415)):
            head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n"
            await stream.send_all(head.encode() + b"x" * 300_000)
            assert (await answer(stream))[0] == status


# ---------------------------------------------------------------------------------------------------------------------
# Slow and rude clients


async def test_a_slow_body_times_out(tmp_path: Path) -> None:
    home = house(tmp_path, read_timeout_s=0.3)
    token = await home.token("root", is_admin=True)
    types = {"/api/v1/submit": "application/json", "/api/v1/problems": "multipart/form-data; boundary=b"}
    async with served(home) as (url, _):
        for path, content_type in types.items():
            async with await dial(url) as stream:
                head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n{bearer(token)}"
                await stream.send_all(f"{head}Content-Type: {content_type}\r\n\r\n--".encode())
                status, body = await answer(stream)
                assert (status, json.loads(body)["code"]) == (408, "REQUEST_TIMEOUT")


async def test_a_dripping_body_times_out(tmp_path: Path) -> None:
    """Each piece comes in time, all of them together do not."""
    home = house(tmp_path, read_timeout_s=0.5)
    token = await home.token("alice")
    async with served(home) as (url, _), await dial(url) as stream:
        head = f"POST /api/v1/submit HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n{bearer(token)}"
        await stream.send_all(f"{head}Content-Type: application/json\r\n\r\n".encode())

        async def drip() -> None:
            while True:
                await stream.send_all(b" ")
                await trio.sleep(0.02)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(drip)
            assert (await answer(stream))[0] == 408
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("sent", [b"", b"GET /api/v1/health HTTP/1.1\r\nHost:"])
async def test_headers_have_a_deadline(tmp_path: Path, sent: bytes) -> None:
    home = house(tmp_path, read_header_timeout_s=0.2, idle_timeout_s=3600)
    async with served(home) as (url, _), await dial(url) as stream:
        await stream.send_all(sent)
        assert await rest(stream) == b""


async def test_the_headers_of_a_second_request_have_the_same_deadline(tmp_path: Path) -> None:
    """The pause before them has another."""
    home = house(tmp_path, read_header_timeout_s=_ENOUGH_S, idle_timeout_s=3600)
    async with served(home) as (url, _), await dial(url) as stream:
        await stream.send_all(b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await answer(stream))[0] == 200
        await stream.send_all(b"GET /api/v1/health HTTP/1.1\r\nHost:")
        assert await rest(stream) == b""


async def test_a_pause_between_requests_has_its_own_deadline(tmp_path: Path) -> None:
    home = house(tmp_path, read_header_timeout_s=3600, idle_timeout_s=0.2)
    async with served(home) as (url, _), await dial(url) as stream:
        await stream.send_all(b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await answer(stream))[0] == 200
        assert await rest(stream) == b""


async def test_leaving_in_the_middle_of_an_upload(tmp_path: Path) -> None:
    home = house(tmp_path)
    token = await home.token("root", is_admin=True)
    uploads = tmp_path / "uploads"
    async with served(home) as (url, _):
        async with await dial(url) as stream:
            part = '--b\r\nContent-Disposition: form-data; name="file"; filename="p.zip"\r\n\r\n'
            head = f"POST /api/v1/problems HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n{bearer(token)}"
            await stream.send_all(f"{head}Content-Type: multipart/form-data; boundary=b\r\n\r\n{part}".encode())
            await stream.send_all(b"PK" * 1000)
            await until(lambda: uploads.exists() and bool(list(uploads.iterdir())))
        await until(lambda: not list(uploads.iterdir()))
        await until(lambda: requests_counted(home, method="POST", path="/api/v1/problems", status="499") == 1)
    assert home.blobs.objects == {}


async def test_client_that_closes_its_side_after_a_request_gets_its_answer(tmp_path: Path) -> None:
    home = house(tmp_path)
    body = b'{"username":"x","password":"y"}'
    head = f"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    async with served(home) as (url, _), await dial(url) as stream:
        await stream.send_all(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
        await stream.send_eof()
        assert (await rest(stream)).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("resets", [False, True])
async def test_request_of_a_client_that_has_gone_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resets: bool
) -> None:
    home = house(tmp_path)
    token = await home.token("alice")
    slow = _Slow(home, monkeypatch)
    async with served(home, patience_s=60) as (url, _):
        async with await dial(url) as stream:
            await stream.send_all(f"GET /api/v1/users/me HTTP/1.1\r\nHost: x\r\n{bearer(token)}\r\n".encode())
            await slow.arrived.wait()
            if resets:
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await until(lambda: requests_counted(home, method="GET", path="/api/v1/users/me", status="499") == 1)


async def test_answer_that_breaks_off_ends_its_connection_alone(tmp_path: Path, logged: io.StringIO) -> None:
    home = house(tmp_path)

    @home.app.get("/broken")
    async def broken() -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"one"
            raise ZeroDivisionError

        return TrioResponse(pieces())

    async with served(home) as (url, _), await dial(url) as stream:
        await stream.send_all(b"GET /broken HTTP/1.1\r\nHost: x\r\n\r\n")
        got = await rest(stream)
        assert b"one" in got
        assert not got.endswith(b"0\r\n\r\n"), "the client sees that it is not whole"
        async with await dial(url) as other:
            await other.send_all(_HEALTH)
            assert (await answer(other))[0] == 200
    assert "ZeroDivisionError" in logged.getvalue()


async def test_a_client_that_stops_reading_is_given_up(tmp_path: Path) -> None:
    home = house(tmp_path, write_timeout_s=0.5)

    @home.app.get("/big")
    async def big() -> bytes:
        return b"x" * 64 * MIB

    async with served(home) as (url, _), await dial(url) as stream:
        await stream.send_all(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
        await until(lambda: requests_counted(home, method="GET", path="/big", status="200") == 1)
        assert len(await rest(stream)) < 64 * MIB


async def test_a_client_that_stops_reading_cannot_hold_the_drain(tmp_path: Path) -> None:
    home = house(tmp_path, write_timeout_s=3600, shutdown_timeout_s=0.5)

    @home.app.get("/big")
    async def big() -> bytes:
        return b"x" * 64 * MIB

    async with served(home) as (url, scope):
        stream = await dial(url)
        await stream.send_all(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
        await stream.receive_some(1)
        scope.cancel()
    await stream.aclose()


async def test_nonsense_never_stops_the_server(tmp_path: Path) -> None:
    home = house(tmp_path, read_header_timeout_s=_ENOUGH_S, idle_timeout_s=_ENOUGH_S, read_timeout_s=_ENOUGH_S)
    good = b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\n"
    requests = [
        b"\r\n\r\n", b"\0" * 100, b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"get /%00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://[bad HTTP/1.1\r\nHost: x\r\n\r\n", b"GET * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET //api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n", b"GET ? HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /api/v1/health HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: \xff\xfe[::\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a b/c?d#e@:99999999\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n",
        good + b"X: " + b"y" * 70_000 + b"\r\n\r\n", good + b"Content-Length: -1\r\n\r\n",
        good + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", good + b"Content-Length: 1" + b"0" * 40 + b"\r\n\r\n",
        good + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
        good + b"Transfer-Encoding: gzip\r\n\r\n",
        good + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        good + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n",
        good + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
        good + b"Accept-Language: \xff\xfe;q=\r\n\r\n", good + b"Cookie: \xff=\r\n\r\n",
        good + b"X-Request-ID: \xff\r\n\r\n",
        good + b"Authorization: Bearer \xff\r\n\r\n", good + b"Content-Type: \xff;boundary=\xff\r\n\r\n",
        good + b"Connection: close\r\n\r\n", good + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
    ]  # fmt: skip
    got: dict[bytes, bytes] = {}
    async with served(home) as (url, _), client(url) as http:
        await _all_at_once(url, requests, got)
        assert (await http.get("/api/v1/health")).status_code == 200
    for raw, answers in got.items():
        for part in answers.split(b"HTTP/1.1 ")[1:]:
            if part.startswith(b"100"):
                continue
            head, _, body = part.partition(b"\r\n\r\n")
            assert b"x-request-id: " in head.lower(), raw
            assert not head.startswith(b"500"), raw
            if head[:1] in b"45":
                assert body, (raw, answers)
                assert set(json.loads(body)) >= {"error", "code"}, raw
    assert sum(bool(answers) for answers in got.values()) > len(requests) // 2, "most of it is worth an answer"


async def _all_at_once(url: str, requests: list[bytes], got: dict[bytes, bytes]) -> None:
    """Each on a connection of its own, until the server closes it."""

    async def one(raw: bytes) -> None:
        async with await dial(url) as stream:
            with suppress(trio.BrokenResourceError):
                await stream.send_all(raw)
            got[raw] = await rest(stream)

    async with trio.open_nursery() as nursery:
        for raw in requests:
            nursery.start_soon(one, raw)


_WHOLE = (
    b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\nGET /api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n"
)
_CHANGES = st.lists(
    st.tuples(st.integers(0, len(_WHOLE)), st.integers(0, 6), st.binary(max_size=6)), min_size=1, max_size=5
)


def _changed(changes: list[tuple[int, int, bytes]]) -> bytes:
    raw = bytearray(_WHOLE)
    for at, length, put in changes:
        raw[at : at + length] = put
    return bytes(raw)


async def _still_answers(http: httpx.AsyncClient) -> None:
    """Also within deadlines so short that a loaded machine misses some: ``served`` bounds how often."""
    while True:
        try:
            assert (await http.get("/api/v1/health")).status_code == 200
            return
        except (httpx.RemoteProtocolError, httpx.ReadError):
            await trio.sleep(0.01)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batch=st.lists(_CHANGES, min_size=1, max_size=40))
def test_mutated_requests_never_stop_the_server(batch: list[list[tuple[int, int, bytes]]], tmp_path: Path) -> None:
    async def check() -> None:
        home = house(tmp_path, read_header_timeout_s=0.3, idle_timeout_s=0.3, read_timeout_s=0.3)
        got: dict[bytes, bytes] = {}
        async with served(home) as (url, _), client(url) as http:
            await _all_at_once(url, [_changed(changes) for changes in batch], got)
            await _still_answers(http)
        assert not [answers for answers in got.values() if b"HTTP/1.1 500" in answers]

    trio.run(check)


async def test_two_requests_in_one_packet(tmp_path: Path) -> None:
    home = house(tmp_path)
    async with served(home) as (url, _), await dial(url) as stream:
        one = b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\nX-Request-ID: %s\r\n"
        await stream.send_all(one % b"first" + b"\r\n" + one % b"second" + b"Connection: close\r\n\r\n")
        got = await rest(stream)
        assert got.count(b"HTTP/1.1 200") == 2
        assert got.index(b"first") < got.index(b"second")


async def test_expect_continue(tmp_path: Path) -> None:
    home = house(tmp_path)
    async with served(home) as (url, _), await dial(url) as stream:
        head = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        await stream.send_all(head + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 100")
        await stream.send_all(b"{}")
        assert (await answer(stream))[0] == 400


async def test_refused_before_its_body_is_wanted_a_client_is_not_told_to_go_on(tmp_path: Path) -> None:
    """It may send the body or another request then: so the connection ends."""
    home = house(tmp_path)
    async with served(home) as (url, _), await dial(url) as stream:
        head = b"POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        await stream.send_all(head)
        got = await rest(stream)
        assert got.startswith(b"HTTP/1.1 404 ")
        assert b"\r\nconnection: close\r\n" in got.lower()


async def test_head_has_no_body(tmp_path: Path) -> None:
    home = house(tmp_path)
    async with served(home) as (url, _), client(url) as http:
        for path, status in (("/api/v1/health", 200), ("/nothing", 404)):
            got = await http.head(path)
            assert (got.status_code, got.content) == (status, b"")
            assert got.headers["X-Request-ID"]


_HEALTH = b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize("sent", [b"", _HEALTH[:14], _HEALTH])
async def test_idle_connections_make_room_for_others_the_oldest_first(tmp_path: Path, sent: bytes) -> None:
    """Not even their first request needs to come, nor its end."""
    home = house(tmp_path, max_connections=5, read_header_timeout_s=3600, idle_timeout_s=3600)
    async with served(home) as (url, _):
        idle = []
        for _ in range(5):
            idle.append(await dial(url))
            await idle[-1].send_all(sent)
            if sent == _HEALTH:
                assert (await answer(idle[-1]))[0] == 200
        async with await dial(url) as stream:
            await stream.send_all(_HEALTH)
            assert (await answer(stream))[0] == 200
            assert await rest(idle[0]) == b""
            await idle[1].send_all(_HEALTH[len(sent) % len(_HEALTH) :])
            assert (await answer(idle[1]))[0] == 200
        for stream in idle:
            await stream.aclose()


# ---------------------------------------------------------------------------------------------------------------------
# Start and stop


class _Slow:
    """Holds the look-up of an account until ``go``."""

    def __init__(self, home: House, monkeypatch: pytest.MonkeyPatch) -> None:
        self.arrived, self.go = trio.Event(), trio.Event()
        self._really = home.store.credentials_by_id
        monkeypatch.setattr(home.store, "credentials_by_id", self)

    async def __call__(self, user_id: int) -> Credentials | None:
        self.arrived.set()
        await self.go.wait()
        return await self._really(user_id)


@asynccontextmanager
async def asking(url: str, path: str, token: str) -> AsyncIterator[list[Any]]:
    """A request under way; its answer is in the list once the block is left."""
    answers: list[Any] = []

    async def ask() -> None:
        async with client(url) as http:
            answers.append(await http.get(path, headers={"Authorization": f"Bearer {token}"}))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        yield answers


async def test_the_drain_lets_requests_finish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = house(tmp_path, shutdown_timeout_s=PATIENCE_S)
    token = await home.token("alice")
    slow = _Slow(home, monkeypatch)
    async with served(home) as (url, scope):
        idle = await dial(url)
        await idle.send_all(b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await answer(idle))[0] == 200
        async with asking(url, "/api/v1/users/me", token) as answers:
            await slow.arrived.wait()
            scope.cancel()
            assert await rest(idle) == b"", "an idle connection is closed at once"
            with pytest.raises(OSError, match="connect"):
                await dial(url)
            slow.go.set()
        assert answers[0].status_code == 200
        await idle.aclose()


async def test_the_drain_lets_bodies_arrive(tmp_path: Path) -> None:
    home = house(tmp_path, shutdown_timeout_s=PATIENCE_S)
    token, problem = await home.token("alice"), await home.problem()
    body = json.dumps({"problem_id": problem, "language": 1, "code": "x"}).encode()
    arrived = trio.Event()
    really = home.store.credentials_by_id

    async def signal(user_id: int) -> Credentials | None:
        arrived.set()
        return await really(user_id)

    home.store.credentials_by_id = signal  # type: ignore[method-assign]
    async with served(home) as (url, scope), await dial(url) as stream:
        head = f"POST /api/v1/submit HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{bearer(token)}"
        await stream.send_all(f"{head}Content-Type: application/json\r\n\r\n".encode() + body[:5])
        await arrived.wait()
        scope.cancel()
        await stream.send_all(body[5:])
        status, _ = await answer(stream)
        assert status == 200
        assert await rest(stream) == b""


async def test_the_drain_has_a_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = house(tmp_path, shutdown_timeout_s=0.3)
    token = await home.token("alice")
    slow = _Slow(home, monkeypatch)
    async with served(home) as (url, scope), await dial(url) as stream:
        await stream.send_all(f"GET /api/v1/users/me HTTP/1.1\r\nHost: x\r\n{bearer(token)}\r\n".encode())
        await slow.arrived.wait()
        scope.cancel()
        assert b"200" not in await rest(stream)
    # the nursery of ``served`` has ended: no task of the server is left, though ``go`` was never set


async def test_an_idle_server_stops_at_once(tmp_path: Path) -> None:
    home = house(tmp_path, shutdown_timeout_s=3600)
    async with served(home) as (url, scope):
        stream = await dial(url)
        await until(lambda: True)
        scope.cancel()
    await stream.aclose()


async def test_a_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    home = house(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StartRefused) as refused:
            await serve(home.app, host="127.0.0.1", port=port, settings=home.settings)
        assert refused.value.exit_code == 2
        assert str(refused.value) == (
            f"cannot listen on 127.0.0.1:{port}: the port is taken by another program (set PORT or api.port; nodes of"
            " one host share a port if each of them has API_REUSE_PORT=true)."
        )
        with pytest.raises(StartRefused, match=r"taken .*SCHEDULER_METRICS_PORT"):
            await serve(home.app, host="127.0.0.1", port=port, settings=home.settings, setting="SCHEDULER_METRICS_PORT")


async def test_nodes_that_share_a_port_both_answer_and_others_are_refused(tmp_path: Path) -> None:
    homes = [house(tmp_path / name) for name in ("one", "two")]
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            port = 0
            for home in homes:
                shared = partial(serve, home.app, host="127.0.0.1", port=port, settings=home.settings, reuse_port=True)
                [url] = await nursery.start(shared)
                port = int(url.rpartition(":")[2])
            with pytest.raises(StartRefused, match=r"taken .*if each of them has API_REUSE_PORT=true"):
                await serve(homes[0].app, host="127.0.0.1", port=port, settings=homes[0].settings)
            while not all(answered(home) for home in homes):  # the kernel chooses one for each connection
                async with httpx.AsyncClient(base_url=url, timeout=None, trust_env=False) as asking:
                    assert (await asking.get("/api/v1/health")).status_code == 200
            nursery.cancel_scope.cancel()


def answered(home: House) -> bool:
    """Whether the application has answered a request."""
    return b"http_requests_total{" in home.metrics.render()


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid", "127.0.0.1.1", "a" * 300])
async def test_an_impossible_address_is_one_clear_line(tmp_path: Path, host: str) -> None:
    home = house(tmp_path)
    with pytest.raises(StartRefused, match="cannot listen on"):
        await serve(home.app, host=host, port=0, settings=home.settings)


@pytest.mark.parametrize("token", ["", "s3cret"])
async def test_the_metrics_port(tmp_path: Path, token: str) -> None:
    home = house(tmp_path)
    guarded = settings_for(tmp_path, metrics_token=token)
    async with trio.open_nursery() as nursery:

        async def run(task_status: trio.TaskStatus[Any]) -> None:
            app = create_metrics_app(home.metrics, guarded)
            await serve(app, host="127.0.0.1", port=0, settings=guarded, task_status=task_status)

        urls = await nursery.start(run)
        async with client(urls[0]) as http:
            assert (await http.get("/metrics")).status_code == (401 if token else 200)
            got = await http.get("/metrics", headers={"Authorization": f"Bearer {token or 'whatever'}"})
            assert got.status_code == 200
            assert "worker_task_total" in got.text
            assert got.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            got = await http.get("/api/v1/health")
            assert (got.status_code, got.json()["code"]) == (404, "NOT_FOUND")
        nursery.cancel_scope.cancel()


async def test_localhost_means_every_loopback(tmp_path: Path) -> None:
    home = house(tmp_path)
    async with trio.open_nursery() as nursery:

        async def run(task_status: trio.TaskStatus[Any]) -> None:
            await serve(home.app, host="localhost", port=0, settings=home.settings, task_status=task_status)

        urls = await nursery.start(run)
        async with client(urls[0]) as http:
            assert (await http.get("/api/v1/health")).json() == {"status": "ok"}
        nursery.cancel_scope.cancel()
