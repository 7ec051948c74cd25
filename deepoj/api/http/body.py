"""The body of a request, read from the socket when its route asks for it.

So TCP slows down a client that sends faster than its route reads, and only one piece of the body is in memory.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from deepoj.api.http.head import MAX_HEAD_BYTES

#: minimum speed of an upload after the read timeout; connections of slower clients may be closed for new ones
MIN_BYTES_PER_S = 64 * 1024
#: maximum overhead of a chunked body per byte of data: chunks of one byte have an overhead of 5 bytes
_MAX_OVERHEAD = 8
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r\n\0]*)?\r\n")
_TRAILER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n\0]*\r\n")


class SizedDecoder:
    """A body of a known length."""

    #: HTTP status with which to refuse a malformed body; None so far
    fault: int | None = None

    def __init__(self, length: int) -> None:
        self._left = length

    @property
    def is_complete(self) -> bool:
        return self._left == 0

    def is_here(self, received: bytearray) -> bool:
        """Return whether ``received`` contains the rest of the body."""
        return len(received) >= self._left

    def take(self, received: bytearray) -> bytes:
        """Remove the body's bytes from ``received`` and return their data; empty if more bytes are needed."""
        data = bytes(received[: self._left])
        del received[: self._left]
        self._left -= len(data)
        return data


class ChunkedDecoder:
    """A chunked body, parsed more strictly than h11 does; extensions and trailers are dropped."""

    fault: int | None = None

    def __init__(self) -> None:
        self.is_complete = False
        #: remaining bytes of the current chunk
        self._left = 0
        self._is_after_data = self._is_in_trailers = False
        #: number of bytes still allowed for sizes, extensions and trailers
        self._spare_bytes = MAX_HEAD_BYTES

    def is_here(self, _received: bytearray) -> bool:
        """See ``SizedDecoder``. False until the end was parsed: the rest of the length is unknown."""
        return self.is_complete

    def take(self, received: bytearray) -> bytes:
        """See ``SizedDecoder``."""
        while not self._left and not self.is_complete and self.fault is None:
            end = received.find(b"\r\n") + 2
            if end < 2 and len(received) <= MAX_HEAD_BYTES:
                return b""
            self._spare_bytes -= end if end >= 2 else len(received)
            self.fault = 431 if self._spare_bytes < 0 or end < 2 else self._read_line(bytes(received[:end]))
            del received[:end]
        data = bytes(received[: self._left])
        del received[: self._left]
        if data:
            self._left -= len(data)
            self._spare_bytes += _MAX_OVERHEAD * len(data)
            self._is_after_data = not self._left
        return data

    def _read_line(self, line: bytes) -> int | None:
        if self._is_after_data:
            self._is_after_data = False
            return None if line == b"\r\n" else 400
        if self._is_in_trailers:
            self.is_complete = line == b"\r\n"
            return None if self.is_complete or _TRAILER.fullmatch(line) else 400
        chunk = _CHUNK.fullmatch(line)
        if chunk is None:
            return 400
        self._left = int(chunk[1], 16)
        self._is_in_trailers = not self._left
        return None


class RequestBody:
    """The body for routes: a single-use iterator over its pieces."""

    def __init__(self, _content_length: int | None = None, _max_content_length: int | None = None) -> None:
        """Has quart's signature; the connection then calls ``attach``."""
        self._receive: Callable[[], Awaitable[bytes]] | None = None
        self._take_rest: Callable[[], bytes | None] | None = None

    def attach(self, receive: Callable[[], Awaitable[bytes]], take_rest: Callable[[], bytes | None]) -> None:
        """Connect the body to its connection.

        ``receive``: waits for the next piece and returns it, empty at the end. ``take_rest``: see the method.
        """
        self._receive, self._take_rest = receive, take_rest

    def take_rest(self) -> bytes | None:
        """Return the unread rest of the body if all of it has arrived; else return None and take nothing."""
        return self._take_rest() if self._take_rest is not None else b""

    def __aiter__(self) -> RequestBody:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._receive() if self._receive is not None else b""
        if not piece:
            raise StopAsyncIteration
        return piece
