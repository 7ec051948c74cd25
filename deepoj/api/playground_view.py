"""Converts a custom run to its API response.

Programs print bytes, JSON contains text. Output is sent as text if it is UTF-8 (NUL included), else in base64. Text
that JSON would escape almost everywhere is sent in base64 too, so a response is at most about three times as large as
the kept output. If truncation split a character, the text ends before this character.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from deepoj.api.models.playground import RunData, RunView
from deepoj.words.jobs import State
from deepoj.words.playground import CustomRun

_QUEUING = "Queuing"
_RUNNING = "Running"
#: maximum growth of text by escaping. JSON escapes a 2-byte letter, or a 1-byte control character, as 6 bytes
_ESCAPED_MAX = 3
#: output up to this length is sent as text even if all of it is escaped
_SHORT_BYTES = 4096


def run_view(run: CustomRun) -> RunView:
    """Return the body of ``GET /api/v1/run/{run_id}`` and of the event ``done``."""
    return RunView(
        run_id=run.run_id,
        status=status_word(run),
        state=run.state,
        data=_data(run) if run.state is State.DONE else None,
    )


def status_word(run: CustomRun) -> str:
    """Return ``Queuing`` or ``Running`` until the run is done, then its outcome."""
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


def shown(raw: bytes, *, is_cut: bool) -> tuple[str | None, str | None]:
    """Return the output as text and as base64; one of them is None."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        if not (is_cut and error.end == len(raw) and error.reason == "unexpected end of data"):
            return None, base64.b64encode(raw).decode("ascii")
        text = raw[: error.start].decode("utf-8")
    if len(raw) > _SHORT_BYTES and len(json.dumps(text)) > _ESCAPED_MAX * len(raw):
        return None, base64.b64encode(raw).decode("ascii")
    return text, None
