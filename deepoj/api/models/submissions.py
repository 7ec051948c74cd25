"""A submission: sent, its status, and its sources and verdicts."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

from deepoj.api.models.base import ErrorBody, RequestModel, ResponseModel
from deepoj.api.models.languages import LANGUAGE_NUMBERS, LANGUAGE_VALUES
from deepoj.api.models.webhooks import WebhookView

#: visible ASCII
IDEMPOTENCY_KEY = "[!-~]{1,255}"


class SubmittedFile(RequestModel):
    """One file of a submission with several files."""

    name: str = Field(description="1 to 64 letters, digits and _ . + - (not first: . + -); no folders")
    content: str = Field(description="text in UTF-8 without NUL")


class SourcesBody(RequestModel):
    """A program: ``code``, or ``files``, or ``archive``."""

    language: int | str = Field(
        description="number (1 C++, 2 Java, 3 Python, 4 Go) or key (cpp17, …); text: outputs",
        json_schema_extra={"enum": [*LANGUAGE_NUMBERS, *LANGUAGE_VALUES]},
    )
    code: str | None = Field(None, description="source text, at most 65,536 bytes in UTF-8, without NUL")
    files: list[SubmittedFile] | None = Field(
        None, description="several files that are compiled together: at most 64, with at most 65,536 bytes in total"
    )
    archive: str | None = Field(None, description="the same files as a zip, in base64")
    entry_point: str | None = Field(
        None,
        description="the file that is compiled or run; may be omitted if there is only one file, or one with the "
        "language's usual name (main.cpp, main.py, …)",
    )
    callback_url: str | None = Field(
        None,
        description="http or https URL, at most 2000 characters, escaped: receives the verdict of each judging as a"
        " signed POST; see GET /api/v1/users/me/webhook-secret",
    )


class SubmitBody(SourcesBody):
    """A submission: ``code``, or ``files``, or ``archive``."""

    problem_id: int
    time_limit: Annotated[Any, Field(deprecated=True, description="ignored: the problem's limits apply")] = None
    memory_limit: Annotated[Any, Field(deprecated=True, description="ignored: the problem's limits apply")] = None


class SubmitHeaders(BaseModel):
    """Header that makes repeated requests create one submission only."""

    idempotency_key: str | None = Field(
        None,
        alias="Idempotency-Key",
        pattern=f"^{IDEMPOTENCY_KEY}$",
        description="identifies the submission as long as it is kept; the same key with another problem, language,"
        " sources or callback is refused",
    )


class Submitted(ResponseModel):
    """The job that judges the submission."""

    job_id: str
    status: str


class StatusView(ResponseModel):
    """State and result of a job."""

    job_id: str
    status: str = Field(description="Queuing, Judging, then the verdict")
    state: str = Field(description="pending, processing, done or dead")
    data: dict[str, Any] | None = Field(
        description="the result, once there is one. Only administrators see all fields of hidden tests: for others,"
        " times and memory are rounded up, signals are reduced to signal_class (crashed, aborted or killed), and values"
        " that the program can choose freely (exit_code, stdout_len, …) are null"
    )
    waiting: ErrorBody | None = Field(default=None, description="why no node can judge it now; otherwise absent")


class FileView(ResponseModel):
    """One file of a submission."""

    name: str
    content: str


class SubmissionView(ResponseModel):
    """A submission with its sources, as its author sees it."""

    job_id: str
    user_id: int
    problem_id: int
    language: str
    code: str = Field(description="the source; for several files, the entry point's")
    entry_point: str | None = Field(description="null for a single source")
    files: list[FileView] = Field(description="all files, the entry point first; empty for a single source")
    status: str
    state: str
    attempt_id: int
    judging: int
    error_code: str | None
    error_message: str | None = Field(description="for administrators")
    created_at: str
    updated_at: str
    before: int | None = Field(
        default=None,
        description="while it waits for its first judging: about how many are before it, counted to 200; else null",
    )
    data: dict[str, Any] | None
    judgings: list[JudgingView] = Field(description="the verdicts of the latest 20 judgings, in order")
    callback_url: str | None = Field(
        default=None, description="for the author and administrators: URL that receives the verdicts"
    )
    webhooks: list[WebhookView] = Field(default=[], description="the latest 20 deliveries to callback_url")


class JudgingView(ResponseModel):
    """The verdict of one judging."""

    judging: int
    attempt_id: int
    status: str
    error_code: str | None
    finished_at: str
    data: dict[str, Any] | None
