"""A box in which one run can have the machine to itself, as far as this node's other runs go.

Runs share the box. A run that asks to be alone (``RunSpec.alone_within_s``) waits until the runs under way have ended,
and later runs wait behind it. First come, first served: neither kind can starve the other. No wait is unbounded: once
its patience is over, a run that asked to be alone runs like the others, and its outcome says that it was not alone. So
a run waits at most for the patience of those before it and for their runs, which all have limits.

The time alone is rationed by user; otherwise programs close to their limits would stop the node for all others. When a
run alone has made others wait for a second, its user's next one waits for ``PAUSE`` seconds for each slot of the node,
and never longer than ``PAUSE_MAX_S``. Below that bound the user takes at most a fifth of one slot from others, which is
a smaller part of a node with more slots. While the run waits, others pass it. It is not run beside others instead,
because its verdict may depend on that. Nothing is charged while no other user waits. A run that waits so still holds a
slot: when such runs hold more than half of the slots, the one that has waited longest continues.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import trio

from deepoj.ports.sandbox import Box
from deepoj.words.sandbox import Isolation, Joined, RunOutcome, RunSpec

#: while others wait, a user's runs may have the box alone for at most one PAUSE-th of the time of one slot
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
    """The times from which each user's runs may ask to be alone again."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._until_s: dict[int, float] = {}
        self._paused: deque[trio.Event] = deque()

    async def wait(self, user_id: int | None) -> None:
        """Wait until the user may ask again.

        Also returns when more than half of the slots wait here and this one has waited longest.
        """
        if self._pause_s(user_id) <= 0:
            return
        released = trio.Event()
        self._paused.append(released)
        waiting = [one for one in self._paused if not one.is_set()]  # one that was released is there until it runs
        if len(waiting) > self._slots // 2:
            waiting[0].set()
        try:
            # if the pause has grown meanwhile, the run keeps its place
            while not released.is_set() and (pause_s := self._pause_s(user_id)) > 0:
                with trio.move_on_after(pause_s):
                    await released.wait()
        finally:
            self._paused.remove(released)

    def charge(self, user_id: int | None, cost_s: float) -> None:
        """Charge a user for the time that others waited behind a run of theirs that was alone, or wanted to be."""
        if user_id is None or cost_s <= 0:
            return
        now = trio.current_time()
        self._until_s = {user: until_s for user, until_s in self._until_s.items() if until_s > now}
        begin = self._until_s.get(user_id, now)
        self._until_s[user_id] = min(begin + cost_s * (PAUSE * self._slots - 1), now + PAUSE_MAX_S)

    def _pause_s(self, user_id: int | None) -> float:
        return 0.0 if user_id is None else self._until_s.get(user_id, 0.0) - trio.current_time()


class QuietBox:
    """A ``ports.Box`` over another box of ``slots``; all runs of that box must come through here."""

    def __init__(self, box: Box, *, slots: int) -> None:
        self._box = box
        self._ration = _Ration(slots)
        self._waiting: deque[_Turn] = deque()
        self._running: set[_Turn] = set()

    @property
    def isolation(self) -> Isolation:
        return self._box.isolation

    @property
    def has_proc(self) -> bool:
        return self._box.has_proc

    async def restore(self) -> None:
        await self._box.restore()

    def check(self) -> str:
        return self._box.check()

    async def run_joined(
        self, program: RunSpec, interactor: RunSpec, *, is_settled: Callable[[RunOutcome], bool]
    ) -> Joined:
        """Run a pair as one run: the program's."""
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
        return replace(outcome, alone=True) if turn.alone else outcome

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
        """Start the turns at the front that may run now."""
        while self._waiting:
            first = self._waiting[0]
            if any(other.alone for other in self._running) or (first.alone and self._running):
                return
            self._running.add(self._waiting.popleft())
            first.come.set()

    def _charge(self, turn: _Turn) -> None:
        """Charge for the time that others waited behind a turn that was alone, or wanted to be."""
        if turn.alone:
            others = [one.since_s for one in self._waiting if one is not turn and one.user_id != turn.user_id]
            begun_s = max(turn.since_s, min(others, default=math.inf))
            self._ration.charge(turn.user_id, trio.current_time() - begun_s)

    def _leave(self, turn: _Turn) -> None:
        """End a turn, also one that was cancelled before it came."""
        self._charge(turn)
        if turn in self._running:
            self._running.remove(turn)
        elif turn in self._waiting:
            self._waiting.remove(turn)
        self._admit()
