"""Homes for nodes. One node may be shared by the tests that only talk to it, and so may the servers of a deployment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cluster import Servers, servers_running
from tests.e2e.nodes import Node, running


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """``deepoj up``, shared by a module's tests. Its heart beats fast, so that ordinary jobs last for some beats."""
    with running(tmp_path_factory.mktemp("shared") / "home", env={"JOB_HEARTBEAT_SEC": "0.2"}) as up:
        yield up


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Whoever takes one away puts it back."""
    with servers_running(tmp_path_factory.mktemp("objects")) as found:
        yield found
