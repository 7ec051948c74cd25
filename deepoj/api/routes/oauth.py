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

from quart import Blueprint, request
from quart_schema import document_querystring, document_response
from quart_trio.wrappers import TrioResponse

from deepoj import observe
from deepoj.api.auth import Auth
from deepoj.api.body import encodable
from deepoj.api.context import ApiContext
from deepoj.api.document import answers
from deepoj.api.errors import ApiError, Refused
from deepoj.api.models.accounts import LoggedIn
from deepoj.api.models.base import ErrorBody
from deepoj.api.models.oauth import CallbackQuery, Redirected
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
    @answers(307, None, "Redirect to GitHub.", headers={"Location": "address at GitHub"})
    @document_response(ErrorBody, 404)
    async def github_login() -> TrioResponse:
        """Redirect the browser to GitHub, which redirects it to the callback.

        404 OAUTH_NOT_CONFIGURED if GitHub login is not configured.
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
        """Return a token to a user redirected back from GitHub.

        The first login creates an account with the GitHub name, or with a similar one if that is taken or reserved.
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
    """Return the GitHub user's account, or create one with the first free name."""
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
