"""Rejudges of a contest: submissions judged again beside their verdicts, then applied at once or cancelled."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deepoj.words.previews import PreviewState
from deepoj.words.results import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class ContestRejudgeScope:
    """The judged submissions that a rejudge concerns; None: any. Times are contest times: ``from_ms`` is included,
    ``until_ms`` is not."""

    #: label
    problem: str | None = None
    language: str | None = None
    team_id: str | None = None
    from_ms: int | None = None
    until_ms: int | None = None
    verdict: Verdict | None = None
    #: name of the node that found the verdict
    host: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContestRejudge:
    """A rejudge of a contest, and its progress."""

    id: int
    scope: ContestRejudgeScope
    #: every test is run again
    in_full: bool
    #: user names; None: unknown, or not decided
    ordered_by: str | None
    decided_by: str | None
    state: PreviewState
    #: ISO 8601, by the database's clock
    created_at: str
    decided_at: str | None
    #: numbers of submissions: all, those that have ended, have a new verdict, would change, and were changed
    submissions: int
    ended: int
    judged: int
    changed: int
    applied: int
    preview_ids: Sequence[int]

    @property
    def is_running(self) -> bool:
        return self.state is PreviewState.RUNNING

    @property
    def failed(self) -> int:
        """Number of submissions that could not be judged."""
        return self.ended - self.judged if self.state in {PreviewState.READY, PreviewState.APPLIED} else 0


@dataclass(frozen=True, slots=True)
class RejudgedVerdict:
    """A judgement that a rejudge would write: its id and the data of its event."""

    id: str
    data: Mapping[str, Any]


class ContestRejudgeRefusal(enum.StrEnum):
    """Why a rejudge of a contest was not started, applied or cancelled."""

    UNKNOWN = "unknown"
    FINALIZED = "finalized"
    #: no submission in the scope has a verdict
    EMPTY = "empty"
    #: more than ``previews.MAX_JOBS`` submissions
    TOO_MANY = "too_many"
    #: a rejudge of the contest, or a preview of one of its problems, waits for its end or a decision
    ANOTHER = "another"
    NOT_READY = "not_ready"
    #: a problem has another version
    OUTDATED = "outdated"
    #: it was applied or cancelled before
    ENDED = "ended"
