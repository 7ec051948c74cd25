"""Tokens that people make for programs."""

from __future__ import annotations

from dataclasses import dataclass

MAX_TOKEN_NAME_CHARS = 64
#: of an account; a further one ends the oldest
MAX_ACCESS_TOKENS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """A token as its owner sees it; the times are ISO 8601."""

    id: str
    #: as its owner calls it
    name: str
    created_at: str
    expires_at: str
    #: by the minute; None: never
    used_at: str | None
