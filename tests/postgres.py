"""Fixtures of the tests against real PostgreSQL; a ``conftest.py`` that wants them imports them from here.

One server of each kind a worker, its data made once for all workers, and one fresh database a test: cloned from a
template in which the ids of each table start elsewhere (users 1000, problems 2000, …), so that a wrong join cannot pass
by luck. Cloning takes most of a second on a busy machine, so a database of which a test has changed no more than rows
is emptied and handed out again.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import trio

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.pg.migrations import Migrator
from tests.once import made_once
from tests.servers import POSTGRES_KINDS, STRANGER, PostgresServer, ServerMissing, postgres_server

#: migrated and empty databases to clone: for tests of one process, with ids of ``FIRST_IDS``; and for nodes
TEMPLATE, OF_NODES = "migrated", "of_nodes"
FIRST_IDS = {
    "users": 1000,
    "problems": 2000,
    "submissions": 3000,
    "outbox_events": 4000,
    "attempts": 5000,
    "rejudges": 6000,
}
#: size of a used table that is not truncated: the planner takes an empty one for as large
KEPT_BYTES = 10 * 8192
#: what describes a database, apart from its relations: changed by what changes more than rows, not by a TRUNCATE
CATALOGS = (
    "pg_attribute", "pg_attrdef", "pg_index", "pg_constraint", "pg_trigger", "pg_proc", "pg_type", "pg_sequence",
    "pg_statistic", "pg_statistic_ext", "schema_migrations",
)  # fmt: skip
#: tells a database whose catalogs are as the template's from all others. A clone keeps the rows and who wrote them
#: (xmin); to spell the definitions out would load each of them, which takes longer than to make a new database.
SHAPE = f"""
SELECT md5(concat_ws(' ',
    (SELECT string_agg(concat_ws(' ', relname, relkind, relacl, reloptions), ' ' ORDER BY relname)
        FROM pg_class WHERE relnamespace = 'public'::regnamespace),
    (SELECT string_agg(nspname, ' ' ORDER BY nspname) FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%'),
    (SELECT string_agg(concat_ws(' ', setrole, setconfig), ' ' ORDER BY setrole) FROM pg_db_role_setting
        JOIN pg_database ON pg_database.oid = setdatabase WHERE datname = current_database()),
    {", ".join(f"(SELECT concat(count(*), ' ', sum(xmin::text::bigint)) FROM {name})" for name in CATALOGS)}
))
"""


def emptying(shape: str) -> str:
    """Statements that empty a database, or fail when a test has changed more than rows: then it is not worth keeping.

    A table without a page has never had a row; its sequence can have been asked all the same, by an insert that was
    refused. The rows of a small table are deleted: to truncate it costs a new file for it, for each index and for each
    table that refers to it, which took longer than most tests. So dead rows stay, but on no more pages than the planner
    expects of an empty table.
    """
    return f"""
SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid();
DO $$
DECLARE
    used record;
    large text;
BEGIN
    ASSERT ({SHAPE}) = '{shape}';
    SET LOCAL client_min_messages = warning;  -- TRUNCATE would name each table that refers to these
    SET LOCAL session_replication_role = replica;  -- fires no trigger: the log of administrative acts refuses it
    FOR used IN SELECT oid::regclass::text AS name,
            greatest(pg_relation_size(oid), pg_relation_size(reltoastrelid)) > {KEPT_BYTES} AS is_large
        FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'schema_migrations'
            AND pg_relation_size(oid) > 0
    LOOP
        IF used.is_large THEN
            large := concat_ws(', ', large, used.name);
        ELSE
            EXECUTE 'DELETE FROM ' || used.name;
        END IF;
    END LOOP;
    IF large IS NOT NULL THEN
        EXECUTE 'TRUNCATE ' || large || ' RESTART IDENTITY CASCADE';
    END IF;
    PERFORM setval(quote_ident(sequencename)::regclass, start_value, false) FROM pg_sequences
        WHERE schemaname = 'public' AND last_value IS NOT NULL;
END $$;
"""


async def _migrate(dsn: str) -> None:
    async with AioBridge.open() as bridge:
        await Migrator(bridge, dsn).migrate()


def migrate(dsn: str) -> None:
    """Migrates in a Trio run of its own thread, for fixtures are made inside a test's run."""
    with ThreadPoolExecutor(1) as threads:
        threads.submit(trio.run, _migrate, dsn).result()


def _make_cluster(kind: str, place: Path) -> None:
    """Leave the data of a stopped server with both templates, and the statements that empty a clone of ``TEMPLATE``."""
    with postgres_server(kind) as server:
        server.psql(f"CREATE ROLE {STRANGER} LOGIN PASSWORD 'right'")
        server.psql(f"CREATE DATABASE {OF_NODES}")
        migrate(server.dsn(OF_NODES))
        server.psql(f"CREATE DATABASE {TEMPLATE} TEMPLATE {OF_NODES}")
        for table, first in FIRST_IDS.items():
            server.psql(f"ALTER TABLE {table} ALTER COLUMN id SET START {first} RESTART", TEMPLATE)
        (place / "emptying").write_text(emptying(server.psql(SHAPE, TEMPLATE)))
        server.stop(signal.SIGINT)
        subprocess.run(["cp", "-a", server.data, place / "data"], check=True)


@contextlib.contextmanager
def migrated_server(kind: str) -> Iterator[PostgresServer]:
    """A server with the templates in place; a missing one fails the test with a sentence."""
    with contextlib.ExitStack() as stack:
        try:
            made = made_once(f"postgres-{kind}", partial(_make_cluster, kind))
            server = stack.enter_context(postgres_server(kind, made / "data"))
        except ServerMissing as missing:
            pytest.fail(str(missing), pytrace=False)
        server.emptying = (made / "emptying").read_text()
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
            server.psql(server.emptying, name)
        except RuntimeError:
            server.drop_database(name)
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
