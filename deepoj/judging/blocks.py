"""Shared by the ways of comparing: reading files, definition of blanks, description of a difference."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import BinaryIO

from deepoj.judging.text import visible

#: small enough that the GIL is released soon
CHUNK_BYTES = 256 * 1024
EXCERPT_BYTES = 64
#: the whitespace of C's isspace in the C locale, and of bytes.split()
BLANKS = b"\t\n\v\f\r"
_UPPER, _LOWER = bytes(range(65, 91)), bytes(range(97, 123))
TO_SPACE = bytes.maketrans(BLANKS, b" " * len(BLANKS))
TO_LOWER = bytes.maketrans(_UPPER, _LOWER)
_BLANK = re.compile(rb"[ %s]" % BLANKS)
_IN_LINE = b"\t\v\f"
#: blanks within a line, and the two bytes that end a line
TO_SPACE_OR_LINE = bytes.maketrans(_IN_LINE + b"\r", b" " * len(_IN_LINE) + b"\n")
TO_SPACE_OR_LINE_AND_LOWER = bytes.maketrans(_IN_LINE + b"\r" + _UPPER, b" " * len(_IN_LINE) + b"\n" + _LOWER)
_TO_LINE = bytes.maketrans(b"\r", b"\n")
TO_SPACE_AND_LOWER = bytes.maketrans(BLANKS + _UPPER, b" " * len(BLANKS) + _LOWER)


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The first place where an output differs. An excerpt of ``None`` is the end of that file.

    It quotes the expected answer: for setters and administrators only.
    """

    #: ``token``, ``byte``, ``space``, ``line`` or ``character``
    unit: str
    #: counted from 1, in units
    position: int
    expected: bytes | None
    got: bytes | None
    #: share of a scored test's points that the output gets nevertheless
    share: float = 0.0

    def __str__(self) -> str:
        return f"{self.unit} {self.position}: expected {_quote(self.expected)}, got {_quote(self.got)}"


@dataclass(frozen=True, slots=True)
class Unmatched(Mismatch):
    """The first item of an output, in any place, that the answer lacks or has less often; or the other way round. Both
    excerpts None: there is such an item, but the files are too large to find it."""

    def __str__(self) -> str:
        if self.got is not None:
            return f"{self.unit} {self.position} is one too many: {_quote(self.got)}"
        if self.expected is not None:
            return f"{self.unit} {self.position} of the answer is missing: {_quote(self.expected)}"
        return f"not the {self.unit}s of the answer"


def read_full(file: BinaryIO) -> bytes:
    """Read a whole block, or the rest of the file: an unbuffered read may return less."""
    block = file.read(CHUNK_BYTES)
    while 0 < len(block) < CHUNK_BYTES and (more := file.read(CHUNK_BYTES - len(block))):
        block += more
    return block


def lines(file: BinaryIO, *, ends: bytes = b"\n") -> Iterator[bytes]:
    """Yield all lines, including the rest after the last line end. ``ends``: the bytes that end a line."""
    return chain.from_iterable(blocks_of_lines(file, ends=ends))


def blocks_of_lines(file: BinaryIO, *, ends: bytes = b"\n") -> Iterator[list[bytes]]:
    """Yield the lines of ``lines`` in lists, none of which is empty: what is true of all can be asked at C speed."""
    held: list[bytes] = []
    table = _TO_LINE if b"\r" in ends else None
    while chunk := file.read(CHUNK_BYTES):
        first, *rest = (chunk if table is None else chunk.translate(table)).split(b"\n")
        held.append(first)
        if rest:
            last = rest.pop()
            yield [b"".join(held), *rest]
            held = [last]
    yield [b"".join(held)]


def words(line: bytes) -> Iterator[bytes]:
    """Yield the words of a line. Of a long line, as a list they would take up to 48 times its size."""
    for piece in _pieces(line):
        yield from piece.split()


def single_spaced(line: bytes) -> bytes:
    """Return the words of a line with one space between them."""
    return b" ".join(joined for piece in _pieces(line) if (joined := b" ".join(piece.split())))


def _pieces(line: bytes) -> Iterator[bytes]:
    """Yield a line in blocks that begin and end between words."""
    start = 0
    while start < len(line):
        blank = _BLANK.search(line, start + CHUNK_BYTES)
        end = len(line) if blank is None else blank.start()
        yield line[start:end]
        start = end


def first_difference(left: bytes, right: bytes) -> int:
    """Return the length of the common beginning, by bisection: each step compares at C speed."""
    low, high = 0, min(len(left), len(right))
    if left[:high] == right[:high]:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle
    return low


def _quote(excerpt: bytes | None) -> str:
    if excerpt is None:
        return "the end"
    more = "…" if len(excerpt) == EXCERPT_BYTES else ""
    return f"'{visible(excerpt)}{more}'"
