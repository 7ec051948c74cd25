"""Text and JSON made fit for PostgreSQL.

``text`` and ``jsonb`` cannot hold NUL, and UTF-8 has no lone surrogates; compilers, contestants and checkers print
both. A verdict must not fail because of them: NUL becomes ``␀`` (U+2400), a lone surrogate ``�`` (U+FFFD). In JSON, NaN
and ±∞ become null.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

_SURROGATES = re.compile("[\ud800-\udfff]")


def storable(text: str) -> bool:
    """Return whether PostgreSQL can hold ``text`` unchanged; if it cannot, no row can match it either."""
    return "\0" not in text and (text.isascii() or _SURROGATES.search(text) is None)


def clean_text(text: str) -> str:
    """Return ``text`` with the characters replaced that PostgreSQL cannot hold."""
    return text if storable(text) else _SURROGATES.sub("\ufffd", text.replace("\0", "\u2400"))


def clean_json(value: Mapping[str, Any] | Sequence[Any]) -> str:
    """Return ``value`` as JSON text that a ``jsonb`` column accepts."""
    return json.dumps(_clean(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _clean(value: Any) -> Any:
    match value:
        case str():
            return clean_text(value)
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {clean_text(str(key)): _clean(item) for key, item in value.items()}
        case list() | tuple():
            return [_clean(item) for item in value]
        case _:
            return value
