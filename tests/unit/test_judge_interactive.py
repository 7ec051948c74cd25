"""The judge step with an interactor, against a scripted box: who decides, and the checker that comes after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from deepoj.judging import borderline
from deepoj.judging.problem import Case, Checker, Plan, Program, Protocol
from deepoj.pipeline.judge import judge
from deepoj.words.results import Infra, Report, Verdict
from deepoj.words.sandbox import Joined, Policy, RunOutcome, RunSpec, RunVerdict
from tests.fakes.attempts import attempt_context
from tests.fakes.box import ScriptedBox, joined, outcome
from tests.fakes.testdata import PlainTestData
from tests.unit.makers import a_claim

R, V = RunVerdict, Verdict
INTERACTOR, CHECKER, PROGRAM = b"// the interactor", b"// the checker", b"// the program"


class Bench:
    """A scripted box and a problem of two cases; the interactor and the checker accept unless a test says otherwise."""

    def __init__(self, directory: Path, *, checked: bool, **more: bool) -> None:
        told = {"interactive": True, **more}
        interactor = Checker(program=_one("interact"), protocol=Protocol.TESTLIB, **told)  # type: ignore[arg-type]
        cases = tuple(Case(name=name, input=f"{name}.in", answer=None, checker_args=(name,)) for name in ("a", "b"))
        after = Checker(program=_one("check"), protocol=Protocol.TESTLIB) if checked else None
        plan = Plan(format="polygon", cases=cases, checker=interactor, output_checker=after)
        files = {"interact.cpp": INTERACTOR, "check.cpp": CHECKER, "a.in": b"1", "b.in": b"2"}
        self.box = ScriptedBox()
        self.box.on(Policy.RUN, CHECKER, outcome(exit_code=0, stderr=b"ok"))
        self.plays(lambda _: (outcome(cpu_ms=7), outcome(stderr=b"3 turns")))
        (directory / "data").mkdir()
        self.data = PlainTestData(directory / "data", plan=plan, files=files)
        self.workspace = directory / "workspace"

    def plays(self, pair: Callable[[str], tuple[RunOutcome, RunOutcome]], **how: bool) -> None:
        """The outcomes of program and interactor by the test's name."""

        def play(_: RunSpec, spec: RunSpec) -> Joined:
            program, interactor = pair(spec.argv[-1])
            for file in spec.files_out:
                file.path.write_bytes(b"3")
            left = tuple(file.name for file in spec.files_out)
            return joined(program, replace(interactor, files_out=left), **how)

        self.box.pair = play

    async def judge(self) -> Report | Infra:
        claim = a_claim()
        claim = replace(claim, code=PROGRAM.decode(), problem=replace(claim.problem, compare="package"))
        return await judge(attempt_context(self.box, self.workspace), self.data, claim)


def _one(name: str) -> Program:
    return Program(language="cpp17", files=(f"{name}.cpp",), entry=f"{name}.cpp")


async def test_the_interactor_decides(tmp_path: Path) -> None:
    bench = Bench(tmp_path, checked=False)
    wrong = outcome(R.RE, exit_code=1, stderr=b"too many turns")
    bench.plays(lambda test: (outcome(cpu_ms=7), wrong if test == "b" else outcome(stderr=b"3 turns")))

    report = await bench.judge()

    assert isinstance(report, Report), report
    assert report.status is V.WRONG_ANSWER
    assert [(test.status, test.reason, test.checker_message) for test in report.tests] == [
        (V.ACCEPTED, "", "3 turns"),
        (V.WRONG_ANSWER, "interactor", "too many turns"),
    ]
    assert report.time_used_ms == 7
    assert len(bench.box.runs(Policy.COMPILE)) == 2, "the program and, once, the interactor"


async def test_a_program_over_its_time_is_told_with_its_figures(tmp_path: Path) -> None:
    bench = Bench(tmp_path, checked=False)
    bench.plays(lambda _: (outcome(R.TLE, rule="wall", wall_ms=99_000), outcome(R.RE, exit_code=1)))

    report = await bench.judge()

    assert isinstance(report, Report), report
    assert report.status is V.TIME_LIMIT_EXCEEDED
    (program, _) = bench.box.pairs[0]
    assert report.explanation[1]["limit_ms"] == program.limits.wall_ms


async def test_failing_interactor_is_infra(tmp_path: Path) -> None:
    bench = Bench(tmp_path, checked=False)
    bench.plays(lambda _: (outcome(), outcome(R.RE, exit_code=3, stderr=b"FAIL no input")), interactor_first=True)

    trouble = await bench.judge()

    assert isinstance(trouble, Infra)
    assert "FAIL no input" in trouble.message


async def test_a_checker_looks_at_what_the_interactor_wrote(tmp_path: Path) -> None:
    bench = Bench(tmp_path, checked=True)
    read: list[bytes] = []

    def says(spec: RunSpec, _stdin: bytes) -> RunOutcome:
        read.append(next(file.path for file in spec.files_in if file.name == "output").read_bytes())
        return outcome(R.RE, exit_code=1, stderr=b"3 turns are too many")

    bench.box.on(Policy.RUN, CHECKER, says)
    report = await bench.judge()

    assert isinstance(report, Report), report
    assert read == [b"3", b"3"]
    assert [(test.status, test.reason, test.checker_message) for test in report.tests] == [
        (V.WRONG_ANSWER, "checker", "3 turns are too many")
    ] * 2


async def test_a_refused_program_needs_no_checker(tmp_path: Path) -> None:
    bench = Bench(tmp_path, checked=True)
    bench.box.on(Policy.RUN, CHECKER, OSError("no checker may run"))
    bench.plays(lambda _: (outcome(), outcome(R.RE, exit_code=1)))

    report = await bench.judge()

    assert isinstance(report, Report), report
    assert report.status is V.WRONG_ANSWER


@pytest.mark.parametrize("cut", [True, False])
async def test_refusal_of_the_interactor_decides_over_the_programs_end(cut: bool, tmp_path: Path) -> None:
    bench = Bench(tmp_path, checked=False)
    bench.plays(
        lambda _: (outcome(R.RE, exit_signal=9 if cut else 11), outcome(R.RE, exit_code=1)),
        interactor_first=True,
        program_cut=cut,
    )

    report = await bench.judge()

    assert isinstance(report, Report), report
    assert report.status is V.WRONG_ANSWER


@pytest.mark.parametrize(
    ("program", "interactor"),
    [
        (outcome(R.TLE, rule="wall", wall_ms=99_000, delay_ms=50_000), outcome(R.RE, exit_code=1)),
        # it was waiting for an interactor that could not run
        (outcome(R.TLE, rule="wall", wall_ms=99_000), outcome(R.RE, exit_code=1, delay_ms=50_000)),
        (outcome(), outcome(R.TLE, rule="wall", wall_ms=99_000, delay_ms=50_000)),
    ],
)
async def test_a_starved_pair_is_repeated_alone(program: RunOutcome, interactor: RunOutcome, tmp_path: Path) -> None:
    bench = Bench(tmp_path, checked=False)
    ends = [(program, interactor), (outcome(cpu_ms=7), outcome())]
    bench.plays(lambda test: ends.pop(0) if ends else (outcome(cpu_ms=7), outcome()))

    report = await bench.judge()

    assert isinstance(report, Report), report
    assert report.status is V.ACCEPTED
    waits = [program.alone_within_s for program, _ in bench.box.pairs]
    assert waits == [None, borderline.STARVED_WAIT_S, None]


async def test_a_pair_that_is_starved_twice_gives_no_verdict(tmp_path: Path) -> None:
    bench = Bench(tmp_path, checked=False)
    starved = outcome(R.TLE, rule="wall", wall_ms=99_000, delay_ms=50_000)
    bench.plays(lambda test: (starved, outcome(R.RE, exit_code=1)))

    trouble = await bench.judge()

    assert isinstance(trouble, Infra)
    assert "starved" in trouble.message
    assert len(bench.box.pairs) == 2
