"""A node that cannot reach PostgreSQL stops judging before its leases end by the database's clock."""

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
from deepoj.words.jobs import Claim
from deepoj.words.results import Report
from tests.contract.labs import PgLab, draft, new_problem, new_user, send
from tests.fault.scene import SOON_S
from tests.mortal import node, open_stream
from tests.postgres import TEMPLATE, migrated_server
from tests.servers import PostgresServer
from tests.servers_redis import RedisServer

#: long enough that a loaded machine stops in time: the margin is a tenth of it
LEASE_S = 20.0


@pytest.fixture
def servers() -> Iterator[list[PostgresServer]]:
    """Run servers of our own, which the test stops."""
    with migrated_server("embedded") as one, migrated_server("embedded") as other:
        yield [one, other]


def stopped(server: PostgresServer) -> Callable[[], None]:
    """Stop every server process and leave connections open. Return what lets them go on."""
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


class Kept:
    """A node that judges, and the database of its leases."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self.lab: PgLab
        self.jobs: list[str] = []
        self.started: list[str] = []
        self.stopped_at: dict[str, float] = {}

    async def judge(self, claim: Claim) -> Report:
        self.started.append(claim.job_id)
        try:
            await trio.sleep_forever()
        finally:
            self.stopped_at[claim.job_id] = time.time()  # the database runs on this machine: its clock is this one
        raise AssertionError("sleep_forever returned")

    async def serve(
        self,
        bridge: AioBridge,
        valkey: RedisServer,
        over: trio.Event,
        *,
        task_status: trio.TaskStatus[None],
    ) -> None:
        namespace = f"test-{uuid.uuid4().hex}"
        database = self.server.create_database(TEMPLATE)
        async with (
            PgStore.open(bridge, self.server.dsn(database), command_timeout_s=3.0) as store,
            open_stream(bridge, valkey.url, valkey.password, namespace, "node-a") as stream,
        ):
            self.lab = PgLab(self.server, database, store)
            user_id, problem = await new_user(store), await new_problem(store)
            self.jobs = [await send(store, draft(user_id, problem.id, f"// {number}")) for number in range(2)]
            events = await store.outbox.take_outbox(10, 60.0, 60.0)
            await stream.publish([replace(event, stream_key=stream.stream_key) for event in events])
            made = node(store, stream, Metrics(), name="node-a", roles=["consumer"], lease_s=LEASE_S, judge=self.judge)
            stop = trio.Event()
            async with trio.open_nursery() as nursery:
                await nursery.start(run, made, stop)
                with trio.fail_after(SOON_S):
                    while len(self.started) < len(self.jobs):
                        await trio.sleep(0.05)
                task_status.started()
                await over.wait()
                stop.set()

    def lease_until(self, job_id: str) -> float:
        return float(
            self.lab.sql(
                f"SELECT coalesce(extract(epoch FROM lease_until), 0) FROM submissions WHERE job_id = '{job_id}'"
            )
        )


async def test_judges_stop_before_their_leases_end(
    servers: list[PostgresServer], bridge: AioBridge, valkey: RedisServer
) -> None:
    """A killed and a silent server in one test, because most of its time is that of a lease."""
    nodes = [Kept(server) for server in servers]
    async with trio.open_nursery() as nursery:
        over = trio.Event()
        for one in nodes:
            await nursery.start(one.serve, bridge, valkey, over)
        wakes = [away(one.server) for away, one in zip((stopped, killed), nodes, strict=True)]
        try:
            with trio.fail_after(SOON_S):
                while any(len(one.stopped_at) < len(one.jobs) for one in nodes):
                    await trio.sleep(0.05)
        finally:
            # not before both have stopped: a start blocks this process, whose clocks are under test
            for wake in wakes:
                wake()
        over.set()
    for one in nodes:
        for job_id in one.jobs:
            assert one.stopped_at[job_id] < one.lease_until(job_id)
