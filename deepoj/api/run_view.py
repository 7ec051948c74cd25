"""A custom run as its author sees it.

A program prints bytes, JSON carries text. What is UTF-8 is shown as it is, NUL included. What is not is shown twice: as
text with U+FFFD in the place of what cannot be read, and byte for byte in base64. A character that was cut in two where
the output was cut is neither: the text ends before it.
"""

from __future__ import annotations

import base64
from typing import Any

from deepoj.api.models import RunData, RunView
from deepoj.words import CustomRun, State

_QUEUING = "Queuing"
_RUNNING = "Running"


def run_view(run: CustomRun) -> RunView:
    """The body of ``GET /api/v1/run/{run_id}``, and of the event ``done``."""
    return RunView(
        run_id=run.run_id,
        status=status_word(run),
        state=run.state,
        data=_data(run) if run.state is State.DONE else None,
    )


def status_word(run: CustomRun) -> str:
    """``Queuing`` or ``Running`` until it is done, then what it came to."""
    match run.state:
        case State.PENDING:
            return _QUEUING
        case State.PROCESSING:
            return _RUNNING
        case State.DONE | State.DEAD:
            return run.status


def _data(run: CustomRun) -> RunData:
    measured: dict[str, Any] = {name: value for name, value in (run.result or {}).items() if name != "status"}
    stdout, stdout_base64 = shown(run.stdout, is_cut=bool(measured.get("truncated_stdout")))
    stderr, stderr_base64 = shown(run.stderr, is_cut=bool(measured.get("truncated_stderr")))
    return RunData.model_validate(
        measured
        | {
            "attempt_id": run.attempt_id,
            "language": run.language,
            "time_limit": run.time_limit_ms,
            "memory_limit": run.memory_limit_kb,
            "stdout": stdout,
            "stdout_base64": stdout_base64,
            "stderr": stderr,
            "stderr_base64": stderr_base64,
            "error_code": run.error_code,
        }
    )


def shown(raw: bytes, *, is_cut: bool) -> tuple[str, str | None]:
    """Text, and base64 where the text is not all there is to it."""
    try:
        return raw.decode("utf-8"), None
    except UnicodeDecodeError as error:
        if is_cut and error.end == len(raw) and error.reason == "unexpected end of data":
            return raw[: error.start].decode("utf-8"), None
    return raw.decode("utf-8", "replace"), base64.b64encode(raw).decode("ascii")
