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
