"""The contract of ``ports.Counters``: the same tests over counters in memory, Valkey and Debian's Redis."""

from __future__ import annotations

import contextlib
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import trio

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.redis.counters import RedisCounters
from deepoj.api.counters import FallbackCounters, LocalCounters
from deepoj.ports.limits import Counters
from deepoj.words.errors import StreamUnavailable
from deepoj.words.limits import Overdrawn, Quota
from tests.servers_redis import KINDS, RedisServer, running

MINUTE_MS = 60_000


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, RedisServer]]:
    with tempfile.TemporaryDirectory(prefix="oj-") as short, contextlib.ExitStack() as stack:
        found = {}
        for kind in KINDS:
            (Path(short) / kind).mkdir()
            found[kind] = stack.enter_context(running(kind, Path(short) / kind))
        yield found


class RealLab:
    """Counters of two nodes in a namespace of their own."""

    def __init__(self, server: RedisServer, prefix: str, nodes: tuple[RedisCounters, RedisCounters]) -> None:
        self.server, self.prefix, self.nodes = server, prefix, nodes


@pytest.fixture(params=KINDS)
async def real(request: pytest.FixtureRequest, servers: dict[str, RedisServer]) -> AsyncIterator[RealLab]:
    server, prefix = servers[request.param], f"test-{uuid.uuid4().hex}:rate_limit:"
    async with AioBridge.open() as bridge, contextlib.AsyncExitStack() as stack:
        one, other = [
            await stack.enter_async_context(
                RedisCounters.open(bridge, server.url, password=server.password, prefix=prefix)
            )
            for _ in range(2)
        ]
        yield RealLab(server, prefix, (one, other))


@pytest.fixture(params=["local", *KINDS])
async def counters(request: pytest.FixtureRequest, servers: dict[str, RedisServer]) -> AsyncIterator[Counters]:
    if request.param == "local":
        yield LocalCounters()
        return
    server = servers[request.param]
    async with (
        AioBridge.open() as bridge,
        RedisCounters.open(
            bridge, server.url, password=server.password, prefix=f"test-{uuid.uuid4().hex}:rate_limit:"
        ) as found,
    ):
        yield found


def ip(address: str = "192.0.2.7", limit: int = 3, window_ms: int = MINUTE_MS) -> Quota:
    return Quota("submit:ip", address, limit, window_ms)


def user(number: int = 7, limit: int = 3, window_ms: int = MINUTE_MS) -> Quota:
    return Quota("submit:user", str(number), limit, window_ms)


async def test_as_many_as_the_limit_and_then_the_time_to_the_windows_end(counters: Counters) -> None:
    began = trio.current_time()
    for _ in range(3):
        assert await counters.take([ip()]) is None
    refused = await counters.take([ip()])
    assert refused is not None
    assert refused.quota == ip()
    passed_ms = (trio.current_time() - began) * 1000
    assert MINUTE_MS - passed_ms - 50 <= refused.wait_ms <= MINUTE_MS


async def test_a_refused_request_is_counted_nowhere(counters: Counters) -> None:
    for _ in range(3):
        assert await counters.take([ip(), user(1)]) is None
    for _ in range(5):
        refused = await counters.take([ip(), user(2)])
        assert refused is not None
        assert refused.quota.kind == "submit:ip"
    for _ in range(3):
        assert await counters.take([ip("192.0.2.8"), user(2)]) is None


async def test_others_are_counted_for_themselves(counters: Counters) -> None:
    for number in range(10):
        assert await counters.take([ip(f"192.0.2.{number}", limit=1), user(number, limit=1)]) is None


async def test_of_two_the_one_that_ends_last_is_told(counters: Counters) -> None:
    short, long = ip(limit=1, window_ms=30_000), user(limit=1)
    assert await counters.take([short, long]) is None
    for quotas in ([short, long], [long, short]):
        refused = await counters.take(quotas)
        assert refused is not None
        assert (refused.quota, refused.wait_ms > 30_000) == (long, True)


async def test_a_window_ends(counters: Counters) -> None:
    quota = ip(limit=1, window_ms=200)
    assert await counters.take([quota]) is None
    with trio.fail_after(60):
        while (refused := await counters.take([quota])) is not None:
            assert 1 <= refused.wait_ms <= 200
            await trio.sleep(refused.wait_ms / 1000)


async def test_what_is_given_back_may_be_taken_again(counters: Counters) -> None:
    for _ in range(3):
        assert await counters.take([ip()]) is None
    await counters.give_back([ip(), user()])
    assert [await counters.take([ip()]) is None for _ in range(2)] == [True, False]
    for _ in range(5):
        await counters.give_back([ip(), user()])
    assert [await counters.take([ip(), user()]) is None for _ in range(4)] == [True] * 3 + [False], "none is below 0"


async def test_waits_counts_nothing_and_names_what_is_used_up(counters: Counters) -> None:
    full, other = ip(limit=1), user(limit=2)
    for _ in range(3):
        assert list(await counters.waits([full, other])) == [0, 0]
    assert await counters.take([full]) is None
    assert await counters.take([other]) is None
    for _ in range(3):
        full_ms, other_ms = await counters.waits([full, other])
        assert 0 < full_ms <= MINUTE_MS
        assert other_ms == 0
    assert await counters.take([other]) is None


async def test_many_at_once_are_counted_one_by_one(counters: Counters) -> None:
    answers: list[Overdrawn | None] = []

    async def one() -> None:
        answers.append(await counters.take([ip(limit=20), user(limit=20)]))

    async with trio.open_nursery() as nursery:
        for _ in range(60):
            nursery.start_soon(one)
    assert answers.count(None) == 20


# -- in Redis


async def test_the_names_are_the_contracts_and_every_counter_ends(real: RealLab) -> None:
    quotas = [ip(), user(), Quota("auth:ip", "2001:db8::/64", 3, 5000)]
    assert await real.nodes[0].take(quotas) is None
    with real.server.client() as client:
        for quota in quotas:
            assert client.get(f"{real.prefix}{quota.name}") == b"1"
            assert 0 < client.pttl(f"{real.prefix}{quota.name}") <= quota.window_ms
        assert len(client.keys(f"{real.prefix}*")) == 3


async def test_nodes_count_together(real: RealLab) -> None:
    one, other = real.nodes
    assert [await node.take([ip()]) is None for node in (one, other, one, other, one)] == [True] * 3 + [False] * 2


async def test_a_counter_without_an_end_gets_one(real: RealLab) -> None:
    """A counter that lost its expiry must not block an address for good."""
    node = real.nodes[0]
    with real.server.client() as client:
        client.set(f"{real.prefix}{ip().name}", 3)
        refused = await node.take([ip()])
        assert refused is not None
        assert refused.wait_ms == MINUTE_MS
        client.set(f"{real.prefix}{user().name}", 1)
        assert await node.take([user()]) is None
        for quota in (ip(), user()):
            assert 0 < client.pttl(f"{real.prefix}{quota.name}") <= MINUTE_MS


async def test_a_server_that_forgot_the_script_is_told_it_again(real: RealLab) -> None:
    node = real.nodes[0]
    assert await node.take([ip()]) is None
    with real.server.client() as client:
        client.script_flush()
    answers: list[Overdrawn | None] = []

    async def one() -> None:
        answers.append(await node.take([ip()]))

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(one)
    assert answers.count(None) == 2, "each is counted once"


async def test_a_server_that_is_away_is_a_breakage(servers: dict[str, RedisServer], tmp_path: Path) -> None:
    async with AioBridge.open() as bridge, RedisCounters.open(bridge, f"unix://{tmp_path}/none.sock") as away:
        with pytest.raises(StreamUnavailable):
            await away.take([ip()])


async def test_a_server_that_does_not_answer_costs_little_and_lifts_no_limit(real: RealLab) -> None:
    counters = FallbackCounters(real.nodes[0])
    assert await counters.take([ip()]) is None
    real.server.freeze()
    try:
        with trio.fail_after(60):
            assert [await counters.take([ip()]) is None for _ in range(50)] == [True] * 3 + [False] * 47
    finally:
        real.server.thaw()
    with trio.fail_after(60), real.server.client() as client:
        while (there := client.get(f"{real.prefix}{ip('192.0.2.9').name}")) is None:
            await counters.take([ip("192.0.2.9", limit=10**6)])
            await trio.sleep(0.05)
    assert int(there) >= 1
