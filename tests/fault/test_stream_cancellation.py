"""Cancelling calls on the stream at any moment: no entry is lost, no call gets another's reply, the pool is complete.

The seeds are fixed; the moments are spread over the time between a call and its answer.
"""

from __future__ import annotations

import contextlib
import random
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import trio
import trio.testing

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.redis.link import Address, Commands, RedisLink
from deepoj.adapters.redis.stream import RedisStream
from deepoj.words.outbox import OutboxEvent
from deepoj.words.stream import BadEntry, Entry
from tests.servers_redis import KINDS, RedisServer, running

SOON_S = 300.0
POOL = 4


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory(prefix="oj-") as path, running(request.param, Path(path)) as found:
        yield found


@pytest.fixture
async def bridge() -> AsyncIterator[AioBridge]:
    async with AioBridge.open() as found:
        yield found


def opened(bridge: AioBridge, server: RedisServer) -> contextlib.AbstractAsyncContextManager[RedisStream]:
    return RedisStream.open(bridge, server.url, password=server.password, consumer="one", pool_size=POOL)


def event(number: int) -> OutboxEvent:
    return OutboxEvent(
        id=number, job_id=f"job-{number}", stream_key="", enqueue_ts_ms=1, priority=0, payload="{}", attempts=1
    )


def ids(found: list[Entry | BadEntry]) -> list[str]:
    return [item.entry_id for item in found]


def clients(server: RedisServer) -> int:
    """Return the number of clients of the server, without this one."""
    with server.client() as client:
        return sum(not seen["cmd"].startswith("client") for seen in client.client_list())


async def until_clients(server: RedisServer, most: int) -> None:
    """Wait for a number of clients: the server notices a closed connection a moment later."""
    with trio.fail_after(SOON_S):
        while clients(server) > most:
            await trio.sleep(0.02)


@pytest.mark.parametrize(("server", "seed"), [("valkey", 1), ("redis", 2)], indirect=["server"])
async def test_reads_cancelled_at_random_lose_nothing(bridge: AioBridge, server: RedisServer, seed: int) -> None:
    chance = random.Random(seed)
    published: list[str] = []
    seen: list[str] = []
    cancelled = 0
    async with opened(bridge, server) as stream:
        with trio.fail_after(SOON_S):
            for number in range(250):
                async with trio.open_nursery() as nursery:

                    async def publish(number: int) -> None:
                        await trio.sleep(chance.uniform(0, 0.002))
                        published.extend(await stream.publish([event(number)]))

                    if chance.random() < 0.5:  # reads must reach the end of the stream: before it they return at once
                        nursery.start_soon(publish, number)
                    with trio.move_on_after(chance.uniform(0, 0.004)) as scope:
                        seen += ids(await stream.read(3, 40))
                    cancelled += scope.cancelled_caught
            assert cancelled > 10, "the cancellations did not hit anything"
            # every entry was returned, is undelivered, or is pending here without being seen
            await until_clients(server, POOL + 1)  # a server that still has a closed reader could hand it an entry
            undelivered: list[str] = []
            while more := ids(await stream.read(100, 0)):
                undelivered += more
            pending = ids(await stream.own_pending(1000))
    assert not set(seen) & set(undelivered), "delivered twice without a reclaim"
    assert len(seen) == len(set(seen))
    assert set(pending) == set(published), "nothing was acked, so everything is pending now"
    assert set(seen) | set(undelivered) <= set(pending)


@pytest.mark.parametrize(("server", "seed"), [("valkey", 3), ("redis", 4)], indirect=["server"])
async def test_no_reply_is_read_by_a_wrong_caller(bridge: AioBridge, server: RedisServer, seed: int) -> None:
    chance = random.Random(seed)
    link = RedisLink(bridge, Address.parse(server.url, password=server.password), pool_size=POOL)
    counts = {"answered": 0, "cancelled": 0}

    async def ask(token: str, within_s: float) -> None:
        async def work(commands: Commands) -> list[bytes]:
            first = await commands.execute_command("ECHO", f"{token}-a")
            return [first, await commands.execute_command("ECHO", f"{token}-b")]

        with trio.move_on_after(within_s) as scope:
            assert await link.call(work) == [f"{token}-a".encode(), f"{token}-b".encode()]
            assert await link.pipeline([("ECHO", token)] * 5) == [token.encode()] * 5
        counts["cancelled" if scope.cancelled_caught else "answered"] += 1

    with trio.fail_after(SOON_S):
        for wave in range(30):
            async with trio.open_nursery() as nursery:
                for task in range(12):
                    patience_s = chance.choice([0.0, chance.uniform(0, 0.006), SOON_S])
                    nursery.start_soon(ask, f"{wave}-{task}", patience_s)
        # the pool is complete: as many concurrent calls as it has connections, all answered, with no more connections
        async with trio.open_nursery() as nursery:
            for task in range(POOL * 3):
                nursery.start_soon(ask, f"after-{task}", SOON_S)
        await until_clients(server, POOL)
        await link.aclose()
        await until_clients(server, 0)
    assert counts["answered"] > POOL * 3
    assert counts["cancelled"] > 10


async def test_a_cancelled_wait_is_over_at_the_server_too(bridge: AioBridge, server: RedisServer) -> None:
    async with opened(bridge, server) as stream:
        for _ in range(20):
            with trio.move_on_after(0.01) as scope:
                await stream.read(1, 60_000)
            assert scope.cancelled_caught
        await until_clients(server, 1)
        with server.client() as client, trio.fail_after(SOON_S):
            while client.info("clients")["blocked_clients"]:
                await trio.sleep(0.02)
        (entry_id,) = await stream.publish([event(1)])
        assert ids(await stream.read(1, 1000)) == [entry_id]


async def test_waiting_for_a_place_in_the_pool_can_be_cancelled(bridge: AioBridge, server: RedisServer) -> None:
    async with opened(bridge, server) as stream:
        await stream.ping()
        server.freeze()
        try:
            with trio.fail_after(SOON_S):
                for _ in range(5):
                    async with trio.open_nursery() as nursery:
                        for _ in range(POOL * 3):
                            nursery.start_soon(stream.ping)
                        await trio.testing.wait_all_tasks_blocked(0.005)
                        nursery.cancel_scope.cancel()
        finally:
            server.thaw()
        with trio.fail_after(SOON_S):
            async with trio.open_nursery() as nursery:
                for _ in range(POOL * 3):
                    nursery.start_soon(stream.ping)
        await until_clients(server, POOL)
