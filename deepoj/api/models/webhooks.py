"""Deliveries of verdicts to callbacks, and the secret that signs them."""

from __future__ import annotations

from pydantic import BaseModel, Field

from deepoj.api.models.base import ResponseModel


class WebhookView(ResponseModel):
    """The delivery of one verdict to the callback."""

    delivery_id: str = Field(description="value of the header X-DeepOJ-Delivery, the same in every try")
    job_id: str
    judging: int
    event: str = Field(description="submission.done, or submission.dead: a dead letter")
    target: str = Field(description="scheme, host and port of the callback")
    status: str = Field(description="pending, delivered or given_up")
    attempts: int
    http_status: int | None = Field(description="status of the latest response")
    error: str | None = Field(
        description="why the latest try failed: name, forbidden, connection, tls, timeout, protocol, http or gone"
    )
    next_attempt_at: str | None
    created_at: str
    ended_at: str | None


class WebhookQuery(BaseModel):
    """Page of deliveries."""

    limit: int | None = Field(None, ge=1, le=200, description="maximum number of entries; default 50")
    before: int | None = Field(None, ge=1, lt=2**63, description="`next` of the previous page")


class WebhookPage(ResponseModel):
    """Deliveries that were given up, newest first."""

    webhooks: list[WebhookView]
    next: str | None = Field(description="value of ?before= for the next page; null on the last page")


class RedeliveredView(ResponseModel):
    """A delivery that will be tried again."""

    delivery_id: str
    job_id: str
    repeated: bool = Field(description="true if it was already waiting")


class WebhookSecret(ResponseModel):
    """Secret with which the user's webhooks are signed."""

    secret: str
