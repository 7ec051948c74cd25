"""Previews of rejudges: submissions judged again without touching their verdicts."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deepoj.words.background import BackgroundClaim
from deepoj.words.rejudges import RejudgeScope

#: submissions of a preview: Apply changes them in one transaction
MAX_JOBS = 5_000
#: how long a preview is kept
KEEP_S = 30 * 86_400.0
#: how long a ready preview waits for a decision: each of its submissions holds a whole result
UNDECIDED_S = 7 * 86_400.0


class PreviewState(enum.StrEnum):
    """The state of a preview."""

    RUNNING = "running"
    #: each submission was judged, or cannot be: it can be applied
    READY = "ready"
    APPLIED = "applied"
    CANCELLED = "cancelled"
    #: the problem was changed before a decision
    OUTDATED = "outdated"


#: states in which a preview can be cancelled
OPEN = frozenset({PreviewState.RUNNING, PreviewState.READY})


class PreviewRefusal(enum.StrEnum):
    """Why a preview, or a rejudge of a contest, was not started, applied or cancelled."""

    UNKNOWN = "unknown"
    #: the contest is
    FINALIZED = "finalized"
    #: no submission in the scope has a verdict
    EMPTY = "empty"
    #: more than ``MAX_JOBS`` submissions
    TOO_MANY = "too_many"
    #: another preview of the problem, or another rejudge of the contest, is running or waits for a decision
    ANOTHER = "another"
    #: as many previews of the setter's problems are running as may be
    QUOTA = "quota"
    #: not everything is judged yet
    NOT_READY = "not_ready"
    #: the problem has another version
    OUTDATED = "outdated"
    #: it was applied or cancelled before
    ENDED = "ended"
    #: it is a part of the rejudge of a contest, and decided there
    OF_CONTEST = "of_contest"


@dataclass(frozen=True, slots=True, kw_only=True)
class RejudgeProgress:
    """How far a preview, or a rejudge of a contest, is."""

    id: int
    #: every test is run again
    in_full: bool
    #: user names; None: unknown, or not decided
    ordered_by: str | None
    decided_by: str | None
    state: PreviewState
    #: ISO 8601, by the database's clock
    created_at: str
    decided_at: str | None
    #: numbers of submissions: all, those that have ended, and those that have a new verdict
    submissions: int
    ended: int
    judged: int
    #: whose verdict or score would change
    changed: int
    #: that Apply has changed
    applied: int

    @property
    def is_running(self) -> bool:
        return self.state is PreviewState.RUNNING

    @property
    def failed(self) -> int:
        """Number of submissions that could not be judged."""
        return self.ended - self.judged if self.state in {PreviewState.READY, PreviewState.APPLIED} else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview(RejudgeProgress):
    """A preview and its progress."""

    problem_id: int
    #: by which its submissions are judged
    problem_version: int
    scope: RejudgeScope
    #: ISO 8601, by the database's clock
    judged_at: str | None
    #: number of submissions that Apply left out
    left_out: int


@dataclass(frozen=True, slots=True)
class PreviewFailure:
    """A reason why submissions could not be judged, and their number."""

    why: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewChange:
    """A submission whose verdict or score a preview changes."""

    job_id: str
    username: str
    before: str
    after: str
    score_before: float | None
    score_after: float | None
    is_applied: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRejudge:
    """A rejudge of a problem or a preview of one, in the history. A rejudge is ``running`` or ``applied``."""

    #: None: a rejudge without a preview
    preview_id: int | None
    #: user name; None: unknown
    by: str | None
    #: ISO 8601
    at: str
    state: PreviewState
    problem_version: int
    in_full: bool
    scope: RejudgeScope
    submissions: int
    #: new judgings
    rejudged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewClaim(BackgroundClaim):
    """The claim of a submission of a preview."""

    job_id: str
    trace_id: str
    #: the attempt whose verdict the preview began from
    base_attempt_id: int
    #: the result whose unchanged tests may be taken over
    former: Mapping[str, Any] | None
    #: of the submission's contest; None: the problem's
    time_limit_ms: int | None = None
    memory_limit_mb: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewOutcome:
    """What judging a submission of a preview found. ``status`` is None if it could not be judged (``why``)."""

    status: str | None = None
    score: float | None = None
    isolation: str | None = None
    #: the result object, as the next attempt of the submission
    result: Mapping[str, Any] | None = None
    why: str = ""
