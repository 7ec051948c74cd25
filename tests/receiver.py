"""A receiver of webhooks: a real HTTP server on the loopback that records requests and gives scripted answers."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio

#: deadline of short waits, on a busy machine
PATIENCE_S = 60.0

type Reply = Callable[[trio.abc.Stream], Awaitable[None]]


@dataclass(frozen=True)
class Received:
    """One request, as received."""

    method: str
    path: str
    #: with lower-case names
    headers: Mapping[str, str]
    body: bytes


def says(status: int, *headers: str, body: bytes = b"") -> Reply:
    """Reply with a well-formed answer."""

    async def reply(stream: trio.abc.Stream) -> None:
        head = [f"HTTP/1.1 {status} Status", *headers, f"Content-Length: {len(body)}", "", ""]
        await stream.send_all("\r\n".join(head).encode() + body)

    return reply


def sends(data: bytes) -> Reply:
    """Reply with these bytes, also if they are no HTTP."""

    async def reply(stream: trio.abc.Stream) -> None:
        await stream.send_all(data)

    return reply


async def hangs(_stream: trio.abc.Stream) -> None:
    """Never reply."""
    await trio.sleep_forever()


async def drips_without_end(stream: trio.abc.Stream) -> None:
    """Reply with a 200 at once and a body that never ends."""
    await stream.send_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await stream.send_all(b"1\r\nx\r\n")
        await trio.sleep(0.05)


@dataclass
class Receiver:
    """``replies``: path without query → reply; 204 for others. ``received``: the requests in order."""

    port: int
    scheme: str = "http"
    replies: dict[str, Reply] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    _came: trio.Event = field(default_factory=trio.Event)

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"

    async def until(self, count: int) -> list[Received]:
        """Wait until that many requests have come."""
        with trio.fail_after(PATIENCE_S):
            while len(self.received) < count:
                await self._came.wait()
        return self.received

    async def serve(self, stream: trio.abc.Stream) -> None:
        try:
            async with stream:
                found = await _request(stream)
                if found is None:
                    return
                self.received.append(found)
                self._came.set()
                self._came = trio.Event()
                await self.replies.get(found.path.partition("?")[0], says(204))(stream)
                if isinstance(stream, trio.SocketStream):
                    await stream.send_eof()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return  # the client closed the connection


async def _request(stream: trio.abc.Stream) -> Received | None:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = await stream.receive_some(65_536)
        if not piece:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", "0")):
        body += await stream.receive_some(65_536)
    method, path, _ = first.split(" ")
    return Received(method, path, headers, body)


@asynccontextmanager
async def receiving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """Run a receiver on a free port until the end of the block."""
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        receiver = Receiver(listener.socket.getsockname()[1], "https" if tls else "http")
        listeners: list[trio.abc.Listener[trio.abc.Stream]] = [trio.SSLListener(listener, tls) if tls else listener]
        nursery.start_soon(trio.serve_listeners, receiver.serve, listeners)
        yield receiver
        nursery.cancel_scope.cancel()
