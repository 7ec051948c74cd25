"""``MemoryStatements``: the rendered statements of a ``MemoryStore``."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from deepoj.ports.statements import StatementMark, Statements
from deepoj.words.admin_events import AdminAct
from deepoj.words.problems import Problem
from deepoj.words.statements import (
    RENDERER_VERSION,
    EditRefusal,
    StatementEdit,
    StatementEdits,
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

    async def keep_statements(
        self, problem_id: int, data_hash: str, found: StatementSet, *, renderer: int, edition: int = 0
    ) -> bool:
        problem = await self._memory.problem(problem_id)
        if problem is None or problem.data_hash != data_hash or self._version(problem) > renderer:
            return False
        if edition != self._edits(problem_id).edition:
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
            takes_outputs=found.takes_outputs,
        )

    async def statement_text(self, problem_id: int, language: str) -> StatementText | None:
        problem = await self._memory.problem(problem_id)
        texts = () if problem is None else self._of(problem).texts
        return next((text for text in texts if text.language == language), None)

    async def statement_file(
        self, problem_id: int, kind: StatementFileKind, name: str, *, known: Collection[str] = ()
    ) -> StatementFile | None:
        problem = await self._memory.problem(problem_id)
        files = () if problem is None else self._of(problem).files
        file = next((file for file in files if (file.kind, file.name) == (kind, name)), None)
        if file is None:
            return None
        mark = hashlib.sha256(file.content).hexdigest()
        return replace(file, mark=mark, content=b"" if mark in known else file.content)

    async def short_texts(self, problem_id: int, max_bytes: int) -> dict[str, str]:
        problem = await self._memory.problem(problem_id)
        texts = () if problem is None else self._of(problem).texts
        return {
            text.language: text.html
            for text in texts
            if text.pdf is None and len(text.html.encode(errors="replace")) <= max_bytes
        }

    async def claim_unrendered(self, lease_s: float, skipped: Collection[StatementMark]) -> tuple[Problem, int] | None:
        leases, now = self._memory.statement_leases, self._memory.clock()
        marked = [
            (self._version(problem), problem.id, problem)
            for problem in await self._memory.problems(0, 1_000_000)
            if self._version(problem) < RENDERER_VERSION and leases.get(problem.id, now) <= now
            and (problem.id, problem.data_hash, self._edits(problem.id).edition) not in skipped
        ]  # fmt: skip
        if not marked:
            return None
        problem = min(marked, key=lambda one: one[:2])[2]
        leases[problem.id] = now + lease_s
        return problem, self._edits(problem.id).edition

    def of_contest(self, contest_id: int) -> Statements:
        raise AssertionError(f"the contest {contest_id} needs PostgreSQL: use house_on")

    async def claim_of_contest(
        self, lease_s: float, skipped: Collection[tuple[int, StatementMark]]
    ) -> tuple[int, Problem, int] | None:
        return None

    async def release_unrendered(self, problem_id: int) -> None:
        await self._memory.problem(problem_id)
        self._memory.statement_leases.pop(problem_id, None)

    async def statement_edits(self, problem_id: int) -> StatementEdits:
        problem = await self._memory.problem(problem_id)
        return StatementEdits(0) if problem is None else self._edits(problem_id)

    async def edit_statement(
        self,
        problem_id: int,
        language: str,
        edit: StatementEdit | None,
        *,
        since: int,
        data_hash: str,
        by: str | None = None,
    ) -> int | EditRefusal:
        problem = await self._memory.problem(problem_id)
        if problem is None:
            return EditRefusal.UNKNOWN_PROBLEM
        before = self._edits(problem_id)
        edits = {one.language: one for one in before.edits}
        version = edits[language].version if language in edits else 0
        if version != since or (since == 0 and problem.data_hash != data_hash):
            return EditRefusal.CHANGED_MEANWHILE
        edition = before.edition + 1
        edits.pop(language, None)
        if edit is not None:
            edits[language] = replace(edit, version=edition)
        self._memory.statement_edits[problem_id] = StatementEdits(edition, tuple(edits[one] for one in sorted(edits)))
        self._memory.log_act(by, AdminAct.STATEMENT_EDITED, problem_id, language=language)
        if problem_id in self._kept:
            kept_hash, _, found = self._kept[problem_id]
            self._kept[problem_id] = kept_hash, 0, found
        self._memory.statement_leases.pop(problem_id, None)
        return edition

    def _edits(self, problem_id: int) -> StatementEdits:
        return self._memory.statement_edits.get(problem_id, StatementEdits(0))

    def _of(self, problem: Problem) -> StatementSet:
        data_hash, _, found = self._kept.get(problem.id, ("", 0, StatementSet()))
        return found if data_hash == problem.data_hash else StatementSet()

    def _version(self, problem: Problem) -> int:
        data_hash, renderer, _ = self._kept.get(problem.id, ("", 0, StatementSet()))
        return renderer if data_hash == problem.data_hash else 0
