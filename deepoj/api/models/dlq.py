"""Dead letters, and administrators' decisions about them."""

from __future__ import annotations

from pydantic import BaseModel, Field

from deepoj.api.models.base import RequestModel, ResponseModel


class LetterView(ResponseModel):
    """A dead letter: a submission whose attempts are used up. An administrator requeues or discards it."""

    job_id: str
    user_id: int
    username: str
    problem_id: int
    language: str
    judging: int
    attempt_id: int = Field(description="its last attempt; send it with the decision")
    attempts: int = Field(description="number of attempts counted against the limit")
    error_code: str | None
    error_message: str | None
    trace_id: str
    created_at: str
    died_at: str


class LetterQuery(BaseModel):
    """Page of dead letters."""

    limit: int | None = Field(None, ge=1, le=200, description="maximum number of entries; default 50")
    before: int | None = Field(None, ge=1, lt=2**63, description="`next` of the previous page")


class LetterPage(ResponseModel):
    """Dead letters, newest submission first."""

    letters: list[LetterView]
    next: str | None = Field(description="value of ?before= for the next page; null on the last page")


class LedgerEventView(ResponseModel):
    """One event of a job in the ledger."""

    judging: int
    attempt_id: int
    event: str
    node: str | None
    outcome: str | None
    detail: str | None
    isolation: str | None
    stream_entry_id: str | None
    lease_until: str | None
    created_at: str


class LetterHistory(ResponseModel):
    """A dead letter and its history."""

    letter: LetterView
    events: list[LedgerEventView] = Field(description="the latest 200 events of the ledger, oldest first")


class DecisionBody(RequestModel):
    """An administrator's decision about a dead letter."""

    attempt_id: int | None = Field(
        None,
        description="the last attempt of the dead letter: repeating the same decision is then answered with repeated",
        json_schema_extra={"minimum": 0, "maximum": 2**63 - 1},
    )
    note: str = Field(
        "", description="reason, at most 500 characters; kept in the ledger", json_schema_extra={"maxLength": 500}
    )


class DecisionView(ResponseModel):
    """The decision in force."""

    job_id: str
    attempt_id: int
    decision: str = Field(description="requeued or discarded")
    repeated: bool = Field(description="true if it had been made before")
