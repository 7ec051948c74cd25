"""Rendered statements in PostgreSQL (``sql/queries/statements.sql``)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from typing import TYPE_CHECKING

from deepoj.adapters.pg.contest_statements import PgContestStatements, answer_to_edit, edits_of, file_of, index_of
from deepoj.adapters.pg.file_cache import FileCache
from deepoj.adapters.pg.pool import PgPool
from deepoj.adapters.pg.problems import problem_of
from deepoj.adapters.pg.sql_files import queries
from deepoj.adapters.pg.texts import clean_json, clean_text, storable
from deepoj.ports.statements import StatementMark
from deepoj.words.problems import Problem
from deepoj.words.statements import (
    RENDERER_VERSION,
    EditRefusal,
    StatementEdit,
    StatementEdits,
    StatementFile,
    StatementFileKind,
    StatementIndex,
    StatementKind,
    StatementSet,
    StatementText,
)

if TYPE_CHECKING:
    from deepoj.adapters.pg.pool import Connection


class PgStatements:
    """Statements (``ports.Statements``)."""

    def __init__(self, pool: PgPool) -> None:
        self._pool, self._files = pool, FileCache()

    async def keep_statements(
        self, problem_id: int, data_hash: str, found: StatementSet, *, renderer: int, edition: int = 0
    ) -> bool:
        samples, notes = clean_json([asdict(sample) for sample in found.samples]), clean_json(found.notes)
        texts = [
            (problem_id, text.language, place, clean_text(text.title), text.kind, clean_text(text.html), text.pdf)
            for place, text in enumerate(found.texts)
        ]
        files = [(problem_id, file.kind, file.name, file.media_type, file.content) for file in found.files]

        async def work(connection: Connection, _again: bool) -> bool:
            async with connection.transaction():
                claim = queries()["claim_statements"].sql
                if await connection.fetchrow(claim, problem_id, data_hash, renderer, edition) is None:
                    return False
                await connection.execute(queries()["delete_statements"].sql, problem_id)
                insert = queries()["insert_problem_texts"].sql
                await connection.execute(insert, problem_id, data_hash, samples, notes, found.takes_outputs)
                await connection.executemany(queries()["insert_statement"].sql, texts)
                for file in files:  # one by one, so that each has the statement's full time
                    await connection.execute(queries()["insert_statement_file"].sql, *file)
                return True

        return await self._pool.do(work, repeatable=True)

    async def statement_index(self, problem_id: int) -> StatementIndex | None:
        row = await self._pool.row("statement_index", problem_id, RENDERER_VERSION, repeatable=True)
        if row is None:
            return None
        return index_of(row)

    async def statement_text(self, problem_id: int, language: str) -> StatementText | None:
        if not storable(language):
            return None
        row = await self._pool.row("statement_text", problem_id, language, repeatable=True)
        if row is None:
            return None
        return StatementText(
            language=row["language"],
            title=row["title"],
            kind=StatementKind(row["kind"]),
            html=row["html"],
            pdf=row["pdf"],
        )

    async def statement_file(
        self, problem_id: int, kind: StatementFileKind, name: str, *, known: Collection[str] = ()
    ) -> StatementFile | None:
        if not storable(name):
            return None
        key = None, problem_id, kind, name
        marks = [*known, *self._files.marks(key)]
        row = await self._pool.row("statement_file", problem_id, kind, name, marks, repeatable=True)
        return None if row is None else self._files.shared(key, file_of(row), known)

    async def short_texts(self, problem_id: int, max_bytes: int) -> dict[str, str]:
        rows = await self._pool.rows("short_statements", problem_id, max_bytes, repeatable=True)
        return {row["language"]: row["html"] for row in rows}

    async def claim_unrendered(self, lease_s: float, skipped: Collection[StatementMark]) -> tuple[Problem, int] | None:
        ids, hashes, editions = ([mark[part] for mark in skipped] for part in range(3))
        row = await self._pool.row(
            "claim_unrendered", RENDERER_VERSION, lease_s, ids, hashes, editions, repeatable=True
        )
        return None if row is None else (problem_of(row), row["statement_edition"])

    async def release_unrendered(self, problem_id: int) -> None:
        await self._pool.row("release_unrendered", problem_id, repeatable=True)

    async def statement_edits(self, problem_id: int) -> StatementEdits:
        return edits_of(await self._pool.rows("statement_edits", problem_id, repeatable=True))

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
        """Store an edit, as the port says; a second try after a lost answer finds its own edit and returns its
        version."""
        stored = None if edit is None else (edit.kind, clean_text(edit.source))

        async def work(connection: Connection, again: bool) -> int | EditRefusal:
            async with connection.transaction():
                current_hash = await connection.fetchval(queries()["lock_statements"].sql, problem_id)
                if current_hash is None:
                    return EditRefusal.UNKNOWN_PROBLEM
                row = await connection.fetchrow(queries()["statement_edit"].sql, problem_id, language)
                version = None if row is None else row["version"]
                is_stored = again and row is not None and stored == (row["kind"], row["source"])
                is_current = since > 0 or current_hash == data_hash
                answer = answer_to_edit(version, since, is_stored=is_stored, is_current=is_current)
                if answer is not None:
                    return answer
                marked = await connection.fetchrow(queries()["mark_edited"].sql, problem_id, by, language)
                edition = 0 if marked is None else int(marked["statement_edition"])
                if stored is None:
                    await connection.execute(queries()["drop_statement_edit"].sql, problem_id, language)
                else:
                    put = queries()["put_statement_edit"].sql
                    await connection.execute(put, problem_id, language, *stored, edition)
                return edition

        return await self._pool.do(work, repeatable=True)

    def of_contest(self, contest_id: int) -> PgContestStatements:
        return PgContestStatements(self._pool, self, self._files, contest_id)

    async def claim_of_contest(
        self, lease_s: float, skipped: Collection[tuple[int, StatementMark]]
    ) -> tuple[int, Problem, int] | None:
        contests = [contest_id for contest_id, _ in skipped]
        ids, hashes, editions = ([mark[part] for _, mark in skipped] for part in range(3))
        row = await self._pool.row(
            "claim_contest_texts", RENDERER_VERSION, lease_s, contests, ids, hashes, editions, repeatable=True
        )
        return None if row is None else (row["contest_id"], problem_of(row), row["edition"])
