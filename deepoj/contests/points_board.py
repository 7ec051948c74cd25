"""A scoreboard that counts points: contests of the kinds ``ioi`` and ``homework``.

In ``ioi`` a problem's points of a team are the sum over its subtasks of the best that any of its submissions got. In
``homework`` they are those of the best submission, after what a late one loses. Equal points share a rank.

Like ``Board``, an attempt changes its own cell and row only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from deepoj.contests.board import AttemptOutcome, Board, BoardAttempt, BoardCell, BoardRow
from deepoj.contests.clock import minutes_of
from deepoj.words.contests import ContestKind

#: sums of floats are compared after rounding: 0.1 + 0.2 is 0.3 to contestants
_DIGITS = 6
_WHOLE_PERCENT = 100


def is_scored(kind: str | None) -> bool:
    """Return whether a contest of a kind counts points."""
    return kind in (ContestKind.IOI, ContestKind.HOMEWORK)


def subtasks_of(score: float, groups: Iterable[Sequence[Any]]) -> tuple[tuple[str, float], ...]:
    """Return the subtasks of a submission with their points: its test groups without groups below them.

    Empty if they do not add up to its score: then the package counts otherwise, and only the whole can be compared.
    """
    named = [(str(name), float(points)) for name, points in groups if name]
    above = {name[:place] for name, _ in named for place, letter in enumerate(name) if letter == "/"}
    leaves = tuple((name, points) for name, points in named if name not in above)
    adds_up = math.isclose(math.fsum(points for _, points in leaves), score, abs_tol=10.0**-_DIGITS)
    return leaves if adds_up else ()


def after_lateness(score: float, late_ms: int, *, step_ms: int, percent: int) -> float:
    """Return the points of a submission that came ``late_ms`` after its deadline (``lost_percent``)."""
    kept = _WHOLE_PERCENT - lost_percent(late_ms, step_ms=step_ms, percent=percent)
    return round(score * kept / _WHOLE_PERCENT, _DIGITS)


def lost_percent(late_ms: int, *, step_ms: int, percent: int) -> int:
    """Return how much of its points a submission loses that came ``late_ms`` after its deadline, negative: before it.
    Each step that has begun costs ``percent``, and the first one begins at the deadline."""
    steps = 0 if late_ms < 0 else late_ms // step_ms + 1
    return min(_WHOLE_PERCENT, steps * percent)


class PointsTally:
    """A cell while its attempts are added, in order."""

    def __init__(self, *, adds_subtasks: bool) -> None:
        #: of all attempts so far
        self.points = 0.0
        self._adds_subtasks = adds_subtasks
        self._judged = self._pending = 0
        self._solved_ms: int | None = None
        self._improved_ms: int | None = None
        self._whole = 0.0
        self._best: dict[str, float] = {}

    def add(self, attempt: BoardAttempt) -> None:
        """Add an attempt."""
        if attempt.outcome is AttemptOutcome.PENDING:
            self._pending += 1
            return
        self._judged += 1
        if attempt.outcome is AttemptOutcome.SOLVED and self._solved_ms is None:
            self._solved_ms = attempt.time_ms
        self._whole = max(self._whole, attempt.points)
        best = self._best
        for name, of_subtask in attempt.subtasks if self._adds_subtasks else ():
            best[name] = max(best.get(name, of_subtask), of_subtask)
        now = round(max(self._whole, math.fsum(best.values())), _DIGITS)
        if now > self.points:
            self.points, self._improved_ms = now, attempt.time_ms

    def cell(self) -> BoardCell:
        """Return the cell of the attempts so far."""
        is_sum = math.isclose(math.fsum(self._best.values()), self.points, abs_tol=10.0**-_DIGITS)
        return BoardCell(
            self._judged,
            self._pending,
            solved_ms=self._solved_ms,
            points=self.points,
            improved_ms=self._improved_ms,
            subtasks=tuple(self._best.items()) if is_sum else (),
        )


class PointsBoard(Board):
    """The scoreboard of the teams given, for the problems given, in that order.

    ``adds_subtasks``: the points of a problem are summed over its subtasks, each from another submission if need be.
    """

    def __init__(self, teams: Iterable[str], problems: Iterable[str], *, adds_subtasks: bool) -> None:
        super().__init__(teams, problems, penalty_ms=0)
        self._adds_subtasks = adds_subtasks
        empty = self.cell_of(())
        for cells in self._cells.values():
            cells.update(dict.fromkeys(self.problems, empty))

    def cell_of(self, attempts: Iterable[BoardAttempt]) -> BoardCell:
        tally = self.tally()
        for attempt in attempts:
            tally.add(attempt)
        return tally.cell()

    def tally(self) -> PointsTally:
        """Return a cell without attempts, to add them one by one."""
        return PointsTally(adds_subtasks=self._adds_subtasks)

    def first_to_solve(self, problem: str) -> frozenset[str]:
        """Return no team: where points count, nothing is given for being the first."""
        del problem
        return frozenset()

    def _row(self, team: str) -> BoardRow:
        cells = self._cells[team]
        return BoardRow(
            rank=0,
            team_id=team,
            solved=sum(cell.solved_ms is not None for cell in cells.values()),
            penalty=0,
            last_minute=max((minutes_of(cell.improved_ms or 0) for cell in cells.values()), default=0),
            cells=dict(cells),
            points=round(math.fsum(cell.points or 0.0 for cell in cells.values()), _DIGITS),
        )
