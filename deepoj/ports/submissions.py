"""Submissions: storing and reading them, and lists of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from deepoj.words.accounts import Credentials
from deepoj.words.outbox import OutboxEvent
from deepoj.words.submissions import (
    Draft,
    ListPlace,
    Receipt,
    Submission,
    SubmissionList,
    SubmissionQuery,
    SubmitRefusal,
    TimeCount,
    VerdictCount,
)


class Submissions(Protocol):
    """Storing and reading submissions. Raises StoreUnavailable. Implemented by ``adapters.pg.submissions``."""

    async def submit(
        self,
        draft: Draft,
        *,
        inflight_cap: int,
        dedup_window_s: float,
        payload: Mapping[str, object],
        stream_key: str,
        direct: bool = False,
        user_inflight_cap: int | None = None,
        hidden_s: float | None = None,
    ) -> Receipt | SubmitRefusal:
        """Store a submission in one transaction: the submissions row, its outbox row, NOTIFY.

        ``payload`` is the task JSON without job_id, time_limit, memory_limit, submit_time, which are filled in from the
        rows. At most ``inflight_cap`` submissions may be unfinished, as far as this node knows (``count_inflight``),
        and at most ``user_inflight_cap`` of this user, exactly, however many submit at once; neither counts rejudges.
        With both, a user who has no unfinished submission is accepted until twice ``inflight_cap`` are unfinished.
        ``direct``: no outbox row is written; the event is in the receipt, for the caller to send and then to
        ``mark_sent``. ``hidden_s``: the outbox row is as a dispatcher leaves it that has taken it: hidden from all of
        them for so long, without a NOTIFY. The event is in the receipt, for ``HandOver``. None: dispatchers take it."""
        ...

    async def count_inflight(self, cap: int) -> None:
        """Count the unfinished submissions, rejudges aside, up to twice ``cap``, for the cap of the following submits.
        Parks while no user submits. A node that accepts submissions calls it again and again."""
        ...

    async def mark_sent(self, event: OutboxEvent, entry_id: str) -> None:
        """Record that a direct submit's event is in the stream, as a delivered event of the outbox."""
        ...

    async def submission(self, job_id: str) -> Submission | None:
        """Return the submission; None also if this is not a job id."""
        ...

    async def count_before(self, job_id: str, most: int) -> int | None:
        """Return how many first judgings wait that were submitted before this one, up to ``most``. None: it does not
        wait, or it is a rejudge. An estimate of its place: the queue also lets users take turns."""
        ...

    async def account_and_submission(self, user_id: int, job_id: str) -> tuple[Credentials | None, Submission | None]:
        """Return ``Accounts.credentials_by_id`` and ``submission`` by one statement: every request for a submission
        needs both."""
        ...


class SubmissionLists(Protocol):
    """Lists of submissions. Raises StoreUnavailable. Implemented by ``adapters.pg.submission_lists``."""

    async def submissions(self, query: SubmissionQuery, limit: int, before: ListPlace | None = None) -> SubmissionList:
        """Return the next ``limit`` that were submitted before the one at ``before``, newest first. The cost is
        bounded: only so many of those that the index finds (by user, else by problem, else all) are examined."""
        ...

    async def verdict_counts(self, problem_id: int, limit: int) -> list[VerdictCount]:
        """Count a problem's newest ``limit`` submissions by state and status, the most frequent first."""
        ...

    async def time_counts(self, problem_id: int, limit: int) -> list[TimeCount]:
        """Count those of a problem's newest ``limit`` submissions that were run, by their CPU time in tenths of the
        problem's present time limit, and by whether they are accepted; in this order."""
        ...
