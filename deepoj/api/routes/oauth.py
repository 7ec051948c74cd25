"""Login with GitHub.

The browser is redirected to GitHub with a state and a PKCE challenge, and returns with the state and a code. The node
exchanges the code for the user's identity. Accounts are matched only by the GitHub user id. So a GitHub user with the
name of an existing account gets a new account with another name, and no rights.

If the node dies here: the spent state and the exchanged code are lost, and the user starts the login again. An account
already created is found the next time.
"""

from __future__ import annotations

import posixpath
from urllib.parse import urlsplit

from quart import request
from quart_trio.wrappers import TrioResponse

from deepoj.api.access import PUBLIC
from deepoj.api.auth import Auth
from deepoj.api.context import ApiContext
from deepoj.api.github_login import GithubLogin
from deepoj.api.http.limits import Limit
from deepoj.api.models.accounts import LoggedIn
from deepoj.api.models.oauth import CallbackQuery, Redirected
from deepoj.api.oauth import PAGE_CALLBACK, LoginStates, is_of_pages
from deepoj.api.route import Described, route
from deepoj.api.settings import ApiSettings

COOKIE = "oauth_state"


class GithubRoutes:
    """``/api/v1/auth/github/login`` and ``/callback``."""

    def __init__(self, context: ApiContext, auth: Auth) -> None:
        self._settings, self._auth = context.settings, auth
        self._login = GithubLogin(context, LoginStates(context.settings.jwt_secret))

    @route(
        "GET",
        "/api/v1/auth/github/login",
        access=PUBLIC,
        limit=Limit.AUTH,
        responses={
            307: Described(
                description="Redirect to GitHub.", model=Redirected, headers={"Location": "address at GitHub"}
            ),
        },
        errors=(404,),
    )
    async def login(self) -> TrioResponse:
        """Redirect the browser to GitHub, which redirects it to the callback.

        404 OAUTH_NOT_CONFIGURED if GitHub login is not configured.
        """
        state, url = await self._login.begin()
        answer = TrioResponse(Redirected(location=url).model_dump_json(), 307, {"Location": url}, "application/json")
        _set_cookie(answer, self._settings, state.text, round(self._settings.oauth_state_ttl_s))
        return answer

    @route(
        "GET",
        "/api/v1/auth/github/callback",
        access=PUBLIC,
        limit=Limit.AUTH,
        query=CallbackQuery,
        responses={
            200: LoggedIn,
            303: Described(description="Redirect of a login that began on a page.", headers={"Location": "its page"}),
        },
        errors=(403, 404, 502),
    )
    async def callback(self) -> TrioResponse:
        """Return a token to a user redirected back from GitHub.

        The first login creates an account with the GitHub name, or with a similar one if that is taken or reserved.
        """
        if self._settings.has_pages and is_of_pages(request.args.get("state", "")):
            # GitHub knows one address of ours; the cookie of a login that began on a page is for the pages' callback
            query = request.query_string.decode("latin-1")
            return TrioResponse(status=303, headers={"Location": f"{PAGE_CALLBACK}?{query}"})
        account = await self._login.account(request.cookies.get(COOKIE))
        token = self._auth.tokens.issue(account)
        body = LoggedIn(token=token, username=account.user.username, user_id=account.user.id)
        answer = TrioResponse(body.model_dump_json(), 200, None, "application/json")
        _set_cookie(answer, self._settings, "", 0)
        return answer


def _set_cookie(answer: TrioResponse, settings: ApiSettings, value: str, max_age_s: int) -> None:
    """Set the state cookie for the callback's public path only, hidden from scripts."""
    there = urlsplit(settings.github_redirect_url)
    answer.set_cookie(
        COOKIE,
        value,
        max_age=max_age_s,
        path=posixpath.dirname(there.path) or "/",
        secure=there.scheme == "https",
        httponly=True,
        samesite="Lax",
    )
