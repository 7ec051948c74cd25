"""The clock of a contest."""

from __future__ import annotations

from pydantic import Field

from deepoj.api.models.base import RequestModel, ResponseModel
from deepoj.words.contests import ClockAct

_TIME = "RFC 3339 with a time zone"


class ClockBody(RequestModel):
    """An act on the clock of a contest, and what it needs."""

    act: ClockAct = Field(
        strict=False,
        description="start: now. move: to start_at. pause, resume: the countdown before the start, the contest"
        " afterwards. freeze, thaw: the board, now. length: duration_ms. remove: what lies between start_at and end_at"
        " is no time of the contest. restore: the interval is time of it again. extend: team has extra_ms more than"
        " others. penalty: team has penalty_minutes beside what its solutions give. hold, release: judging of problem",
    )
    reason: str = Field("", description="needed by length, remove, restore, extend and penalty")
    start_at: str | None = Field(None, description=_TIME)
    end_at: str | None = Field(None, description=_TIME)
    duration_ms: int | None = None
    interval: int | None = Field(None, description="its number in the list of intervals")
    team: str | None = Field(None, description="its id")
    extra_ms: int | None = Field(None, description="0: no more than others")
    penalty_minutes: int | None = Field(
        None, description="of penalty time, also negative; they replace those that were given before; 0: none"
    )
    problem: str | None = Field(None, description="its label")


class IntervalView(ResponseModel):
    """A pause, or an interval that was removed afterwards."""

    id: int
    start_at: str
    end_at: str | None = Field(description="null: the contest is paused")
    is_restored: bool = Field(description="it is time of the contest again")
    reason: str


class ExtensionView(ResponseModel):
    """A team that may submit for longer than others."""

    team_id: str
    extra_ms: int
    ends_at: str | None = Field(description="null: not known while the contest is paused")
    reason: str


class PenaltyView(ResponseModel):
    """Penalty time that the jury has given a team."""

    team_id: str
    minutes: int = Field(description="also negative")
    reason: str


class HeldView(ResponseModel):
    """Judging of a problem."""

    problem: str
    is_paused: bool
    waiting: int = Field(description="submissions without a verdict")


class ClockActView(ResponseModel):
    """An act on the clock."""

    at: str
    act: str
    reason: str
    by: int = Field(description="id of the account")


class ClockView(ResponseModel):
    """The clock of a contest, for those who run it."""

    key: str
    start_at: str | None
    countdown_pause_ms: int | None = Field(description="what was left when the countdown was paused; null: it is not")
    paused_at: str | None = Field(description="since when the contest is paused; null: it is not")
    time_ms: int | None = Field(description="its contest time now; null: its start is not known")
    freezes_at: str | None = Field(description="null: not known while it is paused, or never")
    ends_at: str | None = Field(description="null: not known while it is paused, or before its start is")
    intervals: list[IntervalView]
    extensions: list[ExtensionView]
    penalties: list[PenaltyView]
    judging: list[HeldView]
    acts: list[ClockActView] = Field(description="the newest first, 100 at most")
