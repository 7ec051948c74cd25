"""The body of a request, read from the socket as its route asks for it.

So a client that sends faster than its route reads is held up by TCP, and nothing of a body is kept but one piece.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from deepoj.api.http.head import MAX_HEAD_BYTES

#: the slowest upload that is waited for, once the read timeout is over; slower clients make room for others first
MIN_BYTES_PER_S = 64 * 1024
#: bytes of a chunked body beside its data, for each byte of data: chunks of one byte have 5 more
_MAX_OVERHEAD = 8
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r\n\0]*)?\r\n")
_TRAILER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n\0]*\r\n")


class SizedDecoder:
    """A body of a known length."""

    #: the HTTP status that refuses the body, once something is wrong with it
    fault: int | None = None

    def __init__(self, length: int) -> None:
        self._left = length

    @property
    def is_complete(self) -> bool:
        return self._left == 0

    def is_here(self, received: bytearray) -> bool:
        """Whether ``received`` has all that is left of the body."""
        return len(received) >= self._left

    def take(self, received: bytearray) -> bytes:
        """Removes from ``received`` what belongs to the body, and returns its data; empty: more must come."""
        data = bytes(received[: self._left])
        del received[: self._left]
        self._left -= len(data)
        return data


class ChunkedDecoder:
    """A body in chunks, without h11's leniency; extensions and trailers are dropped."""

    fault: int | None = None

    def __init__(self) -> None:
        self.is_complete = False
        self._left = 0  # of the chunk's data
        self._is_after_data = self._is_in_trailers = False
        #: how many bytes of sizes, extensions and trailers may still come
        self._spare_bytes = MAX_HEAD_BYTES

    def is_here(self, _received: bytearray) -> bool:
        """See ``SizedDecoder``; False where it takes reading to find out."""
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
    """What a route sees of a body: an iterator over its pieces, once."""

    def __init__(self, _content_length: int | None = None, _max_content_length: int | None = None) -> None:
        """As quart makes it; the connection then calls ``attach``."""
        self._receive: Callable[[], Awaitable[bytes]] | None = None
        self._take_whole: Callable[[], bytes | None] | None = None

    def attach(self, receive: Callable[[], Awaitable[bytes]], take_whole: Callable[[], bytes | None]) -> None:
        """``receive``: waits for the next piece, empty at the end; ``take_whole``: see ``whole``."""
        self._receive, self._take_whole = receive, take_whole

    def whole(self) -> bytes | None:
        """All that is unread, if all of it has come; else None, and nothing is taken."""
        return self._take_whole() if self._take_whole is not None else b""

    def __aiter__(self) -> RequestBody:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._receive() if self._receive is not None else b""
        if not piece:
            raise StopAsyncIteration
        return piece
