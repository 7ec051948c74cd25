"""Groups and classes of people."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from deepoj.words.names import name_key


@dataclass(frozen=True, slots=True, kw_only=True)
class UserGroup:
    """A group. Names are unique without regard to case."""

    id: int
    name: str
    #: ISO 8601, by the database's clock
    created_at: str
    #: number of its members
    members: int


def by_name(groups: Iterable[UserGroup]) -> list[UserGroup]:
    """Return groups in the order of names that readers expect."""
    return sorted(groups, key=lambda group: name_key(group.name))


class GroupRefusal(enum.StrEnum):
    """Why a group was not made or changed."""

    UNKNOWN_GROUP = "UNKNOWN_GROUP"
    NAME_TAKEN = "NAME_TAKEN"
