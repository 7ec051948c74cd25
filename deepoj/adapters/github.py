"""GitHub as an OAuth 2 provider, over httpx on Trio.

https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps (web application flow, PKCE) and
https://docs.github.com/en/rest/users/users#get-the-authenticated-user. No scope is requested, because a user's identity
is public. The token is used once and forgotten.

Each request takes at most ``timeout_s`` and ``_MAX_ANSWER_BYTES``, however GitHub behaves. Redirects are not followed:
the secret goes only to the configured host.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import httpx
import trio

from deepoj.words.accounts import GithubPerson, GithubRefusal
from deepoj.words.errors import GithubUnavailable

_MAX_ANSWER_BYTES = 256 * 1024
#: GitHub's errors for an invalid code; every other error is about our configuration
_BAD_CODE = frozenset({"bad_verification_code", "invalid_grant"})
_MAX_ID = 2**63 - 1
_MAX_URL_CHARS = 2048
_MAX_TOKEN_CHARS = 4096


class GithubOverHttp:
    """GitHub over HTTP (``ports.Github``). Opens a connection for each login, because logins are rare."""

    def __init__(
        self,
        *,
        client_id: str,
        client_secret: str,
        redirect_url: str,
        base_url: str = "https://github.com",
        api_url: str = "https://api.github.com",
        timeout_s: float = 10.0,
    ) -> None:
        self._client_id = client_id
        self._client_secret = client_secret
        self._redirect_url = redirect_url
        self._base_url = base_url.rstrip("/")
        self._api_url = api_url.rstrip("/")
        self._timeout_s = timeout_s

    def authorize_url(self, state: str, challenge: str) -> str:
        """Return the address of GitHub's login page, as the port says."""
        query = {
            "client_id": self._client_id,
            "redirect_uri": self._redirect_url,
            "response_type": "code",
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{self._base_url}/login/oauth/authorize?{urlencode(query)}"

    async def person(self, code: str, verifier: str) -> GithubPerson | GithubRefusal:
        """Exchange a code for the user, as the port says. A code is valid for one exchange: no retries."""
        # only config.py reads the environment: no proxies and no .netrc from there
        async with httpx.AsyncClient(trust_env=False, timeout=self._timeout_s, follow_redirects=False) as client:
            form = {
                "client_id": self._client_id,
                "client_secret": self._client_secret,
                "code": code,
                "redirect_uri": self._redirect_url,
                "code_verifier": verifier,
            }
            answer = await self._ask(client, "POST", f"{self._base_url}/login/oauth/access_token", "token", data=form)
            token = _token(answer)
            if isinstance(token, GithubRefusal):
                return token
            user = await self._ask(
                client, "GET", f"{self._api_url}/user", "user", headers={"Authorization": f"Bearer {token}"}
            )
            return _person(user)

    async def _ask(
        self,
        client: httpx.AsyncClient,
        method: str,
        url: str,
        what: str,
        *,
        data: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Mapping[str, Any]:
        """Return the JSON object of an answer. Raises GithubUnavailable, whose sentence holds nothing of the answer."""
        sent = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",  # no decompression, so no bombs
            "User-Agent": "deep-oj",
            **(headers or {}),
        }
        body, too_much = bytearray(), False
        # httpx's timeout is per read: a server that sends a byte now and then would pass it
        with trio.move_on_after(self._timeout_s) as scope:
            try:
                async with client.stream(method, url, data=data, headers=sent) as response:
                    status = response.status_code
                    async for piece in response.aiter_raw():
                        body += piece
                        if len(body) > _MAX_ANSWER_BYTES:
                            # cancelled and not left: httpx's nested generators would be closed late, by the collector
                            too_much = True
                            scope.cancel()
            except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
                raise GithubUnavailable(f"GitHub cannot be asked ({what}): {type(error).__name__}") from error
        if too_much:
            raise GithubUnavailable(f"GitHub's answer ({what}) has more than {_MAX_ANSWER_BYTES} bytes")
        if scope.cancelled_caught:
            raise GithubUnavailable(f"GitHub took longer than {self._timeout_s:g} s to answer ({what})")
        answer = _object(bytes(body))
        # an OAuth error is an object, too, with 200 at GitHub and 400 by the standard (RFC 6749 §5.2)
        if answer is not None and (
            status == httpx.codes.OK or (status == httpx.codes.BAD_REQUEST and "error" in answer)
        ):
            return answer
        raise GithubUnavailable(
            f"GitHub answered {status} ({what}){'' if answer is not None else ', without a JSON object'}"
        )


def _object(body: bytes) -> Mapping[str, Any] | None:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _token(answer: Mapping[str, Any]) -> str | GithubRefusal:
    error, token = answer.get("error"), answer.get("access_token")
    if isinstance(error, str):
        if error in _BAD_CODE:
            return GithubRefusal.BAD_CODE
        # GitHub's error codes are short words (incorrect_client_credentials); any other text is not repeated
        word = error if error.isascii() and error.replace("_", "").isalnum() and len(error) <= 64 else "an error"
        raise GithubUnavailable(f"GitHub refused the exchange of a code: {word}; see api.auth.oauth.github")
    if not isinstance(token, str) or not 0 < len(token) <= _MAX_TOKEN_CHARS or not _is_visible(token):
        raise GithubUnavailable("GitHub's answer holds no access token")
    return token


def _is_visible(text: str) -> bool:
    """Return whether ``text`` is valid in a header."""
    return all("!" <= letter <= "~" for letter in text)


def _person(answer: Mapping[str, Any]) -> GithubPerson:
    number, login, avatar = answer.get("id"), answer.get("login"), answer.get("avatar_url")
    if type(number) is not int or not 0 < number <= _MAX_ID or not isinstance(login, str) or not login:
        raise GithubUnavailable("GitHub's answer names no user")
    shown = isinstance(avatar, str) and len(avatar) <= _MAX_URL_CHARS and avatar.startswith("https://")
    return GithubPerson(str(number), login, avatar if shown and _is_visible(str(avatar)) else None)
