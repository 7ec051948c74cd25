"""Accounts, and GitHub as an OAuth provider."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from deepoj.words.accounts import (
    Account,
    AccountRefusal,
    Credentials,
    GithubPerson,
    GithubRefusal,
    NewAccount,
    RightsRefusal,
    User,
    UserRole,
)


class Accounts(Protocol):
    """User accounts. Raises StoreUnavailable. Implemented by ``adapters.pg.accounts``."""

    async def create_user(
        self,
        username: str,
        password_hash: str,
        email: str | None,
        *,
        is_admin: bool = False,
        by: str | None = None,
    ) -> User | AccountRefusal:
        """Create an account. Names are unique without regard to case. ``by``: who creates it for others, for the log of
        administrative acts; None: its owner."""
        ...

    async def taken_names(self, usernames: Sequence[str]) -> frozenset[str]:
        """Return those of the names that accounts have, without regard to case."""
        ...

    async def create_users(self, accounts: Sequence[NewAccount], *, by: str) -> frozenset[str]:
        """Create all of the accounts, with temporary passwords and their groups, or none. Return the names because of
        which none was created: they are taken, without regard to case, or occur twice."""
        ...

    async def credentials(self, username: str) -> Credentials | None: ...

    async def credentials_by_id(self, user_id: int) -> Credentials | None:
        """Return the account and its current token epoch, which authorizing a token needs."""
        ...

    async def set_password(
        self, user_id: int, password_hash: str, *, temporary: bool = False, by: str | None = None
    ) -> int:
        """Set the password and return the new token epoch: tokens of older epochs are revoked. ``temporary``: the
        account is marked so until its owner changes the password. ``by``: the administrator, for the log of
        administrative acts."""
        ...

    async def change_password(self, user_id: int, password_hash: str, *, epoch: int) -> int | None:
        """Change the owner's password. Return the new token epoch; None if the epoch is no longer ``epoch`` (another
        change was faster), or the account is disabled."""
        ...

    async def promote(self, username: str, *, by: str) -> User | None:
        """Make the account an administrator; None if there is no such account."""
        ...

    async def account(self, user_id: int) -> Account | None: ...

    async def accounts(
        self, limit: int, *, after: str = "", prefix: str = "", group_id: int | None = None
    ) -> list[Account]:
        """Return the next ``limit`` accounts after the name ``after`` whose names begin with ``prefix``, without regard
        to case; with ``group_id``: members of this group only. The order is that of the lower-cased names, by code
        points."""
        ...

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
        """Change rights in one transaction; changes are serialized. None: unchanged; ``roles``:
        all that the account then has. Disabling revokes all tokens.

        ``by``: the administrator who asks. He must still be one and can change other accounts only, so that there is
        always one left. None: an operator with the database's password, who cannot remove the last administrator; the
        log of administrative acts calls him ``operator``."""
        ...

    # -- GitHub
    async def github_credentials(self, github_id: str, avatar_url: str | None) -> Credentials | None:
        """Return the account that belongs to this GitHub account, and set its picture to ``avatar_url``."""
        ...

    async def create_github_user(
        self, username: str, github_id: str, avatar_url: str | None
    ) -> Credentials | AccountRefusal:
        """Create an account without a password and without rights, or return the one with this ``github_id``.

        USERNAME_TAKEN is also the answer while another login of the same person is served. A second call, with any
        name, then finds the account."""
        ...

    async def database_time_s(self) -> float:
        """Return the database's clock, the only one that counts, in seconds since 1970."""
        ...

    async def spend_oauth_state(self, nonce: bytes, expires_at_s: float) -> bool:
        """Return True once per nonce, and only before ``expires_at_s`` by the database's clock; otherwise False."""
        ...


class Github(Protocol):
    """GitHub, or a GitHub Enterprise server, as an OAuth 2 provider. Raises GithubUnavailable. Implemented by
    ``adapters.github``."""

    def authorize_url(self, state: str, challenge: str) -> str:
        """Return the URL to send a browser to; ``challenge`` is PKCE's, S256."""
        ...

    async def person(self, code: str, verifier: str) -> GithubPerson | GithubRefusal:
        """Return the person who logged in and came back with ``code``; ``verifier`` is what ``challenge`` was made
        of."""
        ...
