"""Whose fault the end of a talk is: the table row by row, and what no row may ever say."""

from __future__ import annotations

import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepoj.judging import interactive
from deepoj.judging.interactive import TABLE, Blame, Interactor, ProgramEnd
from deepoj.words.results import Verdict
from deepoj.words.sandbox import Joined, RunOutcome, RunVerdict
from tests.fakes.box import joined, outcome

R, V = RunVerdict, Verdict
AC, WA, NOTHING = V.ACCEPTED, V.WRONG_ANSWER, None
INFRA = V.SYSTEM_ERROR

WELL = outcome()
EXIT = outcome(R.RE, exit_code=3)
SEGV = outcome(R.RE, exit_signal=signal.SIGSEGV)
KILLED = outcome(R.RE, exit_signal=signal.SIGKILL)
PIPE = outcome(R.RE, exit_signal=signal.SIGPIPE)
ABORT = outcome(R.RE, exit_signal=signal.SIGABRT)
CPU = outcome(R.TLE, cpu_ms=3000)
WALL = outcome(R.TLE, rule="wall")
MEMORY = outcome(R.MLE)
FLOOD = outcome(R.OLE)
BOMB = outcome(R.RE, rule="processes", exit_signal=signal.SIGKILL)
FAULT = outcome(R.SE)
#: what an interactor's run is when it has said something: the word is read from its exit code elsewhere
SAID = outcome(R.RE, exit_code=43)

#: what happened, who was first, the program's run, the interactor's run, its word, the verdict
ROWS: list[tuple[str, str, RunOutcome, RunOutcome, Verdict | None, Verdict]] = [
    # both as it should be
    ("right, and the program is gone first", "program", WELL, SAID, AC, AC),
    ("right, and the interactor is gone first", "interactor", WELL, SAID, AC, AC),
    ("wrong, and the program is gone first", "program", WELL, SAID, WA, WA),
    ("exits with 0 in the middle, the interactor sees it", "program", WELL, SAID, WA, WA),
    ("exits with 0 while it is spoken to", "program", WELL, PIPE, NOTHING, WA),
    ("the format is wrong", "interactor", WELL, SAID, V.PRESENTATION_ERROR, V.PRESENTATION_ERROR),
    ("points", "interactor", WELL, SAID, V.PARTIAL, V.PARTIAL),
    # refused first: what becomes of the program then is of no account
    ("refused, then ended by SIGPIPE", "interactor", PIPE, SAID, WA, WA),
    ("refused, then crashes for want of input", "interactor", SEGV, SAID, WA, WA),
    ("refused, then exits with 1 for want of input", "interactor", EXIT, SAID, WA, WA),
    ("refused, then spins into its limit", "interactor", CPU, SAID, WA, WA),
    ("refused, then waits into its limit", "interactor", WALL, SAID, WA, WA),
    ("refused, then eats memory", "interactor", MEMORY, SAID, WA, WA),
    ("refused, then floods", "interactor", FLOOD, SAID, WA, WA),
    # the program failed first: the interactor's complaint is an echo
    ("over its CPU time, then refused", "program", CPU, SAID, WA, V.TIME_LIMIT_EXCEEDED),
    ("over its memory, then refused", "program", MEMORY, SAID, WA, V.MEMORY_LIMIT_EXCEEDED),
    ("over its CPU time, then even accepted", "program", CPU, SAID, AC, V.TIME_LIMIT_EXCEEDED),
    ("floods, then refused", "program", FLOOD, SAID, WA, V.OUTPUT_LIMIT_EXCEEDED),
    ("crashes, then refused", "program", SEGV, SAID, WA, V.RUNTIME_ERROR),
    ("exits with 3, then refused", "program", EXIT, SAID, WA, V.RUNTIME_ERROR),
    ("exits with 3, then accepted", "program", EXIT, SAID, AC, V.RUNTIME_ERROR),
    ("a bomb, then refused", "program", BOMB, SAID, WA, V.RUNTIME_ERROR),
    ("crashes, and the interactor cannot bear that", "program", SEGV, ABORT, NOTHING, V.RUNTIME_ERROR),
    ("crashes, and the interactor spins", "program", SEGV, CPU, NOTHING, V.RUNTIME_ERROR),
    ("crashes while it is spoken to", "program", SEGV, PIPE, NOTHING, V.RUNTIME_ERROR),
    ("over its CPU time, and the interactor hangs", "program", CPU, WALL, NOTHING, V.TIME_LIMIT_EXCEEDED),
    # the clock: who was waiting?
    ("never flushes", "program", WALL, SAID, WA, V.TIME_LIMIT_EXCEEDED),
    ("sleeps, and the interactor would have accepted", "program", WALL, SAID, AC, V.TIME_LIMIT_EXCEEDED),
    ("never reads, and the pipe is full", "program", WALL, PIPE, NOTHING, V.TIME_LIMIT_EXCEEDED),
    ("never flushes, and the interactor cannot bear the end", "program", WALL, ABORT, NOTHING, V.TIME_LIMIT_EXCEEDED),
    ("waits for an interactor that hangs", "program", WALL, WALL, NOTHING, INFRA),
    # accepted first: the program has to come to an end
    ("accepted, and goes on without end", "interactor", WALL, SAID, AC, V.TIME_LIMIT_EXCEEDED),
    ("accepted, and spins", "interactor", CPU, SAID, AC, V.TIME_LIMIT_EXCEEDED),
    ("accepted, and eats memory", "interactor", MEMORY, SAID, AC, V.MEMORY_LIMIT_EXCEEDED),
    ("accepted, and crashes", "interactor", SEGV, SAID, AC, V.RUNTIME_ERROR),
    ("accepted, and floods", "interactor", FLOOD, SAID, AC, V.OUTPUT_LIMIT_EXCEEDED),
    ("points, and goes on without end", "interactor", WALL, SAID, V.PARTIAL, V.TIME_LIMIT_EXCEEDED),
    # the interactor fails: never the contestant's fault
    ("the interactor crashes", "interactor", WELL, ABORT, NOTHING, INFRA),
    ("the interactor crashes, the program for want of input", "interactor", SEGV, ABORT, NOTHING, INFRA),
    ("the interactor crashes, the program spins", "interactor", CPU, ABORT, NOTHING, INFRA),
    ("the interactor hangs", "interactor", WELL, WALL, NOTHING, INFRA),
    ("the interactor spins", "interactor", WELL, CPU, NOTHING, INFRA),
    ("the interactor eats memory", "interactor", WELL, MEMORY, NOTHING, INFRA),
    ("the interactor floods", "interactor", WELL, FLOOD, NOTHING, INFRA),
    ("the interactor says that it has failed", "interactor", WELL, SAID, INFRA, INFRA),
    ("the program ends well, then the interactor crashes", "program", WELL, ABORT, NOTHING, INFRA),
    ("the program ends well, then the interactor hangs", "program", WELL, WALL, NOTHING, INFRA),
    ("the program ends well, then the interactor spins", "program", WELL, CPU, NOTHING, INFRA),
    ("a broken pipe though the program was there", "interactor", WELL, PIPE, NOTHING, INFRA),
    # but for a flood
    ("a flood fills the interactor's memory", "interactor", FLOOD, MEMORY, NOTHING, V.OUTPUT_LIMIT_EXCEEDED),
    ("a flood takes the interactor's CPU time", "interactor", FLOOD, CPU, NOTHING, V.OUTPUT_LIMIT_EXCEEDED),
    ("a flood makes the interactor crash", "interactor", FLOOD, ABORT, NOTHING, V.OUTPUT_LIMIT_EXCEEDED),
    # ours
    ("the program's sandbox failed", "program", FAULT, SAID, WA, INFRA),
    ("the interactor's sandbox failed", "program", SEGV, FAULT, NOTHING, INFRA),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_row(row: tuple[str, str, RunOutcome, RunOutcome, Verdict | None, Verdict]) -> None:
    _, first, program, interactor, word, verdict = row
    pair = joined(program, interactor, interactor_first=first == "interactor")

    assert interactive.verdict(pair, word)[0] is verdict


def test_every_row_of_the_table_is_met() -> None:
    met = {
        (
            first == "interactor",
            interactive.program_end(joined(program, interactor)),
            interactive.interactor_end(interactor, word),
        )
        for _, first, program, interactor, word, _ in ROWS
    }
    echoes = {
        (first, program, interactor)
        for first, program, interactor in TABLE
        if TABLE[first, program, interactor] is Blame.PROGRAM and not first
    }
    cut = {(True, ProgramEnd.CUT, Interactor.REFUSES)}
    flooded = {(True, ProgramEnd.FLOOD, end) for end in Interactor}
    waiting = {(False, ProgramEnd.WALL, Interactor.LIMIT)}  # below
    assert set(TABLE) - met - echoes - cut - flooded - waiting == set()
    assert {first for *_, first in [row[:3] for row in echoes]} == set(Interactor)


def test_a_program_that_was_cut_is_judged_by_the_word() -> None:
    pair = joined(KILLED, SAID, interactor_first=True, program_cut=True)

    assert interactive.verdict(pair, WA) == (WA, "interactor")
    assert interactive.verdict(pair, NOTHING)[0] is INFRA
    flood = joined(outcome(R.OLE), MEMORY, interactor_first=True, program_cut=True)
    assert interactive.verdict(flood, NOTHING) == (V.OUTPUT_LIMIT_EXCEEDED, "output")


def test_an_interactor_that_left_a_line_unread_kept_the_program_waiting() -> None:
    waited = joined(WALL, SAID, unread_by_interactor=4)
    assert interactive.verdict(waited, WA)[0] is INFRA

    both = joined(WALL, SAID, unread_by_interactor=4, unread_by_program=65536)
    assert interactive.verdict(both, WA)[0] is V.TIME_LIMIT_EXCEEDED, "who does not listen either is to blame"


def test_an_interactor_that_goes_wild_at_the_end_of_its_input_was_waiting() -> None:
    wild = joined(WALL, outcome(R.TLE, cpu_ms=10_000), apart_ms=10_100)
    assert interactive.verdict(wild, NOTHING)[0] is V.TIME_LIMIT_EXCEEDED

    busy = joined(WALL, outcome(R.TLE, cpu_ms=10_000), apart_ms=1_000)
    assert interactive.verdict(busy, NOTHING)[0] is INFRA


@pytest.mark.parametrize(
    ("interactor", "word", "settled"),
    [(SAID, AC, False), (SAID, V.PARTIAL, False), (SAID, WA, True), (ABORT, NOTHING, True), (WALL, NOTHING, True)],
)
def test_only_who_was_accepted_goes_on(interactor: RunOutcome, word: Verdict | None, settled: bool) -> None:
    assert interactive.is_settled(interactor, word) is settled


def test_the_interactor_outlives_the_program_and_its_time_is_not_the_programs() -> None:
    program = interactive.program_wall_ms(3000, 10_000)
    assert program - 10_000 == 3000
    assert interactive.interactor_wall_ms(program, 5000) == program + 5000


RUNS = [WELL, EXIT, SEGV, KILLED, PIPE, ABORT, CPU, WALL, MEMORY, FLOOD, BOMB, FAULT, SAID]
CONTESTANTS = set(Verdict) - {V.SYSTEM_ERROR, V.INVALID, V.ACCEPTED, V.PARTIAL}


@st.composite
def pairs(draw: st.DrawFn) -> Joined:
    return joined(
        draw(st.sampled_from(RUNS)),
        draw(st.sampled_from(RUNS)),
        interactor_first=draw(st.booleans()),
        apart_ms=draw(st.integers(0, 100_000)),
        unread_by_interactor=draw(st.sampled_from([0, 1, 65536])),
        unread_by_program=draw(st.sampled_from([0, 1, 65536])),
        program_cut=draw(st.booleans()),
    )


@given(pairs(), st.sampled_from([None, V.SYSTEM_ERROR]))
def test_an_interactor_that_says_nothing_never_condemns(pair: Joined, word: Verdict | None) -> None:
    """Without its verdict no program is accepted, and only one that failed by itself, or left early, is blamed."""
    verdict, _ = interactive.verdict(pair, word)

    assert verdict in CONTESTANTS | {INFRA}
    if verdict is not INFRA and verdict is not WA:
        assert pair.program.verdict not in (R.OK, R.SE)
        assert not pair.interactor_first or pair.program.verdict is R.OLE
    if verdict is WA:
        assert (pair.interactor.exit_signal, pair.interactor_first) == (signal.SIGPIPE, False)


@given(pairs(), st.sampled_from([None, *Verdict]))
def test_failed_sandbox_blames_no_program(pair: Joined, word: Verdict | None) -> None:
    if R.SE in (pair.program.verdict, pair.interactor.verdict):
        assert interactive.verdict(pair, word)[0] is INFRA


@given(pairs(), st.sampled_from([None, *Verdict]))
def test_accepted_only_if_the_program_ended_well(pair: Joined, word: Verdict | None) -> None:
    if interactive.verdict(pair, word)[0] in (AC, V.PARTIAL):
        assert pair.program.verdict is R.OK
        assert word in (AC, V.PARTIAL)
