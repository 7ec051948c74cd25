"""The teams of a contest with their logins."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from quart import Response, request

from deepoj.accounts.people import Slip
from deepoj.accounts.teams import EntryFault, TeamListFormat
from deepoj.api.administering import Administering
from deepoj.api.auth import Auth
from deepoj.api.contest_errors import ContestError
from deepoj.api.contest_setting import ContestSetting, Credential
from deepoj.api.contest_teams import TeamImports
from deepoj.api.contesting import MAX_LIST_BYTES
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.rights import Right, may
from deepoj.contests.ledger import name_of
from deepoj.web import forms
from deepoj.web.contests import ContestReader, ContestReading
from deepoj.web.page import member_with, page
from deepoj.web.pages.manage_contest_passwords import slips_page
from deepoj.web.render import Pages, gettext_of, redirect
from deepoj.web.team_faults import TEAM_FAULTS
from deepoj.web.visitor import Visitor, Visitors
from deepoj.words.contests import EventType
from deepoj.words.groups import by_name
from deepoj.words.names import name_key

_RUN = member_with(Right.RUN_CONTESTS)
#: faults of a list of teams that are shown
_MAX_FAULTS = 50
#: groups of accounts that are offered by name
_MAX_GROUPS = 200
_SEPARATORS = re.compile(r"[\s,;]+")


def _(text: str) -> str:
    """Mark a sentence for the catalogue."""
    return text


#: what a page says after an act
_DONE = {
    "teams": _("The teams are imported."),
    "nothing": _("Nothing was imported: the list has no team, group, institution or account that can be imported."),
    "members": _("The members are in the contest, each as a team."),
    "hide": _("Boards leave the team out now."),
    "show": _("The team is on the boards again."),
    "bind": _("The addresses are set: they hold from the start of the contest to its end."),
    "remove": _("The team is removed. Its accounts stay."),
}


class ManageContestTeamPages:
    """``/manage/contests/{key}/teams``."""

    def __init__(
        self, context: ApiContext, auth: Auth, visitors: Visitors, pages: Pages, reader: ContestReader
    ) -> None:
        self._timeout_s = context.settings.read_timeout_s
        self._visitors, self._pages, self._reader = visitors, pages, reader
        administering = Administering(context, auth)
        self._setting, self._imports = ContestSetting(context, administering), TeamImports(context, administering)
        self._groups = context.groups

    @page("GET", "/manage/contests/<key>/teams", access=_RUN)
    async def teams(self, visitor: Visitor, key: str) -> Response:
        """List the teams, with what can be done with each, and the forms for more."""
        return await self._teams(visitor, key)

    @page("GET", "/manage/contests/<key>/teams/<team>", access=_RUN)
    async def team(self, visitor: Visitor, key: str, team: str) -> Response:
        """Show a team with what can be done with it. The list of teams loads the form into its row."""
        reading = await self._reader.read(visitor, key)
        networks = await self._setting.bound_teams(reading.contest)
        shown = next((one for one in _teams(reading, networks) if one["id"] == team), None)
        if shown is None:
            raise Refused(ContestError.NO_SUCH_TEAM)
        return self._pages.html(
            "manage_contest_team.html",
            visitor,
            team=shown,
            may_reset=may(visitor.member, Right.MANAGE_PEOPLE),
            **reading.frame(),
        )

    @page("POST", "/manage/contests/<key>/teams", access=_RUN)
    async def change_team(self, visitor: Visitor, key: str) -> Response:
        """Hide, show, bind or remove a team (``act``, ``team``), or import teams (``list``, ``members``)."""
        max_bytes = forms.bytes_for(MAX_LIST_BYTES)
        form = await forms.read(self._visitors, visitor, timeout_s=self._timeout_s, max_bytes=max_bytes)
        reading, user = await self._reader.read(visitor, key), visitor.member
        contest = reading.contest
        team_id, act = form.line("team"), form.get("act")
        try:
            match act:
                case "teams" | "members":
                    return await self._import(visitor, key, form)
                case "hide" | "show":
                    await self._setting.hide_team(contest, team_id, user, is_hidden=act == "hide")
                case "bind":
                    networks = [one for one in _SEPARATORS.split(form.get("networks")) if one]
                    await self._setting.bind_team(contest, team_id, networks, user)
                case "remove":
                    reading.require_key(form)
                    await self._setting.remove_team(contest, team_id, user)
                case _:
                    raise Refused(ApiError.INVALID, field="act", problem="it is no act on a team")
        except Refused as refused:
            return await self._teams(visitor, key, form, refused)
        return redirect(f"/manage/contests/{key}/teams?done={act}")

    async def _import(self, visitor: Visitor, key: str, form: forms.SentForm) -> Response:
        """Import a list of teams or the members of a group, and show the passwords that were made. Raises Refused."""
        is_list, reading = form.get("act") == "teams", await self._reader.read(visitor, key)
        list_format = TeamListFormat.AUTO if is_list else TeamListFormat.MEMBERS
        text = form.program("list") if is_list else form.line("members")
        creates = is_list and bool(form.get("create_accounts"))
        done = await self._imports.run(reading.contest, text, list_format, visitor.member, creates_accounts=creates)
        if done.faults:
            return await self._teams(visitor, key, form, faults=done.faults, has_lines=done.teams.has_lines)
        if done.created:
            team_of = {one.username: one.team_id for one in done.teams.accounts}
            reading = await self._reader.read(visitor, key)
            made = [_credential(reading, one, team_of.get(one.username, "")) for one in done.created]
            return slips_page(self._pages, visitor, reading, made, notes=_sentences(visitor, done.notes))
        did = form.get("act") if done.teams.objects or done.teams.accounts else "nothing"
        if done.notes:
            return await self._teams(visitor, key, notes=done.notes, done=did)
        return redirect(f"/manage/contests/{key}/teams?done={did}")

    async def _teams(
        self,
        visitor: Visitor,
        key: str,
        form: forms.SentForm | None = None,
        refused: Refused | None = None,
        *,
        faults: Sequence[EntryFault] = (),
        has_lines: bool = True,
        notes: Sequence[EntryFault] = (),
        done: str = "",
    ) -> Response:
        reading = await self._reader.read(visitor, key)
        all_groups = [one.name for one in by_name(await self._groups.groups(_MAX_GROUPS))]
        networks = await self._setting.bound_teams(reading.contest)
        return self._pages.html_with_refusal(
            "manage_contest_teams.html",
            visitor,
            refused,
            http_status=422 if faults else 200,
            act="" if form is None else form.get("act"),
            typed="" if form is None else form.get("list"),
            creates=form is not None and bool(form.get("create_accounts")),
            faults=_sentences(visitor, faults),
            notes=_sentences(visitor, notes),
            fault_count=len(faults),
            faults_have_lines=has_lines,
            group_count=sum(1 for _ in reading.objects(EventType.GROUPS)),
            organization_count=sum(1 for _ in reading.objects(EventType.ORGANIZATIONS)),
            all_groups=all_groups,
            teams=_teams(reading, networks),
            may_reset=may(visitor.member, Right.MANAGE_PEOPLE),
            waiting_count=sum(
                len(one.usernames)
                for one in await self._setting.pending_passwords(reading.contest)
                if one.applied_at is None
            ),
            done=None if refused or faults else _DONE.get(done or request.args.get("done", "")),
            **reading.frame(),
        )


def _teams(reading: ContestReading, networks: dict[str, Sequence[str]]) -> list[dict[str, Any]]:
    """Return the teams with their accounts, sorted by name."""
    accounts: dict[str, list[str]] = {}
    for _id, data in reading.objects(EventType.ACCOUNTS):
        accounts.setdefault(data.get("team_id") or "", []).append(data.get("username") or "")
    groups, organizations = reading.ledger.of(EventType.GROUPS), reading.ledger.of(EventType.ORGANIZATIONS)
    teams = reading.ledger.of(EventType.TEAMS)
    used = {one["team_id"] for _id, one in reading.objects(EventType.SUBMISSIONS)}
    return [
        {
            "id": team_id,
            "name": name,
            "organization": name_of(organizations, data.get("organization_id")),
            "groups": [name_of(groups, group) for group in data.get("group_ids") or ()],
            "accounts": sorted(accounts.get(team_id, ()), key=name_key),
            "networks": networks.get(team_id, ()),
            "is_hidden": reading.ledger.is_hidden(team_id),
            "is_hidden_alone": bool(data.get("is_hidden")),
            "is_used": team_id in used,
        }
        for team_id, name in reading.teams().items()
        for data in [teams[team_id]]
    ]


def _credential(reading: ContestReading, slip: Slip, team_id: str) -> Credential:
    """Return a new account for its slip. Its name heads that of a judge or an administrator."""
    team = reading.team_name(team_id) if team_id else slip.username
    return Credential(team_id, team, slip.username, slip.password)


def _sentences(visitor: Visitor, faults: Sequence[EntryFault]) -> list[tuple[int, str]]:
    """Return the first faults or notes of a list in the visitor's language, each with its place."""
    translate = gettext_of(visitor.language)
    return [(one.place, translate(TEAM_FAULTS[one.fault]) % {"value": one.value}) for one in faults[:_MAX_FAULTS]]
