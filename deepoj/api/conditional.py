"""ETags, and 304 for a client that has the content already."""

from __future__ import annotations

import hashlib

from quart import Response, request

from deepoj.api.route import Described

UNCHANGED = Described(description="Unchanged since the version in If-None-Match.")
_DIGEST_BYTES = 16


def digest_of(content: bytes) -> str:
    """Return what names a content in an ETag."""
    return hashlib.blake2b(content, digest_size=_DIGEST_BYTES).hexdigest()


def add_etag(response: Response, etag: str, *, is_weak: bool = False) -> None:
    """Give a response to GET an ETag, and make it 304 without a body if the client names that one.

    The comparison is the weak one, as RFC 9110 asks for it: a proxy that compresses an answer makes its ETag weak.
    """
    response.set_etag(etag, weak=is_weak)
    if request.if_none_match.contains_weak(etag):
        response.status_code = 304
        response.set_data(b"")
        # 0 would be what a cache notes for the content that it keeps
        del response.headers["Content-Length"]
