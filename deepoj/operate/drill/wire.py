"""Parses the protocols that cross the drill's links into requests. Pure: bytes in, requests out.

A ``Talk`` follows one connection. It understands just enough to drop one answer or to duplicate one request; all other
bytes pass unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class WireRequest:
    """A whole request. ``repeatable``: saying it once more means something in this protocol, at this moment."""

    words: frozenset[str]
    raw: bytes
    repeatable: bool


class WireParser(Protocol):
    """One connection, followed."""

    #: whether a request is said once more on its own connection (else on a new one that is greeted with ``hello``)
    same_connection: bool
    hello: bytes

    def asked(self, data: bytes) -> list[WireRequest]:
        """The requests that these bytes from the client complete."""
        ...

    def answered(self, data: bytes | bytearray) -> int:
        """How many answers these bytes from the server complete; the last one ends at the end of them."""
        ...


# ---------------------------------------------------------------------------------------------------------------------
# PostgreSQL, protocol 3.0 without TLS

_WRITES = re.compile(rb"\b(INSERT|UPDATE|DELETE)\b")
_STARTUP_BYTES = 8
_IN_NO_TRANSACTION = b"I"


class PostgresTalk:
    """A batch of the extended protocol that executes something and ends in Sync, or a simple query.

    Said twice on the same connection it gives two answers, each ending in ReadyForQuery. Inside a transaction that
    would be another statement of it, which no link can cause: only what stands alone is repeatable.
    """

    same_connection = True
    hello = b""

    def __init__(self) -> None:
        self._from_client = _Messages(typed=False)
        self._from_server = _Messages(typed=True)
        self._statements: dict[bytes, bytes] = {}
        self._batch: list[tuple[bytes, bytes]] = []
        self._alone = False

    def asked(self, data: bytes) -> list[WireRequest]:
        found = []
        for kind, raw in self._from_client.feed(data):
            if not kind:
                continue  # the startup packet
            self._batch.append((kind, raw))
            if kind == b"P":
                name, _, rest = raw[5:].partition(b"\0")
                self._statements[name] = rest.partition(b"\0")[0]
            if kind in b"SQ":
                batch, self._batch = self._batch, []
                found.append(self._request(batch))
        return found

    def _request(self, batch: list[tuple[bytes, bytes]]) -> WireRequest:
        kinds = {kind for kind, _ in batch}
        sql = b" ".join(self._sql(kind, raw) for kind, raw in batch)
        words = {"WRITE"} if kinds & {b"E", b"Q"} and _WRITES.search(sql) else set()
        executes = b"E" in kinds and b"P" not in kinds
        return WireRequest(frozenset(words), b"".join(raw for _, raw in batch), self._alone and executes)

    def _sql(self, kind: bytes, raw: bytes) -> bytes:
        if kind == b"Q":
            return raw[5:]
        if kind == b"B":
            name = raw[5:].partition(b"\0")[2].partition(b"\0")[0]
            return self._statements.get(name, b"")
        return b""

    def answered(self, data: bytes | bytearray) -> int:
        count = 0
        for kind, raw in self._from_server.feed(data):
            if kind == b"Z":
                count += 1
                self._alone = raw[5:6] == _IN_NO_TRANSACTION
        return count


class _Messages:
    """Cuts a stream of bytes into messages; ``typed``: the first one has a type byte too."""

    def __init__(self, *, typed: bool) -> None:
        self._typed = typed
        self._held = bytearray()

    def feed(self, data: bytes | bytearray) -> Iterator[tuple[bytes, bytes]]:
        self._held += data
        while len(self._held) >= _STARTUP_BYTES - 3:
            head = 1 if self._typed else 0
            size = head + int.from_bytes(self._held[head : head + 4])
            if len(self._held) < size or size < 4:
                return
            raw = bytes(self._held[:size])
            del self._held[:size]
            kind = raw[:1] if self._typed else b""
            self._typed = True
            yield kind, raw


# ---------------------------------------------------------------------------------------------------------------------
# Redis

_REDIS_WORDS = ("XADD", "XACK", "XREADGROUP", "XAUTOCLAIM")


class RedisTalk:
    """What a client sends at once is a request. Said twice it goes over a connection of its own: a stream entry that
    is doubled, or one that is handed to a consumer who never hears of it."""

    same_connection = False

    def __init__(self, password: str) -> None:
        self.hello = f"AUTH {password}\r\n".encode()

    def asked(self, data: bytes) -> list[WireRequest]:
        words = frozenset(word for word in _REDIS_WORDS if word.encode() in data)
        return [WireRequest(words, data, bool(words))]

    def answered(self, data: bytes | bytearray) -> int:
        return 1 if data else 0


# ---------------------------------------------------------------------------------------------------------------------
# HTTP/1.1, as our client speaks it: with a Content-Length or without a body

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)


class HttpTalk:
    """Whole requests; a submission said twice carries its Idempotency-Key twice."""

    same_connection = False
    hello = b""

    def __init__(self) -> None:
        self._held = b""

    def asked(self, data: bytes) -> list[WireRequest]:
        self._held += data
        found = []
        while (end := self._held.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._held, 0, end + 2)
            size = end + 4 + (int(length.group(1)) if length else 0)
            if len(self._held) < size:
                break
            raw, self._held = self._held[:size], self._held[size:]
            method = raw.partition(b" ")[0].decode("latin-1")
            found.append(WireRequest(frozenset({method}), raw, b"idempotency-key" in raw.lower() or method == "GET"))
        return found

    def answered(self, data: bytes | bytearray) -> int:
        return 1 if data else 0
