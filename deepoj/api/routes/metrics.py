"""``/metrics``, protected by METRICS_TOKEN. Without it, only ports of metrics alone serve this host."""

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

#: checked by the handler: the token is a setting, not a user's. Or none: on a port of metrics alone, from this host
_METRICS_TOKEN = Access(security=({"metrics": []}, {}), errors=(403,))


class MetricsRoutes:
    """``/metrics``: the whole registry of the process."""

    def __init__(self, metrics: Metrics, settings: ApiSettings, *, has_own_port: bool = False) -> None:
        """``has_own_port``: the port serves nothing else. The API's port may be behind a proxy of this host, whose
        requests look like those of this host."""
        self._metrics, self._token, self._has_own_port = metrics, settings.metrics_token, has_own_port

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

        Requires the token ``METRICS_TOKEN``; ``deepoj up`` makes one in its home if that is not set.
        """
        self._guard()
        return TrioResponse(self._metrics.render(), content_type=CONTENT_TYPE)

    def _guard(self) -> None:
        """Raise Refused if the current request may not read the metrics."""
        if not self._token:
            peer = request.scope.get("client")
            if not (self._has_own_port and is_loopback(peer[0] if peer else None, request.headers)):
                raise Refused(ApiError.NO_METRICS_TOKEN)
            return
        sent = bearer(request.headers.get("Authorization"))
        # compare_digest's time does not depend on the matching prefix; it compares bytes because it accepts only ASCII
        if sent is None or not hmac.compare_digest(sent.encode("utf-8", "surrogateescape"), self._token.encode()):
            raise Refused(ApiError.BAD_METRICS_TOKEN)
