"""Lists of a contest's teams: CSV or TSV, and ``teams``, ``groups``, ``organizations`` and ``accounts`` of the Contest
API.

A table has a line each, ``id, name[, organization][, groups][, hidden][, accounts][, ip]``. A first line that begins
with ``id`` names the columns; they may then stand in any order. Several groups or accounts of a cell are separated by
``;`` or ``|``. Organizations and groups are named, and made if they are new. Everything is checked before anything is
imported, so that a list is mended once.
"""

from __future__ import annotations

import csv
import enum
import io
import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deepoj.accounts.names import clean_username
from deepoj.accounts.passwords import is_password
from deepoj.accounts.people import MAX_PEOPLE
from deepoj.words.accounts import User, UserRole
from deepoj.words.contests import (
    ID,
    MAX_GROUP_ID_CHARS,
    MAX_TEAM_ENTRIES,
    ContestObject,
    EventType,
    id_of_name,
    team_of_one,
)
from deepoj.words.names import is_line

MAX_TEXT_CHARS = 200
_ORDER = ("id", "name", "organization", "groups", "hidden", "accounts", "ip")
#: head of a column, in lower case → the column
_HEADS: Mapping[str, str] = {
    "id": "id", "team_id": "id", "编号": "id", "队伍编号": "id",
    "name": "name", "team": "name", "队名": "name", "名称": "name",
    "organization": "organization", "affiliation": "organization", "学校": "organization", "单位": "organization",
    "groups": "groups", "group": "groups", "组别": "groups", "分组": "groups",
    "hidden": "hidden", "隐藏": "hidden", "accounts": "accounts", "account": "accounts", "账户": "accounts",
    "账号": "accounts", "ip": "ip", "networks": "ip", "地址": "ip", "icpc_id": "icpc_id",
}  # fmt: skip
_FLAGS: Mapping[str, bool] = {
    "": False, "0": False, "no": False, "false": False, "否": False, "1": True, "yes": True, "true": True, "是": True,
}  # fmt: skip


#: what a table names
_NAMED = (EventType.GROUPS, EventType.ORGANIZATIONS)
#: type of an account that runs contests → its role; an administrator has none
_STAFF: Mapping[str, UserRole | None] = {"judge": UserRole.JURY, "admin": None}
_BOTH = frozenset({"id", "icpc_id", "name"})
#: list → keys that are taken
_KEYS: Mapping[EventType, frozenset[str]] = {
    EventType.GROUPS: _BOTH | {"type", "hidden"},
    EventType.ORGANIZATIONS: _BOTH | {"formal_name", "country"},
    EventType.TEAMS: _BOTH | {"display_name", "label", "organization_id", "group_ids", "hidden"},
    EventType.ACCOUNTS: frozenset({"id", "name", "username", "password", "type", "team_id", "ip"}),
}


class TeamListFormat(enum.StrEnum):
    """What a list is."""

    #: told by its first line, or by its keys
    AUTO = "auto"
    #: with commas, semicolons or tabs between cells
    CSV = "csv"
    TEAMS = "teams"
    GROUPS = "groups"
    ORGANIZATIONS = "organizations"
    #: ``accounts.yaml`` or JSON
    ACCOUNTS = "accounts"
    #: the name of a group of accounts, each of which becomes a team of its own
    MEMBERS = "members"


class TeamFault(enum.StrEnum):
    """What is wrong with an entry of a list; the value is a sentence with ``{value}``."""

    EMPTY = "there is no entry"
    NOT_A_LIST = "this is no list of objects"
    TOO_MANY = f"there are more than {MAX_TEAM_ENTRIES} entries"
    UNKNOWN_COLUMN = "“{value}” is no column, or is there twice"
    TOO_MANY_CELLS = "“{value}” is one cell too many: write id, name, organization, groups, hidden, accounts, ip"
    QUOTES = "a quotation mark is not closed"
    ID = "“{value}” is no id: 1 to 36 letters, digits and _, inside also - and ."
    GROUP_ID = f"“{{value}}” is no id of a group: 1 to {MAX_GROUP_ID_CHARS} letters, digits and _, inside also - and ."
    TEXT = f"“{{value}}” is no text of 1 to {MAX_TEXT_CHARS} printable characters"
    NETWORK = "“{value}” is no address and no network, such as 10.1.0.0/16"
    FLAG = "“{value}” is neither yes nor no"
    TWICE = "“{value}” is there twice"
    USERNAME = "“{value}” cannot be a username"
    PASSWORD = "the password is too short, too long, or not printable"  # noqa: S105  # the name of a fault
    UNKNOWN_TEAM = "there is no team “{value}”"
    UNKNOWN_GROUP = "there is no group “{value}”: import groups first"
    UNKNOWN_ORGANIZATION = "there is no organization “{value}”: import organizations first"
    NO_ACCOUNT = "there is no account “{value}”"
    HAS_ROLE = "the account “{value}” has a role on this site, and no contest binds it: leave its address empty"
    TOO_MANY_NEW = f"only {MAX_PEOPLE} accounts are made at a time: import the list in parts"
    UNTOLD = "its keys do not say whether these are teams, groups, organizations or accounts: say which they are"
    NO_NEW_ACCOUNT = "the account “{value}” cannot be made: the name is taken, or kept for an administrator"


class TeamNote(enum.StrEnum):
    """What is not taken of a list that is imported otherwise; the value is a sentence with ``{value}``."""

    UNKNOWN_KEY = "“{value}” is not kept"
    IN_OTHER_TEAM = "“{value}” is in another team, and stays there"
    STAFF_NOT_MADE = "the account “{value}” of a judge or administrator is not made: ask for accounts to be made"
    STAFF_EXISTS = "the account “{value}” is there already: it keeps its password and its rights"
    OTHER_TYPE = "the account “{value}” is neither of a team nor of a judge or administrator, and is not made"


@dataclass(frozen=True, slots=True)
class EntryFault:
    """What is wrong with an entry, or not taken: a line of a table, or an object of a list, counted from 1."""

    place: int
    #: one of this module or of ``contests.team_files``
    fault: enum.StrEnum
    value: str = ""

    @property
    def sentence(self) -> str:
        """What is wrong, in English, without its place."""
        return self.fault.value.format(value=self.value[:MAX_TEXT_CHARS])


@dataclass(frozen=True, slots=True)
class TeamAccount:
    """An account of a team. ``password``: of an account that is made; None: one is generated. ``networks``: from which
    it logs in; empty: nothing is said of them."""

    place: int
    username: str
    team_id: str
    password: str | None = None
    networks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StaffAccount:
    """An account of a judge or an administrator. ``role``: None: an administrator's."""

    place: int
    username: str
    role: UserRole | None
    password: str | None = None


@dataclass(slots=True)
class TeamList:
    """What a list says."""

    objects: list[ContestObject] = field(default_factory=list)
    accounts: list[TeamAccount] = field(default_factory=list)
    staff: list[StaffAccount] = field(default_factory=list)
    #: what is not imported
    notes: list[EntryFault] = field(default_factory=list)
    faults: list[EntryFault] = field(default_factory=list)
    #: places are lines of a text
    has_lines: bool = False
    _seen: set[tuple[str, str]] = field(default_factory=set)

    def add(self, place: int, object_: ContestObject) -> None:
        """Add an object; it is a fault if the list has it already."""
        self._add_once(place, object_.type, object_.id)
        self.objects.append(object_)

    def add_account(self, account: TeamAccount | StaffAccount) -> None:
        """Add an account; it is a fault if the list has it already."""
        self._add_once(account.place, "username", account.username.lower())
        if isinstance(account, TeamAccount):
            self.accounts.append(account)
        else:
            self.staff.append(account)

    def note(self, place: int, note: TeamNote, value: str) -> None:
        """Say what is not taken, a key once for all entries."""
        if note is not TeamNote.UNKNOWN_KEY or (note, value) not in self._seen:
            self.notes.append(EntryFault(place, note, value))
        self._seen.add((note, value))

    def _add_once(self, place: int, kind: str, name: str) -> None:
        if (kind, name) in self._seen:
            self.faults.append(EntryFault(place, TeamFault.TWICE, name))
        self._seen.add((kind, name))


#: ids that a contest has, of teams, groups and organizations
type KnownIds = Mapping[EventType, Collection[str]]
#: the same with their names: id → name
type KnownNames = Mapping[EventType, Mapping[str, str]]


def read_team_table(text: str, known: KnownNames) -> TeamList:
    """Return what a table says, and its faults.

    A group or an organization that the contest has is named by its id or by its name, and stays as it is.
    """
    found = TeamList(has_lines=True)
    # group or organization, its id or name → its id
    ids = {(type_, name): id_ for type_ in _NAMED for id_, name in known[type_].items()}
    ids |= {(type_, id_): id_ for type_ in _NAMED for id_ in known[type_]}
    first_line = text.lstrip().partition("\n")[0]
    delimiter = next((mark for mark in "\t,;，" if mark in first_line), ",")
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    columns: list[str] = []
    made: dict[tuple[EventType, str], ContestObject] = {}
    try:
        for row in rows:
            cells = [one.strip() for one in row]
            if not any(cells):
                continue
            if len(found.objects) == MAX_TEAM_ENTRIES:
                found.faults.append(EntryFault(rows.line_num, TeamFault.TOO_MANY))
                break
            if len(found.faults) > MAX_TEAM_ENTRIES:
                break  # what is wrong with the rest changes nothing
            if not columns:
                heads = [_HEADS.get(head.lower(), "") for head in cells]
                columns = heads if heads[0] == "id" else list(_ORDER)
                if columns is heads:
                    found.faults += _head_faults(rows.line_num, cells, heads)
                    continue
            while len(cells) > len(columns) and not cells[-1]:
                cells.pop()
            if len(cells) > len(columns):
                found.faults.append(EntryFault(rows.line_num, TeamFault.TOO_MANY_CELLS, cells[len(columns)]))
            else:
                _take_line(found, made, ids, rows.line_num, dict(zip(columns, cells, strict=False)))
    except csv.Error:
        found.faults.append(EntryFault(rows.line_num, TeamFault.QUOTES))
    found.objects[:0] = made.values()
    return _checked(found)


def read_team_objects(value: object, type_: EventType, known: KnownIds) -> TeamList:
    """Return what a list of the Contest API says, and its faults. ``value``: parsed JSON or YAML."""
    if not isinstance(value, list) or not all(isinstance(entry, Mapping) for entry in value):
        return TeamList(faults=[EntryFault(1, TeamFault.NOT_A_LIST)])
    return read_team_lists({type_: list(enumerate(value, 1))}, known)


def read_team_lists(
    lists: Mapping[EventType, Sequence[tuple[int, Mapping[str, Any]]]], known: KnownIds, *, has_lines: bool = False
) -> TeamList:
    """Return what lists of the Contest API say, each entry with its place, and their faults. A list may name entries of
    the lists before it."""
    found = TeamList(has_lines=has_lines)
    too_many = next((entries for entries in lists.values() if len(entries) > MAX_TEAM_ENTRIES), None)
    if too_many is not None:
        place, _ = too_many[MAX_TEAM_ENTRIES]
        found.faults.append(EntryFault(place, TeamFault.TOO_MANY))
        return found
    all_known = {type_: set(ids) for type_, ids in known.items()}
    for type_, entries in lists.items():
        for place, entry in entries:
            reader = _Entry(found, place, entry)
            for key in sorted(str(key) for key, value in entry.items() if value is not None):
                if key not in _KEYS[type_]:
                    found.note(place, TeamNote.UNKNOWN_KEY, key)
            if type_ is EventType.ACCOUNTS:
                _take_account(reader, all_known)
            else:
                taken = _TAKERS[type_](reader, all_known)
                found.add(place, taken)
                all_known[type_].add(taken.id)
    return _checked(found)


def teams_of_members(
    group: str, members: Sequence[User], teams: Mapping[str, Mapping[str, Any]], team_of: Mapping[int, str]
) -> TeamList:
    """Return a team of one for each member of a group of accounts.

    All of them are in a group of teams with the group's name. ``teams`` and ``team_of`` (account → team): those that
    the contest has. A team of one that is there already is put into the group of teams; a member of another team is
    skipped.
    """
    found, group_id = TeamList(), id_of_name(group, "g")
    for place, user in enumerate(members, 1):
        team = team_of_one(user.id)
        if team_of.get(user.id, team.id) != team.id:
            found.note(place, TeamNote.IN_OTHER_TEAM, user.username)
            continue
        data = teams.get(team.id, team.data or {})
        data = {**data, "group_ids": list(dict.fromkeys([*data["group_ids"], group_id]))}
        found.add(place, ContestObject(EventType.TEAMS, team.id, data))
        found.add_account(TeamAccount(place, user.username, team.id))
    if found.objects:
        data = {"name": group, "type": "", "hidden": False, "sortorder": None}
        found.objects.insert(0, ContestObject(EventType.GROUPS, group_id, data))
    return _checked(found)


class _Entry:
    """Reads an object of a list, and notes what is wrong with it."""

    def __init__(self, found: TeamList, place: int, entry: Mapping[str, Any]) -> None:
        self.found, self.place, self._entry = found, place, entry

    def fault(self, fault: TeamFault, value: object = "") -> None:
        # cut: 100,000 entries of a list may say the same text
        self.found.faults.append(EntryFault(self.place, fault, str(value)[:MAX_TEXT_CHARS]))

    def id(self, name: str, fault: TeamFault = TeamFault.ID) -> str:
        text = _word(self._entry.get(name))
        most = MAX_GROUP_ID_CHARS if fault is TeamFault.GROUP_ID else MAX_TEXT_CHARS
        if not ID.fullmatch(text) or len(text) > most:
            self.fault(fault, text)
        return text

    def text(self, name: str, default: str | None = None) -> str:
        value = self._entry.get(name)
        if value in (None, "") and default is not None:
            return default
        text = _word(value)
        if not _is_text(text):
            self.fault(TeamFault.TEXT, text)
        return text

    def icpc_id(self) -> dict[str, str]:
        """Return the field of the id that the ICPC has given, if there is one."""
        text = self.text("icpc_id", "")
        return {"icpc_id": text} if text else {}

    def flag(self, name: str) -> bool:
        value = self._entry.get(name, False)
        if not isinstance(value, bool):
            self.fault(TeamFault.FLAG, value)
        return value is True

    def get(self, name: str) -> object:
        return self._entry.get(name)

    def words(self, name: str) -> list[str]:
        value = self._entry.get(name) or []
        if not isinstance(value, list):
            self.fault(TeamFault.NOT_A_LIST)
            return []
        return [_word(one) for one in value]

    def networks(self, texts: Sequence[str]) -> tuple[str, ...]:
        """Return networks as they are stored."""
        found = []
        for text in texts:
            network = network_of(text)
            if network is None:
                self.fault(TeamFault.NETWORK, text)
            else:
                found.append(network)
        return tuple(found)

    def known(self, ids: Collection[str], one: str, fault: TeamFault) -> None:
        if one not in ids:
            self.fault(fault, one)


def _take_group(reader: _Entry, _known: KnownIds) -> ContestObject:
    data = {"name": reader.text("name"), "type": reader.text("type", ""), "hidden": reader.flag("hidden"),
            "sortorder": None, **reader.icpc_id()}  # fmt: skip
    return ContestObject(EventType.GROUPS, reader.id("id", TeamFault.GROUP_ID), data)


def _take_organization(reader: _Entry, _known: KnownIds) -> ContestObject:
    name = reader.text("name")
    data = {"name": name, "formal_name": reader.text("formal_name", name), "country": reader.text("country", ""),
            **reader.icpc_id()}  # fmt: skip
    return ContestObject(EventType.ORGANIZATIONS, reader.id("id"), data)


def _take_team(reader: _Entry, known: KnownIds) -> ContestObject:
    team_id, name = reader.id("id"), reader.text("name")
    organization, groups = reader.text("organization_id", ""), reader.words("group_ids")
    for group in groups:
        reader.known(known[EventType.GROUPS], group, TeamFault.UNKNOWN_GROUP)
    if organization:
        reader.known(known[EventType.ORGANIZATIONS], organization, TeamFault.UNKNOWN_ORGANIZATION)
    data = _team_data(name, organization or None, groups, is_hidden=reader.flag("hidden"))
    data["display_name"], data["label"] = reader.text("display_name", name), reader.text("label", team_id)
    return ContestObject(EventType.TEAMS, team_id, {**data, **reader.icpc_id()})


_TAKERS: Mapping[EventType, Callable[[_Entry, KnownIds], ContestObject]] = {
    EventType.GROUPS: _take_group,
    EventType.ORGANIZATIONS: _take_organization,
    EventType.TEAMS: _take_team,
}


def _take_account(reader: _Entry, known: KnownIds) -> None:
    raw, type_ = reader.text("username"), reader.text("type", "team")
    if type_ != "team" and type_ not in _STAFF:
        reader.found.note(reader.place, TeamNote.OTHER_TYPE, raw)
        return
    username, password = clean_username(raw), reader.text("password", "") or None
    if password is not None and not is_password(password):
        reader.fault(TeamFault.PASSWORD)
    if username is None:
        reader.fault(TeamFault.USERNAME, raw)
        return
    if type_ != "team":
        reader.found.add_account(StaffAccount(reader.place, username, _STAFF[type_], password))
        return
    team_id = reader.text("team_id")
    reader.known(known[EventType.TEAMS], team_id, TeamFault.UNKNOWN_TEAM)
    raw_ip = reader.words("ip") if isinstance(reader.get("ip"), list) else _parts(_word(reader.get("ip")))
    reader.found.add_account(TeamAccount(reader.place, username, team_id, password, reader.networks(raw_ip)))


def _head_faults(line: int, cells: list[str], heads: list[str]) -> Iterator[EntryFault]:
    seen: set[str] = set()
    for head, column in zip(cells, heads, strict=True):
        if head and (not column or column in seen):
            yield EntryFault(line, TeamFault.UNKNOWN_COLUMN, head)
        seen.add(column)


def _take_line(
    found: TeamList,
    made: dict[tuple[EventType, str], ContestObject],
    ids: Mapping[tuple[EventType, str], str],
    line: int,
    cells: Mapping[str, str],
) -> None:
    """Take in a team with its organization, groups and accounts."""
    reader = _Entry(found, line, cells)
    team_id, name = reader.id("id"), reader.text("name")
    hidden = _FLAGS.get(cells.get("hidden", "").lower())
    if hidden is None:
        reader.fault(TeamFault.FLAG, cells["hidden"])
    organization, groups = cells.get("organization", ""), _parts(cells.get("groups", ""))
    for text in (*groups, *([organization] if organization else ())):
        if not _is_text(text):
            reader.fault(TeamFault.TEXT, text)
    networks = reader.networks(_parts(cells.get("ip", "")))
    for raw in _parts(cells.get("accounts", "")):
        username = clean_username(raw)
        if username is None:
            reader.fault(TeamFault.USERNAME, raw)
        else:
            found.add_account(TeamAccount(line, username, team_id, networks=networks))
    group_ids = [ids.get((EventType.GROUPS, group)) or id_of_name(group, "g") for group in groups]
    for group, group_id in zip(groups, group_ids, strict=True):
        if (EventType.GROUPS, group) not in ids:
            data = {"name": group, "type": "", "hidden": False, "sortorder": None}
            made[EventType.GROUPS, group] = ContestObject(EventType.GROUPS, group_id, data)
    organization_id = ids.get((EventType.ORGANIZATIONS, organization)) if organization else None
    if organization and organization_id is None:
        organization_id = id_of_name(organization, "o")
        data = {"name": organization, "formal_name": organization, "country": ""}
        made[EventType.ORGANIZATIONS, organization] = ContestObject(EventType.ORGANIZATIONS, organization_id, data)
    team = _team_data(name, organization_id, list(dict.fromkeys(group_ids)), is_hidden=hidden is True)
    team |= {"display_name": name, "label": team_id, **reader.icpc_id()}
    found.add(line, ContestObject(EventType.TEAMS, team_id, team))


def _checked(found: TeamList) -> TeamList:
    """Add the faults of the whole list."""
    of_types = Counter(one.type for one in found.objects)
    if max(*of_types.values(), len(found.accounts) + len(found.staff), 0) > MAX_TEAM_ENTRIES:
        found.faults.append(EntryFault(MAX_TEAM_ENTRIES + 1, TeamFault.TOO_MANY))
    if not (found.objects or found.accounts or found.staff or found.notes or found.faults):
        found.faults.append(EntryFault(1, TeamFault.EMPTY))
    return found


def _team_data(name: str, organization: str | None, groups: list[str], *, is_hidden: bool) -> dict[str, Any]:
    return {"name": name, "organization_id": organization, "group_ids": groups, "is_hidden": is_hidden}


def network_of(text: str) -> str | None:
    """Return an address or a network as it is stored; None: it is none."""
    try:
        return str(ipaddress.ip_network(text.strip(), strict=False))
    except ValueError:
        return None


def _parts(cell: str) -> list[str]:
    return list(dict.fromkeys(part.strip() for part in re.split(r"[;|]", cell) if part.strip()))


def _word(value: object) -> str:
    """Return a text as it is, and a number as YAML and spreadsheets write ids; empty: neither."""
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def _is_text(text: str) -> bool:
    return 1 <= len(text) <= MAX_TEXT_CHARS and is_line(text)
