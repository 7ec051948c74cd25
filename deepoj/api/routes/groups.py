"""Groups of people, for administrators."""

from __future__ import annotations

from deepoj.accounts.names import MAX_GROUP_NAME_CHARS
from deepoj.api.access import ADMIN
from deepoj.api.body import read_json
from deepoj.api.context import ApiContext
from deepoj.api.grouping import Grouping
from deepoj.api.http.paths import query_number, query_text
from deepoj.api.models.groups import (
    GroupBody,
    GroupPage,
    GroupQuery,
    GroupRemoved,
    GroupView,
    MemberRemoved,
    MembersBody,
)
from deepoj.api.route import route
from deepoj.words.accounts import User
from deepoj.words.groups import UserGroup

_PAGE = 50
_MAX_PAGE = 200


class GroupRoutes:
    """``/api/v1/admin/groups``."""

    def __init__(self, context: ApiContext) -> None:
        self._grouping, self._timeout_s = Grouping(context), context.settings.read_timeout_s

    @route("GET", "/api/v1/admin/groups", access=ADMIN, query=GroupQuery, responses={200: GroupPage})
    async def groups(self, _admin: User) -> GroupPage:
        """List groups by name, in pages. Send ``next`` of a page as ``after`` to get the following page.

        For administrators.
        """
        limit, after = query_number("limit", _PAGE, _MAX_PAGE), query_text("after", MAX_GROUP_NAME_CHARS)
        groups, following = await self._grouping.page(limit, after=after)
        return GroupPage(groups=[_view(group) for group in groups], next=following)

    @route("POST", "/api/v1/admin/groups", access=ADMIN, body=GroupBody, responses={200: GroupView}, errors=(409,))
    async def create(self, admin: User) -> GroupView:
        """Make a group without members.

        For administrators.
        """
        body = await read_json(GroupBody, timeout_s=self._timeout_s)
        return _view(await self._grouping.create(body.name, admin))

    @route("GET", "/api/v1/admin/groups/<group_id>", access=ADMIN, responses={200: GroupView})
    async def group(self, _admin: User, group_id: str) -> GroupView:
        """Return one group.

        For administrators.
        """
        return _view(await self._grouping.group(group_id))

    @route(
        "PUT",
        "/api/v1/admin/groups/<group_id>",
        access=ADMIN,
        body=GroupBody,
        responses={200: GroupView},
        errors=(409,),
    )
    async def rename(self, admin: User, group_id: str) -> GroupView:
        """Give a group another name.

        For administrators.
        """
        body = await read_json(GroupBody, timeout_s=self._timeout_s)
        return _view(await self._grouping.rename(group_id, body.name, admin))

    @route("DELETE", "/api/v1/admin/groups/<group_id>", access=ADMIN, responses={200: GroupRemoved})
    async def remove(self, admin: User, group_id: str) -> GroupRemoved:
        """Remove a group; its members keep their accounts.

        For administrators.
        """
        return GroupRemoved(id=await self._grouping.remove(group_id, admin), status="deleted")

    @route(
        "POST",
        "/api/v1/admin/groups/<group_id>/members",
        access=ADMIN,
        body=MembersBody,
        responses={200: GroupView},
    )
    async def add(self, admin: User, group_id: str) -> GroupView:
        """Put people into a group, all of them or none; those who are in it stay.

        For administrators.
        """
        body = await read_json(MembersBody, timeout_s=self._timeout_s)
        return _view(await self._grouping.add(group_id, body.usernames, admin))

    @route(
        "DELETE",
        "/api/v1/admin/groups/<group_id>/members/<user_id>",
        access=ADMIN,
        responses={200: MemberRemoved},
    )
    async def take_out(self, admin: User, group_id: str, user_id: str) -> MemberRemoved:
        """Take a person out of a group.

        For administrators.
        """
        await self._grouping.take_out(group_id, user_id, admin)
        return MemberRemoved(group_id=int(group_id), user_id=int(user_id), status="removed")


def _view(group: UserGroup) -> GroupView:
    return GroupView(id=group.id, name=group.name, created_at=group.created_at, members=group.members)
