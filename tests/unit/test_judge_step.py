"""The judge step against a scripted box: whose fault is what, what is asked of the box, what is left behind."""

from __future__ import annotations

import errno
import itertools
import os
from dataclasses import replace
from pathlib import Path

import pytest
import trio
import trio.testing

from deepoj.adapters.sandbox.quiet_box import QuietBox
from deepoj.execution import compiling
from deepoj.execution.context import AttemptContext
from deepoj.execution.workdir import sweep
from deepoj.judging import borderline, outputs
from deepoj.judging.abilities import BY_PACKAGE
from deepoj.judging.exec_rules import wall_limit_ms
from deepoj.judging.languages import LANGUAGES
from deepoj.judging.problem import Aggregate, Case, Compare, Group, Included, Limits, Plan
from deepoj.judging.result import as_result
from deepoj.observe import Metrics
from deepoj.pipeline import judge as step
from deepoj.ports.sandbox import Box
from deepoj.words.errors import BlobMissing, BlobsUnavailable, BoxBroken, StartRefused, TestDataBroken
from deepoj.words.jobs import Claim
from deepoj.words.results import Borderline, Infra, Report, TestResult, Verdict
from deepoj.words.sandbox import Isolation, Policy, RunOutcome, RunVerdict, SandboxError
from deepoj.words.sources import SourceFile
from tests.fakes.attempts import attempt_context
from tests.fakes.box import ScriptedBox, outcome
from tests.fakes.settings import judge_settings
from tests.fakes.testdata import PlainTestData
from tests.unit.makers import a_claim

R, V = RunVerdict, Verdict
KILLED = b"g++: fatal error: Killed signal terminated program cc1plus\ncompilation terminated.\n"
LINKER_KILLED = b"collect2: fatal error: ld terminated with signal 9 [Killed]\ncompilation terminated.\n"


class Bench:
    """A scripted box, three cases of A+B, and a workspace."""

    def __init__(self, tmp_path: Path, metrics: Metrics) -> None:
        self.box = ScriptedBox()
        data = tmp_path / "data"
        data.mkdir()
        self.data = PlainTestData(data, [(b"1 2\n", b"3\n"), (b"5 5\n", b"10\n"), (b"0 0\n", b"0")])
        self.workspace = tmp_path / "workspace"
        self.settings = judge_settings()
        self.metrics = metrics
        self.seen: list[TestResult] = []
        self.counted: list[tuple[int, int]] = []

    @property
    def plan(self) -> Plan:
        return self.data.package.plan

    @plan.setter
    def plan(self, plan: Plan) -> None:
        self.data.package = replace(self.data.package, plan=plan)

    async def judge(self, claim: Claim | None = None) -> Report | Infra:
        return await step.judge(self.context(), self.data, claim or a_claim(), on_test=self._see)

    def context(self, box: Box | None = None) -> AttemptContext:
        return attempt_context(box or self.box, self.workspace, self.settings, metrics=self.metrics)

    def _see(self, test: TestResult, index: int, count: int) -> None:
        self.seen.append(test)
        self.counted.append((index, count))

    async def report(self, claim: Claim | None = None) -> Report:
        found = await self.judge(claim)
        assert isinstance(found, Report), found
        return found

    async def infra(self, claim: Claim | None = None) -> Infra:
        found = await self.judge(claim)
        assert isinstance(found, Infra), found
        self.assert_clean()  # a fault of the host, too, leaves no directory and holds no test data
        return found

    def assert_clean(self) -> None:
        assert not self.workspace.is_dir() or not list(self.workspace.iterdir())
        assert self.data.held == 0
        assert _sample(self.metrics, "judge_exec_inflight") == 0


def _sample(metrics: Metrics, name: str, **labels: str) -> float:
    for family in metrics.registry.collect():
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return sample.value
    return 0.0


@pytest.fixture
def bench(tmp_path: Path, metrics: Metrics) -> Bench:
    return Bench(tmp_path, metrics)


async def test_accepted(bench: Bench) -> None:
    report = await bench.report()
    assert report.status is V.ACCEPTED
    assert report.score == 100.0
    assert [test.name for test in report.tests] == ["1", "2", "3"]
    assert tuple(bench.seen) == report.tests
    assert bench.counted == [(1, 3), (2, 3), (3, 3)]
    assert report.compile is not None
    assert report.compile.ok
    assert (report.time_used_ms, report.memory_used_kb, report.wall_ms) == (1, 1024, 2)
    assert (report.compile_wall_ms, report.run_wall_ms) == (250, 6)
    assert report.explanation == ()
    assert report.problem_version == "1"
    bench.assert_clean()
    assert _sample(bench.metrics, "judge_exec_total", result="ended") == 4
    assert _sample(bench.metrics, "worker_compile_duration_seconds_count") == 1


async def test_runs_in_the_box_have_the_limits_of_the_problem(bench: Bench) -> None:
    claim = a_claim()
    claim = replace(claim, problem=replace(claim.problem, time_limit_ms=1500, memory_limit_mb=64))
    await bench.report(claim)
    (compiling,) = bench.box.runs(Policy.COMPILE)
    assert compiling.argv[0] == "/usr/bin/g++"
    assert compiling.limits.cpu_ms == 10_000
    assert compiling.limits.wall_ms == 15_000
    assert compiling.limits.memory_bytes == 1024**3
    assert [file.name for file in compiling.files_in] == ["main.cpp"]
    runs = bench.box.runs()
    assert len(runs) == 3
    for run in runs:
        assert run.argv == ("/p/main",)
        assert run.limits.cpu_ms == 1575  # 5 % more, to tell what ends close to the limit from what does not end
        assert run.limits.wall_ms == 4500
        assert run.limits.memory_bytes == 64 * 1024 * 1024
        assert run.limits.output_bytes == 10 * 1024 * 1024
        assert run.limits.processes == 20
        assert [(file.name, file.executable) for file in run.files_in] == [("main", True)]
    assert [run.stdin and run.stdin.name for run in runs] == ["1.in", "2.in", "3.in"]


async def test_python_runs_its_source(bench: Bench) -> None:
    report = await bench.report(replace(a_claim(), language="python3"))
    assert report.status is V.ACCEPTED
    assert report.language == "python3"
    run = bench.box.runs()[0]
    assert run.argv == ("/usr/bin/python3", "/p/main.py")
    assert [(file.name, file.executable, file.program) for file in run.files_in] == [("main.py", False, True)]
    (compiling,) = bench.box.runs(Policy.COMPILE)
    assert (compiling.argv[0], compiling.argv[-1]) == ("/usr/bin/python3", "main.py")


BESIDE = (SourceFile("b.cpp", "int b;"), SourceFile("b.h", "extern int b;"))


async def test_several_files_are_compiled_together(bench: Bench) -> None:
    report = await bench.report(replace(a_claim(), entry_point="go.cpp", beside=BESIDE))
    assert report.status is V.ACCEPTED
    (compiling,) = bench.box.runs(Policy.COMPILE)
    assert compiling.argv[-4:] == ("-o", "main", "go.cpp", "b.cpp")
    assert [file.name for file in compiling.files_in] == ["go.cpp", "b.cpp", "b.h"]
    assert bench.box.runs()[0].argv == ("/p/main",)
    bench.assert_clean()


async def test_an_interpreter_gets_all_files(bench: Bench) -> None:
    beside = (SourceFile("main", "not an artifact"), SourceFile("0.stdout", "not an output"))
    report = await bench.report(replace(a_claim(), language="python3", entry_point="go.py", beside=beside))
    assert report.status is V.ACCEPTED
    run = bench.box.runs()[0]
    assert run.argv == ("/usr/bin/python3", "/p/go.py")
    assert [(file.name, file.program) for file in run.files_in] == [
        *(("go.py", True), ("main", True), ("0.stdout", True)),
        # in the working directory, too
        *(("go.py", False), ("main", False), ("0.stdout", False)),
    ]
    bench.assert_clean()


async def test_a_language_of_one_file_makes_no_verdict_of_several(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_one = replace(LANGUAGES["cpp17"], compile=("/bin/sh", "-c", "g++ main.cpp"))
    monkeypatch.setattr(outputs, "language_of", lambda _key: of_one)
    infra = await bench.infra(replace(a_claim(), entry_point="go.cpp", beside=BESIDE))
    assert infra.code == "several_files"
    assert bench.box.specs == []


async def test_outputs_are_judged_without_a_run(bench: Bench) -> None:
    bench.data.package = replace(bench.data.package, plan=replace(bench.data.package.plan, output_only=True))
    beside = (SourceFile("3.ans", "1"), SourceFile("1.out", "3"), SourceFile("README", "about it"))
    claim = replace(a_claim(), language="text", code="10\n", entry_point="2", beside=beside)
    report = await bench.report(claim)
    assert report.status is V.WRONG_ANSWER
    assert [test.status for test in report.tests] == [V.ACCEPTED, V.ACCEPTED, V.WRONG_ANSWER]
    assert (report.language, report.compile, report.time_used_ms) == ("text", None, 0)
    assert [test.stdout_len for test in report.tests] == [1, 3, 1]
    assert bench.box.specs == []
    bench.assert_clean()


async def test_an_output_that_was_not_sent_is_empty(bench: Bench) -> None:
    bench.data.package = replace(bench.data.package, plan=replace(bench.data.package.plan, output_only=True))
    report = await bench.report(replace(a_claim(), language="text", code="3", entry_point="1.out"))
    assert [test.status for test in report.tests] == [V.ACCEPTED, V.WRONG_ANSWER, V.WRONG_ANSWER]
    assert report.tests[1].checker_message == "token 1: expected '10', got the end"


@pytest.mark.parametrize(
    ("output_only", "language", "word"),
    [(True, "cpp17", "outputs, not programs"), (False, "text", "programs, not outputs"), (True, "text", "1.out")],
)
async def test_wrong_kind_of_submission_for_a_problem_is_a_compile_error(
    bench: Bench, output_only: bool, language: str, word: str
) -> None:
    bench.data.package = replace(bench.data.package, plan=replace(bench.data.package.plan, output_only=output_only))
    report = await bench.report(replace(a_claim(), language=language))
    assert report.status is V.COMPILE_ERROR
    assert report.compile is not None
    assert word in report.compile.output
    assert report.tests == ()
    assert bench.box.runs() == []
    bench.assert_clean()


@pytest.mark.parametrize(("limit", "wall"), [(1000, 3000), (500, 2500), (10_000, 30_000), (1, 2001)])
def test_the_wall_limit(limit: int, wall: int) -> None:
    assert wall_limit_ms(limit) == wall


@pytest.mark.parametrize(
    ("ended", "status", "rule", "explained"),
    [
        (outcome(stdout=b"4"), V.WRONG_ANSWER, "compare", {"unit": "token", "position": 1}),
        (outcome(R.TLE, cpu_ms=1005), V.TIME_LIMIT_EXCEEDED, "cpu", {"measured_ms": 1005, "limit_ms": 1000}),
        (
            outcome(R.TLE, rule="wall", wall_ms=3001),
            V.TIME_LIMIT_EXCEEDED,
            "wall",
            {"measured_ms": 3001, "limit_ms": 3000},
        ),
        (
            outcome(R.MLE, memory_kb=131072, oom_kill=1),
            V.MEMORY_LIMIT_EXCEEDED,
            "memory",
            {"measured_kb": 131072, "limit_kb": 131072, "oom_kill": 1},
        ),
        (
            outcome(R.OLE, stdout=b"x" * 99),
            V.OUTPUT_LIMIT_EXCEEDED,
            "output",
            {"measured_bytes": 99, "limit_bytes": 10485760},
        ),
        (outcome(R.RE, exit_signal=11), V.RUNTIME_ERROR, "signal", {"exit_signal": 11}),
        (outcome(R.RE, exit_code=255), V.RUNTIME_ERROR, "exit", {"exit_code": 255}),
        (outcome(R.RE, exit_code=1, stdout=b"3"), V.RUNTIME_ERROR, "exit", {"exit_code": 1}),
    ],
    ids=["wa", "cpu", "wall", "memory", "output", "signal", "exit", "right-output-wrong-exit"],
)
async def test_a_failed_test(
    bench: Bench, ended: object, status: Verdict, rule: str, explained: dict[str, object]
) -> None:
    """The first failing test decides, and all of them are judged."""

    def second_fails(spec: object, stdin: bytes) -> object:
        return ended if stdin.startswith(b"5") else outcome(stdout=b"%d" % sum(map(int, stdin.split())))

    bench.box.on(Policy.RUN, b"main", second_fails)  # type: ignore[arg-type]
    report = await bench.report()
    assert report.status is status
    assert report.score == 0.0
    assert [test.status for test in report.tests] == [V.ACCEPTED, status, V.ACCEPTED]
    assert [test.reason for test in report.tests] == ["", rule, ""]
    assert report.explanation == (
        {
            "rule": "verdict",
            "status": status.value,
            "decided_by": "first_failed",
            "test": "2",
            "tests_run": 3,
            "tests_failed": 1,
            "tests_total": 3,
        },
        {"test": "2", "rule": rule, **explained},
    )
    assert bool(report.tests[1].checker_message) == (rule == "compare")
    assert _sample(bench.metrics, "judge_exec_total", result="ended") == 4, "and no metric tells the verdict"
    bench.assert_clean()


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        (outcome(R.RE, exit_code=1, stderr=b"main.cpp:1: error: \xff no\0"), "main.cpp:1: error: � no␀"),
        (outcome(R.TLE), "longer than 10 s, this server's limit."),
        (outcome(R.TLE, rule="wall"), "15 s by the clock, this server's limit."),
        (outcome(R.MLE), "1024 MiB of memory, this server's limit."),
        (outcome(R.OLE, stderr=b"x" * 100_000), "printed more than 16 MiB, this server's limit."),
        (outcome(files_out=()), "left no program of at most 64 MiB, this server's limit."),
        (outcome(R.RE, exit_code=4, stderr=b"g++: internal compiler error: Segmentation fault"), "internal compiler"),
        (
            outcome(
                R.RE, exit_code=4, stderr=b"g++: internal compiler error: File size limit exceeded signal terminated"
            ),
            "this server's limit: the files of a compilation may have 128 MiB",
        ),
        (outcome(R.RE, exit_code=1, stderr=b"main.s: No space left on device"), "compile.tmpfs_size_mb"),
        (outcome(R.RE, exit_signal=25), "this server's limit: the files"),
        (outcome(R.RE, exit_signal=7), "this server's limit: the files"),
        (
            outcome(R.RE, exit_code=1, stderr=b"collect2: fatal error: ld terminated with signal 7 [Bus error]"),
            "An array with initial values is part of them",
        ),
        (outcome(R.RE, exit_code=2, stderr=b"main.a: no space left on device"), "files of a compilation may have 128"),
        (
            outcome(R.RE, exit_code=1, stderr=b"cc1plus: out of memory allocating 65536 bytes"),
            "this server's limit: a compilation may use 1024 MiB of memory",
        ),
        # a source that says what the driver says of a killed compiler is still just a bad source
        (
            outcome(R.RE, exit_code=1, stderr=b"a.cpp:1:2: error: static assertion: a\n" + KILLED),
            "Killed signal",
        ),
        (outcome(R.RE, exit_code=1, stderr=KILLED + b":7:9: error: no x"), "Killed signal"),
        (outcome(R.RE, exit_code=1, stderr=KILLED * 2), "Killed signal"),
    ],
    ids=[
        "words",
        "cpu",
        "wall",
        "memory",
        "output",
        "nothing",
        "ice",
        "file",
        "disk",
        "file-signal",
        "bus-signal",
        "linker",
        "go",
        "heap",
        "forged",
        "forged-file-name",
        "forged-twice",
    ],
)
async def test_compile_error(bench: Bench, ended: object, words: str) -> None:
    bench.box.on(Policy.COMPILE, b"main", ended)  # type: ignore[arg-type]
    report = await bench.report()
    assert report.status is V.COMPILE_ERROR
    assert report.tests == ()
    assert report.compile is not None
    assert not report.compile.ok
    assert words in report.compile.output
    assert len(report.compile.output) < 70_000
    assert report.explanation[0]["rule"] == "compile"
    assert bench.box.runs() == []
    bench.assert_clean()


async def test_long_compiler_output_is_cut_with_a_note(bench: Bench) -> None:
    bench.box.on(Policy.COMPILE, b"main", outcome(R.RE, exit_code=1, stderr=b"e" * 70_000))
    report = await bench.report()
    assert report.compile is not None
    assert report.compile.output == "e" * 65_536 + "\n[cut: 4464 more bytes]"


@pytest.mark.parametrize(
    ("ended", "code"),
    [
        (outcome(R.SE), "sandbox"),
        (outcome(R.RE, exit_signal=9), "compiler_killed"),
        (outcome(R.RE, exit_signal=31), "compiler_killed"),
        (outcome(R.RE, exit_code=1, stderr=KILLED), "compiler_killed"),
        (outcome(R.RE, exit_code=1, stderr=LINKER_KILLED), "compiler_killed"),
    ],
)
async def test_a_compiler_that_the_host_broke_is_no_compile_error(bench: Bench, ended: object, code: str) -> None:
    bench.box.on(Policy.COMPILE, b"main", ended)  # type: ignore[arg-type]
    assert (await bench.infra()).code == code
    bench.assert_clean()


@pytest.mark.parametrize("language", ["perl", "python3", "haskell"])
@pytest.mark.parametrize("kills", [0, 1])
@pytest.mark.parametrize(
    "ended",
    [
        outcome(R.RE, exit_signal=9),
        outcome(R.RE, exit_signal=31),
        outcome(R.RE, exit_code=1, stderr=KILLED),
        outcome(R.RE, exit_code=1, stderr=LINKER_KILLED),
    ],
)
async def test_a_source_that_kills_its_compiler_is_a_compile_error_unless_the_host_killed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, language: str, kills: int, ended: RunOutcome
) -> None:
    """Of languages whose compiler runs code of the source; the kernel counts the processes it kills."""
    counts = iter([7, 7 + kills])
    monkeypatch.setattr(compiling, "_host_kills", lambda: next(counts))
    bench.box.on(Policy.COMPILE, b"main", ended)
    claim = replace(a_claim(), language=language)
    if kills:
        assert (await bench.infra(claim)).code == "compiler_killed"
    else:
        report = await bench.report(claim)
        assert (report.status, report.explanation[0]["rule"]) == (V.COMPILE_ERROR, "compile")
        assert report.compile is not None
        assert ("by signal" in report.compile.output) == bool(ended.exit_signal)


async def test_a_source_that_kills_its_compiler_at_full_is_a_compile_error_beside_other_kills(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One user's memory hogs, killed by their own groups, excuse no other program of his."""
    counts = itertools.count()
    monkeypatch.setattr(compiling, "_host_kills", lambda: next(counts))
    bench.box.on(Policy.COMPILE, b"main", replace(outcome(R.RE, exit_signal=9), isolation=Isolation.FULL))
    report = await bench.report(replace(a_claim(), language="perl"))
    assert report.status is V.COMPILE_ERROR


def test_every_interpreter_may_run_the_source_when_it_compiles_but_ruby() -> None:
    """A compiler that is started through a shell ends by SIGKILL when it is missing, too."""
    for language in LANGUAGES.values():
        interpreted = language.compile is not None and not language.artifact
        through_shell = language.compile is not None and language.compile[0] == "/bin/sh"
        expected = (interpreted and not through_shell) or language.key == "haskell"
        assert language.compile_runs_source is expected, language.key
    assert {"perl", "python3", "pypy3", "haskell"} <= {
        language.key for language in LANGUAGES.values() if language.compile_runs_source
    }


def test_the_kernels_kills_are_read(tmp_path: Path) -> None:
    text = tmp_path / "vmstat"
    text.write_text("nr_free_pages 1\noom_kill 42\noom_kill_x 7\n")
    assert compiling._host_kills(text) == 42
    text.write_text("nr_free_pages 1\n")
    assert compiling._host_kills(text) == compiling._host_kills(tmp_path / "none") == 0


async def test_a_sandbox_that_fails_in_a_run_is_infra(bench: Bench) -> None:
    bench.box.on(Policy.RUN, b"main", outcome(R.SE))
    found = await bench.infra()
    assert found.code == "sandbox"
    assert "scripted: errno 5" in found.message
    bench.assert_clean()


@pytest.mark.parametrize("policy", list(Policy))
@pytest.mark.parametrize(
    ("step", "error", "outage"),
    [
        ("keep_output", errno.ENOSPC, True),
        ("namespaces", errno.EAGAIN, True),
        ("init_died", errno.ECHILD, False),
        # a program might cause it: its attempts must be counted
        ("exec", errno.ENOMEM, False),
    ],
)
async def test_a_host_that_is_full_costs_no_attempt(
    bench: Bench, policy: Policy, step: str, error: int, *, outage: bool
) -> None:
    bench.box.on(policy, b"main", outcome(R.SE, sandbox_error=SandboxError(step, error)))
    found = await bench.infra()
    assert (found.code, found.outage) == ("sandbox", outage)
    bench.assert_clean()


async def test_an_unknown_rule_is_infra(bench: Bench) -> None:
    bench.box.on(Policy.RUN, b"main", outcome(R.RE, rule="moon phase"))
    assert (await bench.infra()).code == "sandbox"
    assert _sample(bench.metrics, "judge_protocol_errors_total", reason="unknown_rule") == 1


async def test_no_cases_is_never_accepted(bench: Bench, tmp_path: Path) -> None:
    bench.data = PlainTestData(tmp_path / "data", [])
    assert (await bench.infra()).code == "no_verdict"
    bench.assert_clean()


@pytest.mark.parametrize("lost", ["1.in", "3.out"])
async def test_a_lost_case_file_is_infra(bench: Bench, tmp_path: Path, lost: str) -> None:
    (tmp_path / "data" / lost).unlink()
    found = await bench.infra()
    assert found.code in ("sandbox", "workspace")
    bench.assert_clean()


async def test_unknown_language_and_compare_are_infra(bench: Bench) -> None:
    assert (await bench.infra(replace(a_claim(), language="cobol"))).code == "unknown_language"
    claim = a_claim()
    claim = replace(claim, problem=replace(claim.problem, compare="telepathy"))
    assert (await bench.infra(claim)).code == "unknown_compare"
    assert bench.box.specs == []


_CASE = Case(name="1", input="1.in", answer="1.out")


@pytest.mark.parametrize(
    "plan",
    [
        Plan(format="own", cases=(_CASE,), compare=Compare(way="telepathy")),
        Plan(format="own", cases=(replace(_CASE, answer=None),)),
    ],
)
async def test_plan_that_cannot_be_judged_is_infra(bench: Bench, plan: Plan, tmp_path: Path) -> None:
    bench.data = PlainTestData(tmp_path / "data", plan=plan, files={"1.in": b"1 2\n", "1.out": b"3\n"})
    assert (await bench.infra()).code == "unsupported_plan"
    bench.assert_clean()


async def test_a_problem_whose_package_says_nothing_is_not_judged_by_it(bench: Bench) -> None:
    claim = a_claim()
    claim = replace(claim, problem=replace(claim.problem, compare=BY_PACKAGE))
    assert (await bench.infra(claim)).code == "unsupported_plan"


async def test_the_package_says_how_to_compare(bench: Bench, tmp_path: Path) -> None:
    """And is not overruled by what stands beside the problem."""
    plan = Plan(format="own", cases=(_CASE,), compare=Compare(way="exact"))
    bench.data = PlainTestData(tmp_path / "data", plan=plan, files={"1.in": b"1 2\n", "1.out": b"3"})
    bench.box.on(Policy.RUN, b"main", outcome(stdout=b"3\n"))
    assert (await bench.report()).status is Verdict.WRONG_ANSWER


async def test_the_package_says_how_much_time_a_language_has(bench: Bench) -> None:
    bench.plan = replace(bench.plan, limits=Limits(time_factors=(("*", 2.0), ("cpp17", 1.5)), output_mb=3))
    bench.settings = replace(bench.settings, borderline_percent=0)
    await bench.report()
    asked = bench.box.runs()[0].limits
    assert (asked.cpu_ms, asked.output_bytes) == (round(a_claim().problem.time_limit_ms * 1.5), 3 * 1024 * 1024)


async def test_an_output_as_long_as_the_answer_is_never_too_long(bench: Bench, tmp_path: Path) -> None:
    plan = Plan(format="own", cases=(_CASE, replace(_CASE, name="2", answer="2.out")))
    files = {"1.in": b"", "1.out": b"x" * 1000, "2.out": b"y"}
    bench.data = PlainTestData(tmp_path / "data", plan=plan, files=files)
    bench.settings = replace(bench.settings, run_output_bytes=100)
    await bench.report()
    assert [spec.limits.output_bytes for spec in bench.box.runs()] == [2000, 100]


async def test_a_heap_at_its_limit_is_memory_limit_exceeded(bench: Bench) -> None:
    said = b"Terminating due to java.lang.OutOfMemoryError: Java heap space\n"
    bench.box.on(Policy.RUN, b"main", outcome(R.RE, rule="exit", exit_code=3, stderr=said, memory_kb=140_000))
    report = await bench.report(replace(a_claim(), language="java"))
    assert report.status is V.MEMORY_LIMIT_EXCEEDED
    assert report.explanation[1]["rule"] == "heap"
    assert report.explanation[1]["measured_kb"] == 140_000


async def test_broken_data_is_infra_and_a_store_away_is_raised(bench: Bench) -> None:
    bench.data.breakage = TestDataBroken("the package is not what its hash says")
    assert (await bench.infra()).code == "test_data_broken"
    for breakage in (BlobsUnavailable("away"), BlobMissing("gone")):
        bench.data.breakage = breakage
        with pytest.raises(type(breakage)):
            await bench.judge()
    bench.assert_clean()


async def test_a_broken_box_is_raised(bench: Bench) -> None:
    bench.box.on(Policy.RUN, b"main", BoxBroken("launcher gone"))
    with pytest.raises(BoxBroken):
        await bench.judge()
    bench.assert_clean()
    assert _sample(bench.metrics, "judge_exec_total", result="broken") == 1
    assert _sample(bench.metrics, "judge_protocol_errors_total", reason="box_broken") == 1


INCLUDED = (Included(languages=(), files=(("words.txt", "i/words.txt"),)),)
OF_CPP = Included(languages=("cpp17",), files=(("main.cpp", "i/main.cpp"), ("f.h", "i/f.h")))
OF_PYTHON = Included(languages=("python3",), files=(("main.py", "i/main.py"),))
OF_JAVA = Included(languages=("java",), files=(("Main.java", "i/Main.java"),))


def _with_included(bench: Bench, tmp_path: Path, *included: Included) -> None:
    names = [name for one in (*INCLUDED, *included) for _, name in one.files]
    files = {"1.in": b"1 2\n", "1.out": b"3\n", **dict.fromkeys(names, b"")}
    plan = Plan(format="own", cases=(_CASE,), compare=Compare(), included=(*INCLUDED, *included))
    bench.data = PlainTestData(tmp_path / "data", plan=plan, files=files)
    bench.box.on(Policy.RUN, b"", outcome(stdout=b"3\n"))


def _by_package(claim: Claim) -> Claim:
    return replace(claim, problem=replace(claim.problem, compare=BY_PACKAGE))


async def test_files_of_the_problem_are_compiled_with_the_program(bench: Bench, tmp_path: Path) -> None:
    _with_included(bench, tmp_path, OF_CPP)
    assert (await bench.report(_by_package(a_claim()))).status is V.ACCEPTED
    (compiling,) = bench.box.runs(Policy.COMPILE)
    assert compiling.argv[-4:] == ("-o", "main", "main.cpp", "solution.cpp")
    assert {file.name for file in compiling.files_in} == {"main.cpp", "solution.cpp", "words.txt", "f.h"}
    run = bench.box.runs()[0]
    assert run.argv == ("/p/main",)
    assert {file.name for file in run.files_in if not file.program} == {"main.cpp", "words.txt", "f.h"}
    bench.assert_clean()


async def test_a_file_of_the_problem_takes_the_place_of_one_of_the_program(bench: Bench, tmp_path: Path) -> None:
    _with_included(bench, tmp_path, OF_CPP)
    claim = replace(a_claim(), entry_point="go.cpp", beside=(SourceFile("f.h", "#error"), SourceFile("main.cpp", "!")))
    await bench.report(_by_package(claim))
    (compiling,) = bench.box.runs(Policy.COMPILE)
    assert compiling.argv[-4:] == ("-o", "main", "main.cpp", "go.cpp")
    places = {file.name: file.path for file in compiling.files_in}
    assert {name: path.parent.name for name, path in places.items()} == {
        "main.cpp": "i", "f.h": "i", "words.txt": "i", "go.cpp": "sources",
    }  # fmt: skip


async def test_a_driver_is_what_an_interpreter_starts(bench: Bench, tmp_path: Path) -> None:
    _with_included(bench, tmp_path, OF_PYTHON)
    assert (await bench.report(_by_package(replace(a_claim(), language="python3")))).status is V.ACCEPTED
    run = bench.box.runs()[0]
    assert run.argv == ("/usr/bin/python3", "/p/main.py")
    assert {file.name for file in run.files_in if file.program} == {"main.py", "solution.py", "words.txt"}


@pytest.mark.parametrize(
    ("code", "name"),
    [("public final class Total {}", "Total.java"), ("class Total {}", "solution.java")],
)
async def test_beside_a_driver_a_class_stands_in_its_own_file(
    bench: Bench, tmp_path: Path, code: str, name: str
) -> None:
    _with_included(bench, tmp_path, OF_JAVA)
    await bench.report(_by_package(replace(a_claim(), language="java", code=code)))
    (compiling,) = bench.box.runs(Policy.COMPILE)
    assert [word for word in compiling.argv if word.endswith(".java")] == ["Main.java", name]


async def test_in_a_language_of_one_file_nothing_can_stand_beside(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_one = replace(LANGUAGES["cpp17"], compile=("/bin/sh", "-c", "g++ main.cpp"))
    monkeypatch.setattr(outputs, "language_of", lambda _key: of_one)
    _with_included(bench, tmp_path, OF_CPP)
    report = await bench.report(_by_package(a_claim()))
    assert report.status is V.COMPILE_ERROR
    assert report.compile is not None
    assert "this problem puts files beside it" in report.compile.output
    assert bench.box.specs == []
    bench.assert_clean()


async def test_other_files_beside_a_program_are_another_test(bench: Bench, tmp_path: Path) -> None:
    _with_included(bench, tmp_path, OF_CPP)
    (before,) = (await bench.report(_by_package(a_claim()))).tests
    (tmp_path / "data" / "i" / "f.h").write_bytes(b"changed")
    (after,) = (await bench.report(_by_package(a_claim()))).tests
    assert before.fingerprint != after.fingerprint


async def test_a_tests_own_files_and_arguments(bench: Bench, tmp_path: Path) -> None:
    case = replace(_CASE, args=("--fast", "2"), extra_files=("1.files/words.txt", "1.files/map.txt"))
    files = {"1.in": b"1 2\n", "1.out": b"3\n", **dict.fromkeys(case.extra_files, b""), "i/words.txt": b""}
    plan = Plan(format="own", cases=(case,), compare=Compare(), included=INCLUDED)
    bench.data = PlainTestData(tmp_path / "data", plan=plan, files=files)
    bench.box.on(Policy.RUN, b"", outcome(stdout=b"3\n"))
    assert (await bench.report(_by_package(a_claim()))).status is V.ACCEPTED
    run = bench.box.runs()[0]
    assert run.argv == ("/p/main", "--fast", "2")
    places = {file.name: file.path.parent.name for file in run.files_in if not file.program}
    assert places == {"words.txt": "1.files", "map.txt": "1.files"}


async def test_a_compile_error_needs_no_test_data(bench: Bench) -> None:
    bench.data.breakage = BlobsUnavailable("away")
    bench.box.on(Policy.COMPILE, b"main", outcome(R.RE, exit_code=1))
    assert (await bench.report()).status is V.COMPILE_ERROR


@pytest.mark.parametrize("is_kind_wrong", [True, False])
async def test_the_compilers_error_comes_before_what_the_package_says(bench: Bench, is_kind_wrong: bool) -> None:
    """Also on a node that has the package, and reads it before the compiler ends."""
    unsupported = replace(bench.plan, compare=Compare(way="telepathy"))
    bench.plan = replace(bench.plan, output_only=True) if is_kind_wrong else unsupported
    bench.box.on(Policy.COMPILE, b"main", outcome(R.RE, exit_code=1, stderr=b"no such type"))
    for is_here in (False, True):
        assert bench.data.is_here(a_claim().problem) is is_here
        report = await bench.report()
        assert report.compile is not None
        assert "no such type" in report.compile.output
        await bench.data.prepare(a_claim().problem)
        await bench.data.release(a_claim().problem)
        bench.assert_clean()


async def test_a_full_disk_is_infra(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))

    bench.workspace.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        found = await bench.infra()
    assert found.code == "disk_full"
    assert found.outage, "of the host: no job's attempts are used up by it"
    bench.assert_clean()


async def test_a_disk_that_fills_up_while_judging_is_an_outage(bench: Bench) -> None:
    bench.box.on(Policy.RUN, b"main", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "0.stdout"))
    found = await bench.infra()
    assert (found.code, found.outage) == ("disk_full", True)
    bench.box.on(Policy.RUN, b"main", OSError(errno.EISDIR, os.strerror(errno.EISDIR), "0.stdout"))
    found = await bench.infra()
    assert (found.code, found.outage) == ("workspace", False)
    bench.assert_clean()


async def test_a_workspace_that_cannot_be_is_infra(bench: Bench) -> None:
    bench.workspace.write_text("a file in the way")
    found = await bench.infra()
    assert (found.code, found.outage) == ("workspace", True)


async def test_isolation_is_the_weakest_that_was_met(bench: Bench) -> None:
    bench.box = ScriptedBox(Isolation.FULL)
    assert (await bench.report()).isolation is Isolation.NAMESPACES
    bench.box.on(Policy.RUN, b"main", outcome(stdout=b"3", isolation=Isolation.WEAK))
    assert (await bench.report()).isolation is Isolation.WEAK


async def test_truncation_is_told(bench: Bench) -> None:
    bench.settings = replace(bench.settings, stdout_limit_bytes=1, stderr_limit_bytes=3)
    bench.box.on(Policy.RUN, b"main", outcome(stdout=b"3\n", stderr=b"abc"))
    test = (await bench.report()).tests[0]
    assert test.status is V.ACCEPTED  # the comparison saw every byte
    assert (test.stdout_len, test.truncated_stdout, test.stderr_len, test.truncated_stderr) == (2, True, 3, False)
    assert _sample(bench.metrics, "judge_output_truncated_total", stream="stdout") == 3


async def test_a_hopeless_program_does_not_hold_the_slot(bench: Bench) -> None:
    bench.settings = replace(bench.settings, failed_budget_ms=3000)
    bench.box.on(Policy.RUN, b"main", outcome(R.TLE, wall_ms=3000))
    report = await bench.report()
    assert report.status is V.TIME_LIMIT_EXCEEDED
    assert len(report.tests) == 1
    assert report.explanation[-1] == {"rule": "budget", "tests_run": 1, "tests_total": 3}


async def test_the_budget_never_cuts_a_good_program(bench: Bench) -> None:
    bench.settings = replace(bench.settings, failed_budget_ms=1)
    assert len((await bench.report()).tests) == 3


async def test_explanations_are_bounded(bench: Bench) -> None:
    bench.settings = replace(bench.settings, max_explanations=2)
    bench.box.on(Policy.RUN, b"main", outcome(R.RE, exit_code=1))
    report = await bench.report()
    assert len(report.tests) == 3
    assert len(report.explanation) == 2


async def test_cancelling_leaves_nothing(bench: Bench) -> None:
    bench.box.hold()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.judge)
        with trio.fail_after(30):
            await bench.box.wait_running(1)
        (directory,) = bench.workspace.iterdir()
        assert directory.name == "job-1-1"
        assert directory.stat().st_mode & 0o777 == 0o700
        nursery.cancel_scope.cancel()
    assert bench.box.cancelled == 1
    bench.assert_clean()


async def test_two_attempts_of_a_job_do_not_share_a_directory(bench: Bench) -> None:
    bench.box.hold()
    found: list[Report | Infra] = []

    async def one(attempt_id: int) -> None:
        found.append(await bench.judge(a_claim(attempt_id=attempt_id)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(one, 1)
        nursery.start_soon(one, 2)
        with trio.fail_after(30):
            await bench.box.wait_running(2)
        assert sorted(path.name for path in bench.workspace.iterdir()) == ["job-1-1", "job-1-2"]
        # the living are not swept
        assert sweep(bench.workspace) == 0
        bench.box.release()
    assert [isinstance(report, Report) for report in found] == [True, True]
    bench.assert_clean()


async def test_leftovers_are_swept_and_do_not_disturb(bench: Bench) -> None:
    left = bench.workspace / "job-1-1"
    left.mkdir(parents=True)
    (left / "main.cpp").write_text("old")
    assert (await bench.report()).status is V.ACCEPTED
    left.mkdir()
    (left / "main").write_text("old")
    assert sweep(bench.workspace) == 1
    assert sweep(bench.workspace) == 0
    assert sweep(bench.workspace.parent / "new") == 0
    bench.assert_clean()


async def test_a_job_id_is_no_path(bench: Bench) -> None:
    bench.box.hold()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.judge, a_claim("../../etc/é"))
        with trio.fail_after(30):
            await bench.box.wait_running(1)
        (directory,) = bench.workspace.iterdir()
        assert directory.name == "______etc__-1"
        bench.box.release()


async def test_keeping_the_directory(bench: Bench) -> None:
    bench.settings = replace(bench.settings, keep_workdir=True)
    bench.box.on(Policy.RUN, b"main", outcome(stdout=b"3"))
    await bench.report()
    kept = bench.workspace / "job-1-1"
    # the source, the program and the outputs that failed
    assert sorted(path.name for path in kept.iterdir()) == ["1.stdout", "2.stdout", "main", "sources"]


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/nope"])
def test_a_workspace_that_cannot_be_written_stops_the_start(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartRefused, match="WORKSPACE") as refused:
        sweep(tmp_path / place)
    assert refused.value.exit_code == 2


# ---------------------------------------------------------------------------------------------------------------------
# Groups and scores


def _plan(*groups: Group, **of_case: str) -> Plan:
    """The bench's three cases, in these groups; the first is a sample."""
    cases = tuple(
        Case(
            name=name,
            input=f"{name}.in",
            answer=f"{name}.out",
            group=of_case.get(f"case{name}", ""),
            sample=name == "1",
        )
        for name in "123"
    )
    return Plan(format="own", cases=cases, groups=groups, scored=True)


def _fails(*inputs: bytes) -> object:
    def reply(spec: object, stdin: bytes) -> object:
        if stdin in inputs:
            return outcome(stdout=b"no")
        return outcome(stdout=b"%d" % sum(map(int, stdin.split())))

    return reply


async def test_scores_and_groups(bench: Bench) -> None:
    bench.plan = _plan(
        Group(name="a", max_score=30.0), Group(name="b", max_score=70.0, aggregate=Aggregate.MIN),
        case1="a", case2="a", case3="b",
    )  # fmt: skip
    bench.box.on(Policy.RUN, b"main", _fails(b"5 5\n"))  # type: ignore[arg-type]
    report = await bench.report()
    assert (report.status, report.score) == (V.PARTIAL, 85.0)
    assert [(test.name, test.group, test.score, test.sample) for test in report.tests] == [
        ("1", "a", 15.0, True), ("2", "a", 0.0, False), ("3", "b", 70.0, False),
    ]  # fmt: skip
    assert [(group.name, group.status, group.score, group.max_score) for group in report.groups] == [
        ("", V.PARTIAL, 85.0, 100.0), ("a", V.PARTIAL, 15.0, 30.0), ("b", V.ACCEPTED, 70.0, 70.0),
    ]  # fmt: skip
    assert report.explanation[0] == {
        "rule": "verdict", "status": "Partial", "decided_by": "score", "test": "2", "score": 85.0, "max_score": 100.0,
        "tests_run": 3, "tests_failed": 1, "tests_total": 3,
    }  # fmt: skip


async def test_group_whose_dependency_failed_is_not_run(bench: Bench) -> None:
    bench.plan = _plan(
        Group(name="late", depends_on=("early",)), Group(name="early"), case1="late", case2="early", case3="early"
    )
    bench.box.on(Policy.RUN, b"main", _fails(b"0 0\n"))  # type: ignore[arg-type]
    report = await bench.report()
    assert [test.name for test in report.tests] == ["2", "3"]
    assert tuple(bench.seen) == report.tests
    assert [spec.stdin and spec.stdin.name for spec in bench.box.runs()] == ["2.in", "3.in"]
    assert report.explanation[-1] == {
        "rule": "dependency", "group": "late", "depends_on": "early", "tests_skipped": 1,
    }  # fmt: skip
    assert as_result(a_claim(), report)["groups"][1] == {
        "name": "late", "status": "Skipped", "score": 0.0, "max_score": pytest.approx(100 / 2),
    }  # fmt: skip


async def test_the_budget_spares_only_what_changes_nothing(bench: Bench) -> None:
    """Of a scored problem: the rest of a group that has come to nothing, and not the others."""
    bench.settings = replace(bench.settings, failed_budget_ms=1)
    bench.plan = _plan(Group(name="a", aggregate=Aggregate.MIN), Group(name="b"), case1="a", case2="a", case3="b")
    bench.box.on(Policy.RUN, b"main", _fails(b"1 2\n"))  # type: ignore[arg-type]
    report = await bench.report()
    assert [test.name for test in report.tests] == ["1", "3"]
    assert (report.status, report.score) == (V.PARTIAL, 50.0)
    assert {"rule": "budget", "tests_run": 2, "tests_total": 3} in report.explanation


async def test_a_plan_that_cannot_be_is_infra(bench: Bench) -> None:
    bench.plan = _plan(case1="nowhere")
    assert (await bench.infra()).code == "unsupported_plan"
    bench.assert_clean()


@pytest.mark.parametrize("place", [b"1 2\n", b"5 5\n", b"0 0\n"])
async def test_failing_sandbox_is_infra_beside_any_other_results(bench: Bench, place: bytes) -> None:
    def reply(spec: object, stdin: bytes) -> object:
        return outcome(R.SE) if stdin == place else outcome(stdout=b"wrong")

    bench.plan = _plan(Group(name="a", judge_all=True), case1="a", case2="a", case3="a")
    bench.box.on(Policy.RUN, b"main", reply)  # type: ignore[arg-type]
    assert (await bench.infra()).code == "sandbox"


async def test_all_kinds_of_reasons_have_room(bench: Bench) -> None:
    bench.settings = replace(bench.settings, max_explanations=3)
    bench.plan = _plan(
        Group(name="a"), Group(name="b", depends_on=("a",)), case1="a", case2="a", case3="b"
    )  # fmt: skip
    bench.box.on(Policy.RUN, b"main", outcome(R.RE, exit_code=1))
    report = await bench.report()
    assert [reason["rule"] for reason in report.explanation] == ["verdict", "exit", "dependency"]


# ---------------------------------------------------------------------------------------------------------------------
# Close to the limit (of 1000 ms)


class Measures:
    """What the runs of the second case come to, one after the other; the others take no time."""

    def __init__(self, *ended: RunOutcome) -> None:
        self._ended = list(ended)

    def __call__(self, spec: object, stdin: bytes) -> RunOutcome:
        return self._ended.pop(0) if stdin == b"5 5\n" else outcome(stdout=b"%d" % sum(map(int, stdin.split())))


def _took(cpu_ms: int, stdout: bytes = b"10", **more: object) -> RunOutcome:
    return outcome(stdout=stdout, cpu_ms=cpu_ms, wall_ms=cpu_ms, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("first", "again", "status", "counted"),
    [
        (_took(960), _took(940), V.ACCEPTED, 940),
        (_took(1000), _took(999), V.ACCEPTED, 999),
        (_took(1040), _took(990), V.ACCEPTED, 990),
        (_took(1040), _took(1001), V.TIME_LIMIT_EXCEEDED, 1001),
        # the last run decides, also against a program that was lucky
        (_took(990), _took(1001), V.TIME_LIMIT_EXCEEDED, 1001),
        (_took(990), outcome(R.TLE, cpu_ms=1051), V.TIME_LIMIT_EXCEEDED, 1051),
        (_took(1050), _took(900, b"11"), V.WRONG_ANSWER, 900),
        # a run over the limit is over the limit, with any verdict
        (outcome(R.RE, exit_code=3, cpu_ms=1040), _took(990), V.ACCEPTED, 990),
    ],
)
async def test_close_to_the_limit_the_second_run_decides(
    bench: Bench, first: RunOutcome, again: RunOutcome, status: Verdict, counted: int
) -> None:
    over = again.cpu_ms > 1000
    bench.box.on(Policy.RUN, b"main", Measures(first, *([again] * (1 + over))))
    report = await bench.report()
    test = report.tests[1]
    assert (test.status, test.cpu_ms) == (status, counted)
    assert report.status is status
    assert report.time_used_ms == counted
    first_status = V.ACCEPTED if first.cpu_ms <= 1000 else V.TIME_LIMIT_EXCEEDED
    assert test.borderline == Borderline(
        first_ms=first.cpu_ms, first_status=first_status, again_ms=counted, again_status=status, limit_ms=1000,
        margin_percent=5.0, alone=False,
    )  # fmt: skip
    why = next(reason for reason in report.explanation if reason["rule"] == "borderline")
    assert (why["test"], why["first_ms"], why["again_ms"], why["counted"]) == ("2", first.cpu_ms, counted, "again")
    waits = [spec.alone_within_s for spec in bench.box.runs()]
    assert waits == [None, None, None, *([2.0] * over), None], "alone only where a second run is over the limit, too"
    assert {spec.user_id for spec in bench.box.specs} == {a_claim().user_id}, "compilers' time alone is rationed, too"
    bench.assert_clean()


async def test_a_second_run_that_neighbours_disturbed_does_not_decide(bench: Bench) -> None:
    """Over the limit beside others, within it alone: the run alone decides."""
    bench.box.on(Policy.RUN, b"main", Measures(_took(990), _took(1030), _took(985)))
    report = await bench.report()
    assert (report.status, report.tests[1].cpu_ms) == (V.ACCEPTED, 985)
    assert [spec.alone_within_s for spec in bench.box.runs()] == [None, None, None, 2.0, None]


@pytest.mark.parametrize(
    ("ended", "status", "percent"),
    [
        (_took(949), V.ACCEPTED, 5.0),
        (_took(1051), V.TIME_LIMIT_EXCEEDED, 5.0),
        # it did not end by itself: another run would not end either
        (outcome(R.TLE, cpu_ms=1050), V.TIME_LIMIT_EXCEEDED, 5.0),
        (outcome(R.TLE, rule="wall", cpu_ms=990, wall_ms=3001), V.TIME_LIMIT_EXCEEDED, 5.0),
        # time was not what it failed of
        (_took(990, b"11"), V.WRONG_ANSWER, 5.0),
        (outcome(R.RE, exit_code=1, cpu_ms=990), V.RUNTIME_ERROR, 5.0),
        (_took(1000), V.ACCEPTED, 0.0),
        (_took(1001), V.TIME_LIMIT_EXCEEDED, 0.0),
    ],
)
async def test_run_that_a_repeat_cannot_change_is_not_repeated(
    bench: Bench, ended: RunOutcome, status: Verdict, percent: float
) -> None:
    bench.settings = replace(bench.settings, borderline_percent=percent)
    bench.box.on(Policy.RUN, b"main", Measures(ended))
    report = await bench.report()
    assert [test.status for test in report.tests] == [V.ACCEPTED, status, V.ACCEPTED]
    assert report.tests[1].borderline is None
    assert len(bench.box.runs()) == 3
    widest = {spec.limits.cpu_ms for spec in bench.box.runs()}
    assert widest == {1000 + 10 * percent}


async def test_borderline_run_after_a_failed_test_is_not_repeated(bench: Bench) -> None:
    """Once a test has failed, of a problem that is not scored, no other is worth a second run."""
    bench.box.on(Policy.RUN, b"main", _took(1040, b"3"))
    report = await bench.report()
    assert [test.borderline is not None for test in report.tests] == [True, False, False]
    assert {test.status for test in report.tests} == {V.TIME_LIMIT_EXCEEDED}
    assert len(bench.box.runs()) == 5


async def test_a_second_run_that_the_sandbox_breaks_is_infra(bench: Bench) -> None:
    bench.box.on(Policy.RUN, b"main", Measures(_took(990), outcome(R.SE)))
    assert (await bench.infra()).code == "sandbox"
    bench.assert_clean()


async def test_a_second_run_that_was_alone_says_so(bench: Bench) -> None:
    bench.box.on(Policy.RUN, b"main", Measures(_took(990), _took(1001), _took(991)))
    quiet = QuietBox(bench.box, slots=1)
    found = await step.judge(bench.context(quiet), bench.data, a_claim())
    assert isinstance(found, Report)
    assert found.tests[1].borderline is not None
    assert found.tests[1].borderline.alone


# -- runs that others kept from running


def _starved(delay_ms: int = 300) -> RunOutcome:
    return outcome(R.TLE, rule="wall", cpu_ms=240, wall_ms=12_000, delay_ms=delay_ms)


@pytest.mark.parametrize(
    ("again", "status"),
    [
        (_took(800), V.ACCEPTED),
        (_took(800, b"11"), V.WRONG_ANSWER),
        (outcome(R.TLE, cpu_ms=1051), V.TIME_LIMIT_EXCEEDED),
        (outcome(R.TLE, rule="wall", cpu_ms=5, wall_ms=3001), V.TIME_LIMIT_EXCEEDED),
    ],
)
async def test_a_starved_run_is_repeated_alone_and_the_second_run_counts(
    bench: Bench, again: RunOutcome, status: Verdict
) -> None:
    bench.box.on(Policy.RUN, b"main", Measures(_starved(), again))

    report = await bench.report()

    assert (report.tests[1].status, report.tests[1].cpu_ms) == (status, again.cpu_ms)
    waits = [spec.alone_within_s for spec in bench.box.runs()]
    assert waits == [None, None, borderline.STARVED_WAIT_S, None]
    assert _sample(bench.metrics, "judge_exec_total", result="starved") == 1
    bench.assert_clean()


async def test_a_run_that_is_starved_twice_gives_no_verdict(bench: Bench) -> None:
    bench.box.on(Policy.RUN, b"main", Measures(_starved(), _starved()))

    trouble = await bench.infra()

    assert (trouble.code, trouble.outage) == ("sandbox", False)
    assert "starved" in trouble.message
    assert len(bench.box.runs()) == 3
    bench.assert_clean()


@pytest.mark.parametrize(
    "ended",
    [
        _starved(delay_ms=299),  # of 3,000: it slept
        outcome(R.TLE, cpu_ms=1051, delay_ms=3000),
        outcome(R.RE, exit_code=1, delay_ms=3000),
        _took(800, delay_ms=3000),
    ],
)
async def test_a_run_that_ended_for_another_reason_than_delay_is_not_repeated(bench: Bench, ended: RunOutcome) -> None:
    bench.box.on(Policy.RUN, b"main", Measures(ended))

    await bench.report()

    assert len(bench.box.runs()) == 3
