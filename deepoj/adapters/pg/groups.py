"""Groups of people in PostgreSQL (``sql/queries/groups.sql``).

What if we die here? Every change is one transaction, with its row in the log of administrative acts. A change whose
answer was lost is repeated; the second has the same effect and writes no second row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import asyncpg

from deepoj.adapters.pg.pool import PgPool
from deepoj.adapters.pg.sql_files import queries
from deepoj.adapters.pg.texts import clean_text, storable
from deepoj.words.groups import GroupRefusal, UserGroup
from deepoj.words.names import name_key

if TYPE_CHECKING:
    from deepoj.adapters.pg.pool import Connection


class PgGroups:
    """Groups (``ports.Groups``)."""

    def __init__(self, pool: PgPool) -> None:
        self._pool = pool

    async def create_group(self, name: str, *, by: str) -> UserGroup | GroupRefusal:
        async def work(connection: Connection, again: bool) -> UserGroup | GroupRefusal:
            row = await connection.fetchrow(queries()["create_group"].sql, clean_text(name), by)
            if row is None and again:  # the first try may have made it
                row = await connection.fetchrow(queries()["group_named"].sql, clean_text(name))
            return GroupRefusal.NAME_TAKEN if row is None else _group(row)

        return await self._pool.do(work, repeatable=True)

    async def rename_group(self, group_id: int, name: str, *, by: str) -> UserGroup | GroupRefusal:
        async def work(connection: Connection, _again: bool) -> UserGroup | GroupRefusal:
            try:
                await connection.fetchrow(queries()["rename_group"].sql, group_id, clean_text(name), by)
            except asyncpg.UniqueViolationError:
                return GroupRefusal.NAME_TAKEN
            row = await connection.fetchrow(queries()["group"].sql, group_id)
            return GroupRefusal.UNKNOWN_GROUP if row is None else _group(row)

        return await self._pool.do(work, repeatable=True)

    async def remove_group(self, group_id: int, *, by: str) -> bool:
        async def work(connection: Connection, again: bool) -> bool:
            return await connection.fetchrow(queries()["remove_group"].sql, group_id, by) is not None or again

        return await self._pool.do(work, repeatable=True)

    async def group(self, group_id: int) -> UserGroup | None:
        row = await self._pool.row("group", group_id, repeatable=True)
        return None if row is None else _group(row)

    async def group_named(self, name: str) -> UserGroup | None:
        row = await self._pool.row("group_named", name, repeatable=True) if storable(name) else None
        return None if row is None else _group(row)

    async def groups(self, limit: int, *, after: str = "") -> list[UserGroup]:
        return [_group(row) for row in await self._pool.rows("groups", clean_text(after), limit, repeatable=True)]

    async def groups_of(self, user_ids: Sequence[int]) -> Mapping[int, Sequence[str]]:
        names = defaultdict[int, list[str]](list)
        for row in await self._pool.rows("groups_of", list(user_ids), repeatable=True):
            names[row["user_id"]].append(row["name"])
        return {user_id: sorted(found, key=name_key) for user_id, found in names.items()}

    async def add_members(self, group_id: int, usernames: Sequence[str], *, by: str) -> frozenset[str] | GroupRefusal:
        async def work(connection: Connection, _again: bool) -> frozenset[str] | GroupRefusal:
            async with connection.transaction():
                if await connection.fetchrow(queries()["lock_group"].sql, group_id) is None:
                    return GroupRefusal.UNKNOWN_GROUP
                names = [name for name in usernames if storable(name)]
                known = {row["name"] for row in await connection.fetch(queries()["taken_names"].sql, names)}
                if unknown := frozenset(usernames) - known:
                    return unknown
                await connection.execute(queries()["add_members"].sql, group_id, names, by)
                return frozenset()

        return await self._pool.do(work, repeatable=True)

    async def remove_member(self, group_id: int, user_id: int, *, by: str) -> bool:
        async def work(connection: Connection, again: bool) -> bool:
            row = await connection.fetchrow(queries()["remove_member"].sql, group_id, user_id, by)
            return row is not None or again

        return await self._pool.do(work, repeatable=True)


def _group(row: asyncpg.Record) -> UserGroup:
    return UserGroup(id=row["id"], name=row["name"], created_at=row["created_at"].isoformat(), members=row["members"])
