"""``/metrics``, protected by METRICS_TOKEN; if that is not set, for this host only."""

from __future__ import annotations

import hmac

from quart import Blueprint, request
from quart_schema import document_response, security_scheme
from quart_trio.wrappers import TrioResponse

from deepoj.api.auth import bearer
from deepoj.api.document import answers
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.address import is_loopback
from deepoj.api.models.base import ErrorBody
from deepoj.api.settings import ApiSettings
from deepoj.observe.metrics import CONTENT_TYPE, Metrics


def blueprint(metrics: Metrics, settings: ApiSettings) -> Blueprint:
    """``/metrics``: the whole registry of the process."""
    routes = Blueprint("metrics", __name__)

    @routes.get("/metrics")
    @security_scheme([{"metrics": []}, {}])
    @answers(200, "text/plain", "Prometheus text: the whole registry of the process.")
    @document_response(ErrorBody, 403)
    async def show() -> TrioResponse:
        """Return the metrics for Prometheus.

        Requires the token ``METRICS_TOKEN``; if that is not set, only this host may read them.
        """
        _guard(settings.metrics_token)
        return TrioResponse(metrics.render(), content_type=CONTENT_TYPE)

    return routes


def _guard(token: str) -> None:
    if not token:
        peer = request.scope.get("client")
        if not is_loopback(peer[0] if peer else None, request.headers):
            raise Refused(ApiError.METRICS_LOOPBACK_ONLY)
        return
    sent = bearer(request.headers.get("Authorization"))
    # compare_digest's time does not depend on the matching prefix; it compares bytes because it accepts only ASCII text
    if sent is None or not hmac.compare_digest(sent.encode("utf-8", "surrogateescape"), token.encode()):
        raise Refused(ApiError.BAD_METRICS_TOKEN)
