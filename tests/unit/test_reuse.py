"""Results taken over from an earlier judging: fingerprints, stored results, and the judge step."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deepoj.execution.context import AttemptContext
from deepoj.judging import testlib
from deepoj.judging.languages import LANGUAGES
from deepoj.judging.problem import Case, Checker, Compare, Plan, Program, Protocol
from deepoj.judging.result import as_result
from deepoj.judging.reuse import Deciders, Former, checkers_mark, former_of, program_mark
from deepoj.observe import Metrics
from deepoj.pipeline import judge as step
from deepoj.pipeline.rejudge import former
from deepoj.words.jobs import Claim
from deepoj.words.results import Infra, Report, Verdict
from deepoj.words.sandbox import Isolation, Policy, RunLimits, RunVerdict
from tests.fakes.attempts import attempt_context
from tests.fakes.box import ScriptedBox, outcome
from tests.fakes.settings import judge_settings
from tests.fakes.store import MemoryStore
from tests.fakes.testdata import PlainTestData
from tests.unit.makers import a_claim

LIMITS = RunLimits(cpu_ms=1000, wall_ms=3000, memory_bytes=1 << 20, output_bytes=1 << 20)
CASE = Case(name="1", input="1.in", answer="1.out")
PLAN = Plan(format="own", cases=(CASE,))
PROGRAM = Program(language="cpp20", files=("check.cpp",), entry="check.cpp")
CHECKER = Checker(program=PROGRAM, protocol=Protocol.TESTLIB)
DIGESTS = {"1.in": "aa", "1.out": "bb", "2.in": "aa", "2.out": "bb", "check.cpp": "cc", "data.txt": "dd"}


def deciders(**changes: Any) -> Deciders:
    digests = DIGESTS | changes.pop("digests", {})
    made = Deciders("program", PLAN, digests.__getitem__, "tokens", LIMITS, "made by")
    return replace(made, **changes)


def plan(**changes: Any) -> Plan:
    return replace(PLAN, **changes)


#: changes, each of one thing that decides a test
DECIDES = {
    "as it was": (deciders(), CASE),
    "the program": (deciders(program="another"), CASE),
    "the input": (deciders(digests={"1.in": "ee"}), CASE),
    "the answer": (deciders(digests={"1.out": "ee"}), CASE),
    "no input": (deciders(), replace(CASE, input=None)),
    "no answer": (deciders(), replace(CASE, answer=None)),
    "the comparison": (deciders(compare="exact"), CASE),
    "the package's comparison": (deciders(plan=plan(compare=Compare(way="floats", absolute=1e-6))), CASE),
    "its tolerance": (deciders(plan=plan(compare=Compare(way="floats", absolute=1e-7))), CASE),
    "a checker": (deciders(plan=plan(checker=CHECKER)), CASE),
    "the checker's source": (deciders(plan=plan(checker=CHECKER), digests={"check.cpp": "ee"}), CASE),
    "a checker after an interactor": (deciders(plan=plan(checker=CHECKER, output_checker=CHECKER)), CASE),
    "how the checker is made": (deciders(checkers="made by another", plan=plan(checker=CHECKER)), CASE),
    "its protocol": (deciders(plan=plan(checker=replace(CHECKER, protocol=Protocol.VALIDATOR))), CASE),
    "its arguments": (deciders(plan=plan(checker=replace(CHECKER, args=("-e",)))), CASE),
    "its arguments for the test": (deciders(plan=plan(checker=CHECKER)), replace(CASE, checker_args=("-e",))),
    "what the test is worth to it": (deciders(plan=plan(checker=CHECKER)), replace(CASE, score=5.0)),
    "the time limit": (deciders(limits=replace(LIMITS, cpu_ms=999)), CASE),
    "the memory limit": (deciders(limits=replace(LIMITS, memory_bytes=1 << 21)), CASE),
    "the output limit": (deciders(limits=replace(LIMITS, output_bytes=1 << 21)), CASE),
    "the program's arguments": (deciders(), replace(CASE, args=("x",))),
    "files beside the program": (deciders(), replace(CASE, extra_files=("data.txt",))),
    "what is in them": (deciders(digests={"data.txt": "ee"}), replace(CASE, extra_files=("data.txt",))),
}


def test_everything_that_decides_a_test_makes_another_fingerprint() -> None:
    marks = {name: made.fingerprint(case) for name, (made, case) in DECIDES.items()}
    equal = [(a, b) for a, b in itertools.combinations(marks, 2) if marks[a] == marks[b]]
    assert equal == []
    assert all(len(mark) == 22 for mark in marks.values())


def test_fingerprint_is_that_of_stored_results() -> None:
    """If it has to become another one, raise ``reuse._FORM``."""
    assert deciders().fingerprint(CASE) == "Hi6vs7bU2SKSO9gJ1imN8Q"


def test_fingerprint_ignores_names_groups_and_titles() -> None:
    mark = deciders().fingerprint(CASE)
    for case in (
        replace(CASE, name="another"),
        replace(CASE, input="2.in", answer="2.out"),
        replace(CASE, group="g", score=5.0, sample=True),
    ):
        assert deciders().fingerprint(case) == mark
    assert deciders(plan=plan(title="x", scored=True, format="kattis-legacy")).fingerprint(CASE) == mark


def test_the_program_is_its_sources_and_what_makes_and_runs_it() -> None:
    language, toolchain = LANGUAGES["cpp17"], judge_settings().toolchain
    marks = [
        program_mark(language, {"main.cpp": b"a"}, "main.cpp", toolchain),
        program_mark(language, {"main.cpp": b"b"}, "main.cpp", toolchain),
        program_mark(language, {"other.cpp": b"a"}, "other.cpp", toolchain),
        program_mark(language, {"main.cpp": b"a", "x.h": b""}, "main.cpp", toolchain),
        program_mark(LANGUAGES["cpp20"], {"main.cpp": b"a"}, "main.cpp", toolchain),
        program_mark(language, {"main.cpp": b"a"}, "main.cpp", replace(toolchain, gxx="/nowhere/g++")),
        program_mark(language, {"main.cpp": b"a"}, "main.cpp", replace(toolchain, lean_headers=True)),
    ]
    assert len(set(marks)) == len(marks)
    assert marks[0] == program_mark(language, {"main.cpp": b"a"}, "main.cpp", toolchain)


@pytest.mark.parametrize("name", ["gxx", "mold"])
def test_a_compiler_or_linker_that_was_replaced_makes_another_program(tmp_path: Path, name: str) -> None:
    tool = tmp_path / "tool"
    tool.write_text("one")
    language, toolchain = LANGUAGES["cpp17"], judge_settings().toolchain
    toolchain = replace(toolchain, gxx=str(tool)) if name == "gxx" else replace(toolchain, mold=str(tool))
    before = program_mark(language, {"main.cpp": b"a"}, "main.cpp", toolchain)
    tool.write_text("another")
    assert program_mark(language, {"main.cpp": b"a"}, "main.cpp", toolchain) != before


def test_a_checker_is_what_makes_and_runs_it_and_our_testlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "g++"
    tool.write_text("one")
    toolchain = replace(judge_settings().toolchain, gxx=str(tool))
    own = Program(language="cpp17", files=("c/check.cpp", "c/testlib.h"), entry="c/check.cpp", root="c/")
    plans = {
        "ours": plan(checker=CHECKER),
        "after an interactor": plan(checker=replace(CHECKER, interactive=True), output_checker=CHECKER),
        "its own": plan(checker=replace(CHECKER, program=own)),
        "python": plan(checker=replace(CHECKER, program=replace(PROGRAM, language="python3"))),
        "none": PLAN,
    }

    def changed() -> set[str]:
        after = {name: checkers_mark(one, toolchain) for name, one in plans.items()}
        different = {name for name in plans if after[name] != before[name]}
        before.update(after)
        return different

    before = {name: checkers_mark(one, toolchain) for name, one in plans.items()}
    assert changed() == set()
    assert len(set(before.values())) == len(before)
    assert before["none"] == ""
    tool.write_text("another")
    assert changed() == {"ours", "after an interactor", "its own"}
    monkeypatch.setattr(testlib, "digest", lambda: "new")
    assert changed() == {"ours", "after an interactor"}


# -- the judge


class Bench:
    """A+B three times, judged again and again."""

    def __init__(self, directory: Path) -> None:
        self.box, self.metrics, self.directory = ScriptedBox(), Metrics(), directory
        self.answers = [b"3\n", b"10\n", b"0\n"]
        self.versions = 0
        self.data = self.package()

    def package(self, *extra: tuple[bytes, bytes]) -> PlainTestData:
        self.versions += 1
        place = self.directory / f"data-{self.versions}"
        place.mkdir()
        inputs = [b"1 2\n", b"5 5\n", b"0 0\n"]
        return PlainTestData(place, [*zip(inputs, self.answers, strict=True), *extra])

    async def judge(self, judging: int, of: Former | None, claim: Claim | None = None) -> tuple[Report, dict[str, Any]]:
        made = replace(claim or a_claim(attempt_id=judging), judging=judging)
        self.box.specs.clear()
        report = await step.judge(self.context(), self.data, made, former=of)
        assert isinstance(report, Report), report
        return report, json.loads(json.dumps(as_result(made, report)))

    def context(self) -> AttemptContext:
        return attempt_context(self.box, self.directory / "work", metrics=self.metrics)

    @property
    def runs(self) -> int:
        return len(self.box.runs(Policy.RUN))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_only_the_test_that_changed_is_run(bench: Bench) -> None:
    _, first = await bench.judge(1, None)
    assert (first["status"], bench.runs) == ("Accepted", 3)
    assert [test["reused"] for test in first["tests"]] == [False] * 3
    bench.answers[1] = b"11\n"
    bench.data = bench.package()
    _, second = await bench.judge(2, former_of(first))
    assert (second["status"], bench.runs) == ("Wrong Answer", 1)
    assert [(test["status"], test["reused"], test["reused_attempt"]) for test in second["tests"]] == [
        ("Accepted", True, 1),
        ("Wrong Answer", False, None),
        ("Accepted", True, 1),
    ]
    figures = ("cpu_ms", "wall_ms", "memory_kb", "stdout_len", "fingerprint")
    assert [second["tests"][0][name] for name in figures] == [first["tests"][0][name] for name in figures]
    # and what was taken over is so once more, from the attempt that ran it
    _, third = await bench.judge(3, former_of(second))
    assert (third["status"], bench.runs) == ("Wrong Answer", 0)
    assert [test["reused_attempt"] for test in third["tests"]] == [1, 2, 1]
    assert third["explanation"] == second["explanation"]


async def test_other_testlib_runs_all_tests_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = {name: text for number in "12" for name, text in ((f"{number}.in", b"1 2"), (f"{number}.out", b"3"))}
    cases = tuple(Case(name=number, input=f"{number}.in", answer=f"{number}.out") for number in "12")
    (bench.directory / "checked").mkdir()
    bench.data = PlainTestData(
        bench.directory / "checked", plan=plan(cases=cases, checker=CHECKER), files={**inputs, "check.cpp": b"// it"}
    )
    bench.box.on(Policy.RUN, b"// it", outcome())
    claim = a_claim()
    claim = replace(claim, problem=replace(claim.problem, compare="package"))
    _, first = await bench.judge(1, None, claim)
    assert (first["status"], bench.runs) == ("Accepted", 4)
    _, second = await bench.judge(2, former_of(first), claim)
    assert (second["status"], bench.runs) == ("Accepted", 0)
    monkeypatch.setattr(testlib, "digest", lambda: "new")
    _, third = await bench.judge(3, former_of(second), claim)
    assert (third["status"], bench.runs) == ("Accepted", 4)


async def test_a_failure_is_taken_over_with_its_reason_under_its_new_name(bench: Bench) -> None:
    bench.box.on(Policy.RUN, b"int", outcome(RunVerdict.TLE, cpu_ms=5000))
    _, first = await bench.judge(1, None)
    bench.data.package = replace(
        bench.data.package,
        plan=replace(
            bench.data.package.plan,
            cases=tuple(replace(case, name=f"new/{case.name}") for case in bench.data.package.plan.cases),
        ),
    )
    _, second = await bench.judge(2, former_of(first))
    assert bench.runs == 0
    assert [test["name"] for test in second["tests"]] == ["new/1", "new/2", "new/3"]
    before, after = ([one for one in seen["explanation"] if one["rule"] == "cpu"] for seen in (first, second))
    assert after == [one | {"test": f"new/{one['test']}"} for one in before]
    assert (len(after), after[0]["measured_ms"]) == (3, 5000)


@pytest.mark.parametrize("what", ["source", "limit", "compare"])
async def test_rejudge_after_a_change_for_all_tests_runs_all_tests(bench: Bench, what: str) -> None:
    _, first = await bench.judge(1, None)
    claim = a_claim(attempt_id=2)
    changed = {
        "source": replace(claim, code="int main(){;}"),
        "limit": replace(claim, problem=replace(claim.problem, time_limit_ms=999)),
        "compare": replace(claim, problem=replace(claim.problem, compare="exact")),
    }[what]
    _, second = await bench.judge(2, former_of(first), changed)
    assert bench.runs == 3
    assert not any(test["reused"] for test in second["tests"])


async def test_a_new_version_with_the_same_tests_runs_none(bench: Bench) -> None:
    _, first = await bench.judge(1, None)
    claim = a_claim(attempt_id=2)
    changed = replace(claim, problem=replace(claim.problem, version=2, data_hash="cd" * 32, title="Other"))
    report, _ = await bench.judge(2, former_of(first), changed)
    assert (bench.runs, report.problem_version, report.status) == (0, "2", Verdict.ACCEPTED)


async def test_the_weakest_isolation_stays_on_the_result(bench: Bench) -> None:
    _, first = await bench.judge(1, None)
    first["isolation"] = "weak"
    report, _ = await bench.judge(2, former_of(first))
    assert report.isolation is Isolation.WEAK
    bench.box.specs.clear()
    report, _ = await bench.judge(2, None)
    assert report.isolation is Isolation.NAMESPACES


async def test_a_broken_box_is_no_reason_to_forget_what_is_known(bench: Bench) -> None:
    """A judging that fails at the changed test gives no verdict, however many results were taken over."""
    _, first = await bench.judge(1, None)
    bench.data = bench.package((b"7 7\n", b"14\n"))
    bench.box.on(Policy.RUN, b"int", outcome(RunVerdict.SE))
    made = a_claim(attempt_id=2)
    found = await step.judge(bench.context(), bench.data, made, former=former_of(first))
    assert isinstance(found, Infra)


# -- stored results


def stored(**changes: Any) -> dict[str, Any]:
    test = {
        "name": "1", "group": "", "status": "Accepted", "score": 100.0, "cpu_ms": 1, "wall_ms": 2, "memory_kb": 3,
        "exit_code": 0, "exit_signal": 0, "reason": "", "checker_message": "", "stdout_len": 1,
        "truncated_stdout": False, "stderr_len": 0, "truncated_stderr": False, "fingerprint": "f",
    }  # fmt: skip
    return {"isolation": "full", "attempt_id": 4, "tests": [test | changes], "explanation": []}


def test_a_stored_test_is_taken_over() -> None:
    found = former_of(stored())
    assert found is not None
    one = found.reusable("f")
    assert one is not None
    assert (one.test.status, one.test.reused_attempt, one.reason) == (Verdict.ACCEPTED, 4, {})
    assert found.reusable("g") is None


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "System Error"},
        {"status": "Invalid"},
        {"fingerprint": ""},
        {"borderline": {"first_ms": 990}},
        {"status": "a word of tomorrow"},
        {"cpu_ms": "fast"},
    ],
)
def test_former_test_without_a_reusable_verdict_is_not_reused(changes: dict[str, Any]) -> None:
    assert former_of(stored(**changes)) is None


@pytest.mark.parametrize(
    "result",
    [
        {},
        {"isolation": "full", "attempt_id": 1, "tests": []},
        {"isolation": "", "attempt_id": 1, "tests": []},
        {"isolation": "full", "attempt_id": None, "tests": []},
        {"isolation": "full", "attempt_id": 1, "tests": 7},
        {"isolation": "full", "attempt_id": 1, "tests": [7]},
        stored() | {"attempt_id": "x"},
    ],
)
def test_results_of_other_times_say_nothing(result: dict[str, Any]) -> None:
    assert former_of(result) is None


def test_reasons_are_those_of_the_test_alone() -> None:
    result = stored(status="Wrong Answer", reason="compare")
    result["explanation"] = [
        {"rule": "verdict", "test": "1", "status": "Wrong Answer"},
        {"rule": "first_failure", "test": "1", "tests_skipped": 3},
        {"rule": "compare", "test": "1", "expected": "3"},
    ]
    found = former_of(result)
    assert found is not None
    one = found.reusable("f")
    assert one is not None
    assert one.reason == {"rule": "compare", "test": "1", "expected": "3"}
    found = former_of(result | {"explanation": None})
    assert found is not None
    one = found.reusable("f")
    assert one is not None
    assert one.reason == {"test": "1", "rule": "compare"}


# -- the step that asks for it


async def test_former_results_of_a_first_judging_or_without_database_are_none() -> None:
    store = MemoryStore(down=True)
    assert await former(store, a_claim()) is None
    assert await former(store, replace(a_claim(), judging=2)) is None
