"""Management of accounts by administrators, and change of a user's own password."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

from quart import Blueprint
from quart_schema import document_querystring, document_request, document_response, security_scheme

from deepoj import observe
from deepoj.accounts.names import clean_prefix
from deepoj.api.auth import Auth, new_password
from deepoj.api.body import current_request, read_json
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.limits import RequestLimits, password_subject
from deepoj.api.http.paths import user_id_of, whole, word
from deepoj.api.models.accounts import LoggedIn, PasswordBody
from deepoj.api.models.base import ErrorBody, reply
from deepoj.api.models.users import AccountPage, AccountQuery, AccountView, PasswordReset, PasswordResetBody
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


def blueprint(context: ApiContext, auth: Auth, limits: RequestLimits) -> Blueprint:
    """``/api/v1/users/me/password``, ``/api/v1/admin/users``."""
    routes = Blueprint("users", __name__, url_prefix="/api/v1")
    settings = context.settings

    @routes.post("/users/me/password")
    @security_scheme([{"bearer": []}])
    @document_request(PasswordBody)
    @document_response(LoggedIn)
    @document_response(ErrorBody, 403)
    async def change_password() -> dict[str, Any]:
        """Change your own password. Returns a new token; all older tokens are revoked.

        Requires the current password. A GitHub account without a password sets its first one.
        """
        async with limits.password_try() as tried:  # limited: the thief of a token could guess the password here
            account = await auth.account()
            body = await read_json(current_request(), PasswordBody, timeout_s=settings.read_timeout_s)
            password = new_password("new_password", body.new_password)
            if account.password_hash:
                if body.old_password is None:
                    raise Refused(ApiError.INVALID, field="old_password", problem="it is missing")
                await tried.begin(password_subject(account.user.username, account))
                if not await auth.verify(account, body.old_password):
                    raise Refused(ApiError.WRONG_OLD_PASSWORD)
        hashed = await auth.hashed(password)
        epoch = await context.accounts.change_password(account.user.id, hashed, epoch=account.token_epoch)
        if epoch is None:  # the token was revoked meanwhile, by another password change or an administrator
            raise Refused(ApiError.BAD_TOKEN)
        observe.log("password_changed", user_id=account.user.id)
        token = auth.tokens.issue(replace(account, token_epoch=epoch))
        return reply(LoggedIn(token=token, username=account.user.username, user_id=account.user.id))

    _administration(routes, context, auth)
    return routes


def _administration(routes: Blueprint, context: ApiContext, auth: Auth) -> None:
    settings = context.settings

    @routes.get("/admin/users")
    @security_scheme([{"bearer": []}])
    @document_querystring(AccountQuery)
    @document_response(AccountPage)
    @document_response(ErrorBody, 403)
    async def users() -> dict[str, Any]:
        """List accounts by name, in pages. Send ``next`` of a page as ``after`` to get the following page.

        For administrators.
        """
        await auth.admin()
        limit = whole("limit", _PAGE, _MAX_PAGE)
        after, prefix = word("after", _MAX_NAME_CHARS), clean_prefix(word("name", _MAX_NAME_CHARS))
        found = await context.accounts.accounts(limit + 1, after=after, prefix=prefix)
        shown = [_view(account) for account in found[:limit]]
        return reply(AccountPage(users=shown, next=shown[-1].username if len(found) > limit else None))

    @routes.get("/admin/users/<user_id>")
    @security_scheme([{"bearer": []}])
    @document_response(AccountView)
    @document_response(ErrorBody, 403)
    @document_response(ErrorBody, 404)
    async def user(user_id: str) -> dict[str, Any]:
        """Return one account.

        For administrators.
        """
        await auth.admin()
        account = await context.accounts.account(_id(user_id))
        if account is None:
            raise Refused(ApiError.NO_SUCH_USER)
        return reply(_view(account))

    @routes.post("/admin/users/<user_id>/promote")
    @security_scheme([{"bearer": []}])
    @document_response(AccountView)
    @document_response(ErrorBody, 403)
    @document_response(ErrorBody, 404)
    async def promote(user_id: str) -> dict[str, Any]:
        """Make an account an administrator.

        For administrators.
        """
        return await changed("promoted", user_id, is_admin=True)

    @routes.post("/admin/users/<user_id>/demote")
    @security_scheme([{"bearer": []}])
    @document_response(AccountView)
    @document_response(ErrorBody, 403)
    @document_response(ErrorBody, 404)
    @document_response(ErrorBody, 409)
    async def demote(user_id: str) -> dict[str, Any]:
        """Make an administrator an ordinary account.

        For administrators, but not for their own account: so there is always one left.
        """
        return await changed("demoted", user_id, is_admin=False)

    @routes.post("/admin/users/<user_id>/disable")
    @security_scheme([{"bearer": []}])
    @document_response(AccountView)
    @document_response(ErrorBody, 403)
    @document_response(ErrorBody, 404)
    @document_response(ErrorBody, 409)
    async def disable(user_id: str) -> dict[str, Any]:
        """Disable an account: its tokens are revoked at once, and logins are refused.

        For administrators, but not for their own account.
        """
        return await changed("disabled", user_id, is_disabled=True)

    @routes.post("/admin/users/<user_id>/enable")
    @security_scheme([{"bearer": []}])
    @document_response(AccountView)
    @document_response(ErrorBody, 403)
    @document_response(ErrorBody, 404)
    async def enable(user_id: str) -> dict[str, Any]:
        """Enable an account again; its earlier tokens stay revoked.

        For administrators.
        """
        return await changed("enabled", user_id, is_disabled=False)

    async def changed(
        what: str, user_id: str, *, is_admin: bool | None = None, is_disabled: bool | None = None
    ) -> dict[str, Any]:
        admin = await auth.admin()
        answer = await context.accounts.change_rights(
            _id(user_id), is_admin=is_admin, is_disabled=is_disabled, by=admin.id
        )
        if isinstance(answer, RightsRefusal):
            raise Refused(_REFUSALS[answer])
        _note(what, answer.user, admin)
        return reply(_view(answer))

    @routes.post("/admin/users/<user_id>/password")
    @security_scheme([{"bearer": []}])
    @document_request(PasswordResetBody)
    @document_response(PasswordReset)
    @document_response(ErrorBody, 403)
    @document_response(ErrorBody, 404)
    @document_response(ErrorBody, 409)
    async def reset_password(user_id: str) -> dict[str, Any]:
        """Set a temporary password and revoke all tokens of the account.

        For administrators, but not for their own account. Without ``password`` a random one is generated; it is only in
        this response. The account's profile marks the password as temporary until its owner changes it.
        """
        admin = await auth.admin()
        body = await read_json(current_request(), PasswordResetBody, timeout_s=settings.read_timeout_s)
        told = None if body.password is None else new_password("password", body.password)
        account = await context.accounts.account(_id(user_id))
        if account is None:
            raise Refused(ApiError.NO_SUCH_USER)
        if account.user.id == admin.id:
            raise Refused(ApiError.OWN_ACCOUNT)
        made = None if told is not None else secrets.token_urlsafe(_PASSWORD_BYTES)
        hashed = await auth.hashed(told or made or "")
        await context.accounts.set_password(account.user.id, hashed, temporary=True)
        _note("password", account.user, admin)
        return reply(PasswordReset(id=account.user.id, username=account.user.username, password=made))


def _note(what: str, user: User, admin: User) -> None:
    """Log an administrator's action on an account."""
    observe.log("account_changed", reason=what, user_id=user.id, by_user_id=admin.id)


def _id(raw: str) -> int:
    user_id = user_id_of(raw)
    if user_id is None:
        raise Refused(ApiError.NO_SUCH_USER)
    return user_id


def _view(account: Account) -> AccountView:
    return AccountView(**account.flat())
