"""Compilations that begin before their job's claim."""

from __future__ import annotations

from typing import Protocol

from deepoj.words.submissions import Draft


class EarlyCompilation(Protocol):
    """The compilation of a draft that is being stored. Implemented by ``execution.early``."""

    def settle(self, *, is_stored: bool) -> None:
        """End it, unless the draft ``is_stored`` as a submission that waits for a claim."""
        ...


class EarlyCompiler(Protocol):
    """Compiles new submissions in idle slots of this process, before it claims them. Implemented by
    ``execution.early``."""

    async def begin(self, draft: Draft) -> EarlyCompilation | None:
        """Begin to compile a draft that is about to be stored, and wait briefly until its compiler begins. None: it is
        compiled after its claim. A cancelled call ends the compilation."""
        ...
