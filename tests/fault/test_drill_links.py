"""The links of a drill cut, stall, lose and repeat exactly as they say."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import trio
import trio.testing

from deepoj.operate.drill.proxy import Link, Trick
from deepoj.operate.drill.wire import PostgresParser, RedisParser, WireParser
from tests.unit.test_drill import IDLE, PARSE, RUN, STARTUP, SYNC

LATEST_S = 300.0
PATIENT_S = 3600.0


@dataclass
class Server:
    """Answers each request of ``asked`` bytes with ``answer``; remembers what it heard."""

    answer: bytes
    heard: list[bytes] = field(default_factory=list)
    more: trio.Event = field(default_factory=trio.Event)

    async def serve(self, stream: trio.SocketStream) -> None:
        try:
            while data := await stream.receive_some(65_536):
                self.heard.append(data)
                self.more.set()
                self.more = trio.Event()
                answers = max(1, data.count(SYNC))
                await stream.send_all(self.answer * answers)
        except trio.BrokenResourceError:
            pass

    def count(self, needle: bytes) -> int:
        return b"".join(self.heard).count(needle)

    async def until_heard(self, needle: bytes, times: int) -> None:
        with trio.fail_after(LATEST_S):
            while self.count(needle) < times:
                await self.more.wait()


@asynccontextmanager
async def linked(answer: bytes, talk: type[PostgresParser] | None = None) -> AsyncGenerator[tuple[Link, Server]]:
    server = Server(answer)
    async with trio.open_nursery() as tasks:
        listeners = await tasks.start(trio.serve_tcp, server.serve, 0)
        port = listeners[0].socket.getsockname()[1]

        async def dial() -> trio.abc.Stream:
            return await trio.open_tcp_stream("127.0.0.1", port)

        def made() -> WireParser:
            return talk() if talk is not None else RedisParser("secret")

        link = Link("the link", dial, made)
        await tasks.start(link.serve, tasks)
        yield link, server
        tasks.cancel_scope.cancel()


async def client(link: Link) -> trio.SocketStream:
    return await trio.open_tcp_stream("127.0.0.1", link.port)


async def test_bytes_pass_unharmed() -> None:
    async with linked(b"+OK\r\n") as (link, server), await client(link) as stream:
        await stream.send_all(b"PING\r\n")
        assert await stream.receive_some(100) == b"+OK\r\n"
        assert server.heard == [b"PING\r\n"]


async def test_a_cut_breaks_what_is_there_and_lets_the_next_in() -> None:
    async with linked(b"+OK\r\n") as (link, _), await client(link) as stream:
        await stream.send_all(b"PING\r\n")
        await stream.receive_some(100)
        link.cut()
        with trio.fail_after(LATEST_S), pytest.raises(trio.BrokenResourceError):
            await stream.receive_some(100)
        async with await client(link) as another:
            await another.send_all(b"PING\r\n")
            assert await another.receive_some(100) == b"+OK\r\n"


async def test_a_stall_holds_back_and_loses_nothing() -> None:
    async with linked(b"+OK\r\n") as (link, server), await client(link) as stream:
        await stream.send_all(b"PING\r\n")
        await stream.receive_some(100)
        with link.stalled():
            await stream.send_all(b"PING\r\n")
            with trio.move_on_after(0.1):
                await stream.receive_some(100)
            assert server.count(b"PING") == 1
        with trio.fail_after(LATEST_S):
            assert await stream.receive_some(100) == b"+OK\r\n"
        assert server.count(b"PING") == 2


@pytest.mark.parametrize("twice", [False, True])
async def test_a_trick_that_nothing_fits_is_not_played(twice: bool) -> None:
    async with linked(b"+OK\r\n") as (link, _), await client(link) as stream:
        trick = Trick(twice, "XADD", trio.current_time() + PATIENT_S)
        await stream.send_all(b"PING\r\n")
        assert not await link.play(trick, 0.1)


async def test_an_answer_is_lost_after_the_request_went_through() -> None:
    async with linked(b"+OK\r\n") as (link, server), await client(link) as stream, trio.open_nursery() as nursery:
        nursery.start_soon(link.play, Trick(False, "XADD", trio.current_time() + PATIENT_S), LATEST_S)
        await trio.testing.wait_all_tasks_blocked()
        await stream.send_all(b"XADD\r\n")
        with trio.fail_after(LATEST_S), pytest.raises(trio.BrokenResourceError):
            await stream.receive_some(100)
        assert server.count(b"XADD") == 1


async def test_a_redis_request_is_said_twice_and_answered_once() -> None:
    async with linked(b"+OK\r\n") as (link, server), await client(link) as stream, trio.open_nursery() as nursery:
        nursery.start_soon(link.play, Trick(True, "XADD", trio.current_time() + PATIENT_S), LATEST_S)
        await trio.testing.wait_all_tasks_blocked()
        await stream.send_all(b"XADD\r\n")
        with trio.fail_after(LATEST_S):
            assert await stream.receive_some(100) == b"+OK\r\n"
        await server.until_heard(b"XADD", 2)
        assert server.count(b"AUTH secret") == 1


async def test_a_statement_is_said_twice_and_answered_once() -> None:
    async with linked(IDLE, PostgresParser) as (link, server), await client(link) as stream:
        for request in (STARTUP, PARSE + SYNC):
            await stream.send_all(request)
            with trio.fail_after(LATEST_S):
                assert await stream.receive_some(100) == IDLE
        async with trio.open_nursery() as nursery:
            nursery.start_soon(link.play, Trick(True, "WRITE", trio.current_time() + PATIENT_S), LATEST_S)
            await trio.testing.wait_all_tasks_blocked()
            await stream.send_all(RUN)
            with trio.fail_after(LATEST_S):
                assert await stream.receive_some(100) == IDLE
            await server.until_heard(RUN, 2)
        # the next answer is that of the next request, not the dropped one
        await stream.send_all(RUN)
        await server.until_heard(RUN, 3)
        with trio.fail_after(LATEST_S):
            assert await stream.receive_some(100) == IDLE
        with trio.move_on_after(0.1):
            raise AssertionError(f"one answer too many: {await stream.receive_some(100)!r}")
