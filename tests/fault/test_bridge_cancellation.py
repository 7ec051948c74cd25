"""The contract of cancellation over the bridge, against real PostgreSQL.

After a cancellation at any moment the pool is complete, no query of ours runs on the server, no caller reads another's
reply, and no transaction is half done.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import trio

from deepoj.adapters import aio_bridge
from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.pg import PgStore
from deepoj.words.errors import StoreUnavailable
from deepoj.words.jobs import Claim
from deepoj.words.submissions import Receipt
from tests.contract.labs import (
    LEASE_S,
    NODE,
    SOON_S,
    PgLab,
    draft,
    entry,
    new_problem,
    new_user,
    report,
    submit,
)
from tests.servers import PostgresServer

CONNECTIONS = 4
CALLERS = 12
ROUNDS = 200


@pytest.fixture
async def lab(postgres: PostgresServer, database: str, bridge: AioBridge) -> AsyncIterator[PgLab]:
    async with PgStore.open(bridge, postgres.dsn(database), min_conns=CONNECTIONS, max_conns=CONNECTIONS) as store:
        yield PgLab(postgres, database, store)


def backends(lab: PgLab, condition: str) -> int:
    """Return the number of our sessions on this database for which the condition holds."""
    return int(
        lab.sql(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'deepoj' "
            f"AND datname = current_database() AND {condition}"
        )
    )


async def until(lab: PgLab, condition: str, count: int) -> None:
    with trio.fail_after(SOON_S):
        while backends(lab, condition) != count:
            await trio.sleep(0.01)


async def assert_whole(lab: PgLab) -> None:
    """Assert that every connection is back in the pool, open, idle on the server, and answers its own query."""
    pool: Any = lab.pg_store._pool._pool
    assert pool._queue.qsize() == CONNECTIONS
    assert all(holder.is_idle() for holder in pool._holders)
    await until(lab, "state <> 'idle'", 0)  # a server process sees a little later that its connection was closed
    answers: dict[int, int] = {}
    async with trio.open_nursery() as nursery:
        for tag in range(3 * CONNECTIONS):
            nursery.start_soon(ask, lab, tag, 0.0, answers)
    assert answers == {tag: tag for tag in range(3 * CONNECTIONS)}
    assert pool.get_size() <= CONNECTIONS


async def ask(lab: PgLab, tag: int, sleep_s: float, answers: dict[int, int]) -> None:
    """Run a query that takes ``sleep_s`` on the server and returns its own tag."""

    async def work(connection: Any, _again: bool) -> int:
        value: int = await connection.fetchval("SELECT $1::int FROM pg_sleep($2)", tag, sleep_s)
        return value

    answers[tag] = await lab.pg_store._pool.do(work, repeatable=True)


async def test_cancelled_in_a_query(lab: PgLab) -> None:
    for _ in range(3):
        async with trio.open_nursery() as nursery:
            for tag in range(CONNECTIONS):
                nursery.start_soon(ask, lab, tag, 600.0, {})
            await until(lab, "wait_event = 'PgSleep'", CONNECTIONS)
            nursery.cancel_scope.cancel()
        await assert_whole(lab)


async def test_cancelled_in_a_transaction(lab: PgLab) -> None:
    async def work(connection: Any, _again: bool) -> None:
        async with connection.transaction():
            await connection.execute("INSERT INTO users (username, password_hash) VALUES ('half', 'h')")
            await connection.execute("SELECT pg_sleep(600)")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: lab.pg_store._pool.do(work, repeatable=False))
        await until(lab, "wait_event = 'PgSleep'", 1)
        nursery.cancel_scope.cancel()
    await assert_whole(lab)
    assert lab.sql("SELECT count(*) FROM users") == "0"


async def test_cancelled_between_two_statements_of_a_transaction(lab: PgLab) -> None:
    async def work(connection: Any, _again: bool) -> None:
        async with connection.transaction():
            await connection.execute("INSERT INTO users (username, password_hash) VALUES ('half', 'h')")
            await aio_bridge.sleep(600)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: lab.pg_store._pool.do(work, repeatable=False))
        await until(lab, "state = 'idle in transaction'", 1)
        nursery.cancel_scope.cancel()
    await assert_whole(lab)
    assert lab.sql("SELECT count(*) FROM users") == "0"


async def test_cancelled_while_waiting_for_a_lock(lab: PgLab) -> None:
    await new_user(lab.store)
    taken = trio.Event()
    token = trio.lowlevel.current_trio_token()

    async def hold(connection: Any, _again: bool) -> None:
        async with connection.transaction():
            await connection.execute("LOCK TABLE users")
            token.run_sync_soon(taken.set)
            await connection.execute("SELECT pg_sleep(600)")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: lab.pg_store._pool.do(hold, repeatable=False))
        await taken.wait()
        async with trio.open_nursery() as waiters:
            for _ in range(CONNECTIONS - 1):
                waiters.start_soon(lab.store.accounts.credentials, "alice")
            await until(lab, "wait_event_type = 'Lock'", CONNECTIONS - 1)
            waiters.cancel_scope.cancel()
        assert backends(lab, "wait_event_type = 'Lock'") == 0
        nursery.cancel_scope.cancel()
    await assert_whole(lab)


async def test_cancelled_while_waiting_for_a_connection(lab: PgLab) -> None:
    answers: dict[int, int] = {}
    async with trio.open_nursery() as holders:
        for tag in range(CONNECTIONS):
            holders.start_soon(ask, lab, tag, 600.0, answers)
        await until(lab, "wait_event = 'PgSleep'", CONNECTIONS)
        async with trio.open_nursery() as waiters:
            for tag in range(CALLERS):
                waiters.start_soon(ask, lab, 100 + tag, 0.0, answers)
            pool: Any = lab.pg_store._pool._pool
            with trio.fail_after(SOON_S):
                while len(pool._queue._getters) < CALLERS:
                    await trio.sleep(0.001)
            waiters.cancel_scope.cancel()
        assert answers == {}
        holders.cancel_scope.cancel()
    await assert_whole(lab)


async def test_cancelled_while_connecting_to_a_server_that_does_not_answer(lab: PgLab) -> None:
    assert lab.server.process is not None
    os.kill(lab.server.process.pid, signal.SIGSTOP)  # the kernel accepts the connection, no answer comes
    try:
        with trio.fail_after(SOON_S), trio.move_on_after(0.2) as scope:
            await ask(lab, 1, 0.0, {})
        assert scope.cancelled_caught
    finally:
        os.kill(lab.server.process.pid, signal.SIGCONT)
    await assert_whole(lab)


@pytest.mark.parametrize(("postgres", "seed"), [("embedded", 1), ("debian", 2)], indirect=["postgres"])
async def test_cancelled_at_random_times(lab: PgLab, seed: int) -> None:
    """200 rounds of a dozen callers, each cancelled at a random moment or never."""
    chance = random.Random(seed)
    finished = cancelled = 0
    tags = iter(range(1_000_000))

    async def call(tag: int, sleep_s: float, patience_s: float, answers: dict[int, int]) -> None:
        nonlocal finished, cancelled
        with trio.move_on_after(patience_s) as scope:
            await ask(lab, tag, sleep_s, answers)
        cancelled += scope.cancelled_caught
        finished += tag in answers

    for _ in range(ROUNDS):
        answers: dict[int, int] = {}
        async with trio.open_nursery() as nursery:
            for _ in range(CALLERS):
                patience_s = chance.choice([0.0, chance.uniform(0, 0.02), 60.0])
                nursery.start_soon(call, next(tags), chance.choice([0.0, 0.001, 0.004]), patience_s, answers)
        assert all(tag == value for tag, value in answers.items())
        pool: Any = lab.pg_store._pool._pool
        assert pool._queue.qsize() == CONNECTIONS
    await assert_whole(lab)
    # of thousands of calls many must have succeeded and many must have been cancelled
    assert finished > ROUNDS
    assert cancelled > ROUNDS


Step = Callable[[], Awaitable[object]]


@pytest.mark.parametrize(("postgres", "seed"), [("embedded", 3), ("debian", 4)], indirect=["postgres"])
async def test_the_walk_cancelled_at_random_times_is_never_half_done(lab: PgLab, seed: int) -> None:
    """After any cut: each row of submissions has its event, each state its ledger rows, each verdict one."""
    chance = random.Random(seed)
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)

    async def impatient[T](step: Awaitable[T]) -> T | None:
        with trio.move_on_after(chance.choice([0.0, chance.uniform(0, 0.008), 60.0])):
            return await step
        return None

    async def walk(number: int) -> None:
        receipt = await impatient(submit(lab.store, draft(user_id, problem.id, f"// {number}")))
        if not isinstance(receipt, Receipt):
            return
        answers = await impatient(lab.store.leases.claim([entry(receipt.job_id)], NODE, LEASE_S, 5))
        for won in (answers or {}).values():
            assert isinstance(won, Claim)
            if chance.random() < 0.5:
                await impatient(lab.store.leases.finalize(won, report(), {"job_id": won.job_id}))
            else:
                await impatient(lab.store.leases.give_back(won, reason="drain", counts=True))

    for round_ in range(ROUNDS // 5):
        async with trio.open_nursery() as nursery:
            for caller in range(CALLERS):
                nursery.start_soon(walk, round_ * CALLERS + caller)
    await assert_whole(lab)
    half_done = """
        SELECT s.job_id, s.state FROM submissions AS s
        CROSS JOIN LATERAL (
            SELECT count(*) FILTER (WHERE event = 'claimed') AS claimed,
                   count(*) FILTER (WHERE event = 'finalized') AS finalized,
                   count(*) FILTER (WHERE event = 'given_back') AS given_back,
                   count(*) FILTER (WHERE event NOT IN ('claimed', 'finalized', 'given_back')) AS strange
            FROM attempts AS a WHERE a.job_id = s.job_id) AS ledger
        CROSS JOIN LATERAL (
            SELECT count(*) FILTER (WHERE event_type = 'submit') AS submit,
                   count(*) FILTER (WHERE event_type = 'give_back') AS give_back
            FROM outbox_events AS e WHERE e.job_id = s.job_id) AS sent
        WHERE NOT (sent.submit = 1 AND sent.give_back = given_back AND strange = 0 AND claimed = s.attempt_id
                   AND CASE s.state WHEN 'pending' THEN claimed = given_back AND finalized = 0
                                    WHEN 'processing' THEN claimed = 1 AND finalized = 0 AND given_back = 0
                                    WHEN 'done' THEN claimed = 1 AND finalized = 1 AND given_back = 0
                                    ELSE false END)
    """
    assert lab.rows(half_done) == []
    states = {row["state"]: row["n"] for row in lab.rows("SELECT state, count(*) AS n FROM submissions GROUP BY 1")}
    assert {"pending", "processing", "done"} <= states.keys()
    assert lab.sql("SELECT count(*) FROM attempts WHERE event = 'given_back'") != "0"


async def test_a_store_that_is_closed_under_its_callers_tells_them(
    postgres: PostgresServer, database: str, bridge: AioBridge
) -> None:
    async def caller(lab: PgLab) -> None:
        with pytest.raises(StoreUnavailable):
            await ask(lab, 1, 600.0, {})

    async with trio.open_nursery() as nursery, PgStore.open(bridge, postgres.dsn(database)) as store:
        lab = PgLab(postgres, database, store)
        nursery.start_soon(caller, lab)
        await until(lab, "wait_event = 'PgSleep'", 1)
    await until(lab, "true", 0)
