"""Answers that clients do not read are bounded in memory; those who read, also slowly, get them whole."""

from __future__ import annotations

import os
import socket
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

import pytest
import trio
from quart_trio.wrappers import TrioResponse

from deepoj.api.http.connection import Connection
from deepoj.api.http.unsent import UnsentAnswers
from deepoj.observe import Metrics
from tests.api.house import House, house, served
from tests.api.test_crowded import asked, dial, evicted
from tests.api.test_serve import until

_MIB = 1024 * 1024
#: more than the kernel takes for a client that does not read
_BODY_BYTES = 4 * _MIB
_SHARED = os.urandom(_BODY_BYTES)


def home_with_files(tmp_path: Path, *, budget_bytes: int, write_timeout_s: float = 3600.0) -> House:
    home = house(tmp_path, unsent_max_bytes=budget_bytes, write_timeout_s=write_timeout_s)

    async def own() -> TrioResponse:
        return TrioResponse(os.urandom(_BODY_BYTES), content_type="application/octet-stream")

    async def shared() -> TrioResponse:
        return TrioResponse(_SHARED, content_type="application/octet-stream")

    home.app.add_url_rule("/own", "own", own)
    home.app.add_url_rule("/shared", "shared", shared)
    return home


async def never_reads(stack: list[trio.SocketStream], url: str, path: str, source: str = "127.0.0.1") -> None:
    stream = await dial(url, source)
    stack.append(stream)
    await stream.send_all(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())


def held(home: House) -> float:
    return float(home.metrics.unsent_bytes._value.get())


def holds(home: House, bodies: int) -> bool:
    return held(home) == bodies * _BODY_BYTES


async def test_the_reader_awaited_for_longest_makes_room_in_memory(tmp_path: Path) -> None:
    home = home_with_files(tmp_path, budget_bytes=4 * _BODY_BYTES)
    async with served(home) as (url, _):
        readers: list[trio.SocketStream] = []
        for number in range(4):
            await never_reads(readers, url, "/own", f"127.0.1.{number + 1}")
            await until(partial(holds, home, number + 1))
        assert evicted(home) == 0
        await never_reads(readers, url, "/own", "127.0.2.1")
        await until(lambda: evicted(home) >= 1)
        assert held(home) == 4 * _BODY_BYTES
        with pytest.raises(trio.BrokenResourceError):  # the first: the kernel's copy is dropped, too
            while await readers[0].receive_some(_MIB):
                pass
        assert (await asked(url))[0] == 200
        for reader in readers:
            await trio.aclose_forcefully(reader)
    assert held(home) == 0


async def test_a_body_that_many_send_counts_once(tmp_path: Path) -> None:
    home = home_with_files(tmp_path, budget_bytes=2 * _BODY_BYTES)
    async with served(home) as (url, _):
        readers: list[trio.SocketStream] = []
        for _ in range(20):
            await never_reads(readers, url, "/shared")
        await until(lambda: held(home) == _BODY_BYTES)
        await never_reads(readers, url, "/own")
        await until(lambda: held(home) == 2 * _BODY_BYTES)
        await never_reads(readers, url, "/own")
        await until(lambda: evicted(home) >= 1)
        assert evicted(home) == 1, "closing one of those who share would free nothing"
        assert held(home) == 2 * _BODY_BYTES
        for reader in readers:
            await trio.aclose_forcefully(reader)


class _SlowStream:
    """A stream whose client needs 20 s for each piece. Its socket is full: nothing is written at once."""

    def __init__(self) -> None:
        self.socket, self._other = socket.socketpair()
        self.socket.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                self.socket.send(bytes(_MIB))
        self.received = b""

    async def send_all(self, data: bytes) -> None:
        await trio.sleep(20)
        self.received += data

    def close(self) -> None:
        self.socket.close()
        self._other.close()


async def test_a_slow_reader_gets_the_whole_answer_while_there_is_room(
    tmp_path: Path, autojump_clock: trio.abc.Clock
) -> None:
    """The write timeout is that of a piece: it ends who reads nothing, not who needs longer for all of them."""
    home = home_with_files(tmp_path, budget_bytes=2 * _BODY_BYTES, write_timeout_s=30.0)
    unsent = UnsentAnswers(home.metrics, _MIB)
    with closing(_SlowStream()) as stream:
        await _sends_slowly(home, unsent, stream)


async def _sends_slowly(home: House, unsent: UnsentAnswers, stream: _SlowStream) -> None:
    connection = Connection(home.app, home.settings, cast("trio.SocketStream", stream), ("127.0.0.1", 1), unsent)
    body = os.urandom(_MIB)
    await connection._send([b"head", body])
    assert stream.received == b"head" + body
    assert unsent.total_bytes == 0
    home.settings = replace(home.settings, write_timeout_s=19.0)
    impatient = Connection(home.app, home.settings, cast("trio.SocketStream", stream), ("127.0.0.1", 1), unsent)
    with pytest.raises(trio.BrokenResourceError):
        await impatient._send([body])


@dataclass(eq=False)
class _Reader:
    awaited_since: float
    is_open: bool = True

    def abort(self) -> None:
        self.is_open = False


def test_the_newest_answer_stays_even_if_it_is_larger_than_the_budget() -> None:
    unsent = UnsentAnswers(Metrics(), 10)
    first, second, third = _Reader(1.0), _Reader(0.5), _Reader(2.0)
    unsent.hold(first, [b"123456"])
    unsent.hold(second, [b"abcd"])
    unsent.hold(third, [b"x" * 20])
    assert (first.is_open, second.is_open, third.is_open) == (False, False, True)
    assert unsent.total_bytes == 20
    unsent.release(third)
    unsent.release(third)
    assert unsent.total_bytes == 0
