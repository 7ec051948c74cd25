"""Playground runs in the store, and their wake-up in the stream."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from deepoj.ports.leases import LeaseStore
from deepoj.words.jobs import FinalizeRefusal
from deepoj.words.playground import (
    CustomClaim,
    CustomDraft,
    CustomProgram,
    CustomReceipt,
    CustomRefusal,
    CustomRun,
    CustomStatus,
    CustomSwept,
)


class CustomRuns(Protocol):
    """Custom runs, which wait here until a node has room, and their results for some minutes. Raises
    StoreUnavailable. Implemented by ``adapters.pg.playground``."""

    async def take_run(self, draft: CustomDraft, *, per_user: int) -> CustomReceipt | CustomRefusal:
        """Store a run. It is refused while the author has ``per_user`` unfinished runs, however many are sent at
        once."""
        ...

    async def drop_run(self, run_id: str) -> None:
        """Delete the run, as if it had never been stored. A node that has claimed it meanwhile is refused
        everything."""
        ...

    async def custom_run(self, run_id: str, keep_s: float) -> CustomRun | None:
        """Return the run; None also if this is no run's id, or if the run ended ``keep_s`` ago."""
        ...

    async def custom_runs(self, user_id: int, run_ids: Collection[str], keep_s: float) -> dict[str, CustomRun]:
        """Return ``custom_run`` of each id that is one of a run of this user."""
        ...

    async def custom_program(self, run_id: str, keep_s: float) -> CustomProgram | None:
        """Return the program and the input of a run, for as long as ``custom_run`` returns the run."""
        ...

    async def sweep_runs(self, max_attempts: int, max_wait_s: float, keep_s: float, limit: int) -> CustomSwept:
        """Finish due runs as a System Error that have used up their attempts or are older than ``max_wait_s``. Delete
        runs that ended ``keep_s`` ago. At most ``limit`` of each."""
        ...


class RunLeases(LeaseStore, Protocol):
    """Claims, leases and results of custom runs, without a ledger. Raises StoreUnavailable. Implemented by
    ``adapters.pg.playground``.

    A claim counts against ``max_attempts``, unless it is given back with ``counts=False``.
    """

    async def claim_run(
        self, owner: str, lease_s: float, max_attempts: int, languages: Collection[str]
    ) -> CustomClaim | None:
        """Claim the run that has been due longest in one of these languages; None: there is none. A run that has used
        up its attempts is never claimed."""
        ...

    async def finish_run(
        self,
        claim: CustomClaim,
        status: CustomStatus,
        result: Mapping[str, object],
        stdout: bytes,
        stderr: bytes,
        *,
        user_max_bytes: int,
    ) -> FinalizeRefusal | None:
        """Write the result. None: it is stored. Older results of the author are deleted if all together, with their
        programs and inputs, would exceed ``user_max_bytes``."""
        ...

    async def give_back_run(
        self, claim: CustomClaim, *, counts: bool, delay_s: float, max_attempts: int
    ) -> FinalizeRefusal | None:
        """Make it due again after ``delay_s``; if the attempt counts and was the last, finish it as a System Error."""
        ...


class RunNotifier(Protocol):
    """Announces in the stream that a custom run waits in the store. Raises StreamUnavailable. Implemented by
    ``adapters.redis.stream``."""

    async def notify_run(self, run_id: str, at_ms: int) -> str:
        """Add an entry without a payload and return its id. Calling it twice does no harm."""
        ...
