"""The contract of ``ports.Jobs``: submitting drafts, the outbox and repair."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from dataclasses import replace
from typing import Any

import pytest
import trio

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.pg import PgStore
from deepoj.adapters.pg.sql_files import queries
from deepoj.words.jobs import Claim, FinalizeRefusal, State
from deepoj.words.sources import SourceFile
from deepoj.words.submissions import Draft, Receipt, SubmitRefusal
from tests.contract.labs import (
    MARGIN_S,
    NODE,
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
from tests.contract.test_store_plans import ON_THE_PATH, ROWS, session_settings
from tests.fakes.ports import Store


async def test_a_draft_that_is_taken_can_be_read_back(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    job_id = await send(lab.store, draft(user_id, problem.id, "// 你好\nint main(){}"))
    assert str(uuid.UUID(job_id)) == job_id
    found = await lab.store.submissions.submission(job_id)
    assert found is not None
    assert (found.job_id, found.user_id, found.problem_id) == (job_id, user_id, problem.id)
    assert (found.language, found.code) == ("cpp17", "// 你好\nint main(){}")
    assert (found.state, found.status, found.attempt_id, found.judging) == (State.PENDING, "pending", 0, 1)
    assert (found.error_code, found.error_message, found.result) == (None, None, None)
    assert dt.datetime.fromisoformat(found.created_at).tzinfo is not None
    assert found.updated_at == found.created_at


@pytest.mark.parametrize("job_id", ["", "nonsense", "' OR 1=1 --", UNKNOWN_ID.upper() + "x", "a\0b"])
async def test_malformed_job_id_is_no_submission(lab: Lab, job_id: str) -> None:
    assert await lab.store.submissions.submission(job_id) is None


async def test_an_account_and_a_submission_in_one_go(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    job_id = await send(lab.store, draft(user_id, problem.id))
    account, found = await lab.store.accounts.credentials_by_id(user_id), await lab.store.submissions.submission(job_id)
    assert account is not None
    assert found is not None
    read = lab.store.submissions.account_and_submission
    assert await read(user_id, job_id) == (account, found)
    assert await read(user_id + 1, job_id) == (None, found)
    assert await read(user_id, str(uuid.uuid4())) == (account, None)
    assert await read(user_id, "no job id") == (account, None)


async def test_accounts_and_submissions_of_one_moment_are_each_those_that_were_asked_for(lab: Lab) -> None:
    """The database answers several requests with one statement."""
    problem = await new_problem(lab.store)
    users = [await new_user(lab.store, name) for name in ("alice", "bob")]
    jobs = [await send(lab.store, draft(user, problem.id, f"// {number}")) for number in range(3) for user in users]
    found: dict[tuple[int, str], tuple[int | None, str | None]] = {}

    async def read(user_id: int, job_id: str) -> None:
        account, submission = await lab.store.submissions.account_and_submission(user_id, job_id)
        found[user_id, job_id] = (
            None if account is None else account.user.id,
            None if submission is None else submission.job_id,
        )

    async with trio.open_nursery() as nursery:
        for user_id in (*users, 10**9):
            for job_id in (*jobs, UNKNOWN_ID):
                nursery.start_soon(read, user_id, job_id)
    assert found == {
        (user_id, job_id): (None if user_id == 10**9 else user_id, None if job_id == UNKNOWN_ID else job_id)
        for user_id in (*users, 10**9)
        for job_id in (*jobs, UNKNOWN_ID)
    }


async def test_an_unknown_job_id_is_no_submission(lab: Lab) -> None:
    assert await lab.store.submissions.submission(str(uuid.uuid4())) is None


async def test_the_event_carries_the_task_filled_in_from_the_rows(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    job_id = await send(lab.store, draft(user_id, problem.id))
    (event,) = await lab.store.outbox.take_outbox(10, 0.5, 10.0)
    assert (event.job_id, event.stream_key, event.event_type) == (job_id, "deepoj:jobs", "submit")
    assert (event.attempts, event.priority, event.trace_id) == (1, 0, "trace-1")
    task = json.loads(event.payload)
    assert task == {
        "code": "aW50",
        "job_id": job_id,
        "time_limit": 1500,
        "memory_limit": 128 * 1024,
        "submit_time": event.enqueue_ts_ms,
    }


async def test_several_files_come_back_as_they_were_sent(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    beside = (SourceFile("b.h", "int b();\n// 你好"), SourceFile("a.cpp", ""))
    several = replace(draft(user_id, problem.id, "int main(){}"), entry_point="main.cpp", beside=beside)
    job_id = await send(lab.store, several)
    found = await lab.store.submissions.submission(job_id)
    assert found is not None
    assert (found.code, found.entry_point, found.beside) == ("int main(){}", "main.cpp", beside)
    assert found.files == (SourceFile("main.cpp", "int main(){}"), *beside)
    won = await claim(lab, job_id)
    assert (won.code, won.entry_point, won.beside) == ("int main(){}", "main.cpp", beside)


async def test_a_single_source_has_no_files(lab: Lab) -> None:
    job_id = await new_job(lab)
    found, won = await lab.store.submissions.submission(job_id), await claim(lab, job_id)
    assert found is not None
    assert (found.entry_point, found.files, won.entry_point, won.files) == (None, (), None, ())


async def test_payload_built_by_repair_carries_the_files(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    one = replace(draft(user_id, problem.id, "int main(){}"), entry_point="main.cpp", beside=(SourceFile("b.h", "b"),))
    job_id = await send(lab.store, one)
    await deliver(lab)
    assert await lab.store.leases.hand_over([job_id]) == {job_id: None}
    (event,) = await lab.store.outbox.take_outbox(10, 0.5, 10.0)
    task = json.loads(event.payload)
    assert (task["entry_point"], task["files"]) == ("main.cpp", [{"name": "b.h", "content": "b"}])


async def test_files_that_differ_in_anything_are_another_submission(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    one = draft(user_id, problem.id, "int main(){}")
    b, c = SourceFile("b.h", "b"), SourceFile("c.h", "c")
    drafts = [
        one,
        replace(one, entry_point="main.cpp"),
        replace(one, entry_point="m.cpp"),
        replace(one, entry_point="main.cpp", beside=(b,)),
        replace(one, entry_point="main.cpp", beside=(replace(b, content="B"),)),
        replace(one, entry_point="main.cpp", beside=(replace(b, name="B.h"),)),
        replace(one, entry_point="main.cpp", beside=(b, c)),
        replace(one, code="b", entry_point="b.h", beside=(SourceFile("main.cpp", "int main(){}"),)),
    ]
    jobs = [await send(lab.store, each) for each in drafts]
    assert len(set(jobs)) == len(drafts)
    # the order of the files does not count
    turned = replace(one, entry_point="main.cpp", beside=(c, b))
    assert await submit(lab.store, turned) == Receipt(jobs[6], repeated=True)


async def test_a_problem_that_is_not_there_is_refused(lab: Lab) -> None:
    user_id = await new_user(lab.store)
    assert await submit(lab.store, draft(user_id, 999_999)) is SubmitRefusal.PROBLEM_NOT_FOUND
    assert (await lab.store.outbox.outbox_pending()).total == 0


async def test_an_identical_draft_gets_the_first_job_while_that_is_under_way(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    one = draft(user_id, problem.id)
    first = await send(lab.store, one)
    assert await submit(lab.store, one) == Receipt(first, repeated=True)
    won = await claim(lab, first)
    assert await submit(lab.store, one) == Receipt(first, repeated=True)
    assert len(lab.outbox(first)) == 1
    assert await lab.store.leases.finalize(won, report(), {}) is None
    again = await submit(lab.store, one)
    assert isinstance(again, Receipt)
    assert (again.job_id != first, again.repeated) == (True, False)


async def test_outside_the_window_an_identical_draft_is_a_new_job(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    one = draft(user_id, problem.id)
    first = await send(lab.store, one)
    lab.advance(600 - MARGIN_S)
    assert await submit(lab.store, one) == Receipt(first, repeated=True)
    lab.advance(MARGIN_S + 1)
    second = await send(lab.store, one)
    assert second != first
    assert await submit(lab.store, one) == Receipt(second, repeated=True)


async def test_another_user_problem_language_or_code_is_another_job(lab: Lab) -> None:
    user_id, other_id = await new_user(lab.store), await new_user(lab.store, "bob")
    problem, other = await new_problem(lab.store), await new_problem(lab.store)
    drafts = [
        draft(user_id, problem.id),
        draft(other_id, problem.id),
        draft(user_id, other.id),
        draft(user_id, problem.id, "int main(){} "),
    ]
    jobs = {await send(lab.store, one) for one in drafts}
    assert len(jobs) == 4


async def test_idempotency_key_names_one_job_also_after_its_verdict(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    first = await send(lab.store, draft(user_id, problem.id, key="k1"))
    assert await lab.store.leases.finalize(await claim(lab, first), report(), {}) is None
    again = await submit(lab.store, draft(user_id, problem.id, key="k1"))
    assert again == Receipt(first, repeated=True)
    other = await send(lab.store, draft(user_id, problem.id, key="k2"))
    theirs = await send(lab.store, draft(await new_user(lab.store, "bob"), problem.id, key="k1"))
    assert len({first, other, theirs}) == 3


async def test_key_that_an_unfinished_twin_answered_names_the_twin(lab: Lab) -> None:
    """After the twin has finished, the key makes no second submission and is refused for another program."""
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    other_user = await new_user(lab.store, "bob")
    first = await send(lab.store, draft(user_id, problem.id, key="a"))
    unkeyed = await send(lab.store, draft(user_id, problem.id, "// unkeyed"))
    for key in ("b", "c", "b"):
        assert await submit(lab.store, draft(user_id, problem.id, key=key)) == Receipt(first, repeated=True)
    of_unkeyed = draft(user_id, problem.id, "// unkeyed", key="d")
    assert await submit(lab.store, of_unkeyed) == Receipt(unkeyed, repeated=True)
    changed = draft(user_id, problem.id, "// changed", key="b")
    for _ in range(2):
        assert await submit(lab.store, changed) is SubmitRefusal.IDEMPOTENCY_KEY_REUSED
        assert await submit(lab.store, replace(of_unkeyed, code="")) is SubmitRefusal.IDEMPOTENCY_KEY_REUSED
        for key in ("a", "b", "c"):
            assert await submit(lab.store, draft(user_id, problem.id, key=key)) == Receipt(first, repeated=True)
        assert await submit(lab.store, of_unkeyed) == Receipt(unkeyed, repeated=True)
        for job_id in (first, unkeyed):
            won = await lab.store.leases.claim([entry(job_id)], NODE, 60.0, 5)
            if isinstance(claimed := won["1-1"], Claim):
                assert await lab.store.leases.finalize(claimed, report(), {}) is None
    # another user's key of the same name, and a key that was never sent
    assert not (await receipt_of(lab, draft(other_user, problem.id, key="b"))).repeated
    assert not (await receipt_of(lab, draft(user_id, problem.id, key="e"))).repeated


async def receipt_of(lab: Lab, one: Draft) -> Receipt:
    receipt = await submit(lab.store, one)
    assert isinstance(receipt, Receipt)
    return receipt


async def test_a_key_of_a_twin_goes_with_its_submission(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    expired = await send(lab.store, draft(user_id, problem.id))
    assert (await receipt_of(lab, draft(user_id, problem.id, key="b"))).job_id == expired
    await lab.store.leases.finalize(await claim(lab, expired), report(), {})
    lab.advance(100)
    ids = (await lab.store.retention.expired(0, 50.0, 10)).row_ids
    assert await lab.store.retention.delete_expired(ids, 50.0) == 1
    deleted = await receipt_of(lab, draft(user_id, problem.id, "// other", key="b"))
    assert not deleted.repeated
    assert (await receipt_of(lab, draft(user_id, problem.id, "// other", key="c"))).job_id == deleted.job_id
    assert await lab.store.problems.delete_submissions_of(problem.id, 9) == 1
    assert not (await receipt_of(lab, draft(user_id, problem.id, key="c"))).repeated


async def test_one_new_key_with_several_programs_at_once_names_one_job(lab: Lab) -> None:
    """Two of them are unfinished already; in either order, the key names one job."""
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    for number in range(2):
        await send(lab.store, draft(user_id, problem.id, f"// {number}"))
    for turn in range(6):
        answers: dict[int, Receipt | SubmitRefusal] = {}

        async def one(number: int, key: str, answers: dict[int, Receipt | SubmitRefusal]) -> None:
            answers[number] = await submit(lab.store, draft(user_id, problem.id, f"// {number % 4}", key=key))

        async with trio.open_nursery() as nursery:
            for number in range(16):
                nursery.start_soon(one, number, f"key {turn}", answers)
        taken = {number: answer for number, answer in answers.items() if isinstance(answer, Receipt)}
        assert len({answer.job_id for answer in taken.values()}) == 1
        assert len({number % 4 for number in taken}) == 1
        assert len(taken) == 4
        assert set(answers.values()) - set(taken.values()) == {SubmitRefusal.IDEMPOTENCY_KEY_REUSED}


async def test_a_key_waits_for_another_transaction_that_takes_it(real: PgLab) -> None:
    """A twin's answer under the key is in an open transaction while another program comes under the same key."""
    user_id, problem = await new_user(real.store), await new_problem(real.store)
    first = await send(real.store, draft(user_id, problem.id))
    keeps = (
        f"SELECT lock_submission_key({user_id}, 'b'); INSERT INTO submission_keys (user_id, idempotency_key, job_id) "
        f"VALUES ({user_id}, 'b', '{first}')"
    )
    answers: list[Receipt | SubmitRefusal] = []

    async def changed() -> None:
        answers.append(await submit(real.store, draft(user_id, problem.id, "// changed", key="b")))

    async with holding(real, keeps) as end, trio.open_nursery() as nursery:
        nursery.start_soon(changed)
        await until_somebody_waits_for_a_lock(real)
        end("commit")
    assert answers == [SubmitRefusal.IDEMPOTENCY_KEY_REUSED]


def submit_values(user_id: int, problem_id: int, key: str, code_hash: str) -> str:
    return (
        f"gen_random_uuid(), {user_id}, {problem_id}, 'cpp17', 'x', {code_hash}, 't', {key}, '{{}}', 500, 600, 's', 7, "
        "NULL, NULL, NULL, 20, NULL, 0.5"
    )


async def test_keys_cost_nothing_without_a_key_and_little_in_full_tables(real: PgLab) -> None:
    """A draft without a key reads no key; one with a key reads a few pages among 5,000 keys of each kind."""
    user_id, problem = await new_user(real.store), await new_problem(real.store)
    real.sql(
        "INSERT INTO submissions (job_id, problem_id, user_id, code, language, time_limit, memory_limit, "
        f"idempotency_key, state, status, result) SELECT gen_random_uuid(), {problem.id}, {user_id}, 'x', 'cpp17', 1, "
        f"1, 'k' || n, 'done', 'Accepted', '{{}}' FROM generate_series(1, {ROWS}) AS n;"
        "INSERT INTO submission_keys (user_id, idempotency_key, job_id) "
        "SELECT user_id, 'twin ' || idempotency_key, job_id FROM submissions"
    )
    await send(real.store, draft(user_id, problem.id))
    real.sql("UPDATE submissions SET code_hash = '\\x01' WHERE state = 'pending'; ANALYZE")
    settings = await session_settings(real.pg_store)
    types, _ = ON_THE_PATH["submit"]
    head = f"{settings}PREPARE p ({types}) AS {queries()['submit'].sql}; BEGIN; "

    def explained(key: str, code_hash: str) -> dict[str, Any]:
        values = submit_values(user_id, problem.id, key, code_hash)
        said = real.sql(f"{head}EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE p({values}); ROLLBACK")
        plan: dict[str, Any] = json.loads(said[said.index("[") : said.rindex("]") + 1])[0]["Plan"]
        return plan

    def key_scans(plan: dict[str, Any]) -> list[dict[str, Any]]:
        here = [plan] if plan.get("Function Name") == "submission_of_key" else []
        return here + [scan for below in plan.get("Plans", ()) for scan in key_scans(below)]

    for code_hash in ("'\\x00'", "'\\x01'"):
        (unkeyed,) = key_scans(explained("NULL", code_hash))
        assert unkeyed["Actual Loops"] == 0
        for key in ("'k7'", "'twin k8'", "'new'"):
            plan = explained(key, code_hash)
            (keyed,) = key_scans(plan)
            assert keyed["Actual Rows"] == (key != "'new'")
            assert keyed["Shared Hit Blocks"] + keyed["Shared Read Blocks"] <= 250, "the first call reads the catalog"
    real.sql("SET enable_seqscan = off; DELETE FROM submissions WHERE state = 'done'")
    assert real.sql("SELECT count(*) FROM submission_keys") == "0"


async def test_the_cap_counts_what_is_under_way(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    drafts = [draft(user_id, problem.id, f"// {number}") for number in range(4)]
    jobs = [await send(lab.store, one, cap=2) for one in drafts[:2]]
    assert await submit(lab.store, drafts[2], cap=2) is SubmitRefusal.INFLIGHT_CAP_REACHED
    assert await submit(lab.store, drafts[0], cap=2) == Receipt(jobs[0], repeated=True)
    won = await claim(lab, jobs[0])
    assert await submit(lab.store, drafts[2], cap=2) is SubmitRefusal.INFLIGHT_CAP_REACHED
    assert await lab.store.leases.finalize(won, report(), {}) is None
    await lab.store.submissions.count_inflight(2)
    assert isinstance(await submit(lab.store, drafts[2], cap=2), Receipt)
    assert await submit(lab.store, drafts[3], cap=2) is SubmitRefusal.INFLIGHT_CAP_REACHED


async def test_a_full_cap_refuses_no_user_without_unfinished_submissions(lab: Lab) -> None:
    """When a few accounts fill the cap, other accounts may still have one submission each, up to twice the cap."""
    problem = await new_problem(lab.store)
    alice, bob, *others = [await new_user(lab.store, f"user{number}") for number in range(7)]
    full = {"cap": 4, "user_cap": 3}
    for user_id, number in ((alice, 0), (alice, 1), (alice, 2), (bob, 0)):
        assert isinstance(await submit(lab.store, draft(user_id, problem.id, f"// {number}"), **full), Receipt)
    assert await submit(lab.store, draft(bob, problem.id, "// 1"), **full) is SubmitRefusal.INFLIGHT_CAP_REACHED
    for user_id in others[:4]:
        assert isinstance(await submit(lab.store, draft(user_id, problem.id), **full), Receipt)
        await lab.store.submissions.count_inflight(4)
        second = draft(user_id, problem.id, "// second")
        assert await submit(lab.store, second, **full) is SubmitRefusal.INFLIGHT_CAP_REACHED
    assert await submit(lab.store, draft(others[4], problem.id), **full) is SubmitRefusal.INFLIGHT_CAP_REACHED


async def test_of_many_identical_drafts_at_once_one_is_taken(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    receipts: list[object] = []

    async def one() -> None:
        receipts.append(await submit(lab.store, draft(user_id, problem.id)))

    async with trio.open_nursery() as nursery:
        for _ in range(24):
            nursery.start_soon(one)
    jobs = {receipt.job_id for receipt in receipts if isinstance(receipt, Receipt)}
    assert len(receipts) == 24
    assert len(jobs) == 1
    assert sum(isinstance(receipt, Receipt) and not receipt.repeated for receipt in receipts) == 1
    assert (await lab.store.outbox.outbox_pending()).total == 1


async def test_of_many_drafts_under_one_key_at_once_one_is_taken(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    receipts: list[object] = []

    async def one() -> None:
        receipts.append(await submit(lab.store, draft(user_id, problem.id, key="k")))

    async with trio.open_nursery() as nursery:
        for _ in range(24):
            nursery.start_soon(one)
    assert len(receipts) == 24
    assert len({receipt.job_id for receipt in receipts if isinstance(receipt, Receipt)}) == 1
    assert (await lab.store.outbox.outbox_pending()).total == 1


async def test_outside_the_window_many_at_once_make_one_new_job(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    first = await send(lab.store, draft(user_id, problem.id))
    lab.advance(601)
    receipts: list[object] = []

    async def one() -> None:
        receipts.append(await submit(lab.store, draft(user_id, problem.id)))

    async with trio.open_nursery() as nursery:
        for _ in range(16):
            nursery.start_soon(one)
    jobs = {receipt.job_id for receipt in receipts if isinstance(receipt, Receipt)}
    assert len(jobs) == 1
    assert first not in jobs


# -- the outbox


async def test_a_taken_event_is_hidden_for_its_backoff_which_doubles_up_to_the_ceiling(lab: Lab) -> None:
    job_id = await new_job(lab)
    hidden_for = []
    for attempt in range(1, 7):
        (event,) = await lab.store.outbox.take_outbox(10, 100.0, 500.0)
        assert (event.job_id, event.attempts) == (job_id, attempt)
        hidden_for.append(min(100.0 * 2.0 ** (attempt - 1), 500.0))
        lab.advance(hidden_for[-1] - MARGIN_S)
        assert await lab.store.outbox.take_outbox(10, 100.0, 500.0) == []
        lab.advance(MARGIN_S)
    assert hidden_for == [100.0, 200.0, 400.0, 500.0, 500.0, 500.0]
    assert (await lab.store.outbox.outbox_pending()).total == 1


async def test_a_hidden_event_is_returned_and_is_as_one_that_was_taken(lab: Lab) -> None:
    """So a dispatcher that gets it from the request needs no statement, and one that dies with it only delays it."""
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    receipt = await submit(lab.store, draft(user_id, problem.id), hidden_s=100.0)
    assert isinstance(receipt, Receipt)
    event = receipt.event
    assert event is not None
    assert (event.job_id, event.attempts, event.event_type) == (receipt.job_id, 1, "submit")
    lab.advance(100.0 - MARGIN_S)
    assert await lab.store.outbox.take_outbox(10, 100.0, 500.0) == []
    assert (await lab.store.outbox.outbox_waiting(10)).is_waiting
    lab.advance(MARGIN_S)
    (taken,) = await lab.store.outbox.take_outbox(10, 100.0, 500.0)
    assert taken == replace(event, attempts=2)
    await lab.store.outbox.mark_delivered([(event.id, "1-1")])
    await lab.store.outbox.mark_delivered([(event.id, "2-2")])
    assert [one.stream_entry_id for one in lab.outbox(receipt.job_id)] == ["1-1"]
    assert (await lab.store.outbox.outbox_pending()).total == 0


async def test_a_repeated_submit_has_no_event(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    first = await submit(lab.store, draft(user_id, problem.id), hidden_s=100.0)
    second = await submit(lab.store, draft(user_id, problem.id), hidden_s=100.0)
    assert isinstance(first, Receipt)
    assert second == Receipt(first.job_id, repeated=True)


async def test_events_are_taken_oldest_first_and_no_more_than_asked(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    jobs = []
    for number in range(5):
        jobs.append(await send(lab.store, draft(user_id, problem.id, f"// {number}")))
        lab.advance(1)
    taken = [event.job_id for event in await lab.store.outbox.take_outbox(3, 60.0, 60.0)]
    taken += [event.job_id for event in await lab.store.outbox.take_outbox(3, 60.0, 60.0)]
    assert taken == jobs


async def test_two_dispatchers_never_take_the_same_event(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    jobs = {await send(lab.store, draft(user_id, problem.id, f"// {number}")) for number in range(20)}
    taken: list[str] = []

    async def dispatcher() -> None:
        while events := await lab.store.outbox.take_outbox(3, 60.0, 60.0):
            taken.extend(event.job_id for event in events)

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(dispatcher)
    # with SKIP LOCKED a dispatcher may get no row while the others hold the rest; the next poll gets them
    taken += [event.job_id for event in await lab.store.outbox.take_outbox(20, 60.0, 60.0)]
    assert sorted(taken) == sorted(jobs)


async def test_a_delivered_event_is_done_with_and_keeps_its_first_entry(lab: Lab) -> None:
    job_id = await new_job(lab)
    (event,) = await lab.store.outbox.take_outbox(10, 0.5, 10.0)
    await lab.store.outbox.mark_undelivered([event.id, event.id + 1], "connection refused \0 by redis")
    (row,) = lab.outbox(job_id)
    assert row.status == "pending"
    assert row.last_error is not None
    assert row.last_error.startswith("connection refused")
    await lab.store.outbox.mark_delivered([(event.id, "7-1"), (event.id + 1, "7-2")])
    await lab.store.outbox.mark_delivered([(event.id, "9-9")])
    await lab.store.outbox.mark_undelivered([event.id], "too late")
    (row,) = lab.outbox(job_id)
    assert (row.status, row.stream_entry_id, row.last_error) == ("delivered", "7-1", None)
    assert (await lab.store.outbox.outbox_pending()).total == 0
    lab.advance(3600)
    assert await lab.store.outbox.take_outbox(10, 0.5, 10.0) == []
    await lab.store.outbox.mark_delivered([])
    await lab.store.outbox.mark_undelivered([], "nothing")


# -- repair


async def test_a_job_without_a_way_to_be_judged_is_sent_round_again_once(lab: Lab) -> None:
    job_id = await new_job(lab)
    assert await lab.store.strays.repair(set(), 0.0, 10, "deepoj:jobs") == []  # its event is not delivered yet
    await deliver(lab)
    assert await lab.store.strays.repair(set(), 60.0, 10, "deepoj:jobs") == []  # too young
    lab.advance(61)
    assert await lab.store.strays.repair({job_id}, 60.0, 10, "deepoj:jobs") == []  # its entry lives
    assert await lab.store.strays.repair(set(), 60.0, 10, "deepoj:dev:jobs") == [job_id]
    assert await lab.store.strays.repair(set(), 60.0, 10, "deepoj:jobs") == []  # its new event is not delivered yet
    (event,) = await lab.store.outbox.take_outbox(10, 0.5, 10.0)
    assert (event.event_type, event.job_id, event.stream_key) == ("repair", job_id, "deepoj:dev:jobs")
    task = json.loads(event.payload)
    assert (task["job_id"], task["language"], task["code"]) == (job_id, "cpp17", "aW50IG1haW4oKXt9")
    assert (task["time_limit"], task["memory_limit"], task["trace_id"]) == (1500, 128 * 1024, "trace-1")
    await lab.store.outbox.mark_delivered([(event.id, "5-0")])
    assert await lab.store.strays.repair(set(), 60.0, 10, "deepoj:jobs") == []  # sent a moment ago
    lab.advance(61)
    assert await lab.store.strays.repair(set(), 60.0, 10, "deepoj:jobs") == [job_id]


async def test_a_running_job_is_repaired_only_when_its_lease_is_over(lab: Lab) -> None:
    job_id = await new_job(lab)
    await deliver(lab)
    lab.advance(100)
    await claim(lab, job_id, lease_s=600.0)
    lab.advance(600.0 - MARGIN_S)
    assert await lab.store.strays.repair(set(), 60.0, 10, "s") == []
    lab.advance(MARGIN_S)
    assert await lab.store.strays.repair(set(), 60.0, 10, "s") == [job_id]


async def test_finished_jobs_are_left_alone_and_the_oldest_come_first(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    jobs = []
    for number in range(4):
        jobs.append(await send(lab.store, draft(user_id, problem.id, f"// {number}")))
        lab.advance(1)
    await deliver(lab)
    assert await lab.store.leases.finalize(await claim(lab, jobs[0]), report(), {}) is None
    lab.advance(100)
    assert await lab.store.strays.repair(set(), 60.0, 2, "s") == jobs[1:3]
    assert await lab.store.strays.repair(set(), 60.0, 2, "s") == jobs[3:]


async def test_many_repairs_at_once_send_each_job_once(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    jobs = [await send(lab.store, draft(user_id, problem.id, f"// {number}")) for number in range(5)]
    await deliver(lab)
    lab.advance(100)
    repaired: list[str] = []

    async def repair() -> None:
        repaired.extend(await lab.store.strays.repair(set(), 60.0, 100, "s"))

    async with trio.open_nursery() as nursery:
        for _ in range(6):
            nursery.start_soon(repair)
    assert sorted(repaired) == sorted(jobs)
    assert (await lab.store.outbox.outbox_pending()).total == 5


async def test_given_back_job_is_sent_by_its_own_stream(lab: Lab) -> None:
    job_id = await new_job(lab)
    await deliver(lab)
    won = await claim(lab, job_id)
    assert await lab.store.leases.give_back(won, reason="drain", counts=False, delay_s=30.0) is None
    assert await lab.store.outbox.take_outbox(10, 0.5, 10.0) == []
    lab.advance(30)
    (event,) = await lab.store.outbox.take_outbox(10, 0.5, 10.0)
    assert (event.event_type, event.stream_key, event.job_id) == ("give_back", "deepoj:jobs", job_id)
    assert json.loads(event.payload)["job_id"] == job_id
    assert await lab.store.leases.give_back(won, reason="again", counts=False) is FinalizeRefusal.NOT_IN_EXPECTED_STATE


# -- without the outbox


async def direct(lab: Lab, one: Draft) -> Receipt:
    receipt = await lab.store.submissions.submit(
        one, inflight_cap=9, dedup_window_s=600.0, payload={"code": "aW50"}, stream_key="deepoj:jobs", direct=True
    )
    assert isinstance(receipt, Receipt)
    return receipt


async def test_a_direct_submit_leaves_nothing_to_dispatch(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    one = draft(user_id, problem.id)
    receipt = await direct(lab, one)
    event = receipt.event
    assert event is not None
    assert (event.job_id, event.event_type, event.priority, event.trace_id) == (receipt.job_id, "submit", 0, "trace-1")
    assert json.loads(event.payload)["time_limit"] == 1500
    assert await lab.store.outbox.take_outbox(9, 0.5, 10.0) == []
    assert (await lab.store.outbox.outbox_pending()).total == 0
    again = await direct(lab, one)
    assert again == Receipt(receipt.job_id, repeated=True)


async def test_direct_submission_is_in_the_outbox_as_delivered(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    receipt = await direct(lab, draft(user_id, problem.id))
    assert receipt.event is not None
    for _ in range(2):
        await lab.store.submissions.mark_sent(receipt.event, "7-1")
    assert await lab.store.outbox.take_outbox(9, 0.5, 10.0) == []
    lab.advance(100)
    (stray,) = await lab.store.strays.strays(0, 60.0, 9)
    assert (stray.job_id, stray.entry_ids) == (receipt.job_id, ("7-1",))
    assert await lab.store.strays.repair({receipt.job_id}, 60.0, 9, "deepoj:jobs") == []


async def test_direct_submission_that_was_not_sent_is_repaired(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    receipt = await direct(lab, draft(user_id, problem.id))
    assert await lab.store.strays.repair(set(), 60.0, 9, "deepoj:jobs") == []
    lab.advance(100)
    assert await lab.store.strays.repair(set(), 60.0, 9, "deepoj:jobs") == [receipt.job_id]
    (event,) = await lab.store.outbox.take_outbox(9, 0.5, 10.0)
    assert (event.job_id, event.event_type) == (receipt.job_id, "repair")


async def test_mark_sent_of_a_deleted_submission_does_nothing(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    receipt = await direct(lab, draft(user_id, problem.id))
    assert receipt.event is not None
    assert await lab.store.problems.delete_submissions_of(problem.id, 9) == 1
    await lab.store.submissions.mark_sent(receipt.event, "7-1")
    assert (await lab.store.outbox.outbox_pending()).total == 0


async def test_drafts_of_one_moment_are_each_decided_by_themselves(lab: Lab) -> None:
    """In one transaction or several: twins, keys, unknown problems and plain drafts."""
    alice, bob = await new_user(lab.store), await new_user(lab.store, "bob")
    problem = await new_problem(lab.store)
    drafts = [draft(user, problem.id, f"// {number}") for user in (alice, bob) for number in range(12)]
    drafts += [draft(alice, problem.id, "// 3"), draft(bob, problem.id, "// 3")]
    drafts += [draft(alice, problem.id + 1, "// 3")]
    drafts += [draft(bob, problem.id, "// keyed", key="one key") for _ in range(3)]
    answers: dict[int, Receipt | SubmitRefusal] = {}

    async def one(at: int) -> None:
        answers[at] = await submit(lab.store, drafts[at])

    async with trio.open_nursery() as nursery:
        for at in range(len(drafts)):
            nursery.start_soon(one, at)

    def job_of(at: int) -> str:
        answer = answers[at]
        assert isinstance(answer, Receipt)
        return answer.job_id

    assert answers[26] is SubmitRefusal.PROBLEM_NOT_FOUND
    assert len({job_of(at) for at in range(24)}) == 24
    assert (job_of(24), job_of(25)) == (job_of(3), job_of(15))
    assert len({job_of(27), job_of(28), job_of(29)}) == 1
    for at in range(24):
        found = await lab.store.submissions.submission(job_of(at))
        assert found is not None
        assert (found.user_id, found.code) == (drafts[at].user_id, drafts[at].code)
    events = [event for _ in range(3) for event in await lab.store.outbox.take_outbox(100, 60.0, 60.0)]
    assert len(events) == 25, "one for each that was taken"


async def test_the_cap_holds_among_drafts_of_one_moment(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    for number in range(8):
        await send(lab.store, draft(user_id, problem.id, f"// before {number}"), cap=10)
    answers: list[Receipt | SubmitRefusal] = []

    async def one(number: int) -> None:
        answers.append(await submit(lab.store, draft(user_id, problem.id, f"// {number}"), cap=10))

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(one, number)
    refused = [answer for answer in answers if answer is SubmitRefusal.INFLIGHT_CAP_REACHED]
    # the cap is exceeded by at most the concurrent submits, of which two batches run at once
    assert 20 - 4 <= len(refused) <= 18


async def test_a_users_cap_is_exact_however_many_submit_at_once(lab: Lab) -> None:
    problem = await new_problem(lab.store)
    alice, bob = await new_user(lab.store, "alice"), await new_user(lab.store, "bob")
    answers: dict[int, list[Receipt | SubmitRefusal]] = {alice: [], bob: []}

    async def one(user_id: int, number: int) -> None:
        sent = draft(user_id, problem.id, f"// {number}", key=f"{number}" if number % 3 == 0 else None)
        answers[user_id].append(await submit(lab.store, sent, user_cap=5))

    async with trio.open_nursery() as nursery:
        for number in range(30):
            nursery.start_soon(one, alice, number)
            nursery.start_soon(one, bob, number)
    for user_id in (alice, bob):
        taken = [answer for answer in answers[user_id] if isinstance(answer, Receipt)]
        assert len(taken) == 5
        refused = set(answers[user_id]) - set(taken)
        assert refused == {SubmitRefusal.USER_INFLIGHT_CAP_REACHED}


async def test_a_users_cap_of_two_stores_at_once_is_exact(real: PgLab, bridge: AioBridge) -> None:
    """Two nodes, each with transactions of several submits."""
    problem, user_id = await new_problem(real.store), await new_user(real.store)
    taken: list[str] = []

    async def one(store: Store, number: int) -> None:
        answer = await submit(store, draft(user_id, problem.id, f"// {number}"), user_cap=7)
        if isinstance(answer, Receipt):
            taken.append(answer.job_id)

    async with (
        PgStore.open(bridge, real.server.dsn(real.database), max_conns=4) as other,
        trio.open_nursery() as nursery,
    ):
        for number in range(60):
            nursery.start_soon(one, (real.store, other)[number % 2], number)
    assert len(taken) == 7
    assert real.sql("SELECT count(*) FROM submissions") == "7"


async def test_a_users_cap_counts_what_is_unfinished_and_no_rejudges(lab: Lab) -> None:
    problem, user_id = await new_problem(lab.store), await new_user(lab.store)
    first, second = [await send(lab.store, draft(user_id, problem.id, f"// {number}")) for number in range(2)]
    more = draft(user_id, problem.id, "// more")
    assert await submit(lab.store, more, user_cap=2) is SubmitRefusal.USER_INFLIGHT_CAP_REACHED
    # a repeated submission is answered all the same
    assert await submit(lab.store, draft(user_id, problem.id, "// 0"), user_cap=2) == Receipt(first, repeated=True)
    # the reason of the user comes before that of the common cap
    assert await submit(lab.store, more, cap=2, user_cap=2) is SubmitRefusal.USER_INFLIGHT_CAP_REACHED
    lab.move_to_background(first)
    assert isinstance(await submit(lab.store, more, user_cap=2), Receipt)
    assert await submit(lab.store, replace(more, code="// 4"), user_cap=2) is SubmitRefusal.USER_INFLIGHT_CAP_REACHED
    await lab.store.leases.finalize(await claim(lab, second), report(), {})
    assert isinstance(await submit(lab.store, replace(more, code="// 4"), user_cap=2), Receipt)
