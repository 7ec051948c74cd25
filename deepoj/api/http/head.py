"""The head of a request: checked byte by byte before h11 reads it.

h11 accepts lines that end in LF alone, folded headers, a length beside an encoding, and any HTTP version. A proxy in
front of us that reads one of these differently would let a client smuggle a request past it, so they are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import h11

MAX_HEAD_BYTES = 16 * 1024
#: 3,000 short lines take 8 ms to read
_MAX_HEAD_LINES = 100
_LENGTH = re.compile(rb"(?i)\r\ncontent-length:([^\r]*)")
_HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+;=%-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")
_ABSOLUTE = re.compile(rb"(?i)https?://([^/?]+)(?:[/?].*)?")
_VERSIONS = frozenset({b"1.0", b"1.1"})


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a request that may be answered."""

    request: h11.Request
    #: frames the answer to this request; its client side stays where the body begins, as ``body`` reads that
    protocol: h11.Connection
    #: ``/path?query``, also of a target written for a proxy (``http://host/path``)
    target: bytes
    is_chunked: bool
    #: 0 of a chunked body
    length: int


def fault_in(received: bytes, *, is_whole: bool) -> int | None:
    """The HTTP status that refuses a head of which ``received`` is here; None if nothing is wrong so far.

    ``is_whole``: all of it is, but for the empty line at its end."""
    if len(received) > MAX_HEAD_BYTES:
        return 431
    ends = received.count(b"\r\n")
    if ends >= _MAX_HEAD_LINES:
        return 431
    is_cut = received.endswith(b"\r") and not is_whole
    is_bare = received.count(b"\n") != ends or received.count(b"\r") - is_cut != ends
    if is_bare or b"\n " in received or b"\n\t" in received or received[:1] <= b" ":
        return 400
    return None


def parse(raw: bytes) -> Head | int:
    """A whole head in which ``fault_in`` found nothing; or the HTTP status that refuses it."""
    protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
    protocol.receive_data(raw)
    try:
        request = protocol.next_event()
    except h11.RemoteProtocolError as error:
        return error.error_status_hint
    if not isinstance(request, h11.Request):
        return 400
    if request.http_version not in _VERSIONS:
        return 505
    headers = dict(request.headers)
    is_chunked, host = b"transfer-encoding" in headers, headers.get(b"host", b"")
    # h11 joins equal lengths: what was sent is looked at
    lengths = _LENGTH.findall(raw)
    is_ambiguous = len(lengths) > 1 or any(b"," in length for length in lengths)
    is_ambiguous |= is_chunked and (bool(lengths) or request.http_version == b"1.0")
    target = _origin_form(request.target, request.method, host)
    if is_ambiguous or target is None or not _HOST.fullmatch(host):
        return 400
    return Head(request, protocol, target, is_chunked, int(headers.get(b"content-length", b"0")))


def _origin_form(target: bytes, method: bytes, host: bytes) -> bytes | None:
    """None: no target of this host."""
    if method == b"CONNECT" or b"#" in target:
        return None
    if target.startswith(b"/"):
        return target
    if target == b"*" and method == b"OPTIONS":
        return b"/"
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None or absolute[1].lower() != host.lower():
        return None
    _, slash, path = target.partition(b"://")[2].partition(b"/")
    return slash + path or b"/"
