"""The contract of ``ports.Reruns`` and ``ports.RerunLeases``: bounded, leased, shown for minutes, and nothing else."""

from __future__ import annotations

import pytest

from deepoj.observe import Metrics
from deepoj.pipeline.rerun import sweep_reruns
from deepoj.words.background import MAX_ATTEMPTS
from deepoj.words.reruns import (
    MAX_KEPT,
    MAX_UNFINISHED,
    MAX_WAIT_S,
    KeptFile,
    Rerun,
    RerunClaim,
    RerunFailure,
    RerunFile,
    RerunOutcome,
    RerunRefusal,
)
from deepoj.words.results import Verdict
from tests.contract.labs import Lab, draft, new_problem, new_user, send
from tests.contract.test_store_rejudges import finish as judged

LEASE_S, KEEP_S = 60.0, 900.0
_UNFINISHED = {"service": "deep-oj-worker", "instance": "", "result": "unfinished"}
FILES = {
    RerunFile.INPUT: KeptFile(b"1 2\n", 4),
    RerunFile.OUTPUT: KeptFile(b"\x00\xff", 70_000),
    RerunFile.ERROR: KeptFile(b"", 0),
}
SHOWN = RerunOutcome(
    status="Wrong Answer", reason={"rule": "compare"}, message="token 1", cpu_ms=3, memory_kb=900, files=FILES
)


class Scene:
    """A submission with a verdict, and an account that may see its tests."""

    def __init__(self, lab: Lab, by: int, job_id: str) -> None:
        self.lab, self.by, self.job_id = lab, by, job_id
        self.reruns, self.leases = lab.store.reruns, lab.store.rerun_leases

    @classmethod
    async def of(cls, lab: Lab) -> Scene:
        by, pupil, problem = await new_user(lab.store, "jury"), await new_user(lab.store), await new_problem(lab.store)
        job_id = await send(lab.store, draft(pupil, problem.id))
        await judged(lab, job_id, Verdict.WRONG_ANSWER)
        return cls(lab, by, job_id)

    async def taken(self, test: str = "secret/1", *, by: int | None = None) -> int:
        found = await self.reruns.take_rerun(self.job_id, test, by=by or self.by)
        assert not isinstance(found, RerunRefusal), found
        return found

    async def claim(self, owner: str = "node", languages: tuple[str, ...] = ("cpp17",)) -> RerunClaim | None:
        return await self.leases.claim(owner, LEASE_S, MAX_ATTEMPTS, languages)

    async def claimed(self, owner: str = "node") -> RerunClaim:
        found = await self.claim(owner)
        assert found is not None
        return found

    async def now(self, number: int) -> Rerun:
        found = await self.reruns.rerun(number, KEEP_S)
        assert found is not None
        return found

    async def sweep(self) -> float | None:
        """Return how many reruns the round has ended, as it is counted; None: nothing was counted."""
        metrics = Metrics()
        await sweep_reruns(self.leases, metrics, KEEP_S)
        return metrics.registry.get_sample_value("worker_reruns_total", _UNFINISHED)


@pytest.fixture
async def scene(lab: Lab) -> Scene:
    return await Scene.of(lab)


async def test_a_rerun_is_claimed_with_its_source_and_shown_as_it_was_written(scene: Scene) -> None:
    number = await scene.taken("a\0b")
    assert await scene.claim(languages=("python3",)) is None, "no node takes a language that it lacks"
    claim = await scene.claimed()
    assert (claim.batch_id, claim.attempt_id, claim.attempts, claim.language) == (number, 1, 1, "cpp17")
    assert claim.code
    assert (claim.time_limit_ms, claim.memory_limit_mb) == (None, None), "of no contest"
    assert (await scene.now(number)).is_running
    assert await scene.leases.finish(claim, SHOWN)
    assert await scene.leases.finish(claim, RerunOutcome()), "repeated after a lost answer"
    found = await scene.now(number)
    assert found.outcome == SHOWN
    assert (found.job_id, found.asked_by, found.is_running) == (scene.job_id, "jury", False)
    submission = await scene.lab.store.submissions.submission(scene.job_id)
    assert submission is not None
    assert (submission.status, submission.judging) == ("Wrong Answer", 1), "nothing of a rerun counts"


async def test_unfinished_reruns_of_an_account_are_bounded_and_the_same_one_is_returned(scene: Scene) -> None:
    numbers = [await scene.taken(str(test)) for test in range(MAX_UNFINISHED)]
    assert await scene.taken("0") == numbers[0]
    assert await scene.reruns.take_rerun(scene.job_id, "more", by=scene.by) is RerunRefusal.TOO_MANY
    other = await new_user(scene.lab.store, "other")
    assert await scene.taken("0", by=other) not in numbers, "each account has its own bound"
    assert await scene.leases.finish(await scene.claimed(), SHOWN)
    assert await scene.taken("0") not in numbers, "the finished one is not run again in its place"


async def test_only_the_newest_finished_reruns_are_kept_and_for_a_time(scene: Scene) -> None:
    numbers = []
    for _ in range(MAX_KEPT + 2):
        numbers.append(await scene.taken())
        assert await scene.leases.finish(await scene.claimed(), SHOWN)
    await scene.taken("last")
    assert await scene.reruns.rerun(numbers[1], KEEP_S) is None
    assert (await scene.now(numbers[2])).outcome == SHOWN
    scene.lab.advance(KEEP_S + 1)
    assert await scene.reruns.rerun(numbers[2], KEEP_S) is None, "not shown, though it is not deleted yet"
    await scene.sweep()
    assert await scene.reruns.rerun(numbers[2], 10 * KEEP_S) is None


async def test_a_lost_lease_lets_another_node_run_it_and_refuses_the_first(scene: Scene) -> None:
    number = await scene.taken()
    first = await scene.claimed("first")
    scene.lab.advance(LEASE_S - 1)
    assert await scene.leases.extend(first, LEASE_S)
    assert await scene.claim("second") is None
    scene.lab.advance(LEASE_S + 1)
    second = await scene.claimed("second")
    assert (second.attempt_id, second.attempts) == (2, 2)
    assert not await scene.leases.extend(first, LEASE_S)
    assert not await scene.leases.finish(first, SHOWN)
    assert not await scene.leases.give_back(first, counts=True, delay_s=0.0)
    assert (await scene.now(number)).outcome is None
    assert await scene.leases.finish(second, SHOWN)


async def test_a_rerun_that_no_node_finishes_ends_with_the_reason(scene: Scene) -> None:
    used_up = await scene.taken("a")
    claim = await scene.claimed()
    assert await scene.leases.give_back(claim, counts=False, delay_s=0.0)
    assert (await scene.claimed()).attempts == 1, "one that a stop gave back does not count"
    scene.lab.advance(LEASE_S + 1)
    assert (await scene.claimed()).attempts == 2
    assert await scene.sweep() is None, "its lease is valid"
    scene.lab.advance(LEASE_S + 1)
    assert await scene.claim() is None
    assert await scene.sweep() == 1
    assert (await scene.now(used_up)).outcome == RerunOutcome(failure=RerunFailure.UNANSWERED)
    waiting = await scene.taken("b")
    scene.lab.advance(MAX_WAIT_S + 1)
    assert await scene.sweep() == 1
    assert (await scene.now(waiting)).outcome == RerunOutcome(failure=RerunFailure.NOT_TAKEN)


async def test_a_rerun_of_an_unknown_submission_is_refused(scene: Scene) -> None:
    unknown = "00000000-0000-4000-8000-000000000000"
    assert await scene.reruns.take_rerun(unknown, "1", by=scene.by) is RerunRefusal.UNKNOWN


async def test_an_erased_source_takes_its_reruns_with_it(scene: Scene) -> None:
    number = await scene.taken()
    submission = await scene.lab.store.submissions.submission(scene.job_id)
    assert submission is not None
    await scene.lab.store.account_data.erase(submission.user_id, by=None)
    assert await scene.lab.store.account_data.erase_sources(9) == 1
    assert await scene.reruns.rerun(number, KEEP_S) is None
    assert await scene.reruns.take_rerun(scene.job_id, "1", by=scene.by) is RerunRefusal.UNKNOWN
