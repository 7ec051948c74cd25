"""What is set up around a contest: copies, teams, where they log in, practice afterwards."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TeamLogin:
    """An account of a team, by which it logs in. ``is_mighty``: it is an administrator's, or has a role."""

    team_id: str
    user_id: int
    username: str
    is_mighty: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingPasswords:
    """New passwords of accounts of a contest that were made at once. They hold from ``applied_at`` on (ISO 8601); None:
    the old ones hold."""

    set_id: str
    made_at: str
    #: the administrator; empty: erased
    made_by: str
    applied_at: str | None
    usernames: tuple[str, ...]
    #: sessions of these accounts that are open
    sessions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftInContest:
    """A draft among a contest's problems. ``other_key``, ``other_name``: another contest that has it and is not over
    for all, so it is not opened for practice; None: there is none."""

    label: str
    problem_id: int
    other_key: str | None
    other_name: str | None
