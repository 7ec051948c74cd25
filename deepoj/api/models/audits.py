"""Audits on demand."""

from __future__ import annotations

from pydantic import Field

from deepoj.api.models.base import ResponseModel


class AuditFaultView(ResponseModel):
    """An exception: a submission that does not have exactly one verdict by a fenced attempt."""

    code: str
    job_id: str
    judging: int
    attempt_id: int
    detail: str


class AuditView(ResponseModel):
    """An audit that was ordered on this node."""

    state: str = Field(description="running, clean, faults or failed")
    by: str = Field(description="the username of the account that ordered it")
    began_at: str
    ended_at: str | None
    checked: int = Field(description="number of submissions checked so far")
    verdicts: int | None = Field(description="how many of them have their verdict; null until the end")
    failure: str = Field(description="why nothing is proven; empty: it did not fail")
    by_code: dict[str, int] = Field(description="number of exceptions of each kind")
    exceptions: list[AuditFaultView] = Field(description="the first exceptions")


class AuditState(ResponseModel):
    """The latest audit of this node."""

    audit: AuditView | None = Field(description="null: none was ordered since the node started")


class OrderedAudit(ResponseModel):
    """An audit that was ordered."""

    audit: AuditView
    repeated: bool = Field(description="true if one was under way already")
