"""Registration, login, and the profile of the logged-in user."""

from __future__ import annotations

import re

from deepoj.accounts.names import clean_username, is_reserved
from deepoj.api.access import PUBLIC, USER
from deepoj.api.auth import Auth, new_password
from deepoj.api.body import read_json, text
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.limits import Limit, RequestLimits, password_subject
from deepoj.api.models.accounts import LoggedIn, LoginBody, Profile, RegisterBody, Registered
from deepoj.api.route import route
from deepoj.words.accounts import AccountRefusal, User

_MAX_EMAIL_CHARS = 254
#: catches typing errors only; whether the address exists is not checked
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


class AccountRoutes:
    """``/api/v1/auth/register``, ``/api/v1/auth/login``, ``/api/v1/users/me``."""

    def __init__(self, context: ApiContext, auth: Auth, limits: RequestLimits) -> None:
        self._accounts, self._settings = context.accounts, context.settings
        self._auth, self._limits = auth, limits

    @route(
        "POST",
        "/api/v1/auth/register",
        access=PUBLIC,
        limit=Limit.REGISTER,
        body=RegisterBody,
        responses={201: Registered},
        errors=(409,),
    )
    async def register(self) -> Registered:
        """Create an account.

        A name in ADMIN_USERS can be registered only while ADMIN_REGISTRATION is open; it becomes an administrator.
        """
        body = await read_json(RegisterBody, timeout_s=self._settings.read_timeout_s)
        username = _username(body.username)
        password = new_password("password", body.password)
        email = _email(body.email)
        reserved = is_reserved(username, self._settings.admin_users)
        if reserved and not self._settings.admin_registration_open:
            raise Refused(ApiError.USERNAME_RESERVED)
        password_hash = await self._auth.hash(password)
        user = await self._accounts.create_user(username, password_hash, email, is_admin=reserved)
        if isinstance(user, AccountRefusal):
            raise Refused(ApiError.USERNAME_TAKEN)
        return Registered(id=user.id, username=user.username)

    @route(
        "POST",
        "/api/v1/auth/login",
        access=PUBLIC,
        limit=Limit.PASSWORD,
        body=LoginBody,
        responses={200: LoggedIn},
        errors=(401, 403),
    )
    async def login(self) -> LoggedIn:
        """Return a token for a username and password.

        The response time is the same for unknown names.
        """
        async with self._limits.password_try() as attempt:
            body = await read_json(LoginBody, timeout_s=self._settings.read_timeout_s)
            username = clean_username(text("username", body.username))
            account = await self._accounts.credentials(username) if username is not None else None
            if username is not None:
                await attempt.begin(password_subject(username, account))
            if not await self._auth.verify(account, body.password) or account is None:
                raise Refused(ApiError.BAD_CREDENTIALS)
        if account.is_disabled:  # only after the password was verified: strangers must not learn it
            raise Refused(ApiError.ACCOUNT_DISABLED)
        token = self._auth.tokens.issue(account)
        return LoggedIn(token=token, username=account.user.username, user_id=account.user.id)

    @route("GET", "/api/v1/users/me", access=USER, responses={200: Profile})
    async def me(self, user: User) -> Profile:
        """Return the account that the token belongs to."""
        account = await self._accounts.account(user.id)
        if account is None:  # deleted after the token was checked
            raise Refused(ApiError.BAD_TOKEN)
        return Profile(
            id=user.id,
            username=user.username,
            email=user.email,
            is_admin=user.is_admin,
            github_id=account.github_id,
            avatar_url=account.avatar_url,
            has_password=account.has_password,
            password_is_temporary=account.password_is_temporary,
            created_at=account.created_at,
        )


def _username(raw: str) -> str:
    username = clean_username(text("username", raw))
    if username is None:
        raise Refused(ApiError.INVALID, field="username", problem="3 to 32 letters or digits, and _ . - but not first")
    return username


def _email(raw: str | None) -> str | None:
    if raw is None or not raw.strip():
        return None
    email = text("email", raw.strip())
    if len(email) > _MAX_EMAIL_CHARS or not email.isprintable() or not _EMAIL.fullmatch(email):
        raise Refused(ApiError.INVALID, field="email", problem="not an e-mail address")
    return email
