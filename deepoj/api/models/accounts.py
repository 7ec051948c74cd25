"""Registration, login, and the user's own account."""

from __future__ import annotations

from pydantic import Field

from deepoj.accounts.names import USERNAME_RULE
from deepoj.api.models.base import RequestModel, ResponseModel
from deepoj.words.accounts import UserRole


class RegisterBody(RequestModel):
    """A new account."""

    username: str = Field(
        description=f"{USERNAME_RULE}; of any script, stored in NFKC form",
        json_schema_extra={"minLength": 1},
    )
    password: str = Field(
        description="at least 6 characters, at most 1024 bytes in UTF-8", json_schema_extra={"minLength": 6}
    )
    email: str | None = Field(None, description="only its form is checked", json_schema_extra={"maxLength": 254})


class Registered(ResponseModel):
    """The account that was created."""

    id: int
    username: str


class LoginBody(RequestModel):
    """Login request."""

    username: str
    password: str


class LoggedIn(ResponseModel):
    """A bearer token for the ``Authorization`` header."""

    token: str
    username: str
    user_id: int


class Profile(ResponseModel):
    """The account that a token belongs to."""

    id: int
    username: str
    email: str | None
    is_admin: bool
    roles: list[UserRole] = Field(description="rights beside those of an administrator, sorted")
    github_id: str | None = Field(description="the user's id at GitHub; null for an account registered here")
    avatar_url: str | None
    has_password: bool = Field(description="false for a GitHub account without a password of its own")
    password_is_temporary: bool = Field(description="true if an administrator set it: choose a new one")
    created_at: str


class PasswordBody(RequestModel):
    """A new password for the user's own account."""

    old_password: str | None = Field(None, description="the current password; omit it if the account has none")
    new_password: str = Field(description="at least 6 characters, at most 1024 bytes in UTF-8")
