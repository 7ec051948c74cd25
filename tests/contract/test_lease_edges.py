"""The end of a lease, to the microsecond, in SQL: over at ``now() = lease_until``, valid one microsecond before.

The statements compare with the database's ``now()`` and with nothing else, and ``now()`` stands still inside a
transaction: so ``lease_until`` is set to it, exactly, in the transaction in which the statement then runs.
"""

from __future__ import annotations

from typing import Any

import pytest

from deepoj.adapters.pg.sql_files import queries
from tests.contract.labs import LEASE_S, MAX_ATTEMPTS, NODE, OTHER, PgLab, claim, deliver, new_job

#: ``lease_until - now()`` in microseconds, and whether the lease is then valid
EDGES = {
    "a microsecond before its end": (1, True),
    "at its end": (0, False),
    "a microsecond after its end": (-1, False),
}
edges = pytest.mark.parametrize(("left_us", "valid"), EDGES.values(), ids=EDGES.keys())


async def at_the_edge(real: PgLab, job_id: str, left_us: int, query: str, *args: object) -> list[Any]:
    """Run a query when the lease of ``job_id`` has ``left_us`` left. Return its rows."""

    async def work(connection: Any, _again: bool) -> list[Any]:
        async with connection.transaction():
            left = await connection.fetchval(
                "UPDATE submissions SET lease_until = now() + $2 * interval '1 microsecond', updated_at = now() - "
                "interval '1 hour' WHERE job_id = $1 RETURNING extract(epoch FROM lease_until - now()) * 1000000",
                job_id,
                left_us,
            )
            assert left == left_us
            rows: list[Any] = await connection.fetch(queries()[query].sql, *args)
            return rows

    return await real.pg_store._pool.do(work, repeatable=False)


def row(real: PgLab, job_id: str) -> str:
    return real.sql(
        f"SELECT state, attempt_id, lease_owner, lease_until > now() FROM submissions WHERE job_id = '{job_id}'"
    )


@edges
async def test_claim(real: PgLab, left_us: int, valid: bool) -> None:
    """Reclaim uses this statement, too, and no other."""
    job_id = await new_job(real)
    await claim(real, job_id)
    args = ["2-2"], [job_id], OTHER, LEASE_S, MAX_ATTEMPTS, True, None
    [answer] = await at_the_edge(real, job_id, left_us, "claim", *args)
    assert answer["word"] == ("leased" if valid else "claimed")
    assert answer["attempt_id"] == (None if valid else 2)
    events = [noted.event for noted in real.ledger(job_id)]
    assert events == (["claimed"] if valid else ["claimed", "lost", "claimed"])


@edges
async def test_a_claim_that_would_be_one_too_many(real: PgLab, left_us: int, valid: bool) -> None:
    job_id = await new_job(real)
    await claim(real, job_id)
    [answer] = await at_the_edge(real, job_id, left_us, "claim", ["2-2"], [job_id], OTHER, LEASE_S, 1, True, None)
    assert answer["word"] == ("leased" if valid else "dead")
    assert row(real, job_id).startswith("processing|1|" if valid else "dead|1|")


@edges
async def test_heartbeat(real: PgLab, left_us: int, valid: bool) -> None:
    job_id = await new_job(real)
    await claim(real, job_id)
    kept = await at_the_edge(real, job_id, left_us, "extend", [job_id], [1], NODE, LEASE_S)
    assert [one["job_id"] for one in kept] == ([job_id] if valid else [])
    assert row(real, job_id) == f"processing|1|{NODE}|{'t' if valid else 'f'}"


@edges
async def test_finalize(real: PgLab, left_us: int, valid: bool) -> None:
    job_id = await new_job(real)
    await claim(real, job_id)
    args = (job_id, 1, NODE, "Accepted", "{}", 1, "1-1", False, "full")
    [answer] = await at_the_edge(real, job_id, left_us, "finalize", *args)
    assert answer["refusal"] == (None if valid else "lease_lost_or_owner_mismatch")
    assert row(real, job_id) == ("done|1||" if valid else f"processing|1|{NODE}|f")
    assert [noted.event for noted in real.ledger(job_id)] == ["claimed", "finalized" if valid else "refused"]


@edges
async def test_give_back(real: PgLab, left_us: int, valid: bool) -> None:
    job_id = await new_job(real)
    await claim(real, job_id)
    args = (job_id, 1, NODE, "drain", True, 0.0, "1-1", False, 1)
    [answer] = await at_the_edge(real, job_id, left_us, "give_back", *args, 30.0)
    assert (answer["refusal"], answer["sent"]) == ((None, 1) if valid else ("lease_lost_or_owner_mismatch", 0))
    assert row(real, job_id) == ("pending|1||" if valid else f"processing|1|{NODE}|f")


@edges
async def test_repair(real: PgLab, left_us: int, valid: bool) -> None:
    job_id = await new_job(real)
    await deliver(real)
    real.advance(3600)
    await claim(real, job_id)
    found = await at_the_edge(real, job_id, left_us, "repair", [], 60.0, 10, "s", 0, 2**62)
    assert [one["job_id"] for one in found] == ([] if valid else [job_id])


@edges
async def test_exactly_one_of_holder_and_taker_gets_it(real: PgLab, left_us: int, valid: bool) -> None:
    """A verdict of the holder and a claim of another node at the same ``now()``: exactly one wins, at any moment."""
    job_id = await new_job(real)
    await claim(real, job_id)

    async def both(connection: Any, _again: bool) -> tuple[Any, Any]:
        async with connection.transaction():
            await connection.execute(
                "UPDATE submissions SET lease_until = now() + $1 * interval '1 microsecond'", left_us
            )
            verdict = await connection.fetchrow(
                queries()["finalize"].sql, job_id, 1, NODE, "Accepted", "{}", 1, "1-1", False, "full"
            )
            args = ["2-2"], [job_id], OTHER, LEASE_S, MAX_ATTEMPTS, True, None
            taken = await connection.fetchrow(queries()["claim"].sql, *args)
            return verdict["refusal"], taken["word"]

    refusal, word = await real.pg_store._pool.do(both, repeatable=False)
    assert (refusal, word) == ((None, "already_done") if valid else ("lease_lost_or_owner_mismatch", "claimed"))


#: statements with a time as a parameter
TIMED = {
    "rejudge_begin", "rejudge_page", "preview_begin", "audit_contests", "copy_contest", "remove_interval",
    "change_contest",
}  # fmt: skip


def test_no_statement_asks_another_clock() -> None:
    """Invariant 6. ``now()`` is fixed within a transaction; other clocks move, and no time is a parameter, but for the
    days that the orders and previews of rejudges name, the time from which on an audit looks, and the times that a
    contest's director says."""
    for query in queries().values():
        lowered = query.sql.lower()
        for other in ("clock_timestamp", "statement_timestamp", "current_timestamp", "localtimestamp", "timeofday"):
            assert other not in lowered, query.name
        assert query.name in TIMED or "::timestamp" not in lowered, query.name
