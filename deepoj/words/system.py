"""What operators look at: jobs in progress, the last hour, and what was put back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningJob:
    """A submission that a node has claimed. Times are ISO 8601, by the database's clock."""

    job_id: str
    username: str
    problem_id: int
    language: str
    node: str
    judging: int
    attempt_id: int
    #: claims of this judging that count against the bound
    attempts: int
    #: whether its lease is valid; otherwise another node will take it over
    is_leased: bool
    claimed_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What waits for a person, and for how long."""

    has_letters: bool
    #: since ``deepoj backup`` last ended, or, if it never did, the age of the database
    backup_age_s: float
    is_backed_up: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LastHour:
    """Verdicts of the last hour, and how long submissions had waited when they were first claimed."""

    #: of twelve parts of five minutes, oldest first
    verdicts: Sequence[int]
    #: None: nothing was claimed
    median_wait_s: float | None
    p95_wait_s: float | None
    #: there were more events than are read: the figures are of less than an hour
    is_cut: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineTimes:
    """When the pipeline last moved, if that is among the latest rows; None: not known. ISO 8601, by the database's
    clock."""

    dispatched_at: str | None
    claimed_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Interruption:
    """An event by which a submission was put back, or refused to a late node."""

    job_id: str
    #: ``lost``, ``given_back``, ``refused``, ``dead`` (the ledger's words) or ``repaired``
    event: str
    node: str | None
    detail: str | None
    at: str
