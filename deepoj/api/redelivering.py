"""Webhook deliveries that were given up, as routes and pages show and repeat them."""

from __future__ import annotations

import re

from quart import request

from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.exchange import request_id
from deepoj.observe import log
from deepoj.words.accounts import User
from deepoj.words.webhooks import HookStanding, Redelivered

_DELIVERY_ID = re.compile(r"[0-9a-f-]{36}")


async def given_up(context: ApiContext, limit: int, before: int | None) -> tuple[list[HookStanding], int | None]:
    """Return a page of deliveries that were given up, newest first, and the id before which the next page begins."""
    found = await context.webhooks.given_up_webhooks(limit + 1, before)
    return found[:limit], found[limit - 1].id if len(found) > limit else None


async def redeliver(context: ApiContext, user: User, delivery_id: str) -> Redelivered:
    """Begin another round of a delivery that has ended. Raises Refused."""
    is_id = _DELIVERY_ID.fullmatch(delivery_id)
    redelivered = await context.webhooks.redeliver_webhook(delivery_id) if is_id else None
    if redelivered is None:
        raise Refused(ApiError.NO_SUCH_DELIVERY)
    log(
        "webhook_redelivered",
        request_id=request_id(request),
        user_id=user.id,
        job_id=redelivered.job_id,
        delivery_id=delivery_id,
        result="repeated" if redelivered.repeated else "done",
    )
    return redelivered
