"""Caches the claims of tokens with a valid signature, so that repeated requests do not verify it again.

Decoding a JWT (base64, JSON twice, HMAC, the claims) takes 108 µs, a hit in this cache 1.5 µs (Python 3.13, the best of
15 series). A status read takes 0.7 ms of CPU in total, a submit 1.7 ms (``deepoj bench api``). The cache contains only
what the signature proves, which is constant while the key is. Expiry (``exp``) is checked at every request, and the
database is asked whether the token was revoked. The cache stores digests of tokens, never the tokens.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict

#: far more than a class of users; about 1 MiB
_MOST = 4096


class KnownTokens[Claims]:
    """The cache: digest of a token → its claims and expiry. Evicts the least recently used entry."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._known: OrderedDict[bytes, tuple[Claims, float]] = OrderedDict()

    def get(self, token: str) -> Claims | None:
        """Return the cached claims of a token; None if it is not cached or has expired."""
        key = _key(token)
        entry = self._known.get(key)
        if entry is None:
            return None
        claims, expires_at_s = entry
        if expires_at_s <= time.time():
            del self._known[key]
            return None
        self._known.move_to_end(key)
        return claims

    def keep(self, token: str, claims: Claims, expires_at_s: float) -> None:
        """Cache the claims of a verified token. ``expires_at_s``: its ``exp``, in seconds since 1970."""
        self._known[_key(token)] = claims, expires_at_s
        if len(self._known) > self._most:
            self._known.popitem(last=False)


def _key(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
