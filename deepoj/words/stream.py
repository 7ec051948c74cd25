"""Entries of the stream, and how much waits in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from deepoj.words.outbox import LANES, OutboxPending, Priority
from deepoj.words.playground import RUN_ID_PREFIX

#: the priority of entries that announce custom runs. It is no lane's: they take no place in the dispatcher's window
RUN_PRIORITY = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A stream entry as read. It tells a worker to look at a job and decides nothing."""

    entry_id: str
    job_id: str
    enqueue_ts_ms: int
    payload_ref: str
    priority: int
    event_id: int

    @property
    def of_run(self) -> bool:
        """Whether it announces a custom run, which waits in the store, and not a submission."""
        return self.job_id.startswith(RUN_ID_PREFIX)


@dataclass(frozen=True, slots=True)
class BadEntry:
    """An entry that arrived and cannot be decoded."""

    entry_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Unread:
    """The first entries that the group has not read."""

    #: their number per lane, or ``RUN_PRIORITY``
    of_lane: Mapping[int, int]
    #: true: there are no more; false: there may be more
    is_all: bool

    @property
    def jobs(self) -> int:
        return sum(self.of_lane.get(lane, 0) for lane in LANES)

    @property
    def contests(self) -> int:
        return self.of_lane.get(Priority.CONTEST, 0)


#: a consumer that was silent towards Redis for longer is not alive; its blocking reads end every two seconds
ALIVE_MS = 30_000


#: an unfinished submission that is older needs a person; ``deploy/observability/rules.yaml`` has the same figure
MAX_AGE_S = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class PressureSnapshot:
    """How much waits, and for how long (runbook 4.3). A ``lag`` of None is unknown, never zero.

    The oldest age is that of the oldest entry read and not acked (``pending``), or else of the oldest unread entry
    (``backlog``), or else of the oldest unfinished row, which has no entry (``database``), or there is none (``none``).
    An event that has waited longer in the outbox takes precedence (``outbox``). Batches and rejudges wait by
    design before they are sent: their age counts from then.
    """

    ts_ms: int
    stream_key: str
    group: str
    xlen: int
    pending: int
    lag: int | None
    oldest_age_ms: int | None
    oldest_age_source: str
    #: the age is derived from unread entries, from an entry's id, or from a row
    approx: bool
    #: counted to at most ten thousand per lane; None: not asked for
    outbox: OutboxPending | None = None
    #: the group's consumers that spoke to the server within the last ``ALIVE_MS``; None: not known
    consumers: int | None = None

    @property
    def outbox_pending(self) -> int | None:
        """The number of undelivered events."""
        return None if self.outbox is None else self.outbox.total

    @property
    def waiting(self) -> int | None:
        """Submissions that no worker has read, in the outbox or in the stream; unknown with the lag. The stream holds a
        small window only, so its lag alone does not show how much there is to do."""
        return None if self.lag is None else self.lag + (0 if self.outbox is None else self.outbox.submitted)

    @property
    def waiting_at_most(self) -> int:
        """An upper bound of ``waiting`` that is always known."""
        return self.xlen + (0 if self.outbox is None else self.outbox.submitted)

    @property
    def lag_valid(self) -> bool:
        return self.lag is not None

    @property
    def backlog(self) -> int | None:
        """Entries that are unread or not acked; unknown with the lag."""
        return None if self.lag is None else self.lag + self.pending

    @property
    def oldest_age_s(self) -> float:
        """0 if nothing waits."""
        return (self.oldest_age_ms or 0) / 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueOutage:
    """Redis is away: what waits, as far as the database knows."""

    #: when this node noticed; ISO 8601
    since: str
    outbox: OutboxPending
    #: of the oldest unfinished submission; None without one
    oldest_age_ms: int | None


#: minutes that are kept of what waited
HISTORY_MINUTES = 60


@dataclass(frozen=True, slots=True)
class PressureMinute:
    """The most that waited, and the most that nodes held, within a minute. ``minute``: of the Unix clock."""

    minute: int
    waiting: int
    pending: int
