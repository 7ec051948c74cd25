"""The contract of ``ports.DeadLetters``, of avoiding a node's own failures, and of handing entries over."""

from __future__ import annotations

import re
import uuid

import pytest
import trio

from deepoj.pipeline import dlq
from deepoj.ports.ledger import DeadLetters
from deepoj.words.batches import BatchLine
from deepoj.words.jobs import Claim, ClaimRefusal, FinalizeRefusal, State
from deepoj.words.ledger import DeadLetter, Decided, Decision, LetterRefusal
from deepoj.words.results import Verdict
from deepoj.words.submissions import Receipt, SubmitRefusal
from tests.contract.labs import (
    LEASE_S,
    MARGIN_S,
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
BOTH = pytest.mark.parametrize("decision", list(Decision))


def letters_of(lab: Lab) -> DeadLetters:
    return lab.store.letters


async def die(lab: Lab, job_id: str) -> Claim:
    """Use up the attempts of a job. Return its last claim."""
    last = None
    for _ in range(MAX_ATTEMPTS):
        last = await claim(lab, job_id)
        assert await lab.store.leases.give_back(last, reason="BoxBroken: again", counts=True) is None
        await deliver(lab)
    assert await lab.store.leases.claim([entry(job_id)], NODE, LEASE_S, MAX_ATTEMPTS) == {"1-1": ClaimRefusal.DEAD}
    assert last is not None
    return last


async def dead_job(lab: Lab) -> str:
    job_id = await new_job(lab)
    await deliver(lab)
    await die(lab, job_id)
    return job_id


async def decide(lab: Lab, decision: Decision, job_id: str, attempt_id: int) -> Decided | LetterRefusal:
    return await letters_of(lab).decide(decision, job_id, attempt_id, by="root", note="seen", stream_key=KEY)


def events(lab: Lab, job_id: str) -> list[str]:
    return [row.event for row in lab.ledger(job_id)]


# -- looking


async def test_a_dead_letter_says_who_and_why(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    job_id = await send(lab.store, draft(user_id, problem.id))
    assert await letters_of(lab).dead_letter(job_id) is None
    await die(lab, job_id)
    letter = await letters_of(lab).dead_letter(job_id)
    assert isinstance(letter, DeadLetter)
    assert (letter.job_id, letter.user_id, letter.username) == (job_id, user_id, "alice")
    assert (letter.problem_id, letter.language, letter.judging) == (problem.id, "cpp17", 1)
    assert (letter.attempt_id, letter.attempts, letter.error_code) == (MAX_ATTEMPTS, MAX_ATTEMPTS, "ATTEMPTS_EXHAUSTED")
    assert "BoxBroken: again" in str(letter.error_message)
    told = [event.event for event in await letters_of(lab).ledger_of(job_id, 200)]
    assert told == ["claimed", "given_back"] * MAX_ATTEMPTS + ["dead"]
    assert [event.event for event in await letters_of(lab).ledger_of(job_id, 2)] == ["given_back", "dead"]


async def test_pages_go_on_where_the_last_one_ended(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    jobs = [await send(lab.store, draft(user_id, problem.id, f"// {n}")) for n in range(6)]
    dead = [*jobs[:2], *jobs[3:]]
    for job_id in dead:
        await die(lab, job_id)
    seen: list[str] = []
    before: int | None = None
    sizes = []
    while True:
        page = await dlq.page(letters_of(lab), 2, before)
        seen += [letter.job_id for letter in page.letters]
        sizes.append(len(page.letters))
        before = page.next_before
        if before is None:
            break
    assert seen == dead[::-1]
    assert sizes == [2, 2, 1]
    assert (await dlq.page(letters_of(lab), 5)).next_before is None
    assert await letters_of(lab).count_dead_letters(100) == 5
    assert await letters_of(lab).count_dead_letters(3) == 3


@pytest.mark.parametrize("job_id", ["no job id", UNKNOWN_ID])
async def test_decision_about_an_unknown_job_is_refused(lab: Lab, job_id: str) -> None:
    assert await letters_of(lab).dead_letter(job_id) is None
    assert await letters_of(lab).ledger_of(job_id, 10) == []
    for decision in Decision:
        assert await decide(lab, decision, job_id, 1) is LetterRefusal.UNKNOWN_JOB


# -- deciding


async def test_a_requeued_letter_has_all_its_attempts_before_it_and_an_event(lab: Lab) -> None:
    job_id = await dead_job(lab)
    assert await decide(lab, Decision.REQUEUE, job_id, MAX_ATTEMPTS) == Decided(job_id, MAX_ATTEMPTS)
    found = await lab.store.submissions.submission(job_id)
    assert found is not None
    assert (found.state, found.status, found.error_code, found.error_message) == (State.PENDING, "pending", None, None)
    assert (found.attempt_id, found.judging) == (MAX_ATTEMPTS, 1)
    assert events(lab, job_id)[-1] == "requeued"
    assert (lab.outbox(job_id)[-1].event_type, lab.outbox(job_id)[-1].status) == ("requeue", "pending")
    await deliver(lab)
    again = await die(lab, job_id)  # the whole bound
    assert again.attempt_id == 2 * MAX_ATTEMPTS
    assert await decide(lab, Decision.REQUEUE, job_id, 2 * MAX_ATTEMPTS) == Decided(job_id, 2 * MAX_ATTEMPTS)
    won = await claim(lab, job_id)
    assert await lab.store.leases.finalize(won, report(), {"status": "Accepted"}) is None


async def test_a_discarded_letter_has_a_system_error_for_good_that_says_so(lab: Lab) -> None:
    job_id = await dead_job(lab)
    assert await decide(lab, Decision.DISCARD, job_id, MAX_ATTEMPTS) == Decided(job_id, MAX_ATTEMPTS)
    found = await lab.store.submissions.submission(job_id)
    assert found is not None
    assert (found.state, found.status, found.error_code) == (State.DONE, Verdict.SYSTEM_ERROR, "DISCARDED")
    assert str(found.error_message).startswith("discarded by root: seen (judging was begun")
    assert found.result is not None
    assert (found.result["status"], found.result["attempt_id"]) == ("System Error", MAX_ATTEMPTS)
    assert found.result["explanation"] == [{"rule": "discarded", "attempts": MAX_ATTEMPTS}]
    assert events(lab, job_id)[-1] == "discarded"
    assert lab.outbox(job_id)[-1].event_type != "requeue"
    answers = await lab.store.leases.claim([entry(job_id)], NODE, LEASE_S, MAX_ATTEMPTS)
    assert answers == {"1-1": ClaimRefusal.ALREADY_DONE}
    assert await decide(lab, Decision.REQUEUE, job_id, MAX_ATTEMPTS) is LetterRefusal.NOT_DEAD


@BOTH
async def test_the_same_decision_twice_is_one(lab: Lab, decision: Decision) -> None:
    job_id = await dead_job(lab)
    assert await decide(lab, decision, job_id, MAX_ATTEMPTS) == Decided(job_id, MAX_ATTEMPTS)
    for _ in range(2):
        assert await decide(lab, decision, job_id, MAX_ATTEMPTS) == Decided(job_id, MAX_ATTEMPTS, repeated=True)
    assert events(lab, job_id).count(decision.value) == 1
    assert [row.event_type for row in lab.outbox(job_id)].count("requeue") == (decision is Decision.REQUEUE)


@BOTH
async def test_a_decision_about_an_earlier_death_hits_no_later_one(lab: Lab, decision: Decision) -> None:
    job_id = await dead_job(lab)
    await decide(lab, Decision.REQUEUE, job_id, MAX_ATTEMPTS)
    await deliver(lab)
    await die(lab, job_id)
    answer = await decide(lab, decision, job_id, MAX_ATTEMPTS)
    if decision is Decision.REQUEUE:
        assert answer == Decided(job_id, MAX_ATTEMPTS, repeated=True)
    else:
        assert answer is LetterRefusal.STALE_ATTEMPT
    found = await lab.store.submissions.submission(job_id)
    assert found is not None
    assert found.state is State.DEAD


@BOTH
async def test_decision_about_a_job_that_is_not_dead_is_refused(lab: Lab, decision: Decision) -> None:
    job_id = await new_job(lab)
    assert await decide(lab, decision, job_id, 0) is LetterRefusal.NOT_DEAD
    won = await claim(lab, job_id)
    assert await decide(lab, decision, job_id, 1) is LetterRefusal.NOT_DEAD
    assert await lab.store.leases.finalize(won, report(), {}) is None
    assert await decide(lab, decision, job_id, 1) is LetterRefusal.NOT_DEAD
    assert events(lab, job_id) == ["claimed", "finalized"]


async def test_a_requeued_letter_of_a_batch_counts_towards_the_quota_of_batches(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    batch_id = await lab.store.batches.open_batch(user_id, "night-1")

    async def stored(number: int, quota: int) -> Receipt | SubmitRefusal:
        lines = [BatchLine(number, draft(user_id, problem.id, f"// {number}"))]
        [answer] = await lab.store.batches.submit_lines(
            batch_id, user_id, lines, dedup_window_s=600.0, quota=quota, stream_key=KEY
        )
        return answer

    first = await stored(1, 1)
    assert isinstance(first, Receipt)
    await deliver(lab)
    last = await die(lab, first.job_id)
    assert isinstance(await stored(2, 1), Receipt)
    assert isinstance(await decide(lab, Decision.REQUEUE, first.job_id, last.attempt_id), Decided)
    assert await stored(3, 2) is SubmitRefusal.USER_BATCH_QUOTA_REACHED


async def test_a_requeue_waits_for_the_chunk_that_is_being_stored(real: PgLab) -> None:
    """Otherwise the chunk would write a bound without the job."""
    job_id = await dead_job(real)
    real.sql("UPDATE submissions SET in_batch = true")
    chunk = "SELECT pg_advisory_xact_lock(hashtextextended('deepoj.batches', user_id)) FROM submissions"
    answers: list[Decided | LetterRefusal] = []

    async def requeue() -> None:
        answers.append(await decide(real, Decision.REQUEUE, job_id, MAX_ATTEMPTS))

    async with holding(real, chunk) as end, trio.open_nursery() as nursery:
        nursery.start_soon(requeue)
        await until_somebody_waits_for_a_lock(real)
        assert answers == []
        end("commit")
    assert answers == [Decided(job_id, MAX_ATTEMPTS)]


async def test_a_dead_attempt_stays_refused_after_a_requeue(lab: Lab) -> None:
    job_id = await new_job(lab)
    old = await die(lab, job_id)
    await decide(lab, Decision.REQUEUE, job_id, MAX_ATTEMPTS)
    assert await lab.store.leases.finalize(old, report(), {}) is FinalizeRefusal.NOT_IN_EXPECTED_STATE
    await claim(lab, job_id, OTHER)
    assert await lab.store.leases.finalize(old, report(), {}) is FinalizeRefusal.STALE_ATTEMPT


async def test_a_requeue_beside_an_identical_submission_that_is_under_way(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    dead = await send(lab.store, draft(user_id, problem.id))
    await die(lab, dead)
    twin = await send(lab.store, draft(user_id, problem.id))
    assert twin != dead
    assert await decide(lab, Decision.REQUEUE, dead, MAX_ATTEMPTS) == Decided(dead, MAX_ATTEMPTS)
    assert await submit(lab.store, draft(user_id, problem.id)) == Receipt(twin, repeated=True)


async def test_an_old_entry_that_was_never_acked_does_no_harm_after_a_requeue(lab: Lab) -> None:
    """The node died between the answer "dead" and the ack; reclaim reads the entry after the requeue."""
    job_id = await dead_job(lab)
    await decide(lab, Decision.REQUEUE, job_id, MAX_ATTEMPTS)
    [new] = await deliver(lab)
    won = await claim(lab, job_id, NODE, "1-1")
    refused = await lab.store.leases.claim([entry(job_id, new)], OTHER, LEASE_S, MAX_ATTEMPTS)
    assert refused == {new: ClaimRefusal.LEASED}
    assert await lab.store.leases.finalize(won, report(), {}) is None
    done = await lab.store.leases.claim([entry(job_id, new)], OTHER, LEASE_S, MAX_ATTEMPTS)
    assert done == {new: ClaimRefusal.ALREADY_DONE}


@BOTH
async def test_without_an_attempt_the_letter_is_taken_as_it_is(lab: Lab, decision: Decision) -> None:
    job_id = await dead_job(lab)
    answer = await dlq.decide(letters_of(lab), decision, job_id, by="root", stream_key=KEY)
    assert answer == Decided(job_id, MAX_ATTEMPTS)
    again = await dlq.decide(letters_of(lab), decision, job_id, by="root", stream_key=KEY)
    assert again is LetterRefusal.NOT_DEAD
    unknown = await dlq.decide(letters_of(lab), decision, str(uuid.uuid4()), by="root", stream_key=KEY)
    assert unknown is LetterRefusal.UNKNOWN_JOB


@BOTH
async def test_of_decisions_at_one_moment_one_stands(real: PgLab, decision: Decision) -> None:
    job_id = await dead_job(real)
    answers: list[Decided | LetterRefusal] = []

    async def one(what: Decision) -> None:
        answers.append(await decide(real, what, job_id, MAX_ATTEMPTS))

    async with trio.open_nursery() as nursery:
        for what in (decision, *Decision, *Decision):
            nursery.start_soon(one, what)
    assert answers.count(Decided(job_id, MAX_ATTEMPTS)) == 1
    assert sum(event in {"requeued", "discarded"} for event in events(real, job_id)) == 1


@BOTH
@pytest.mark.parametrize("broken", ["attempts", "outbox_events"])
async def test_a_decision_stands_whole_or_not_at_all(real: PgLab, decision: Decision, broken: str) -> None:
    job_id = await dead_job(real)
    real.sql(f"ALTER TABLE {broken} ADD CONSTRAINT broken CHECK (false) NOT VALID")
    fails = broken == "attempts" or decision is Decision.REQUEUE
    try:
        if fails:
            with pytest.raises(Exception, match=re.escape("broken")):
                await decide(real, decision, job_id, MAX_ATTEMPTS)
        else:
            await decide(real, decision, job_id, MAX_ATTEMPTS)
    finally:
        real.sql(f"ALTER TABLE {broken} DROP CONSTRAINT broken")
    found = await real.store.submissions.submission(job_id)
    assert found is not None
    assert (found.state is State.DEAD) == fails
    assert (events(real, job_id)[-1] == "dead") == fails


# -- another node's turn


DELAY_S, AVOID_S = 2.0, 300.0


async def failed_at(lab: Lab, avoid_s: float = AVOID_S) -> str:
    job_id = await new_job(lab)
    won = await claim(lab, job_id)
    assert (
        await lab.store.leases.give_back(won, reason="BoxBroken: x", counts=True, delay_s=DELAY_S, avoid_s=avoid_s)
        is None
    )
    return job_id


async def tried(lab: Lab, job_id: str, node: str = NODE, *, yields: bool = True) -> Claim | ClaimRefusal:
    return (await lab.store.leases.claim([entry(job_id)], node, LEASE_S, MAX_ATTEMPTS, yields=yields))["1-1"]


async def test_node_that_failed_avoids_the_job_for_a_while(lab: Lab) -> None:
    job_id = await failed_at(lab)
    assert await tried(lab, job_id) is ClaimRefusal.AVOIDED
    assert events(lab, job_id) == ["claimed", "given_back"]
    lab.advance(DELAY_S + AVOID_S - MARGIN_S)
    assert await tried(lab, job_id) is ClaimRefusal.AVOIDED
    lab.advance(MARGIN_S)
    assert isinstance(await tried(lab, job_id), Claim)


async def test_another_node_may_have_it_at_once(lab: Lab) -> None:
    job_id = await failed_at(lab)
    assert isinstance(await tried(lab, job_id, OTHER), Claim)
    lab.advance(LEASE_S)  # it died: no node is avoided any more
    assert isinstance(await tried(lab, job_id), Claim)


async def test_single_node_claims_a_job_that_it_failed(lab: Lab) -> None:
    assert isinstance(await tried(lab, await failed_at(lab), yields=False), Claim)


async def test_a_drain_is_no_failure(lab: Lab) -> None:
    assert isinstance(await tried(lab, await failed_at(lab, avoid_s=0.0)), Claim)


async def test_a_job_without_attempts_left_is_dead_for_everybody(lab: Lab) -> None:
    job_id = await new_job(lab)
    for _ in range(MAX_ATTEMPTS):
        won = await tried(lab, job_id, yields=False)
        assert isinstance(won, Claim)
        assert await lab.store.leases.give_back(won, reason="x", counts=True, avoid_s=AVOID_S) is None
    assert await tried(lab, job_id) is ClaimRefusal.DEAD


async def test_all_entries_of_an_avoided_job_say_so_and_others_of_the_batch_are_won(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    failed, fresh = [await send(lab.store, draft(user_id, problem.id, f"// {n}")) for n in range(2)]
    assert await lab.store.leases.give_back(await claim(lab, failed), reason="x", counts=True, avoid_s=AVOID_S) is None
    batch = [entry(failed, "1-1"), entry(fresh, "2-2"), entry(failed, "3-3")]
    answers = await lab.store.leases.claim(batch, NODE, LEASE_S, MAX_ATTEMPTS, yields=True)
    assert (answers["1-1"], answers["3-3"]) == (ClaimRefusal.AVOIDED, ClaimRefusal.AVOIDED)
    assert isinstance(answers["2-2"], Claim)


# -- handing over


async def test_hand_over_of_a_pending_job_makes_one_event(lab: Lab) -> None:
    job_id = await new_job(lab)
    await deliver(lab)
    assert await lab.store.leases.hand_over([job_id, job_id]) == {job_id: None}
    assert [(row.event_type, row.status) for row in lab.outbox(job_id)] == [
        ("submit", "delivered"),
        ("hand_over", "pending"),
    ]
    assert events(lab, job_id) == []


async def test_an_entry_whose_event_is_not_marked_yet_is_handed_over_all_the_same(lab: Lab) -> None:
    """An entry can be published, read and handed over before its event is marked: the mark must not end the job."""
    job_id = await new_job(lab)
    [event] = await lab.store.outbox.take_outbox(10, 0.5, 10.0)
    assert await lab.store.leases.hand_over([job_id]) == {job_id: None}
    await lab.store.outbox.mark_delivered([(event.id, "1-1")])
    assert [(row.event_type, row.status) for row in lab.outbox(job_id)] == [
        ("submit", "delivered"),
        ("hand_over", "pending"),
    ]


async def test_hand_over_of_a_held_or_finished_job_is_refused(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    held, done, dead = [await send(lab.store, draft(user_id, problem.id, f"// {n}")) for n in range(3)]
    await deliver(lab)
    await claim(lab, held)
    assert await lab.store.leases.finalize(await claim(lab, done), report(), {}) is None
    await die(lab, dead)
    unknown = str(uuid.uuid4())
    assert await lab.store.leases.hand_over([held, done, dead, unknown, "no job id"]) == {
        held: ClaimRefusal.LEASED,
        done: ClaimRefusal.ALREADY_DONE,
        dead: ClaimRefusal.DEAD,
        unknown: ClaimRefusal.UNKNOWN_JOB,
        "no job id": ClaimRefusal.UNKNOWN_JOB,
    }
    lab.advance(LEASE_S)  # its holder is gone
    assert await lab.store.leases.hand_over([held]) == {held: None}


async def test_an_avoided_job_is_offered_at_once_and_then_less_and_less_often(lab: Lab) -> None:
    job_id = await failed_at(lab)
    lab.advance(DELAY_S)
    await deliver(lab)
    assert await lab.store.leases.hand_over([job_id], avoid_s=AVOID_S) == {job_id: None}
    assert lab.delay_s(job_id) < 2.0
    lab.advance(2.0)
    assert len(await deliver(lab)) == 1
    lab.advance(8.0)
    assert await lab.store.leases.hand_over([job_id], avoid_s=AVOID_S) == {job_id: None}
    assert 3.0 <= lab.delay_s(job_id) <= 5.0  # half of ten seconds, and no more than about four
    assert await deliver(lab) == []
    lab.advance(5.0)
    assert len(await deliver(lab)) == 1


async def test_an_avoided_job_that_is_handed_over_is_due_at_once(lab: Lab) -> None:
    job_id = await failed_at(lab)
    lab.advance(12)
    await deliver(lab)
    assert await lab.store.leases.hand_over([job_id]) == {job_id: None}
    assert len(await deliver(lab)) == 1


# -- strays


async def test_strays_come_in_pages_with_their_latest_entries(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    jobs = [await send(lab.store, draft(user_id, problem.id, f"// {n}")) for n in range(5)]
    delivered = await deliver(lab)
    await claim(lab, jobs[1])
    assert await lab.store.strays.strays(0, LEASE_S, 10) == []  # too young
    lab.advance(LEASE_S - MARGIN_S)
    done = await claim(lab, jobs[2], entry_id="7-7")
    await lab.store.leases.finalize(done, report(), {})
    lab.advance(MARGIN_S)  # the lease of the second is over too
    first = await lab.store.strays.strays(0, LEASE_S, 2)
    rest = await lab.store.strays.strays(first[-1].id, LEASE_S, 10)
    assert [stray.job_id for stray in first + rest] == [jobs[0], jobs[1], jobs[3], jobs[4]]
    assert [stray.entry_ids for stray in first + rest] == [(delivered[n],) for n in (0, 1, 3, 4)]


async def test_repair_keeps_to_its_window(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    jobs = [await send(lab.store, draft(user_id, problem.id, f"// {n}")) for n in range(5)]
    await deliver(lab)
    lab.advance(60)
    ids = [stray.id for stray in await lab.store.strays.strays(0, 60.0, 10)]
    assert await lab.store.strays.repair(set(), 60.0, 10, KEY, after_id=ids[0], upto_id=ids[3]) == jobs[1:4]
