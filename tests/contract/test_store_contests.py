"""Contests in the store: their ledgers, and what submissions of contests write into them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio

from deepoj.contests.ledger import ContestLedger
from deepoj.nursery.contests import AdvanceContests
from deepoj.observe import Metrics
from deepoj.pipeline.audit import AuditFault, audit
from deepoj.pipeline.retention import RetentionSettings, retain
from deepoj.words.accounts import NewAccount
from deepoj.words.contests import (
    MAX_QUESTIONS,
    ClarificationDraft,
    Contest,
    ContestKind,
    ContestMember,
    ContestObject,
    ContestProblem,
    ContestRefusal,
    ContestRegistration,
    ContestRules,
    ContestStanding,
    EventType,
    NewMembers,
)
from deepoj.words.ledger import Decided, Decision
from deepoj.words.outbox import Priority
from deepoj.words.playground import CustomDraft, CustomReceipt, CustomRefusal
from deepoj.words.problems import ProblemRefusal
from deepoj.words.results import Verdict
from deepoj.words.submissions import Draft, Receipt, SubmitRefusal
from tests.api.house import house_on
from tests.contract.labs import (
    LEASE_S,
    MAX_ATTEMPTS,
    PgLab,
    claim,
    draft,
    entry,
    lose_first_answers,
    new_problem,
    new_user,
    report,
    send,
    submit,
)

HOUR_MS = 3_600_000
RESULT = {"tests": [{"status": "Accepted", "cpu_ms": 12}]}


def rules(started_min: float | None = 10.0, **changes: Any) -> ContestRules:
    """Rules of a contest of five hours that started so many minutes ago."""
    start = None if started_min is None else dt.datetime.now(dt.UTC) - dt.timedelta(minutes=started_min)
    return replace(ContestRules(name="Finals", start_at=start, duration_ms=5 * HOUR_MS, freeze_ms=HOUR_MS), **changes)


async def new_contest(
    real: PgLab, director: int, said: ContestRules, key: str = "finals", kind: ContestKind = ContestKind.ICPC
) -> Contest:
    made = await real.pg_store.contests.create_contest(key, kind, said, by=director)
    assert isinstance(made, Contest)
    return made


def team(team_id: str, **data: Any) -> ContestObject:
    return ContestObject(EventType.TEAMS, team_id, {"name": team_id, "group_ids": [], "is_hidden": False, **data})


async def arranged(
    real: PgLab, said: ContestRules, names: Sequence[str] = ("alice",), kind: ContestKind = ContestKind.ICPC
) -> tuple[Contest, Draft]:
    """A contest with one problem and a team for each name. Return it with the first one's draft."""
    store, director = real.pg_store, await new_user(real.store, "director")
    contest, problem = await new_contest(real, director, said, kind=kind), await new_problem(real.store)
    users = [await new_user(real.store, name) for name in names]
    teams = [team(f"t-{name}") for name in names]
    members = [ContestMember(name, f"t-{name}") for name in names]
    assert await store.contests.put_objects(contest.id, teams, members, by=director) == frozenset()
    shown = ContestProblem(label="A", problem_id=problem.id, ordinal=1)
    assert await store.contests.put_problem(contest.id, shown, by=director) is None
    await store.contests.advance()
    return contest, replace(draft(users[0], problem.id), contest_id=contest.id)


def by(contest: Contest) -> int:
    assert contest.created_by is not None
    return contest.created_by


async def judged(real: PgLab, one: Draft, verdict: Verdict) -> str:
    job_id = await send(real.store, one)
    won = await claim(real, job_id, entry_id=f"{job_id}-1")
    assert await real.store.leases.finalize(won, report(verdict), RESULT) is None
    return job_id


async def ledger_of(real: PgLab, contest: Contest) -> ContestLedger:
    ledger = ContestLedger()
    ledger.take(await real.pg_store.contests.events(contest.id, 0, 1000))
    return ledger


async def test_waits_are_those_of_the_latest_judged_submissions(real: PgLab) -> None:
    contest, mine = await arranged(real, rules())
    none = await real.pg_store.contests.waits(contest.id, 10)
    assert (none.count, none.wait_p99_ms, none.judging_sum_ms) == (0, 0, 0)
    result = {"compile": {"wall_ms": 40}, "tests": [{"status": "Accepted", "wall_ms": 11}, {"wall_ms": 14}]}
    for number, waited_s in enumerate((900, 3, 30)):
        job_id = await send(real.store, replace(mine, code=f"// {number}"))
        real.advance(waited_s)
        won = await claim(real, job_id, entry_id=f"{number}-1")
        assert await real.store.leases.finalize(won, report(Verdict.ACCEPTED), result) is None
    waits = await real.pg_store.contests.waits(contest.id, 2)
    assert (waits.count, waits.compile_sum_ms, waits.run_sum_ms) == (2, 80, 50)
    assert waits.wait_p50_ms in range(30_000, 33_000)
    assert waits.wait_p99_ms in range(33_000, 300_000)


async def test_a_member_runs_nothing_of_their_own_while_a_contest_without_custom_runs_is_running(real: PgLab) -> None:
    contest, mine = await arranged(real, rules(started_min=-10, allows_custom_runs=False))
    runs, bob = real.pg_store.runs, await new_user(real.store, "bob")

    async def took(user_id: int) -> bool:
        one = CustomDraft(
            user_id=user_id, language="cpp17", code="x", stdin=b"", time_limit_ms=1, memory_limit_kb=1, trace_id="t"
        )
        taken = await runs.take_run(one, per_user=9)
        assert isinstance(taken, CustomReceipt) or taken is CustomRefusal.CONTEST_WITHOUT_RUNS
        return isinstance(taken, CustomReceipt)

    async def change(**changes: Any) -> None:
        changed = await real.pg_store.contests.change_contest(contest.id, rules(**changes), by=by(contest))
        assert isinstance(changed, Contest)
        await real.pg_store.contests.advance()

    assert await took(mine.user_id), "it has not started"
    start = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=10)
    await change(start_at=start, allows_custom_runs=False)
    assert (await took(mine.user_id), await took(bob)) == (False, True)
    await change(start_at=start)
    assert await took(mine.user_id), "it allows them"
    await change(start_at=start, allows_custom_runs=False, duration_ms=60_000, freeze_ms=None)
    assert await took(mine.user_id), "it is over"


async def test_practice_waits_behind_a_contest_and_a_contest_behind_itself_alone(real: PgLab) -> None:
    contest, mine = await arranged(real, rules())
    bob, open_problem = await new_user(real.store, "bob"), await new_problem(real.store)
    jobs = [
        await send(real.store, one)
        for one in (
            draft(bob, open_problem.id, "// 1"), mine, draft(bob, open_problem.id, "// 2"), replace(mine, code="// 3"),
        )
    ]  # fmt: skip
    assert contest.id == mine.contest_id
    assert [await real.store.submissions.count_before(job, 9) for job in jobs] == [2, 0, 3, 1]
    assert [await real.store.submissions.count_before(job, 2) for job in jobs] == [2, 0, 2, 1]


async def test_a_verdict_is_on_the_board_and_a_rejudge_takes_it_away(real: PgLab) -> None:
    contest, mine = await arranged(real, rules())
    job_id = await judged(real, mine, Verdict.ACCEPTED)
    ledger = await ledger_of(real, contest)
    (row,) = ledger.public_board.rows()
    assert (row.team_id, row.solved, row.penalty) == ("t-alice", 1, 10)
    (judgement,) = ledger.of(EventType.JUDGEMENTS).values()
    assert (judgement["verdict"], judgement["is_current"], judgement["runs"]) == ("Accepted", True, (("Accepted", 12),))
    await real.store.rejudges.rejudge(job_id, None, by="director", in_full=True, stream_key="deepoj:jobs")
    ledger = await ledger_of(real, contest)
    (row,) = ledger.public_board.rows()
    assert (row.solved, row.cells["A"].pending) == (0, 1)


async def test_events_are_numbered_without_gaps(real: PgLab) -> None:
    contest, mine = await arranged(real, rules())
    for number in range(3):
        await judged(real, replace(mine, code=f"int main(){{return {number};}}"), Verdict.WRONG_ANSWER)
    events = await real.pg_store.contests.events(contest.id, 0, 1000)
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    assert [event.number for event in await real.pg_store.contests.events(contest.id, 3, 2)] == [4, 5]


async def test_who_may_submit_and_when(real: PgLab) -> None:
    contest, mine = await arranged(real, rules(started_min=-10))
    assert await submit(real.store, mine) is SubmitRefusal.CONTEST_NOT_RUNNING
    running = await real.pg_store.contests.change_contest(contest.id, rules(), by=by(contest))
    assert isinstance(running, Contest)
    stranger = await new_user(real.store, "stranger")
    assert await submit(real.store, replace(mine, user_id=stranger)) is SubmitRefusal.NOT_IN_CONTEST
    assert await submit(real.store, replace(mine, contest_id=None)) is SubmitRefusal.CONTEST_PROBLEM
    assert isinstance(await submit(real.store, replace(mine, user_id=stranger, contest_id=None)), Receipt)
    assert isinstance(await submit(real.store, mine), Receipt)
    await real.pg_store.contests.change_contest(contest.id, rules(started_min=301), by=by(contest))
    over = replace(mine, code="int main(){return 1;}")
    assert await submit(real.store, over) is SubmitRefusal.CONTEST_NOT_RUNNING
    assert isinstance(await submit(real.store, replace(over, contest_id=None)), Receipt)


async def test_a_contest_has_limits_and_languages_of_its_own(real: PgLab) -> None:
    contest, mine = await arranged(real, rules(languages=("python3", "cpp17")))
    shown = ContestProblem(label="A", problem_id=mine.problem_id, ordinal=1, time_limit_ms=4321, memory_limit_mb=77)
    assert await real.pg_store.contests.put_problem(contest.id, shown, by=by(contest)) is None
    problem = (await ledger_of(real, contest)).of(EventType.PROBLEMS)["A"]
    assert (problem["time_limit_ms"], problem["memory_limit_mb"]) == (4321, 77)
    assert await submit(real.store, replace(mine, language="go")) is SubmitRefusal.LANGUAGE_NOT_ALLOWED
    taken = await real.pg_store.contests.taken_problem(contest.id, mine.problem_id)
    assert taken is not None
    assert (taken.time_limit_ms, set(taken.languages)) == (4321, {"python3", "cpp17"})

    job_id = await send(real.store, mine)
    claimed = (await claim(real, job_id)).problem
    assert (claimed.time_limit_ms, claimed.memory_limit_mb) == (4321, 77)
    assert isinstance(await real.store.reruns.take_rerun(job_id, "1", by=mine.user_id), int)
    again = await real.store.rerun_leases.claim("node", 60.0, 2, ("cpp17",))
    assert again is not None
    assert (again.time_limit_ms, again.memory_limit_mb) == (4321, 77), "a rerun of a test has them, too"
    practice = replace(mine, contest_id=None, user_id=await new_user(real.store, "bob"))
    claimed = (await claim(real, await send(real.store, practice), entry_id="2-1")).problem
    assert (claimed.time_limit_ms, claimed.memory_limit_mb) != (4321, 77)


async def test_people_take_part_by_themselves_where_registration_is_open(real: PgLab) -> None:
    contest, mine = await arranged(real, rules())
    contests, bob = real.pg_store.contests, await new_user(real.store, "bob")
    assert await contests.register(contest.id, bob) is ContestRefusal.REGISTRATION_CLOSED
    is_open = rules(registration=ContestRegistration.OPEN, start_at=contest.rules.start_at)
    assert isinstance(await contests.change_contest(contest.id, is_open, by=by(contest)), Contest)
    assert await contests.register(contest.id, mine.user_id) == "t-alice"
    assert await contests.withdraw(contest.id, mine.user_id) is ContestRefusal.NOT_REGISTERED
    assert [await contests.register(contest.id, bob) for _ in range(2)] == [f"u{bob}"] * 2
    ledger = await ledger_of(real, contest)
    assert ledger.of(EventType.TEAMS)[f"u{bob}"]["name"] == "bob"
    (told,) = real.rows("SELECT data::text AS data FROM contest_events WHERE object_id LIKE 'u%'")
    assert "bob" not in told["data"], "no name of a person is in the ledger"

    assert await contests.withdraw(contest.id, bob) is None
    assert set((await ledger_of(real, contest)).of(EventType.TEAMS)) == {"t-alice"}
    assert await contests.team_of(contest.id, bob) is None
    await contests.register(contest.id, bob)
    closed = replace(is_open, registration=ContestRegistration.CLOSED)
    assert isinstance(await contests.change_contest(contest.id, closed, by=by(contest)), Contest)
    assert await contests.withdraw(contest.id, bob) is ContestRefusal.REGISTRATION_CLOSED
    assert isinstance(await contests.change_contest(contest.id, is_open, by=by(contest)), Contest)
    await judged(real, replace(mine, user_id=bob), Verdict.ACCEPTED)
    assert await contests.withdraw(contest.id, bob) is ContestRefusal.HAS_STARTED
    before = (await ledger_of(real, contest)).last
    assert await real.store.account_data.erase(bob, by=None) == f"deleted-{bob}"
    ledger = await ledger_of(real, contest)
    assert ledger.of(EventType.TEAMS)[f"u{bob}"]["name"] == f"deleted-{bob}"
    assert ledger.last == before + 2, "readers of the ledger are told"
    ended = replace(is_open, duration_ms=60_000, freeze_ms=None)
    assert isinstance(await contests.change_contest(contest.id, ended, by=by(contest)), Contest)
    await contests.advance()
    carol = await new_user(real.store, "carol")
    assert await contests.register(contest.id, carol) is ContestRefusal.REGISTRATION_CLOSED


async def test_what_is_due_happens_once_and_at_its_time(real: PgLab) -> None:
    said = rules(started_min=301, thaw_at=dt.datetime.now(dt.UTC))
    contest, _ = await arranged(real, said)
    contests = real.pg_store.contests
    assert not await contests.advance(), "arranging has advanced it"
    states = [
        event.object.data for event in await contests.events(contest.id, 0, 100) if event.object.type is EventType.STATE
    ]
    first, *_, last = states
    assert first is not None
    assert last is not None
    assert set(first.values()) == {None}
    assert len(states) == 5, "made, started, frozen, ended, thawed"
    assert said.start_at is not None
    assert dt.datetime.fromisoformat(last["frozen_at"]) - dt.datetime.fromisoformat(last["started_at"]) == dt.timedelta(
        hours=4
    )
    assert (last["finalized_at"], last["end_of_updates_at"]) == (None, None)


async def test_a_solved_mark_waits_for_the_thaw(real: PgLab) -> None:
    contest, mine = await arranged(real, rules())
    await judged(real, mine, Verdict.ACCEPTED)
    assert real.rows("SELECT user_id FROM solved") == []
    await real.pg_store.contests.change_contest(
        contest.id,
        replace(contest.rules, duration_ms=60_000, freeze_ms=0, thaw_at=dt.datetime.now(dt.UTC)),
        by=by(contest),
    )
    await real.pg_store.contests.advance()
    assert real.rows("SELECT user_id FROM solved") == [{"user_id": mine.user_id}]


async def test_finalizing_needs_an_end_verdicts_and_answers(real: PgLab) -> None:
    contest, mine = await arranged(real, rules())
    contests = real.pg_store.contests

    async def finalize() -> Contest | ContestRefusal:
        last = (await contests.events(contest.id, 0, 1000))[-1].number
        return await contests.finalize(
            contest.id, [ContestObject(EventType.AWARDS, "winner", {})], last, by=by(contest)
        )

    assert await finalize() is ContestRefusal.NOT_OVER
    job_id = await send(real.store, mine)
    question = await contests.clarify(contest.id, ClarificationDraft(from_team_id="t-alice", text="why?"))
    assert question == "1"
    await contests.change_contest(
        contest.id, replace(contest.rules, duration_ms=60_000, freeze_ms=None), by=by(contest)
    )
    await contests.advance()
    assert await finalize() is ContestRefusal.UNJUDGED
    assert await real.store.leases.finalize(await claim(real, job_id), report(), RESULT) is None
    assert await finalize() is ContestRefusal.UNANSWERED
    await contests.clarify(contest.id, ClarificationDraft(to_team_ids=("t-alice",), reply_to_id="1", text="so"))
    assert await contests.finalize(contest.id, [], 1, by=by(contest)) is ContestRefusal.UNJUDGED, (
        "there are events since"
    )
    done = await finalize()
    assert isinstance(done, Contest)
    assert await contests.advance() == [contest.id]
    assert await finalize() is ContestRefusal.FINALIZED
    last = (await ledger_of(real, contest)).state
    assert last["end_of_updates_at"] is not None


async def test_question_of_a_team_is_refused_while_as_many_as_it_may_have_are_unanswered(real: PgLab) -> None:
    contest, _ = await arranged(real, rules(), ("alice", "bob"))
    contests, full = real.pg_store.contests, ContestRefusal.QUESTIONS_FULL
    answers: list[str | ContestRefusal] = []

    async def ask(team: str = "t-alice", reply_to: str | None = None) -> None:
        question = ClarificationDraft(from_team_id=team, reply_to_id=reply_to, text="why?")
        answers.append(await contests.clarify(contest.id, question))

    await ask()
    await ask(reply_to="1")
    async with trio.open_nursery() as at_once:
        for _ in range(MAX_QUESTIONS):
            at_once.start_soon(ask)
    assert answers.count(full) == 2
    await contests.clarify(contest.id, ClarificationDraft(text="Lunch is at noon."))
    await ask("t-bob")
    await ask(reply_to="1")
    assert [one is full for one in answers[-2:]] == [False, True], "its own words are no answer"
    for _ in range(2):
        await contests.clarify(contest.id, ClarificationDraft(reply_to_id="2", text="so"))
    answers.clear()
    for _ in range(3):
        await ask()
    assert [one is full for one in answers] == [False, False, True], "the answer is one to both"


@pytest.mark.parametrize("key", ["", "../x", "a b", "x" * 37, ".x"])
async def test_keys_are_ids_of_the_contest_api(real: PgLab, key: str) -> None:
    director = await new_user(real.store, "director")
    with pytest.raises(Exception, match="contests_key"):
        await real.pg_store.contests.create_contest(key, ContestKind.ICPC, rules(), by=director)


async def test_a_verdict_after_the_contest_was_removed_is_written(real: PgLab) -> None:
    contest, mine = await arranged(real, rules())
    job_id = await send(real.store, mine)
    assert await real.pg_store.contests.remove_contest(contest.id, by=by(contest))
    won = await claim(real, job_id)
    assert await real.store.leases.finalize(won, report(), RESULT) is None


async def test_what_has_happened_is_not_moved(real: PgLab) -> None:
    contest, _ = await arranged(real, rules(started_min=250))
    contests = real.pg_store.contests

    async def change(**changes: Any) -> Contest | ContestRefusal:
        (now,) = [one for one in await contests.contests(None, sees_all=True, limit=9) if one.id == contest.id]
        done = await contests.change_contest(contest.id, replace(now.rules, **changes), by=by(contest))
        await contests.advance()
        return done

    assert await change(start_at=dt.datetime.now(dt.UTC)) is ContestRefusal.HAS_STARTED
    for later in ({"freeze_ms": None}, {"duration_ms": 6 * HOUR_MS}, {"freeze_ms": 0}):
        assert await change(**later) is ContestRefusal.HAS_HAPPENED, "it is frozen"
    assert isinstance(await change(duration_ms=6 * HOUR_MS, freeze_ms=2 * HOUR_MS), Contest), "the freeze stays"
    assert isinstance(await change(duration_ms=4 * HOUR_MS, freeze_ms=0), Contest), "it ends now"
    assert await change(duration_ms=6 * HOUR_MS, freeze_ms=2 * HOUR_MS) is ContestRefusal.HAS_HAPPENED, "it is over"
    last = (await contests.events(contest.id, 0, 1000))[-1].number
    assert isinstance(await contests.finalize(contest.id, [], last, by=by(contest)), Contest)
    assert await change(name="Other finals") is ContestRefusal.FINALIZED
    assert isinstance(await change(thaw_at=dt.datetime.now(dt.UTC)), Contest), "the thaw may come after the results"
    assert await change(thaw_at=None) is ContestRefusal.HAS_HAPPENED
    assert (await ledger_of(real, contest)).state["end_of_updates_at"] is not None


async def test_a_rejudge_after_the_contest_was_finalized_is_no_event(real: PgLab) -> None:
    contest, mine = await arranged(real, rules())
    contests = real.pg_store.contests
    job_id = await judged(real, mine, Verdict.WRONG_ANSWER)
    await contests.change_contest(
        contest.id, replace(contest.rules, duration_ms=60_000, freeze_ms=None), by=by(contest)
    )
    await contests.advance()
    last = (await contests.events(contest.id, 0, 1000))[-1].number
    assert isinstance(await contests.finalize(contest.id, [], last, by=by(contest)), Contest)
    await contests.advance()
    before = await contests.events(contest.id, 0, 1000)
    await real.store.rejudges.rejudge(job_id, None, by="director", in_full=True, stream_key="deepoj:jobs")
    assert await real.store.leases.finalize(await claim(real, job_id, entry_id="2-1"), report(), RESULT) is None
    assert await contests.events(contest.id, 0, 1000) == before
    assert real.rows("SELECT user_id FROM solved") == [{"user_id": mine.user_id}], "practice counts what it found"


async def test_a_discarded_dead_letter_is_a_judgement_and_a_dead_one_is_none(real: PgLab) -> None:
    contest, mine = await arranged(real, rules())
    job_id = await send(real.store, mine)
    for number in range(MAX_ATTEMPTS):
        await claim(real, job_id, entry_id=f"{number}-1", lease_s=1.0)
        real.sql("UPDATE submissions SET lease_until = now() - interval '1 s'")
    await real.store.leases.claim([entry(job_id, "9-1")], "node", LEASE_S, MAX_ATTEMPTS)
    letter = await real.store.letters.dead_letter(job_id)
    assert letter is not None
    assert not (await ledger_of(real, contest)).of(EventType.JUDGEMENTS)
    decided = await real.store.letters.decide(
        Decision.DISCARD, job_id, letter.attempt_id, by="director", note="", stream_key="deepoj:jobs"
    )
    assert isinstance(decided, Decided)
    (judgement,) = (await ledger_of(real, contest)).of(EventType.JUDGEMENTS).values()
    assert (judgement["verdict"], judgement["is_current"], judgement["runs"]) == ("System Error", True, ())


async def test_practice_and_contests_share_no_answer_to_a_submission(real: PgLab) -> None:
    """The same code waits as practice already: it is a submission of its own in the contest, and so is its key."""
    contest, mine = await arranged(real, rules(started_min=-10))
    practice = await send(real.store, replace(mine, contest_id=None, idempotency_key="one"))
    await real.pg_store.contests.change_contest(contest.id, rules(), by=by(contest))
    assert await submit(real.store, replace(mine, idempotency_key="one")) is SubmitRefusal.IDEMPOTENCY_KEY_REUSED
    job_id = await send(real.store, mine)
    assert job_id != practice
    assert await send(real.store, mine) == job_id, "but twice in the contest is once"


async def test_the_ledger_is_neither_changed_nor_shortened(real: PgLab) -> None:
    contest, _ = await arranged(real, rules())
    for statement in ("UPDATE contest_events SET object_id = 'x'", "DELETE FROM contest_events WHERE number = 1"):
        with pytest.raises(Exception, match="append-only"):
            real.sql(statement)
    assert await real.pg_store.contests.remove_contest(contest.id, by=by(contest))
    assert real.rows("SELECT number FROM contest_events") == []
    assert not await real.pg_store.contests.remove_contest(contest.id, by=by(contest))


async def test_accounts_of_an_import_whose_answer_was_lost_are_created_once(
    real: PgLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    contest, _ = await arranged(real, rules())
    members = [ContestMember("crow", "t-new"), ContestMember("alice", "t-new")]
    lose_first_answers(real, monkeypatch)
    new = NewMembers([NewAccount("crow", "h1")], "root")
    put = real.pg_store.contests.put_objects
    assert await put(contest.id, [team("t-new")], members, by=by(contest), new=new) == frozenset()
    monkeypatch.undo()
    accounts = (await ledger_of(real, contest)).of(EventType.ACCOUNTS).values()
    assert [data["team_id"] for data in accounts] == ["t-new"] * 2
    other = NewMembers([NewAccount("crow", "h2")], "root")
    assert await put(contest.id, [], members, by=by(contest), new=other) == frozenset({"crow"})


async def test_a_deleted_team_has_no_accounts(real: PgLab) -> None:
    contest, mine = await arranged(real, rules())
    gone = ContestObject(EventType.TEAMS, "t-alice", None)
    assert await real.pg_store.contests.put_objects(contest.id, [gone], by=by(contest)) == frozenset()
    assert await submit(real.store, mine) is SubmitRefusal.NOT_IN_CONTEST
    assert not (await ledger_of(real, contest)).of(EventType.ACCOUNTS)


async def test_retention_and_deletion_spare_what_a_contest_has(real: PgLab, tmp_path: Path) -> None:
    contest, mine = await arranged(real, rules())
    job_id = await judged(real, mine, Verdict.ACCEPTED)
    practice = await judged(real, draft(await new_user(real.store, "bob"), mine.problem_id), Verdict.ACCEPTED)
    real.advance(86_400)
    settings = RetentionSettings(3600.0, 10, True)
    assert (await retain(real.store.retention, settings, Metrics())).deleted == 1
    assert await real.store.submissions.submission(practice) is None
    home = house_on(tmp_path, real.store)
    path = f"/api/v1/problems/{mine.problem_id}?force=true"
    answer = await home.ask("DELETE", path, token=await home.token("root", is_admin=True))
    assert (answer.status_code, (await answer.json)["code"]) == (409, "PROBLEM_IN_CONTEST")
    assert await real.pg_store.contests.remove_contest(contest.id, by=by(contest))
    assert await real.store.submissions.submission(job_id) is not None
    assert await real.store.problems.delete_problem(mine.problem_id) is ProblemRefusal.HAS_SUBMISSIONS
    assert (await retain(real.store.retention, settings, Metrics())).deleted == 1


async def test_a_contest_that_breaks_keeps_back_no_other(real: PgLab) -> None:
    director = await new_user(real.store, "director")
    broken, good = [await new_contest(real, director, rules(), key) for key in ("broken", "good")]
    real.sql(
        "CREATE FUNCTION breaks() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken'; END $$; "
        f"CREATE TRIGGER breaks BEFORE UPDATE ON contests FOR EACH ROW WHEN (NEW.id = {broken.id}) "
        "EXECUTE FUNCTION breaks()"
    )
    metrics = Metrics()
    loop = AdvanceContests(contests=real.pg_store.contests, metrics=metrics)
    assert await real.pg_store.contests.standing() == ContestStanding((broken.id, good.id), 0, 4)
    for _ in range(2):
        await loop.once()
    assert (await ledger_of(real, good)).state["started_at"] is not None
    assert await real.pg_store.contests.standing() == ContestStanding((broken.id,), 1, 5)
    assert metrics.contest_advance.labels(result="error")._value.get() == 2
    real.sql("DROP FUNCTION breaks CASCADE")
    await loop.once()
    assert await real.pg_store.contests.standing() == ContestStanding((), 2, 6)


@pytest.mark.parametrize(
    ("tampering", "object_"),
    [
        ("UPDATE submissions SET status = 'Wrong Answer', result = '{\"status\": \"Wrong Answer\"}'", "judgement"),
        ("UPDATE submissions SET contest_team = 't-bob'", "submission"),
        ("UPDATE submissions SET contest_id = NULL", "submission"),
        ("INSERT INTO contest_problems SELECT contest_id, problem_id + 0, 'B' FROM contest_problems", "problem"),
        ("UPDATE contest_members SET team_id = 't-bob'", "account"),
        ("UPDATE contests SET duration_ms = duration_ms + 1", "contest"),
        ("UPDATE contests SET started_at = NULL", "state"),
        ("UPDATE contest_counters SET last = last + 1", "numbers"),
        (
            "ALTER TABLE contest_events DISABLE TRIGGER USER; DELETE FROM contest_events WHERE type = 'judgements'",
            "judgement",
        ),
    ],
)
async def test_the_audit_names_each_difference_of_ledger_and_rows(real: PgLab, tampering: str, object_: str) -> None:
    contest, mine = await arranged(real, rules())
    job_id = await judged(real, mine, Verdict.WRONG_ANSWER)
    await real.store.rejudges.rejudge(job_id, None, by="director", in_full=True, stream_key="deepoj:jobs")
    won = await claim(real, job_id, entry_id="2-1")
    assert await real.store.leases.finalize(won, report(), {"status": "Accepted"}) is None
    assert AuditFault.CONTEST_DIFFERS not in (await audit(real.store.audit)).by_fault
    if "contest_problems" in tampering:
        tampering = tampering.replace("problem_id + 0", str((await new_problem(real.store)).id))
    real.sql(tampering)
    since = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    outcome = await audit(real.store.audit, since=since.isoformat())
    real.sql("ALTER TABLE contest_events ENABLE TRIGGER USER")  # other tests use the database
    assert outcome.by_fault[AuditFault.CONTEST_DIFFERS] >= 1
    details = [found.detail for found in outcome.found if found.fault is AuditFault.CONTEST_DIFFERS]
    assert any(f"contest {contest.key}, {object_}" in detail for detail in details), details


async def test_a_contest_does_not_wait_for_a_flood_of_practice(real: PgLab) -> None:
    _, mine = await arranged(real, rules())
    problem = await new_problem(real.store)
    for number in range(30):
        await send(real.store, draft(await new_user(real.store, f"u{number}"), problem.id))
    job_id = await send(real.store, mine)
    for _ in range(2):  # also when a node has given it back
        (event,) = await real.store.outbox.take_outbox(1, 0.5, 10.0)
        assert (event.job_id, event.priority) == (job_id, Priority.CONTEST)
        await real.store.outbox.mark_delivered([(event.id, "1-0")])
        won = await claim(real, job_id)
        assert await real.store.leases.give_back(won, reason="drain", counts=False) is None
    won = await claim(real, job_id)
    assert await real.store.leases.finalize(won, report(), RESULT) is None
    await real.store.rejudges.rejudge(job_id, None, by="director", in_full=True, stream_key="deepoj:jobs")
    events = real.rows(f"SELECT priority FROM outbox_events WHERE job_id = '{job_id}' ORDER BY id")
    assert [row["priority"] for row in events] == [1, 1, 1, -2]
