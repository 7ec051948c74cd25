"""The contract of ``ports.Batches``: lines are stored once, wait in the lane of batches, and keep to their quota."""

from __future__ import annotations

import itertools
from dataclasses import replace

import trio

from deepoj.words.batches import BatchLine
from deepoj.words.jobs import State
from deepoj.words.outbox import Priority
from deepoj.words.submissions import Receipt, SubmitRefusal
from tests.contract.labs import (
    Lab,
    PgLab,
    claim,
    draft,
    new_problem,
    new_user,
    report,
    send,
    submit,
)

KEY = "night-1"


def line(number: int, user_id: int, problem_id: int, code: str | None = None) -> BatchLine:
    return BatchLine(number, draft(user_id, problem_id, code or f"int main(){{return {number};}}"))


async def store(
    lab: Lab, batch_id: str, lines: list[BatchLine], *, quota: int = 100, window_s: float = 600.0
) -> list[Receipt | SubmitRefusal]:
    return await lab.store.batches.submit_lines(
        batch_id, lines[0].draft.user_id, lines, dedup_window_s=window_s, quota=quota, stream_key="deepoj:jobs"
    )


async def finish(lab: Lab, job_id: str) -> None:
    won = await claim(lab, job_id)
    assert (
        await lab.store.leases.finalize(won, report(), {"score": 100.0, "time_used": 12, "memory_used": 3456}) is None
    )


async def test_lines_wait_in_the_lane_of_batches_in_order(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    batch_id = await lab.store.batches.open_batch(user_id, KEY)
    answers = await store(lab, batch_id, [line(number, user_id, problem.id) for number in (1, 2, 3)])
    job_ids = [answer.job_id for answer in answers if isinstance(answer, Receipt) and not answer.repeated]
    assert len(set(job_ids)) == 3
    single = await send(lab.store, draft(user_id, problem.id, "int main(){}"))
    lanes = {Priority.INTERACTIVE: 9, Priority.BATCH: 9}
    events = await lab.store.outbox.take_outbox(9, 0.5, 10.0, lanes=lanes)
    assert [event.job_id for event in events] == [single, *job_ids]
    assert [event.priority for event in events] == [Priority.INTERACTIVE, *[Priority.BATCH] * 3]
    found = await lab.store.submissions.submission(job_ids[1])
    assert found is not None
    assert (found.state, found.code) == (State.PENDING, "int main(){return 2;}")


async def test_users_take_turns_line_by_line(lab: Lab) -> None:
    """Chunks of one user follow each other; who comes later joins the round after the one that is served."""
    problem = await new_problem(lab.store)
    lanes, took = {Priority.BATCH: 9}, []

    async def jobs_of(name: str, *chunks: tuple[int, ...]) -> list[str]:
        user_id = await new_user(lab.store, name)
        batch_id = await lab.store.batches.open_batch(user_id, KEY)
        answers = [await store(lab, batch_id, [line(one, user_id, problem.id) for one in chunk]) for chunk in chunks]
        return [answer.job_id for chunk in answers for answer in chunk if isinstance(answer, Receipt)]

    alice = await jobs_of("alice", (1, 2, 3), (4, 5, 6))
    for _ in range(2):
        (event,) = await lab.store.outbox.take_outbox(1, 0.5, 10.0, lanes=lanes)
        await lab.store.outbox.mark_delivered([(event.id, "1-1")])
        took.append(event.job_id)
    bob = await jobs_of("bob", (1, 2, 3))
    took += [event.job_id for event in await lab.store.outbox.take_outbox(9, 0.5, 10.0, lanes=lanes)]
    assert took == [*alice[:4], bob[0], alice[4], bob[1], alice[5], bob[2]]


async def test_chunk_that_is_sent_again_makes_nothing_twice(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    batch_id = await lab.store.batches.open_batch(user_id, KEY)
    lines = [line(number, user_id, problem.id) for number in (1, 2, 3, 4)]
    first = await store(lab, batch_id, lines[:2])
    # the client died between two chunks: it sends all again under its key
    assert await lab.store.batches.open_batch(user_id, KEY) == batch_id
    again = await store(lab, batch_id, lines)
    assert [one.job_id for one in first if isinstance(one, Receipt)] == [
        one.job_id for one in again[:2] if isinstance(one, Receipt) and one.repeated
    ]
    assert [isinstance(one, Receipt) and not one.repeated for one in again] == [False, False, True, True]
    batch = await lab.store.batches.batch(batch_id)
    assert batch is not None
    assert (batch.line_count, batch.user_id, batch.finished_count) == (4, user_id, 0)
    assert len(await lab.store.outbox.take_outbox(9, 0.5, 10.0, lanes={Priority.BATCH: 9})) == 4


async def test_cancelled_batch_loses_what_waits_and_nothing_else(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    batches = lab.store.batches
    first, second = [await batches.open_batch(user_id, key) for key in ("night-1", "night-2")]
    answers = await store(lab, first, [line(number, user_id, problem.id) for number in (1, 2, 3, 4)])
    done, begun, shared, waiting = [one.job_id for one in answers if isinstance(one, Receipt)]
    await store(lab, second, [line(3, user_id, problem.id)])
    await finish(lab, done)
    await claim(lab, begun)
    assert await batches.cancel_batch(first, user_id) == 1
    assert await batches.cancel_batch(first, user_id) == 0
    assert await lab.store.submissions.submission(waiting) is None
    for job_id in (done, begun, shared):
        assert await lab.store.submissions.submission(job_id) is not None
    batch = await batches.batch(first)
    assert batch is not None
    assert batch.line_count == 3
    sent = [event.job_id for event in await lab.store.outbox.take_outbox(9, 0.5, 10.0, lanes={Priority.BATCH: 9})]
    assert waiting not in sent
    again = await store(lab, first, [line(4, user_id, problem.id)])
    assert [isinstance(one, Receipt) and not one.repeated for one in again] == [True], "it is sent after all"


async def test_line_with_other_contents_is_refused(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    batch_id = await lab.store.batches.open_batch(user_id, KEY)
    await store(lab, batch_id, [line(1, user_id, problem.id)])
    assert await store(lab, batch_id, [line(1, user_id, problem.id, "other")]) == [SubmitRefusal.IDEMPOTENCY_KEY_REUSED]


async def test_finished_line_still_answers_for_its_number(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    batch_id = await lab.store.batches.open_batch(user_id, KEY)
    [first] = await store(lab, batch_id, [line(1, user_id, problem.id)])
    assert isinstance(first, Receipt)
    await finish(lab, first.job_id)
    assert await store(lab, batch_id, [line(1, user_id, problem.id)]) == [Receipt(first.job_id, repeated=True)]


async def test_identical_lines_are_one_submission(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    single = await send(lab.store, draft(user_id, problem.id, "sent before"))
    batch_id = await lab.store.batches.open_batch(user_id, KEY)
    codes = ["same", "other", "same", "same", "sent before"]
    lines = [line(number, user_id, problem.id, code) for number, code in enumerate(codes, 1)]
    answers = [one for one in await store(lab, batch_id, lines) if isinstance(one, Receipt)]
    assert [one.job_id for one in answers[:4]] == [answers[0].job_id, answers[1].job_id, *[answers[0].job_id] * 2]
    assert answers[4] == Receipt(single, repeated=True)
    assert [one.repeated for one in answers] == [False, False, True, True, True]
    batch = await lab.store.batches.batch(batch_id)
    assert batch is not None
    assert batch.line_count == 5


async def test_a_person_does_not_wait_for_an_identical_line(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    batch_id = await lab.store.batches.open_batch(user_id, KEY)
    [waiting] = await store(lab, batch_id, [line(1, user_id, problem.id, "same")])
    assert isinstance(waiting, Receipt)
    single = await submit(lab.store, draft(user_id, problem.id, "same"))
    assert isinstance(single, Receipt)
    assert not single.repeated
    assert single.job_id != waiting.job_id
    [again] = await store(
        lab, await lab.store.batches.open_batch(user_id, "another"), [line(1, user_id, problem.id, "same")]
    )
    assert again == Receipt(single.job_id, repeated=True)


async def test_without_a_window_identical_lines_are_submissions_of_their_own(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    batch_id = await lab.store.batches.open_batch(user_id, KEY)
    lines = [line(number, user_id, problem.id, "same") for number in range(1, 9)]
    answers = await store(lab, batch_id, lines, window_s=0.0)
    assert len({one.job_id for one in answers if isinstance(one, Receipt)}) == 8


async def test_each_line_is_refused_as_a_single_submission(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    closed = replace(problem, id=await lab.store.problems.reserve_problem_id(), languages=("python3",))
    await lab.store.problems.insert_problem(closed)
    batch_id = await lab.store.batches.open_batch(user_id, KEY)
    lines = [line(1, user_id, problem.id), line(2, user_id, 987_654), line(3, user_id, closed.id)]
    first, *refused = await store(lab, batch_id, lines)
    assert isinstance(first, Receipt)
    assert refused == [SubmitRefusal.PROBLEM_NOT_FOUND, SubmitRefusal.LANGUAGE_NOT_ALLOWED]
    assert refused == [await submit(lab.store, one.draft) for one in lines[1:]]


async def test_quota_of_batches_is_exact_and_leaves_single_submissions_alone(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    batch_id = await lab.store.batches.open_batch(user_id, KEY)
    lines = [line(number, user_id, problem.id) for number in range(1, 7)]
    answers = await store(lab, batch_id, lines[:4], quota=3)
    assert [isinstance(one, Receipt) for one in answers] == [True, True, True, False]
    assert answers[3] is SubmitRefusal.USER_BATCH_QUOTA_REACHED
    assert isinstance(await submit(lab.store, draft(user_id, problem.id, "single"), user_cap=1), Receipt)
    assert isinstance(answers[0], Receipt)
    await finish(lab, answers[0].job_id)
    assert [isinstance(one, Receipt) for one in await store(lab, batch_id, lines, quota=3)] == [
        True, True, True, True, False, False,
    ]  # fmt: skip


async def test_quota_is_exact_over_many_chunks_and_when_it_changes(lab: Lab) -> None:
    """Jobs are counted where their bound reaches the quota."""
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    batch_id = await lab.store.batches.open_batch(user_id, KEY)
    numbers = itertools.count(1)

    async def stored(count: int, quota: int) -> list[Receipt]:
        lines = [line(next(numbers), user_id, problem.id) for _ in range(count)]
        return [one for one in await store(lab, batch_id, lines, quota=quota) if isinstance(one, Receipt)]

    jobs = [*await stored(2, 6), *await stored(3, 6)]
    assert len(jobs) == 5
    for one in jobs[:4]:
        await finish(lab, one.job_id)
    assert [len(await stored(count, 6)) for count in (4, 2, 1)] == [4, 1, 0], "one was left; five have been added"
    assert len(await stored(3, 4)) == 0, "the quota was lowered below what is unfinished"
    assert len(await stored(3, 7)) == 1, "one place came with a higher quota"


async def test_identical_lines_take_one_place_of_the_quota(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    batch_id = await lab.store.batches.open_batch(user_id, KEY)
    codes = ("same", "same", "other", "another")
    lines = [line(number, user_id, problem.id, code) for number, code in enumerate(codes, 1)]
    first, second, third, fourth = await store(lab, batch_id, lines, quota=2)
    assert isinstance(first, Receipt)
    assert second == Receipt(first.job_id, repeated=True)
    assert isinstance(third, Receipt)
    assert fourth is SubmitRefusal.USER_BATCH_QUOTA_REACHED


async def test_lines_that_are_sent_again_lower_the_bound(real: PgLab) -> None:
    user_id, problem = await new_user(real.store), await new_problem(real.store)
    batch_id = await real.store.batches.open_batch(user_id, KEY)
    lines = [line(number, user_id, problem.id) for number in (1, 2, 3)]
    first, *_ = await store(real, batch_id, lines, quota=4)
    assert isinstance(first, Receipt)
    await finish(real, first.job_id)
    await store(real, batch_id, lines, quota=4)
    assert real.sql("SELECT unfinished_at_most FROM batch_backlogs") == "2"


async def test_jobs_are_not_counted_where_the_bound_leaves_room(real: PgLab) -> None:
    """A count for each chunk took half of the time of a batch when 60,000 jobs waited. The bound is set wrong on
    purpose: an answer that follows it shows that the jobs were not counted."""
    user_id, problem = await new_user(real.store), await new_problem(real.store)
    batch_id = await real.store.batches.open_batch(user_id, KEY)
    for number, quota in ((1, 9), (2, 9), (3, 3), (4, 3)):
        lines = [line(number, user_id, problem.id)]
        real.sql("UPDATE batch_backlogs SET unfinished_at_most = 1")
        assert isinstance((await store(real, batch_id, lines, quota=quota))[0], Receipt)
    # a bound that is too low, as an older node leaves it, is mended by the first count
    real.sql("UPDATE batch_backlogs SET unfinished_at_most = 1")
    both = [line(number, user_id, problem.id) for number in (5, 6)]
    for lines in (both, both[:1]):
        answers = await store(real, batch_id, lines, quota=2)
        assert set(answers) == {SubmitRefusal.USER_BATCH_QUOTA_REACHED}


async def test_results_come_as_lines_finish_and_each_once(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    batch_id = await lab.store.batches.open_batch(user_id, KEY)
    answers = await store(lab, batch_id, [line(number, user_id, problem.id) for number in (1, 2, 3)])
    job_ids = [one.job_id for one in answers if isinstance(one, Receipt)]
    await finish(lab, job_ids[1])
    page = await lab.store.batches.batch_results(batch_id, 0, (), 10)
    assert [(number, item.job_id, item.status) for number, item in page.items] == [(2, job_ids[1], "Accepted")]
    assert (page.first_unfinished, page.items[0][1].time_used_ms) == (1, 12)
    await finish(lab, job_ids[0])
    page = await lab.store.batches.batch_results(batch_id, 0, {2}, 10)
    assert ([number for number, _ in page.items], page.first_unfinished) == ([1], 3)
    await finish(lab, job_ids[2])
    page = await lab.store.batches.batch_results(batch_id, 2, (), 10)
    assert ([number for number, _ in page.items], page.first_unfinished) == ([3], None)
    batch = await lab.store.batches.batch(batch_id)
    assert batch is not None
    assert [(one.state, one.status, one.count) for one in batch.counts] == [(State.DONE, "Accepted", 3)]


async def test_batches_of_a_user_are_listed_newest_first(lab: Lab) -> None:
    user_id, other_id, problem = (
        await new_user(lab.store),
        await new_user(lab.store, "bob"),
        await new_problem(lab.store),
    )
    made = [await lab.store.batches.open_batch(user_id, key) for key in ("a", "b", "c", "without lines")]
    for owner, batch_id in ((user_id, made[0]), (user_id, made[1]), (user_id, made[2]),
                            (other_id, await lab.store.batches.open_batch(other_id, "a"))):  # fmt: skip
        await store(lab, batch_id, [line(1, owner, problem.id, batch_id)])
    assert [one.batch_id for one in await lab.store.batches.batches_of(user_id, 2)] == [made[2], made[1]]
    assert await lab.store.batches.batch("nonsense") is None


async def test_batch_keeps_its_lane_when_its_job_goes_round_again(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    batch_id = await lab.store.batches.open_batch(user_id, KEY)
    [first] = await store(lab, batch_id, [line(1, user_id, problem.id)])
    assert isinstance(first, Receipt)
    await lab.store.outbox.mark_delivered(
        [(event.id, "1-0") for event in await lab.store.outbox.take_outbox(9, 0.5, 10.0)]
    )
    won = await claim(lab, first.job_id)
    assert await lab.store.leases.give_back(won, reason="drain", counts=False) is None
    [event] = await lab.store.outbox.take_outbox(9, 0.5, 10.0)
    assert (event.job_id, event.priority) == (first.job_id, Priority.BATCH)


async def test_waiting_batch_is_before_none_that_a_user_waits_for(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    batch_id = await lab.store.batches.open_batch(user_id, KEY)
    await store(lab, batch_id, [line(1, user_id, problem.id)])
    [second] = await store(lab, batch_id, [line(2, user_id, problem.id)])
    single = await send(lab.store, draft(user_id, problem.id, "single"))
    assert await lab.store.submissions.count_before(single, 200) == 0
    assert isinstance(second, Receipt)
    assert await lab.store.submissions.count_before(second.job_id, 200) == 2
    pending = await lab.store.outbox.outbox_pending()
    assert (pending.submitted, pending.of_lane[Priority.BATCH]) == (1, 2)


async def test_lines_go_with_their_submissions_and_empty_batches_with_them(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    batch_id = await lab.store.batches.open_batch(user_id, KEY)
    [first] = await store(lab, batch_id, [line(1, user_id, problem.id)])
    assert isinstance(first, Receipt)
    await finish(lab, first.job_id)
    lab.advance(1000.0)
    page = await lab.store.retention.expired(0, 100.0, 10)
    assert await lab.store.retention.delete_expired(page.row_ids, 100.0) == 1
    assert await lab.store.batches.batch(batch_id) is None


async def test_erased_account_has_no_batches(real: PgLab) -> None:
    user_id, problem = await new_user(real.store), await new_problem(real.store)
    batch_id = await real.store.batches.open_batch(user_id, KEY)
    await store(real, batch_id, [line(1, user_id, problem.id)])
    await real.store.account_data.erase(user_id, by=None)
    assert await real.store.batches.batch(batch_id) is None


async def test_two_requests_of_one_batch_at_once_store_each_line_once(real: PgLab) -> None:
    user_id, problem = await new_user(real.store), await new_problem(real.store)
    batch_id = await real.store.batches.open_batch(user_id, KEY)
    lines = [line(number, user_id, problem.id) for number in range(1, 60)]
    found: list[list[Receipt | SubmitRefusal]] = []

    async def once() -> None:
        found.append(await store(real, batch_id, lines))

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(once)
    job_ids = [[one.job_id for one in answers if isinstance(one, Receipt)] for answers in found]
    assert job_ids[0] == job_ids[1] == job_ids[2]
    assert real.sql("SELECT count(*) FROM submissions") == str(len(lines))
    assert real.sql("SELECT count(DISTINCT turn) FROM outbox_events") == str(len(lines))


async def test_single_submissions_of_the_same_programs_race_with_a_chunk(real: PgLab) -> None:
    user_id, problem = await new_user(real.store), await new_problem(real.store)
    batch_id = await real.store.batches.open_batch(user_id, KEY)
    lines = [line(number, user_id, problem.id) for number in range(1, 40)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store, real, batch_id, lines)
        for one in lines[::-1]:
            nursery.start_soon(submit, real.store, one.draft)
    # a submission of the batch that came first has given its place to the person's
    for count in ("submissions WHERE NOT in_batch", "submissions WHERE deduplicates", "batch_lines"):
        assert real.sql(f"SELECT count(*) FROM {count}") == str(len(lines)), count
