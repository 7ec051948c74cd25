"""Lists of submissions."""

from __future__ import annotations

import datetime as dt

from pydantic import BaseModel, Field, JsonValue

from deepoj.api.models.base import ResponseModel
from deepoj.api.models.languages import LANGUAGE_VALUES
from deepoj.words.results import Verdict

#: words of all verdicts
VERDICT_VALUES: list[JsonValue] = [verdict.value for verdict in Verdict if verdict is not Verdict.INVALID]
#: pattern of ``next`` in a page of submissions; its contents are opaque to clients and may change
LIST_PLACE = "[0-9]{1,17}-[0-9]{1,18}"


class SubmissionListQuery(BaseModel):
    """Filter and page of submissions."""

    limit: int | None = Field(None, ge=1, le=200, description="maximum number of entries; default 50")
    before: str | None = Field(None, pattern=f"^{LIST_PLACE}$", description="`next` of the previous page")
    group_id: int | None = Field(None, ge=1, lt=2**63, description="of members of this group; for those who see all")
    problem_id: int | None = Field(None, ge=1, lt=2**63, description="submissions to this problem")
    user_id: int | None = Field(None, ge=1, lt=2**63, description="of this account; others' are for those who see all")
    verdict: str | None = Field(
        None, json_schema_extra={"enum": VERDICT_VALUES}, description="finished with this verdict"
    )
    language: str | None = Field(None, json_schema_extra={"enum": LANGUAGE_VALUES}, description="number or key")
    since: dt.datetime | None = Field(None, description="submitted at or after this time (RFC 3339, with + as %2B)")
    until: dt.datetime | None = Field(None, description="submitted before this time")


class SubmissionItemView(ResponseModel):
    """A submission in a list."""

    job_id: str
    user_id: int
    username: str
    problem_id: int
    problem_title: str | None = Field(description="null: the caller does not see the problem")
    language: str
    status: str = Field(description="Queuing, Judging, then the verdict")
    state: str = Field(description="pending, processing, done or dead")
    judging: int
    score: float | None = Field(description="null until there is a result")
    time_used: int | None = Field(
        description="CPU milliseconds of the slowest test; rounded up, except for administrators"
    )
    memory_used: int | None = Field(description="maximum KB of all tests; rounded up, except for administrators")
    created_at: str
    updated_at: str


class SubmissionPage(ResponseModel):
    """Submissions, newest first."""

    submissions: list[SubmissionItemView]
    next: str | None = Field(
        description="value of ?before= for the next page; null on the last page. A page can be short or even empty "
        "before the end if many submissions did not match the filter"
    )
