"""Properties of PostgreSQL alone: constraints of the tables, and texts that it can store."""

from __future__ import annotations

import math
from typing import Any

import pytest

from deepoj.adapters.pg import PgStore
from deepoj.adapters.pg.sql_files import queries
from tests.contract.labs import (
    PgLab,
    claim,
    draft,
    new_job,
    new_problem,
    new_user,
    report,
    send,
)

# -- the database guards itself


async def test_the_ledger_takes_no_change_and_no_second_verdict(real: PgLab) -> None:
    job_id = await new_job(real)
    assert await real.store.leases.finalize(await claim(real, job_id), report(), {}) is None
    with pytest.raises(RuntimeError, match="append-only"):
        real.sql("UPDATE attempts SET outcome = 'Accepted'")
    with pytest.raises(RuntimeError, match="idx_attempts_one_verdict"):
        real.sql(
            "INSERT INTO attempts (job_id, judging, attempt_id, event) "
            "SELECT job_id, judging, attempt_id + 1, event FROM attempts WHERE event = 'finalized'"
        )


@pytest.mark.parametrize(
    "change",
    [
        "state = 'lost'",
        "state = 'done', status = 'Accepted'",  # without a result
        "state = 'done', status = 'Invalid', result = '{}'",
        "state = 'processing', status = 'running'",  # without a lease
        "lease_owner = 'me', lease_until = now()",  # a lease of a row that is not being judged
        "status = 'running'",
        "state = 'dead', status = 'Accepted'",
        "attempt_id = -1",
    ],
)
async def test_a_row_that_contradicts_itself_is_refused(real: PgLab, change: str) -> None:
    await new_job(real)
    with pytest.raises(RuntimeError, match="violates check constraint"):
        real.sql(f"UPDATE submissions SET {change}")


@pytest.mark.parametrize("change", ["status = 'sent'", "status = 'delivered'", "stream_entry_id = '1-1'"])
async def test_an_event_that_contradicts_itself_is_refused(real: PgLab, change: str) -> None:
    await new_job(real)
    with pytest.raises(RuntimeError, match="violates check constraint"):
        real.sql(f"UPDATE outbox_events SET {change}")


async def test_no_index_is_the_beginning_of_another(real: PgLab) -> None:
    indexes = real.rows(
        "SELECT indrelid::regclass::text AS tab, indexrelid::regclass::text AS name, indkey::text AS columns, "
        "pg_get_expr(indpred, indrelid) AS predicate, pg_get_expr(indexprs, indrelid) AS expressions, "
        "indcollation::text AS collations "
        "FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE relnamespace = 'public'::regnamespace"
    )
    assert len(indexes) >= 12
    for one in indexes:
        for other in indexes:
            alike = all(one[field] == other[field] for field in ("tab", "predicate", "expressions"))
            shorter = all(f"{other[field]} ".startswith(f"{one[field]} ") for field in ("columns", "collations"))
            assert one is other or not (alike and shorter), (one, other)


async def test_the_names_of_the_original_are_there(real: PgLab) -> None:
    columns = {
        (row["table_name"], row["column_name"])
        for row in real.rows("SELECT table_name, column_name FROM information_schema.columns")
    }
    told = {
        "users": "id username password_hash email github_id avatar_url created_at updated_at",
        "problems": "id title description difficulty time_limit_ms memory_limit_mb testcase_minio_path testcase_hash",
        "submissions": (
            "id job_id problem_id user_id code language time_limit memory_limit status state result attempt_id "
            "lease_owner lease_until error_code error_message created_at updated_at"
        ),
        "outbox_events": (
            "id event_type job_id stream_key enqueue_ts priority payload status attempts next_attempt_at last_error "
            "dispatched_at stream_entry_id created_at updated_at"
        ),
    }
    assert {(table, column) for table, names in told.items() for column in names.split()} <= columns
    indexes = {row["indexname"] for row in real.rows("SELECT indexname FROM pg_indexes")}
    assert {"idx_outbox_pending_turn", "idx_outbox_job_id"} <= indexes


# -- texts


async def test_output_of_any_text_never_breaks_a_verdict(real: PgLab) -> None:
    job_id = await new_job(real)
    nasty: dict[str, Any] = {
        "compile": {"output": "nul \0, lone \ud800 and \udfff, pair \U0001f600, escaped \\u0000"},
        "tests": [{"reason": "\0", "score": math.nan}, {"score": math.inf, "ke\0y": -math.inf}],
        "explanation": ({"rule": "memory", "limit_kb": 65536},),
    }
    assert await real.store.leases.finalize(await claim(real, job_id), report(), nasty) is None
    found = await real.store.submissions.submission(job_id)
    assert found is not None
    assert found.result == {
        "compile": {"output": "nul \u2400, lone \ufffd and \ufffd, pair \U0001f600, escaped \\u0000"},
        "tests": [{"reason": "\u2400", "score": None}, {"score": None, "ke\u2400y": None}],
        "explanation": [{"rule": "memory", "limit_kb": 65536}],
    }


async def test_texts_that_others_hand_us_never_break_a_statement(real: PgLab) -> None:
    user_id, problem = await new_user(real.store), await new_problem(real.store)
    job_id = await send(real.store, draft(user_id, problem.id, "a\0b\ud800", key="k\0"))
    won = await claim(real, job_id)
    assert won.code == "a\u2400b\ufffd"
    assert await real.store.leases.give_back(won, reason="a\0b", counts=False) is None
    (event, *_) = await real.store.outbox.take_outbox(10, 0.5, 10.0)
    await real.store.outbox.mark_undelivered([event.id], "a\0b")
    assert real.outbox(job_id)[0].last_error == "a\u2400b"


async def test_large_texts_come_back_whole(real: PgLab) -> None:
    user_id, problem = await new_user(real.store), await new_problem(real.store)
    code = "// " + "好" * 21_000
    job_id = await send(real.store, draft(user_id, problem.id, code))
    won = await claim(real, job_id)
    assert won.code == code
    assert await real.store.leases.give_back(won, reason="drain", counts=False) is None
    assert '"code": "' in (await real.store.outbox.take_outbox(10, 0.5, 10.0))[-1].payload


async def test_only_commits_that_can_be_repeated_do_not_wait_for_the_disk(real: PgLab) -> None:
    """A crash of PostgreSQL must not take back a submission, a claim or a verdict."""
    job_id = await new_job(real)
    event_id = int(real.sql("SELECT max(id) FROM outbox_events"))
    unflushed: dict[str, tuple[object, ...]] = {
        "take_outbox": (1, 0.5, 10.0, [0], [1]),
        "mark_delivered": ([event_id], ["1-1"]),
        "tell_live": ([], [], [], [], [], [], [job_id], []),
    }
    assert {name for name, query in queries().items() if "synchronous_commit" in query.sql} == unflushed.keys()

    async def settings(connection: Any, _again: bool) -> dict[str, str]:
        found = {}
        for name, values in unflushed.items():
            async with connection.transaction():
                await connection.execute("SET LOCAL synchronous_commit = on")
                await connection.fetch(queries()[name].sql, *values)
                found[name] = await connection.fetchval("SHOW synchronous_commit")
        return found

    assert isinstance(real.store, PgStore)
    assert await real.store._pool.do(settings, repeatable=True) == dict.fromkeys(unflushed, "off")
