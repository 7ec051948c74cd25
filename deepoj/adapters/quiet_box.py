"""A box in which one run can have the machine to itself, as far as this node's other runs go.

Runs share the box; one that asks to be alone (``RunSpec.alone_within_s``) waits until those under way have ended, and
whoever comes meanwhile waits behind it. First come, first served: neither kind can starve the other. And nobody waits
without bound: once its patience is over, a run that asked to be alone becomes one like the others, and its outcome says
that it was not alone. So a run waits at most for the patience of those before it and for their runs, which all have
limits of their own.

The time alone is rationed by user, or programs close to their limits would stop the node for all others. When a run
alone has made others wait for a second, its user's next one waits for ``PAUSE`` seconds for each slot of the node, and
never longer than ``PAUSE_MAX_S``. Until that bound the user takes a fifth of one slot from others at most, which is a
smaller part of a node with more slots. While the run waits, others pass it. It is not run beside others instead, for
its verdict may depend on that. Nothing is charged while no other user waits. A run that waits so holds a slot all the
same: where more than half of the slots are held by such runs, the one that has waited longest goes on.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import trio

from deepoj.ports import Box
from deepoj.words import Isolation, Joined, RunOutcome, RunSpec

#: a user's runs may have the box alone, while others wait, for one part in so many of the time of one slot
PAUSE = 5
#: the longest pause, in seconds: a paused run holds a slot, and its submission waits for a verdict
PAUSE_MAX_S = 60.0


@dataclass(slots=True, eq=False)
class _Turn:
    alone: bool
    user_id: int | None = None
    come: trio.Event = field(default_factory=trio.Event)
    #: when it began to wait
    since_s: float = field(default_factory=trio.current_time)


class _Ration:
    """When each user's runs may ask to be alone again."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._until_s: dict[int, float] = {}
        self._paused: deque[trio.Event] = deque()

    async def wait(self, user_id: int | None) -> None:
        """Parks until the user may ask again, or until more than half of the slots are parked here and this one has
        waited longest."""
        if self._pause_s(user_id) <= 0:
            return
        released = trio.Event()
        self._paused.append(released)
        if len(self._paused) > self._slots // 2:
            self._paused[0].set()
        try:
            # a pause that has grown meanwhile must not cost the run its place
            while not released.is_set() and (pause_s := self._pause_s(user_id)) > 0:
                with trio.move_on_after(pause_s):
                    await released.wait()
        finally:
            self._paused.remove(released)

    def charge(self, user_id: int | None, cost_s: float) -> None:
        """Others have waited so long behind a run of this user that was alone, or wanted to be."""
        if user_id is None or cost_s <= 0:
            return
        now = trio.current_time()
        self._until_s = {user: until_s for user, until_s in self._until_s.items() if until_s > now}
        begin = self._until_s.get(user_id, now)
        self._until_s[user_id] = min(begin + cost_s * (PAUSE * self._slots - 1), now + PAUSE_MAX_S)

    def _pause_s(self, user_id: int | None) -> float:
        return 0.0 if user_id is None else self._until_s.get(user_id, 0.0) - trio.current_time()


class QuietBox:
    """``ports.Box`` over another one of ``slots``, which has no runs but those that come through here."""

    def __init__(self, box: Box, *, slots: int) -> None:
        self._box = box
        self._ration = _Ration(slots)
        self._waiting: deque[_Turn] = deque()
        self._running: set[_Turn] = set()

    @property
    def isolation(self) -> Isolation:
        return self._box.isolation

    async def run_joined(
        self, program: RunSpec, interactor: RunSpec, *, is_settled: Callable[[RunOutcome], bool]
    ) -> Joined:
        """A pair is as one run here: the program's."""
        if program.alone_within_s is not None:
            await self._ration.wait(program.user_id)
        turn = _Turn(alone=program.alone_within_s is not None, user_id=program.user_id)
        try:
            await self._wait(turn, program.alone_within_s)
            joined = await self._box.run_joined(program, interactor, is_settled=is_settled)
        finally:
            self._leave(turn)
        return replace(joined, program=replace(joined.program, alone=turn.alone))

    async def run(self, spec: RunSpec) -> RunOutcome:
        if spec.alone_within_s is not None:
            await self._ration.wait(spec.user_id)
        turn = _Turn(alone=spec.alone_within_s is not None, user_id=spec.user_id)
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
            self._charge(turn)
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

    def _charge(self, turn: _Turn) -> None:
        """For the time in which others have waited behind a turn that was alone, or wanted to be."""
        if turn.alone:
            others = [one.since_s for one in self._waiting if one is not turn and one.user_id != turn.user_id]
            begun_s = max(turn.since_s, min(others, default=math.inf))
            self._ration.charge(turn.user_id, trio.current_time() - begun_s)

    def _leave(self, turn: _Turn) -> None:
        """Also of one that was cancelled before its turn came."""
        self._charge(turn)
        if turn in self._running:
            self._running.remove(turn)
        elif turn in self._waiting:
            self._waiting.remove(turn)
        self._admit()
