"""Logs are the process's: a test whose command sets them up has to put them back."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import structlog


@contextlib.contextmanager
def logs_put_back() -> Iterator[None]:
    """Whatever is set up inside is undone."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    try:
        yield
    finally:
        structlog.reset_defaults()
        root.handlers, root.level = handlers, level
