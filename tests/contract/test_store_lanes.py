"""The lanes of the outbox and the turns of users: a flood delays other users by a few places at most."""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.pg.outbox import OUTBOX_COUNTED
from deepoj.adapters.pg.sql_files import queries, read_migrations, sql_root
from deepoj.adapters.redis.stream import RedisStream
from deepoj.observe import Metrics
from deepoj.pipeline.outbox import DispatchRound, Lanes, OutboxSettings, dispatch
from deepoj.words.outbox import OutboxWaiting, Priority
from deepoj.words.stream import Entry
from deepoj.words.submissions import SubmitRefusal
from tests.contract.labs import Lab, PgLab, claim, deliver, draft, new_job, new_problem, new_user, report, send, submit
from tests.contract.test_store_plans import session_settings
from tests.contract.test_store_runs import draft as run_draft
from tests.servers_redis import running

#: parameters of the statement that one round of the dispatcher runs
ROUND = {
    "take_outbox": ("bigint, float8, float8, int[], bigint[]", "4, 0.5, 10, '{1,0,-1,-2}', '{4,4,4,4}'"),
    "outbox_waiting": ("int[], bigint", "'{1,0,-1,-2}', 4"),
}
#: parameters of outbox_pending
GAUGE = ("int[], bigint", "'{1,0,-1,-2}', 4")


def rejudged(lab: PgLab, count: int) -> None:
    """Put ``count`` rejudges into the outbox, older than all later events. Their payloads are as large as usual: with
    small ones the planner finds other plans."""
    lab.sql(
        "WITH job AS (INSERT INTO submissions (job_id, problem_id, user_id, code, language, time_limit, memory_limit,"
        " judging) SELECT gen_random_uuid(), 2000, 1000, 'x', 'cpp17', 1, 1, 2"
        f" FROM generate_series(1, {count}) RETURNING job_id)"
        " INSERT INTO outbox_events (event_type, job_id, stream_key, enqueue_ts, priority, payload, next_attempt_at,"
        " created_at) SELECT 'rejudge', job_id, 'deepoj:jobs', 1, -2, jsonb_build_array(repeat('x', 1500)),"
        " now() - interval '1 h', now() - interval '1 h' FROM job"
    )


async def test_take_outbox_follows_the_lanes_and_their_bounds(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    old = [await send(lab.store, draft(user_id, problem.id, f"// old {number}")) for number in range(4)]
    lab.move_to_background(*old)
    lab.advance(3600)
    new = [await send(lab.store, draft(user_id, problem.id, f"// new {number}")) for number in range(2)]
    both = {Priority.INTERACTIVE: 2, Priority.REJUDGE: 4}
    assert await lab.store.outbox.outbox_waiting(9) == OutboxWaiting(both, is_waiting=True)
    assert await lab.store.outbox.outbox_waiting(2) == OutboxWaiting(dict.fromkeys(both, 2), is_waiting=True)
    assert await lab.store.outbox.take_outbox(9, 60.0, 60.0, lanes={Priority.CONTEST: 9}) == []
    taken = await lab.store.outbox.take_outbox(9, 60.0, 60.0, lanes={Priority.REJUDGE: 1, Priority.INTERACTIVE: 1})
    assert [event.job_id for event in taken] == [new[0], old[0]]
    assert [event.priority for event in taken] == [Priority.INTERACTIVE, Priority.REJUDGE]
    assert [event.job_id for event in await lab.store.outbox.take_outbox(3, 60.0, 60.0)] == [new[1], old[1], old[2]]
    # a taken event is hidden for its backoff, and waits all the same
    assert await lab.store.outbox.outbox_waiting(9) == OutboxWaiting({Priority.REJUDGE: 1}, is_waiting=True)
    pending = await lab.store.outbox.outbox_pending()
    assert (pending.of_lane, pending.total, pending.submitted) == (both, 6, 2)


async def test_take_outbox_takes_users_in_turn(lab: Lab) -> None:
    problem = await new_problem(lab.store)
    users = [await new_user(lab.store, name) for name in ("alice", "bob", "carol")]
    of = {user: [await send(lab.store, draft(user, problem.id, f"// {n}")) for n in range(4)] for user in users[:2]}
    first = [(await lab.store.outbox.take_outbox(1, 60.0, 60.0))[0] for _ in range(3)]
    await lab.store.outbox.mark_delivered([(event.id, "1-1") for event in first])
    of[users[2]] = [await send(lab.store, draft(users[2], problem.id))]
    taken = [event.job_id for event in (*first, *await lab.store.outbox.take_outbox(9, 60.0, 60.0))]
    who = [next(user for user, jobs in of.items() if job_id in jobs) for job_id in taken]
    assert who.index(users[2]) <= 3 + 2 * 2  # the rest of a round and the next one
    assert max(abs(who[:n].count(users[0]) - who[:n].count(users[1])) for n in range(1, 10)) <= 2
    for user in users:
        assert [job_id for job_id in taken if job_id in of[user]] == of[user]


async def test_a_round_of_turns_ends_although_another_user_comes_again_and_again(lab: Lab) -> None:
    """A user who submits again after each delivery does not stay before a user with many waiting programs."""
    problem = await new_problem(lab.store)
    alice, bob = await new_user(lab.store, "alice"), await new_user(lab.store, "bob")
    many = [await send(lab.store, draft(alice, problem.id, f"// {number}")) for number in range(5)]
    taken: list[str] = []
    for number in range(10):
        if len(taken) == number:
            await send(lab.store, draft(bob, problem.id, f"// {number}"))
        (event,) = await lab.store.outbox.take_outbox(1, 60.0, 60.0)
        await lab.store.outbox.mark_delivered([(event.id, "1-1")])
        taken.append(event.job_id)
    assert [job_id for job_id in taken if job_id in many] == many
    assert max(taken.index(after) - taken.index(before) for before, after in itertools.pairwise(many)) <= 3


async def test_an_event_that_is_not_due_holds_no_round_open(lab: Lab) -> None:
    problem = await new_problem(lab.store)
    alice, bob, carol = [await new_user(lab.store, name) for name in ("alice", "bob", "carol")]
    await send(lab.store, draft(carol, problem.id))
    (late,) = await lab.store.outbox.take_outbox(1, 600.0, 600.0)  # taken by a dispatcher that died
    many = [await send(lab.store, draft(alice, problem.id, f"// {number}")) for number in range(4)]
    taken = []
    for number in range(8):
        await send(lab.store, draft(bob, problem.id, f"// {number}"))
        (event,) = await lab.store.outbox.take_outbox(1, 60.0, 60.0)
        await lab.store.outbox.mark_delivered([(event.id, "1-1")])
        taken.append(event.job_id)
    assert [job_id for job_id in taken if job_id in many] == many
    assert late.job_id not in taken


async def test_the_oldest_age_is_that_of_a_submission(lab: Lab) -> None:
    assert (await lab.store.outbox.outbox_pending()).oldest_age_ms is None
    old = await new_job(lab, "alice", "// old")
    lab.advance(100)
    await new_job(lab, "bob", "// new")
    assert 100_000 <= ((await lab.store.outbox.outbox_pending()).oldest_age_ms or 0) < 200_000
    lab.move_to_background(old)
    assert ((await lab.store.outbox.outbox_pending()).oldest_age_ms or 0) < 100_000


async def test_each_lane_is_told_apart(lab: Lab) -> None:
    assert await lab.store.outbox.outbox_waiting(9) == OutboxWaiting({}, is_waiting=False)
    job_id = await new_job(lab)
    assert await lab.store.outbox.outbox_waiting(9) == OutboxWaiting({Priority.INTERACTIVE: 1}, is_waiting=True)
    lab.move_to_background(job_id)
    assert await lab.store.outbox.outbox_waiting(9) == OutboxWaiting({Priority.REJUDGE: 1}, is_waiting=True)
    (event,) = await lab.store.outbox.take_outbox(1, 0.5, 10.0)
    await lab.store.outbox.mark_delivered([(event.id, "1-1")])
    assert not (await lab.store.outbox.outbox_waiting(9)).is_waiting


@pytest.mark.parametrize("way", ["give_back", "repair"])
async def test_a_rejudge_that_comes_back_comes_in_its_lane(lab: Lab, way: str) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    rejudge, fresh = [await send(lab.store, draft(user_id, problem.id, f"// {number}")) for number in range(2)]
    await deliver(lab)
    lab.move_to_background(rejudge)
    if way == "give_back":
        for job_id in (rejudge, fresh):
            assert await lab.store.leases.give_back(await claim(lab, job_id), reason="drain", counts=False) is None
    else:
        lab.advance(100)
        assert set(await lab.store.strays.repair(set(), 60.0, 10, "deepoj:jobs")) == {rejudge, fresh}
    events = await lab.store.outbox.take_outbox(9, 0.5, 10.0)
    assert {(event.event_type, event.job_id, event.priority) for event in events} == {
        (way, rejudge, Priority.REJUDGE),
        (way, fresh, 0),
    }


async def test_rejudges_take_no_place_from_contestants(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    rejudges = [await send(lab.store, draft(user_id, problem.id, f"// {number}")) for number in range(3)]
    assert await submit(lab.store, draft(user_id, problem.id, "// more"), cap=3) is SubmitRefusal.INFLIGHT_CAP_REACHED
    lab.move_to_background(*rejudges)
    await lab.store.submissions.count_inflight(3)
    for number in range(3):
        await send(lab.store, draft(user_id, problem.id, f"// more {number}"), cap=3)
    assert await submit(lab.store, draft(user_id, problem.id, "// less"), cap=3) is SubmitRefusal.INFLIGHT_CAP_REACHED


def scans(plan: dict[str, Any], table: str) -> Iterator[dict[str, Any]]:
    """Yield every scan in a plan, of a table or for a bitmap of its rows."""
    if plan.get("Relation Name") == table and "Scan" in plan["Node Type"]:
        yield plan
        if plan["Node Type"] == "Bitmap Heap Scan":
            yield from plan["Plans"]
    for below in plan.get("Plans", ()):
        yield from scans(below, table)


async def planned(real: PgLab, name: str, types: str | None, values: str) -> Callable[[str], list[dict[str, Any]]]:
    """Run a query as the program does and roll it back. Return its scans of a table, with their row counts."""
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
    assert (await real.store.outbox.outbox_pending()).of_lane == {
        Priority.INTERACTIVE: 1,
        Priority.REJUDGE: OUTBOX_COUNTED,
    }
    for name, (types, values) in ROUND.items():
        found = (await planned(real, name, types, values))("outbox_events")
        assert found, name
        for scan in found:
            assert walked(scan) <= 5, (name, scan)


def walked(scan: dict[str, Any]) -> float:
    """Return how many rows a scan read."""
    rows: float = (scan["Actual Rows"] + scan.get("Rows Removed by Filter", 0)) * scan["Actual Loops"]
    return rows


@pytest.mark.parametrize("is_analyzed", [True, False])
async def test_gauge_of_what_waits_reads_no_batch(real: PgLab, is_analyzed: bool) -> None:
    """The search for the oldest unfinished job read all jobs of batches: 60 ms every second with 50,000 of them."""
    user_id, problem = await new_user(real.store), await new_problem(real.store)
    real.sql(
        "WITH job AS (INSERT INTO submissions (job_id, problem_id, user_id, code, language, time_limit, memory_limit,"
        f" in_batch) SELECT gen_random_uuid(), {problem.id}, {user_id}, 'x', 'cpp17', 1, 1, true"
        " FROM generate_series(1, 5000) RETURNING job_id)"
        " INSERT INTO outbox_events (event_type, job_id, user_id, stream_key, enqueue_ts, priority, payload, turn)"
        f" SELECT 'submit', job_id, {user_id}, 'deepoj:jobs', 1, -1, '{{}}', 1 FROM job"
    )
    rejudged(real, 1)
    await send(real.store, draft(user_id, problem.id))
    real.sql(
        "UPDATE submissions SET created_at = now() - interval '900 s', updated_at = now() - interval '20 s'"
        " WHERE judging = 2;"
        " UPDATE submissions SET created_at = now() - interval '50 s' WHERE NOT in_batch AND judging = 1"
    )
    if is_analyzed:
        real.sql("ANALYZE")
    plan = await planned(real, "outbox_pending", *GAUGE)
    assert plan("submissions")
    for scan in (*plan("submissions"), *plan("outbox_events")):
        assert walked(scan) <= 10, scan
    ages = []
    for done in ("false", "judging = 1 AND NOT in_batch", "NOT in_batch"):
        real.sql(f"UPDATE submissions SET state = 'done', status = 'Accepted', result = '{{}}' WHERE {done}")
        ages.append((await real.store.outbox.outbox_pending()).unfinished_age_ms)
    assert [None if age is None else age // 10_000 for age in ages] == [5, 2, None], "single, rejudge, none"


async def test_a_turn_costs_no_more_in_a_table_that_was_never_analyzed(real: PgLab) -> None:
    """The planner expects next to no waiting events, and would read and sort all 20,000 of the lane."""
    problem = await new_problem(real.store)
    busy, other, idle = [await new_user(real.store, name) for name in ("alice", "bob", "carol")]
    job_id = await send(real.store, draft(other, problem.id))
    real.sql(
        "INSERT INTO outbox_events (event_type, job_id, user_id, stream_key, enqueue_ts, priority, payload, turn)"
        f" SELECT 'submit', '{job_id}', {busy}, 's', 1, 0, jsonb_build_array(repeat('x', 1500)), n"
        " FROM generate_series(1, 20000) AS n"
    )
    settings = await session_settings(real.pg_store)
    for user_id in (busy, other, idle):
        turn = f"SELECT outbox_turn_before(0, {user_id})"  # its first call in a session reads catalogs
        said = real.sql(f"{settings}{turn}; EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {turn}")
        plan = json.loads(said[said.index("[") : said.rindex("]") + 1])[0]["Plan"]
        assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 20


async def test_with_five_thousand_rejudges_waiting_a_submission_is_among_the_next_few(
    real: PgLab, bridge: AioBridge
) -> None:
    """On real servers, with a reader that takes an entry each second."""
    user_id, problem = await new_user(real.store), await new_problem(real.store)
    rejudged(real, 5000)
    settings, metrics, lanes = OutboxSettings(100, 0.5, 10.0), Metrics(), Lanes()
    with tempfile.TemporaryDirectory(prefix="oj-") as place, running("valkey", Path(place)) as server:
        async with RedisStream.open(bridge, server.url, password=server.password, consumer="one") as stream:

            async def a_second_later(lanes: Lanes) -> DispatchRound:
                now_s = lanes.looked_at_s + 1.0
                return await dispatch(real.store.outbox, stream, settings, metrics, lanes, now_s=now_s)

            for _ in range(20):
                lanes = (await a_second_later(lanes)).lanes
                assert len(await stream.read(1, 0)) == 1
            job_id = await send(real.store, draft(user_id, problem.id))
            done = await a_second_later(lanes)
            assert done.is_waiting
            found = [entry for entry in await stream.read(1000, 0) if isinstance(entry, Entry)]
    place_in_line = [entry.job_id for entry in found].index(job_id)
    assert place_in_line <= 1
    assert [entry.priority for entry in found[:place_in_line]] == [Priority.REJUDGE] * place_in_line
    assert (await real.store.outbox.outbox_pending()).total > 4900


async def test_events_of_before_the_migration_keep_their_order_and_go(real: PgLab) -> None:
    """The migration `add_queue_fairness` and its rollback over a database with waiting events."""
    alice, bob = await new_user(real.store, "alice"), await new_user(real.store, "bob")
    problem = await new_problem(real.store)
    rejudges = [await send(real.store, draft(alice, problem.id, f"// old {number}")) for number in range(2)]
    real.move_to_background(*rejudges)
    jobs = {
        user: [await send(real.store, draft(user, problem.id, f"// {n}")) for n in range(3)] for user in (alice, bob)
    }
    (migration,) = [one for one in read_migrations(sql_root()) if one.name == "add_queue_fairness"]
    real.sql(migration.rollback_sql)
    assert real.sql("SELECT count(*) FROM outbox_events WHERE priority = -1") == "2"
    real.sql(migration.sql)
    await send(real.store, draft(bob, problem.id, "// new"))
    taken = [event.job_id for event in await real.store.outbox.take_outbox(99, 60.0, 60.0)]
    assert [job_id for job_id in taken if job_id in jobs[alice]] == jobs[alice]
    assert [job_id for job_id in taken if job_id in jobs[bob]] == jobs[bob]
    assert taken.index(jobs[bob][0]) <= 1
    assert taken[-2:] == rejudges


SCALING = yaml.safe_load(Path("deploy/kubernetes/workers/scaling.yaml").read_text())


async def test_workers_are_scaled_by_what_waits_in_the_outbox_and_in_the_stream(real: PgLab) -> None:
    """The example's query for KEDA, over submissions in every state."""
    (trigger,) = SCALING["spec"]["triggers"]
    query = trigger["metadata"]["query"]
    assert real.sql(query) == "0"
    user_id, problem = await new_user(real.store), await new_problem(real.store)
    jobs = [await send(real.store, draft(user_id, problem.id, f"// {number}")) for number in range(6)]
    (event, *_) = await real.store.outbox.take_outbox(2, 60.0, 60.0)
    await real.store.outbox.mark_delivered([(event.id, "1-1")])
    assert real.sql(query) == "6"
    await real.store.leases.finalize(await claim(real, jobs[0]), report(), {})
    await claim(real, jobs[1])
    await real.store.runs.take_run(run_draft(user_id), per_user=1)
    assert real.sql(query) == "5"
