"""Which e-mail addresses are accepted."""

from __future__ import annotations

import re

_MAX_CHARS = 254
#: catches typing errors only; whether the address exists is not checked
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


def is_email(text: str) -> bool:
    """Return whether a text looks like an e-mail address."""
    return len(text) <= _MAX_CHARS and text.isprintable() and _EMAIL.fullmatch(text) is not None
