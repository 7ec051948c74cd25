"""Login by GitHub."""

from __future__ import annotations

from pydantic import BaseModel, Field

from deepoj.api.models.base import ResponseModel


class Redirected(ResponseModel):
    """Redirect target, the same as the header Location."""

    location: str


class CallbackQuery(BaseModel):
    """Query parameters with which GitHub redirects the browser back."""

    state: str | None = Field(None, description="the state sent to GitHub; must equal the cookie oauth_state")
    code: str | None = Field(None, description="authorization code, exchanged for the user's identity")
    error: str | None = Field(None, description="sent instead of a code if the login was refused")
