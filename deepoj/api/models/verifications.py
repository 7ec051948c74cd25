"""Verifications of problems."""

from __future__ import annotations

from pydantic import Field

from deepoj.api.models.base import ResponseModel


class VerifiedExampleView(ResponseModel):
    """A submission of the package: what its author promises, and what judging it found."""

    submission: str = Field(description="its name in the package")
    language: str | None = None
    state: str = Field(description="pending, processing or done")
    expected: list[str] = Field(description="verdicts, any of which keeps the promise; empty: none is promised")
    expected_scores: list[list[float]] = Field(description="ranges of scores, any of which keeps the promise")
    promised_by: str = Field(description="the folder or the line of the package that states the promise")
    got: str | None = Field(None, description="its verdict")
    score: float | None = None
    status: str | None = Field(None, description="ok, differs, skipped or no promise; null: not judged (yet)")
    why: str = Field(description="what differs, or why it was skipped")
    slowest_test: str | None = None
    time_ms: int | None = Field(None, description="CPU time of its slowest test")
    memory_kb: int | None = None


class WorstTimeView(ResponseModel):
    """The longest time that an accepted submission took on a test."""

    test: str
    time_ms: int
    submission: str


class VerificationView(ResponseModel):
    """A verification of a problem's package, and its progress."""

    problem_id: int
    problem_version: int = Field(description="the problem's version when it was started")
    is_current: bool = Field(description="whether the problem still has this version")
    state: str = Field(description="running, done, cancelled, or outdated: the problem was changed before its end")
    created_at: str
    finished_at: str | None = None
    total: int = Field(description="number of submissions")
    ended: int = Field(description="number of submissions that are judged or skipped")
    checked: int = Field(description="number of promises that were compared")
    matched: int = Field(description="number of promises that were kept")
    skipped: int
    unpromised: int
    left_out: int = Field(description="submissions of the package that are too many to be judged")
    time_limit_ms: int
    slowest_accepted_ms: int | None = Field(None, description="longest CPU time of an accepted submission on a test")
    is_tight: bool = Field(description="whether that leaves little room for a slower machine")
    suggested_limit_ms: int | None = Field(
        None, description="the time limit that its accepted submissions need, where the package states none"
    )
    cases: list[VerifiedExampleView]
    slowest_tests: list[WorstTimeView]
