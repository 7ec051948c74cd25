"""Events on their way from the database to the stream, and their lanes."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass


class Priority(enum.IntEnum):
    """The lane of an outbox event; a greater one goes first (pipeline/outbox)."""

    CONTEST = 1
    #: a user waits for the verdict
    INTERACTIVE = 0
    #: many submissions at once, whose verdicts are read later
    BATCH = -1
    REJUDGE = -2


#: every lane, the first to go first
LANES: tuple[Priority, ...] = tuple(sorted(Priority, reverse=True))
#: the lanes of events that people wait for
WAITED_FOR: tuple[Priority, ...] = (Priority.CONTEST, Priority.INTERACTIVE)


@dataclass(frozen=True, slots=True)
class OutboxWaiting:
    """The events that the outbox has for the next round of the dispatcher."""

    #: number of due events per lane that has any, counted to a limit
    due: Mapping[Priority, int]
    #: whether any event is undelivered, due or not
    is_waiting: bool


@dataclass(frozen=True, slots=True)
class OutboxPending:
    """The number of undelivered events per lane that has any."""

    of_lane: Mapping[Priority, int]
    #: of the oldest event that a user waits for, without batches and rejudges; None without one
    oldest_age_ms: int | None = None
    #: of the oldest unfinished submission, without batches, since submitting or, for a rejudge, since the row's last
    #: change; None without one
    unfinished_age_ms: int | None = None

    @property
    def total(self) -> int:
        return sum(self.of_lane.values())

    @property
    def submitted(self) -> int:
        """The number of those that a user waits for: without rejudges and batches, which wait by design."""
        return sum(count for lane, count in self.of_lane.items() if lane in WAITED_FOR)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxEvent:
    """A row of ``outbox_events`` that a dispatcher has taken and must publish to the stream."""

    id: int
    job_id: str
    stream_key: str
    enqueue_ts_ms: int
    priority: int
    #: the task as JSON, see ``pipeline.submit``
    payload: str
    #: how often it has been taken, this time included
    attempts: int
    #: why it was written: ``submit``, ``repair``, ``give_back``, ``hand_over``, ``requeue``, ``rejudge``
    event_type: str = "submit"
    trace_id: str = ""


@dataclass(frozen=True, slots=True)
class PublishedEvent:
    """An event that is in the stream, and its entry there."""

    event: OutboxEvent
    entry_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxStanding:
    """The delivery status of an outbox event."""

    status: str
    attempts: int
    last_error: str | None
    stream_entry_id: str | None
