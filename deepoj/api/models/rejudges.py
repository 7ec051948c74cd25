"""Rejudges of one submission or of a problem."""

from __future__ import annotations

from pydantic import BaseModel, Field

from deepoj.api.models.base import ResponseModel


class RejudgeQuery(BaseModel):
    """Options of rejudging a submission."""

    full: bool | None = Field(None, description="run every test again, including unchanged ones")
    judging: int | None = Field(
        None,
        ge=1,
        lt=2**31,
        description="the judging whose verdict is to be replaced: repeated requests with the same number open one"
        " rejudge only",
    )


class RejudgeProblemQuery(BaseModel):
    """Options of rejudging all submissions of a problem."""

    full: bool | None = Field(None, description="run every test again, including unchanged ones")


class RejudgedView(ResponseModel):
    """The judging that was opened."""

    job_id: str
    judging: int
    repeated: bool = Field(description="true if this judging or a later one was already open")


class RejudgeOrderView(ResponseModel):
    """A rejudge of a problem and its progress."""

    problem_id: int
    problem_version: int = Field(description="the problem's version when the rejudge was ordered")
    full: bool
    ordered_by: str
    submissions: int = Field(description="number of submissions when the rejudge was ordered")
    opened: int = Field(description="number of judgings opened so far")
    passed: int = Field(description="number of skipped submissions: not judged yet, or dead letters")
    finished: bool
    repeated: bool = Field(description="true if the same rejudge was already ordered")
