"""Logs of the API's tests: rendered as in production (an undeclared field fails the test) and kept to look at."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest
import structlog

from deepoj import observe


@pytest.fixture(autouse=True)
def logged() -> Iterator[io.StringIO]:
    """The lines written so far."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    lines = io.StringIO()
    observe.configure("json", stream=lines, strict=True)
    yield lines
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)
