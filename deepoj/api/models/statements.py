"""Problem statements, with samples and attachments."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from deepoj.api.models.base import RequestModel, ResponseModel


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


class StatementSourceView(ResponseModel):
    """The source of a statement."""

    lang: str
    format: Literal["md", "tex"] = Field(description="Markdown or TeX")
    source: str = Field(description="empty if the package has no source in Markdown or TeX in this language")
    revision: str = Field(description="to be sent back with a changed source")
    edited: bool = Field(description="it was edited here; false: it is the package's")


class StatementBody(RequestModel):
    """A changed source of a statement."""

    format: Literal["md", "tex"] = Field(description="Markdown or TeX")
    source: str = Field(description="at most 1 MiB in UTF-8")
    revision: str = Field(description="of the source that was changed; another one by now is refused with 409")


class StatementSaved(ResponseModel):
    """The statement as it was saved."""

    lang: str
    revision: str = Field(description="to be sent back with the next change")
    pending: bool = Field(description="a judge node is to render it; readers have the former statement until then")
    title: str
    html: str = Field(description="as readers see it; empty while it is pending")
    notes: list[str] = Field(description="what was left out or is shown as text, with file and line")


class ContestStatementSource(ResponseModel):
    """The source of the statement that a contest's problem has there."""

    lang: str
    format: Literal["md", "tex", "pdf"] = Field(description="Markdown, TeX, or a PDF, whose source is empty")
    source: str = Field(description="the contest's own, else that of the problem; empty if there is none")
    pdf: str | None = Field(description="the PDF in base64; null: it is none")
    revision: str = Field(description="to be sent back with a changed statement")
    edited: bool = Field(description="it is the contest's own; false: it is the problem's")


class ContestStatementBody(RequestModel):
    """The statement of a problem in one contest, in one language."""

    format: Literal["md", "tex", "pdf"] = Field(description="Markdown, TeX or PDF")
    source: str = Field("", description="at most 1 MiB in UTF-8; empty for a PDF")
    pdf: str = Field("", description="a PDF of at most 4 MiB in base64; else empty")
    revision: str = Field(description="of the statement that was changed; another one by now is refused with 409")


class RestoreQuery(RequestModel):
    """Which edit is taken back."""

    revision: str = Field(description="of the source as it was read")


class StatementRestored(ResponseModel):
    """The former statement, of the package or in a contest of the problem, is shown again, once a judge node has
    rendered it."""

    lang: str
    status: Literal["restored"] = "restored"
