"""One statement a second that tells the loops of a node which of them may have something to do.

Each loop would otherwise ask the database for itself. An idle node then makes 17 crossings to asyncio a second, and
each costs 0.9 ms of CPU, because both threads sleep before it. A loop that is told still asks, claims and takes by its
own statements, so nodes share the work as if each loop polled.

What if the one statement fails, or takes too long? Then each loop asks for itself again, at its own period, until an
answer comes.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import trio

from deepoj.words.waiting import WorkKind

#: Pause between two statements. It is below the second after which a silent connection is checked before its use
#: (``adapters/pg/pool``): otherwise each statement would cost a second round trip.
PERIOD_S = 0.9
#: How long the statement may take before the loops ask for themselves. A loaded database is slower than usual: then
#: questions of all loops would not help it.
ANSWER_S = 2.0


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
    """Sets the signals of the kinds of which work waits. ``look`` returns these kinds, or raises StoreUnavailable."""

    look: Callable[[], Awaitable[frozenset[WorkKind]]]
    _signals: list[tuple[frozenset[WorkKind], WorkSignal]] = field(default_factory=list)
    _former: frozenset[WorkKind] = frozenset()
    _answered_at: float = -math.inf

    def has_just_answered(self) -> bool:
        """Whether the database answered within the last second."""
        return trio.current_time() - self._answered_at <= 1.0

    def signal(self, *kinds: WorkKind, poll_s: float) -> WorkSignal:
        """Return a signal of these kinds for a loop that would ask every ``poll_s`` seconds. If that is more often than
        the watch looks, as an operator may set it, the loop goes on to ask for itself."""
        signal = WorkSignal()
        if poll_s >= PERIOD_S:
            self._signals.append((frozenset(kinds), signal))
        return signal

    async def once(self) -> None:
        """Look once, and set the signals. Raises StoreUnavailable; the loops ask for themselves by then."""
        found: frozenset[WorkKind] | None = None
        try:
            with trio.move_on_after(ANSWER_S):
                found = await self.look()
                self._answered_at = trio.current_time()
        finally:
            self._tell(found)

    def _tell(self, found: frozenset[WorkKind] | None) -> None:
        """Set the signals of the kinds found, and of those that were there before: a loop shows that they are gone."""
        for kinds, signal in self._signals:
            signal.note_watch(is_watched=found is not None)
            if found is not None and kinds & (found | self._former):
                signal.set()
        self._former = found or frozenset()
