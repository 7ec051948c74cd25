"""A TCP proxy for one link of a node. It can cut, stall or slow the link, drop an answer, or duplicate a request.

Each connection has two pumps. Bytes may be delayed, but are never reordered or changed. An armed trick waits for a
matching request (``wire``), and after its patience has expired for any request.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

import trio

from deepoj.operate.drill.wire import WireParser, WireRequest

_CHUNK_BYTES = 65_536
_HOST = "127.0.0.1"
#: timeout of the answer to a duplicated request
_ECHO_S = 3.0

type Dial = Callable[[], Awaitable[trio.abc.Stream]]


@dataclass(eq=False, slots=True)
class Trick:
    """Drops the answer of one request, or duplicates one request. ``word``: the request to wait for, until
    ``patient_until`` on trio's clock."""

    twice: bool
    word: str
    patient_until: float
    played: trio.Event = field(default_factory=trio.Event)

    def fits(self, request: WireRequest, now: float) -> bool:
        if self.twice and not request.repeatable:
            return False
        return self.word in request.words or now > self.patient_until


@dataclass(eq=False, slots=True)
class _Pair:
    """One connection: the client's stream, the server's stream, and the trick in progress."""

    client: trio.SocketStream
    server: trio.abc.Stream
    parser: WireParser
    #: number of answers that the client does not get; the connection is cut when the last of them arrives
    lose: int = 0
    #: number of answers to forward before those of a duplicated request, and number of answers to discard
    hear: int = 0
    swallow: int = 0

    def reset(self) -> None:
        """Break the connection: the client gets a reset instead of an orderly close."""
        with contextlib.suppress(OSError, trio.ClosedResourceError):
            self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.client.socket.close()


class Link:
    """A listening port whose connections are forwarded to the stream that ``dial`` opens.

    It opens no nursery: ``serve`` starts its tasks in the nursery passed to it.
    """

    def __init__(self, name: str, dial: Dial, make_parser: Callable[[], WireParser]) -> None:
        self.name = name
        self.port = 0
        self._dial = dial
        self._make_parser = make_parser
        self._pairs: set[_Pair] = set()
        self._stalled = 0
        self._flows = trio.Event()
        self._delay_s = 0.0
        self._tricks: list[Trick] = []

    # -- faults

    def cut(self) -> None:
        """Break all connections; new ones are accepted."""
        for pair in list(self._pairs):
            pair.reset()

    @contextlib.contextmanager
    def stalled(self) -> Iterator[None]:
        """Context in which no bytes pass in either direction; they are delivered afterwards."""
        self._stalled += 1
        try:
            yield
        finally:
            self._stalled -= 1
            if not self._stalled:
                self._flows.set()
                self._flows = trio.Event()

    @contextlib.contextmanager
    def delayed(self, delay_s: float) -> Iterator[None]:
        """Context in which each piece is delayed."""
        self._delay_s += delay_s
        try:
            yield
        finally:
            self._delay_s -= delay_s

    async def play(self, trick: Trick, within_s: float) -> bool:
        """Wait until the trick was played. Returns False if no request matched in time."""
        self._tricks.append(trick)
        with trio.move_on_after(within_s):
            await trick.played.wait()
        if trick in self._tricks:
            self._tricks.remove(trick)
        return trick.played.is_set()

    # -- the pumps

    async def serve(self, tasks: trio.Nursery, *, task_status: trio.TaskStatus[None]) -> None:
        """Accept connections until cancelled; reports as started when ``port`` is known."""
        listener = (await trio.open_tcp_listeners(0, host=_HOST))[0]
        async with listener:
            self.port = listener.socket.getsockname()[1]
            task_status.started()
            while True:
                client = await listener.accept()
                tasks.start_soon(self._connect, client, tasks, name=f"{self.name} connection")

    async def _connect(self, client: trio.SocketStream, tasks: trio.Nursery) -> None:
        try:
            await self._pass()
            server = await self._dial()
        except OSError:
            await trio.aclose_forcefully(client)
            return
        except BaseException:
            client.socket.close()
            raise
        pair = _Pair(client, server, self._make_parser())
        self._pairs.add(pair)
        tasks.start_soon(self._ended, pair, self._up, tasks, name=f"{self.name} up")
        tasks.start_soon(self._ended, pair, self._down, tasks, name=f"{self.name} down")

    async def _pass(self) -> None:
        """Wait until bytes may pass."""
        if self._delay_s:
            await trio.sleep(self._delay_s)
        while self._stalled:
            await self._flows.wait()

    async def _ended(
        self, pair: _Pair, pump: Callable[[_Pair, trio.Nursery], Awaitable[None]], tasks: trio.Nursery
    ) -> None:
        """Run one pump; when one ends, both end."""
        try:
            await pump(pair, tasks)
        except (trio.BrokenResourceError, trio.ClosedResourceError, OSError):
            pass
        finally:
            self._pairs.discard(pair)
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(pair.server)
                await trio.aclose_forcefully(pair.client)

    async def _up(self, pair: _Pair, tasks: trio.Nursery) -> None:
        while data := await pair.client.receive_some(_CHUNK_BYTES):
            await self._pass()
            again = b""
            for request in pair.parser.asked(data):
                trick = self._fitting(request)
                if trick is None:
                    continue
                if not trick.twice:
                    pair.lose = 1
                elif pair.parser.same_connection:
                    pair.hear, pair.swallow = 1, 1
                    again = request.raw
                else:
                    tasks.start_soon(self._echo, request.raw, pair.parser.hello, trick, name=f"{self.name} again")
                    continue
                trick.played.set()
            await pair.server.send_all(data)
            if again:
                await pair.server.send_all(again)

    def _fitting(self, request: WireRequest) -> Trick | None:
        now = trio.current_time()
        for trick in self._tricks:
            if trick.fits(request, now):
                self._tricks.remove(trick)
                return trick
        return None

    async def _down(self, pair: _Pair, tasks: trio.Nursery) -> None:
        while data := await pair.server.receive_some(_CHUNK_BYTES):
            answers = pair.parser.answered(data)
            if pair.lose:
                if answers:
                    pair.reset()
                    return
                continue
            if pair.swallow and not pair.hear:
                pair.swallow -= min(answers, pair.swallow)
                continue
            if pair.swallow and answers:
                data, answers = self._first(pair, data, answers)
            await self._pass()
            await pair.client.send_all(data)

    def _first(self, pair: _Pair, data: bytes | bytearray, answers: int) -> tuple[bytes | bytearray, int]:
        """Pass on only the first of two answers that arrived together; they have the same form."""
        pair.hear = 0
        if answers == 1:
            return data, 1
        pair.swallow -= answers - 1
        return data[: _end_of_first(data)], 1

    async def _echo(self, raw: bytes, hello: bytes, trick: Trick) -> None:
        """Send the request again over a separate connection, and discard the answer."""
        try:
            stream = await self._dial()
            async with stream:
                if hello:
                    await stream.send_all(hello)
                    await stream.receive_some(_CHUNK_BYTES)
                await stream.send_all(raw)
                trick.played.set()
                with trio.move_on_after(_ECHO_S):
                    await stream.receive_some(_CHUNK_BYTES)
        except (OSError, trio.BrokenResourceError):
            trick.played.set()  # the server is unavailable: the duplicate has no effect


def _end_of_first(data: bytes | bytearray) -> int:
    """Return the position after the first ReadyForQuery of these PostgreSQL messages."""
    at = 0
    while at + 5 <= len(data):
        size = 1 + int.from_bytes(data[at + 1 : at + 5])
        if data[at : at + 1] == b"Z":
            return at + size
        at += size
    return len(data)
