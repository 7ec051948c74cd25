"""Idle slots, lent to attempts for tests beside each other (``ports.IdleSlots``).

A slot lent so still counts as free: the consumer reads and claims jobs as if no helper were there. So work that comes
is never left unread. A job claimed for the slot waits in the sandbox's queue until the helper's test has ended, and the
helper then ends. Where jobs wait already, no slot is idle.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from deepoj.nursery.scopes import with_background_tasks
from deepoj.ports.slots import StartHelper
from deepoj.ports.tasks import Start


@dataclass(slots=True)
class HelperSlots:
    """Implements ``ports.IdleSlots``. ``idle``: how many slots no job has or waits for."""

    idle: Callable[[], int]
    _helpers: int = 0

    def spare(self) -> int:
        return self.idle() - self._helpers

    async def with_helpers[T](self, work: Callable[[StartHelper], Awaitable[T]]) -> T:
        async def work_beside(start: Start) -> T:
            def start_helper(helper: Callable[[], Awaitable[None]], *, in_idle_slot: bool = True) -> None:
                if not in_idle_slot:
                    start(helper)
                    return
                self._helpers += 1
                start(self._in_slot, helper)

            return await work(start_helper)

        return await with_background_tasks(work_beside, cut=True)

    async def _in_slot(self, helper: Callable[[], Awaitable[None]]) -> None:
        try:
            await helper()
        finally:
            self._helpers -= 1
