"""Verifications of problems, in the store."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from deepoj.judging.verifications import (
    ExampleOutcome,
    Verification,
    VerificationDraft,
    VerifiedExample,
    WorstTime,
)
from deepoj.words.verifications import ExampleClaim


class Verifications(Protocol):
    """Verifications, for people. Raises StoreUnavailable."""

    async def start_verification(self, draft: VerificationDraft, *, by: str | None = None) -> bool:
        """Start a verification; if one of this version is running, that one goes on. False: the problem is gone or has
        another version. A running one of another version ends. Of the older ones, only the newest that was completed
        is kept. ``by``: the administrator, for the log of administrative acts."""
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


class ExampleLeases(Protocol):
    """Claims and outcomes of the submissions of verifications, for judge nodes. Raises StoreUnavailable.

    Only the database's clock counts. Only the holder of the current attempt with a valid lease may extend it, write the
    outcome or give the work back.
    """

    async def claim_example(
        self, owner: str, lease_s: float, max_attempts: int, languages: Collection[str]
    ) -> ExampleClaim | None:
        """Claim the next submission that is due in one of these languages, of the oldest verification first."""
        ...

    async def extend_example(self, claim: ExampleClaim, lease_s: float) -> bool:
        """Extend the lease; False: it is lost, or the verification has ended."""
        ...

    async def finish_example(self, claim: ExampleClaim, outcome: ExampleOutcome) -> bool:
        """Write the outcome; False: the lease is lost, or the verification has ended."""
        ...

    async def give_back_example(self, claim: ExampleClaim, *, counts: bool, delay_s: float) -> bool:
        """Make it due again after ``delay_s``; False: the lease is lost, or the verification has ended."""
        ...

    async def sweep_verifications(self, max_attempts: int, max_wait_s: float) -> int:
        """End verifications whose submissions have all ended, and those of an older version of their problem; return
        how many. A submission ends unjudged if its attempts are used up, or if its verification has not changed for
        ``max_wait_s``."""
        ...
