"""Users and problems in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from deepoj.adapters.pg.account_records import PgAccountRecords, credentials_of, user_of
from deepoj.adapters.pg.batcher import Batcher
from deepoj.adapters.pg.pool import PgPool
from deepoj.adapters.pg.sql_files import queries
from deepoj.adapters.pg.texts import clean_text, storable
from deepoj.words.accounts import AccountRefusal, Credentials, User
from deepoj.words.problems import Problem, ProblemChange, ProblemRefusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from deepoj.adapters.pg.pool import Connection


#: accounts per query
_MOST_ACCOUNTS = 64


class PgAccounts(PgAccountRecords):
    """Accounts (``ports.Accounts``)."""

    def __init__(self, pool: PgPool) -> None:
        super().__init__(pool)
        # two lanes, so that a slow answer does not delay all later ones
        self._asked = Batcher(self._credentials_of, lanes=2, most=_MOST_ACCOUNTS)

    async def create_user(
        self, username: str, password_hash: str, email: str | None, *, is_admin: bool = False
    ) -> User | AccountRefusal:
        sql = queries()["create_user"].sql
        clean_email = None if email is None else clean_text(email)

        async def work(connection: Connection, again: bool) -> asyncpg.Record | None:
            return await connection.fetchrow(sql, clean_text(username), password_hash, clean_email, is_admin, again)

        row = await self._pool.do(work, repeatable=True)
        return AccountRefusal.USERNAME_TAKEN if row is None else user_of(row)

    async def credentials(self, username: str) -> Credentials | None:
        if not storable(username):
            return None
        return credentials_of(await self._pool.row("credentials", username, repeatable=True))

    async def credentials_by_id(self, user_id: int) -> Credentials | None:
        """Return an account, as the port says.

        Every request with a token asks for one, so concurrent requests share a statement. That statement begins after
        each of them came: it sees every revocation before them.
        """
        return await self._asked.do(user_id)

    async def _credentials_of(self, user_ids: Sequence[int]) -> Sequence[Credentials | None]:
        rows = await self._pool.rows("credentials_by_ids", list(set(user_ids)), repeatable=True)
        accounts = {row["id"]: credentials_of(row) for row in rows}
        return [accounts.get(user_id) for user_id in user_ids]

    async def set_password(self, user_id: int, password_hash: str, *, temporary: bool = False) -> int:
        """Set a password and revoke the account's tokens. Raises LookupError for an unknown account. Repeatable."""
        row = await self._pool.row("set_password", user_id, password_hash, temporary, repeatable=True)
        if row is None:
            raise LookupError(f"there is no account {user_id}")
        epoch: int = row["token_epoch"]
        return epoch

    async def promote(self, username: str) -> User | None:
        if not storable(username):
            return None
        row = await self._pool.row("promote", username, repeatable=True)
        return None if row is None else user_of(row)


class PgProblems:
    """Problems (``ports.Problems``)."""

    def __init__(self, pool: PgPool) -> None:
        self._pool = pool

    async def reserve_problem_id(self) -> int:
        row = await self._pool.row("reserve_problem_id", repeatable=True)
        if row is None:
            raise AssertionError("a sequence always answers")
        problem_id: int = row["nextval"]
        return problem_id

    async def insert_problem(self, problem: Problem) -> None:
        """Insert a problem; overwrite one with the same id."""
        await self._pool.row(
            "insert_problem",
            problem.id,
            clean_text(problem.title),
            clean_text(problem.description),
            clean_text(problem.difficulty),
            problem.time_limit_ms,
            problem.memory_limit_mb,
            problem.compare,
            problem.data_path,
            problem.data_hash,
            problem.version,
            problem.unchecked,
            problem.broken,
            repeatable=True,
        )

    async def problem(self, problem_id: int) -> Problem | None:
        row = await self._pool.row("problem", problem_id, repeatable=True)
        return None if row is None else problem_of(row)

    async def problems(self, after_id: int, limit: int) -> list[Problem]:
        return [problem_of(row) for row in await self._pool.rows("problems", after_id, limit, repeatable=True)]

    async def update_problem(self, problem_id: int, change: ProblemChange) -> Problem | None:
        row = await self._pool.row(
            "update_problem",
            problem_id,
            _clean(change.title),
            _clean(change.description),
            _clean(change.difficulty),
            change.time_limit_ms,
            change.memory_limit_mb,
            change.compare,
            change.data_path,
            change.data_hash,
            _clean(change.unchecked),
            repeatable=True,
        )
        return None if row is None else problem_of(row)

    async def unchecked_problems(self, after_id: int, limit: int) -> list[Problem]:
        rows = await self._pool.rows("unchecked_problems", after_id, limit, repeatable=True)
        return [problem_of(row) for row in rows]

    async def tell_programs(self, problem_id: int, data_hash: str, broken: str | None) -> None:
        await self._pool.row("tell_programs", problem_id, data_hash, _clean(broken), repeatable=True)

    async def note_object(self, key: str) -> None:
        await self._pool.row("note_object", key, repeatable=True)

    async def loose_objects(self, keep_s: float, limit: int) -> list[str]:
        return [row["key"] for row in await self._pool.rows("loose_objects", keep_s, limit, repeatable=True)]

    async def forget_objects(self, keys: Sequence[str]) -> None:
        await self._pool.row("forget_objects", list(keys), repeatable=True)

    async def object_keys(self) -> dict[str, bool]:
        """Return the key of every object: True if a problem names it, False if only ``loose_objects`` does."""
        return {row["key"]: row["named"] for row in await self._pool.rows("object_keys", repeatable=True)}

    async def delete_problem(self, problem_id: int) -> ProblemRefusal | None:
        """Delete a problem, as the port says; a second try after a lost answer finds no row and returns None."""

        async def work(connection: Connection, again: bool) -> ProblemRefusal | None:
            async with connection.transaction():
                if await connection.fetchrow(queries()["delete_problem_lock"].sql, problem_id) is None:
                    return None if again else ProblemRefusal.UNKNOWN_PROBLEM
                deleted = await connection.fetchrow(queries()["delete_problem"].sql, problem_id)
                return ProblemRefusal.HAS_SUBMISSIONS if deleted is None else None

        return await self._pool.do(work, repeatable=True)

    async def delete_submissions_of(self, problem_id: int, limit: int) -> int:
        """Delete a page of a problem's submissions, as the port says; a second try deletes the next page."""
        row = await self._pool.row("delete_submissions_of", problem_id, limit, repeatable=True)
        count: int = 0 if row is None else row["count"]
        return count


def _clean(value: str | None) -> str | None:
    return None if value is None else clean_text(value)


def problem_of(row: asyncpg.Record) -> Problem:
    """Return the problem in a row that has its columns under these names."""
    return Problem(
        id=row["id"],
        title=row["title"],
        description=row["description"],
        difficulty=row["difficulty"],
        time_limit_ms=row["time_limit_ms"],
        memory_limit_mb=row["memory_limit_mb"],
        compare=row["compare"],
        data_path=row["data_path"],
        data_hash=row["data_hash"],
        version=row["version"],
        unchecked=row.get("unchecked"),
        broken=row.get("broken"),
    )
