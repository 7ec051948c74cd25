"""Fixtures of the tests against real PostgreSQL; a ``conftest.py`` that wants them imports them from here.

One server of each kind a session, one fresh database a test: cloned from a template that is migrated once, in which
the ids of each table start elsewhere (users 1000, problems 2000, …), so that a wrong join cannot pass by luck. Cloning
takes a quarter of a second, so a database whose schema a test has left alone is emptied and handed out again.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import trio

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.migrations import Migrator
from tests.servers import POSTGRES_KINDS, PostgresServer, ServerMissing, postgres_server

TEMPLATE = "migrated"
FIRST_IDS = {
    "users": 1000,
    "problems": 2000,
    "submissions": 3000,
    "outbox_events": 4000,
    "attempts": 5000,
    "rejudges": 6000,
}
#: those that are emptied, and that of the migrations
TABLES = (*FIRST_IDS, "judgings", "node_languages", "live_tests")


#: fails when a test has made or dropped a table: then the database is not worth keeping
EMPTY = f"""
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid();
DO $$ BEGIN
    ASSERT (SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace)
        = {len(TABLES) + 1};
END $$;
TRUNCATE {", ".join(TABLES)} RESTART IDENTITY;
"""


async def _migrate(dsn: str) -> None:
    async with AioBridge.open() as bridge:
        await Migrator(bridge, dsn).migrate()


def migrate(dsn: str) -> None:
    """Migrates in a Trio run of its own thread, for fixtures are made inside a test's run."""
    with ThreadPoolExecutor(1) as threads:
        threads.submit(trio.run, _migrate, dsn).result()


@contextlib.contextmanager
def migrated_server(kind: str) -> Iterator[PostgresServer]:
    """A server with the template in place; a missing one fails the test with a sentence."""
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(postgres_server(kind))
        except ServerMissing as missing:
            pytest.fail(str(missing), pytrace=False)
        server.psql(f"CREATE DATABASE {TEMPLATE}")
        migrate(server.dsn(TEMPLATE))
        for table, first in FIRST_IDS.items():
            server.psql(f"ALTER TABLE {table} ALTER COLUMN id SET START {first} RESTART", TEMPLATE)
        yield server


@pytest.fixture(scope="session")
def postgres_embedded() -> Iterator[PostgresServer]:
    with migrated_server("embedded") as server:
        yield server


@pytest.fixture(scope="session")
def postgres_debian() -> Iterator[PostgresServer]:
    with migrated_server("debian") as server:
        yield server


def server_of(request: pytest.FixtureRequest, kind: str) -> PostgresServer:
    """The session's server of a kind: kill it in no test."""
    server: PostgresServer = request.getfixturevalue(f"postgres_{kind}")
    return server


@pytest.fixture(params=POSTGRES_KINDS)
def postgres(request: pytest.FixtureRequest) -> PostgresServer:
    """The session's server, of each kind."""
    return server_of(request, request.param)


@contextlib.contextmanager
def fresh_database(server: PostgresServer) -> Iterator[str]:
    """The name of a fresh, migrated database."""
    name = server.emptied.pop() if server.emptied else server.create_database(TEMPLATE)
    try:
        yield name
    finally:
        try:
            server.psql(EMPTY, name)
        except RuntimeError:
            server.psql(f"DROP DATABASE {name} WITH (FORCE)")
        else:
            server.emptied.append(name)


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[str]:
    """A fresh, migrated database on ``postgres``."""
    with fresh_database(postgres) as name:
        yield name


@pytest.fixture
async def bridge() -> AsyncIterator[AioBridge]:
    async with AioBridge.open() as opened:
        yield opened
