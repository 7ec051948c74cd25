"""Compilations that begin before their job's claim."""

from __future__ import annotations

from typing import Protocol

from deepoj.words.submissions import Draft


class EarlyCompilation(Protocol):
    """The compilation of a draft that is being stored. Implemented by ``execution.early``."""

    def settle(self, *, is_stored: bool) -> None:
        """Begin to compile, if the draft ``is_stored`` as a submission that waits for a claim; else drop it."""
        ...

    async def wait_begun(self) -> None:
        """After ``settle``: park until the compiler is told to begin, if all was prepared for that."""
        ...


class EarlyCompiler(Protocol):
    """Compiles new submissions in idle slots of this process, before it claims them. Implemented by
    ``execution.early``."""

    def prepare(self, draft: Draft) -> EarlyCompilation | None:
        """Prepare the compilation of a draft that is about to be stored. None: it is compiled after its claim."""
        ...
