"""The database dies, comes back, or stops answering under a warm pool: once it is up again, calls work."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
import trio

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.pg import PgStore
from deepoj.words.accounts import User
from deepoj.words.errors import StoreUnavailable
from deepoj.words.jobs import Claim, Held
from deepoj.words.submissions import Receipt
from tests.contract.labs import (
    LEASE_S,
    MAX_ATTEMPTS,
    NODE,
    PgLab,
    claim,
    draft,
    entry,
    new_job,
    new_problem,
    new_user,
    report,
    send,
    submit,
)
from tests.postgres import TEMPLATE, migrated_server
from tests.servers import POSTGRES_KINDS, PostgresServer

CONNECTIONS = 6


@pytest.fixture(scope="module", params=POSTGRES_KINDS)
def mortal(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    """Run a server of our own, which the tests kill."""
    with migrated_server(request.param) as server:
        yield server


@contextlib.asynccontextmanager
async def warmed(mortal: PostgresServer, bridge: AioBridge, *, connections: int) -> AsyncIterator[PgLab]:
    """Return a new database and a store whose pool is full of idle connections."""
    if mortal.process is None:
        mortal.start()
    database = mortal.create_database(TEMPLATE)
    async with PgStore.open(bridge, mortal.dsn(database), min_conns=connections, max_conns=connections) as store:
        await store.warm()
        assert idle_connections(store) == connections
        yield PgLab(mortal, database, store)


@pytest.fixture
async def warm(mortal: PostgresServer) -> AsyncIterator[PgLab]:
    """As ``warmed``, on the server that is killed; durable data survives."""
    async with AioBridge.open() as bridge, warmed(mortal, bridge, connections=CONNECTIONS) as lab:
        yield lab


def idle_connections(store: PgStore) -> int:
    return store._pool._pool.get_idle_size()


def crash(lab: PgLab) -> None:
    """Flush committed data to the disk, kill the server with all its backends, and start it again."""
    lab.sql("CHECKPOINT")
    lab.server.kill()
    lab.server.start()


async def test_after_a_crash_every_first_call_succeeds(warm: PgLab) -> None:
    store = warm.pg_store
    user_id, problem = await new_user(store), await new_problem(store)
    job_id = await send(store, draft(user_id, problem.id))
    await store.warm()
    crash(warm)
    for _ in range(2 * CONNECTIONS):
        found = await store.submissions.submission(job_id)
        assert found is not None
    assert isinstance(await submit(store, draft(user_id, problem.id, "// after")), Receipt)


#: calls, each of which is the first one after the crash in some pool
FIRST_CALLS: dict[str, Callable[[PgLab, int, int, Claim, str], Awaitable[object]]] = {
    "submit": lambda lab, user, problem, held, fresh: submit(lab.store, draft(user, problem, "// after")),
    "submission": lambda lab, user, problem, held, fresh: lab.store.submissions.submission(fresh),
    "create_user": lambda lab, user, problem, held, fresh: lab.store.accounts.create_user("bob", "h", None),
    "credentials": lambda lab, user, problem, held, fresh: lab.store.accounts.credentials("alice"),
    "set_password": lambda lab, user, problem, held, fresh: lab.store.accounts.set_password(user, "h"),
    "reserve_problem_id": lambda lab, user, problem, held, fresh: lab.store.problems.reserve_problem_id(),
    "take_outbox": lambda lab, user, problem, held, fresh: lab.store.outbox.take_outbox(10, 0.5, 10.0),
    "claim": lambda lab, user, problem, held, fresh: claim(lab, fresh),
    "extend": lambda lab, user, problem, held, fresh: lab.store.leases.extend([Held(held.job_id, 1)], NODE, LEASE_S),
    "finalize": lambda lab, user, problem, held, fresh: lab.store.leases.finalize(held, report(), {}),
    "give_back": lambda lab, user, problem, held, fresh: lab.store.leases.give_back(held, reason="drain", counts=False),
    "repair": lambda lab, user, problem, held, fresh: lab.store.strays.repair(set(), 60.0, 10, "s"),
}


async def test_after_a_crash_the_first_call_succeeds_whichever_it_is(mortal: PostgresServer) -> None:
    """One crash under as many pools as there are calls: each call is the first one of its pool."""
    answers: dict[str, object] = {}
    async with AioBridge.open() as bridge, contextlib.AsyncExitStack() as stack:
        scenes = {}
        for call in FIRST_CALLS:
            lab = await stack.enter_async_context(warmed(mortal, bridge, connections=3))
            user_id, problem = await new_user(lab.store), await new_problem(lab.store)
            held = await claim(lab, await send(lab.store, draft(user_id, problem.id, "// held")))
            fresh = await send(lab.store, draft(user_id, problem.id, "// fresh"))
            assert idle_connections(lab.pg_store) == 3
            scenes[call] = (lab, user_id, problem.id, held, fresh)
        crash(lab)
        for call, scene in scenes.items():
            try:
                answers[call] = await FIRST_CALLS[call](*scene)
            except StoreUnavailable as unavailable:
                answers[call] = unavailable
    assert {call: answer for call, answer in answers.items() if isinstance(answer, StoreUnavailable)} == {}
    assert {call for call, answer in answers.items() if answer is None} == {"finalize", "give_back"}


async def test_many_callers_at_once_after_a_crash_all_succeed(warm: PgLab) -> None:
    job_id = await new_job(warm)
    await warm.pg_store.warm()
    crash(warm)
    found: list[object] = []

    async def read() -> None:
        found.append(await warm.store.submissions.submission(job_id))

    async with trio.open_nursery() as nursery:
        for _ in range(5 * CONNECTIONS):
            nursery.start_soon(read)
    assert len(found) == 5 * CONNECTIONS
    assert None not in found


async def test_backends_that_were_terminated_do_not_show(warm: PgLab) -> None:
    job_id = await new_job(warm)
    await warm.pg_store.warm()
    warm.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'deepoj'")
    for _ in range(2 * CONNECTIONS):
        assert await warm.store.submissions.submission(job_id) is not None
    assert (await claim(warm, job_id)).attempt_id == 1


async def test_while_the_server_is_away_every_call_says_so_and_afterwards_every_call_works(warm: PgLab) -> None:
    user_id, problem = await new_user(warm.store), await new_problem(warm.store)
    held = await claim(warm, await send(warm.store, draft(user_id, problem.id, "// held")))
    fresh = await send(warm.store, draft(user_id, problem.id, "// fresh"))
    warm.sql("CHECKPOINT")
    warm.server.kill()
    for _ in range(2):
        for name, call in FIRST_CALLS.items():
            with pytest.raises(StoreUnavailable):
                await call(warm, user_id, problem.id, held, fresh)
                pytest.fail(f"{name} answered while the server was away")
    warm.server.start()
    assert await warm.store.leases.finalize(held, report(), {}) is None
    assert isinstance(await warm.store.accounts.create_user("bob", "h", None), User)
    answers = await warm.store.leases.claim([entry(fresh)], NODE, LEASE_S, MAX_ATTEMPTS)
    assert isinstance(answers["1-1"], Claim)


async def test_connections_that_fell_silent_are_replaced(mortal: PostgresServer) -> None:
    """A link that was cut without a reset: the connection looks open, and no answer comes on it."""
    if mortal.process is None:
        mortal.start()
    database = mortal.create_database(TEMPLATE)
    async with (
        AioBridge.open() as bridge,
        PgStore.open(
            bridge, mortal.dsn(database), min_conns=CONNECTIONS, max_conns=CONNECTIONS, idle_check_s=0.0
        ) as store,
    ):
        lab = PgLab(mortal, database, store)
        job_id = await new_job(lab)
        await store.warm()
        pids = [
            int(row["pid"]) for row in lab.rows("SELECT pid FROM pg_stat_activity WHERE application_name = 'deepoj'")
        ]
        assert len(pids) == CONNECTIONS
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            with trio.fail_after(60):
                for _ in range(2 * CONNECTIONS):
                    assert await store.submissions.submission(job_id) is not None
                assert (await claim(lab, job_id)).attempt_id == 1
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
