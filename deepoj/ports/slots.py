"""Slots that no job uses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol


class StartHelper(Protocol):
    """Starts a task of an attempt. Implemented by ``nursery.idle_slots``."""

    def __call__(self, helper: Callable[[], Awaitable[None]], *, in_idle_slot: bool = True) -> None:
        """Start a helper in an idle slot; or, without ``in_idle_slot``, a task that uses the attempt's own slot or
        none."""
        ...


class IdleSlots(Protocol):
    """The node's idle slots, in which an attempt runs tests beside each other. Implemented by
    ``nursery.idle_slots``."""

    def spare(self) -> int:
        """Return how many more helpers may start. If it is negative, jobs need so many slots that helpers have: as many
        helpers must end after the run that they have begun."""
        ...

    async def with_helpers[T](self, work: Callable[[StartHelper], Awaitable[T]]) -> T:
        """Run ``work``, which may start helpers, and cancel them when it ends. Return its result.

        Raises:
          Every breakage and OSError of ``work``, as it is. A helper must raise none.
        """
        ...
