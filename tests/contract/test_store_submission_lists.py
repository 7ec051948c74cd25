"""The contract of ``ports.SubmissionLists``: filters, and that each row is in exactly one page."""

from __future__ import annotations

import datetime as dt

import pytest

from deepoj.adapters.pg.submission_lists import WALK
from deepoj.ports.submissions import SubmissionLists
from deepoj.words.jobs import State
from deepoj.words.results import Verdict
from deepoj.words.submissions import ListPlace, SubmissionItem, SubmissionQuery, TimeCount, VerdictCount
from tests.contract.labs import Lab, PgLab, claim, deliver, draft, new_problem, new_user, report, send

ALL = SubmissionQuery()


def lists_of(lab: Lab) -> SubmissionLists:
    return lab.store.lists


async def pages(lists: SubmissionLists, query: SubmissionQuery, limit: int) -> list[SubmissionItem]:
    """Return all pages; only the last may be empty here."""
    found: list[SubmissionItem] = []
    place: ListPlace | None = None
    while True:
        page = await lists.submissions(query, limit, place)
        found += page.items
        assert len(page.items) <= limit
        if page.next is None:
            return found
        assert page.items
        place = page.next


async def finish(lab: Lab, job_id: str, verdict: Verdict, time_used: int = 12) -> None:
    await deliver(lab)
    held = await claim(lab, job_id)
    result = {"score": 50.0, "time_used": time_used, "memory_used": 3456}
    assert await lab.store.leases.finalize(held, report(verdict), result) is None


async def test_filters(lab: Lab) -> None:
    lists = lists_of(lab)
    alice, bob = await new_user(lab.store, "alice"), await new_user(lab.store, "bob")
    one, other = await new_problem(lab.store), await new_problem(lab.store)
    jobs = []
    for user_id, problem in ((alice, one), (bob, one), (alice, other), (bob, other)):
        jobs.append(await send(lab.store, draft(user_id, problem.id)))
        lab.advance(10)
    await finish(lab, jobs[0], Verdict.ACCEPTED)

    async def found(**wanted: object) -> list[str]:
        query = SubmissionQuery(**wanted)  # type: ignore[arg-type]
        whole = [item.job_id for item in (await lists.submissions(query, 50)).items]
        for limit in (1, 2, 3):
            assert [item.job_id for item in await pages(lists, query, limit)] == whole
        return whole

    assert await found() == [jobs[3], jobs[2], jobs[1], jobs[0]]
    assert await found(user_id=alice) == [jobs[2], jobs[0]]
    assert await found(problem_id=other.id) == [jobs[3], jobs[2]]
    assert await found(user_id=bob, problem_id=one.id) == [jobs[1]]
    assert await found(language="cpp17") == [jobs[3], jobs[2], jobs[1], jobs[0]]
    assert await found(language="python3") == []
    assert await found(verdict=Verdict.ACCEPTED) == [jobs[0]]
    assert await found(verdict=Verdict.WRONG_ANSWER) == []
    assert await found(is_unfinished=True) == [jobs[3], jobs[2], jobs[1]]
    assert await found(is_unfinished=True, user_id=alice) == [jobs[2]]
    assert await found(user_id=alice, verdict=Verdict.ACCEPTED) == [jobs[0]]
    assert await found(user_id=bob, verdict=Verdict.ACCEPTED) == []
    assert await found(user_id=77) == []
    times = {
        item.job_id: dt.datetime.fromisoformat(item.created_at) for item in (await lists.submissions(ALL, 9)).items
    }
    assert await found(since=times[jobs[1]]) == [jobs[3], jobs[2], jobs[1]], "since counts"
    assert await found(until=times[jobs[1]]) == [jobs[0]], "until does not"
    assert await found(since=times[jobs[1]], until=times[jobs[3]], user_id=alice) == [jobs[2]]
    assert await found(since=times[jobs[3]], until=times[jobs[1]]) == []


async def test_list_items_have_state_score_and_figures(lab: Lab) -> None:
    alice, problem = await new_user(lab.store), await new_problem(lab.store)
    job_id = await send(lab.store, draft(alice, problem.id))
    (waiting,) = (await lists_of(lab).submissions(ALL, 1)).items
    assert (waiting.state, waiting.status, waiting.score) == (State.PENDING, "pending", None)
    await finish(lab, job_id, Verdict.PARTIAL)
    (done,) = (await lists_of(lab).submissions(ALL, 1)).items
    assert done.updated_at > waiting.updated_at or isinstance(lab, PgLab) is False
    assert done == SubmissionItem(
        job_id=job_id,
        user_id=alice,
        username="alice",
        problem_id=problem.id,
        language="cpp17",
        state=State.DONE,
        status="Partial",
        judging=1,
        score=50.0,
        time_used_ms=12,
        memory_used_kb=3456,
        created_at=waiting.created_at,
        updated_at=done.updated_at,
    )


async def test_a_list_looks_at_a_bounded_number(real: PgLab) -> None:
    """Rare rows among many are found over pages that may be empty."""
    alice, problem = await new_user(real.store), await new_problem(real.store)
    rare = await send(real.store, draft(alice, problem.id))
    real.advance(86_400)
    real.sql(
        "INSERT INTO submissions (job_id, problem_id, user_id, code, language, time_limit, memory_limit) "
        f"SELECT gen_random_uuid(), {problem.id}, {alice}, 'x', 'python3', 1, 1 FROM generate_series(1, {WALK})"
    )
    query = SubmissionQuery(language="cpp17")
    first = await real.pg_store.lists.submissions(query, 10)
    assert (first.items, first.next is None) == ((), False)
    second = await real.pg_store.lists.submissions(query, 10, first.next)
    assert ([item.job_id for item in second.items], second.next) == ([rare], None)
    # all with the same time: the id decides
    everything = await real.pg_store.lists.submissions(SubmissionQuery(language="python3"), 200)
    assert len(everything.items) == 200
    following = await real.pg_store.lists.submissions(SubmissionQuery(language="python3"), 200, everything.next)
    assert not {item.job_id for item in everything.items} & {item.job_id for item in following.items}


@pytest.mark.parametrize("query", [ALL, SubmissionQuery(problem_id=2000), SubmissionQuery(user_id=1000)])
async def test_each_list_walks_its_index(real: PgLab, query: SubmissionQuery) -> None:
    """No branch of the query sorts, and branches of other filters are not executed."""
    from deepoj.adapters.pg.sql_files import queries
    from tests.contract.test_store_plans import session_settings

    user_id, problem = await new_user(real.store), await new_problem(real.store)
    await send(real.store, draft(user_id, problem.id))
    real.sql(
        "INSERT INTO submissions (job_id, problem_id, user_id, code, language, time_limit, memory_limit) SELECT "
        f"gen_random_uuid(), {problem.id}, {user_id}, 'x', 'c', 1, 1 FROM generate_series(1, 9000)"
    )
    real.sql("ANALYZE")
    types = "bigint, bigint, text, text, timestamptz, timestamptz, bigint, bigint, bigint, bigint, boolean, boolean"
    words = ["NULL" if one is None else str(one) for one in (query.user_id, query.problem_id)]
    call = f"{', '.join(words)}, NULL, NULL, '-infinity', 'infinity', 0, 51, 51, NULL, false, false"
    plan = real.sql(
        f"{await session_settings(real.pg_store)}PREPARE p ({types}) AS {queries()['submission_list'].sql}; "
        f"EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF) EXECUTE p({call})"
    )
    walked = [line for line in plan.splitlines() if "idx_submissions" in line and "time" in line]
    assert len(walked) == 3, plan
    assert all("Index" in line and "Backward" in line for line in walked), plan
    assert "Index Cond" in plan
    assert sum("rows=51 " in line or "rows=51.00 " in line for line in walked) == 1, plan
    assert sum("never executed" in line or "rows=0" in line for line in walked) == 2, plan


async def test_counts_of_a_problem_by_verdict(lab: Lab) -> None:
    lists, alice = lists_of(lab), await new_user(lab.store, "alice")
    one, other = await new_problem(lab.store), await new_problem(lab.store)
    assert await lists.verdict_counts(one.id, 9) == []
    jobs = []
    for n, problem in enumerate((one, one, one, one, other)):
        jobs.append(await send(lab.store, draft(alice, problem.id, f"// {n}")))
        lab.advance(10)
    for job_id in (jobs[0], jobs[1], jobs[4]):
        await finish(lab, job_id, Verdict.ACCEPTED)
    await claim(lab, jobs[2])
    assert await lists.verdict_counts(one.id, 9) == [
        VerdictCount(State.DONE, "Accepted", 2),
        VerdictCount(State.PENDING, "pending", 1),
        VerdictCount(State.PROCESSING, "running", 1),
    ]
    assert await lists.verdict_counts(one.id, 2) == [
        VerdictCount(State.PENDING, "pending", 1),
        VerdictCount(State.PROCESSING, "running", 1),
    ], "only the newest are counted"


async def test_older_waiting_first_judgings_are_before_one_up_to_the_bound(lab: Lab) -> None:
    alice, problem = await new_user(lab.store), await new_problem(lab.store)
    jobs = [await send(lab.store, draft(alice, problem.id, code=f"{number}")) for number in range(4)]

    async def places(most: int = 9) -> list[int | None]:
        return [await lab.store.submissions.count_before(job, most) for job in jobs]

    assert await places() == [0, 1, 2, 3]
    assert await places(2) == [0, 1, 2, 2]
    await deliver(lab)
    await claim(lab, jobs[1])
    assert await places() == [0, None, 1, 2], "it is being judged"
    lab.move_to_background(jobs[0])
    assert await places() == [None, None, 0, 1], "a rejudge waits in a lane of its own"
    assert await lab.store.submissions.count_before("x", 9) is None


async def test_counts_of_a_problem_by_time(lab: Lab) -> None:
    """Tenths of the limit, which counts to the last one; what was not run, or waits, is left out."""
    lists, alice, problem = lists_of(lab), await new_user(lab.store, "alice"), await new_problem(lab.store)
    limit_ms = problem.time_limit_ms
    ended = [
        (Verdict.ACCEPTED, 0), (Verdict.WRONG_ANSWER, limit_ms // 10), (Verdict.ACCEPTED, limit_ms // 10),
        (Verdict.TIME_LIMIT_EXCEEDED, limit_ms), (Verdict.TIME_LIMIT_EXCEEDED, 3 * limit_ms),
        (Verdict.COMPILE_ERROR, 0), (Verdict.SYSTEM_ERROR, 0),
    ]  # fmt: skip
    assert await lists.time_counts(problem.id, 99) == []
    for number, (verdict, time_ms) in enumerate(ended):
        await finish(lab, await send(lab.store, draft(alice, problem.id, f"// {number}")), verdict, time_ms)
        lab.advance(10)
    await send(lab.store, draft(alice, problem.id, "// waits"))
    assert await lists.time_counts(problem.id, 99) == [
        TimeCount(0, True, 1), TimeCount(1, False, 1), TimeCount(1, True, 1), TimeCount(10, False, 2),
    ]  # fmt: skip
    assert await lists.time_counts(problem.id, 4) == [TimeCount(10, False, 1)], "only the newest are counted"
