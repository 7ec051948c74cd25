"""The contract of ``ports.Rejudges``, and of changes to problems that have submissions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import trio

from deepoj.ports.rejudges import Rejudges
from deepoj.words.jobs import Claim, ClaimRefusal, FinalizeRefusal, State
from deepoj.words.ledger import Decision
from deepoj.words.outbox import Priority
from deepoj.words.problems import Problem, ProblemChange, ProblemRefusal
from deepoj.words.rejudges import EVERYTHING, Rejudged, RejudgeOrder, RejudgeRefusal, RejudgeScope, VerdictChange
from deepoj.words.results import Verdict
from deepoj.words.submissions import Receipt, SubmissionQuery
from tests.contract.labs import (
    LEASE_S,
    MAX_ATTEMPTS,
    NODE,
    OTHER,
    UNKNOWN_ID,
    Lab,
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

KEY = "deepoj:jobs"


def rejudges_of(lab: Lab) -> Rejudges:
    return lab.store.rejudges


async def finish(lab: Lab, job_id: str, status: Verdict = Verdict.WRONG_ANSWER, **result: Any) -> Claim:
    """Claim and finalize a job."""
    won = await claim(lab, job_id)
    told = {"status": status.value, "job_id": job_id, "attempt_id": won.attempt_id} | result
    assert await lab.store.leases.finalize(won, report(status), told) is None
    return won


async def rejudge(
    lab: Lab, job_id: str, judging: int | None = None, *, in_full: bool = False
) -> Rejudged | RejudgeRefusal:
    return await rejudges_of(lab).rejudge(job_id, judging, by="root", in_full=in_full, stream_key=KEY)


async def go_on(lab: Lab, limit: int = 2) -> RejudgeOrder | None:
    return await rejudges_of(lab).go_on_rejudging(limit, KEY)


async def order(lab: Lab, problem_id: int, *, in_full: bool = False, scope: RejudgeScope = EVERYTHING) -> RejudgeOrder:
    given = await rejudges_of(lab).order_rejudge(problem_id, by="root", in_full=in_full, scope=scope)
    assert given is not None
    return given


async def class_of(lab: Lab, count: int) -> tuple[Problem, list[str]]:
    """Submit that many programs to one problem."""
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    return problem, [await send(lab.store, draft(user_id, problem.id, f"// {n}")) for n in range(count)]


def events(lab: Lab, job_id: str) -> list[str]:
    return [row.event for row in lab.ledger(job_id)]


# -- one submission


async def test_a_rejudge_opens_the_next_judging_and_keeps_the_verdict(lab: Lab) -> None:
    job_id = await new_job(lab)
    await deliver(lab)
    await finish(lab, job_id, tests=[1, 2])
    assert await rejudge(lab, job_id) == Rejudged(job_id, 2)
    found = await lab.store.submissions.submission(job_id)
    assert found is not None
    assert (found.state, found.status, found.judging, found.attempt_id) == (State.PENDING, "pending", 2, 1)
    assert (found.result, found.error_code) == (None, None)
    [kept] = await rejudges_of(lab).judgings(job_id, 20)
    assert (kept.judging, kept.attempt_id, kept.status, kept.result["tests"]) == (1, 1, "Wrong Answer", [1, 2])
    opened = lab.ledger(job_id)[-1]
    assert (opened.event, opened.judging, opened.attempt_id, opened.owner) == ("rejudged", 2, 1, "root")
    assert [(one.event_type, one.status) for one in lab.outbox(job_id)][-1] == ("rejudge", "pending")
    [event] = await lab.store.outbox.take_outbox(10, 0.5, 10.0, lanes={Priority.REJUDGE: 10})
    assert (event.job_id, event.priority, event.stream_key) == (job_id, Priority.REJUDGE, KEY)
    won = await claim(lab, job_id, OTHER)
    assert (won.judging, won.attempt_id) == (2, 2)
    assert await lab.store.leases.finalize(won, report(), {"status": "Accepted", "attempt_id": 2}) is None
    found = await lab.store.submissions.submission(job_id)
    assert found is not None
    assert (found.state, found.status, found.judging) == (State.DONE, "Accepted", 2)
    verdicts = [(row.judging, row.outcome) for row in lab.ledger(job_id) if row.event == "finalized"]
    assert verdicts == [(1, "Wrong Answer"), (2, "Accepted")]


async def test_asked_twice_it_is_one(lab: Lab) -> None:
    job_id = await new_job(lab)
    await finish(lab, job_id)
    assert await rejudge(lab, job_id, 1) == Rejudged(job_id, 2)
    assert await rejudge(lab, job_id, 1) == Rejudged(job_id, 2, repeated=True)
    assert await rejudge(lab, job_id) == Rejudged(job_id, 2, repeated=True)
    assert await rejudge(lab, job_id, 2) is RejudgeRefusal.NOT_FINISHED
    await finish(lab, job_id)
    assert await rejudge(lab, job_id, 1) == Rejudged(job_id, 2, repeated=True)
    assert events(lab, job_id).count("rejudged") == 1
    assert await rejudge(lab, job_id, 2) == Rejudged(job_id, 3)
    assert await rejudge(lab, job_id, 9) is RejudgeRefusal.NOT_FINISHED
    assert [one.judging for one in await rejudges_of(lab).judgings(job_id, 20)] == [1, 2]
    assert [one.judging for one in await rejudges_of(lab).judgings(job_id, 1)] == [2]


async def test_two_at_one_moment_are_one(lab: Lab) -> None:
    job_id = await new_job(lab)
    await finish(lab, job_id)
    answers: list[object] = []

    async def ask() -> None:
        answers.append(await rejudge(lab, job_id, 1))

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(ask)
    assert answers.count(Rejudged(job_id, 2)) == 1
    assert answers.count(Rejudged(job_id, 2, repeated=True)) == 4
    assert events(lab, job_id).count("rejudged") == 1


@pytest.mark.parametrize("job_id", [UNKNOWN_ID, "no job id", ""])
async def test_of_nothing(lab: Lab, job_id: str) -> None:
    assert await rejudge(lab, job_id) is RejudgeRefusal.UNKNOWN_JOB
    assert await rejudges_of(lab).judgings(job_id, 20) == []
    assert await rejudges_of(lab).former_result(job_id, 2) is None


async def test_rejudge_without_a_verdict_is_refused(lab: Lab) -> None:
    _, jobs = await class_of(lab, 3)
    await claim(lab, jobs[1])
    for _ in range(MAX_ATTEMPTS):
        await lab.store.leases.give_back(await claim(lab, jobs[2]), reason="x", counts=True)
    await lab.store.leases.claim([entry(jobs[2])], NODE, LEASE_S, MAX_ATTEMPTS)
    assert await rejudge(lab, jobs[0]) is RejudgeRefusal.NOT_FINISHED
    assert await rejudge(lab, jobs[1]) is RejudgeRefusal.NOT_FINISHED
    assert await rejudge(lab, jobs[2]) is RejudgeRefusal.DEAD
    assert all("rejudged" not in events(lab, job_id) for job_id in jobs)
    # a verdict that an administrator set counts, too
    await lab.store.letters.decide(Decision.DISCARD, jobs[2], MAX_ATTEMPTS, by="root", note="", stream_key=KEY)
    assert await rejudge(lab, jobs[2]) == Rejudged(jobs[2], 2)
    found = await lab.store.submissions.submission(jobs[2])
    assert found is not None
    assert (found.error_code, found.error_message) == (None, None)
    [kept] = await rejudges_of(lab).judgings(jobs[2], 20)
    assert (kept.status, kept.error_code) == ("System Error", "DISCARDED")


async def test_rejudge_has_all_attempts_and_does_not_replace_a_twin(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    one = draft(user_id, problem.id)
    job_id = await send(lab.store, one)
    for _ in range(MAX_ATTEMPTS - 1):
        await lab.store.leases.give_back(await claim(lab, job_id), reason="x", counts=True)
    await finish(lab, job_id)
    twin = await send(lab.store, one)
    assert twin != job_id
    assert await rejudge(lab, job_id) == Rejudged(job_id, 2)  # beside its twin
    assert await submit(lab.store, one) == Receipt(twin, repeated=True)
    for _ in range(MAX_ATTEMPTS):
        await lab.store.leases.give_back(await claim(lab, job_id), reason="x", counts=True)
    answers = await lab.store.leases.claim([entry(job_id)], NODE, LEASE_S, MAX_ATTEMPTS)
    assert answers == {"1-1": ClaimRefusal.DEAD}


async def test_an_attempt_of_the_judging_before_writes_nothing(lab: Lab) -> None:
    job_id = await new_job(lab)
    lost = await claim(lab, job_id, OTHER)
    lab.advance(LEASE_S)
    late = await finish(lab, job_id)
    await rejudge(lab, job_id)
    assert await lab.store.leases.finalize(late, report(), {}) is FinalizeRefusal.NOT_IN_EXPECTED_STATE
    assert await lab.store.leases.finalize(lost, report(), {}) is FinalizeRefusal.STALE_ATTEMPT
    await claim(lab, job_id)
    assert await lab.store.leases.finalize(late, report(), {}) is FinalizeRefusal.STALE_ATTEMPT


async def test_a_rejudge_has_waited_since_it_was_asked_for(lab: Lab) -> None:
    job_id = await new_job(lab)
    await finish(lab, job_id)
    lab.advance(1_000_000.0)
    await rejudge(lab, job_id)
    won = await claim(lab, job_id)
    assert 0 <= won.waited_ms < 1_000_000


async def test_which_result_tests_may_be_taken_from(lab: Lab) -> None:
    job_id = await new_job(lab)
    former = rejudges_of(lab).former_result

    async def seen(judging: int) -> object:
        found = await former(job_id, judging)
        return None if found is None else found["mark"]

    await finish(lab, job_id, mark="one")
    assert await seen(1) is None
    await rejudge(lab, job_id)
    assert await seen(2) == "one"
    await finish(lab, job_id, Verdict.SYSTEM_ERROR, mark="two")
    await rejudge(lab, job_id)
    assert await seen(3) == "one"  # no message of a fault of the host
    await finish(lab, job_id, mark="three")
    await rejudge(lab, job_id, in_full=True)
    assert await seen(4) is None
    assert await seen(3) == "one"  # an earlier attempt gets the same answer as before
    await finish(lab, job_id, Verdict.SYSTEM_ERROR, mark="four")
    await rejudge(lab, job_id)
    assert await seen(5) is None
    await finish(lab, job_id, mark="five")
    await rejudge(lab, job_id)
    assert await seen(6) == "five"


async def test_a_verdict_that_falls_at_that_moment_is_the_one_that_is_kept(real: PgLab) -> None:
    """The rejudge waits for the row's lock and must not keep the row's values from before."""
    job_id = await new_job(real)
    await claim(real, job_id)
    answer: list[object] = []

    async def ask() -> None:
        answer.append(await rejudge(real, job_id))

    verdict = (
        "UPDATE submissions SET state = 'done', status = 'Accepted', result = '{\"mark\": \"just now\"}', "
        f"lease_owner = NULL, lease_until = NULL WHERE job_id = '{job_id}'"
    )
    with trio.fail_after(60):
        async with holding(real, verdict) as end, trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await until_somebody_waits_for_a_lock(real)
            end("commit")
    assert answer == [Rejudged(job_id, 2)]
    [kept] = await rejudges_of(real).judgings(job_id, 20)
    assert (kept.status, kept.result) == ("Accepted", {"mark": "just now"})


# -- a whole problem


async def test_a_problem_is_rejudged_in_pages(lab: Lab) -> None:
    problem, jobs = await class_of(lab, 5)
    other = await send(lab.store, draft(await new_user(lab.store, "bob"), (await new_problem(lab.store)).id))
    for job_id in (*jobs, other):
        await finish(lab, job_id)
    given = await order(lab, problem.id)
    assert (given.submissions, given.opened, given.finished, given.repeated) == (5, 0, False, False)
    assert (given.problem_version, given.ordered_by, given.in_full) == (3, "root", False)
    later = await send(lab.store, draft(await new_user(lab.store, "eve"), problem.id))
    steps = [await go_on(lab) for _ in range(3)]
    assert [(one.opened, one.finished) for one in steps if one] == [(2, False), (4, False), (5, True)]
    assert await go_on(lab) is None
    assert [events(lab, job_id).count("rejudged") for job_id in (*jobs, other, later)] == [1, 1, 1, 1, 1, 0, 0]
    latest = await rejudges_of(lab).rejudge_order(problem.id)
    assert latest == steps[-1]
    assert await rejudges_of(lab).rejudge_order(problem.id + 77) is None


async def test_a_problem_without_submissions_is_done_at_once(lab: Lab) -> None:
    problem = await new_problem(lab.store)
    await order(lab, problem.id)
    done = await go_on(lab)
    assert done is not None
    assert (done.submissions, done.opened, done.finished) == (0, 0, True)
    assert await rejudges_of(lab).order_rejudge(problem.id + 77, by="root", in_full=False) is None


async def test_rejudge_of_a_problem_lists_running_jobs_to_check_again(lab: Lab) -> None:
    """Running jobs may be judged by the old version of the problem; waiting jobs get the new one."""
    problem, jobs = await class_of(lab, 4)
    judging, given_back, waiting, dead = jobs
    won = await claim(lab, judging)
    back = await claim(lab, given_back)
    for _ in range(MAX_ATTEMPTS):
        await lab.store.leases.give_back(await claim(lab, dead), reason="x", counts=True)
    await lab.store.leases.claim([entry(dead)], NODE, LEASE_S, MAX_ATTEMPTS)
    await order(lab, problem.id)
    steps = [await go_on(lab, 10) for _ in range(2)]
    assert [(one.opened, one.passed, one.finished) for one in steps if one] == [(0, 2, False)] * 2
    assert await lab.store.leases.finalize(won, report(), {"status": "Accepted"}) is None
    assert await lab.store.leases.give_back(back, reason="drained", counts=False) is None
    done = await go_on(lab)
    assert done is not None
    assert (done.opened, done.passed, done.finished) == (1, 3, True)
    assert "rejudged" in events(lab, judging)
    assert "rejudged" not in events(lab, waiting)


async def test_orders_that_only_wait_keep_no_other_back(lab: Lab) -> None:
    slow, [held] = await class_of(lab, 1)
    won = await claim(lab, held)
    quick = await new_problem(lab.store)
    job_id = await send(lab.store, draft(await new_user(lab.store, "bob"), quick.id))
    await finish(lab, job_id)
    first, second = await order(lab, slow.id), await order(lab, quick.id)
    turns = [await go_on(lab) for _ in range(2)]
    assert [one.id for one in turns if one] == [first.id, second.id]
    assert "rejudged" in events(lab, job_id)
    assert await lab.store.leases.finalize(won, report(), {"status": "Accepted"}) is None
    assert (await go_on(lab)) == replace(first, opened=1, finished=True)


async def test_a_double_click_is_one_order_and_a_new_version_another(lab: Lab) -> None:
    problem, jobs = await class_of(lab, 3)
    for job_id in jobs:
        await finish(lab, job_id)
    first = await order(lab, problem.id, in_full=True)
    await go_on(lab, 1)
    again = await order(lab, problem.id)
    assert again == replace(first, opened=1, repeated=True)
    await lab.store.problems.update_problem(problem.id, ProblemChange(time_limit_ms=777))
    newer = await order(lab, problem.id)
    assert (newer.id != first.id, newer.problem_version, newer.in_full, newer.repeated) == (True, 4, True, False)
    done = await go_on(lab, 10)
    assert done is not None
    # the job of the first page still waits, and will be judged by the newest version
    assert (done.id, done.opened, done.passed, done.finished) == (newer.id, 2, 1, True)
    assert await go_on(lab) is None
    # a pending rejudge is not enough for a caller who wants all tests run
    plain = await order(lab, problem.id)
    full = await order(lab, problem.id, in_full=True)
    assert (plain.in_full, full.in_full, full.repeated, full.id != plain.id) == (False, True, False, True)


async def test_orders_at_one_moment_are_one(lab: Lab) -> None:
    problem, _ = await class_of(lab, 1)
    given: list[RejudgeOrder] = []

    async def ask() -> None:
        given.append(await order(lab, problem.id))

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(ask)
    assert {one.id for one in given} == {given[0].id}
    assert [one.repeated for one in given].count(False) == 1


async def test_two_nodes_at_one_order_open_each_judging_once(lab: Lab) -> None:
    problem, jobs = await class_of(lab, 12)
    for job_id in jobs:
        await finish(lab, job_id)
    await order(lab, problem.id)

    async def node() -> None:
        while True:
            latest = await rejudges_of(lab).rejudge_order(problem.id)
            if latest is not None and latest.finished:
                return
            await go_on(lab, 1)

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(node)
    assert [events(lab, job_id).count("rejudged") for job_id in jobs] == [1] * 12


# -- the problem itself


async def test_change_that_affects_verdicts_makes_a_version(lab: Lab) -> None:
    problem = await new_problem(lab.store)
    changes: Sequence[tuple[ProblemChange, int]] = [
        (ProblemChange(title="B+A", difficulty="hard", description=""), 3),
        (ProblemChange(time_limit_ms=1500), 3),  # as it is
        (ProblemChange(time_limit_ms=900), 4),
        (ProblemChange(memory_limit_mb=64, compare="exact"), 5),
        (ProblemChange(data_path="problems/1.cd.zip", data_hash="cd" * 32), 6),
        (ProblemChange(data_path="problems/other.zip", data_hash="cd" * 32), 6),  # the object in use stays named
    ]
    for change, version in changes:
        found = await lab.store.problems.update_problem(problem.id, change)
        assert found is not None
        assert found.version == version, change
        assert await lab.store.problems.problem(problem.id) == found
    assert found == Problem(
        id=problem.id, title="B+A", description="", difficulty="hard", time_limit_ms=900, memory_limit_mb=64,
        compare="exact", data_path="problems/1.cd.zip", data_hash="cd" * 32, version=6,
    )  # fmt: skip
    assert await lab.store.problems.update_problem(problem.id + 77, ProblemChange(title="x")) is None


async def test_problems_come_in_pages(lab: Lab) -> None:
    made = [await new_problem(lab.store) for _ in range(3)]
    assert await lab.store.problems.problems(0, 2) == made[:2]
    assert await lab.store.problems.problems(made[1].id, 2) == made[2:]
    assert await lab.store.problems.problems(made[2].id, 2) == []


async def test_a_problem_with_submissions_is_not_deleted_before_them(lab: Lab) -> None:
    problem, jobs = await class_of(lab, 3)
    await deliver(lab)
    await finish(lab, jobs[0])
    await rejudge(lab, jobs[0])
    held = await claim(lab, jobs[1])
    await order(lab, problem.id)
    assert await lab.store.problems.delete_problem(problem.id) is ProblemRefusal.HAS_SUBMISSIONS
    assert await lab.store.problems.delete_submissions_of(problem.id, 2) == 2
    assert await lab.store.problems.delete_problem(problem.id) is ProblemRefusal.HAS_SUBMISSIONS
    assert await lab.store.problems.delete_submissions_of(problem.id, 2) == 1
    assert await lab.store.problems.delete_submissions_of(problem.id, 2) == 0
    assert await lab.store.problems.delete_problem(problem.id) is None
    assert await lab.store.problems.delete_problem(problem.id) is ProblemRefusal.UNKNOWN_PROBLEM
    assert await lab.store.problems.problem(problem.id) is None
    assert [await lab.store.submissions.submission(job_id) for job_id in jobs] == [None] * 3
    assert [lab.ledger(job_id) for job_id in jobs] == [[]] * 3
    assert await lab.store.leases.finalize(held, report(), {}) is FinalizeRefusal.NOT_IN_EXPECTED_STATE
    assert await go_on(lab) is None


# -- what a rejudge changed


async def test_changes_of_verdicts_since_an_order(lab: Lab) -> None:
    problem, jobs = await class_of(lab, 4)
    for job_id in jobs[:3]:
        await finish(lab, job_id)
    await rejudge(lab, jobs[0])
    await finish(lab, jobs[0], Verdict.TIME_LIMIT_EXCEEDED)
    lab.advance(10)
    given = await order(lab, problem.id)
    changes = rejudges_of(lab).verdict_changes
    assert await changes(given.id, 9) == [], "earlier judgings do not count"
    while not given.finished:
        given = await go_on(lab, 9) or given
    waiting = [VerdictChange("Wrong Answer", None, 2), VerdictChange("Time Limit Exceeded", None, 1)]
    assert await changes(given.id, 9) == waiting
    for job_id, verdict in zip(jobs, (Verdict.ACCEPTED, Verdict.ACCEPTED, Verdict.WRONG_ANSWER), strict=False):
        await finish(lab, job_id, verdict)
    found = await changes(given.id, 9)
    assert set(found) == {
        VerdictChange("Time Limit Exceeded", "Accepted", 1),
        VerdictChange("Wrong Answer", "Accepted", 1),
        VerdictChange("Wrong Answer", "Wrong Answer", 1),
    }
    assert await changes(given.id, 2) == [VerdictChange("Wrong Answer", "Wrong Answer", 1)], "only the newest"
    assert await changes(given.id + 1, 9) == []


# -- some submissions of a problem


async def test_order_concerns_only_the_submissions_of_its_scope(lab: Lab) -> None:
    alice, problem = await new_user(lab.store), await new_problem(lab.store)
    sent: list[str] = []
    for number, (language, verdict) in enumerate(
        [
            ("cpp17", Verdict.WRONG_ANSWER), ("cpp17", Verdict.ACCEPTED), ("python3", Verdict.WRONG_ANSWER),
            ("cpp17", Verdict.WRONG_ANSWER), ("cpp17", None),
        ]
    ):  # fmt: skip
        job_id = await send(lab.store, replace(draft(alice, problem.id, f"// {number}"), language=language))
        if verdict is not None:
            await finish(lab, job_id, verdict)
        sent.append(job_id)
        lab.advance(10)
    items = {item.job_id: item for item in (await lab.store.lists.submissions(SubmissionQuery(), 9)).items}
    times = [dt.datetime.fromisoformat(items[job_id].created_at) for job_id in sent]
    for scope, asked in (
        (RejudgeScope(verdict=Verdict.WRONG_ANSWER, language="cpp17", since=times[1]), [3]),
        (RejudgeScope(verdict=Verdict.WRONG_ANSWER, until=times[3]), [0, 2]),
        (RejudgeScope(language="python3"), [2]),
        (RejudgeScope(since=times[0], until=times[0]), []),
    ):
        before = [events(lab, job_id).count("rejudged") for job_id in sent]
        given = await order(lab, problem.id, scope=scope)
        assert (given.submissions, given.scope) == (len(asked), scope)
        while (at := await go_on(lab)) is not None and not at.finished:
            pass
        assert at is not None
        assert (at.opened, at.passed, at.scope) == (len(asked), 0, scope)
        opened = [events(lab, job_id).count("rejudged") - count for job_id, count in zip(sent, before, strict=True)]
        assert [number for number, count in enumerate(opened) if count] == asked
        for number in asked:
            await finish(lab, sent[number], Verdict.WRONG_ANSWER)


async def test_job_that_is_judged_meanwhile_is_asked_for_its_new_verdict(lab: Lab) -> None:
    problem, jobs = await class_of(lab, 2)
    claims = [await claim(lab, job_id) for job_id in jobs]
    given = await order(lab, problem.id, scope=RejudgeScope(verdict=Verdict.ACCEPTED))
    assert given.submissions == 2
    at = await go_on(lab)
    assert at is not None
    assert (at.opened, at.finished) == (0, False)
    for held, verdict in zip(claims, (Verdict.ACCEPTED, Verdict.WRONG_ANSWER), strict=True):
        assert await lab.store.leases.finalize(held, report(verdict), {"status": verdict.value}) is None
    at = await go_on(lab)
    assert at is not None
    assert (at.opened, at.passed, at.finished) == (1, 1, True)
    assert ["rejudged" in events(lab, job_id) for job_id in jobs] == [True, False]


async def test_open_order_of_another_scope_is_not_lost(lab: Lab) -> None:
    """The one for everything covers each scope; two scopes together become everything."""
    problem, jobs = await class_of(lab, 2)
    for job_id in jobs:
        await finish(lab, job_id)
    accepted, wrong = RejudgeScope(verdict=Verdict.ACCEPTED), RejudgeScope(verdict=Verdict.WRONG_ANSWER)
    first = await order(lab, problem.id, scope=accepted)
    again = await order(lab, problem.id, scope=accepted)
    assert (again.id, again.repeated) == (first.id, True)
    second = await order(lab, problem.id, scope=wrong)
    assert (second.id == first.id, second.scope, second.submissions) == (False, EVERYTHING, 2)
    third = await order(lab, problem.id, scope=wrong)
    assert (third.id, third.repeated) == (second.id, True)
    while (at := await go_on(lab)) is not None and not at.finished:
        pass
    assert [events(lab, job_id).count("rejudged") for job_id in jobs] == [1, 1]
