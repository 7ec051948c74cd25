"""One statement a second that tells the loops of a node which of them may have something to do.

Each loop would otherwise ask the database for itself. An idle node then makes 17 crossings to asyncio a second, and
each costs 0.9 ms of CPU, because both threads sleep before it. A loop that is told still asks, claims and takes by its
own statements, so nodes share the work as if each loop polled. While nothing waits, ten statements share a crossing.

What if the one statement fails, or takes too long? Then each loop asks for itself again, at its own period, until an
answer comes.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Protocol

import trio

from deepoj.words.waiting import LOOK_PERIOD_S, WorkKind

#: how long one look may go on while nothing waits
LOOK_S = 9.0


class Look(Protocol):
    """``ports.WaitingWork`` of this node."""

    def __call__(self, *, for_s: float) -> Awaitable[frozenset[WorkKind]]: ...


class WorkSignal:
    """Wakes one loop. Set while the loop is at work, it wakes the loop once more, so no work is missed."""

    def __init__(self) -> None:
        self._event = trio.Event()
        self._is_watched = False

    def set(self) -> None:
        """Wake the loop: it may have something to do."""
        self._event.set()

    def note_watch(self, *, is_watched: bool) -> None:
        """Note whether a watch looks for the loop's work. If none does, wake the loop, which then looks for itself."""
        self._is_watched = is_watched
        if not is_watched:
            self._event.set()

    async def wait(self, poll_s: float, *, watched_s: float = math.inf) -> None:
        """Park until the signal is set: for at most ``poll_s`` seconds, or ``watched_s`` while a watch looks."""
        with trio.move_on_after(watched_s if self._is_watched else poll_s):
            await self._event.wait()
        self._event = trio.Event()


@dataclass(slots=True)
class WorkWatch:
    """Sets the signals of the kinds of which work waits. ``look`` returns these kinds (``ports.WaitingWork``)."""

    look: Look
    _signals: list[tuple[frozenset[WorkKind], WorkSignal]] = field(default_factory=list)
    #: what the last look found; None: it failed, or there was none yet
    _former: frozenset[WorkKind] | None = None

    def signal(self, *kinds: WorkKind, poll_s: float) -> WorkSignal:
        """Return a signal of these kinds for a loop that would ask every ``poll_s`` seconds. If that is more often than
        the watch looks, as an operator may set it, the loop goes on to ask for itself."""
        signal = WorkSignal()
        if poll_s >= LOOK_PERIOD_S:
            self._signals.append((frozenset(kinds), signal))
        return signal

    async def once(self) -> None:
        """Look, and set the signals. Raises StoreUnavailable; the loops ask for themselves by then.

        A look may go on only if the one before found nothing: else there is something to tell by its first answer.
        """
        found: frozenset[WorkKind] | None = None
        try:
            with contextlib.suppress(TimeoutError):
                found = await self.look(for_s=LOOK_S if self._former == frozenset() else 0.0)
        finally:
            self._tell(found)

    def _tell(self, found: frozenset[WorkKind] | None) -> None:
        """Set the signals of the kinds found, and of those that were there before: a loop shows that they are gone."""
        for kinds, signal in self._signals:
            signal.note_watch(is_watched=found is not None)
            if found is not None and kinds & (found | (self._former or frozenset())):
                signal.set()
        self._former = found
