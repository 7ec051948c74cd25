"""Two nodes on one row, step by step, and answers that are lost after the commit: real PostgreSQL only."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest
import trio

from deepoj.words.errors import StoreUnavailable
from deepoj.words.jobs import Claim, ClaimRefusal, State
from deepoj.words.submissions import Receipt
from tests.contract.labs import (
    LEASE_S,
    MAX_ATTEMPTS,
    NODE,
    OTHER,
    PgLab,
    claim,
    deliver,
    draft,
    entry,
    holding,
    new_job,
    new_problem,
    new_user,
    report,
    send,
    submit,
    until_somebody_waits_for_a_lock,
)

CLAIMED_ELSEWHERE = (
    "UPDATE submissions SET state = 'processing', status = 'running', attempt_id = attempt_id + 1, "
    "lease_owner = 'node-b', lease_until = now() + interval '1 minute'"
)


@pytest.mark.parametrize("ending", ["commit", "rollback"])
async def test_a_claim_that_waited_for_another_sees_how_that_ended(real: PgLab, ending: str) -> None:
    job_id = await new_job(real)
    answers: list[Any] = []

    async def try_claim() -> None:
        answers.extend((await real.store.leases.claim([entry(job_id)], NODE, LEASE_S, MAX_ATTEMPTS)).values())

    async with trio.open_nursery() as nursery, holding(real, CLAIMED_ELSEWHERE) as end:
        nursery.start_soon(try_claim)
        await until_somebody_waits_for_a_lock(real)
        end(ending)
    if ending == "commit":
        assert answers == [ClaimRefusal.LEASED]
    else:
        assert isinstance(answers[0], Claim)
        assert answers[0].attempt_id == 1


@pytest.mark.parametrize("ending", ["commit", "rollback"])
async def test_a_verdict_that_waited_for_a_reclaim_sees_how_that_ended(real: PgLab, ending: str) -> None:
    """The lease is valid when the verdict's statement begins; the row counts as it is once the lock is taken."""
    job_id = await new_job(real)
    won = await claim(real, job_id)
    answers: list[Any] = []

    async def finalize() -> None:
        answers.append(await real.store.leases.finalize(won, report(), {"mine": True}))

    async with trio.open_nursery() as nursery, holding(real, CLAIMED_ELSEWHERE) as end:
        nursery.start_soon(finalize)
        await until_somebody_waits_for_a_lock(real)
        end(ending)
    assert answers == (["stale_attempt"] if ending == "commit" else [None])
    found = await real.store.submissions.submission(job_id)
    assert found is not None
    assert (found.state is State.DONE) == (ending == "rollback")


async def test_an_identical_draft_that_waited_for_the_first_to_commit_finds_it(real: PgLab) -> None:
    user_id, problem = await new_user(real.store), await new_problem(real.store)
    first = await send(real.store, draft(user_id, problem.id))
    real.sql("DELETE FROM outbox_events")
    real.sql("CREATE TABLE kept AS SELECT * FROM submissions")
    real.sql("DELETE FROM submissions")
    receipts: list[Any] = []

    async def again() -> None:
        receipts.append(await submit(real.store, draft(user_id, problem.id)))

    async with trio.open_nursery() as nursery, holding(real, "INSERT INTO submissions SELECT * FROM kept") as end:
        nursery.start_soon(again)
        await until_somebody_waits_for_a_lock(real)
        end("commit")
    assert receipts == [Receipt(first, repeated=True)]
    assert (await real.store.outbox.outbox_pending()).total == 0


# -- answers that are lost after the commit


def lose_the_next_answer(real: PgLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next statement commit and then break its connection."""
    pool = real.pg_store._pool
    original = pool.do

    async def do(work: Any, *, repeatable: bool) -> Any:
        runs = 0

        async def lossy(connection: Any, again: bool) -> Any:
            nonlocal runs
            runs += 1
            answer = await work(connection, again)
            if runs == 1:
                connection.terminate()
                raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
            return answer

        monkeypatch.undo()
        return await original(lossy, repeatable=repeatable)

    monkeypatch.setattr(pool, "do", do)


async def test_a_verdict_whose_answer_was_lost_stands_once(real: PgLab, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = await new_job(real)
    won = await claim(real, job_id)
    lose_the_next_answer(real, monkeypatch)
    assert await real.store.leases.finalize(won, report(), {"mine": True}) is None
    assert [row.event for row in real.ledger(job_id)] == ["claimed", "finalized"]


async def test_a_release_whose_answer_was_lost_happens_once(real: PgLab, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = await new_job(real)
    won = await claim(real, job_id)
    lose_the_next_answer(real, monkeypatch)
    assert await real.store.leases.give_back(won, reason="drain", counts=True) is None
    assert [row.event for row in real.ledger(job_id)] == ["claimed", "given_back"]
    assert [row.event_type for row in real.outbox(job_id)] == ["submit", "give_back"]


async def test_a_submit_whose_answer_was_lost_is_no_repeat(real: PgLab, monkeypatch: pytest.MonkeyPatch) -> None:
    user_id, problem = await new_user(real.store), await new_problem(real.store)
    lose_the_next_answer(real, monkeypatch)
    receipt = await submit(real.store, draft(user_id, problem.id))
    assert isinstance(receipt, Receipt)
    assert not receipt.repeated
    assert real.sql("SELECT count(*), min(job_id::text) FROM submissions") == f"1|{receipt.job_id}"


async def test_an_account_whose_answer_was_lost_is_not_taken_by_itself(
    real: PgLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_the_next_answer(real, monkeypatch)
    assert (await new_user(real.store)) == 1000


async def test_a_claim_whose_answer_was_lost_is_not_taken_for_another_slots(
    real: PgLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await new_job(real)
    lose_the_next_answer(real, monkeypatch)
    with pytest.raises(StoreUnavailable):
        await real.store.leases.claim([entry(job_id)], NODE, LEASE_S, MAX_ATTEMPTS)
    assert await real.store.leases.claim([entry(job_id)], NODE, LEASE_S, MAX_ATTEMPTS) == {"1-1": ClaimRefusal.LEASED}
    real.advance(LEASE_S)
    assert (await claim(real, job_id, OTHER)).attempt_id == 2


# -- repair


async def test_one_node_repairs_at_a_time(real: PgLab) -> None:
    job_id = await new_job(real)
    await deliver(real)
    real.advance(61)
    async with holding(real, "SELECT pg_advisory_xact_lock(hashtextextended('deepoj.repair', 0))") as end:
        assert await real.store.strays.repair(set(), 60.0, 10, "s") == []
        end("rollback")
    assert await real.store.strays.repair(set(), 60.0, 10, "s") == [job_id]
