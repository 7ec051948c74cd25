"""Management of accounts by administrators, and change of a user's own password."""

from __future__ import annotations

import secrets
from dataclasses import replace

from deepoj import observe
from deepoj.accounts.names import clean_prefix
from deepoj.api.access import ADMIN, CHECKED_BY_HANDLER
from deepoj.api.auth import Auth, new_password
from deepoj.api.body import read_json
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.limits import Limit, RequestLimits, password_subject
from deepoj.api.http.paths import query_number, query_text, user_id_of
from deepoj.api.models.accounts import LoggedIn, PasswordBody
from deepoj.api.models.users import AccountPage, AccountQuery, AccountView, PasswordReset, PasswordResetBody
from deepoj.api.route import route
from deepoj.words.accounts import Account, RightsRefusal, User

_PAGE = 50
_MAX_PAGE = 200
_MAX_NAME_CHARS = 64
#: random bytes of a generated password, which give 20 characters
_PASSWORD_BYTES = 15

_REFUSALS = {
    RightsRefusal.UNKNOWN_USER: ApiError.NO_SUCH_USER,
    RightsRefusal.NOT_ADMINISTRATOR: ApiError.ADMIN_ONLY,
    RightsRefusal.OWN_ACCOUNT: ApiError.OWN_ACCOUNT,
    RightsRefusal.LAST_ADMINISTRATOR: ApiError.LAST_ADMINISTRATOR,
}


class UserRoutes:
    """``/api/v1/users/me/password``, ``/api/v1/admin/users``."""

    def __init__(self, context: ApiContext, auth: Auth, limits: RequestLimits) -> None:
        self._accounts, self._settings = context.accounts, context.settings
        self._auth, self._limits = auth, limits

    @route(
        "POST",
        "/api/v1/users/me/password",
        access=CHECKED_BY_HANDLER,
        limit=Limit.PASSWORD,
        body=PasswordBody,
        responses={200: LoggedIn},
        errors=(403,),
    )
    async def change_password(self) -> LoggedIn:
        """Change your own password. Returns a new token; all older tokens are revoked.

        Requires the current password. A GitHub account without a password sets its first one.
        """
        async with self._limits.password_try() as attempt:  # the thief of a token could guess the password here
            account = await self._auth.account()
            body = await read_json(PasswordBody, timeout_s=self._settings.read_timeout_s)
            password = new_password("new_password", body.new_password)
            if account.password_hash:
                if body.old_password is None:
                    raise Refused(ApiError.INVALID, field="old_password", problem="it is missing")
                await attempt.begin(password_subject(account.user.username, account))
                if not await self._auth.verify(account, body.old_password):
                    raise Refused(ApiError.WRONG_OLD_PASSWORD)
        password_hash = await self._auth.hash(password)
        epoch = await self._accounts.change_password(account.user.id, password_hash, epoch=account.token_epoch)
        if epoch is None:  # the token was revoked meanwhile, by another password change or an administrator
            raise Refused(ApiError.BAD_TOKEN)
        observe.log("password_changed", user_id=account.user.id)
        token = self._auth.tokens.issue(replace(account, token_epoch=epoch))
        return LoggedIn(token=token, username=account.user.username, user_id=account.user.id)

    @route("GET", "/api/v1/admin/users", access=ADMIN, query=AccountQuery, responses={200: AccountPage})
    async def users(self, _admin: User) -> AccountPage:
        """List accounts by name, in pages. Send ``next`` of a page as ``after`` to get the following page.

        For administrators.
        """
        limit = query_number("limit", _PAGE, _MAX_PAGE)
        after, prefix = query_text("after", _MAX_NAME_CHARS), clean_prefix(query_text("name", _MAX_NAME_CHARS))
        accounts = await self._accounts.accounts(limit + 1, after=after, prefix=prefix)
        page = [_view(account) for account in accounts[:limit]]
        return AccountPage(users=page, next=page[-1].username if len(accounts) > limit else None)

    @route("GET", "/api/v1/admin/users/<user_id>", access=ADMIN, responses={200: AccountView})
    async def user(self, _admin: User, user_id: str) -> AccountView:
        """Return one account.

        For administrators.
        """
        account = await self._accounts.account(_id(user_id))
        if account is None:
            raise Refused(ApiError.NO_SUCH_USER)
        return _view(account)

    @route("POST", "/api/v1/admin/users/<user_id>/promote", access=ADMIN, responses={200: AccountView})
    async def promote(self, admin: User, user_id: str) -> AccountView:
        """Make an account an administrator.

        For administrators.
        """
        return await self._change_rights("promoted", user_id, admin, is_admin=True)

    @route("POST", "/api/v1/admin/users/<user_id>/demote", access=ADMIN, responses={200: AccountView}, errors=(409,))
    async def demote(self, admin: User, user_id: str) -> AccountView:
        """Make an administrator an ordinary account.

        For administrators, but not for their own account: so there is always one left.
        """
        return await self._change_rights("demoted", user_id, admin, is_admin=False)

    @route("POST", "/api/v1/admin/users/<user_id>/disable", access=ADMIN, responses={200: AccountView}, errors=(409,))
    async def disable(self, admin: User, user_id: str) -> AccountView:
        """Disable an account: its tokens are revoked at once, and logins are refused.

        For administrators, but not for their own account.
        """
        return await self._change_rights("disabled", user_id, admin, is_disabled=True)

    @route("POST", "/api/v1/admin/users/<user_id>/enable", access=ADMIN, responses={200: AccountView})
    async def enable(self, admin: User, user_id: str) -> AccountView:
        """Enable an account again; its earlier tokens stay revoked.

        For administrators.
        """
        return await self._change_rights("enabled", user_id, admin, is_disabled=False)

    @route(
        "POST",
        "/api/v1/admin/users/<user_id>/password",
        access=ADMIN,
        body=PasswordResetBody,
        responses={200: PasswordReset},
        errors=(409,),
    )
    async def reset_password(self, admin: User, user_id: str) -> PasswordReset:
        """Set a temporary password and revoke all tokens of the account.

        For administrators, but not for their own account. Without ``password`` a random one is generated; it is only in
        this response. The account's profile marks the password as temporary until its owner changes it.
        """
        body = await read_json(PasswordResetBody, timeout_s=self._settings.read_timeout_s)
        chosen = None if body.password is None else new_password("password", body.password)
        account = await self._accounts.account(_id(user_id))
        if account is None:
            raise Refused(ApiError.NO_SUCH_USER)
        if account.user.id == admin.id:
            raise Refused(ApiError.OWN_ACCOUNT)
        generated = None if chosen is not None else secrets.token_urlsafe(_PASSWORD_BYTES)
        password_hash = await self._auth.hash(chosen or generated or "")
        await self._accounts.set_password(account.user.id, password_hash, temporary=True)
        _log_change("password", account.user, admin)
        return PasswordReset(id=account.user.id, username=account.user.username, password=generated)

    async def _change_rights(
        self, reason: str, user_id: str, admin: User, *, is_admin: bool | None = None, is_disabled: bool | None = None
    ) -> AccountView:
        account = await self._accounts.change_rights(
            _id(user_id), is_admin=is_admin, is_disabled=is_disabled, by=admin.id
        )
        if isinstance(account, RightsRefusal):
            raise Refused(_REFUSALS[account])
        _log_change(reason, account.user, admin)
        return _view(account)


def _log_change(reason: str, user: User, admin: User) -> None:
    """Log an administrator's action on an account."""
    observe.log("account_changed", reason=reason, user_id=user.id, by_user_id=admin.id)


def _id(raw: str) -> int:
    user_id = user_id_of(raw)
    if user_id is None:
        raise Refused(ApiError.NO_SUCH_USER)
    return user_id


def _view(account: Account) -> AccountView:
    return AccountView(**account.flat())
