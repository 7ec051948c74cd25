"""Statements that contests give their problems, in PostgreSQL (``sql/queries/contest_statements.sql``).

What if we die here? An edit is one transaction, with its event. Locks are taken as in ``contests``.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from deepoj.adapters.pg.contest_changes import statement_fields, tell_objects
from deepoj.adapters.pg.file_cache import FileCache
from deepoj.adapters.pg.pool import PgPool
from deepoj.adapters.pg.sql_files import queries
from deepoj.adapters.pg.texts import clean_json, clean_text, storable
from deepoj.words.contests import ContestObject, EventType
from deepoj.words.statements import (
    RENDERER_VERSION,
    EditRefusal,
    StatementEdit,
    StatementEdits,
    StatementFile,
    StatementFileKind,
    StatementIndex,
    StatementKind,
    StatementSample,
    StatementSet,
    StatementText,
)

if TYPE_CHECKING:
    import asyncpg

    from deepoj.adapters.pg.pool import Connection
    from deepoj.ports.statements import Statements


class PgContestStatements:
    """Statements of problems in one contest (``ports.Statements``). ``own``: those of the problems themselves."""

    def __init__(self, pool: PgPool, own: Statements, files: FileCache, contest_id: int) -> None:
        self._pool, self._own, self._files, self._contest_id = pool, own, files, contest_id

    async def keep_statements(
        self, problem_id: int, data_hash: str, found: StatementSet, *, renderer: int, edition: int = 0
    ) -> bool:
        place = self._contest_id, problem_id
        lists = [
            clean_json([asdict(one) for one in found.texts]),
            clean_json([asdict(one) for one in found.samples]),
            clean_json(found.notes),
        ]

        async def work(connection: Connection, _again: bool) -> bool:
            async with connection.transaction():
                keep = queries()["keep_contest_texts"].sql
                if await connection.fetchrow(keep, *place, data_hash, edition, renderer, *lists) is None:
                    return False
                await connection.execute(queries()["delete_contest_files"].sql, *place)
                for file in found.files:  # one by one, so that each has the statement's full time
                    insert = queries()["insert_contest_file"].sql
                    await connection.execute(insert, *place, file.kind, file.name, file.media_type, file.content)
                return True

        return await self._pool.do(work, repeatable=True)

    async def statement_index(self, problem_id: int) -> StatementIndex | None:
        row = await self._pool.row(
            "contest_statement_index", self._contest_id, problem_id, RENDERER_VERSION, repeatable=True
        )
        if row is not None and row["languages"] is not None:
            return index_of(row)
        own = await self._own.statement_index(problem_id)
        return own if own is None or row is None else replace(own, is_pending=True)

    async def statement_text(self, problem_id: int, language: str) -> StatementText | None:
        if not storable(language):
            return None
        row = await self._pool.row("contest_statement_text", self._contest_id, problem_id, language, repeatable=True)
        if row is None:
            return await self._own.statement_text(problem_id, language)
        if row["text"] is None:
            return None
        found: dict[str, Any] = json.loads(row["text"])
        return StatementText(**{**found, "kind": StatementKind(found["kind"])})

    async def statement_file(
        self, problem_id: int, kind: StatementFileKind, name: str, *, known: Collection[str] = ()
    ) -> StatementFile | None:
        if not storable(name):
            return None
        key = self._contest_id, problem_id, kind, name
        marks = [*known, *self._files.marks(key)]
        row = await self._pool.row("contest_statement_file", *key, marks, repeatable=True)
        if row is None:
            return await self._own.statement_file(problem_id, kind, name, known=known)
        return None if row["kind"] is None else self._files.shared(key, file_of(row), known)

    async def release_unrendered(self, problem_id: int) -> None:
        await self._pool.row("release_contest_texts", self._contest_id, problem_id, repeatable=True)

    async def statement_edits(self, problem_id: int) -> StatementEdits:
        return edits_of(await self._pool.rows("contest_statement_edits", self._contest_id, problem_id, repeatable=True))

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
        version. Refused, too: FINALIZED."""
        place = self._contest_id, problem_id
        stored = None if edit is None else (edit.kind, clean_text(edit.source), edit.pdf or None)

        async def work(connection: Connection, again: bool) -> int | EditRefusal:
            async with connection.transaction():
                contest = await connection.fetchrow(queries()["lock_contest"].sql, self._contest_id)
                current_hash = await connection.fetchval(queries()["lock_statements"].sql, problem_id)
                row = await connection.fetchrow(queries()["contest_statement_edit"].sql, *place, language)
                if contest is None or row is None:
                    return EditRefusal.UNKNOWN_PROBLEM
                if contest["finalized_at"] is not None:
                    return EditRefusal.FINALIZED
                is_stored = again and stored == (row["kind"], row["source"], row["pdf"])
                is_current = since > 0 or current_hash == data_hash
                answer = answer_to_edit(row["version"], since, is_stored=is_stored, is_current=is_current)
                if answer is not None:
                    return answer
                edition = int(await connection.fetchval(queries()["begin_contest_edition"].sql, *place))
                if stored is None:
                    await connection.execute(queries()["drop_contest_statement"].sql, *place, language)
                else:
                    put = queries()["put_contest_statement"].sql
                    await connection.execute(put, *place, language, *stored, edition)
                await self._tell(connection, problem_id, row["label"], language, by)
                return edition

        return await self._pool.do(work, repeatable=True)

    async def _tell(self, connection: Connection, problem_id: int, label: str, language: str, by: str | None) -> None:
        """Log the act, and write the event of the problem with its statements."""
        contest_id = self._contest_id
        details = clean_json({"problem": label, "statement": language})
        await connection.execute(queries()["contest_statement_act"].sql, contest_id, details, by)
        kind = EventType.PROBLEMS.value
        data = json.loads(await connection.fetchval(queries()["contest_object"].sql, contest_id, kind, label))
        data |= await statement_fields(connection, contest_id, problem_id)
        await tell_objects(connection, contest_id, [ContestObject(EventType.PROBLEMS, label, data)])


def index_of(row: asyncpg.Record | Mapping[str, Any]) -> StatementIndex:
    """Return the index that a row has, with its lists as JSON."""
    return StatementIndex(
        is_pending=row["is_pending"],
        languages=tuple((language, title) for language, title in _listed(row["languages"])),
        samples=tuple(StatementSample(**sample) for sample in _listed(row["samples"])),
        attachments=tuple((name, size) for name, size in _listed(row["attachments"])),
        notes=tuple(_listed(row["notes"])),
        takes_outputs=row["takes_outputs"],
    )


def edits_of(rows: Sequence[asyncpg.Record]) -> StatementEdits:
    """Return the edits of rows that each have the edition, and a language or NULL. Those of problems have no PDF."""
    edits = tuple(
        StatementEdit(
            language=row["language"],
            kind=row["kind"],
            source=row["source"],
            version=row["version"],
            pdf=row.get("pdf") or b"",
        )
        for row in rows
        if row["language"] is not None
    )
    return StatementEdits(rows[0]["edition"] if rows else 0, edits)


def answer_to_edit(version: int | None, since: int, *, is_stored: bool, is_current: bool) -> int | EditRefusal | None:
    """Return how an edit of a statement that has this version (None: it was never edited) is answered; None: it is to
    be stored. ``is_stored``: an earlier try has stored it. ``is_current``: the package is that of the editor, if it
    read the package's statement."""
    if is_stored:
        return version or 0
    return None if (version or 0) == since and is_current else EditRefusal.CHANGED_MEANWHILE


def file_of(row: asyncpg.Record) -> StatementFile:
    """Return the file that a row has."""
    return StatementFile(
        kind=StatementFileKind(row["kind"]),
        name=row["name"],
        media_type=row["media_type"],
        content=row["content"],
        mark=row["mark"],
    )


def _listed(text: str | None) -> list[Any]:
    """Return the JSON list of a column; an absent one is empty."""
    return [] if text is None else json.loads(text)
