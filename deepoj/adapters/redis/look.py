"""Read-only look-ups in Redis for checks: the type of a key, the entry of a job, a payload.

Nothing here writes; not even a missing group is created.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from redis.exceptions import ResponseError

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.redis.link import Address, Commands, RedisLink

#: keys per step of a scan, and entries per page
_PAGE = 1000
#: how many of the newest entries are searched for a job
_NEWEST = 10_000


@dataclass(frozen=True, slots=True)
class FoundEntry:
    """A stream entry, undecoded."""

    entry_id: str
    fields: Mapping[str, str]


class RedisLook:
    """Read-only queries of Redis. Made by :meth:`open`. Every method raises StreamUnavailable."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link

    @classmethod
    @asynccontextmanager
    async def open(
        cls, bridge: AioBridge, url: str, *, password: str = "", tls: bool = False
    ) -> AsyncIterator[RedisLook]:
        """Connects when first used. Raises StartRefused for a malformed ``url``."""
        link = RedisLink(bridge, Address.parse(url, password=password, tls=tls), pool_size=1)
        try:
            yield cls(link)
        finally:
            await link.aclose()

    async def kind(self, key: str) -> str:
        """Return the type of a key; ``none`` if there is no such key."""
        kind: bytes = await self._link.call(lambda commands: commands.execute_command("TYPE", key))
        return kind.decode()

    async def groups(self, key: str) -> set[str]:
        """Return the names of the stream's groups; empty if there is no stream."""

        async def look(commands: Commands) -> set[str]:
            try:
                rows = await commands.execute_command("XINFO GROUPS", key)
            except ResponseError as error:
                if "no such key" not in str(error):
                    raise
                return set()
            return {row[row.index(b"name") + 1].decode() for row in rows}

        return await self._link.call(look)

    async def length(self, key: str) -> int:
        """Return the number of entries in the stream; 0 if there is none. ``key`` must be a stream."""
        count: int = await self._link.call(lambda commands: commands.execute_command("XLEN", key))
        return count

    async def first_key(self, pattern: str, kind: str = "") -> str | None:
        """Return any key that matches ``pattern`` (and ``kind``, if given). Scans the whole keyspace, page by page."""

        async def look(commands: Commands) -> str | None:
            cursor: bytes | int = 0
            of_kind = ("TYPE", kind) if kind else ()
            while True:
                cursor, keys = await commands.execute_command(
                    "SCAN", cursor, "MATCH", pattern, "COUNT", _PAGE, *of_kind
                )
                if keys:
                    name: str = keys[0].decode(errors="replace")
                    return name
                if int(cursor) == 0:
                    return None

        return await self._link.call(look)

    async def entry_of(self, key: str, job_id: str) -> FoundEntry | None:
        """Return the newest entry of a job, if it is among the newest ten thousand."""

        async def look(commands: Commands) -> FoundEntry | None:
            end = "+"
            for _ in range(_NEWEST // _PAGE):
                page = await commands.execute_command("XREVRANGE", key, end, "-", "COUNT", _PAGE)
                for entry_id, flat in page:
                    items = [item.decode(errors="replace") for item in flat]
                    fields = dict(zip(items[::2], items[1::2], strict=True))
                    if fields.get("job_id") == job_id:
                        return FoundEntry(entry_id.decode(), fields)
                if len(page) < _PAGE:
                    return None
                end = f"({page[-1][0].decode()}"
            return None

        return await self._link.call(look)

    async def envelope(self, key: str) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
        """Return a payload's envelope and the task in it; None if the payload is missing or malformed."""
        raw: bytes | None = await self._link.call(lambda commands: commands.execute_command("GET", key))
        try:
            envelope = json.loads(raw or b"")
            task = json.loads(base64.b64decode(envelope["task_data_b64"], validate=True))
        except (ValueError, KeyError, TypeError):
            return None
        return (envelope, task) if isinstance(task, dict) else None

    async def now_ms(self) -> int:
        """Return the time of the server's clock, which dates its entries."""
        seconds, micros = await self._link.call(lambda commands: commands.execute_command("TIME"))
        return int(seconds) * 1000 + int(micros) // 1000
