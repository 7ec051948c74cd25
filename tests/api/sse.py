"""Reading event streams as a client does, over real sockets."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx


@dataclass(frozen=True)
class Got:
    """One event."""

    id: str
    event: str
    data: dict[str, Any]


@dataclass
class Stream:
    """An answer that goes on."""

    response: httpx.Response
    comments: list[str] = field(default_factory=list)
    retry_ms: int | None = None

    def __post_init__(self) -> None:
        self._events = self._read()

    async def next(self) -> Got | None:
        """The next event; None: the stream has ended."""
        return await anext(self._events, None)

    async def rest(self) -> list[Got]:
        return [got async for got in self._events]

    async def aclose(self) -> None:
        """The garbage collector would warn of a stream that was not read to its end, at some other time."""
        await self._events.aclose()

    async def _read(self) -> AsyncGenerator[Got]:
        fields: dict[str, str] = {}
        async for line in self.response.aiter_lines():
            if line.startswith(":"):
                self.comments.append(line)
            elif line:
                name, _, value = line.partition(": ")
                assert name not in fields, f"{name} twice in one event"
                fields[name] = value
            elif "retry" in fields:
                self.retry_ms = int(fields.pop("retry"))
                assert not fields
            elif fields:
                assert set(fields) == {"id", "event", "data"}, fields
                yield Got(fields["id"], fields["event"], json.loads(fields["data"]))
                fields = {}


@asynccontextmanager
async def streaming(
    http: httpx.AsyncClient, path: str, token: str, *, last: str | None = None
) -> AsyncIterator[Stream]:
    """The stream at ``path``, which must be there."""
    headers = {"Authorization": f"Bearer {token}"} | ({} if last is None else {"Last-Event-ID": last})
    async with http.stream("GET", path, headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        assert response.headers["Content-Type"] == "text/event-stream"
        stream = Stream(response)
        try:
            yield stream
        finally:
            await stream.aclose()
