"""The contract of ``ports.Previews`` and ``ports.PreviewLeases``: nothing changes before Apply, everything by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import trio

from deepoj.pipeline.audit import audit
from deepoj.words.admin_events import AdminAct
from deepoj.words.background import SetterQuota
from deepoj.words.jobs import State
from deepoj.words.previews import (
    KEEP_S,
    UNDECIDED_S,
    Preview,
    PreviewClaim,
    PreviewOutcome,
    PreviewRefusal,
    PreviewState,
)
from deepoj.words.problems import ProblemChange
from deepoj.words.rejudges import EVERYTHING, Rejudged, RejudgeScope, VerdictChange
from deepoj.words.results import Verdict
from deepoj.words.submissions import Submission
from tests.contract.labs import Lab, PgLab, draft, holding, new_problem, new_user, send, until_somebody_waits_for_a_lock
from tests.contract.test_store_rejudges import finish as judged
from tests.contract.test_store_rejudges import rejudge

LEASE_S, ATTEMPTS, WAIT_S = 60.0, 2, 600.0
AC, WA, TLE = Verdict.ACCEPTED, Verdict.WRONG_ANSWER, Verdict.TIME_LIMIT_EXCEEDED
CALLBACK = "https://hooks.example.org/judge"


class Scene:
    """A class of submissions to one problem, each with a verdict, and a person who previews."""

    def __init__(self, lab: Lab, by: int, problem_id: int, job_ids: Sequence[str]) -> None:
        self.lab, self.by, self.problem_id, self.job_ids = lab, by, problem_id, job_ids
        self.previews, self.leases = lab.store.previews, lab.store.preview_leases

    @classmethod
    async def of(cls, lab: Lab, *verdicts: Verdict) -> Scene:
        by, pupil, problem = await new_user(lab.store, "root"), await new_user(lab.store), await new_problem(lab.store)
        job_ids = []
        for number, verdict in enumerate(verdicts):
            one = replace(draft(pupil, problem.id, f"// {number}"), callback_url=CALLBACK)
            job_ids.append(await send(lab.store, one))
            await judged(lab, job_ids[-1], verdict, score=100.0 if verdict is AC else 0.0, tests=[number])
        return cls(lab, by, problem.id, job_ids)

    async def started(self, scope: RejudgeScope = EVERYTHING, *, in_full: bool = False) -> Preview:
        found = await self.start(scope, in_full=in_full)
        assert isinstance(found, Preview), found
        return found

    async def start(
        self, scope: RejudgeScope = EVERYTHING, *, in_full: bool = False, quota: SetterQuota | None = None
    ) -> Preview | PreviewRefusal:
        return await self.previews.start_preview(self.problem_id, by=self.by, in_full=in_full, scope=scope, quota=quota)

    async def claimed(self) -> PreviewClaim:
        found = await self.leases.claim("node", LEASE_S, ATTEMPTS, ("cpp17",))
        assert found is not None
        return found

    async def judge(self, *verdicts: Verdict) -> None:
        """Judge that many submissions of the preview, as a node does."""
        for verdict in verdicts:
            claim = await self.claimed()
            assert await self.leases.finish(claim, outcome(claim, verdict))

    async def sweep(self) -> int:
        return (await self.leases.sweep_previews(ATTEMPTS, WAIT_S, KEEP_S)).ended

    async def ready(self, *verdicts: Verdict, in_full: bool = False) -> Preview:
        preview = await self.started(in_full=in_full)
        await self.judge(*verdicts)
        assert await self.sweep() == 1
        return preview

    async def now(self, preview: Preview) -> Preview:
        found = await self.previews.preview(self.problem_id, preview.id)
        assert found is not None
        return found

    async def apply(self, preview: Preview) -> Preview | PreviewRefusal:
        return await self.previews.apply_preview(self.problem_id, preview.id, by=self.by)

    async def applied(self, preview: Preview) -> Preview:
        found = await self.apply(preview)
        assert isinstance(found, Preview), found
        assert found.state is PreviewState.APPLIED
        return found

    async def cancel(self, preview: Preview) -> Preview | PreviewRefusal:
        return await self.previews.cancel_preview(self.problem_id, preview.id, by=self.by)

    async def submission(self, number: int) -> Submission:
        found = await self.lab.store.submissions.submission(self.job_ids[number])
        assert found is not None
        return found

    async def verdicts(self) -> list[tuple[str, int]]:
        rows = [await self.submission(number) for number in range(len(self.job_ids))]
        assert {row.state for row in rows} == {State.DONE}
        return [(row.status, row.judging) for row in rows]

    async def is_audited(self) -> bool:
        return (await audit(self.lab.store.audit)).clean


def outcome(claim: PreviewClaim, verdict: Verdict) -> PreviewOutcome:
    result = {"status": verdict.value, "job_id": claim.job_id, "attempt_id": claim.base_attempt_id + 1}
    score = 100.0 if verdict is AC else 0.0
    return PreviewOutcome(
        status=verdict.value, score=score, isolation="namespaces", result=result | {"score": score, "note": "\0\ud800"}
    )


async def test_a_preview_changes_nothing_and_apply_changes_all(lab: Lab) -> None:
    scene = await Scene.of(lab, WA, AC, WA)
    before = await scene.verdicts()
    first = await scene.started()
    assert (first.state, first.submissions, first.ended, first.ordered_by) == (PreviewState.RUNNING, 3, 0, "root")
    claim = await scene.claimed()
    assert (claim.job_id, claim.code, claim.trace_id, claim.base_attempt_id) == (scene.job_ids[0], "// 0", "trace-1", 1)
    assert claim.former is not None
    assert claim.former["tests"] == [0]
    for _ in range(2):  # a second try after a lost answer
        assert await scene.leases.finish(claim, outcome(claim, AC))
    assert (await scene.now(first)).judged == 1
    assert await scene.apply(first) is PreviewRefusal.NOT_READY
    await scene.judge(TLE, WA)
    assert await scene.sweep() == 1
    ready = await scene.now(first)
    assert (ready.state, ready.ended, ready.judged, ready.changed) == (PreviewState.READY, 3, 3, 2)
    assert ready.judged_at is not None
    assert set(await scene.previews.preview_verdicts(first.id)) == {
        VerdictChange("Wrong Answer", "Accepted", 1),
        VerdictChange("Accepted", "Time Limit Exceeded", 1),
        VerdictChange("Wrong Answer", "Wrong Answer", 1),
    }
    changes = await scene.previews.preview_changes(first.id, 9)
    assert [(one.job_id, one.username, one.before, one.after) for one in changes] == [
        (scene.job_ids[1], "alice", "Accepted", "Time Limit Exceeded"),
        (scene.job_ids[0], "alice", "Wrong Answer", "Accepted"),
    ]
    assert (changes[0].score_before, changes[0].score_after, changes[0].is_applied) == (100.0, 0.0, False)
    assert len(await scene.previews.preview_changes(first.id, 1)) == 1
    assert await scene.verdicts() == before, "nothing has changed"
    assert [len(await lab.store.webhooks.webhooks_of_job(job_id, 9)) for job_id in scene.job_ids] == [1, 1, 1]

    done = await scene.applied(first)
    assert (done.applied, done.left_out, done.decided_by) == (3, 0, "root")
    assert await scene.verdicts() == [("Accepted", 2), ("Time Limit Exceeded", 2), ("Wrong Answer", 2)]
    row = await scene.submission(0)
    assert (row.attempt_id, row.result and row.result["attempt_id"]) == (2, 2)
    [kept] = await lab.store.rejudges.judgings(scene.job_ids[0], 9)
    assert (kept.judging, kept.status, kept.result["tests"]) == (1, "Wrong Answer", [0])
    events = [(one.event, one.judging, one.attempt_id, one.owner, one.outcome) for one in lab.ledger(scene.job_ids[0])]
    assert events[2:] == [
        ("rejudged", 2, 1, "root", None), ("claimed", 2, 2, "node", None), ("finalized", 2, 2, "node", "Accepted")
    ]  # fmt: skip
    assert await scene.is_audited()
    assert [len(await lab.store.webhooks.webhooks_of_job(job_id, 9)) for job_id in scene.job_ids] == [2, 2, 2]
    [mark] = await lab.store.marks.solved_problems(row.user_id, 0, 9, viewer=row.user_id)
    assert mark.problem_id == scene.problem_id
    acts = [(one.act, one.actor, dict(one.details)) for one in await lab.store.admin_events.admin_events(2)]
    assert acts == [
        (AdminAct.PREVIEW_APPLIED, "root", {"preview": first.id, "submissions": 3, "left_out": 0}),
        (AdminAct.PREVIEW_STARTED, "root", {"preview": first.id, "submissions": 3, "in_full": False}),
    ]
    assert isinstance(await rejudge(lab, scene.job_ids[0]), Rejudged), "a rejudge goes on from there"
    await judged(lab, scene.job_ids[0], WA)
    assert await scene.is_audited()


async def test_apply_at_one_moment_by_many_counts_once(lab: Lab) -> None:
    scene = await Scene.of(lab, WA, WA)
    preview = await scene.ready(AC, AC)
    found: list[object] = []

    async def apply() -> None:
        found.append(await scene.apply(preview))

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(apply)
    assert [one.applied if isinstance(one, Preview) else one for one in found] == [2, 2, 2, 2]
    assert await scene.verdicts() == [("Accepted", 2), ("Accepted", 2)]
    assert await scene.cancel(preview) is PreviewRefusal.ENDED
    assert await scene.is_audited()
    acts = [one.act for one in await lab.store.admin_events.admin_events(9)]
    assert acts == [AdminAct.PREVIEW_APPLIED, AdminAct.PREVIEW_STARTED]


async def test_what_was_rejudged_meanwhile_is_left_out(lab: Lab) -> None:
    scene = await Scene.of(lab, WA, WA, WA)
    preview = await scene.ready(AC, AC, AC)
    assert isinstance(await rejudge(lab, scene.job_ids[0]), Rejudged)
    assert isinstance(await rejudge(lab, scene.job_ids[1]), Rejudged)
    await judged(lab, scene.job_ids[1], TLE)
    done = await scene.applied(preview)
    assert (done.applied, done.left_out) == (1, 2)
    assert [one.is_applied for one in await scene.previews.preview_changes(preview.id, 9)] == [True, False, False]
    await judged(lab, scene.job_ids[0], WA)
    assert await scene.verdicts() == [("Wrong Answer", 2), ("Time Limit Exceeded", 2), ("Accepted", 2)]
    assert await scene.is_audited()


async def test_a_submission_deleted_before_apply_is_left_out_everywhere(lab: Lab) -> None:
    scene = await Scene.of(lab, WA, WA, WA)
    preview = await scene.ready(AC, AC, AC)
    expired = await lab.store.retention.expired(0, 0.0, 1)
    assert await lab.store.retention.delete_expired(expired.row_ids, 0.0) == 1
    done = await scene.applied(preview)
    assert (done.submissions, done.applied, done.left_out) == (3, 2, 1)
    [applied, _] = await lab.store.admin_events.admin_events(9)
    assert dict(applied.details) == {"preview": preview.id, "submissions": 2, "left_out": 1}
    [past] = await scene.previews.past_rejudges(scene.problem_id, 9)
    assert (past.submissions, past.rejudged) == (3, 2)


async def test_apply_and_rejudge_at_one_moment_leave_one_verdict_a_judging(lab: Lab) -> None:
    scene = await Scene.of(lab, WA, WA, WA)
    preview = await scene.ready(AC, AC, AC)
    found: list[object] = []

    async def apply() -> None:
        found.append(await scene.applied(preview))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(rejudge, lab, scene.job_ids[2], 1)
        nursery.start_soon(apply)
        nursery.start_soon(rejudge, lab, scene.job_ids[0], 1)
    for number, job_id in enumerate(scene.job_ids):
        if (await scene.submission(number)).state is not State.DONE:
            await judged(lab, job_id, WA)
    assert [judging for _, judging in await scene.verdicts()] == [2, 2, 2], "each was opened once, by one of them"
    assert await scene.is_audited()


async def test_a_cancelled_preview_refuses_every_outcome(lab: Lab) -> None:
    scene = await Scene.of(lab, WA, WA)
    preview = await scene.started()
    await scene.judge(AC)
    held = await scene.claimed()
    assert await scene.leases.extend(held, LEASE_S)
    for _ in range(2):
        cancelled = await scene.cancel(preview)
        assert isinstance(cancelled, Preview)
        assert (cancelled.state, cancelled.decided_by) == (PreviewState.CANCELLED, "root")
    assert not await scene.leases.extend(held, LEASE_S)
    assert not await scene.leases.finish(held, outcome(held, AC))
    assert not await scene.leases.give_back(held, counts=True, delay_s=0)
    assert await scene.leases.claim("node", LEASE_S, ATTEMPTS, ("cpp17",)) is None
    assert await scene.apply(preview) is PreviewRefusal.ENDED
    assert await scene.verdicts() == [("Wrong Answer", 1)] * 2
    acts = [one.act for one in await lab.store.admin_events.admin_events(9)]
    assert acts == [AdminAct.PREVIEW_CANCELLED, AdminAct.PREVIEW_STARTED]


async def test_a_node_that_died_is_replaced_and_a_program_that_kills_nodes_is_left_out(lab: Lab) -> None:
    scene = await Scene.of(lab, WA, WA)
    preview = await scene.started()
    dead = await scene.claimed()
    await scene.judge(AC)
    lab.advance(LEASE_S + 1)
    again = await scene.claimed()
    assert (again.place, again.attempt_id, again.attempts) == (dead.place, 2, 2)
    assert not await scene.leases.finish(dead, outcome(dead, AC))
    assert await scene.leases.give_back(again, counts=False, delay_s=30)
    assert await scene.leases.claim("node", LEASE_S, ATTEMPTS, ("cpp17",)) is None, "it is not due yet"
    lab.advance(31)
    assert (await scene.claimed()).attempts == 2
    lab.advance(LEASE_S + 1)
    assert await scene.sweep() == 1
    ready = await scene.now(preview)
    assert (ready.state, ready.judged, ready.failed, ready.changed) == (PreviewState.READY, 1, 1, 1)
    assert set(await scene.previews.preview_verdicts(preview.id)) == {
        VerdictChange("Wrong Answer", None, 1), VerdictChange("Wrong Answer", "Accepted", 1)
    }  # fmt: skip
    done = await scene.applied(preview)
    assert (done.applied, done.left_out) == (1, 1)
    assert await scene.verdicts() == [("Wrong Answer", 1), ("Accepted", 2)]
    assert await scene.is_audited()


async def test_a_node_that_failed_leaves_the_next_attempt_to_another(lab: Lab) -> None:
    scene = await Scene.of(lab, WA, WA)
    await scene.started()
    for _ in range(2):
        claim = await scene.leases.claim("broken", LEASE_S, ATTEMPTS, ("cpp17",))
        assert claim is not None
        assert await scene.leases.give_back(claim, counts=True, delay_s=2)
    lab.advance(3)
    assert await scene.leases.claim("broken", LEASE_S, ATTEMPTS, ("cpp17",)) is None
    await scene.judge(AC)
    lab.advance(60)
    again = await scene.leases.claim("broken", LEASE_S, ATTEMPTS, ("cpp17",))
    assert again is not None, "no other node took it"
    assert (again.place, again.attempts) == (2, 2)


async def test_submissions_that_keep_their_verdict_and_change_their_score_are_counted(lab: Lab) -> None:
    scene = await Scene.of(lab, WA, WA, AC, AC)
    preview = await scene.started()
    claim = await scene.claimed()
    assert await scene.leases.finish(claim, replace(outcome(claim, WA), score=40.0))
    await scene.judge(WA, AC)
    assert set(await scene.previews.preview_verdicts(preview.id)) == {
        VerdictChange("Wrong Answer", "Wrong Answer", 2, 1),
        VerdictChange("Accepted", "Accepted", 1),
        VerdictChange("Accepted", None, 1),
    }
    assert (await scene.now(preview)).changed == 1


async def test_reasons_why_submissions_were_not_judged_are_counted(lab: Lab) -> None:
    scene = await Scene.of(lab, WA, WA, WA, WA)
    preview = await scene.started()
    for why in ("sandbox: it broke", "no data", "no data"):
        assert await scene.leases.finish(await scene.claimed(), PreviewOutcome(why=why))
    await scene.judge(AC)
    await scene.sweep()
    found = await scene.previews.preview_failures(preview.id, 9)
    assert [(one.why, one.count) for one in found] == [("no data", 2), ("sandbox: it broke", 1)]
    assert [one.count for one in await scene.previews.preview_failures(preview.id, 1)] == [2]


async def test_a_language_that_no_node_has_ends_the_wait_in_the_end(lab: Lab) -> None:
    scene = await Scene.of(lab, WA)
    preview = await scene.started()
    assert await scene.leases.claim("node", LEASE_S, ATTEMPTS, ("go",)) is None
    assert (await scene.leases.sweep_previews(ATTEMPTS, WAIT_S, KEEP_S)).running == 1
    lab.advance(WAIT_S + 1)
    await lab.store.roster.announce("node", {"go": "1"}, LEASE_S)
    swept = await scene.leases.sweep_previews(ATTEMPTS, WAIT_S, KEEP_S)
    assert (swept.ended, swept.running) == (1, 0)
    assert (await scene.now(preview)).failed == 1
    (failure,) = await scene.previews.preview_failures(preview.id, 9)
    assert failure.why == "no judge node has the language cpp17"


async def test_a_preview_waits_while_no_node_takes_work_and_a_while_after_that(lab: Lab) -> None:
    scene = await Scene.of(lab, WA, WA)
    preview = await scene.started()
    for part in (1.1, 0.9, 0.9):
        lab.advance(WAIT_S * part)
        assert await scene.sweep() == 0
    lab.advance(WAIT_S * 0.9)
    await lab.store.roster.announce("node", {"cpp17": "g++"}, WAIT_S)
    assert await scene.sweep() == 0, "the gate of the node has opened"
    await scene.judge(AC)
    lab.advance(WAIT_S + 1)
    await lab.store.roster.announce("node", {"cpp17": "g++"}, WAIT_S)
    assert await scene.sweep() == 1
    assert [(one.why, one.count) for one in await scene.previews.preview_failures(preview.id, 9)] == [
        ("no judge node took it in time", 1)
    ]


async def test_a_preview_behind_another_one_waits_as_long_as_nodes_judge(lab: Lab) -> None:
    scene = await Scene.of(lab, WA, WA, WA)
    first = await scene.started()
    other = await new_problem(lab.store)
    job_id = await send(lab.store, draft((await scene.submission(0)).user_id, other.id))
    await judged(lab, job_id, WA)
    behind = await scene.previews.start_preview(other.id, by=scene.by, in_full=False, scope=EVERYTHING)
    assert isinstance(behind, Preview)
    for _ in scene.job_ids:
        lab.advance(WAIT_S * 0.6)
        await scene.judge(AC)
        await scene.sweep()
    await scene.applied(first)
    await scene.sweep()
    waiting = await scene.previews.preview(other.id, behind.id)
    assert waiting is not None
    assert (waiting.state, waiting.ended) == (PreviewState.RUNNING, 0)
    await scene.judge(AC)
    assert await scene.sweep() == 1
    found = await scene.previews.preview(other.id, behind.id)
    assert found is not None
    assert (found.state, found.judged) == (PreviewState.READY, 1)


async def test_a_changed_problem_ends_its_preview(lab: Lab) -> None:
    scene = await Scene.of(lab, WA)
    preview = await scene.ready(AC)
    await lab.store.problems.update_problem(scene.problem_id, ProblemChange(title="new"))
    assert await scene.sweep() == 0
    await lab.store.problems.update_problem(scene.problem_id, ProblemChange(time_limit_ms=77))
    assert await scene.apply(preview) is PreviewRefusal.OUTDATED, "before the sweeper has seen it"
    assert await scene.sweep() == 1
    assert (await scene.now(preview)).state is PreviewState.OUTDATED
    assert await scene.apply(preview) is PreviewRefusal.OUTDATED
    assert await scene.cancel(preview) is PreviewRefusal.OUTDATED
    assert await scene.verdicts() == [("Wrong Answer", 1)]
    assert (await scene.started()).id != preview.id


async def test_a_second_start_goes_on_and_another_one_waits_or_replaces(lab: Lab) -> None:
    scene = await Scene.of(lab, WA, AC)
    preview = await scene.started()
    assert (await scene.started()).id == preview.id
    only_wrong = RejudgeScope(verdict=WA)
    assert await scene.start(only_wrong) is PreviewRefusal.ANOTHER
    assert await scene.start(in_full=True) is PreviewRefusal.ANOTHER
    await scene.judge(AC, AC)
    await scene.sweep()
    assert await scene.start(RejudgeScope(verdict=TLE)) is PreviewRefusal.EMPTY
    assert (await scene.now(preview)).state is PreviewState.READY, "a refused start leaves it"
    second = await scene.started(only_wrong, in_full=True)
    assert (second.submissions, second.scope, second.in_full) == (1, only_wrong, True)
    assert (await scene.now(preview)).state is PreviewState.CANCELLED
    assert (await scene.claimed()).former is None, "in full"
    missing = scene.previews.start_preview(99_999, by=scene.by, in_full=False, scope=EVERYTHING)
    assert await missing is PreviewRefusal.UNKNOWN
    assert await scene.previews.apply_preview(scene.problem_id + 1, second.id, by=scene.by) is PreviewRefusal.UNKNOWN
    assert await scene.previews.cancel_preview(scene.problem_id + 1, second.id, by=scene.by) is PreviewRefusal.UNKNOWN


async def test_a_setter_has_a_quota_of_running_previews(lab: Lab) -> None:
    first = await Scene.of(lab, WA)
    setter, pupil, like = first.by, await new_user(lab.store, "pupil"), await new_problem(lab.store)
    scenes = []
    for owner in (setter, setter, setter, pupil):
        number = await lab.store.problems.reserve_problem_id()
        await lab.store.problems.insert_problem(replace(like, id=number, created_by=owner))
        job_id = await send(lab.store, draft(pupil, number, f"// {number}"))
        await judged(lab, job_id, WA)
        scenes.append(Scene(lab, setter, number, [job_id]))
    quota, (one, two, three, theirs) = SetterQuota(setter, 2), scenes
    assert isinstance(await theirs.start(), Preview), "one of another setter is not counted"
    assert isinstance(await one.start(quota=quota), Preview)
    running = await two.start(quota=quota)
    assert isinstance(running, Preview)
    assert await three.start(quota=quota) is PreviewRefusal.QUOTA
    assert await two.start(quota=quota) == running, "it goes on"
    assert isinstance(await three.start(), Preview), "without a quota"
    await two.cancel(running)
    assert await two.start(quota=quota) is PreviewRefusal.QUOTA
    assert await one.start(in_full=True, quota=quota) is PreviewRefusal.ANOTHER
    changed = await lab.store.problems.update_problem(three.problem_id, ProblemChange(time_limit_ms=77))
    assert changed is not None
    assert isinstance(await three.start(quota=quota), Preview), "it takes its own place"


async def test_a_preview_that_nobody_decides_ends_after_a_week(lab: Lab) -> None:
    scene = await Scene.of(lab, WA)
    preview = await scene.ready(AC)
    lab.advance(UNDECIDED_S - 3600)
    assert await scene.sweep() == 0
    assert (await scene.now(preview)).state is PreviewState.READY
    lab.advance(3601)
    assert await scene.sweep() == 1
    ended = await scene.now(preview)
    assert (ended.state, ended.decided_by) == (PreviewState.CANCELLED, None)
    assert ended.decided_at is not None
    assert await scene.apply(preview) is PreviewRefusal.ENDED
    assert await scene.verdicts() == [("Wrong Answer", 1)]
    assert await scene.sweep() == 0
    assert (await scene.started()).id != preview.id
    lab.advance(UNDECIDED_S + 1)
    await scene.judge(AC)
    assert await scene.sweep() == 1
    assert await scene.sweep() == 0, "the week begins when it is ready"


async def test_too_many_submissions_are_refused(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("deepoj.adapters.pg.previews", "tests.fakes.previews"):
        monkeypatch.setattr(f"{module}.MAX_JOBS", 2)
    scene = await Scene.of(lab, WA, WA, AC)
    assert await scene.start() is PreviewRefusal.TOO_MANY
    assert (await scene.started(RejudgeScope(verdict=WA))).submissions == 2


async def test_history_names_previews_and_rejudges_newest_first(lab: Lab) -> None:
    scene = await Scene.of(lab, WA)
    await lab.store.rejudges.order_rejudge(scene.problem_id, by="chief", in_full=True)
    preview = await scene.ready(AC)
    await scene.applied(preview)
    past = await scene.previews.past_rejudges(scene.problem_id, 9)
    assert [(one.preview_id, one.by, one.state, one.in_full) for one in past] == [
        (preview.id, "root", PreviewState.APPLIED, False), (None, "chief", PreviewState.RUNNING, True)
    ]  # fmt: skip
    assert [(one.submissions, one.rejudged) for one in past] == [(1, 1), (1, 0)]
    assert len(await scene.previews.past_rejudges(scene.problem_id, 1)) == 1
    assert await scene.previews.past_rejudges(scene.problem_id + 1, 9) == []


async def test_changes_of_a_rejudge_are_not_those_of_a_preview_applied_later(lab: Lab) -> None:
    scene = await Scene.of(lab, AC, WA, WA)
    order = await lab.store.rejudges.order_rejudge(scene.problem_id, by="chief", in_full=False)
    assert order is not None
    await lab.store.rejudges.go_on_rejudging(9, "deepoj:jobs")
    for job_id in scene.job_ids:
        await judged(lab, job_id, TLE)
    await scene.applied(await scene.ready(AC, AC, AC))
    assert isinstance(await rejudge(lab, scene.job_ids[2]), Rejudged)
    assert set(await lab.store.rejudges.verdict_changes(order.id, 9)) == {
        VerdictChange("Accepted", "Time Limit Exceeded", 1),
        VerdictChange("Wrong Answer", "Time Limit Exceeded", 1),
        VerdictChange("Accepted", None, 1),
    }


async def test_previews_go_after_a_month_and_with_their_problem(lab: Lab) -> None:
    scene = await Scene.of(lab, WA)
    preview = await scene.applied(await scene.ready(AC))
    lab.advance(KEEP_S - 3600)
    await scene.sweep()
    assert (await scene.now(preview)).state is PreviewState.APPLIED
    lab.advance(3601)
    await scene.sweep()
    assert await scene.previews.preview(scene.problem_id, preview.id) is None
    again = await scene.started()
    assert await lab.store.problems.delete_submissions_of(scene.problem_id, 9) == 1
    assert (await scene.now(again)).ended == 0
    assert await scene.leases.claim("node", LEASE_S, ATTEMPTS, ("cpp17",)) is None
    assert await lab.store.problems.delete_problem(scene.problem_id) is None
    assert await scene.previews.preview(scene.problem_id, again.id) is None


async def test_an_erased_account_is_a_pseudonym_and_its_submissions_are_left_out(lab: Lab) -> None:
    scene = await Scene.of(lab, WA, WA)
    preview = await scene.started()
    await scene.judge(AC)
    pupil = (await scene.submission(0)).user_id
    for user_id in (scene.by, pupil):
        await lab.store.account_data.erase(user_id, by=None)
    assert await lab.store.account_data.erase_sources(9) == 2
    assert (await scene.now(preview)).ordered_by == f"deleted-{scene.by}"
    assert await scene.leases.claim("node", LEASE_S, ATTEMPTS, ("cpp17",)) is None
    await scene.sweep()
    done = await scene.applied(preview)
    assert (done.applied, done.left_out) == (0, 2)
    assert [one.by for one in await scene.previews.past_rejudges(scene.problem_id, 9)] == [f"deleted-{scene.by}"]


async def test_apply_and_retention_lock_marks_in_one_order(real: PgLab) -> None:
    """Marks are locked by user; the submissions of the second user are older."""
    scene = await Scene.of(real, WA)
    first, second = await new_user(real.store, "bob"), await new_user(real.store, "carol")
    expired: list[int] = []
    for user_id in (second, first):
        job_id = await send(real.store, draft(user_id, scene.problem_id, f"// old {user_id}"))
        await judged(real, job_id, AC)
        expired.append(int(real.sql(f"SELECT id FROM submissions WHERE job_id = '{job_id}'")))
        scene.job_ids = [*scene.job_ids, await send(real.store, draft(user_id, scene.problem_id, f"// new {user_id}"))]
        await judged(real, scene.job_ids[-1], WA)
    preview = await scene.started(RejudgeScope(verdict=WA))
    await scene.judge(AC, AC, AC)
    await scene.sweep()
    real.sql(f"UPDATE submissions SET updated_at = now() - interval '9 days' WHERE id IN ({expired[0]}, {expired[1]})")
    deleted: list[int] = []

    async def retain() -> None:
        deleted.append(await real.store.retention.delete_expired(expired, 86_400.0))

    mark = f"SELECT FROM solved WHERE user_id = {first} FOR UPDATE"
    async with holding(real, mark) as end, trio.open_nursery() as nursery:
        nursery.start_soon(retain)
        await until_somebody_waits_for_a_lock(real)
        nursery.start_soon(scene.applied, preview)
        await until_somebody_waits_for_a_lock(real, 2)
        end("rollback")
    assert deleted == [2]
    assert (await scene.now(preview)).applied == 3


async def test_a_preview_started_during_an_erasure_waits_for_it(real: PgLab) -> None:
    scene = await Scene.of(real, WA, WA)
    erased = await send(real.store, draft(await new_user(real.store, "bob"), scene.problem_id))
    await judged(real, erased, WA)
    found: list[Preview] = []

    async def start() -> None:
        found.append(await scene.started())

    erase = f"UPDATE submissions SET code = '', is_erased = true WHERE job_id = '{erased}'"
    async with holding(real, erase) as end, trio.open_nursery() as nursery:
        nursery.start_soon(start)
        await until_somebody_waits_for_a_lock(real)
        end("commit")
    assert [one.submissions for one in found] == [2]
    assert {(await scene.claimed()).job_id for _ in range(2)} == set(scene.job_ids)
    assert await scene.leases.claim("node", LEASE_S, ATTEMPTS, ("cpp17",)) is None
