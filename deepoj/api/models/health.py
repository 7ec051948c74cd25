"""Liveness and readiness of a node."""

from __future__ import annotations

from pydantic import BaseModel

from deepoj.api.models.base import ResponseModel


class Health(ResponseModel):
    """The process is alive."""

    status: str


class PartView(BaseModel):
    """State of one dependency or role."""

    state: str
    reason: str | None = None


class ReadyView(ResponseModel):
    """Readiness of the node, with the state of each dependency and role."""

    ready: bool
    parts: dict[str, PartView]
