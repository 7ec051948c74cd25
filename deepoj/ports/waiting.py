"""What waits for the loops of nodes."""

from __future__ import annotations

from typing import Protocol

from deepoj.words.waiting import WorkKind


class WaitingWork(Protocol):
    """Tells which loops may have something to do. Raises StoreUnavailable. Implemented by ``adapters.pg.waiting``."""

    async def waiting_work(self, run_keep_s: float, *, for_s: float = 0.0) -> frozenset[WorkKind]:
        """Return every kind of which some work is due, by the database's clock. A kind may be among them of which this
        node can do nothing; none is left out of which it can. ``run_keep_s``: how long custom runs and reruns are kept
        after their end. Asked once a second by every node, so its cost does not grow with what waits.

        While none is due, ask again every ``LOOK_PERIOD_S``, for at most ``for_s`` seconds. Raises TimeoutError when an
        answer takes longer than ``LOOK_ANSWER_S``."""
        ...
