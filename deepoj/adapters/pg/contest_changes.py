"""What all transactions that change a contest share: its lock, the record of the act, and the events at the end."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from deepoj.adapters.pg.contest_rows import contest_of
from deepoj.adapters.pg.sql_files import queries
from deepoj.adapters.pg.texts import clean_json, clean_text
from deepoj.words.admin_events import AdminAct
from deepoj.words.contests import Contest, ContestObject, ContestProblem, ContestRefusal, EventType

if TYPE_CHECKING:
    from deepoj.adapters.pg.pool import Connection

#: fields of a problem in a contest that belong to its label, not to the problem
_OF_LABEL = frozenset({"ordinal", "rgb", "color"})


async def locked_contest(connection: Connection, contest_id: int) -> Contest | ContestRefusal:
    """Lock a contest, and return it, or why it cannot be changed."""
    row = await connection.fetchrow(queries()["lock_contest"].sql, contest_id)
    if row is None:
        return ContestRefusal.UNKNOWN_CONTEST
    return ContestRefusal.FINALIZED if row["finalized_at"] is not None else contest_of(row)


async def note_act(
    connection: Connection, contest_id: int, by: int, act: AdminAct, details: Mapping[str, object]
) -> None:
    """Record an act in the log of administrative acts."""
    await connection.execute(queries()["contest_act"].sql, contest_id, by, act.value, clean_json(details))


async def statement_fields(connection: Connection, contest_id: int, problem_id: int) -> dict[str, Any]:
    """Return the fields of a problem's event that say which statements it has in the contest."""
    (row,) = await connection.fetch(queries()["contest_statement_languages"].sql, contest_id, problem_id)
    return {"statements": row["own"], "statement_files": json.loads(row["files"])}


async def with_kept(
    connection: Connection, contest_id: int, problem: ContestProblem, kept: Collection[str]
) -> ContestProblem:
    """Return a problem whose fields ``kept`` are those that its label has now.

    Another problem than before keeps the place and the color alone: the rest belongs to the former problem.
    """
    row = await connection.fetchrow(queries()["contest_problem"].sql, contest_id, problem.label)
    if row is None or not kept:
        return problem
    kind = EventType.PROBLEMS.value
    data = json.loads(await connection.fetchval(queries()["contest_object"].sql, contest_id, kind, problem.label))
    now = {**data, **dict(row)}
    is_same = "problem_id" in kept or problem.problem_id == row["problem_id"]
    names = kept if is_same else _OF_LABEL & set(kept)
    return replace(problem, **{name: now[name] for name in names if name in now})


async def tell_objects(connection: Connection, contest_id: int, objects: Sequence[ContestObject]) -> None:
    """Write an event for each object. It is the last thing that a transaction does: it locks the contest's counter."""
    await connection.execute(
        queries()["tell_contest_objects"].sql,
        contest_id,
        [one.type.value for one in objects],
        [clean_text(one.id) for one in objects],
        [None if one.data is None else clean_json(one.data) for one in objects],
    )
