"""Logs: ``log("claim", job_id=…, attempt_id=…)`` writes one JSON object per line to stderr.

It has ``ts``, ``level``, ``event`` and a ``msg`` that begins ``event=claim``. A field must be declared in ``fields``.
Repeated lines are written once, and then counted (:class:`deepoj.observe.throttle.Throttle`).

Lines go through the standard library's logging, which also carries those of other libraries.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType, TracebackType
from typing import Any, Literal, TextIO

from deepoj.observe.fields import EventDict, drop_secrets, name_undeclared, refuse_undeclared
from deepoj.observe.throttle import Clock, Throttle

LogStyle = Literal["auto", "json", "human"]
Level = Literal["debug", "info", "warning", "error"]
type ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]
LEVELS: Mapping[Level, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40}

#: logger of our own lines; records of all others are lines of libraries
_OURS = logging.getLogger("deepoj")
_NAMES = {**{number: name for name, number in LEVELS.items()}, 50: "critical"}
_BOUND: ContextVar[Mapping[str, object]] = ContextVar("fields of every line", default=MappingProxyType({}))

# escape sequences of terminals
_RESET, _BOLD, _DIM, _MAGENTA, _CYAN = "\033[0m", "\033[1m", "\033[2m", "\033[35m", "\033[36m"
_COLORS = {"debug": "\033[32m", "info": "\033[32m", "warning": "\033[33m", "error": "\033[31m", "critical": "\033[31m"}
#: characters that put a value into quotes in a line for people
_QUOTED = frozenset(" \t=\r\n\"'")


def log(
    event: str,
    /,
    *,
    level: Level = "info",
    text: str = "",
    often: bool = False,
    exc_info: ExcInfo | Literal[True] | None = None,
    **fields: object,
) -> None:
    """Write one line. ``event`` is a word such as ``db_finalize_ok``; ``text`` follows it in ``msg``. ``often``: not a
    complaint, but throttled like one. ``exc_info``: with a traceback; True is that of the exception being caught."""
    if text:
        fields["text"] = text
    if often:
        fields["often"] = True
    number = LEVELS[level]
    if _OURS.isEnabledFor(number):
        # not by Logger.log: it looks for the caller's file on the stack, which is a seventh of a line's time
        exception = sys.exc_info() if exc_info is True else exc_info
        record = logging.LogRecord(_OURS.name, number, "", 0, event, (), exception)
        record.__dict__["fields"] = {**_BOUND.get(), **fields}
        _OURS.handle(record)


@contextlib.contextmanager
def bound(**fields: object) -> Iterator[None]:
    """Add fields to every line written by this task and the tasks it starts, for instance ``bound(trace_id=…)``."""
    token = _BOUND.set({**_BOUND.get(), **fields})
    try:
        yield
    finally:
        _BOUND.reset(token)


def flush() -> None:
    """Write the lines that have only been counted so far; for the end of the process."""
    for handler in logging.getLogger().handlers:
        handler.flush()


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
    root = logging.getLogger()
    root.handlers = [
        _Lines(out, _human_renderer(out) if human else render_json, strict=strict, throttle_s=throttle_s, clock=clock)
    ]
    root.setLevel(logging.WARNING)
    _OURS.setLevel(level.upper())


class _Lines(logging.Handler):
    """Writes each record as a line: ours with their fields, those of libraries as event ``library``."""

    def __init__(
        self,
        out: TextIO,
        render: Callable[[EventDict], str],
        *,
        strict: bool,
        throttle_s: float,
        clock: Clock,
    ) -> None:
        super().__init__()
        self._out = out
        self._render = render
        self._check = refuse_undeclared if strict else name_undeclared
        self._throttle = Throttle(throttle_s, self._write, clock)

    def emit(self, record: logging.LogRecord) -> None:
        level = _NAMES.get(record.levelno, "warning")
        fields: dict[str, Any] = {"event": record.msg, "level": level, "ts": record.created}
        if record.name == _OURS.name:
            fields |= record.__dict__["fields"]
        else:
            fields |= {"event": "library", "text": record.getMessage(), "logger": record.name}
        if record.exc_info and record.exc_info[0] is not None:
            fields["exc_info"] = record.exc_info
        line = self._throttle(self._check(drop_secrets(fields)))
        if line is not None:
            self._write(line)

    def flush(self) -> None:
        self._throttle.flush()

    def _write(self, fields: EventDict) -> None:
        self._out.write(f"{self._render(fields)}\n")
        self._out.flush()


def render_json(fields: EventDict) -> str:
    """Render one line, with the leading keys always in the same order. ``msg`` begins with ``event=<event>``: the
    runbook's greps look for it."""
    event, text, exc_info = fields.pop("event"), fields.pop("text", ""), fields.pop("exc_info", None)
    first = {
        "ts": datetime.fromtimestamp(fields.pop("ts"), UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "level": fields.pop("level"),
        "event": event,
        "msg": f"event={event} {text}" if text else f"event={event}",
    }
    if exc_info is not None:
        fields["exception"] = _traceback(exc_info)
    return json.dumps({**first, **fields}, ensure_ascii=False, default=str)


def _human_renderer(out: TextIO) -> Callable[[EventDict], str]:
    from rich.console import Console  # noqa: PLC0415 - a node that writes JSON never loads it

    terminal = Console(file=out)
    in_place = out.isatty() and not terminal.is_dumb_terminal
    in_color = in_place and not terminal.no_color

    def paint(text: str, *codes: str) -> str:
        return f"{''.join(codes)}{text}{_RESET}" if in_color else text

    def render(fields: EventDict) -> str:
        level, text = fields.pop("level"), fields.pop("text", "")
        event, exc_info = fields.pop("event"), fields.pop("exc_info", None)
        words = [
            paint(time.strftime("%H:%M:%S", time.localtime(fields.pop("ts"))), _DIM),
            f"[{paint(level, _BOLD, _COLORS[level])}]",
            paint(f"{event}: {text}" if text else event, _BOLD),
            *(f"{paint(name, _CYAN)}={paint(_quoted(value), _MAGENTA)}" for name, value in sorted(fields.items())),
        ]
        # the line is cleared first: it may hold progress (``cli/start_view.py``)
        line = ("\033[K" if in_place else "") + " ".join(words)
        return line if exc_info is None else f"{line}\n{_traceback(exc_info)}"

    return render


def _quoted(value: object) -> str:
    return value if isinstance(value, str) and _QUOTED.isdisjoint(value) else repr(value)


def _traceback(exc_info: ExcInfo) -> str:
    """Return a plain traceback: one with local variables would show passwords and users' code."""
    return "".join(traceback.format_exception(*exc_info)).rstrip("\n")
