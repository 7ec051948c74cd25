"""Groups of people, and roles of accounts."""

from __future__ import annotations

from pydantic import BaseModel, Field

from deepoj.api.models.base import RequestModel, ResponseModel
from deepoj.words.accounts import UserRole


class RolesBody(RequestModel):
    """All roles that an account shall have."""

    #: strings here: an unknown one is refused in a sentence that names the known ones
    roles: list[str] = Field(
        max_length=16,
        description="of jury, operator, setter",
        json_schema_extra={"items": {"type": "string", "enum": [role.value for role in sorted(UserRole)]}},
    )


class GroupQuery(BaseModel):
    """A page of groups."""

    limit: int | None = Field(None, ge=1, le=200, description="maximum number of entries; default 50")
    after: str | None = Field(None, max_length=64, description="`next` of the previous page")


class GroupBody(RequestModel):
    """The name of a group."""

    name: str = Field(description="1 to 64 printable characters, unique without regard to case")


class GroupView(ResponseModel):
    """A group."""

    id: int
    name: str
    created_at: str
    members: int = Field(description="number of its members; `/api/v1/admin/users?group_id=` lists them")


class GroupPage(ResponseModel):
    """Groups, sorted by name."""

    groups: list[GroupView]
    next: str | None = Field(description="value of ?after= for the next page; null on the last page")


class GroupRemoved(ResponseModel):
    """The group that was removed."""

    id: int
    status: str


class MembersBody(RequestModel):
    """People to put into a group."""

    usernames: list[str] = Field(min_length=1, max_length=500, description="all of them are put in, or none")


class MemberRemoved(ResponseModel):
    """A person who was taken out of a group."""

    group_id: int
    user_id: int
    status: str
