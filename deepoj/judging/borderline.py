"""A time limit is a line; what a run measures is not. Runs close to the line are measured again.

A run gets a little more CPU time than the problem allows, so that one that would have ended just past the limit is told
from one that never ends: the first may have met a noisy moment, the second has not. Then the problem's limit is held
against what was measured, and what ended close to it, on either side, is run again. A second run within the limit
decides; one that is not is made once more, alone, and that decides. The last run decides in everything: whoever is
accepted is within the limit in the run that counts, and whoever is not, was to have the node alone.
"""

from __future__ import annotations

import math
from dataclasses import replace

from deepoj.words import RunLimits, RunOutcome, RunVerdict


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
