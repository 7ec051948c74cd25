"""Bodies of requests of the Contest API (https://ccs-specs.icpc.io/2026-01/contest_api)."""

from __future__ import annotations

import datetime as dt

from pydantic import AwareDatetime, Field

from deepoj.api.errors import ApiError, Refused
from deepoj.api.models.base import RequestModel
from deepoj.contests.clock import parse_reltime

_LONGEST_MS = 366 * 24 * 3_600_000


class ContestPatch(RequestModel):
    """A change of a contest's start or thaw. ``id`` is repeated, as a precaution."""

    id: str
    start_time: AwareDatetime | None = Field(None, strict=False)
    countdown_pause_time: str | None = None
    scoreboard_thaw_time: AwareDatetime | None = Field(None, strict=False)

    def changed(self) -> set[str]:
        """Return the names of what is to be changed. null changes it too: a start may be unknown again."""
        return self.model_fields_set - {"id"}

    def left_ms(self) -> int | None:
        """Return how much is left when the countdown is paused; None: it is not. Refused if that is no time."""
        if self.countdown_pause_time is None:
            return None
        try:
            left_ms = parse_reltime(self.countdown_pause_time)
        except ValueError:
            left_ms = -1
        if not 0 <= left_ms <= _LONGEST_MS:
            raise Refused(ApiError.INVALID, field="countdown_pause_time", problem="a time like 0:10:00")
        return left_ms

    def utc(self, time: dt.datetime | None) -> dt.datetime | None:
        """Return a time in whole milliseconds, as the Contest API writes it."""
        return None if time is None else time.replace(microsecond=time.microsecond // 1000 * 1000).astimezone(dt.UTC)


class ContestFile(RequestModel):
    """A zip of a submission's files, in base64."""

    data: str
    mime: str | None = None


class ContestSubmission(RequestModel):
    """A submission of a team."""

    language_id: str
    problem_id: str
    files: list[ContestFile]
    entry_point: str | None = None
    team_id: str | None = None
    id: str | None = None
    time: str | None = None
    contest_time: str | None = None


class ContestClarification(RequestModel):
    """A question of a team, or an answer or announcement of the jury."""

    text: str
    problem_id: str | None = None
    reply_to_id: str | None = None
    from_team_id: str | None = None
    to_team_ids: list[str] | None = None
    to_group_ids: list[str] | None = None
    id: str | None = None
    time: str | None = None
    contest_time: str | None = None


class ContestAward(RequestModel):
    """An award, or what is changed of it."""

    id: str | None = None
    citation: str | None = None
    team_ids: list[str] | None = None


class ContestCommentary(RequestModel):
    """A remark for spectators."""

    message: str
    tags: list[str]
    team_ids: list[str] | None = None
    problem_ids: list[str] | None = None
    submission_ids: list[str] | None = None
    id: str | None = None
    time: str | None = None
    contest_time: str | None = None
    source_id: str | None = None


class ContestWebhookBody(RequestModel):
    """A webhook that is to be registered."""

    url: str
    token: str
    endpoints: list[str] | None = None
    contest_ids: list[str] | None = None
    id: str | None = None
