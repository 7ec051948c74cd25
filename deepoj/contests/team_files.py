"""Files of teams as registration systems of the ICPC write them: their tables, and which list JSON or YAML is.

A table has tabs between its cells, and a first line that names it and its version: ``teams<tab>1``, or
``File_Version<tab>1``, whose first row then shows what it is. ``teams.tsv`` and ``teams2.tsv`` have the institutions of
the teams beside them; ``institutions.tsv`` has them alone.
"""

from __future__ import annotations

import enum
import itertools
import re
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deepoj.words.contests import MAX_TEAM_ENTRIES, id_of_name

GROUPS, ORGANIZATIONS, TEAMS, ACCOUNTS = "groups", "organizations", "teams", "accounts"
#: lists of the Contest API, in the order in which they name each other
TEAM_LISTS = (GROUPS, ORGANIZATIONS, TEAMS, ACCOUNTS)
#: the first cell of a table, in lower case → its columns at least
_COLUMNS: Mapping[str, int] = {GROUPS: 2, "institutions": 3, TEAMS: 7, ACCOUNTS: 4}
_ANY_TABLE = "file_version"
_HEAD = re.compile(r"(\w+)\t([0-9]+)[\t ]*")
_INSTITUTION = re.compile(r"INST-(U-)?")
_COUNTRY = re.compile(r"[A-Z]{3}")
_MAX_DIGITS = 18
_NUMBER = re.compile(rf"[0-9]{{1,{_MAX_DIGITS}}}")
ACCOUNT_TYPES = frozenset({"team", "judge", "admin", "analyst"})
_ROLES = frozenset({"coach", "co-coach", "contestant"})
#: keys that only this list has; the first list of which an entry has one is meant
_KEYS: Mapping[str, frozenset[str]] = {
    ACCOUNTS: frozenset({"username", "password", "team_id"}),
    TEAMS: frozenset({"group_ids", "organization_id", "display_name", "label", "members", "photo"}),
    ORGANIZATIONS: frozenset({"formal_name", "country", "country_flag", "logo", "twitter_hashtag", "shortname"}),
    GROUPS: frozenset({"type", "hidden", "sortorder", "color"}),
}


class TableFault(enum.StrEnum):
    """What is wrong with a table; the value is a sentence with ``{value}``."""

    HEAD = "the first line names the file and its version, with a tab between"
    NOT_TAKEN = "a list of {value} is not taken: groups, institutions, teams and accounts are"
    COLUMNS = "{value} columns with tabs between are expected"
    ACCOUNT = "the account “{value}” has no number of a team at the end of its name"


@dataclass(frozen=True, slots=True)
class TableRefusal:
    """Why a table is not read. ``line``: from 1."""

    line: int
    fault: TableFault
    value: str = ""

    @property
    def sentence(self) -> str:
        return self.fault.value.format(value=self.value)


#: list of the Contest API → its objects, each with its line
type TableLists = Mapping[str, Sequence[tuple[int, dict[str, Any]]]]
type _Rows = Sequence[tuple[int, Sequence[str]]]


def is_table(text: str) -> bool:
    """Return whether a text begins as a table of the ICPC does."""
    return _head_of(text) is not None


def read_table(text: str) -> TableLists | TableRefusal:
    """Return the lists of a table, in the order in which they name each other."""
    head = _head_of(text)
    if head is None:
        return TableRefusal(1, TableFault.HEAD)
    lines = ((number, line.rstrip("\r")) for number, line in enumerate(text.split("\n"), 1) if line.strip())
    taken = itertools.islice(lines, MAX_TEAM_ENTRIES + 2)  # with the head one too many, which its reader refuses
    first, *rows = [(number, [_cell(cell) for cell in line.split("\t")]) for number, line in taken]
    kind = head if head != _ANY_TABLE else _kind_of(rows[0][1]) if rows else TEAMS
    if kind not in _COLUMNS:
        return TableRefusal(first[0], TableFault.NOT_TAKEN, kind)
    for number, row in rows:
        if len(row) < _COLUMNS[kind]:
            return TableRefusal(number, TableFault.COLUMNS, str(_COLUMNS[kind]))
    return _READERS[kind](rows)


def list_of(entries: Sequence[Mapping[str, Any]]) -> str | None:
    """Return which list of the Contest API entries are; None: their keys do not say it."""
    keys = {str(key) for entry in entries for key in entry}
    return next((name for name, own in _KEYS.items() if own & keys), None)


def _head_of(text: str) -> str | None:
    match = _HEAD.fullmatch(text.lstrip().partition("\n")[0].rstrip("\r"))
    if match is None:
        return None
    head = match[1].lower()
    return head if head in {*_COLUMNS, _ANY_TABLE, "members", "organizations"} else None


def _kind_of(row: Sequence[str]) -> str:
    """Return what the first row of a table shows that it is."""
    if row[0] in ACCOUNT_TYPES and len(row) >= _COLUMNS[ACCOUNTS]:
        return ACCOUNTS
    if _INSTITUTION.match(row[0]):
        return "institutions"
    if len(row) > 1 and row[1].lower() in _ROLES:
        return "members"
    return TEAMS if len(row) > 3 else GROUPS


def _cell(text: str) -> str:
    cell = text.strip()
    return "" if cell == "null" else cell


def _groups(rows: _Rows) -> TableLists:
    return {GROUPS: [(line, {"id": row[0], "icpc_id": row[0], "name": row[1]}) for line, row in rows]}


def _institutions(rows: _Rows) -> TableLists:
    return {ORGANIZATIONS: [(line, _institution(row)) for line, row in rows]}


def _institution(row: Sequence[str]) -> dict[str, Any]:
    """Return the organization of a row of ``institutions.tsv``: id, name, short name, …, country."""
    number = _INSTITUTION.sub("", row[0], count=1)
    country = next((cell for cell in row[4:2:-1] if _COUNTRY.fullmatch(cell)), None)
    return {"id": number, "icpc_id": number, "name": row[2] or row[1], "formal_name": row[1], "country": country}


def _teams(rows: _Rows) -> TableLists:
    """Return teams with their institutions, whose id is in an eighth column, or is made of the name."""
    organizations: dict[str, tuple[int, dict[str, Any]]] = {}
    teams = []
    for line, row in rows:
        number, icpc_id, group, name, institution, short, country = row[:7]
        own = _INSTITUTION.sub("", row[7], count=1) if len(row) > 7 else ""
        organization_id = own or (id_of_name(institution, "o") if institution else "")
        if organization_id and (institution or short):
            made = {"id": organization_id, "icpc_id": own or None, "name": short or institution,
                    "formal_name": institution or short, "country": country or None}  # fmt: skip
            organizations.setdefault(organization_id, (line, made))
        team_id = number or icpc_id
        team = {
            "id": str(int(team_id)) if _NUMBER.fullmatch(team_id) else team_id,
            "icpc_id": icpc_id or None,
            "name": name,
            "organization_id": organization_id or None,
            "group_ids": [group] if group else [],
        }
        teams.append((line, team))
    return {ORGANIZATIONS: list(organizations.values()), TEAMS: teams}


def _accounts(rows: _Rows) -> TableLists | TableRefusal:
    """Return accounts; the number at the end of the name of a team's account is that of its team."""
    accounts = []
    for line, (type_, name, username, password, *_more) in rows:
        account = {"id": username, "username": username, "password": password, "type": type_, "name": name}
        if type_ == "team":
            number = username[len(username.rstrip(string.digits)) :]
            if not _NUMBER.fullmatch(number):
                return TableRefusal(line, TableFault.ACCOUNT, username)
            account["team_id"] = str(int(number))
        accounts.append((line, account))
    return {ACCOUNTS: accounts}


_READERS: Mapping[str, Callable[[_Rows], TableLists | TableRefusal]] = {
    GROUPS: _groups,
    "institutions": _institutions,
    TEAMS: _teams,
    ACCOUNTS: _accounts,
}
