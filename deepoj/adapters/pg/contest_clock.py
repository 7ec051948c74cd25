"""Acts on the clock of a contest, in PostgreSQL: one transaction each, which ``PgContests`` opens.

The contest's row is locked, and what has happened is read from it by the database's clock. An act writes the event of
what it changes, then one of type ``clock`` with its reason. Events come last: they take the contest's counter.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import asyncpg

from deepoj.adapters.pg.contest_changes import note_act, tell_objects
from deepoj.adapters.pg.sql_files import queries
from deepoj.adapters.pg.texts import clean_json, storable
from deepoj.words.admin_events import AdminAct
from deepoj.words.contests import ClockAct, ClockChange, ContestObject, ContestRefusal, EventType

if TYPE_CHECKING:
    from deepoj.adapters.pg.pool import Connection

#: type, object's id, data of events
type _Events = list[tuple[EventType, str, Mapping[str, Any] | None]]


class ClockRefusal(Exception):
    """Ends a transaction that must not stay."""

    def __init__(self, refusal: ContestRefusal) -> None:
        super().__init__(refusal)
        self.refusal = refusal


async def change_clock(connection: Connection, contest_id: int, change: ClockChange, by: int) -> None:
    """Do an act. Raises ClockRefusal."""
    if await connection.fetchrow(queries()["lock_contest"].sql, contest_id) is None:
        raise ClockRefusal(ContestRefusal.UNKNOWN_CONTEST)
    row = await connection.fetchrow(queries()["contest_clock"].sql, contest_id)
    if row is None:
        raise ClockRefusal(ContestRefusal.UNKNOWN_CONTEST)
    if row["finalized_at"] is not None and change.act is not ClockAct.THAW:
        raise ClockRefusal(ContestRefusal.FINALIZED)
    events = await _done(connection, contest_id, row, change, by)
    details = {name: str(value) for name, value in _details(change).items()}
    await note_act(connection, contest_id, by, AdminAct.CONTEST_CLOCK, details)
    for type_, object_id, data in events:
        if type_ is EventType.CONTEST:
            await connection.execute(queries()["tell_contest_rules"].sql, contest_id)
        elif type_ is EventType.STATE:
            await connection.execute(queries()["tell_contest_state"].sql, contest_id)
        else:
            await tell_objects(connection, contest_id, [ContestObject(type_, object_id, data)])
    await connection.execute(queries()["tell_contest_clock"].sql, contest_id, by, clean_json(details))


async def _done(connection: Connection, contest_id: int, row: asyncpg.Record, change: ClockChange, by: int) -> _Events:
    match change.act:
        case ClockAct.START | ClockAct.MOVE:
            events = await _moved(connection, contest_id, row, change)
        case ClockAct.PAUSE | ClockAct.RESUME if row["started_at"] is None:
            events = await _countdown(connection, contest_id, row, change)
        case ClockAct.PAUSE | ClockAct.RESUME | ClockAct.REMOVE | ClockAct.RESTORE:
            events = await _interval(connection, contest_id, row, change, by)
        case ClockAct.FREEZE | ClockAct.THAW:
            events = await _frozen(connection, contest_id, row, change)
        case ClockAct.LENGTH:
            events = await _length(connection, contest_id, row, change)
        case ClockAct.EXTEND:
            events = await _extended(connection, contest_id, row, change, by)
        case ClockAct.PENALTY:
            await _require_team(connection, contest_id, change.team_id)
            former = await connection.fetchval(
                queries()["contest_object"].sql, contest_id, EventType.PENALTIES.value, change.team_id
            )
            if not change.penalty_min and former is None:
                raise ClockRefusal(ContestRefusal.NOTHING_TO_DO)
            data = {"team_id": change.team_id, "minutes": change.penalty_min, "reason": change.reason, "by": by}
            events = [(EventType.PENALTIES, change.team_id, data if change.penalty_min else None)]
        case ClockAct.HOLD | ClockAct.RELEASE:
            events = await _held(connection, contest_id, change)
    return events


async def _moved(connection: Connection, contest_id: int, row: asyncpg.Record, change: ClockChange) -> _Events:
    if row["started_at"] is not None:
        raise ClockRefusal(ContestRefusal.HAS_STARTED)
    start_at = row["at"] if change.act is ClockAct.START else change.start_at
    await connection.execute(queries()["set_contest_start"].sql, contest_id, start_at)
    return [(EventType.CONTEST, "", None)]


async def _countdown(connection: Connection, contest_id: int, row: asyncpg.Record, change: ClockChange) -> _Events:
    if change.act is ClockAct.PAUSE:
        done = await connection.fetchrow(queries()["pause_countdown"].sql, contest_id, change.left_ms)
    else:
        done = await connection.fetchrow(queries()["resume_countdown"].sql, contest_id)
    if done is None:
        is_due = row["start_at"] is not None and row["start_at"] <= row["at"]
        raise ClockRefusal(ContestRefusal.HAS_STARTED if is_due else ContestRefusal.NOTHING_TO_DO)
    return [(EventType.CONTEST, "", None)]


async def _interval(
    connection: Connection, contest_id: int, row: asyncpg.Record, change: ClockChange, by: int
) -> _Events:
    if row["started_at"] is None:
        raise ClockRefusal(ContestRefusal.NOT_STARTED)
    refusal = ContestRefusal.UNKNOWN_INTERVAL
    match change.act:
        case ClockAct.PAUSE:
            if row["is_over"]:
                raise ClockRefusal(ContestRefusal.HAS_HAPPENED)
            refusal = ContestRefusal.NOTHING_TO_DO
            changed = await connection.fetchrow(queries()["pause_contest"].sql, contest_id)
        case ClockAct.RESUME:
            refusal = ContestRefusal.NOTHING_TO_DO
            changed = await connection.fetchrow(queries()["resume_contest"].sql, contest_id)
        case ClockAct.REMOVE:
            sql = queries()["remove_interval"].sql
            changed = await connection.fetchrow(sql, contest_id, change.start_at, change.end_at)
        case _:
            changed = await connection.fetchrow(queries()["restore_interval"].sql, contest_id, change.interval)
    if changed is None:
        raise ClockRefusal(refusal)
    await connection.execute(queries()["set_contest_removed"].sql, contest_id)
    former = await connection.fetchval(queries()["contest_state"].sql, contest_id)
    if change.act in {ClockAct.REMOVE, ClockAct.RESTORE}:
        settled = await connection.fetchrow(queries()["settle_contest"].sql, contest_id)
        if (
            settled is None
            or (settled["ended_at"] is None and settled["thawed_at"] is not None)
            or (settled["closed_at"] is None and row["has_shown_hidden"])
        ):
            raise ClockRefusal(ContestRefusal.HAS_HAPPENED)  # all verdicts were shown: nothing more may be sent
    data = {
        "start_at": changed["start_at"], "end_at": changed["end_at"], "is_restored": changed["is_restored"],
        "reason": change.reason, "by": by,
    }  # fmt: skip
    events: _Events = [(EventType.INTERVALS, str(changed["id"]), data)]
    if await connection.fetchval(queries()["contest_state"].sql, contest_id) != former:
        events.append((EventType.STATE, "", None))
    return events


async def _frozen(connection: Connection, contest_id: int, row: asyncpg.Record, change: ClockChange) -> _Events:
    if change.act is ClockAct.THAW:
        if row["frozen_at"] is None or row["thawed_at"] is not None:
            raise ClockRefusal(ContestRefusal.NOTHING_TO_DO)
        if row["is_over"]:  # its state may not say so yet
            await connection.execute(queries()["set_contest_thaw"].sql, contest_id)
            return [(EventType.CONTEST, "", None)]
        await connection.execute(queries()["lift_freeze"].sql, contest_id)
        return [(EventType.CONTEST, "", None), (EventType.STATE, "", None)]
    if row["started_at"] is None:
        raise ClockRefusal(ContestRefusal.NOT_STARTED)
    if row["is_over"]:
        raise ClockRefusal(ContestRefusal.HAS_HAPPENED)
    if row["frozen_at"] is not None:
        raise ClockRefusal(ContestRefusal.NOTHING_TO_DO)
    await connection.execute(queries()["freeze_contest"].sql, contest_id, row["elapsed_ms"])
    return [(EventType.CONTEST, "", None), (EventType.STATE, "", None)]


async def _length(connection: Connection, contest_id: int, row: asyncpg.Record, change: ClockChange) -> _Events:
    if row["is_over"] or change.duration_ms < (row["elapsed_ms"] or 0):
        raise ClockRefusal(ContestRefusal.HAS_HAPPENED)
    await connection.execute(queries()["set_contest_length"].sql, contest_id, change.duration_ms)
    return [(EventType.CONTEST, "", None)]


async def _extended(
    connection: Connection, contest_id: int, row: asyncpg.Record, change: ClockChange, by: int
) -> _Events:
    await _require_team(connection, contest_id, change.team_id)
    if change.extra_ms == 0:
        gone = await connection.fetchrow(queries()["remove_extension"].sql, contest_id, change.team_id)
        if gone is None:
            raise ClockRefusal(ContestRefusal.NOTHING_TO_DO)
        return [(EventType.EXTENSIONS, change.team_id, None)]
    await connection.execute(queries()["put_extension"].sql, contest_id, change.team_id, change.extra_ms)
    data = {"team_id": change.team_id, "extra_ms": change.extra_ms, "reason": change.reason, "by": by}
    if await connection.fetchrow(queries()["reopen_contest"].sql, contest_id) is None:
        return [(EventType.EXTENSIONS, change.team_id, data)]
    if row["has_shown_hidden"]:
        raise ClockRefusal(ContestRefusal.HAS_HAPPENED)  # as above
    return [(EventType.EXTENSIONS, change.team_id, data), (EventType.STATE, "", None)]


async def _require_team(connection: Connection, contest_id: int, team_id: str) -> None:
    if not storable(team_id):
        raise ClockRefusal(ContestRefusal.UNKNOWN_TEAM)
    sql = queries()["contest_object"].sql
    if await connection.fetchval(sql, contest_id, EventType.TEAMS.value, team_id) is None:
        raise ClockRefusal(ContestRefusal.UNKNOWN_TEAM)


async def _held(connection: Connection, contest_id: int, change: ClockChange) -> _Events:
    is_hold, label = change.act is ClockAct.HOLD, change.label
    data = None
    if storable(label):
        data = await connection.fetchval(queries()["contest_object"].sql, contest_id, EventType.PROBLEMS.value, label)
    if data is None:
        raise ClockRefusal(ContestRefusal.UNKNOWN_PROBLEM)
    problem_id = await connection.fetchval(queries()["pause_problem"].sql, contest_id, label, is_hold)
    if problem_id is None:
        raise ClockRefusal(ContestRefusal.NOTHING_TO_DO)
    name = "hold_outbox" if is_hold else "release_outbox"
    await connection.execute(queries()[name].sql, contest_id, problem_id)
    return [(EventType.PROBLEMS, label, {**json.loads(data), "is_paused": is_hold})]


def _details(change: ClockChange) -> dict[str, object]:
    """Return what an act says: the fields that are set."""
    fields = {name: getattr(change, name) for name in ClockChange.__dataclass_fields__}
    return {name: value for name, value in fields.items() if value not in (None, "", 0)} | {
        name: fields[name]
        for act, name in ((ClockAct.EXTEND, "extra_ms"), (ClockAct.PENALTY, "penalty_min"))
        if change.act is act
    }
