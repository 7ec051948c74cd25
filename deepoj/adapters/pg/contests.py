"""Contests in PostgreSQL (``sql/queries/contests.sql``).

What if we die here? Every change is one transaction, with its events. A change whose answer was lost is repeated: it
then writes its events a second time, which says the same of the same objects. Accounts that the first try has created
are known by their hashes.

Locks are taken in this order: the contest, problems, accounts, solved marks, and last the contest's counter
(``tell_contest``). A verdict that holds a mark waits for no contest that is locked so, but ``advance_contest``
(migration 038) locks one against verdicts, so it takes no marks.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from deepoj.adapters.pg.accounts import NamesTakenError, create_accounts, were_created
from deepoj.adapters.pg.contest_changes import locked_contest, note_act, statement_fields, tell_objects, with_kept
from deepoj.adapters.pg.contest_clock import ClockRefusal, change_clock
from deepoj.adapters.pg.contest_reviews import details_of, final_comment_of, left_to_do, store_review
from deepoj.adapters.pg.contest_rows import contest_of, rule_values
from deepoj.adapters.pg.pool import PgPool
from deepoj.adapters.pg.problems import problem_of
from deepoj.adapters.pg.sql_files import queries
from deepoj.adapters.pg.texts import clean_json, clean_text, storable
from deepoj.words.admin_events import AdminAct
from deepoj.words.contests import (
    MAX_QUESTIONS,
    ClarificationDraft,
    ClockChange,
    CommentaryDraft,
    Contest,
    ContestEvent,
    ContestKind,
    ContestMember,
    ContestObject,
    ContestPlace,
    ContestProblem,
    ContestRefusal,
    ContestRegistration,
    ContestRules,
    ContestStanding,
    ContestWaits,
    EventType,
    HostContest,
    NewMembers,
    ReviewDraft,
    team_of_one,
)
from deepoj.words.errors import Breakage, StoreUnavailable
from deepoj.words.problems import Problem

if TYPE_CHECKING:
    from deepoj.adapters.pg.pool import Connection


class PgContests:
    """Contests (``ports.Contests``)."""

    def __init__(self, pool: PgPool) -> None:
        self._pool = pool

    async def create_contest(
        self, key: str, kind: ContestKind, rules: ContestRules, *, by: int
    ) -> Contest | ContestRefusal:
        async def work(connection: Connection, again: bool) -> Contest | ContestRefusal:
            async with connection.transaction():
                row = await connection.fetchrow(
                    queries()["create_contest"].sql, clean_text(key), kind.value, *rule_values(rules), by
                )
                if row is None and again:  # the first try may have made it
                    row = await connection.fetchrow(queries()["contest"].sql, clean_text(key))
                    return ContestRefusal.KEY_TAKEN if row is None or row["created_by"] != by else contest_of(row)
                if row is None:
                    return ContestRefusal.KEY_TAKEN
                await connection.execute(queries()["tell_contest_rules"].sql, row["id"])
                await connection.execute(queries()["tell_contest_state"].sql, row["id"])
                return contest_of(row)

        return await self._pool.do(work, repeatable=True)

    async def change_contest(
        self, contest_id: int, rules: ContestRules, *, before: ContestRules | None = None, by: int
    ) -> Contest | ContestRefusal:
        async def work(connection: Connection, again: bool) -> Contest | ContestRefusal:
            async with connection.transaction():
                locked = await connection.fetchrow(queries()["lock_contest"].sql, contest_id)
                if locked is None:
                    return ContestRefusal.UNKNOWN_CONTEST
                found = contest_of(locked)
                if before not in {None, found.rules} and not (again and found.rules == rules):
                    return ContestRefusal.MOVED
                if (refusal := _refusal_to_change(found, rules)) is not None:
                    return refusal
                row = await connection.fetchrow(queries()["change_contest"].sql, contest_id, *rule_values(rules))
                changed = {
                    name: str(getattr(rules, name))
                    for name in ContestRules.__dataclass_fields__
                    if getattr(rules, name) != getattr(found.rules, name)
                }
                await note_act(connection, contest_id, by, AdminAct.CONTEST_CHANGED, changed)
                if changed.keys() & {"feedback", "is_verifying"}:
                    await connection.execute(queries()["release_contest"].sql, contest_id, None)
                reopened = await connection.fetchrow(queries()["reopen_contest"].sql, contest_id)
                await connection.execute(queries()["tell_contest_rules"].sql, contest_id)
                if reopened is not None:
                    await connection.execute(queries()["tell_contest_state"].sql, contest_id)
                return found if row is None else contest_of(row)

        return await self._pool.do(work, repeatable=True)

    async def remove_contest(self, contest_id: int, *, by: int) -> bool:
        async def work(connection: Connection, again: bool) -> bool:
            # in one: marks that are shown while the contest stays would tell what it hides
            async with connection.transaction():
                if await connection.fetchrow(queries()["show_contest_marks"].sql, contest_id) is None:
                    return again
                await connection.execute(queries()["mark_contest"].sql, contest_id)
                is_gone = await connection.fetchrow(queries()["remove_contest"].sql, contest_id, by) is not None
                await connection.execute(queries()["release_removed"].sql, contest_id)
                await connection.execute(queries()["release_contest"].sql, contest_id, None)
            return is_gone or again

        return await self._pool.do(work, repeatable=True)

    async def contest(self, key: str) -> Contest | None:
        row = await self._pool.row("contest", key, repeatable=True) if storable(key) else None
        return None if row is None else contest_of(row)

    async def contests(self, user_id: int | None, *, sees_all: bool, limit: int) -> list[Contest]:
        return [contest_of(row) for row in await self._pool.rows("contests", user_id, sees_all, limit, repeatable=True)]

    async def team_of(self, contest_id: int, user_id: int) -> str | None:
        row = await self._pool.row("team_of", contest_id, user_id, repeatable=True)
        return None if row is None else str(row["team_id"])

    async def place_of(self, job_id: str) -> ContestPlace | None:
        row = await self._pool.row("contest_place", job_id, repeatable=True)
        return None if row is None else ContestPlace(**row)

    async def hosts(self, job_ids: Sequence[str]) -> dict[tuple[str, int], str]:
        rows = await self._pool.rows("judging_hosts", job_ids, repeatable=True)
        return {(row["job_id"], row["judging"]): row["node"] for row in rows}

    async def put_problem(
        self, contest_id: int, sent: ContestProblem, *, by: int, kept: Collection[str] = ()
    ) -> ContestRefusal | None:
        async def work(connection: Connection, _again: bool) -> ContestRefusal | None:
            async with connection.transaction():
                found = await locked_contest(connection, contest_id)
                if isinstance(found, ContestRefusal):
                    return found
                problem = await with_kept(connection, contest_id, sent, kept)
                row = await connection.fetchrow(queries()["problem_of_contest"].sql, contest_id, problem.problem_id)
                if row is None:
                    return ContestRefusal.UNKNOWN_PROBLEM
                if row["label"] not in {None, problem.label}:
                    return ContestRefusal.PROBLEM_TWICE
                if row["label"] is None and await _is_used(connection, contest_id, problem.label):
                    return ContestRefusal.PROBLEM_USED
                await connection.execute(
                    queries()["put_contest_problem"].sql,
                    contest_id,
                    problem.label,
                    problem.problem_id,
                    problem.time_limit_ms,
                    problem.memory_limit_mb,
                )
                await note_act(connection, contest_id, by, AdminAct.CONTEST_CHANGED, {"problem": problem.label})
                data = {
                    "label": problem.label,
                    "ordinal": problem.ordinal,
                    "name": problem.name or row["title"],
                    "problem_id": problem.problem_id,
                    "rgb": problem.rgb,
                    "color": problem.color,
                    "time_limit_ms": problem.time_limit_ms or row["time_limit_ms"],
                    "memory_limit_mb": problem.memory_limit_mb or row["memory_limit_mb"],
                    "tests": problem.tests,
                    "max_score": problem.max_score,
                    "is_paused": row["is_paused"],
                    **await statement_fields(connection, contest_id, problem.problem_id),
                }
                await tell_objects(connection, contest_id, [ContestObject(EventType.PROBLEMS, problem.label, data)])
                return None

        return await self._pool.do(work, repeatable=True)

    async def is_over_for(self, user_id: int, key: str, label: str, problem_id: int) -> bool:
        if not storable(key) or not storable(label):
            return False
        row = await self._pool.row("is_contest_over_for", user_id, key, label, problem_id, repeatable=True)
        return row is not None

    async def host_of_problem(self, user_id: int, problem_id: int) -> HostContest | None:
        row = await self._pool.row("contest_with_problem", user_id, problem_id, repeatable=True)
        return None if row is None else HostContest(**row)

    async def taken_problem(self, contest_id: int, problem_id: int) -> Problem | None:
        row = await self._pool.row("taken_problem", contest_id, problem_id, repeatable=True)
        return None if row is None else problem_of(row)

    async def remove_problem(self, contest_id: int, label: str, *, by: int) -> ContestRefusal | None:
        async def work(connection: Connection, _again: bool) -> ContestRefusal | None:
            async with connection.transaction():
                found = await locked_contest(connection, contest_id)
                if isinstance(found, ContestRefusal):
                    return found
                if await _is_used(connection, contest_id, label):
                    return ContestRefusal.PROBLEM_USED
                if await connection.fetchrow(queries()["remove_contest_problem"].sql, contest_id, label) is not None:
                    await note_act(connection, contest_id, by, AdminAct.CONTEST_CHANGED, {"problem_removed": label})
                    await tell_objects(connection, contest_id, [ContestObject(EventType.PROBLEMS, label, None)])
                return None

        return await self._pool.do(work, repeatable=True)

    async def put_objects(
        self,
        contest_id: int,
        objects: Sequence[ContestObject],
        members: Sequence[ContestMember] = (),
        *,
        by: int,
        new: NewMembers | None = None,
    ) -> frozenset[str] | ContestRefusal:
        async def put(connection: Connection) -> frozenset[str] | ContestRefusal:
            async with connection.transaction():
                found = await locked_contest(connection, contest_id)
                if isinstance(found, ContestRefusal):
                    return found
                names = [one.username for one in members if storable(one.username)]
                new_names = {one.username for one in new.accounts} if new is not None else set()
                ids = await _ids_of(connection, names)
                if unknown := {one.username for one in members} - ids.keys() - new_names:
                    return frozenset(unknown)
                if new is not None:
                    await create_accounts(connection, new.accounts, new.by)
                    ids = await _ids_of(connection, names)
                deleted = [one.id for one in objects if one.type is EventType.TEAMS and one.data is None]
                left = await connection.fetch(queries()["remove_contest_members"].sql, contest_id, deleted)
                teams = {ids[one.username]: one.team_id for one in members}
                bound = {ids[one.username]: ",".join(one.networks) for one in members}
                networks = [bound[user_id] for user_id in teams]
                await connection.execute(
                    queries()["put_contest_members"].sql, contest_id, list(teams), list(teams.values()), networks
                )
                details: dict[str, object] = {"objects": len(objects), "members": len(members)}
                if bindings := [f"{one.username} {','.join(one.networks)}" for one in members if one.networks]:
                    details |= {"bound": len(bindings), "networks": bindings[:_MAX_NOTED]}
                await note_act(connection, contest_id, by, AdminAct.CONTEST_CHANGED, details)
                gone = [ContestObject(EventType.ACCOUNTS, str(row["user_id"]), None) for row in left]
                accounts = [
                    ContestObject(EventType.ACCOUNTS, str(user_id), {"type": "team", "team_id": team_id})
                    for user_id, team_id in teams.items()
                ]
                await tell_objects(connection, contest_id, [*objects, *gone, *accounts])
                return frozenset()

        async def work(connection: Connection, again: bool) -> frozenset[str] | ContestRefusal:
            try:
                return await put(connection)
            except NamesTakenError as error:
                is_done = again and new is not None and await were_created(connection, new.accounts)
                return frozenset() if is_done else error.names

        return await self._pool.do(work, repeatable=True)

    async def register(self, contest_id: int, user_id: int) -> str | ContestRefusal:
        async def work(connection: Connection, _again: bool) -> str | ContestRefusal:
            async with connection.transaction():
                found = await locked_contest(connection, contest_id)
                if isinstance(found, ContestRefusal):
                    return found
                former = await connection.fetchval(queries()["team_of"].sql, contest_id, user_id)
                if former is not None:
                    return str(former)
                if found.rules.registration is not ContestRegistration.OPEN or found.ended_at is not None:
                    return ContestRefusal.REGISTRATION_CLOSED
                team = team_of_one(user_id)
                await connection.fetchrow(queries()["register_in_contest"].sql, contest_id, user_id, team.id)
                account = ContestObject(EventType.ACCOUNTS, str(user_id), {"type": "team", "team_id": team.id})
                await tell_objects(connection, contest_id, [team, account])
                return team.id

        return await self._pool.do(work, repeatable=True)

    async def withdraw(self, contest_id: int, user_id: int) -> ContestRefusal | None:
        async def work(connection: Connection, again: bool) -> ContestRefusal | None:
            async with connection.transaction():
                found = await locked_contest(connection, contest_id)
                if isinstance(found, ContestRefusal):
                    return found
                if found.rules.registration is not ContestRegistration.OPEN or found.ended_at is not None:
                    return ContestRefusal.REGISTRATION_CLOSED
                team_id = team_of_one(user_id).id
                row = await connection.fetchrow(queries()["own_team_of_account"].sql, contest_id, user_id, team_id)
                if row is None:
                    return None if again else ContestRefusal.NOT_REGISTERED
                if row["is_used"]:
                    return ContestRefusal.HAS_STARTED
                await connection.execute(queries()["remove_contest_members"].sql, contest_id, [team_id])
                gone = [(EventType.ACCOUNTS, str(user_id)), (EventType.TEAMS, team_id)]
                await tell_objects(connection, contest_id, [ContestObject(*one, None) for one in gone])
                return None

        return await self._pool.do(work, repeatable=True)

    async def clarify(self, contest_id: int, draft: ClarificationDraft) -> str | ContestRefusal:
        async def work(connection: Connection, _again: bool) -> str | ContestRefusal:
            async with connection.transaction():
                found = await locked_contest(connection, contest_id)
                if isinstance(found, ContestRefusal):
                    return found
                row = await connection.fetchrow(queries()["contest_clarification"].sql, contest_id, draft.reply_to_id)
                if row is None or not row["is_known"]:
                    return ContestRefusal.UNKNOWN_CLARIFICATION
                team = draft.from_team_id
                if await connection.fetchval(queries()["open_questions"].sql, contest_id, team) >= MAX_QUESTIONS:
                    return ContestRefusal.QUESTIONS_FULL
                clarification_id = str(row["number"] + 1)
                data = {
                    "from_team_id": draft.from_team_id,
                    "to_team_ids": None if draft.to_team_ids is None else list(draft.to_team_ids),
                    "reply_to_id": draft.reply_to_id,
                    "problem_id": draft.problem_id,
                    "category": draft.category,
                    "text": draft.text,
                    "at": row["at"],
                }
                await tell_objects(
                    connection, contest_id, [ContestObject(EventType.CLARIFICATIONS, clarification_id, data)]
                )
                return clarification_id

        return await self._pool.do(work, repeatable=False)

    async def comment(self, contest_id: int, draft: CommentaryDraft) -> str | ContestRefusal:
        async def work(connection: Connection, _again: bool) -> str | ContestRefusal:
            async with connection.transaction():
                found = await locked_contest(connection, contest_id)
                if isinstance(found, ContestRefusal):
                    return found
                row = await connection.fetchrow(
                    queries()["tell_contest_commentary"].sql, contest_id, clean_json(asdict(draft))
                )
                return str(row["id"]) if row is not None else ContestRefusal.UNKNOWN_CONTEST

        return await self._pool.do(work, repeatable=False)

    async def review(
        self, contest_id: int, submission_id: int, draft: ReviewDraft, *, by: int
    ) -> ContestRefusal | None:
        async def work(connection: Connection, again: bool) -> ContestRefusal | None:
            async with connection.transaction():
                found = await locked_contest(connection, contest_id)
                if isinstance(found, ContestRefusal):
                    return found
                done = await store_review(connection, contest_id, submission_id, draft, by=by, again=again)
                if isinstance(done, ContestRefusal):
                    return done
                details = details_of(submission_id, draft)
                await note_act(connection, contest_id, by, AdminAct.CONTEST_REVIEWED, details)
                await tell_objects(connection, contest_id, [done])
                return None

        return await self._pool.do(work, repeatable=True)

    async def finalize(
        self, contest_id: int, awards: Sequence[ContestObject], after: int, *, by: int, comment: str = ""
    ) -> Contest | ContestRefusal:
        async def work(connection: Connection, again: bool) -> Contest | ContestRefusal:
            async with connection.transaction():
                found = await locked_contest(connection, contest_id)
                if isinstance(found, ContestRefusal):
                    if found is not ContestRefusal.FINALIZED or not again:
                        return found
                    row = await connection.fetchrow(queries()["lock_contest"].sql, contest_id)
                    return found if row is None else contest_of(row)
                if found.ended_at is None or await connection.fetchval(queries()["contest_is_open"].sql, contest_id):
                    return ContestRefusal.NOT_OVER
                if (refusal := await left_to_do(connection, found)) is not None:
                    return refusal
                row = await connection.fetchrow(queries()["finalize_contest"].sql, contest_id)
                final = found if row is None else contest_of(row)
                await note_act(connection, contest_id, by, AdminAct.CONTEST_FINALIZED, {})
                if await connection.fetchval(queries()["contest_last_event"].sql, contest_id) != after:
                    raise _Outdated
                remarks = [final_comment_of(final, comment)] if comment else []
                await tell_objects(connection, contest_id, [*awards, *remarks])
                await connection.execute(queries()["tell_contest_state"].sql, contest_id)
                await connection.execute(queries()["close_contest_ledger"].sql, contest_id)
                return final

        try:
            return await self._pool.do(work, repeatable=True)
        except _Outdated:
            return ContestRefusal.UNJUDGED

    async def change_clock(self, contest_id: int, change: ClockChange, *, by: int) -> Contest | ContestRefusal:
        async def work(connection: Connection, _again: bool) -> Contest | ContestRefusal:
            async with connection.transaction():
                await change_clock(connection, contest_id, change, by)
                row = await connection.fetchrow(queries()["lock_contest"].sql, contest_id)
                return ContestRefusal.UNKNOWN_CONTEST if row is None else contest_of(row)

        try:
            return await self._pool.do(work, repeatable=False)
        except ClockRefusal as ended:
            return ended.refusal

    async def standing(self) -> ContestStanding:
        row = await self._pool.row("due_contests", repeatable=True)
        if row is None:
            raise AssertionError("an aggregate always has one row")
        return ContestStanding(tuple(row["due"]), row["running"], row["events"])

    async def advance(self) -> Collection[int]:
        changed: list[int] = []
        broken: Breakage | None = None
        for contest_id in (await self.standing()).due:
            try:
                told = await self._pool.row("advance_contest", contest_id, repeatable=True)
                if told is not None and told["told"]:
                    changed.append(contest_id)
                await self._pool.row("mark_contest", contest_id, repeatable=True)
            except StoreUnavailable:
                raise
            except Breakage as breakage:
                broken = broken or breakage
        if broken is not None:
            raise broken
        return changed

    async def waits(self, contest_id: int, latest: int) -> ContestWaits:
        row = await self._pool.row("contest_waits", contest_id, latest, repeatable=True)
        if row is None:
            raise AssertionError("an aggregate always has one row")
        return ContestWaits(**dict(row))

    async def events(self, contest_id: int, after: int, limit: int) -> list[ContestEvent]:
        rows = await self._pool.rows("contest_events", contest_id, after, limit, repeatable=True)
        return [
            ContestEvent(
                row["number"], row["at"], ContestObject(_TYPES[row["type"]], row["object_id"], _data(row["data"]))
            )
            for row in rows
        ]


#: accounts whose binding the record of an import names; it counts all
_MAX_NOTED = 100
_TYPES = {type_.value: type_ for type_ in EventType}


def _data(text: str | None) -> Mapping[str, Any] | None:
    """Return the data of an event. Its runs are tuples: the garbage collector looks at lists again and again, and a
    ledger has a million of them, which made the reading of one twice as long."""
    if text is None:
        return None
    data: dict[str, Any] = json.loads(text)
    if "runs" in data:
        data["runs"] = tuple(map(tuple, data["runs"]))
    return data


class _Outdated(Exception):
    """Ends a transaction that must not stay: there are events that the caller has not seen."""


def _refusal_to_change(found: Contest, rules: ContestRules) -> ContestRefusal | None:
    before = found.rules
    if found.finalized_at is not None and rules != replace(before, thaw_at=rules.thaw_at):
        return ContestRefusal.FINALIZED
    if found.started_at is not None and rules.start_at != before.start_at:
        return ContestRefusal.HAS_STARTED
    moves_freeze = rules.freeze_at_ms != before.freeze_at_ms
    moves_end = rules.duration_ms != before.duration_ms
    if (
        (found.frozen_at is not None and moves_freeze)
        or (found.ended_at is not None and (moves_end or moves_freeze))
        or (found.thawed_at is not None and rules.thaw_at != before.thaw_at)
        or (found.closed_at is not None and rules.late_ms < before.late_ms)
        or (found.has_shown_hidden and rules.late_ms != before.late_ms)
    ):
        return ContestRefusal.HAS_HAPPENED
    return None


async def _ids_of(connection: Connection, names: Sequence[str]) -> dict[str, int]:
    """Return the ids of the accounts with these names."""
    return {row["name"]: row["id"] for row in await connection.fetch(queries()["accounts_named"].sql, names)}


async def _is_used(connection: Connection, contest_id: int, label: str) -> bool:
    return bool(await connection.fetchval(queries()["contest_problem_is_used"].sql, contest_id, label))
