"""Submissions: sent, read back, listed."""

from __future__ import annotations

import datetime as dt
import enum
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deepoj.words.jobs import State
from deepoj.words.outbox import OutboxEvent
from deepoj.words.results import Verdict
from deepoj.words.sources import Sources


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft(Sources):
    """A submission as its author sent it, already well-formed (types, sizes, UTF-8)."""

    user_id: int
    problem_id: int
    #: a language key such as ``cpp17``
    language: str
    trace_id: str
    idempotency_key: str | None = None
    #: URL that receives the verdict over HTTP, normalized (``webhooks.callback_urls``)
    callback_url: str | None = None
    #: the contest for which it is; None: practice
    contest_id: int | None = None

    def digest(self) -> bytes:
        """As that of the sources. It differs for another callback, which would never be called otherwise, and for
        another contest, whose board would miss it."""
        digest = Sources.digest(self)
        if self.callback_url is not None:
            digest = hashlib.sha256(digest + self.callback_url.encode()).digest()
        if self.contest_id is not None:
            digest = hashlib.sha256(digest + b"contest %d" % self.contest_id).digest()
        return digest


class SubmitRefusal(enum.StrEnum):
    """Why a draft was refused; the member's value is the HTTP error code."""

    PROBLEM_NOT_FOUND = "PROBLEM_NOT_FOUND"
    #: the problem takes other languages only
    LANGUAGE_NOT_ALLOWED = "LANGUAGE_NOT_ALLOWED"
    #: the author is in no team of the contest, or the problem is none of it
    NOT_IN_CONTEST = "NOT_IN_CONTEST"
    #: it has not begun, or is over
    CONTEST_NOT_RUNNING = "CONTEST_NOT_RUNNING"
    CONTEST_PAUSED = "CONTEST_PAUSED"
    #: a contest of the author's has this problem, and runs: it is submitted there
    CONTEST_PROBLEM = "CONTEST_PROBLEM"
    INFLIGHT_CAP_REACHED = "INFLIGHT_CAP_REACHED"
    USER_INFLIGHT_CAP_REACHED = "USER_INFLIGHT_CAP_REACHED"
    #: too many submissions of the author's batches are unfinished
    USER_BATCH_QUOTA_REACHED = "USER_BATCH_QUOTA_REACHED"
    #: the key belongs to a submission with other contents
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"


@dataclass(frozen=True, slots=True)
class Receipt:
    """A draft that was stored. ``repeated``: an unfinished identical one of the same user already existed."""

    job_id: str
    repeated: bool = False
    #: of a submit that is direct or has ``hidden_s``: the event that its caller has to publish
    event: OutboxEvent | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission(Sources):
    """A submission as its owner may read it back."""

    job_id: str
    user_id: int
    problem_id: int
    language: str
    state: State
    #: ``pending``, ``running`` or a verdict
    status: str
    attempt_id: int
    judging: int
    error_code: str | None
    error_message: str | None
    #: the result object (``judging.result``), once there is one
    result: Mapping[str, Any] | None
    #: ISO 8601, the database's clock
    created_at: str
    updated_at: str
    callback_url: str | None = None
    #: a contest keeps the verdict from its author and others of the team (``api.redact.submission_for``)
    is_withheld: bool = False
    #: the verdict that a contest's jury has given instead
    override: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionItem:
    """A submission in a list: without source, and with a summary of its result."""

    job_id: str
    user_id: int
    username: str
    problem_id: int
    language: str
    state: State
    #: ``pending``, ``running`` or a verdict
    status: str
    judging: int
    #: from the result, once there is one
    score: float | None
    time_used_ms: int | None
    memory_used_kb: int | None
    #: ISO 8601, the database's clock
    created_at: str
    updated_at: str
    #: as those of ``Submission``
    is_withheld: bool = False
    override: str | None = None


@dataclass(frozen=True, slots=True)
class ListPlace:
    """The end of a page of submissions: the database's time of a submission in microseconds since 1970, and its id."""

    created_us: int
    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionQuery:
    """Filters of submissions; None: any. ``since`` is included, ``until`` is not; both have a time zone."""

    user_id: int | None = None
    problem_id: int | None = None
    language: str | None = None
    verdict: Verdict | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    #: of its members, as they are now
    group_id: int | None = None
    #: ``verdict`` finds verdicts that contests keep back, too, and ``is_unfinished`` does not
    sees_withheld: bool = False
    #: only those without a verdict
    is_unfinished: bool = False


@dataclass(frozen=True, slots=True)
class SubmissionList:
    """A page, newest first. ``next``: where the following page begins; None: there is none. A page of a query that has
    to pass over many submissions may be short, even empty, and still have a next one."""

    items: tuple[SubmissionItem, ...]
    next: ListPlace | None


@dataclass(frozen=True, slots=True)
class VerdictCount:
    """How many submissions have this state and this status (``pending``, ``running`` or a verdict)."""

    state: State
    status: str
    count: int


@dataclass(frozen=True, slots=True)
class TimeCount:
    """How many submissions took ``tenth`` to ``tenth + 1`` tenths of the time limit in their slowest test; 10: the
    limit or more."""

    tenth: int
    is_accepted: bool
    count: int
