"""Erasure of accounts."""

from __future__ import annotations

from pydantic import Field

from deepoj.api.models.base import RequestModel, ResponseModel


class EraseOwnBody(RequestModel):
    """Confirms the erasure of the user's own account."""

    password: str | None = Field(None, description="the current password")
    username: str | None = Field(None, description="the username, if the account has no password")


class Erased(ResponseModel):
    """An account that was erased."""

    id: int
    username: str = Field(description="the pseudonym under which its submissions stay: deleted-<id>")
