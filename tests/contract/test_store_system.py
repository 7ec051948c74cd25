"""The contract of ``ports.SystemView``, and of what nodes say of themselves."""

from __future__ import annotations

import datetime as dt

from deepoj.words.readiness import PartState
from deepoj.words.roster import CanaryFacts, DiskUse, NodeFacts
from tests.contract.labs import LEASE_S, NODE, OTHER, Lab, PgLab, claim, new_job, report


async def test_running_jobs_are_those_that_a_node_has_claimed_oldest_first(lab: Lab) -> None:
    first, second = await new_job(lab, "alice"), await new_job(lab, "bob")
    assert await lab.store.system.running_jobs(9) == []
    await claim(lab, second)
    won = await claim(lab, first)
    lab.advance(LEASE_S / 2)
    running = await lab.store.system.running_jobs(9)
    assert [(one.job_id, one.username, one.node, one.judging, one.attempt_id, one.attempts) for one in running] == [
        (first, "alice", NODE, 1, 1, 1), (second, "bob", NODE, 1, 1, 1),
    ]  # fmt: skip
    assert all(one.is_leased and one.claimed_at is not None and one.language == "cpp17" for one in running)
    assert [one.job_id for one in await lab.store.system.running_jobs(1)] == [first]
    lab.advance(LEASE_S)
    assert not any(one.is_leased for one in await lab.store.system.running_jobs(9))
    await claim(lab, first)
    assert await lab.store.leases.finalize(won, report(), {}) is not None
    assert [(one.attempt_id, one.is_leased) for one in await lab.store.system.running_jobs(1)] == [(2, True)]


async def test_the_last_hour_counts_verdicts_in_parts_and_waits_of_first_claims(lab: Lab) -> None:
    empty = await lab.store.system.last_hour()
    assert (list(empty.verdicts), empty.median_wait_s, empty.p95_wait_s, empty.is_cut) == ([0] * 12, None, None, False)
    job_id = await new_job(lab)
    lab.advance(8)
    won = await claim(lab, job_id)
    assert await lab.store.leases.finalize(won, report(), {}) is None
    hour = await lab.store.system.last_hour()
    assert list(hour.verdicts) == [0] * 11 + [1]
    assert hour.median_wait_s is not None
    assert 8 <= hour.median_wait_s <= 60
    assert hour.p95_wait_s == hour.median_wait_s


async def test_the_last_hour_in_the_database_puts_each_verdict_into_its_five_minutes(real: PgLab) -> None:
    for number, ago in enumerate(("1 minute", "12 minutes", "59 minutes", "61 minutes"), 1):
        real.sql(
            "INSERT INTO attempts (job_id, judging, attempt_id, event, created_at) VALUES"
            f" (gen_random_uuid(), 1, {number}, 'finalized', now() - interval '{ago}')"
        )
    hour = await real.store.system.last_hour()
    assert list(hour.verdicts) == [1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1]
    assert (hour.median_wait_s, hour.is_cut) == (None, False)


async def test_interruptions_are_what_was_put_back_newest_first(lab: Lab) -> None:
    job_id = await new_job(lab)
    assert await lab.store.system.interruptions(9) == []
    won = await claim(lab, job_id)
    assert await lab.store.leases.give_back(won, reason="disk_full", counts=True) is None
    lab.advance(60)
    again = await claim(lab, job_id)
    lab.advance(LEASE_S + 1)
    await claim(lab, job_id)
    assert await lab.store.leases.finalize(again, report(), {}) is not None
    found = await lab.store.system.interruptions(9)
    assert {one.event for one in found} == {"given_back", "lost", "refused"}
    assert (found[-1].event, found[-1].node, found[-1].job_id) == ("given_back", NODE, job_id)
    assert [one.at for one in found] == sorted((one.at for one in found), reverse=True)
    assert len(await lab.store.system.interruptions(1)) == 1


async def test_pipeline_times_are_those_of_the_last_dispatch_and_claim(lab: Lab) -> None:
    job_id = await new_job(lab)
    empty = await lab.store.system.pipeline_times()
    assert (empty.dispatched_at, empty.claimed_at) == (None, None)
    for event in await lab.store.outbox.take_outbox(9, 1.0, 1.0):
        await lab.store.outbox.mark_delivered([(event.id, "1-1")])
    lab.advance(8)
    await claim(lab, job_id)
    times = await lab.store.system.pipeline_times()
    assert times.dispatched_at is not None
    assert times.claimed_at is not None
    ago = dt.datetime.fromisoformat(times.claimed_at) - dt.datetime.fromisoformat(times.dispatched_at)
    assert 0 <= ago.total_seconds() <= 60


async def test_facts_are_kept_with_the_announcement_and_a_node_that_ends_is_forgotten(lab: Lab) -> None:
    roster = lab.store.roster
    facts = NodeFacts(
        version="0.2.0",
        roles=("api", "worker"),
        disks=(DiskUse(directory="work", free_bytes=1, total_bytes=4, free_files=2, total_files=8),),
        isolation="full",
        canaries=CanaryFacts(state=PartState.DOWN, since="2026-01-31T09:00:00+00:00", reason="abort é"),
        not_up={"sandbox": "a run is overdue é"},
        upkeep={"scheduler_repair_total: sent": 2},
        clock="2026-01-31T09:00:00+00:00",
    )
    await roster.announce(NODE, {"cpp17": "g++"}, 30.0, facts)
    await roster.announce(OTHER, {}, 30.0)
    assert [one.facts for one in await roster.announced_nodes(9)] == [facts, NodeFacts()]
    assert facts.disks[0].used_percent == 75
    for _ in range(2):
        await roster.withdraw(NODE)
    assert [one.node for one in await roster.announced_nodes(9)] == [OTHER]


async def test_last_backup_is_the_newest_else_the_age_is_that_of_the_database(lab: Lab) -> None:
    first = await lab.store.system.standing()
    assert (first.has_letters, first.is_backed_up, first.backup_age_s >= 0) == (False, False, True)
    for number in range(2):
        await lab.store.admin_events.record_backup(f"/backups/{number}", number, by="root (deepoj backup)")
    made = await lab.store.system.standing()
    assert (made.is_backed_up, 0 <= made.backup_age_s <= 60) == (True, True)
    [event, _] = await lab.store.admin_events.admin_events(2)
    assert (event.actor, event.act, event.subject, event.details) == (
        "root (deepoj backup)", "backed_up", "/backups/1", {"objects": 1},
    )  # fmt: skip
