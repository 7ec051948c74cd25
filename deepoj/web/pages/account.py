"""The visitor's own account: password, sessions, what commands need."""

from __future__ import annotations

import binascii
from dataclasses import replace

from quart import Response, request

from deepoj import observe
from deepoj.api.auth import Auth, new_password
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.limits import Limit, RequestLimits, password_subject
from deepoj.web import forms
from deepoj.web.page import MEMBER, page
from deepoj.web.render import Pages, redirect
from deepoj.web.visitor import Visitor, Visitors
from deepoj.words.access_tokens import MAX_ACCESS_TOKENS

#: sessions that are shown
_SESSIONS = 50


class AccountPages:
    """``/account`` and its forms."""

    def __init__(
        self, context: ApiContext, auth: Auth, limits: RequestLimits, visitors: Visitors, pages: Pages
    ) -> None:
        self._context, self._auth, self._limits = context, auth, limits
        self._visitors, self._pages = visitors, pages
        self._timeout_s = context.settings.read_timeout_s

    @page("GET", "/account", access=MEMBER)
    async def account(self, visitor: Visitor) -> Response:
        """Show the account."""
        return await self.show(visitor)

    @page("POST", "/account/password", access=MEMBER, limit=Limit.PASSWORD)
    async def change_password(self, visitor: Visitor) -> Response:
        """Change the password. All sessions and tokens end; this browser gets a new session."""
        account = visitor.account
        if account is None:
            raise Refused(ApiError.NO_TOKEN)
        try:
            async with self._limits.password_try() as attempt:
                form = await forms.read(self._visitors, visitor, timeout_s=self._timeout_s)
                password = new_password("new_password", form.get("new_password"))
                if account.password_hash:
                    await attempt.begin(password_subject(account.user.username, account))
                    if not await self._auth.verify(attempt, account, form.get("password")):
                        raise Refused(ApiError.BAD_CREDENTIALS)
            secret = await self._auth.hash(password)
            epoch = await self._context.accounts.change_password(account.user.id, secret, epoch=account.token_epoch)
            if epoch is None:
                raise Refused(ApiError.BAD_TOKEN)
        except Refused as refused:
            return await self.show(visitor, refused)
        observe.log("password_changed", user_id=account.user.id)
        response = redirect("/account?changed=password")
        # of this change's epoch: another change meanwhile ends it at once
        await self._visitors.begin(replace(account, token_epoch=epoch), response.headers)
        return response

    @page("GET", "/account/password", access=MEMBER)
    async def after_password(self, _visitor: Visitor) -> Response:
        """Lead to the account: the login, and the choice of a language, lead to the path of the form before."""
        return redirect("/account")

    @page("GET", "/account/sessions", access=MEMBER)
    async def after_sessions(self, _visitor: Visitor) -> Response:
        """Lead to the account, as after the form of the password."""
        return redirect("/account")

    @page("POST", "/account/sessions", access=MEMBER)
    async def end_sessions(self, visitor: Visitor) -> Response:
        """End one of the other sessions, or all of them."""
        form = await forms.read(self._visitors, visitor, timeout_s=self._timeout_s)
        sessions, user_id = self._context.sessions, visitor.member.id
        if form.get("session") == "others":
            await sessions.close_other_sessions(user_id, visitor.digest)
        else:
            try:
                digest = binascii.unhexlify(form.get("session"))
            except (binascii.Error, ValueError) as error:
                raise Refused(ApiError.INVALID, field="session", problem="no session") from error
            await sessions.close_session(user_id, digest)
        return redirect("/account")

    async def show(self, visitor: Visitor, refused: Refused | None = None, *, email: str | None = None) -> Response:
        """Show the account. ``email``: what was typed into the form that was refused."""
        user = visitor.member
        account = await self._context.accounts.account(user.id)
        if account is None:  # deleted since the session was read
            raise Refused(ApiError.NO_TOKEN)
        sessions = await self._context.sessions.sessions_of(user.id, self._context.settings.sessions, _SESSIONS)
        return self._pages.html_with_refusal(
            "account.html",
            visitor,
            refused,
            account=account,
            sessions=sessions,
            tokens=await self._context.access_tokens.tokens_of(user.id, MAX_ACCESS_TOKENS),
            changed=request.args.get("changed"),
            email=email if email is not None else account.user.email or "",
            profile_for=await self._context.account_data.profile_for(user.id),
            contest_webhooks=await self._context.contest_webhooks.contest_webhooks(user.id),
            has_webhooks=self._context.settings.callbacks.enabled,
        )
