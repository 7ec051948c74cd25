"""Constants of a package: ``{{name}}`` in the files that its format names stands for a value. In LaTeX so does
``\\constant{name}``. A tag whose name is no constant stays as it is."""

from __future__ import annotations

import re
from collections.abc import Mapping

#: a larger file is no source or statement that a person wrote
MAX_FILLED_BYTES = 1024 * 1024

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORD = rb"([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)?)"
_TAG = re.compile(rb"\{\{" + _WORD + rb"\}\}|\\constant\{" + _WORD + rb"\}")


def fill(raw: bytes, constants: Mapping[str, str]) -> bytes:
    """The text with values in the place of tags. A value is not looked at for tags of its own."""

    def value(found: re.Match[bytes]) -> bytes:
        told = constants.get((found[1] or found[2]).decode())
        return found[0] if told is None else told.encode()

    return _TAG.sub(value, raw)
