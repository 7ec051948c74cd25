"""A node that cannot reach PostgreSQL stops its judges before their leases end: by the database's own clock."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import trio

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.pg import PgStore
from deepoj.nursery.tree import run
from deepoj.observe import Metrics
from deepoj.words import Claim, Report
from tests.contract.labs import PgLab, draft, new_problem, new_user, send
from tests.fault.scene import SOON_S
from tests.mortal import node, open_stream
from tests.postgres import TEMPLATE, migrated_server
from tests.servers import PostgresServer
from tests.servers_redis import RedisServer

#: long enough for a loaded machine to notice its end in time: a tenth of it is the margin
LEASE_S = 20.0


@pytest.fixture(scope="module")
def mortal() -> Iterator[PostgresServer]:
    """A server of its own, to be taken away."""
    with migrated_server("embedded") as server:
        yield server


def stopped(server: PostgresServer) -> Callable[[], None]:
    """Falls silent, connections open: nobody is told. Returns what wakes it."""
    assert server.process is not None
    pids = [server.process.pid, *server.backends()]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)

    def wake() -> None:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)

    return wake


def killed(server: PostgresServer) -> Callable[[], None]:
    server.psql("CHECKPOINT")
    server.kill()
    return server.start


@pytest.mark.slow
@pytest.mark.parametrize("away", [stopped, killed])
async def test_judges_stop_before_their_leases_end(
    mortal: PostgresServer,
    bridge: AioBridge,
    valkey: RedisServer,
    metrics: Metrics,
    away: Callable[[PostgresServer], Callable[[], None]],
) -> None:
    started: list[str] = []
    stopped_at: dict[str, float] = {}

    async def judge(claim: Claim) -> Report:
        started.append(claim.job_id)
        try:
            await trio.sleep_forever()
        finally:
            stopped_at[claim.job_id] = time.time()  # the database runs on this machine: its clock is this one
        raise AssertionError("it slept for ever")

    namespace = f"test-{uuid.uuid4().hex}"
    database = mortal.create_database(TEMPLATE)
    async with (
        PgStore.open(bridge, mortal.dsn(database), command_timeout_s=3.0) as store,
        open_stream(bridge, valkey.url, valkey.password, namespace, "node-a") as stream,
    ):
        lab = PgLab(mortal, database, store)
        user_id, problem = await new_user(store), await new_problem(store)
        jobs = [await send(store, draft(user_id, problem.id, f"// {number}")) for number in range(2)]
        events = await store.take_outbox(10, 60.0, 60.0)
        await stream.publish([replace(event, stream_key=stream.stream_key) for event in events])
        stop = trio.Event()
        made = node(store, stream, metrics, name="node-a", roles=["consumer"], lease_s=LEASE_S, judge=judge)
        async with trio.open_nursery() as nursery:
            await nursery.start(run, made, stop)
            with trio.fail_after(SOON_S):
                while len(started) < len(jobs):
                    await trio.sleep(0.05)
            wake = away(mortal)
            try:
                with trio.fail_after(SOON_S):
                    while len(stopped_at) < len(jobs):
                        await trio.sleep(0.05)
            finally:
                wake()
            stop.set()
        for job_id in jobs:
            until_s = float(
                lab.sql(
                    f"SELECT coalesce(extract(epoch FROM lease_until), 0) FROM submissions WHERE job_id = '{job_id}'"
                )
            )
            assert stopped_at[job_id] < until_s
