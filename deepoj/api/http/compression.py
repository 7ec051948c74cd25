"""Compresses answers with gzip for clients that accept it.

Texts of ``MIN_BYTES`` and more are compressed. Streams are not: an event must leave at once. The ETag of a compressed
answer is weak, because another representation has the same tag; ``conditional`` compares weakly.

Large answers are compressed in a thread: zlib releases the interpreter's lock, so the event loop serves others
meanwhile. Public documents are the same for every client, so they are compressed once, and all connections send the
same bytes object.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict

import trio
from quart.typing import ResponseTypes
from quart.wrappers import Request, Response
from quart.wrappers.response import DataBody
from werkzeug.datastructures import Accept

#: a smaller answer fits into one packet anyway
MIN_BYTES = 1400
#: A board of 500 teams and 12 problems (1.1 MB) takes 4 ms and 90 KB at level 1, 8 ms and 72 KB at 6, 33 ms and 62 KB
#: at 9
_LEVEL = 6
#: window of 32 KiB, with the head and the checksum of gzip
_GZIP_BITS = 31
#: from this size in a thread; a change of threads costs as much as some 10 KB
_THREAD_BYTES = 32 * 1024
_THREADS = 2
_UNCHANGED = 304
#: bytes of compressed public documents that are kept, with their originals
_KEPT_BYTES = 4 * 1024 * 1024
_TYPES = frozenset({
    "application/javascript", "application/json", "application/xhtml+xml", "application/xml", "image/svg+xml",
})  # fmt: skip


class Compressor:
    """Compresses the answers of one application."""

    def __init__(self) -> None:
        self._limiter = trio.CapacityLimiter(_THREADS)
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()
        self._kept_bytes = 0

    async def apply(self, request: Request, response: ResponseTypes) -> None:
        """Compress the body of ``response`` if that is worthwhile and the client accepts it."""
        if not _is_text(response.mimetype) or "Content-Encoding" in response.headers:
            return
        data = _data(response)
        if response.status_code != _UNCHANGED and len(data) < MIN_BYTES:
            return
        if "accept-encoding" not in response.vary:
            response.vary.add("Accept-Encoding")
        if not accepts_gzip(request.accept_encodings):
            return
        etag, _ = response.get_etag()
        if etag is not None:
            response.set_etag(etag, weak=True)
        if response.status_code == _UNCHANGED:
            return
        response.headers["Content-Encoding"] = "gzip"
        if request.method == "HEAD":  # the length is known only to those who compress
            del response.headers["Content-Length"]
            return
        if response.cache_control.public:
            data = self._of_document(data)
        elif len(data) < _THREAD_BYTES:
            data = compressed(data)
        else:
            data = await trio.to_thread.run_sync(compressed, data, limiter=self._limiter)
        response.set_data(data)

    def _of_document(self, data: bytes) -> bytes:
        """Return the compressed document; without a wait, so that no two requests compress the same."""
        kept = self._kept.get(data)
        if kept is not None:
            self._kept.move_to_end(data)
            return kept
        made = self._kept[data] = compressed(data)
        self._kept_bytes += len(data) + len(made)
        while self._kept_bytes > _KEPT_BYTES:
            self._kept_bytes -= sum(map(len, self._kept.popitem(last=False)))
        return made


def compressed(data: bytes) -> bytes:
    """Return ``data`` in the format of gzip."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_BITS)
    return packer.compress(data) + packer.flush()


def accepts_gzip(accepted: Accept) -> bool:
    """Return whether the client accepts gzip, and likes it at least as much as no compression (RFC 9110, 12.5.3)."""
    named = {name.lower(): quality for name, quality in accepted}
    gzip = named.get("gzip", named.get("x-gzip", named.get("*", 0)))
    return gzip > 0 and gzip >= named.get("identity", 0)


def _is_text(mimetype: str | None) -> bool:
    if mimetype is None or mimetype == "text/event-stream":
        return False
    return mimetype.startswith("text/") or mimetype in _TYPES


def _data(response: ResponseTypes) -> bytes:
    """Return a body that is there as a whole; empty for a stream."""
    if not isinstance(response, Response):
        return response.get_data()
    body = response.response
    return body.data[body.begin : body.end] if type(body) is DataBody else b""
