"""Decide the verdict of an interactive test: from the ends of both programs, and from which of them ended first.

The interactor's verdict counts, unless the program had failed by itself before, or fails by itself after it was
accepted. An end that only follows from the other's end is not counted: a program that dies of a closed pipe after it
was rejected, or an interactor that complains of missing input because the program was killed. A failing interactor
(crash, hang, flood, no answer that its protocol knows) is never the contestant's fault.

Four cases need more than the order of the ends.

* The *wall clock* alone proves nothing: the program may have been waiting for an interactor that hangs. It is the
  program's fault if the interactor ended, too, once its input had ended, as a waiting interactor does; and if it did
  not leave output of the program unread while the program had read all of its own input. The interactor's CPU time must
  not count for the program: ``program_wall_ms`` adds it.
* An interactor that *fails* when its input ends too early may have been correct until then. It has failed all the same:
  the program ended well, and it is unknown whether it was right.
* A program that *closes its output* and goes on has not ended. A Kattis validator does not see the close
  (``interactors.holds_output``), so the program's own end comes first. Another interactor reads the end of its input,
  and may reject before.
* A *flood* is the program's fault, however the interactor ended under it.
"""

from __future__ import annotations

import enum
import signal
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from deepoj.judging import verdicts
from deepoj.words.results import Verdict
from deepoj.words.sandbox import Joined, RunOutcome, RunVerdict


class ProgramEnd(enum.Enum):
    """How the program ended."""

    WELL = "ended well"
    CRASH = "failed by itself"
    CPU = "used up its CPU time"
    MEMORY = "used up its memory"
    FLOOD = "wrote too much"
    #: it was waiting for something unknown
    WALL = "ran out of time by the clock"
    #: by us: the interactor had ended without accepting
    CUT = "was ended after the interactor"


class Interactor(enum.Enum):
    """How the interactor ended."""

    ACCEPTS = "accepted"
    REFUSES = "refused"
    #: its last output went to a program that had ended
    BROKEN_PIPE = "wrote to a program that had ended"
    FAILS = "failed"
    #: of CPU time, memory, output or processes
    LIMIT = "passed a limit"
    #: it ran on although its input had ended
    HANGS = "did not end"


class Blame(enum.Enum):
    """The decision of a row of the table."""

    #: the interactor's verdict counts
    WORD = "the interactor's word"
    #: the outcome of the program's run counts
    PROGRAM = "the program's own end"
    #: the program ended while the interactor was still sending
    LEFT = "the program left too early"
    #: the wall limit was reached: TLE if the interactor had been waiting, else the interactor's failure
    WAITING = "who was waiting"
    #: our failure, or the setter's
    INTERACTOR = "the interactor failed"


P, N, B = ProgramEnd, Interactor, Blame
_PROVEN: Final = (P.CRASH, P.CPU, P.MEMORY, P.FLOOD)

#: the verdict of a program that exits with 0 in the middle of the interaction
LEFT_EARLY: Final = Verdict.WRONG_ANSWER

#: (the interactor was first, the program's end, the interactor's end) → blame. A missing row is the interactor's
#: failure, so that no unforeseen case is a contestant's fault.
TABLE: Mapping[tuple[bool, ProgramEnd, Interactor], Blame] = MappingProxyType(
    {
        # the program first: its own end counts, not what the interactor reported about missing input
        **{(False, program, interactor): B.PROGRAM for program in _PROVEN for interactor in N},
        (False, P.WELL, N.ACCEPTS): B.WORD,
        (False, P.WELL, N.REFUSES): B.WORD,
        (False, P.WELL, N.BROKEN_PIPE): B.LEFT,
        (False, P.WELL, N.FAILS): B.INTERACTOR,
        (False, P.WELL, N.LIMIT): B.INTERACTOR,
        (False, P.WELL, N.HANGS): B.INTERACTOR,
        (False, P.WALL, N.ACCEPTS): B.WAITING,
        (False, P.WALL, N.REFUSES): B.WAITING,
        (False, P.WALL, N.BROKEN_PIPE): B.WAITING,
        (False, P.WALL, N.FAILS): B.WAITING,
        (False, P.WALL, N.LIMIT): B.WAITING,
        (False, P.WALL, N.HANGS): B.INTERACTOR,
        # the interactor first, and it accepted: the program must end well, too
        (True, P.WELL, N.ACCEPTS): B.WORD,
        **{(True, program, N.ACCEPTS): B.PROGRAM for program in (*_PROVEN, P.WALL)},
        # the interactor first, and it rejected: the program's end does not count
        **{(True, program, N.REFUSES): B.WORD for program in P},
        # the interactor first, without a reason given by the program, except for a flood
        (True, P.FLOOD, N.FAILS): B.PROGRAM,
        (True, P.FLOOD, N.LIMIT): B.PROGRAM,
        (True, P.FLOOD, N.HANGS): B.PROGRAM,
        (True, P.FLOOD, N.BROKEN_PIPE): B.PROGRAM,
    }
)

#: an interactor counts as having waited if its CPU time exceeds the time since the program's end by no more than this
_WAITED_SLACK_MS = 200


def blame(joined: Joined, word: Verdict | None) -> Blame:
    """Return the decision for a pair's end. ``word``: the interactor's verdict; None: no valid one.

    Sandbox failures are not considered here: ``verdict`` checks them first.
    """
    program, interactor = program_end(joined), interactor_end(joined.interactor, word)
    row = TABLE.get((joined.interactor_first, program, interactor), B.INTERACTOR)
    if row is not B.WAITING:
        return row
    return B.PROGRAM if _was_waiting(joined, interactor) else B.INTERACTOR


def verdict(joined: Joined, word: Verdict | None) -> tuple[Verdict, str]:
    """Return the test's verdict and the rule that decided. System Error by rule ``interactor`` is the interactor's
    failure."""
    if RunVerdict.SE in (joined.program.verdict, joined.interactor.verdict):
        return Verdict.SYSTEM_ERROR, "sandbox"
    decision = blame(joined, word)
    if decision is B.WORD and word is not None:
        return word, "interactor"
    if decision is B.LEFT:
        return LEFT_EARLY, "left"
    if decision is B.PROGRAM:
        run = joined.program
        own = verdicts.of_run(run.verdict, run.rule, exit_code=run.exit_code, exit_signal=run.exit_signal)
        if own is not verdicts.COMPARE:
            return own, run.rule
    return Verdict.SYSTEM_ERROR, "interactor"


def is_settled(interactor: RunOutcome, word: Verdict | None) -> bool:
    """Return whether a program that outlives its interactor may be ended."""
    return interactor_end(interactor, word) is not N.ACCEPTS


def program_end(joined: Joined) -> ProgramEnd:
    """Return how the program ended. A flood counts even if we have ended the program for another reason."""
    run = joined.program
    rules = {
        (RunVerdict.OK, "ok"): P.WELL,
        (RunVerdict.TLE, "cpu"): P.CPU,
        (RunVerdict.TLE, "wall"): P.WALL,
        (RunVerdict.MLE, "memory"): P.MEMORY,
        (RunVerdict.MLE, "heap"): P.MEMORY,
        (RunVerdict.OLE, "output"): P.FLOOD,
    }
    if joined.program_cut and run.verdict is not RunVerdict.OLE:
        return P.CUT
    return rules.get((run.verdict, run.rule), P.CRASH)


def interactor_end(run: RunOutcome, word: Verdict | None) -> Interactor:
    """Return how the interactor ended."""
    if word is not None and word is not Verdict.SYSTEM_ERROR:
        return N.ACCEPTS if word in (Verdict.ACCEPTED, Verdict.PARTIAL) else N.REFUSES
    if run.verdict is RunVerdict.TLE and run.rule == "wall":
        return N.HANGS
    if run.verdict in (RunVerdict.TLE, RunVerdict.MLE, RunVerdict.OLE) or run.rule == "processes":
        return N.LIMIT
    if run.verdict is RunVerdict.RE and run.exit_signal == signal.SIGPIPE:
        return N.BROKEN_PIPE
    return N.FAILS


def _was_waiting(joined: Joined, interactor: Interactor) -> bool:
    """Return whether the interactor was waiting when the program's time was up."""
    if joined.unread_by_interactor and not joined.unread_by_program:
        return False
    # an interactor that loops at the end of its input had been quiet until then
    return interactor is not N.LIMIT or joined.interactor.cpu_ms <= joined.apart_ms + _WAITED_SLACK_MS


# ---------------------------------------------------------------------------------------------------------------------
# Limits


def program_wall_ms(wall_ms: int, interactor_cpu_ms: int) -> int:
    """Return the program's wall limit: its own plus the time for which the interactor may let it wait."""
    return wall_ms + interactor_cpu_ms


def interactor_wall_ms(program_wall_ms: int, finish_ms: int) -> int:
    """Return the interactor's wall limit. It outlives the program by the time that it needs for its verdict."""
    return program_wall_ms + finish_ms
