"""Boards that count points: step by step, at once, restarted, and by a naive scorer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deepoj.contests.awards import Medals, awards_of
from deepoj.contests.board import Board
from deepoj.contests.ledger import ContestLedger
from deepoj.contests.points_board import after_lateness, subtasks_of
from tests.contests.ledgers import LAID_OUT, MadeLedger, Step, steps
from tests.contests.naive import naive_points

#: late submissions are taken for 30 minutes, and each 10 that have begun cost 15 percent
RULES: dict[str, dict[str, Any]] = {
    "ioi": {"kind": "ioi"},
    "homework": {
        "kind": "homework", "freeze_ms": None, "duration_ms": 250 * 60_000, "late_ms": 30 * 60_000,
        "late_step_ms": 10 * 60_000, "late_percent": 15,
    },
}  # fmt: skip
EXTENSIONS = {"t1": 20 * 60_000, "t2": 40 * 60_000}
#: the best of two subtasks, each of another submission; a late one; the same with an extension; a rejudge of one
ODD: list[Step] = [
    ("submit", 0, 10, ""), ("judge", 3, 1, "Partial"), ("submit", 0, 20, ""), ("judge", 1, 6, "Partial"),
    ("submit", 0, 265, ""), ("judge", 3, 6, "Accepted"), ("submit", 1, 255, ""), ("judge", 3, 6, "Accepted"),
    ("submit", 2, 295, ""), ("judge", 2, 3, "Partial"), ("submit", 1, 280, ""), ("judge", 16, 3, "Partial"),
    ("rejudge", 0, 0, ""), ("judge", 2, 5, "Partial"), ("submit", 3, 250, ""), ("team", 3, 1, ""),
    ("judge", 1, 1, "Compile Error"), ("state", 0, 0, ""),
]  # fmt: skip


class _Extended(ContestLedger):
    """A ledger in which some teams have more time."""

    def extension_ms(self, team_id: str) -> int:
        return EXTENSIONS.get(team_id, 0)


def shown(board: Board) -> dict[str, Any]:
    return {
        row.team_id: (row.rank, row.points, {label: cell.points for label, cell in row.cells.items()})
        for row in board.rows()
    }


@pytest.mark.parametrize("kind", RULES)
@given(steps("freeze", "state", "gap", "restore"), st.integers(0, 60))
@example(ODD, 22)
def test_points_step_by_step_are_the_whole_folds_and_the_naive_scorers(
    kind: str, made: list[Step], restart: int
) -> None:
    ledger = MadeLedger(**RULES[kind])
    for step in made:
        ledger.take(step)
    slow = _Extended()
    for number in range(1, len(ledger.events) + 1):
        if number == restart:
            slow = _Extended()
            slow.take(ledger.events[: number - 1])
        slow.take([ledger.events[number - 1]])
        before = ledger.events[:number]
        if number > LAID_OUT:
            assert shown(slow.jury_board) == naive_points(before, EXTENSIONS, sees_all=True)
            assert shown(slow.public_board) == naive_points(before, EXTENSIONS, sees_all=False)

    whole = _Extended()
    whole.take(ledger.events)
    assert (whole.jury_board.rows(), whole.public_board.rows()) == (slow.jury_board.rows(), slow.public_board.rows())


@pytest.mark.parametrize(
    ("score", "groups", "subtasks"),
    [
        (30, [["", 30], ["1", 10], ["2", 20]], (("1", 10), ("2", 20))),
        (30, [["a", 30], ["a/1", 10], ["a/2", 20]], (("a/1", 10), ("a/2", 20))),
        (0.3, [["1", 0.1], ["2", 0.2]], (("1", 0.1), ("2", 0.2))),
        (10, [["1", 10], ["2", 20]], ()),
        (50, [], ()),
    ],
)
def test_subtasks_are_the_lowest_groups_if_they_add_up(
    score: float, groups: list[list[Any]], subtasks: tuple[tuple[str, float], ...]
) -> None:
    assert subtasks_of(score, groups) == subtasks


@pytest.mark.parametrize(
    ("late_ms", "points"), [(-1, 80), (0, 64), (59_999, 64), (60_000, 48), (4 * 60_000, 0), (9 * 60_000, 0)]
)
def test_a_late_submission_loses_a_share_for_each_step_that_has_begun(late_ms: int, points: float) -> None:
    assert after_lateness(80, late_ms, step_ms=60_000, percent=20) == points


def test_awards_go_by_points_and_none_to_a_first_solution() -> None:
    ledger = MadeLedger(kind="ioi", freeze_ms=None)
    for step in ODD:
        ledger.take(step)
    folded = ContestLedger()
    folded.take(ledger.events)
    best = [row.team_id for row in folded.jury_board.rows() if row.rank == 1]

    awards = {award.id: award.data["team_ids"] for award in awards_of(folded, Medals()) if award.data is not None}

    assert awards["winner"] == awards["rank-1"] == best == ["t1", "t0"], "in the order of their names"
    assert awards["gold-medal"][:2] == best
    assert not [award for award in awards if award.startswith("first-to-solve")]
