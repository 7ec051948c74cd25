"""LISTEN on a connection of its own, which lives in the bridge; notifications arrive in Trio's thread.

``serve`` is a child's body. It raises StoreUnavailable if the database is away or the connection is lost. The tree
restarts it with backoff, so there is no retry here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

import asyncpg
import trio

from deepoj.adapters import aio_bridge
from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.pg.errors import FOREIGN, place_of, translate
from deepoj.words.errors import StoreUnavailable

if TYPE_CHECKING:
    _Connection = asyncpg.Connection[asyncpg.Record]


class Listener:
    """A listener for one channel of one database."""

    def __init__(
        self,
        bridge: AioBridge,
        dsn: str,
        channel: str,
        application_name: str,
        *,
        connect_timeout_s: float = 5.0,
        check_s: float = 15.0,
    ) -> None:
        """``check_s``: how often a silent connection is checked."""
        self._bridge, self._dsn, self._channel, self._name = bridge, dsn, channel, application_name
        self._connect_timeout_s = connect_timeout_s
        self._check_s = check_s

    async def serve(
        self, heard: Callable[[str], object], began: Callable[[], None], *, task_status: trio.TaskStatus[None]
    ) -> NoReturn:
        """Call ``heard`` with each payload until the connection is lost; call ``began`` and start once it listens.

        Raises StoreUnavailable (StoreRefused).
        """
        token = trio.lowlevel.current_trio_token()
        payloads: deque[str] = deque()

        def deliver() -> None:
            while payloads:
                heard(payloads.popleft())

        def notified(_connection: object, _pid: int, _channel: str, payload: str) -> None:
            # runs in the bridge's thread; several notifications in a row wake Trio once
            payloads.append(payload)
            token.run_sync_soon(deliver, idempotent=True)

        connection = await self._bridge.run(self._listen, notified)
        try:
            began()
            task_status.started()
            await self._bridge.run(self._watch, connection)
        finally:
            with trio.CancelScope(shield=True):
                await self._bridge.run(self._hang_up, connection)
        raise AssertionError("watching ends only by an error")

    async def _listen(self, notified: Callable[..., None]) -> _Connection:
        try:
            connection: _Connection = await asyncpg.connect(
                self._dsn,
                timeout=self._connect_timeout_s,
                command_timeout=self._connect_timeout_s,
                server_settings={"application_name": self._name},
            )
            try:
                await connection.add_listener(self._channel, notified)
            except BaseException:  # cancelled or failed: the connection must not stay open
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
