"""Tests of "What if a process dies?" in ``deploy/docs/architecture.md``, on real servers.

A real process is killed at the point of the row. Then a node with only the role that repairs the job repairs it.
Rows in brackets are not in that table.

| between                              | test                                                                       |
|--------------------------------------|----------------------------------------------------------------------------|
| commit and XADD                      | test_between_commit_and_xadd                                               |
| XADD and "dispatched" mark           | test_between_xadd_and_the_mark                                             |
| XADD applied, answer lost            | test_the_answer_of_xadd_is_lost                                            |
| XREADGROUP and claim                 | test_between_read_and_claim                                                |
| claim and finalize                   | test_between_claim_and_finalize                                            |
| claim and finalize, at every attempt | test_a_job_that_kills_every_node_is_dead_after_its_attempts                |
| finalize and XACK                    | test_between_finalize_and_ack                                              |
| entry trimmed, Redis wiped, …        | test_without_an_entry, test_without_a_group                                |
| node killed while a sandbox runs     | tests/sandbox/test_life.py::test_a_killed_node_leaves_nothing,             |
|                                      | tests/sandbox/test_kills.py, tests/e2e/test_sweep.py                       |
| (give back and XACK)                 | test_between_giving_back_and_ack                                           |
| (XAUTOCLAIM and claim)               | test_between_reclaim_and_claim                                             |
| (asking for a rejudge and XADD)       | test_between_a_rejudge_and_its_entry                                       |
| (a rejudge's claim and finalize)      | test_between_claim_and_finalize_of_a_rejudge                               |
| (two pages of a problem's rejudge)    | test_between_two_pages_of_a_rejudge                                        |
| (a look at a held job and the next)  | test_between_looking_at_a_held_job_and_putting_it_down                     |
"""

from __future__ import annotations

import pytest
import trio

from deepoj.pipeline.audit import audit
from deepoj.pipeline.rejudge import order, rejudge
from deepoj.pipeline.repair import RepairSettings, repair
from deepoj.words.jobs import Claim, FinalizeRefusal
from deepoj.words.rejudges import Rejudged
from deepoj.words.stream import Entry
from tests.contract.labs import LEASE_S, claim, draft, report, send
from tests.fault.scene import SOON_S, Scene
from tests.mortal import MAX_ATTEMPTS

CLAIMED_AND_JUDGED = [("claimed", "healer"), ("finalized", "healer")]


@pytest.mark.parametrize(
    ("point", "hands_over"),
    [
        ("after:submit", False),
        ("after:take_outbox", False),
        ("before:publish", False),
        ("after:submit", True),
        ("before:publish", True),
    ],
)
async def test_between_commit_and_xadd(scene: Scene, point: str, hands_over: bool) -> None:
    await scene.dies(point, "dispatcher", submits=True, hands_over=hands_over)
    assert scene.state() == "pending"
    assert scene.outbox() == [("submit", "pending")]
    assert scene.entries() == 0
    await scene.mended_by("dispatcher", "consumer")
    assert scene.outbox() == [("submit", "delivered")]
    assert scene.ledger() == CLAIMED_AND_JUDGED
    assert scene.entries() == 1


@pytest.mark.parametrize("hands_over", [False, True])
@pytest.mark.parametrize("point", ["after:publish", "before:mark_delivered"])
async def test_between_xadd_and_the_mark(scene: Scene, point: str, hands_over: bool) -> None:
    await scene.dies(point, "dispatcher", submits=True, hands_over=hands_over)
    assert scene.outbox() == [("submit", "pending")]
    assert scene.entries() == 1
    # the dispatcher sends it again; the claim refuses the second entry
    await scene.mended_by("dispatcher", "consumer", "reclaim")
    assert scene.entries() == 2
    assert scene.ledger() == CLAIMED_AND_JUDGED


async def test_the_answer_of_xadd_is_lost(scene: Scene) -> None:
    """The dispatcher records a failed publish, although the entry arrived, and dies when it tries again."""
    await scene.dies("lost:publish", "dispatcher", submits=True)
    assert scene.entries() == 1
    assert scene.outbox() == [("submit", "pending")]
    assert scene.lab.outbox(scene.job_id)[0].last_error
    assert scene.payload(), "the delivered entry points to nothing"
    # without the payload, too, the job is judged: its program comes from the database
    with scene.valkey.client() as client:
        client.delete(f"{scene.namespace}:task:payload:{scene.job_id}")
    await scene.mended_by("consumer")
    assert scene.ledger() == CLAIMED_AND_JUDGED
    await scene.mended_by("dispatcher", "consumer")
    assert scene.outbox() == [("submit", "delivered")]
    assert scene.entries() == 2
    assert scene.payload(), "what is sent again has its payload again"
    assert scene.ledger() == CLAIMED_AND_JUDGED


@pytest.mark.parametrize("point", ["after:read", "before:claim"])
async def test_between_read_and_claim(scene: Scene, point: str) -> None:
    await scene.submit_and_deliver()
    await scene.dies(point, "consumer")
    assert scene.state() == "pending"
    assert scene.group()["pending"] == 1
    assert scene.ledger() == []
    await scene.mended_by("reclaim")
    assert scene.ledger() == CLAIMED_AND_JUDGED
    assert scene.entries() == 1


async def test_between_reclaim_and_claim(scene: Scene) -> None:
    """A node that dies during reclaim is repaired by another reclaim."""
    await scene.submit_and_deliver()
    await scene.dies("after:read", "consumer")
    await scene.dies("before:claim", "reclaim")
    assert scene.group()["pending"] == 1
    await scene.mended_by("reclaim")
    assert scene.ledger() == CLAIMED_AND_JUDGED


@pytest.mark.parametrize("point", ["after:claim", "before:finalize"])
async def test_between_claim_and_finalize(scene: Scene, point: str) -> None:
    await scene.submit_and_deliver()
    await scene.dies(point, "consumer")
    assert scene.state() == "processing"
    assert scene.ledger() == [("claimed", "mortal")]
    scene.lab.advance(LEASE_S)
    await scene.mended_by("reclaim")
    told = [("claimed", "mortal"), ("lost", "mortal"), ("claimed", "healer"), ("finalized", "healer")]
    assert scene.ledger() == told
    # a holder that was only thought dead is refused
    problem = await scene.lab.store.problems.problem(scene.problem_id)
    assert problem is not None
    late = Claim(
        job_id=scene.job_id, attempt_id=1, judging=1, lease_owner="mortal", entry_id="1-1", user_id=scene.user_id,
        language="cpp17", code="", trace_id="", problem=problem, waited_ms=0,
    )  # fmt: skip
    assert await scene.lab.store.leases.finalize(late, report(), {}) is FinalizeRefusal.STALE_ATTEMPT
    assert scene.ledger() == [*told, ("refused", "mortal")]
    assert scene.state() == "done"


async def test_a_job_that_kills_every_node_is_dead_after_its_attempts(scene: Scene) -> None:
    """No node takes it a sixth time, and its entry is acked."""
    await scene.submit_and_deliver()
    await scene.dies("after:claim", "consumer")
    for _ in range(MAX_ATTEMPTS - 1):
        scene.lab.advance(LEASE_S)
        await scene.dies("after:claim", "reclaim")
    scene.lab.advance(LEASE_S)
    async with scene.mending("reclaim"):
        with trio.fail_after(SOON_S):
            while scene.state() != "dead" or scene.group()["pending"]:
                await trio.sleep(0.05)
    events = [event for event, _ in scene.ledger()]
    assert events == ["claimed", "lost"] * MAX_ATTEMPTS + ["dead"]
    seen = await scene.lab.store.submissions.submission(scene.job_id)
    assert seen is not None
    assert (seen.status, seen.error_code) == ("System Error", "ATTEMPTS_EXHAUSTED")


@pytest.mark.parametrize("point", ["before:set_idle", "after:set_idle"])
async def test_between_looking_at_a_held_job_and_putting_it_down(scene: Scene, point: str) -> None:
    """The holder is dead, its lease still runs, and the node that looked at the entry dies, too."""
    await scene.submit_and_deliver()
    await scene.dies("after:claim", "consumer")
    await scene.dies(point, "reclaim")
    assert scene.group()["pending"] == 1
    assert scene.ledger() == [("claimed", "mortal")]
    scene.lab.advance(LEASE_S)
    await scene.mended_by("reclaim")
    assert scene.ledger() == [("claimed", "mortal"), ("lost", "mortal"), *CLAIMED_AND_JUDGED]


@pytest.mark.parametrize("point", ["after:finalize", "before:ack"])
async def test_between_finalize_and_ack(scene: Scene, point: str) -> None:
    await scene.submit_and_deliver()
    await scene.dies(point, "consumer")
    assert scene.state() == "done"
    assert scene.group()["pending"] == 1
    await scene.mended_by("reclaim")
    assert scene.ledger() == [("claimed", "mortal"), ("finalized", "mortal")]


async def test_between_giving_back_and_ack(scene: Scene) -> None:
    """The outbox sends the job again; the entry that was not acked is refused."""
    await scene.submit_and_deliver()
    [entry] = [one for one in await scene.stream.read(1, 1000) if isinstance(one, Entry)]
    answers = await scene.lab.store.leases.claim([entry], "mortal", 60.0, 5)
    won = answers[entry.entry_id]
    assert isinstance(won, Claim)
    assert await scene.lab.store.leases.give_back(won, reason="drained", counts=False) is None
    scene.grow_old()
    await scene.mended_by("dispatcher", "consumer", "reclaim")
    told = scene.ledger()
    assert told[:2] == [("claimed", "mortal"), ("given_back", "mortal")]
    assert told[2:] == CLAIMED_AND_JUDGED


@pytest.mark.parametrize("how", ["trimmed", "wiped"])
@pytest.mark.parametrize("point", ["before:claim", "after:claim"])
async def test_without_an_entry(scene: Scene, point: str, how: str) -> None:
    """With a pending row and a running one: repair sends each of them again, once."""
    await scene.submit_and_deliver()
    await scene.dies(point, "consumer")
    with scene.valkey.client() as client:
        if how == "trimmed":
            client.xtrim(scene.stream.stream_key, maxlen=0, approximate=False)
            # a trimmed entry leaves the pending list when a consumer reclaims it
            await scene.stream.reclaim(0, "0-0", 16)
        else:
            client.delete(scene.stream.stream_key)
    scene.lab.advance(LEASE_S)
    settings = RepairSettings(1.0, 200, scene.stream.stream_key)
    back = 0
    with trio.fail_after(SOON_S):
        while not back:
            back = (await repair(scene.lab.store.strays, scene.stream, settings, scene.metrics)).count
            await trio.sleep(0.1)
    assert back == 1
    assert (await repair(scene.lab.store.strays, scene.stream, settings, scene.metrics)).count == 0, "put back twice"
    assert scene.outbox() == [("submit", "delivered"), ("repair", "pending")]
    await scene.mended_by("dispatcher", "consumer")
    before = [("claimed", "mortal"), ("lost", "mortal")] if point == "after:claim" else []
    assert scene.ledger() == before + CLAIMED_AND_JUDGED


async def test_without_a_group(scene: Scene) -> None:
    """The entries still exist: the group is created again at 0, so that they are delivered again."""
    await scene.submit_and_deliver()
    await scene.dies("before:claim", "consumer")
    with scene.valkey.client() as client:
        client.xgroup_destroy(scene.stream.stream_key, scene.stream.group)
    await scene.mended_by("consumer")
    assert scene.ledger() == CLAIMED_AND_JUDGED


# -- rejudging


async def judged(scene: Scene) -> None:
    await scene.submit_and_deliver()
    await scene.mended_by("consumer")


REJUDGED = [("rejudged", "root"), *CLAIMED_AND_JUDGED]


async def test_before_a_rejudge_nothing_has_happened(scene: Scene) -> None:
    await judged(scene)
    await scene.dies("before:rejudge", rejudges=True)
    assert scene.state() == "done"
    assert scene.ledger() == CLAIMED_AND_JUDGED
    assert scene.outbox() == [("submit", "delivered")]


@pytest.mark.parametrize("point", ["after:rejudge", "after:take_outbox", "before:publish"])
async def test_between_a_rejudge_and_its_entry(scene: Scene, point: str) -> None:
    await judged(scene)
    await scene.dies(point, "dispatcher", rejudges=True)
    assert scene.state() == "pending"
    assert scene.outbox() == [("submit", "delivered"), ("rejudge", "pending")]
    await scene.mended_by("dispatcher", "consumer")
    assert scene.ledger() == CLAIMED_AND_JUDGED + REJUDGED
    # a client that got no answer asks again
    again = await rejudge(scene.lab.store.rejudges, scene.job_id, judging=1, by="root", in_full=False, stream_key="s")
    assert again == Rejudged(scene.job_id, 2, repeated=True)
    assert (await audit(scene.lab.store.audit)).clean


async def test_between_claim_and_finalize_of_a_rejudge(scene: Scene) -> None:
    await judged(scene)
    await scene.dies("before:finalize", "dispatcher", "consumer", rejudges=True)
    assert scene.state() == "processing"
    [kept] = await scene.lab.pg_store.rejudges.judgings(scene.job_id, 9)
    assert (kept.judging, kept.status) == (1, "Accepted")
    scene.lab.advance(LEASE_S)
    # the event may not have been marked as delivered: then there is a second entry, which the claim refuses
    await scene.mended_by("dispatcher", "consumer", "reclaim")
    lost = [("claimed", "mortal"), ("lost", "mortal")]
    assert scene.ledger() == [*CLAIMED_AND_JUDGED, ("rejudged", "root"), *lost, *CLAIMED_AND_JUDGED]
    assert (await audit(scene.lab.store.audit)).clean


@pytest.mark.parametrize("point", ["before:go_on_rejudging", "after:go_on_rejudging"])
async def test_between_two_pages_of_a_rejudge(scene: Scene, point: str) -> None:
    """A page is one submission here; the next node goes on exactly after the last page."""
    store = scene.lab.pg_store
    jobs = [await send(store, draft(scene.user_id, scene.problem_id, f"// {number}")) for number in range(3)]
    for job_id in jobs:
        won = await claim(scene.lab, job_id)
        assert await store.leases.finalize(won, report(), {"status": "Accepted"}) is None
    await order(store.rejudges, scene.problem_id, by="root", in_full=False)
    await scene.dies(point, "rejudges")
    latest = await store.rejudges.rejudge_order(scene.problem_id)
    assert latest is not None
    assert (latest.opened, latest.finished) == (int(point.startswith("after")), False)
    async with scene.mending("rejudges"):
        with trio.fail_after(SOON_S):
            while latest is None or not latest.finished:
                await trio.sleep(0.05)
                latest = await store.rejudges.rejudge_order(scene.problem_id)
    assert latest.opened == 3
    assert [[row.event for row in scene.lab.ledger(job_id)].count("rejudged") for job_id in jobs] == [1, 1, 1]
    assert (await audit(store.audit)).clean
