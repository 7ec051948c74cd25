"""Webhooks of the Contest API: where an account has the events of contests sent (by ``api/contest_webhooks.py``).

An account sees and removes its own. The specification leaves open how to remove one; here it is DELETE, as elsewhere.
"""

from __future__ import annotations

import re

from quart import Response
from quart_trio.wrappers import TrioResponse

from deepoj.api.auth import Auth
from deepoj.api.body import read_json
from deepoj.api.contest_callers import ContestCallers
from deepoj.api.contest_errors import ContestError
from deepoj.api.contest_webhooks import remove_webhook
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.models.clics import ContestWebhookBody
from deepoj.api.routes.clics import answer_of, clics_route, found_or_refused
from deepoj.contests.clics import RUNS, TYPES
from deepoj.contests.clics_log import encoded
from deepoj.words.accounts import User
from deepoj.words.webhooks import CallbackRefusal, ContestWebhook, ContestWebhookDraft

#: webhooks of one account
MOST_WEBHOOKS = 5
_MOST_CONTESTS = 100
#: it is the value of a header
_TOKEN = re.compile(r"[!-~]{1,255}")
_ENDPOINTS = frozenset({*TYPES, RUNS})
_URL_PROBLEMS = {
    CallbackRefusal.MALFORMED: "a URL of at most 2000 characters, escaped, without a fragment",
    CallbackRefusal.SCHEME: "it must begin with http:// or https://",
    CallbackRefusal.CREDENTIALS: "without a user or a password: the token is sent in the header Webhook-Token",
    CallbackRefusal.PORT: "its port must be 80, 443, or at least 1024",
    CallbackRefusal.HOST: "its host is not allowed on this server",
    CallbackRefusal.ADDRESS: "its host must have a public address",
}


class ContestWebhookRoutes:
    """``/clics/webhooks``."""

    def __init__(self, context: ApiContext, callers: ContestCallers, auth: Auth) -> None:
        self._context, self._webhooks, self._callers = context, context.contest_webhooks, callers
        self._auth = auth

    @clics_route("GET", "/webhooks")
    async def webhooks(self) -> Response:
        """Return the caller's webhooks."""
        user = await self._callers.user()
        return answer_of(encoded([_object(each) for each in await self._webhooks.contest_webhooks(user.id)]))

    @clics_route("GET", "/webhooks/<webhook_id>")
    async def webhook(self, webhook_id: str) -> Response:
        """Return one of the caller's webhooks."""
        user = await self._callers.user()
        found = await self._webhooks.contest_webhooks(user.id)
        return found_or_refused(next((encoded(_object(each)) for each in found if str(each.id) == webhook_id), None))

    @clics_route("POST", "/webhooks")
    async def register(self) -> Response:
        """Have the events of contests, from now on, sent to a URL.

        A token that was made for a program may not: it ends, and the webhook would not.
        """
        user = await self._callers.user()
        self._auth.require_login()
        body = await read_json(ContestWebhookBody, timeout_s=self._context.settings.read_timeout_s)
        if body.id is not None:
            raise Refused(ApiError.INVALID, field="id", problem="the server sets it: leave it out")
        callback = self._context.settings.callbacks.read(body.url)
        if callback is CallbackRefusal.SWITCHED_OFF:
            raise Refused(ApiError.CALLBACKS_OFF)
        if isinstance(callback, CallbackRefusal):
            raise Refused(ApiError.INVALID, field="url", problem=_URL_PROBLEMS[callback])
        if not _TOKEN.fullmatch(body.token):
            raise Refused(ApiError.INVALID, field="token", problem="1 to 255 visible ASCII characters")
        endpoints = tuple(dict.fromkeys(body.endpoints or ()))
        if not _ENDPOINTS.issuperset(endpoints):
            raise Refused(ApiError.INVALID, field="endpoints", problem="types of events, such as submissions")
        draft = ContestWebhookDraft(
            user_id=user.id,
            url=callback.url,
            target=callback.target,
            token=body.token,
            endpoints=endpoints,
            contest_ids=await self._contest_ids(user, body.contest_ids or ()),
        )
        made = await self._webhooks.add_contest_webhook(draft, MOST_WEBHOOKS)
        if made is None:
            raise Refused(ContestError.CONTEST_WEBHOOKS_FULL, most=MOST_WEBHOOKS)
        response = answer_of(encoded(_object(made)))
        response.headers["Location"] = f"/clics/webhooks/{made.id}"
        return response

    @clics_route("DELETE", "/webhooks/<webhook_id>")
    async def remove(self, webhook_id: str) -> Response:
        """Remove one of the caller's webhooks. A callback that is under way may still arrive."""
        user = await self._callers.user()
        if not await remove_webhook(self._webhooks, user, webhook_id):
            raise Refused(ApiError.NOT_FOUND)
        return TrioResponse(b"", status=204)

    async def _contest_ids(self, user: User, sent: list[str] | tuple[str, ...]) -> tuple[str, ...]:
        """Return the contests that are named, each once. Refused if the caller does not see one of them."""
        keys = tuple(dict.fromkeys(sent))
        if len(keys) > _MOST_CONTESTS:
            raise Refused(ApiError.INVALID, field="contest_ids", problem=f"{_MOST_CONTESTS} at most")
        for key in keys:
            contest = await self._context.contests.contest(key)
            if contest is None or await self._callers.viewer(user, contest) is None:
                raise Refused(ApiError.INVALID, field="contest_ids", problem="there is none with this id")
        return keys


def _object(webhook: ContestWebhook) -> dict[str, object]:
    return {
        "id": str(webhook.id),
        "url": webhook.url,
        "endpoints": list(webhook.endpoints),
        "contest_ids": list(webhook.contest_ids),
        "active": webhook.is_active,
    }
