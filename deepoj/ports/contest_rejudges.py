"""Rejudges of contests, in the store."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from deepoj.words.contest_rejudges import ContestRejudge, ContestRejudgeScope, RejudgedVerdict
from deepoj.words.previews import PreviewFailure, PreviewRefusal


class ContestRejudges(Protocol):
    """Rejudges of contests: a preview of each problem (``ports.Previews``), decided together. Raises
    StoreUnavailable. Implemented by ``adapters.pg.contest_rejudges``."""

    async def start_rejudge(
        self,
        contest_id: int,
        jobs: Mapping[int, Collection[str]],
        *,
        by: int,
        in_full: bool,
        scope: ContestRejudgeScope,
    ) -> ContestRejudge | PreviewRefusal:
        """Start a rejudge of those of these jobs, by problem, that have a verdict, from the scope's host if it names
        one. The same rejudge, if it is open, goes on. Refused: UNKNOWN (the contest), FINALIZED, ANOTHER, EMPTY,
        TOO_MANY."""
        ...

    async def apply_rejudge(self, contest_id: int, rejudge_id: int, *, by: int) -> ContestRejudge | PreviewRefusal:
        """Write, in one transaction, all new verdicts; each is an event of the contest. Repeated, the answer is the
        same. Refused: UNKNOWN, FINALIZED, NOT_READY, OUTDATED, ENDED (cancelled)."""
        ...

    async def cancel_rejudge(self, contest_id: int, rejudge_id: int, *, by: int) -> ContestRejudge | PreviewRefusal:
        """Cancel an open rejudge; repeated, the answer is the same. Refused: UNKNOWN, ENDED (applied)."""
        ...

    async def rejudges(self, contest_id: int, limit: int, rejudge_id: int | None = None) -> list[ContestRejudge]:
        """Return the newest rejudges of a contest, or the one with the id."""
        ...

    async def rejudged_verdicts(self, rejudge_id: int) -> list[RejudgedVerdict]:
        """Return the judgements that applying would write now; none of a rejudge that is decided."""
        ...

    async def rejudge_failures(self, rejudge_id: int, limit: int) -> list[PreviewFailure]:
        """Count the ``limit`` most frequent reasons why submissions were not judged."""
        ...

    async def hosts(self, contest_id: int) -> list[str]:
        """Return the names of the nodes that have found verdicts of a contest."""
        ...
