"""Jobs whose rows the database has: those that fell out of the stream, and those to be deleted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from deepoj.words.jobs import Expired, Stray


class Strays(Protocol):
    """Unfinished jobs that may have no entry in the stream, and their repair. Raises StoreUnavailable.

    Implemented by ``adapters.pg.repair``."""

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
    """Finished submissions that are old enough to be deleted. Raises StoreUnavailable.

    Implemented by ``adapters.pg.retention``."""

    async def expired(self, after_id: int, keep_s: float, limit: int) -> Expired:
        """Return those of the next ``limit`` rows above ``after_id`` that were finished ``keep_s`` ago. The pages end
        at rows that were submitted later than that."""
        ...

    async def delete_expired(self, row_ids: Sequence[int], keep_s: float) -> int:
        """Delete, in one transaction, those rows that are still finished and old, with their outbox events and
        ledger. Batches as old that have lost all lines follow."""
        ...
