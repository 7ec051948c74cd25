"""Repeat runs that end close to a limit, because each measurement is noisy.

A run gets a little more CPU time than the problem allows. So a run that would end just past the limit differs from an
endless one: only the first may have met a noisy moment. Then the measured time is compared with the problem's limit,
and a run that ended close to it, on either side, is repeated. If the second run is within the limit, it decides.
Otherwise a third run is made alone, and decides. The last run decides everything: an accepted program was within the
limit in the run that counts, and for a rejected one that run was to have the node alone.

The wall limit does not count the time in which other programs of the host kept a run from running
(``RunOutcome.delay_ms``), up to a multiple of the limit. A run that passes the limit nevertheless, and was delayed for
a large part of it, tells nothing about its program: it is repeated, alone. If that tells nothing either, it is the
host's failure.
"""

from __future__ import annotations

import errno
import math
from dataclasses import replace

from deepoj.words.sandbox import Joined, RunLimits, RunOutcome, RunVerdict, SandboxError

#: in percent of the wall limit: a run with this delay or more may have passed the limit because of it
STARVED_PERCENT = 10
#: how long a starved run waits for the box's other runs to end
STARVED_WAIT_S = 10.0


def widened(limits: RunLimits, margin_percent: float) -> RunLimits:
    """Return wider limits, under which a late run differs from an endless one. 0 percent: the same limits."""
    return replace(limits, cpu_ms=math.ceil(limits.cpu_ms * (1 + margin_percent / 100)))


def held_to(outcome: RunOutcome, limits: RunLimits) -> RunOutcome:
    """Return the outcome of a run with wider limits as it is under these limits. CPU time over the limit is Time Limit
    Exceeded, even if the program ended otherwise after that."""
    if outcome.verdict is RunVerdict.SE or outcome.cpu_ms <= limits.cpu_ms:
        return outcome
    return replace(outcome, verdict=RunVerdict.TLE, rule="cpu")


def is_near(outcome: RunOutcome, limits: RunLimits, margin_percent: float) -> bool:
    """Return whether a run (before ``held_to``) ended by itself within the margin around the limit."""
    if margin_percent == 0 or outcome.verdict in (RunVerdict.SE, RunVerdict.TLE):
        return False
    return abs(outcome.cpu_ms - limits.cpu_ms) * 100 <= margin_percent * limits.cpu_ms


def is_starved(outcome: RunOutcome, limits: RunLimits, *, partner_delay_ms: int = 0) -> bool:
    """Return whether a run passed its wall limit, possibly because of others. ``partner_delay_ms``: delay of the joined
    run, which this one may have been waiting for."""
    delay_ms = outcome.delay_ms + partner_delay_ms
    passed = outcome.verdict is RunVerdict.TLE and outcome.rule == "wall"
    return passed and delay_ms * 100 >= STARVED_PERCENT * limits.wall_ms


def is_pair_starved(joined: Joined, program: RunLimits, interactor: RunLimits) -> bool:
    """Return whether one of two joined runs is starved."""
    of_program, of_interactor = joined.program, joined.interactor
    return is_starved(of_program, program, partner_delay_ms=of_interactor.delay_ms) or is_starved(
        of_interactor, interactor, partner_delay_ms=of_program.delay_ms
    )


def starved(outcome: RunOutcome) -> RunOutcome:
    """Return the outcome of a run that was starved again: its program's result is unknown. The attempt counts, so that
    the job ends even on a host that stays overloaded."""
    return replace(
        outcome, verdict=RunVerdict.SE, rule="sandbox", sandbox_error=SandboxError("starved", errno.ETIMEDOUT)
    )
