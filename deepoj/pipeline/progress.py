"""Beside step 5: what judging comes to, test by test, for those who watch; one statement a node in each window.

Judging writes into a ``ProgressBuffer``, which neither waits nor fails; a loop of the tree (``nursery.progress``) takes
what has come together and tells the store.

Measured on a loaded machine of two cores, ten short tests of one job: 4 or 5 statements, 6 ms of CPU beside the 23 that
the job costs the node, and by the clock nothing that the noise would not hide.

What if the database is away? What was not told is told later, as long as there is room; beyond that it is dropped.
Those who watch see it with the verdict.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import trio

from deepoj import observe
from deepoj.judging.result import as_test
from deepoj.ports import LiveResults
from deepoj.words import Breakage, Claim, StoreUnavailable, TestResult, ToldTests

#: tests that wait to be told, at most: some 10 MiB
MAX_TESTS = 10_000
#: jobs that wait to be rung for, at most
MAX_RINGS = 10_000
#: tests told in one statement: some 1 MiB
BATCH_TESTS = 1_000
#: what was told is forgotten with the verdict; what was told longer ago is of an attempt that died, and of its job
KEEP_S = 6 * 3600.0
SWEEP_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class Batch:
    """What is told at once."""

    tests: tuple[ToldTests, ...]
    changed: frozenset[str]
    over: frozenset[str]


@dataclass(slots=True)
class _Run:
    """Tests of one attempt without a gap."""

    claim: Claim
    first: int
    count: int
    tests: list[TestResult] = field(default_factory=list)

    def told(self) -> ToldTests:
        tests = tuple(as_test(test) for test in self.tests)
        claim = self.claim
        return ToldTests(
            job_id=claim.job_id, attempt_id=claim.attempt_id, first=self.first, count=self.count, tests=tests
        )


class ProgressBuffer:
    """``ports.Progress``, of all jobs in hand of a node."""

    def __init__(self, metrics: observe.Metrics, *, max_tests: int = MAX_TESTS) -> None:
        self._metrics = metrics
        self._max_tests = max_tests
        self._runs: deque[_Run] = deque()
        #: attempt → its run that goes on
        self._open: dict[tuple[str, int], _Run] = {}
        self._tests = 0
        self._changed: set[str] = set()
        self._over: set[str] = set()
        self._some = trio.Event()
        self._unsaid: Batch | None = None

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
        rings = self._over if over else self._changed
        if len(rings) < MAX_RINGS:
            rings.add(job_id)
            self._some.set()

    async def wait(self) -> None:
        """Parks until there is something to tell."""
        await self._some.wait()

    def batch(self) -> Batch | None:
        """The oldest of what is to be told, the same one until it is ``said``; None: there is nothing."""
        if self._unsaid is None:
            self._unsaid = self._gathered()
        return self._unsaid

    def said(self) -> None:
        """The batch was told, or never will be."""
        self._unsaid = None
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
        if not self._runs:  # else a last test of theirs may be yet to be told
            over, self._over = frozenset(self._over), set()
        if not (taken or changed or over):
            return None
        return Batch(tuple(run.told() for run in taken), changed, over)


async def tell(live: LiveResults, progress: ProgressBuffer, metrics: observe.Metrics) -> None:
    """Tells one batch. What the store refuses is dropped: nobody's verdict may hang on what is only shown.

    Raises:
      StoreUnavailable: nothing was told; the same batch comes again.
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
    progress.said()


async def sweep(live: LiveResults) -> int:
    """Forgets a page of what nodes that died have left."""
    return await live.sweep_live(KEEP_S, SWEEP_ROWS)
