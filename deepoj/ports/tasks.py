"""Tasks beside a piece of work. Only ``nursery`` opens nurseries for them (``nursery.scopes``)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

#: starts a task: call it with an async function and its arguments
type Start = Callable[..., None]


class WithTasks(Protocol):
    """A scope for tasks beside a piece of work. Implemented by ``nursery.scopes``."""

    async def __call__[T](self, work: Callable[[Start], Awaitable[T]], *, cut: bool = False) -> T:
        """Run ``work``, which may start tasks. Wait for them when it ends or breaks, or cancel them (``cut``); a
        cancellation cuts all of them. The tasks must handle their breakages themselves.

        Raises:
          Every exception of ``work``; a breakage or OSError is raised as it is, not in a group.
        """
        ...
