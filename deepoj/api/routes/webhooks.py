"""The signing secret of a user's webhooks; for administrators, the deliveries that were given up."""

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
from deepoj.api.models.base import ErrorBody, reply
from deepoj.api.models.webhooks import RedeliveredView, WebhookPage, WebhookQuery, WebhookSecret, WebhookView
from deepoj.observe import logger
from deepoj.webhooks.delivery import signing_secret
from deepoj.words.submissions import Submission
from deepoj.words.webhooks import CallbackRefusal, HookStanding

_MAX_PAGE = 200
_PAGE = 50
_MAX_ID = 2**63 - 1
_DELIVERY_ID = re.compile(r"[0-9a-f-]{36}")

#: error for each reason why a callback URL is refused
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
        """Return the secret with which your webhooks are signed.

        X-DeepOJ-Signature is ``sha256=`` followed by the HMAC-SHA256, in hex, of X-DeepOJ-Timestamp, a full stop and
        the body as received, with this text as the key.
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
        """Change the secret with which your webhooks are signed.

        It applies from the next try on; deliveries refused meanwhile are tried again with the new secret.
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
        """List webhook deliveries that were given up, newest first, in pages.

        For administrators. Send ``next`` of a page as ``before`` to get the following page.
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
        """Repeat a webhook delivery that was given up or delivered, with its old delivery id.

        For administrators. A delivery that is already waiting is not changed.
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
    """Return the latest deliveries of a submission, in order. Raises StoreUnavailable."""
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
