"""Reruns: a test of a submission, run once more to show what the program prints."""

from __future__ import annotations

from pydantic import Field

from deepoj.api.models.base import RequestModel, ResponseModel
from deepoj.words.reruns import KEEP_BYTES, MAX_TEST_CHARS


class RerunBody(RequestModel):
    """The test to run."""

    test: str = Field(min_length=1, max_length=MAX_TEST_CHARS, description="its name, as in `tests` of the result")


class RerunFileView(ResponseModel):
    """The beginning of a file."""

    name: str = Field(description="input, answer (the expected output), output, or error (standard error)")
    text: str | None = Field(description=f"at most the first {KEEP_BYTES} bytes; null: they are in `base64`")
    base64: str | None = Field(description="the same, if they are no UTF-8 text")
    size: int = Field(description="bytes of the whole file")
    truncated: bool


class JudgedTestView(ResponseModel):
    """The test in the judging that counts."""

    status: str
    time_ms: int
    memory_kb: int


class RerunView(ResponseModel):
    """A rerun of a test. Measures are of this run; they and the verdict may differ from those that count."""

    id: int
    job_id: str
    test: str
    asked_by: str
    state: str = Field(description="waiting, running or done")
    failure: str | None = Field(
        description="why nothing is shown: no_test (the problem has no such test now), trouble (see `message`),"
        " unanswered (each node that tried stopped answering), not_taken (no node took it in time)"
    )
    status: str | None = Field(description="the verdict of this run; null: there is none")
    judged: JudgedTestView | None = Field(description="the same test in the judging that counts; null: it was not run")
    message: str = Field(description="of the checker, the interactor, the comparison or the trouble")
    compile_output: str
    time_ms: int
    wall_ms: int
    memory_kb: int
    exit_code: int | None
    exit_signal: int | None
    time_limit_ms: int | None
    memory_limit_kb: int | None
    problem_version: int | None
    interactive: bool = Field(description="the program talked with an interactor, and no file is its output")
    files: list[RerunFileView]
