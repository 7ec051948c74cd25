"""The history checker can fail: each kind of violation is planted into a clean history, and it alone is found."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace

import pytest

from deepoj.operate.drill.history import Answer, History, Line, Row, Seen, Try, Wrong, check

_START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
AC, WA = "Accepted", "Wrong Answer"


def at(seconds: float) -> dt.datetime:
    return _START + dt.timedelta(seconds=seconds)


def clean() -> History:
    """One job that went the straight way, and one that was lost by n1 and finished by n2, whose first holder came back
    too late and was refused."""
    return History(
        tries=[
            Try("k1", AC, 0.0, 0.1, Answer.ACCEPTED, "j1"),
            Try("k2", WA, 0.0, 0.1, Answer.UNKNOWN),
            Try("k2", WA, 0.2, 0.3, Answer.ACCEPTED, "j2"),
            Try("k3", AC, 0.4, 0.5, Answer.REFUSED),
            Try("k4", AC, 0.4, 0.5, Answer.UNKNOWN),
        ],
        seen=[
            Seen("j1", 0.2, 0.3, "pending", "Queuing", "n1"),
            Seen("j1", 1.0, 1.1, "done", AC, "n2"),
            # asked before the verdict was known, answered after: fine
            Seen("j1", 0.9, 1.2, "processing", "Judging", "n1"),
            Seen("j1", 2.0, 2.1, "done", AC, "n3"),
        ],
        rows=[
            Row("j1", "k1", "done", AC, 1, 1, AC, 1),
            Row("j2", "k2", "done", WA, 1, 2, WA, 2),
        ],
        ledger=[
            Line(1, "j1", 1, 1, "claimed", "n1", at(0), at(1)),
            Line(2, "j1", 1, 1, "finalized", "n1", at(0.5), at(1), AC),
            Line(3, "j2", 1, 1, "claimed", "n1", at(0), at(1)),
            Line(4, "j2", 1, 1, "lost", "n1", at(1), at(1)),
            Line(5, "j2", 1, 2, "claimed", "n2", at(1), at(2)),
            Line(6, "j2", 1, 1, "refused", "n1", at(1.2), at(2), "stale_attempt"),
            Line(7, "j2", 1, 2, "finalized", "n2", at(1.5), at(2.5), WA),
        ],
    )


def found(history: History) -> set[Wrong]:
    return {violation.wrong for violation in check(history)}


def test_a_clean_history_is_clean() -> None:
    assert check(clean()) == []


def test_given_back_and_taken_up_again_is_clean() -> None:
    history = clean()
    history.ledger = [
        *(line for line in history.ledger if line.job_id == "j1"),
        Line(3, "j2", 1, 1, "claimed", "n1", at(0), at(1)),
        Line(4, "j2", 1, 1, "given_back", "n1", at(0.5), at(1), "drained"),
        # said again by somebody who had not heard
        Line(5, "j2", 1, 1, "refused", "n1", at(0.6), None, "not_in_expected_state"),
        Line(6, "j2", 1, 2, "claimed", "n2", at(0.6), at(1.6)),
        Line(7, "j2", 1, 2, "finalized", "n2", at(1), at(2), WA),
        Line(8, "j2", 1, 2, "refused", "n2", at(1.1), None, "already_finished"),
    ]
    assert check(history) == []


def _rows(history: History, job_id: str, **changes: object) -> None:
    history.rows = [replace(row, **changes) if row.job_id == job_id else row for row in history.rows]  # type: ignore[arg-type]


def _line(history: History, number: int, **changes: object) -> None:
    history.ledger = [replace(line, **changes) if line.id == number else line for line in history.ledger]  # type: ignore[arg-type]


def _without_row(history: History) -> None:
    history.rows = history.rows[1:]
    history.ledger = history.ledger[2:]
    history.seen = []


def _unfinished(history: History) -> None:
    _rows(history, "j2", state="processing", status="running", result_status=None, result_attempt=None)
    history.ledger = history.ledger[:-1]


def _dead(history: History) -> None:
    _rows(history, "j2", state="dead", status="System Error", result_status=None, result_attempt=None)
    history.ledger = [*history.ledger[:-1], Line(7, "j2", 1, 2, "dead", "n2", at(3))]


def _two_rows(history: History) -> None:
    history.rows = [*history.rows, Row("j9", "k1", "done", AC, 1, 1, AC, 1)]
    history.ledger = [
        *history.ledger,
        Line(8, "j9", 1, 1, "claimed", "n1", at(0), at(1)),
        Line(9, "j9", 1, 1, "finalized", "n1", at(0.5), at(1), AC),
    ]


def _two_ids(history: History) -> None:
    history.tries.append(Try("k1", AC, 0.6, 0.7, Answer.ACCEPTED, "j2"))
    history.rows = [history.rows[0], replace(history.rows[1], key="k1", status=AC, result_status=AC)]
    _line(history, 7, outcome=AC)
    history.tries = [one for one in history.tries if one.key != "k2"]


def _refused_is_there(history: History) -> None:
    history.rows = [*history.rows, Row("j3", "k3", "done", AC, 1, 1, AC, 1)]
    history.ledger = [
        *history.ledger,
        Line(8, "j3", 1, 1, "claimed", "n1", at(0), at(1)),
        Line(9, "j3", 1, 1, "finalized", "n1", at(0.5), at(1), AC),
    ]


def _two_verdicts(history: History) -> None:
    history.ledger = [*history.ledger, Line(8, "j1", 1, 1, "finalized", "n1", at(0.6), at(1), AC)]


def _goes_on(history: History) -> None:
    history.ledger = [*history.ledger, Line(8, "j1", 1, 2, "claimed", "n2", at(2), at(3))]


def _stale_write(history: History) -> None:
    """The first holder was refused, and its verdict stands all the same."""
    _rows(history, "j2", attempt_id=1, result_attempt=1)
    _line(history, 7, attempt_id=1, node="n1")


def _refused_then_done(history: History) -> None:
    history.ledger = [
        *history.ledger[:1],
        Line(2, "j1", 1, 1, "refused", "n1", at(0.4), at(1), "lease_lost_or_owner_mismatch"),
        Line(3, "j1", 1, 1, "finalized", "n1", at(0.5), at(1), AC),
        *(replace(line, id=line.id + 1) for line in history.ledger[2:]),
    ]


def _robbed(history: History) -> None:
    _line(history, 4, lease_until=at(1.000001))


def _claimed_beside(history: History) -> None:
    history.ledger = [line for line in history.ledger if line.id != 4]


def _number_skipped(history: History) -> None:
    _rows(history, "j2", attempt_id=3, result_attempt=3)
    _line(history, 5, attempt_id=3)
    _line(history, 7, attempt_id=3)


def _other_writer(history: History) -> None:
    _line(history, 7, node="n1")


def _at_the_end(history: History) -> None:
    """At its very end a lease is over."""
    _line(history, 2, at=at(1))


def _changed(history: History) -> None:
    history.seen.append(Seen("j1", 3.0, 3.1, "done", WA, "n1"))


def _changed_among_clients(history: History) -> None:
    history.seen += [Seen("j2", 3.0, 3.1, "done", AC, "n1")]


def _back_to_judging(history: History) -> None:
    history.seen.append(Seen("j1", 3.0, 3.1, "processing", "Judging", "n1"))


def _gone(history: History) -> None:
    history.seen.append(Seen("j2", 0.4, 0.5, "", "", "n1"))


def _result_of_another(history: History) -> None:
    _rows(history, "j2", result_attempt=1)


def _unledgered(history: History) -> None:
    history.ledger = [line for line in history.ledger if line.id != 7]


def _unasked(history: History) -> None:
    history.tries = [one for one in history.tries if one.key != "k1"]


def _wrong_verdict(history: History) -> None:
    _rows(history, "j2", status=AC, result_status=AC)
    _line(history, 7, outcome=AC)


@pytest.mark.parametrize(
    ("plant", "wrong"),
    [
        (_without_row, {Wrong.LOST}),
        (_unfinished, {Wrong.LOST}),
        (_dead, {Wrong.DEAD}),
        (_two_rows, {Wrong.DOUBLED}),
        (_two_ids, {Wrong.DOUBLED}),
        (_wrong_verdict, {Wrong.WRONG_VERDICT}),
        (_refused_is_there, {Wrong.REFUSED_WRITE}),
        (_two_verdicts, {Wrong.DOUBLED, Wrong.OVERLAP}),
        (_goes_on, {Wrong.DOUBLED}),
        (_stale_write, {Wrong.REFUSED_WRITE, Wrong.OVERLAP}),
        (_refused_then_done, {Wrong.REFUSED_WRITE}),
        (_robbed, {Wrong.OVERLAP}),
        (_claimed_beside, {Wrong.OVERLAP}),
        (_number_skipped, {Wrong.OVERLAP}),
        (_other_writer, {Wrong.OVERLAP}),
        (_at_the_end, {Wrong.LATE_WRITE}),
        (_changed, {Wrong.CHANGED}),
        (_changed_among_clients, {Wrong.CHANGED}),
        (_back_to_judging, {Wrong.VANISHED}),
        (_gone, {Wrong.VANISHED}),
        (_result_of_another, {Wrong.UNEXPLAINED}),
        (_unledgered, {Wrong.UNEXPLAINED}),
        (_unasked, {Wrong.UNEXPLAINED}),
    ],
)
def test_planted_fault_is_found(plant: Callable[[History], None], wrong: set[Wrong]) -> None:
    history = clean()
    plant(history)
    assert found(history) == wrong
