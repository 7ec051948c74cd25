"""What is set up around contests, in PostgreSQL (``sql/queries/contest_setup.sql``).

What if we die here? Every change is one transaction, with its events. Locks are taken as in ``contests``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from deepoj.adapters.pg.contest_changes import locked_contest, note_act, tell_objects
from deepoj.adapters.pg.contest_rows import contest_of
from deepoj.adapters.pg.pool import PgPool
from deepoj.adapters.pg.sql_files import queries
from deepoj.adapters.pg.texts import clean_text, storable
from deepoj.words.admin_events import AdminAct
from deepoj.words.contest_setup import DraftInContest, PendingPasswords, TeamLogin
from deepoj.words.contests import ContestObject, ContestRefusal, EventType

if TYPE_CHECKING:
    from deepoj.adapters.pg.pool import Connection

_OF_PROBLEMS = (EventType.PROBLEMS, EventType.TEXTS)
#: in the order in which they name each other
_OF_TEAMS = (EventType.GROUPS, EventType.ORGANIZATIONS, EventType.TEAMS, EventType.ACCOUNTS)


class PgContestSetup:
    """What is set up around contests (``ports.ContestSetup``)."""

    def __init__(self, pool: PgPool) -> None:
        self._pool = pool

    async def copy_contest(
        self,
        contest_id: int,
        key: str,
        *,
        name: str | None,
        start_at: dt.datetime | None,
        with_teams: bool,
        by: int,
    ) -> ContestRefusal | None:
        async def work(connection: Connection, again: bool) -> ContestRefusal | None:
            async with connection.transaction():
                if await connection.fetchrow(queries()["lock_contest"].sql, contest_id) is None:
                    return ContestRefusal.UNKNOWN_CONTEST
                shown = None if name is None else clean_text(name)
                values = (contest_id, clean_text(key), shown, start_at, by)
                made = await connection.fetchval(queries()["copy_contest"].sql, *values)
                if made is None:
                    row = await connection.fetchrow(queries()["contest"].sql, clean_text(key))
                    is_ours = again and row is not None and row["created_by"] == by  # the first try may have made it
                    return None if is_ours else ContestRefusal.KEY_TAKEN
                await connection.execute(queries()["copy_contest_rows"].sql, contest_id, made, with_teams)
                await note_act(connection, made, by, AdminAct.CONTEST_CREATED, {"copy_of": contest_id})
                await connection.execute(queries()["copy_contest_texts"].sql, contest_id, made)
                await connection.execute(queries()["tell_contest_rules"].sql, made)
                await connection.execute(queries()["tell_contest_state"].sql, made)
                types = [type_.value for type_ in (*_OF_PROBLEMS, *(_OF_TEAMS if with_teams else ()))]
                await connection.execute(queries()["copy_contest_objects"].sql, contest_id, made, types)
                return None

        return await self._pool.do(work, repeatable=True)

    async def remove_team(self, contest_id: int, team_id: str, *, by: int) -> ContestRefusal | None:
        async def work(connection: Connection, _again: bool) -> ContestRefusal | None:
            async with connection.transaction():
                found = await locked_contest(connection, contest_id)
                if isinstance(found, ContestRefusal):
                    return found
                if await connection.fetchval(queries()["contest_team_is_used"].sql, contest_id, team_id):
                    return ContestRefusal.TEAM_USED
                left = await connection.fetch(queries()["remove_contest_members"].sql, contest_id, [team_id])
                await note_act(connection, contest_id, by, AdminAct.CONTEST_CHANGED, {"team_removed": team_id})
                gone = [(EventType.TEAMS, team_id), *((EventType.ACCOUNTS, str(row["user_id"])) for row in left)]
                await tell_objects(connection, contest_id, [ContestObject(*one, None) for one in gone])
                return None

        return await self._pool.do(work, repeatable=True)

    async def bind_team(
        self, contest_id: int, team_id: str, networks: Sequence[str] | None, *, by: int
    ) -> ContestRefusal | None:
        async def work(connection: Connection, _again: bool) -> ContestRefusal | None:
            async with connection.transaction():
                found = await locked_contest(connection, contest_id)
                if isinstance(found, ContestRefusal):
                    return found
                bound = None if networks is None else list(networks)
                await connection.execute(queries()["set_team_networks"].sql, contest_id, team_id, bound)
                await note_act(
                    connection, contest_id, by, AdminAct.CONTEST_CHANGED, {"team": team_id, "networks": bound}
                )
                return None

        return await self._pool.do(work, repeatable=True)

    async def bound_teams(self, contest_id: int) -> Mapping[str, Sequence[str]]:
        rows = await self._pool.rows("team_networks", contest_id, repeatable=True)
        return {row["team_id"]: tuple(row["networks"]) for row in rows}

    async def with_role(self, contest_id: int, usernames: Collection[str]) -> set[str]:
        names = [name for name in usernames if storable(name)]
        return {row["name"] for row in await self._pool.rows("accounts_with_role", contest_id, names, repeatable=True)}

    async def team_logins(self, contest_id: int, team_ids: Collection[str] | None) -> list[TeamLogin]:
        wanted = None if team_ids is None else list(team_ids)
        rows = await self._pool.rows("team_accounts", contest_id, wanted, repeatable=True)
        return [TeamLogin(row["team_id"], row["id"], row["username"], row["is_mighty"]) for row in rows]

    async def keep_passwords(
        self, contest_id: int, set_id: str, hashes: Mapping[int, str], *, by: int
    ) -> ContestRefusal | None:
        async def work(connection: Connection, _again: bool) -> ContestRefusal | None:
            async with connection.transaction():
                if await connection.fetchrow(queries()["lock_contest"].sql, contest_id) is None:
                    return ContestRefusal.UNKNOWN_CONTEST
                values = (contest_id, set_id, list(hashes), list(hashes.values()), by)
                stored = await connection.execute(queries()["keep_passwords"].sql, *values)
                if stored == "INSERT 0 0":  # the first try has done it
                    return None
                made = {"passwords_made": len(hashes)}
                await note_act(connection, contest_id, by, AdminAct.CONTEST_CHANGED, made)
                return None

        return await self._pool.do(work, repeatable=True)

    async def pending_passwords(self, contest_id: int) -> list[PendingPasswords]:
        return [
            PendingPasswords(
                set_id=row["set_id"],
                made_at=row["made_at"].isoformat(),
                made_by=row["made_by"],
                applied_at=None if row["applied_at"] is None else row["applied_at"].isoformat(),
                usernames=tuple(row["usernames"]),
                sessions=row["sessions"],
            )
            for row in await self._pool.rows("pending_passwords", contest_id, repeatable=True)
        ]

    async def apply_passwords(self, contest_id: int, set_id: str, *, by: int) -> list[str] | ContestRefusal:
        async def work(connection: Connection, _again: bool) -> list[str]:
            async with connection.transaction():  # one act with a set at a time: neither is applied and thrown away
                await connection.fetchrow(queries()["lock_contest"].sql, contest_id)
                rows = await connection.fetch(queries()["apply_passwords"].sql, contest_id, clean_text(set_id), by)
                return [row["username"] for row in rows]

        return await self._pool.do(work, repeatable=True) or ContestRefusal.UNKNOWN_PASSWORDS

    async def drop_passwords(self, contest_id: int, set_id: str, *, by: int) -> ContestRefusal | None:
        async def work(connection: Connection, again: bool) -> ContestRefusal | None:
            async with connection.transaction():
                await connection.fetchrow(queries()["lock_contest"].sql, contest_id)
                count = await connection.fetchval(queries()["drop_passwords"].sql, contest_id, clean_text(set_id))
                if not count:  # the first try may have done it
                    return None if again else ContestRefusal.UNKNOWN_PASSWORDS
                dropped = {"passwords_dropped": count}
                await note_act(connection, contest_id, by, AdminAct.CONTEST_CHANGED, dropped)
                return None

        return await self._pool.do(work, repeatable=True)

    async def delete_old_passwords(self, limit: int) -> int:
        row = await self._pool.row("delete_old_passwords", limit, repeatable=True)
        count: int = 0 if row is None else row["count"]
        return count

    async def drafts(self, contest_id: int) -> list[DraftInContest]:
        rows = await self._pool.rows("contest_drafts", contest_id, repeatable=True)
        return [DraftInContest(**row) for row in rows]

    async def open_problems(self, contest_id: int, *, by: int) -> list[str] | ContestRefusal:
        async def work(connection: Connection, _again: bool) -> list[str] | ContestRefusal:
            async with connection.transaction():
                row = await connection.fetchrow(queries()["lock_contest"].sql, contest_id)
                if row is None:
                    return ContestRefusal.UNKNOWN_CONTEST
                if not contest_of(row).shows_all:
                    return ContestRefusal.NOT_OVER
                drafts = await connection.fetch(queries()["contest_drafts"].sql, contest_id)
                to_open = {one["problem_id"]: one["label"] for one in drafts if one["other_key"] is None}
                opened = await connection.fetch(queries()["list_drafts"].sql, list(to_open), by)
                labels = sorted(to_open[one["id"]] for one in opened)
                if labels:
                    await note_act(connection, contest_id, by, AdminAct.CONTEST_CHANGED, {"practice": labels})
                return labels

        return await self._pool.do(work, repeatable=True)
