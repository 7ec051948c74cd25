"""Lists of submissions."""

from __future__ import annotations

from typing import Protocol

from deepoj.words.submissions import ListPlace, SubmissionList, SubmissionQuery


class SubmissionLists(Protocol):
    """Lists of submissions. Raises StoreUnavailable."""

    async def submissions(self, query: SubmissionQuery, limit: int, before: ListPlace | None = None) -> SubmissionList:
        """Return the next ``limit`` that were submitted before the one at ``before``, newest first. The cost is
        bounded: only so many of those that the index finds (by user, else by problem, else all) are examined."""
        ...
