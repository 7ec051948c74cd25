"""Previews of rejudges, in the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from deepoj.ports.leases import BackgroundLeases
from deepoj.words.background import SetterQuota
from deepoj.words.previews import (
    PastRejudge,
    Preview,
    PreviewChange,
    PreviewClaim,
    PreviewFailure,
    PreviewOutcome,
    PreviewRefusal,
)
from deepoj.words.rejudges import RejudgeScope, VerdictChange


class Previews(Protocol):
    """Previews of rejudges, for people. Accounts are given by id. Raises StoreUnavailable. Implemented by
    ``adapters.pg.previews``."""

    async def start_preview(
        self, problem_id: int, *, by: int, in_full: bool, scope: RejudgeScope, quota: SetterQuota | None = None
    ) -> Preview | PreviewRefusal:
        """Start a preview of the submissions that have a verdict. The same preview, if it is open for this version of
        the problem, goes on. One that is ready is cancelled for a new one, and one of an older version as well; one
        that is running is not (ANOTHER), nor is a part of the rejudge of a contest. Also refused: UNKNOWN (the
        problem), QUOTA, EMPTY, TOO_MANY."""
        ...

    async def apply_preview(self, problem_id: int, preview_id: int, *, by: int) -> Preview | PreviewRefusal:
        """Write, in one transaction, a new judging with the preview's verdict for each of its submissions that still
        has the verdict it began from. Repeated, the answer is the same. Refused: UNKNOWN, NOT_READY, OUTDATED, ENDED
        (cancelled), OF_CONTEST."""
        ...

    async def cancel_preview(self, problem_id: int, preview_id: int, *, by: int) -> Preview | PreviewRefusal:
        """Cancel an open preview; repeated, the answer is the same. What is being judged for it is refused its outcome.
        Refused: UNKNOWN, OUTDATED, ENDED (applied), OF_CONTEST."""
        ...

    async def preview(self, problem_id: int, preview_id: int) -> Preview | None:
        """Return a preview of the problem."""
        ...

    async def preview_verdicts(self, preview_id: int) -> list[VerdictChange]:
        """Count the verdicts before and in the preview, the most frequent first; None: not judged."""
        ...

    async def preview_failures(self, preview_id: int, limit: int) -> list[PreviewFailure]:
        """Count the ``limit`` most frequent reasons why submissions were not judged."""
        ...

    async def preview_changes(self, preview_id: int, limit: int) -> list[PreviewChange]:
        """Return the newest ``limit`` submissions whose verdict or score the preview changes, newest first."""
        ...

    async def past_rejudges(self, problem_id: int, limit: int) -> list[PastRejudge]:
        """Return the newest ``limit`` rejudges and previews of a problem, newest first."""
        ...


@dataclass(frozen=True, slots=True)
class PreviewSweep:
    """How many previews a round has ended, and how many are running after it."""

    ended: int
    running: int


class PreviewLeases(BackgroundLeases[PreviewClaim, PreviewOutcome], Protocol):
    """Claims and outcomes of the submissions of previews. Raises StoreUnavailable. Implemented by
    ``adapters.pg.previews``."""

    async def sweep_previews(self, max_attempts: int, max_wait_s: float, keep_s: float) -> PreviewSweep:
        """End previews whose submissions have all ended, and those of an older version of their problem. A submission
        ends unjudged if its attempts are used up, or if no submission of any preview has changed for ``max_wait_s``,
        in which nodes took work: while none does, because there is none or the gates of all are shut, all wait.
        Cancel previews that have been ready for UNDECIDED_S, and delete those that are older than ``keep_s``."""
        ...
