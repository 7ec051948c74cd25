"""What PostgreSQL can hold of the texts that programs produce.

A ``text`` and a ``jsonb`` cannot hold NUL, and UTF-8 has no lone surrogates; compilers, contestants and checkers print
both. A verdict must not fail by that: NUL becomes ``␀`` (U+2400), a lone surrogate ``�`` (U+FFFD), and in JSON a number
that is none (NaN, ±∞) becomes null.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

_SURROGATES = re.compile("[\ud800-\udfff]")


def storable(text: str) -> bool:
    """Whether PostgreSQL can hold ``text`` as it is: what cannot be held cannot be found either."""
    return "\0" not in text and (text.isascii() or _SURROGATES.search(text) is None)


def clean_text(text: str) -> str:
    """``text`` as PostgreSQL can hold it."""
    return text if storable(text) else _SURROGATES.sub("\ufffd", text.replace("\0", "\u2400"))


def clean_json(value: Mapping[str, Any] | Sequence[Any]) -> str:
    """``value`` as JSON text that a ``jsonb`` takes."""
    return json.dumps(_clean(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _clean(value: Any) -> Any:
    match value:
        case str():
            return clean_text(value)
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {clean_text(str(key)): _clean(one) for key, one in value.items()}
        case list() | tuple():
            return [_clean(one) for one in value]
        case _:
            return value
