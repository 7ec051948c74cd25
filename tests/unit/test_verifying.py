"""A node judges the submissions of verifications with slots that submissions leave."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial

import pytest
import trio

from deepoj.judging.promises import Kept, PromiseResult
from deepoj.judging.verifications import (
    MAX_TIMES,
    ExampleOutcome,
    VerificationState,
    VerifiedExample,
    example_of_json,
    outcome_of,
)
from deepoj.nursery.background import BackgroundJudge
from deepoj.nursery.gate import Gate
from deepoj.nursery.leases import Leases
from deepoj.pipeline.verify import settle_example
from deepoj.words.background import MAX_ATTEMPTS, MAX_WAIT_S
from deepoj.words.errors import BlobsUnavailable, BoxBroken, StoreUnavailable
from deepoj.words.previews import PreviewClaim
from deepoj.words.problems import Problem, ProblemChange
from deepoj.words.results import Infra, Report, Verdict
from deepoj.words.verifications import ExampleClaim
from tests.contract.labs import MemoryLab, new_problem
from tests.contract.test_store_previews import Scene as PreviewScene
from tests.contract.test_store_verifications import submission, verification
from tests.fakes.store import MemoryStore
from tests.unit.makers import a_claim, a_report

type Judging = Callable[[ExampleClaim], Awaitable[Report | Infra | None]]


@dataclass
class Scene:
    """A node over a store in memory, and what it judged."""

    store: MemoryStore = field(default_factory=MemoryStore)
    leases: Leases = field(default_factory=lambda: Leases(60.0, 2))
    gate: Gate = field(default_factory=Gate)
    judged: list[str] = field(default_factory=list)

    def node(self, judge: Judging | None = None) -> BackgroundJudge[ExampleClaim, ExampleOutcome, Report]:
        async def accept(claim: ExampleClaim) -> Report | Infra | None:
            await trio.lowlevel.checkpoint()
            self.judged.append(example_of_json(claim.example).name)
            return a_report(Verdict.ACCEPTED)

        store = self.store.ports.example_leases
        return BackgroundJudge(
            store=store, leases=self.leases, gate=self.gate, owner="node", languages=("cpp17", "python3"),
            judge=judge or accept, settle=partial(settle_example, store),
        )  # fmt: skip

    async def started(self, *names: str) -> Problem:
        problem = await new_problem(self.store.ports)
        examples = [submission(name) for name in names]
        assert await self.store.verifications.start_verification(verification(problem, *examples)) is None
        return problem

    async def rows(self) -> list[VerifiedExample]:
        return await self.store.verifications.verified_examples(self.store.kept_verifications[-1].id)

    @property
    def state(self) -> VerificationState:
        return self.store.kept_verifications[-1].state


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_each_submission_is_judged_once_and_the_slot_is_free_again(autojump_clock: object, scene: Scene) -> None:
    await scene.started("one", "two")
    node = scene.node()
    assert [await node.once() for _ in range(3)] == [True, True, False]
    assert scene.judged == ["one", "two"]
    assert await scene.store.verifications.sweep_verifications(MAX_ATTEMPTS, MAX_WAIT_S) == 1
    assert scene.state is VerificationState.DONE
    assert scene.leases.free == 2


async def test_while_one_is_judged_its_slot_is_not_free(autojump_clock: object, scene: Scene) -> None:
    seen: list[int] = []

    async def judge(_claim: ExampleClaim) -> Report:
        await trio.lowlevel.checkpoint()
        seen.append(scene.leases.free)
        return a_report(Verdict.ACCEPTED)

    await scene.started("one")
    await scene.node(judge).once()
    assert seen == [1]


async def test_a_busy_node_waits_for_a_second_slot_for_a_time(autojump_clock: object, scene: Scene) -> None:
    await scene.started("one")
    lease = scene.leases.add(a_claim(), trio.current_time())
    began = trio.current_time()
    assert await scene.node().once()
    assert trio.current_time() - began == pytest.approx(60.0), "one slot was free, and was kept for a submission"
    await scene.started("two")
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.node().once)
        await trio.sleep(5)
        scene.leases.drop(lease)
    assert trio.current_time() - began == pytest.approx(5.0)


async def test_a_shut_gate_holds_it_back(autojump_clock: object, scene: Scene) -> None:
    await scene.started("one")
    scene.gate.shut()
    with trio.move_on_after(100):
        await scene.node().once()
    assert scene.judged == []
    assert scene.leases.free == 2


async def test_a_stop_gives_it_back_at_once(autojump_clock: object, scene: Scene) -> None:
    async def judge(_claim: ExampleClaim) -> Report:
        await trio.sleep_forever()
        raise AssertionError

    await scene.started("one")
    with trio.move_on_after(200):  # its lease is extended meanwhile
        await scene.node(judge).once()
    [row] = scene.store.kept_verifications[-1].rows
    assert (row.state, row.attempts, row.attempt_id) == ("pending", 0, 1)
    assert scene.leases.free == 2
    assert await scene.node().once()
    assert [one.kept for one in await scene.rows()] == [Kept.OK]


async def test_a_cancelled_verification_stops_what_is_being_judged(autojump_clock: object, scene: Scene) -> None:
    async def judge(_claim: ExampleClaim) -> Report:
        await trio.sleep(1000)
        return a_report(Verdict.ACCEPTED)

    problem = await scene.started("one", "two")
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.node(judge).once)
        await trio.sleep(7)
        assert await scene.store.verifications.cancel_verification(problem.id)
    assert trio.current_time() - began == pytest.approx(10.0), "it hears of that when it extends its lease"
    assert [one.kept for one in await scene.rows()] == [None, None]
    assert not await scene.node().once()


@pytest.mark.parametrize("failure", [Infra("sandbox", "broke"), BoxBroken("it fell over")])
async def test_a_failure_is_tried_once_more_and_then_is_the_result(
    autojump_clock: object, scene: Scene, failure: Infra | BoxBroken
) -> None:
    async def judge(_claim: ExampleClaim) -> Infra:
        await trio.lowlevel.checkpoint()
        if isinstance(failure, BoxBroken):
            raise failure
        return failure

    await scene.started("one")
    node = scene.node(judge)
    assert [await node.once(), await node.once()] == [True, False]
    await trio.sleep(2)
    assert not await node.once(), "another node may take it first"
    await trio.sleep(60)
    assert [await node.once(), await node.once()] == [True, False]
    [row] = await scene.rows()
    assert (row.state, row.kept, row.status) == ("done", Kept.DIFFERS, None)
    assert row.why.startswith("not judged")


async def test_an_outage_and_another_version_cost_no_attempt(autojump_clock: object, scene: Scene) -> None:
    answers: list[Report | BlobsUnavailable | None] = [BlobsUnavailable("away")] * 3
    answers += [None, a_report(Verdict.WRONG_ANSWER)]

    async def judge(_claim: ExampleClaim) -> Report | None:
        await trio.lowlevel.checkpoint()
        answer = answers.pop(0)
        if isinstance(answer, BlobsUnavailable):
            raise answer
        return answer

    await scene.started("one")
    for _ in range(5):
        assert await scene.node(judge).once()
        await trio.sleep(2)
    [row] = await scene.rows()
    assert (row.kept, row.status) == (Kept.DIFFERS, "Wrong Answer")


async def test_a_database_that_is_away_leaves_it_to_the_end_of_the_lease(autojump_clock: object, scene: Scene) -> None:
    async def judge(_claim: ExampleClaim) -> Report:
        await trio.lowlevel.checkpoint()
        scene.store.down = True
        return a_report(Verdict.ACCEPTED)

    await scene.started("one")
    with pytest.raises(StoreUnavailable):
        await scene.node(judge).once()
    scene.store.down = False
    assert scene.leases.free == 2
    assert not await scene.node().once()
    await trio.sleep(61)
    assert await scene.node().once()
    assert [one.kept for one in await scene.rows()] == [Kept.OK]


async def test_changed_problem_ends_its_verification(autojump_clock: object, scene: Scene) -> None:
    problem = await scene.started("one")
    await scene.store.update_problem(problem.id, ProblemChange(time_limit_ms=9))
    assert await scene.store.verifications.sweep_verifications(MAX_ATTEMPTS, MAX_WAIT_S) == 1
    assert scene.state is VerificationState.OUTDATED
    assert not await scene.node().once()


def test_a_submission_keeps_the_times_of_its_slowest_tests() -> None:
    """All times of a large package would be sorted again at each step of each watched page."""
    one = a_report(Verdict.ACCEPTED).tests[0]
    tests = tuple(replace(one, name=f"{number:02}", cpu_ms=number // 2) for number in range(30))
    report = replace(a_report(Verdict.ACCEPTED), tests=tests)
    outcome = outcome_of(PromiseResult(example=submission("one").example, kept=Kept.OK, report=report))
    assert outcome.tests[:4] == (("28", 14), ("29", 14), ("26", 13), ("27", 13))
    assert len(outcome.tests) == MAX_TIMES
    assert outcome.slowest_test in {"28", "29"}


async def test_a_node_judges_previews_in_all_slots_but_one_and_a_stop_gives_them_back(autojump_clock: object) -> None:
    previewed = await PreviewScene.of(MemoryLab(), *[Verdict.WRONG_ANSWER] * 5)
    await previewed.started()
    judging, judged, leases = list[int](), list[int](), Leases(60.0, 4)

    async def judge(claim: PreviewClaim) -> Report:
        judging.append(claim.place)
        await trio.sleep(10)
        return a_report(Verdict.ACCEPTED)

    async def settle(claim: PreviewClaim, _judged: Report | Infra) -> None:
        await trio.lowlevel.checkpoint()
        judged.append(claim.place)
        if claim.place == 2:
            raise StoreUnavailable("away")

    node = BackgroundJudge(
        store=previewed.leases, leases=leases, gate=Gate(), owner="node", languages=("cpp17",), judge=judge,
        settle=settle, at_most=3, patience_s=1.0,
    )  # fmt: skip
    async with trio.open_nursery() as nursery:
        await nursery.start(node)
        await trio.sleep(5)
        assert (sorted(judging), leases.free) == ([1, 2, 3], 1)
        await trio.sleep(10)
        assert (sorted(judging[3:]), sorted(judged)) == ([2, 4, 5], [1, 2, 3]), "one that broke is due again"
        nursery.cancel_scope.cancel()
    assert leases.free == 4
    claims = [await previewed.claimed() for _ in range(3)]
    assert [(one.place, one.attempts) for one in claims] == [(2, 1), (4, 1), (5, 1)]


@pytest.mark.parametrize(("slots", "lent"), [(1, 1), (2, 1), (4, 3)])
async def test_background_work_leaves_a_slot_at_any_time(autojump_clock: object, slots: int, lent: int) -> None:
    leases, times = Leases(60.0, slots), list[float]()
    began = trio.current_time()

    async def lend() -> None:
        await leases.lend(60.0)
        times.append(trio.current_time() - began)

    async with trio.open_nursery() as nursery:
        for _ in range(slots + 1):
            nursery.start_soon(lend)
        await trio.sleep(600)
        assert times == [pytest.approx(0.0)] * lent, "no program takes the last free slot while another has one"
        leases.take_back()
        await trio.sleep(1)
        assert times[lent:] == [pytest.approx(600.0)]
        nursery.cancel_scope.cancel()


async def test_a_full_node_lends_one_slot_after_a_time(autojump_clock: object) -> None:
    leases, times = Leases(60.0, 4), list[float]()
    began = trio.current_time()
    for _ in range(3):
        leases.add(a_claim(f"job-{len(leases.held())}"), began)

    async def lend() -> None:
        await leases.lend(60.0)
        times.append(trio.current_time() - began)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(lend)
        nursery.start_soon(lend)
        await trio.sleep(600)
        assert times == [pytest.approx(60.0)]
        nursery.cancel_scope.cancel()
