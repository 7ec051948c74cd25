"""Fixtures of the fault tests."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.pg import PgStore
from deepoj.observe import Metrics
from tests.contract.labs import PgLab, new_problem, new_user
from tests.fault.scene import Mortals, Scene
from tests.fault.scene import mortals as mortals_in
from tests.mortal import open_stream
from tests.postgres import (
    bridge,
    database,
    fresh_database,
    postgres,
    postgres_debian,
    postgres_embedded,
    server_of,
)
from tests.servers_redis import RedisServer, running
from tests.unit.conftest import metrics

__all__ = [
    "bridge",
    "database",
    "metrics",
    "mortals",
    "postgres",
    "postgres_debian",
    "postgres_embedded",
    "scene",
    "valkey",
]


@pytest.fixture(scope="module")
def valkey() -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory(prefix="oj-") as path, running("valkey", Path(path)) as found:
        yield found


@pytest.fixture(scope="session")
def mortals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mortals]:
    with mortals_in(tmp_path_factory.mktemp("mortals")) as found:
        yield found


@pytest.fixture
async def scene(
    request: pytest.FixtureRequest, bridge: AioBridge, valkey: RedisServer, mortals: Mortals, metrics: Metrics
) -> AsyncIterator[Scene]:
    server = server_of(request, "embedded")
    namespace = f"test-{uuid.uuid4().hex}"
    with fresh_database(server) as database:
        async with (
            PgStore.open(bridge, server.dsn(database)) as store,
            open_stream(bridge, valkey.url, valkey.password, namespace, "healer") as stream,
        ):
            user_id, problem = await new_user(store), await new_problem(store)
            yield Scene(
                lab=PgLab(server, database, store),
                valkey=valkey,
                stream=stream,
                mortals=mortals,
                metrics=metrics,
                user_id=user_id,
                problem_id=problem.id,
            )
