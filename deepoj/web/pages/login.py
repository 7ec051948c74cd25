"""Registering, logging in and out."""

from __future__ import annotations

import posixpath
from urllib.parse import quote, unquote

from quart import Response, request

from deepoj.api.context import ApiContext
from deepoj.api.errors import Refused
from deepoj.api.github_login import GithubLogin
from deepoj.api.http.limits import Limit
from deepoj.api.oauth import PAGE_CALLBACK, LoginStates
from deepoj.api.signing_in import SigningIn
from deepoj.web import forms
from deepoj.web.page import ANYONE, page
from deepoj.web.pages.home import own_path
from deepoj.web.render import Pages, redirect
from deepoj.web.visitor import Visitor, Visitors

#: cookie of a login with GitHub that has begun: its state and the path where it goes on
_GITHUB = "deepoj_github"


class LoginPages:
    """``/login`` (also with GitHub), ``/register``, ``/logout``."""

    def __init__(self, context: ApiContext, signing_in: SigningIn, visitors: Visitors, pages: Pages) -> None:
        self._context, self._signing_in, self._visitors, self._pages = context, signing_in, visitors, pages
        self._settings, self._timeout_s = context.settings, context.settings.read_timeout_s
        self._github = GithubLogin(context, LoginStates(context.settings.jwt_secret, is_of_pages=True))

    @page("GET", "/login", access=ANYONE, limit=Limit.NONE)
    async def show_login(self, visitor: Visitor) -> Response:
        """Show the form."""
        next_path = own_path(request.args.get("next", "/"))
        if visitor.account is not None:
            return redirect(next_path)
        return self._login(visitor, next_path=next_path, has_ended=self._visitors.claims() is not None)

    @page("POST", "/login", access=ANYONE, limit=Limit.PASSWORD)
    async def login(self, visitor: Visitor) -> Response:
        """Begin a session."""
        username, next_path = "", "/"
        try:
            async with self._signing_in.password_try() as attempt:
                form = await forms.read(self._visitors, visitor, timeout_s=self._timeout_s)
                username, next_path = form.line("username"), own_path(form.get("next"))
                account = await self._signing_in.verified(attempt, username, form.get("password"))
            self._signing_in.require_admitted(account)
        except Refused as refused:
            return self._login(visitor, next_path=next_path, username=username, refused=refused)
        response = redirect(next_path)
        await self._visitors.begin(account, response.headers)
        return response

    @page("GET", "/register", access=ANYONE, limit=Limit.NONE)
    async def show_register(self, visitor: Visitor) -> Response:
        """Show the form."""
        if visitor.account is not None:
            return redirect(own_path(request.args.get("next", "/")))
        next_path = own_path(request.args.get("next", "/problems"))
        return self._pages.html("register.html", visitor, next_path=next_path, username="", email="", refused=None)

    @page("POST", "/register", access=ANYONE, limit=Limit.REGISTER)
    async def register(self, visitor: Visitor) -> Response:
        """Create an account, and begin a session of it."""
        username, email, next_path = "", "", "/problems"
        try:
            form = await forms.read(self._visitors, visitor, timeout_s=self._timeout_s)
            username, email = form.line("username"), form.line("email")
            next_path = own_path(form.get("next") or next_path)
            user = await self._signing_in.register(username, form.get("password"), email)
        except Refused as refused:
            return self._pages.html_with_refusal(
                "register.html", visitor, refused, next_path=next_path, username=username, email=email
            )
        account = await self._context.accounts.credentials_by_id(user.id)
        response = redirect(next_path if account is not None else "/login")
        if account is not None:
            await self._visitors.begin(account, response.headers)
        return response

    @page("GET", "/login/github", access=ANYONE, limit=Limit.AUTH)
    async def begin_github(self, visitor: Visitor) -> Response:
        """Send the browser to GitHub. A cookie binds the login to this browser, and remembers where it goes on."""
        next_path = own_path(request.args.get("next", "/"))
        if visitor.account is not None:
            return redirect(next_path)
        state, url = await self._github.begin()
        response = redirect(url)
        self._set_github(response, f"{state.text}:{quote(next_path, safe='')}", self._settings.oauth_state_ttl_s)
        return response

    @page("GET", PAGE_CALLBACK, access=ANYONE, limit=Limit.AUTH)
    async def end_github(self, visitor: Visitor) -> Response:
        """Begin a session of the person with whom the browser comes back from GitHub."""
        state, _, sent = request.cookies.get(_GITHUB, "").partition(":")
        next_path = own_path(unquote(sent))
        try:
            account = await self._github.account(state)
        except Refused as refused:
            return self._login(visitor, next_path=next_path, refused=refused)
        response = redirect(next_path)
        await self._visitors.begin(account, response.headers)
        self._set_github(response, "", 0)
        return response

    @page("POST", "/logout", access=ANYONE)
    async def logout(self, visitor: Visitor) -> Response:
        """End the session."""
        await forms.read(self._visitors, visitor, timeout_s=self._timeout_s)
        response = redirect("/")
        await self._visitors.end(response.headers)
        return response

    def _set_github(self, response: Response, value: str, max_age_s: float) -> None:
        response.set_cookie(
            _GITHUB,
            value,
            max_age=round(max_age_s),
            path=posixpath.dirname(PAGE_CALLBACK),
            secure=self._settings.github_redirect_url.startswith("https:"),
            httponly=True,
            samesite="Lax",  # GitHub's redirect is a navigation, so the cookie comes back
        )

    def _login(
        self,
        visitor: Visitor,
        *,
        next_path: str,
        username: str = "",
        refused: Refused | None = None,
        has_ended: bool = False,
    ) -> Response:
        """Return the form. ``has_ended``: this browser had a session, which was ended elsewhere."""
        return self._pages.html_with_refusal(
            "login.html", visitor, refused, next_path=next_path, username=username, has_ended=has_ended
        )
