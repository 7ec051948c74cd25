"""Logging is configured per process: a test whose command configures it must restore it."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import time
from collections.abc import Iterator
from typing import Any

from deepoj.observe import configure
from deepoj.observe.throttle import Clock

type Lines = list[dict[str, Any]]


class _ParsedLines(io.StringIO):
    """A stream that appends each line, parsed, to a list."""

    def __init__(self, lines: Lines) -> None:
        super().__init__()
        self._lines = lines

    def write(self, line: str) -> int:
        self._lines.append(json.loads(line))
        return len(line)


@contextlib.contextmanager
def logs_put_back() -> Iterator[None]:
    """Restore the logging configuration on exit."""
    root, ours = logging.getLogger(), logging.getLogger("deepoj")
    handlers, level, our_level = root.handlers, root.level, ours.level
    try:
        yield
    finally:
        root.handlers = handlers
        root.setLevel(level)
        ours.setLevel(our_level)


@contextlib.contextmanager
def captured_logs(throttle_s: float = 0.0, clock: Clock = time.monotonic) -> Iterator[Lines]:
    """Yield a list of the lines of every level, to which new ones are appended."""
    with logs_put_back():
        lines: Lines = []
        configure("json", level="debug", stream=_ParsedLines(lines), throttle_s=throttle_s, clock=clock)
        yield lines
