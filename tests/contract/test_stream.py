"""The contract of ``ports.JobStream``: the same tests over the fake, the wheel's Valkey and Debian's redis-server."""

from __future__ import annotations

import base64
import contextlib
import json
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest
import trio
from redis.asyncio.connection import SSLConnection

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.redis.link import Address
from deepoj.adapters.redis.stream import LAG_COUNTED, RedisStream
from deepoj.ports.stream import JobStream
from deepoj.words.errors import StartRefused, StreamRefused, StreamUnavailable
from deepoj.words.outbox import OutboxEvent, Priority
from deepoj.words.stream import RUN_PRIORITY, BadEntry, Entry
from tests.fakes.stream import MemoryStream, MemoryStreamServer
from tests.servers_redis import KINDS, RedisServer, running

SOON_S = 60.0


class Lab(Protocol):
    """A stream with consumers, and operations on it from outside."""

    def consumer(self, name: str, **settings: Any) -> JobStream: ...

    def add(self, fields: Mapping[str, str]) -> str: ...

    def delete(self, entry_id: str) -> None: ...

    def wipe(self) -> None: ...


class MemoryLab:
    def __init__(self) -> None:
        self._server = MemoryStreamServer()
        self.add = self._server.add
        self.delete = self._server.delete
        self.wipe = self._server.wipe

    def consumer(self, name: str, **_settings: Any) -> JobStream:
        return MemoryStream(self._server, consumer=name)


class RealLab:
    """A lab with a namespace of its own on a server that all tests share."""

    def __init__(self, bridge: AioBridge, server: RedisServer, stack: contextlib.AsyncExitStack) -> None:
        self.namespace = f"test-{uuid.uuid4().hex}"
        self.key = f"{self.namespace}:jobs"
        self.server = server
        self._bridge = bridge
        self._stack = stack
        self._made: dict[str, RedisStream] = {}

    async def make(self, name: str, **settings: Any) -> RedisStream:
        wanted = {
            "password": self.server.password,
            "stream_key": self.key,
            "group": f"{self.namespace}:workers",
            "payload_prefix": f"{self.namespace}:task:payload:",
        }
        stream = RedisStream.open(self._bridge, self.server.url, consumer=name, **(wanted | settings))
        return await self._stack.enter_async_context(stream)

    def consumer(self, name: str, **_settings: Any) -> JobStream:
        return self._made[name]

    async def prepare(self) -> None:
        self._made = {name: await self.make(name) for name in ("one", "two")}

    def add(self, fields: Mapping[str, str]) -> str:
        with self.server.client() as client:
            entry_id = client.execute_command("XADD", self.key, "*", *[x for pair in fields.items() for x in pair])
        return str(entry_id.decode())

    def delete(self, entry_id: str) -> None:
        with self.server.client() as client:
            client.execute_command("XDEL", self.key, entry_id)

    def wipe(self) -> None:
        with self.server.client() as client:
            client.execute_command("FLUSHALL")


@pytest.fixture(scope="module")
def short_dir() -> Iterator[Path]:
    """A directory with a short path, for a socket."""
    with tempfile.TemporaryDirectory(prefix="oj-") as path:
        yield Path(path)


def _serve(kind: str, directory: Path) -> Iterator[RedisServer]:
    (directory / kind).mkdir()
    with running(kind, directory / kind) as server:
        yield server


@pytest.fixture(scope="module")
def valkey(short_dir: Path) -> Iterator[RedisServer]:
    yield from _serve("valkey", short_dir)


@pytest.fixture(scope="module")
def debian_redis(short_dir: Path) -> Iterator[RedisServer]:
    yield from _serve("redis", short_dir)


FIXTURES = {"valkey": "valkey", "redis": "debian_redis"}


@contextlib.asynccontextmanager
async def real_lab(server: RedisServer) -> AsyncIterator[RealLab]:
    async with AioBridge.open() as bridge, contextlib.AsyncExitStack() as stack:
        lab = RealLab(bridge, server, stack)
        await lab.prepare()
        yield lab


@pytest.fixture(params=["memory", *KINDS])
async def lab(request: pytest.FixtureRequest) -> AsyncIterator[Lab]:
    if request.param == "memory":
        yield MemoryLab()
        return
    async with real_lab(request.getfixturevalue(FIXTURES[request.param])) as found:
        yield found


@pytest.fixture(params=KINDS)
async def real(request: pytest.FixtureRequest) -> AsyncIterator[RealLab]:
    async with real_lab(request.getfixturevalue(FIXTURES[request.param])) as found:
        yield found


@pytest.fixture(params=KINDS)
def own_server(request: pytest.FixtureRequest, short_dir: Path) -> Iterator[RedisServer]:
    """A server that the test may stop."""
    directory = short_dir / uuid.uuid4().hex[:8]
    directory.mkdir()
    with running(request.param, directory) as server:
        yield server


def event(number: int, job_id: str = "", **changes: Any) -> OutboxEvent:
    fields: dict[str, Any] = {
        "id": number,
        "job_id": job_id or f"job-{number}",
        "stream_key": "",
        "enqueue_ts_ms": 1_700_000_000_000 + number,
        "priority": 0,
        "payload": f'{{"job_id":"job-{number}","code":"ä"}}',
        "attempts": 1,
    }
    return OutboxEvent(**(fields | changes))


def events(count: int) -> list[OutboxEvent]:
    return [event(number) for number in range(count)]


def entries_of(found: list[Entry | BadEntry]) -> list[Entry]:
    assert all(isinstance(item, Entry) for item in found), found
    return [item for item in found if isinstance(item, Entry)]


def ids(found: list[Entry | BadEntry]) -> list[str]:
    return [item.entry_id for item in found]


# ---------------------------------------------------------------------------------------------------------------------
# Publish and read


async def test_published_events_are_read_in_order_with_all_fields(lab: Lab) -> None:
    stream = lab.consumer("one")
    published = await stream.publish([event(7, "job-a", priority=3), event(8, "job-b")])
    first, second = entries_of(await stream.read(10, 0))
    assert [first.entry_id, second.entry_id] == published
    assert (first.job_id, first.enqueue_ts_ms, first.priority, first.event_id) == ("job-a", 1_700_000_000_007, 3, 7)
    assert first.payload_ref.endswith(":task:payload:job-a")
    assert second.job_id == "job-b"


async def test_events_published_before_the_first_consumer_are_read(lab: Lab) -> None:
    lab.add({"job_id": "early", "enqueue_ts": "1"})
    assert [entry.job_id for entry in entries_of(await lab.consumer("one").read(10, 0))] == ["early"]


async def test_nothing_to_publish_is_nothing(lab: Lab) -> None:
    assert await lab.consumer("one").publish([]) == []
    assert await lab.consumer("one").ack([]) == 0


async def test_an_entry_goes_to_one_consumer(lab: Lab) -> None:
    one, two = lab.consumer("one"), lab.consumer("two")
    published = await one.publish(events(4))
    assert ids(await one.read(2, 0)) == published[:2]
    assert ids(await two.read(10, 0)) == published[2:]
    assert await one.read(10, 0) == []


async def test_a_waiting_read_wakes_when_something_comes(lab: Lab) -> None:
    one, two = lab.consumer("one"), lab.consumer("two")
    await one.ping()
    with trio.fail_after(SOON_S):
        async with trio.open_nursery() as nursery:

            async def wait(task_status: trio.TaskStatus[None]) -> None:
                task_status.started()
                got.extend(await two.read(10, 50_000))

            got: list[Entry | BadEntry] = []
            await nursery.start(wait)
            published = await one.publish(events(1))
    assert ids(got) == published


async def test_a_waiting_read_ends_with_nothing_after_its_time(lab: Lab) -> None:
    with trio.fail_after(SOON_S):
        assert await lab.consumer("one").read(10, 20) == []


async def test_waiting_reads_leave_room_for_everything_else(lab: Lab) -> None:
    one, two = lab.consumer("one"), lab.consumer("two")
    with trio.fail_after(SOON_S):
        async with trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(one.read, 1, 50_000)
            for _ in range(30):
                await one.ping()
            for _ in range(8):
                await two.publish(events(1))


# ---------------------------------------------------------------------------------------------------------------------
# Pending, ack, reclaim


async def test_read_entries_are_pending_until_acked(lab: Lab) -> None:
    one, two = lab.consumer("one"), lab.consumer("two")
    published = await one.publish(events(3))
    await one.read(3, 0)
    assert ids(await one.own_pending(10)) == published
    assert ids(await one.own_pending(2)) == published[:2]
    assert await two.own_pending(10) == []
    assert await one.ack(published[:2]) == 2
    assert await one.ack(published[:2]) == 0
    assert ids(await one.own_pending(10)) == published[2:]


async def test_own_pending_passes_over_entries_without_a_body(lab: Lab) -> None:
    one = lab.consumer("one")
    published = await one.publish(events(5))
    await one.read(5, 0)
    for entry_id in published[:3]:
        lab.delete(entry_id)
    assert ids(await one.own_pending(2)) == published[3:]


async def test_reclaim_takes_over_what_was_idle_long_enough(lab: Lab) -> None:
    one, two = lab.consumer("one"), lab.consumer("two")
    published = await one.publish(events(2))
    await one.read(2, 0)
    assert await two.reclaim(3_600_000, "0-0", 10) == ("0-0", [])
    cursor, taken = await two.reclaim(0, "0-0", 10)
    assert cursor == "0-0"
    assert ids(taken) == published
    assert ids(await two.own_pending(10)) == published
    assert await one.own_pending(10) == []


async def test_reclaim_goes_through_the_pending_list_by_its_cursor(lab: Lab) -> None:
    one, two = lab.consumer("one"), lab.consumer("two")
    published = await one.publish(events(7))
    await one.read(7, 0)
    taken: list[str] = []
    cursor = "0-0"
    for _ in range(10):
        cursor, found = await two.reclaim(0, cursor, 3)
        assert len(found) <= 3
        taken += ids(found)
        if cursor == "0-0":
            break
    assert taken == published


async def test_reclaim_clears_deleted_entries_away(lab: Lab) -> None:
    one, two = lab.consumer("one"), lab.consumer("two")
    published = await one.publish(events(3))
    await one.read(3, 0)
    lab.delete(published[1])
    _, taken = await two.reclaim(0, "0-0", 10)
    assert ids(taken) == [published[0], published[2]]
    assert (await one.pressure()).pending == 2


async def test_set_idle_sets_the_idle_time_of_pending_entries(lab: Lab) -> None:
    one, two = lab.consumer("one"), lab.consumer("two")
    published = await one.publish(events(4))
    await one.read(4, 0)
    await one.ack(published[:1])
    lab.delete(published[1])
    await two.set_idle([*published[:3], "1-1"], 3_600_000)
    assert await one.ack(published[:1]) == 0  # set_idle delivers nothing: acked entries stay acked
    _, taken = await two.reclaim(3_599_000, "0-0", 10)
    assert ids(taken) == published[2:3]
    assert await two.reclaim(3_599_000, "0-0", 10) == ("0-0", [])  # just taken: its idle time is 0


async def test_reclaim_of_nothing(lab: Lab) -> None:
    assert await lab.consumer("one").reclaim(0, "0-0", 10) == ("0-0", [])


# ---------------------------------------------------------------------------------------------------------------------
# Undecodable entries


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"enqueue_ts": "1"}, "job_id is missing"),
        ({"job_id": "", "enqueue_ts": "1"}, "job_id is empty"),
        ({"job_id": "a"}, "enqueue_ts is missing"),
        ({"job_id": "a", "enqueue_ts": "soon"}, "not a number"),
        ({"job_id": "a", "enqueue_ts": "1", "priority": "high"}, "not a number"),
        ({"job_id": "a", "enqueue_ts": "1", "event_id": ""}, "not a number"),
    ],
)
async def test_undecodable_entry_is_a_bad_entry(lab: Lab, fields: dict[str, str], reason: str) -> None:
    one, two = lab.consumer("one"), lab.consumer("two")
    bad_id = lab.add(fields)
    good_id = lab.add({"job_id": "good", "enqueue_ts": "1"})
    for found in (await one.read(10, 0), await one.own_pending(10), (await two.reclaim(0, "0-0", 10))[1]):
        assert ids(found) == [bad_id, good_id]
        assert isinstance(found[0], BadEntry)
        assert reason in found[0].reason
        assert isinstance(found[1], Entry)
    assert await two.ack([bad_id]) == 1
    assert ids(await two.own_pending(10)) == [good_id]


async def test_bytes_that_are_no_text_are_a_bad_entry(real: RealLab) -> None:
    with real.server.client() as client:
        client.execute_command("XADD", real.key, "*", "job_id", b"\xff\xfe", "enqueue_ts", "1")
    (found,) = await real.consumer("one").read(10, 0)
    assert isinstance(found, BadEntry)
    assert "UTF-8" in found.reason


# ---------------------------------------------------------------------------------------------------------------------
# Length, lag and trimming


async def test_live_entries_are_those_undelivered_or_pending_and_there(lab: Lab) -> None:
    one = lab.consumer("one")
    published = await one.publish(events(6))
    await one.read(4, 0)
    await one.ack([published[0], published[2]])
    lab.delete(published[1])
    lab.delete(published[5])
    assert await one.live_entries(published) == {published[3], published[4]}
    assert await lab.consumer("two").live_entries(published[3:4]) == {published[3]}
    assert await one.live_entries(["1-1", "9999999999999-0"]) == set()
    assert await one.live_entries([]) == set()
    lab.wipe()
    assert await one.live_entries(published) == set()


async def test_live_entries_among_very_many(lab: Lab) -> None:
    one = lab.consumer("one")
    published = await one.publish(events(1200))
    await one.read(1100, 0)
    await one.ack(published[:300])
    assert await one.live_entries(published) == set(published[300:])


async def test_consumers_that_are_gone_and_owe_nothing_leave_the_group(lab: Lab) -> None:
    one, two = lab.consumer("one"), lab.consumer("two")
    published = await one.publish(events(2))
    await two.read(1, 0)
    assert await one.forget_consumers(0) == []  # it has a pending entry
    assert await one.live_consumers(60_000) >= 1
    await two.ack(published[:1])
    assert await one.forget_consumers(60_000) == []  # it has just read
    assert await two.live_entries(published) == {published[1]}
    assert await one.forget_consumers(0) == ["two"]
    assert await one.forget_consumers(0) == []
    assert ids(await two.read(1, 0)) == published[1:]  # it joins again by reading
    assert await one.forget_consumers(0) == []
    assert ids(await two.own_pending(10)) == published[1:]


async def test_consumer_does_not_remove_itself_from_the_group(lab: Lab) -> None:
    one = lab.consumer("one")
    await one.read(1, 0)
    assert await one.forget_consumers(0) == []
    assert await one.live_consumers(60_000) == 1


async def test_trim_keeps_what_is_not_finished(lab: Lab) -> None:
    one = lab.consumer("one")
    published = await one.publish(events(10))
    await one.read(8, 0)
    assert await one.trim(10) == 0
    assert await one.trim(5) == 0  # all of the first eight are pending
    await one.ack(published[:5] + published[6:8])
    assert await one.trim(5) == 5
    assert (await one.pressure()).xlen == 5
    assert await one.live_entries(published) == {published[5], *published[8:]}
    assert ids(await one.read(10, 0)) == published[8:]


async def test_trim_removes_all_that_is_finished(lab: Lab) -> None:
    one = lab.consumer("one")
    published = await one.publish(events(4))
    await one.read(4, 0)
    await one.ack(published)
    assert await one.trim(0) == 4
    assert (await one.pressure()).xlen == 0


async def test_trim_before_any_consumer_came_removes_nothing(lab: Lab) -> None:
    one = lab.consumer("one")
    await one.publish(events(3))
    assert await one.trim(1) == 0
    assert len(await one.read(10, 0)) == 3


async def test_trim_minds_other_groups(real: RealLab) -> None:
    one = real.consumer("one")
    published = await one.publish(events(3))
    with real.server.client() as client:
        client.execute_command("XGROUP CREATE", real.key, "another", published[0])
    await one.read(3, 0)
    await one.ack(published)
    assert await one.trim(1) == 1


async def test_the_undelivered_are_counted_by_lane_also_where_the_lag_is_unknown(lab: Lab) -> None:
    one = lab.consumer("one")
    assert (await one.undelivered(10)).of_lane == {}
    published = await one.publish([event(number, priority=list(Priority)[number % 4]) for number in range(8)])
    assert (await one.undelivered(10)).of_lane == {1: 2, 0: 2, -1: 2, -2: 2}
    assert [(await one.undelivered(limit)).is_all for limit in (7, 8, 9)] == [False, False, True]
    assert (await one.undelivered(5)).of_lane == {1: 2, 0: 1, -1: 1, -2: 1}
    await one.read(2, 0)
    lab.delete(published[3])
    assert (await one.undelivered(10)).of_lane == {1: 1, 0: 1, -1: 2, -2: 1}
    lab.add({"job_id": "x", "priority": "soon"})
    lab.add({"job_id": "x", "priority": ""})
    lab.add({"job_id": "x"})
    lab.add({"priority": "-1"})
    await one.notify_run("run-1", 1)
    assert (await one.undelivered(99)).of_lane == {1: 1, 0: 4, -1: 3, -2: 1, RUN_PRIORITY: 1}
    assert [entry.priority for entry in await one.read(5, 0) if isinstance(entry, Entry)] == [-1, 1, 0, -1, -2]


async def test_unread_entries_of_a_lane_are_seen_and_taken_out_without_being_read(lab: Lab) -> None:
    one = lab.consumer("one")
    published = await one.publish([event(number, priority=number % 2) for number in range(6)])
    await one.read(2, 0)
    assert [entry.entry_id for entry in await one.unread(1, 10)] == [published[3], published[5]]
    assert [entry.entry_id for entry in await one.unread(1, 2)] == [published[3]], "among the first two"
    await one.take_out([published[3], published[3]])
    await one.take_out([])
    assert (await one.undelivered(10)).of_lane == {0: 2, 1: 1}
    assert ids(await one.read(10, 0)) == [published[2], published[4], published[5]]


async def test_pressure_of_an_empty_stream(lab: Lab) -> None:
    seen = await lab.consumer("one").pressure()
    assert (seen.xlen, seen.pending, seen.lag) == (0, 0, 0)
    assert (seen.oldest_age_ms, seen.oldest_age_source, seen.approx) == (None, "none", False)


async def test_pressure_prefers_pending_over_backlog(lab: Lab) -> None:
    one = lab.consumer("one")
    published = await one.publish(events(3))
    seen = await one.pressure()
    assert (seen.xlen, seen.pending, seen.lag) == (3, 0, 3)
    assert (seen.oldest_age_source, seen.approx) == ("backlog", True)
    assert seen.oldest_age_ms == seen.ts_ms - 1_700_000_000_000
    await one.read(2, 0)
    await one.ack(published[:1])
    seen = await one.pressure()
    assert (seen.xlen, seen.pending, seen.lag) == (3, 1, 1)
    assert (seen.oldest_age_source, seen.approx) == ("pending", False)
    assert seen.oldest_age_ms == seen.ts_ms - 1_700_000_000_001


async def test_the_age_of_a_rejudge_counts_from_when_it_was_sent(lab: Lab) -> None:
    one = lab.consumer("one")
    published = await one.publish([event(1, priority=int(Priority.REJUDGE)), event(2)])
    await one.read(1, 0)
    seen = await one.pressure()
    assert (seen.oldest_age_source, seen.approx) == ("pending", False)
    assert seen.oldest_age_ms == seen.ts_ms - int(published[0].split("-")[0])
    await one.ack(published[:1])
    seen = await one.pressure()
    assert (seen.oldest_age_source, seen.approx) == ("backlog", True)
    assert seen.oldest_age_ms == seen.ts_ms - 1_700_000_000_002


async def test_pressure_falls_back_to_the_id_of_an_entry_without_body(lab: Lab) -> None:
    one = lab.consumer("one")
    published = await one.publish(events(1))
    await one.read(1, 0)
    lab.delete(published[0])
    seen = await one.pressure()
    assert (seen.oldest_age_source, seen.approx) == ("pending", True)
    assert seen.oldest_age_ms == seen.ts_ms - int(published[0].split("-")[0])


async def test_lag_is_counted_where_the_server_cannot_tell_it(lab: Lab) -> None:
    one = lab.consumer("one")
    published = await one.publish(events(4))
    await one.read(1, 0)
    lab.delete(published[2])  # a hole behind the last delivery
    assert (await one.pressure()).lag == 2
    await one.read(1, 0)
    assert (await one.pressure()).lag == 1
    await one.read(1, 0)
    assert (await one.pressure()).lag == 0


async def test_lag_that_is_too_long_to_be_counted_is_the_servers_and_unknown_behind_a_hole(real: RealLab) -> None:
    one = real.consumer("one")
    (published,) = await one.publish(events(1))
    await one.read(1, 0)
    with real.server.client() as client:
        add = "for i = 1, ARGV[1] do redis.call('XADD', KEYS[1], '*', 'job_id', i) end"
        client.execute_command("EVAL", add, 1, real.key, LAG_COUNTED + 1)
        behind = client.execute_command("XRANGE", real.key, f"({published}", "+", "COUNT", 2)[1][0]
        assert (await one.pressure()).lag == LAG_COUNTED + 1
        client.execute_command("XDEL", real.key, behind)
    assert (await one.pressure()).lag is None


# ---------------------------------------------------------------------------------------------------------------------
# Losses


async def test_a_wiped_server_is_taken_up_again(lab: Lab) -> None:
    one, two = lab.consumer("one"), lab.consumer("two")
    published = await one.publish(events(2))
    await one.read(1, 0)
    lab.wipe()
    assert await one.ack(published) == 0
    assert await one.read(10, 0) == []
    lab.wipe()
    assert await one.own_pending(10) == []
    lab.wipe()
    assert await two.reclaim(0, "0-0", 10) == ("0-0", [])
    lab.wipe()
    assert await one.live_entries(published) == set()
    lab.wipe()
    assert (await one.pressure()).xlen == 0
    lab.wipe()
    assert (await one.undelivered(10)).of_lane == {}
    lab.wipe()
    assert await one.trim(0) == 0
    again = await one.publish(events(2))
    assert ids(await two.read(10, 0)) == again


async def test_a_waiting_read_outlives_a_wipe(real: RealLab) -> None:
    one, two = real.consumer("one"), real.consumer("two")
    await one.publish(events(1))
    await one.read(1, 0)
    got: list[Entry | BadEntry] = []
    with trio.fail_after(SOON_S):
        async with trio.open_nursery() as nursery:

            async def wait() -> None:
                while not got:
                    got.extend(await one.read(10, 200))

            nursery.start_soon(wait)
            await blocked_clients(real.server, 1)
            real.wipe()
            again = await two.publish(events(1))
    assert ids(got) == again


async def blocked_clients(server: RedisServer, count: int) -> None:
    """Return when exactly that many clients are blocked at the server."""
    with trio.fail_after(SOON_S), server.client() as client:
        while client.info("clients")["blocked_clients"] != count:
            await trio.sleep(0.01)


async def test_payloads_come_as_envelopes_that_expire(real: RealLab) -> None:
    stream = await real.make("payloads", payload_ttl_s=1000.0)
    await stream.publish([event(1, "job-x")])
    (entry,) = entries_of(await stream.read(1, 0))
    assert entry.payload_ref == f"{real.namespace}:task:payload:job-x"
    with real.server.client() as client:
        raw = client.execute_command("GET", entry.payload_ref)
        ttl_s = client.execute_command("TTL", entry.payload_ref)
    envelope = json.loads(raw)
    assert json.loads(base64.b64decode(envelope.pop("task_data_b64"))) == {"job_id": "job-1", "code": "ä"}
    assert envelope == {"schema_version": 1, "encoding": "base64", "content_type": "application/json"}
    assert 900 < ttl_s <= 1000


async def test_the_stream_is_bounded(real: RealLab) -> None:
    stream = await real.make("bounded", maxlen=100)
    for _ in range(5):
        await stream.publish(events(100))
    assert (await stream.pressure()).xlen < 250  # "~" trims by whole nodes of 100


async def test_events_go_to_the_stream_they_name(real: RealLab) -> None:
    await real.consumer("one").publish([event(1, stream_key=f"{real.key}:other")])
    assert await real.consumer("one").read(10, 0) == []
    other = await real.make("elsewhere", stream_key=f"{real.key}:other")
    assert len(await other.read(10, 0)) == 1


async def test_a_wrong_password_is_told_from_an_absence(real: RealLab) -> None:
    stream = await real.make("stranger", password="quite-wrong")
    with pytest.raises(StreamRefused, match="REDIS_PASSWORD") as caught:
        await stream.ping()
    assert "quite-wrong" not in str(caught.value)
    unauthorized = await real.make("unauthorized", password="")
    with pytest.raises(StreamRefused):
        await unauthorized.publish(events(1))


async def test_a_key_of_another_type_is_refused(real: RealLab) -> None:
    with real.server.client() as client:
        client.set(real.key, "text")
    with pytest.raises(StreamRefused, match="WRONGTYPE"):
        await real.consumer("one").publish(events(1))
    with pytest.raises(StreamRefused, match="WRONGTYPE"):
        await real.consumer("one").undelivered(1)


async def test_a_server_that_is_down_and_comes_back(own_server: RedisServer) -> None:
    async with real_lab(own_server) as lab:
        one = lab.consumer("one")
        published = await one.publish(events(3))
        await one.read(1, 0)
        assert one.has_just_answered()
        own_server.kill()
        for attempt in (one.ping, lambda: one.read(1, 0), lambda: one.read(1, 100), lambda: one.publish(events(1))):
            with pytest.raises(StreamUnavailable, match=r"cannot be used: .*; see that it is up, or set REDIS_URL$"):
                await attempt()
            assert not one.has_just_answered()
        own_server.start()
        # stale connections in the pools must cause no error: the server is up
        await one.ping()
        assert one.has_just_answered()
        assert ids(await one.read(10, 100)) == published[1:]
        assert ids(await one.own_pending(10)) == published


async def test_connections_gone_stale_in_the_pool_do_not_show(own_server: RedisServer) -> None:
    async with real_lab(own_server) as lab:
        one = lab.consumer("one")
        for _ in range(5):
            with trio.fail_after(SOON_S):
                async with trio.open_nursery() as nursery:
                    for _ in range(10):
                        nursery.start_soon(one.ping)
                own_server.kill()
                own_server.start()
                async with trio.open_nursery() as nursery:
                    for _ in range(10):
                        nursery.start_soon(one.ping)
                    nursery.start_soon(one.read, 1, 10)


async def test_a_server_that_hangs_is_unavailable_and_the_pool_recovers(own_server: RedisServer) -> None:
    async with real_lab(own_server) as lab:
        stream = await lab.make("patient", read_timeout_s=0.3, connect_timeout_s=0.5, pool_size=2)
        await until_answered(lambda: stream.read(1, 10))
        await until_answered(stream.ping)
        own_server.freeze()
        try:
            with trio.fail_after(SOON_S):
                for _ in range(3):
                    with pytest.raises(StreamUnavailable):
                        await stream.ping()
                with pytest.raises(StreamUnavailable):
                    await stream.read(1, 10)
        finally:
            own_server.thaw()
        with trio.fail_after(SOON_S):
            published = await until_answered(lambda: stream.publish(events(2)))
            found: list[str] = []
            while not set(published) <= set(found):
                found += ids(await until_answered(lambda: stream.read(10, 100)))


async def until_answered[T](ask: Callable[[], Awaitable[T]]) -> T:
    """Repeat a call whose timeout is so short that a slow machine may exceed it now and then."""
    with trio.fail_after(SOON_S):
        while True:
            with contextlib.suppress(StreamUnavailable):
                return await ask()


async def test_over_tcp(short_dir: Path) -> None:
    directory = short_dir / uuid.uuid4().hex[:8]
    directory.mkdir()
    with running("valkey", directory, tcp=True) as server:
        async with real_lab(server) as lab:
            published = await lab.consumer("one").publish(events(2))
            assert ids(await lab.consumer("two").read(10, 1000)) == published
        async with AioBridge.open() as bridge:
            url = f"redis://:{server.password}@127.0.0.1:{server.port}/1"
            async with RedisStream.open(bridge, url, consumer="c") as stream:
                await stream.ping()
                assert (await stream.pressure()).xlen == 0  # database 1 has nothing


# ---------------------------------------------------------------------------------------------------------------------
# Addresses


@pytest.mark.parametrize(
    ("url", "where", "settings"),
    [
        ("localhost:6379", "localhost:6379", {"host": "localhost", "port": 6379, "db": 0, "password": None}),
        ("redis", "redis:6379", {"host": "redis", "port": 6379}),
        ("[::1]:7000", "::1:7000", {"host": "::1", "port": 7000}),
        ("redis://:p%40ss@h:1/2", "h:1", {"host": "h", "port": 1, "db": 2, "password": "p@ss", "username": None}),
        ("redis://me:pw@h", "h:6379", {"username": "me", "password": "pw"}),
        ("rediss://h:1", "h:1", {"host": "h"}),
        ("unix:///run/a%20b.sock", "/run/a b.sock", {"path": "/run/a b.sock"}),
    ],
)
def test_addresses(url: str, where: str, settings: dict[str, object]) -> None:
    address = Address.parse(url)
    assert str(address) == where
    assert settings.items() <= address.settings.items()
    assert "pw" not in repr(address)


def test_a_password_beside_the_url_wins_and_tls_is_heard() -> None:
    assert Address.parse("redis://:old@h", password="new").settings["password"] == "new"
    assert issubclass(Address.parse("h:1", tls=True).connection_class, SSLConnection)
    assert not issubclass(Address.parse("h:1").connection_class, SSLConnection)


@pytest.mark.parametrize("url", ["http://h", "redis://", "redis://h:port", "redis://h/x", "unix://", "redis://h:99999"])
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(StartRefused, match="REDIS_URL") as caught:
        Address.parse(url)
    assert caught.value.exit_code == 2


async def test_an_entry_of_a_custom_run_only_wakes(lab: Lab) -> None:
    one, two = lab.consumer("one"), lab.consumer("two")
    run_id = f"run-{uuid.uuid4()}"
    notified = [await one.notify_run(run_id, 1_700_000_000_123), await one.notify_run(run_id, 1_700_000_000_123)]
    found = await two.read(10, 0)
    assert [entry.entry_id for entry in found] == notified
    for entry in found:
        assert isinstance(entry, Entry)
        assert entry.of_run
        assert (entry.job_id, entry.enqueue_ts_ms, entry.payload_ref, entry.priority) == (
            run_id, 1_700_000_000_123, "", RUN_PRIORITY,
        )  # fmt: skip
    assert await two.ack(notified) == 2
    assert not Entry(
        entry_id="1-1", job_id=str(uuid.uuid4()), enqueue_ts_ms=1, payload_ref="", priority=0, event_id=1
    ).of_run
