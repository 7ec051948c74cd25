"""A scoreboard by the rules of the ICPC: problems solved, then penalty time, then the time of the last solution.

An attempt changes its own cell and row only, so its cost does not grow with the attempts before it. Rows are sorted
when they are asked for.
"""

from __future__ import annotations

import bisect
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from deepoj.contests.clock import MS_PER_MINUTE, minutes_of


class AttemptOutcome(Enum):
    """What an attempt means to the board."""

    PENDING = "pending"
    SOLVED = "solved"
    #: costs penalty time if the problem is solved later
    REJECTED = "rejected"
    #: rejected, but costs nothing: a compile error in many contests
    FREE = "free"


@dataclass(slots=True, order=True)
class BoardAttempt:
    """A submission that counts. In the order of its cell: ``number`` orders attempts of the same time.

    It is never changed. The class is not frozen, because an object is then made in half the time, and a layout makes
    100,000.
    """

    time_ms: int
    number: int
    submission_id: str = field(compare=False)
    team_id: str = field(compare=False)
    problem_id: str = field(compare=False)
    outcome: AttemptOutcome = field(compare=False)
    #: where points count: those of the submission, and of each of its subtasks
    points: float = field(default=0.0, compare=False)
    subtasks: tuple[tuple[str, float], ...] = field(default=(), compare=False)


#: the order of attempts, for sorting many at once
_ORDER = operator.attrgetter("time_ms", "number")


@dataclass(frozen=True, slots=True)
class BoardCell:
    """One team at one problem. Attempts after the first solution are in none of the counts."""

    judged: int = 0
    pending: int = 0
    #: rejected attempts that cost penalty time
    rejected: int = 0
    solved_ms: int | None = None
    #: None: the board counts problems, not points
    points: float | None = None
    #: contest time of the last attempt that added points
    improved_ms: int | None = None
    #: the best points of each subtask, if the points are their sum
    subtasks: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class BoardRow:
    """One team. ``penalty`` in minutes; ``last_minute`` of its last solution or last points, 0 without one."""

    rank: int
    team_id: str
    solved: int
    penalty: int
    last_minute: int
    cells: dict[str, BoardCell]
    #: None: the board counts problems, not points
    points: float | None = None

    @property
    def standing(self) -> tuple[float, ...]:
        """What decides the rank: the least comes first, and equal ones share a rank."""
        if self.points is not None:
            return (-self.points,)
        return (-self.solved, self.penalty, self.last_minute)

    @property
    def has_result(self) -> bool:
        """Whether the team has solved a problem, or has points."""
        return bool(self.solved if self.points is None else self.points)


def cell_of(attempts: Iterable[BoardAttempt]) -> BoardCell:
    """Return the cell of attempts that are in order."""
    judged = pending = rejected = 0
    for attempt in attempts:
        if attempt.outcome is AttemptOutcome.PENDING:
            pending += 1
            continue
        judged += 1
        if attempt.outcome is AttemptOutcome.SOLVED:
            return BoardCell(judged, pending, rejected, attempt.time_ms)
        rejected += attempt.outcome is AttemptOutcome.REJECTED
    return BoardCell(judged, pending, rejected)


def points_text(points: float) -> str:
    """Return points as pages, files and commands print them: with two decimals at most."""
    return f"{points:.2f}".rstrip("0").rstrip(".")


class Board:
    """The scoreboard of the teams given, for the problems given, in that order. Teams of the same rank keep theirs."""

    def __init__(
        self, teams: Iterable[str], problems: Iterable[str], *, penalty_ms: int, given: Mapping[str, int] | None = None
    ) -> None:
        """``given``: minutes of penalty time that the jury has given teams, also negative."""
        self._penalty_ms, self._given = penalty_ms, given or {}
        self.problems = tuple(problems)
        self._cells = {team: dict.fromkeys(self.problems, BoardCell()) for team in teams}
        self._places = {team: place for place, team in enumerate(self._cells)}
        self._attempts: dict[str, BoardAttempt] = {}
        self._of_cell: dict[tuple[str, str], list[BoardAttempt]] = {
            (team, problem): [] for team in self._cells for problem in self.problems
        }
        #: rows without their ranks, and who was first, until one of their cells changes
        self._rows: dict[str, BoardRow] = {}
        self._firsts: dict[str, frozenset[str]] = {}

    def put(self, attempt: BoardAttempt) -> None:
        """Add an attempt, or replace the one of the same submission. Of another team or problem it does not count."""
        self.remove(attempt.submission_id)
        attempts = self._of_cell.get((attempt.team_id, attempt.problem_id))
        if attempts is None:
            return
        self._attempts[attempt.submission_id] = attempt
        bisect.insort(attempts, attempt)
        self._count(attempt.team_id, attempt.problem_id)

    def add(self, attempts: Iterable[BoardAttempt]) -> None:
        """Add the attempts of submissions that are not on the board yet. ``settle`` is called after the last ones."""
        for attempt in attempts:
            of_cell = self._of_cell.get((attempt.team_id, attempt.problem_id))
            if of_cell is not None:
                self._attempts[attempt.submission_id] = attempt
                of_cell.append(attempt)

    def settle(self) -> Iterator[None]:
        """Bring the cells up to date after ``add``, each in a step."""
        for (team, problem), of_cell in self._of_cell.items():
            if of_cell:
                of_cell.sort(key=_ORDER)
                self._count(team, problem)
                yield

    def remove(self, submission_id: str) -> None:
        """Remove the attempt of a submission, if there is one."""
        attempt = self._attempts.pop(submission_id, None)
        if attempt is None:
            return
        self._of_cell[attempt.team_id, attempt.problem_id].remove(attempt)
        self._count(attempt.team_id, attempt.problem_id)

    def cell_of(self, attempts: Iterable[BoardAttempt]) -> BoardCell:
        """Return the cell of attempts that are in order."""
        return cell_of(attempts)

    def cell(self, team: str, problem: str) -> BoardCell:
        """Return a cell; an empty one if the board has no such team or problem."""
        return self._cells.get(team, {}).get(problem, BoardCell())

    def attempts(self, team: str, problem: str) -> Sequence[BoardAttempt]:
        """Return the attempts of a cell in order."""
        return tuple(self._of_cell.get((team, problem), ()))

    def rows(self) -> list[BoardRow]:
        """Return the rows by rank; teams of the same rank in the order of the teams. As long as no cell of a row
        changes, its ``cells`` are the same object."""
        for team in self._cells.keys() - self._rows.keys():
            self._rows[team] = self._row(team)
        rows = sorted(self._rows.values(), key=lambda row: (*row.standing, self._places[row.team_id]))
        ranked: list[BoardRow] = []
        for place, row in enumerate(rows, 1):
            tied = ranked and ranked[-1].standing == row.standing
            ranked.append(replace(row, rank=ranked[-1].rank if tied else place))
        return ranked

    def first_to_solve(self, problem: str) -> frozenset[str]:
        """Return the teams that solved the problem first: more than one only in the same millisecond.

        It is not known, and the set empty, while an earlier attempt is not judged.
        """
        if problem not in self._firsts:
            self._firsts[problem] = self._first_to_solve(problem)
        return self._firsts[problem]

    def _first_to_solve(self, problem: str) -> frozenset[str]:
        solved = {team: cells[problem].solved_ms for team, cells in self._cells.items()}
        first = min((time_ms for time_ms in solved.values() if time_ms is not None), default=None)
        waiting = (
            attempt.outcome is AttemptOutcome.PENDING and first is not None and attempt.time_ms < first
            for team in self._cells
            for attempt in self._of_cell[team, problem]
        )
        if first is None or any(waiting):
            return frozenset()
        return frozenset(team for team, time_ms in solved.items() if time_ms == first)

    def _count(self, team: str, problem: str) -> None:
        """Compute a cell again."""
        self._cells[team][problem] = self.cell_of(self._of_cell[team, problem])
        self._rows.pop(team, None)
        self._firsts.pop(problem, None)

    def _row(self, team: str) -> BoardRow:
        cells = self._cells[team]
        solved = [cell for cell in cells.values() if cell.solved_ms is not None]
        minutes = [minutes_of(cell.solved_ms or 0) for cell in solved]
        lost_ms = self._penalty_ms * sum(cell.rejected for cell in solved)
        return BoardRow(
            rank=0,
            team_id=team,
            solved=len(solved),
            penalty=max(0, sum(minutes) + lost_ms // MS_PER_MINUTE + self._given.get(team, 0)),
            last_minute=max(minutes, default=0),
            cells=dict(cells),
        )
