"""Health and readiness checks, without authentication."""

from __future__ import annotations

from typing import Any

from quart import Blueprint
from quart_schema import document_response

from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.models.base import ErrorBody, reply
from deepoj.api.models.health import Health, PartView, ReadyView
from deepoj.words.readiness import PartState


def blueprint(context: ApiContext) -> Blueprint:
    """``/api/v1/health`` and ``/api/v1/ready``."""
    routes = Blueprint("health", __name__, url_prefix="/api/v1")

    @routes.get("/health")
    @document_response(Health)
    async def health() -> dict[str, Any]:
        """Answer 200 while the process is alive.

        Checks no dependencies.
        """
        return reply(Health(status="ok"))

    @routes.get("/ready")
    @document_response(ReadyView)
    @document_response(ErrorBody, 503)
    async def ready() -> dict[str, Any]:
        """Report whether the node can do its work.

        Lists each dependency and role with its state, those that are not up first. The status is 503 unless all are up;
        the list is then in ``details``.
        """
        readiness = context.ready()
        down_first = sorted(readiness.parts.items(), key=lambda part: (part[1] is PartState.UP, part[0]))
        parts = {name: PartView(state=state, reason=readiness.reasons.get(name)) for name, state in down_first}
        if readiness.ready:
            return reply(ReadyView(ready=True, parts=parts))
        shown = {name: part.model_dump(exclude_none=True) for name, part in parts.items()}
        away = ", ".join(name for name, part in parts.items() if part.state != "up")
        raise Refused(ApiError.NOT_READY, parts=away, details=shown)

    return routes
