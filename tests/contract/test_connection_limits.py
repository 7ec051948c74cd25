"""Limits on connections to servers: time limits of Redis, ages of PostgreSQL's."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path

import pytest
import trio

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.pg.pool import PgPool
from deepoj.adapters.redis.link import Address, Commands, RedisLink
from deepoj.words.errors import StreamUnavailable
from tests.servers import PostgresServer

SOON_S = 60.0
#: more than the socket's buffers hold
LARGE = b"x" * (32 << 20)


# -- Redis


@pytest.mark.parametrize("is_blocking", [False, True])
async def test_sending_to_a_redis_that_does_not_read_ends_with_the_write_timeout(
    bridge: AioBridge, is_blocking: bool
) -> None:
    async def send(commands: Commands) -> object:
        return await commands.execute_command("SET", "key", LARGE)

    with tempfile.TemporaryDirectory(prefix="oj-") as directory, socket.socket(socket.AF_UNIX) as deaf:
        path = str(Path(directory) / "redis")
        deaf.bind(path)
        deaf.listen()
        link = RedisLink(bridge, Address.parse(f"unix://{path}"), read_timeout_s=10 * SOON_S, write_timeout_s=0.2)
        with trio.fail_after(SOON_S), pytest.raises(StreamUnavailable, match="writing"):
            await (link.call_blocking(send, 10 * SOON_S) if is_blocking else link.call(send))
        await link.aclose()


async def test_a_redis_that_does_not_answer_is_waited_for_longer_than_the_write_timeout(bridge: AioBridge) -> None:
    async def ask(commands: Commands) -> object:
        return await commands.execute_command("PING")

    with tempfile.TemporaryDirectory(prefix="oj-") as directory, socket.socket(socket.AF_UNIX) as deaf:
        path = str(Path(directory) / "redis")
        deaf.bind(path)
        deaf.listen()
        link = RedisLink(bridge, Address.parse(f"unix://{path}"), read_timeout_s=0.3, write_timeout_s=0.001)
        with trio.fail_after(SOON_S), pytest.raises(StreamUnavailable, match="reading"):
            await link.call(ask)
        await link.aclose()


# -- PostgreSQL


async def backend(pool: PgPool) -> int:
    """Return the pid of the server process of the pool's connection."""

    async def ask(connection: object, _again: bool) -> int:
        found: int = await connection.fetchval("SELECT pg_backend_pid()")  # type: ignore[attr-defined]
        return found

    return await pool.do(ask, repeatable=True)


async def test_a_connection_older_than_its_lifetime_is_replaced(
    postgres: PostgresServer, database: str, bridge: AioBridge
) -> None:
    dsn = postgres.dsn(database)
    async with PgPool.open(bridge, dsn, max_conns=1, max_lifetime_s=0.0) as pool:
        assert len({await backend(pool) for _ in range(3)}) == 3
    async with PgPool.open(bridge, dsn, max_conns=1, max_lifetime_s=3600.0) as pool:
        assert len({await backend(pool) for _ in range(3)}) == 1


async def test_a_connection_that_is_not_used_is_closed(
    postgres: PostgresServer, database: str, bridge: AioBridge
) -> None:
    dsn = postgres.dsn(database)
    async with PgPool.open(bridge, dsn, max_conns=1, max_idle_s=0.1) as pool, PgPool.open(bridge, dsn) as other:
        pid = await backend(pool)

        async def is_open(connection: object, _again: bool) -> bool:
            found: bool = await connection.fetchval(  # type: ignore[attr-defined]
                "SELECT count(*) > 0 FROM pg_stat_activity WHERE pid = $1", pid
            )
            return found

        with trio.fail_after(SOON_S):
            while await other.do(is_open, repeatable=True):
                await trio.sleep(0.05)
        assert await backend(pool) != pid
