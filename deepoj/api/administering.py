"""Management of accounts by administrators, as routes and pages do it.

What if we die here? Every change is one transaction. Accounts are created all at once or not at all; if the answer is
lost, their generated passwords are, too: they are stored only as hashes, and an administrator resets them.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from deepoj import observe
from deepoj.accounts.names import clean_prefix, is_reserved
from deepoj.accounts.people import LineFault, NewPerson, PersonFault, Slip
from deepoj.api.auth import Auth, new_password
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.paths import user_id_of
from deepoj.api.signing_in import email_of, username_of
from deepoj.words.accounts import Account, NewAccount, RightsRefusal, User, UserRole

#: of generated passwords: without characters that look alike on paper
_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
_GROUPS = 3
#: characters per group: 89 random bits, and 59 for what contestants type from a slip of paper
_RESET_CHARS, _SLIP_CHARS = 6, 4

REFUSALS = {
    RightsRefusal.UNKNOWN_USER: ApiError.NO_SUCH_USER,
    RightsRefusal.NOT_ADMINISTRATOR: ApiError.ADMIN_ONLY,
    RightsRefusal.OWN_ACCOUNT: ApiError.OWN_ACCOUNT,
    RightsRefusal.LAST_ADMINISTRATOR: ApiError.LAST_ADMINISTRATOR,
}


@dataclass(frozen=True, slots=True)
class HashedPerson:
    """A person of a list, with the slip and the account that are made."""

    person: NewPerson
    slip: Slip
    account: NewAccount


class Administering:
    """Lists, changes and creates accounts. All methods raise Refused or StoreUnavailable."""

    def __init__(self, context: ApiContext, auth: Auth) -> None:
        self._accounts, self._data, self._auth = context.accounts, context.account_data, auth
        self._reserved = context.settings.admin_users

    async def page(
        self, limit: int, *, after: str, prefix: str, group_id: int | None = None
    ) -> tuple[Sequence[Account], str | None]:
        """Return accounts by name (of a group), and the name after which the following page begins."""
        accounts = await self._accounts.accounts(limit + 1, after=after, prefix=clean_prefix(prefix), group_id=group_id)
        shown = accounts[:limit]
        return shown, shown[-1].user.username if len(accounts) > limit else None

    async def account(self, user_id: str) -> Account:
        """Return an account by its id in a path."""
        account = await self._accounts.account(_id(user_id))
        if account is None:
            raise Refused(ApiError.NO_SUCH_USER)
        return account

    async def change_rights(
        self, reason: str, user_id: str, admin: User, *, is_admin: bool | None = None, is_disabled: bool | None = None
    ) -> Account:
        """Promote, demote, disable or enable an account; ``reason`` is for the log."""
        account = await self._accounts.change_rights(
            _id(user_id), is_admin=is_admin, is_disabled=is_disabled, by=admin.id
        )
        if isinstance(account, RightsRefusal):
            raise Refused(REFUSALS[account])
        _log_change(reason, account.user.id, admin)
        return account

    async def give_roles(self, user_id: str, admin: User, roles: Collection[str]) -> Account:
        """Give an account these roles, and take all others."""
        unknown = set(roles) - set(UserRole)
        if unknown:
            raise Refused(ApiError.INVALID, field="roles", problem=f"of {', '.join(UserRole)}")
        account = await self._accounts.change_rights(_id(user_id), roles=list(map(UserRole, roles)), by=admin.id)
        if isinstance(account, RightsRefusal):
            raise Refused(REFUSALS[account])
        _log_change("roles", account.user.id, admin)
        return account

    async def reset_password(self, user_id: str, admin: User, chosen: str | None = None) -> tuple[User, str | None]:
        """Set a temporary password. Return the account, and the password if it was generated."""
        account = await self.account(user_id)
        if account.user.id == admin.id:
            raise Refused(ApiError.OWN_ACCOUNT)
        generated = None if chosen is not None else _readable_password(_RESET_CHARS)
        password_hash = await self._auth.hash(chosen or generated or "")
        await self._accounts.set_password(account.user.id, password_hash, temporary=True, by=admin.username)
        _log_change("password", account.user.id, admin)
        return account.user, generated

    async def erase(self, account: Account, admin: User) -> str:
        """Erase an account for its owner, and return its pseudonym."""
        if account.user.id == admin.id:
            raise Refused(ApiError.OWN_ACCOUNT)
        erased = await self._data.erase(account.user.id, by=admin.id)
        if isinstance(erased, RightsRefusal):
            raise Refused(REFUSALS[erased])
        _log_change("erased", account.user.id, admin)
        return erased

    def new_person(self, username: str, email: str, password: str) -> NewPerson:
        """Return a person for ``create``; empty: no address, a generated password."""
        name = username_of(username)
        if is_reserved(name, self._reserved):
            raise Refused(ApiError.USERNAME_RESERVED)
        return NewPerson(1, name, email_of(email), new_password("password", password) if password else None)

    async def taken(self, people: Sequence[NewPerson]) -> Sequence[LineFault]:
        """Return the lines whose name is taken, before passwords are hashed in vain."""
        return _taken(people, await self._accounts.taken_names([person.username for person in people]))

    async def hashed(self, person: NewPerson) -> HashedPerson:
        """Give a person a temporary password, if the list has none, and hash it: most of the work of ``create``."""
        password = person.password or slip_password()
        account = NewAccount(person.username, await self._auth.hash(password), person.email, person.group)
        return HashedPerson(person, Slip(person.username, password, person.email, person.group), account)

    async def create(self, people: Sequence[HashedPerson], admin: User) -> Sequence[Slip] | Sequence[LineFault]:
        """Create accounts with temporary passwords, all of them or none: then return the lines whose name is taken."""
        taken = await self._accounts.create_users([one.account for one in people], by=admin.username)
        if taken:
            return _taken([one.person for one in people], taken)
        observe.log("accounts_created", count=len(people), by_user_id=admin.id)
        return [one.slip for one in people]


def _taken(people: Sequence[NewPerson], names: frozenset[str]) -> Sequence[LineFault]:
    return [LineFault(one.line, PersonFault.TAKEN, one.username) for one in people if one.username in names]


def slip_password() -> str:
    """Return a random password for people who type it from a slip of paper."""
    return _readable_password(_SLIP_CHARS)


def _readable_password(chars: int) -> str:
    """Return a random password in groups of so many characters."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(chars)) for _ in range(_GROUPS))


def _log_change(reason: str, user_id: int, admin: User) -> None:
    """Log an administrator's action on an account."""
    observe.log("account_changed", reason=reason, user_id=user_id, by_user_id=admin.id)


def _id(raw: str) -> int:
    user_id = user_id_of(raw)
    if user_id is None:
        raise Refused(ApiError.NO_SUCH_USER)
    return user_id
