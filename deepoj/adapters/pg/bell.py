"""``PgBell``: LISTEN on a connection of its own, so that a commit wakes the dispatcher within a millisecond.

``serve`` is a child of the tree. It raises StoreUnavailable when the database is away or the connection is lost, and
the tree starts it again with backoff: no loop of retries here. Each time it listens again it rings once, for what was
committed meanwhile. Between, ``wait`` just times out, and the dispatcher's slow poll does the work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

import asyncpg
import trio

from deepoj.adapters import aio_bridge
from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.pg.errors import FOREIGN, place_of, translate
from deepoj.words import StoreUnavailable

if TYPE_CHECKING:
    _Connection = asyncpg.Connection[asyncpg.Record]

#: what the queries notify
CHANNEL = "deepoj_outbox"


class PgBell:
    """``ports.OutboxBell`` for one waiter at a time."""

    def __init__(self, bridge: AioBridge, dsn: str, *, connect_timeout_s: float = 5.0, check_s: float = 15.0) -> None:
        """``check_s``: how often the silent connection is asked whether it is still one."""
        self._bridge = bridge
        self._dsn = dsn
        self._connect_timeout_s = connect_timeout_s
        self._check_s = check_s
        self._rung = trio.Event()

    async def wait(self, timeout_s: float) -> bool:
        rung = self._rung
        with trio.move_on_after(timeout_s):
            await rung.wait()
        if rung.is_set() and rung is self._rung:
            self._rung = trio.Event()
        return rung.is_set()

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> NoReturn:
        """Listens until the connection is lost; started once it listens. Raises StoreUnavailable (StoreRefused)."""
        token = trio.lowlevel.current_trio_token()

        def ring(*_notification: object) -> None:
            token.run_sync_soon(self._ring, idempotent=True)

        connection = await self._bridge.run(self._listen, ring)
        try:
            self._ring()
            task_status.started()
            await self._bridge.run(self._watch, connection)
        finally:
            with trio.CancelScope(shield=True):
                await self._bridge.run(self._hang_up, connection)
        raise AssertionError("watching ends by an error only")

    def _ring(self) -> None:
        self._rung.set()

    async def _listen(self, ring: Callable[..., None]) -> _Connection:
        try:
            connection: _Connection = await asyncpg.connect(
                self._dsn,
                timeout=self._connect_timeout_s,
                command_timeout=self._connect_timeout_s,
                server_settings={"application_name": "deepoj-bell"},
            )
            try:
                await connection.add_listener(CHANNEL, ring)
            except BaseException:  # cancelled or failed: a connection must not stay behind
                connection.terminate()
                raise
        except FOREIGN as error:
            raise translate(error, place_of(self._dsn)) from error
        return connection

    async def _watch(self, connection: _Connection) -> NoReturn:
        lost = aio_bridge.Event()
        connection.add_termination_listener(lambda _connection: lost.set())
        try:
            while not connection.is_closed():
                try:
                    async with aio_bridge.timeout(self._check_s):
                        await lost.wait()
                except TimeoutError:
                    await connection.fetchval("SELECT 1")
        except FOREIGN as error:
            raise translate(error, place_of(self._dsn)) from error
        raise StoreUnavailable(f"the listening connection to PostgreSQL at {place_of(self._dsn)} is gone")

    @staticmethod
    async def _hang_up(connection: _Connection) -> None:
        connection.terminate()
