"""What a user has achieved."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SolvedProblem:
    """A problem of which a submission of the user was accepted."""

    problem_id: int
    title: str
    #: when the first accepted submission was made; ISO 8601
    solved_at: str


@dataclass(frozen=True, slots=True)
class ActiveDay:
    """A day (UTC) on which a user made submissions that got a verdict, and their number."""

    day: dt.date
    submissions: int
