"""Supervision of children. A child is data: a name, a function, the breakages it may be restarted after, and a budget.

A declared breakage (a store or stream that cannot be reached) restarts that child and no other. An undeclared exception
is a bug and ends the process. A child that breaks before ``started()`` fails the start.

Why outages do not use up the budget: the pause between restarts grows to ``backoff_max_s``, so a dependency that is
away for an hour costs at most ``window_s / backoff_max_s`` restarts per window. The budget is for children that break
faster than that although their dependency is there.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import NoReturn, Protocol

import trio

from deepoj import observe
from deepoj.words.readiness import PartState, Readiness

#: restarts allowed in a window, the window's length, and the pauses between restarts: the first and the longest
BUDGET = 40
WINDOW_S = 60.0
BACKOFF_BASE_S = 0.25
BACKOFF_MAX_S = 3.0


class Run(Protocol):
    """``async run(*, task_status)``: calls ``started()`` once it works; returns only by cancellation."""

    def __call__(self, *, task_status: trio.TaskStatus[None]) -> Awaitable[None]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """One named task under supervision.

    Args:
      name: shown in the task tree, in ``ready`` and in the metric ``node_child_restarts_total``.
      run: see Run.
      restart_on: breakages this child may be restarted after; every other exception ends the process.
      budget: restarts allowed inside ``window_s``; the next breakage is raised.
      backoff_base_s, backoff_max_s: pause before the first restart of a series, and the longest pause; jittered ±25 %.
      settled_s: a run that lasted at least this long ends the series. Breakages that come one by one, each gone at once
        (a link that is cut now and then), are no outage, and none of them may cost the longest pause.
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
class ChildStatus:
    """The state of every part, which ``GET /ready`` shows. Supervision and the health loop write it."""

    _parts: dict[str, PartState] = field(default_factory=dict)
    _reasons: dict[str, str] = field(default_factory=dict)
    _since: dict[str, dt.datetime] = field(default_factory=dict)

    def set(self, part: str, state: PartState, reason: str = "") -> None:
        if self._parts.get(part) is not state:
            self._since[part] = dt.datetime.now(dt.UTC)
        self._parts[part] = state
        if reason:
            self._reasons[part] = reason
        else:
            self._reasons.pop(part, None)

    def since(self, part: str) -> dt.datetime | None:
        """Return when the part came into its state; None: the node has no such part."""
        return self._since.get(part)

    def readiness(self) -> Readiness:
        return Readiness(dict(self._parts), dict(self._reasons))


class _First:
    """Passes only the first ``started()`` on: a restarted child calls it again."""

    def __init__(self, outer: trio.TaskStatus[None], up: trio.Event) -> None:
        self._outer, self._up = outer, up

    def started(self, value: None = None) -> None:
        if not self._up.is_set():
            self._up.set()
            self._outer.started(value)


async def kept(
    child: Child, child_status: ChildStatus, metrics: observe.Metrics, *, task_status: trio.TaskStatus[None]
) -> NoReturn:
    """Run the child and restart it after declared breakages, until cancelled.

    Raises:
      The breakages in ``restart_on`` before the child has been up, and the one that exceeds its budget. Every other
      exception at once.
    """
    breakages_at: list[float] = []
    in_series = 0
    up = trio.Event()
    child_status.set(child.name, PartState.STARTING)
    while True:
        began = trio.current_time()
        try:
            await child.run(task_status=_Marking(_First(task_status, up), child_status, child.name))
        except child.restart_on as breakage:
            if not up.is_set():
                raise
            now = trio.current_time()
            in_series = 1 if now - began >= child.settled_s else in_series + 1
            breakages_at = [*(at for at in breakages_at if now - at < child.window_s), now]
            if len(breakages_at) > child.budget:
                raise
            child_status.set(child.name, PartState.RESTARTING, str(breakage))
            metrics.child_restarts.labels(child=child.name).inc()
            observe.log("child_restart", level="warning", child=child.name, reason=str(breakage))
            await trio.sleep(_pause_s(child, in_series))
        else:
            raise AssertionError(f"{child.name} returned: a child returns only by cancellation")


class _Marking:
    """A task status that also marks the child as up, at every start."""

    def __init__(self, inner: _First, child_status: ChildStatus, name: str) -> None:
        self._inner, self._child_status, self._name = inner, child_status, name

    def started(self, value: None = None) -> None:
        self._child_status.set(self._name, PartState.UP)
        self._inner.started(value)


def _pause_s(child: Child, in_series: int) -> float:
    doubled = child.backoff_base_s * 2.0 ** min(in_series - 1, 30)
    return min(doubled, child.backoff_max_s) * random.uniform(0.75, 1.25)  # noqa: S311 - jitter, not a secret
