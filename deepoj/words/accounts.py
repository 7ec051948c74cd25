"""Accounts, their rights, and GitHub logins."""

from __future__ import annotations

import enum
from dataclasses import dataclass, fields
from typing import Any


class UserRole(enum.StrEnum):
    """Rights beside those of administrators, who have all of them; ``api.rights`` says which."""

    JURY = "jury"
    OPERATOR = "operator"
    SETTER = "setter"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """An account without its secret."""

    id: int
    username: str
    email: str | None
    is_admin: bool
    roles: frozenset[UserRole] = frozenset()


@dataclass(frozen=True, slots=True)
class Credentials:
    """An account with what login needs: the argon2id hash and the token epoch, which invalidates older tokens."""

    user: User
    #: empty: the account has no password
    password_hash: str
    token_epoch: int
    #: disabled by an administrator: login is refused
    is_disabled: bool = False
    #: the networks to which running contests bind the account, one set a contest: requests come from one of each
    networks: tuple[tuple[str, ...], ...] = ()


class AccountRefusal(enum.StrEnum):
    """Why an account was not created."""

    USERNAME_TAKEN = "USERNAME_TAKEN"


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account that an administrator creates."""

    username: str
    #: of a temporary password
    password_hash: str
    email: str | None = None
    #: the group that it is put into, which is made if there is none of this name
    group: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account as its owner and administrators see it. Times are ISO 8601."""

    user: User
    #: GitHub's id of the person, None for an account that was registered here
    github_id: str | None
    avatar_url: str | None
    has_password: bool
    #: set by an administrator, and not yet changed by the owner
    password_is_temporary: bool
    is_disabled: bool
    created_at: str
    updated_at: str

    def flat(self) -> dict[str, Any]:
        """Return all fields in one level."""
        user = self.user
        rest = {part.name: getattr(self, part.name) for part in fields(self) if part.name != "user"}
        return {
            "id": user.id,
            "username": user.username,
            "email": user.email,
            "is_admin": user.is_admin,
            "roles": sorted(user.roles),
        } | rest


class RightsRefusal(enum.StrEnum):
    """Why an account's rights were not changed."""

    UNKNOWN_USER = "UNKNOWN_USER"
    #: the caller is no administrator, or no longer
    NOT_ADMINISTRATOR = "NOT_ADMINISTRATOR"
    #: administrators cannot demote or disable themselves, so there is always one left
    OWN_ACCOUNT = "OWN_ACCOUNT"
    #: no administrator would be left
    LAST_ADMINISTRATOR = "LAST_ADMINISTRATOR"


@dataclass(frozen=True, slots=True)
class GithubPerson:
    """The person whom GitHub has logged in. ``login`` may pass to another one, ``github_id`` (decimal) never."""

    github_id: str
    login: str
    avatar_url: str | None


class GithubRefusal(enum.StrEnum):
    """Why GitHub did not name the person."""

    #: the code is wrong, too old, used before, or another login's
    BAD_CODE = "BAD_CODE"
