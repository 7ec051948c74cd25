"""Batches of submissions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from deepoj.words.batches import BatchLine, BatchPage, SubmissionBatch
from deepoj.words.submissions import Receipt, SubmitRefusal


class Batches(Protocol):
    """Storing and reading batches. Raises StoreUnavailable. Implemented by ``adapters.pg.batches``."""

    async def open_batch(self, user_id: int, key: str) -> str:
        """Return the id of the user's batch with this Idempotency-Key; it is made if there is none."""
        ...

    async def submit_lines(
        self,
        batch_id: str,
        user_id: int,
        lines: Sequence[BatchLine],
        *,
        dedup_window_s: float,
        quota: int,
        stream_key: str,
    ) -> list[Receipt | SubmitRefusal]:
        """Store lines of the user's batch in one transaction, and return an answer for each, in order.

        Each line is decided as ``Submissions.submit`` decides a draft; its job waits in the batch lane. A line that was
        stored before answers with its submission, with other contents it is refused. ``quota``: at most so many
        submissions of the user's batches may be unfinished, exactly."""
        ...

    async def batch(self, batch_id: str) -> SubmissionBatch | None:
        """Return the batch with its counts; None also if this is not an id."""
        ...

    async def cancel_batch(self, batch_id: str, user_id: int) -> int:
        """Delete the submissions of the user's batch that no node has begun, with their lines; return their number.

        Those that another batch names, too, stay. Lines of a batch that is still sent may be stored afterwards."""
        ...

    async def batches_of(self, user_id: int, limit: int) -> list[SubmissionBatch]:
        """Return the user's newest batches, without counts."""
        ...

    async def batch_results(self, batch_id: str, after: int, without: Collection[int], limit: int) -> BatchPage:
        """Return the next finished lines after the line ``after``, except those in ``without``."""
        ...
