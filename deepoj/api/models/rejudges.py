"""Rejudges of one submission or of a problem."""

from __future__ import annotations

import datetime as dt

from pydantic import BaseModel, Field

from deepoj.api.models.base import ResponseModel
from deepoj.api.models.languages import LANGUAGE_VALUES
from deepoj.api.models.submission_lists import VERDICT_VALUES


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
    """Options of rejudging a problem's submissions. Without filters all of them are rejudged."""

    full: bool | None = Field(None, description="run every test again, including unchanged ones")
    verdict: str | None = Field(
        None, json_schema_extra={"enum": VERDICT_VALUES}, description="only those with this verdict"
    )
    language: str | None = Field(None, json_schema_extra={"enum": LANGUAGE_VALUES}, description="only in this language")
    since: dt.datetime | None = Field(None, description="only those submitted at or after this time")
    until: dt.datetime | None = Field(None, description="only those submitted before this time")


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
    verdict: str | None = Field(description="only submissions with this verdict are rejudged; null: any")
    language: str | None = Field(description="only submissions in this language; null: any")
    since: str | None = Field(description="only submissions at or after this time; null: any")
    until: str | None = Field(description="only submissions before this time; null: any")
    repeated: bool = Field(description="true if the same rejudge was already ordered")
