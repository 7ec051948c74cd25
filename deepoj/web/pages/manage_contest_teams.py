"""The teams of a contest with their logins, and new passwords to print."""

from __future__ import annotations

import codecs
import itertools
import re
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from quart import Response, request

from deepoj.api.administering import Administering
from deepoj.api.auth import Auth
from deepoj.api.contest_setting import ContestSetting, Credential
from deepoj.api.context import ApiContext
from deepoj.api.downloads import csv_of, download
from deepoj.api.errors import ApiError, Refused
from deepoj.api.rights import Right, may
from deepoj.web import forms
from deepoj.web.contests import ContestReader, ContestReading
from deepoj.web.page import ADMIN, needs, page
from deepoj.web.render import Pages, redirect
from deepoj.web.visitor import Visitor, Visitors
from deepoj.words.contests import EventType

_RUN = needs(Right.RUN_CONTESTS)
_HEADS = ("team_id", "team", "username", "password")
#: of a form with passwords that is sent back to be downloaded
_MAX_BYTES = 512 * 1024
_SEPARATORS = re.compile(r"[\s,;]+")


def _(text: str) -> str:
    """Mark a sentence for the catalogue."""
    return text


#: what a page says after an act
_DONE = {
    "hide": _("Boards leave the team out now."),
    "show": _("The team is on the boards again."),
    "bind": _("The addresses are set: they hold for logins until the contest is over."),
    "remove": _("The team is removed. Its accounts stay."),
}


class ManageContestTeamPages:
    """``/manage/contests/{key}/teams`` and ``/credentials``."""

    def __init__(
        self, context: ApiContext, auth: Auth, visitors: Visitors, pages: Pages, reader: ContestReader
    ) -> None:
        self._timeout_s = context.settings.read_timeout_s
        self._visitors, self._pages, self._reader = visitors, pages, reader
        self._setting = ContestSetting(context, Administering(context, auth))

    @page("GET", "/manage/contests/<key>/teams", access=_RUN)
    async def teams(self, visitor: Visitor, key: str) -> Response:
        """List the teams, with what can be done with each."""
        return await self._teams(visitor, key)

    @page("POST", "/manage/contests/<key>/teams", access=_RUN)
    async def change_team(self, visitor: Visitor, key: str) -> Response:
        """Hide, show, bind or remove a team (``act``, ``team``)."""
        form = await forms.read(self._visitors, visitor, timeout_s=self._timeout_s)
        contest, user = (await self._reader.read(visitor, key)).contest, visitor.member
        team_id, act = form.line("team"), form.get("act")
        try:
            match act:
                case "hide" | "show":
                    await self._setting.hide_team(contest, team_id, user, is_hidden=act == "hide")
                case "bind":
                    networks = [one for one in _SEPARATORS.split(form.get("networks")) if one]
                    await self._setting.bind_team(contest, team_id, networks, user)
                case "remove":
                    await self._setting.remove_team(contest, team_id, user)
                case _:
                    raise Refused(ApiError.INVALID, field="act", problem="it is no act on a team")
        except Refused as refused:
            return await self._teams(visitor, key, refused)
        return redirect(f"/manage/contests/{key}/teams?done={act}")

    @page("POST", "/manage/contests/<key>/credentials", access=ADMIN)
    async def credentials(self, visitor: Visitor, key: str) -> Response:
        """Make new passwords for the accounts of a team (``team``), or of all, and show them to be printed."""
        form = await forms.read(self._visitors, visitor, timeout_s=self._timeout_s)
        reading = await self._reader.read(visitor, key)
        chosen = [form.line("team")] if form.line("team") else None
        try:
            made = await self._setting.new_passwords(reading.contest, chosen, visitor.member)
        except Refused as refused:
            return await self._teams(visitor, key, refused)
        response = self._pages.html(
            "manage_contest_slips.html",
            visitor,
            slips=[
                (team, list(of_team))
                for (_team_id, team), of_team in itertools.groupby(made, lambda one: (one.team_id, one.team))
            ],
            sent_back="\n".join("\t".join(_cells(one)) for one in made),
            address=request.host,
            **reading.frame(),
        )
        response.headers["Cache-Control"] = "no-store"
        return response

    @page("POST", "/manage/contests/<key>/credentials.csv", access=ADMIN)
    async def download(self, visitor: Visitor, key: str) -> Response:
        """Return passwords that were just shown as a file: they are stored nowhere, so the page sends them back."""
        form = await forms.read(self._visitors, visitor, timeout_s=self._timeout_s, max_bytes=_MAX_BYTES)
        await self._reader.read(visitor, key)
        lines = [line.split("\t") for line in form.get("slips").split("\n") if line]
        whole = [line for line in lines if len(line) == len(_HEADS)]
        return download(f"{key}-credentials.csv", "text/csv; charset=utf-8", _file_of(whole))

    async def _teams(self, visitor: Visitor, key: str, refused: Refused | None = None) -> Response:
        reading = await self._reader.read(visitor, key)
        networks = await self._setting.bound_teams(reading.contest)
        return self._pages.html_with_refusal(
            "manage_contest_teams.html",
            visitor,
            refused,
            teams=_teams(reading, networks),
            may_reset=may(visitor.member, Right.MANAGE_PEOPLE),
            done=None if refused else _DONE.get(request.args.get("done", "")),
            **reading.frame(),
        )


def _teams(reading: ContestReading, networks: dict[str, Sequence[str]]) -> list[dict[str, Any]]:
    accounts: dict[str, list[str]] = {}
    for _id, data in reading.objects(EventType.ACCOUNTS):
        accounts.setdefault(data.get("team_id") or "", []).append(data.get("username") or "")
    used = {one["team_id"] for _id, one in reading.objects(EventType.SUBMISSIONS)}
    return [
        {
            "id": team_id,
            "name": reading.team_name(team_id),
            "accounts": accounts.get(team_id, []),
            "networks": networks.get(team_id, ()),
            "is_hidden": bool(data.get("is_hidden")),
            "is_used": team_id in used,
        }
        for team_id, data in reading.objects(EventType.TEAMS)
    ]


def _cells(one: Credential) -> tuple[str, ...]:
    return one.team_id, one.team, one.username, one.password


async def _file_of(lines: Sequence[Sequence[str]]) -> AsyncGenerator[bytes]:
    """Yield a CSV file whose encoding spreadsheets see: they take one without the mark for that of their country."""

    async def rows() -> AsyncGenerator[Sequence[Sequence[str]]]:
        yield lines

    yield codecs.BOM_UTF8
    async for piece in csv_of(_HEADS, rows()):
        yield piece
