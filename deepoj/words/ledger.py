"""The ledger of attempts, dead letters, and what the audit reads."""

from __future__ import annotations

import enum
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A submission whose attempts are used up, which an administrator decides about. Times are ISO 8601, by the
    database's clock."""

    #: the row's id; pages are ordered by it, newest first
    id: int
    job_id: str
    user_id: int
    username: str
    problem_id: int
    language: str
    judging: int
    #: the attempt it died with: a decision about the letter names it
    attempt_id: int
    #: how many attempts of this judging counted
    attempts: int
    error_code: str | None
    error_message: str | None
    trace_id: str
    created_at: str
    died_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEvent:
    """One row of the ledger (table ``attempts``)."""

    judging: int
    attempt_id: int
    event: str
    node: str | None
    outcome: str | None
    detail: str | None
    isolation: str | None
    stream_entry_id: str | None
    #: ISO 8601
    lease_until: str | None
    created_at: str


class Decision(enum.StrEnum):
    """An administrator's decision about a dead letter; the value is the ledger's event."""

    REQUEUE = "requeued"
    DISCARD = "discarded"


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision that was made. ``repeated``: it had been made already."""

    job_id: str
    attempt_id: int
    repeated: bool = False


class LetterRefusal(enum.StrEnum):
    """Why no decision about a dead letter was made."""

    UNKNOWN_JOB = "unknown_job"
    #: it is not, or no longer, a dead letter
    NOT_DEAD = "not_dead"
    #: it has died again since, with a later attempt than the named one
    STALE_ATTEMPT = "stale_attempt"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedEvent:
    """A row of the ledger, as the audit needs it."""

    judging: int
    attempt_id: int
    event: str
    node: str | None
    outcome: str | None
    #: whether it was written before the end of the lease that it names; None if it names none
    in_lease: bool | None


@dataclass(frozen=True, slots=True)
class ContestDrift:
    """Where the ledger of a contest and the rows of the database say different things."""

    #: key of the contest
    contest: str
    #: of the submission about which they do; empty: about something else
    job_id: str
    #: ``judgement 12``, ``problem A``, ``numbers``, …
    object: str
    #: what the ledger and what the rows say; None: nothing
    told: str | None
    stored: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedJob:
    """A submission with all its ledger events, in the ledger's order, as of one moment."""

    id: int
    job_id: str
    state: str
    status: str
    judging: int
    attempt_id: int
    lease_owner: str | None
    #: whether its lease is valid
    leased: bool
    result_status: str | None
    #: the attempt and the job that the result names
    result_attempt: str | None
    result_job: str | None
    age_s: float
    events: tuple[AuditedEvent, ...]
