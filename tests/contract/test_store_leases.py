"""The contract of ``ports.Jobs``: claims, leases, verdicts, and the fencing between them."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
import trio

from deepoj.words.jobs import Claim, ClaimRefusal, FinalizeRefusal, Held, State
from deepoj.words.results import Verdict
from tests.contract.labs import (
    LEASE_S,
    MARGIN_S,
    MAX_ATTEMPTS,
    NODE,
    OTHER,
    Lab,
    Ledger,
    claim,
    draft,
    entry,
    new_job,
    new_problem,
    new_user,
    report,
    send,
)


def claimed(attempt: int, node: str = NODE, entry_id: str = "1-1") -> Ledger:
    return Ledger("claimed", 1, attempt, node, entry_id, None)


# -- claim


async def test_a_won_claim_carries_everything_that_judging_needs(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    job_id = await send(lab.store, draft(user_id, problem.id, "// 你好"))
    lab.advance(2.5)
    won = await claim(lab, job_id)
    assert 2500 <= won.waited_ms < 60_000
    assert won == Claim(
        job_id=job_id,
        attempt_id=1,
        judging=1,
        lease_owner=NODE,
        entry_id="1-1",
        user_id=user_id,
        language="cpp17",
        code="// 你好",
        trace_id="trace-1",
        problem=problem,
        waited_ms=won.waited_ms,
    )
    found = await lab.store.submissions.submission(job_id)
    assert found is not None
    assert (found.state, found.status, found.attempt_id) == (State.PROCESSING, "running", 1)
    assert lab.ledger(job_id) == [claimed(1)]


async def test_a_claim_sees_the_problem_as_it_is_now(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    job_id = await send(lab.store, draft(user_id, problem.id))
    changed = replace(problem, time_limit_ms=3000, data_hash="cd" * 32, version=4)
    await lab.store.problems.insert_problem(changed)
    assert (await claim(lab, job_id)).problem == changed


async def test_each_entry_of_a_batch_gets_its_own_answer(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    jobs = [await send(lab.store, draft(user_id, problem.id, f"// {number}")) for number in range(5)]
    done, dead, leased, *fresh = jobs
    assert await lab.store.leases.finalize(await claim(lab, done), report(), {}) is None
    for _ in range(MAX_ATTEMPTS):
        await claim(lab, dead)
        lab.advance(LEASE_S)
    assert await lab.store.leases.claim([entry(dead)], NODE, LEASE_S, MAX_ATTEMPTS) == {"1-1": ClaimRefusal.DEAD}
    await claim(lab, leased, OTHER)
    unknown = str(uuid.uuid4())
    order = [leased, fresh[1], unknown, "no job id", done, fresh[0], dead, fresh[1], leased]
    answers = await lab.store.leases.claim(
        [entry(job_id, f"9-{place}") for place, job_id in enumerate(order)], NODE, LEASE_S, MAX_ATTEMPTS
    )
    words = [answers[f"9-{place}"] for place in range(len(order))]
    assert len(answers) == len(order)
    assert [word for word in words if isinstance(word, ClaimRefusal)] == [
        ClaimRefusal.LEASED,
        ClaimRefusal.UNKNOWN_JOB,
        ClaimRefusal.UNKNOWN_JOB,
        ClaimRefusal.ALREADY_DONE,
        ClaimRefusal.DEAD,
        ClaimRefusal.LEASED,  # its first entry in the batch won
        ClaimRefusal.LEASED,
    ]
    won = {word.entry_id: (word.job_id, word.code) for word in words if isinstance(word, Claim)}
    assert won == {"9-1": (fresh[1], "// 4"), "9-5": (fresh[0], "// 3")}


async def test_an_empty_batch_is_no_question(lab: Lab) -> None:
    assert await lab.store.leases.claim([], NODE, LEASE_S, MAX_ATTEMPTS) == {}
    assert await lab.store.leases.extend([], NODE, LEASE_S) == set()


async def test_a_leased_job_is_refused_until_its_lease_is_over_and_the_earlier_attempt_is_lost(lab: Lab) -> None:
    job_id = await new_job(lab)
    await claim(lab, job_id)
    lab.advance(LEASE_S - MARGIN_S)
    again = [entry(job_id, "2-2")]
    assert await lab.store.leases.claim(again, OTHER, LEASE_S, MAX_ATTEMPTS) == {"2-2": ClaimRefusal.LEASED}
    assert lab.ledger(job_id) == [claimed(1)]
    lab.advance(MARGIN_S)
    won = await claim(lab, job_id, OTHER, "2-2")
    assert won.attempt_id == 2
    assert lab.ledger(job_id) == [
        claimed(1),
        Ledger("lost", 1, 1, NODE, None, None),
        claimed(2, OTHER, "2-2"),
    ]


async def test_a_dead_job_says_what_it_was_given_back_for(lab: Lab) -> None:
    job_id = await new_job(lab)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        won = await claim(lab, job_id)
        assert await lab.store.leases.give_back(won, reason=f"BlobMissing: try {attempt}", counts=True) is None
        waiting = await lab.store.submissions.submission(job_id)
        assert waiting is not None
        assert waiting.error_message == f"BlobMissing: try {attempt}"
    await lab.store.leases.claim([entry(job_id, "5-5")], OTHER, LEASE_S, MAX_ATTEMPTS)
    dead = await lab.store.submissions.submission(job_id)
    assert dead is not None
    assert dead.error_message == (
        f"judging was begun {MAX_ATTEMPTS} times and gave no verdict, at last: BlobMissing: try {MAX_ATTEMPTS}"
    )


async def test_a_verdict_forgets_earlier_trouble(lab: Lab) -> None:
    job_id = await new_job(lab)
    won = await claim(lab, job_id)
    assert await lab.store.leases.give_back(won, reason="BlobMissing: once", counts=True) is None
    assert await lab.store.leases.finalize(await claim(lab, job_id), report(), {}) is None
    done = await lab.store.submissions.submission(job_id)
    assert done is not None
    assert (done.state, done.error_message) == (State.DONE, None)


async def test_a_job_whose_attempts_are_used_up_is_dead(lab: Lab) -> None:
    job_id = await new_job(lab)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        assert (await claim(lab, job_id)).attempt_id == attempt
        lab.advance(LEASE_S)
    entries = [entry(job_id, "5-5"), entry(job_id, "5-6")]
    both = await lab.store.leases.claim(entries, OTHER, LEASE_S, MAX_ATTEMPTS)
    assert both == {"5-5": ClaimRefusal.DEAD, "5-6": ClaimRefusal.DEAD}
    found = await lab.store.submissions.submission(job_id)
    assert found is not None
    assert (found.state, found.status, found.attempt_id) == (State.DEAD, "System Error", MAX_ATTEMPTS)
    assert found.error_code == "ATTEMPTS_EXHAUSTED"
    assert found.error_message
    assert [row.event for row in lab.ledger(job_id)] == ["claimed", "lost"] * MAX_ATTEMPTS + ["dead"]
    assert lab.ledger(job_id)[-1] == Ledger("dead", 1, MAX_ATTEMPTS, OTHER, "5-5", "ATTEMPTS_EXHAUSTED")
    assert await lab.store.strays.repair(set(), 0.0, 10, "s") == []


async def test_attempts_that_do_not_count_do_not_kill_and_still_grow_the_token(lab: Lab) -> None:
    job_id = await new_job(lab)
    for attempt in range(1, 2 * MAX_ATTEMPTS):
        won = await claim(lab, job_id)
        assert won.attempt_id == attempt
        assert await lab.store.leases.give_back(won, reason="drain", counts=False) is None
    for _ in range(MAX_ATTEMPTS):
        assert await lab.store.leases.give_back(await claim(lab, job_id), reason="infra", counts=True) is None
    assert await lab.store.leases.claim([entry(job_id)], NODE, LEASE_S, MAX_ATTEMPTS) == {"1-1": ClaimRefusal.DEAD}


# -- extend


async def test_extending_keeps_a_lease_alive(lab: Lab) -> None:
    job_id = await new_job(lab)
    won = await claim(lab, job_id)
    held = [Held(job_id, won.attempt_id)]
    for _ in range(5):
        lab.advance(LEASE_S - MARGIN_S)
        assert await lab.store.leases.extend(held, NODE, LEASE_S) == {job_id}
    assert await lab.store.leases.claim([entry(job_id)], OTHER, LEASE_S, MAX_ATTEMPTS) == {"1-1": ClaimRefusal.LEASED}
    assert await lab.store.leases.finalize(won, report(), {}) is None
    assert lab.ledger(job_id)[0] == claimed(1)
    assert len(lab.ledger(job_id)) == 2


async def test_extending_never_shortens(lab: Lab) -> None:
    job_id = await new_job(lab)
    won = await claim(lab, job_id)
    assert await lab.store.leases.extend([Held(job_id, won.attempt_id)], NODE, 1.0) == {job_id}
    lab.advance(LEASE_S - MARGIN_S)
    assert await lab.store.leases.finalize(won, report(), {}) is None


async def test_only_the_holder_of_the_current_attempt_extends(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    jobs = [await send(lab.store, draft(user_id, problem.id, f"// {number}")) for number in range(5)]
    mine, theirs, over, pending, done = jobs
    for job_id in (mine, over, done):
        await claim(lab, job_id)
    await claim(lab, theirs, OTHER)
    lab.advance(LEASE_S - MARGIN_S)
    assert await lab.store.leases.extend([Held(mine, 1), Held(done, 1)], NODE, LEASE_S) == {mine, done}
    assert await lab.store.leases.extend([Held(theirs, 1)], OTHER, LEASE_S) == {theirs}
    lab.advance(MARGIN_S)
    assert await lab.store.leases.finalize(replace(await _as_claim(lab, done), attempt_id=1), report(), {}) is None
    held = [Held(job_id, 1) for job_id in jobs] + [Held(str(uuid.uuid4()), 1)]
    assert await lab.store.leases.extend(held, NODE, LEASE_S) == {mine}
    assert await lab.store.leases.extend([Held(mine, 2), Held(mine, 0)], NODE, LEASE_S) == set()
    assert await lab.store.leases.claim([entry(over)], OTHER, LEASE_S, MAX_ATTEMPTS) != {"1-1": ClaimRefusal.LEASED}
    found = await lab.store.submissions.submission(pending)
    assert found is not None
    assert found.state is State.PENDING


async def _as_claim(lab: Lab, job_id: str) -> Claim:
    """Return the claim of the node that holds ``job_id``."""
    found = await lab.store.submissions.submission(job_id)
    assert found is not None
    problem = await lab.store.problems.problem(found.problem_id)
    assert problem is not None
    return Claim(
        job_id=job_id,
        attempt_id=found.attempt_id,
        judging=1,
        lease_owner=NODE,
        entry_id="1-1",
        user_id=found.user_id,
        language=found.language,
        code=found.code,
        trace_id="trace-1",
        problem=problem,
        waited_ms=0,
    )


# -- finalize and give_back

End = Callable[[Lab, Claim], Awaitable[FinalizeRefusal | None]]


async def _finalize(lab: Lab, won: Claim) -> FinalizeRefusal | None:
    return await lab.store.leases.finalize(
        won, report(Verdict.WRONG_ANSWER), {"status": "Wrong Answer", "n": [1, 2.5, None]}
    )


async def _give_back(lab: Lab, won: Claim) -> FinalizeRefusal | None:
    return await lab.store.leases.give_back(won, reason="drain", counts=True)


both_ends = pytest.mark.parametrize("end", [_finalize, _give_back])


async def test_a_verdict_stands_and_ends_the_lease(lab: Lab) -> None:
    job_id = await new_job(lab)
    won = await claim(lab, job_id)
    assert await _finalize(lab, won) is None
    found = await lab.store.submissions.submission(job_id)
    assert found is not None
    assert (found.state, found.status, found.attempt_id) == (State.DONE, "Wrong Answer", 1)
    assert found.result == {"status": "Wrong Answer", "n": [1, 2.5, None]}
    assert await lab.store.leases.extend([Held(job_id, 1)], NODE, LEASE_S) == set()
    assert await lab.store.leases.claim([entry(job_id)], NODE, LEASE_S, MAX_ATTEMPTS) == {
        "1-1": ClaimRefusal.ALREADY_DONE
    }
    assert lab.ledger(job_id) == [claimed(1), Ledger("finalized", 1, 1, NODE, "1-1", "Wrong Answer")]


@pytest.mark.parametrize("status", [verdict for verdict in Verdict if verdict is not Verdict.INVALID])
async def test_every_verdict_can_be_written(lab: Lab, status: Verdict) -> None:
    job_id = await new_job(lab)
    assert await lab.store.leases.finalize(await claim(lab, job_id), report(status), {}) is None
    found = await lab.store.submissions.submission(job_id)
    assert found is not None
    assert found.status == status


async def test_invalid_is_no_verdict(lab: Lab) -> None:
    job_id = await new_job(lab)
    won = await claim(lab, job_id)
    with pytest.raises(ValueError, match="Invalid"):
        await lab.store.leases.finalize(won, report(Verdict.INVALID), {})
    assert await _finalize(lab, won) is None


async def test_give_back_makes_the_job_claimable_at_once(lab: Lab) -> None:
    job_id = await new_job(lab)
    won = await claim(lab, job_id)
    assert await _give_back(lab, won) is None
    found = await lab.store.submissions.submission(job_id)
    assert found is not None
    assert (found.state, found.status, found.attempt_id, found.result) == (State.PENDING, "pending", 1, None)
    assert (await claim(lab, job_id, OTHER)).attempt_id == 2
    assert [row.event for row in lab.ledger(job_id)] == ["claimed", "given_back", "claimed"]
    assert lab.ledger(job_id)[1] == Ledger("given_back", 1, 1, NODE, "1-1", "drain")
    assert [row.event_type for row in lab.outbox(job_id)] == ["submit", "give_back"]


async def _refused(lab: Lab, end: End, won: Claim, why: FinalizeRefusal) -> None:
    """Assert that ending ``won`` is refused for that reason, changes nothing and leaves a ledger row."""
    before, sent = await lab.store.submissions.submission(won.job_id), lab.outbox(won.job_id)
    ledger = lab.ledger(won.job_id)
    assert await end(lab, won) is why
    assert await lab.store.submissions.submission(won.job_id) == before
    assert lab.outbox(won.job_id) == sent
    refused = Ledger("refused", 1, won.attempt_id, won.lease_owner, won.entry_id, why)
    assert lab.ledger(won.job_id) == [*ledger, refused]


@both_ends
async def test_statement_of_an_older_attempt_is_refused_in_every_state(lab: Lab, end: End) -> None:
    job_id = await new_job(lab)
    old = await claim(lab, job_id)
    lab.advance(LEASE_S)
    new = await claim(lab, job_id, OTHER)
    await _refused(lab, end, old, FinalizeRefusal.STALE_ATTEMPT)
    assert await _finalize(lab, new) is None
    await _refused(lab, end, old, FinalizeRefusal.STALE_ATTEMPT)


@both_ends
async def test_a_finished_attempt_is_refused_a_second_end(lab: Lab, end: End) -> None:
    job_id = await new_job(lab)
    won = await claim(lab, job_id)
    assert await _finalize(lab, won) is None
    await _refused(lab, end, won, FinalizeRefusal.ALREADY_FINISHED)


@both_ends
async def test_an_attempt_that_was_given_back_is_refused(lab: Lab, end: End) -> None:
    job_id = await new_job(lab)
    won = await claim(lab, job_id)
    assert await _give_back(lab, won) is None
    await _refused(lab, end, won, FinalizeRefusal.NOT_IN_EXPECTED_STATE)


@both_ends
async def test_a_dead_job_takes_no_verdict(lab: Lab, end: End) -> None:
    job_id = await new_job(lab)
    for _ in range(MAX_ATTEMPTS):
        last = await claim(lab, job_id)
        lab.advance(LEASE_S)
    await lab.store.leases.claim([entry(job_id)], OTHER, LEASE_S, MAX_ATTEMPTS)
    await _refused(lab, end, last, FinalizeRefusal.NOT_IN_EXPECTED_STATE)


@both_ends
async def test_statement_after_lease_expiry_is_refused_without_another_claim(lab: Lab, end: End) -> None:
    job_id = await new_job(lab)
    won = await claim(lab, job_id)
    lab.advance(LEASE_S)
    await _refused(lab, end, won, FinalizeRefusal.LEASE_LOST)


@both_ends
async def test_another_owner_is_refused(lab: Lab, end: End) -> None:
    job_id = await new_job(lab)
    won = await claim(lab, job_id)
    await _refused(lab, end, replace(won, lease_owner=OTHER), FinalizeRefusal.LEASE_LOST)
    assert await end(lab, won) is None


@both_ends
async def test_a_job_that_is_not_there_is_refused_and_noted(lab: Lab, end: End) -> None:
    won = await claim(lab, await new_job(lab))
    lost = replace(won, job_id=str(uuid.uuid4()))
    assert await end(lab, lost) is FinalizeRefusal.NOT_IN_EXPECTED_STATE
    assert [row.event for row in lab.ledger(lost.job_id)] == ["refused"]


# -- two nodes, one job


async def test_of_many_claims_at_once_exactly_one_wins(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    for round_ in range(5):
        jobs = [await send(lab.store, draft(user_id, problem.id, f"// {round_} {number}")) for number in range(4)]
        won: list[Claim] = []

        async def node(name: str, jobs: list[str], won: list[Claim]) -> None:
            answers = await lab.store.leases.claim(
                [entry(job, f"1-{job}") for job in jobs], name, LEASE_S, MAX_ATTEMPTS
            )
            assert len(answers) == len(jobs)
            for answer in answers.values():
                if isinstance(answer, Claim):
                    won.append(answer)
                else:
                    assert answer is ClaimRefusal.LEASED

        async with trio.open_nursery() as nursery:
            for number, order in enumerate(itertools.islice(itertools.permutations(jobs), 12)):
                nursery.start_soon(node, f"node-{number}", list(order), won)
        assert sorted(one.job_id for one in won) == sorted(jobs)
        assert all(one.attempt_id == 1 for one in won)
        for one in won:
            assert lab.ledger(one.job_id) == [claimed(1, one.lease_owner, f"1-{one.job_id}")]


async def test_of_many_claims_at_once_after_a_lease_one_wins_and_the_loss_is_noted_once(lab: Lab) -> None:
    job_id = await new_job(lab)
    await claim(lab, job_id)
    lab.advance(LEASE_S)
    won: list[Claim] = []

    async def node(name: str) -> None:
        (answer,) = (await lab.store.leases.claim([entry(job_id)], name, LEASE_S, MAX_ATTEMPTS)).values()
        if isinstance(answer, Claim):
            won.append(answer)

    async with trio.open_nursery() as nursery:
        for number in range(12):
            nursery.start_soon(node, f"node-{number}")
    assert [one.attempt_id for one in won] == [2]
    assert [row.event for row in lab.ledger(job_id)] == ["claimed", "lost", "claimed"]


async def test_of_many_verdicts_at_once_one_stands(lab: Lab) -> None:
    job_id = await new_job(lab)
    won = await claim(lab, job_id)
    answers: list[FinalizeRefusal | None] = []

    async def end(verdict: Verdict) -> None:
        answers.append(await lab.store.leases.finalize(won, report(verdict), {"status": verdict}))

    async with trio.open_nursery() as nursery:
        for verdict in (Verdict.ACCEPTED, Verdict.WRONG_ANSWER) * 6:
            nursery.start_soon(end, verdict)
    assert answers.count(None) == 1
    assert answers.count(FinalizeRefusal.ALREADY_FINISHED) == 11
    found = await lab.store.submissions.submission(job_id)
    assert found is not None
    assert found.result == {"status": found.status}
    assert [row.event for row in lab.ledger(job_id)].count("finalized") == 1


async def test_leases_held_and_claimed_crosswise_never_deadlock(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    jobs = [await send(lab.store, draft(user_id, problem.id, f"// {number}")) for number in range(8)]
    entries = [entry(job, f"1-{number}") for number, job in enumerate(jobs)]

    async def node(name: str, step: int) -> None:
        for _ in range(10):
            mine = await lab.store.leases.claim(entries[::step], name, 0.0, 1_000_000)
            held = [Held(one.job_id, one.attempt_id) for one in mine.values() if isinstance(one, Claim)]
            await lab.store.leases.extend(held[::-1], name, 0.0)

    async with trio.open_nursery() as nursery:
        for number in range(6):
            nursery.start_soon(node, f"node-{number}", 1 if number % 2 else -1)
