"""Registration, login, and the profile of the logged-in user."""

from __future__ import annotations

import re
from typing import Any

from quart import Blueprint
from quart_schema import document_request, document_response, security_scheme

from deepoj.accounts.names import clean_username, is_reserved
from deepoj.api.auth import Auth, new_password
from deepoj.api.body import current_request, read_json, text
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.limits import RequestLimits, password_subject
from deepoj.api.models.accounts import LoggedIn, LoginBody, Profile, RegisterBody, Registered
from deepoj.api.models.base import ErrorBody, reply
from deepoj.api.settings import ApiSettings
from deepoj.words.accounts import AccountRefusal

_MAX_EMAIL_CHARS = 254
#: catches typing errors only; whether the address exists is not checked
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


def blueprint(context: ApiContext, auth: Auth, limits: RequestLimits) -> Blueprint:
    """``/api/v1/auth/register``, ``/api/v1/auth/login``, ``/api/v1/users/me``."""
    routes = Blueprint("accounts", __name__, url_prefix="/api/v1")
    settings = context.settings

    @routes.post("/auth/register")
    @document_request(RegisterBody)
    @document_response(Registered, 201)
    @document_response(ErrorBody, 400)
    @document_response(ErrorBody, 409)
    @document_response(ErrorBody, 429)
    async def register() -> tuple[dict[str, Any], int]:
        """Create an account.

        A name in ADMIN_USERS can be registered only while ADMIN_REGISTRATION is open; it becomes an administrator.
        """
        body = await _read(RegisterBody, settings)
        username = _username(body.username)
        password = new_password("password", body.password)
        email = _email(body.email)
        reserved = is_reserved(username, settings.admin_users)
        if reserved and not settings.admin_registration_open:
            raise Refused(ApiError.USERNAME_RESERVED)
        hashed = await auth.hashed(password)
        user = await context.accounts.create_user(username, hashed, email, is_admin=reserved)
        if isinstance(user, AccountRefusal):
            raise Refused(ApiError.USERNAME_TAKEN)
        return reply(Registered(id=user.id, username=user.username)), 201

    @routes.post("/auth/login")
    @document_request(LoginBody)
    @document_response(LoggedIn)
    @document_response(ErrorBody, 400)
    @document_response(ErrorBody, 401)
    @document_response(ErrorBody, 403)
    @document_response(ErrorBody, 429)
    async def login() -> dict[str, Any]:
        """Return a token for a username and password.

        The response time is the same for unknown names.
        """
        async with limits.password_try() as tried:
            body = await _read(LoginBody, settings)
            username = clean_username(text("username", body.username))
            account = await context.accounts.credentials(username) if username is not None else None
            if username is not None:
                await tried.begin(password_subject(username, account))
            if not await auth.verify(account, body.password) or account is None:
                raise Refused(ApiError.BAD_CREDENTIALS)
        if account.is_disabled:  # only after the password was verified: strangers must not learn it
            raise Refused(ApiError.ACCOUNT_DISABLED)
        token = auth.tokens.issue(account)
        return reply(LoggedIn(token=token, username=account.user.username, user_id=account.user.id))

    @routes.get("/users/me")
    @security_scheme([{"bearer": []}])
    @document_response(Profile)
    @document_response(ErrorBody, 401)
    async def me() -> dict[str, Any]:
        """Return the account that the token belongs to."""
        user = await auth.user()
        account = await context.accounts.account(user.id)
        if account is None:  # deleted after the token was checked
            raise Refused(ApiError.BAD_TOKEN)
        return reply(
            Profile(
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
        )

    return routes


async def _read[T: (RegisterBody, LoginBody)](model: type[T], settings: ApiSettings) -> T:
    return await read_json(current_request(), model, timeout_s=settings.read_timeout_s)


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
