"""The signing secret of a user's webhooks; for operators and administrators, the deliveries that were given up."""

from __future__ import annotations

from deepoj.api.access import USER_BY_LOGIN, needs
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError
from deepoj.api.http.paths import query_number
from deepoj.api.models.webhooks import RedeliveredView, WebhookPage, WebhookQuery, WebhookSecret, WebhookView
from deepoj.api.redelivering import given_up, redeliver
from deepoj.api.rights import Right
from deepoj.api.route import route
from deepoj.api.webhook_secrets import WebhookSecrets
from deepoj.words.accounts import User
from deepoj.words.submissions import Submission
from deepoj.words.webhooks import CallbackRefusal, HookStanding

_MAX_PAGE = 200
_PAGE = 50
_MAX_ID = 2**63 - 1

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


class WebhookRoutes:
    """``/api/v1/users/me/webhook-secret``, ``/api/v1/admin/webhooks``."""

    def __init__(self, context: ApiContext) -> None:
        self._context, self._webhooks, self._secrets = context, context.webhooks, WebhookSecrets(context)

    @route(
        "GET",
        "/api/v1/users/me/webhook-secret",
        access=USER_BY_LOGIN,
        responses={200: WebhookSecret},
        errors=(404,),
    )
    async def secret(self, user: User) -> WebhookSecret:
        """Return the secret with which your webhooks are signed.

        X-DeepOJ-Signature is ``sha256=`` followed by the HMAC-SHA256, in hex, of X-DeepOJ-Timestamp, a full stop and
        the body as received, with this text as the key. A token that was made for a program may not read it.
        """
        return WebhookSecret(secret=await self._secrets.secret(user))

    @route(
        "POST",
        "/api/v1/users/me/webhook-secret/rotate",
        access=USER_BY_LOGIN,
        responses={200: WebhookSecret},
        errors=(404,),
    )
    async def rotate(self, user: User) -> WebhookSecret:
        """Change the secret with which your webhooks are signed.

        It applies from the next try on; deliveries refused meanwhile are tried again with the new secret. A token that
        was made for a program may not change it.
        """
        return WebhookSecret(secret=await self._secrets.rotate(user))

    @route(
        "GET", "/api/v1/admin/webhooks", access=needs(Right.OPERATE), query=WebhookQuery, responses={200: WebhookPage}
    )
    async def given_up(self, _user: User) -> WebhookPage:
        """List webhook deliveries that were given up, newest first, in pages.

        For operators and administrators. Send ``next`` of a page as ``before`` to get the following page.
        """
        limit, before = query_number("limit", _PAGE, _MAX_PAGE), query_number("before", None, _MAX_ID)
        page, after = await given_up(self._context, limit, before)
        return WebhookPage(webhooks=[_view(delivery) for delivery in page], next=None if after is None else str(after))

    @route(
        "POST",
        "/api/v1/admin/webhooks/<delivery_id>/redeliver",
        access=needs(Right.OPERATE),
        responses={202: RedeliveredView},
    )
    async def redeliver(self, user: User, delivery_id: str) -> RedeliveredView:
        """Repeat a webhook delivery that was given up or delivered, with its old delivery id.

        For operators and administrators. A delivery that is already waiting is not changed.
        """
        redelivered = await redeliver(self._context, user, delivery_id)
        return RedeliveredView(delivery_id=delivery_id, job_id=redelivered.job_id, repeated=redelivered.repeated)


async def webhooks_of(context: ApiContext, submission: Submission, limit: int) -> list[WebhookView]:
    """Return the latest deliveries of a submission, in order. Raises StoreUnavailable."""
    if submission.callback_url is None:
        return []
    return [_view(delivery) for delivery in await context.webhooks.webhooks_of_job(submission.job_id, limit)]


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
