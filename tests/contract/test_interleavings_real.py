"""A sample of the interleavings of ``tests.interleaving`` on real servers, a statement at a time.

Each schedule is played over the fakes too, and the answers and the ledger must be the same: what the fakes prove of all
interleavings holds for PostgreSQL and Valkey as far as the sample goes.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.redis.stream import RedisStream
from deepoj.observe import Metrics
from deepoj.words.submissions import Receipt
from tests.contract.labs import PgLab, draft, new_problem, new_user
from tests.interleaving import GRACE_S, LEASE_S, Do, Move, Noted, Play, Row, Schedule, Seen
from tests.servers_redis import RedisServer, grow_old, running
from tests.unit.test_interleavings import FIRST, SECOND, SHORT, SHORT_TAKEN, MemoryWorld, shuffled

SEED = 4
SAMPLE = 20


@pytest.fixture(scope="module")
def valkey() -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory(prefix="oj-") as path, running("valkey", Path(path)) as found:
        yield found


class RealWorld:
    """``tests.interleaving.World`` over PostgreSQL and Valkey. Time passes by moving stored times into the past."""

    def __init__(
        self, lab: PgLab, server: RedisServer, streams: dict[str, RedisStream], metrics: Metrics, max_attempts: int
    ) -> None:
        self._server, self._streams = server, streams
        self.store = lab.pg_store
        self.metrics = metrics
        self.max_attempts = max_attempts
        self.job_id = ""
        self._key, self._group = streams["a"].stream_key, streams["a"].group

    async def prepare(self, user_id: int, problem_id: int, code: str, *, entries: int) -> None:
        """Submit one job with this many stream entries."""
        receipt = await self.store.submissions.submit(
            draft(user_id, problem_id, code), inflight_cap=500, dedup_window_s=60, payload={}, stream_key=self._key
        )
        assert isinstance(receipt, Receipt)
        self.job_id = receipt.job_id
        [event] = await self.store.outbox.take_outbox(1, 1.0, 1.0)
        for _ in range(entries):
            [entry_id] = await self._streams["a"].publish([event])
        await self.store.outbox.mark_delivered([(event.id, entry_id)])

    def stream(self, who: str) -> RedisStream:
        return self._streams[who]

    async def _ask(self, sql: str) -> Any:
        """Query by the store's own connections: a psql for each query would cost ten times the schedule."""

        async def work(connection: Any, _again: bool) -> Any:
            return await connection.fetchval(sql)

        return await self.store._pool.do(work, repeatable=True)

    async def expire(self) -> None:
        past_s = LEASE_S + GRACE_S
        await self._ask(f"UPDATE submissions SET lease_until = lease_until - interval '{past_s} s' RETURNING id")
        with self._server.client() as client:
            grow_old(client, self._key, self._group, round(past_s * 1000))

    async def look(self) -> Seen:
        found = json.loads(
            await self._ask(
                "SELECT json_build_object('row', json_build_array(state, status, attempt_id, judging_attempts,"
                " lease_owner), 'leased', coalesce(lease_until > now(), false), 'events', (SELECT count(*) FROM"
                " outbox_events AS e WHERE e.job_id = s.job_id AND status = 'pending'), 'ledger', (SELECT"
                " coalesce(json_agg(json_build_array(event, attempt_id, node, outcome) ORDER BY id), '[]') FROM"
                f" attempts AS a WHERE a.job_id = s.job_id)) FROM submissions AS s WHERE job_id = '{self.job_id}'"
            )
        )
        with self._server.client() as client:
            [group] = client.xinfo_groups(self._key) or [{"last-delivered-id": b"0-0", "pending": 0}]
            fresh = len(client.xrange(self._key, min=f"({group['last-delivered-id'].decode()}"))
        return Seen(
            row=Row(*found["row"]),
            leased=found["leased"],
            ledger=tuple(Noted(*one) for one in found["ledger"]),
            ways_back=fresh + group["pending"] + found["events"],
            pending=group["pending"],
        )


@contextlib.asynccontextmanager
async def consumers(bridge: AioBridge, server: RedisServer, namespace: str) -> AsyncIterator[dict[str, RedisStream]]:
    async with contextlib.AsyncExitStack() as stack:
        yield {
            name: await stack.enter_async_context(
                RedisStream.open(
                    bridge,
                    server.url,
                    password=server.password,
                    consumer=name,
                    stream_key=f"{namespace}:jobs",
                    group=f"{namespace}:workers",
                    payload_prefix=f"{namespace}:task:payload:",
                )
            )
            for name in "abc"
        }


def sampled(schedules: Iterator[Schedule], chance: random.Random) -> list[Schedule]:
    return chance.sample(list(schedules), SAMPLE)


#: sampled schedules, the number of the job's entries and of its attempts
KINDS: dict[str, tuple[Callable[[], Iterator[Schedule]], int, int]] = {
    "reclaimed": (lambda: shuffled(FIRST, SECOND, expiries=1), 1, 9),
    "doubled": (lambda: shuffled(SHORT, SHORT_TAKEN, expiries=1), 2, 9),
    "two leases": (lambda: shuffled(SHORT[:1], SHORT_TAKEN[:1], expiries=2), 1, 9),
    "used up": (lambda: shuffled(SHORT, SHORT_TAKEN, expiries=1), 1, 1),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_sample_on_real_servers_goes_as_over_the_fakes(
    real: PgLab, bridge: AioBridge, valkey: RedisServer, metrics: Metrics, kind: str
) -> None:
    make, entries, max_attempts = KINDS[kind]
    user_id, problem = await new_user(real.store), await new_problem(real.store)
    for number, schedule in enumerate(sampled(make(), random.Random(SEED))):
        whole = (Move("a", Do.TAKE), *schedule)
        fake = MemoryWorld(metrics, entries=entries, max_attempts=max_attempts)
        await fake.prepare()
        expected = Play(fake)
        await expected.run(whole)
        async with consumers(bridge, valkey, f"test-{uuid.uuid4().hex}") as streams:
            world = RealWorld(real, valkey, streams, metrics, max_attempts)
            await world.prepare(user_id, problem.id, f"// {number}", entries=entries)
            played = Play(world)
            await played.run(whole)
        assert played.answers == expected.answers
        assert played.seen == expected.seen
    assert real.sql("SELECT count(*) FROM submissions WHERE state IN ('done', 'dead')") == str(SAMPLE)
    assert real.sql("SELECT count(*) > 0 FROM attempts WHERE event IN ('lost', 'given_back')") == "t"


def test_the_sample_is_the_same_every_time() -> None:
    make, _, _ = KINDS["two leases"]
    first, second = (sampled(make(), random.Random(SEED)) for _ in range(2))
    assert first == second
    assert len(list(itertools.islice(first, SAMPLE))) == SAMPLE
