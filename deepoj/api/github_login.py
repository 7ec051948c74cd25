"""Login with GitHub, as routes and pages do it: from the state to the account."""

from __future__ import annotations

from quart import request

from deepoj import observe
from deepoj.api.body import encodable
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.address import address_of, networks
from deepoj.api.oauth import LoginState, LoginStates, usernames
from deepoj.api.signing_in import require_admitted
from deepoj.ports.accounts import Github
from deepoj.words.accounts import Credentials, GithubPerson, GithubRefusal
from deepoj.words.errors import GithubUnavailable

_MAX_CODE_CHARS = 512


class GithubLogin:
    """Begins logins, and ends them. All methods raise Refused or StoreUnavailable."""

    def __init__(self, context: ApiContext, states: LoginStates) -> None:
        self._context, self._states = context, states

    async def begin(self) -> tuple[LoginState, str]:
        """Return a new state, and the address at GitHub to which the browser goes with it."""
        github = self._github()
        ttl_s = self._context.settings.oauth_state_ttl_s
        state = self._states.new(await self._context.accounts.database_time_s() + ttl_s)
        return state, github.authorize_url(state.text, state.challenge)

    async def account(self, cookie: str | None) -> Credentials:
        """Return the account of the person with whom the browser came back. ``cookie``: the state that was set in this
        browser."""
        github = self._github()
        state = await self._spent_state(cookie)
        account = await self._account(await _person(github, state))
        require_admitted(account, address_of(request, networks(self._context.settings.trusted_proxies)))
        observe.log("oauth_login", user_id=account.user.id)
        return account

    def _github(self) -> Github:
        if self._context.github is None:
            raise Refused(ApiError.OAUTH_OFF)
        return self._context.github

    async def _spent_state(self, cookie: str | None) -> LoginState:
        """Return the state that the browser brought back, and mark it as used. Raises Refused if it is not valid."""
        state = self._states.read(request.args.get("state"), cookie)
        if state is None or not await self._context.accounts.spend_oauth_state(state.nonce, state.expires_at_s):
            raise Refused(ApiError.BAD_STATE)
        return state

    async def _account(self, person: GithubPerson) -> Credentials:
        """Return the GitHub user's account, or create one with the first free name."""
        accounts = self._context.accounts
        known = await accounts.github_credentials(person.github_id, person.avatar_url)
        if known is not None:
            return known
        for name in usernames(person.login, person.github_id, self._context.settings.admin_users):
            created = await accounts.create_github_user(name, person.github_id, person.avatar_url)
            if isinstance(created, Credentials):
                observe.log("oauth_account_made", user_id=created.user.id)
                return created
        raise AssertionError("a random name is never taken")


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
