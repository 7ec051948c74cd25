"""Jobs whose rows the database has: their leases, those that fell out of the stream, and those to be deleted."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from deepoj.ports.leases import LeaseStore
from deepoj.words.jobs import Claim, ClaimRefusal, Expired, FinalizeRefusal, Stray
from deepoj.words.results import Report
from deepoj.words.stream import Entry


class JobLeases(LeaseStore, Protocol):
    """Claims, leases and verdicts of submissions, in the database, which decides everything. Raises StoreUnavailable.

    Each claim and each outcome appends one ledger row in the same transaction as the change itself.
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


class Strays(Protocol):
    """Unfinished jobs that may have no entry in the stream, and their repair. Raises StoreUnavailable."""

    async def strays(self, after_id: int, min_age_s: float, limit: int) -> list[Stray]:
        """Return a page, by id, of unfinished rows above ``after_id`` that are older than ``min_age_s`` and not validly
        leased, each with the latest entries that were made for it (at most eight)."""
        ...

    async def repair(
        self,
        live_job_ids: set[str],
        min_age_s: float,
        limit: int,
        stream_key: str,
        *,
        after_id: int = 0,
        upto_id: int = 2**63 - 1,
    ) -> list[str]:
        """Write one outbox event for each unfinished row that is older than ``min_age_s`` and has no live entry (is not
        in ``live_job_ids``), no undelivered outbox event and no valid lease. Return the job ids in the order of the
        rows.

        Only rows with ``after_id < id <= upto_id``. One node at a time, by an advisory lock: a node that does not get
        it returns nothing."""
        ...


class Retention(Protocol):
    """Finished submissions that are old enough to be deleted. Raises StoreUnavailable."""

    async def expired(self, after_id: int, keep_s: float, limit: int) -> Expired:
        """Return those of the next ``limit`` rows above ``after_id`` that were finished ``keep_s`` ago. The pages end
        at rows that were submitted later than that."""
        ...

    async def delete_expired(self, row_ids: Sequence[int], keep_s: float) -> int:
        """Delete, in one transaction, those rows that are still finished and old, with their outbox events and
        ledger. Batches as old that have lost all lines follow."""
        ...
