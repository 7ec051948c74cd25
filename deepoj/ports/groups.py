"""Groups and classes of people in the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from deepoj.words.groups import GroupRefusal, UserGroup


class Groups(Protocol):
    """Groups and their members; ``Accounts.accounts`` lists members. ``by``: who does it, for the log of administrative
    acts. Raises StoreUnavailable. Implemented by ``adapters.pg.groups``."""

    async def create_group(self, name: str, *, by: str) -> UserGroup | GroupRefusal:
        """Make a group without members."""
        ...

    async def rename_group(self, group_id: int, name: str, *, by: str) -> UserGroup | GroupRefusal: ...

    async def remove_group(self, group_id: int, *, by: str) -> bool:
        """Remove a group; its members keep their accounts. False: there is none."""
        ...

    async def group(self, group_id: int) -> UserGroup | None: ...

    async def group_named(self, name: str) -> UserGroup | None:
        """Return the group of this name, without regard to case."""
        ...

    async def groups(self, limit: int, *, after: str = "") -> list[UserGroup]:
        """Return the next ``limit`` groups after the name ``after``, in the order of the lower-cased names."""
        ...

    async def groups_of(self, user_ids: Sequence[int]) -> Mapping[int, Sequence[str]]:
        """Return the names of the groups of each of the accounts that has any, in the same order."""
        ...

    async def add_members(self, group_id: int, usernames: Sequence[str], *, by: str) -> frozenset[str] | GroupRefusal:
        """Put all of the accounts into the group, or none. Return the names because of which none was: no account has
        them. Members stay members."""
        ...

    async def remove_member(self, group_id: int, user_id: int, *, by: str) -> bool:
        """Take an account out of a group. False: it is no member."""
        ...
