"""Logins in a browser."""

from __future__ import annotations

from dataclasses import dataclass

#: of one account; a login more ends the one that was seen longest ago
MAX_SESSIONS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLimits:
    """When a session ends by itself: ``idle_s`` after it was last seen, and at the age ``max_age_s``."""

    idle_s: float
    max_age_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSession:
    """A session as its owner sees it. Times are ISO 8601."""

    #: SHA-256 of the secret in the cookie
    digest: bytes
    #: the browser, as it named itself
    client: str
    address: str
    created_at: str
    seen_at: str
