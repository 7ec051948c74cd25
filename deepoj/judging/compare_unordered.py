"""Compare lines (or words) in any order, in memory that does not grow with the files.

Each item is hashed, and the hashes of a file are added up. Two files with equal counts and equal sums have the same
items. The hash is Python's own for bytes (SipHash, 64 bits, with a new key in each process). So items whose errors
cancel out cannot be constructed, and occur by chance once in 2**60. Sorting 64 MiB instead would take a gigabyte.

A line is compared by its words: blanks around and between them do not matter, nor do lines without words. With
``space_sensitive`` it is compared by its bytes up to the line feed, and each line counts.

The differing item is found only for files up to ``EXPLAIN_BYTES``: that requires one of them in memory.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import BinaryIO

from deepoj.judging import blocks
from deepoj.judging.blocks import EXCERPT_BYTES, Unmatched
from deepoj.judging.compare_floats import WordBatches

#: a longer line is hashed in parts
PART_BYTES = 64 * 1024
EXPLAIN_BYTES = 4 * 1024 * 1024
#: a line or a word; of a long one, the hash of its parts but the last, and its last part
Item = bytes | tuple[int, bytes]
_BLANKS = blocks.BLANKS.replace(b"\n", b"")
_TO_SPACE = bytes.maketrans(_BLANKS, b" " * len(_BLANKS))


def lines(
    expected: BinaryIO, got: BinaryIO, *, case_sensitive: bool = True, space_sensitive: bool = False
) -> Unmatched | None:
    """Compare lines in any order; each must occur equally often."""

    def read(file: BinaryIO) -> Iterator[list[Item]]:
        return _LineBatches(file, case_sensitive=case_sensitive, space_sensitive=space_sensitive)

    return None if _sum(read(expected)) == _sum(read(got)) else _explain("line", expected, got, read)


def words(expected: BinaryIO, got: BinaryIO, *, case_sensitive: bool = True) -> Unmatched | None:
    """Compare words in any order; each must occur equally often."""

    def read(file: BinaryIO) -> Iterator[list[Item]]:
        return _whole_words(WordBatches(file, case_sensitive=case_sensitive))

    return None if _sum(read(expected)) == _sum(read(got)) else _explain("token", expected, got, read)


def _sum(batches: Iterator[list[Item]]) -> tuple[int, int]:
    count = total = 0
    for batch in batches:
        count += len(batch)
        total += sum(map(hash, batch))
    return count, total


def _explain(
    unit: str, expected: BinaryIO, got: BinaryIO, read: Callable[[BinaryIO], Iterator[list[Item]]]
) -> Unmatched:
    """Return the first item of the output that occurs too often, else the first of the answer that is missing."""
    if max(file.seek(0, os.SEEK_END) for file in (expected, got)) > EXPLAIN_BYTES:
        return Unmatched(unit, 0, None, None)
    for wanted_file, found_file in ((expected, got), (got, expected)):
        wanted_file.seek(0)
        found_file.seek(0)
        open_items = Counter(item for batch in read(wanted_file) for item in batch)
        for position, item in enumerate((item for batch in read(found_file) for item in batch), 1):
            open_items[item] -= 1
            if open_items[item] < 0:
                excerpt = (item if isinstance(item, bytes) else item[1])[:EXCERPT_BYTES]
                return Unmatched(unit, position, *((None, excerpt) if found_file is got else (excerpt, None)))
    return Unmatched(unit, 0, None, None)


def _whole_words(batches: WordBatches) -> Iterator[list[Item]]:
    begun = 0
    for batch in batches:
        items: list[Item] = []
        for piece in batch:
            if isinstance(piece, bytes):
                items.append(piece)
            elif piece[2]:
                items.append((begun, piece[0]))
            else:
                begun = hash((0 if piece[1] else begun, piece[0]))
        yield items


class _LineBatches:
    """Iterates over a file's lines in their normal form, in batches that may be empty."""

    def __init__(self, file: BinaryIO, *, case_sensitive: bool, space_sensitive: bool) -> None:
        self._file, self._raw = file, space_sensitive
        table = bytes(range(256)) if space_sensitive else _TO_SPACE
        self._table = table if case_sensitive else table.translate(blocks.TO_LOWER)
        #: the unfinished line, and the hash of its earlier parts
        self._rest = b""
        self._begun: int | None = None
        self._ended = False

    def __iter__(self) -> Iterator[list[Item]]:
        return self

    def __next__(self) -> list[Item]:
        if self._ended:
            raise StopIteration
        if chunk := self._file.read(blocks.CHUNK_BYTES):
            return self._take(chunk)
        self._ended = True
        return self._whole(self._rest) if self._rest else []

    def _take(self, chunk: bytes) -> list[Item]:
        head, newline, self._rest = (self._rest + chunk.translate(self._table)).rpartition(b"\n")
        items = self._whole(head) if newline else []
        if len(self._rest) > PART_BYTES:
            line = self._normal(self._rest)
            # blanks that may turn out to be at the end of the line do not count
            while len(line if self._raw else line.rstrip(b" ")) > PART_BYTES:
                line = self._cut(line)
            self._rest = line
        return items

    def _whole(self, text: bytes) -> list[Item]:
        """Return the items of complete lines, of which the first may be the last part of a long one."""
        items: list[Item] = []
        if self._begun is not None:
            first, newline, text = text.partition(b"\n")
            items.append(self._item(first))
            if not newline:
                return items
        plain = text.split(b"\n") if self._raw else [line for line in _normal_lines(text).split(b"\n") if line]
        if plain and max(map(len, plain)) > PART_BYTES:
            return items + [self._item(line) for line in plain]
        return items + plain

    def _item(self, line: bytes) -> Item:
        line = line if self._raw else self._normal(line).rstrip(b" ")
        while len(line) > PART_BYTES:
            line = self._cut(line)
        begun, self._begun = self._begun, None
        return line if begun is None else (begun, line)

    def _normal(self, line: bytes) -> bytes:
        if self._raw:
            return line
        line = _one_space(line)
        return line if self._begun is not None else line.lstrip(b" ")

    def _cut(self, line: bytes) -> bytes:
        """Hash one part and return the rest. No part ends with a blank, so that the cuts do not depend on the text
        after the last word."""
        size = PART_BYTES - (not self._raw and line[PART_BYTES - 1 : PART_BYTES] == b" ")
        self._begun = hash((self._begun, line[:size]))
        return line[size:]


def _normal_lines(text: bytes) -> bytes:
    return _one_space(text).replace(b" \n", b"\n").replace(b"\n ", b"\n").strip(b" \n")


def _one_space(text: bytes) -> bytes:
    while b"  " in text:
        text = text.replace(b"  ", b" ")
    return text
