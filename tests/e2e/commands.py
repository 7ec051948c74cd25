"""``deepoj`` commands within this process, for what a command answers: one of its own costs a second of CPU, most of it
to load the program. That the program and its scripts hand on words, answers and exit codes is for tests that start
them."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import subprocess
from collections.abc import Iterator, Mapping
from unittest import mock

import structlog

from deepoj.cli import run


def command(*args: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a command line with this environment and no other variable; what a process would have ended with."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, env or {}, clear=True),
        _logs_kept(),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = run(args)
    return subprocess.CompletedProcess(["deepoj", *args], code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def _logs_kept() -> Iterator[None]:
    """A command sets up the logs of its process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        structlog.reset_defaults()
        root.handlers[:] = handlers
        root.setLevel(level)
