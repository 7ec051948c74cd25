"""Event streams of submissions and playground runs."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, Field

from deepoj.api.models.base import ResponseModel


class LastEventHeaders(BaseModel):
    """Header with which a client resumes an event stream."""

    last_event_id: str | None = Field(None, alias="Last-Event-ID", description="id of the last event received")


class LiveStream(ResponseModel):
    """Server-sent events, each of this shape."""

    #: replaces application/json in the OpenAPI document
    content_type: ClassVar[str] = "text/event-stream"

    id: str = Field(description="opaque; send it back as Last-Event-ID")
    event: str = Field(description="kind of the event", json_schema_extra={"enum": ["state", "test", "done"]})
    data: str = Field(description="one line of JSON", json_schema_extra={"contentMediaType": "application/json"})
