"""What is behind a cell adds up to the numbers on the board of the same viewer."""

from __future__ import annotations

import math
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deepoj.contests.cells import AttemptEffect, opened_cell
from deepoj.contests.ledger import ContestLedger
from deepoj.contests.views import JURY, PUBLIC, ContestViewer
from deepoj.words.contests import EventType
from tests.contests.ledgers import MOVES, REVIEWS, MadeLedger, Step, steps

_SOLVED_TWICE: list[Step] = [
    ("state", 0, 0, ""), ("submit", 0, 5, ""), ("judge", 0, 0, "Wrong Answer"), ("submit", 0, 9, ""),
    ("judge", 0, 0, "Accepted"), ("submit", 0, 20, ""), ("judge", 0, 0, "Wrong Answer"), ("submit", 0, 280, ""),
    ("rejudge", 0, 0, ""), ("judge", 0, 0, "Compile Error"),
]  # fmt: skip

_OVERRIDDEN: list[Step] = [
    ("state", 0, 0, ""), ("submit", 0, 5, ""), ("judge", 0, 0, "Wrong Answer"), ("review", 0, 5, "Accepted"),
]  # fmt: skip


def folded(made: list[Step], **rules: Any) -> ContestLedger:
    ledger, told = ContestLedger(), MadeLedger(**rules)
    for step in made:
        told.take(step)
    ledger.take(told.events)
    return ledger


@given(steps(*MOVES, *REVIEWS, size=40))
@example(_SOLVED_TWICE)
@example(_OVERRIDDEN)
def test_cells_add_up_to_their_row(made: list[Step]) -> None:
    ledger = folded(made)
    penalty_min = ledger.contest["penalty_ms"] // 60_000
    for viewer, board in ((JURY, ledger.jury_board), (PUBLIC, ledger.public_board)):
        if not viewer.is_jury and ledger.state["started_at"] is None:
            continue
        for row in board.rows():
            cells = [opened_cell(ledger, viewer, row.team_id, label) for label in row.cells]
            found = [cell for cell in cells if cell is not None]
            assert len(found) == len(cells)
            given = ledger.of(EventType.PENALTIES).get(row.team_id, {"minutes": 0})["minutes"]
            assert max(0, sum(cell.penalty_minutes for cell in found) + given) == row.penalty
            for cell in found:
                minutes = 0
                effects = [one.effect for one in cell.attempts]
                if AttemptEffect.SOLVED in effects:
                    solution = cell.attempts[effects.index(AttemptEffect.SOLVED)]
                    minutes = solution.time_ms // 60_000 + penalty_min * effects.count(AttemptEffect.REJECTED)
                    assert [one.verdict for one in solution.judgements if one.is_current] == ["Accepted"]
                assert cell.penalty_minutes == minutes
                assert effects.count(AttemptEffect.PENDING) == cell.cell.pending or minutes


@given(steps(size=40), st.sampled_from(["ioi", "homework"]))
@example([("submit", 0, 5, ""), ("judge", 0, 0, "Partial"), ("submit", 0, 9, ""), ("judge", 0, 0, "Accepted")], "ioi")
def test_points_of_submissions_add_up_to_their_cell(made: list[Step], kind: str) -> None:
    ledger = folded(made, kind=kind, freeze_ms=None, late_ms=30 * 60_000, late_step_ms=600_000, late_percent=10)
    for row in ledger.jury_board.rows():
        for label, cell in row.cells.items():
            found = opened_cell(ledger, JURY, row.team_id, label)
            assert found is not None
            assert round(sum(one.points or 0 for one in found.attempts), 6) == cell.points
            assert found.penalty_minutes == 0
            assert [one.points for one in found.attempts if one.effect is AttemptEffect.IMPROVED] == [
                one.points for one in found.attempts if one.points
            ]


def test_points_of_submissions_are_summed_once_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Step] = [("submit", 0, 5, ""), ("judge", 0, 0, "Partial")] * 100
    ledger = folded(sent, kind="ioi", freeze_ms=None)
    assert ledger.jury_board.cell("t0", "A").judged == 100
    summed = Mock(side_effect=math.fsum)
    monkeypatch.setattr(math, "fsum", summed)

    assert opened_cell(ledger, JURY, "t0", "A") is not None

    assert 100 <= summed.call_count < 200


def test_a_cell_shows_hidden_judgements_to_its_team_and_the_jury_alone() -> None:
    ledger = folded([("state", 0, 0, ""), ("submit", 0, 250, ""), ("judge", 0, 0, "Accepted")])
    shown = {}
    for viewer in (PUBLIC, ContestViewer(team_id="t1"), ContestViewer(team_id="t0"), JURY):
        cell = opened_cell(ledger, viewer, "t0", "A")
        assert cell is not None
        (attempt,) = cell.attempts
        shown[viewer] = attempt.effect, attempt.job_id, [one.verdict for one in attempt.judgements]
    hidden: tuple[AttemptEffect, str | None, list[str]] = AttemptEffect.PENDING, None, []
    assert list(shown.values()) == [
        hidden, hidden, (AttemptEffect.PENDING, "job-1", ["Accepted"]), (AttemptEffect.SOLVED, "job-1", ["Accepted"]),
    ]  # fmt: skip


def test_a_cell_of_a_hidden_team_is_not_there() -> None:
    ledger = folded([("state", 0, 0, "")])
    assert opened_cell(ledger, PUBLIC, "t3", "A") is None
    assert opened_cell(ledger, PUBLIC, "t0", "Z") is None
    assert opened_cell(ledger, ContestViewer(team_id="t3"), "t3", "A") is not None
