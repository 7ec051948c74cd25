"""What a user has achieved, for lists and profiles."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from deepoj.words.marks import ActiveDay, SolvedProblem


class Marks(Protocol):
    """Solved problems and active days. The store writes them itself when a judging ends. Raises StoreUnavailable.
    Implemented by ``adapters.pg.marks``.

    A user has solved a problem if the newest verdict of one of his submissions to it is Accepted. A submission that is
    rejudged, or is a dead letter, counts by its verdict before. Retention that deletes an accepted submission makes the
    mark permanent; it goes only with the problem or the account.
    """

    async def solved_of(self, user_id: int, problem_ids: Collection[int]) -> set[int]:
        """Return the problems among these that the user has solved."""
        ...

    async def solved_problems(
        self, user_id: int, after_id: int, limit: int, *, viewer: int | None
    ) -> list[SolvedProblem]:
        """Return the next ``limit`` solved problems above ``after_id``, by id, that the account ``viewer`` sees."""
        ...

    async def count_solved(self, user_id: int, *, viewer: int | None) -> int:
        """Count the solved problems that the account ``viewer`` sees."""
        ...

    async def active_days(self, user_id: int, days: int) -> list[ActiveDay]:
        """Return the days with submissions among the last ``days`` (UTC, with today), in their order. A submission
        counts for the day on which it was made, once it has a verdict. A rejudge and deletions change nothing."""
        ...

    async def user_verdicts(self, user_id: int, limit: int) -> list[tuple[str, int]]:
        """Return the verdicts of the user's latest ``limit`` submissions, the most frequent first; without unfinished
        submissions and dead letters."""
        ...
