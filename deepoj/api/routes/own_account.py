"""Export and erasure of the user's own account."""

from __future__ import annotations

from quart import Response
from quart_trio.wrappers import TrioResponse

from deepoj.api.access import CHECKED_BY_HANDLER, USER
from deepoj.api.auth import Auth
from deepoj.api.body import read_json
from deepoj.api.context import ApiContext
from deepoj.api.http.limits import Limit, RequestLimits
from deepoj.api.models.own_account import Erased, EraseOwnBody
from deepoj.api.own_account import OwnAccount
from deepoj.api.route import Described, route
from deepoj.words.accounts import User


class OwnAccountRoutes:
    """``/api/v1/users/me/export``, and ``DELETE /api/v1/users/me``."""

    def __init__(self, context: ApiContext, auth: Auth, limits: RequestLimits) -> None:
        self._own_account, self._auth, self._limits = OwnAccount(context, auth), auth, limits
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
            await self._own_account.confirm(attempt, account, body.password or "", body.username or "")
        return Erased(id=account.user.id, username=await self._own_account.erase(account.user))
