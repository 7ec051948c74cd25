"""Exceptions of the real store and their sentences: without secrets, and no exception of asyncpg."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
import trio

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.pg import PgOutboxNotifications, PgStore
from deepoj.adapters.pg.errors import place_of
from deepoj.words.errors import Breakage, StoreRefused, StoreUnavailable
from deepoj.words.submissions import Submission
from tests.contract.labs import (
    SOON_S,
    PgLab,
    draft,
    holding,
    new_job,
    new_problem,
    submit,
)
from tests.postgres import fresh_database
from tests.servers import STRANGER, PostgresServer


@pytest.mark.parametrize(
    ("user", "name", "reason"),
    [
        (STRANGER, "postgres", "password"),
        ("nobody_we_know", "postgres", "nobody_we_know"),
        ("deepoj", "no_such_database", "no_such_database"),
    ],
)
async def test_a_server_that_refuses_us_says_why_and_no_secret(
    postgres: PostgresServer, bridge: AioBridge, user: str, name: str, reason: str
) -> None:
    dsn = postgres.dsn(name, user=user, password="wr0ng")
    async with PgStore.open(bridge, dsn) as store:
        with pytest.raises(StoreRefused, match=reason) as refused:
            await store.ping()
        assert "wr0ng" not in str(refused.value)
        with pytest.raises(StoreRefused):
            await store.warm()
    with pytest.raises(StoreRefused, match=reason):
        await PgOutboxNotifications(bridge, dsn).serve()


async def test_the_right_password_opens(postgres: PostgresServer, bridge: AioBridge) -> None:
    dsn = postgres.dsn("postgres", user=STRANGER, password="right")
    async with PgStore.open(bridge, dsn.replace("postgresql://", "postgres://") + "&sslmode=disable") as store:
        await store.ping()


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A bound port without a listener, so that no other process can take it."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


async def test_a_server_that_is_not_there_is_unavailable_and_named(bridge: AioBridge, closed_port: int) -> None:
    dsn = f"postgres://deep_oj:s3cret@127.0.0.1:{closed_port}/deep_oj?sslmode=disable"
    async with PgStore.open(bridge, dsn) as store:
        with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{closed_port}/deep_oj.*set DATABASE_URL$") as away:
            await store.ping()
        assert not isinstance(away.value, StoreRefused)
        assert "s3cret" not in str(away.value)
    async with PgStore.open(bridge, "postgres://a:s3cret@name.invalid/b") as store:
        with pytest.raises(StoreUnavailable, match=r"name\.invalid") as away:
            await store.ping()
        assert "s3cret" not in str(away.value)


async def test_a_url_that_is_none_is_refused_at_once(bridge: AioBridge) -> None:
    with pytest.raises(StoreRefused, match="postgres://"):
        async with PgStore.open(bridge, "mysql://root:s3cret@localhost/x"):
            pass


def test_places_carry_no_secret() -> None:
    assert place_of("postgres://u:s3cret@db:5433/oj?sslmode=require") == "db:5433/oj"
    assert place_of("postgresql://u:s3cret@/oj?host=/run/pg") == "/run/pg/oj"


async def test_a_missing_schema_says_what_to_do(postgres: PostgresServer, bridge: AioBridge) -> None:
    with fresh_database(postgres) as name:
        postgres.psql("DROP TABLE outbox_events, submissions, problems, users CASCADE", name)
        async with PgStore.open(bridge, postgres.dsn(name)) as store:
            with pytest.raises(StoreUnavailable, match="migrat"):
                await store.accounts.credentials("alice")


async def test_a_statement_that_no_server_would_take_is_a_bug_of_ours(real: PgLab) -> None:
    problem = await new_problem(real.store)
    with pytest.raises(Breakage, match="23503") as bug:
        await submit(real.store, draft(999_999, problem.id))
    assert not isinstance(bug.value, StoreUnavailable)
    await real.pg_store.ping()


async def test_a_pool_that_is_used_up_says_so_in_time(
    postgres: PostgresServer, database: str, bridge: AioBridge
) -> None:
    async with PgStore.open(bridge, postgres.dsn(database), max_conns=1) as store:
        lab = PgLab(postgres, database, store)
        async with holding(lab, "SELECT 1") as end:
            patience_s, store._pool._acquire_timeout_s = store._pool._acquire_timeout_s, 0.05
            with pytest.raises(StoreUnavailable, match="busy"):
                await store.ping()
            store._pool._acquire_timeout_s = patience_s  # enough for a slow machine, too
            end("rollback")
        await store.ping()


async def test_a_statement_that_takes_too_long_is_given_up(
    postgres: PostgresServer, database: str, bridge: AioBridge
) -> None:
    async with (
        PgStore.open(bridge, postgres.dsn(database)) as patient,
        PgStore.open(bridge, postgres.dsn(database), command_timeout_s=0.3) as store,
    ):
        lab = PgLab(postgres, database, patient)
        job_id = await new_job(lab)
        async with holding(lab, "LOCK TABLE submissions") as end:
            with pytest.raises(StoreUnavailable, match="in time"):
                await store.submissions.submission(job_id)
            end("rollback")
        with trio.fail_after(SOON_S):
            while await answered(store, job_id) is None:
                await trio.sleep(0.01)


async def answered(store: PgStore, job_id: str) -> Submission | None:
    """Return the answer; None if the machine is so slow that the deadline passed again."""
    try:
        return await store.submissions.submission(job_id)
    except StoreUnavailable:
        return None
