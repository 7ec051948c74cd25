"""Accounts as administrators list and change them."""

from __future__ import annotations

from pydantic import BaseModel, Field

from deepoj.api.models.base import RequestModel, ResponseModel
from deepoj.words.accounts import UserRole


class AccountQuery(BaseModel):
    """Filter and page of accounts."""

    name: str | None = Field(None, max_length=64, description="only names that begin with this, case-insensitively")
    limit: int | None = Field(None, ge=1, le=200, description="maximum number of entries; default 50")
    after: str | None = Field(None, max_length=64, description="`next` of the previous page")
    group_id: int | None = Field(None, ge=1, lt=2**63, description="only members of this group")


class AccountView(ResponseModel):
    """An account as administrators see it."""

    id: int
    username: str
    email: str | None
    is_admin: bool
    roles: list[UserRole] = Field(description="rights beside those of an administrator, sorted")
    is_disabled: bool
    github_id: str | None
    avatar_url: str | None
    has_password: bool
    password_is_temporary: bool
    created_at: str
    updated_at: str


class AccountPage(ResponseModel):
    """Accounts, sorted by name."""

    users: list[AccountView]
    next: str | None = Field(description="value of ?after= for the next page; null on the last page")


class PasswordResetBody(RequestModel):
    """A temporary password for another user's account."""

    password: str | None = Field(None, description="if omitted, a random one is generated")


class PasswordReset(ResponseModel):
    """The account whose password was reset."""

    id: int
    username: str
    password: str | None = Field(description="the generated password; null if the request contained one")
