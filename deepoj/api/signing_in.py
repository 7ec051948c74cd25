"""Registration and login, as routes and pages do them."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from deepoj.accounts.emails import is_email
from deepoj.accounts.names import USERNAME_RULE, clean_username, is_pseudonym, is_reserved
from deepoj.api.auth import Auth, is_bound_elsewhere, new_password
from deepoj.api.body import text
from deepoj.api.contest_errors import ContestError
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.address import Address
from deepoj.api.http.limits import RequestLimits, password_subject
from deepoj.api.password_tries import PasswordTry
from deepoj.words.accounts import AccountRefusal, Credentials, User


class SigningIn:
    """Creates accounts, and checks passwords. All methods raise Refused or StoreUnavailable."""

    def __init__(self, context: ApiContext, auth: Auth, limits: RequestLimits) -> None:
        self._accounts, self._settings = context.accounts, context.settings
        self._auth, self._limits = auth, limits

    async def register(self, username: str, password: str, email: str | None) -> User:
        """Create an account.

        A name in ADMIN_USERS can be registered only while ADMIN_REGISTRATION is open; it becomes an administrator.
        """
        name = username_of(username)
        password = new_password("password", password)
        address = email_of(email)
        reserved = is_reserved(name, self._settings.admin_users)
        if reserved and not self._settings.admin_registration_open:
            raise Refused(ApiError.USERNAME_RESERVED)
        password_hash = await self._auth.hash(password)
        by = name if reserved else None  # the log of administrative acts has every new administrator
        user = await self._accounts.create_user(name, password_hash, address, is_admin=reserved, by=by)
        if isinstance(user, AccountRefusal):
            raise Refused(ApiError.USERNAME_TAKEN)
        return user

    def password_try(self) -> AbstractAsyncContextManager[PasswordTry]:
        """Context of a login, entered before its body is read."""
        return self._limits.password_try()

    async def verified(self, attempt: PasswordTry, username: str, password: str) -> Credentials:
        """Return the account of a name and a password. The time is the same for unknown names."""
        name = clean_username(text("username", username))
        account = await self._accounts.credentials(name) if name is not None else None
        if name is not None:
            await attempt.begin(password_subject(name, account))
        if not await self._auth.verify(attempt, account, password) or account is None:
            raise Refused(ApiError.BAD_CREDENTIALS)
        return account

    def require_admitted(self, account: Credentials) -> None:
        """Refuse a disabled account, and one that a contest binds to other addresses than the request's. Only after its
        password was verified: strangers must not learn it."""
        require_admitted(account, self._auth.address())


def require_admitted(account: Credentials, address: Address | None) -> None:
    """Refuse the login of a disabled account, and of one that a running contest binds to other addresses."""
    if account.is_disabled:
        raise Refused(ApiError.ACCOUNT_DISABLED)
    if is_bound_elsewhere(account, address):
        raise Refused(ContestError.LOGIN_ELSEWHERE)


def username_of(raw: str) -> str:
    """Return a name for a new account. Raises Refused."""
    username = clean_username(text("username", raw))
    if username is None:
        raise Refused(ApiError.INVALID, field="username", problem=USERNAME_RULE)
    if is_pseudonym(username):
        raise Refused(ApiError.INVALID, field="username", problem="the names of erased accounts begin so")
    return username


def email_of(raw: str | None) -> str | None:
    """Return an e-mail address, None if there is none. Raises Refused."""
    if raw is None or not raw.strip():
        return None
    email = text("email", raw.strip())
    if not is_email(email):
        raise Refused(ApiError.INVALID, field="email", problem="not an e-mail address")
    return email
