"""Logs: ``log("claim", job_id=…, attempt_id=…)`` writes one JSON object per line to stderr.

It has ``ts``, ``level``, ``event`` and a ``msg`` that begins ``event=claim``. A field must be declared in ``fields``.
Repeated lines are written once, and then counted (:class:`deepoj.observe.throttle.Throttle`).
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any, Literal, TextIO

import structlog

from deepoj.observe.fields import EventDict, drop_secrets, name_undeclared, refuse_undeclared
from deepoj.observe.throttle import Clock, Throttle

LogStyle = Literal["auto", "json", "human"]
Level = Literal["debug", "info", "warning", "error"]
LEVELS: Mapping[Level, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def log(event: str, /, *, level: Level = "info", text: str = "", often: bool = False, **fields: object) -> None:
    """Write one line. ``event`` is a word such as ``db_finalize_ok``; ``text`` follows it in ``msg``. ``often``: not a
    complaint, but throttled like one."""
    extra = {"text": text} if text else {}
    logger().log(LEVELS[level], event, **extra, **({"often": True} if often else {}), **fields)


def logger() -> structlog.typing.FilteringBoundLogger:
    """Return the logger, for what :func:`log` cannot do: tracebacks (``logger().exception("event", …)``)."""
    bound_logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return bound_logger


@contextlib.contextmanager
def bound(**fields: object) -> Iterator[None]:
    """Add fields to every line written by this task and the tasks it starts, for instance ``bound(trace_id=…)``."""
    with structlog.contextvars.bound_contextvars(**fields):
        yield


def flush() -> None:
    """Write the lines that have only been counted so far; for the end of the process."""
    for processor in structlog.get_config()["processors"]:
        if isinstance(processor, Throttle):
            processor.flush()


def configure(
    style: LogStyle = "json",
    *,
    level: str = "info",
    stream: TextIO | None = None,
    strict: bool = False,
    throttle_s: float = 0.0,
    clock: Clock = time.monotonic,
) -> None:
    """Set up the logs of the process. Warnings and worse of the standard library's loggers are included.

    ``auto`` is ``human`` on a terminal and ``json`` elsewhere. ``strict`` (tests) raises UndeclaredField. Otherwise an
    undeclared field is left out of the line and named in ``undeclared``, because undeclared fields were not checked for
    secrets. ``throttle_s``: see :class:`Throttle`; 0 writes every line.
    """
    out = sys.stderr if stream is None else stream
    human = style == "human" or (style == "auto" and out.isatty())
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if human else "iso", utc=not human, key="ts"),
        drop_secrets,
        refuse_undeclared if strict else name_undeclared,
    ]
    rendering: list[structlog.typing.Processor]
    if human:
        from rich.console import Console  # noqa: PLC0415 - a node that writes JSON never loads it

        terminal = Console(file=out)
        in_place = out.isatty() and not terminal.is_dumb_terminal
        # A plain traceback: the coloured ones print local variables, and with them passwords and users' code.
        plain = structlog.dev.plain_traceback
        console = structlog.dev.ConsoleRenderer(
            colors=in_place and not terminal.no_color,
            timestamp_key="ts",
            pad_event_to=0,
            pad_level=False,
            exception_formatter=plain,
        )
        rendering = [_human_text, console, *([_over_progress] if in_place else [])]
    else:
        rendering = [structlog.processors.format_exc_info, _message, render_json]

    def emit(line: EventDict) -> None:
        rendered: Any = line
        for processor in rendering:
            rendered = processor(None, "", rendered)
        out.write(f"{rendered}\n")
        out.flush()

    structlog.configure(
        processors=[*processors, Throttle(throttle_s, emit, clock), *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [_ToStructlog()]
    root.setLevel(logging.WARNING)


def _message(_logger: object, _method: str, fields: EventDict) -> EventDict:
    """Begin ``msg`` with ``event=<event>``: the runbook's greps look for it."""
    text = fields.pop("text", "")
    fields["msg"] = f"event={fields.get('event', '')}" + (f" {text}" if text else "")
    return fields


def _human_text(_logger: object, _method: str, fields: EventDict) -> EventDict:
    text = fields.pop("text", "")
    if text:
        fields["event"] = f"{fields.get('event', '')}: {text}"
    return fields


def _over_progress(_logger: object, _method: str, rendered: Any) -> str:
    """Clear the line first: it may hold progress (``cli/start_view.py``)."""
    return f"\033[K{rendered}"


def render_json(_logger: object, _method: str, fields: EventDict) -> str:
    """Render one line, with the leading keys always in the same order."""
    first = {name: fields.pop(name) for name in ("ts", "level", "event", "msg") if name in fields}
    return json.dumps({**first, **fields}, ensure_ascii=False, default=str)


class _ToStructlog(logging.Handler):
    """Passes lines of the standard library's loggers on to :func:`log`'s logger."""

    def emit(self, record: logging.LogRecord) -> None:
        exc_info = record.exc_info if record.exc_info and record.exc_info[0] is not None else None
        extra = {"exc_info": exc_info} if exc_info else {}
        level = record.levelno if record.levelno in (10, 20, 30, 40, 50) else logging.WARNING
        logger().log(level, "library", text=record.getMessage(), logger=record.name, **extra)
