"""A time limit is a line; what a run measures is not. Runs close to the line are measured again.

A run gets a little more CPU time than the problem allows, so that one that would have ended just past the limit is told
from one that never ends: the first may have met a noisy moment, the second has not. Then the problem's limit is held
against what was measured, and what ended close to it, on either side, is run again. A second run within the limit
decides; one that is not is made once more, alone, and that decides. The last run decides in everything: whoever is
accepted is within the limit in the run that counts, and whoever is not, was to have the node alone.

The wall limit does not count the time in which other programs of the host kept a run from running
(``RunOutcome.delay_ms``), up to a multiple of the limit. A run that passes the limit all the same, and was delayed for
a good part of it, says nothing about its program: it is run again, alone. If that says nothing either, it is the host's
failure.
"""

from __future__ import annotations

import errno
import math
from dataclasses import replace

from deepoj.words import Joined, RunLimits, RunOutcome, RunVerdict, SandboxError

#: of the wall limit: a run that was delayed for so long may have passed the limit for that reason alone
STARVED_PERCENT = 10
#: how long a run that was starved waits for the box's other runs to end
STARVED_WAIT_S = 10.0


def widened(limits: RunLimits, margin_percent: float) -> RunLimits:
    """The limits of a run that is to be told from one that never ends. 0 percent: the same."""
    return replace(limits, cpu_ms=math.ceil(limits.cpu_ms * (1 + margin_percent / 100)))


def held_to(outcome: RunOutcome, limits: RunLimits) -> RunOutcome:
    """The outcome of a run with wider limits as it is under these: over the limit is Time Limit Exceeded, whatever
    else the program came to after that."""
    if outcome.verdict is RunVerdict.SE or outcome.cpu_ms <= limits.cpu_ms:
        return outcome
    return replace(outcome, verdict=RunVerdict.TLE, rule="cpu")


def is_near(outcome: RunOutcome, limits: RunLimits, margin_percent: float) -> bool:
    """Whether a run (as it was, before ``held_to``) ended by itself within the margin of the limit."""
    if margin_percent == 0 or outcome.verdict in (RunVerdict.SE, RunVerdict.TLE):
        return False
    return abs(outcome.cpu_ms - limits.cpu_ms) * 100 <= margin_percent * limits.cpu_ms


def is_starved(outcome: RunOutcome, limits: RunLimits, *, partner_delay_ms: int = 0) -> bool:
    """Whether a run passed its wall limit, and others may be the reason. ``partner_delay_ms``: of the run that it was
    joined with, and may have been waiting for."""
    delay_ms = outcome.delay_ms + partner_delay_ms
    passed = outcome.verdict is RunVerdict.TLE and outcome.rule == "wall"
    return passed and delay_ms * 100 >= STARVED_PERCENT * limits.wall_ms


def is_pair_starved(joined: Joined, program: RunLimits, interactor: RunLimits) -> bool:
    """The same of two runs that spoke with each other."""
    of_program, of_interactor = joined.program, joined.interactor
    return is_starved(of_program, program, partner_delay_ms=of_interactor.delay_ms) or is_starved(
        of_interactor, interactor, partner_delay_ms=of_program.delay_ms
    )


def starved(outcome: RunOutcome) -> RunOutcome:
    """The outcome of a run that was starved again: nothing is known about its program. An attempt that comes to this
    counts, so a job on a host that never gets better ends."""
    return replace(
        outcome, verdict=RunVerdict.SE, rule="sandbox", sandbox_error=SandboxError("starved", errno.ETIMEDOUT)
    )
