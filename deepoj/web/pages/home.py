"""The home page, and the visitor's choice of language and theme."""

from __future__ import annotations

from urllib.parse import urlsplit

from quart import Response

from deepoj.api.context import ApiContext
from deepoj.api.http.limits import Limit
from deepoj.web import forms
from deepoj.web.page import page
from deepoj.web.render import Pages, redirect
from deepoj.web.visitor import Visitor, Visitors

_RECENT = 10


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

    def __init__(self, context: ApiContext, visitors: Visitors, pages: Pages) -> None:
        self._context, self._visitors, self._pages = context, visitors, pages

    @page("GET", "/", limit=Limit.NONE)
    async def home(self, visitor: Visitor) -> Response:
        """Show what there is to do."""
        problems = await self._context.problems.problems(0, _RECENT)
        return self._pages.html("home.html", visitor, problems=problems)

    @page("POST", "/preferences")
    async def prefer(self, visitor: Visitor) -> Response:
        """Remember language or theme in this browser."""
        form = await forms.read(self._visitors, visitor, timeout_s=self._context.settings.read_timeout_s)
        response = redirect(own_path(form.get("next")))
        self._visitors.remember(response.headers, language=form.get("interface_language"), theme=form.get("theme"))
        return response
