"""Publish the progress of judging, test by test, beside step 5: one statement per node and window, and at once
when a job has ended.

Judging writes into a ``ProgressBuffer``, which neither waits nor fails. A loop of the tree (``nursery.progress``) takes
what has accumulated and writes it to the store.

Measured on a loaded machine with two cores, ten short tests of one job: 4 or 5 statements, 6 ms of CPU beside the 23
that the job costs the node, and a wall time that disappears in the noise.

What if the database is away? Tests are published later, as long as the buffer has room; after that they are dropped.
Watchers see them with the verdict.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import trio

from deepoj import observe
from deepoj.judging.result import as_test
from deepoj.ports.live import LiveReceiver, LiveResults
from deepoj.words.errors import Breakage, StoreUnavailable
from deepoj.words.jobs import Claim
from deepoj.words.live import EndedTests
from deepoj.words.results import TestResult

#: maximum number of tests in the buffer: some 10 MiB
MAX_TESTS = 10_000
#: maximum number of jobs in the buffer that changed or ended
MAX_NOTIFICATIONS = 10_000
#: tests published in one statement: some 1 MiB
BATCH_TESTS = 1_000
#: The verdict's statement deletes published tests. Older ones than this are of an attempt that died, and of its job.
KEEP_S = 6 * 3600.0
SWEEP_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class Batch:
    """What is published by one statement."""

    tests: tuple[EndedTests, ...]
    changed: frozenset[str]
    over: frozenset[str]


@dataclass(slots=True)
class _Run:
    """Successive tests of one attempt."""

    claim: Claim
    first: int
    count: int
    tests: list[TestResult] = field(default_factory=list)

    def as_tests(self) -> EndedTests:
        tests = tuple(as_test(test) for test in self.tests)
        claim = self.claim
        return EndedTests(
            job_id=claim.job_id, attempt_id=claim.attempt_id, first=self.first, count=self.count, tests=tests
        )


class ProgressBuffer:
    """``ports.Progress`` for all jobs of a node."""

    def __init__(
        self, metrics: observe.Metrics, *, watchers: LiveReceiver | None = None, max_tests: int = MAX_TESTS
    ) -> None:
        """``watchers``: those of this process. They learn of a job's end before the other nodes do. If it has some,
        the other nodes are told with what is published next: that statement would run beside the watchers' read."""
        self._metrics, self._watchers = metrics, watchers
        self._max_tests = max_tests
        self._runs: deque[_Run] = deque()
        #: attempt → its run that the next test continues
        self._open: dict[tuple[str, int], _Run] = {}
        self._tests = 0
        self._changed: set[str] = set()
        self._over: set[str] = set()
        self._some = trio.Event()
        self._some_over = trio.Event()
        self._pending: Batch | None = None

    def test_ended(self, claim: Claim, index: int, count: int, test: TestResult) -> None:
        if self._tests >= self._max_tests:
            self._metrics.live_tests.labels(result="dropped").inc()
            return
        key = (claim.job_id, claim.attempt_id)
        run = self._open.get(key)
        if run is None or index != run.first + len(run.tests):
            run = self._open[key] = _Run(claim, index, count)
            self._runs.append(run)
        run.tests.append(test)
        self._tests += 1
        self._some.set()

    def changed(self, job_id: str, *, over: bool = False) -> None:
        has_watcher = over and self._watchers is not None and self._watchers.notify(job_id)
        jobs = self._over if over else self._changed
        if len(jobs) < MAX_NOTIFICATIONS:
            jobs.add(job_id)
            self._some.set()
            if over and not has_watcher:
                self._some_over.set()

    async def wait(self) -> None:
        """Park until there is something to publish."""
        await self._some.wait()

    async def wait_over(self) -> None:
        """Park until a job has ended that has no watcher here."""
        await self._some_over.wait()

    def batch(self) -> Batch | None:
        """Return the oldest unpublished batch, the same one until ``finish_batch`` is called; None: there is none."""
        if self._pending is None:
            self._pending = self._gathered()
        return self._pending

    def finish_batch(self) -> None:
        """Mark the batch as published, or as dropped."""
        self._pending = None
        if not self._over:
            self._some_over = trio.Event()
        if not (self._runs or self._changed or self._over):
            self._some = trio.Event()

    def _gathered(self) -> Batch | None:
        taken: list[_Run] = []
        tests = 0
        while self._runs and tests < BATCH_TESTS:
            run = self._runs.popleft()
            self._open.pop((run.claim.job_id, run.claim.attempt_id), None)
            taken.append(run)
            tests += len(run.tests)
        self._tests -= tests
        changed, self._changed = frozenset(self._changed), set()
        over: frozenset[str] = frozenset()
        if not self._runs:  # otherwise a last test of these jobs may be still unpublished
            over, self._over = frozenset(self._over), set()
        if not (taken or changed or over):
            return None
        return Batch(tuple(run.as_tests() for run in taken), changed, over)


async def tell(live: LiveResults, progress: ProgressBuffer, metrics: observe.Metrics) -> None:
    """Publish one batch. A batch that the store refuses is dropped: no verdict may depend on a display.

    Raises:
      StoreUnavailable: the batch is not published, and comes again.
    """
    batch = progress.batch()
    if batch is None:
        return
    tests = sum(len(one.tests) for one in batch.tests)
    try:
        await live.tell_live(batch.tests, batch.changed, batch.over)
    except StoreUnavailable:
        raise
    except Breakage as refused:
        observe.log("live_refused", level="error", count=tests, reason=str(refused))
        metrics.live_tests.labels(result="refused").inc(tests)
    else:
        metrics.live_tests.labels(result="told").inc(tests)
    progress.finish_batch()


async def sweep(live: LiveResults) -> int:
    """Delete a page of tests left by nodes that died."""
    return await live.sweep_live(KEEP_S, SWEEP_ROWS)
