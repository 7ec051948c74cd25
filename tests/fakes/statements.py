"""``MemoryStatements``: the rendered statements of a ``MemoryStore``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deepoj.words.problems import Problem
from deepoj.words.statements import (
    RENDERER_VERSION,
    StatementFile,
    StatementFileKind,
    StatementIndex,
    StatementSet,
    StatementText,
)

if TYPE_CHECKING:
    from tests.fakes.store import MemoryStore


class MemoryStatements:
    """``ports.Statements`` in memory."""

    def __init__(self, memory: MemoryStore) -> None:
        self._memory, self._kept = memory, memory.kept_statements

    async def keep_statements(self, problem_id: int, data_hash: str, found: StatementSet, *, renderer: int) -> bool:
        problem = await self._memory.problem(problem_id)
        if problem is None or problem.data_hash != data_hash or self._version(problem) > renderer:
            return False
        self._kept[problem_id] = data_hash, renderer, found
        return True

    async def statement_index(self, problem_id: int) -> StatementIndex | None:
        problem = await self._memory.problem(problem_id)
        if problem is None:
            return None
        found = self._of(problem)
        return StatementIndex(
            is_pending=self._version(problem) < RENDERER_VERSION,
            languages=tuple((text.language, text.title) for text in found.texts),
            samples=found.samples,
            attachments=tuple(
                sorted(
                    (file.name, len(file.content)) for file in found.files if file.kind is StatementFileKind.ATTACHMENT
                )
            ),
            notes=found.notes,
        )

    async def statement_text(self, problem_id: int, language: str) -> StatementText | None:
        problem = await self._memory.problem(problem_id)
        texts = () if problem is None else self._of(problem).texts
        return next((text for text in texts if text.language == language), None)

    async def statement_file(self, problem_id: int, kind: StatementFileKind, name: str) -> StatementFile | None:
        problem = await self._memory.problem(problem_id)
        files = () if problem is None else self._of(problem).files
        return next((file for file in files if (file.kind, file.name) == (kind, name)), None)

    async def unrendered_problems(self, after_id: int, limit: int) -> list[Problem]:
        problems = await self._memory.problems(after_id, 1_000_000)
        return [problem for problem in problems if self._version(problem) < RENDERER_VERSION][:limit]

    def _of(self, problem: Problem) -> StatementSet:
        data_hash, _, found = self._kept.get(problem.id, ("", 0, StatementSet()))
        return found if data_hash == problem.data_hash else StatementSet()

    def _version(self, problem: Problem) -> int:
        data_hash, renderer, _ = self._kept.get(problem.id, ("", 0, StatementSet()))
        return renderer if data_hash == problem.data_hash else 0
