"""Problem statements, with samples and attachments."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from deepoj.api.models.base import ResponseModel


class SampleView(ResponseModel):
    """A sample test."""

    input: str
    output: str
    interaction: str | None = Field(
        description="lines of a conversation, < from the judge and > from the program; null if there is none"
    )


class AttachmentView(ResponseModel):
    """A file for contestants."""

    name: str
    bytes: int


class StatementView(ResponseModel):
    """A problem's statement in one language, and all samples and attachments."""

    lang: str | None = Field(description="language of this statement; null: there is none")
    langs: list[str] = Field(description="languages that there are")
    title: str
    kind: Literal["html", "pdf", "text", "none"] = Field(
        description="html: safe HTML with MathML; pdf: only a PDF; text: its source, escaped, in a <pre>; none"
    )
    html: str = Field(description="safe to put into a page; empty if there is none")
    pdf: str | None = Field(description="address of the statement's PDF; null: there is none")
    samples: list[SampleView]
    attachments: list[AttachmentView]
    pending: bool = Field(description="the statement is still to be rendered; its source is shown meanwhile")
    notes: list[str] | None = Field(
        description="for administrators: what could not be rendered, or was left out; null for others"
    )
