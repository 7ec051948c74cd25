"""Is the output right? Two files compared in one pass, in bounded memory, whatever the bytes are.

``tokens`` (the default) takes a file as words between ASCII whitespace, so that neither line endings nor trailing
blanks matter; ``exact`` takes every byte. Both look at bytes, never at text: NULs and broken UTF-8 are bytes like
others.

How ``tokens`` stays fast in Python: each chunk is brought to a normal form (one space between words, none at the ends)
by ``bytes.translate`` and ``bytes.replace``, and normal forms are compared as blocks: 300 MB/s instead of the 35 MB/s
of splitting. A word of 64 MiB needs no more memory than one of 1 byte. Files that are equal byte for byte, the
usual case, are never normalised at all (7 GB/s). Chunks are small enough that the GIL is soon free again.

Functions here block on the two files: call them in a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from deepoj.judging.text import visible

_CHUNK_BYTES = 256 * 1024
_EXCERPT_BYTES = 64
#: the whitespace of C's isspace in the C locale, and of bytes.split()
_BLANKS = b"\t\n\v\f\r"
_TO_SPACE = bytes.maketrans(_BLANKS, b" " * len(_BLANKS))


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The first place where an output differs. ``None`` as an excerpt is the end of that file.

    It quotes the expected answer: for setters and administrators only.
    """

    #: ``token`` or ``byte``
    unit: str
    #: counted from 1, in units
    position: int
    expected: bytes | None
    got: bytes | None

    def __str__(self) -> str:
        return f"{self.unit} {self.position}: expected {_quote(self.expected)}, got {_quote(self.got)}"


def compare_files(name: str, expected: Path, got: Path) -> Mismatch | None:
    """Compares by the named way; None is a match.

    Raises:
      KeyError: there is no such way (see ``COMPARES``).
      OSError: one of the files cannot be read.
    """
    way = COMPARES[name]
    with expected.open("rb", buffering=0) as expected_file, got.open("rb", buffering=0) as got_file:
        return way(expected_file, got_file)


def tokens(expected: BinaryIO, got: BinaryIO) -> Mismatch | None:
    """Words between whitespace must agree, and their number."""
    if _skip_equal(expected, got) is None:
        return None
    expected.seek(0)
    got.seek(0)
    return _normal_forms_differ(_Normal(expected), _Normal(got))


def exact(expected: BinaryIO, got: BinaryIO) -> Mismatch | None:
    """Every byte must agree."""
    found = _skip_equal(expected, got)
    if found is None:
        return None
    offset, left, right = found
    at = _first_difference(left, right)
    return Mismatch(
        "byte",
        offset + at + 1,
        left[at : at + _EXCERPT_BYTES] or None,
        right[at : at + _EXCERPT_BYTES] or None,
    )


#: the ways of comparing by the name that a problem's ``compare`` has
COMPARES: Mapping[str, Callable[[BinaryIO, BinaryIO], Mismatch | None]] = MappingProxyType(
    {"tokens": tokens, "exact": exact}
)


# ---------------------------------------------------------------------------------------------------------------------


class _Normal:
    """A file's normal form. ``buffer`` is what has been read and not yet agreed on."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._begun = False
        self._blank_owed = False
        self.buffer = b""

    def fill(self, at_least: int = 1) -> int:
        """Reads until the buffer holds ``at_least`` bytes or the file ends; returns what it holds."""
        while len(self.buffer) < at_least and (block := self._read()):
            self.buffer += block
        return len(self.buffer)

    def _read(self) -> bytes:
        while chunk := self._file.read(_CHUNK_BYTES):
            text = chunk.translate(_TO_SPACE)
            while b"  " in text:
                text = text.replace(b"  ", b" ")
            words = text.strip(b" ")
            if not words:
                self._blank_owed = True
                continue
            blank = self._begun and (self._blank_owed or text.startswith(b" "))
            self._begun = True
            self._blank_owed = text.endswith(b" ")
            return b" " + words if blank else words
        return b""


def _normal_forms_differ(expected: _Normal, got: _Normal) -> Mismatch | None:
    blanks = 0
    #: the beginning of the word under way, as far as both agree on it
    word = b""
    while True:
        same = min(expected.fill(), got.fill())
        if same == 0 and not (expected.buffer or got.buffer):
            return None
        agreed = same > 0 and expected.buffer[:same] == got.buffer[:same]
        if not agreed:
            same = _first_difference(expected.buffer, got.buffer)
        blanks, word = _advance(expected.buffer[:same], blanks, word)
        expected.buffer, got.buffer = expected.buffer[same:], got.buffer[same:]
        if not agreed:
            return _token_mismatch(blanks, word, expected, got)


def _advance(agreed: bytes, blanks: int, word: bytes) -> tuple[int, bytes]:
    """Counts blanks and keeps the beginning of the last word, after both sides agreed on ``agreed``."""
    last = agreed.rfind(b" ")
    if last < 0:
        return blanks, (word + agreed[:_EXCERPT_BYTES])[:_EXCERPT_BYTES]
    return blanks + agreed.count(b" "), agreed[last + 1 : last + 1 + _EXCERPT_BYTES]


def _token_mismatch(blanks: int, word: bytes, expected: _Normal, got: _Normal) -> Mismatch:
    """Two normal forms agree on ``blanks`` blanks and on ``word``, the beginning of the next word, and then differ."""
    expected.fill(_EXCERPT_BYTES + 1)
    got.fill(_EXCERPT_BYTES + 1)
    left, right = expected.buffer, got.buffer
    if not (left and right) and (left + right).startswith(b" "):
        # one file ends after a whole word, the other goes on with the next
        left, right, word, blanks = left[1:], right[1:], b"", blanks + 1
    return Mismatch("token", blanks + 1, _whole_word(word, left), _whole_word(word, right))


def _whole_word(begun: bytes, rest: bytes) -> bytes | None:
    return (begun + rest.split(b" ", 1)[0])[:_EXCERPT_BYTES] or None


def _skip_equal(expected: BinaryIO, got: BinaryIO) -> tuple[int, bytes, bytes] | None:
    """Reads while the blocks are equal: None at the end of both, else the offset and the two blocks that differ."""
    offset = 0
    while True:
        left, right = _read_full(expected), _read_full(got)
        if left != right:
            return offset, left, right
        if not left:
            return None
        offset += len(left)


def _read_full(file: BinaryIO) -> bytes:
    """A whole block, unless the file ends: an unbuffered read may give less."""
    block = file.read(_CHUNK_BYTES)
    while 0 < len(block) < _CHUNK_BYTES and (more := file.read(_CHUNK_BYTES - len(block))):
        block += more
    return block


def _first_difference(left: bytes, right: bytes) -> int:
    """The length of the common beginning, by halving: each step compares at C speed."""
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
    more = "…" if len(excerpt) == _EXCERPT_BYTES else ""
    return f"'{visible(excerpt)}{more}'"
