"""Tests of a submission beside each other in idle slots: the report is that of one slot, and no job waits for long."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import trio
import trio.testing

from deepoj.execution import runs_ahead
from deepoj.execution.case_runs import CaseRun, CaseRuns, Execution
from deepoj.execution.runs_ahead import RunsAhead
from deepoj.judging.problem import Accepts, Aggregate, Case, Checker, Group, Plan, Points, Program, Protocol
from deepoj.judging.reuse import Former
from deepoj.nursery.idle_slots import HelperSlots
from deepoj.nursery.leases import QUIET_S, Leases
from deepoj.pipeline.judge import judge
from deepoj.words.errors import BoxBroken
from deepoj.words.results import Infra, Report, Stages, TestResult, Verdict
from deepoj.words.sandbox import Policy, RunOutcome, RunSpec, RunVerdict
from tests.fakes.attempts import attempt_context
from tests.fakes.box import ScriptedBox, joined, outcome
from tests.fakes.settings import judge_settings
from tests.fakes.testdata import PlainTestData
from tests.unit.makers import a_claim

R = RunVerdict


class IrregularBox(ScriptedBox):
    """A box whose runs take different numbers of trio's steps, so that they end in another order than they began."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = random.Random(seed)
        self.most = 0

    async def run(self, spec: RunSpec) -> RunOutcome:
        for _ in range(self._random.randrange(8)):
            await trio.lowlevel.checkpoint()
        return await super().run(spec)

    async def _count(self, change: int) -> None:
        await super()._count(change)
        self.most = max(self.most, self.running)


class Attempted:
    """A box, a problem of ``tests`` tests, and slots beside the attempt's own."""

    def __init__(
        self, directory: Path, tests: int = 6, *, idle: int = 2, box: ScriptedBox | None = None, ahead: bool = True
    ) -> None:
        data, self.workspace = directory / "data", directory / "workspace"
        data.mkdir(parents=True)
        self.box = box or ScriptedBox()
        self.data = PlainTestData(data, [(b"%d 0\n" % number, b"%d\n" % number) for number in range(tests)])
        self.idle = idle
        self.slots = HelperSlots(lambda: self.idle)
        self._ahead = ahead
        self.settings = judge_settings()
        self.seen: list[str] = []

    @property
    def plan(self) -> Plan:
        return self.data.package.plan

    @plan.setter
    def plan(self, plan: Plan) -> None:
        self.data.package = replace(self.data.package, plan=plan)

    async def judge(self, former: Former | None = None, *, compare: str = "lines") -> Report | Infra:
        idle_slots = self.slots if self._ahead else None
        context = replace(attempt_context(self.box, self.workspace, self.settings), idle_slots=idle_slots)
        claim = a_claim()
        claim = replace(claim, problem=replace(claim.problem, compare=compare))
        with trio.fail_after(60):
            return await judge(context, self.data, claim, former=former, on_test=self._see)

    def _see(self, test: TestResult, _index: int, _count: int) -> None:
        self.seen.append(test.name)

    def assert_nothing_left(self) -> None:
        assert self.slots.spare() == self.idle
        assert self.box.running == 0
        assert self.data.held == 0
        assert not list(self.workspace.iterdir())


class Replies:
    """Outcomes by the index of the test, and by how often it was run before."""

    def __init__(self, *of_tests: list[RunOutcome]) -> None:
        self._of_tests = of_tests
        self.runs = Counter[int]()

    def __call__(self, _spec: RunSpec, stdin: bytes) -> RunOutcome:
        number = int(stdin.split()[0])
        self.runs[number] += 1
        return self._of_tests[number][self.runs[number] - 1]


def ended(number: int, verdict: RunVerdict = R.OK, *, cpu_ms: int = 1, right: bool = True) -> RunOutcome:
    exit_code = 1 if verdict is R.RE else 0
    stdout = b"%d\n" % (number if right else number + 1)
    return outcome(verdict, stdout=stdout, cpu_ms=cpu_ms, wall_ms=cpu_ms + number, exit_code=exit_code)


async def test_tests_run_beside_each_other_and_are_reported_in_order(tmp_path: Path) -> None:
    attempted = Attempted(tmp_path)
    async with trio.open_nursery() as nursery:
        attempted.box.on(Policy.RUN, b"main", Replies(*([ended(number)] for number in range(6))))

        async def release_when_all_slots_run() -> None:
            await attempted.box.wait_running(3)
            attempted.box.release()

        attempted.box.hold()
        nursery.start_soon(release_compilation, attempted.box)
        nursery.start_soon(release_when_all_slots_run)
        report = await attempted.judge()
    assert isinstance(report, Report), report
    assert report.status is Verdict.ACCEPTED
    assert [test.name for test in report.tests] == attempted.seen == ["1", "2", "3", "4", "5", "6"]
    assert report.run_wall_ms == sum(range(1, 7))
    attempted.assert_nothing_left()


async def test_a_single_test_runs_in_the_attempts_own_slot_without_a_helper(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempted = Attempted(tmp_path, tests=1)
    monkeypatch.setattr(RunsAhead, "first_run", None)
    attempted.box.on(Policy.RUN, b"main", ended(0))
    report = await attempted.judge()
    assert isinstance(report, Report), report
    assert [test.status for test in report.tests] == [Verdict.ACCEPTED]
    attempted.assert_nothing_left()


async def release_compilation(box: ScriptedBox) -> None:
    """Let the compilation end, and hold the runs after it."""
    await box.wait_running(1)
    assert not box.runs()
    box.release()
    box.hold()


async def test_a_helper_ends_after_its_test_when_a_job_needs_the_slot(tmp_path: Path) -> None:
    attempted = Attempted(tmp_path, 9, idle=1)
    async with trio.open_nursery() as nursery:
        attempted.box.hold()
        nursery.start_soon(release_compilation, attempted.box)
        nursery.start_soon(attempted.judge)
        await attempted.box.wait_running(2)
        attempted.idle = 0  # a job was claimed
        for begun in range(3, 10):
            attempted.box.release()
            attempted.box.hold()
            while len(attempted.box.runs()) < begun or not attempted.box.running:  # comparing takes a thread
                await trio.sleep(0.001)
            await trio.testing.wait_all_tasks_blocked(0.002)
            assert attempted.box.running == 1
        attempted.box.release()
    assert attempted.seen == [str(number) for number in range(1, 10)]


async def test_the_next_test_runs_while_an_output_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each but the last output is compared only once the next run has begun."""
    attempted = Attempted(tmp_path, 20, idle=0)
    conclude, begun = CaseRuns.conclude, list[int]()

    async def conclude_counted(runs: CaseRuns, execution: Execution) -> CaseRun | Infra:
        begun.append(len(attempted.box.runs()))
        return await conclude(runs, execution)

    monkeypatch.setattr(CaseRuns, "conclude", conclude_counted)
    report = await attempted.judge()
    assert isinstance(report, Report), report
    assert attempted.seen == [str(number) for number in range(1, 21)]
    assert begun == [*range(2, 21), 20]
    attempted.assert_nothing_left()


async def test_a_run_ahead_in_the_own_slot_is_cut_when_its_group_ends(tmp_path: Path) -> None:
    """The second test ends its group while the third, which never ends, runs. The next group needs the slot."""

    class Endless(ScriptedBox):
        async def run(self, spec: RunSpec) -> RunOutcome:
            if spec.stdin is not None and spec.stdin.name == "3.in":
                await self.wait_running(99)
            return await super().run(spec)

    attempted = Attempted(tmp_path, 6, idle=0, box=Endless())
    groups = (
        Group(name="", parent=None),
        Group(name="a", judge_all=False),
        Group(name="b", judge_all=False),
    )
    cases = tuple(replace(case, group="ab"[number // 4]) for number, case in enumerate(attempted.plan.cases))
    attempted.plan = replace(attempted.plan, cases=cases, groups=groups)
    replies = [[ended(number, right=number != 1)] for number in range(6)]
    attempted.box.on(Policy.RUN, b"main", Replies(*replies))
    report = await attempted.judge()
    assert isinstance(report, Report), report
    assert attempted.seen == ["1", "2", "5", "6"]
    attempted.assert_nothing_left()


async def test_a_slot_that_becomes_idle_is_used(tmp_path: Path) -> None:
    attempted = Attempted(tmp_path, 9, idle=0)

    def on_run(_spec: RunSpec, stdin: bytes) -> RunOutcome:
        if not attempted.idle:
            attempted.idle = 1
            attempted.box.hold()  # the next runs, until there are two
        return ended(int(stdin.split()[0]))

    attempted.box.on(Policy.RUN, b"main", on_run)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(attempted.judge)
        await attempted.box.wait_running(2)
        attempted.box.release()
    assert len(attempted.seen) == 9


@pytest.mark.parametrize("seed", range(25))
async def test_the_report_is_that_of_one_slot(tmp_path: Path, seed: int) -> None:
    """Of random plans (groups that end early, that depend on others, that count by their worst test), random verdicts,
    runs close to the limit, and budgets of failed programs."""
    dice = random.Random(seed)
    tests = dice.randrange(2, 20)
    names = ["a", "b", "c"]
    groups = (
        Group(name="", parent=None, judge_all=dice.random() < 0.7),
        *(
            Group(
                name=name,
                aggregate=dice.choice([Aggregate.SUM, Aggregate.MIN, Aggregate.ALL]),
                judge_all=dice.random() < 0.5,
                depends_on=tuple(names[: names.index(name)]) if dice.random() < 0.3 else (),
            )
            for name in names
        ),
    )
    points = dice.choice(list(Points))
    scored, budget_ms = dice.random() < 0.7, dice.choice([5, 100, 60_000])
    failing = dice.choice([0.0, 0.1, 0.4])
    replies = [_random_runs(dice, number, failing) for number in range(tests)]
    reports = []
    for idle, ahead in ((0, False), (0, True), (1, True), (3, True)):
        box = IrregularBox(seed)
        attempted = Attempted(tmp_path / f"{idle} {ahead}", tests, idle=idle, box=box, ahead=ahead)
        cases = attempted.plan.cases
        grouped = tuple(
            replace(case, group=names[number * 3 // tests], score=1.0 if scored else None)
            for number, case in enumerate(cases)
        )
        attempted.plan = replace(attempted.plan, cases=grouped, groups=groups, scored=scored, points=points)
        attempted.settings = replace(attempted.settings, failed_budget_ms=budget_ms)
        box.on(Policy.RUN, b"main", Replies(*replies))
        report = await attempted.judge()
        assert isinstance(report, Report), report
        assert attempted.seen == [test.name for test in report.tests]
        attempted.assert_nothing_left()
        assert box.most <= 1 + idle
        reports.append(replace(report, stages=Stages()))
    assert all(report == reports[0] for report in reports)


@pytest.mark.parametrize("seed", range(12))
async def test_results_that_were_forgotten_are_made_again_when_a_failure_is_forgiven(tmp_path: Path, seed: int) -> None:
    """The first test rejects its group, whose second one makes good for it. Tests of the next group ran before that."""
    attempted = Attempted(tmp_path, 6, idle=3, box=IrregularBox(seed))
    groups = (
        Group(name="", parent=None, judge_all=False),
        Group(name="a", accepts=Accepts.ANY, judge_all=True),
        Group(name="b"),
    )
    cases = [replace(case, group="ab"[number > 1]) for number, case in enumerate(attempted.plan.cases)]
    attempted.plan = replace(attempted.plan, cases=tuple(cases), groups=groups, points=Points.LEGACY)

    def reply(_spec: RunSpec, stdin: bytes) -> RunOutcome:
        number = int(stdin.split()[0])
        return ended(number, right=number > 0)

    attempted.box.on(Policy.RUN, b"main", reply)
    report = await attempted.judge()
    assert isinstance(report, Report), report
    assert report.status is Verdict.ACCEPTED
    assert attempted.seen == ["1", "2", "3", "4", "5", "6"]
    attempted.assert_nothing_left()


@pytest.mark.parametrize("seed", range(40, 65))
async def test_all_tests_are_run_while_slots_become_idle_and_are_needed_again(tmp_path: Path, seed: int) -> None:
    """Without a notice that a prepared test was given up, no slot ran that test for some of these seeds."""
    dice = random.Random(seed)
    tests = dice.randrange(2, 8)
    replies = [_random_runs(dice, number, 0.0) for number in range(tests)]
    attempted = Attempted(tmp_path, tests, box=IrregularBox(seed))
    attempted.slots = HelperSlots(lambda: dice.choice([0, 0, 1, 2]))
    attempted.box.on(Policy.RUN, b"main", Replies(*replies))
    report = await attempted.judge()
    assert isinstance(report, Report), report
    assert len(attempted.seen) == tests


def _random_runs(dice: random.Random, number: int, failing: float) -> list[RunOutcome]:
    """The runs of a test: the second and third count where the one before is close to the limit of a second."""
    if dice.random() >= failing:
        return [ended(number, cpu_ms=dice.choice([1, 500, 990])), *[ended(number, cpu_ms=980)] * 2]
    verdict = dice.choice([R.RE, R.MLE, R.OK, R.TLE])
    return [ended(number, verdict, cpu_ms=dice.choice([3, 1010]), right=False)] * 3


async def test_a_test_that_runs_ahead_is_cut_and_not_reported_after_the_end_of_its_group(tmp_path: Path) -> None:
    class Endless(ScriptedBox):
        async def run(self, spec: RunSpec) -> RunOutcome:
            if spec.stdin is not None and spec.stdin.name == "4.in":
                await self.wait_running(99)
            return await super().run(spec)

    attempted = Attempted(tmp_path, 8, idle=3, box=Endless())
    attempted.plan = replace(attempted.plan, groups=(Group(name="", parent=None, judge_all=False),))
    broken = outcome(R.SE)
    replies = Replies([ended(0)], [ended(1, right=False)], *([broken] for _ in range(6)))
    attempted.box.on(Policy.RUN, b"main", replies)
    report = await attempted.judge()
    assert isinstance(report, Report), report
    assert [test.status for test in report.tests] == [Verdict.ACCEPTED, Verdict.WRONG_ANSWER]
    assert sum(replies.runs.values()) > 2, "some tests ran ahead"
    attempted.assert_nothing_left()


@pytest.mark.parametrize("ahead", [False, True])
async def test_a_broken_box_breaks_the_attempt_as_with_one_slot(tmp_path: Path, ahead: bool) -> None:
    attempted = Attempted(tmp_path, 6)

    def on_run(_spec: RunSpec, stdin: bytes) -> RunOutcome:
        if (number := int(stdin.split()[0])) == (2 if ahead else 0):
            raise BoxBroken("it fell")
        return ended(number)

    attempted.box.on(Policy.RUN, b"main", on_run)
    with pytest.raises(BoxBroken, match="it fell"):
        await attempted.judge()
    attempted.assert_nothing_left()


async def test_a_file_that_cannot_be_written_is_ours(tmp_path: Path) -> None:
    attempted = Attempted(tmp_path, 6)
    attempted.box.on(Policy.RUN, b"main", OSError(28, "No space left on device"))
    result = await attempted.judge()
    assert isinstance(result, Infra), result
    attempted.assert_nothing_left()


async def test_a_failed_run_of_the_sandbox_gives_the_job_back(tmp_path: Path) -> None:
    attempted = Attempted(tmp_path, 6)
    replies = [[ended(number)] for number in range(6)]
    replies[3] = [outcome(R.SE)]
    attempted.box.on(Policy.RUN, b"main", Replies(*replies))
    result = await attempted.judge()
    assert isinstance(result, Infra), result
    assert "test 4" in result.message
    assert attempted.seen == ["1", "2", "3"]
    attempted.assert_nothing_left()


async def test_cancelling_ends_every_run(tmp_path: Path) -> None:
    attempted = Attempted(tmp_path, 6)
    async with trio.open_nursery() as nursery:
        attempted.box.hold()
        nursery.start_soon(release_compilation, attempted.box)
        nursery.start_soon(attempted.judge)
        await attempted.box.wait_running(3)
        nursery.cancel_scope.cancel()
    assert attempted.box.cancelled == 3
    attempted.assert_nothing_left()


async def test_results_that_wait_for_their_turn_are_bounded(tmp_path: Path) -> None:
    """One long test, and many short ones behind it."""
    attempted = Attempted(tmp_path, runs_ahead.AHEAD + 20, idle=1)
    box, release = attempted.box, trio.Event()

    class Slow(ScriptedBox):
        async def run(self, spec: RunSpec) -> RunOutcome:
            if spec.stdin is not None and spec.stdin.name == "1.in":
                await release.wait()
            return await super().run(spec)

    attempted.box = box = Slow()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(attempted.judge)
        with trio.fail_after(60):
            while len(box.runs()) < runs_ahead.AHEAD:
                await trio.sleep(0.001)
            await trio.testing.wait_all_tasks_blocked(0.01)
        assert len(box.runs()) <= runs_ahead.AHEAD + 2  # each slot had prepared one
        release.set()
    assert len(attempted.seen) == runs_ahead.AHEAD + 20


async def test_a_checker_is_compiled_once_and_no_two_checks_share_a_directory(tmp_path: Path) -> None:
    program = Program(language="cpp17", files=("check.cpp",), entry="check.cpp", root="")
    cases = tuple(Case(name=str(number), input=f"{number}.in", answer=None) for number in range(8))
    plan = Plan(format="own", cases=cases, checker=Checker(program=program, protocol=Protocol.VALIDATOR))
    attempted = Attempted(tmp_path)
    files = {"check.cpp": b"// the checker", **{f"{number}.in": b"1" for number in range(8)}}
    (tmp_path / "files").mkdir()
    attempted.data = PlainTestData(tmp_path / "files", plan=plan, files=files)
    places: list[Path] = []
    checking: set[Path] = set()

    class Checks(IrregularBox):
        async def run(self, spec: RunSpec) -> RunOutcome:
            feedback = {file.path.parent for file in spec.files_out if "feedback" in file.path.parent.name}
            assert not feedback & checking
            checking.update(feedback)
            places.extend(feedback)
            try:
                return await super().run(spec)
            finally:
                checking.difference_update(feedback)

    attempted.box = box = Checks(3)
    box.on(Policy.RUN, b"// the checker", outcome(R.RE, exit_code=42))
    report = await attempted.judge(compare="package")
    assert isinstance(report, Report), report
    assert [test.name for test in report.tests] == [str(number) for number in range(8)]
    assert len(box.runs(Policy.COMPILE)) == 2
    assert len(places) == 8
    assert 1 <= len(set(places)) <= 3


async def test_an_interactor_judges_one_test_after_the_other(tmp_path: Path) -> None:
    program = Program(language="cpp17", files=("talk.cpp",), entry="talk.cpp", root="")
    cases = tuple(Case(name=str(number), input=f"{number}.in", answer=None) for number in range(8))
    checker = Checker(program=program, protocol=Protocol.TESTLIB, interactive=True)
    box = IrregularBox(3)
    attempted = Attempted(tmp_path, box=box)
    (tmp_path / "files").mkdir()
    files = {"talk.cpp": b"", **{f"{number}.in": b"1" for number in range(8)}}
    attempted.data = PlainTestData(
        tmp_path / "files", plan=Plan(format="own", cases=cases, checker=checker), files=files
    )
    box.pair = lambda *_: joined(outcome(), outcome(exit_code=0))
    report = await attempted.judge(compare="package")
    assert isinstance(report, Report), report
    assert (len(report.tests), box.most) == (8, 1)


# -- which slots are idle


async def test_no_slot_is_idle_while_jobs_wait_in_the_stream(autojump_clock: object) -> None:
    leases = Leases(60.0, 3)
    assert leases.idle() == 3
    leases.read_began()
    assert leases.idle() == 3
    leases.read_ended(is_full=True)  # as many as there was room for: more may wait
    leases.add(a_claim("a"), trio.current_time())
    assert leases.idle() == 0
    leases.read_began()
    assert leases.idle() == 0
    await trio.sleep(QUIET_S)
    assert leases.idle() == 2, "the read found nothing"
    leases.read_ended(is_full=False)
    assert leases.idle() == 2


async def test_slots_kept_for_contests_are_not_idle() -> None:
    leases = Leases(60.0, 3)
    leases.keep(1)
    leases.add(a_claim("a"), trio.current_time())
    assert leases.idle() == 1


async def test_a_prepared_test_is_given_up_when_a_job_needs_the_slot(tmp_path: Path) -> None:
    """A helper's next test waits for the program before it to end. By then a job was claimed for the slot."""
    attempted = Attempted(tmp_path, 12, idle=1)
    waiting: list[RunSpec] = []

    class Prepared(ScriptedBox):
        async def run(self, spec: RunSpec) -> RunOutcome:
            waiting.append(spec)
            return await super().run(spec)

    attempted.box = box = Prepared()
    async with trio.open_nursery() as nursery:
        box.hold()
        nursery.start_soon(release_compilation, box)
        nursery.start_soon(attempted.judge)
        while len(waiting) - len(box.specs) < 2:  # one is prepared in each of the two slots
            await box.wait_running(2)
            await trio.testing.wait_all_tasks_blocked(0.01)
            box.release()
            box.hold()
        begun = len(box.runs())
        attempted.idle = 0
        for _ in range(3):
            box.release()
            box.hold()
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert box.running == 1
        assert len(box.runs()) > begun
        box.release()
    assert len(attempted.seen) == 12
    attempted.assert_nothing_left()
