"""Problems in the store."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from deepoj.words.problems import Problem, ProblemChange, ProblemRefusal, ProblemSearch


class Problems(Protocol):
    """Problems and their packages' objects. Raises StoreUnavailable. Implemented by ``adapters.pg.problems``."""

    async def reserve_problem_id(self) -> int:
        """Return a new id. A reserved id that is never inserted is a harmless gap."""
        ...

    async def insert_problem(self, problem: Problem, *, by: str | None = None) -> None:
        """Insert a problem. ``by``, here and below: the administrator, for the log of administrative acts; None: no
        administrator's act."""
        ...

    async def problem(self, problem_id: int) -> Problem | None: ...

    async def open_problem(self, problem_id: int, viewer: int | None) -> Problem | None:
        """Return the problem if the account ``viewer`` sees it; None: people without an account."""
        ...

    async def newest_problems(self, limit: int) -> list[Problem]:
        """Return the newest ``limit`` listed problems, the newest first."""
        ...

    async def problem_groups(self, problem_id: int) -> list[str]:
        """Return the names of the problem's groups, in the order of the lower-cased names."""
        ...

    async def unknown_groups(self, names: Sequence[str]) -> frozenset[str]:
        """Return those of the names that no group has, without regard to case."""
        ...

    async def set_problem_groups(self, problem_id: int, names: Sequence[str], *, by: str | None = None) -> None:
        """Make the groups of these names the problem's; unknown names count for nothing."""
        ...

    async def problems(self, after_id: int, limit: int) -> list[Problem]:
        """Return the next ``limit`` problems above ``after_id``, by id, of every visibility."""
        ...

    async def problems_of(self, user_id: int, after_id: int, limit: int) -> list[Problem]:
        """Return the same of those that the account has made."""
        ...

    async def find_problems(self, query: ProblemSearch, after_id: int, limit: int) -> list[Problem]:
        """Return the next ``limit`` problems of a search after the problem ``after_id``; 0: from the first one."""
        ...

    async def problem_titles(self, problem_ids: Collection[int], viewer: int | None) -> dict[int, str]:
        """Return the titles of those of the problems that the account sees; None: people without an account."""
        ...

    async def newest_titles(self, viewer: int, limit: int) -> dict[int, str]:
        """Return the titles of the newest ``limit`` problems that the account sees, the newest first."""
        ...

    async def update_problem(self, problem_id: int, change: ProblemChange, *, by: str | None = None) -> Problem | None:
        """Change a problem and return it; None if there is none. Its version grows by one if the change affects
        verdicts (data, limits, compare), so the same change twice counts once."""
        ...

    async def unchecked_problems(self, after_id: int, limit: int) -> list[Problem]:
        """Return the next ``limit`` problems above ``after_id``, by id, whose programs were not compiled yet."""
        ...

    async def tell_programs(self, problem_id: int, data_hash: str, broken: str | None) -> None:
        """Record that the programs of this package compile, or (``broken``) do not. Nothing happens if the problem has
        another package by now, or if it was recorded before."""
        ...

    async def note_object(self, key: str) -> None:
        """Note an object's key before the package is stored under it. A problem that names the object removes the note;
        when it no longer does, the note is made again."""
        ...

    async def loose_objects(self, keep_s: float, limit: int) -> list[str]:
        """Return keys that were noted ``keep_s`` ago and that no problem names, the oldest first."""
        ...

    async def forget_objects(self, keys: Sequence[str]) -> None:
        """Delete the notes of deleted objects."""
        ...

    async def delete_problem(self, problem_id: int, *, by: str | None = None) -> ProblemRefusal | None:
        """Delete a problem and return None. One with submissions, or in a contest, is refused."""
        ...

    async def delete_submissions_of(self, problem_id: int, limit: int) -> int:
        """Delete ``limit`` submissions of a problem in any state, with their outbox events and ledger, in one
        transaction. A node that judges one of them is refused the verdict."""
        ...
