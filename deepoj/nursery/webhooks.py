"""The keeper that tells callbacks: it takes what is due and tries several deliveries at a time.

Fair by target: targets are gone through in a circle, each has so many tries at a time and no more, and those that have
used them up are passed over. A receiver that lets every try run into its timeout holds its own deliveries up, and of
the node's places only its few; how much waits for it does not matter, for nobody walks through that.

Nodes share the work by the database: what one has taken is hidden from the others. ``per_target`` is for each node.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import NoReturn

import trio

from deepoj.nursery.tree import Start, beside
from deepoj.ports import Webhooks
from deepoj.words import Hook, HookAnswer

#: targets in one look, and looks without finding anything between two pauses
PAGE = 100
LOOKS = 10
#: what is left, after a stop, for writing down what a receiver has answered
SETTLE_S = 3.0


@dataclass(slots=True, kw_only=True)
class Deliver:
    """Runs until it is cancelled; a stop cuts the POSTs under way (they come due again), never the writing after."""

    webhooks: Webhooks
    attempt: Callable[[Hook], Awaitable[HookAnswer]]
    settle: Callable[[Hook, HookAnswer], Awaitable[object]]
    concurrency: int
    per_target: int
    poll_s: float
    lease_s: float
    _busy: Counter[str] = field(default_factory=Counter)
    _after: str = ""
    _ended: trio.Event = field(default_factory=trio.Event)

    async def __call__(self, *, task_status: trio.TaskStatus[None]) -> NoReturn:
        task_status.started()
        await beside(self._go_round)
        raise AssertionError("it goes round until it breaks or is cancelled")

    async def _go_round(self, start: Start) -> None:
        fruitless = 0
        while True:
            self._ended = trio.Event()
            free = self.concurrency - self._busy.total()
            taken = await self._take(free) if free else []
            for hook in taken:
                self._busy[hook.target] += 1
                start(self._try, hook)
            fruitless = 0 if taken else fruitless + 1
            if not free or (not taken and not self._after) or fruitless >= LOOKS:
                fruitless = 0
                with trio.move_on_after(self.poll_s):
                    await self._ended.wait()

    async def _take(self, free: int) -> list[Hook]:
        """From the next targets of the circle, and where to go on after them."""
        targets = await self.webhooks.webhook_targets(self._after, PAGE)
        self._after = targets[-1] if len(targets) == PAGE else ""
        room = {target: left for target in targets if (left := self.per_target - self._busy[target]) > 0}
        if not room:
            return []
        taken = await self.webhooks.take_webhooks(room, free, self.lease_s)
        if len(taken) == free:  # those behind have not had their turn
            self._after = max((hook.target for hook in taken), key=targets.index)
        return taken

    async def _try(self, hook: Hook) -> None:
        try:
            answer = await self.attempt(hook)
            with trio.CancelScope(shield=True, deadline=trio.current_time() + SETTLE_S):
                await self.settle(hook, answer)
        finally:
            self._busy[hook.target] -= 1
            if not self._busy[hook.target]:
                del self._busy[hook.target]
            self._ended.set()
