"""What is behind a scoreboard: its cells, and the submissions of a contest."""

from __future__ import annotations

from pydantic import BaseModel, Field

from deepoj.api.models.base import ResponseModel
from deepoj.api.models.contests import CellView

_OF_JURY = "null: only those who run the contest see it"


class CellJudgementView(ResponseModel):
    """A judgement of a submission."""

    id: str
    event: int | None = Field(description=f"number of its last event in the contest's ledger; {_OF_JURY}")
    verdict: str
    began_at: str | None
    ended_at: str | None
    is_current: bool = Field(description="false: a rejudge has replaced it")
    host: str | None = Field(description="node that judged; null except for those who run the contest")


class CellAttemptView(ResponseModel):
    """A submission, and what it adds to its cell."""

    submission_id: str
    job_id: str | None = Field(description="null: the caller may not read the submission")
    event: int | None = Field(description=f"number of its event in the contest's ledger; {_OF_JURY}")
    at: str
    time_ms: int = Field(description="contest time")
    language: str
    effect: str = Field(
        description="pending: no verdict that the caller's board shows; solved; rejected: penalty time, once the"
        " problem is solved; free: rejected without penalty; later: the problem was solved before; outside: not sent"
        " while the contest ran, or of a team that boards leave out; where points count, improved: it adds points;"
        " lower: earlier ones have as many"
    )
    points: float | None = Field(description="that it adds; null where problems count")
    judgements: list[CellJudgementView] = Field(description="those that the caller sees, oldest first")


class OpenedCellView(CellView):
    """A cell of the scoreboard with what is behind it, as the caller sees it."""

    contest: str
    team_id: str
    team: str
    penalty: int = Field(description="minutes that it adds to the team's")
    attempts: list[CellAttemptView] = Field(description="oldest first")


class ContestSubmissionView(ResponseModel):
    """A submission of a contest."""

    id: str
    job_id: str | None = Field(description="null: the caller may not read the submission")
    event: int | None = Field(description=f"number of its event in the contest's ledger; {_OF_JURY}")
    team_id: str
    problem: str
    language: str
    at: str
    time_ms: int = Field(description="contest time")
    verdict: str | None = Field(description="null: there is none yet, or the caller does not see it")


class ContestSubmissionPage(ResponseModel):
    """Submissions of a contest, newest first."""

    submissions: list[ContestSubmissionView]
    next_before: int | None = Field(description="value of before for the next page")


class ContestSubmissionQuery(BaseModel):
    """Which submissions of a contest."""

    team: str = Field(default="", description="id of a team")
    problem: str = Field(default="", description="label of a problem")
    before: int | None = Field(default=None, ge=1, lt=2**63, description="those before the submission with this id")
