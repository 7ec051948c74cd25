"""The contract of ``ports.Roster``, and of claims by nodes that do not have every language."""

from __future__ import annotations

import asyncpg
import pytest

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.pg.sql_files import queries
from deepoj.words.jobs import Claim, ClaimRefusal
from tests.contract.labs import LEASE_S, MAX_ATTEMPTS, NODE, OTHER, Lab, PgLab, claim, deliver, entry, new_job, report

PYTHON, BOTH = frozenset({"python3"}), frozenset({"python3", "cpp17"})


async def test_no_live_node_is_none_and_a_node_without_languages_is_empty(lab: Lab) -> None:
    assert await lab.store.roster.live_languages() is None
    await lab.store.roster.announce(NODE, {}, 30.0)
    assert await lab.store.roster.live_languages() == {}


async def test_live_languages_are_those_of_all_live_nodes(lab: Lab) -> None:
    await lab.store.roster.announce(NODE, {"cpp17": "g++ 14", "python3": "Python 3.13"}, 30.0)
    await lab.store.roster.announce(OTHER, {"python3": "Python 3.11"}, 300.0)
    assert await lab.store.roster.live_languages() == {"cpp17": ("g++ 14",), "python3": ("Python 3.11", "Python 3.13")}
    lab.advance(31)
    assert await lab.store.roster.live_languages() == {"python3": ("Python 3.11",)}
    await lab.store.roster.announce(NODE, {"c17": "gcc é"}, 300.0)
    await lab.store.roster.announce(OTHER, {"c17": "gcc é"}, 300.0)
    assert await lab.store.roster.live_languages() == {"c17": ("gcc é",)}
    lab.advance(301)
    assert await lab.store.roster.live_languages() is None


async def test_nodes_are_listed_for_a_day_live_ones_first_with_the_isolation_of_their_verdicts(
    lab: Lab,
) -> None:
    roster, job_id = lab.store.roster, await new_job(lab)
    assert await roster.announced_nodes(9) == []
    won = await claim(lab, job_id)
    assert await lab.store.leases.finalize(won, report(), {}) is None
    await roster.announce(OTHER, {}, 600.0)
    await roster.announce(NODE, {"cpp17": "g++ é"}, 30.0)
    lab.advance(60)
    await roster.announce(OTHER, {}, 600.0)
    first, second = await roster.announced_nodes(9)
    assert (first.node, first.languages, first.is_live, first.isolation) == (OTHER, {}, True, None)
    assert first.judged_at is None
    assert (second.node, second.languages, second.is_live, second.isolation) == (
        NODE,
        {"cpp17": "g++ é"},
        False,
        "namespaces",
    )
    assert second.judged_at is not None
    assert await roster.announced_nodes(1) == [first]
    lab.advance(86_400)
    assert [one.node for one in await roster.announced_nodes(9)] == [OTHER]
    lab.advance(86_400)
    assert await roster.announced_nodes(9) == []


async def test_a_node_that_takes_no_work_is_listed_and_counts_for_no_language(lab: Lab) -> None:
    roster, job_id = lab.store.roster, await new_job(lab)
    await roster.announce(NODE, {"cpp17": "g++"}, 300.0)
    await roster.announce(NODE, {"cpp17": "g++"}, 300.0, takes_work=False)
    await roster.announce(OTHER, {}, 300.0, takes_work=False)
    assert await roster.live_languages() is None, "there is no node that judges"
    assert [(one.is_live, one.takes_work, one.languages) for one in await roster.announced_nodes(9)] == [
        (True, False, {"cpp17": "g++"}), (True, False, {}),
    ]  # fmt: skip
    await deliver(lab)
    lab.advance(120)
    assert await lab.store.leases.hand_over([job_id], unfit=True) == {job_id: None}
    assert lab.delay_s(job_id) > 20.0, "no live node can judge it"
    await roster.announce(NODE, {"cpp17": "g++"}, 300.0)
    assert await roster.live_languages() == {"cpp17": ("g++",)}
    assert [one.takes_work for one in await roster.announced_nodes(9)] == [True, False]


async def test_a_node_that_starts_again_takes_work_for_as_long_as_it_said_before(lab: Lab) -> None:
    """Submissions in a language that only it has are not refused until its canaries have passed."""
    roster = lab.store.roster
    await roster.announce(NODE, {"rust": "1"}, 30.0, takes_work=None)
    assert await roster.live_languages() is None, "it has never taken any"
    await roster.announce(NODE, {"rust": "1"}, 30.0)
    lab.advance(20)
    await roster.announce(NODE, {"rust": "1"}, 30.0, takes_work=None)
    assert await roster.live_languages() == {"rust": ("1",)}
    lab.advance(11)
    assert await roster.live_languages() is None
    await roster.announce(OTHER, {}, 30.0)
    lab.advance(10)
    assert [(one.node, one.is_live) for one in await roster.announced_nodes(9)] == [(OTHER, True), (NODE, False)]


@pytest.mark.parametrize("takes_work", [False, None])
async def test_a_reader_that_began_before_the_announcement_sees_no_judge_in_it(
    real: PgLab, bridge: AioBridge, takes_work: bool | None
) -> None:
    """An API that starts beside the first worker refused submissions for 5 s: the worker took work 'until now', and the
    reader's now was earlier."""
    reader = await bridge.run(asyncpg.connect, real.server.dsn(real.database))
    try:
        await bridge.run(reader.execute, "BEGIN; SELECT now()")
        await real.store.roster.announce(NODE, {}, 30.0, takes_work=takes_work)
        assert await bridge.run(reader.fetch, queries()["live_languages"].sql) == []
        # what a node of the version before deletes
        before = "SELECT FROM node_languages WHERE live_until < now() - interval '1 day'"
        assert await bridge.run(reader.fetch, before) == []
    finally:
        await bridge.run(reader.close)


async def test_a_node_of_the_version_before_is_listed(real: PgLab) -> None:
    """Its announcements know nothing of the columns of migration 042."""
    roster = real.store.roster
    await roster.announce(NODE, {"cpp17": "g++"}, 30.0)
    real.sql("UPDATE node_languages SET seen_at = NULL, seen_until = NULL")
    [fresh] = await roster.announced_nodes(9)
    assert (fresh.is_live, fresh.takes_work) == (True, True)
    real.advance(60)
    [silent] = await roster.announced_nodes(9)
    assert (silent.is_live, silent.takes_work, silent.seen_at < fresh.seen_at) == (False, False, True)
    real.advance(86_400)
    await roster.announce(OTHER, {}, 30.0)
    assert [one.node for one in await roster.announced_nodes(9)] == [OTHER]


async def tried(lab: Lab, job_id: str, languages: frozenset[str] | None, **more: bool) -> Claim | ClaimRefusal:
    answers = await lab.store.leases.claim([entry(job_id)], NODE, LEASE_S, MAX_ATTEMPTS, languages=languages, **more)
    return answers["1-1"]


@pytest.mark.parametrize("yields", [True, False])
async def test_a_job_in_a_language_that_the_node_lacks_stays_as_it_is(lab: Lab, *, yields: bool) -> None:
    job_id = await new_job(lab)
    for languages in (PYTHON, frozenset[str]()):
        for _ in range(MAX_ATTEMPTS + 1):
            assert await tried(lab, job_id, languages, yields=yields) is ClaimRefusal.UNFIT
    assert lab.ledger(job_id) == []
    won = await tried(lab, job_id, BOTH, yields=yields)
    assert isinstance(won, Claim)
    assert won.attempt_id == 1


async def test_unfit_claim_of_a_held_or_finished_job_is_refused_as_such(lab: Lab) -> None:
    job_id = await new_job(lab)
    await claim(lab, job_id)
    assert await tried(lab, job_id, PYTHON) is ClaimRefusal.LEASED
    lab.advance(LEASE_S)
    assert await tried(lab, job_id, PYTHON) is ClaimRefusal.UNFIT
    assert [noted.event for noted in lab.ledger(job_id)] == ["claimed"]


async def test_a_job_without_attempts_left_is_dead_for_everybody(lab: Lab) -> None:
    job_id = await new_job(lab)
    for _ in range(MAX_ATTEMPTS):
        won = await tried(lab, job_id, None)
        assert isinstance(won, Claim)
        assert await lab.store.leases.give_back(won, reason="x", counts=True) is None
    assert await tried(lab, job_id, PYTHON) is ClaimRefusal.DEAD


async def test_unfit_job_is_handed_over_with_growing_delay(lab: Lab) -> None:
    job_id = await new_job(lab)
    await deliver(lab)
    assert await lab.store.leases.hand_over([job_id], unfit=True) == {job_id: None}
    assert lab.delay_s(job_id) < 2.0  # soon: it has not waited long
    lab.advance(2)
    assert len(await deliver(lab)) == 1
    lab.advance(18)
    assert await lab.store.leases.hand_over([job_id], unfit=True) == {job_id: None}
    assert 7.5 <= lab.delay_s(job_id) < 20.0
    assert await deliver(lab) == []
    lab.advance(20)
    assert len(await deliver(lab)) == 1
    lab.advance(10_000)
    assert await lab.store.leases.hand_over([job_id], unfit=True) == {job_id: None}
    assert 22.5 <= lab.delay_s(job_id) <= 37.5
    lab.advance(38)
    assert len(await deliver(lab)) == 1


async def test_while_a_live_node_can_judge_it_it_is_offered_often(lab: Lab) -> None:
    job_id = await new_job(lab)
    await deliver(lab)
    lab.advance(1000)
    await lab.store.roster.announce(OTHER, {"cpp17": "g++"}, 300.0)
    assert await lab.store.leases.hand_over([job_id], unfit=True) == {job_id: None}
    assert 1.1 < lab.delay_s(job_id) < 1.9
    lab.advance(2)
    assert len(await deliver(lab)) == 1
