"""Numbers within a tolerance, all else as words: the semantics of Kattis' default validator.

A word of the answer that is a number asks for a number in its place, whose difference is at most ``absolute`` or at
most ``relative`` times the answer's size. What is a number: what C's ``strtod`` takes whole, thus decimals, hexadecimal
ones, ``inf`` and ``nan`` in any case. Infinity is only near the same infinity, and ``nan`` near any ``nan``: without
this rule, ``inf`` would be within the relative tolerance of all numbers. A word longer than ``NUMBER_BYTES`` is none.

Memory is bounded whatever the files hold: they are read as pieces, and a word longer than ``PIECE_BYTES`` is several.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import BinaryIO

from deepoj.judging import blocks
from deepoj.judging.blocks import EXCERPT_BYTES, Mismatch

PIECE_BYTES = 64 * 1024
NUMBER_BYTES = 1024
#: a whole word; or a part of one: its bytes, whether it is the first and whether it is the last. A part never equals a
#: word, so that two words cannot pass for one long one.
Piece = bytes | tuple[bytes, bool, bool]

_DECIMAL = re.compile(rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_HEXADECIMAL = re.compile(rb"[+-]?0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)(?:[pP][+-]?[0-9]{1,9})?")
_SPECIAL = re.compile(rb"[+-]?(?:inf|infinity|nan)", re.IGNORECASE)
#: runs of blanks are words too where they count
_WORDS_AND_BLANKS = re.compile(rb"[ \t\n\v\f\r]+|[^ \t\n\v\f\r]+")


def floats(
    expected: BinaryIO,
    got: BinaryIO,
    *,
    absolute: float | None,
    relative: float | None,
    case_sensitive: bool = True,
    space_sensitive: bool = False,
) -> Mismatch | None:
    """Numbers agree within either tolerance (None: that test is not made), other words byte by byte or without case
    (then excerpts are in lower case), blanks only if ``space_sensitive``."""
    tolerance = Tolerance(absolute, relative)
    answer, output = (Pieces(file, blanks=space_sensitive, case_sensitive=case_sensitive) for file in (expected, got))
    left: list[Piece] = []
    right: list[Piece] = []
    agreed = _Agreed()
    while True:
        left = left or next(answer, [])
        right = right or next(output, [])
        count = min(len(left), len(right))
        if count == 0:
            return agreed.mismatch(left, right) if left or right else None
        ours = left[:count]
        at = _first_far(ours, right[:count], tolerance)
        if at is not None:
            agreed.add(ours[:at], plain=False)
            return agreed.mismatch(left[at:], right[at:])
        agreed.add(ours, plain=not (space_sensitive or answer.has_parts))
        left, right = left[count:], right[count:]


class Tolerance:
    """How far a number may be off."""

    def __init__(self, absolute: float | None, relative: float | None) -> None:
        self._absolute = -1.0 if absolute is None else absolute
        # what is less than nothing allows nothing: -1 × 0 is not less
        self._relative = -math.inf if relative is None else relative
        self.is_used = absolute is not None or relative is not None

    def allows(self, wanted: float, found: float) -> bool:
        off = abs(wanted - found)
        if off < math.inf:
            return off <= self._absolute or off <= self._relative * abs(wanted)
        if math.isfinite(wanted) and math.isfinite(found):
            return False  # of opposite signs, and so large that not even the difference is a number
        return wanted == found or (math.isnan(wanted) and math.isnan(found))


def number(word: bytes) -> float | None:
    """The number that a word is, or None. Python's own ``float`` takes more than C's: ``1_000``, other scripts."""
    if len(word) > NUMBER_BYTES:
        return None
    if _DECIMAL.fullmatch(word) or _SPECIAL.fullmatch(word):
        return float(word)
    if _HEXADECIMAL.fullmatch(word):
        try:
            return float.fromhex(word.decode("ascii"))
        except OverflowError:
            return -math.inf if word.startswith(b"-") else math.inf
    return None


def _first_far(wanted: list[Piece], found: list[Piece], tolerance: Tolerance) -> int | None:
    """Where two lists of the same length first disagree."""
    if wanted == found or (tolerance.is_used and _all_near(wanted, found, tolerance)):
        return None
    for at, (ours, theirs) in enumerate(zip(wanted, found, strict=True)):
        if ours != theirs and not _near(ours, theirs, tolerance):
            return at
    return None


def _all_near(wanted: list[Piece], found: list[Piece], tolerance: Tolerance) -> bool:
    """Whether both are plain numbers all, and near each other: the usual case, ten times faster than one by one."""
    try:
        if b"_" in b"".join((*wanted, *found)) or max(map(len, (*wanted, *found))) > NUMBER_BYTES:  # type: ignore[arg-type]
            return False
        pairs = zip(map(float, wanted), map(float, found), strict=True)  # type: ignore[arg-type]
        return all(ours == theirs or tolerance.allows(ours, theirs) for ours, theirs in pairs)
    except (ValueError, TypeError):
        return False


def _near(wanted: Piece, found: Piece, tolerance: Tolerance) -> bool:
    if not (tolerance.is_used and isinstance(wanted, bytes) and isinstance(found, bytes)):
        return False
    value = number(wanted)
    other = None if value is None else number(found)
    return value is not None and other is not None and tolerance.allows(value, other)


class _Agreed:
    """Counts what both files agreed on: words, and runs of blanks."""

    def __init__(self) -> None:
        self._words = 0
        self._blanks = 0

    def add(self, pieces: list[Piece], *, plain: bool) -> None:
        """``plain``: they are whole words all."""
        if plain:
            self._words += len(pieces)
            return
        for piece in pieces:
            is_last = isinstance(piece, bytes) or piece[2]
            if _text(piece)[:1].isspace():
                self._blanks += is_last
            else:
                self._words += is_last

    def mismatch(self, expected: list[Piece], got: list[Piece]) -> Mismatch:
        left, right = (_text(side[0]) if side else None for side in (expected, got))
        if any(text is not None and text[:1].isspace() for text in (left, right)):
            return Mismatch("space", self._blanks + 1, left, right)
        return Mismatch("token", self._words + 1, left, right)


def _text(piece: Piece) -> bytes:
    return (piece if isinstance(piece, bytes) else piece[0])[:EXCERPT_BYTES]


class Pieces:
    """Iterates over a file's words in batches, never an empty one. ``blanks``: runs of blanks are words too."""

    def __init__(self, file: BinaryIO, *, blanks: bool = False, case_sensitive: bool = True) -> None:
        self._file, self._blanks, self._case_sensitive = file, blanks, case_sensitive
        #: the end of what was read, if more of that word may come: at most PIECE_BYTES, at least a byte of it
        self._rest = b""
        #: parts of that word have been given out
        self._within = False
        #: a part has been given out, ever
        self.has_parts = False

    def __iter__(self) -> Iterator[list[Piece]]:
        return self

    def __next__(self) -> list[Piece]:
        while chunk := self._file.read(blocks.CHUNK_BYTES):
            if batch := self._take(chunk if self._case_sensitive else chunk.translate(blocks.TO_LOWER)):
                return batch
        if not self._rest:
            raise StopIteration
        last, self._rest = self._rest, b""
        return [(last, False, True) if self._within else last]

    def _take(self, chunk: bytes) -> list[Piece]:
        text = self._rest + chunk
        words: list[bytes] = _WORDS_AND_BLANKS.findall(text) if self._blanks else text.split()
        goes_on = self._blanks or not text[-1:].isspace()
        tail = words.pop() if goes_on else b""
        batch: list[Piece] = []
        if self._within and words:
            batch += self._parts(words.pop(0), is_first=False)
            self._within = False
        if words and max(map(len, words)) > PIECE_BYTES:
            for word in words:
                batch += self._parts(word, is_first=True)
        else:
            batch += words
        while len(tail) > PIECE_BYTES:
            batch.append(self._part(tail[:PIECE_BYTES], is_first=not self._within, is_last=False))
            tail, self._within = tail[PIECE_BYTES:], True
        self._rest = tail
        return batch

    def _parts(self, word: bytes, *, is_first: bool) -> list[Piece]:
        """The same parts wherever chunks happened to end."""
        if is_first and len(word) <= PIECE_BYTES:
            return [word]
        parts: list[Piece] = []
        while len(word) > PIECE_BYTES:
            parts.append(self._part(word[:PIECE_BYTES], is_first=is_first, is_last=False))
            word, is_first = word[PIECE_BYTES:], False
        return [*parts, self._part(word, is_first=False, is_last=True)]

    def _part(self, text: bytes, *, is_first: bool, is_last: bool) -> Piece:
        self.has_parts = True
        return text, is_first, is_last
