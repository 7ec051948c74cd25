"""Privacy, export and erasure of accounts in PostgreSQL (``sql/queries/account_data.sql``).

What if we die here? An erasure is one transaction, which marks the account. Sources go in batches of one statement
each, until a round of any node finds none and takes the mark away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deepoj.adapters.pg.job_ids import run_id_of
from deepoj.adapters.pg.pool import PgPool
from deepoj.adapters.pg.sql_files import queries
from deepoj.adapters.pg.submission_lists import place_of_row, time_of
from deepoj.adapters.pg.submissions import submission_of
from deepoj.adapters.pg.texts import clean_text
from deepoj.words.account_data import OwnRun, OwnSubmissions, ProfileFor
from deepoj.words.accounts import RightsRefusal
from deepoj.words.submissions import ListPlace

if TYPE_CHECKING:
    from deepoj.adapters.pg.pool import Connection


class PgAccountData:
    """Privacy, export and erasure (``ports.AccountData``)."""

    def __init__(self, pool: PgPool) -> None:
        self._pool = pool

    async def change_email(self, user_id: int, email: str | None) -> bool:
        cleaned = None if email is None else clean_text(email)
        return await self._pool.row("change_email", user_id, cleaned, repeatable=True) is not None

    async def profile_for(self, user_id: int) -> ProfileFor:
        row = await self._pool.row("profile_for", user_id, repeatable=True)
        return ProfileFor.ADMINISTRATORS if row is None else ProfileFor(row["profile_for"])

    async def set_profile_for(self, user_id: int, profile_for: ProfileFor) -> None:
        await self._pool.rows("set_profile_for", user_id, profile_for, repeatable=True)

    async def own_submissions(self, user_id: int, after: ListPlace | None, limit: int) -> OwnSubmissions:
        place = after or ListPlace(0, 0)
        rows = await self._pool.rows("own_submissions", user_id, time_of(place), limit + 1, place.id, repeatable=True)
        page = rows[:limit]
        following = place_of_row(page[-1]) if len(rows) > limit else None
        return OwnSubmissions(tuple(map(submission_of, page)), following)

    async def own_runs(self, user_id: int, keep_s: float) -> list[OwnRun]:
        return [
            OwnRun(
                run_id=run_id_of(row["run_id"]),
                language=row["language"],
                code=row["code"],
                stdin=row["stdin"],
                status=row["status"],
                stdout=row["stdout"] or b"",
                stderr=row["stderr"] or b"",
                created_at=row["created_at"].isoformat(),
            )
            for row in await self._pool.rows("own_runs", user_id, keep_s, repeatable=True)
        ]

    async def erase(self, user_id: int, *, by: int | None, operator: str = "operator") -> str | RightsRefusal:
        """Erase an account, as the port says. Of two administrators who erase themselves, or each other, at the same
        time, the second sees what the first has left."""

        async def work(connection: Connection, again: bool) -> str | RightsRefusal:
            async with connection.transaction():
                rows = await connection.fetch(queries()["lock_administrators"].sql)
                administrators = {row["id"] for row in rows}
                if by is not None and by != user_id and by not in administrators:
                    return RightsRefusal.NOT_ADMINISTRATOR
                if administrators == {user_id}:
                    return RightsRefusal.LAST_ADMINISTRATOR
                name = await connection.fetchval(queries()["erase_account"].sql, user_id, by, operator, again)
                if name is None:
                    return RightsRefusal.UNKNOWN_USER
                await connection.execute(queries()["tell_contests_of_account"].sql, user_id)
                await connection.execute(queries()["tell_own_teams_of_account"].sql, user_id)
                return str(name)

        return await self._pool.do(work, repeatable=True)

    async def erase_sources(self, limit: int) -> int:
        row = await self._pool.row("erase_sources", limit, repeatable=True)
        count: int = 0 if row is None else row["count"]
        if count == 0:
            await self._pool.rows("end_erasures", repeatable=True)
        return count
