"""Contests under concurrent writers: the numbers of events, the order in which locks are taken, and solved marks."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import trio

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.pg import PgStore
from deepoj.words.contests import (
    ClarificationDraft,
    Contest,
    ContestEvent,
    ContestMember,
    ContestProblem,
    EventType,
)
from deepoj.words.previews import Preview
from deepoj.words.rejudges import EVERYTHING
from deepoj.words.results import Verdict
from deepoj.words.submissions import Draft
from tests.contract.labs import (
    PgLab,
    claim,
    draft,
    holding,
    new_problem,
    new_user,
    report,
    send,
    until_somebody_waits_for_a_lock,
)
from tests.contract.test_store_contests import RESULT, by, judged, new_contest, rules, team
from tests.contract.test_store_previews import AC, WA, Scene
from tests.fakes.ports import Store

KEY = "deepoj:jobs"


@dataclass(frozen=True)
class Two:
    """Two contests that run, with the same two problems, and one account that is in a team of both."""

    real: PgLab
    contests: tuple[Contest, Contest]
    problems: tuple[int, int]
    user_id: int
    director: int

    def draft(self, contest: int, problem: int, code: str = "int main(){}") -> Draft:
        one = draft(self.user_id, self.problems[problem], code)
        return replace(one, contest_id=self.contests[contest].id)

    async def change(self, contest: int, **changes: Any) -> Contest:
        now = self.contests[contest]
        done = await self.real.pg_store.contests.change_contest(now.id, replace(now.rules, **changes), by=self.director)
        assert isinstance(done, Contest), done
        return done

    async def events(self, contest: int) -> list[ContestEvent]:
        return await self.real.pg_store.contests.events(self.contests[contest].id, 0, 10_000)


async def two_contests(real: PgLab) -> Two:
    director, user_id = await new_user(real.store, "director"), await new_user(real.store)
    problems = (await new_problem(real.store)).id, (await new_problem(real.store)).id
    contests = await new_contest(real, director, rules(), "one"), await new_contest(real, director, rules(), "two")
    store = real.pg_store.contests
    for contest in contests:
        members = [ContestMember("alice", "t")]
        assert await store.put_objects(contest.id, [team("t")], members, by=director) == frozenset()
        for number, problem_id in enumerate(problems):
            shown = ContestProblem(label="AB"[number], problem_id=problem_id, ordinal=number)
            assert await store.put_problem(contest.id, shown, by=director) is None
    await store.advance()
    return Two(real, contests, problems, user_id, director)


async def test_two_nodes_that_take_a_key_at_once_answer_with_one_submission(real: PgLab, bridge: AioBridge) -> None:
    """The second one waits for the key, and then sees a submission that is newer than its statement."""
    two = await two_contests(real)
    mine = replace(two.draft(0, 0), idempotency_key="one")
    answers: list[str] = []

    async def one(store: Store) -> None:
        answers.append(await send(store, mine))

    async with (
        PgStore.open(bridge, real.server.dsn(real.database), max_conns=2) as other,
        holding(real, f"SELECT lock_submission_key({two.user_id}, 'one')") as end,
        trio.open_nursery() as nursery,
    ):
        for store in (real.store, other):
            nursery.start_soon(one, store)
        await until_somebody_waits_for_a_lock(real, 2)
        end("commit")
    assert len(answers) == 2
    assert len(set(answers)) == 1


async def test_a_reader_sees_every_number_before_the_next_while_all_write_at_once(real: PgLab) -> None:
    two = await two_contests(real)
    contests, rejudges, writing = real.pg_store.contests, real.pg_store.rejudges, trio.Event()
    seen: list[list[int]] = [[], []]

    async def read(contest: int) -> None:
        while True:
            is_last = writing.is_set()
            last = seen[contest][-1] if seen[contest] else 0
            events = await contests.events(two.contests[contest].id, last, 7)
            seen[contest] += [event.number for event in events]
            if is_last and not events:
                return

    async def judge(contest: int, problem: int) -> None:
        for number in range(8):
            job_id = await judged(real, two.draft(contest, problem, f"// {contest} {problem} {number}"), AC)
            await rejudges.rejudge(job_id, None, by="director", in_full=True, stream_key=KEY)
            won = await claim(real, job_id, entry_id=f"{job_id}-2")
            assert await real.store.leases.finalize(won, report(WA), RESULT) is None

    async def rejudge(problem: int) -> None:
        for _ in range(4):
            assert await rejudges.order_rejudge(problem, by="director", in_full=False, scope=EVERYTHING)
            while await rejudges.go_on_rejudging(3, KEY) is not None:
                await trio.lowlevel.checkpoint()

    async def change(contest: int) -> None:
        for number in range(8):
            await two.change(contest, name=f"Finals {number}", thaw_at=dt.datetime.now(dt.UTC))
            await contests.clarify(two.contests[contest].id, ClarificationDraft(text="hello"))
            await contests.advance()

    async with trio.open_nursery() as readers:
        for contest in range(2):
            readers.start_soon(read, contest)
        async with trio.open_nursery() as writers:
            for contest in range(2):
                writers.start_soon(change, contest)
                for problem in range(2):
                    writers.start_soon(judge, contest, problem)
            writers.start_soon(rejudge, two.problems[0])
        writing.set()
    for numbers in seen:
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) > 70


async def test_rejudges_over_two_contests_lock_their_counters_in_one_order(real: PgLab) -> None:
    """Each problem has a submission in each contest, and those of the second problem are older in the other contest."""
    two = await two_contests(real)
    for contest, problem in ((0, 0), (1, 0), (1, 1), (0, 1)):
        await judged(real, two.draft(contest, problem), WA)
    before = len(await two.events(0)), len(await two.events(1))
    rejudges = real.pg_store.rejudges
    for problem in two.problems:
        assert await rejudges.order_rejudge(problem, by="director", in_full=False, scope=EVERYTHING)
    held = f"SELECT last FROM contest_counters WHERE contest_id = {two.contests[0].id} FOR UPDATE"
    async with holding(real, held) as end, trio.open_nursery() as nursery:
        nursery.start_soon(rejudges.go_on_rejudging, 9, KEY)
        nursery.start_soon(rejudges.go_on_rejudging, 9, KEY)
        await until_somebody_waits_for_a_lock(real, 2)
        end("commit")
    assert (len(await two.events(0)), len(await two.events(1))) == (before[0] + 2, before[1] + 2)


async def test_an_event_takes_no_counter_before_the_row_of_its_contest(real: PgLab) -> None:
    """The clock holds the row of a contest when it asks for its counter."""
    two = await two_contests(real)
    await seen_to_take_no_counter(
        real, two.contests[0], partial(real.pg_store.account_data.erase, two.user_id, by=None)
    )


async def test_events_of_two_contests_take_no_counter_before_the_rows_of_both(real: PgLab) -> None:
    two = await two_contests(real)
    for contest in range(2):
        await judged(real, two.draft(contest, 0), WA)
    rejudges = real.pg_store.rejudges
    assert await rejudges.order_rejudge(two.problems[0], by="director", in_full=False, scope=EVERYTHING)
    await seen_to_take_no_counter(real, two.contests[1], partial(rejudges.go_on_rejudging, 9, KEY))


async def seen_to_take_no_counter(real: PgLab, held: Contest, write: Callable[[], Awaitable[object]]) -> None:
    """Hold the row of a contest while events are written to it, and see that all counters are free."""
    row = f"SELECT * FROM contests WHERE id = {held.id} FOR UPDATE"
    async with trio.open_nursery() as nursery, holding(real, row) as end:
        nursery.start_soon(write)
        await until_somebody_waits_for_a_lock(real)
        assert len(real.rows("SELECT contest_id FROM contest_counters FOR UPDATE NOWAIT")) == 2
        end("commit")


async def test_an_applied_preview_ends_the_old_judgement_and_tells_the_new_one(real: PgLab) -> None:
    two = await two_contests(real)
    job_ids = [await judged(real, two.draft(contest, 0), WA) for contest in range(2)]
    scene = Scene(real, two.director, two.problems[0], job_ids)
    preview = await scene.ready(AC, WA)
    before = len(await two.events(0))
    await scene.applied(preview)
    old, new = [event.object for event in (await two.events(0))[before:]]
    assert (old.type, new.type) == (EventType.JUDGEMENTS, EventType.JUDGEMENTS)
    assert old.data is not None
    assert new.data is not None
    assert (old.data["verdict"], old.data["is_current"]) == ("Wrong Answer", False)
    assert (new.data["verdict"], new.data["is_current"]) == ("Accepted", True)
    assert new.id.endswith("-2")
    assert old.id == new.id[:-1] + "1"


async def test_applying_a_preview_and_advancing_do_not_wait_for_each_other(real: PgLab) -> None:
    """Apply holds solved marks when it asks for the contest's row; the thaw holds that row and asks for no mark."""
    two = await two_contests(real)
    job_ids = [
        await judged(real, replace(two.draft(0, 0), contest_id=None, user_id=await new_user(real.store, "bob")), AC)
    ]
    job_ids += [await judged(real, two.draft(0, 0), AC)]
    scene = Scene(real, two.director, two.problems[0], job_ids)
    preview = await scene.ready(WA, AC)
    await two.change(0, duration_ms=60_000, freeze_ms=0, thaw_at=dt.datetime.now(dt.UTC))
    applied: list[object] = []

    async def apply() -> None:
        applied.append(await scene.apply(preview))

    held = f"SELECT * FROM contests WHERE id = {two.contests[0].id} FOR UPDATE"
    async with holding(real, held) as end, trio.open_nursery() as nursery:
        nursery.start_soon(real.pg_store.contests.advance)
        await until_somebody_waits_for_a_lock(real)  # it is the first to get the contest's row
        nursery.start_soon(apply)
        await until_somebody_waits_for_a_lock(real, 2)
        end("commit")
    assert isinstance(applied[0], Preview)
    assert real.rows("SELECT user_id FROM solved") == [{"user_id": two.user_id}]


async def test_a_verdict_that_is_written_during_the_thaw_has_its_mark(real: PgLab) -> None:
    """The verdict has read that marks are hidden, and is committed after the thaw has begun."""
    two = await two_contests(real)
    job_id = await send(real.store, two.draft(0, 0))
    won = await claim(real, job_id)
    await two.change(0, duration_ms=60_000, freeze_ms=0, thaw_at=dt.datetime.now(dt.UTC))
    held = f"SELECT * FROM contest_counters WHERE contest_id = {two.contests[0].id} FOR UPDATE"
    async with trio.open_nursery() as nursery, holding(real, held) as end:
        nursery.start_soon(lambda: real.store.leases.finalize(won, report(), RESULT))
        await until_somebody_waits_for_a_lock(real)  # the verdict is written, and its event waits
        nursery.start_soon(real.pg_store.contests.advance)
        await until_somebody_waits_for_a_lock(real, 2)
        end("commit")
    assert real.rows("SELECT user_id FROM solved") == [{"user_id": two.user_id}]


async def test_changes_of_rules_neither_lose_nor_show_a_mark(real: PgLab) -> None:
    two = await two_contests(real)

    def marks() -> Sequence[object]:
        return real.rows("SELECT user_id FROM solved")

    await judged(real, two.draft(0, 0), AC)
    for freeze_ms in (None, 3_600_000, None):  # while it runs, with a freeze or without
        await two.change(0, freeze_ms=freeze_ms)
        await real.pg_store.contests.advance()
        assert marks() == []
    await two.change(0, duration_ms=60_000, freeze_ms=None)
    await real.pg_store.contests.advance()
    assert marks() != [], "it is over, and its board shows all"
    await judged(real, two.draft(1, 1), AC)
    await two.change(1, duration_ms=60_000, freeze_ms=60_000, thaw_at=None)
    await real.pg_store.contests.advance()
    assert len(marks()) == 1
    await real.pg_store.contests.remove_contest(two.contests[1].id, by=by(two.contests[1]))
    assert len(marks()) == 2, "a contest that is removed hides nothing any more"


async def test_many_verdicts_and_erasures_at_once_meet_no_deadlock(real: PgLab) -> None:
    two = await two_contests(real)
    names = [f"u{number}" for number in range(6)]
    users = [await new_user(real.store, name) for name in names]
    for contest in two.contests:
        members = [ContestMember(name, "t") for name in names]
        await real.pg_store.contests.put_objects(contest.id, [], members, by=two.director)

    async def judge(user_id: int) -> None:
        for number in range(4):
            for contest in range(2):
                one = replace(two.draft(contest, number % 2, f"// {number}"), user_id=user_id)
                await judged(real, one, Verdict.ACCEPTED)
        await real.pg_store.account_data.erase(user_id, by=None)

    async with trio.open_nursery() as nursery:
        for user_id in users:
            nursery.start_soon(judge, user_id)
        for _ in range(5):
            await real.pg_store.account_data.erase_sources(5)
            await real.pg_store.contests.put_objects(two.contests[0].id, [team("t")], by=two.director)
    accounts = [event.object.data for event in await two.events(0) if event.object.type is EventType.ACCOUNTS]
    shown = {data["username"] for data in accounts if data is not None}
    assert shown == {"alice", *(f"deleted-{user_id}" for user_id in users)}, "an erased name is nowhere in the ledger"
