"""The home page, and the visitor's choice of language and theme."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from urllib.parse import urlsplit

import trio
from quart import Response

from deepoj.api.contesting import Contesting
from deepoj.api.context import ApiContext
from deepoj.api.http.limits import Limit
from deepoj.web import forms
from deepoj.web.contests import UNDER_WAY, end_of, phase_of
from deepoj.web.page import ANYONE, page
from deepoj.web.render import Pages, redirect
from deepoj.web.visitor import Visitor, Visitors
from deepoj.words.contests import Contest
from deepoj.words.problems import Problem

_RECENT = 10
#: how long strangers are shown the same list, without asking the database
_FRESH_S = 5.0


_NEVER = dt.datetime.max.replace(tzinfo=dt.UTC)


def own_path(sent: str) -> str:
    """Return a path of this site to go on to; ``/`` for the address of another one."""
    try:
        parts = urlsplit(sent)
    except ValueError:  # such as //[
        return "/"
    is_ours = not parts.scheme and not parts.netloc and sent.startswith("/") and sent[1:2] not in ("/", "\\")
    return sent if is_ours and sent.isprintable() and "\\" not in sent else "/"


class HomePages:
    """``/`` and ``/preferences``."""

    def __init__(self, context: ApiContext, visitors: Visitors, pages: Pages, contesting: Contesting) -> None:
        self._context, self._visitors, self._pages, self._contesting = context, visitors, pages, contesting
        self._known: Sequence[Problem] = ()
        self._stale_at = -math.inf

    @page("GET", "/", access=ANYONE, limit=Limit.NONE)
    async def home(self, visitor: Visitor) -> Response:
        """Show what there is to do."""
        problems = await (self._for_strangers() if visitor.account is None else self._recent())
        running = [] if visitor.account is None else await self._running(visitor)
        return self._pages.html("home.html", visitor, problems=problems, running=running)

    async def _running(self, visitor: Visitor) -> list[tuple[Contest, dt.datetime | None]]:
        """Return contests under way and their ends, those first that end first; a paused one has none."""
        found = await self._contesting.listed(visitor.user)
        running = [(one, end_of(one)) for one in found if phase_of(one) in UNDER_WAY]
        return sorted(running, key=lambda one: one[1] or _NEVER)[:_RECENT]

    async def _recent(self) -> Sequence[Problem]:
        return await self._context.problems.newest_problems(_RECENT)

    async def _for_strangers(self) -> Sequence[Problem]:
        """Return them as they were ``_FRESH_S`` ago at most: this page is not counted against any limit."""
        if trio.current_time() >= self._stale_at:
            self._known, self._stale_at = await self._recent(), trio.current_time() + _FRESH_S
        return self._known

    @page("POST", "/preferences", access=ANYONE)
    async def prefer(self, visitor: Visitor) -> Response:
        """Remember language or theme in this browser."""
        form = await forms.read(self._visitors, visitor, timeout_s=self._context.settings.read_timeout_s)
        response = redirect(own_path(form.get("next")))
        self._visitors.remember(response.headers, language=form.get("interface_language"), theme=form.get("theme"))
        return response
