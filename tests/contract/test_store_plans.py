"""Statements on the path of a request or a job find their rows by index, in tables of any size."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import asyncpg
import pytest

from deepoj.adapters.pg import PgStore
from deepoj.adapters.pg.sql_files import queries
from tests.contract.labs import PgLab, draft, new_problem, new_user, send
from tests.contract.test_store_runs import draft as run_draft

#: statements on the path: the types of their parameters and one set of values
ON_THE_PATH: dict[str, tuple[str | None, str]] = {
    "credentials": ("text", "'alice'"),
    "credentials_by_ids": ("bigint[]", "'{1000,1001}'"),
    "account": ("bigint", "1000"),
    "accounts": ("text, text, bigint, bigint", "'a', 'al', 50, 7"),
    "change_password": ("bigint, text, int", "1000, 'h', 0"),
    "lock_administrators": (None, ""),
    "change_rights": ("bigint, boolean, boolean, bigint, text, text[]", "1000, true, NULL, 1000, 'x', NULL"),
    "group": ("bigint", "7"),
    "group_named": ("text", "'class'"),
    "groups": ("text, bigint", "'a', 50"),
    "groups_of": ("bigint[]", "'{1000,1001}'"),
    "github_credentials": ("text, text", "'7', 'https://a'"),
    "create_github_user": ("text, text, text", "'octocat', '7', NULL"),
    "spend_oauth_state": ("bytea, float8, uuid", "'\\x00', 4e9, gen_random_uuid()"),
    "problem": ("bigint", "2000"),
    "problems_of": ("bigint, bigint, bigint", "1000, 0, 51"),
    "open_problem": ("bigint, bigint", "2000, 1000"),
    "problem_groups": ("bigint", "2000"),
    "newest_titles": ("bigint, integer", "1000, 1000"),
    "problem_titles": ("bigint[], bigint", "'{2000,2001}', 1000"),
    "loose_objects": ("float8, bigint", "60, 100"),
    "unchecked_problems": ("bigint, bigint", "0, 1"),
    "tell_programs": ("bigint, text, text", "2000, 'h', NULL"),
    "statement_index": ("bigint, int", "2000, 1"),
    "statement_text": ("bigint, text", "2000, 'en'"),
    "short_statements": ("bigint, integer", "2000, 10000"),
    "statement_file": ("bigint, text, text, text[]", "2000, 'shown', 'a.png', '{x}'"),
    "is_contest_over_for": ("bigint, text, text, bigint", "1000, 'finals', 'A', 2000"),
    "claim_statements": ("bigint, text, int, int", "2000, 'h', 1, 0"),
    "delete_statements": ("bigint", "2000"),
    "claim_unrendered": ("int, float8, bigint[], text[], int[]", "1, 60, '{2000}', '{h}', '{0}'"),
    "release_unrendered": ("bigint", "2000"),
    "statement_edits": ("bigint", "2000"),
    "lock_statements": ("bigint", "2000"),
    "statement_edit": ("bigint, text", "2000, 'en'"),
    "mark_edited": ("bigint, text, text", "2000, 'root', 'en'"),
    "drop_statement_edit": ("bigint, text", "2000, 'en'"),
    "submit": (
        "uuid, bigint, bigint, text, text, bytea, text, text, text, bigint, float8, text, bigint, text, jsonb, text,"
        " bigint, bigint, float8",
        "gen_random_uuid(), 1000, 2000, 'cpp17', 'x', '\\x00', 't', 'k', '{}', 500, 600, 's', 7, NULL, NULL, NULL, 20,"
        " NULL, 0.5",
    ),
    "submit_lines": (
        "uuid, bigint, float8, text, text, bigint, int[], uuid[], bigint[], text[], text[], bytea[], text[], text[],"
        " text[]",
        "gen_random_uuid(), 1000, 600, 's', 't', 20000, '{1}', ARRAY[gen_random_uuid()], '{2000}', '{cpp17}', '{x}',"
        " ARRAY['\\x00'::bytea], '{NULL}', '{NULL}', '{NULL}'",
    ),
    "batches_of": ("bigint, int", "1000, 50"),
    "batch_results": ("uuid, int, int[], int", "gen_random_uuid(), 0, '{2}', 500"),
    "batch_unfinished": ("uuid, int", "gen_random_uuid(), 0"),
    "batch_of": ("uuid", "gen_random_uuid()"),
    "cancel_lines": ("uuid, int", "gen_random_uuid(), 500"),
    "forget_batches": ("float8, int", "60, 100"),
    "count_inflight": ("bigint", "500"),
    "count_before": ("uuid, bigint", "gen_random_uuid(), 200"),
    "withdraw_event": ("uuid", "gen_random_uuid()"),
    "submission": ("uuid", "gen_random_uuid()"),
    "submission_list": (
        "bigint, bigint, text, text, timestamptz, timestamptz, bigint, bigint, bigint, bigint, boolean, boolean",
        "1000, 2000, 'cpp17', 'Accepted', '-infinity', 'infinity', 0, 5000, 51, 7, false, false",
    ),
    "accounts_and_submissions": ("bigint[], uuid[]", "'{1000}', ARRAY[gen_random_uuid()]"),
    "waiting_work": ("float8, float8, int", "600, 86400, 1"),
    "take_outbox": ("bigint, float8, float8, int[], bigint[]", "100, 0.5, 10, '{1,0,-1,-2}', '{100,100,100,100}'"),
    "outbox_waiting": ("int[], bigint", "'{1,0,-1,-2}', 100"),
    "mark_delivered": ("bigint[], text[]", "'{4000}', '{1-1}'"),
    "mark_undelivered": ("bigint[], text", "'{4000}', 'away'"),
    "outbox_pending": ("int[], bigint", "'{1,0,-1,-2}', 10000"),
    "claim": (
        "text[], uuid[], text, float8, int, boolean, text[]",
        "'{1-1}', ARRAY[gen_random_uuid()], 'n', 60, 5, true, '{cpp17,c17}'",
    ),
    "extend": ("uuid[], bigint[], text, float8", "ARRAY[gen_random_uuid()], '{1}', 'n', 60"),
    "finalize": (
        "uuid, bigint, text, text, text, int, text, boolean, text",
        "gen_random_uuid(), 1, 'n', 'Accepted', '{}', 1, '1-1', true, 'full'",
    ),
    "give_back": (
        "uuid, bigint, text, text, boolean, float8, text, boolean, int, float8",
        "gen_random_uuid(), 1, 'n', 'drain', true, 0, '1-1', true, 1, 0",
    ),
    "hand_over": ("uuid[], float8, boolean", "ARRAY[gen_random_uuid()], 30, true"),
    "live_languages": (None, ""),
    "tell_live": (
        "uuid[], bigint[], int[], int[], int[], text[], uuid[], uuid[]",
        "ARRAY[gen_random_uuid()], '{1}', '{1}', '{2}', '{9}', ARRAY['[1,2]'], ARRAY[gen_random_uuid()],"
        " ARRAY[gen_random_uuid()]",
    ),
    "live": ("uuid[], bigint[], int[]", "ARRAY[gen_random_uuid()], ARRAY[1], ARRAY[3]"),
    "sweep_live": ("float8, bigint", "3600, 1000"),
    "take_run": (
        "uuid, bigint, text, text, bytea, int, int, text, int",
        "gen_random_uuid(), 1000, 'cpp17', 'x', '\\x00', 1000, 65536, 't', 2",
    ),
    "drop_run": ("uuid", "gen_random_uuid()"),
    "custom_run": ("uuid, float8", "gen_random_uuid(), 600"),
    "custom_runs": ("uuid[], bigint, float8", "ARRAY[gen_random_uuid()], 1000, 600"),
    "custom_program": ("uuid, float8", "gen_random_uuid(), 600"),
    "claim_run": ("text, float8, int, text[]", "'n', 60, 2, '{cpp17,c17}'"),
    "extend_runs": ("uuid[], bigint[], text, float8", "ARRAY[gen_random_uuid()], '{1}', 'n', 60"),
    "finish_run": (
        "uuid, bigint, text, text, text, bytea, bytea, bigint",
        "gen_random_uuid(), 1, 'n', 'Finished', '{}', '', '', 1000000",
    ),
    "give_back_run": ("uuid, bigint, text, boolean, float8, int", "gen_random_uuid(), 1, 'n', true, 2, 2"),
    "sweep_runs": ("int, float8, float8, bigint", "2, 120, 600, 500"),
    "contest_webhooks": ("bigint", "1000"),
    "contest_webhook_owners": ("bigint, bigint", "0, 100"),
    "due_contest_webhooks": ("bigint[], text[], text[], int", "'{1000}', '{\"\"}', '{}', 4"),
    "take_contest_webhooks": ("bigint[], float8", "'{1}', 40"),
    "taken_contest_webhooks": ("bigint[]", "'{1}'"),
    "settle_contest_webhook": (
        "bigint, int, bigint, bigint, text, text, int, float8, boolean, float8, boolean, bigint",
        "1, 1, 1, 1, 't', NULL, 204, 0, false, 9, true, 7",
    ),
    "forget_contest_webhooks": ("float8, bigint", "60, 500"),
    "dead_letters": ("bigint, bigint", "NULL, 50"),
    "dead_letter": ("uuid", "gen_random_uuid()"),
    "ledger_of": ("uuid, bigint", "gen_random_uuid(), 200"),
    "count_dead_letters": ("bigint", "1000"),
    "requeue_dead_letter": ("uuid, bigint, text, text, text", "gen_random_uuid(), 1, 'a', '', 's'"),
    "discard_dead_letter": ("uuid, bigint, text, text", "gen_random_uuid(), 1, 'a', ''"),
    "open_judgings": (
        "uuid[], text, boolean, text, int, boolean",
        "ARRAY[gen_random_uuid()], 'root', false, 's', 1, true",
    ),
    "admin_events": ("bigint, bigint", "NULL, 51"),
    "running_jobs": ("bigint", "100"),
    "last_hour": ("bigint, bigint", "2000, 50"),
    "interruptions": ("bigint, bigint", "20, 200"),
    "pipeline_times": ("bigint", "200"),
    "standing": (None, ""),
    "own_submissions": ("bigint, timestamptz, bigint, bigint", "1000, '-infinity', 21, 0"),
    "own_runs": ("bigint, float8", "1000, 600"),
    "erase_sources": ("bigint", "200"),
    "end_erasures": (None, ""),
    "former_result": ("uuid, int", "gen_random_uuid(), 2"),
    "judgings": ("uuid, bigint", "gen_random_uuid(), 20"),
    "rejudge_take": (None, ""),
    "rejudge_page": (
        "bigint, bigint, bigint, bigint, text, text, timestamptz, timestamptz",
        "2000, 0, 1000000, 200, NULL, NULL, NULL, NULL",
    ),
    "rejudge_late": ("uuid[], text", "ARRAY[gen_random_uuid()], NULL"),
    "user_verdicts": ("bigint, bigint", "1000, 10000"),
    "strays": ("bigint, float8, bigint", "0, 60, 500"),
    "claim_example": ("text, float8, int, text[]", "'n', 60, 2, '{cpp17,c17}'"),
    "extend_example": ("bigint, int, bigint, text, float8", "1, 1, 1, 'n', 60"),
    "give_back_example": ("bigint, int, bigint, text, boolean, float8", "1, 1, 1, 'n', true, 2"),
    "sweep_verifications": ("int, float8", "2, 600"),
    "verifications_of": ("bigint", "2000"),
    "verified_examples": ("bigint", "1"),
    "preview_open": ("bigint", "2000"),
    "preview_of": ("bigint, bigint", "2000, 1"),
    "previews_of": ("bigint, bigint, bigint", "2000, NULL, 50"),
    "preview_verdicts": ("bigint", "1"),
    "preview_failures": ("bigint, bigint", "1, 10"),
    "preview_changes": ("bigint, bigint", "1, 500"),
    "past_rejudges": ("bigint, bigint", "2000, 50"),
    "preview_cancel": ("bigint, bigint", "1, 1000"),
    "preview_apply": ("bigint, bigint", "1, 1000"),
    "preview_marks": ("bigint, bigint", "1, 2000"),
    "preview_write": ("bigint", "1"),
    "preview_end": ("bigint, bigint, bigint", "1, 1000, 1"),
    "claim_preview_job": ("text, float8, int, text[]", "'n', 60, 2, '{cpp17,c17}'"),
    "extend_preview_job": ("bigint, int, bigint, text, float8", "1, 1, 1, 'n', 60"),
    "give_back_preview_job": ("bigint, int, bigint, text, boolean, float8", "1, 1, 1, 'n', true, 2"),
    "sweep_previews": ("int, float8", "2, 600"),
    "count_previews": (None, ""),
    "expire_previews": ("float8, bigint", "604800, 20"),
    "forget_previews": ("float8, bigint", "2592000, 20"),
    "take_rerun": ("uuid, text, bigint, int, int", "gen_random_uuid(), '1', 1000, 5, 20"),
    "rerun": ("bigint, float8", "1, 600"),
    "claim_rerun": ("text, float8, int, text[]", "'n', 60, 2, '{cpp17,c17}'"),
    "extend_rerun": ("bigint, int, bigint, text, float8", "1, 1, 1, 'n', 60"),
    "give_back_rerun": ("bigint, int, bigint, text, boolean, float8", "1, 1, 1, 'n', true, 2"),
    "sweep_reruns": ("int, float8, float8, bigint", "2, 600, 600, 200"),
    "audit_page": ("bigint, bigint", "0, 200"),
    "audit_older": ("bigint, bigint, bigint, bigint", "0, 0, 100, 200"),
    "audit_rowless": ("bigint, bigint, bigint", "0, 0, 5000"),
}


REPAIR = ("text[], float8, bigint, text, bigint, bigint", "'{a,b}', 60, 10, 's', 0, 1000")


async def session_settings(store: PgStore) -> str:
    """The planner's settings of the pool's sessions, as statements."""
    settings = "SELECT name, setting FROM pg_settings WHERE source = 'client' AND category LIKE 'Query Tuning%'"

    async def show(connection: asyncpg.pool.PoolConnectionProxy[asyncpg.Record], _again: bool) -> list[asyncpg.Record]:
        return await connection.fetch(settings)

    shown = await store._pool.do(show, repeatable=True)
    assert shown
    return "".join(f"SET {one['name']} = {one['setting']}; " for one in shown)


#: enough rows that the planner does not choose a scan of the table
ROWS = 5_000
#: state, status, result and event status of that many jobs
FILLS = {
    "new": None,
    "finished": ("'done', 'Accepted', '{}'::jsonb", "'delivered', now(), '1-1'"),
    "waiting": ("'pending', 'pending', NULL::jsonb", "'delivered', now(), '1-1'"),
    "undelivered": ("'pending', 'pending', NULL::jsonb", "'pending', NULL, NULL"),
}
#: where a scan without a condition is of an index that holds only what is under way, and ends at a LIMIT (the cap, the
#: batch) or counts what waits (outbox_pending)
PARTIAL = (
    "idx_submissions_unfinished",
    "idx_submissions_inflight",
    "idx_submissions_rejudging",
    "idx_submissions_dead",
    "idx_outbox_pending_turn",
)


def fill(real: PgLab, job: str, event: str) -> None:
    real.sql(
        "INSERT INTO submissions (job_id, problem_id, user_id, code, language, time_limit, memory_limit, state, "
        f"status, result) SELECT gen_random_uuid(), 2000, 1000, 'x', 'cpp17', 1, 1, {job} "
        f"FROM generate_series(1, {ROWS})"
    )
    real.sql(
        "INSERT INTO outbox_events (event_type, job_id, stream_key, enqueue_ts, payload, status, dispatched_at, "
        f"stream_entry_id) SELECT 'submit', job_id, 's', 1, '{{}}', {event} FROM submissions"
    )
    real.sql(
        "INSERT INTO attempts (job_id, judging, attempt_id, event) SELECT job_id, 1, 1, 'claimed' FROM submissions"
    )
    real.sql(
        "INSERT INTO live_tests (job_id, attempt_id, first, last, count, tests) "
        "SELECT job_id, 1, 1, 1, 1, '[{}]' FROM submissions"
    )
    real.sql(
        "INSERT INTO runs (run_id, user_id, place, language, code, stdin, time_limit_ms, memory_limit_kb, trace_id, "
        "state, status, finished_at) SELECT gen_random_uuid(), 1000, n, 'cpp17', 'x', '', 1, 1, 't', "
        "CASE WHEN n % 2 = 0 THEN 'pending' ELSE 'done' END, CASE WHEN n % 2 = 0 THEN 'pending' ELSE 'Finished' END, "
        f"CASE WHEN n % 2 = 0 THEN NULL ELSE now() END FROM generate_series(1, {ROWS}) AS n"
    )
    real.sql("ANALYZE")


def plans(real: PgLab, settings: str, called: Mapping[str, tuple[str | None, str]]) -> dict[str, str]:
    """Return the plan of each statement with these values, by one query."""
    asked = [settings]
    for name, (types, values) in called.items():
        asked.append(f"SELECT '== {name}'; PREPARE p_{name}{f' ({types})' if types else ''} AS {queries()[name].sql};")
        asked.append(f"EXPLAIN EXECUTE p_{name}{f'({values})' if types else ''};")
    said = real.sql("\n".join(asked))
    told = dict(one.split("\n", 1) for one in f"\n{said}".split("\n== ")[1:])
    assert told.keys() == called.keys()
    return told


@pytest.mark.parametrize("filled", FILLS.values(), ids=FILLS.keys())
async def test_every_statement_on_the_path_goes_by_index(real: PgLab, filled: tuple[str, str] | None) -> None:
    user_id, problem = await new_user(real.store), await new_problem(real.store)
    await send(real.store, draft(user_id, problem.id))
    if filled is not None:
        fill(real, *filled)
    for name, plan in plans(real, await session_settings(real.pg_store), ON_THE_PATH).items():
        assert "Scan" in plan
        walked = re.findall(r"(?:Seq Scan|Hash \w*Join|Merge \w*Join)[^(]*", plan)
        assert walked == [], f"{name}:\n{plan}"
        assert "Scan on open_problems" not in plan, f"{name}: the function is not inlined:\n{plan}"
        unbounded = [
            line
            for line in re.findall(
                r"Index (?:Only )?Scan using \w+ on "
                r"(?:submissions|attempts|outbox_events|live_tests|runs)[^\n]*\n[^\n]*",
                plan,
            )
            if "Index Cond" not in line and not any(name in line for name in PARTIAL)
        ]
        assert unbounded == [], f"{name}:\n{plan}"


#: statements that change rows → the table
CHANGED = {
    "take_outbox": "outbox_events",
    "mark_delivered": "outbox_events",
    "mark_undelivered": "outbox_events",
    "extend": "submissions",
    "finalize": "submissions",
    "give_back": "submissions",
    "requeue_dead_letter": "submissions",
    "discard_dead_letter": "submissions",
    "open_judgings": "submissions",
    "preview_apply": "submissions",
    "preview_write": "submissions",
    "extend_runs": "runs",
    "finish_run": "runs",
    "give_back_run": "runs",
    "sweep_runs": "runs",
    "repair": "submissions",
    "tell_live": "live_tests",
}


async def test_a_plan_of_an_empty_table_serves_a_full_one(real: PgLab) -> None:
    """A session keeps the plan of its first call, perhaps of a table with one row, for which a scan is as good as an
    index. With 50,000 rows that plan took ten seconds to mark a thousand.
    """
    user_id, problem = await new_user(real.store), await new_problem(real.store)
    await send(real.store, draft(user_id, problem.id))
    await real.store.runs.take_run(run_draft(user_id), per_user=1)
    real.sql("ANALYZE")
    called = {name: (ON_THE_PATH | {"repair": REPAIR})[name] for name in CHANGED}
    for name, plan in plans(real, await session_settings(real.pg_store), called).items():
        scans = re.findall(rf"Scan using \w+ on {CHANGED[name]}[^\n]*\n[^\n]*", plan)
        assert scans, f"{name}:\n{plan}"
        unbounded = [scan for scan in scans if "Index Cond" not in scan and not any(one in scan for one in PARTIAL)]
        assert unbounded == [], f"{name}:\n{plan}"


#: statements about few jobs, by their ids or their user
OF_FEW_JOBS = (
    "submit", "submit_lines", "count_before", "claim", "extend", "finalize", "give_back", "hand_over", "tell_live",
)  # fmt: skip
#: most rows of submissions that one of them reads
READ = 20
BATCH = "00000000-0000-0000-0000-000000000039"


async def test_a_plan_made_while_few_jobs_wait_reads_no_more_when_many_wait(real: PgLab) -> None:
    """Indexes of unfinished jobs look small while few wait. A session that planned then to read all of one, for a job
    or a user, read all waiting jobs for each claim. The first statement is for the trigger of a contest's events."""
    user_id, problem = await new_user(real.store), await new_problem(real.store)
    other_id = await new_user(real.store, "bob")
    await send(real.store, draft(user_id, problem.id))
    fill(real, "'done', 'Accepted', '{}'::jsonb", "'delivered', now(), '1-1'")
    real.sql(f"INSERT INTO batches (id, user_id, idempotency_key) VALUES ('{BATCH}', {user_id}, 'k')")
    calls = {"event": "EXECUTE p_event"}
    event = (
        "INSERT INTO outbox_events (event_type, job_id, stream_key, enqueue_ts, priority, payload) "
        "SELECT 'submit', job_id, 's', 1, 1, '{}' FROM submissions ORDER BY id DESC LIMIT 1"
    )
    prepared = [f"PREPARE p_event AS {event}"]
    for name in OF_FEW_JOBS:
        types, values = ON_THE_PATH[name]
        values = values.replace("'k'", "NULL").replace("'\\x00'", "sha256(random()::text::bytea)")
        if name == "submit_lines":
            values = values.replace("gen_random_uuid()", f"'{BATCH}'", 1)
            values = values.replace("'{1}'", "ARRAY[(random() * 1e9)::int]")
        prepared.append(f"PREPARE p_{name} ({types}) AS {queries()[name].sql}")
        calls[name] = f"EXECUTE p_{name}({values})"

    async def reads(connection: Any, _again: bool) -> dict[str, int]:
        found = {}
        async with connection.transaction():
            for statement in (*prepared, *calls.values()):
                await connection.execute(statement)
            await connection.execute(
                "INSERT INTO submissions (job_id, problem_id, user_id, code, language, time_limit, memory_limit, "
                f"code_hash, deduplicates, contest_id) SELECT gen_random_uuid(), {problem.id}, {other_id}, 'x', "
                "'cpp17', 1, 1, sha256(n::text::bytea), true, 1 FROM generate_series(1, 500) AS n"
            )
            for name, call in calls.items():
                counted = "SELECT idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'submissions'"
                before = await connection.fetchval(counted)
                await connection.execute(call)
                found[name] = await connection.fetchval(counted) - before
        return found

    found = await real.pg_store._pool.do(reads, repeatable=False)
    assert {name: count for name, count in found.items() if count > READ} == {}


async def test_repair_hashes_the_live_jobs(real: PgLab) -> None:
    settings = await session_settings(real.pg_store)
    types, values = REPAIR
    plan = real.sql(f"{settings}PREPARE p ({types}) AS {queries()['repair'].sql}; EXPLAIN EXECUTE p({values})")
    assert re.search(r"NOT \(?(ANY \(.*)?\(?hashed SubPlan", plan), plan


#: due submissions of one batch
DUE = 3_000
#: statements of the sweeper → a batch with that many due submissions
BATCHES = {
    "sweep_previews": (
        "INSERT INTO previews (problem_id, problem_version, in_full, submissions) "
        f"SELECT id, version, false, {DUE} FROM problems; "
        "INSERT INTO preview_jobs (preview_id, place, job_id, judging, base_attempt_id, old_status, language) "
        "SELECT (SELECT id FROM previews), row_number() OVER (), job_id, 1, 1, 'Accepted', language FROM submissions"
    ),
    "sweep_verifications": (
        "INSERT INTO verifications (problem_id, problem_version, time_limit_ms, points, left_out) "
        "SELECT id, version, 1, '', 0 FROM problems; "
        "INSERT INTO verified_examples (verification_id, place, example, language, code, beside) "
        "SELECT (SELECT id FROM verifications), row_number() OVER (), '{}', language, '', '[]' FROM submissions"
    ),
}


@pytest.mark.parametrize("name", BATCHES)
@pytest.mark.parametrize("max_wait_s", [600, 0], ids=["waiting", "hopeless"])
async def test_a_sweep_reads_the_submissions_of_a_batch_once(real: PgLab, name: str, max_wait_s: int) -> None:
    """Read for each due submission again, those of the largest preview took longer than a command may."""
    user_id, problem = await new_user(real.store), await new_problem(real.store)
    real.sql(
        "INSERT INTO submissions (job_id, problem_id, user_id, code, language, time_limit, memory_limit, state, "
        f"status, result) SELECT gen_random_uuid(), {problem.id}, {user_id}, 'x', 'cpp17', 1, 1, 'done', 'Accepted', "
        f"'{{}}' FROM generate_series(1, {DUE}); {BATCHES[name]}; ANALYZE"
    )
    settings = await session_settings(real.pg_store)
    plan = real.sql(
        f"{settings}PREPARE p (int, float8) AS {queries()[name].sql}; "
        f"EXPLAIN (ANALYZE, TIMING OFF) EXECUTE p (2, {max_wait_s})"
    )
    loops = [int(found) for found in re.findall(r"loops=(\d+)", plan)]
    assert loops
    assert max(loops) <= 2, plan
