"""Event streams of custom runs, over fakes and real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from deepoj.words.playground import CustomStatus
from tests.api.house import House, client, house, served
from tests.api.sse import Got, Stream, streaming
from tests.api.test_runs import MEASURES, Setting


@pytest.fixture
async def setting(tmp_path: Path) -> Setting:
    home = house(tmp_path)
    return Setting(home, await home.token("alice"))


@asynccontextmanager
async def watching(setting: Setting, run_id: str, last: str | None = None) -> AsyncIterator[Stream]:
    async with served(setting.home) as (url, _), client(url) as http:
        path = f"/api/v1/run/{run_id}/events"
        async with streaming(http, path, setting.token, last=last) as stream:
            yield stream


async def finish(home: House, run_id: str) -> None:
    claim = await home.store.claim_run("node-a", 60.0, 2, {"python3"})
    assert claim is not None
    assert claim.run_id == run_id
    await home.store.finish_run(claim, CustomStatus.FINISHED, MEASURES, b"1\n", b"", user_max_bytes=10**6)


def stood(got: Got | None) -> tuple[str, str]:
    assert got is not None
    assert got.event == "state"
    return got.data["state"], got.data["status"]


async def test_a_run_from_its_wait_to_its_end(setting: Setting) -> None:
    run_id = await setting.taken()
    store = setting.home.store
    async with watching(setting, run_id) as stream:
        first = await stream.next()
        assert first is not None
        assert first.data == {"run_id": run_id, "state": "pending", "status": "Queuing"}
        claim = await store.claim_run("node-a", 60.0, 2, {"python3"})
        assert claim is not None
        assert stood(await stream.next()) == ("processing", "Running")
        await store.give_back_run(claim, counts=False, delay_s=0.0, max_attempts=2)
        assert stood(await stream.next()) == ("pending", "Queuing")
        again = await store.claim_run("node-b", 60.0, 2, {"python3"})
        assert again is not None
        assert stood(await stream.next()) == ("processing", "Running")
        await store.finish_run(again, CustomStatus.RUNTIME_ERROR, MEASURES, b"1\n", b"", user_max_bytes=10**6)
        assert stood(await stream.next()) == ("done", "Runtime Error")
        done = await stream.next()
        assert done is not None
        assert (done.event, done.data) == ("done", (await setting.look(run_id))[1])
        assert await stream.rest() == []


async def test_a_finished_run_is_told_at_once(setting: Setting) -> None:
    run_id = await setting.taken()
    await finish(setting.home, run_id)
    async with watching(setting, run_id) as stream:
        assert [got.event for got in await stream.rest()] == ["state", "done"]


async def test_reconnected_stream_sends_only_new_events(setting: Setting) -> None:
    run_id = await setting.taken()
    path = f"/api/v1/run/{run_id}/events"
    shown = {}
    async with served(setting.home) as (url, _), client(url) as http:
        async with streaming(http, path, setting.token) as stream:
            seen = await stream.next()
            assert seen is not None
        await finish(setting.home, run_id)
        for name, last in {"waiting": seen.id, "finished": "1-1-2", "unknown": "nonsense"}.items():
            async with streaming(http, path, setting.token, last=last) as stream:
                shown[name] = [got.event for got in await stream.rest()]
    assert shown == {"waiting": ["state", "done"], "finished": ["done"], "unknown": ["state", "done"]}


async def test_a_run_whose_time_is_over_ends_its_streams(setting: Setting) -> None:
    run_id = await setting.taken()
    async with watching(setting, run_id) as stream:
        await stream.next()
        await setting.home.store.drop_run(run_id)
        setting.home.streams.notify(run_id.removeprefix("run-"))
        with trio.fail_after(60):
            assert await stream.rest() == []


async def test_rights(setting: Setting) -> None:
    run_id = await setting.taken()
    path = f"/api/v1/run/{run_id}/events"
    for token, status in (
        (None, 401),
        (await setting.home.token("bob"), 403),
        (await setting.home.token("root", is_admin=True), 403),
    ):
        assert (await setting.home.ask("GET", path, token=token)).status_code == status
    answer = await setting.home.ask("GET", "/api/v1/run/run-1/events", token=setting.token)
    assert answer.status_code == 404
