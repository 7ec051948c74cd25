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

from deepoj import observe
from deepoj.api.access import PUBLIC
from deepoj.api.auth import Auth
from deepoj.api.body import encodable
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.limits import Limit
from deepoj.api.models.accounts import LoggedIn
from deepoj.api.models.oauth import CallbackQuery, Redirected
from deepoj.api.oauth import LoginState, LoginStates, usernames
from deepoj.api.route import Described, route
from deepoj.api.settings import ApiSettings
from deepoj.ports.accounts import Github
from deepoj.words.accounts import Credentials, GithubPerson, GithubRefusal
from deepoj.words.errors import GithubUnavailable

COOKIE = "oauth_state"
_MAX_CODE_CHARS = 512


class GithubRoutes:
    """``/api/v1/auth/github/login`` and ``/callback``."""

    def __init__(self, context: ApiContext, auth: Auth) -> None:
        self._context, self._settings, self._auth = context, context.settings, auth
        self._states = LoginStates(context.settings.jwt_secret)

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
        github, ttl_s = _github(self._context), self._settings.oauth_state_ttl_s
        state = self._states.new(await self._context.accounts.database_time_s() + ttl_s)
        url = github.authorize_url(state.text, state.challenge)
        answer = TrioResponse(Redirected(location=url).model_dump_json(), 307, {"Location": url}, "application/json")
        _set_cookie(answer, self._settings, state.text, round(ttl_s))
        return answer

    @route(
        "GET",
        "/api/v1/auth/github/callback",
        access=PUBLIC,
        limit=Limit.AUTH,
        query=CallbackQuery,
        responses={200: LoggedIn},
        errors=(403, 404, 502),
    )
    async def callback(self) -> TrioResponse:
        """Return a token to a user redirected back from GitHub.

        The first login creates an account with the GitHub name, or with a similar one if that is taken or reserved.
        """
        github = _github(self._context)
        state = await _spent_state(self._context, self._states)
        account = await _account(self._context, await _person(github, state))
        if account.is_disabled:
            raise Refused(ApiError.ACCOUNT_DISABLED)
        observe.log("oauth_login", user_id=account.user.id)
        token = self._auth.tokens.issue(account)
        body = LoggedIn(token=token, username=account.user.username, user_id=account.user.id)
        answer = TrioResponse(body.model_dump_json(), 200, None, "application/json")
        _set_cookie(answer, self._settings, "", 0)
        return answer


def _github(context: ApiContext) -> Github:
    if context.github is None:
        raise Refused(ApiError.OAUTH_OFF)
    return context.github


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


async def _spent_state(context: ApiContext, states: LoginStates) -> LoginState:
    """Return the state that the browser brought back, and mark it as used. Raises Refused if it is not valid."""
    state = states.read(request.args.get("state"), request.cookies.get(COOKIE))
    if state is None or not await context.accounts.spend_oauth_state(state.nonce, state.expires_at_s):
        raise Refused(ApiError.BAD_STATE)
    return state


async def _person(github: Github, state: LoginState) -> GithubPerson:
    """Exchange the code of the current request for the GitHub user. Raises Refused."""
    if "error" in request.args:  # not logged: anybody can send any text here
        raise Refused(ApiError.OAUTH_DENIED)
    code = request.args.get("code", "")
    if not 0 < len(code) <= _MAX_CODE_CHARS or not encodable(code):
        raise Refused(ApiError.BAD_OAUTH_CODE)
    try:
        person = await github.person(code, state.verifier)
    except GithubUnavailable as error:
        observe.log("oauth_provider_failed", level="warning", error=str(error))
        raise Refused(ApiError.GITHUB_DOWN) from error
    if isinstance(person, GithubRefusal):
        raise Refused(ApiError.BAD_OAUTH_CODE)
    return person


async def _account(context: ApiContext, person: GithubPerson) -> Credentials:
    """Return the GitHub user's account, or create one with the first free name."""
    accounts = context.accounts
    known = await accounts.github_credentials(person.github_id, person.avatar_url)
    if known is not None:
        return known
    for name in usernames(person.login, person.github_id, context.settings.admin_users):
        created = await accounts.create_github_user(name, person.github_id, person.avatar_url)
        if isinstance(created, Credentials):
            observe.log("oauth_account_made", user_id=created.user.id)
            return created
    raise AssertionError("a random name is never taken")
