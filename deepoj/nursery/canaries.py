"""The canaries' loop: one round at the start, then one every period. It decides whether this node takes new work.

The gate stays shut until the first round is clean. A canary with an unexpected verdict shuts it and shows in ``ready``,
in the log and in the metrics; the next clean round opens it. A round that could not be judged (the sandbox is away)
changes nothing, because it says nothing about the verdicts. Rounds are more frequent while something is wrong.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

import trio

from deepoj import observe
from deepoj.execution.canary import CanaryRound, Differs
from deepoj.nursery.gate import Gate
from deepoj.nursery.supervise import ChildStatus
from deepoj.words.readiness import PartState

#: the child's name, and the name of the part in ``ready``
PART = "canary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Canaries:
    """The child. ``judge_round`` judges one round; ``again_s`` is the pause after a round that was not clean."""

    judge_round: Callable[[], Awaitable[CanaryRound]]
    gate: Gate
    child_status: ChildStatus
    metrics: observe.Metrics
    period_s: float = 600.0
    again_s: float = 15.0

    async def __call__(self, *, task_status: trio.TaskStatus[None]) -> NoReturn:
        task_status.started()  # at once: the children that serve must not wait for a round
        self.gate.shut()
        self.child_status.set(
            PART, PartState.STARTING, "the first round of canaries is under way: nothing is judged yet"
        )
        while True:
            clean = await self.once()
            await trio.sleep(self.period_s if clean else self.again_s)

    async def once(self) -> bool:
        """Judge one round and act on it. Return whether it was clean."""
        outcome = await self.judge_round()
        for differs in outcome.wavering:
            observe.log(
                "canary_wavered", level="warning", case=differs.name, expected=differs.expected, found=differs.found
            )
        if outcome.differing:
            self._stop(outcome)
        elif outcome.unjudged:
            self._report_unjudged(outcome)
        else:
            self._go_on(outcome)
        return outcome.clean

    def _stop(self, outcome: CanaryRound) -> None:
        self.gate.shut()
        self.child_status.set(PART, PartState.DOWN, f"nothing is judged here: {sentence(outcome.differing)}")
        for differs in outcome.differing:
            self.metrics.canary_failures.labels(case=differs.name).inc()
            observe.log(
                "canary_failed",
                level="error",
                text=f"{differs}: this node takes no work until a round of canaries is as expected",
                case=differs.name,
                expected=differs.expected,
                found=differs.found,
            )

    def _report_unjudged(self, outcome: CanaryRound) -> None:
        observe.log("canary_unjudged", level="warning", reason=outcome.unjudged, count=outcome.as_expected)
        if self.child_status.readiness().parts.get(PART) is PartState.STARTING:
            why = f"the first round of canaries could not be judged: {outcome.unjudged}"
            self.child_status.set(PART, PartState.STARTING, why)

    def _go_on(self, outcome: CanaryRound) -> None:
        text = f"left out, for this host has no {', '.join(outcome.without)}" if outcome.without else ""
        observe.log("canary_ok", text=text, count=outcome.as_expected, duration_ms=outcome.duration_ms)
        self.child_status.set(PART, PartState.UP)
        self.gate.open()


def sentence(differing: Sequence[Differs]) -> str:
    """Name every canary with an unexpected verdict, for a log line."""
    return "; ".join(str(differs) for differs in differing)
