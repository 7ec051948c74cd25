"""What people decide about their own data: address, readers of their profile, secrets of programs, export, erasure."""

from __future__ import annotations

from quart import Response

from deepoj import observe
from deepoj.accounts.names import pseudonym_of
from deepoj.api.auth import Auth
from deepoj.api.contest_webhooks import remove_webhook
from deepoj.api.context import ApiContext
from deepoj.api.downloads import download
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.limits import Limit, RequestLimits
from deepoj.api.own_account import OwnAccount
from deepoj.api.signing_in import email_of
from deepoj.api.webhook_secrets import WebhookSecrets
from deepoj.web import forms
from deepoj.web.page import MEMBER, page
from deepoj.web.pages.account import AccountPages
from deepoj.web.render import Pages, redirect
from deepoj.web.visitor import Visitor, Visitors
from deepoj.words.account_data import ProfileFor
from deepoj.words.accounts import Credentials

#: forms below /account that lead back to it
_FORMS = frozenset({"email", "privacy", "token", "tokens", "webhook-secret", "contest-webhooks"})


class OwnDataPages:
    """The pages below ``/account`` that are not about logging in."""

    def __init__(
        self,
        context: ApiContext,
        auth: Auth,
        limits: RequestLimits,
        visitors: Visitors,
        pages: Pages,
        *,
        account: AccountPages,
    ) -> None:
        self._context, self._account, self._limits = context, account, limits
        self._visitors, self._pages = visitors, pages
        self._own_account, self._webhook_secrets = OwnAccount(context, auth), WebhookSecrets(context)
        self._timeout_s = context.settings.read_timeout_s

    @page("GET", "/account/<form>", access=MEMBER)
    async def after_form(self, _visitor: Visitor, form: str) -> Response:
        """Lead to the account: the login, and the choice of a language, lead to the path of the form before."""
        if form not in _FORMS:
            raise Refused(ApiError.NOT_FOUND)
        return redirect("/account")

    @page("POST", "/account/email", access=MEMBER, limit=Limit.PASSWORD)
    async def change_email(self, visitor: Visitor) -> Response:
        """Change the e-mail address."""
        account, typed = _account_of(visitor), None
        try:
            async with self._limits.password_try() as attempt:
                form = await forms.read(self._visitors, visitor, timeout_s=self._timeout_s)
                typed = form.line("email")
                email = email_of(typed)
                if account.password_hash:
                    await self._own_account.confirm(attempt, account, form.get("password"))
        except Refused as refused:
            return await self._account.show(visitor, refused, email=typed)
        await self._context.account_data.change_email(account.user.id, email)
        observe.log("email_changed", user_id=account.user.id)
        return redirect("/account?changed=email")

    @page("POST", "/account/privacy", access=MEMBER)
    async def change_privacy(self, visitor: Visitor) -> Response:
        """Choose who sees the profile."""
        form = await forms.read(self._visitors, visitor, timeout_s=self._timeout_s)
        try:
            profile_for = ProfileFor(form.get("profile_for"))
        except ValueError as error:
            raise Refused(ApiError.INVALID, field="profile_for", problem="one of the three") from error
        await self._context.account_data.set_profile_for(visitor.member.id, profile_for)
        return redirect("/account?changed=privacy")

    @page("POST", "/account/token", access=MEMBER, limit=Limit.PASSWORD)
    async def make_token(self, visitor: Visitor) -> Response:
        """Make a token for the command line, and show it once."""
        account = _account_of(visitor)
        try:
            async with self._limits.password_try() as attempt:
                form = await forms.read(self._visitors, visitor, timeout_s=self._timeout_s)
                name, password = form.line("name"), form.get("password")
                made = await self._own_account.make_token(attempt, account, name, password)
        except Refused as refused:
            return await self._account.show(visitor, refused)
        return self._secret(visitor, made.token, "token", hours=round(made.expires_in_s / 3600))

    @page("POST", "/account/tokens", access=MEMBER)
    async def end_token(self, visitor: Visitor) -> Response:
        """End one of the tokens."""
        form = await forms.read(self._visitors, visitor, timeout_s=self._timeout_s)
        await self._own_account.end_token(visitor.member, form.get("token_id"))
        return redirect("/account?changed=tokens#tokens")

    @page("POST", "/account/webhook-secret", access=MEMBER)
    async def show_webhook_secret(self, visitor: Visitor) -> Response:
        """Show the secret that signs webhooks, after changing it if asked."""
        form = await forms.read(self._visitors, visitor, timeout_s=self._timeout_s)
        if form.get("act") == "rotate":
            secret = await self._webhook_secrets.rotate(visitor.member)
        else:
            secret = await self._webhook_secrets.secret(visitor.member)
        return self._secret(visitor, secret, "webhook")

    @page("POST", "/account/contest-webhooks", access=MEMBER)
    async def remove_contest_webhook(self, visitor: Visitor) -> Response:
        """Remove one of the account's webhooks of the Contest API."""
        form = await forms.read(self._visitors, visitor, timeout_s=self._timeout_s)
        await remove_webhook(self._context.contest_webhooks, visitor.member, form.get("webhook_id"))
        return redirect("/account?changed=contest-webhooks")

    @page("GET", "/account/export", access=MEMBER)
    async def export(self, visitor: Visitor) -> Response:
        """Return all data of the account as a file."""
        return download("deepoj-account.json", "application/json", self._own_account.export(visitor.member))

    @page("GET", "/account/erase", access=MEMBER)
    async def ask_erase(self, visitor: Visitor) -> Response:
        """Say what an erasure does, and ask."""
        return self._ask_erase(visitor)

    @page("POST", "/account/erase", access=MEMBER, limit=Limit.PASSWORD)
    async def erase(self, visitor: Visitor) -> Response:
        """Erase the account."""
        account = _account_of(visitor)
        try:
            async with self._limits.password_try() as attempt:
                form = await forms.read(self._visitors, visitor, timeout_s=self._timeout_s)
                await self._own_account.confirm(attempt, account, form.get("password"), form.get("username"))
            pseudonym = await self._own_account.erase(account.user)
        except Refused as refused:
            return self._ask_erase(visitor, refused)
        response = self._pages.html("erased.html", self._visitors.stranger(), pseudonym=pseudonym)
        await self._visitors.end(response.headers)
        return response

    def _ask_erase(self, visitor: Visitor, refused: Refused | None = None) -> Response:
        account = _account_of(visitor)
        return self._pages.html_with_refusal(
            "erase.html",
            visitor,
            refused,
            has_password=account.password_hash != "",
            pseudonym=pseudonym_of(account.user.id),
        )

    def _secret(self, visitor: Visitor, secret: str, kind: str, *, hours: int = 0) -> Response:
        response = self._pages.html("secret.html", visitor, secret=secret, kind=kind, hours=hours)
        response.headers["Cache-Control"] = "no-store"
        return response


def _account_of(visitor: Visitor) -> Credentials:
    if visitor.account is None:
        raise Refused(ApiError.NO_TOKEN)
    return visitor.account
