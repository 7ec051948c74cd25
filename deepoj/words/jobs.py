"""Jobs: where a submission stands, claims, leases, and the rows that the recovery paths look at."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from deepoj.words.problems import Problem
from deepoj.words.results import Verdict
from deepoj.words.sources import Sources


class State(enum.StrEnum):
    """The state of a submission in the database, which alone decides it."""

    #: waiting for a claim
    PENDING = "pending"
    #: claimed: a node holds its lease
    PROCESSING = "processing"
    #: has its final verdict
    DONE = "done"
    #: a dead letter: its attempts are used up, an operator or an administrator decides
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim(Sources):
    """A won claim: the right to judge one attempt of one job while the lease is valid.

    ``attempt_id`` is the fencing token: it only grows, over all judgings of the job.
    """

    job_id: str
    attempt_id: int
    judging: int
    lease_owner: str
    entry_id: str
    user_id: int
    language: str
    trace_id: str
    problem: Problem
    #: milliseconds between submit (of a rejudge: the last change of the row) and this claim, by the database's clock
    waited_ms: int
    #: the part of ``waited_ms`` until the job was in the stream
    dispatch_ms: int = 0
    #: the job is of a contest that is not over, or whose board does not show all yet: no metric names its verdict
    hides_verdict: bool = False

    def verdict_label(self, status: Verdict) -> str:
        """Return the label of a verdict in metrics. A System Error is a fault of the host and is always named."""
        return "withheld" if self.hides_verdict and status is not Verdict.SYSTEM_ERROR else status.value


class ClaimRefusal(enum.StrEnum):
    """Why a claim was not won."""

    #: the row has its verdict: ack
    ALREADY_DONE = "already_done"
    #: attempts used up, the row is (now) dead: ack
    DEAD = "dead"
    #: no such row: ack
    UNKNOWN_JOB = "unknown_job"
    #: a node holds a valid lease: never ack, because the entry may still be needed to bring the job back
    LEASED = "leased"
    #: this node has just failed at it for an infrastructure reason: left to another node, if there is one
    AVOIDED = "avoided"
    #: this node does not have the job's language, or a contest has paused the job's problem: handed over
    UNFIT = "unfit"


@dataclass(frozen=True, slots=True)
class Held:
    """A claim's key in the heartbeat."""

    job_id: str
    attempt_id: int


class FinalizeRefusal(enum.StrEnum):
    """Why a verdict was not written (fencing); the row is unchanged."""

    STALE_ATTEMPT = "stale_attempt"
    ALREADY_FINISHED = "already_finished"
    NOT_IN_EXPECTED_STATE = "not_in_expected_state"
    LEASE_LOST = "lease_lost_or_owner_mismatch"


@dataclass(frozen=True, slots=True)
class Expired:
    """A page of rows past their retention, by row id, and where the next page begins; 0: there is none."""

    row_ids: tuple[int, ...]
    next_after_id: int


@dataclass(frozen=True, slots=True)
class Stray:
    """An unfinished row that repair examines, and the latest stream entries that were made for it."""

    id: int
    job_id: str
    entry_ids: tuple[str, ...]
