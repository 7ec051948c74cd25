"""The signing secret of one's webhooks, and, for administrators, the deliveries that were given up."""

from __future__ import annotations

import re
from typing import Any

from quart import Blueprint, request
from quart_schema import document_querystring, document_response, security_scheme

from deepoj.api.auth import Auth
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.exchange import request_id
from deepoj.api.http.paths import whole
from deepoj.api.models import (
    ErrorBody,
    RedeliveredView,
    WebhookPage,
    WebhookQuery,
    WebhookSecret,
    WebhookView,
    reply,
)
from deepoj.observe import logger
from deepoj.webhooks.delivery import signing_secret
from deepoj.words.submissions import Submission
from deepoj.words.webhooks import CallbackRefusal, HookStanding

_MAX_PAGE = 200
_PAGE = 50
_MAX_ID = 2**63 - 1
_DELIVERY_ID = re.compile(r"[0-9a-f-]{36}")

#: what is said of a callback that is not acceptable
CALLBACK_REFUSALS = {
    CallbackRefusal.SWITCHED_OFF: ApiError.CALLBACKS_OFF,
    CallbackRefusal.MALFORMED: ApiError.CALLBACK_MALFORMED,
    CallbackRefusal.SCHEME: ApiError.CALLBACK_SCHEME,
    CallbackRefusal.CREDENTIALS: ApiError.CALLBACK_CREDENTIALS,
    CallbackRefusal.PORT: ApiError.CALLBACK_PORT,
    CallbackRefusal.HOST: ApiError.CALLBACK_HOST,
    CallbackRefusal.ADDRESS: ApiError.CALLBACK_ADDRESS,
}


def blueprint(context: ApiContext, auth: Auth) -> Blueprint:
    """``/api/v1/users/me/webhook-secret``, ``/api/v1/admin/webhooks``."""
    routes = Blueprint("webhooks", __name__, url_prefix="/api/v1")
    settings = context.settings

    @routes.get("/users/me/webhook-secret")
    @security_scheme([{"bearer": []}])
    @document_response(WebhookSecret)
    @document_response(ErrorBody, 401)
    @document_response(ErrorBody, 404)
    @document_response(ErrorBody, 503)
    async def secret() -> dict[str, Any]:
        """The secret that one's webhooks are signed with.

        X-DeepOJ-Signature is ``sha256=`` and the HMAC-SHA256, in hex, of X-DeepOJ-Timestamp, a full stop and the body
        as it was received, with this text as the key.
        """
        user = await auth.user()
        return shown(user.id, await context.webhooks.webhook_secret_epoch(user.id))

    @routes.post("/users/me/webhook-secret/rotate")
    @security_scheme([{"bearer": []}])
    @document_response(WebhookSecret)
    @document_response(ErrorBody, 401)
    @document_response(ErrorBody, 404)
    @document_response(ErrorBody, 503)
    async def rotate() -> dict[str, Any]:
        """Changes the secret that one's webhooks are signed with.

        From the next try on; deliveries that were refused meanwhile are tried again, with the new one.
        """
        user = await auth.user()
        if not settings.callbacks.enabled:
            raise Refused(ApiError.WEBHOOKS_OFF)
        seen = await context.webhooks.webhook_secret_epoch(user.id)
        epoch = await context.webhooks.rotate_webhook_secret(user.id, seen)
        logger().info("webhook_secret_rotated", request_id=request_id(request), user_id=user.id)
        return shown(user.id, epoch)

    @routes.get("/admin/webhooks")
    @security_scheme([{"bearer": []}])
    @document_querystring(WebhookQuery)
    @document_response(WebhookPage)
    @document_response(ErrorBody, 400)
    @document_response(ErrorBody, 401)
    @document_response(ErrorBody, 403)
    @document_response(ErrorBody, 503)
    async def given_up() -> dict[str, Any]:
        """Webhook deliveries that were given up, newest first, in pages.

        For administrators. ``next`` of an answer is ``before`` of the next question.
        """
        await auth.admin()
        limit, before = whole("limit", _PAGE, _MAX_PAGE), whole("before", None, _MAX_ID)
        found = await context.webhooks.given_up_webhooks(limit + 1, before)
        page = found[:limit]
        after = str(page[-1].id) if len(found) > limit else None
        return reply(WebhookPage(webhooks=[_view(one) for one in page], next=after))

    @routes.post("/admin/webhooks/<delivery_id>/redeliver")
    @security_scheme([{"bearer": []}])
    @document_response(RedeliveredView, 202)
    @document_response(ErrorBody, 401)
    @document_response(ErrorBody, 403)
    @document_response(ErrorBody, 404)
    @document_response(ErrorBody, 503)
    async def redeliver(delivery_id: str) -> tuple[dict[str, Any], int]:
        """Sends a webhook round again that was given up or delivered, under its old delivery id.

        For administrators. One that is waiting goes on waiting.
        """
        admin = await auth.admin()
        known = _DELIVERY_ID.fullmatch(delivery_id)
        answer = await context.webhooks.redeliver_webhook(delivery_id) if known else None
        if answer is None:
            raise Refused(ApiError.NO_SUCH_DELIVERY)
        logger().info(
            "webhook_redelivered",
            request_id=request_id(request),
            user_id=admin.id,
            job_id=answer.job_id,
            delivery_id=delivery_id,
            result="repeated" if answer.repeated else "done",
        )
        view = RedeliveredView(delivery_id=delivery_id, job_id=answer.job_id, repeated=answer.repeated)
        return reply(view), 202

    def shown(user_id: int, epoch: int) -> dict[str, Any]:
        if not settings.callbacks.enabled:
            raise Refused(ApiError.WEBHOOKS_OFF)
        return reply(WebhookSecret(secret=signing_secret(settings.webhook_secret, user_id, epoch)))

    return routes


async def webhooks_of(context: ApiContext, submission: Submission, limit: int) -> list[WebhookView]:
    """The latest deliveries of a submission, in their order. Raises StoreUnavailable."""
    if submission.callback_url is None:
        return []
    return [_view(one) for one in await context.webhooks.webhooks_of_job(submission.job_id, limit)]


def _view(delivery: HookStanding) -> WebhookView:
    return WebhookView(
        delivery_id=delivery.delivery_id,
        job_id=delivery.job_id,
        judging=delivery.judging,
        event=f"submission.{delivery.event}",
        target=delivery.target,
        status=delivery.status,
        attempts=delivery.attempts,
        http_status=delivery.http_status,
        error=delivery.last_error,
        next_attempt_at=delivery.next_attempt_at,
        created_at=delivery.created_at,
        ended_at=delivery.ended_at,
    )
