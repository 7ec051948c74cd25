"""A box in which one run can have the machine to itself, as far as this node's other runs go.

Runs share the box; one that asks to be alone (``RunSpec.alone_within_s``) waits until those under way have ended, and
whoever comes meanwhile waits behind it. First come, first served: neither kind can starve the other. And nobody waits
without bound: once its patience is over, a run that asked to be alone becomes one like the others, and its outcome says
that it was not alone. So a run waits at most for the patience of those before it and for their runs, which all have
limits of their own.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import trio

from deepoj.ports import Box
from deepoj.words import Isolation, Joined, RunOutcome, RunSpec


@dataclass(slots=True, eq=False)
class _Turn:
    alone: bool
    come: trio.Event = field(default_factory=trio.Event)


class QuietBox:
    """``ports.Box`` over another one, which has no runs but those that come through here."""

    def __init__(self, box: Box) -> None:
        self._box = box
        self._waiting: deque[_Turn] = deque()
        self._running: set[_Turn] = set()

    @property
    def isolation(self) -> Isolation:
        return self._box.isolation

    async def run_joined(
        self, program: RunSpec, interactor: RunSpec, *, is_settled: Callable[[RunOutcome], bool]
    ) -> Joined:
        """A pair is never alone; it shares the box as one run does."""
        turn = _Turn(alone=False)
        try:
            await self._wait(turn, None)
            return await self._box.run_joined(program, interactor, is_settled=is_settled)
        finally:
            self._leave(turn)

    async def run(self, spec: RunSpec) -> RunOutcome:
        turn = _Turn(alone=spec.alone_within_s is not None)
        try:
            await self._wait(turn, spec.alone_within_s)
            outcome = await self._box.run(spec)
        finally:
            self._leave(turn)
        return replace(outcome, alone=turn.alone)

    async def _wait(self, turn: _Turn, patience_s: float | None) -> None:
        self._waiting.append(turn)
        self._admit()
        if turn.come.is_set():
            return
        with trio.move_on_after(math.inf if patience_s is None else patience_s):
            await turn.come.wait()
        if not turn.come.is_set():
            turn.alone = False
            self._admit()
            await turn.come.wait()

    def _admit(self) -> None:
        """Those whose turn it is, from the front."""
        while self._waiting:
            first = self._waiting[0]
            if any(other.alone for other in self._running) or (first.alone and self._running):
                return
            self._running.add(self._waiting.popleft())
            first.come.set()

    def _leave(self, turn: _Turn) -> None:
        """Also of one that was cancelled before its turn came."""
        if turn in self._running:
            self._running.remove(turn)
        elif turn in self._waiting:
            self._waiting.remove(turn)
        self._admit()
