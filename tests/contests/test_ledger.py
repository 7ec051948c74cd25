"""Boards of ledgers: step by step, at once, restarted, by a naive scorer, and by a replay of the jury's feed."""

from __future__ import annotations

import json

from hypothesis import example, given
from hypothesis import strategies as st

from deepoj.contests.clock import ContestClock, merged
from deepoj.contests.feed import read_events
from deepoj.contests.ledger import ContestLedger
from deepoj.contests.replay import board_fields, replay
from deepoj.contests.views import JURY, PUBLIC
from deepoj.words.contests import EventType
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

#: in an interval that is removed a solution, and a wrong one before it, of which the events came the other way round;
#: an extension; and a pause
GAPS: list[Step] = [
    ("state", 0, 0, ""), ("submit", 0, 25, ""), ("judge", 0, 0, "Accepted"), ("submit", 0, 20, ""),
    ("judge", 0, 0, "Wrong Answer"), ("submit", 1, 301, ""), ("judge", 0, 0, "Accepted"), ("extend", 1, 120, ""),
    ("gap", 4, 15, ""), ("gap", 5, 22, ""), ("gap", 3, 100, ""), ("restore", 1, 0, ""), ("gap", 9, 130, ""),
]  # fmt: skip


@given(steps(*MOVES, *REVIEWS), st.integers(0, 60))
@example(ODD, 20)
@example(MOVED, 0)
@example(ODD[:6], 0)
@example(GAPS, 30)
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

    # a feed does not say which teams have more time or penalty time, and of one contest time its order counts
    told_more = folded.of(EventType.EXTENSIONS) or folded.of(EventType.PENALTIES)
    if folded.clock is not None and not folded.clock.removed and not told_more:
        assert board_fields(replayed.rows) == board_fields(folded.jury_board.rows())


@given(steps("gap", "gap", "restore"), st.permutations(range(40)))
@example(GAPS, list(range(40)))
def test_intervals_restored_in_any_order_leave_the_board_of_before(made: list[Step], order: list[int]) -> None:
    ledger, without = MadeLedger(), MadeLedger()
    for step in made:
        ledger.take(step)
        if step[0] not in {"gap", "restore"}:
            without.take(step)
    folded = ContestLedger()
    folded.take(ledger.events)
    for place in order:
        gap = ledger.gaps.get(str(place))
        if gap is not None and not gap["is_restored"]:
            ledger.tell(EventType.INTERVALS, str(place), gap | {"is_restored": True})
            folded.take(ledger.events[-1:])
    plain = ContestLedger()
    plain.take(without.events)
    assert (folded.jury_board.rows(), folded.public_board.rows()) == (
        plain.jury_board.rows(),
        plain.public_board.rows(),
    )
    assert folded.clock == plain.clock


@given(st.lists(st.tuples(st.integers(-50, 350), st.integers(0, 90) | st.none()), max_size=6), st.integers(0, 320))
def test_moment_is_the_first_with_its_contest_time(gaps: list[tuple[int, int | None]], time_ms: int) -> None:
    clock = ContestClock(0, merged((start, None if length is None else start + length) for start, length in gaps))
    moments = [at for at in range(1_000) if clock.time_ms(at) >= time_ms]
    found = clock.moment_ms(time_ms)
    assert found == (moments[0] if moments else None)
    assert all(clock.time_ms(at) <= clock.time_ms(at + 1) for at in range(-10, 400))


def test_an_interval_changes_the_contest_times_of_the_contest_api() -> None:
    ledger = MadeLedger()
    for step in (("state", 0, 0, ""), ("submit", 0, 50, ""), ("gap", 4, 15, "")):
        ledger.take(step)
    _, (view,) = followed([PUBLIC], ledger.events)
    assert json.loads(view.object("submissions", "1") or b"")["contest_time"] == "0:34:00.000"
    assert feed(view).count(b'"contest_time":"0:34:00.000"') == 1, "and it is a line of the feed"
