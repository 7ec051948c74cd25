"""Work of an attempt that its verdict does not wait for: it keeps the compiled program, removes the directory, and acks
the stream's entry."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable

import trio

#: starts a task of the node, which outlives the attempt
type StartTask = Callable[[Callable[[], Awaitable[None]]], None]

#: Pause before the first work: by then a short program usually has its verdict. Without it, a thread kept the program
#: while the first test started. Another removed the directory, for 0.8 ms, beside the verdict's statement. Both share
#: the interpreter and the disk with the attempt.
AFTER_S = 0.02


class DeferredWork:
    """Work of one attempt, done one after the other in a task of the node, which begins ``AFTER_S`` after the first is
    added. Without ``start``, each is done at once.

    The order matters: a program is kept before the directory that holds it is removed. The queue needs no bound: an
    attempt adds two works at most. They share the threads of all disk work, so attempts on a slow disk slow down, too.

    What if we die before the work is done? The program is compiled again, the next start removes the directory
    (``workdir.sweep``), and reclaim acks the entry (``nursery.work``). A stop does not cut the work: none of it takes
    long.
    """

    def __init__(self, start: StartTask | None = None) -> None:
        self._start = start
        self._works: deque[Callable[[], Awaitable[None]]] = deque()

    async def add(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do ``work`` after what was added before. Works that are added during the pause share it."""
        if self._start is None:
            await work()
            return
        self._works.append(work)
        if len(self._works) == 1:
            self._start(self._do_all)

    async def _do_all(self) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(AFTER_S)
            while self._works:
                await self._works[0]()
                self._works.popleft()
