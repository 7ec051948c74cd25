"""Whose fault? Two programs spoke with each other: what each came to, and who was first, says what the test comes to.

The interactor's word counts, unless the program had failed by itself before, or fails by itself after it was accepted.
What only follows from the other's end is nobody's fault: a program that dies of a closed pipe after it was refused, an
interactor that complains of a silence because the program was killed. And an interactor that fails (crashes, hangs,
floods, says nothing that its protocol knows) is never the contestant's fault.

Three things need a closer look than who was first.

* The *wall clock* alone proves nothing: the program may have been waiting for an interactor that hangs. It is the
  program's fault if the interactor, once its input had ended, ended as well, as somebody does who was waiting for it;
  and if it had not left unread what the program had said, while the program had heard all. The interactor's CPU time is
  no time of the program's: ``program_wall_ms`` adds what it may use.
* An interactor that *fails* when its input ends too early may have been a good one till then. It failed all the same:
  the program ended well, and nobody knows whether it was right.
* A *flood* is the program's, whatever the interactor came to under it.
"""

from __future__ import annotations

import enum
import signal
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from deepoj.judging import verdicts
from deepoj.words import Joined, RunOutcome, RunVerdict, Verdict


class Program(enum.Enum):
    """How the program ended."""

    WELL = "ended well"
    CRASH = "failed by itself"
    CPU = "used up its CPU time"
    MEMORY = "used up its memory"
    FLOOD = "wrote too much"
    #: it was waiting, for whatever it be
    WALL = "ran out of time by the clock"
    #: by us: the interactor had ended, and not accepted
    CUT = "was ended after the interactor"


class Interactor(enum.Enum):
    """How the interactor ended."""

    ACCEPTS = "accepted"
    REFUSES = "refused"
    #: its last words went to one who was not there any more
    BROKEN_PIPE = "wrote to a program that had ended"
    FAILS = "failed"
    #: of CPU time, memory, output or processes
    LIMIT = "passed a limit"
    #: it went on although its input had ended
    HANGS = "did not end"


class Blame(enum.Enum):
    """What a row of the table comes to."""

    #: what the interactor said
    WORD = "the interactor's word"
    #: what the run of the program came to
    PROGRAM = "the program's own end"
    #: the program left while it was being spoken to
    LEFT = "the program left too early"
    #: the clock ran out: TLE if the interactor had been waiting, else the interactor's failure
    WAITING = "who was waiting"
    #: ours, or the setter's
    INTERACTOR = "the interactor failed"


P, N, B = Program, Interactor, Blame
_PROVEN: Final = (P.CRASH, P.CPU, P.MEMORY, P.FLOOD)

#: the interactor's word stands for Wrong Answer here: a program that exits with 0 in the middle of a talk
LEFT_EARLY: Final = Verdict.WRONG_ANSWER

#: (the interactor was first, the program's end, the interactor's end) → blame. What is missing is the interactor's
#: failure: nothing that we have not thought of is a contestant's fault.
TABLE: Mapping[tuple[bool, Program, Interactor], Blame] = MappingProxyType(
    {
        # the program first: what it did by itself stands, whatever the interactor made of its silence
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
        # the interactor first, and content: the program has to end well too
        (True, P.WELL, N.ACCEPTS): B.WORD,
        **{(True, program, N.ACCEPTS): B.PROGRAM for program in (*_PROVEN, P.WALL)},
        # the interactor first, and not content: what becomes of the program is of no account
        **{(True, program, N.REFUSES): B.WORD for program in P},
        # the interactor first, and for no reason that the program has given; but for a flood
        (True, P.FLOOD, N.FAILS): B.PROGRAM,
        (True, P.FLOOD, N.LIMIT): B.PROGRAM,
        (True, P.FLOOD, N.HANGS): B.PROGRAM,
        (True, P.FLOOD, N.BROKEN_PIPE): B.PROGRAM,
    }
)

#: an interactor may have used as much more CPU than the time since the program's end and still count as having waited
_WAITED_SLACK_MS = 200


def blame(joined: Joined, word: Verdict | None) -> Blame:
    """Whose fault a pair's end is. ``word``: what the interactor said; None: nothing that counts.

    Of a sandbox that failed it knows nothing: ``verdict`` looks at that before.
    """
    program, interactor = program_end(joined), interactor_end(joined.interactor, word)
    found = TABLE.get((joined.interactor_first, program, interactor), B.INTERACTOR)
    if found is not B.WAITING:
        return found
    return B.PROGRAM if _was_waiting(joined, interactor) else B.INTERACTOR


def verdict(joined: Joined, word: Verdict | None) -> tuple[Verdict, str]:
    """The test's verdict and the rule that decided; System Error by rule ``interactor`` is its failure."""
    if RunVerdict.SE in (joined.program.verdict, joined.interactor.verdict):
        return Verdict.SYSTEM_ERROR, "sandbox"
    found = blame(joined, word)
    if found is B.WORD and word is not None:
        return word, "interactor"
    if found is B.LEFT:
        return LEFT_EARLY, "left"
    if found is B.PROGRAM:
        run = joined.program
        own = verdicts.of_run(run.verdict, run.rule, exit_code=run.exit_code, exit_signal=run.exit_signal)
        if own is not verdicts.COMPARE:
            return own, run.rule
    return Verdict.SYSTEM_ERROR, "interactor"


def is_settled(interactor: RunOutcome, word: Verdict | None) -> bool:
    """Whether a program that outlives its interactor need not go on."""
    return interactor_end(interactor, word) is not N.ACCEPTS


def program_end(joined: Joined) -> Program:
    """How the program ended. A flood counts also of one that we have ended for another reason."""
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
    """How the interactor ended."""
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
    """Whether the interactor had nothing to do when the program's time was up."""
    if joined.unread_by_interactor and not joined.unread_by_program:
        return False
    # one that goes wild at the end of its input had been quiet until then
    return interactor is not N.LIMIT or joined.interactor.cpu_ms <= joined.apart_ms + _WAITED_SLACK_MS


# ---------------------------------------------------------------------------------------------------------------------
# Limits


def program_wall_ms(wall_ms: int, interactor_cpu_ms: int) -> int:
    """The program's wall limit: its own, and what the interactor may let it wait."""
    return wall_ms + interactor_cpu_ms


def interactor_wall_ms(program_wall_ms: int, finish_ms: int) -> int:
    """The interactor's: it outlives the program, by what it has to come to its word."""
    return program_wall_ms + finish_ms
