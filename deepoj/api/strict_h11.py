"""h11 without its leniency: what two programs could read differently is refused.

h11 takes lines that end in LF alone, folded headers, a length beside an encoding, and any HTTP version; and its bound
on a head or on a chunk's line holds only while that line is incomplete. A proxy in front of us that reads one of these
differently would let a client smuggle a request past it.
"""

from __future__ import annotations

import re
from typing import NoReturn

import h11

#: of a head; of a chunked body beyond its data (sizes, extensions, trailers), with some more for each byte of data
MAX_HEAD_BYTES = 16 * 1024
#: of a head: 3,000 short ones take 8 ms to read
_MAX_HEAD_LINES = 100
#: chunks of one byte have 5 bytes more
_MAX_OVERHEAD = 8
_LENGTH = re.compile(rb"(?i)\r\ncontent-length:([^\r]*)")
_HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+;=%-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")
_ABSOLUTE = re.compile(rb"(?i)https?://([^/?]+)(?:[/?].*)?")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r\n\0]*)?\r\n")
_TRAILER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n\0]*\r\n")
_VERSIONS = frozenset({b"1.0", b"1.1"})


class StrictConnection(h11.Connection):
    """A server's side of a connection."""

    def __init__(self) -> None:
        super().__init__(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)

    @property
    def answers_head(self) -> bool:
        """Whether the answer to the request under way has no body."""
        return self._request_method == b"HEAD"

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        if self.their_state is not h11.IDLE:
            return super().next_event()
        # h11 does not say what was sent: it joins folded lines and equal lengths
        head, end, _ = bytes(self._receive_buffer).partition(b"\r\n\r\n")
        if len(head) > MAX_HEAD_BYTES:
            self._refuse("The head is too long.", 431)
        if head.count(b"\r\n") >= _MAX_HEAD_LINES:
            self._refuse("The head has too many lines.", 431)
        if _is_lenient(head + end):
            self._refuse("A line of the head does not end in CR LF, or is folded.")
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._check(event, head)
        return event

    def _check(self, request: h11.Request, head: bytes) -> None:
        headers = dict(request.headers)
        host, lengths = headers.get(b"host", b""), _LENGTH.findall(head)
        if request.http_version not in _VERSIONS:
            self._refuse("Only HTTP/1.0 and HTTP/1.1 are spoken here.", 505)
        if len(lengths) > 1 or any(b"," in length for length in lengths):
            self._refuse("There is more than one Content-Length.")
        if not _HOST.fullmatch(host):
            self._refuse("Host is malformed.")
        if not _is_target(request.target, request.method, host):
            self._refuse("The request target is malformed or of another host.")
        if b"transfer-encoding" not in headers:
            return
        if lengths or request.http_version == b"1.0":
            self._refuse("Transfer-Encoding stands beside Content-Length, or in HTTP/1.0.")
        self._reader = _Chunks()

    def _refuse(self, why: str, status: int = 400) -> NoReturn:
        self._process_error(self.their_role)
        raise h11.RemoteProtocolError(why, error_status_hint=status)


def _is_lenient(head: bytes) -> bool:
    """Whether a line does not end in CR LF, or continues the line before it. The last line may be incomplete."""
    ends = head.count(b"\r\n")
    is_bare = head.count(b"\n") != ends or head.count(b"\r") - head.endswith(b"\r") != ends
    return is_bare or b"\n " in head or b"\n\t" in head


def _is_target(target: bytes, method: bytes, host: bytes) -> bool:
    if method == b"CONNECT" or b"#" in target:
        return False
    if target.startswith(b"/") or (target == b"*" and method == b"OPTIONS"):
        return True
    absolute = _ABSOLUTE.fullmatch(target)
    return absolute is not None and absolute[1].lower() == host.lower()


class _Chunks:
    """Reads a chunked body, as h11's ``ChunkedReader`` does; drops extensions and trailers."""

    def __init__(self) -> None:
        self._left = 0  # of the chunk's data
        self._is_after_data = self._is_in_trailers = False
        self._spare_bytes = MAX_HEAD_BYTES

    def __call__(self, buffer: h11._receivebuffer.ReceiveBuffer) -> h11.Data | h11.EndOfMessage | None:
        while not self._left:
            line = buffer.maybe_extract_next_line()
            if line is None:
                return None
            self._spare_bytes -= len(line)
            if self._spare_bytes < 0:
                raise h11.LocalProtocolError("The chunks' sizes, extensions and trailers are too long.", 431)
            if self._is_after_data:
                self._is_after_data = False
                if line != b"\r\n":
                    raise h11.LocalProtocolError("A chunk is longer than its size.")
            elif not self._is_in_trailers:
                chunk = _CHUNK.fullmatch(line)
                if chunk is None:
                    raise h11.LocalProtocolError("The size of a chunk is malformed.")
                self._left = int(chunk[1], 16)
                self._is_in_trailers = not self._left
            elif line == b"\r\n":
                return h11.EndOfMessage()
            elif not _TRAILER.fullmatch(line):
                raise h11.LocalProtocolError("A trailer is malformed.")
        data = buffer.maybe_extract_at_most(self._left)
        if data is None:
            return None
        self._left -= len(data)
        self._spare_bytes += _MAX_OVERHEAD * len(data)
        self._is_after_data = not self._left
        return h11.Data(data=bytes(data))

    def read_eof(self) -> NoReturn:
        raise h11.RemoteProtocolError("The body ended within a chunk.")
