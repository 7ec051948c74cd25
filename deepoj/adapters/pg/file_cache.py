"""Shares the contents of statement files between the answers that send them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Hashable

from deepoj.words.statements import StatementFile


class FileCache:
    """Files that were read last. Many readers of one file, also slow ones, then hold one copy of it."""

    def __init__(self, max_bytes: int = 16 * 1024 * 1024) -> None:
        self._max_bytes, self._bytes = max_bytes, 0
        self._held: OrderedDict[Hashable, StatementFile] = OrderedDict()

    def marks(self, key: Hashable) -> list[str]:
        """Return the mark of the file held under ``key``, as a list of those whose content need not be read."""
        return [self._held[key].mark] if key in self._held else []

    def shared(self, key: Hashable, file: StatementFile, known: Collection[str] = ()) -> StatementFile:
        """Return the copy held of a file that was just read, of which the content may have been left out (``marks``).
        A file that is not held yet is held from now on. ``known``: marks of which the reader has the content."""
        if file.mark in known:
            return file
        held = self._held.get(key)
        if held is not None and held.mark == file.mark:
            self._held.move_to_end(key)
            return held
        if file.content:
            self._hold(key, file)
        return file

    def _hold(self, key: Hashable, file: StatementFile) -> None:
        former = self._held.pop(key, None)
        self._held[key] = file
        self._bytes += len(file.content) - (0 if former is None else len(former.content))
        while self._bytes > self._max_bytes:
            self._bytes -= len(self._held.popitem(last=False)[1].content)
