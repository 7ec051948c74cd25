"""Live results."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from deepoj.words.jobs import Claim
from deepoj.words.live import EndedTests, LiveJob
from deepoj.words.results import TestResult


class LiveResults(Protocol):
    """Progress of judging, shown to watchers. Raises StoreUnavailable. Implemented by ``adapters.pg.live``.

    No verdict needs it: lost progress is replaced by the result when the job is done. Watchers are woken by a
    notification with the job's id (``LiveReceiver``), and then read.
    """

    async def tell_live(self, tests: Sequence[EndedTests], changed: Collection[str], over: Collection[str]) -> None:
        """In one statement per call, store ``tests`` and notify watchers of them, of the jobs ``changed``, and of those
        whose judging is ``over``; the stored tests of the latter are deleted. Tests of an attempt that is no longer the
        current one are ignored, and so are those that are stored already."""
        ...

    async def live(self, job_id: str, attempt_id: int, after: int) -> LiveJob | None:
        """Return a job's state and the stored tests of its current attempt in order: those after the test ``after`` if
        that attempt is ``attempt_id``, else all. None: there is no such job."""
        ...

    async def sweep_live(self, keep_s: float, limit: int) -> int:
        """Delete tests stored ``keep_s`` ago, leftovers of nodes that died. Return the number of rows."""
        ...


class LiveReceiver(Protocol):
    """Receives notifications for all watchers of this node. Called in Trio's thread; neither waits nor raises.
    Implemented by ``api.live.events``."""

    def notify(self, topic: str) -> bool:
        """The topic (a job's id) may have changed. Return whether it has a watcher here."""
        ...

    def listens(self, *, well: bool) -> None:
        """Whether notifications arrive from now on. Missed ones are made up for: every watcher reads again."""
        ...


class Progress(Protocol):
    """Receives the progress of judging. Neither method waits or fails: progress that has no room is dropped.
    Implemented by ``pipeline.progress``."""

    def test_ended(self, claim: Claim, index: int, count: int, test: TestResult) -> None:
        """Test ``index`` of ``count`` has ended; 1-based, in order."""
        ...

    def changed(self, job_id: str, *, over: bool = False) -> None:
        """The job's state has changed in the database. ``over``: it is no longer being judged."""
        ...
