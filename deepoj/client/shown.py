"""Makes text of others (a compiler, a checker, a server) safe to print, so that it cannot control the terminal."""

from __future__ import annotations

from deepoj.judging.text import visible

#: C1 controls, which control some terminals, and characters that change the direction of text; all are replaced
_CONTROLS = dict.fromkeys((*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)), 0xFFFD)


def block(value: object) -> str:
    """Return text of several lines, safe to print."""
    return visible(str(value)).replace("\r", "").translate(_CONTROLS)


def shown(value: object) -> str:
    """Return text as one line, safe to print."""
    return " ".join(block(value).split())
