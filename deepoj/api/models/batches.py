"""Batches of submissions."""

from __future__ import annotations

from pydantic import BaseModel, Field

from deepoj.api.models.base import ResponseModel
from deepoj.api.models.submissions import IDEMPOTENCY_KEY

#: pattern of a token of ``…/results``; its contents are opaque to clients and may change
RESULT_PLACE = "[0-9]{1,5}[.][A-Za-z0-9_-]{0,1700}"


class BatchHeaders(BaseModel):
    """Header that lets a batch be sent again after a break."""

    idempotency_key: str | None = Field(
        None,
        alias="Idempotency-Key",
        pattern=f"^{IDEMPOTENCY_KEY}$",
        description="names the batch: sent again, a line that was stored answers with its submission, and a line with"
        " another program is refused",
    )


class BatchSummary(ResponseModel):
    """A batch in a list."""

    batch_id: str
    created_at: str


class BatchList(ResponseModel):
    """Your newest batches."""

    batches: list[BatchSummary]


class BatchView(ResponseModel):
    """A batch with the counts of its lines."""

    batch_id: str
    created_at: str
    lines: int = Field(description="lines that were stored; identical programs count as often as they were sent")
    finished: int
    states: dict[str, int] = Field(description="lines by state: pending, processing, done, dead")
    verdicts: dict[str, int] = Field(description="finished lines by verdict")


class BatchCancelled(ResponseModel):
    """What was cancelled of a batch."""

    batch_id: str
    cancelled: int = Field(description="submissions that waited and are deleted; the others have been begun or judged")


class BatchResultsQuery(BaseModel):
    """Where a stream of verdicts goes on."""

    token: str | None = Field(
        None, pattern=f"^{RESULT_PLACE}$", description="the last token of a stream that broke off"
    )
