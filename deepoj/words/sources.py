"""Source code as its author sent it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One of a submission's several files. ``name`` is plain: no directory, no special meaning to shell or compiler."""

    name: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """A contestant's sources: one text, or several files."""

    #: the source; of several files the entry point's text
    code: str
    #: the name of the file that is ``code``; None: one source was sent, and the language gives its name
    entry_point: str | None = None
    #: the other files, in the order in which they were sent
    beside: tuple[SourceFile, ...] = ()

    @property
    def files(self) -> tuple[SourceFile, ...]:
        """All files, the entry point first; empty if one source was sent."""
        return () if self.entry_point is None else (SourceFile(self.entry_point, self.code), *self.beside)

    def digest(self) -> bytes:
        """Return a digest of the sources: it differs for another text, name or entry point."""
        content = self.code
        if self.entry_point is not None:
            # no text begins with NUL, so this cannot be a single source's
            content = "\0" + json.dumps([self.entry_point, sorted((file.name, file.content) for file in self.files)])
        return hashlib.sha256(content.encode("utf-8", "surrogatepass")).digest()
