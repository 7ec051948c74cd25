"""What others wrote (a compiler, a checker, a server), so that nothing of it steers the terminal it is shown on."""

from __future__ import annotations

from deepoj.judging.text import visible

#: C1 controls steer some terminals, the others turn the direction of text
_STEERING = dict.fromkeys((*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)), 0xFFFD)


def block(value: object) -> str:
    """Text of several lines."""
    return visible(str(value)).replace("\r", "").translate(_STEERING)


def shown(value: object) -> str:
    """The same, of one line."""
    return " ".join(block(value).split())
