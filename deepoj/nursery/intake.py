"""What the intakes of submissions and of playground runs share: when they take work, and what becomes of a claim."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import ClassVar, TypedDict

from deepoj import observe
from deepoj.nursery.gate import Gate
from deepoj.nursery.leases import Lease, Leases
from deepoj.words.errors import StoreUnavailable
from deepoj.words.jobs import Claim
from deepoj.words.playground import CustomClaim
from deepoj.words.results import Infra

#: why a claim is given back that a drain cut
DRAINED = Infra("drained", "the node is shutting down")


class Intake[C: (Claim, CustomClaim)](ABC):
    """Starts a job for each won claim. Open while the tree's job nursery takes work; closed while draining.

    ``gate``: shut while this node's verdicts are not known to be right (``nursery.canaries``). It holds back new work,
    so a caller that is about to claim waits for room first. On a node without canaries it is always open.
    """

    #: log event of a claim that could not be given back
    _not_given_back: ClassVar[str]

    def __init__(self, leases: Leases, gate: Gate | None) -> None:
        self.leases, self.gate = leases, gate or Gate()
        self._start: Callable[[Lease[C]], None] | None = None

    def open(self, start: Callable[[Lease[C]], None]) -> None:
        self._start = start

    def close(self) -> None:
        self._start = None

    @property
    def is_open(self) -> bool:
        return self._start is not None

    def done(self, lease: Lease[C]) -> None:
        """Release the slot of a job that has ended, in any way."""
        self.leases.drop(lease)
        self._gauge()

    async def give_back(self, claim: C) -> None:
        """Give back a claim that a drain cut: another node may start its job at once, and the attempt does not count.
        A breakage is logged, not raised, so that the other claims of this node are given back all the same."""
        try:
            await self._give_back(claim)
        except StoreUnavailable as error:  # the lease runs out by itself
            observe.log(self._not_given_back, level="warning", **names(claim), reason=str(error))

    async def _wait_room[T](self, wait_slot: Callable[[], Awaitable[T]]) -> T:
        """Park until the gate is open and ``wait_slot`` has returned; return its answer."""
        while True:
            await self.gate.wait_open()
            answer = await wait_slot()
            if self.gate.is_open:  # it may have been shut while this waited for a slot
                return answer

    async def _begin(self, claim: C, sent_at: float, *, reclaimed: bool = False, of_contest: bool = False) -> bool:
        """Start the job of a claim that was sent at ``sent_at``. Return False if the drain began during the claim: the
        claim was given back instead, or its lease runs out."""
        if self._start is None:
            await self.give_back(claim)
            return False
        self._start(self.leases.add(claim, sent_at, reclaimed=reclaimed, of_contest=of_contest))
        self._gauge()
        return True

    @abstractmethod
    async def _give_back(self, claim: C) -> None:
        """Give a claim back; the attempt does not count.

        Raises:
          StoreUnavailable: not given back; the lease runs out by itself.
        """

    @abstractmethod
    def _gauge(self) -> None:
        """Set the gauges of the leases that are held."""


def names(claim: Claim | CustomClaim) -> Names:
    """Return the log fields that name the attempt."""
    return {"job_id": claim.job_id, "attempt_id": claim.attempt_id, "trace_id": claim.trace_id}


class Names(TypedDict):
    job_id: str
    attempt_id: int
    trace_id: str
