"""Rejudges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from deepoj.words.rejudges import (
    EVERYTHING,
    Judging,
    Rejudged,
    RejudgeOrder,
    RejudgeRefusal,
    RejudgeScope,
    VerdictChange,
)


class Rejudges(Protocol):
    """Rejudging submissions that have a verdict. Raises StoreUnavailable. Implemented by ``adapters.pg.rejudges``.

    A judging is opened in one transaction: the old verdict moves to the judgings, the row waits in the rejudge lane
    with all its attempts, and the ledger records who asked.
    """

    async def rejudge(
        self, job_id: str, judging: int | None, *, by: str, in_full: bool, stream_key: str
    ) -> Rejudged | RejudgeRefusal:
        """Open the judging after ``judging`` (None: after the job's latest). If it was asked for twice, it is opened
        once: the second answer is ``repeated``."""
        ...

    async def judgings(self, job_id: str, limit: int) -> list[Judging]:
        """Return the latest ``limit`` verdicts superseded by later judgings, in their order."""
        ...

    async def former_result(self, job_id: str, judging: int) -> Mapping[str, Any] | None:
        """Return the newest result before ``judging`` whose tests may be taken over: never a System Error, and none
        from before a judging that was to run in full."""
        ...

    async def order_rejudge(
        self, problem_id: int, *, by: str, in_full: bool, scope: RejudgeScope = EVERYTHING
    ) -> RejudgeOrder | None:
        """Order a rejudge of the submissions that a problem has so far; None if there is no such problem. If an order
        for the same version of the problem is open that covers this one, it is returned (``repeated``). Another open
        order ends, and the new one does what is left of it, too: one of another scope makes it one for everything."""
        ...

    async def rejudge_order(self, problem_id: int) -> RejudgeOrder | None:
        """Return the newest order of a problem."""
        ...

    async def verdict_changes(self, order_id: int, limit: int) -> list[VerdictChange]:
        """Count the verdicts before and after the latest rejudge since an order, of its newest ``limit`` submissions;
        the most frequent first. Applied previews are no rejudges. Judgings whose ledger was deleted are missing."""
        ...

    async def go_on_rejudging(self, limit: int, stream_key: str) -> RejudgeOrder | None:
        """Process, in one transaction, the next ``limit`` submissions of an order that no other node is processing.
        Return the order after that; None if there was nothing to do. Submissions without a verdict are passed over:
        they will be judged by the problem as it is now. Those that are being judged are looked at again until they are
        done."""
        ...
