"""The connection pool, which lives in the bridge, and the rule by which work gets a connection.

After the server was killed and restarted, or a link was cut, a warm pool is full of dead connections. No user may see
one of them while the server is up:

* a connection that was closed under us is replaced by the pool when it is acquired;
* a connection that was idle for ``idle_check_s`` is asked ``SELECT 1`` first: a silently cut link looks open;
* a connection that was idle for ``max_idle_s`` is closed (0: never), and one older than ``max_lifetime_s`` is closed
  after its next use: the next work opens another;
* when a connection is lost, all older ones are given up (``expire_connections``). The work is then retried once on a
  fresh connection, if it had not begun or if it is idempotent (``repeatable``).

The retried work learns so by ``again``: its first run may have been committed and only the answer lost.

``reset`` does nothing, which saves a round trip at every release: our work leaves no session state (no SET, LISTEN,
cursor or session lock), and asyncpg rolls back an open transaction before it calls ``reset``.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self, cast

import asyncpg
import trio

from deepoj.adapters import aio_bridge
from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.pg.errors import FOREIGN, lost_connection, place_of, translate
from deepoj.adapters.pg.sql_files import queries
from deepoj.words.errors import StoreRefused

if TYPE_CHECKING:
    # the type of what ``work`` gets; at run time asyncpg's classes are not generic
    Connection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    _Pool = asyncpg.Pool[asyncpg.Record]


#: How long an answer is a sign of life. The watch of what waits brings one a second (``words.waiting``).
SIGN_S = 1.0


class _TimedConnection(asyncpg.Connection):
    """A connection that knows when it was opened and when the server last answered on it."""

    __slots__ = ("_heard_at", "_opened_at")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._opened_at = self._heard_at = time.monotonic()

    def age_s(self) -> float:
        return time.monotonic() - self._opened_at

    def heard(self) -> None:
        self._heard_at = time.monotonic()

    def silent_for_s(self) -> float:
        return time.monotonic() - self._heard_at


class _LostConnection(Exception):
    """The first try met a dead connection; a second try is allowed."""

    def __init__(self, *, had_begun: bool) -> None:
        super().__init__()
        self.had_begun = had_begun


def _is_closed(connection: Connection) -> bool:
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:  # it has already left the pool
        return True


def _fetching(query: str, args: tuple[object, ...]) -> Callable[[Connection, bool], Awaitable[list[asyncpg.Record]]]:
    """Return the work that fetches the rows of a named query."""
    sql = queries()[query].sql

    async def work(connection: Connection, _again: bool) -> list[asyncpg.Record]:
        return await connection.fetch(sql, *args)

    return work


async def _no_reset(_connection: object) -> None:
    """Leave the session as it is; the module's docstring says why."""


class PgPool:
    """A connection pool; made by ``open``. ``place`` names the database without secrets."""

    def __init__(
        self,
        bridge: AioBridge,
        pool: _Pool,
        place: str,
        *,
        min_conns: int,
        acquire_timeout_s: float,
        idle_check_s: float,
        max_lifetime_s: float,
    ) -> None:
        self._bridge = bridge
        self._pool = pool
        self.place = place
        self._min_conns = min_conns
        self._acquire_timeout_s = acquire_timeout_s
        self._idle_check_s = idle_check_s
        self._max_lifetime_s = max_lifetime_s
        self._answered_at = -math.inf

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        bridge: AioBridge,
        dsn: str,
        *,
        min_conns: int = 2,
        max_conns: int = 10,
        command_timeout_s: float = 10.0,
        connect_timeout_s: float = 5.0,
        acquire_timeout_s: float = 10.0,
        idle_check_s: float = 1.0,
        max_lifetime_s: float = math.inf,
        max_idle_s: float = 0.0,
    ) -> AsyncGenerator[Self]:
        """Open a pool without a connection yet: ``ping`` or the first work shows whether the database is there.

        Raises StoreRefused for a malformed DSN.
        """
        if not dsn.startswith(("postgres://", "postgresql://")):
            raise StoreRefused("the database URL must begin with postgres:// or postgresql://")

        async def make() -> _Pool:
            # min_size=0: otherwise an absent database fails the creation, and asyncpg logs a traceback every second
            return await asyncpg.create_pool(
                dsn,
                min_size=0,
                max_size=max_conns,
                timeout=connect_timeout_s,
                command_timeout=command_timeout_s,
                max_inactive_connection_lifetime=max_idle_s,
                connection_class=_TimedConnection,
                reset=_no_reset,
                # a plan made while a table was tiny lives at most this long
                max_cached_statement_lifetime=60,
                server_settings={
                    "application_name": "deepoj",
                    "default_transaction_isolation": "read committed",  # our statements are written for it
                    "jit": "off",  # it compiles for longer than our statements run
                    # One plan per statement, by index: planning costs more than running, and the queue's depth must
                    # not matter. By default the planner plans each claim again, or scans tables that are small now.
                    "plan_cache_mode": "force_generic_plan",
                    "enable_seqscan": "off",
                    "enable_hashjoin": "off",
                    "enable_mergejoin": "off",
                    # the statements and locks of a killed or cut-off node must end
                    "statement_timeout": str(round((command_timeout_s + 5.0) * 1000)),
                    "idle_in_transaction_session_timeout": str(round((command_timeout_s + 5.0) * 1000)),
                    "client_connection_check_interval": "2000",
                },
            )

        pool = await bridge.run(make)
        try:
            yield cls(
                bridge,
                pool,
                place_of(dsn),
                min_conns=min(min_conns, max_conns),
                acquire_timeout_s=acquire_timeout_s,
                idle_check_s=idle_check_s,
                max_lifetime_s=max_lifetime_s,
            )
        finally:
            with trio.CancelScope(shield=True):
                await bridge.run(cls._close, pool)

    @staticmethod
    async def _close(pool: _Pool) -> None:
        try:
            async with aio_bridge.timeout(2.0):
                await pool.close()
        except FOREIGN:  # the server is away or the link is cut: nothing to close properly
            pool.terminate()

    async def do[T](self, work: Callable[[Connection, bool], Awaitable[T]], *, repeatable: bool) -> T:
        """Run ``work(connection, again)`` in the bridge, as one crossing.

        ``repeatable``: the work is idempotent. Raises StoreUnavailable (StoreRefused), and Breakage for a statement
        that the server refuses as invalid.
        """
        return await self._bridge.run(self._do, work, repeatable)

    async def rows(self, query: str, *args: object, repeatable: bool) -> list[asyncpg.Record]:
        """Return the rows of a named query; raises as ``do``."""
        return await self.do(_fetching(query, args), repeatable=repeatable)

    async def await_rows(
        self, query: str, *args: object, for_s: float, period_s: float, answer_s: float
    ) -> list[asyncpg.Record]:
        """Return the rows of a named query, which is repeatable. If there are none, ask again every ``period_s``, for
        at most ``for_s`` seconds: all in one crossing, so that Trio's thread sleeps meanwhile.

        Raises as ``do``, and TimeoutError when an answer takes longer than ``answer_s``.
        """
        work = _fetching(query, args)

        async def ask() -> list[asyncpg.Record]:
            over_at = time.monotonic() + for_s
            while True:
                async with aio_bridge.timeout(answer_s):
                    rows = await self._do(work, repeatable=True)
                self._answered_at = time.monotonic()
                if rows or time.monotonic() + period_s > over_at:
                    return rows
                await aio_bridge.sleep(period_s)

        return await self._bridge.run(ask)

    async def row(self, query: str, *args: object, repeatable: bool) -> asyncpg.Record | None:
        """Return the first row of a named query; raises as ``do``."""
        rows = await self.rows(query, *args, repeatable=repeatable)
        return rows[0] if rows else None

    async def ping(self) -> None:
        """Ask the server for one answer. Raises StoreUnavailable."""

        async def ask(connection: Connection, _again: bool) -> None:
            await connection.fetchval("SELECT 1")

        await self.do(ask, repeatable=True)

    def has_just_answered(self) -> bool:
        """Return whether ``await_rows`` had an answer within ``SIGN_S``. Those of other work do not count: while all
        connections are taken by it, new work waits, and only a ping shows that."""
        return time.monotonic() - self._answered_at <= SIGN_S

    async def warm(self) -> None:
        """Open ``min_conns`` connections before the first requests. Raises StoreUnavailable."""
        await self._bridge.run(self._warm, self._min_conns)

    async def _warm(self, wanted: int) -> None:
        """Acquire connections recursively until ``wanted`` are open, then release them all."""
        try:
            async with self._pool.acquire(timeout=self._acquire_timeout_s):
                if wanted > 1:
                    await self._warm(wanted - 1)
        except FOREIGN as error:
            raise translate(error, self.place) from error

    async def _do[T](self, work: Callable[[Connection, bool], Awaitable[T]], repeatable: bool) -> T:
        try:
            try:
                return await self._once(work, repeatable, again=None)
            except _LostConnection as first:
                return await self._once(work, repeatable, again=first.had_begun)
        except FOREIGN as error:
            raise translate(error, self.place) from error

    async def _once[T](
        self, work: Callable[[Connection, bool], Awaitable[T]], repeatable: bool, *, again: bool | None
    ) -> T:
        """Run ``work`` once. ``again``: None in the first try, then whether the first had begun.

        Raises FOREIGN and _LostConnection.
        """
        async with self._pool.acquire(timeout=self._acquire_timeout_s) as connection:
            timed, begun = cast("_TimedConnection", connection), False  # the proxy passes our methods on
            try:
                with aio_bridge.telling_resets():
                    if timed.silent_for_s() >= self._idle_check_s:
                        await connection.fetchval("SELECT 1", timeout=2.0)
                    begun = True
                    answer = await work(connection, bool(again))
                timed.heard()
            except FOREIGN as error:
                lost = lost_connection(error, connection_closed=_is_closed(connection))
                if lost or isinstance(error, TimeoutError):
                    await self._pool.expire_connections()
                if (lost or not begun) and not _is_closed(connection):
                    connection.terminate()
                if again is None and (not begun or (lost and repeatable)):
                    raise _LostConnection(had_begun=begun) from error
                raise
            if timed.age_s() >= self._max_lifetime_s:
                with contextlib.suppress(
                    *FOREIGN
                ):  # the work is done; asyncpg aborts a connection that it cannot close
                    await connection.close(timeout=2.0)
            return answer
