"""Groups of people, for administrators: the list, and a group with its members."""

from __future__ import annotations

import re

from quart import Response, request

from deepoj.accounts.names import MAX_GROUP_NAME_CHARS
from deepoj.api.administering import Administering
from deepoj.api.auth import Auth
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.grouping import MAX_MEMBERS, Grouping
from deepoj.api.http.paths import query_text
from deepoj.api.rights import Right
from deepoj.web import forms
from deepoj.web.page import member_with, page
from deepoj.web.render import Pages, redirect
from deepoj.web.visitor import Visitor, Visitors
from deepoj.words.groups import by_name

_MANAGE_PEOPLE = member_with(Right.MANAGE_PEOPLE)
_PAGE = 50
#: of a list of names with its form
_MAX_LIST_BYTES = 128 * 1024
_BETWEEN_NAMES = re.compile(r"[\s,;]+")


def _(text: str) -> str:
    """Mark a sentence for the catalogue."""
    return text


#: what a group's page says after an act
_DONE = {
    "rename": _("The group has another name now."),
    "add": _("The people are in the group."),
    "take_out": _("The person is no longer in the group."),
}


class GroupPages:
    """``/manage/groups``, ``/manage/groups/{id}``."""

    def __init__(self, context: ApiContext, auth: Auth, visitors: Visitors, pages: Pages) -> None:
        self._grouping, self._administering = Grouping(context), Administering(context, auth)
        self._timeout_s = context.settings.read_timeout_s
        self._visitors, self._pages = visitors, pages

    @page("GET", "/manage/groups", access=_MANAGE_PEOPLE)
    async def groups(self, visitor: Visitor) -> Response:
        """List groups by name, with the form for a new one."""
        return await self._groups(visitor)

    @page("POST", "/manage/groups", access=_MANAGE_PEOPLE)
    async def create(self, visitor: Visitor) -> Response:
        """Make a group; its page then takes members."""
        name = ""
        try:
            form = await forms.read(self._visitors, visitor, timeout_s=self._timeout_s)
            name = form.line("name")
            group = await self._grouping.create(name, visitor.member)
        except Refused as refused:
            return await self._groups(visitor, name, refused)
        return redirect(f"/manage/groups/{group.id}")

    @page("GET", "/manage/groups/<group_id>", access=_MANAGE_PEOPLE)
    async def group(self, visitor: Visitor, group_id: str) -> Response:
        """Show a group with its members and its forms."""
        return await self._group(visitor, group_id)

    @page("POST", "/manage/groups/<group_id>", access=_MANAGE_PEOPLE)
    async def change(self, visitor: Visitor, group_id: str) -> Response:
        """Rename or remove a group, put people into it, or take one out, as the form says (``act``)."""
        name = people = ""
        try:
            form = await forms.read(
                self._visitors, visitor, timeout_s=self._timeout_s, max_bytes=forms.bytes_for(_MAX_LIST_BYTES)
            )
            name, people, act = form.line("name"), form.get("people"), form.get("act")
            match act:
                case "rename":
                    await self._grouping.rename(group_id, name, visitor.member)
                case "add":
                    names = [one for one in _BETWEEN_NAMES.split(people) if one]
                    await self._grouping.add(group_id, names, visitor.member)
                case "take_out":
                    await self._grouping.take_out(group_id, form.get("user_id"), visitor.member)
                case "remove":
                    await self._grouping.remove(group_id, visitor.member)
                    return redirect("/manage/groups?done=remove")
                case _:
                    raise Refused(ApiError.INVALID, field="act", problem="it is no act on a group")
        except Refused as refused:
            return await self._group(visitor, group_id, name, people, refused)
        return redirect(f"/manage/groups/{group_id}?done={act}")

    async def _groups(self, visitor: Visitor, name: str = "", refused: Refused | None = None) -> Response:
        after = query_text("after", MAX_GROUP_NAME_CHARS)
        groups, following = await self._grouping.page(_PAGE, after=after)
        return self._pages.html_with_refusal(
            "groups.html",
            visitor,
            refused,
            groups=by_name(groups),
            next_after=following,
            is_first=not after,
            name=name,
            is_removed=request.args.get("done") == "remove",
        )

    async def _group(
        self, visitor: Visitor, group_id: str, name: str = "", people: str = "", refused: Refused | None = None
    ) -> Response:
        try:
            group = await self._grouping.group(group_id)
        except Refused as gone:
            raise refused or gone from None
        after = query_text("after", MAX_GROUP_NAME_CHARS)
        members, following = await self._administering.page(_PAGE, after=after, prefix="", group_id=group.id)
        return self._pages.html_with_refusal(
            "group.html",
            visitor,
            refused,
            group=group,
            members=members,
            next_after=following,
            is_first=not after,
            name=name or group.name,
            people=people,
            most=MAX_MEMBERS,
            done=None if refused else _DONE.get(request.args.get("done", "")),
        )
