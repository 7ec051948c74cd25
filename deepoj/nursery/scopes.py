"""Two scopes that children open for themselves: work that a stop does not cut, and tasks beside a work. And the tasks
that outlive the work which starts them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio

from deepoj.ports.tasks import Start
from deepoj.words.errors import Breakage, StoreUnavailable

#: how long a stop waits for all work that it does not cut
STOP_S = 2.5
#: what each piece of it has at least, even when ``STOP_S`` is nearly used up: a drain may have taken longer
STOP_LEAST_S = 1.0


@dataclass(slots=True)
class StopDeadline:
    """The deadline that a node's children share for work that a stop does not cut.

    The intake stops before the keepers. If each counted from its own stop, their waits for a silent database would add
    up.
    """

    #: None: no such work has been asked to stop yet
    _at_s: float | None = None

    async def finish_despite_stop[T, *Ts](self, what: str, work: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
        """Do ``work(*args)``, which a stop must not cut, then let the stop take effect. After a stop it has
        until the deadline.

        Without a stop it may take as long as its stores allow. If a slow round were broken off between two stores, it
        would begin again and again, and do its first half each time.

        Raises:
          StoreUnavailable: it took too long after a stop.
          Also every exception of ``work``; a breakage is raised as it is, not in a group.
        """
        done: list[T] = []
        broke: Breakage | None = None
        async with trio.open_nursery() as watcher:
            with trio.CancelScope(shield=True) as shielded:
                watcher.start_soon(self._await_stop, shielded, name=f"stop beside {what}")
                try:
                    done.append(await work(*args))
                except Breakage as breakage:
                    broke = breakage  # raised below: from here it would come in a group
            watcher.cancel_scope.cancel()
        if broke is not None:
            raise broke
        if shielded.cancelled_caught:
            raise StoreUnavailable(f"{what} was cut by a stop: it would not have ended in time")
        await trio.lowlevel.checkpoint_if_cancelled()
        return done[0]

    async def _await_stop(self, shielded: trio.CancelScope) -> None:
        """Park until cancelled; then give the shield the deadline."""
        try:
            await trio.sleep_forever()
        except trio.Cancelled:  # swallowed: the shielded work ends by the deadline, or sees the stop after it
            now = trio.current_time()
            if self._at_s is None:
                self._at_s = now + STOP_S
            shielded.deadline = max(self._at_s, now + STOP_LEAST_S)


@dataclass(slots=True)
class NodeTasks:
    """Starts tasks that may outlive the job that starts them. They run beside the keepers: the node's stop cancels them
    after the last job, and waits for what they shield. They must handle their breakages themselves."""

    _start: Start | None = None

    def open(self, start: Start) -> None:
        """Take ``start`` of the keepers' nursery, before the first job."""
        self._start = start

    def start(self, task: Callable[[], Awaitable[None]]) -> None:
        if self._start is None:
            raise RuntimeError("a task of the node was started before its keepers")
        self._start(task)


async def with_background_tasks[T](work: Callable[[Start], Awaitable[T]], *, cut: bool = False) -> T:
    """Run ``work`` with tasks beside it (``ports.tasks.WithTasks``)."""
    done: list[T] = []
    broke: Breakage | OSError | None = None
    async with trio.open_nursery() as tasks:
        try:
            done.append(await work(tasks.start_soon))
        except (Breakage, OSError) as breakage:
            broke = breakage  # raised below: from here it would come in a group
        if cut:
            tasks.cancel_scope.cancel()
    if broke is not None:
        raise broke
    return done[0]
