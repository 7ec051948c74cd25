"""Compare numbers within a tolerance and all else as words, as Kattis' default validator or DOMjudge's does.

Where the answer has a number, the output must have a number, too. A number is a word that C's ``scanf`` accepts
completely: decimal or hexadecimal, also with an exponent that has no digits (``1e``, which is 1).

========  ====================================================  =====================================================
..        Kattis: ``Doubles``                                   DOMjudge: ``Extended``
========  ====================================================  =====================================================
computes  in C's ``double``                                     in C's ``long double`` of x86: 64 bits, a wider range
is near   at most ``absolute``, or ``relative`` × the answer    at most ``absolute``, or ``relative`` × the output
inf, nan  words (so is ``1e400``, which no double holds)        near infinity of the same sign, and ``nan`` near ``nan``
========  ====================================================  =====================================================

Both compare computed values, rounding errors included, and so must we: exactly at the tolerance these errors decide. In
one point we differ: for them a word ends at a NUL, for us a NUL is a byte.

Memory is bounded for any file. Files are read as pieces. A word longer than ``PIECE_BYTES`` becomes several pieces,
none of which is a number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from decimal import ROUND_05UP, Context, Decimal
from fractions import Fraction
from typing import BinaryIO, Protocol

from deepoj.judging import blocks
from deepoj.judging.blocks import EXCERPT_BYTES, Mismatch

PIECE_BYTES = 64 * 1024
#: a whole word, or a part of one: its bytes, whether it is the first and whether it is the last. A part never equals a
#: word, so that two words cannot pass for one long word
Piece = bytes | tuple[bytes, bool, bool]

_DECIMAL = re.compile(rb"([+-]?(?:[0-9]++(?:\.[0-9]*)?|\.[0-9]+))(?:[eE]([+-]?[0-9]*))?")
_HEXADECIMAL = re.compile(rb"([+-]?)0[xX]([0-9a-fA-F]*)(?:\.([0-9a-fA-F]*))?(?:[pP]([+-]?[0-9]*))?")
_SPECIAL = re.compile(rb"([+-]?(?:infinity|inf|nan))(?:(?<=nan)\([0-9a-z_]*\))?", re.IGNORECASE)
#: runs of blanks are words, too, where blanks count
_WORDS_AND_BLANKS = re.compile(rb"[ \t\n\v\f\r]+|[^ \t\n\v\f\r]+")
#: more decimal digits than any number has that lies halfway between two long doubles; the cut digits still decide which
#: neighbour is nearer
_ENOUGH = Context(prec=12_000, rounding=ROUND_05UP)
#: an exponent with more digits has the same effect as this one, for words of at most ``PIECE_BYTES``
_HUGE = 10**7


def floats(
    expected: BinaryIO,
    got: BinaryIO,
    *,
    absolute: float | None,
    relative: float | None,
    case_sensitive: bool = True,
    space_sensitive: bool = False,
    extended: bool = False,
) -> Mismatch | None:
    """Numbers agree within either tolerance (None: that test is not made), other words byte by byte or without case
    (then excerpts are in lower case), blanks only if ``space_sensitive``. ``extended``: as DOMjudge computes."""
    tolerance = (Extended if extended else Doubles)(absolute, relative)
    answer, output = (
        WordBatches(file, blanks=space_sensitive, case_sensitive=case_sensitive) for file in (expected, got)
    )
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


class Tolerance(Protocol):
    """How far a number may be off."""

    #: False: no tolerance is given, and all words are compared as words
    is_used: bool

    def all_near(self, wanted: list[bytes], actual: list[bytes]) -> bool:
        """Return whether all are plain numbers and certainly near each other. It is the usual case, and much faster
        than one by one."""

    def is_near(self, wanted: bytes, actual: bytes) -> bool:
        """Return whether ``wanted`` is a number and ``actual`` a number near it."""


class Doubles:
    """Computes like Kattis' default validator."""

    def __init__(self, absolute: float | None, relative: float | None) -> None:
        self._absolute = -1.0 if absolute is None else absolute
        # a tolerance below zero allows nothing: -1 × 0 would not be below zero
        self._relative = -math.inf if relative is None else relative
        self.is_used = absolute is not None or relative is not None

    def all_near(self, wanted: list[bytes], actual: list[bytes]) -> bool:
        absolute, relative = self._absolute, self._relative
        return all(
            (off := abs(ours - theirs)) < math.inf and (off <= absolute or off <= relative * abs(ours))
            for ours, theirs in zip(map(float, wanted), map(float, actual), strict=True)
        )

    def is_near(self, wanted: bytes, actual: bytes) -> bool:
        ours, theirs = _double(wanted), _double(actual)
        if ours is None or theirs is None:
            return False
        off = abs(ours - theirs)
        return off <= self._absolute or off <= self._relative * abs(ours)


class Extended:
    """Computes like DOMjudge's default validator."""

    def __init__(self, absolute: float | None, relative: float | None) -> None:
        self._quick = (-1.0 if absolute is None else absolute, -1.0 if relative is None else relative)
        # a tolerance is read from its text: 1e-6 is another number as a double
        self._absolute, self._relative = (
            _rounded(Fraction(Decimal(repr(size)))) or Fraction(0) for size in self._quick
        )
        self.is_used = absolute is not None or relative is not None

    def all_near(self, wanted: list[bytes], actual: list[bytes]) -> bool:
        pairs = zip(map(float, wanted), map(float, actual), strict=True)
        return all(self._certainly(ours, theirs) for ours, theirs in pairs)

    def is_near(self, wanted: bytes, actual: bytes) -> bool:
        quick = _double(wanted), _double(actual)
        if quick[0] is not None and quick[1] is not None and self._certainly(quick[0], quick[1]):
            return True
        ours, theirs = _exactly(wanted), _exactly(actual)
        if ours is None or theirs is None:
            return False
        if isinstance(ours, Fraction) and isinstance(theirs, Fraction):
            return self._allows(ours, theirs)
        return ours == theirs or (ours != ours and theirs != theirs)  # noqa: PLR0124 - nan alone differs from itself

    def _certainly(self, ours: float, theirs: float) -> bool:
        """Return True if the numbers are near for any rounding to doubles; False proves nothing."""
        size = abs(theirs)
        # far above the sum of the roundings of both, of their difference and of the tolerances
        off = abs(ours - theirs) * (1 + 2**-48) + (abs(ours) + size) * 2**-50
        absolute, relative = self._quick
        return 1e-290 < size < 1e290 and off < math.inf and (off <= absolute or off <= relative * size)

    def _allows(self, ours: Fraction, theirs: Fraction) -> bool:
        off = _rounded(ours - theirs)
        if off is None:
            return False
        if abs(off) <= self._absolute:
            return True
        if theirs == 0:
            return off == 0  # 0/0 is nan there, which is not more than any tolerance
        share = _rounded(off / theirs)
        return share is not None and abs(share) <= self._relative


def _double(word: bytes) -> float | None:
    """Return the finite double that a word denotes; None if there is none."""
    if match := _DECIMAL.fullmatch(word):
        value = float(match[1] + b"e" + match[2] if match[2] and match[2][-1:].isdigit() else match[1])
        return value if math.isfinite(value) else None
    exact = _hexadecimal(word)
    if exact is None:
        return None
    value = _to_double(exact)
    return value if math.isfinite(value) else None


def _exactly(word: bytes) -> Fraction | float | None:
    """Return the number that a word denotes, as a long double of x86 holds it; inf and nan are floats."""
    if match := _SPECIAL.fullmatch(word):
        return float(match[1])
    if match := _DECIMAL.fullmatch(word):
        digits, exponent = _ENOUGH.plus(Decimal(match[1].decode())), _exponent(match[2])
        power = digits.adjusted() + exponent
        if digits == 0 or power < -5100:
            return Fraction(0)
        if power > 5000:
            return math.inf if digits > 0 else -math.inf
        return _held(Fraction(digits) * Fraction(10) ** exponent)
    exact = _hexadecimal(word)
    return None if exact is None else _held(Fraction(exact[0]) * Fraction(2) ** exact[1])


def _held(value: Fraction) -> Fraction | float:
    rounded = _rounded(value)
    return rounded if rounded is not None else math.inf if value > 0 else -math.inf


def _hexadecimal(word: bytes) -> tuple[int, int] | None:
    """Return the digits, as many as matter, and the power of two. A power so large that it decides alone is cut."""
    match = _HEXADECIMAL.fullmatch(word)
    if match is None or not (match[2] or match[3] or (match[3] == b"" and match[4] is None)):
        return None  # `0x.` is 0 for glibc
    behind = match[3] or b""
    size = int(match[2] + behind or b"0", 16)
    spare = max(size.bit_length() - 200, 0)
    # the last bit represents all cut digits: it decides which neighbour is nearer
    digits = size >> spare | bool(size & ((1 << spare) - 1))
    power = _exponent(match[4]) - 4 * len(behind) + spare
    return -digits if match[1] == b"-" else digits, max(-20000, min(power, 20000))


def _exponent(text: bytes | None) -> int:
    digits = (text or b"").lstrip(b"+-").lstrip(b"0")
    size = min(int(digits[:8] or b"0"), _HUGE) if len(digits) < 8 else _HUGE
    return -size if text is not None and text.startswith(b"-") else size


def _to_double(exact: tuple[int, int]) -> float:
    digits, power = exact
    try:
        return float(Fraction(digits) * Fraction(2) ** power)
    except OverflowError:
        return math.inf


def _rounded(value: Fraction) -> Fraction | None:
    """Round to 64 bits, half to even, within the range of x86's long double; None: above the range."""
    size, divisor = abs(value.numerator), value.denominator
    if size == 0:
        return value
    # power of the last bit; at most one too low
    power = max(size.bit_length() - divisor.bit_length() - 65, -16445)
    size, divisor = (size << -power, divisor) if power < 0 else (size, divisor << power)
    bits, rest = divmod(size, divisor)
    spare = max(bits.bit_length() - 64, 0)
    if spare:
        rest += (bits & ((1 << spare) - 1)) * divisor
        bits, divisor = bits >> spare, divisor << spare
    bits += 2 * rest > divisor or (2 * rest == divisor and bits & 1)
    power += spare
    if bits.bit_length() + power > 16384:
        return None
    exact = Fraction(bits) * Fraction(2) ** power
    return exact if value > 0 else -exact


def _first_far(wanted: list[Piece], actual: list[Piece], tolerance: Tolerance) -> int | None:
    """Return the index at which two lists of the same length first disagree; None if they agree."""
    if wanted == actual or (tolerance.is_used and _all_near(wanted, actual, tolerance)):
        return None
    for at, (ours, theirs) in enumerate(zip(wanted, actual, strict=True)):
        if ours != theirs and not _near(ours, theirs, tolerance):
            return at
    return None


def _all_near(wanted: list[Piece], actual: list[Piece], tolerance: Tolerance) -> bool:
    try:
        # Python's own ``float`` accepts more than C's: ``1_000``
        return b"_" not in b"".join((*wanted, *actual)) and tolerance.all_near(wanted, actual)  # type: ignore[arg-type]
    except (ValueError, TypeError):
        return False


def _near(wanted: Piece, actual: Piece, tolerance: Tolerance) -> bool:
    return (
        tolerance.is_used
        and isinstance(wanted, bytes)
        and isinstance(actual, bytes)
        and tolerance.is_near(wanted, actual)
    )


class _Agreed:
    """Counts what both files agree on: words, and runs of blanks."""

    def __init__(self) -> None:
        self._words = 0
        self._blanks = 0

    def add(self, pieces: list[Piece], *, plain: bool) -> None:
        """Count pieces. ``plain``: all are whole words."""
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


class WordBatches:
    """Iterates over a file's words in batches, which are never empty. ``blanks``: runs of blanks are words, too."""

    def __init__(self, file: BinaryIO, *, blanks: bool = False, case_sensitive: bool = True) -> None:
        self._file, self._blanks, self._case_sensitive = file, blanks, case_sensitive
        #: unfinished word at the end of the text read so far: at least one byte of it, at most PIECE_BYTES
        self._rest = b""
        #: parts of that word have been returned
        self._within = False
        #: a part has been returned, ever
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
        """Return the parts of a word. They do not depend on where chunks end."""
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
