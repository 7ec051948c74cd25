"""Leases of claimed work in the database."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from deepoj.words.background import BackgroundClaim
from deepoj.words.jobs import Claim, ClaimRefusal, FinalizeRefusal, Held
from deepoj.words.results import Report
from deepoj.words.stream import Entry


class LeaseStore(Protocol):
    """Leases of one kind of work: submissions (``JobLeases``) or playground runs (``RunLeases``). Raises
    StoreUnavailable.

    The lease contract. Only the database's clock counts. A lease is valid while its end is after ``now()``; at equality
    it is over. ``attempt_id`` grows by one with every won claim and never falls. Only the holder of the current attempt
    with a valid lease may extend it, write the outcome or give the work back; every other caller is refused and the row
    stays unchanged.

    Implemented by ``adapters.pg.leases`` and ``adapters.pg.playground``.
    """

    async def extend(self, held: Sequence[Held], owner: str, lease_s: float) -> set[str]:
        """Extend the node's leases in one statement. Return the job ids whose lease was valid; the others are lost."""
        ...


class JobLeases(LeaseStore, Protocol):
    """Claims, leases and verdicts of submissions, in the database, which decides everything. Raises StoreUnavailable.

    Each claim and each outcome appends one ledger row in the same transaction as the change itself.

    Implemented by ``adapters.pg.leases``.
    """

    async def claim(
        self,
        entries: Sequence[Entry],
        owner: str,
        lease_s: float,
        max_attempts: int,
        *,
        yields: bool = False,
        languages: Collection[str] | None = None,
    ) -> dict[str, Claim | ClaimRefusal]:
        """Claim a batch in one statement; the answer is keyed by entry id. Pending rows, and processing rows whose
        lease is over, go to processing with attempt+1. A row that has used up ``max_attempts`` in this judging goes to
        dead instead. Of two entries of one job in a batch, one wins and the other is LEASED.

        ``yields``: a row that this owner has given back for others (``give_back``'s ``avoid_s``) is AVOIDED while that
        holds, and stays unchanged. ``languages``: a row in any other language is UNFIT, and stays unchanged; None: all
        languages are judged here. A row of a problem that its contest has paused is UNFIT, too."""
        ...

    async def finalize(self, claim: Claim, report: Report, result: Mapping[str, object]) -> FinalizeRefusal | None:
        """Write the verdict, or explain the refusal, in one statement. None: the verdict is written."""
        ...

    async def give_back(
        self, claim: Claim, *, reason: str, counts: bool, delay_s: float = 0.0, avoid_s: float = 0.0
    ) -> FinalizeRefusal | None:
        """Release the claim and write an outbox event (due after ``delay_s``) in one transaction, so that another node
        starts at once. ``counts``: whether the attempt counts against the maximum. After None the old stream entry may
        be acked: the outbox event brings the job back. For ``avoid_s`` after it is due, a claim of the same owner with
        ``yields`` is refused; the next won claim ends that."""
        ...

    async def hand_over(
        self, job_ids: Sequence[str], *, avoid_s: float = 0.0, unfit: bool = False
    ) -> dict[str, ClaimRefusal | None]:
        """Hand unclaimed entries over to other nodes: write one outbox event for each job that is not leased; rows stay
        unchanged. None: the event is written, and the job's old entry may be acked. Otherwise the reason why there is
        none.

        The event is due at once. If the job was given back with ``avoid_s`` and is still avoided, the event is due the
        later the longer it has been (up to 5 s). ``unfit``: the claim has answered UNFIT; their events are due the
        later the longer they have waited (up to 2 s, or 38 s while no live node has announced their language)."""
        ...


class BackgroundLeases[C: BackgroundClaim, O](Protocol):
    """Claims and outcomes of programs that nodes judge with slots that submissions leave: those of verifications
    (``ExampleLeases``) and of previews (``PreviewLeases``), and reruns (``RerunLeases``). Raises StoreUnavailable.

    Only the database's clock counts. Only the holder of the current attempt with a valid lease may extend it, write the
    outcome or give the work back.

    Implemented by ``adapters.pg.background``.
    """

    async def claim(self, owner: str, lease_s: float, max_attempts: int, languages: Collection[str]) -> C | None:
        """Claim the next program that is due in one of these languages, of the oldest batch first."""
        ...

    async def extend(self, claim: C, lease_s: float) -> bool:
        """Extend the lease; False: it is lost, or the batch has ended."""
        ...

    async def finish(self, claim: C, outcome: O) -> bool:
        """Write the outcome; False: the lease is lost, or the batch has ended."""
        ...

    async def give_back(self, claim: C, *, counts: bool, delay_s: float) -> bool:
        """Make it due again after ``delay_s``; False: the lease is lost, or the batch has ended."""
        ...
