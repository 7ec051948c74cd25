"""Playground runs."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from deepoj.api.models.base import RequestModel, ResponseModel
from deepoj.api.models.languages import LANGUAGE_NUMBERS, LANGUAGE_VALUES
from deepoj.judging.outputs import OUTPUTS


class RunBody(RequestModel):
    """A program and the input to run it on."""

    language: int | str = Field(
        description="number (1 C++, 2 Java, 3 Python, 4 Go) or key (cpp17, …)",
        json_schema_extra={"enum": [*LANGUAGE_NUMBERS, *(name for name in LANGUAGE_VALUES if name != OUTPUTS.key)]},
    )
    code: str = Field(description="source text, at most 65,536 bytes in UTF-8, without NUL")
    stdin: str = Field("", description="the program's standard input in UTF-8: at most 262,144 bytes; NUL is allowed")
    time_limit: int | None = Field(
        None, ge=1, description="CPU milliseconds; default and maximum are set by the operator"
    )
    memory_limit: int | None = Field(None, ge=1, description="KB; as time_limit")


class RunTaken(ResponseModel):
    """The run that was accepted."""

    run_id: str


class RunCompile(ResponseModel):
    """Result of the compilation."""

    ok: bool
    time_ms: int
    output: str


class RunData(ResponseModel):
    """Result of a run. Measurements are null if the program was not run."""

    attempt_id: int
    language: str
    time_limit: int = Field(description="CPU milliseconds, as applied")
    memory_limit: int = Field(description="KB, as applied")
    trace_id: str | None = None
    isolation: str | None = None
    compile: RunCompile | None = Field(None, description="null if the language has no compilation")
    time_used: int | None = Field(None, description="CPU milliseconds")
    wall_time: int | None = Field(None, description="milliseconds")
    memory_used: int | None = Field(None, description="KB")
    exit_code: int | None = None
    exit_signal: int | None = Field(None, description="0 if the program was not ended by a signal")
    stdout: str | None = Field(description="the part of the output that was kept; null if it is in stdout_base64")
    stdout_base64: str | None = Field(description="output that is not UTF-8 text; null if it is in stdout")
    stdout_len: int = Field(0, description="total bytes of output")
    truncated_stdout: bool = Field(False, description="true if only the beginning was kept")
    stderr: str | None = Field(description="as stdout")
    stderr_base64: str | None = Field(description="as stdout_base64")
    stderr_len: int = 0
    truncated_stderr: bool = False
    explanation: list[dict[str, Any]] = Field([], description="machine-readable reasons why a run did not finish")
    error_code: str | None = Field(
        description="for System Error: ATTEMPTS_EXHAUSTED (failed twice because of the system), or RUN_EXPIRED (no"
        " node had a free slot in time); send the run again"
    )


class RunView(ResponseModel):
    """State and result of a run."""

    run_id: str
    status: str = Field(
        description="Queuing, Running, then Finished, Compile Error, Runtime Error, Time Limit Exceeded, Memory Limit"
        " Exceeded, Output Limit Exceeded or System Error"
    )
    state: str = Field(description="pending, processing or done")
    data: RunData | None = Field(description="the result, once there is one")
