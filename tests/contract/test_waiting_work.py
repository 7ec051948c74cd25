"""The one statement names each kind of which the loops' own statements find something, and no kind without a reason."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.pg import PgStore, pool
from deepoj.words.background import MAX_ATTEMPTS
from deepoj.words.playground import CustomClaim
from deepoj.words.rejudges import RejudgeOrder
from deepoj.words.results import Verdict
from deepoj.words.statements import RENDERER_VERSION
from deepoj.words.waiting import LOOK_ANSWER_S, WorkKind
from deepoj.words.webhooks import ContestWebhookDraft, HookStatus
from tests.contract import test_store_reruns as reruns
from tests.contract import test_store_runs as runs
from tests.contract import test_store_verifications as verifications
from tests.contract import test_store_webhooks as webhooks
from tests.contract.labs import LEASE_S, PgLab, draft, new_problem, new_user, send
from tests.contract.test_store_contests import new_contest, rules
from tests.contract.test_store_previews import Scene as Previewed
from tests.contract.test_store_rejudges import finish as judged
from tests.contract.test_store_statements import FOUND

KEEP_S = runs.KEEP_S
SOON_S = 60.0


async def waiting(real: PgLab) -> set[WorkKind]:
    """Return the kinds that wait, without what each new problem leaves to do."""
    return set(await real.pg_store.waiting.waiting_work(KEEP_S)) - {WorkKind.UNRENDERED}


async def test_empty_database_has_no_work(real: PgLab) -> None:
    assert await real.pg_store.waiting.waiting_work(KEEP_S) == frozenset()


async def test_unfinished_submissions_and_orders_to_rejudge_them(real: PgLab) -> None:
    problem = await new_problem(real.store)
    job_id = await send(real.store, draft(await new_user(real.store), problem.id))
    assert await waiting(real) == {WorkKind.SUBMISSIONS}
    await judged(real, job_id, Verdict.ACCEPTED)
    assert await waiting(real) == set()
    rejudges = real.store.rejudges
    assert isinstance(await rejudges.order_rejudge(problem.id, by="root", in_full=False), RejudgeOrder)
    assert await waiting(real) == {WorkKind.REJUDGES}
    while await rejudges.go_on_rejudging(10, "deepoj:jobs") is not None:
        pass
    assert await waiting(real) == {WorkKind.SUBMISSIONS}


async def test_runs_to_claim_to_end_and_to_delete(real: PgLab) -> None:
    await runs.new_run(real)
    assert await waiting(real) == {WorkKind.RUNS}
    assert isinstance(await runs.claimed(real), CustomClaim)
    assert await waiting(real) == set(), "another node has it"
    real.advance(LEASE_S + 1)
    assert await waiting(real) == {WorkKind.RUNS}
    claim = await runs.won(real)
    real.advance(LEASE_S + 1)
    assert await runs.claimed(real) is None
    assert await waiting(real) == {WorkKind.RUNS}, "its attempts are used up, and the sweeper ends it"
    assert (await real.store.runs.sweep_runs(runs.ATTEMPTS, runs.WAIT_S, KEEP_S, 100)).ended == (claim.run_id,)
    assert await waiting(real) == set()
    real.advance(KEEP_S + 1)
    assert await waiting(real) == {WorkKind.OLD_RUNS}
    assert (await real.store.runs.sweep_runs(runs.ATTEMPTS, runs.WAIT_S, KEEP_S, 100)).deleted == 1
    assert await waiting(real) == set()


async def test_reruns_to_claim_to_end_and_to_delete(real: PgLab) -> None:
    scene = await reruns.Scene.of(real)
    await scene.taken()
    assert await waiting(real) == {WorkKind.RERUNS}
    for attempt in range(MAX_ATTEMPTS):
        await scene.claimed()
        assert await waiting(real) == set()
        real.advance(reruns.LEASE_S + 1)
        assert await waiting(real) == {WorkKind.RERUNS}, attempt
    await scene.sweep()
    assert await waiting(real) == set()
    real.advance(KEEP_S + 1)
    assert await waiting(real) == {WorkKind.OLD_RERUNS}


async def test_verifications_to_judge_and_to_end(real: PgLab) -> None:
    await verifications.started(real, verifications.submission("one"))
    assert await waiting(real) == {WorkKind.EXAMPLES, WorkKind.VERIFICATIONS}
    claim = await verifications.must_claim(real)
    assert await waiting(real) == {WorkKind.VERIFICATIONS}
    await real.store.example_leases.give_back(claim, counts=True, delay_s=0.0)
    assert await waiting(real) == {WorkKind.EXAMPLES, WorkKind.VERIFICATIONS}
    real.sql("UPDATE verified_examples SET attempts = 2, due_at = now() - interval '1 hour'")
    assert await verifications.sweep(real) == 1
    assert await waiting(real) == set()


async def test_previews_to_judge_to_end_and_to_delete(real: PgLab) -> None:
    scene = await Previewed.of(real, Verdict.ACCEPTED)
    real.sql("DELETE FROM webhook_deliveries")
    preview = await scene.started()
    assert await waiting(real) == {WorkKind.PREVIEW_JOBS, WorkKind.PREVIEWS}
    await scene.judge(Verdict.WRONG_ANSWER)
    assert await waiting(real) == {WorkKind.PREVIEWS}
    assert await scene.sweep() == 1
    assert await waiting(real) == {WorkKind.PREVIEWS}, "a changed problem ends it, and so does a week"
    await scene.cancel(preview)
    assert await waiting(real) == set()
    real.sql("UPDATE previews SET created_at = created_at - interval '31 days'")
    assert await waiting(real) == {WorkKind.PREVIEWS}


async def test_webhooks_that_wait(real: PgLab) -> None:
    job_id = await webhooks.job(real)
    await webhooks.finish(real, job_id)
    assert await waiting(real) == {WorkKind.WEBHOOKS}
    (hook,) = await webhooks.take(real)
    await webhooks.settle(real, hook, HookStatus.DELIVERED)
    assert await waiting(real) == set()


async def test_contests_that_are_not_over_and_webhooks_that_lack_their_events(real: PgLab) -> None:
    director = await new_user(real.store, "director")
    hooks = real.pg_store.contest_webhooks
    one = ContestWebhookDraft(
        user_id=director, url="https://example.org", target="example.org", token="t", endpoints=(), contest_ids=()
    )
    assert await hooks.add_contest_webhook(one, 1) is not None
    assert await waiting(real) == set(), "there is no contest to tell it of"
    contest = await new_contest(real, director, rules())
    assert await waiting(real) == {WorkKind.CONTESTS, WorkKind.CONTEST_WEBHOOKS}
    await hooks.take_webhooks([int(real.sql("SELECT id FROM contest_webhooks"))], 60.0)
    assert await waiting(real) == {WorkKind.CONTESTS}, "another node has it"
    real.sql("UPDATE contest_webhooks SET next_attempt_at = now(), seen_mark = contest_counters_mark()")
    assert await waiting(real) == {WorkKind.CONTESTS}, "it has all events"
    assert await real.pg_store.contests.remove_contest(contest.id, by=director)
    assert WorkKind.CONTESTS not in await waiting(real)


async def test_problems_that_nodes_check_and_render(real: PgLab) -> None:
    problem, store = await new_problem(real.store), real.store
    looked = {WorkKind.UNRENDERED}
    assert await real.pg_store.waiting.waiting_work(KEEP_S) == looked
    assert await store.statements.claim_unrendered(60.0, []) is not None
    assert await real.pg_store.waiting.waiting_work(KEEP_S) == frozenset(), "another node has it"
    await store.statements.release_unrendered(problem.id)
    assert await store.statements.keep_statements(problem.id, problem.data_hash, FOUND, renderer=RENDERER_VERSION)
    assert await real.pg_store.waiting.waiting_work(KEEP_S) == frozenset()
    real.sql(f"UPDATE problems SET unchecked = 'no compiler' WHERE id = {problem.id}")
    assert await waiting(real) == {WorkKind.UNCHECKED}
    await store.problems.tell_programs(problem.id, problem.data_hash, None)
    assert await waiting(real) == set()


async def test_accounts_that_are_being_erased(real: PgLab) -> None:
    await new_user(real.store)
    assert await waiting(real) == set()
    real.sql("UPDATE users SET is_being_erased = true")
    assert await waiting(real) == {WorkKind.ERASURES}


async def test_look_goes_on_until_work_comes_and_leaves_the_connection_to_others(
    real: PgLab, bridge: AioBridge
) -> None:
    async with PgStore.open(bridge, real.server.dsn(real.database), max_conns=1) as store:
        found: list[frozenset[WorkKind]] = []

        async def look() -> None:
            found.append(await store.waiting.waiting_work(KEEP_S, for_s=10 * SOON_S))

        with trio.fail_after(SOON_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(look)
                while not store.has_just_answered():
                    await trio.sleep(0.01)
                assert found == [], "nothing waits yet"
                await new_problem(store)
    assert found == [{WorkKind.UNRENDERED}]


async def test_look_ends_with_its_time(real: PgLab) -> None:
    began = trio.current_time()
    assert await real.pg_store.waiting.waiting_work(KEEP_S, for_s=1.5 * LOOK_ANSWER_S) == frozenset()
    assert trio.current_time() - began > LOOK_ANSWER_S, "each answer has its own time"


async def test_answer_to_a_look_and_to_nothing_else_is_a_sign_of_life_for_a_while(
    real: PgLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "SIGN_S", 600.0)
    await real.pg_store.ping()
    assert not real.pg_store.has_just_answered()
    await waiting(real)
    assert real.pg_store.has_just_answered()
    monkeypatch.setattr(pool, "SIGN_S", 0.0)
    assert not real.pg_store.has_just_answered()


async def test_look_whose_answer_takes_long_says_so_and_its_connection_works_on(real: PgLab, bridge: AioBridge) -> None:
    is_locked = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation = 'runs'::regclass"

    async def lock(connection: Any, _again: bool) -> None:
        async with connection.transaction():
            await connection.execute("LOCK TABLE runs IN ACCESS EXCLUSIVE MODE")
            await connection.execute("SELECT pg_sleep(600)")

    async with pool.PgPool.open(bridge, real.server.dsn(real.database)) as other, trio.open_nursery() as nursery:
        nursery.start_soon(partial(other.do, lock, repeatable=False))
        with trio.fail_after(SOON_S):
            while real.sql(is_locked) != "1":
                await trio.sleep(0.01)
            with pytest.raises(TimeoutError):
                await real.pg_store.waiting.waiting_work(KEEP_S, for_s=10 * SOON_S)
        nursery.cancel_scope.cancel()
    assert await real.pg_store.waiting.waiting_work(KEEP_S) == frozenset()
