"""Fixtures of the unit tests."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from deepoj.observe import Metrics
from tests.logs import logs_put_back


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Undo what a test, or a command that it calls, sets up for logs: a later test reads the output of another."""
    with logs_put_back():
        yield


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A bound port of 127.0.0.1 that refuses connections."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]
