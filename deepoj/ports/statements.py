"""Rendered statements in the store."""

from __future__ import annotations

from typing import Protocol

from deepoj.words.problems import Problem
from deepoj.words.statements import StatementFile, StatementFileKind, StatementIndex, StatementSet, StatementText


class Statements(Protocol):
    """Statements of problems' current packages. They are deleted with their problem. Raises StoreUnavailable."""

    async def keep_statements(self, problem_id: int, data_hash: str, found: StatementSet, *, renderer: int) -> bool:
        """Replace the statements of a problem. ``renderer``: the version that rendered them; 0: they are still to be
        rendered. False: the problem has another package by now, or a later renderer's statements; nothing changed."""
        ...

    async def statement_index(self, problem_id: int) -> StatementIndex | None:
        """Return the languages, samples and attachments of a problem; None: there is no such problem. With another
        package than the one that was rendered, it is pending and has none."""
        ...

    async def statement_text(self, problem_id: int, language: str) -> StatementText | None:
        """Return the statement in exactly this language."""
        ...

    async def statement_file(self, problem_id: int, kind: StatementFileKind, name: str) -> StatementFile | None: ...

    async def unrendered_problems(self, after_id: int, limit: int) -> list[Problem]:
        """Return the next ``limit`` problems above ``after_id``, by id, whose statements this version is to render."""
        ...
