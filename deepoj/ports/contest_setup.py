"""What is set up around a contest, in the store."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from deepoj.words.contest_setup import DraftInContest, PendingPasswords, TeamLogin
from deepoj.words.contests import ContestRefusal


class ContestSetup(Protocol):
    """Copies, teams and their logins, practice. Each change is one transaction. Raises StoreUnavailable. Implemented by
    ``adapters.pg.contest_setup``."""

    async def copy_contest(
        self,
        contest_id: int,
        key: str,
        *,
        name: str | None,
        start_at: dt.datetime | None,
        with_teams: bool,
        by: int,
    ) -> ContestRefusal | None:
        """Make a contest with the rules and the problems of another one, and with its teams, groups and organizations
        if so wanted. Refused: UNKNOWN_CONTEST, KEY_TAKEN."""
        ...

    async def remove_team(self, contest_id: int, team_id: str, *, by: int) -> ContestRefusal | None:
        """Remove a team; its accounts stay, in no team. Refused: UNKNOWN_CONTEST, FINALIZED, TEAM_USED (it has
        submissions)."""
        ...

    async def bind_team(
        self, contest_id: int, team_id: str, networks: Sequence[str] | None, *, by: int
    ) -> ContestRefusal | None:
        """Bind the accounts of a team to these networks from the start of the contest to its end; None: to none.
        Refused: UNKNOWN_CONTEST, FINALIZED."""
        ...

    async def bound_teams(self, contest_id: int) -> Mapping[str, Sequence[str]]:
        """Return the networks of the teams whose logins are bound."""
        ...

    async def with_role(self, contest_id: int, usernames: Collection[str]) -> Collection[str]:
        """Return those of the names whose accounts have a role on this site, or have made the contest: no contest binds
        them."""
        ...

    async def team_logins(self, contest_id: int, team_ids: Collection[str] | None) -> list[TeamLogin]:
        """Return the accounts of these teams, or of all, by team and name."""
        ...

    async def keep_passwords(
        self, contest_id: int, set_id: str, hashes: Mapping[int, str], *, by: int
    ) -> ContestRefusal | None:
        """Store new passwords by account, as hashes, which hold once they are applied. Older sets that are not applied
        and share an account are thrown away. Refused: UNKNOWN_CONTEST."""
        ...

    async def pending_passwords(self, contest_id: int) -> list[PendingPasswords]:
        """Return the sets of the last day, the newest first, also those that were applied."""
        ...

    async def apply_passwords(self, contest_id: int, set_id: str, *, by: int) -> list[str] | ContestRefusal:
        """Give accounts the passwords of a set, and end their sessions and tokens; return their names. A second time it
        does nothing. Accounts with a right keep their password, and those that have left the contest. Refused:
        UNKNOWN_PASSWORDS (none are stored, or they are older than a day)."""
        ...

    async def drop_passwords(self, contest_id: int, set_id: str, *, by: int) -> ContestRefusal | None:
        """Throw a set away. Refused: UNKNOWN_PASSWORDS (none are stored, or they were applied)."""
        ...

    async def delete_old_passwords(self, limit: int) -> int:
        """Delete new passwords that were made a day ago. Return how many."""
        ...

    async def drafts(self, contest_id: int) -> list[DraftInContest]:
        """Return the drafts among the contest's problems, by label."""
        ...

    async def open_problems(self, contest_id: int, *, by: int) -> list[str] | ContestRefusal:
        """List the contest's drafts for everybody, but not what another contest has that is not over. Return their
        labels. Refused: UNKNOWN_CONTEST, NOT_OVER (or its board hides verdicts)."""
        ...
