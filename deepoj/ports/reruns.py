"""Reruns of single tests, in the store."""

from __future__ import annotations

from typing import Protocol

from deepoj.ports.leases import BackgroundLeases
from deepoj.words.reruns import Rerun, RerunClaim, RerunOutcome, RerunRefusal


class Reruns(Protocol):
    """Reruns, for people. Raises StoreUnavailable. Implemented by ``adapters.pg.reruns``."""

    async def take_rerun(self, job_id: str, test: str, *, by: int) -> int | RerunRefusal:
        """Store a rerun for the account ``by``; return its number. An unfinished one of the same test and account is
        returned again. Only the newest finished ones of the account are kept."""
        ...

    async def rerun(self, rerun_id: int, keep_s: float) -> Rerun | None:
        """Return a rerun; None: there is none, or it ended ``keep_s`` ago."""
        ...


class RerunLeases(BackgroundLeases[RerunClaim, RerunOutcome], Protocol):
    """Claims and outcomes of reruns. Raises StoreUnavailable. Implemented by ``adapters.pg.reruns``."""

    async def sweep_reruns(self, max_attempts: int, max_wait_s: float, keep_s: float, limit: int) -> int:
        """End reruns whose attempts are used up or that have waited for ``max_wait_s``, and delete those that ended
        ``keep_s`` ago; at most ``limit`` of each. Return how many ended."""
        ...
