"""The contract of ``ports.Webhooks``: one delivery for each ended judging, taken by one node, sent at least once."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

import pytest
import trio

from deepoj.words.jobs import Claim, ClaimRefusal, FinalizeRefusal
from deepoj.words.ledger import Decision
from deepoj.words.results import Verdict
from deepoj.words.submissions import Receipt, SubmitRefusal
from deepoj.words.webhooks import DueHooks, Hook, HookFailure, HookStatus, Redelivered
from tests.contract.labs import (
    MARGIN_S,
    MAX_ATTEMPTS,
    NODE,
    UNKNOWN_ID,
    Lab,
    PgLab,
    claim,
    draft,
    entry,
    holding,
    new_problem,
    new_user,
    report,
    send,
    submit,
)
from tests.contract.test_store_lanes import planned
from tests.contract.test_store_plans import ROWS, session_settings
from tests.fakes.webhooks import take_due

URL = "https://hooks.example.org/judge?token=1"
TARGET = "https://hooks.example.org"
LEASE_S = 400.0


async def job(lab: Lab, url: str | None = URL, *, name: str = "alice", code: str = "int main(){}") -> str:
    user_id, problem = await new_user(lab.store, name), await new_problem(lab.store)
    return await send(lab.store, replace(draft(user_id, problem.id, code), callback_url=url))


async def finish(lab: Lab, job_id: str, status: Verdict = Verdict.ACCEPTED) -> Claim:
    won = await claim(lab, job_id)
    assert await lab.store.leases.finalize(won, report(status), {"status": status, "tests": []}) is None
    return won


async def die(lab: Lab, job_id: str) -> None:
    for number in range(MAX_ATTEMPTS):
        await claim(lab, job_id, entry_id=f"{number + 1}-1", lease_s=1.0)
        lab.advance(2)
    answers = await lab.store.leases.claim([entry(job_id, "9-1")], NODE, 60.0, MAX_ATTEMPTS)
    assert answers["9-1"] is ClaimRefusal.DEAD


async def take(lab: Lab, limit: int = 100) -> list[Hook]:
    return await take_due(lab.store.webhooks, limit=limit, lease_s=LEASE_S)


async def settle(
    lab: Lab, hook: Hook, status: HookStatus, *, delay_s: float = 5.0, give_up_s: float = 3600.0
) -> HookStatus | None:
    failure = None if status is HookStatus.DELIVERED else HookFailure.HTTP
    code = 200 if failure is None else 503
    return await lab.store.webhooks.settle_webhook(
        hook, status, http_status=code, failure=failure, delay_s=delay_s, give_up_s=give_up_s
    )


async def test_a_verdict_is_told_once_it_is_there(lab: Lab) -> None:
    job_id = await job(lab)
    assert await lab.store.webhooks.webhook_owners(0, 10) == {}
    won = await finish(lab, job_id, Verdict.WRONG_ANSWER)
    assert await lab.store.webhooks.webhook_owners(0, 10) == {won.user_id: True}
    (hook,) = await take(lab)
    assert (hook.job_id, hook.judging, hook.attempt_id) == (job_id, 1, won.attempt_id)
    assert (hook.event, hook.verdict, hook.error_code, hook.url, hook.target) == (
        "done", "Wrong Answer", None, URL, TARGET,
    )  # fmt: skip
    assert hook.result == {"status": "Wrong Answer", "tests": []}
    assert (hook.attempts, hook.tries, hook.secret_epoch, hook.language, hook.trace_id) == (1, 1, 0, "cpp17", "trace-1")
    assert (hook.user_id, hook.problem_id) == (won.user_id, won.problem.id)
    assert str(uuid.UUID(hook.delivery_id)) == hook.delivery_id
    found = await lab.store.submissions.submission(job_id)
    assert found is not None
    assert found.callback_url == URL


async def test_without_a_callback_nothing_is_written(lab: Lab) -> None:
    job_id = await job(lab, None)
    await finish(lab, job_id)
    assert await lab.store.webhooks.webhooks_of_job(job_id, 10) == []
    assert await lab.store.webhooks.webhook_owners(0, 10) == {}


async def test_refused_verdict_creates_no_delivery(lab: Lab) -> None:
    job_id = await job(lab)
    won = await claim(lab, job_id, lease_s=1.0)
    lab.advance(2)
    assert await lab.store.leases.finalize(won, report(), {}) is FinalizeRefusal.LEASE_LOST
    assert await lab.store.leases.give_back(await claim(lab, job_id), reason="drain", counts=False) is None
    assert await lab.store.webhooks.webhooks_of_job(job_id, 10) == []
    await finish(lab, job_id)
    assert await lab.store.leases.finalize(won, report(), {}) is not None
    assert len(await lab.store.webhooks.webhooks_of_job(job_id, 10)) == 1


async def test_a_dead_letter_and_what_becomes_of_it_are_told(lab: Lab) -> None:
    requeued, discarded = await job(lab), await job(lab, name="bob")
    for job_id in (requeued, discarded):
        await die(lab, job_id)
    dead = {hook.job_id: hook for hook in await take(lab)}
    assert set(dead) == {requeued, discarded}
    one = dead[requeued]
    assert (one.event, one.verdict, one.error_code, one.result) == ("dead", "System Error", "ATTEMPTS_EXHAUSTED", None)
    for decision, job_id in ((Decision.REQUEUE, requeued), (Decision.DISCARD, discarded)):
        await lab.store.letters.decide(decision, job_id, MAX_ATTEMPTS, by="root", note="", stream_key="s")
    await finish(lab, requeued)
    done = {hook.job_id: hook for hook in await take(lab)}
    assert {job_id: (hook.event, hook.verdict) for job_id, hook in done.items()} == {
        requeued: ("done", "Accepted"),
        discarded: ("done", "System Error"),
    }
    assert done[discarded].error_code == "DISCARDED"
    assert done[discarded].result is not None
    # the delivery of a dead letter, also when it is late
    lab.advance(LEASE_S)
    again = {hook.delivery_id: hook for hook in await take(lab)}
    assert (again[one.delivery_id].event, again[one.delivery_id].result) == ("dead", None)


async def test_each_judging_is_told_with_its_own_result(lab: Lab) -> None:
    job_id = await job(lab)
    await finish(lab, job_id, Verdict.WRONG_ANSWER)
    await lab.store.rejudges.rejudge(job_id, None, by="root", in_full=False, stream_key="s")
    (first,) = await take(lab)
    assert (first.judging, first.verdict) == (1, "Wrong Answer")
    assert first.result == {"status": "Wrong Answer", "tests": []}
    await finish(lab, job_id, Verdict.ACCEPTED)
    (second,) = await take(lab)
    assert (second.judging, second.verdict, second.result) == (2, "Accepted", {"status": "Accepted", "tests": []})
    assert first.delivery_id != second.delivery_id
    assert [one.judging for one in await lab.store.webhooks.webhooks_of_job(job_id, 10)] == [1, 2]
    assert [one.judging for one in await lab.store.webhooks.webhooks_of_job(job_id, 1)] == [2]


async def test_taken_delivery_is_hidden_until_its_lease_ends_and_keeps_its_id(lab: Lab) -> None:
    """A node that dies between taking and settling a delivery, before or after the POST, only delays it."""
    await finish(lab, await job(lab))
    (first,) = await take(lab)
    assert await take(lab) == []
    lab.advance(LEASE_S - MARGIN_S)
    assert await take(lab) == []
    lab.advance(MARGIN_S)
    (second,) = await take(lab)
    assert (second.delivery_id, second.attempts, second.tries) == (first.delivery_id, 2, 2)


async def test_a_delivery_says_whether_its_owner_is_disabled(lab: Lab) -> None:
    job_id = await job(lab)
    await finish(lab, job_id)
    found = await lab.store.submissions.submission(job_id)
    assert found is not None
    (hook,) = await take(lab)
    assert not hook.owner_is_disabled
    await lab.store.accounts.change_rights(found.user_id, is_disabled=True, by=None)
    lab.advance(LEASE_S + MARGIN_S)
    (hook,) = await take(lab)
    assert hook.owner_is_disabled


async def test_many_nodes_never_take_the_same(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    for number in range(20):
        job_id = await send(lab.store, replace(draft(user_id, problem.id, f"// {number}"), callback_url=URL))
        await finish(lab, job_id)
    taken: list[int] = []

    async def node() -> None:
        while hooks := await take(lab, limit=3):
            taken.extend(hook.id for hook in hooks)

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(node)
    # with SKIP LOCKED a node may get no row while the others hold the rest
    taken += [hook.id for hook in await take(lab)]
    assert len(taken) == len(set(taken)) == 20


async def test_delivered_is_the_end(lab: Lab) -> None:
    job_id = await job(lab)
    await finish(lab, job_id)
    (hook,) = await take(lab)
    assert await settle(lab, hook, HookStatus.DELIVERED) is HookStatus.DELIVERED
    assert await settle(lab, hook, HookStatus.PENDING) is None
    (told,) = await lab.store.webhooks.webhooks_of_job(job_id, 10)
    assert (told.status, told.http_status, told.last_error, told.attempts) == (HookStatus.DELIVERED, 200, None, 1)
    assert told.ended_at is not None
    assert told.next_attempt_at is None
    lab.advance(10_000)
    assert await take(lab) == []
    assert await lab.store.webhooks.webhook_owners(0, 10) == {}


async def test_a_failure_is_tried_again_and_given_up_in_the_end(lab: Lab) -> None:
    job_id = await job(lab)
    await finish(lab, job_id)
    (hook,) = await take(lab)
    assert (
        await settle(lab, hook, HookStatus.PENDING, delay_s=2 * MARGIN_S, give_up_s=20 * MARGIN_S) is HookStatus.PENDING
    )
    (told,) = await lab.store.webhooks.webhooks_of_job(job_id, 10)
    assert (told.status, told.http_status, told.last_error) == (HookStatus.PENDING, 503, "http")
    assert told.next_attempt_at is not None
    lab.advance(MARGIN_S)
    assert await take(lab) == []
    lab.advance(MARGIN_S)
    (hook,) = await take(lab)
    lab.advance(17 * MARGIN_S)
    assert (
        await settle(lab, hook, HookStatus.PENDING, delay_s=2 * MARGIN_S, give_up_s=20 * MARGIN_S)
        is HookStatus.GIVEN_UP
    )
    (told,) = await lab.store.webhooks.given_up_webhooks(10)
    assert (told.job_id, told.status, told.attempts) == (job_id, HookStatus.GIVEN_UP, 2)
    assert await lab.store.webhooks.webhook_owners(0, 10) == {}


async def test_of_a_late_try_only_the_good_news_counts(lab: Lab) -> None:
    job_id = await job(lab)
    await finish(lab, job_id)
    (late,) = await take(lab)
    lab.advance(LEASE_S)
    (now,) = await take(lab)
    assert await settle(lab, late, HookStatus.GIVEN_UP) is None
    assert await settle(lab, late, HookStatus.PENDING) is None
    assert await take(lab) == []
    assert await settle(lab, late, HookStatus.DELIVERED) is HookStatus.DELIVERED
    assert await settle(lab, now, HookStatus.GIVEN_UP) is None
    (told,) = await lab.store.webhooks.webhooks_of_job(job_id, 10)
    assert told.status is HookStatus.DELIVERED


async def test_an_administrator_sends_it_round_again(lab: Lab) -> None:
    job_id = await job(lab)
    await finish(lab, job_id)
    (hook,) = await take(lab)
    assert await lab.store.webhooks.redeliver_webhook(hook.delivery_id) == Redelivered(job_id, repeated=True)
    lab.advance(100)
    assert await settle(lab, hook, HookStatus.GIVEN_UP) is HookStatus.GIVEN_UP
    assert await lab.store.webhooks.redeliver_webhook(hook.delivery_id) == Redelivered(job_id)
    assert await lab.store.webhooks.redeliver_webhook(hook.delivery_id) == Redelivered(job_id, repeated=True)
    assert await lab.store.webhooks.given_up_webhooks(10) == []
    (again,) = await take(lab)
    assert (again.delivery_id, again.attempts, again.tries) == (hook.delivery_id, 2, 1)
    # it has its full time again
    assert await settle(lab, again, HookStatus.PENDING, delay_s=10, give_up_s=60) is HookStatus.PENDING


@pytest.mark.parametrize("delivery_id", [UNKNOWN_ID, "nonsense", "", "' OR 1=1 --", "-" * 36])
async def test_redelivery_of_an_unknown_id_is_none(lab: Lab, delivery_id: str) -> None:
    assert await lab.store.webhooks.redeliver_webhook(delivery_id) is None


async def test_pages_of_given_up_ones(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    jobs = []
    for number in range(5):
        jobs.append(await send(lab.store, replace(draft(user_id, problem.id, f"// {number}"), callback_url=URL)))
        await finish(lab, jobs[-1])
        (hook,) = await take(lab)
        await settle(lab, hook, HookStatus.GIVEN_UP)
    first = await lab.store.webhooks.given_up_webhooks(3)
    second = await lab.store.webhooks.given_up_webhooks(3, first[-1].id)
    assert [one.job_id for one in (*first, *second)] == jobs[::-1]


async def test_owners_in_their_order_and_whether_they_have_something_due(lab: Lab) -> None:
    problem = await new_problem(lab.store)
    users = [await new_user(lab.store, name) for name in ("alice", "bob", "carol")]
    for number, user_id in enumerate((users[1], users[0], users[0], users[2])):
        one = replace(draft(user_id, problem.id, f"// {number}"), callback_url=URL)
        await finish(lab, await send(lab.store, one))
    assert await lab.store.webhooks.webhook_owners(0, 10) == dict.fromkeys(users, True)
    assert list(await lab.store.webhooks.webhook_owners(0, 10)) == users
    assert list(await lab.store.webhooks.webhook_owners(0, 2)) == users[:2]
    assert list(await lab.store.webhooks.webhook_owners(users[1], 2)) == users[2:]
    due = await due_of(lab, users[0], users[1])
    taken = await lab.store.webhooks.take_webhooks([due[0].ids[0], due[1].ids[0]], LEASE_S)
    assert sorted(hook.user_id for hook in taken) == users[:2]
    assert await lab.store.webhooks.webhook_owners(0, 10) == {users[0]: True, users[1]: False, users[2]: True}


async def due_of(lab: Lab, *owners: int, after: str = "", **limits: Any) -> list[DueHooks]:
    """Return due deliveries by account and target."""
    asked: dict[str, Any] = {"targets": 10, "each": 10, "without": ()}
    found = await lab.store.webhooks.due_webhooks(dict.fromkeys(owners, after), **asked | limits)
    return sorted(found, key=lambda one: (one.user_id, one.target))


async def test_due_deliveries_of_an_owner_by_target(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    other = await new_user(lab.store, "bob")
    ids: dict[str, list[int]] = {}
    for number, host in enumerate(["b.example", "a.example", "c.example:8443", "a.example"]):
        url = f"https://{host}/x?{number}"
        job_id = await send(lab.store, replace(draft(user_id, problem.id, f"// {number}"), callback_url=url))
        await finish(lab, job_id)
        (standing,) = await lab.store.webhooks.webhooks_of_job(job_id, 1)
        ids.setdefault(standing.target, []).append(standing.id)
        lab.advance(1)
    await finish(lab, await send(lab.store, replace(draft(other, problem.id), callback_url=URL)))
    a, b, c = sorted(ids)
    assert (a, b, c) == ("https://a.example", "https://b.example", "https://c.example:8443")
    every = [DueHooks(user_id, target, tuple(ids[target])) for target in (a, b, c)]
    assert await due_of(lab, user_id) == every
    assert await due_of(lab, user_id, each=1) == [replace(every[0], ids=every[0].ids[:1]), *every[1:]]
    assert await due_of(lab, user_id, after=a) == every[1:]
    assert await due_of(lab, user_id, without=(b, "https://x.example")) == [every[0], every[2]]
    # the answer says where the search ended, also if nothing is due there
    assert await due_of(lab, user_id, targets=2) == [every[0], replace(every[1], is_last=True)]
    assert await due_of(lab, user_id, targets=2, without=(b,)) == [every[0], DueHooks(user_id, b, (), is_last=True)]
    both = await due_of(lab, user_id, other)
    assert both[:3] == every
    assert [(one.user_id, one.target) for one in both[3:]] == [(other, TARGET)]
    assert await due_of(lab) == []
    assert await due_of(lab, 999_999) == []
    taken = await lab.store.webhooks.take_webhooks(ids[a], LEASE_S)
    assert [hook.url for hook in taken] == ["https://a.example/x?1", "https://a.example/x?3"]
    assert await lab.store.webhooks.take_webhooks(ids[a], LEASE_S) == []
    assert await due_of(lab, user_id) == every[1:]
    assert await lab.store.webhooks.take_webhooks([], LEASE_S) == []


async def test_many_nodes_that_choose_the_same_take_each_once(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    for number in range(20):
        one = replace(draft(user_id, problem.id, f"// {number}"), callback_url=URL)
        await finish(lab, await send(lab.store, one))
    (due,) = await due_of(lab, user_id, each=20)
    taken: list[int] = []

    async def node() -> None:
        taken.extend(hook.id for hook in await lab.store.webhooks.take_webhooks(due.ids, LEASE_S))

    async with trio.open_nursery() as nursery:
        for _ in range(6):
            nursery.start_soon(node)
    taken += [hook.id for hook in await take(lab)]
    assert sorted(taken) == sorted(due.ids)


async def test_deliveries_go_with_their_submission_and_after_a_time(lab: Lab) -> None:
    kept, gone = await job(lab), await job(lab, name="bob")
    await finish(lab, gone)
    lab.advance(100)
    (hook,) = await take(lab)
    await settle(lab, hook, HookStatus.DELIVERED)
    await finish(lab, kept)
    assert await lab.store.webhooks.forget_webhooks(50.0, 10) == 0
    ids = (await lab.store.retention.expired(0, 50.0, 10)).row_ids
    assert await lab.store.retention.delete_expired(ids, 50.0) == 1
    assert await lab.store.webhooks.webhooks_of_job(gone, 10) == []
    (waits,) = await lab.store.webhooks.webhooks_of_job(kept, 10)
    lab.advance(1000)
    assert await lab.store.webhooks.forget_webhooks(50.0, 10) == 0, "what waits is not forgotten"
    (hook,) = await take(lab)
    assert hook.delivery_id == waits.delivery_id
    await settle(lab, hook, HookStatus.GIVEN_UP)
    assert await lab.store.webhooks.forget_webhooks(50.0, 10) == 0
    lab.advance(50)
    assert await lab.store.webhooks.forget_webhooks(50.0, 10) == 1
    assert await lab.store.webhooks.webhooks_of_job(kept, 10) == []


#: rounds of requests at once: in some of them an old epoch came back before the statement locked the row
ROTATIONS = 10


async def test_a_secret_is_rotated_once_for_what_was_seen(lab: Lab) -> None:
    user_id = await new_user(lab.store)
    assert await lab.store.webhooks.webhook_secret_epoch(user_id) == 0

    async def rotate(before: int, epochs: list[int]) -> None:
        epochs.append(await lab.store.webhooks.rotate_webhook_secret(user_id, before))

    for before in range(ROTATIONS):
        epochs: list[int] = []
        async with trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(rotate, before, epochs)
        assert epochs == [before + 1] * 8
    problem = await new_problem(lab.store)
    await finish(lab, await send(lab.store, replace(draft(user_id, problem.id), callback_url=URL)))
    (hook,) = await take(lab)
    assert hook.secret_epoch == ROTATIONS


# -- the outbox of jobs does not see them


async def test_the_dispatcher_and_repair_do_not_see_them(lab: Lab) -> None:
    job_id = await job(lab)
    await lab.store.outbox.mark_delivered(
        [(event.id, "1-1") for event in await lab.store.outbox.take_outbox(10, 0.5, 10.0)]
    )
    await finish(lab, job_id)
    assert (await lab.store.outbox.outbox_pending()).total == 0
    assert not (await lab.store.outbox.outbox_waiting(10)).is_waiting
    assert await lab.store.outbox.take_outbox(10, 0.5, 10.0) == []
    await lab.store.rejudges.rejudge(job_id, None, by="root", in_full=False, stream_key="s")
    await lab.store.outbox.mark_delivered(
        [(event.id, "2-1") for event in await lab.store.outbox.take_outbox(9, 0.5, 10.0)]
    )
    lab.advance(100)
    assert await lab.store.strays.repair(set(), 60.0, 10, "s") == [job_id], (
        "a callback that waits keeps no job from repair"
    )


async def test_verdict_and_delivery_are_one_transaction(real: PgLab) -> None:
    """If we die before the commit, neither exists."""
    job_id = await job(real)
    await claim(real, job_id)
    done = (
        "UPDATE submissions SET state = 'done', status = 'Accepted', result = '{}', lease_owner = NULL, "
        f"lease_until = NULL WHERE job_id = '{job_id}'"
    )
    async with holding(real, done) as end:
        assert await real.store.webhooks.webhooks_of_job(job_id, 10) == []
        end("rollback")
    assert await real.store.webhooks.webhooks_of_job(job_id, 10) == []
    real.sql(done)
    assert len(await real.store.webhooks.webhooks_of_job(job_id, 10)) == 1


# -- submitting


async def test_another_callback_is_another_submission(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    plain = draft(user_id, problem.id)
    one, other = replace(plain, callback_url=URL), replace(plain, callback_url=URL + "2")
    jobs = [await send(lab.store, each) for each in (plain, one, other)]
    assert len(set(jobs)) == 3
    assert await submit(lab.store, one) == Receipt(jobs[1], repeated=True)


async def test_idempotency_key_with_another_request_is_refused(lab: Lab) -> None:
    user_id, problem, second = await new_user(lab.store), await new_problem(lab.store), await new_problem(lab.store)
    first = draft(user_id, problem.id, key="k1")
    job_id = await send(lab.store, first)
    assert await submit(lab.store, first) == Receipt(job_id, repeated=True)
    await finish(lab, job_id)
    assert await submit(lab.store, first) == Receipt(job_id, repeated=True)
    # the trace id is no part of the request
    assert await submit(lab.store, replace(first, trace_id="another")) == Receipt(job_id, repeated=True)
    others = [
        replace(first, code="int main(){} "),
        replace(first, problem_id=second.id),
        replace(first, language="c17"),
        replace(first, entry_point="main.cpp"),
        replace(first, callback_url=URL),
        replace(first, problem_id=999_999),
    ]
    for other in others:
        assert await submit(lab.store, other) is SubmitRefusal.IDEMPOTENCY_KEY_REUSED
    assert len(await lab.store.outbox.take_outbox(10, 0.5, 10.0)) == 1


async def test_a_key_lives_as_long_as_its_submission(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    first = draft(user_id, problem.id, key="k1")
    job_id = await send(lab.store, first)
    await finish(lab, job_id)
    lab.advance(400 * 86_400)
    assert await submit(lab.store, first) == Receipt(job_id, repeated=True)
    ids = (await lab.store.retention.expired(0, 50.0, 10)).row_ids
    assert await lab.store.retention.delete_expired(ids, 50.0) == 1
    again = await submit(lab.store, replace(first, code="// new"))
    assert isinstance(again, Receipt)
    assert (again.repeated, again.job_id != job_id) == (False, True)


async def test_of_many_bodies_under_one_key_at_once_one_is_taken(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    answers: dict[int, Receipt | SubmitRefusal] = {}

    async def one(number: int) -> None:
        answers[number] = await submit(lab.store, draft(user_id, problem.id, f"// {number % 4}", key="k"))

    async with trio.open_nursery() as nursery:
        for number in range(24):
            nursery.start_soon(one, number)
    taken = {number: answer for number, answer in answers.items() if isinstance(answer, Receipt)}
    assert len({answer.job_id for answer in taken.values()}) == 1
    assert len({number % 4 for number in taken}) == 1
    assert len(taken) == 6
    assert sum(not answer.repeated for answer in taken.values()) == 1
    assert set(answers.values()) - set(taken.values()) == {SubmitRefusal.IDEMPOTENCY_KEY_REUSED}
    assert (await lab.store.outbox.outbox_pending()).total == 1


# -- depth must not cost


#: parameter types of the statements of the delivery loop
TYPES = {
    "webhook_owners": "bigint, bigint",
    "due_webhooks": "bigint[], text[], bigint, text[], bigint",
    "take_webhooks": "bigint[], float8",
}
INDEXES = {"idx_webhook_pending_owner", "idx_webhook_pending_target", "webhook_deliveries_pkey"}


async def read(real: PgLab, name: str, values: str) -> float:
    """Return the number of index entries that the statement reads."""
    plan = await planned(real, name, TYPES[name], values)
    scans = plan("webhook_deliveries")
    assert scans
    assert {scan["Index Name"] for scan in scans} <= INDEXES
    return float(
        sum((scan["Actual Rows"] + scan.get("Rows Removed by Filter", 0)) * scan["Actual Loops"] for scan in scans)
    )


async def test_a_dead_target_costs_the_others_nothing(real: PgLab) -> None:
    """One account has 20,000 due deliveries for one target and 5,000 for other targets. Finding and taking the few
    deliveries of another account reads only few rows.
    """
    job_id = await job(real)
    await finish(real, job_id)
    other = await job(real, name="bob")
    await finish(real, other)
    user_ids = real.sql("SELECT string_agg(user_id::text, ',' ORDER BY user_id) FROM submissions").split(",")
    real.sql(
        "INSERT INTO webhook_deliveries (job_id, user_id, judging, attempt_id, event, verdict, target, "
        f"next_attempt_at) SELECT '{job_id}', {user_ids[0]}, 1, 1, 'done', 'Accepted', "
        f"CASE WHEN n > {ROWS} THEN 'https://dead.example' ELSE 'https://t' || n END, now() - interval '1 day' "
        f"FROM generate_series(1, {4 * ROWS}) AS n"
    )
    real.sql("ANALYZE")
    assert await read(real, "webhook_owners", "0, 100") <= 10
    starts = f"'{{{','.join(user_ids)}}}', ARRAY['https://d','']"
    for without in ("'{}'", "ARRAY['https://dead.example']"):
        assert await read(real, "due_webhooks", f"{starts}, 4, {without}, 4") <= 40
    ids = real.sql("SELECT array_agg(id) FROM webhook_deliveries WHERE target = 'https://hooks.example.org'")
    assert await read(real, "take_webhooks", f"'{ids}', 40") <= 8


#: the other statements: the types of their parameters and one set of values
STATEMENTS = {
    "settle_webhook": (
        "bigint, int, text, int, text, float8, float8",
        "3, 1, 'pending', 503, 'http', 5, 86400",
    ),
    "webhooks_of_job": ("uuid, bigint", "gen_random_uuid(), 20"),
    "given_up_webhooks": ("bigint, bigint", "NULL, 50"),
    "redeliver_webhook": ("uuid", "gen_random_uuid()"),
    "forget_webhooks": ("float8, bigint", "1e6, 500"),
    "webhook_secret_epoch": ("bigint", "1000"),
    "rotate_webhook_secret": ("bigint, int", "1000, 0"),
}


async def test_every_statement_goes_by_index(real: PgLab) -> None:
    await job(real)
    real.sql(
        "INSERT INTO submissions (job_id, problem_id, user_id, code, language, time_limit, memory_limit) "
        "SELECT gen_random_uuid(), problem_id, user_id, 'x', 'cpp17', 1, 1 FROM submissions, "
        f"generate_series(1, {ROWS})"
    )
    real.sql(
        "INSERT INTO webhook_deliveries (job_id, user_id, judging, attempt_id, event, verdict, target, status, "
        "ended_at) SELECT job_id, user_id, 1, 1, 'done', 'Accepted', 'https://x.example', 'delivered', now() "
        "FROM submissions"
    )
    real.sql("ANALYZE")
    assert "enable_seqscan" in await session_settings(real.pg_store)
    for name, (types, values) in STATEMENTS.items():
        plan = await planned(real, name, types, values)
        for scan in (*plan("webhook_deliveries"), *plan("users")):
            assert "Index" in scan["Node Type"], (name, scan)
            assert scan["Actual Rows"] <= 1, (name, scan)
