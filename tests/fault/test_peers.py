"""Faults 15, 19, 20 and 22 of the table in CONTRIBUTING, as far as they need real servers."""

from __future__ import annotations

import trio

from deepoj.pipeline.repair import RepairSettings, repair
from deepoj.words.jobs import Claim, FinalizeRefusal, State
from deepoj.words.stream import Entry
from deepoj.words.submissions import Receipt
from tests.contract.labs import draft, report, submit
from tests.fault.scene import SOON_S, Scene


async def claimed(scene: Scene, owner: str, lease_s: float = 60.0) -> Claim:
    """Claim the next entry as ``owner`` and return the claim."""
    [entry] = [one for one in await scene.stream.read(1, 5000) if isinstance(one, Entry)]
    won = (await scene.lab.store.leases.claim([entry], owner, lease_s, 5))[entry.entry_id]
    assert isinstance(won, Claim)
    return won


async def test_the_payload_is_not_needed(scene: Scene) -> None:
    """15: a payload that cannot be fetched decides nothing; the claim brings the program."""
    await scene.submit_and_deliver()
    with scene.valkey.client() as client:
        client.delete(f"{scene.namespace}:task:payload:{scene.job_id}")
    won = await claimed(scene, "node-a")
    assert won.code == "// x"
    assert won.problem.id == scene.problem_id


async def test_poison_finishes_no_job(scene: Scene) -> None:
    """15: an undecodable entry is acked and changes no job, also while its job is being judged."""
    await scene.submit_and_deliver()
    won = await claimed(scene, "node-a")
    with scene.valkey.client() as client:
        client.xadd(scene.stream.stream_key, {"job_id": scene.job_id, "enqueue_ts": "not a number"})
        client.xadd(scene.stream.stream_key, {"task": "anything"})
    async with scene.mending("consumer"):
        with trio.fail_after(SOON_S):
            while scene.group()["pending"] != 1 or scene.group()["lag"]:
                await trio.sleep(0.05)
    assert scene.ledger() == [("claimed", "node-a")]
    assert await scene.lab.store.leases.finalize(won, report(), {"mine": True}) is None


async def test_a_backlog_is_not_repaired(scene: Scene) -> None:
    """19: jobs with a stream entry or an outbox event are not repaired, at any age."""
    store = scene.lab.store
    for number in range(30):
        one = draft(scene.user_id, scene.problem_id, f"// {number}")
        await store.submissions.submit(
            one, inflight_cap=99, dedup_window_s=9, payload={}, stream_key=scene.stream.stream_key
        )
        if number < 20:
            [event] = await store.outbox.take_outbox(1, 1.0, 1.0)
            [entry_id] = await scene.stream.publish([event])
            await store.outbox.mark_delivered([(event.id, entry_id)])
    await scene.stream.read(5, 1000)  # some are pending
    scene.lab.advance(3600)
    settings = RepairSettings(60.0, 200, scene.stream.stream_key)
    for _ in range(3):
        assert (await repair(store.strays, scene.stream, settings, scene.metrics)).count == 0
    assert scene.lab.sql("SELECT count(*) FROM outbox_events WHERE event_type = 'repair'") == "0"


async def test_nothing_of_a_result_is_in_redis(scene: Scene) -> None:
    """20: the verdict of a stale attempt is stored nowhere, and the new attempt stores its own."""
    await scene.submit_and_deliver()
    stale = await claimed(scene, "node-a", lease_s=0.0)
    [entry] = [one for one in (await scene.stream.reclaim(0, "0-0", 1))[1] if isinstance(one, Entry)]
    fresh = (await scene.lab.store.leases.claim([entry], "node-b", 60.0, 5))[entry.entry_id]
    assert isinstance(fresh, Claim)
    refused = await scene.lab.store.leases.finalize(stale, report(), {"whose": "stale"})
    assert refused is FinalizeRefusal.STALE_ATTEMPT
    seen = await scene.lab.store.submissions.submission(scene.job_id)
    assert seen is not None
    assert (seen.state, seen.result) == (State.PROCESSING, None)
    assert await scene.lab.store.leases.finalize(fresh, report(), {"whose": "fresh"}) is None
    seen = await scene.lab.store.submissions.submission(scene.job_id)
    assert seen is not None
    assert seen.result == {"whose": "fresh"}
    with scene.valkey.client() as client:
        keys = {key.decode() for key in client.scan_iter(f"{scene.namespace}*")}
    assert keys == {scene.stream.stream_key, f"{scene.namespace}:task:payload:{scene.job_id}"}


async def test_a_finished_job_answers_for_nothing_new(scene: Scene) -> None:
    """22: the same program sent again after the verdict is judged again."""
    store = scene.lab.store
    first = await submit(store, draft(scene.user_id, scene.problem_id))
    assert isinstance(first, Receipt)
    entry = Entry(entry_id="1-1", job_id=first.job_id, enqueue_ts_ms=1, payload_ref="", priority=0, event_id=1)
    won = (await store.leases.claim([entry], "node-a", 60.0, 5))["1-1"]
    assert isinstance(won, Claim)
    assert await submit(store, draft(scene.user_id, scene.problem_id)) == Receipt(first.job_id, repeated=True)
    assert await store.leases.finalize(won, report(), {}) is None
    again = await submit(store, draft(scene.user_id, scene.problem_id))
    assert isinstance(again, Receipt)
    assert (again.job_id != first.job_id, again.repeated) == (True, False)
