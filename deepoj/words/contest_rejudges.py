"""Rejudges of a contest: submissions judged again beside their verdicts, then applied at once or cancelled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deepoj.words.previews import RejudgeProgress
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
class ContestRejudge(RejudgeProgress):
    """A rejudge of a contest, and its progress."""

    scope: ContestRejudgeScope
    preview_ids: Sequence[int]


@dataclass(frozen=True, slots=True)
class RejudgedVerdict:
    """A judgement that a rejudge would write: its id and the data of its event."""

    id: str
    data: Mapping[str, Any]
