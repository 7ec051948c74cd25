"""``/metrics``, protected by METRICS_TOKEN; if that is not set, for this host only."""

from __future__ import annotations

import hmac

from quart import request
from quart_trio.wrappers import TrioResponse

from deepoj.api.access import Access
from deepoj.api.auth import bearer
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.address import is_loopback
from deepoj.api.http.limits import Limit
from deepoj.api.route import Described, route
from deepoj.api.settings import ApiSettings
from deepoj.observe.metrics import CONTENT_TYPE, Metrics

#: checked by the handler: the token is a setting, not a user's
_METRICS_TOKEN = Access(security=({"metrics": []}, {}), errors=(403,))


class MetricsRoutes:
    """``/metrics``: the whole registry of the process."""

    def __init__(self, metrics: Metrics, settings: ApiSettings) -> None:
        self._metrics, self._token = metrics, settings.metrics_token

    @route(
        "GET",
        "/metrics",
        access=_METRICS_TOKEN,
        limit=Limit.NONE,
        responses={
            200: Described(
                description="Prometheus text: the whole registry of the process.", content_type="text/plain"
            ),
        },
    )
    async def show(self) -> TrioResponse:
        """Return the metrics for Prometheus.

        Requires the token ``METRICS_TOKEN``; if that is not set, only this host may read them.
        """
        _guard(self._token)
        return TrioResponse(self._metrics.render(), content_type=CONTENT_TYPE)


def _guard(token: str) -> None:
    """Raise Refused if the current request may not read the metrics."""
    if not token:
        peer = request.scope.get("client")
        if not is_loopback(peer[0] if peer else None, request.headers):
            raise Refused(ApiError.METRICS_LOOPBACK_ONLY)
        return
    sent = bearer(request.headers.get("Authorization"))
    # compare_digest's time does not depend on the matching prefix; it compares bytes because it accepts only ASCII text
    if sent is None or not hmac.compare_digest(sent.encode("utf-8", "surrogateescape"), token.encode()):
        raise Refused(ApiError.BAD_METRICS_TOKEN)
