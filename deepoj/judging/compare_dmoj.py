"""DMOJ's own checkers. They decide exactly as DMOJ does, even where that is odd: a setter has tested the problem there.

A line is the text between line feeds and carriage returns. Empty lines are ignored; lines of blanks are not. ``floats``
accepts the syntax of Python's ``float`` (DMOJ is in Python), and ``nan`` is near no number, not even ``nan``. With
``linecount`` an output gets the share of its correct lines. There, DMOJ also looks at the output of a program that
failed afterwards; here the program has failed.

One line of each file at a time is in memory; of ``easy`` one block.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import zip_longest
from types import MappingProxyType
from typing import BinaryIO

from deepoj.judging import blocks
from deepoj.judging.blocks import EXCERPT_BYTES, Mismatch, Unmatched, lines, single_spaced, words
from deepoj.judging.problem import Compare

_BLANKS = b" " + blocks.BLANKS
_ENDS = b"\r\n"


def _filled(all_lines: Iterable[bytes]) -> Iterator[bytes]:
    return filter(None, all_lines)


def _excerpt(text: bytes | None) -> bytes | None:
    return None if text is None else text[:EXCERPT_BYTES]


def _floats(how: Compare, expected: BinaryIO, got: BinaryIO) -> Mismatch | None:
    """Compare words line by line. Where the answer has a number, the output must have a number near it."""
    word = 0
    for line, (wanted, actual) in enumerate(
        zip_longest(_filled(lines(expected, ends=_ENDS)), _filled(lines(got, ends=_ENDS))), 1
    ):
        if wanted is None or actual is None:
            return Mismatch("line", line, _excerpt(wanted), _excerpt(actual))
        for left, right in zip_longest(words(wanted), words(actual)):
            word += 1
            if left is None or right is None or not _near(left, right, how):
                return Mismatch("token", word, _excerpt(left), _excerpt(right))
    return None


def _near(wanted: bytes, actual: bytes, how: Compare) -> bool:
    try:
        ours = float(wanted)
    except ValueError:
        return wanted == actual
    try:
        theirs = float(actual)
        return _allows(ours, theirs, how.absolute, how.relative)
    except (ValueError, ZeroDivisionError, OverflowError):
        return False


def _allows(wanted: float, actual: float, absolute: float | None, relative: float | None) -> bool:
    """Return whether a number is within a tolerance. Comparisons with ``nan`` are false: each is written so that it
    then does not accept."""
    if absolute is not None and abs(actual - wanted) <= absolute:
        return True
    if relative is None:
        return False
    if absolute is None:
        ends = (wanted * (1 - relative), wanted * (1 + relative))
        return min(ends) <= actual <= max(ends)
    return abs(wanted) >= relative and abs(1.0 - actual / wanted) <= relative


def _linecount(_how: Compare, expected: BinaryIO, got: BinaryIO) -> Mismatch | None:
    right = count = 0
    first: tuple[int, bytes, bytes | None] | None = None
    answer, output = _filled(lines(expected, ends=_ENDS)), _filled(lines(got, ends=_ENDS))
    for wanted in answer:
        count += 1
        actual = next(output, None)
        if actual is not None and actual.strip() == wanted.strip():
            right += 1
        elif first is None:
            first = count, wanted[:EXCERPT_BYTES], _excerpt(actual)
    if (more := next(output, None)) is not None:
        return Mismatch("line", count + 1, None, more[:EXCERPT_BYTES])
    return None if first is None else Mismatch("line", *first, share=right / count)


def _rstripped(how: Compare, expected: BinaryIO, got: BinaryIO) -> Mismatch | None:
    """Compare lines without trailing blanks; with ``space_sensitive`` empty lines count, too."""
    sides = [lines(file) for file in (expected, got)]
    if not how.space_sensitive:
        sides = [_filled(side) for side in sides]
    for number, (wanted, actual) in enumerate(zip_longest(*sides), 1):
        left, right = (None if one is None else one.rstrip() for one in (wanted, actual))
        if left != right:
            return Mismatch("line", number, _excerpt(left), _excerpt(right))
    return None


def _sorted(_how: Compare, expected: BinaryIO, got: BinaryIO) -> Mismatch | None:
    """Compare lines in any order, each by its words, through sums of their hashes: see ``compare_unordered``."""
    sums = []
    for file in (expected, got):
        hashes = [0, 0]
        for line in _filled(lines(file, ends=_ENDS)):
            hashes[0] += 1
            hashes[1] += hash(single_spaced(line))
        sums.append(hashes)
    return None if sums[0] == sums[1] else Unmatched("line", 0, None, None)


def _easy(_how: Compare, expected: BinaryIO, got: BinaryIO) -> Mismatch | None:
    """Check that each non-blank byte occurs equally often, without regard to the case of letters."""
    counts = []
    for file in (expected, got):
        count: Counter[int] = Counter()
        while chunk := file.read(blocks.CHUNK_BYTES):
            count.update(chunk.translate(blocks.TO_LOWER, _BLANKS))
        counts.append(count)
    return None if counts[0] == counts[1] else Unmatched("character", 0, None, None)


def epsilon(precision: float) -> float:
    """Return the tolerance of a ``precision`` of ``floats``: DMOJ uses its integer part."""
    whole = int(precision)
    return 10.0**-whole if abs(whole) < 300 else math.inf if whole < 0 else 0.0


WAYS: Mapping[str, Callable[[Compare, BinaryIO, BinaryIO], Mismatch | None]] = MappingProxyType(
    {
        "dmoj_floats": _floats,
        "dmoj_linecount": _linecount,
        "dmoj_rstripped": _rstripped,
        "dmoj_sorted": _sorted,
        "dmoj_easy": _easy,
    }
)
