"""New passwords for the accounts of a contest's teams, shown once. The old ones hold until the administrator confirms
that he has the new ones."""

from __future__ import annotations

import codecs
import itertools
from collections.abc import AsyncGenerator, Sequence

from quart import Response, request

from deepoj.api.administering import Administering
from deepoj.api.auth import Auth
from deepoj.api.contest_setting import ContestSetting, Credential
from deepoj.api.context import ApiContext
from deepoj.api.downloads import csv_of, download
from deepoj.api.errors import ApiError, Refused
from deepoj.api.rights import Right
from deepoj.web import forms
from deepoj.web.contests import ContestReader, ContestReading
from deepoj.web.page import member_with, page
from deepoj.web.render import Pages, redirect
from deepoj.web.visitor import Visitor, Visitors
from deepoj.words.contest_setup import PendingPasswords

_MANAGE_PEOPLE = member_with(Right.MANAGE_PEOPLE)
_HEADS = ("team_id", "team", "username", "password")
#: of a form with a box for each team, or with passwords that are sent back
_MAX_BYTES, _MAX_PARTS = 512 * 1024, 4096
#: the name of a team's box, before its id
_BOX = "team-"


def _(text: str) -> str:
    """Mark a sentence for the catalogue."""
    return text


_DONE = {
    "apply": _("The new passwords hold. The old ones and their sessions have ended."),
    "drop": _("The new passwords are thrown away. The old ones hold."),
}


class ManageContestPasswordPages:
    """``/manage/contests/{key}/credentials``."""

    def __init__(
        self, context: ApiContext, auth: Auth, visitors: Visitors, pages: Pages, reader: ContestReader
    ) -> None:
        self._timeout_s = context.settings.read_timeout_s
        self._visitors, self._pages, self._reader = visitors, pages, reader
        self._setting = ContestSetting(context, Administering(context, auth))

    @page("GET", "/manage/contests/<key>/credentials", access=_MANAGE_PEOPLE)
    async def passwords(self, visitor: Visitor, key: str) -> Response:
        """Show which new passwords wait, and the form for more."""
        return await self._passwords(visitor, await self._reader.read(visitor, key))

    @page("POST", "/manage/contests/<key>/credentials", access=_MANAGE_PEOPLE)
    async def change(self, visitor: Visitor, key: str) -> Response:
        """Make new passwords and show them, let them hold, or throw them away (``act``)."""
        form = await forms.read(
            self._visitors, visitor, timeout_s=self._timeout_s, max_bytes=_MAX_BYTES, max_parts=_MAX_PARTS
        )
        reading = await self._reader.read(visitor, key)
        try:
            match form.get("act"):
                case "make":
                    chosen = _chosen(form)
                    set_id, made = await self._setting.make_passwords(reading.contest, chosen, visitor.member)
                    return slips_page(self._pages, visitor, reading, made, waiting=await self._waiting(reading, set_id))
                case "apply":
                    reading.require_key(form)
                    await self._setting.apply_passwords(reading.contest, form.get("set"), visitor.member)
                case "drop":
                    await self._setting.drop_passwords(reading.contest, form.get("set"), visitor.member)
                case _:
                    raise Refused(ApiError.INVALID, field="act", problem="make, apply or drop")
        except Refused as refused:
            waiting, made = await self._waiting(reading, form.get("set")), _sent_back(form)
            if waiting is not None and made:  # they are nowhere but in the form
                return slips_page(self._pages, visitor, reading, made, waiting=waiting, refused=refused)
            return await self._passwords(visitor, reading, form, refused)
        return redirect(f"/manage/contests/{key}/credentials?done={form.get('act')}")

    @page("POST", "/manage/contests/<key>/credentials.csv", access=_MANAGE_PEOPLE)
    async def download(self, visitor: Visitor, key: str) -> Response:
        """Return passwords that were just shown as a file: they are stored nowhere, so the page sends them back."""
        form = await forms.read(self._visitors, visitor, timeout_s=self._timeout_s, max_bytes=_MAX_BYTES)
        await self._reader.read(visitor, key)
        lines = [_cells(one) for one in _sent_back(form)]
        return download(f"{key}-credentials.csv", "text/csv; charset=utf-8", _file_of(lines))

    async def _waiting(self, reading: ContestReading, set_id: str) -> PendingPasswords | None:
        """Return the set that has this id and does not hold yet."""
        found = await self._setting.pending_passwords(reading.contest)
        return next((one for one in found if one.set_id == set_id and one.applied_at is None), None)

    async def _passwords(
        self,
        visitor: Visitor,
        reading: ContestReading,
        form: forms.SentForm | None = None,
        refused: Refused | None = None,
    ) -> Response:
        found = await self._setting.pending_passwords(reading.contest)
        asked = request.args.get("team", "")
        return self._pages.html_with_refusal(
            "manage_contest_passwords.html",
            visitor,
            refused,
            pending=[one for one in found if one.applied_at is None],
            applied=[one for one in found if one.applied_at is not None],
            teams=reading.teams().items(),
            chosen={asked} if form is None else set(_boxes(form)),
            is_some=bool(asked) if form is None else form.get("scope") == "some",
            done=None if refused else _DONE.get(request.args.get("done", "")),
            **reading.frame(),
        )


def slips_page(
    pages: Pages,
    visitor: Visitor,
    reading: ContestReading,
    made: Sequence[Credential],
    *,
    waiting: PendingPasswords | None = None,
    refused: Refused | None = None,
    notes: Sequence[tuple[int, str]] = (),
) -> Response:
    """Return the page that shows passwords, once. ``waiting``: their set, which does not hold yet; None: they hold."""
    response = pages.html_with_refusal(
        "manage_contest_slips.html",
        visitor,
        refused,
        slips=[
            (team, list(of_team))
            for (_team_id, team), of_team in itertools.groupby(made, lambda one: (one.team_id, one.team))
        ],
        sent_back="\n".join("\t".join(_cells(one)) for one in made),
        waiting=waiting,
        address=request.host,
        notes=notes,
        **reading.frame(),
    )
    response.headers["Cache-Control"] = "no-store"
    return response


def _boxes(form: forms.SentForm) -> list[str]:
    """Return the ids of the teams whose boxes are checked."""
    return [name.removeprefix(_BOX) for name in form.fields if name.startswith(_BOX)]


def _chosen(form: forms.SentForm) -> list[str] | None:
    """Return the ids of the teams that a form chooses; None: all. Raises Refused if it chooses none."""
    if form.get("scope") == "all":
        return None
    boxes = _boxes(form)
    if not boxes:
        raise Refused(ApiError.INVALID, field="team", problem=_("choose all teams, or at least one"))
    return boxes


def _sent_back(form: forms.SentForm) -> list[Credential]:
    """Return the passwords that a page with slips sends back (``slips``)."""
    lines = [line.split("\t") for line in form.get("slips").split("\n") if line]
    return [Credential(*line) for line in lines if len(line) == len(_HEADS)]


def _cells(one: Credential) -> tuple[str, ...]:
    return one.team_id, one.team, one.username, one.password


async def _file_of(lines: Sequence[Sequence[str]]) -> AsyncGenerator[bytes]:
    """Yield a CSV file whose encoding spreadsheets see: they take one without the mark for that of their country."""

    async def rows() -> AsyncGenerator[Sequence[Sequence[str]]]:
        yield lines

    yield codecs.BOM_UTF8
    async for piece in csv_of(_HEADS, rows()):
        yield piece
