"""Stamps of what a page has shown, by which its form tells whether that is still so when it is sent."""

from __future__ import annotations

import hashlib


def stamp_of(shown: object) -> str:
    """Return a text that other things do not have. ``shown``: its ``repr`` must be the same on all nodes."""
    return hashlib.blake2b(repr(shown).encode("utf-8", "backslashreplace"), digest_size=16).hexdigest()
