"""Erasure of accounts, and tokens that people make for programs."""

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


class TokenBody(RequestModel):
    """A token to make."""

    name: str = Field(description="what the token is for: 1 to 64 printable characters")
    password: str | None = Field(None, description="the current password; omit it if the account has none")


class MadeToken(ResponseModel):
    """A new token for the ``Authorization`` header."""

    id: str
    name: str
    token: str = Field(description="the token itself, which is stored nowhere: keep it")
    expires_in_s: float


class AccessTokenView(ResponseModel):
    """A token that has not ended."""

    id: str
    name: str
    created_at: str
    expires_at: str
    used_at: str | None = Field(description="when it was last used, by the minute; null: never")


class AccessTokenList(ResponseModel):
    """The tokens of an account, newest first."""

    tokens: list[AccessTokenView]


class TokenEnded(ResponseModel):
    """The token that was ended."""

    id: str
    status: str
