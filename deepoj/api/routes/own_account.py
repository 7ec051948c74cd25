"""Tokens, export and erasure of the user's own account."""

from __future__ import annotations

from quart import Response
from quart_trio.wrappers import TrioResponse

from deepoj.api.access import CHECKED_BY_HANDLER, USER
from deepoj.api.auth import Auth
from deepoj.api.body import read_json
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.limits import Limit, RequestLimits
from deepoj.api.models.own_account import (
    AccessTokenList,
    AccessTokenView,
    Erased,
    EraseOwnBody,
    MadeToken,
    TokenBody,
    TokenEnded,
)
from deepoj.api.own_account import OwnAccount
from deepoj.api.route import Described, route
from deepoj.words.access_tokens import MAX_ACCESS_TOKENS
from deepoj.words.accounts import User


class OwnAccountRoutes:
    """``/api/v1/users/me/tokens``, ``/api/v1/users/me/export``, and ``DELETE /api/v1/users/me``."""

    def __init__(self, context: ApiContext, auth: Auth, limits: RequestLimits) -> None:
        self._own_account, self._auth, self._limits = OwnAccount(context, auth), auth, limits
        self._access_tokens = context.access_tokens
        self._timeout_s = context.settings.read_timeout_s

    @route(
        "GET",
        "/api/v1/users/me/export",
        access=USER,
        responses={200: Described(description="Everything kept about you.", content_type="application/json")},
    )
    async def export(self, user: User) -> Response:
        """Return all data of your account as one JSON object, streamed.

        Profile, browser sessions, custom runs that are kept, solved problems, and all submissions with their sources,
        results and former verdicts. The browser's address is kept for 30 days. Inputs and outputs of custom runs are
        in base64.
        """
        answer = TrioResponse(self._own_account.export(user), content_type="application/json")
        answer.headers["Content-Disposition"] = 'attachment; filename="deepoj-account.json"'
        answer.headers["Cache-Control"] = "private, no-store"
        return answer

    @route("GET", "/api/v1/users/me/tokens", access=USER, responses={200: AccessTokenList})
    async def tokens(self, user: User) -> AccessTokenList:
        """List the tokens that you made for programs, newest first. Tokens of logins are stored nowhere."""
        found = await self._access_tokens.tokens_of(user.id, MAX_ACCESS_TOKENS)
        return AccessTokenList(
            tokens=[
                AccessTokenView(
                    id=one.id,
                    name=one.name,
                    created_at=one.created_at,
                    expires_at=one.expires_at,
                    used_at=one.used_at,
                )
                for one in found
            ]
        )

    @route(
        "POST",
        "/api/v1/users/me/tokens",
        access=CHECKED_BY_HANDLER,
        limit=Limit.PASSWORD,
        body=TokenBody,
        responses={201: MadeToken},
        errors=(403,),
    )
    async def make_token(self) -> MadeToken:
        """Make a token for a program. It is shown once, and can be ended by itself.

        Requires the current password, and the token of a login: a token that was made here cannot make others.
        """
        async with self._limits.password_try() as attempt:  # the thief of a token could guess the password here
            account = await self._auth.account()
            self._auth.require_login()
            body = await read_json(TokenBody, timeout_s=self._timeout_s)
            return await self._own_account.make_token(attempt, account, body.name, body.password or "")

    @route(
        "DELETE",
        "/api/v1/users/me/tokens/<token_id>",
        access=USER,
        responses={200: TokenEnded},
        errors=(403,),
    )
    async def end_token(self, user: User, token_id: str) -> TokenEnded:
        """End one of the tokens that you made. A token that was made for a program can end itself only."""
        self._auth.require_login(or_token=token_id)
        if not await self._own_account.end_token(user, token_id):
            raise Refused(ApiError.NO_SUCH_TOKEN)
        return TokenEnded(id=token_id, status="ended")

    @route(
        "DELETE",
        "/api/v1/users/me",
        access=CHECKED_BY_HANDLER,
        limit=Limit.PASSWORD,
        body=EraseOwnBody,
        responses={200: Erased},
        errors=(403, 404, 409),
    )
    async def erase(self) -> Erased:
        """Erase your account. This cannot be undone.

        Tokens and sessions end at once. Verdicts, figures and marks of your submissions stay under a pseudonym; their
        sources are removed. Your username becomes free. The last administrator is refused.
        """
        async with self._limits.password_try() as attempt:  # the thief of a token could guess the password here
            account = await self._auth.account()
            body = await read_json(EraseOwnBody, timeout_s=self._timeout_s)
            if not account.password_hash:
                self._auth.require_login()
            await self._own_account.confirm(attempt, account, body.password or "", body.username or "")
        return Erased(id=account.user.id, username=await self._own_account.erase(account.user))
