"""Accounts in PostgreSQL: making and reading them, changes by their users and by administrators, and GitHub accounts
(``sql/queries/accounts.sql``, ``sql/queries/account_records.sql``).

What if we die here? Every change is one transaction. A change of rights or of a password whose answer was lost is
repeated; the second has the same effect.
"""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from deepoj.adapters.batcher import Batcher
from deepoj.adapters.pg.pool import PgPool
from deepoj.adapters.pg.sql_files import queries
from deepoj.adapters.pg.texts import clean_text, storable
from deepoj.words.accounts import Account, AccountRefusal, Credentials, NewAccount, RightsRefusal, User, UserRole

if TYPE_CHECKING:
    import asyncpg

    from deepoj.adapters.pg.pool import Connection


#: accounts per query
_MOST_ACCOUNTS = 64


class NamesTakenError(Exception):
    """Rolls a transaction back that could not create all of its accounts. ``names``: those that are taken."""

    def __init__(self, names: frozenset[str]) -> None:
        super().__init__()
        self.names = names


class PgAccounts:
    """Accounts (``ports.Accounts``)."""

    def __init__(self, pool: PgPool) -> None:
        self._pool = pool
        # two lanes, so that a slow answer does not delay all later ones
        self._asked = Batcher(self._credentials_of, lanes=2, most=_MOST_ACCOUNTS)

    async def create_user(
        self,
        username: str,
        password_hash: str,
        email: str | None,
        *,
        is_admin: bool = False,
        by: str | None = None,
    ) -> User | AccountRefusal:
        sql = queries()["create_user"].sql
        clean_email = None if email is None else clean_text(email)

        async def work(connection: Connection, again: bool) -> asyncpg.Record | None:
            name = clean_text(username)
            return await connection.fetchrow(sql, name, password_hash, clean_email, is_admin, again, by)

        row = await self._pool.do(work, repeatable=True)
        return AccountRefusal.USERNAME_TAKEN if row is None else user_of(row)

    async def taken_names(self, usernames: Sequence[str]) -> frozenset[str]:
        names = [name for name in usernames if storable(name)]
        return frozenset(row["name"] for row in await self._pool.rows("taken_names", names, repeatable=True))

    async def create_users(self, accounts: Sequence[NewAccount], *, by: str) -> frozenset[str]:
        """Create accounts, as the port says."""

        async def work(connection: Connection, again: bool) -> frozenset[str]:
            try:
                async with connection.transaction():
                    await create_accounts(connection, accounts, by)
            except NamesTakenError as error:
                return frozenset() if again and await were_created(connection, accounts) else error.names
            return frozenset()

        return await self._pool.do(work, repeatable=True)

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

    async def set_password(
        self, user_id: int, password_hash: str, *, temporary: bool = False, by: str | None = None
    ) -> int:
        """Set a password and revoke the account's tokens. Raises LookupError for an unknown account. Repeatable."""
        row = await self._pool.row("set_password", user_id, password_hash, temporary, by, repeatable=True)
        if row is None:
            raise LookupError(f"there is no account {user_id}")
        epoch: int = row["token_epoch"]
        return epoch

    async def promote(self, username: str, *, by: str) -> User | None:
        if not storable(username):
            return None
        row = await self._pool.row("promote", username, by, repeatable=True)
        return None if row is None else user_of(row)

    async def account(self, user_id: int) -> Account | None:
        row = await self._pool.row("account", user_id, repeatable=True)
        return None if row is None else _account(row)

    async def accounts(
        self, limit: int, *, after: str = "", prefix: str = "", group_id: int | None = None
    ) -> list[Account]:
        if not storable(prefix):
            return []
        rows = await self._pool.rows("accounts", clean_text(after), prefix, limit, group_id, repeatable=True)
        return [_account(row) for row in rows]

    async def change_password(self, user_id: int, password_hash: str, *, epoch: int) -> int | None:
        row = await self._pool.row("change_password", user_id, password_hash, epoch, repeatable=True)
        if row is None:
            return None
        new_epoch: int = row["token_epoch"]
        return new_epoch

    async def change_rights(
        self,
        user_id: int,
        *,
        is_admin: bool | None = None,
        is_disabled: bool | None = None,
        roles: Collection[UserRole] | None = None,
        by: int | None,
        operator: str = "operator",
    ) -> Account | RightsRefusal:
        """Change an account's rights, as the port says.

        Every change locks all administrators first. Of two that would take each other's rights away, the second sees
        what the first has left.
        """
        takes_away = is_admin is False or is_disabled is True
        kept = None if roles is None else sorted(set(roles))

        async def work(connection: Connection, _again: bool) -> Account | RightsRefusal:
            async with connection.transaction():
                rows = await connection.fetch(queries()["lock_administrators"].sql)
                administrators = {row["id"] for row in rows}
                if by is not None and by not in administrators:
                    return RightsRefusal.NOT_ADMINISTRATOR
                if takes_away and by == user_id:
                    return RightsRefusal.OWN_ACCOUNT
                if takes_away and administrators == {user_id}:
                    return RightsRefusal.LAST_ADMINISTRATOR
                sql = queries()["change_rights"].sql
                row = await connection.fetchrow(sql, user_id, is_admin, is_disabled, by, operator, kept)
                return RightsRefusal.UNKNOWN_USER if row is None else _account(row)

        return await self._pool.do(work, repeatable=True)

    async def github_credentials(self, github_id: str, avatar_url: str | None) -> Credentials | None:
        return credentials_of(await self._pool.row("github_credentials", github_id, avatar_url, repeatable=True))

    async def create_github_user(
        self, username: str, github_id: str, avatar_url: str | None
    ) -> Credentials | AccountRefusal:
        row = await self._pool.row("create_github_user", clean_text(username), github_id, avatar_url, repeatable=True)
        return credentials_of(row) or AccountRefusal.USERNAME_TAKEN

    async def database_time_s(self) -> float:
        row = await self._pool.row("database_time", repeatable=True)
        if row is None:
            raise AssertionError("the database's clock always answers")
        now_s: float = row["now_s"]
        return now_s

    async def spend_oauth_state(self, nonce: bytes, expires_at_s: float) -> bool:
        call = uuid.uuid4()  # distinguishes a second try of this call from another call
        return await self._pool.row("spend_oauth_state", nonce, expires_at_s, call, repeatable=True) is not None


async def create_accounts(connection: Connection, accounts: Sequence[NewAccount], by: str) -> None:
    """Create accounts in the caller's transaction. ``by``: the administrator's name.

    Raises:
      NamesTakenError: the transaction must be rolled back.
    """
    names = [clean_text(account.username) for account in accounts]
    hashes = [account.password_hash for account in accounts]
    emails = [None if account.email is None else clean_text(account.email) for account in accounts]
    rows = await connection.fetch(queries()["create_users"].sql, names, hashes, emails, by)
    if len(rows) < len(names):
        raise NamesTakenError(frozenset((Counter(names) - Counter(row["username"] for row in rows)).keys()))
    await _put_into_groups(connection, accounts, by)


async def were_created(connection: Connection, accounts: Sequence[NewAccount]) -> bool:
    """Return whether a first try, whose answer was lost, has created the accounts: it is found by their hashes."""
    names = [clean_text(account.username) for account in accounts]
    hashes = [account.password_hash for account in accounts]
    return len(await connection.fetch(queries()["created_users"].sql, names, hashes)) == len(names)


async def _put_into_groups(connection: Connection, accounts: Sequence[NewAccount], by: str) -> None:
    """Put new accounts into their groups, in the transaction that creates them; make those that are missing."""
    members = defaultdict[str, list[str]](list)
    for account in accounts:
        if account.group is not None:
            members[clean_text(account.group)].append(clean_text(account.username))
    for row in await connection.fetch(queries()["make_groups"].sql, list(members), by) if members else ():
        names = [name for group in members if group.lower() == row["name"].lower() for name in members[group]]
        await connection.execute(queries()["add_members"].sql, row["id"], names, by)


def user_of(row: asyncpg.Record) -> User:
    return User(
        id=row["id"],
        username=row["username"],
        email=row["email"],
        is_admin=row["is_admin"],
        roles=frozenset(map(UserRole, row["roles"])),
    )


def credentials_of(row: asyncpg.Record | None) -> Credentials | None:
    if row is None:
        return None
    bound = tuple(tuple(one.split(",")) for one in row["networks"])
    return Credentials(user_of(row), row["password_hash"], row["token_epoch"], row["is_disabled"], bound)


def _account(row: asyncpg.Record) -> Account:
    return Account(
        user=user_of(row),
        github_id=row["github_id"],
        avatar_url=row["avatar_url"],
        has_password=row["has_password"],
        password_is_temporary=row["password_is_temporary"],
        is_disabled=row["is_disabled"],
        created_at=row["created_at"].isoformat(),
        updated_at=row["updated_at"].isoformat(),
    )
