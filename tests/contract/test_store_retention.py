"""Retention deletes expired rows in batches, oldest first, and no others."""

from __future__ import annotations

import pytest

from deepoj.observe import Metrics
from deepoj.pipeline.retention import RetentionSettings, retain
from deepoj.words.errors import StoreUnavailable
from deepoj.words.jobs import Expired
from tests.contract.labs import Lab, PgLab, claim, deliver, draft, new_problem, new_user, report, send
from tests.contract.test_store_lanes import planned
from tests.fakes.store import MemoryStore

DAY_S = 86_400.0


async def jobs(lab: Lab, count: int) -> list[str]:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    return [await send(lab.store, draft(user_id, problem.id, f"// {number}")) for number in range(count)]


async def finish(lab: Lab, job_id: str) -> None:
    assert await lab.store.leases.finalize(await claim(lab, job_id), report(), {}) is None


async def swept(lab: Lab, *, delete: bool, batch_size: int = 2, days: float = 14) -> tuple[int, int]:
    found = await retain(lab.store.retention, RetentionSettings(days * DAY_S, batch_size, delete), Metrics())
    return found.planned, found.deleted


async def test_only_the_finished_and_old_goes_and_only_when_asked(lab: Lab) -> None:
    old, unfinished, dead, *more = await jobs(lab, 6)
    for job_id in (old, *more):
        await finish(lab, job_id)
    for attempt in range(3):
        await claim(lab, dead, entry_id=f"{attempt}-1", lease_s=1.0)
        lab.advance(2)
    await deliver(lab)
    lab.advance(10 * DAY_S)
    late = await send(lab.store, draft(await new_user(lab.store, "bob"), (await new_problem(lab.store)).id))
    await finish(lab, late)
    assert await swept(lab, delete=False) == (0, 0)
    lab.advance(5 * DAY_S)
    assert await swept(lab, delete=False) == (4, 0)
    assert await lab.store.submissions.submission(old) is not None
    assert await swept(lab, delete=True) == (4, 4)
    for job_id in (old, *more):
        assert await lab.store.submissions.submission(job_id) is None
        assert lab.outbox(job_id) == []
        assert lab.ledger(job_id) == []
    for job_id in (unfinished, dead, late):
        assert await lab.store.submissions.submission(job_id) is not None
        assert len(lab.outbox(job_id)) == 1
    assert await swept(lab, delete=True) == (0, 0)


async def test_pages_go_by_id_and_end_with_what_is_young(lab: Lab) -> None:
    found = await jobs(lab, 5)
    for job_id in found:
        await finish(lab, job_id)
    lab.advance(100)
    await send(lab.store, draft(await new_user(lab.store, "bob"), (await new_problem(lab.store)).id))
    first = await lab.store.retention.expired(0, 50.0, 2)
    second = await lab.store.retention.expired(first.next_after_id, 50.0, 2)
    third = await lab.store.retention.expired(second.next_after_id, 50.0, 2)
    assert [len(page.row_ids) for page in (first, second, third)] == [2, 2, 1]
    assert first.next_after_id == first.row_ids[-1]
    assert third.next_after_id == 0  # its last row is young
    assert await lab.store.retention.expired(0, 1000.0, 2) == Expired((), 0)
    assert await lab.store.retention.expired(10**9, 50.0, 2) == Expired((), 0)


async def test_a_batch_looks_again(lab: Lab) -> None:
    """A row that was reopened, or finished again, since the plan stays."""
    one, other = await jobs(lab, 2)
    await finish(lab, one)
    lab.advance(100)
    ids = (await lab.store.retention.expired(0, 50.0, 10)).row_ids
    assert len(ids) == 1
    assert await lab.store.retention.delete_expired([*ids, ids[0] + 1, 10**9], 150.0) == 0
    assert await lab.store.retention.delete_expired([*ids, ids[0] + 1, 10**9], 50.0) == 1
    assert await lab.store.submissions.submission(one) is None
    assert await lab.store.submissions.submission(other) is not None


async def test_a_round_that_breaks_has_deleted_whole_batches(autojump_clock: object) -> None:
    """If we die between two batches, the first stays deleted, and the next round does the rest."""

    class Breaking(MemoryStore):
        left = 1

        async def delete_expired(self, row_ids: object, keep_s: float) -> int:
            if not self.left:
                self.left = 9
                raise StoreUnavailable("away")
            self.left -= 1
            return await super().delete_expired(row_ids, keep_s)  # type: ignore[arg-type]

    store = Breaking(clock=lambda: now)
    now = 0.0
    user_id, problem = await new_user(store.ports), await new_problem(store.ports)
    for number in range(4):
        job_id = await send(store.ports, draft(user_id, problem.id, f"// {number}"))
        store.rows[job_id].state = store.rows[job_id].state.DONE
    now = 100.0
    settings = RetentionSettings(50.0, 2, delete=True)
    with pytest.raises(StoreUnavailable):
        await retain(store, settings, Metrics())
    assert len(store.rows) == 2
    assert (await retain(store, settings, Metrics())).deleted == 2
    assert not store.rows


async def test_both_statements_go_by_index_in_a_full_table(real: PgLab) -> None:
    await jobs(real, 1)
    real.sql(
        "INSERT INTO submissions (job_id, problem_id, user_id, code, language, time_limit, memory_limit, state, "
        "status, result) SELECT gen_random_uuid(), 2000, 1000, 'x', 'cpp17', 1, 1, 'done', 'Accepted', '{}' "
        "FROM generate_series(1, 20000)"
    )
    real.sql("ANALYZE")
    plan = await planned(real, "expired", "bigint, float8, bigint", "0, 60, 100")
    assert all(scan["Index Name"] == "submissions_pkey" and scan["Actual Rows"] <= 100 for scan in plan("submissions"))
    plan = await planned(real, "delete_expired", "bigint[], float8", "'{3000,3001}', 0")
    assert plan("submissions")
    for scan in (*plan("submissions"), *plan("attempts")):
        assert "Index" in scan["Node Type"], scan
