"""The audit finds nothing in legal histories and names each planted violation."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.pg import PgStore
from deepoj.observe import Metrics
from deepoj.operate.drill.history import Wrong
from deepoj.operate.drill.stage import Stage
from deepoj.pipeline import audit as step
from deepoj.pipeline.audit import AuditFault, AuditReport, audit
from deepoj.pipeline.retention import RetentionSettings, retain
from deepoj.ports.ledger import Auditor
from deepoj.words.jobs import Claim, Held
from deepoj.words.ledger import Decision
from deepoj.words.results import Verdict
from tests.contract.labs import (
    LEASE_S,
    MAX_ATTEMPTS,
    NODE,
    OTHER,
    Lab,
    MemoryLab,
    PgLab,
    claim,
    deliver,
    draft,
    entry,
    new_problem,
    new_user,
    report,
    send,
)
from tests.fakes.webhooks import EPOCH
from tests.postgres import fresh_database
from tests.servers import PostgresServer


def auditor_of(lab: Lab) -> Auditor:
    return lab.store.audit


def codes(outcome: AuditReport) -> dict[str, int]:
    return {fault.value: count for fault, count in outcome.by_fault.items()}


async def finish(lab: Lab, won: Claim, status: Verdict = Verdict.ACCEPTED) -> None:
    assert await lab.store.leases.finalize(won, report(status), {"status": status.value}) is None


class Author:
    """Submits programs that all differ."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.user_id, self.problem_id, self.count = lab, 0, 0, 0

    async def submits(self) -> str:
        if not self.user_id:
            self.user_id = await new_user(self.lab.store)
            self.problem_id = (await new_problem(self.lab.store)).id
        self.count += 1
        return await send(self.lab.store, draft(self.user_id, self.problem_id, f"// {self.count}"), cap=10_000)


async def history(lab: Lab) -> dict[str, str]:
    """Make a job with each kind of legal history, by kind."""
    author = Author(lab)
    kinds = (
        "fresh", "claimed", "done", "lost_then_done", "given_back", "dead", "discarded", "requeued", "refused",
        "rejudged",
    )  # fmt: skip
    jobs = {kind: await author.submits() for kind in kinds}
    await deliver(lab)
    for kind in ("lost_then_done", "refused"):
        await claim(lab, jobs[kind], NODE)
    stale = await claim(lab, jobs["done"], OTHER)
    lab.advance(LEASE_S)
    await finish(lab, await claim(lab, jobs["lost_then_done"], OTHER), Verdict.WRONG_ANSWER)
    again = await claim(lab, jobs["done"], NODE)
    assert await lab.store.leases.finalize(stale, report(), {}) is not None
    await finish(lab, again)
    assert await lab.store.leases.finalize(again, report(), {}) is not None
    await lab.store.leases.give_back(await claim(lab, jobs["given_back"]), reason="drain", counts=False)
    await claim(lab, jobs["claimed"])
    for kind in ("dead", "discarded", "requeued"):
        for _ in range(MAX_ATTEMPTS):
            await lab.store.leases.give_back(await claim(lab, jobs[kind]), reason="x", counts=True)
        await lab.store.leases.claim([entry(jobs[kind])], NODE, LEASE_S, MAX_ATTEMPTS)
    letters = lab.store.letters
    for kind, decision in (("discarded", Decision.DISCARD), ("requeued", Decision.REQUEUE)):
        await letters.decide(decision, jobs[kind], MAX_ATTEMPTS, by="root", note="", stream_key="s")
    await finish(lab, await claim(lab, jobs["requeued"]))
    await finish(lab, await claim(lab, jobs["rejudged"]), Verdict.WRONG_ANSWER)
    rejudges = lab.store.rejudges
    await rejudges.rejudge(jobs["rejudged"], 1, by="root", in_full=False, stream_key="s")
    await finish(lab, await claim(lab, jobs["rejudged"], OTHER))
    return jobs


async def test_of_all_legal_kinds_only_the_dead_letter_is_named(lab: Lab) -> None:
    jobs = await history(lab)
    outcome = await audit(auditor_of(lab))
    assert [(one.fault, one.job_id) for one in outcome.found] == [(AuditFault.DEAD_LETTER, jobs["dead"])]
    assert (outcome.checked, outcome.verdicts, outcome.clean) == (len(jobs), 5, False)
    waiting = outcome.unfinished
    assert (waiting.pending, waiting.processing, waiting.expired) == (2, 2, 1)
    assert waiting.oldest_age_s is not None
    assert waiting.oldest_age_s >= LEASE_S


async def test_an_empty_database_is_clean(lab: Lab) -> None:
    told: list[int] = []
    outcome = await audit(auditor_of(lab), progress=told.append)
    assert (outcome.clean, outcome.checked, outcome.unfinished.oldest_age_s, told) == (True, 0, None, [0])


async def test_pages_are_read_to_the_end_and_what_is_kept_is_bounded(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "PAGE", 3)
    author = Author(lab)
    jobs = [await author.submits() for _ in range(10)]
    for job_id in jobs:
        for _ in range(MAX_ATTEMPTS):
            await lab.store.leases.give_back(await claim(lab, job_id), reason="x", counts=True)
        await lab.store.leases.claim([entry(job_id)], NODE, LEASE_S, MAX_ATTEMPTS)
    told: list[int] = []
    outcome = await audit(auditor_of(lab), keep=4, progress=told.append)
    assert [one.job_id for one in outcome.found] == jobs[:4]
    assert outcome.by_fault == {AuditFault.DEAD_LETTER: 10}
    assert told == [3, 6, 9, 10]


# -- planted

#: trigger, CHECKs and unique index, which prevent most of these, are switched off
DISARM = """
    ALTER TABLE attempts DISABLE TRIGGER attempts_append_only;
    DROP INDEX idx_attempts_one_verdict;
    ALTER TABLE submissions DROP CONSTRAINT submissions_status_of_state, DROP CONSTRAINT submissions_lease_of_state;
"""
COPIED = "job_id, judging, attempt_id, event, node, lease_until, stream_entry_id, isolation, outcome, detail"


def again(event: str, /, **changed: str) -> str:
    """Return SQL that copies the ledger row of ``event`` with ``changed`` columns."""
    values = ", ".join(changed.get(name, name) for name in COPIED.split(", "))
    return f"INSERT INTO attempts ({COPIED}) SELECT {values} FROM attempts WHERE job_id = 'JOB' AND event = '{event}'"


#: name: (kind of job, SQL of the violation, violation that the audit names)
PLANTS: dict[str, tuple[str, str, Sequence[AuditFault]]] = {
    "no verdict though done": (
        "done",
        "DELETE FROM attempts WHERE job_id = 'JOB' AND event = 'finalized'",
        [AuditFault.DONE_WITHOUT_VERDICT],
    ),
    "done by hand": (
        "fresh",
        "UPDATE submissions SET state = 'done', status = 'Accepted', result = '{\"status\": \"Accepted\"}'"
        " WHERE job_id = 'JOB'",
        [AuditFault.DONE_WITHOUT_VERDICT],
    ),
    "two finalized rows": ("done", again("finalized"), [AuditFault.VERDICT_TWICE]),
    "two verdicts that differ": (
        "done",
        again("finalized", outcome="'Wrong Answer'"),
        [AuditFault.VERDICT_TWICE, AuditFault.VERDICT_DIFFERS],
    ),
    "discarded after a verdict": (
        "done",
        again("finalized", event="'discarded'", outcome="'Accepted'"),
        [AuditFault.DEAD_UNACCOUNTED, AuditFault.VERDICT_TWICE],
    ),
    "finalized after the lease": (
        "done",
        "UPDATE attempts SET lease_until = created_at - interval '1 us' WHERE job_id = 'JOB' AND event = 'finalized'",
        [AuditFault.VERDICT_WITHOUT_LEASE],
    ),
    "finalized at the very end of the lease": (
        "done",
        "UPDATE attempts SET lease_until = created_at WHERE job_id = 'JOB' AND event = 'finalized'",
        [AuditFault.VERDICT_WITHOUT_LEASE],
    ),
    "finalized without a lease": (
        "done",
        "UPDATE attempts SET lease_until = NULL WHERE job_id = 'JOB' AND event = 'finalized'",
        [AuditFault.VERDICT_WITHOUT_LEASE],
    ),
    "finalized by another node": (
        "done",
        "UPDATE attempts SET node = 'thief' WHERE job_id = 'JOB' AND event = 'finalized'",
        [AuditFault.VERDICT_UNCLAIMED],
    ),
    "finalized by an attempt that was lost": (
        "lost_then_done",
        "DELETE FROM attempts WHERE job_id = 'JOB' AND event = 'claimed' AND attempt_id = 2;"
        "UPDATE attempts SET attempt_id = 1, node = 'node-a' WHERE job_id = 'JOB' AND event = 'finalized';"
        "UPDATE submissions SET attempt_id = 1 WHERE job_id = 'JOB'",
        [AuditFault.VERDICT_WITHOUT_LEASE],
    ),
    "finalized by an older attempt": (
        "lost_then_done",
        "UPDATE attempts SET attempt_id = 1 WHERE job_id = 'JOB' AND event = 'finalized'",
        [AuditFault.VERDICT_UNCLAIMED, AuditFault.VERDICT_DIFFERS],
    ),
    "finalized and never claimed": (
        "requeued",
        "DELETE FROM attempts WHERE job_id = 'JOB' AND event = 'claimed' AND attempt_id = 4",
        [AuditFault.VERDICT_UNCLAIMED, AuditFault.ATTEMPT_GAP],
    ),
    "row and ledger differ": (
        "done",
        "UPDATE submissions SET status = 'Wrong Answer', result = '{\"status\": \"Wrong Answer\"}'"
        " WHERE job_id = 'JOB'",
        [AuditFault.VERDICT_DIFFERS],
    ),
    "row and result differ": (
        "done",
        "UPDATE submissions SET result = '{\"status\": \"Wrong Answer\"}' WHERE job_id = 'JOB'",
        [AuditFault.VERDICT_DIFFERS],
    ),
    "a result without a verdict": (
        "done",
        "UPDATE submissions SET result = '{}' WHERE job_id = 'JOB'",
        [AuditFault.VERDICT_DIFFERS],
    ),
    "a result of another attempt": (
        "done",
        "UPDATE submissions SET result = result || '{\"attempt_id\": 7}' WHERE job_id = 'JOB'",
        [AuditFault.VERDICT_DIFFERS],
    ),
    "a result of another job": (
        "done",
        "UPDATE submissions SET result = result || '{\"job_id\": \"f00\"}' WHERE job_id = 'JOB'",
        [AuditFault.VERDICT_DIFFERS],
    ),
    "a verdict that the row forgot": (
        "done",
        "UPDATE submissions SET state = 'pending', status = 'pending' WHERE job_id = 'JOB'",
        [AuditFault.VERDICT_LOST],
    ),
    "claimed after the verdict": (
        "done",
        again("finalized", event="'claimed'", attempt_id="attempt_id + 1", outcome="NULL")
        + "; UPDATE submissions SET attempt_id = attempt_id + 1 WHERE job_id = 'JOB'",
        [AuditFault.CLAIM_AFTER_VERDICT, AuditFault.VERDICT_DIFFERS],
    ),
    "claimed while another held it": (
        "lost_then_done",
        "DELETE FROM attempts WHERE job_id = 'JOB' AND event = 'lost'",
        [AuditFault.CLAIMS_OVERLAP],
    ),
    "taken before the lease was over": (
        "lost_then_done",
        "UPDATE attempts SET lease_until = created_at + interval '1 us' WHERE job_id = 'JOB' AND event = 'lost'",
        [AuditFault.CLAIMS_OVERLAP],
    ),
    "dead while an attempt was open": (
        "dead",
        "DELETE FROM attempts WHERE job_id = 'JOB' AND event = 'given_back' AND attempt_id = 3",
        [AuditFault.CLAIMS_OVERLAP, AuditFault.DEAD_LETTER],
    ),
    "a gap in the attempts": (
        "lost_then_done",
        "UPDATE attempts SET attempt_id = 3 WHERE job_id = 'JOB' AND attempt_id = 2;"
        "UPDATE submissions SET attempt_id = 3 WHERE job_id = 'JOB'",
        [AuditFault.ATTEMPT_GAP],
    ),
    "an attempt twice": (
        "lost_then_done",
        "UPDATE attempts SET attempt_id = 1 WHERE job_id = 'JOB' AND attempt_id = 2;"
        "UPDATE submissions SET attempt_id = 1 WHERE job_id = 'JOB'",
        [AuditFault.ATTEMPT_GAP],
    ),
    "a row ahead of its ledger": (
        "given_back",
        "UPDATE submissions SET attempt_id = 9 WHERE job_id = 'JOB'",
        [AuditFault.ATTEMPT_GAP],
    ),
    "a lease without a claim": (
        "claimed",
        "UPDATE submissions SET lease_owner = 'thief' WHERE job_id = 'JOB'",
        [AuditFault.LEASE_UNCLAIMED],
    ),
    "a claim the row forgot": (
        "claimed",
        "UPDATE submissions SET state = 'pending', status = 'pending', lease_owner = NULL, lease_until = NULL"
        " WHERE job_id = 'JOB'",
        [AuditFault.LEASE_UNCLAIMED],
    ),
    "dead by hand": (
        "given_back",
        "UPDATE submissions SET state = 'dead', status = 'System Error' WHERE job_id = 'JOB'",
        [AuditFault.DEAD_UNACCOUNTED, AuditFault.DEAD_LETTER],
    ),
    "alive by hand": (
        "dead",
        "UPDATE submissions SET state = 'pending', status = 'pending' WHERE job_id = 'JOB'",
        [AuditFault.DEAD_UNACCOUNTED],
    ),
    "claimed without a requeue": (
        "requeued",
        "DELETE FROM attempts WHERE job_id = 'JOB' AND event = 'requeued'",
        [AuditFault.DEAD_UNACCOUNTED, AuditFault.DEAD_UNACCOUNTED],
    ),
    "attempts that go backwards": (
        "requeued",
        "UPDATE attempts SET attempt_id = 3 - attempt_id WHERE job_id = 'JOB' AND attempt_id IN (1, 2)",
        [AuditFault.ATTEMPT_GAP, AuditFault.ATTEMPT_GAP, AuditFault.ATTEMPT_GAP],
    ),
    "given back after the verdict": (
        "done",
        again("finalized", event="'given_back'", outcome="'drain'"),
        [AuditFault.END_UNCLAIMED],
    ),
    "given back by another node": (
        "given_back",
        "UPDATE attempts SET node = 'thief' WHERE job_id = 'JOB' AND event = 'given_back'",
        [AuditFault.END_UNCLAIMED],
    ),
    "a judging that the row has not begun": (
        "done",
        "UPDATE attempts SET judging = 2 WHERE job_id = 'JOB'",
        [AuditFault.JUDGING_ASTRAY, AuditFault.JUDGING_ASTRAY, AuditFault.DONE_WITHOUT_VERDICT],
    ),
    "a row deleted by hand": (
        "done",
        "DELETE FROM outbox_events WHERE job_id = 'JOB'; DELETE FROM submissions WHERE job_id = 'JOB'",
        [AuditFault.ROW_MISSING],
    ),
    "an earlier judging without an end": (
        "given_back",
        "UPDATE submissions SET judging = 2 WHERE job_id = 'JOB'",
        [AuditFault.JUDGING_ASTRAY, AuditFault.JUDGING_WITHOUT_VERDICT],
    ),
    "a judging that was never opened": (
        "rejudged",
        "DELETE FROM attempts WHERE job_id = 'JOB' AND event = 'rejudged'",
        [AuditFault.JUDGING_ASTRAY, AuditFault.JUDGING_ASTRAY],
    ),
    "a judging opened without a verdict before it": (
        "rejudged",
        "DELETE FROM attempts WHERE job_id = 'JOB' AND event = 'finalized' AND judging = 1",
        [AuditFault.CLAIMS_OVERLAP, AuditFault.CLAIMS_OVERLAP, AuditFault.JUDGING_WITHOUT_VERDICT],
    ),
}


@pytest.mark.parametrize("plant", PLANTS)
async def test_audit_names_each_planted_violation(real: PgLab, plant: str) -> None:
    kind, statements, faults = PLANTS[plant]
    job_id = (await history(real))[kind]
    before = {one.job_id: one.fault for one in (await audit(auditor_of(real))).found if one.job_id != job_id}
    real.sql(f"BEGIN; {DISARM}; {statements.replace('JOB', job_id)}; COMMIT")
    try:
        outcome = await audit(auditor_of(real))
    finally:
        _rearm(real, job_id)
    named = [one.fault for one in outcome.found if one.job_id == job_id]
    assert sorted(named) == sorted(faults), [(one.fault, one.detail) for one in outcome.found]
    assert {one.job_id: one.fault for one in outcome.found if one.job_id != job_id} == before
    assert outcome.by_fault.total() == len(outcome.found)
    assert all(one.detail for one in outcome.found)


def _rearm(real: PgLab, job_id: str) -> None:
    """Switch the guards on again: other tests use the database."""
    real.sql(
        f"DELETE FROM attempts; DELETE FROM submissions WHERE job_id = '{job_id}'; "
        "ALTER TABLE attempts ENABLE TRIGGER attempts_append_only"
    )
    root = Path(__file__).parents[2] / "sql" / "migrations"
    for name in ("004_add_submission_state", "005_add_submission_lease"):
        real.sql((root / f"{name}.sql").read_text())
    for name in ("add_dead_letters", "add_rejudges"):
        [migration] = root.glob(f"*_{name}.sql")
        real.sql(migration.read_text())


def test_every_code_is_planted_once() -> None:
    elsewhere = {AuditFault.CONTEST_DIFFERS}  # test_store_contests.py
    assert {fault for _, _, faults in PLANTS.values() for fault in faults} == set(AuditFault) - elsewhere


# -- at the end of a drill


async def test_a_drill_is_told_what_the_audit_names(real: PgLab) -> None:
    jobs = await history(real)
    stage = cast(Stage, SimpleNamespace(pool=real.pg_store._pool))
    [violation] = await Stage.audited(stage)
    assert (violation.wrong, violation.job_id) == (Wrong.AUDIT, jobs["dead"])
    assert violation.words.startswith("dead_letter: ")


# -- beside retention


async def test_audit_after_retention_finds_nothing(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after a late statement of a deleted job, which leaves a ledger row without a submission."""
    monkeypatch.setattr(step, "LINES", 3)
    jobs = await history(lab)
    slow = await claim(lab, jobs["fresh"], NODE, lease_s=1.0)
    lab.advance(2.0)
    await finish(lab, await claim(lab, jobs["fresh"], OTHER))
    before = await audit(auditor_of(lab))
    lab.advance(20 * 86_400.0)
    for since in (None, "2001-01-01T00:00:00+00:00"):
        whole = await audit(auditor_of(lab), since=since)
        assert (codes(whole), whole.checked) == ({"dead_letter": 1}, before.checked)
    swept = await retain(lab.store.retention, RetentionSettings(14 * 86_400.0, 2, True), Metrics())
    assert swept.deleted == before.verdicts == 6
    assert await lab.store.leases.finalize(slow, report(), {}) is not None
    assert [row.event for row in lab.ledger(jobs["fresh"])] == ["refused"]
    for since in (None, "2001-01-01T00:00:00+00:00"):
        after = await audit(auditor_of(lab), since=since)
        assert (codes(after), after.checked) == ({"dead_letter": 1}, before.checked - swept.deleted)
        assert (after.verdicts, after.unfinished.pending) == (0, before.unfinished.pending)


async def test_each_history_without_a_row_is_named_once(real: PgLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """With any number of ledger rows and pages; with ``since``, by its first row after that time."""
    monkeypatch.setattr(step, "LINES", 2)
    jobs = await history(real)
    real.sql("DELETE FROM outbox_events; DELETE FROM submissions")
    try:
        outcome = await audit(auditor_of(real), keep=3)
        assert (codes(outcome), outcome.checked) == ({"row_missing": len(jobs) - 1}, 0)  # of one there is no line
        assert len(outcome.found) == 3
        assert (await audit(auditor_of(real), since="2999-01-01T00:00:00+00:00")).clean
        assert codes(await audit(auditor_of(real), since="2001-01-01T00:00:00+00:00")) == codes(outcome)
    finally:
        real.sql("DELETE FROM attempts")


# -- since a time


async def test_since_takes_what_was_submitted_or_has_happened_since(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "PAGE", 2)
    author = Author(lab)
    old = [await author.submits() for _ in range(5)]
    for job_id in old:
        await claim(lab, job_id)
    if isinstance(lab, PgLab):  # the lab's clock moves rows but not the ledger: move both into the past
        lab.sql(
            "ALTER TABLE attempts DISABLE TRIGGER attempts_append_only;"
            "UPDATE attempts SET created_at = created_at - interval '1000 s', lease_until = lease_until - interval"
            " '1000 s'; ALTER TABLE attempts ENABLE TRIGGER attempts_append_only"
        )
        lab.advance(1000)
        since = lab.sql(
            "SELECT to_char((now() - interval '500 s') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
        )
    else:
        assert isinstance(lab, MemoryLab)
        lab.advance(1000)
        since = (EPOCH + dt.timedelta(seconds=lab.now() - 500)).isoformat()
    young = [await author.submits() for _ in range(3)]
    for job_id in (old[1], old[4]):
        await finish(lab, await claim(lab, job_id, OTHER))
    await finish(lab, await claim(lab, young[0]))
    assert (await audit(auditor_of(lab))).checked == 8
    outcome = await audit(auditor_of(lab), since=since)
    assert (outcome.checked, outcome.verdicts, outcome.clean) == (5, 3, True)
    nothing = await audit(auditor_of(lab), since="2999-01-01T00:00:00+00:00")
    assert (nothing.checked, nothing.clean) == (0, True)
    everything = await audit(auditor_of(lab), since="2001-01-01T00:00:00+00:00")
    assert everything.checked == 8


# -- random legal histories

STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["submit", "claim", "claim", "claim", "steal", "finalize", "finalize", "stale", "give_back", "infra",
             "wait", "expire", "extend", "requeue", "discard", "hand_over", "repair"]
        ),
        st.integers(0, 3),
        st.sampled_from([NODE, OTHER, "node-c"]),
    ),
    max_size=60,
)  # fmt: skip


async def live(lab: Lab, steps: Sequence[tuple[str, int, str]]) -> None:
    """Make random calls of nodes and users in any order, also some that are refused."""
    author = Author(lab)
    jobs = [await author.submits()]
    claims: list[Claim] = []
    store = lab.store
    for number, (what, which, node) in enumerate(steps):
        job_id = jobs[which % len(jobs)]
        mine = [one for one in claims if one.job_id == job_id]
        match what:
            case "submit":
                jobs.append(await author.submits())
            case "claim" | "steal":
                batch = [entry(job_id, f"{number}-1"), entry(jobs[-1], f"{number}-2")]
                answers = await store.leases.claim(batch, node, LEASE_S, MAX_ATTEMPTS, yields=what == "claim")
                claims += [answer for answer in answers.values() if isinstance(answer, Claim)]
            case "finalize" if mine:
                status = [Verdict.ACCEPTED, Verdict.WRONG_ANSWER][which % 2]
                await store.leases.finalize(mine[-1], report(status), {"status": status.value})
            case "stale" if mine:
                await store.leases.finalize(mine[which % len(mine)], report(), {"status": "Accepted"})
            case "give_back" | "infra" if mine:
                more = {"avoid_s": 30.0, "delay_s": 2.0} if what == "infra" else {}
                await store.leases.give_back(mine[-1], reason=what, counts=what == "infra", **more)
            case "wait" | "expire":
                lab.advance(LEASE_S if what == "expire" else 7.0)
            case "extend" if mine:
                await store.leases.extend([Held(one.job_id, one.attempt_id) for one in mine], node, LEASE_S)
            case "requeue" | "discard":
                letter = await store.letters.dead_letter(job_id)
                decision = Decision.REQUEUE if what == "requeue" else Decision.DISCARD
                attempt = letter.attempt_id if letter is not None else which
                await store.letters.decide(decision, job_id, attempt, by="root", note="", stream_key="s")
            case "hand_over":
                await store.leases.hand_over(jobs, avoid_s=30.0)
            case "repair":
                await deliver(lab)
                await store.strays.repair(set(), 5.0, 10, "s")
            case _:
                continue


def only_dead_letters(outcome: AuditReport) -> bool:
    return set(outcome.by_fault) <= {AuditFault.DEAD_LETTER}


@settings(max_examples=300, deadline=None)
@given(steps=STEPS)
def test_a_legal_history_is_clean(steps: list[tuple[str, int, str]]) -> None:
    async def main() -> None:
        lab = MemoryLab()
        await live(lab, steps)
        outcome = await audit(auditor_of(lab))
        assert only_dead_letters(outcome), outcome.found

    trio.run(main)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_a_legal_history_of_a_real_database_is_clean(
    postgres: PostgresServer, steps: list[tuple[str, int, str]]
) -> None:
    async def main(database: str) -> None:
        async with AioBridge.open() as bridge, PgStore.open(bridge, postgres.dsn(database)) as store:
            lab = PgLab(postgres, database, store)
            await live(lab, steps)
            outcome = await audit(auditor_of(lab))
            assert only_dead_letters(outcome), outcome.found

    with fresh_database(postgres) as database:
        trio.run(main, database)


async def test_races_of_many_nodes_are_clean(real: PgLab) -> None:
    """Concurrent claims, verdicts, releases and decisions, with leases that end meanwhile."""
    author = Author(real)
    jobs = [await author.submits() for _ in range(12)]
    store = real.store

    async def node(name: str, seed: int) -> None:
        for turn in range(40):
            job_id = jobs[(seed * 7 + turn * 5) % len(jobs)]
            answer = (await store.leases.claim([entry(job_id)], name, 0.05, MAX_ATTEMPTS))["1-1"]
            if isinstance(answer, Claim):
                if turn % 3 == 0:
                    await store.leases.give_back(answer, reason="x", counts=True)
                elif turn % 3 == 1:
                    await trio.sleep(0.06)  # waits for no state, but for the lease to end
                    await store.leases.finalize(answer, report(), {"status": "Accepted"})
                else:
                    await store.leases.finalize(answer, report(), {"status": "Accepted"})
            letter = await store.letters.dead_letter(job_id)
            if letter is not None:
                decision = list(Decision)[turn % 2]
                await store.letters.decide(decision, job_id, letter.attempt_id, by=name, note="", stream_key="s")

    with trio.fail_after(300):
        async with trio.open_nursery() as nursery:
            for seed in range(5):
                nursery.start_soon(node, f"node-{seed}", seed)
    outcome = await audit(auditor_of(real))
    assert only_dead_letters(outcome), outcome.found
    assert outcome.verdicts > 0
