"""Children are data: a name, what to run, the breakages it may be restarted after, and a budget for restarts.

Declared breakage (a store or stream that cannot be reached) restarts that child and no other. Anything undeclared is
a bug and ends the process. A child that breaks before ``started()`` fails the start.

Why outages do not use up the budget: the pause between restarts grows to ``backoff_max_s``, so a dependency that is
away for an hour costs at most ``window_s / backoff_max_s`` restarts a window. The budget is for children that fall
faster than that although their dependency is there.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import NoReturn, Protocol

import trio

from deepoj import observe
from deepoj.words import PartState, Readiness

#: restarts allowed in a window, its length, and the pauses between restarts: the first and the longest
BUDGET = 40
WINDOW_S = 60.0
BACKOFF_BASE_S = 0.25
BACKOFF_MAX_S = 3.0


class Run(Protocol):
    """``async run(*, task_status)``: calls ``started()`` once it is really up; never returns unless cancelled."""

    def __call__(self, *, task_status: trio.TaskStatus[None]) -> Awaitable[None]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """One named task under supervision.

    Args:
      name: shows in the task tree, in ``ready`` and in the metric ``node_child_restarts_total``.
      run: see Run.
      restart_on: breakages this child may be restarted after; every other exception ends the process.
      budget: restarts allowed inside ``window_s``; the next breakage is let out.
      backoff_base_s, backoff_max_s: pause before the first restart of a row, and the longest one; jittered ±25 %.
      settled_s: a run that lasted so long ends the row. Breakages that come one by one, each mended at once (a link
        that is cut now and then), are no outage, and none of them may cost the longest pause.
    """

    name: str
    run: Run
    restart_on: tuple[type[Exception], ...] = ()
    budget: int = BUDGET
    window_s: float = WINDOW_S
    backoff_base_s: float = BACKOFF_BASE_S
    backoff_max_s: float = BACKOFF_MAX_S
    settled_s: float = 5.0


@dataclass(slots=True)
class Board:
    """What is up and what is not, as a value: ``GET /ready`` shows it. Written by supervision and the health loop."""

    _parts: dict[str, PartState] = field(default_factory=dict)
    _reasons: dict[str, str] = field(default_factory=dict)

    def set(self, part: str, state: PartState, reason: str = "") -> None:
        self._parts[part] = state
        if reason:
            self._reasons[part] = reason
        else:
            self._reasons.pop(part, None)

    def readiness(self) -> Readiness:
        return Readiness(dict(self._parts), dict(self._reasons))


class _First:
    """Passes the first ``started()`` on and remembers it: a restarted child calls it again."""

    def __init__(self, outer: trio.TaskStatus[None], up: trio.Event) -> None:
        self._outer, self._up = outer, up

    def started(self, value: None = None) -> None:
        if not self._up.is_set():
            self._up.set()
            self._outer.started(value)


async def kept(child: Child, board: Board, metrics: observe.Metrics, *, task_status: trio.TaskStatus[None]) -> NoReturn:
    """Runs the child for ever.

    Error handling: breakages in ``restart_on`` restart it within its budget once it has been up; all others, and the
    one that exceeds the budget, are let out.
    """
    falls: list[float] = []
    in_a_row = 0
    up = trio.Event()
    board.set(child.name, PartState.STARTING)
    while True:
        began = trio.current_time()
        try:
            await child.run(task_status=_Marking(_First(task_status, up), board, child.name))
        except child.restart_on as breakage:
            if not up.is_set():
                raise
            now = trio.current_time()
            in_a_row = 1 if now - began >= child.settled_s else in_a_row + 1
            falls = [*(at for at in falls if now - at < child.window_s), now]
            if len(falls) > child.budget:
                raise
            board.set(child.name, PartState.RESTARTING, str(breakage))
            metrics.child_restarts.labels(child=child.name).inc()
            observe.log("child_restart", level="warning", child=child.name, reason=str(breakage))
            await trio.sleep(_pause_s(child, in_a_row))
        else:
            raise AssertionError(f"{child.name} returned: a child never returns unless cancelled")


class _Marking:
    """A task status that also puts the child's name on the board as up, at every start."""

    def __init__(self, inner: _First, board: Board, name: str) -> None:
        self._inner, self._board, self._name = inner, board, name

    def started(self, value: None = None) -> None:
        self._board.set(self._name, PartState.UP)
        self._inner.started(value)


def _pause_s(child: Child, in_a_row: int) -> float:
    doubled = child.backoff_base_s * 2.0 ** min(in_a_row - 1, 30)
    return min(doubled, child.backoff_max_s) * random.uniform(0.75, 1.25)  # noqa: S311 - jitter, not a secret
