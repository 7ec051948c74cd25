"""Compare line by line, as other judges' default checkers do. Empty lines at the end are ignored, others count.

===================  ==================================================================================================
``numbered_lines``   a line's words must agree (CMS's white diff, testlib's ``lcmp``)
``trimmed_lines``    a line must agree but for the blanks at its end (the default of Hydro and Luogu)
``whole_lines``      a line must agree (testlib's ``fcmp``, Hydro's ``strict``)
===================  ==================================================================================================

A carriage return before a line end belongs to the line end. One line of each file at a time is in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import zip_longest
from types import MappingProxyType
from typing import BinaryIO

from deepoj.judging.blocks import EXCERPT_BYTES, Mismatch, lines
from deepoj.judging.problem import Compare

_NORMAL_FORMS: Mapping[str, Callable[[bytes], bytes]] = MappingProxyType(
    {
        "numbered_lines": lambda line: b" ".join(line.split()),
        "trimmed_lines": bytes.rstrip,
        "whole_lines": lambda line: line.removesuffix(b"\r"),
    }
)


def _compare(how: Compare, expected: BinaryIO, got: BinaryIO) -> Mismatch | None:
    normal = _NORMAL_FORMS[how.way]
    for number, (wanted, actual) in enumerate(zip_longest(lines(expected), lines(got)), 1):
        left, right = normal(wanted or b""), normal(actual or b"")
        if left != right:
            return Mismatch("line", number, left[:EXCERPT_BYTES] or None, right[:EXCERPT_BYTES] or None)
    return None


WAYS: Mapping[str, Callable[[Compare, BinaryIO, BinaryIO], Mismatch | None]] = MappingProxyType(
    dict.fromkeys(_NORMAL_FORMS, _compare)
)
