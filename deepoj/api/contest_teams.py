"""Imports of teams, as routes and pages do them.

What if we die here? Teams and their accounts are one transaction. If the answer is lost, the passwords that were made
are known to no person: the same import finds the accounts, and an administrator resets the passwords. Rights of judges
and administrators are given afterwards, each in a transaction: an account without its right is named by the same import
as one that is there already.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import trio

from deepoj import observe
from deepoj.accounts.names import is_reserved
from deepoj.accounts.people import MAX_PEOPLE as MAX_NEW_ACCOUNTS
from deepoj.accounts.people import NewPerson, Slip
from deepoj.accounts.teams import (
    EntryFault,
    KnownNames,
    StaffAccount,
    TeamAccount,
    TeamFault,
    TeamList,
    TeamListFormat,
    TeamNote,
    read_team_lists,
    read_team_objects,
    read_team_table,
    teams_of_members,
)
from deepoj.api.administering import Administering
from deepoj.api.body import text
from deepoj.api.contesting import REFUSALS
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.rights import Right, require
from deepoj.contests.ledger import ContestLedger, name_of
from deepoj.contests.team_files import TableRefusal, is_table, list_of, read_table
from deepoj.packages.formats.texts import parse_yaml
from deepoj.words.accounts import RightsRefusal, User
from deepoj.words.contests import (
    MAX_TEAM_ENTRIES,
    Contest,
    ContestMember,
    ContestRefusal,
    EventType,
    NewMembers,
)

_NAMED = (EventType.TEAMS, EventType.GROUPS, EventType.ORGANIZATIONS)
#: how JSON, and a list or a document of YAML, begins; a table of teams does not
_STRUCTURED = ("[", "{", "- ", "-\n", "---", "#")


@dataclass(frozen=True, slots=True)
class TeamImport:
    """What an import has done, or why it did nothing (``faults``). ``notes``: what of the list was not taken."""

    teams: TeamList
    created: Sequence[Slip] = ()
    notes: Sequence[EntryFault] = ()
    faults: Sequence[EntryFault] = ()


class TeamImports:
    """Imports lists of teams. All methods raise Refused or StoreUnavailable."""

    def __init__(self, context: ApiContext, administering: Administering) -> None:
        self._contests, self._ledgers = context.contests, context.ledgers
        self._accounts, self._reserved = context.accounts, context.settings.admin_users
        self._groups, self._administering = context.groups, administering
        self._setup = context.contest_setup
        self._list_turn = context.list_turn

    async def run(
        self, contest: Contest, raw: str, list_format: TeamListFormat, user: User, *, creates_accounts: bool
    ) -> TeamImport:
        """Import teams with their accounts, or nothing: then say what is wrong with which line or entry.

        ``creates_accounts``: make accounts that are missing, also of judges and administrators; for administrators.
        """
        if creates_accounts:
            require(user, Right.MANAGE_PEOPLE)
        ledger = await self._ledgers.ledger(contest)
        if list_format is TeamListFormat.MEMBERS:
            found = await self._members(text("text", raw), ledger)
        else:
            known = {type_: {key: name_of(ledger.of(type_), key) for key in ledger.of(type_)} for type_ in _NAMED}
            listed = text("text", raw).removeprefix("\ufeff")
            async with self._list_turn:
                found = await trio.to_thread.run_sync(_read_list, listed, list_format, known)
        new_or_named: list[TeamAccount | StaffAccount] = [*found.accounts, *found.staff]
        names = await self._accounts.taken_names([one.username for one in new_or_named])
        taken = {name.lower() for name in names}
        missing = [one for one in found.accounts if one.username.lower() not in taken]
        staff = [one for one in found.staff if creates_accounts and one.username.lower() not in taken]
        notes = [*found.notes, *_staff_notes(found.staff, taken, creates_accounts=creates_accounts)]
        new: list[TeamAccount | StaffAccount] = sorted([*missing, *staff], key=lambda one: one.place)
        faults = [*found.faults, *self._account_faults(new, creates_accounts=creates_accounts)]
        faults += await self._bound_with_role(contest, found.accounts)
        if faults:
            return TeamImport(found, faults=faults)
        people = [NewPerson(one.place, one.username, None, one.password) for one in new]
        hashed = [await self._administering.hashed(person) for person in people]
        members = [ContestMember(one.username, one.team_id, one.networks) for one in found.accounts]
        made = NewMembers([one.account for one in hashed], user.username) if hashed else None
        refused = await self._contests.put_objects(contest.id, found.objects, members, by=user.id, new=made)
        if isinstance(refused, ContestRefusal):
            raise Refused(REFUSALS[refused])
        if refused:  # changed since the look above
            fault_of = dict.fromkeys((one.username for one in new), TeamFault.NO_NEW_ACCOUNT)
            faults = [
                EntryFault(one.place, fault_of.get(one.username, TeamFault.NO_ACCOUNT), one.username)
                for one in new_or_named
                if one.username in refused
            ]
            return TeamImport(found, faults=faults)
        if hashed:
            observe.log("accounts_created", count=len(hashed), by_user_id=user.id)
        for one in staff:
            await self._give_right(one, user)
        observe.log("contest_changed", reason="teams", contest_id=contest.id, by_user_id=user.id)
        return TeamImport(found, [one.slip for one in hashed], sorted(notes, key=lambda note: note.place))

    async def _give_right(self, staff: StaffAccount, admin: User) -> None:
        """Give a new account the right of a judge or an administrator."""
        made = await self._accounts.credentials(staff.username)
        if made is None:  # erased meanwhile
            return
        is_admin, roles = (True, None) if staff.role is None else (None, [staff.role])
        done = await self._accounts.change_rights(made.user.id, is_admin=is_admin, roles=roles, by=admin.id)
        if done is RightsRefusal.NOT_ADMINISTRATOR:
            raise Refused(ApiError.ADMIN_ONLY)

    async def _members(self, name: str, ledger: ContestLedger) -> TeamList:
        """Return a team for each member of the group of accounts of this name."""
        group = await self._groups.group_named(name.strip())
        if group is None:
            raise Refused(ApiError.INVALID, field="text", problem="the name of a group of accounts")
        members = await self._accounts.accounts(MAX_TEAM_ENTRIES + 1, group_id=group.id)
        team_of = {int(one): str(data["team_id"]) for one, data in ledger.of(EventType.ACCOUNTS).items()}
        return teams_of_members(group.name, [one.user for one in members], ledger.of(EventType.TEAMS), team_of)

    async def _bound_with_role(self, contest: Contest, accounts: Sequence[TeamAccount]) -> list[EntryFault]:
        """Return a fault for each account with a role on the site that the list binds to an address."""
        bound = [one for one in accounts if one.networks]
        mighty = await self._setup.with_role(contest.id, [one.username for one in bound]) if bound else ()
        return [EntryFault(one.place, TeamFault.HAS_ROLE, one.username) for one in bound if one.username in mighty]

    def _account_faults(
        self, missing: Sequence[TeamAccount | StaffAccount], *, creates_accounts: bool
    ) -> list[EntryFault]:
        if not creates_accounts:
            return [EntryFault(one.place, TeamFault.NO_ACCOUNT, one.username) for one in missing]
        reserved = [one for one in missing if is_reserved(one.username, self._reserved)]
        faults = [EntryFault(one.place, TeamFault.NO_NEW_ACCOUNT, one.username) for one in reserved]
        if len(missing) > MAX_NEW_ACCOUNTS:
            faults.append(EntryFault(missing[MAX_NEW_ACCOUNTS].place, TeamFault.TOO_MANY_NEW))
        return faults


def _staff_notes(staff: Sequence[StaffAccount], taken: set[str], *, creates_accounts: bool) -> list[EntryFault]:
    """Return which accounts of judges and administrators are not made."""
    notes = []
    for one in staff:
        if one.username.lower() in taken:
            notes.append(EntryFault(one.place, TeamNote.STAFF_EXISTS, one.username))
        elif not creates_accounts:
            notes.append(EntryFault(one.place, TeamNote.STAFF_NOT_MADE, one.username))
    return notes


def _read_list(raw: str, list_format: TeamListFormat, known: KnownNames) -> TeamList:
    if is_table(raw):
        lists = read_table(raw)
        if isinstance(lists, TableRefusal):
            return TeamList(has_lines=True, faults=[EntryFault(lists.line, lists.fault, lists.value)])
        return read_team_lists({EventType(name): entries for name, entries in lists.items()}, known, has_lines=True)
    is_structured = raw.lstrip().startswith(_STRUCTURED)
    if list_format is TeamListFormat.CSV or (list_format is TeamListFormat.AUTO and not is_structured):
        return read_team_table(raw, known)
    try:
        value = json.loads(raw) if raw.lstrip().startswith("[") else parse_yaml(raw)
    except (ValueError, RecursionError) as error:
        problem = f"it is neither JSON nor YAML: {error}"
        raise Refused(ApiError.INVALID, field="text", problem=problem) from error
    if list_format is not TeamListFormat.AUTO:
        return read_team_objects(value, EventType(list_format.value), known)
    entries = value if isinstance(value, list) and all(isinstance(one, Mapping) for one in value) else []
    name = list_of(entries)
    if entries and name is None:
        return TeamList(faults=[EntryFault(1, TeamFault.UNTOLD)])
    return read_team_objects(value, EventType(name or EventType.TEAMS), known)
