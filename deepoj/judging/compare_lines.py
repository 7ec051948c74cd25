"""Compare line by line, as other judges' default checkers do. Empty lines at the end are ignored, others count.

===================  ==================================================================================================
``numbered_lines``   a line's words must agree (CMS's white diff, testlib's ``lcmp``)
``trimmed_lines``    a line must agree but for the blanks at its end (the default of Hydro and Luogu)
``whole_lines``      a line must agree (testlib's ``fcmp``, Hydro's ``strict``)
===================  ==================================================================================================

A carriage return before a line end belongs to the line end. One line of each file at a time is in memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from itertools import zip_longest
from types import MappingProxyType
from typing import BinaryIO

from deepoj.judging.blocks import EXCERPT_BYTES, Mismatch, blocks_of_lines, single_spaced
from deepoj.judging.problem import Compare

_NORMAL_FORMS: Mapping[str, Callable[[bytes], bytes]] = MappingProxyType(
    {
        "numbered_lines": single_spaced,
        "trimmed_lines": bytes.rstrip,
        "whole_lines": lambda line: line.removesuffix(b"\r"),
    }
)
#: the place behind a file's last line
_END = (math.inf, b"")


def _compare(how: Compare, expected: BinaryIO, got: BinaryIO) -> Mismatch | None:
    normal = _NORMAL_FORMS[how.way]
    for wanted, actual in zip_longest(_filled(expected, normal), _filled(got, normal), fillvalue=_END):
        if wanted != actual:
            number = min(wanted[0], actual[0])
            left, right = (line[:EXCERPT_BYTES] if at == number else None for at, line in (wanted, actual))
            return Mismatch("line", int(number), left, right)
    return None


def _filled(file: BinaryIO, normal: Callable[[bytes], bytes]) -> Iterator[tuple[float, bytes]]:
    """Yield the lines that are not empty in their normal form, with their numbers. A program may print millions of
    empty ones after the answer's end: they are skipped in blocks."""
    number = 0
    for block in blocks_of_lines(file):
        if any(block):
            for at, line in enumerate(block, number + 1):
                if kept := normal(line):
                    yield at, kept
        number += len(block)


WAYS: Mapping[str, Callable[[Compare, BinaryIO, BinaryIO], Mismatch | None]] = MappingProxyType(
    dict.fromkeys(_NORMAL_FORMS, _compare)
)
