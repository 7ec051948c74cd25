"""Parses the bytes on the drill's links into requests of three protocols. It does no IO.

A ``WireParser`` follows one connection. It parses just enough to drop one answer or to duplicate one request.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class WireRequest:
    """A complete request. ``repeatable``: a duplicate is possible and has an effect in the current state."""

    words: frozenset[str]
    raw: bytes
    repeatable: bool


class WireParser(Protocol):
    """The parser of one connection."""

    #: a request is duplicated on its own connection (otherwise on a new one, after ``hello``)
    same_connection: bool
    hello: bytes

    def asked(self, data: bytes) -> list[WireRequest]:
        """Return the requests that these bytes from the client complete."""
        ...

    def answered(self, data: bytes | bytearray) -> int:
        """Return the number of answers that these bytes from the server complete. The last one ends with the bytes."""
        ...


# ---------------------------------------------------------------------------------------------------------------------
# PostgreSQL, protocol 3.0 without TLS

_WRITES = re.compile(rb"\b(INSERT|UPDATE|DELETE)\b")
_STARTUP_BYTES = 8
_OUTSIDE_TRANSACTION = b"I"


class PostgresParser:
    """A request is a batch of the extended protocol that executes a statement and ends in Sync, or a simple query.

    A duplicate on the same connection gives a second answer, which ends in ReadyForQuery too. Inside a transaction it
    would be a further statement, which no fault of a link can cause. So only requests outside of one are repeatable.
    """

    same_connection = True
    hello = b""

    def __init__(self) -> None:
        self._from_client = _Messages(typed=False)
        self._from_server = _Messages(typed=True)
        self._statements: dict[bytes, bytes] = {}
        self._batch: list[tuple[bytes, bytes]] = []
        self._is_outside_transaction = False

    def asked(self, data: bytes) -> list[WireRequest]:
        requests = []
        for kind, raw in self._from_client.feed(data):
            if not kind:
                continue  # the startup packet
            self._batch.append((kind, raw))
            if kind == b"P":
                name, _, rest = raw[5:].partition(b"\0")
                self._statements[name] = rest.partition(b"\0")[0]
            if kind in b"SQ":
                batch, self._batch = self._batch, []
                requests.append(self._request(batch))
        return requests

    def _request(self, batch: list[tuple[bytes, bytes]]) -> WireRequest:
        kinds = {kind for kind, _ in batch}
        sql = b" ".join(self._sql(kind, raw) for kind, raw in batch)
        words = {"WRITE"} if kinds & {b"E", b"Q"} and _WRITES.search(sql) else set()
        executes = b"E" in kinds and b"P" not in kinds
        return WireRequest(
            frozenset(words), b"".join(raw for _, raw in batch), self._is_outside_transaction and executes
        )

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
                self._is_outside_transaction = raw[5:6] == _OUTSIDE_TRANSACTION
        return count


class _Messages:
    """Splits a stream of bytes into messages. ``typed``: the first one has a type byte, like all others."""

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


class RedisParser:
    """A request is what a client sends at once. A duplicate is sent over a separate connection: it duplicates a stream
    entry, or delivers one to a consumer that never learns of it."""

    same_connection = False

    def __init__(self, password: str) -> None:
        self.hello = f"AUTH {password}\r\n".encode()

    def asked(self, data: bytes) -> list[WireRequest]:
        words = frozenset(word for word in _REDIS_WORDS if word.encode() in data)
        return [WireRequest(words, data, bool(words))]

    def answered(self, data: bytes | bytearray) -> int:
        return 1 if data else 0


# ---------------------------------------------------------------------------------------------------------------------
# HTTP/1.1, as our client uses it: with a Content-Length or without a body

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)


class HttpParser:
    """A request is an HTTP request. The duplicate of a submission has the same Idempotency-Key."""

    same_connection = False
    hello = b""

    def __init__(self) -> None:
        self._held = b""

    def asked(self, data: bytes) -> list[WireRequest]:
        self._held += data
        requests = []
        while (end := self._held.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._held, 0, end + 2)
            size = end + 4 + (int(length.group(1)) if length else 0)
            if len(self._held) < size:
                break
            raw, self._held = self._held[:size], self._held[size:]
            method = raw.partition(b" ")[0].decode("latin-1")
            requests.append(WireRequest(frozenset({method}), raw, b"idempotency-key" in raw.lower() or method == "GET"))
        return requests

    def answered(self, data: bytes | bytearray) -> int:
        return 1 if data else 0
