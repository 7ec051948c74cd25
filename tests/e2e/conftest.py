"""Homes for nodes. One node may be shared by the tests that only talk to it, and so may the servers of a deployment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.cluster import Servers, servers_running
from tests.e2e.nodes import Node, running
from tests.fakes.github import CLIENT_ID, CLIENT_SECRET, FakeGithub, fake_github


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """``deepoj up``, shared by the tests of a module, with frequent heartbeats, so that ordinary jobs have some."""
    with running(tmp_path_factory.mktemp("shared") / "home", env={"JOB_HEARTBEAT_SEC": "0.2"}) as up:
        yield up


@dataclass(frozen=True)
class House:
    """A node for all modules that only talk to it; it takes logins by a fake GitHub and callbacks to this host."""

    node: Node
    home: Path
    github: FakeGithub


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    home = tmp_path_factory.mktemp("house") / "home"
    redirect = "http://127.0.0.1:18080/api/v1/auth/github/callback"
    with fake_github(redirect) as github:
        env = {
            "GITHUB_CLIENT_ID": CLIENT_ID,
            "GITHUB_CLIENT_SECRET": CLIENT_SECRET,
            "GITHUB_REDIRECT_URL": redirect,
            "DEEPOJ_API_AUTH_OAUTH_GITHUB_BASE_URL": github.url,
            "DEEPOJ_API_AUTH_OAUTH_GITHUB_API_URL": f"{github.url}/api",
            "WEBHOOKS_PRIVATE_NETWORKS": "127.0.0.0/8",
            "WEBHOOKS_POLL_INTERVAL_MS": "250",
            "WEBHOOKS_RETRY_BASE_MS": "50",
        }
        with running(home, env=env) as node:
            yield House(node, home, github)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Shared servers: a test that stops one starts it again."""
    with servers_running(tmp_path_factory.mktemp("objects")) as found:
        yield found
