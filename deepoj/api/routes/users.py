"""Management of accounts by administrators, and change of a user's own password."""

from __future__ import annotations

from dataclasses import replace

from deepoj import observe
from deepoj.api.access import ADMIN, ADMIN_BY_LOGIN, CHECKED_BY_HANDLER
from deepoj.api.administering import Administering
from deepoj.api.auth import Auth, new_password
from deepoj.api.body import read_json
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.limits import Limit, RequestLimits, password_subject
from deepoj.api.http.paths import query_number, query_text
from deepoj.api.models.accounts import LoggedIn, PasswordBody
from deepoj.api.models.groups import RolesBody
from deepoj.api.models.own_account import Erased
from deepoj.api.models.users import AccountPage, AccountQuery, AccountView, PasswordReset, PasswordResetBody
from deepoj.api.route import route
from deepoj.words.accounts import Account, User

_PAGE = 50
_MAX_PAGE = 200
_MAX_NAME_CHARS = 64
_MAX_ID = 2**63 - 1


class UserRoutes:
    """``/api/v1/users/me/password``, ``/api/v1/admin/users``."""

    def __init__(self, context: ApiContext, auth: Auth, limits: RequestLimits) -> None:
        self._accounts, self._settings = context.accounts, context.settings
        self._auth, self._limits = auth, limits
        self._administering = Administering(context, auth)

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
                if not await self._auth.verify(attempt, account, body.old_password):
                    raise Refused(ApiError.WRONG_OLD_PASSWORD)
            else:
                self._auth.require_login()
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
        after, prefix = query_text("after", _MAX_NAME_CHARS), query_text("name", _MAX_NAME_CHARS)
        accounts, following = await self._administering.page(
            limit, after=after, prefix=prefix, group_id=query_number("group_id", None, _MAX_ID)
        )
        return AccountPage(users=[_view(account) for account in accounts], next=following)

    @route("GET", "/api/v1/admin/users/<user_id>", access=ADMIN, responses={200: AccountView})
    async def user(self, _admin: User, user_id: str) -> AccountView:
        """Return one account.

        For administrators.
        """
        return _view(await self._administering.account(user_id))

    @route("POST", "/api/v1/admin/users/<user_id>/promote", access=ADMIN_BY_LOGIN, responses={200: AccountView})
    async def promote(self, admin: User, user_id: str) -> AccountView:
        """Make an account an administrator.

        For administrators, with the token of a login.
        """
        return _view(await self._administering.change_rights("promoted", user_id, admin, is_admin=True))

    @route("POST", "/api/v1/admin/users/<user_id>/demote", access=ADMIN, responses={200: AccountView}, errors=(409,))
    async def demote(self, admin: User, user_id: str) -> AccountView:
        """Make an administrator an ordinary account.

        For administrators, but not for their own account: so there is always one left.
        """
        return _view(await self._administering.change_rights("demoted", user_id, admin, is_admin=False))

    @route("POST", "/api/v1/admin/users/<user_id>/disable", access=ADMIN, responses={200: AccountView}, errors=(409,))
    async def disable(self, admin: User, user_id: str) -> AccountView:
        """Disable an account: its tokens are revoked at once, and logins are refused.

        For administrators, but not for their own account.
        """
        return _view(await self._administering.change_rights("disabled", user_id, admin, is_disabled=True))

    @route("POST", "/api/v1/admin/users/<user_id>/enable", access=ADMIN, responses={200: AccountView})
    async def enable(self, admin: User, user_id: str) -> AccountView:
        """Enable an account again; its earlier tokens stay revoked.

        For administrators.
        """
        return _view(await self._administering.change_rights("enabled", user_id, admin, is_disabled=False))

    @route(
        "PUT",
        "/api/v1/admin/users/<user_id>/roles",
        access=ADMIN_BY_LOGIN,
        body=RolesBody,
        responses={200: AccountView},
    )
    async def give_roles(self, admin: User, user_id: str) -> AccountView:
        """Give an account these roles, and take all others; it acts at once.

        For administrators, with the token of a login.

        ``setter``: makes problems, and manages those that it has made, with their submissions. ``jury``: sees all
        problems and submissions with sources, rejudges, and runs contests. ``operator``: the state of the system, dead
        letters, webhooks that were given up, the log of acts.
        """
        body = await read_json(RolesBody, timeout_s=self._settings.read_timeout_s)
        return _view(await self._administering.give_roles(user_id, admin, body.roles))

    @route(
        "POST",
        "/api/v1/admin/users/<user_id>/password",
        access=ADMIN_BY_LOGIN,
        body=PasswordResetBody,
        responses={200: PasswordReset},
        errors=(409,),
    )
    async def reset_password(self, admin: User, user_id: str) -> PasswordReset:
        """Set a temporary password and revoke all tokens of the account.

        For administrators with the token of a login, not for their own account.

        Without ``password`` a random one is generated; it is only in this response. The account's profile marks the
        password as temporary until its owner changes it.
        """
        body = await read_json(PasswordResetBody, timeout_s=self._settings.read_timeout_s)
        chosen = None if body.password is None else new_password("password", body.password)
        user, generated = await self._administering.reset_password(user_id, admin, chosen)
        return PasswordReset(id=user.id, username=user.username, password=generated)

    @route("DELETE", "/api/v1/admin/users/<user_id>", access=ADMIN, responses={200: Erased}, errors=(409,))
    async def erase(self, admin: User, user_id: str) -> Erased:
        """Erase an account for its owner. This cannot be undone.

        For administrators, but not for their own account. Verdicts, figures and marks of its submissions stay under a
        pseudonym; their sources are removed. The username becomes free.
        """
        account = await self._administering.account(user_id)
        return Erased(id=account.user.id, username=await self._administering.erase(account, admin))


def _view(account: Account) -> AccountView:
    return AccountView(**account.flat())
