"""``/metrics``, for those who carry the token; without a token, for this machine only."""

from __future__ import annotations

import hmac

from quart import Blueprint, request
from quart_schema import hide
from quart_trio.wrappers import TrioResponse

from deepoj.api.address import is_loopback
from deepoj.api.auth import bearer
from deepoj.api.errors import Refused, Say
from deepoj.api.settings import ApiSettings
from deepoj.observe import CONTENT_TYPE, Metrics


def blueprint(metrics: Metrics, settings: ApiSettings) -> Blueprint:
    """``/metrics``: the whole registry of the process."""
    routes = Blueprint("metrics", __name__)

    @routes.get("/metrics")
    @hide  # the answer is Prometheus's text, not JSON
    async def show() -> TrioResponse:
        """Prometheus text."""
        _guard(settings.metrics_token)
        return TrioResponse(metrics.render(), content_type=CONTENT_TYPE)

    return routes


def _guard(token: str) -> None:
    if not token:
        peer = request.scope.get("client")
        if not is_loopback(peer[0] if peer else None, request.headers):
            raise Refused(Say.METRICS_LOOPBACK_ONLY)
        return
    sent = bearer(request.headers.get("Authorization"))
    # compare_digest takes as long for a near miss as for nonsense; of bytes, as text must be ASCII for it
    if sent is None or not hmac.compare_digest(sent.encode("utf-8", "surrogateescape"), token.encode()):
        raise Refused(Say.BAD_METRICS_TOKEN)
