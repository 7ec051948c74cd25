"""Rejudges of contests."""

from __future__ import annotations

from pydantic import Field

from deepoj.api.models.base import RequestModel, ResponseModel
from deepoj.api.models.previews import PreviewFailureView


class ContestRejudgeBody(RequestModel):
    """The judged submissions to be judged again; what is omitted or null is any."""

    problem: str | None = Field(None, description="label")
    language: str | None = Field(None, description="key or number")
    team: str | None = Field(None, description="id of a team")
    from_ms: int | None = Field(None, ge=0, description="those sent at or after this contest time")
    until_ms: int | None = Field(None, ge=0, description="those sent before this contest time")
    verdict: str | None = Field(None, description="those with this verdict")
    host: str | None = Field(None, description="those whose verdict this judge node has found", max_length=200)
    full: bool = Field(default=False, description="run every test again, also unchanged ones")


class ContestVerdictChangeView(ResponseModel):
    """A submission that gets another verdict or score."""

    submission_id: str
    job_id: str
    team_id: str
    problem: str
    before: str
    after: str
    score_before: float | None
    score_after: float | None


class BoardStandView(ResponseModel):
    """What a row of the board says of a team."""

    rank: int
    solved: int
    penalty: int
    points: float | None = Field(description="null: the board counts problems, not points")


class BoardChangeView(ResponseModel):
    """A row of the jury's board that changes."""

    team_id: str
    before: BoardStandView
    after: BoardStandView
    problems: list[str] = Field(description="labels of the cells that change")


class AwardChangeView(ResponseModel):
    """An award that would go to other teams: first to solve, medals (4 of each), winners."""

    id: str
    before: list[str]
    after: list[str]


class BoardEffectView(ResponseModel):
    """What applying a rejudge would change now."""

    verdicts: list[ContestVerdictChangeView]
    rows: list[BoardChangeView]
    awards: list[AwardChangeView]


class ContestRejudgeItem(ResponseModel):
    """A rejudge of a contest, and its progress."""

    id: int
    state: str = Field(description="running, ready, applied, cancelled, or outdated: a problem was changed")
    full: bool
    problem: str | None
    language: str | None
    team: str | None
    from_ms: int | None
    until_ms: int | None
    verdict: str | None
    host: str | None
    ordered_by: str | None
    decided_by: str | None = Field(description="who applied or cancelled it")
    created_at: str
    decided_at: str | None
    submissions: int
    ended: int = Field(description="number of submissions that are judged, or cannot be")
    judged: int
    failed: int = Field(description="number of submissions that could not be judged; applying leaves them out")
    changed: int = Field(description="number of submissions whose verdict or score would change")
    applied: int = Field(description="number of submissions that have their new verdicts")


class ContestRejudgeView(ContestRejudgeItem):
    """A rejudge with what it would change."""

    failures: list[PreviewFailureView]
    effect: BoardEffectView | None = Field(description="of a rejudge that is ready; else null")


class ContestRejudgeList(ResponseModel):
    """The newest 50 rejudges of a contest."""

    rejudges: list[ContestRejudgeItem]
    hosts: list[str] = Field(description="the judge nodes that have found verdicts of the contest")
