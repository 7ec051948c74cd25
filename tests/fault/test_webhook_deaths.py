"""What if we die here? Webhook deliveries (``deepoj/webhooks/delivery.py``), row by row, as ``test_deaths.py``.

| between                          | test                                                                            |
|----------------------------------|---------------------------------------------------------------------------------|
| verdict and delivery row         | tests/contract/test_store_webhooks.py: they are one transaction                 |
| finalize applied, answer unheard | test_a_verdict_whose_node_dies_with_it_is_told                                  |
| taking and POST                  | test_between_taking_and_post                                                    |
| POST and settling                | test_between_post_and_settling: told twice, under one delivery id               |
| settling and anything else       | test_after_settling: told once                                                  |
| POST and settling, of a contest  | test_a_contest_is_told_the_same_lines_again_if_we_die_after_the_post            |
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from deepoj.nursery.tree import run
from deepoj.webhooks.delivery import signing_secret
from deepoj.words.jobs import Claim
from deepoj.words.submissions import Draft, Receipt
from deepoj.words.webhooks import ContestWebhookDraft
from tests.contract.labs import entry, report
from tests.contract.test_store_contests import new_contest, rules, team
from tests.fault.scene import SOON_S, Scene
from tests.mortal import HOOK_SECRET, node, open_sender
from tests.receiver import Received, Receiver, receiving, says


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found


async def submit(scene: Scene, receiver: Receiver) -> None:
    draft = Draft(
        user_id=scene.user_id, problem_id=scene.problem_id, language="cpp17", code="// x", trace_id="trace",
        callback_url=receiver.url("/hook?token=1"),
    )  # fmt: skip
    taken = await scene.lab.store.submissions.submit(
        draft, inflight_cap=9, dedup_window_s=9, payload={}, stream_key=scene.stream.stream_key
    )
    assert isinstance(taken, Receipt)
    scene.job_id = taken.job_id


async def judged(scene: Scene, receiver: Receiver) -> None:
    """Submit with a callback and finalize the verdict."""
    await submit(scene, receiver)
    won = (await scene.lab.store.leases.claim([entry(scene.job_id)], "judge", 600.0, 5))["1-1"]
    assert isinstance(won, Claim)
    assert await scene.lab.store.leases.finalize(won, report(), {"status": "Accepted", "tests": []}) is None


@asynccontextmanager
async def mending(scene: Scene, *roles: str) -> AsyncIterator[None]:
    stop = trio.Event()
    async with open_sender() as sender, trio.open_nursery() as nursery:
        made = node(scene.lab.store, scene.stream, scene.metrics, name="healer", roles=roles, sender=sender)
        await nursery.start(run, made, stop)
        yield
        stop.set()


async def until_settled(scene: Scene, status: str = "delivered") -> None:
    with trio.fail_after(SOON_S):
        while scene.lab.sql("SELECT string_agg(status, ' ') FROM webhook_deliveries") != status:
            await trio.sleep(0.05)


def lease_is_over(scene: Scene) -> None:
    scene.lab.sql("UPDATE webhook_deliveries SET next_attempt_at = now()")


def is_signed(scene: Scene, found: Received) -> bool:
    key = signing_secret(HOOK_SECRET, scene.user_id, 0).encode()
    signed = found.headers["x-deepoj-timestamp"].encode() + b"." + found.body
    return found.headers["x-deepoj-signature"] == f"sha256={hmac.new(key, signed, hashlib.sha256).hexdigest()}"


def delivery_ids(receiver: Receiver) -> set[str]:
    return {found.headers["x-deepoj-delivery"] for found in receiver.received}


async def test_between_taking_and_post(scene: Scene, receiver: Receiver) -> None:
    await judged(scene, receiver)
    await scene.dies("after:take_webhooks", "webhooks")
    assert receiver.received == []
    async with mending(scene, "webhooks"):
        lease_is_over(scene)
        (found,) = await receiver.until(1)
        await until_settled(scene)
    told = json.loads(found.body)
    assert (told["job_id"], told["status"], told["delivery_id"]) == (scene.job_id, "Accepted", *delivery_ids(receiver))
    assert is_signed(scene, found)


async def test_between_post_and_settling(scene: Scene, receiver: Receiver) -> None:
    await judged(scene, receiver)
    await scene.dies("before:settle_webhook", "webhooks")
    assert len(receiver.received) == 1
    assert scene.lab.sql("SELECT status, attempts FROM webhook_deliveries") == "pending|1"
    async with mending(scene, "webhooks"):
        lease_is_over(scene)
        first, second = await receiver.until(2)
        await until_settled(scene)
    assert len(delivery_ids(receiver)) == 1
    assert first.body == second.body
    assert is_signed(scene, first)
    assert is_signed(scene, second)


async def test_after_settling(scene: Scene, receiver: Receiver) -> None:
    await judged(scene, receiver)
    await scene.dies("after:settle_webhook", "webhooks")
    await until_settled(scene)
    async with mending(scene, "webhooks"):
        lease_is_over(scene)
        await judged_again(scene)
        await receiver.until(2)
    assert [json.loads(found.body)["judging"] for found in receiver.received] == [1, 2]
    assert len(delivery_ids(receiver)) == 2


async def judged_again(scene: Scene) -> None:
    await scene.lab.store.rejudges.rejudge(scene.job_id, None, by="root", in_full=False, stream_key="s")
    won = (await scene.lab.store.leases.claim([entry(scene.job_id)], "judge", 600.0, 5))["1-1"]
    assert isinstance(won, Claim)
    assert await scene.lab.store.leases.finalize(won, report(), {"status": "Accepted", "tests": []}) is None


async def test_a_verdict_whose_node_dies_with_it_is_told(scene: Scene, receiver: Receiver) -> None:
    """The node is killed as soon as its verdict is stored: another node delivers."""
    await submit(scene, receiver)
    async with mending(scene, "dispatcher"):
        with trio.fail_after(SOON_S):
            while not scene.entries():
                await trio.sleep(0.05)
    await scene.dies("after:finalize", "consumer")
    async with mending(scene, "webhooks"):
        await receiver.until(1)
        await until_settled(scene)
    assert json.loads(receiver.received[0].body)["attempt_id"] == 1


async def test_a_receiver_that_was_away_is_told_when_it_is_back(scene: Scene, receiver: Receiver) -> None:
    receiver.replies["/hook"] = says(503)
    await judged(scene, receiver)
    async with mending(scene, "webhooks"):
        await receiver.until(3)
        del receiver.replies["/hook"]
        await until_settled(scene)
    assert len(delivery_ids(receiver)) == 1


async def test_a_contest_is_told_the_same_lines_again_if_we_die_after_the_post(
    scene: Scene, receiver: Receiver
) -> None:
    contests, webhooks = scene.lab.pg_store.contests, scene.lab.pg_store.contest_webhooks
    contest = await new_contest(scene.lab, scene.user_id, rules())
    draft = ContestWebhookDraft(
        user_id=scene.user_id, url=receiver.url(), target=receiver.url(""), token="t", endpoints=(), contest_ids=()
    )
    assert await webhooks.add_contest_webhook(draft, 1) is not None
    assert await contests.put_objects(contest.id, [team("one")], by=scene.user_id) == frozenset()
    await scene.dies("before:settle_contest_webhook", "contest webhooks")
    assert len(receiver.received) == 1
    async with mending(scene, "contest webhooks"):
        scene.lab.sql("UPDATE contest_webhooks SET next_attempt_at = now()")
        first, second = await receiver.until(2)
        assert await contests.put_objects(contest.id, [team("two")], by=scene.user_id) == frozenset()
        third = (await receiver.until(3))[2]
    assert first.body == second.body
    assert [line["id"] for found in (first, third) for line in json.loads(found.body)["notifications"]] == [
        "one", "two"
    ]  # fmt: skip
