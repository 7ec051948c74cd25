"""The connection to Redis (or Valkey): addresses, pools, timeouts, and the translation of its errors.

redis-py's asyncio client runs inside the bridge; each ``work`` runs there as one task. This module relies on these
facts read in redis-py 8, which ``tests/fault/test_stream_cancellation.py`` checks:

* a connection whose command was cancelled between request and reply is closed before the cancellation propagates
  (``read_response`` and ``send_packed_command`` disconnect on BaseException), so no later caller reads that reply;
* a pooled connection that the server has closed is noticed when it is acquired, or by the one retry;
* ``send_packed_command`` takes ``socket_timeout`` as the timeout of sending, ``read_response`` as that of reading;
* its BlockingConnectionPool can lose a connection when a waiter is cancelled, so a Trio limiter in front of a plain
  pool does the waiting for a free connection.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, cast
from urllib.parse import unquote, urlsplit

import trio
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, AuthorizationError, NoPermissionError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError

from deepoj.adapters.aio_bridge import AioBridge, telling_resets
from deepoj.words.errors import StartRefused, StreamRefused, StreamUnavailable

#: one part of a command, before encoding
type Arg = str | bytes | int

_REFUSALS = (AuthenticationError, AuthorizationError, NoPermissionError)

#: how many tasks may wait in blocking commands at once, besides the pool
_BLOCKING_CONNECTIONS = 4
#: How long an answer is a sign of life: the reads of an idle consumer end every two seconds (``JOB_STREAM_BLOCK_MS``).
#: A server that hangs is noticed so much later, one that is gone as soon as before.
SIGN_S = 2.5


class Commands(Protocol):
    """The client that ``work`` gets on the bridge. Replies are raw RESP 2: bytes, int, None, lists."""

    async def execute_command(self, *args: Arg) -> Any: ...


@dataclass(frozen=True, slots=True)
class Address:
    """Address of a Redis server. ``str`` holds no secret and is fit for logs."""

    where: str
    connection_class: type[Any]
    settings: dict[str, Any] = field(repr=False)

    def __str__(self) -> str:
        return self.where

    @classmethod
    def parse(cls, url: str, *, password: str = "", tls: bool = False) -> Self:
        """``host:port``, ``redis://[user[:password]@]host[:port][/db]``, ``rediss://…``, ``unix:///path``.

        A ``password`` argument overrides the one in the URL. Raises StartRefused (2) for a malformed ``url``.
        """
        parts = urlsplit(url if "://" in url else f"redis://{url}")
        credentials = {
            "username": unquote(parts.username) if parts.username else None,
            "password": password or (unquote(parts.password) if parts.password else None),
        }
        if parts.scheme == "unix" and parts.path:
            path = unquote(parts.path)
            return cls(path, _UnixConnection, {"path": path, **credentials})
        try:
            database = int(parts.path.strip("/") or 0)
            port = parts.port or 6379
        except ValueError as error:
            raise StartRefused(f"REDIS_URL has a port or database that is not a number: {error}", 2) from error
        if parts.scheme not in ("redis", "rediss") or not parts.hostname:
            raise StartRefused("REDIS_URL must be host:port, redis://, rediss:// or unix:///path", 2)
        secure = tls or parts.scheme == "rediss"
        settings = {"host": parts.hostname, "port": port, "db": database, **credentials}
        return cls(f"{parts.hostname}:{port}", _TlsConnection if secure else _TcpConnection, settings)


class _TimedWrites:
    """Part of a connection with a timeout of its own for sending: redis-py has one timeout for both directions."""

    is_connected: bool
    socket_timeout: float | None

    def __init__(self, *, write_timeout_s: float, **settings: Any) -> None:
        super().__init__(**settings)
        self._write_timeout_s = write_timeout_s

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        if not self.is_connected:  # connect here, because the reads of a login need the other timeout
            await self.connect_check_health(check_health=False)  # type: ignore[attr-defined]
        reading_s, self.socket_timeout = self.socket_timeout, self._write_timeout_s
        try:
            await super().send_packed_command(command, check_health)  # type: ignore[misc]
        finally:
            self.socket_timeout = reading_s


class _TcpConnection(_TimedWrites, Connection):
    pass


class _TlsConnection(_TimedWrites, SSLConnection):
    pass


class _UnixConnection(_TimedWrites, UnixDomainSocketConnection):
    pass


class RedisLink:
    """Two connection pools to one Redis: one for ordinary commands, one for blocking commands."""

    def __init__(
        self,
        bridge: AioBridge,
        address: Address,
        *,
        pool_size: int = 10,
        connect_timeout_s: float = 5.0,
        read_timeout_s: float = 3.0,
        write_timeout_s: float = 3.0,
    ) -> None:
        self.address = address
        self._bridge = bridge
        self._read_timeout_s = read_timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._write_timeout_s = write_timeout_s
        self._slots = trio.CapacityLimiter(pool_size)
        self._blocking_slots = trio.CapacityLimiter(_BLOCKING_CONNECTIONS)
        self._client = self._make_client(pool_size, read_timeout_s)
        # No read timeout: each blocking command brings its own.
        self._blocking_client = self._make_client(_BLOCKING_CONNECTIONS, None)
        self._answered_at = -math.inf

    def _make_client(self, size: int, read_timeout_s: float | None) -> Redis:
        pool: ConnectionPool = ConnectionPool(
            connection_class=self.address.connection_class,
            max_connections=size,
            socket_connect_timeout=self._connect_timeout_s,
            socket_timeout=read_timeout_s,
            write_timeout_s=self._write_timeout_s,
            # One retry, for a connection that went stale in the pool. None after a timeout, which has cost enough.
            retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
            protocol=2,
            driver_info=None,
            **self.address.settings,
        )
        client = Redis(connection_pool=pool)
        client.response_callbacks.clear()
        return client

    async def call[T](self, work: Callable[[Commands], Awaitable[T]]) -> T:
        """Run ``work`` on the bridge with the pool. Raises StreamUnavailable, StreamRefused."""
        try:
            self._slots.acquire_nowait()  # ``acquire`` would give way to all other tasks first
        except trio.WouldBlock:
            await self._slots.acquire()
        try:
            return await self._cross(self._client, work)
        finally:
            self._slots.release()

    async def call_blocking[T](self, work: Callable[[Commands], Awaitable[T]], wait_s: float) -> T:
        """Run ``work`` with one command that the server may answer only after ``wait_s`` seconds."""
        async with self._blocking_slots:
            with trio.move_on_after(wait_s + self._connect_timeout_s + self._read_timeout_s):
                return await self._cross(self._blocking_client, work)
        raise StreamUnavailable(f"Redis at {self.address} did not answer a waiting command in time")

    async def pipeline(self, commands: Sequence[Sequence[Arg]]) -> list[Any]:
        """Send commands in one round trip, without a transaction. After all ran, raise the first error reply."""

        async def work(_commands: Commands) -> list[Any]:
            return await pipelined(self._client, commands)

        return await self.call(work)

    async def aclose(self) -> None:
        """Close all connections."""

        async def work() -> None:
            await self._client.connection_pool.aclose()
            await self._blocking_client.connection_pool.aclose()

        with trio.CancelScope(shield=True):
            await self._bridge.run(work)

    def has_just_answered(self) -> bool:
        """Whether the server answered within ``SIGN_S``, and has broken no command since."""
        return trio.current_time() - self._answered_at <= SIGN_S

    async def _cross[T](self, client: Redis, work: Callable[[Commands], Awaitable[T]]) -> T:
        async def task() -> T:
            with telling_resets():
                return await work(cast(Commands, client))

        try:
            answer = await self._bridge.run(task)
        except (RedisError, OSError) as error:
            self._answered_at = -math.inf
            raise self._translated(error) from error
        self._answered_at = trio.current_time()
        return answer

    def _translated(self, error: RedisError | OSError) -> StreamUnavailable:
        # The server may quote the command, which never holds a secret; cut, because it may be long.
        words = str(error)[:200] or type(error).__name__
        # On a unix socket redis-py wraps a refused password into a plain ConnectionError.
        if any(isinstance(e, _REFUSALS) for e in (error, error.__cause__)):
            return StreamRefused(f"Redis at {self.address} refuses our credentials ({words}); check REDIS_PASSWORD")
        if isinstance(error, ResponseError) and words.startswith("WRONGTYPE"):
            return StreamRefused(f"Redis at {self.address} holds a key of ours with another type: {words}")
        away = isinstance(error, RedisConnectionError | OSError)
        advice = "; see that it is up, or set REDIS_URL" if away else ""
        return StreamUnavailable(f"Redis at {self.address} cannot be used: {words.rstrip('.')}{advice}")


async def pipelined(client: Commands | Redis, commands: Sequence[Sequence[Arg]]) -> list[Any]:
    """For ``work`` on the bridge: one round trip without a transaction; raise the first error reply after all ran."""
    pipe: Any = cast(Redis, client).pipeline(transaction=False)
    for command in commands:
        pipe.execute_command(*command)
    replies: list[Any] = await pipe.execute(raise_on_error=False)
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies
