"""The dress rehearsal of a contest."""

from __future__ import annotations

from quart import Response

from deepoj.api.auth import Auth
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.rehearsals import KEY_PREFIX, MAX_FEED_BYTES, RehearsalOrder
from deepoj.api.rights import Right
from deepoj.web import forms
from deepoj.web.contests import ContestPhase, ContestReader, phase_of
from deepoj.web.page import member_with, page
from deepoj.web.render import Pages, redirect
from deepoj.web.visitor import Visitor, Visitors

#: seconds after which a browser asks again while a rehearsal is under way
_REFRESH_S = 5
_FRAME_BYTES = 64 * 1024
_SPEEDS = range(1, 61)
_MINUTES = range(1, 24 * 60 + 1)


class RehearsalPages:
    """``/manage/rehearsal``."""

    def __init__(
        self, context: ApiContext, auth: Auth, visitors: Visitors, pages: Pages, reader: ContestReader
    ) -> None:
        self._orders, self._timeout_s = context.rehearsals, context.settings.read_timeout_s
        self._auth, self._visitors, self._pages, self._reader = auth, visitors, pages, reader

    # it makes accounts, as only administrators may
    @page("GET", "/manage/rehearsal", access=member_with(Right.MANAGE_PEOPLE))
    async def rehearsal(self, visitor: Visitor) -> Response:
        """Show the latest rehearsal of this node, and the form for another one."""
        return await self._shown(visitor)

    @page("POST", "/manage/rehearsal", access=member_with(Right.MANAGE_PEOPLE))
    async def act(self, visitor: Visitor) -> Response:
        """Start a rehearsal of a feed, or end the one that is under way."""
        try:
            form = await forms.read(
                self._visitors, visitor, timeout_s=self._timeout_s, max_bytes=MAX_FEED_BYTES + _FRAME_BYTES
            )
            match form.get("act"):
                case "start":
                    self._start(visitor, form)
                case "cancel":
                    self._orders.cancel()
                case _:
                    raise Refused(ApiError.INVALID, field="act", problem="start or cancel")
        except Refused as refused:
            return await self._shown(visitor, refused)
        return redirect("/manage/rehearsal")

    def _start(self, visitor: Visitor, form: forms.SentForm) -> None:
        """Order the rehearsal that a form says. Raises Refused."""
        if visitor.account is None:
            raise TypeError("this page is shown to members only")
        sent = form.files.get("feed")
        if sent is None or not sent.content.strip():
            raise Refused(ApiError.INVALID, field="feed", problem="choose the file of an event feed")
        minutes = form.line("minutes")
        order = RehearsalOrder(
            by=visitor.account.user.username,
            token=self._auth.tokens.issue(visitor.account),
            feed_name=sent.name,
            feed=sent.content,
            speed=_number(form, "speed", _SPEEDS),
            minutes=_number(form, "minutes", _MINUTES) if minutes else None,
        )
        if not self._orders.order(order):
            raise Refused(ApiError.INVALID, field="act", problem="a rehearsal is under way already")

    async def _shown(self, visitor: Visitor, refused: Refused | None = None) -> Response:
        standing = self._orders.standing
        listed = await self._reader.contesting.listed(visitor.user)
        own = "" if standing is None else standing.key
        found = [one for one in listed if one.key.startswith(KEY_PREFIX) and one.key != own]
        response = self._pages.html_with_refusal(
            "manage_rehearsal.html",
            visitor,
            refused,
            standing=standing,
            others=[(one, phase_of(one) is ContestPhase.RUNNING) for one in found],
            most_mib=MAX_FEED_BYTES // 2**20,
        )
        if standing is not None and not standing.is_over and refused is None:
            response.headers["Refresh"] = str(_REFRESH_S)
        return response


def _number(form: forms.SentForm, name: str, allowed: range) -> int:
    raw = form.line(name)
    if not raw.isascii() or not raw.isdecimal() or len(raw) > 4 or int(raw) not in allowed:
        raise Refused(ApiError.INVALID, field=name, problem=f"a whole number from {allowed[0]} to {allowed[-1]}")
    return int(raw)
