"""Event streams of jobs, over fakes and real sockets."""

from __future__ import annotations

import json
import random
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
import trio.testing

from deepoj.api.live import events as wire
from deepoj.api.live.events import LiveEvent
from deepoj.judging.result import as_result, as_test
from deepoj.observe import Metrics
from deepoj.words.jobs import Claim
from deepoj.words.live import EndedTests, LiveJob
from deepoj.words.outbox import OutboxPending
from deepoj.words.results import Report, TestResult, Verdict
from tests.api.house import House, client, house, served, settings_for, submission
from tests.api.sse import Got, Stream, streaming
from tests.contract.labs import entry
from tests.unit.makers import a_report

#: three tests, the first a sample
TESTS = (
    TestResult(name="sample", status=Verdict.ACCEPTED, sample=True, exit_code=0, stdout_len=4),
    TestResult(name="1", status=Verdict.ACCEPTED, cpu_ms=7, stdout_len=5, checker_message="a hidden line"),
    TestResult(name="2", status=Verdict.WRONG_ANSWER, reason="compare", exit_code=3, checker_message="a hidden line"),
)


class Scene:
    """An application in which alice has submitted a job."""

    def __init__(self, tmp_path: Path, **changes: Any) -> None:
        self.home = house(tmp_path, **changes)
        self.token = self.job = self.path = ""

    async def begin(self) -> Scene:
        self.token = await self.home.token("alice")
        self.job = await submission(self.home, self.token, await self.home.problem())
        self.path = f"/api/v1/status/{self.job}/events"
        return self

    async def claim(self) -> Claim:
        won = (await self.home.store.claim([entry(self.job)], "node", 60.0, 5))["1-1"]
        assert isinstance(won, Claim)
        await self.home.store.tell_live((), {self.job}, ())
        return won

    async def tell(self, claim: Claim, first: int, last: int) -> None:
        tests = tuple(as_test(test) for test in TESTS[first - 1 : last])
        told = EndedTests(job_id=self.job, attempt_id=claim.attempt_id, first=first, count=len(TESTS), tests=tests)
        await self.home.store.tell_live([told], (), ())

    async def finish(self, claim: Claim, tests: tuple[TestResult, ...] = TESTS, *, notifies: bool = True) -> Report:
        report = replace(a_report(Verdict.WRONG_ANSWER), tests=tests)
        assert await self.home.store.finalize(claim, report, as_result(claim, report)) is None
        if notifies:
            await self.home.store.tell_live((), (), {self.job})
        return report

    async def status(self, token: str | None = None) -> dict[str, Any]:
        answer = await self.home.ask("GET", f"/api/v1/status/{self.job}", token=token or self.token)
        found: dict[str, Any] = await answer.get_json()
        return found


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams are read only after a notification, unless a test says otherwise."""
    monkeypatch.setattr(wire, "KEEP_ALIVE_S", 3600.0)
    monkeypatch.setattr(wire, "DEAF_LOOK_S", 3600.0)


@pytest.fixture
async def scene(tmp_path: Path) -> Scene:
    return await Scene(tmp_path).begin()


def brief(got: Got | None) -> tuple[str, str, object]:
    assert got is not None, "the stream has ended"
    what = got.data.get("state") if got.event == "state" else got.data.get("index")
    return got.id, got.event, what


# ---------------------------------------------------------------------------------------------------------------------
# Events of a stream


async def test_a_job_from_its_wait_to_its_verdict(scene: Scene) -> None:
    async with (
        served(scene.home) as (url, _),
        client(url) as http,
        streaming(http, scene.path, scene.token) as stream,
    ):
        got = await stream.next()
        assert got is not None
        assert stream.retry_ms == 2000
        assert got == Got(
            "1-0-0",
            "state",
            {"job_id": scene.job, "state": "pending", "status": "Queuing", "judging": 1, "attempt_id": 0},
        )
        claim = await scene.claim()
        got = await stream.next()
        assert got is not None
        assert (got.id, got.data["state"], got.data["status"], got.data["attempt_id"]) == (
            "1-1-0", "processing", "Judging", 1,
        )  # fmt: skip
        await scene.tell(claim, 1, 1)
        assert brief(await stream.next()) == ("1-1-1", "test", 1)
        await scene.tell(claim, 2, 3)
        got = await stream.next()
        assert brief(got) == ("1-1-2", "test", 2)
        last = await stream.next()
        assert brief(last) == ("1-1-3", "test", 3)
        await scene.finish(claim)
        assert brief(await stream.next()) == ("1-1-3", "state", "done")
        done = await stream.next()
        assert done is not None
        assert (done.id, done.event, done.data) == ("1-1-3", "done", await scene.status())
        assert await stream.next() is None
        # each test as the result has it, and as much of it as the result shows to this client
        assert got is not None
        assert got.data == {
            "job_id": scene.job, "judging": 1, "attempt_id": 1, "index": 2, "count": 3,
            "test": done.data["data"]["tests"][1],
        }  # fmt: skip
        assert "hidden" not in json.dumps(got.data)


async def test_administrators_see_what_the_status_shows_them(scene: Scene) -> None:
    root = await scene.home.token("root", is_admin=True)
    claim = await scene.claim()
    await scene.tell(claim, 1, 3)
    async with served(scene.home) as (url, _), client(url) as http, streaming(http, scene.path, root) as stream:
        tests = [await stream.next() for _ in range(4)][1:]
        await scene.finish(claim)
        *_, done = await stream.rest()
    assert done.data == await scene.status(root)
    assert [got.data["test"] for got in tests if got] == done.data["data"]["tests"]
    assert "hidden" in json.dumps(done.data)


async def test_a_finished_job_is_told_at_once(scene: Scene) -> None:
    await scene.finish(await scene.claim())
    async with served(scene.home) as (url, _), client(url) as http:
        for last in (None, "1-1-2", "1-1-3"):
            async with streaming(http, scene.path, scene.token, last=last) as stream:
                state, done = await stream.rest()
            assert (state.event, state.data["state"], done.event) == ("state", "done", "done")
            assert done.data == await scene.status()


async def test_a_dead_letter_ends_the_stream(scene: Scene) -> None:
    async with served(scene.home) as (url, _), client(url) as http, streaming(http, scene.path, scene.token) as stream:
        assert brief(await stream.next()) == ("1-0-0", "state", "pending")
        for _ in range(5):
            claim = await scene.claim()
            assert await scene.home.store.give_back(claim, reason="x", counts=True) is None
        await scene.home.store.claim([entry(scene.job)], "node", 60.0, 5)
        await scene.home.store.tell_live((), (), {scene.job})
        *_, state, done = await stream.rest()
    assert (state.data["state"], done.event, done.data["state"]) == ("dead", "done", "dead")
    assert done.data == await scene.status()


async def test_a_job_too_quick_to_watch_shows_its_tests_all_the_same(scene: Scene) -> None:
    async with served(scene.home) as (url, _), client(url) as http, streaming(http, scene.path, scene.token) as stream:
        await stream.next()
        claim = (await scene.home.store.claim([entry(scene.job)], "node", 60.0, 5))["1-1"]
        assert isinstance(claim, Claim)
        await scene.finish(claim)
        got = await stream.rest()
    assert [brief(one) for one in got] == [
        ("1-1-0", "state", "done"), ("1-1-1", "test", 1), ("1-1-2", "test", 2), ("1-1-3", "test", 3),
        ("1-1-3", "done", None),
    ]  # fmt: skip


async def test_dropped_test_events_are_taken_from_the_result(scene: Scene) -> None:
    """The second of three tests was dropped on its way."""
    claim = await scene.claim()
    await scene.tell(claim, 1, 1)
    async with served(scene.home) as (url, _), client(url) as http, streaming(http, scene.path, scene.token) as stream:
        assert [brief(await stream.next())[2] for _ in range(2)] == ["processing", 1]
        await scene.tell(claim, 3, 3)
        assert brief(await stream.next()) == ("1-1-3", "test", 3)
        await scene.finish(claim)
        got = await stream.rest()
    assert [brief(one) for one in got] == [
        ("1-1-3", "test", 2), ("1-1-3", "state", "done"), ("1-1-3", "done", None),
    ]  # fmt: skip


# ---------------------------------------------------------------------------------------------------------------------
# Attempts


async def test_stream_of_a_new_attempt_starts_over_and_ignores_the_old_one(scene: Scene) -> None:
    async with served(scene.home) as (url, _), client(url) as http, streaming(http, scene.path, scene.token) as stream:
        first = await scene.claim()
        await scene.tell(first, 1, 2)
        assert await scene.home.store.give_back(first, reason="x", counts=True) is None
        second = await scene.claim()
        await scene.tell(first, 3, 3)  # stale
        await scene.tell(second, 1, 1)
        seen: list[tuple[str, str, object]] = []
        while not seen or seen[-1] != ("1-2-1", "test", 1):
            seen.append(brief(await stream.next()))
        after = seen[seen.index(("1-2-0", "state", "processing")) :]
        assert after == [("1-2-0", "state", "processing"), ("1-2-1", "test", 1)]
        assert ("1-1-3", "test", 3) not in seen
        await scene.finish(second)
        assert [brief(one) for one in await stream.rest()] == [
            ("1-2-2", "test", 2), ("1-2-3", "test", 3), ("1-2-3", "state", "done"), ("1-2-3", "done", None),
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("last", "tests"),
    [
        (None, [1, 2]),
        ("1-1-0", [1, 2]),
        ("1-1-1", [2]),
        ("1-1-2", []),
        ("1-0-0", [1, 2]),
        ("2-1-1", [1, 2]),
        ("1-7-1", [1, 2]),
        ("nonsense", [1, 2]),
        ("1-1-99999999999999999999", [1, 2]),
        ("", [1, 2]),
        ("-1-1-1", [1, 2]),
    ],
)
async def test_reconnected_stream_sends_later_events(scene: Scene, last: str | None, tests: list[int]) -> None:
    claim = await scene.claim()
    await scene.tell(claim, 1, 2)
    async with (
        served(scene.home) as (url, _),
        client(url) as http,
        streaming(http, scene.path, scene.token, last=last) as stream,
    ):
        assert brief(await stream.next())[1:] == ("state", "processing")
        assert [brief(await stream.next()) for _ in tests] == [(f"1-1-{n}", "test", n) for n in tests]
        await scene.tell(claim, 3, 3)
        assert brief(await stream.next()) == ("1-1-3", "test", 3)


async def test_a_new_stream_reads_a_waiting_job_once(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[str] = []
    live = scene.home.store.live

    async def counted(job_id: str, attempt_id: int, after: int) -> LiveJob | None:
        reads.append(job_id)
        return await live(job_id, attempt_id, after)

    monkeypatch.setattr(scene.home.store, "live", counted)
    async with (
        served(scene.home) as (url, _),
        client(url) as http,
        streaming(http, scene.path, scene.token) as stream,
    ):
        assert brief(await stream.next()) == ("1-0-0", "state", "pending")
    assert reads == [scene.job]


async def test_a_deleted_job_ends_its_streams(scene: Scene) -> None:
    async with served(scene.home) as (url, _), client(url) as http, streaming(http, scene.path, scene.token) as stream:
        await stream.next()
        scene.home.store._forget({scene.job})
        scene.home.streams.notify(scene.job)
        assert await stream.next() is None
        assert (await http.get(scene.path, headers={"Authorization": f"Bearer {scene.token}"})).status_code == 404


# ---------------------------------------------------------------------------------------------------------------------
# Rights and limits


async def test_rights_and_ids(scene: Scene) -> None:
    other, root = await scene.home.token("other"), await scene.home.token("root", is_admin=True)
    for method in ("GET", "HEAD"):
        for token, status in ((None, 401), ("x", 401), (other, 403)):
            assert (await scene.home.ask(method, scene.path, token=token)).status_code == status
        for job in ("nothing", "%00", "1" * 100, "00000000-0000-0000-0000-000000000000"):
            answer = await scene.home.ask(method, f"/api/v1/status/{job}/events", token=scene.token)
            assert answer.status_code == 404
    for token in (scene.token, root):
        answer = await scene.home.ask("HEAD", scene.path, token=token)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/event-stream")


def open_streams(home: House) -> float:
    return float(home.metrics.live_streams._value.get())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await trio.sleep(0.01)


async def refused(http: httpx.AsyncClient, path: str, token: str) -> httpx.Response:
    answer = await http.get(path, headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["code"]) == (429, "RATE_LIMITED")
    assert int(answer.headers["Retry-After"]) > 0
    return answer


async def test_one_user_has_so_many_streams(tmp_path: Path) -> None:
    scene = await Scene(tmp_path, max_streams_per_user=2).begin()
    root = await scene.home.token("root", is_admin=True)
    async with served(scene.home) as (url, _), client(url) as http:
        async with streaming(http, scene.path, scene.token) as one, streaming(http, scene.path, scene.token) as two:
            await one.next()
            await two.next()
            await refused(http, scene.path, scene.token)
            async with streaming(http, scene.path, root) as three:
                await three.next()
                assert open_streams(scene.home) == 3
        await until(lambda: open_streams(scene.home) == 0)
        async with streaming(http, scene.path, scene.token) as again:
            assert await again.next() is not None
    assert scene.home.streams._of_user == {}
    assert scene.home.streams._streams == {}


async def test_one_node_has_so_many_streams_and_goes_on_answering(tmp_path: Path) -> None:
    scene = await Scene(tmp_path, max_streams=2, max_connections=4).begin()
    root = await scene.home.token("root", is_admin=True)
    async with (
        served(scene.home) as (url, _),
        client(url) as http,
        streaming(http, scene.path, scene.token) as one,
        streaming(http, scene.path, root) as two,
    ):
        await one.next()
        await two.next()
        await refused(http, scene.path, scene.token)
        assert (await http.get("/api/v1/health")).status_code == 200
        # nor does it take a place to ask whether there is one
        assert (await http.head(scene.path, headers={"Authorization": f"Bearer {root}"})).status_code == 200


async def hoard(stack: AsyncExitStack, http: httpx.AsyncClient, path: str, token: str, count: int) -> list[Stream]:
    """Open streams of one account that stay until ``stack`` ends."""
    streams: list[Stream] = []
    stack.callback(streams.clear)  # else they close as garbage
    for _ in range(count):
        streams.append(await stack.enter_async_context(streaming(http, path, token)))
        await streams[-1].next()
    return streams


async def test_account_without_streams_gets_one_of_those_who_hoard(tmp_path: Path) -> None:
    """Until all have as many; then a user gains nothing by a new connection."""
    scene = await Scene(tmp_path, max_streams=8, max_streams_per_user=3).begin()
    hoarders = [await scene.home.token(f"hoarder{number}", is_admin=True) for number in range(3)]
    others = [await scene.home.token(f"other{number}", is_admin=True) for number in range(5)]
    async with served(scene.home, patience_s=60) as (url, _), client(url) as http, AsyncExitStack() as stack:
        first = await hoard(stack, http, scene.path, hoarders[0], 3)
        await hoard(stack, http, scene.path, hoarders[1], 3)
        await hoard(stack, http, scene.path, hoarders[2], 2)
        for other in others:
            await hoard(stack, http, scene.path, other, 1)
            assert open_streams(scene.home) == 8
        for hoarder in hoarders:
            await refused(http, scene.path, hoarder)
        assert await first[0].next() is None, "it has ended"
        assert sorted(scene.home.streams._of_user.values()) == [1] * 8
        await refused(http, scene.path, others[0])
    await until(lambda: open_streams(scene.home) == 0)
    assert scene.home.streams._of_user == {}
    assert scene.home.streams._of_address == {}


async def test_one_address_has_so_many_streams(tmp_path: Path) -> None:
    scene = await Scene(tmp_path, max_streams_per_address=2, trusted_proxies=("127.0.0.1",)).begin()
    root = await scene.home.token("root", is_admin=True)
    async with served(scene.home, patience_s=60) as (url, _), AsyncExitStack() as stack:
        here, elsewhere = [await stack.enter_async_context(client(url)) for _ in range(2)]
        elsewhere.headers["X-Forwarded-For"] = "192.0.2.1"
        await hoard(stack, here, scene.path, scene.token, 2)
        await refused(here, scene.path, root)
        await hoard(stack, elsewhere, scene.path, root, 1)


async def test_many_accounts_of_one_address_leave_room_for_another_address(tmp_path: Path) -> None:
    scene = await Scene(tmp_path, max_streams=4, trusted_proxies=("127.0.0.1",)).begin()
    tokens = [await scene.home.token(f"name{number}", is_admin=True) for number in range(6)]
    async with served(scene.home, patience_s=60) as (url, _), AsyncExitStack() as stack:
        here, elsewhere = [await stack.enter_async_context(client(url)) for _ in range(2)]
        elsewhere.headers["X-Forwarded-For"] = "192.0.2.1"
        for token in tokens[:4]:
            await hoard(stack, here, scene.path, token, 1)
        await refused(here, scene.path, tokens[4])
        await hoard(stack, elsewhere, scene.path, tokens[5], 1)
        assert open_streams(scene.home) == 4


async def test_a_job_says_when_the_queue_is_away_and_when_it_is_back(tmp_path: Path) -> None:
    scene = await Scene(tmp_path).begin()
    pressure = scene.home.context.pressure
    async with (
        served(scene.home) as (url, _),
        client(url) as http,
        streaming(http, scene.path, scene.token) as stream,
    ):
        assert "waiting" not in (await _data(stream))
        pressure.put_outage(OutboxPending({}), None)
        await scene.home.store.tell_live((), {scene.job}, ())
        data = await _data(stream)
        assert (data["state"], data["waiting"]["code"]) == ("pending", "QUEUE_ERROR")
        pressure.put(scene.home.backlog)
        await scene.home.store.tell_live((), {scene.job}, ())
        assert "waiting" not in (await _data(stream))


async def _data(stream: Stream) -> dict[str, Any]:
    got = await stream.next()
    assert got is not None
    assert got.event == "state"
    return got.data


# ---------------------------------------------------------------------------------------------------------------------
# Timeouts and outages


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "KEEP_ALIVE_S", 0.05)
    monkeypatch.setattr(wire, "DEAF_LOOK_S", 0.05)


async def test_a_lost_ring_only_delays(scene: Scene, hasty: None) -> None:
    scene.home.store.ears.clear()
    async with served(scene.home) as (url, _), client(url) as http, streaming(http, scene.path, scene.token) as stream:
        await stream.next()
        claim = await scene.claim()
        await scene.tell(claim, 1, 3)
        assert [brief(await stream.next())[2] for _ in range(4)] == ["processing", 1, 2, 3]
        await scene.finish(claim, notifies=False)
        assert [one.event for one in await stream.rest()] == ["state", "done"]
        assert set(stream.comments) == {": keep-alive"}


async def _kept_alive(tmp_path: Path, notified_at: frozenset[int]) -> list[float]:
    """Return when a stream whose feed is silent sends its keep-alives, and when it ends, after notifications at some
    seconds."""
    random.seed(7)
    live, began = wire.Live(settings_for(tmp_path), Metrics()), trio.current_time()
    live.listens(well=True)
    stream, times = wire._WakeUps(None, "192.0.2.1"), list[float]()

    class Silent:
        is_over = False

        async def events(self) -> Sequence[LiveEvent]:
            return ()

    async def allowed() -> bool:
        return True

    async with (
        trio.open_nursery() as nursery,
        aclosing(live._events(stream, Silent(), allowed, wire._SERVER_SENT)) as pieces,
    ):

        async def notify() -> None:
            for second in range(100):
                if second in notified_at:
                    stream.wake()
                await trio.sleep(1)

        await anext(pieces)
        nursery.start_soon(notify)
        async for piece in pieces:
            assert piece == b": keep-alive\n\n"
            times.append(round(trio.current_time() - began, 6))
        times.append(round(trio.current_time() - began, 6))
        nursery.cancel_scope.cancel()
    return times


async def test_notification_without_an_event_does_not_put_off_the_keep_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    """Otherwise the pauses of a stream would tell that something happened that its reader must not know."""
    monkeypatch.setattr(wire, "KEEP_ALIVE_S", 15.0)
    monkeypatch.setattr(wire, "MAX_AGE_S", 46.0)
    quiet = await _kept_alive(tmp_path, frozenset())
    assert 46 <= quiet[-1] <= 46 + 15
    assert await _kept_alive(tmp_path, frozenset({3, 9, 20, 21, 22, 40, 47, 48, 49})) == quiet


async def test_without_ears_streams_look_more_often(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "DEAF_LOOK_S", 0.05)
    scene.home.store.ears.clear()
    async with served(scene.home) as (url, _), client(url) as http, streaming(http, scene.path, scene.token) as stream:
        await stream.next()
        scene.home.streams.listens(well=False)
        await scene.claim()
        assert brief(await stream.next()) == ("1-1-0", "state", "processing")


async def test_listener_that_reconnects_catches_up(scene: Scene) -> None:
    scene.home.store.ears.clear()
    async with served(scene.home) as (url, _), client(url) as http, streaming(http, scene.path, scene.token) as stream:
        await stream.next()
        await scene.claim()
        scene.home.streams.listens(well=True)
        assert brief(await stream.next()) == ("1-1-0", "state", "processing")


async def first_after_an_outage(scene: Scene, stream: Stream, then: Callable[[], Awaitable[object]]) -> Got:
    """Return the first event of a stream after an outage of the database during which it failed to read."""
    scene.home.store.down = True
    so_far = len(stream.comments)
    reader = stream._events
    async with trio.open_nursery() as nursery:

        async def back() -> None:
            await until(lambda: len(stream.comments) > so_far + 2)
            scene.home.store.down = False
            await then()

        nursery.start_soon(back)
        return await anext(reader)


async def test_a_database_that_is_away_for_a_while_ends_no_stream(scene: Scene, hasty: None) -> None:
    async with served(scene.home) as (url, _), client(url) as http, streaming(http, scene.path, scene.token) as stream:
        await stream.next()
        claim = await scene.claim()
        await stream.next()
        found = await first_after_an_outage(scene, stream, lambda: scene.tell(claim, 1, 1))
        assert brief(found) == ("1-1-1", "test", 1)


async def test_a_database_that_stays_away_ends_it_and_the_client_is_told_why(
    scene: Scene, hasty: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "AWAY_S", 0.2)
    async with served(scene.home) as (url, _), client(url) as http:
        async with streaming(http, scene.path, scene.token) as stream:
            await stream.next()
            scene.home.store.down = True
            assert await stream.next() is None
        answer = await http.get(scene.path, headers={"Authorization": f"Bearer {scene.token}"})
        assert (answer.status_code, answer.json()["code"]) == (503, "DB_ERROR")


@pytest.mark.parametrize("change", ["password", "disabled"])
async def test_a_revoked_token_ends_its_stream(scene: Scene, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    """Not at once, but before the next event is shown."""
    monkeypatch.setattr(wire, "RECHECK_S", 0.0)
    user = await scene.home.store.credentials("alice")
    assert user is not None
    async with served(scene.home) as (url, _), client(url) as http, streaming(http, scene.path, scene.token) as stream:
        await stream.next()
        if change == "password":
            await scene.home.store.set_password(user.user.id, "another")
        else:
            await scene.home.store.change_rights(user.user.id, is_disabled=True, by=None)
        await scene.claim()
        assert await stream.next() is None


async def test_a_token_that_is_ended_by_itself_ends_its_stream_alone(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "RECHECK_S", 0.0)
    ended, kept = [await scene.home.named_token("alice", token_id) for token_id in ("ended", "kept")]
    user = await scene.home.store.credentials("alice")
    assert user is not None
    async with (
        served(scene.home) as (url, _),
        client(url) as http,
        streaming(http, scene.path, ended) as stream,
        streaming(http, scene.path, kept) as other,
    ):
        await stream.next()
        await other.next()
        assert await scene.home.ports.access_tokens.end_token(user.user.id, "ended")
        await scene.claim()
        assert await stream.next() is None
        assert brief(await other.next())[2] == "processing"
        answer = await http.get(scene.path, headers={"Authorization": f"Bearer {ended}"})
        assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")


async def test_stream_of_a_demoted_administrator_ends(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "RECHECK_S", 0.0)
    token = await scene.home.token("root", is_admin=True)
    await scene.home.account("other", is_admin=True)  # the last administrator cannot be demoted
    admin = await scene.home.store.credentials("root")
    assert admin is not None
    async with served(scene.home) as (url, _), client(url) as http, streaming(http, scene.path, token) as stream:
        await stream.next()
        await scene.home.store.change_rights(admin.user.id, is_admin=False, by=None)
        await scene.claim()
        assert await stream.next() is None


async def test_a_token_that_cannot_be_looked_at_is_looked_at_later(
    scene: Scene, hasty: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "RECHECK_S", 0.0)
    async with served(scene.home) as (url, _), client(url) as http, streaming(http, scene.path, scene.token) as stream:
        await stream.next()
        found = await first_after_an_outage(scene, stream, scene.claim)
        assert brief(found) == ("1-1-0", "state", "processing")


async def test_rights_are_looked_at_again(scene: Scene, hasty: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream of a revoked token ends within a while, and a new one with that token is refused."""
    monkeypatch.setattr(wire, "MAX_AGE_S", 0.2)
    user = await scene.home.store.credentials("alice")
    assert user is not None
    async with served(scene.home) as (url, _), client(url) as http:
        async with streaming(http, scene.path, scene.token) as stream:
            await stream.next()
            await scene.home.store.set_password(user.user.id, "another")
            assert await stream.next() is None
        assert (await http.get(scene.path, headers={"Authorization": f"Bearer {scene.token}"})).status_code == 401


async def test_a_drain_ends_streams_at_once(tmp_path: Path) -> None:
    scene = await Scene(tmp_path, shutdown_timeout_s=3600.0).begin()
    async with (
        served(scene.home) as (url, drain),
        client(url) as http,
        streaming(http, scene.path, scene.token) as stream,
    ):
        await stream.next()
        drain.cancel()
        assert await stream.next() is None  # the body ends properly: no error


async def test_timeouts_of_requests_do_not_cut_a_stream(tmp_path: Path, hasty: None) -> None:
    short = {"read_header_timeout_s": 0.3, "read_timeout_s": 0.3, "write_timeout_s": 0.3, "idle_timeout_s": 0.3}
    scene = await Scene(tmp_path, **short).begin()
    async with served(scene.home) as (url, _), client(url) as http, streaming(http, scene.path, scene.token) as stream:
        await stream.next()
        reader = stream._events
        async with trio.open_nursery() as nursery:

            async def later() -> None:
                await until(lambda: len(stream.comments) > 40)
                await scene.claim()

            nursery.start_soon(later)
            assert brief(await anext(reader)) == ("1-1-0", "state", "processing")


async def dialled(url: str, scene: Scene) -> trio.SocketStream:
    """Connect to the stream by a raw socket, from which the test reads as it likes."""
    host, _, port = url.removeprefix("http://").partition(":")
    sock = trio.socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await sock.connect((host, int(port)))
    stream = trio.SocketStream(sock)
    await stream.send_all(
        f"GET {scene.path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {scene.token}\r\n\r\n".encode()
    )
    return stream


async def test_a_client_that_vanishes_costs_nothing(scene: Scene) -> None:
    async with served(scene.home) as (url, _):
        stream = await dialled(url, scene)
        while b"pending" not in await stream.receive_some():
            pass
        assert open_streams(scene.home) == 1
        await stream.aclose()
        await until(lambda: open_streams(scene.home) == 0)
    assert scene.home.streams._streams == {}


async def test_a_client_that_does_not_read_is_dropped_and_can_resume(tmp_path: Path) -> None:
    scene = await Scene(tmp_path, write_timeout_s=0.5).begin()
    claim = await scene.claim()
    async with served(scene.home) as (url, _), client(url) as http:
        async with await dialled(url, scene), streaming(http, scene.path, scene.token) as other:
            await until(lambda: open_streams(scene.home) == 2)
            # more than the socket buffers hold
            long = TestResult(name="x" * 200_000, status=Verdict.ACCEPTED)
            index = 0

            async def tell_more() -> None:
                nonlocal index
                index += 1
                tests = (as_test(long),)
                told = EndedTests(job_id=scene.job, attempt_id=1, first=index, count=9999, tests=tests)
                await scene.home.store.tell_live([told], (), ())

            assert brief(await other.next())[1] == "state"
            while open_streams(scene.home) == 2:
                await tell_more()
                # a client that reads is not delayed by one that does not
                assert brief(await other.next()) == (f"1-1-{index}", "test", index)
            assert index > 3
        async with streaming(http, scene.path, scene.token, last=f"1-1-{index - 1}") as again:
            assert [brief(await again.next())[1:] for _ in range(2)] == [("state", "processing"), ("test", index)]
    assert claim.attempt_id == 1


# ---------------------------------------------------------------------------------------------------------------------
# Format


async def test_the_bytes(scene: Scene) -> None:
    await scene.finish(await scene.claim(), tests=(replace(TESTS[0], name="第一\u2028个\u0085\r\n\x00"),))
    answer = await scene.home.ask("GET", scene.path, token=scene.token)
    body = await answer.get_data(as_text=False)
    assert body.startswith(b"retry: 2000\n\n")
    # no line ends beside those of the format
    assert b"\r" not in body
    blocks = body.decode().removeprefix("retry: 2000\n\n").removesuffix("\n\n").split("\n\n")
    for block in blocks:
        assert re.fullmatch(r"id: [0-9-]+\nevent: (state|done)\ndata: \{[^\n]*\}", block), block
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Accel-Buffering"] == "no"


async def test_the_document_says_what_it_is(scene: Scene) -> None:
    document = await (await scene.home.ask("GET", "/openapi.json")).get_json()
    described = document["paths"]["/api/v1/status/{job_id}/events"]["get"]
    assert set(described["responses"]) >= {"200", "401", "403", "404", "429", "503"}
    assert set(described["responses"]["200"]["content"]) == {"text/event-stream"}
    told = document["components"]["responses"][described["responses"]["429"]["$ref"].rpartition("/")[2]]
    assert set(told["content"]) == {"application/json"}
    assert [one["name"].lower() for one in described["parameters"] if one.get("in") == "header"] == ["last-event-id"]
