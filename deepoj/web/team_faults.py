"""What is wrong with a list of teams, as pages say it: the sentences of its faults and
notes for the catalogue."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from deepoj.accounts.teams import TeamFault, TeamNote
from deepoj.contests.team_files import TableFault


def _(text: str) -> str:
    """Mark a sentence for the catalogue."""
    return text


TEAM_FAULTS: Mapping[enum.StrEnum, str] = {
    TeamFault.EMPTY: _("there is no entry"),
    TeamFault.NOT_A_LIST: _("this is no list of objects"),
    TeamFault.TOO_MANY: _("there are too many entries: import the list in parts"),
    TeamFault.UNKNOWN_COLUMN: _("“%(value)s” is no column, or is there twice"),
    TeamFault.TOO_MANY_CELLS: _(
        "“%(value)s” is one cell too many: write id, name, organization, groups, hidden, accounts, ip"
    ),
    TeamFault.QUOTES: _("a quotation mark is not closed"),
    TeamFault.ID: _("“%(value)s” is no id: 1 to 36 letters, digits and _, inside also - and ."),
    TeamFault.GROUP_ID: _("“%(value)s” is no id of a group: 1 to 23 letters, digits and _, inside also - and ."),
    TeamFault.TEXT: _("“%(value)s” has characters that cannot be used here, or is too long (at most 200)"),
    TeamFault.NETWORK: _("“%(value)s” is no address and no network, such as 10.1.0.0/16"),
    TeamFault.FLAG: _("“%(value)s” is neither yes nor no"),
    TeamFault.TWICE: _("“%(value)s” is there twice"),
    TeamFault.USERNAME: _("“%(value)s” cannot be a username"),
    TeamFault.PASSWORD: _("the password is too short, too long, or not printable"),
    TeamFault.UNKNOWN_TEAM: _("there is no team “%(value)s”"),
    TeamFault.UNKNOWN_GROUP: _("there is no group “%(value)s”: import groups first"),
    TeamFault.UNKNOWN_ORGANIZATION: _("there is no organization “%(value)s”: import organizations first"),
    TeamFault.NO_ACCOUNT: _("there is no account “%(value)s”: an administrator makes it first"),
    TeamFault.HAS_ROLE: _(
        "the account “%(value)s” has a role on this site, and no contest binds it: leave its address empty"
    ),
    TeamFault.TOO_MANY_NEW: _("too many accounts are missing: import the list in parts"),
    TeamFault.NO_NEW_ACCOUNT: _("the account “%(value)s” cannot be made"),
    TeamFault.UNTOLD: _("its keys do not say whether these are teams, groups, organizations or accounts"),
    TableFault.HEAD: _("the first line names the file and its version, with a tab between"),
    TableFault.NOT_TAKEN: _("a list of %(value)s is not taken: groups, institutions, teams and accounts are"),
    TableFault.COLUMNS: _("%(value)s columns with tabs between are expected"),
    TableFault.ACCOUNT: _("the account “%(value)s” has no number of a team at the end of its name"),
    TeamNote.UNKNOWN_KEY: _("“%(value)s” is not kept"),
    TeamNote.IN_OTHER_TEAM: _("“%(value)s” is in another team, and stays there"),
    TeamNote.STAFF_NOT_MADE: _("the account “%(value)s” of a judge or administrator is not made"),
    TeamNote.STAFF_EXISTS: _("the account “%(value)s” is there already: it keeps its password and its rights"),
    TeamNote.OTHER_TYPE: _(
        "the account “%(value)s” is neither of a team nor of a judge or administrator, and is not made"
    ),
}
