"""Submissions, outbox and ledger."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from deepoj.words.accounts import Credentials
from deepoj.words.jobs import Claim, ClaimRefusal, Expired, FinalizeRefusal, Held, Stray
from deepoj.words.outbox import OutboxEvent, OutboxPending, OutboxWaiting, Priority
from deepoj.words.results import Report
from deepoj.words.stream import Entry
from deepoj.words.submissions import Draft, Receipt, Submission, SubmitRefusal


class Jobs(Protocol):
    """Submissions, outbox and ledger, in the database, which decides everything. Raises StoreUnavailable.

    The lease contract. Only the database's clock counts. A lease is valid while ``lease_until > now()``; at equality it
    is over. ``attempt_id`` grows by one with every won claim and never falls. Only the holder of the current attempt
    with a valid lease may extend, finalize or give back; every other caller is refused and the row stays unchanged.
    Each claim and each outcome appends one ledger row in the same transaction as the change itself.
    """

    # -- submit
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
    ) -> Receipt | SubmitRefusal:
        """Store a submission in one transaction: the submissions row, its outbox row, NOTIFY.

        ``payload`` is the task JSON without job_id, time_limit, memory_limit, submit_time, which are filled in from the
        rows. At most ``inflight_cap`` submissions may be unfinished, as far as this node knows (``count_inflight``),
        and at most ``user_inflight_cap`` of this user, exactly, however many submit at once; neither counts rejudges.
        With both, a user who has no unfinished submission is accepted until twice ``inflight_cap`` are unfinished.
        ``direct``: no outbox row is written; the event is in the receipt, for the caller to send and then to
        ``mark_sent``."""
        ...

    async def count_inflight(self, cap: int) -> None:
        """Count the unfinished submissions, rejudges aside, up to twice ``cap``, for the cap of the following submits.
        A node that accepts submissions calls it a few times a second; it costs nothing while no user submits."""
        ...

    async def mark_sent(self, event: OutboxEvent, entry_id: str) -> None:
        """Record that a direct submit's event is in the stream, as a delivered event of the outbox."""
        ...

    async def submission(self, job_id: str) -> Submission | None:
        """Return the submission; None also if this is not a job id."""
        ...

    async def account_and_submission(self, user_id: int, job_id: str) -> tuple[Credentials | None, Submission | None]:
        """Return ``Accounts.credentials_by_id`` and ``submission`` by one statement: every request for a submission
        needs both."""
        ...

    # -- outbox
    async def take_outbox(
        self, limit: int, retry_base_s: float, retry_max_s: float, *, lanes: Mapping[Priority, int] | None = None
    ) -> list[OutboxEvent]:
        """Take due pending events, at most ``limit``: higher lanes first, within a lane the users in turn, and the
        events of one user in their order. ``lanes``: maximum number per lane, none of a lane that is not named; None:
        no such maximum. A taken event is hidden from other dispatchers for the backoff ``min(base * 2**(attempts-1),
        max)``. So a dispatcher that dies with it only delays it."""
        ...

    async def mark_delivered(self, delivered: Sequence[tuple[int, str]]) -> None:
        """Mark events as delivered: (event id, stream entry id) pairs."""
        ...

    async def mark_undelivered(self, event_ids: Sequence[int], error: str) -> None:
        """Record ``last_error``; the backoff that was set by taking them remains."""
        ...

    async def outbox_waiting(self, limit: int) -> OutboxWaiting:
        """Return the number of due events per lane, counted to ``limit``: the cost does not grow with the backlog."""
        ...

    async def outbox_pending(self) -> OutboxPending:
        """Return the numbers for gauges, counted to at most ten thousand per lane. Not for use in a request."""
        ...

    async def oldest_unfinished_age_ms(self) -> int | None:
        """Return the age of the oldest unfinished submission, since submitting or, for a rejudge, since the row's last
        change; None without one."""
        ...

    # -- claim and lease
    async def claim(
        self,
        entries: Sequence[Entry],
        owner: str,
        lease_s: float,
        max_attempts: int,
        *,
        yields: bool = False,
        languages: Collection[str] | None = None,
    ) -> dict[str, Claim | ClaimRefusal]:
        """Claim a batch in one statement; the answer is keyed by entry id. Pending rows, and processing rows whose
        lease is over, go to processing with attempt+1. A row that has used up ``max_attempts`` in this judging goes to
        dead instead. Of two entries of one job in a batch, one wins and the other is LEASED.

        ``yields``: a row that this owner has given back for others (``give_back``'s ``avoid_s``) is AVOIDED while that
        holds, and stays unchanged. ``languages``: a row in any other language is UNFIT, and stays unchanged; None: all
        languages are judged here."""
        ...

    async def extend(self, held: Sequence[Held], owner: str, lease_s: float) -> set[str]:
        """Extend the node's leases in one statement. Return the job ids whose lease was valid; the others are lost."""
        ...

    async def finalize(self, claim: Claim, report: Report, result: Mapping[str, object]) -> FinalizeRefusal | None:
        """Write the verdict, or explain the refusal, in one statement. None: the verdict is written."""
        ...

    async def give_back(
        self, claim: Claim, *, reason: str, counts: bool, delay_s: float = 0.0, avoid_s: float = 0.0
    ) -> FinalizeRefusal | None:
        """Release the lease and write an outbox event (due after ``delay_s``) in one transaction, so that another node
        starts at once. ``counts``: whether the attempt counts against the maximum. After None the old stream entry may
        be acked: the outbox event brings the job back. For ``avoid_s`` after it is due, a claim of the same owner with
        ``yields`` is refused; the next won claim ends that."""
        ...

    async def send_again(
        self, job_ids: Sequence[str], *, avoid_s: float = 0.0, unfit: bool = False
    ) -> dict[str, ClaimRefusal | None]:
        """Write one outbox event for each job that is not leased; rows stay unchanged. None: the event is written, and
        the job's old entry may be acked. Otherwise the reason why there is none.

        The event is due at once. If the job was given back with ``avoid_s`` and is still avoided, the event is due the
        later the longer it has been (up to 5 s). ``unfit``: the caller cannot judge the jobs; their events are due the
        later the longer they have waited (up to 2 s, or 38 s while no live node has announced their language)."""
        ...

    # -- recovery paths
    async def strays(self, after_id: int, min_age_s: float, limit: int) -> list[Stray]:
        """Return a page, by id, of unfinished rows above ``after_id`` that are older than ``min_age_s`` and not validly
        leased, each with the latest entries that were made for it (at most eight)."""
        ...

    async def repair(
        self,
        live_job_ids: set[str],
        min_age_s: float,
        limit: int,
        stream_key: str,
        *,
        after_id: int = 0,
        upto_id: int = 2**63 - 1,
    ) -> list[str]:
        """Write one outbox event for each unfinished row that is older than ``min_age_s`` and has no live entry (is not
        in ``live_job_ids``), no undelivered outbox event and no valid lease. Return the job ids in the order of the
        rows.

        Only rows with ``after_id < id <= upto_id``. One node at a time, by an advisory lock: a node that does not get
        it returns nothing."""
        ...

    async def oldest_unfinished_entry_ids(self) -> list[str]: ...

    async def expired(self, after_id: int, keep_s: float, limit: int) -> Expired:
        """Return those of the next ``limit`` rows above ``after_id`` that were finished ``keep_s`` ago. The pages end
        at rows that were submitted later than that."""
        ...

    async def delete_expired(self, row_ids: Sequence[int], keep_s: float) -> int:
        """Delete, in one transaction, those rows that are still finished and old, with their outbox events and
        ledger."""
        ...
