"""Checks the head of a request before h11 parses it.

h11 accepts lines ending in a bare LF, folded headers, Content-Length together with Transfer-Encoding, and any HTTP
version. If a proxy in front of the API parsed these differently, clients could smuggle requests past it. So they are
refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import h11

MAX_HEAD_BYTES = 16 * 1024
#: parsing 3,000 short lines would take 8 ms
_MAX_HEAD_LINES = 100
_LENGTH = re.compile(rb"(?i)\r\ncontent-length:([^\r]*)")
_HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+;=%-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")
_ABSOLUTE = re.compile(rb"(?i)https?://([^/?]+)(?:[/?].*)?")
_VERSIONS = frozenset({b"1.0", b"1.1"})


@dataclass(frozen=True, slots=True)
class Head:
    """The parsed head of an acceptable request."""

    request: h11.Request
    #: formats the answer; its reading side stays at the start of the body, because ``body`` reads that itself
    protocol: h11.Connection
    #: ``/path?query``, also if the request line had an absolute URL (``http://host/path``)
    target: bytes
    is_chunked: bool
    #: Content-Length; 0 for a chunked body
    length: int


def fault_in(received: bytes, *, is_whole: bool) -> int | None:
    """Return the HTTP status with which to refuse the received part of a head; None if it is acceptable so far.

    ``is_whole``: the head is complete, except for the empty line at its end."""
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
    """Parse a complete head that passed ``fault_in``. Returns the HTTP status if it is refused."""
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
    # h11 merges equal Content-Length headers, so look at the raw bytes
    lengths = _LENGTH.findall(raw)
    is_ambiguous = len(lengths) > 1 or any(b"," in length for length in lengths)
    is_ambiguous |= is_chunked and (bool(lengths) or request.http_version == b"1.0")
    target = _origin_form(request.target, request.method, host)
    if is_ambiguous or target is None or not _HOST.fullmatch(host):
        return 400
    return Head(request, protocol, target, is_chunked, int(headers.get(b"content-length", b"0")))


def _origin_form(target: bytes, method: bytes, host: bytes) -> bytes | None:
    """Return the target as ``/path?query``; None if it does not belong to this host."""
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
