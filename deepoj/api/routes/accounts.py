"""Registration, login, and the profile of the logged-in user."""

from __future__ import annotations

from deepoj.api.access import PUBLIC, USER
from deepoj.api.auth import Auth
from deepoj.api.body import read_json
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.limits import Limit
from deepoj.api.models.accounts import LoggedIn, LoginBody, Profile, RegisterBody, Registered
from deepoj.api.route import route
from deepoj.api.signing_in import SigningIn
from deepoj.words.accounts import User


class AccountRoutes:
    """``/api/v1/auth/register``, ``/api/v1/auth/login``, ``/api/v1/users/me``."""

    def __init__(self, context: ApiContext, auth: Auth, signing_in: SigningIn) -> None:
        self._accounts, self._settings = context.accounts, context.settings
        self._auth, self._signing_in = auth, signing_in

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
        user = await self._signing_in.register(body.username, body.password, body.email)
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
        async with self._signing_in.password_try() as attempt:
            body = await read_json(LoginBody, timeout_s=self._settings.read_timeout_s)
            account = await self._signing_in.verified(attempt, body.username, body.password)
        self._signing_in.require_admitted(account)
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
            roles=sorted(user.roles),
            github_id=account.github_id,
            avatar_url=account.avatar_url,
            has_password=account.has_password,
            password_is_temporary=account.password_is_temporary,
            created_at=account.created_at,
        )
