"""Custom runs on this node: taking them from the store while there is room, and handling each one taken.

The store is the queue. A stream entry only wakes its reader, and a poll finds the runs whose wake-up was missed. So
an entry may be lost, doubled, or read by a node that has no room.

Submissions go first. Custom runs may use a share of the node's slots, at most half. A second run begins only while a
slot stays free for a submission: under a backlog, when every slot is taken the moment it is free, that is one run per
node. That one run never starves: it waits for a slot as the consumer does, with the same chance.

What if we die here? A claimed run has a lease that runs out. An unclaimed one waits in the store for the next poll of
any node.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NoReturn

import trio

from deepoj import observe
from deepoj.nursery.gate import Gate
from deepoj.nursery.intake import DRAINED, Intake
from deepoj.nursery.leases import Lease, Leases
from deepoj.nursery.scopes import StopDeadline
from deepoj.nursery.waiting import WorkSignal
from deepoj.playground import lease as run_lease
from deepoj.ports.playground import RunLeases, RunNotifier
from deepoj.words.errors import BoxAway, BoxBroken, StreamUnavailable
from deepoj.words.playground import CustomClaim, CustomReport
from deepoj.words.results import Infra

#: pause between two polls: how long a run waits whose entry was lost, or was read where there was no room
POLL_S = 1.0
#: pause before a run that failed for an infrastructure reason is due again
AGAIN_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunWork:
    """Judges a claimed custom run and writes its result (``tree.JobHandler``)."""

    runs: RunLeases
    run_claim: Callable[[CustomClaim], Awaitable[CustomReport | Infra]]
    metrics: observe.Metrics
    #: how many bytes of results are kept per user
    user_max_bytes: int = 8 * 1024 * 1024

    async def judge(self, claim: CustomClaim) -> CustomReport | Infra:
        """Run it. A declared breakage becomes an ``Infra``: a reason to try again."""
        started = trio.current_time()
        try:
            return await self.run_claim(claim)
        except BoxBroken as breakage:
            return Infra(type(breakage).__name__, str(breakage), outage=isinstance(breakage, BoxAway))
        finally:
            self.metrics.custom_run_duration_seconds.observe(trio.current_time() - started)

    async def conclude(self, lease: Lease[CustomClaim], outcome: CustomReport | Infra) -> None:
        """Write the result or give the run back.

        Raises:
          StoreUnavailable: the result may or may not be stored; repeating is safe.
        """
        claim = lease.claim
        if isinstance(outcome, CustomReport):
            await run_lease.finish_run(self.runs, claim, outcome, self.metrics, user_max_bytes=self.user_max_bytes)
        else:
            await run_lease.give_back_run(self.runs, claim, outcome, counts=not outcome.outage, delay_s=AGAIN_S)


class RunIntake(Intake[CustomClaim]):
    """Claims custom runs, behind the same gate as the intake of submissions.

    ``share``: how many of the node's slots custom runs may use at most.
    """

    _not_given_back = "run_give_back_failed"

    def __init__(
        self,
        runs: RunLeases,
        notifier: RunNotifier,
        leases: Leases,
        settings: run_lease.RunLeasing,
        metrics: observe.Metrics,
        *,
        share: int,
        gate: Gate | None = None,
        due: WorkSignal | None = None,
    ) -> None:
        super().__init__(leases, gate)
        self._runs, self._notifier = runs, notifier
        self._settings, self._metrics, self._share = settings, metrics, share
        #: set when a run may be due
        self.due = due or WorkSignal()

    async def wait_room(self) -> None:
        """Park until the gate is open and a run may use a slot."""
        await self._wait_room(self._wait_slot)

    async def _wait_slot(self) -> None:
        await self.leases.wait_free_for_run(self._share)

    async def take(self) -> bool:
        """Claim the next run and start it. Return whether one was started.

        Raises:
          StoreUnavailable: it may have been claimed; then it comes back when its lease runs out.
        """
        sent_at = trio.current_time()
        claim = await run_lease.claim_run(self._runs, self._settings, self._metrics)
        return claim is not None and await self._begin(claim, sent_at)

    async def _give_back(self, claim: CustomClaim) -> None:
        """Give the run back, and notify the other nodes.

        What if we die between the two? The run is due, and the next poll of any node finds it.
        """
        if await run_lease.give_back_run(self._runs, claim, DRAINED, counts=False, delay_s=0.0) is None:
            try:
                await self._notifier.notify_run(claim.run_id, claim.at_ms)
            except StreamUnavailable as error:
                observe.log("run_not_notified", job_id=claim.run_id, reason=str(error))

    def _gauge(self) -> None:
        self._metrics.custom_runs_inflight.set(len(self.leases.held(CustomClaim)))


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeRuns:
    """The child: takes runs while some are due and there is room.

    A stop does not cut a claim: a run that was claimed and not started would wait for the end of its lease.
    """

    run_intake: RunIntake
    stop_deadline: StopDeadline
    poll_s: float = POLL_S

    async def __call__(self, *, task_status: trio.TaskStatus[None]) -> NoReturn:
        task_status.started()
        while True:
            await self.run_intake.wait_room()
            if not await self.stop_deadline.finish_despite_stop("a claim of a run", self.run_intake.take):
                await self.run_intake.due.wait(self.poll_s)
