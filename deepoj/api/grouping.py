"""Groups of people, as routes and pages manage them."""

from __future__ import annotations

from collections.abc import Sequence

from deepoj import observe
from deepoj.accounts.names import MAX_GROUP_NAME_CHARS, clean_group_name, clean_username
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.paths import user_id_of
from deepoj.words.accounts import User
from deepoj.words.groups import GroupRefusal, UserGroup

#: names that are put into a group at once
MAX_MEMBERS = 500
#: groups that a page offers to choose from
MAX_OFFERED = 200
_SHOWN_NAMES = 10

_REFUSALS = {GroupRefusal.UNKNOWN_GROUP: ApiError.NO_SUCH_GROUP, GroupRefusal.NAME_TAKEN: ApiError.GROUP_NAME_TAKEN}


class Grouping:
    """Lists and changes groups. All methods raise Refused or StoreUnavailable."""

    def __init__(self, context: ApiContext) -> None:
        self._groups = context.groups

    async def page(self, limit: int, *, after: str = "") -> tuple[Sequence[UserGroup], str | None]:
        """Return groups by name, and the name after which the following page begins."""
        groups = await self._groups.groups(limit + 1, after=after)
        shown = groups[:limit]
        return shown, shown[-1].name if len(groups) > limit else None

    async def group(self, group_id: str) -> UserGroup:
        """Return a group by its id in a path or in a query."""
        group = await self._groups.group(_id(group_id))
        if group is None:
            raise Refused(ApiError.NO_SUCH_GROUP)
        return group

    async def create(self, name: str, admin: User) -> UserGroup:
        """Make a group without members."""
        group = await self._groups.create_group(group_name_of(name), by=admin.username)
        return _made("group_created", group, admin)

    async def rename(self, group_id: str, name: str, admin: User) -> UserGroup:
        """Give a group another name."""
        group = await self._groups.rename_group(_id(group_id), group_name_of(name), by=admin.username)
        return _made("group_renamed", group, admin)

    async def remove(self, group_id: str, admin: User) -> int:
        """Remove a group. Return its number."""
        number = _id(group_id)
        if not await self._groups.remove_group(number, by=admin.username):
            raise Refused(ApiError.NO_SUCH_GROUP)
        _log("group_removed", number, admin)
        return number

    async def add(self, group_id: str, usernames: Sequence[str], admin: User) -> UserGroup:
        """Put all of the people into a group, or none of them."""
        number = _id(group_id)
        if not usernames or len(usernames) > MAX_MEMBERS:
            raise Refused(ApiError.INVALID, field="usernames", problem=f"1 to {MAX_MEMBERS} names")
        names = {raw: clean_username(raw) for raw in usernames}
        wrong = {raw for raw, name in names.items() if name is None}
        if not wrong:
            added = await self._groups.add_members(number, [name for name in names.values() if name], by=admin.username)
            if isinstance(added, GroupRefusal):
                raise Refused(_REFUSALS[added])
            wrong = {raw for raw, name in names.items() if name in added}
        if wrong:
            listed = ", ".join(sorted(wrong)[:_SHOWN_NAMES])
            raise Refused(ApiError.INVALID, field="usernames", problem=f"there is no account {listed}")
        _log("group_members_added", number, admin)
        return await self.group(group_id)

    async def take_out(self, group_id: str, user_id: str, admin: User) -> None:
        """Take a person out of a group."""
        number, member = _id(group_id), user_id_of(user_id)
        if member is None or not await self._groups.remove_member(number, member, by=admin.username):
            raise Refused(ApiError.NO_SUCH_MEMBER)
        _log("group_member_removed", number, admin)


def group_name_of(raw: str) -> str:
    """Return the name of a group as it is stored. Raises Refused."""
    name = clean_group_name(raw)
    if name is None:
        raise Refused(ApiError.INVALID, field="name", problem=f"1 to {MAX_GROUP_NAME_CHARS} printable characters")
    return name


def _made(event: str, group: UserGroup | GroupRefusal, admin: User) -> UserGroup:
    if isinstance(group, GroupRefusal):
        raise Refused(_REFUSALS[group])
    _log(event, group.id, admin)
    return group


def _log(event: str, group_id: int, admin: User) -> None:
    observe.log("group_changed", reason=event, group_id=group_id, by_user_id=admin.id)


def _id(raw: str) -> int:
    group_id = user_id_of(raw)  # the same numbers
    if group_id is None:
        raise Refused(ApiError.NO_SUCH_GROUP)
    return group_id
