"""Two nodes on real servers: the second attempt is on another node; a clean stop leaves no entry behind; and repair
finds lost jobs among many live entries. ``tests/unit/test_second_node.py`` has more cases, over fakes."""

from __future__ import annotations

import contextlib
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
import trio

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.pg import PgStore
from deepoj.adapters.redis.stream import RedisStream
from deepoj.observe import Metrics
from deepoj.pipeline.audit import audit
from deepoj.pipeline.dlq import decide
from deepoj.pipeline.repair import RepairSettings, repair
from deepoj.words.jobs import Claim
from deepoj.words.ledger import Decided, Decision
from deepoj.words.results import Infra, Report
from tests.contract.labs import PgLab, draft, new_problem, new_user, send
from tests.fakes.node import FakeNode
from tests.fakes.store import MemoryStore
from tests.fakes.stream import MemoryStream
from tests.postgres import fresh_database
from tests.servers import PostgresServer
from tests.servers_redis import KINDS, RedisServer
from tests.servers_redis import running as redis_running
from tests.unit.makers import a_report
from tests.unit.test_tree import running

SOON_S = 300.0

type Judge = Callable[[Claim], Awaitable[Report | Infra]]


class Polled:
    """No notifications: these tests must not depend on them, so every node polls."""

    async def wait(self, timeout_s: float) -> bool:
        await trio.sleep(min(timeout_s, 0.05))
        return False

    def notify(self) -> None:
        pass


@dataclass
class Place:
    """A database and a stream for one test."""

    lab: PgLab
    redis: RedisServer
    bridge: AioBridge
    stack: contextlib.AsyncExitStack
    namespace: str
    metrics: Metrics

    async def stream(self, consumer: str) -> RedisStream:
        return await self.stack.enter_async_context(
            RedisStream.open(
                self.bridge,
                self.redis.url,
                password=self.redis.password,
                stream_key=self.key,
                group=f"{self.namespace}:workers",
                consumer=consumer,
                payload_prefix=f"{self.namespace}:task:payload:",
            )
        )

    @property
    def key(self) -> str:
        return f"{self.namespace}:jobs"

    async def node(self, owner: str, judge: Judge, **changes: object) -> FakeNode:
        fake = FakeNode(
            store=MemoryStore(),
            database=self.lab.store,
            stream=cast(MemoryStream, await self.stream(owner)),
            metrics=self.metrics,
            notifications=Polled(),
            owner=owner,
            judge=judge,
        )
        for name, value in changes.items():
            setattr(fake, name, value)
        return fake

    async def submits(self, count: int) -> list[str]:
        store = self.lab.pg_store
        user_id, problem = await new_user(store), await new_problem(store)
        jobs = [await send(store, draft(user_id, problem.id, f"// {n}"), cap=100_000) for n in range(count)]
        self.lab.sql(f"UPDATE submissions SET stream_key = '{self.key}'")
        self.lab.sql(f"UPDATE outbox_events SET stream_key = '{self.key}'")
        return jobs

    async def read_by(self, fake: FakeNode) -> int:
        """Read all entries as this node, without claiming them. Return their number."""
        store, stream = self.lab.pg_store, fake.stream
        events = await store.outbox.take_outbox(100, 0.5, 10.0)
        ids = await stream.publish(events)
        await store.outbox.mark_delivered([(event.id, one) for event, one in zip(events, ids, strict=True)])
        return len(await stream.read(100, 0))

    def told(self, job_id: str) -> list[tuple[str, str | None]]:
        return [(row.event, row.owner) for row in self.lab.ledger(job_id)]

    async def until(self, state: str, jobs: list[str]) -> None:
        """Return when all jobs have that state.

        It queries through the pool, because the nodes run in this event loop, which must not block.
        """

        async def count(connection: Any, _again: bool) -> int:
            found: int = await connection.fetchval("SELECT count(*) FROM submissions WHERE state = $1", state)
            return found

        with trio.fail_after(SOON_S):
            while await self.lab.pg_store._pool.do(count, repeatable=True) != len(jobs):
                await trio.sleep(0.02)

    async def clean(self) -> None:
        outcome = await audit(self.lab.store.audit)
        assert outcome.clean, outcome.found


@pytest.fixture(scope="module", params=KINDS)
def redis(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory(prefix="oj-") as path, redis_running(request.param, Path(path)) as server:
        yield server


@pytest.fixture
async def place(postgres_embedded: PostgresServer, redis: RedisServer, bridge: AioBridge) -> AsyncIterator[Place]:
    with fresh_database(postgres_embedded) as database:
        async with (
            contextlib.AsyncExitStack() as stack,
            PgStore.open(bridge, postgres_embedded.dsn(database), max_conns=8) as store,
        ):
            lab = PgLab(postgres_embedded, database, store)
            yield Place(lab, redis, bridge, stack, f"test-{uuid.uuid4().hex}", Metrics())


async def sick(claim: Claim) -> Report | Infra:
    await trio.lowlevel.checkpoint()
    return Infra("sandbox", "this node is sick")


async def well(claim: Claim) -> Report | Infra:
    await trio.lowlevel.checkpoint()
    return a_report()


async def endless(claim: Claim) -> Report | Infra:
    await trio.sleep_forever()


async def test_the_second_attempt_is_another_nodes(place: Place) -> None:
    jobs = await place.submits(4)
    one, two = await place.node("one", sick), await place.node("two", well)
    await place.read_by(one)
    async with running(two), running(one):
        await place.until("done", jobs)
    for job_id in jobs:
        assert place.told(job_id) == [
            ("claimed", "one"), ("given_back", "one"), ("claimed", "two"), ("finalized", "two"),
        ]  # fmt: skip
    await place.clean()


async def test_single_node_retries_until_the_job_is_a_dead_letter(place: Place) -> None:
    jobs = await place.submits(1)
    place.lab.sql("UPDATE submissions SET judging_attempts = 3")
    fake = await place.node("one", sick)
    async with running(fake):
        await place.until("dead", jobs)
        assert [event for event, _ in place.told(jobs[0])] == ["claimed", "given_back"] * 2 + ["dead"]
        fake.judge = well
        answer = await decide(place.lab.store.letters, Decision.REQUEUE, jobs[0], by="root", stream_key=place.key)
        assert answer == Decided(jobs[0], 2)
        await place.until("done", jobs)
    assert [event for event, _ in place.told(jobs[0])][-3:] == ["requeued", "claimed", "finalized"]
    await place.clean()


async def test_after_a_clean_stop_nothing_waits_for_reclaim(place: Place) -> None:
    """Both claimed entries and entries that were only read. The leases are so long that reclaim would be too late."""
    jobs = await place.submits(40)
    stopped = await place.node("one", endless, drain_s=0.0, lease_s=2 * SOON_S)
    assert await place.read_by(stopped) == len(jobs)
    other = await place.node("two", well, slots=8, lease_s=2 * SOON_S)
    async with running(other):
        async with running(stopped):
            await place.until("processing", jobs[: stopped.slots])
        await place.until("done", jobs)
    await place.clean()


@pytest.mark.parametrize("redis", KINDS[:1], indirect=True)  # of the stream it asks what contract/test_stream.py asks
async def test_repair_finds_what_is_lost_among_very_many_live_entries(place: Place) -> None:
    """Above a number of entries repair once did nothing: it finds lost jobs in as many rounds as it needs."""
    many = 20_500
    jobs = await place.submits(3)
    store, stream = place.lab.pg_store, await place.stream("one")
    place.lab.sql(
        "INSERT INTO submissions (job_id, problem_id, user_id, code, language, time_limit, memory_limit, stream_key) "
        f"SELECT gen_random_uuid(), problem_id, user_id, 'x', language, 1, 1, stream_key FROM submissions "
        f"CROSS JOIN generate_series(1, {many}) WHERE job_id = '{jobs[0]}';"
        "INSERT INTO outbox_events (event_type, job_id, stream_key, enqueue_ts, payload) "
        "SELECT 'submit', job_id, stream_key, 1, '{}' FROM submissions AS s WHERE NOT EXISTS "
        "(SELECT FROM outbox_events AS e WHERE e.job_id = s.job_id)"
    )
    # entry ids are made of event ids, so that one statement fills each side
    place.lab.sql(
        "UPDATE outbox_events SET status = 'delivered', attempts = 1, dispatched_at = now(), "
        "stream_entry_id = (1700000000000 + id) || '-0'"
    )
    with place.redis.client() as client, client.pipeline(transaction=False) as pipe:
        for row in place.lab.rows("SELECT id, job_id FROM outbox_events ORDER BY id"):
            fields = ("job_id", row["job_id"], "enqueue_ts", 1, "event_id", row["id"])
            pipe.execute_command("XADD", place.key, f"{1_700_000_000_000 + row['id']}-0", *fields)
        pipe.execute()
    lost = place.lab.rows(
        "SELECT e.job_id, stream_entry_id FROM outbox_events AS e JOIN submissions AS s USING (job_id) "
        f"WHERE s.id % 4000 = 7 OR e.job_id = '{jobs[2]}' ORDER BY s.id"
    )
    with place.redis.client() as client:
        client.execute_command("XDEL", place.key, *[row["stream_entry_id"] for row in lost])
    place.lab.advance(100)
    place.lab.sql("ANALYZE")
    settings = RepairSettings(60.0, 200, place.key)
    assert 2 * settings.look_limit < many < 3 * settings.look_limit
    after_id, count, rounds = 0, 0, 0
    with trio.fail_after(SOON_S):
        while True:
            told = await repair(store.strays, stream, settings, place.metrics, after_id=after_id)
            after_id, count, rounds = told.after_id, count + told.count, rounds + 1
            if after_id == 0:
                break
    back = place.lab.rows("SELECT e.job_id FROM outbox_events AS e WHERE event_type = 'repair' ORDER BY id")
    assert [row["job_id"] for row in back] == [row["job_id"] for row in lost]
    assert len(lost) > 3
    assert (count, rounds) == (len(lost), 3)
