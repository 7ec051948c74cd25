"""``MemoryMarks``: solved problems and active days in memory, a part of ``MemoryStore``."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trio

from deepoj.words.jobs import State
from deepoj.words.marks import ActiveDay, SolvedProblem
from deepoj.words.problems import Problem
from deepoj.words.results import Verdict

if TYPE_CHECKING:
    from tests.fakes.store import Row


@dataclass(kw_only=True)
class MarkRow:
    """One row of ``solved``."""

    job_id: str
    solved_at: float
    is_settled: bool = False


@dataclass
class MemoryMarks:
    """``ports.Marks``, as a base class of ``MemoryStore``, which simulates outages."""

    clock: Callable[[], float] = trio.current_time
    #: (user, problem) → mark
    marks: dict[tuple[int, int], MarkRow] = field(default_factory=dict)
    #: (user, day) → submissions
    activity: Counter[tuple[int, dt.date]] = field(default_factory=Counter)

    async def _enter(self, method: str) -> bool:
        raise NotImplementedError

    @staticmethod
    def _answer[T](answer: T, lost: bool) -> T:
        raise NotImplementedError

    def _dated(self, at: float) -> dt.datetime:
        raise NotImplementedError

    def _mark(self, row: Row, rows: Iterable[Row]) -> None:
        """Do what the trigger does when a judging ends. ``rows``: all submissions."""
        draft = row.draft
        key = draft.user_id, draft.problem_id
        if row.judging == 1:
            self.activity[draft.user_id, self._dated(row.created_at).date()] += 1
        mark = self.marks.get(key)
        if row.status == Verdict.ACCEPTED:
            if mark is None:
                self.marks[key] = MarkRow(job_id=row.job_id, solved_at=row.created_at)
            elif row.created_at < mark.solved_at:
                mark.job_id, mark.solved_at = row.job_id, row.created_at
        elif mark is not None and mark.job_id == row.job_id:
            accepted = [
                one
                for one in rows
                if (one.draft.user_id, one.draft.problem_id) == key
                and (one.state, one.status) == (State.DONE, Verdict.ACCEPTED)
            ]
            if accepted:
                heir = min(accepted, key=lambda one: (one.created_at, one.id))
                mark.job_id, mark.solved_at = heir.job_id, heir.created_at
            elif not mark.is_settled:
                del self.marks[key]

    def _settle(self, gone: Iterable[Row]) -> None:
        """Do what the trigger does when submissions are deleted."""
        for row in gone:
            mark = self.marks.get((row.draft.user_id, row.draft.problem_id))
            if mark is not None and (row.state, row.status) == (State.DONE, Verdict.ACCEPTED):
                mark.is_settled = True

    def _unmark(self, problem_id: int) -> None:
        self.marks = {key: mark for key, mark in self.marks.items() if key[1] != problem_id}

    async def solved_of(self, user_id: int, problem_ids: Collection[int]) -> set[int]:
        lost = await self._enter("solved_of")
        return self._answer({one for one in problem_ids if (user_id, one) in self.marks}, lost)

    async def _solved(
        self, user_id: int, after_id: int, limit: int, problems: Mapping[int, Problem]
    ) -> list[SolvedProblem]:
        lost = await self._enter("solved_problems")
        solved = sorted(one for user, one in self.marks if user == user_id and one > after_id and one in problems)[
            :limit
        ]
        return self._answer(
            [
                SolvedProblem(one, problems[one].title, self._dated(self.marks[user_id, one].solved_at).isoformat())
                for one in solved
            ],
            lost,
        )

    async def _count_solved(self, user_id: int, problems: Mapping[int, Problem]) -> int:
        lost = await self._enter("count_solved")
        return self._answer(sum(user == user_id and one in problems for user, one in self.marks), lost)

    async def active_days(self, user_id: int, days: int) -> list[ActiveDay]:
        lost = await self._enter("active_days")
        after = self._dated(self.clock()).date() - dt.timedelta(days=days)
        found = [
            ActiveDay(day, count) for (user, day), count in self.activity.items() if user == user_id and day > after
        ]
        return self._answer(sorted(found, key=lambda one: one.day), lost)

    async def _counted(self, user_id: int, limit: int, rows: Iterable[Row]) -> list[tuple[str, int]]:
        lost = await self._enter("user_verdicts")
        latest = sorted(
            (row for row in rows if row.draft.user_id == user_id), key=lambda row: (-row.created_at, -row.id)
        )
        counts = Counter(row.status for row in latest[:limit] if row.state is State.DONE)
        return self._answer(sorted(counts.items(), key=lambda one: (-one[1], one[0])), lost)
