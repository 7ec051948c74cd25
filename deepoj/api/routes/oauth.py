"""Logging in with GitHub.

A browser is sent there with a state and PKCE's challenge, comes back with the state and a code, and the code is
exchanged for who it is. An account is found by GitHub's number of the person and by nothing else: somebody who is
called there as an account is called here gets another name, and no rights.

What if we die here? A state that is spent and a code that is exchanged are lost with the answer: the person begins
again. An account that was made stands, and is found the next time.
"""

from __future__ import annotations

import posixpath
from urllib.parse import urlsplit

from quart import Blueprint, request
from quart_schema import document_querystring, document_response
from quart_trio.wrappers import TrioResponse

from deepoj import observe
from deepoj.api.auth import Auth
from deepoj.api.body import encodable
from deepoj.api.context import ApiContext
from deepoj.api.document import answers
from deepoj.api.errors import ApiError, Refused
from deepoj.api.models import CallbackQuery, ErrorBody, LoggedIn, Redirected
from deepoj.api.oauth import LoginState, States, usernames
from deepoj.api.settings import ApiSettings
from deepoj.ports.accounts import Github
from deepoj.words.accounts import Credentials, GithubPerson, GithubRefusal
from deepoj.words.errors import GithubUnavailable

COOKIE = "oauth_state"
_MAX_CODE_CHARS = 512


def blueprint(context: ApiContext, auth: Auth) -> Blueprint:
    """``/api/v1/auth/github/login`` and ``/callback``."""
    routes = Blueprint("github", __name__, url_prefix="/api/v1/auth/github")
    settings = context.settings
    states = States(settings.jwt_secret)

    @routes.get("/login")
    @document_response(Redirected, 307)
    @answers(307, None, "To GitHub.", headers={"Location": "where to go"})
    @document_response(ErrorBody, 404)
    async def github_login() -> TrioResponse:
        """Sends a browser to GitHub, to come back to the callback.

        404 OAUTH_NOT_CONFIGURED where logging in with GitHub is not set up.
        """
        github = _github(context)
        state = states.new(await context.accounts.database_time_s() + settings.oauth_state_ttl_s)
        url = github.authorize_url(state.text, state.challenge)
        answer = TrioResponse(Redirected(location=url).model_dump_json(), 307, {"Location": url}, "application/json")
        _set_cookie(answer, settings, state.text, round(settings.oauth_state_ttl_s))
        return answer

    @routes.get("/callback")
    @document_querystring(CallbackQuery)
    @document_response(LoggedIn)
    @document_response(ErrorBody, 403)
    @document_response(ErrorBody, 404)
    @document_response(ErrorBody, 502)
    async def github_callback() -> TrioResponse:
        """Gives a token to somebody who comes back from GitHub.

        The first time an account is made, under their name there or, where that is taken or reserved, a similar one.
        """
        github = _github(context)
        state = await _returned(context, states)
        account = await _account(context, await _person(github, state))
        if account.is_disabled:
            raise Refused(ApiError.ACCOUNT_DISABLED)
        observe.log("oauth_login", user_id=account.user.id)
        body = LoggedIn(token=auth.tokens.issue(account), username=account.user.username, user_id=account.user.id)
        answer = TrioResponse(body.model_dump_json(), 200, None, "application/json")
        _set_cookie(answer, settings, "", 0)
        return answer

    return routes


def _github(context: ApiContext) -> Github:
    if context.github is None:
        raise Refused(ApiError.OAUTH_OFF)
    return context.github


def _set_cookie(answer: TrioResponse, settings: ApiSettings, value: str, max_age_s: int) -> None:
    """Only the callback sees it, as its address is from outside; no script does."""
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


async def _returned(context: ApiContext, states: States) -> LoginState:
    """The state that this request brings back, spent."""
    state = states.read(request.args.get("state"), request.cookies.get(COOKIE))
    if state is None or not await context.accounts.spend_oauth_state(state.nonce, state.expires_at_s):
        raise Refused(ApiError.BAD_STATE)
    return state


async def _person(github: Github, state: LoginState) -> GithubPerson:
    if "error" in request.args:  # its words are anybody's, and go nowhere
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
    """Theirs, or a new one under the first name that is free."""
    accounts = context.accounts
    known = await accounts.github_credentials(person.github_id, person.avatar_url)
    if known is not None:
        return known
    for name in usernames(person.login, person.github_id, context.settings.admin_users):
        made = await accounts.create_github_user(name, person.github_id, person.avatar_url)
        if isinstance(made, Credentials):
            observe.log("oauth_account_made", user_id=made.user.id)
            return made
    raise AssertionError("a random name is never taken")
