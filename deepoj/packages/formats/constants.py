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


def fill_within(raw: bytes, constants: Mapping[str, str], max_bytes: int) -> bytes | None:
    """Return the text with tags replaced by values; None if it would have more than ``max_bytes``.

    A mebibyte of tags whose value is long would unfold to gigabytes.
    """
    sizes = {name: len(value.encode()) for name, value in constants.items()}
    total = len(raw)
    for tag in _TAG.finditer(raw):
        total += sizes.get((tag[1] or tag[2]).decode(), len(tag[0])) - len(tag[0])
    return None if total > max_bytes else fill(raw, constants)
