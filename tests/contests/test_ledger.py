"""Boards of ledgers: step by step, at once, restarted, by a naive scorer, and by a replay of the jury's feed."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from deepoj.contests.feed import read_events
from deepoj.contests.ledger import ContestLedger
from deepoj.contests.replay import board_fields, replay
from deepoj.contests.views import JURY
from tests.contests.ledgers import LAID_OUT, MOVES, REVIEWS, MadeLedger, Step, feed, followed, steps
from tests.contests.naive import naive_ledger_board

#: a frozen solution, a rejudge of it, a thaw, a compile error that costs
ODD: list[Step] = [
    ("state", 0, 0, ""), ("rule", 0, 2, ""), ("submit", 0, 10, ""), ("judge", 0, 0, "Compile Error"),
    ("submit", 0, 250, ""), ("judge", 0, 0, "Accepted"), ("submit", 1, 299, ""), ("judge", 0, 0, "Wrong Answer"),
    ("rejudge", 1, 0, ""), ("judge", 0, 0, "Accepted"), ("state", 0, 0, ""), ("state", 0, 0, ""), ("state", 0, 0, ""),
    ("team", 1, 1, ""), ("group", 0, 1, ""), ("rejudge", 0, 0, ""), ("submit", 2, 300, ""), ("judge", 1, 0, "Accepted"),
    ("submit", 5, 0, ""), ("judge", 1, 0, "Accepted"), ("group", 0, 2, ""),
]  # fmt: skip
#: submissions before a start that is moved, which is legal and odd
MOVED: list[Step] = [
    ("submit", 0, 10, ""), ("judge", 0, 0, "Accepted"), ("move", 0, 2, ""), ("submit", 1, 1, ""), ("move", 0, 6, ""),
]  # fmt: skip


@given(steps(*MOVES, *REVIEWS), st.integers(0, 60))
@example(ODD, 20)
@example(MOVED, 0)
@example(ODD[:6], 0)
def test_board_step_by_step_is_the_whole_folds_and_the_naive_scorers(made: list[Step], restart: int) -> None:
    ledger = MadeLedger()
    for step in made:
        ledger.take(step)
    slow = ContestLedger()
    for number in range(1, len(ledger.events) + 1):
        if number == restart:
            slow = ContestLedger()
            slow.take(ledger.events[: number - 1])
        slow.take([ledger.events[number - 1]])
        before = ledger.events[:number]
        if number > LAID_OUT:
            assert board_fields(slow.jury_board.rows()) == naive_ledger_board(before, sees_all=True)
            assert board_fields(slow.public_board.rows()) == naive_ledger_board(before, sees_all=False)
            slow.jury_board.first_to_solve("A")

    whole = ContestLedger()
    whole.take(ledger.events)
    for of_whole, of_slow in ((whole.jury_board, slow.jury_board), (whole.public_board, slow.public_board)):
        assert of_whole.rows() == of_slow.rows()
        for label in of_whole.problems:
            assert of_whole.first_to_solve(label) == of_slow.first_to_solve(label)


@given(steps(*MOVES, *REVIEWS))
@example(ODD)
@example(MOVED)
def test_replaying_the_jurys_feed_gives_the_jurys_board(made: list[Step]) -> None:
    ledger = MadeLedger()
    for step in made:
        ledger.take(step)
    folded, (jury,) = followed([JURY], ledger.events)

    replayed = replay(read_events(feed(jury).decode().split("\n"), "feed"))

    if folded.start_ms is not None:
        assert board_fields(replayed.rows) == board_fields(folded.jury_board.rows())
