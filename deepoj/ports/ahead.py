"""Compilations that begin before a job's claim."""

from __future__ import annotations

from typing import Protocol

from deepoj.words.submissions import Draft


class CompilationAhead(Protocol):
    """A compilation that waits for the commit of its submission."""

    def settle(self, *, is_stored: bool) -> None:
        """Begin to compile, if the submission ``is_stored`` and waits for a claim; else forget it."""
        ...

    async def wait_begun(self) -> None:
        """After ``settle``: park until the compiler has its orders, if all is prepared for that."""
        ...


class CompileAhead(Protocol):
    """Compiles new submissions in idle slots of this process, on their way to its own claim."""

    def prepare(self, draft: Draft) -> CompilationAhead | None:
        """Prepare the compilation of a draft that is about to be stored. None: it is compiled after its claim."""
        ...
