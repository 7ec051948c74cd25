"""Verifications of problems, in the store."""

from __future__ import annotations

from typing import Protocol

from deepoj.judging.verifications import (
    ExampleOutcome,
    Verification,
    VerificationDraft,
    VerifiedExample,
    WorstTime,
)
from deepoj.ports.leases import BackgroundLeases
from deepoj.words.background import SetterQuota
from deepoj.words.verifications import ExampleClaim, VerificationRefusal


class Verifications(Protocol):
    """Verifications, for people. Raises StoreUnavailable. Implemented by ``adapters.pg.verifications``."""

    async def start_verification(
        self, draft: VerificationDraft, *, by: str | None = None, quota: SetterQuota | None = None
    ) -> VerificationRefusal | None:
        """Start a verification; if one of this version is running, that one goes on. A running one of another version
        ends. Of the older ones, only the newest that was completed is kept. ``by``: the administrator, for the log of
        administrative acts."""
        ...

    async def has_verification_room(self, problem_id: int, version: int, quota: SetterQuota) -> bool:
        """Return whether the quota now allows to start a verification, or this version is being verified. A start
        asks the quota again: this answer spares reading a package in vain."""
        ...

    async def cancel_verification(self, problem_id: int) -> bool:
        """End the running verification; False: there is none. What is being judged for it is refused its outcome."""
        ...

    async def verifications(self, problem_id: int) -> list[Verification]:
        """Return the verifications of a problem that are kept, at most two, newest first."""
        ...

    async def verified_examples(self, verification_id: int) -> list[VerifiedExample]:
        """Return the submissions of a verification in the order of the package."""
        ...

    async def worst_times(self, verification_id: int, limit: int) -> list[WorstTime]:
        """Return the slowest ``limit`` tests of a verification, slowest first."""
        ...


class ExampleLeases(BackgroundLeases[ExampleClaim, ExampleOutcome], Protocol):
    """Claims and outcomes of the submissions of verifications. Raises StoreUnavailable. Implemented by
    ``adapters.pg.verifications``."""

    async def sweep_verifications(self, max_attempts: int, max_wait_s: float) -> int:
        """End verifications whose submissions have all ended, and those of an older version of their problem; return
        how many. A submission ends unjudged if its attempts are used up, or if its verification has not changed for
        ``max_wait_s``, in which nodes took work (as of ``sweep_previews``)."""
        ...
