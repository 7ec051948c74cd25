"""Constants of a package: ``{{name}}``, in LaTeX also ``\\constant{name}``, is replaced by the constant's value.

The format says in which files. A tag whose name is no constant stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

#: a larger file is not a handwritten source or statement
MAX_FILLED_BYTES = 1024 * 1024

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORD = rb"([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)?)"
_TAG = re.compile(rb"\{\{" + _WORD + rb"\}\}|\\constant\{" + _WORD + rb"\}")


def fill(raw: bytes, constants: Mapping[str, str]) -> bytes:
    """Return the text with tags replaced by values. Tags inside a value are not replaced."""

    def value(tag: re.Match[bytes]) -> bytes:
        constant = constants.get((tag[1] or tag[2]).decode())
        return tag[0] if constant is None else constant.encode()

    return _TAG.sub(value, raw)
