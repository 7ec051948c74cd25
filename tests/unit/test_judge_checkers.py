"""The judge step with a custom checker, against a scripted box: who decides, and that nothing of ours is a verdict."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from deepoj.judging import checker_points, verdicts
from deepoj.judging.problem import Case, Checker, Compare, Plan, Program, Protocol
from deepoj.pipeline.judge import judge
from deepoj.words.errors import BoxBroken
from deepoj.words.results import Infra, Report, Verdict
from deepoj.words.sandbox import Policy, RunOutcome, RunSpec, RunVerdict
from tests.fakes.attempts import attempt_context
from tests.fakes.box import ScriptedBox, outcome
from tests.fakes.testdata import PlainTestData
from tests.unit.makers import a_claim

R, V = RunVerdict, Verdict
CHECKER, PROGRAM = b"// the checker", b"// the program"


class Bench:
    """A scripted box and a problem of two cases with a checker; it accepts unless a test says otherwise."""

    def __init__(
        self, directory: Path, protocol: Protocol = Protocol.TESTLIB, *, compare: Compare | None = None
    ) -> None:
        program = Program(language="cpp17", files=("c/check.cpp",), entry="c/check.cpp", root="c/")
        checker = Checker(program=program, protocol=protocol)
        cases = tuple(
            Case(name=name, input=f"{name}.in", answer=f"{name}.ans", checker_args=(name,)) for name in ("a", "b")
        )
        plan = Plan(format="own", cases=cases, checker=None if compare else checker, compare=compare)
        files = {"c/check.cpp": CHECKER, "a.in": b"1 2", "a.ans": b"3", "b.in": b"3 4", "b.ans": b"7"}
        self.box = ScriptedBox()
        self.box.on(Policy.RUN, PROGRAM, outcome(stdout=b"its output"))
        self.box.on(Policy.RUN, CHECKER, outcome(exit_code=0))
        (directory / "data").mkdir()
        self.data = PlainTestData(directory / "data", plan=plan, files=files)
        self.workspace = directory / "workspace"

    async def judge(self) -> Report | Infra:
        claim = a_claim()
        claim = replace(claim, code=PROGRAM.decode(), problem=replace(claim.problem, compare="package"))
        return await judge(attempt_context(self.box, self.workspace), self.data, claim)

    def checks(self) -> list[RunSpec]:
        return [spec for spec in self.box.runs() if "answer" in spec.argv]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_the_checker_decides(bench: Bench) -> None:
    def says(spec: RunSpec, _stdin: bytes) -> RunOutcome:
        wrong = spec.argv[-1] == "b"
        return outcome(R.RE if wrong else R.OK, exit_code=int(wrong), stderr=b"wrong answer 8" if wrong else b"ok 3")

    bench.box.on(Policy.RUN, CHECKER, says)
    report = await bench.judge()
    assert isinstance(report, Report), report
    assert report.status is V.WRONG_ANSWER
    assert [(test.status, test.reason, test.checker_message) for test in report.tests] == [
        (V.ACCEPTED, "", "ok 3"),
        (V.WRONG_ANSWER, "checker", "wrong answer 8"),
    ]
    assert report.explanation[1:] == ({"test": "b", "rule": "checker"},)
    assert [spec.argv[1:] for spec in bench.checks()] == [
        ("input", "output", "answer", "a"),
        ("input", "output", "answer", "b"),
    ]
    assert len(bench.box.runs(Policy.COMPILE)) == 2, "the program, and the checker once"
    assert not list(bench.workspace.iterdir())
    assert bench.data.held == 0


async def test_a_program_that_fails_by_itself_needs_no_checker(bench: Bench) -> None:
    bench.box.on(Policy.RUN, PROGRAM, outcome(R.TLE))
    report = await bench.judge()
    assert isinstance(report, Report)
    assert report.status is V.TIME_LIMIT_EXCEEDED
    assert not bench.checks()
    assert len(bench.box.runs(Policy.COMPILE)) == 1


async def test_a_checker_that_does_not_compile_is_its_setters(bench: Bench) -> None:
    bench.box.on(Policy.COMPILE, CHECKER, outcome(R.RE, exit_code=1, stderr=b"check.cpp:1: error: what"))
    found = await bench.judge()
    assert isinstance(found, Infra)
    assert found.code == "checker_broken"
    assert "check.cpp:1: error: what" in found.message


async def test_the_plan_says_how_to_compare(tmp_path: Path) -> None:
    bench = Bench(tmp_path, compare=Compare(way="floats", absolute=0.5))
    bench.box.on(Policy.RUN, PROGRAM, lambda _spec, stdin: outcome(stdout=b"3.25" if stdin == b"1 2" else b"7.75"))
    report = await bench.judge()
    assert isinstance(report, Report)
    assert [test.status for test in report.tests] == [V.ACCEPTED, V.WRONG_ANSWER]
    assert report.tests[1].checker_message == "token 1: expected '7', got '7.75'"


# ---------------------------------------------------------------------------------------------------------------------

ends = st.builds(
    lambda ended, code, signal: outcome(ended[0], rule=ended[1], exit_code=code, exit_signal=signal),
    st.sampled_from([*sorted(verdicts.RUN_TABLE), (R.OK, "a new rule"), (R.TLE, "memory")]),
    st.integers(0, 255),
    st.sampled_from([0, 0, 0, 9, 11]),
)
troubles = st.sampled_from([None, None, BoxBroken("gone"), OSError(5, "disk"), outcome(R.SE)])


@given(ends, st.sampled_from(Protocol), troubles, st.sampled_from(["compile", "run", "compile checker", "check"]))
@settings(max_examples=150, deadline=None)
def test_nothing_of_ours_or_of_the_checkers_is_a_contestants_verdict(
    said: RunOutcome, protocol: Protocol, trouble: RunOutcome | Exception | None, where: str
) -> None:
    """For every outcome of a checker, and every failure of the box or the disk: a verdict is given only if all was well
    and the checker said it."""
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(Path(directory), protocol)
        bench.box.on(Policy.RUN, CHECKER, said)
        if trouble is not None:
            policy = Policy.COMPILE if "compile" in where else Policy.RUN
            marker = CHECKER if "check" in where else PROGRAM
            bench.box.on(policy, marker, trouble)  # type: ignore[arg-type]
        try:
            found: Report | Infra | BoxBroken = trio.run(bench.judge)
        except BoxBroken as broken:
            found = broken
        assert not list(bench.workspace.iterdir())
    verdict = verdicts.of_check(
        protocol, said.verdict, said.rule, exit_code=said.exit_code, exit_signal=said.exit_signal
    )
    if checker_points.is_partly(protocol, said, scored=False):
        verdict = V.ACCEPTED if said.exit_code > verdicts.PARTIALLY and protocol is not Protocol.UOJ else V.WRONG_ANSWER
    decided = verdict in (V.ACCEPTED, V.WRONG_ANSWER, V.PRESENTATION_ERROR)  # Partial: it said no points
    if trouble is not None or not decided:
        assert not isinstance(found, Report)
    else:
        assert isinstance(found, Report)
        assert found.status is verdict
