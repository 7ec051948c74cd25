"""Solved marks and active days: how each road of a submission changes them."""

from __future__ import annotations

import datetime as dt

import pytest
import trio

from deepoj.adapters.pg.sql_files import read_migrations, sql_root
from deepoj.words.jobs import State
from deepoj.words.ledger import Decided, Decision
from deepoj.words.problems import Problem
from deepoj.words.rejudges import Rejudged
from deepoj.words.results import Verdict
from tests.contract.labs import (
    LEASE_S,
    MAX_ATTEMPTS,
    NODE,
    SOON_S,
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
    until_somebody_waits_for_a_lock,
)
from tests.contract.test_store_rejudges import KEY, finish, rejudge

DAY_S = 86_400.0
AC, WA = Verdict.ACCEPTED, Verdict.WRONG_ANSWER


class Scene:
    """A user and a problem."""

    def __init__(self, lab: Lab, user_id: int, problem: Problem) -> None:
        self.lab, self.user_id, self.problem = lab, user_id, problem
        self._sent = 0

    async def sent(self) -> str:
        self._sent += 1
        self.lab.advance(10)
        return await send(self.lab.store, draft(self.user_id, self.problem.id, f"// {self._sent}"))

    async def judged(self, verdict: Verdict) -> str:
        job_id = await self.sent()
        await finish(self.lab, job_id, verdict)
        return job_id

    async def rejudged(self, job_id: str, verdict: Verdict) -> None:
        assert isinstance(await rejudge(self.lab, job_id), Rejudged)
        await finish(self.lab, job_id, verdict)

    async def is_solved(self) -> bool:
        marks = self.lab.store.marks
        count = await marks.count_solved(self.user_id, viewer=self.user_id)
        assert await marks.solved_of(self.user_id, [self.problem.id, 1]) == ({self.problem.id} if count else set())
        listed = await marks.solved_problems(self.user_id, 0, 9, viewer=self.user_id)
        assert [(one.problem_id, one.title) for one in listed] == [(self.problem.id, self.problem.title)] * count
        return count == 1

    async def dies(self, job_id: str) -> int:
        """Let the job use up its attempts, and return the last."""
        attempt_id = 0
        for attempt in range(MAX_ATTEMPTS):
            attempt_id = (await claim(self.lab, job_id, entry_id=f"{attempt}-7")).attempt_id
            self.lab.advance(LEASE_S + 1)
        await self.lab.store.leases.claim([entry(job_id, "9-7")], NODE, LEASE_S, MAX_ATTEMPTS)
        found = await self.lab.store.submissions.submission(job_id)
        assert found is not None
        assert found.state is State.DEAD
        return attempt_id

    async def retained(self) -> None:
        """Let retention delete what is finished."""
        retention = self.lab.store.retention
        found = await retention.expired(0, 0.0, 100)
        assert await retention.delete_expired(found.row_ids, 0.0) == len(found.row_ids) > 0


@pytest.fixture
async def scene(lab: Lab) -> Scene:
    return Scene(lab, await new_user(lab.store), await new_problem(lab.store))


async def test_an_accepted_verdict_marks_its_user_and_problem_alone(scene: Scene) -> None:
    await scene.judged(WA)
    assert not await scene.is_solved()
    await scene.judged(AC)
    await scene.judged(WA)
    assert await scene.is_solved()
    other = Scene(scene.lab, await new_user(scene.lab.store, "bob"), scene.problem)
    assert not await other.is_solved()


async def test_a_refused_finalize_marks_nothing(scene: Scene) -> None:
    job_id = await scene.sent()
    won = await claim(scene.lab, job_id)
    scene.lab.advance(LEASE_S + 1)
    assert await scene.lab.store.leases.finalize(won, report(AC), {}) is not None
    assert not await scene.is_solved()
    assert await scene.lab.store.marks.active_days(scene.user_id, 365) == []


async def test_the_first_accepted_submission_counts_whichever_ends_first(scene: Scene) -> None:
    first, second = await scene.sent(), await scene.sent()
    await finish(scene.lab, second, AC)
    (late,) = await scene.lab.store.marks.solved_problems(scene.user_id, 0, 9, viewer=None)
    await finish(scene.lab, first, AC)
    (early,) = await scene.lab.store.marks.solved_problems(scene.user_id, 0, 9, viewer=None)
    assert early.solved_at < late.solved_at


async def test_a_rejudge_takes_the_mark_away_when_it_ends_and_can_give_it_back(scene: Scene) -> None:
    job_id = await scene.judged(AC)
    assert isinstance(await rejudge(scene.lab, job_id), Rejudged)
    assert await scene.is_solved(), "the verdict before holds until there is another"
    await finish(scene.lab, job_id, WA)
    assert not await scene.is_solved()
    await scene.rejudged(job_id, AC)
    assert await scene.is_solved()
    await scene.rejudged(job_id, AC)
    assert await scene.is_solved()


async def test_another_accepted_submission_keeps_the_mark(scene: Scene) -> None:
    first, second, third = [await scene.judged(AC) for _ in range(3)]
    await scene.rejudged(second, WA)
    await scene.rejudged(first, WA)
    assert await scene.is_solved()
    await scene.rejudged(third, Verdict.RUNTIME_ERROR)
    assert not await scene.is_solved()


async def test_a_dead_letter_keeps_the_mark_until_it_is_decided(scene: Scene) -> None:
    letters = scene.lab.store.letters
    job_id = await scene.judged(AC)
    for verdict, is_solved in ((AC, True), (WA, False)):
        assert isinstance(await rejudge(scene.lab, job_id), Rejudged)
        attempt_id = await scene.dies(job_id)
        assert await scene.is_solved()
        decided = await letters.decide(Decision.REQUEUE, job_id, attempt_id, by="root", note="", stream_key=KEY)
        assert isinstance(decided, Decided)
        assert await scene.is_solved()
        await finish(scene.lab, job_id, verdict)
        assert await scene.is_solved() is is_solved
    assert [one.submissions for one in await scene.lab.store.marks.active_days(scene.user_id, 365)] == [1]


async def test_a_discarded_rejudge_takes_the_mark_away(scene: Scene) -> None:
    job_id = await scene.judged(AC)
    assert isinstance(await rejudge(scene.lab, job_id), Rejudged)
    attempt_id = await scene.dies(job_id)
    letters = scene.lab.store.letters
    decided = await letters.decide(Decision.DISCARD, job_id, attempt_id, by="root", note="", stream_key=KEY)
    assert isinstance(decided, Decided)
    assert not await scene.is_solved()


async def test_retention_keeps_the_mark_for_good(scene: Scene) -> None:
    await scene.judged(AC)
    await scene.retained()
    assert await scene.is_solved()
    later = await scene.judged(AC)
    await scene.rejudged(later, WA)
    assert await scene.is_solved()


async def test_retention_of_a_later_accepted_submission_keeps_the_mark_of_a_rejudged_one(scene: Scene) -> None:
    first = await scene.judged(AC)
    await scene.judged(AC)
    assert isinstance(await rejudge(scene.lab, first), Rejudged)
    await scene.retained()
    await finish(scene.lab, first, WA)
    assert await scene.is_solved()


async def test_retention_of_wrong_answers_settles_nothing(scene: Scene) -> None:
    first = await scene.judged(AC)
    await scene.judged(WA)
    assert isinstance(await rejudge(scene.lab, first), Rejudged)
    await scene.retained()
    await finish(scene.lab, first, WA)
    assert not await scene.is_solved()


async def test_marks_go_with_the_problem(scene: Scene) -> None:
    problems = scene.lab.store.problems
    await scene.judged(AC)
    await problems.delete_submissions_of(scene.problem.id, 10)
    assert await problems.delete_problem(scene.problem.id) is None
    assert not await scene.is_solved()


async def test_days_count_submissions_with_a_verdict_once(scene: Scene) -> None:
    marks = scene.lab.store.marks
    job_id = await scene.judged(AC)
    await scene.judged(WA)
    await scene.sent()
    assert [one.submissions for one in await marks.active_days(scene.user_id, 365)] in ([2], [1, 1])
    await scene.rejudged(job_id, WA)
    await scene.retained()
    (*_, last) = await marks.active_days(scene.user_id, 365)
    assert isinstance(last.day, dt.date)
    assert sum(one.submissions for one in await marks.active_days(scene.user_id, 365)) == 2
    assert await marks.active_days(scene.user_id, 0) == []
    assert await marks.active_days(scene.user_id + 1, 365) == []


async def test_verdicts_are_counted_of_the_latest_submissions(scene: Scene) -> None:
    marks = scene.lab.store.marks
    for verdict in (AC, WA, WA, AC, WA):
        await scene.judged(verdict)
    await scene.sent()
    assert await marks.user_verdicts(scene.user_id, 100) == [("Wrong Answer", 3), ("Accepted", 2)]
    assert await marks.user_verdicts(scene.user_id, 3) == [("Accepted", 1), ("Wrong Answer", 1)]


async def test_a_rejudge_that_waits_for_an_accepted_verdict_sees_it(real: PgLab) -> None:
    scene = Scene(real, await new_user(real.store), await new_problem(real.store))
    first = await scene.judged(AC)
    assert isinstance(await rejudge(real, first), Rejudged)
    second = await scene.sent()
    await claim(real, second)
    accept = (
        "UPDATE submissions SET state = 'done', status = 'Accepted', result = '{}', lease_owner = NULL,"
        f" lease_until = NULL WHERE job_id = '{second}'"
    )
    async with holding(real, accept) as end, trio.open_nursery() as nursery:
        nursery.start_soon(finish, real, first, WA)
        await until_somebody_waits_for_a_lock(real)
        end("commit")
    assert await scene.is_solved()
    await scene.rejudged(second, WA)
    assert not await scene.is_solved()


async def test_the_migration_marks_what_was_solved_before(real: PgLab) -> None:
    scene = Scene(real, await new_user(real.store), await new_problem(real.store))
    await scene.judged(WA)
    first = await scene.judged(AC)
    await scene.judged(AC)
    await rejudge(real, await scene.judged(WA))
    await scene.sent()
    marks = "SELECT job_id::text, is_settled FROM solved"
    days = "SELECT sum(submissions) FROM daily_activity"
    assert (real.rows(marks), real.sql(days)) == ([{"job_id": first, "is_settled": False}], "4")
    migration = next(one for one in read_migrations(sql_root()) if one.name == "add_solved_marks")
    real.sql(migration.rollback_sql)
    real.sql(migration.sql)
    assert (real.rows(marks), real.sql(days)) == ([{"job_id": first, "is_settled": False}], "4")
    real.sql(migration.sql)
    assert real.sql(days) == "4", "again, without harm"
    await scene.judged(AC)
    assert real.sql(days) == "5"


async def test_verdicts_go_on_while_the_migration_reads_and_are_marked(real: PgLab) -> None:
    """It is held before the lock of its triggers, after it has read all submissions."""
    scene = Scene(real, await new_user(real.store), await new_problem(real.store))
    unsolved = await scene.judged(WA)
    waiting = await scene.sent()
    won = await claim(real, waiting)
    migration = next(one for one in read_migrations(sql_root()) if one.name == "add_solved_marks")
    real.sql(migration.rollback_sql)
    held = migration.sql.replace("FOR tried IN", "PERFORM pg_advisory_xact_lock(26); FOR tried IN")
    assert held != migration.sql

    async def migrate() -> None:
        async with holding(real, held) as end_migration:
            end_migration("commit")

    async with holding(real, "SELECT pg_advisory_xact_lock(26)") as end, trio.open_nursery() as nursery:
        nursery.start_soon(migrate)
        with trio.fail_after(SOON_S):
            while real.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") == "0":
                await trio.sleep(0.01)
        assert await real.store.leases.finalize(won, report(AC), {"status": "Accepted"}) is None
        await scene.rejudged(unsolved, AC)
        real.sql(f"UPDATE submissions SET created_at = created_at + interval '1 hour' WHERE job_id = '{unsolved}'")
        end("rollback")
    assert real.rows("SELECT job_id::text, is_settled FROM solved") == [{"job_id": waiting, "is_settled": False}]
    assert real.sql("SELECT sum(submissions) FROM daily_activity") == "2"
    await scene.judged(AC)
    assert real.sql("SELECT sum(submissions) FROM daily_activity") == "3"
