"""The secret with which a user's webhooks are signed, as routes and pages show and change it."""

from __future__ import annotations

from quart import request

from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.exchange import request_id
from deepoj.observe import log
from deepoj.webhooks.delivery import signing_secret
from deepoj.words.accounts import User


class WebhookSecrets:
    """Shows and rotates secrets. Its methods raise Refused where webhooks are disabled, or StoreUnavailable."""

    def __init__(self, context: ApiContext) -> None:
        self._webhooks, self._settings = context.webhooks, context.settings

    async def secret(self, user: User) -> str:
        """Return the current secret."""
        return self._secret(user, await self._webhooks.webhook_secret_epoch(user.id))

    async def rotate(self, user: User) -> str:
        """Replace the secret and return the new one. Another rotation at the same moment counts as this one."""
        if not self._settings.callbacks.enabled:
            raise Refused(ApiError.WEBHOOKS_OFF)
        old_epoch = await self._webhooks.webhook_secret_epoch(user.id)
        epoch = await self._webhooks.rotate_webhook_secret(user.id, old_epoch)
        log("webhook_secret_rotated", request_id=request_id(request), user_id=user.id)
        return self._secret(user, epoch)

    def _secret(self, user: User, epoch: int) -> str:
        if not self._settings.callbacks.enabled:
            raise Refused(ApiError.WEBHOOKS_OFF)
        return signing_secret(self._settings.webhook_secret, user.id, epoch)
