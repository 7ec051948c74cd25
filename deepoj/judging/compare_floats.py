"""Numbers within a tolerance, all else as words: the semantics of Kattis' default validator, and of DOMjudge's.

A word of the answer that is a number asks for a number in its place. What is a number: what C's ``scanf`` takes whole,
thus decimals and hexadecimal ones, also with an exponent that has no digits (``1e``, which is 1).

========  ====================================================  =====================================================
..        Kattis: ``Doubles``                                   DOMjudge: ``Extended``
========  ====================================================  =====================================================
computes  in C's ``double``                                     in C's ``long double`` of x86: 64 bits, a wider range
is near   at most ``absolute``, or ``relative`` × the answer    at most ``absolute``, or ``relative`` × the output
inf, nan  words (so is ``1e400``, which no double holds)        near infinity of the same sign, and ``nan`` near ``nan``
========  ====================================================  =====================================================

Both compare what they computed, rounding errors included, and so must we: at the tolerance itself these decide. In one
thing we differ: for them a word ends at a NUL, for us a NUL is a byte.

Memory is bounded whatever the files hold: they are read as pieces, and a word longer than ``PIECE_BYTES`` is several,
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
#: a whole word; or a part of one: its bytes, whether it is the first and whether it is the last. A part never equals a
#: word, so that two words cannot pass for one long one.
Piece = bytes | tuple[bytes, bool, bool]

_DECIMAL = re.compile(rb"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:[eE]([+-]?[0-9]*))?")
_HEXADECIMAL = re.compile(rb"([+-]?)0[xX]([0-9a-fA-F]*)(?:\.([0-9a-fA-F]*))?(?:[pP]([+-]?[0-9]*))?")
_SPECIAL = re.compile(rb"([+-]?(?:infinity|inf|nan))(?:(?<=nan)\([0-9a-z_]*\))?", re.IGNORECASE)
#: runs of blanks are words too where they count
_WORDS_AND_BLANKS = re.compile(rb"[ \t\n\v\f\r]+|[^ \t\n\v\f\r]+")
#: more decimal digits than any number has that lies halfway between two long doubles; what is cut still decides which
#: way is nearer
_ENOUGH = Context(prec=12_000, rounding=ROUND_05UP)
#: an exponent of more digits is as good as this one, for words of at most ``PIECE_BYTES``
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


class Tolerance(Protocol):
    """How far a number may be off."""

    #: no tolerance is given, and all words are compared as words
    is_used: bool

    def all_near(self, wanted: list[bytes], found: list[bytes]) -> bool:
        """Whether all are plain numbers and certainly near each other: the usual case, much faster than one by one."""

    def is_near(self, wanted: bytes, found: bytes) -> bool:
        """Whether ``wanted`` is a number and ``found`` one near it."""


class Doubles:
    """As Kattis' default validator computes."""

    def __init__(self, absolute: float | None, relative: float | None) -> None:
        self._absolute = -1.0 if absolute is None else absolute
        # what is less than nothing allows nothing: -1 × 0 is not less
        self._relative = -math.inf if relative is None else relative
        self.is_used = absolute is not None or relative is not None

    def all_near(self, wanted: list[bytes], found: list[bytes]) -> bool:
        absolute, relative = self._absolute, self._relative
        return all(
            (off := abs(ours - theirs)) < math.inf and (off <= absolute or off <= relative * abs(ours))
            for ours, theirs in zip(map(float, wanted), map(float, found), strict=True)
        )

    def is_near(self, wanted: bytes, found: bytes) -> bool:
        ours, theirs = _double(wanted), _double(found)
        if ours is None or theirs is None:
            return False
        off = abs(ours - theirs)
        return off <= self._absolute or off <= self._relative * abs(ours)


class Extended:
    """As DOMjudge's default validator computes."""

    def __init__(self, absolute: float | None, relative: float | None) -> None:
        self._quick = (-1.0 if absolute is None else absolute, -1.0 if relative is None else relative)
        # a tolerance is read as the text that it came from: 1e-6 is another number as a double
        self._absolute, self._relative = (
            _rounded(Fraction(Decimal(repr(size)))) or Fraction(0) for size in self._quick
        )
        self.is_used = absolute is not None or relative is not None

    def all_near(self, wanted: list[bytes], found: list[bytes]) -> bool:
        pairs = zip(map(float, wanted), map(float, found), strict=True)
        return all(self._certainly(ours, theirs) for ours, theirs in pairs)

    def is_near(self, wanted: bytes, found: bytes) -> bool:
        quick = _double(wanted), _double(found)
        if quick[0] is not None and quick[1] is not None and self._certainly(quick[0], quick[1]):
            return True
        ours, theirs = _exactly(wanted), _exactly(found)
        if ours is None or theirs is None:
            return False
        if isinstance(ours, Fraction) and isinstance(theirs, Fraction):
            return self._allows(ours, theirs)
        return ours == theirs or (ours != ours and theirs != theirs)  # noqa: PLR0124 - nan alone differs from itself

    def _certainly(self, ours: float, theirs: float) -> bool:
        """Near, however both were rounded to doubles; False says nothing."""
        size = abs(theirs)
        # far above what the roundings of both, of their difference and of the tolerances come to
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
    """The finite double that a word is."""
    if found := _DECIMAL.fullmatch(word):
        value = float(found[1] + b"e" + found[2] if found[2] and found[2][-1:].isdigit() else found[1])
        return value if math.isfinite(value) else None
    exact = _hexadecimal(word)
    if exact is None:
        return None
    value = _to_double(exact)
    return value if math.isfinite(value) else None


def _exactly(word: bytes) -> Fraction | float | None:
    """The number that a word is, as a long double of x86 holds it; inf and nan are floats."""
    if found := _SPECIAL.fullmatch(word):
        return float(found[1])
    if found := _DECIMAL.fullmatch(word):
        digits, exponent = _ENOUGH.plus(Decimal(found[1].decode())), _exponent(found[2])
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
    """Digits, enough of them, and the power of two; a power that decides alone is cut."""
    found = _HEXADECIMAL.fullmatch(word)
    if found is None or not (found[2] or found[3] or (found[3] == b"" and found[4] is None)):
        return None  # `0x.` is 0 for glibc
    behind = found[3] or b""
    size = int(found[2] + behind or b"0", 16)
    spare = max(size.bit_length() - 200, 0)
    # a last bit stands for all that are cut: it decides which way is nearer
    digits = size >> spare | bool(size & ((1 << spare) - 1))
    power = _exponent(found[4]) - 4 * len(behind) + spare
    return -digits if found[1] == b"-" else digits, max(-20000, min(power, 20000))


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
    """To 64 bits, half to even, within the range of x86's long double; None: it is above that."""
    size, divisor = abs(value.numerator), value.denominator
    if size == 0:
        return value
    # of the last bit; one too low at most
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


def _first_far(wanted: list[Piece], found: list[Piece], tolerance: Tolerance) -> int | None:
    """Where two lists of the same length first disagree."""
    if wanted == found or (tolerance.is_used and _all_near(wanted, found, tolerance)):
        return None
    for at, (ours, theirs) in enumerate(zip(wanted, found, strict=True)):
        if ours != theirs and not _near(ours, theirs, tolerance):
            return at
    return None


def _all_near(wanted: list[Piece], found: list[Piece], tolerance: Tolerance) -> bool:
    try:
        # Python's own ``float`` takes more than C's: ``1_000``
        return b"_" not in b"".join((*wanted, *found)) and tolerance.all_near(wanted, found)  # type: ignore[arg-type]
    except (ValueError, TypeError):
        return False


def _near(wanted: Piece, found: Piece, tolerance: Tolerance) -> bool:
    return (
        tolerance.is_used
        and isinstance(wanted, bytes)
        and isinstance(found, bytes)
        and tolerance.is_near(wanted, found)
    )


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
