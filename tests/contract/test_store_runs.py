"""The contract of ``ports.CustomRuns``: the same tests over the fake and over real servers."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import trio

from deepoj.adapters import aio_bridge
from deepoj.words.jobs import FinalizeRefusal, Held, State
from deepoj.words.playground import (
    CustomClaim,
    CustomDraft,
    CustomProgram,
    CustomReceipt,
    CustomRefusal,
    CustomRun,
    CustomStatus,
)
from tests.contract.labs import LEASE_S, MARGIN_S, NODE, OTHER, SOON_S, UNKNOWN_ID, Lab, PgLab, holding, new_user

ALL = frozenset({"cpp17", "python3"})
ATTEMPTS = 2
WAIT_S, KEEP_S = 2 * LEASE_S, 10 * LEASE_S


def draft(user_id: int, *, language: str = "python3", stdin: bytes = b"1 2\n") -> CustomDraft:
    return CustomDraft(
        user_id=user_id, language=language, code="print(input())", stdin=stdin, time_limit_ms=1500,
        memory_limit_kb=65_536, trace_id="trace-1",
    )  # fmt: skip


async def taken(lab: Lab, one: CustomDraft, *, per_user: int = 2) -> str:
    receipt = await lab.store.runs.take_run(one, per_user=per_user)
    assert isinstance(receipt, CustomReceipt)
    return receipt.run_id


async def new_run(lab: Lab, name: str = "alice") -> str:
    return await taken(lab, draft(await new_user(lab.store, name)))


async def claimed(lab: Lab, node: str = NODE) -> CustomClaim | None:
    return await lab.store.run_leases.claim_run(node, LEASE_S, ATTEMPTS, ALL)


async def won(lab: Lab, node: str = NODE) -> CustomClaim:
    claim = await claimed(lab, node)
    assert claim is not None
    return claim


async def seen(lab: Lab, run_id: str) -> CustomRun:
    found = await lab.store.runs.custom_run(run_id, KEEP_S)
    assert found is not None
    return found


async def finish(
    lab: Lab, claim: CustomClaim, stdout: bytes = b"3\n", stderr: bytes = b"", *, user_max_bytes: int = 10**6
) -> FinalizeRefusal | None:
    return await lab.store.run_leases.finish_run(
        claim, CustomStatus.FINISHED, {"time_used": 7}, stdout, stderr, user_max_bytes=user_max_bytes
    )


async def test_a_run_from_its_taking_to_its_end(lab: Lab) -> None:
    user_id = await new_user(lab.store)
    every_byte = bytes(range(256))
    run_id = await taken(lab, draft(user_id, stdin=every_byte))
    assert run_id.startswith("run-")
    waiting = await seen(lab, run_id)
    assert (waiting.user_id, waiting.state, waiting.status, waiting.result) == (user_id, State.PENDING, "pending", None)
    claim = await won(lab)
    assert (claim.run_id, claim.attempt_id, claim.stdin, claim.code) == (run_id, 1, every_byte, "print(input())")
    assert (claim.language, claim.time_limit_ms, claim.memory_limit_kb) == ("python3", 1500, 65_536)
    assert claim.job_id == run_id
    assert claim.files == ()
    assert (await seen(lab, run_id)).state is State.PROCESSING
    assert await finish(lab, claim, every_byte) is None
    done = await seen(lab, run_id)
    assert (done.state, done.status, done.error_code) == (State.DONE, "Finished", None)
    assert (done.result, done.stdout, done.stderr) == ({"time_used": 7}, every_byte, b"")


@pytest.mark.parametrize("run_id", ["", "run-", "run-1", UNKNOWN_ID, f"run-{UNKNOWN_ID}", "run-\0"])
async def test_unknown_run_is_none(lab: Lab, run_id: str) -> None:
    await new_run(lab)
    assert await lab.store.runs.custom_run(run_id, KEEP_S) is None
    await lab.store.runs.drop_run(run_id)
    assert await claimed(lab) is not None


async def test_run_above_the_cap_of_a_user_is_refused(lab: Lab) -> None:
    alice, bob = await new_user(lab.store), await new_user(lab.store, "bob")
    for _ in range(2):
        await taken(lab, draft(alice))
    assert await lab.store.runs.take_run(draft(alice), per_user=2) is CustomRefusal.INFLIGHT_CAP_REACHED
    await taken(lab, draft(bob))
    claim = await won(lab)
    assert await lab.store.runs.take_run(draft(alice), per_user=2) is CustomRefusal.INFLIGHT_CAP_REACHED
    await finish(lab, claim)
    await taken(lab, draft(alice))


async def test_nor_when_they_are_sent_at_one_moment(lab: Lab) -> None:
    user_id = await new_user(lab.store)
    answers: list[CustomReceipt | CustomRefusal] = []

    async def send() -> None:
        answers.append(await lab.store.runs.take_run(draft(user_id), per_user=2))

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(send)
    assert sum(isinstance(answer, CustomReceipt) for answer in answers) == 2


async def test_dropped_run_is_never_claimed_and_counts_for_no_cap(lab: Lab) -> None:
    user_id = await new_user(lab.store)
    run_id = await taken(lab, draft(user_id), per_user=1)
    await lab.store.runs.drop_run(run_id)
    assert await claimed(lab) is None
    await taken(lab, draft(user_id), per_user=1)


async def test_dropped_in_somebodys_hand(lab: Lab) -> None:
    run_id = await new_run(lab)
    claim = await won(lab)
    await lab.store.runs.drop_run(run_id)
    assert await lab.store.run_leases.extend([Held(run_id, 1)], NODE, LEASE_S) == set()
    assert await finish(lab, claim) is FinalizeRefusal.NOT_IN_EXPECTED_STATE
    assert await lab.store.runs.custom_run(run_id, KEEP_S) is None


async def test_the_one_that_has_waited_longest_is_next(lab: Lab) -> None:
    user_id = await new_user(lab.store)
    runs = []
    for _ in range(3):
        runs.append(await taken(lab, draft(user_id), per_user=3))
        lab.advance(1)
    assert [(await won(lab)).run_id for _ in runs] == runs
    assert await claimed(lab) is None


async def test_only_in_a_language_that_the_node_has(lab: Lab) -> None:
    user_id = await new_user(lab.store)
    await taken(lab, draft(user_id, language="python3"))
    lab.advance(1)
    second = await taken(lab, draft(user_id, language="cpp17"))
    claim = await lab.store.run_leases.claim_run(NODE, LEASE_S, ATTEMPTS, {"cpp17"})
    assert claim is not None
    assert claim.run_id == second
    assert await lab.store.run_leases.claim_run(NODE, LEASE_S, ATTEMPTS, set()) is None


async def test_a_lease_that_is_kept_and_one_that_is_over(lab: Lab) -> None:
    run_id = await new_run(lab)
    claim = await won(lab)
    lab.advance(LEASE_S - MARGIN_S)
    assert await lab.store.run_leases.extend([Held(run_id, 1)], NODE, LEASE_S) == {run_id}
    lab.advance(LEASE_S - MARGIN_S)
    assert await claimed(lab, OTHER) is None
    assert await lab.store.run_leases.extend([Held(run_id, 1)], OTHER, LEASE_S) == set()
    assert await lab.store.run_leases.extend([Held(run_id, 2)], NODE, LEASE_S) == set()
    lab.advance(2 * MARGIN_S)
    assert await lab.store.run_leases.extend([Held(run_id, 1)], NODE, LEASE_S) == set()
    assert await finish(lab, claim) is FinalizeRefusal.LEASE_LOST
    assert (
        await lab.store.run_leases.give_back_run(claim, counts=True, delay_s=0, max_attempts=9)
        is FinalizeRefusal.LEASE_LOST
    )


async def test_the_second_attempt_wins_over_the_first(lab: Lab) -> None:
    run_id = await new_run(lab)
    first = await won(lab)
    lab.advance(LEASE_S)
    second = await won(lab, OTHER)
    assert (second.run_id, second.attempt_id) == (run_id, 2)
    assert await finish(lab, first, b"first") is FinalizeRefusal.STALE_ATTEMPT
    assert (
        await lab.store.run_leases.give_back_run(first, counts=False, delay_s=0, max_attempts=9)
        is FinalizeRefusal.STALE_ATTEMPT
    )
    assert await finish(lab, second, b"second") is None
    assert (await seen(lab, run_id)).stdout == b"second"
    assert await finish(lab, first) is FinalizeRefusal.STALE_ATTEMPT


async def test_a_result_that_is_told_twice_by_its_attempt_stands_once(lab: Lab) -> None:
    run_id = await new_run(lab)
    claim = await won(lab)
    assert await finish(lab, claim, b"once") is None
    assert await finish(lab, claim, b"twice") is None
    assert (await seen(lab, run_id)).stdout == b"once"
    refused = await lab.store.run_leases.give_back_run(claim, counts=True, delay_s=0, max_attempts=ATTEMPTS)
    assert refused is FinalizeRefusal.ALREADY_FINISHED


async def test_two_attempts_and_then_an_end_that_says_so(lab: Lab) -> None:
    run_id = await new_run(lab)
    for number in (1, 2):
        assert (await lab.store.runs.sweep_runs(ATTEMPTS, WAIT_S, KEEP_S, 10)).ended == ()
        assert (await won(lab)).attempt_id == number
        if number == 2:  # a claimed run is left alone
            assert (await lab.store.runs.sweep_runs(ATTEMPTS, WAIT_S, KEEP_S, 10)).ended == ()
        lab.advance(LEASE_S)
    assert await claimed(lab) is None
    assert (await lab.store.runs.sweep_runs(ATTEMPTS, 1e6, KEEP_S, 10)).ended == (run_id,)
    done = await seen(lab, run_id)
    assert (done.state, done.status, done.error_code) == (State.DONE, "System Error", "ATTEMPTS_EXHAUSTED")
    assert (done.attempt_id, done.result) == (2, None)


async def test_given_back_it_is_due_again_after_a_pause(lab: Lab) -> None:
    run_id = await new_run(lab)
    assert (
        await lab.store.run_leases.give_back_run(await won(lab), counts=True, delay_s=MARGIN_S, max_attempts=ATTEMPTS)
        is None
    )
    assert (await seen(lab, run_id)).state is State.PENDING
    assert await claimed(lab) is None
    lab.advance(MARGIN_S)
    last = await won(lab)
    assert await lab.store.run_leases.give_back_run(last, counts=True, delay_s=MARGIN_S, max_attempts=ATTEMPTS) is None
    assert (await seen(lab, run_id)).error_code == "ATTEMPTS_EXHAUSTED"


async def test_an_attempt_that_does_not_count(lab: Lab) -> None:
    run_id = await new_run(lab)
    for number in range(1, 6):
        claim = await won(lab)
        assert claim.attempt_id == number
        assert await lab.store.run_leases.give_back_run(claim, counts=False, delay_s=0.0, max_attempts=ATTEMPTS) is None
    assert (await seen(lab, run_id)).state is State.PENDING


async def test_run_that_waits_too_long_expires(lab: Lab) -> None:
    user_id = await new_user(lab.store)
    old = await taken(lab, draft(user_id))
    lab.advance(WAIT_S - MARGIN_S)
    young = await taken(lab, draft(user_id))
    assert (await lab.store.runs.sweep_runs(ATTEMPTS, WAIT_S, KEEP_S, 10)).ended == ()
    lab.advance(MARGIN_S)
    assert (await lab.store.runs.sweep_runs(ATTEMPTS, WAIT_S, KEEP_S, 10)).ended == (old,)
    assert (await seen(lab, old)).error_code == "RUN_EXPIRED"
    assert (await seen(lab, young)).state is State.PENDING
    await taken(lab, draft(user_id))


async def test_a_result_is_kept_for_its_time_and_then_gone(lab: Lab) -> None:
    run_id = await new_run(lab)
    await finish(lab, await won(lab))
    lab.advance(KEEP_S - MARGIN_S)
    assert (await lab.store.runs.sweep_runs(ATTEMPTS, WAIT_S, KEEP_S, 10)).deleted == 0
    assert (await seen(lab, run_id)).status == "Finished"
    lab.advance(MARGIN_S)
    assert await lab.store.runs.custom_run(run_id, KEEP_S) is None  # also before a sweep
    assert (await lab.store.runs.sweep_runs(ATTEMPTS, WAIT_S, KEEP_S, 10)).deleted == 1
    assert await lab.store.runs.custom_run(run_id, 1e6) is None


async def test_finish_run_over_the_users_bytes_deletes_his_oldest_results(lab: Lab) -> None:
    alice, bob = await new_user(lab.store), await new_user(lab.store, "bob")
    of_bob = await taken(lab, draft(bob))
    await finish(lab, await won(lab), b"x" * 9_000)
    runs = []
    for number in range(4):
        lab.advance(1)
        runs.append(await taken(lab, draft(alice)))
        output = (b"x" * 3_000, b"") if number % 2 else (b"", b"x" * 3_000)
        assert await finish(lab, await won(lab), *output, user_max_bytes=7_000) is None
    kept = [await lab.store.runs.custom_run(run_id, KEEP_S) is not None for run_id in (*runs, of_bob)]
    assert kept == [False, False, True, True, True]
    lab.advance(1)
    waiting, last = await taken(lab, draft(alice), per_user=3), await taken(lab, draft(alice), per_user=3)
    claim = await won(lab)
    assert await finish(lab, claim, b"x" * 9_000, user_max_bytes=7_000) is None
    everything = (*runs, waiting, last, of_bob)
    kept = [await lab.store.runs.custom_run(run_id, KEEP_S) is not None for run_id in everything]
    assert kept == [False] * 4 + [True] * 3, "the newest is kept, however large, and so is what is unfinished"
    assert await finish(lab, claim, b"x" * 9_000, user_max_bytes=7_000) is None
    assert (await seen(lab, claim.run_id)).stdout == b"x" * 9_000


async def test_a_refused_finish_run_deletes_nothing(lab: Lab) -> None:
    user_id = await new_user(lab.store)
    kept = await taken(lab, draft(user_id))
    await finish(lab, await won(lab), b"x" * 100)
    await taken(lab, draft(user_id))
    claim = await won(lab)
    lab.advance(LEASE_S)
    assert await finish(lab, claim, b"x" * 100, user_max_bytes=0) is FinalizeRefusal.LEASE_LOST
    assert (await seen(lab, kept)).stdout == b"x" * 100


async def test_the_broom_takes_no_more_than_it_is_told(lab: Lab) -> None:
    user_id = await new_user(lab.store)
    for _ in range(3):
        await taken(lab, draft(user_id), per_user=3)
    lab.advance(WAIT_S)
    assert [len((await lab.store.runs.sweep_runs(ATTEMPTS, WAIT_S, KEEP_S, 2)).ended) for _ in range(3)] == [2, 1, 0]
    lab.advance(KEEP_S)
    assert [(await lab.store.runs.sweep_runs(ATTEMPTS, WAIT_S, KEEP_S, 2)).deleted for _ in range(3)] == [2, 1, 0]


async def test_a_run_keeps_its_program_as_long_as_its_result(lab: Lab) -> None:
    runs, run_id = lab.store.runs, await new_run(lab)
    program = CustomProgram("print(input())", b"1 2\n")
    assert await runs.custom_program(run_id, KEEP_S) == program
    await finish(lab, await won(lab))
    assert await runs.custom_program(run_id, KEEP_S) == program
    lab.advance(KEEP_S)
    assert await runs.custom_program(run_id, KEEP_S) is None
    assert await runs.custom_program("run-none", KEEP_S) is None


async def test_programs_count_among_the_users_bytes(lab: Lab) -> None:
    user_id = await new_user(lab.store)
    first = await taken(lab, draft(user_id, stdin=b"x" * 3_000))
    assert await finish(lab, await won(lab), user_max_bytes=7_000) is None
    lab.advance(1)
    await taken(lab, draft(user_id, stdin=b"x" * 3_000))
    assert await finish(lab, await won(lab), user_max_bytes=7_000) is None
    assert (await seen(lab, first)).status == "Finished"
    lab.advance(1)
    last = await taken(lab, draft(user_id, stdin=b"x" * 3_000))
    assert await finish(lab, await won(lab), user_max_bytes=7_000) is None
    assert await lab.store.runs.custom_run(first, KEEP_S) is None
    assert (await seen(lab, last)).status == "Finished"


async def test_a_run_leaves_nothing_in_the_ledger_and_no_event(real: PgLab) -> None:
    run_id = await new_run(real)
    await finish(real, await won(real))
    assert real.sql("SELECT count(*) FROM attempts") == "0"
    assert real.sql("SELECT count(*) FROM submissions") == "0"
    assert run_id not in real.sql("SELECT coalesce(string_agg(payload::text, ''), '') FROM outbox_events")


async def test_run_in_an_open_claim_blocks_no_other_claim(real: PgLab) -> None:
    user_id = await new_user(real.store)
    first, second = await taken(real, draft(user_id)), await taken(real, draft(user_id))
    locked = f"SELECT FROM runs WHERE run_id = '{first.removeprefix('run-')}' FOR UPDATE"
    async with holding(real, locked) as end:
        assert (await won(real)).run_id == second
        end("commit")
    assert (await won(real)).run_id == first


async def test_each_change_of_a_run_notifies_its_watchers(real: PgLab) -> None:
    run_id, other = await new_run(real), await new_run(real, "bob")
    told: list[str] = []
    listening, over = trio.Event(), threading.Event()
    token = trio.lowlevel.current_trio_token()

    async def listen(connection: Any, _again: bool) -> None:
        def heard(*words: Any) -> None:
            told.append(words[3])

        await connection.add_listener("deepoj_live", heard)
        token.run_sync_soon(listening.set)
        while not over.is_set():
            await aio_bridge.sleep(0.01)
        await connection.remove_listener("deepoj_live", heard)

    async def until_told(*run_ids: str) -> None:
        while told != [one.removeprefix("run-") for one in run_ids]:
            await trio.sleep(0.01)

    with trio.fail_after(SOON_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: real.pg_store._pool.do(listen, repeatable=False))
            await listening.wait()
            claim = await won(real)
            await until_told(run_id)
            await real.store.run_leases.give_back_run(claim, counts=True, delay_s=MARGIN_S, max_attempts=ATTEMPTS)
            await until_told(run_id, run_id)
            await finish(real, await won(real))
            await until_told(run_id, run_id, other, other)
            real.advance(WAIT_S)
            assert (await real.store.runs.sweep_runs(ATTEMPTS, WAIT_S, KEEP_S, 10)).ended == (run_id,)
            await until_told(run_id, run_id, other, other, run_id)
            over.set()


async def test_runs_of_a_user_are_read_together(lab: Lab) -> None:
    alice, bob = await new_user(lab.store, "alice"), await new_user(lab.store, "bob")
    one, other, foreign = [await taken(lab, draft(user)) for user in (alice, alice, bob)]
    await finish(lab, await won(lab))
    asked = [one, "run-", foreign, other, f"run-{UNKNOWN_ID}"]
    found = await lab.store.runs.custom_runs(alice, asked, KEEP_S)
    assert found == {run_id: await seen(lab, run_id) for run_id in (one, other)}
    assert await lab.store.runs.custom_runs(bob, [one], KEEP_S) == {}
    lab.advance(KEEP_S + MARGIN_S)
    assert set(await lab.store.runs.custom_runs(alice, asked, KEEP_S)) == {other}
