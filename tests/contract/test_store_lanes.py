"""The two lanes of the outbox: what somebody waits for never stands behind what waits for room."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.pg.jobs import OUTBOX_COUNTED
from deepoj.adapters.redis_stream import RedisStream
from deepoj.adapters.sql_files import queries
from deepoj.observe import Metrics
from deepoj.pipeline.outbox import WINDOW_MIN, Lanes, OutboxSettings, dispatch
from deepoj.words import Entry, OutboxWaiting, SubmitRefusal
from tests.contract.labs import Lab, PgLab, claim, deliver, draft, new_job, new_problem, new_user, send, submit
from tests.contract.test_store_plans import session_settings
from tests.servers_redis import running

#: what the outbox is asked in one round of the dispatcher, with nothing but its limits to bound it
ROUND = {"take_outbox": ("bigint, float8, float8, bigint", "100, 0.5, 10, 4"), "outbox_waiting": (None, "")}


def rejudged(lab: PgLab, count: int) -> None:
    """``count`` rejudges in the outbox, older than anything that comes now."""
    lab.sql(
        "WITH job AS (INSERT INTO submissions (job_id, problem_id, user_id, code, language, time_limit, memory_limit,"
        " judging) SELECT gen_random_uuid(), 2000, 1000, 'x', 'cpp17', 1, 1, 2"
        f" FROM generate_series(1, {count}) RETURNING job_id)"
        " INSERT INTO outbox_events (event_type, job_id, stream_key, enqueue_ts, priority, payload, next_attempt_at,"
        " created_at) SELECT 'rejudge', job_id, 'deepoj:jobs', 1, -1, '{}', now() - interval '1 h',"
        " now() - interval '1 h' FROM job"
    )


async def test_what_somebody_waits_for_is_taken_however_long_the_background_has_waited(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    old = [await send(lab.store, draft(user_id, problem.id, f"// old {number}")) for number in range(4)]
    lab.move_to_background(*old)
    lab.advance(3600)
    new = [await send(lab.store, draft(user_id, problem.id, f"// new {number}")) for number in range(2)]
    assert await lab.store.outbox_waiting() == OutboxWaiting(interactive=True, background=True)
    assert [event.job_id for event in await lab.store.take_outbox(3, 60.0, 60.0)] == new
    taken = await lab.store.take_outbox(3, 60.0, 60.0, background=3)
    assert [event.job_id for event in taken] == old[:3]
    assert {event.priority for event in taken} == {-1}
    # a taken event is hidden for its backoff, and waits all the same
    assert [event.job_id for event in await lab.store.take_outbox(9, 60.0, 60.0, background=9)] == old[3:]
    assert await lab.store.outbox_waiting() == OutboxWaiting(interactive=True, background=True)
    assert await lab.store.outbox_pending() == 6


async def test_each_lane_is_told_apart(lab: Lab) -> None:
    assert not await lab.store.outbox_waiting()
    job_id = await new_job(lab)
    assert await lab.store.outbox_waiting() == OutboxWaiting(interactive=True, background=False)
    lab.move_to_background(job_id)
    assert await lab.store.outbox_waiting() == OutboxWaiting(interactive=False, background=True)
    (event,) = await lab.store.take_outbox(0, 0.5, 10.0, background=1)
    await lab.store.mark_delivered([(event.id, "1-1")])
    assert not await lab.store.outbox_waiting()


@pytest.mark.parametrize("way", ["give_back", "repair"])
async def test_a_rejudge_that_comes_back_comes_in_its_lane(lab: Lab, way: str) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    rejudge, fresh = [await send(lab.store, draft(user_id, problem.id, f"// {number}")) for number in range(2)]
    await deliver(lab)
    lab.move_to_background(rejudge)
    if way == "give_back":
        for job_id in (rejudge, fresh):
            assert await lab.store.give_back(await claim(lab, job_id), reason="drain", counts=False) is None
    else:
        lab.advance(100)
        assert set(await lab.store.repair(set(), 60.0, 10, "deepoj:jobs")) == {rejudge, fresh}
    events = await lab.store.take_outbox(9, 0.5, 10.0, background=9)
    assert {(event.event_type, event.job_id, event.priority) for event in events} == {
        (way, rejudge, -1),
        (way, fresh, 0),
    }


async def test_rejudges_take_no_place_from_contestants(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    rejudges = [await send(lab.store, draft(user_id, problem.id, f"// {number}")) for number in range(3)]
    assert await submit(lab.store, draft(user_id, problem.id, "// more"), cap=3) is SubmitRefusal.INFLIGHT_CAP_REACHED
    lab.move_to_background(*rejudges)
    await lab.store.count_inflight(3)
    for number in range(3):
        await send(lab.store, draft(user_id, problem.id, f"// more {number}"), cap=3)
    assert await submit(lab.store, draft(user_id, problem.id, "// less"), cap=3) is SubmitRefusal.INFLIGHT_CAP_REACHED


def scans(plan: dict[str, Any], table: str) -> Iterator[dict[str, Any]]:
    """Every scan of a table in a plan."""
    if plan.get("Relation Name") == table and "Scan" in plan["Node Type"]:
        yield plan
    for below in plan.get("Plans", ()):
        yield from scans(below, table)


async def planned(real: PgLab, name: str, types: str | None, values: str) -> Callable[[str], list[dict[str, Any]]]:
    """Runs a query as the program does and undoes it; its scans of a table, with what they came to."""
    settings = await session_settings(real.pg_store)
    head = f"PREPARE p{f' ({types})' if types else ''} AS {queries()[name].sql};"
    call = f"p({values})" if types else "p"
    said = real.sql(f"{settings}{head} BEGIN; EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE {call}; ROLLBACK")
    plan = json.loads(said[said.index("[") : said.rindex("]") + 1])[0]["Plan"]
    return lambda table: list(scans(plan, table))


async def test_the_head_of_a_lane_is_found_however_many_wait_in_the_other(real: PgLab) -> None:
    user_id, problem = await new_user(real.store), await new_problem(real.store)
    rejudged(real, 20_000)
    await send(real.store, draft(user_id, problem.id), cap=100)
    real.sql("ANALYZE")
    assert await real.store.outbox_pending() == OUTBOX_COUNTED + 1
    for name, (types, values) in ROUND.items():
        found = (await planned(real, name, types, values))("outbox_events")
        names = {scan["Index Name"] for scan in found}
        assert {"idx_outbox_pending_retry", "idx_outbox_pending_background"} <= names, name
        for scan in found:
            walked = (scan["Actual Rows"] + scan.get("Rows Removed by Filter", 0)) * scan["Actual Loops"]
            assert walked <= 5, (name, scan)


async def test_with_five_thousand_rejudges_waiting_a_submission_is_among_the_next_few(
    real: PgLab, bridge: AioBridge
) -> None:
    """On real servers, with a reader that takes two entries between two rounds."""
    user_id, problem = await new_user(real.store), await new_problem(real.store)
    rejudged(real, 5000)
    settings, metrics, lanes = OutboxSettings(100, 0.5, 10.0), Metrics(), Lanes()
    with tempfile.TemporaryDirectory(prefix="oj-") as place, running("valkey", Path(place)) as server:
        async with RedisStream.open(bridge, server.url, password=server.password, consumer="one") as stream:
            for _ in range(20):
                lanes = (await dispatch(real.store, stream, settings, metrics, lanes)).lanes
                assert len(await stream.read(2, 0)) == 2
            job_id = await send(real.store, draft(user_id, problem.id))
            done = await dispatch(real.store, stream, settings, metrics, lanes)
            assert (done.interactive, done.waiting.background) == (1, True)
            found = [entry for entry in await stream.read(1000, 0) if isinstance(entry, Entry)]
    place_in_line = [entry.job_id for entry in found].index(job_id)
    assert place_in_line <= WINDOW_MIN
    assert [entry.priority for entry in found[:place_in_line]] == [-1] * place_in_line
    assert await real.store.outbox_pending() > 4900
