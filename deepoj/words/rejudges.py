"""Rejudges, of one submission or of a problem's."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deepoj.words.results import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """A verdict superseded by a later judging."""

    judging: int
    attempt_id: int
    status: str
    error_code: str | None
    error_message: str | None
    result: Mapping[str, Any]
    #: ISO 8601
    finished_at: str
    #: a contest keeps it from its author
    is_withheld: bool = False


@dataclass(frozen=True, slots=True)
class Rejudged:
    """A judging that was opened. ``repeated``: it, or a later one, existed already."""

    job_id: str
    judging: int
    repeated: bool = False


class RejudgeRefusal(enum.StrEnum):
    """Why no judging was opened."""

    UNKNOWN_JOB = "unknown_job"
    #: it has no verdict yet that could be replaced
    NOT_FINISHED = "not_finished"
    #: a dead letter: an administrator decides about that first
    DEAD = "dead"
    #: its author's account was erased, and the source with it
    ERASED = "erased"


@dataclass(frozen=True, slots=True, kw_only=True)
class RejudgeScope:
    """The submissions of a problem that a rejudge concerns; None: any. ``since`` is included, ``until`` is not; both
    have a time zone."""

    verdict: Verdict | None = None
    language: str | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None


#: the scope of all submissions
EVERYTHING = RejudgeScope()


@dataclass(frozen=True, slots=True, kw_only=True)
class RejudgeOrder:
    """An order to rejudge submissions that a problem had when it was given, and its progress."""

    id: int
    problem_id: int
    #: the problem's version when the order was given
    problem_version: int
    #: every test is run again
    in_full: bool
    ordered_by: str
    #: number of submissions in the order
    submissions: int
    #: judgings opened so far
    opened: int
    #: submissions that needed no new judging: not judged yet, or dead letters
    passed: int
    finished: bool
    scope: RejudgeScope = EVERYTHING
    #: the same order existed already
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class VerdictChange:
    """How many submissions had the verdict ``before`` and have ``after`` since they were rejudged; None: not yet."""

    before: str
    after: str | None
    count: int
    #: of a preview: how many of them keep their verdict and get another score
    score_changes: int = 0
