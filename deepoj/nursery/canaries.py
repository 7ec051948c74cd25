"""The canaries' loop: a round at the start and then now and then; it decides whether this node takes new work.

Until the first round is clean the gate is shut. A canary that differs shuts it and shows in ``ready``, in the log and
in the metrics; the next clean round opens it. A round that could not be judged (the box is away) changes nothing: what
was known of the verdicts is still what is known. Rounds are more frequent while something is amiss.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

import trio

from deepoj import observe
from deepoj.nursery.gate import Gate
from deepoj.nursery.supervise import Board
from deepoj.pipeline.canary import Differs, Round
from deepoj.words import PartState

#: the child's name, and the part that ``ready`` shows
PART = "canary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Canaries:
    """The child. ``judge_round`` judges one round; ``again_s`` is the pause after one that was not clean."""

    judge_round: Callable[[], Awaitable[Round]]
    gate: Gate
    board: Board
    metrics: observe.Metrics
    period_s: float = 600.0
    again_s: float = 15.0

    async def __call__(self, *, task_status: trio.TaskStatus[None]) -> NoReturn:
        task_status.started()  # nothing that serves waits for us
        self.gate.shut()
        self.board.set(PART, PartState.STARTING, "the first round of canaries is under way: nothing is judged yet")
        while True:
            clean = await self.once()
            await trio.sleep(self.period_s if clean else self.again_s)

    async def once(self) -> bool:
        """One round and what follows from it; whether it was clean."""
        found = await self.judge_round()
        for differs in found.wavering:
            observe.log(
                "canary_wavered", level="warning", case=differs.name, expected=differs.expected, found=differs.found
            )
        if found.differing:
            self._stop(found)
        elif found.unjudged:
            self._say_unjudged(found)
        else:
            self._go_on(found)
        return found.clean

    def _stop(self, found: Round) -> None:
        self.gate.shut()
        self.board.set(PART, PartState.DOWN, f"nothing is judged here: {sentence(found.differing)}")
        for differs in found.differing:
            self.metrics.canary_failures.labels(case=differs.name).inc()
            observe.log(
                "canary_failed",
                level="error",
                text=f"{differs}: this node takes no work until a round of canaries is as expected",
                case=differs.name,
                expected=differs.expected,
                found=differs.found,
            )

    def _say_unjudged(self, found: Round) -> None:
        observe.log("canary_unjudged", level="warning", reason=found.unjudged, count=found.as_expected)
        if self.board.readiness().parts.get(PART) is PartState.STARTING:
            why = f"the first round of canaries could not be judged: {found.unjudged}"
            self.board.set(PART, PartState.STARTING, why)

    def _go_on(self, found: Round) -> None:
        text = f"left out, for this host has no {', '.join(found.without)}" if found.without else ""
        observe.log("canary_ok", text=text, count=found.as_expected, duration_ms=found.duration_ms)
        self.board.set(PART, PartState.UP)
        self.gate.open()


def sentence(differing: Sequence[Differs]) -> str:
    """Every canary that differs, in words."""
    return "; ".join(str(differs) for differs in differing)
