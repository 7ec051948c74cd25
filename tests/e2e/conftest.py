"""Homes for nodes. One node may be shared by the tests that only talk to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.nodes import Node, running


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """``deepoj up``, shared by a module's tests."""
    with running(tmp_path_factory.mktemp("shared") / "home") as up:
        yield up
