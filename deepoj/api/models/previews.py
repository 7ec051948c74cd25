"""Previews of rejudges, and the history of both."""

from __future__ import annotations

from pydantic import Field

from deepoj.api.models.base import ResponseModel


class PreviewVerdictsView(ResponseModel):
    """How many submissions have the verdict ``before`` and would have ``after``."""

    before: str
    after: str | None = Field(description="null: not judged (yet)")
    count: int
    score_changes: int = Field(description="how many of them keep their verdict and would get another score")


class PreviewFailureView(ResponseModel):
    """How many submissions could not be judged for a reason."""

    why: str
    count: int


class PreviewChangeView(ResponseModel):
    """A submission whose verdict or score the preview changes."""

    job_id: str
    username: str
    before: str
    after: str
    score_before: float | None
    score_after: float | None
    applied: bool = Field(description="whether Apply has written the new verdict")


class PreviewView(ResponseModel):
    """A preview of a rejudge, and its progress."""

    id: int
    problem_id: int
    problem_version: int = Field(description="the problem's version by which the submissions are judged")
    is_current: bool = Field(description="whether the problem still has this version")
    state: str = Field(description="running, ready, applied, cancelled, or outdated: the problem was changed")
    full: bool
    ordered_by: str | None
    decided_by: str | None = Field(description="who applied or cancelled it")
    created_at: str
    judged_at: str | None = Field(description="when the last submission ended, or the preview became outdated")
    decided_at: str | None
    submissions: int
    ended: int = Field(description="number of submissions that are judged, or cannot be")
    judged: int
    failed: int = Field(description="number of submissions that could not be judged; Apply leaves them out")
    changed: int = Field(description="number of submissions whose verdict or score would change")
    applied: int
    left_out: int = Field(
        description="number of submissions that Apply left out: rejudged or deleted meanwhile, or not judged"
    )
    verdict: str | None = Field(description="only submissions with this verdict; null: any")
    language: str | None = Field(description="only submissions in this language; null: any")
    since: str | None = Field(description="only submissions at or after this time; null: any")
    until: str | None = Field(description="only submissions before this time; null: any")
    verdicts: list[PreviewVerdictsView]
    failures: list[PreviewFailureView] = Field(description="the 10 most frequent reasons")
    changes: list[PreviewChangeView] = Field(description="newest first, at most 500")


class PastRejudgeView(ResponseModel):
    """A rejudge of a problem, or a preview of one."""

    preview_id: int | None = Field(description="null: a rejudge without a preview")
    ordered_by: str | None
    ordered_at: str
    state: str = Field(description="as of a preview; a rejudge is running, or applied: all of it is queued")
    problem_version: int
    full: bool
    submissions: int
    rejudged: int = Field(description="number of judgings that it opened")
    verdict: str | None
    language: str | None
    since: str | None
    until: str | None


class PastRejudgesView(ResponseModel):
    """The rejudges and previews of a problem, newest first."""

    rejudges: list[PastRejudgeView]
