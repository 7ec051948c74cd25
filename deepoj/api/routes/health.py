"""Health and readiness checks, without authentication."""

from __future__ import annotations

from deepoj.api.access import PUBLIC
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.limits import Limit
from deepoj.api.models.health import Health, PartView, ReadyView
from deepoj.api.route import route
from deepoj.words.readiness import PartState


class HealthRoutes:
    """``/api/v1/health`` and ``/api/v1/ready``."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    @route("GET", "/api/v1/health", access=PUBLIC, limit=Limit.NONE, responses={200: Health})
    async def health(self) -> Health:
        """Answer 200 while the process is alive.

        Checks no dependencies.
        """
        return Health(status="ok")

    @route("GET", "/api/v1/ready", access=PUBLIC, limit=Limit.NONE, responses={200: ReadyView}, errors=(503,))
    async def ready(self) -> ReadyView:
        """Report whether the node can do its work.

        Lists each dependency and role with its state, those that are not up first. The status is 503 unless all are up;
        the list is then in ``details``.
        """
        readiness = self._context.ready()
        down_first = sorted(readiness.parts.items(), key=lambda part: (part[1] is PartState.UP, part[0]))
        parts = {name: PartView(state=state, reason=readiness.reasons.get(name)) for name, state in down_first}
        if readiness.ready:
            return ReadyView(ready=True, parts=parts)
        details = {name: part.model_dump(exclude_none=True) for name, part in parts.items()}
        not_up = ", ".join(name for name, part in parts.items() if part.state != "up")
        raise Refused(ApiError.NOT_READY, parts=not_up, details=details)
