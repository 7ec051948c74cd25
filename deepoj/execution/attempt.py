"""One attempt at judging a submission: prepare, compile, run each test, report. ``Attempt.judge`` is that order.

``case_runs`` runs a test and decides about its output, by comparing, a checker or an interactor.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import trio

from deepoj import observe
from deepoj.execution.case_runs import CaseRun, CaseRuns, ReadyProgram
from deepoj.execution.context import AttemptContext
from deepoj.execution.grading import Grading
from deepoj.execution.package import OpenPackage, ScoredPackage, fetch, open_package, score_package
from deepoj.execution.runs_ahead import RunsAhead
from deepoj.execution.workdir import SHORT_BYTES, SOURCES, AttemptDir, do_blocking, trouble_of
from deepoj.judging import compare as comparing
from deepoj.judging import exec_rules, explain, outputs
from deepoj.judging.abilities import BY_PACKAGE
from deepoj.judging.checkers import broken
from deepoj.judging.languages import Language
from deepoj.judging.problem import Plan
from deepoj.judging.reuse import Former
from deepoj.judging.scoring.outcome import Outcome
from deepoj.judging.sources import driver_of, scratch_names, takes_several
from deepoj.ports.slots import IdleSlots, StartHelper
from deepoj.ports.testdata import Prepared, TestData
from deepoj.words.errors import TestDataBroken
from deepoj.words.jobs import Claim
from deepoj.words.reruns import KEEP_BYTES, KeptFile, RerunFailure, RerunFile, RerunOutcome
from deepoj.words.results import CompileResult, GroupResult, Infra, Report, Stages, TestResult, Verdict
from deepoj.words.sandbox import FileIn
from deepoj.words.sources import SourceFile


class Attempt:
    """One attempt's compilation and test runs, and the measurements so far."""

    def __init__(
        self,
        context: AttemptContext,
        claim: Claim,
        language: Language,
        directory: Path,
        *,
        former: Former | None,
        on_test: Callable[[TestResult, int, int], None] | None,
    ) -> None:
        self._context, self._settings = context, context.settings
        self._claim, self._language, self._dir = claim, language, directory
        self._former, self._on_test = former, on_test
        self._tests: list[TestResult] = []
        #: the explanations of the tests, in their order
        self._reasons: list[Mapping[str, Any]] = []
        #: the weakest isolation of any execution
        self._isolation = context.box.isolation
        #: None: not compiled, or this language needs no compilation
        self._compile_result: CompileResult | None = None
        self._compile_wall_ms = 0
        self._run_wall_ms = 0
        self._stages = Stages()
        #: whether a test was not accepted
        self._failed = False
        #: the entry point first, the problem's own files last
        self._sources = self._named_sources(())
        #: the result of compiling, or the sources themselves
        self._program: tuple[FileIn, ...] = ()
        #: the problem's own files among ``_sources``
        self._beside: tuple[FileIn, ...] = ()

    async def judge(self, test_data: TestData) -> Report | Infra:
        """Prepare, compile, run each test, report. A compile error that needs no package is reported without it."""
        ran = await self._with_program(test_data, self._score, self._run_all)
        if isinstance(ran, Infra | Report):
            return ran
        plan, outcome = ran
        if outcome.status is Verdict.SYSTEM_ERROR:
            return Infra("no_verdict", f"{len(self._tests)} tests of {len(plan.cases)} gave no verdict")
        explained = self._explained(plan, outcome)
        return self._report(outcome.status, outcome.score, self._compile_result, explained, outcome.groups)

    async def rerun(self, test_data: TestData, test: str) -> RerunOutcome | Infra:
        """Prepare, compile, run one test, and return the beginning of what belongs to it."""
        ran = await self._with_program(test_data, self._open, partial(self._run_one, test))
        if isinstance(ran, Report):
            return RerunOutcome(
                status=ran.status.value,
                compiled="" if ran.compile is None else ran.compile.output,
                reason=next(iter(ran.explanation), {}),
                problem_version=self._claim.problem.version,
            )
        return ran

    async def _with_program[P, T](
        self,
        test_data: TestData,
        read: Callable[[Prepared], Awaitable[P | Infra]],
        act: Callable[[P], Awaitable[T | Infra]],
    ) -> T | Report | Infra:
        """Prepare, ``read`` the package, compile, then ``act``. Return a report if there is no program to act with."""
        self._log("start_exec")
        problem = self._claim.problem
        # Only a package with its own way of judging adds files to programs. Otherwise a compile error needs no package.
        own_way = problem.compare == BY_PACKAGE
        is_compiled = False
        if not own_way and not test_data.is_here(problem):
            if self._context.start_task is not None:
                self._context.start_task(partial(fetch, test_data, problem))
            refused = await self._compiled()
            if refused is not None:
                return refused
            is_compiled = True
        prepared = await test_data.prepare(problem)
        try:
            mistake = outputs.mistaken(prepared.plan, self._language, self._claim)
            if own_way:
                mistake = mistake or self._put_beside(prepared)
                if mistake:
                    return self._mistaken(mistake)
            # Before the program is waited for: on an idle node its compilation is under way. Afterwards, the first test
            # began 0.6 ms later.
            package = await read(prepared)
            refused = None if is_compiled else await self._compiled()
            if refused is not None:
                return refused
            if mistake:
                return self._mistaken(mistake)
            return package if isinstance(package, Infra) else await act(package)
        finally:
            with trio.CancelScope(shield=True):
                await test_data.release(problem)

    async def _open(self, prepared: Prepared) -> OpenPackage | Infra:
        await trio.lowlevel.checkpoint_if_cancelled()
        return open_package(prepared, self._claim, self._language, self._settings)

    async def _score(self, prepared: Prepared) -> ScoredPackage | Infra:
        opened = await self._open(prepared)
        if isinstance(opened, Infra):
            return opened
        return await score_package(opened, self._claim, self._language, self._sources, self._settings)

    async def _compiled(self) -> Report | Infra | None:
        """Compile. Return a report if the compiler refuses the source; None if there is a program."""
        compiled = await self._compile()
        if isinstance(compiled, Infra):
            return compiled
        self._compile_result = compiled
        if compiled is not None and not compiled.ok:
            return self._report(Verdict.COMPILE_ERROR, 0.0, compiled, self._reasons)
        return None

    # -- compiling

    def _named_sources(self, beside: Collection[str]) -> list[FileIn]:
        """Return the submitted files with the names that they have in the sandbox."""
        files = self._claim.files or (SourceFile("", self._claim.code),)
        return [
            FileIn(name, self._dir / SOURCES / (file.name or self._language.source_name))
            for name, file in zip(scratch_names(self._language, files, beside=beside), files, strict=True)
        ]

    def _put_beside(self, prepared: Prepared) -> str:
        """Add the problem's own files for every program. Return why this program cannot have them, or empty."""
        language = self._language
        included = {} if language is outputs.OUTPUTS else prepared.plan.included_for(language.key)
        if not included:
            return ""
        if not takes_several(language):
            return f"a program in {language.name} is one file here, and this problem puts files beside it"
        self._sources = self._named_sources(included)
        driver = driver_of(language, included)
        first = self._sources[0].name if driver is None else driver
        files = {one.name: one for one in self._sources}
        files |= {name: FileIn(name, prepared.path(archived)) for name, archived in included.items()}
        self._sources = [files.pop(first), *files.values()]
        self._beside = tuple(one for one in self._sources if one.name in included)
        return ""

    async def _compile(self) -> CompileResult | Infra | None:
        """Return None if this language needs no compilation."""
        if self._claim.files and not takes_several(self._language):
            return Infra("several_files", f"this node takes one file of a program in {self._language.name}")
        began = trio.current_time()
        compiled = await self._context.compiler.compile(
            self._language,
            self._sources,
            self._sources[0].name,
            into=self._dir,
            user_id=self._claim.user_id,
            deferred=self._context.deferred,
            about=self._context.about,
        )
        self._stages = replace(self._stages, compile_ms=_ms_since(began))
        if isinstance(compiled, Infra):
            return compiled
        self._compile_wall_ms = compiled.wall_ms
        self._isolation = min(self._isolation, compiled.isolation or self._isolation)
        self._program = () if compiled.executable is None else compiled.executable.files_in
        # The problem's own files are there when the program runs, too: it may read them as data.
        self._program += tuple(one for one in self._beside if one not in self._program)
        if compiled.reason:
            self._reasons.append(compiled.reason)
        return compiled.result

    # -- running each test

    async def _run_all(self, package: ScoredPackage) -> tuple[Plan, Outcome] | Infra:
        """Run the tests that the scoring asks for, beside each other where slots are idle."""
        plan = package.plan
        runs = CaseRuns(self._context, self._ready_program(plan), package.prepared, package.limits)
        began = trio.current_time()
        slots = self._context.idle_slots
        if slots is None or runs.one_at_a_time or len(plan.cases) == 1:  # nothing to run beside it
            outcome = await self._judge_tests(package, runs, runs.run_once)
        else:
            outcome = await self._judge_beside(package, runs, slots)
        run_ms = runs.run_s * 1000
        compare_ms = max(0.0, _ms_since(began) - run_ms)
        self._stages = replace(self._stages, run_ms=run_ms, compare_ms=compare_ms)
        return outcome if isinstance(outcome, Infra) else (plan, outcome)

    async def _judge_beside(self, package: ScoredPackage, runs: CaseRuns, slots: IdleSlots) -> Outcome | Infra:
        async def judge_beside(start_helper: StartHelper) -> Outcome | Infra:
            ahead = RunsAhead(runs, lambda: self._upcoming(package), slots, start_helper)
            return await self._judge_tests(package, runs, ahead.first_run)

        return await slots.with_helpers(judge_beside)

    async def _judge_tests(
        self, package: ScoredPackage, runs: CaseRuns, first_run: Callable[[int], Awaitable[CaseRun | Infra]]
    ) -> Outcome | Infra:
        """Record the tests in the scoring's order. ``first_run`` returns the first run of the test whose turn it is."""
        scoring, prepared = package.scoring, package.prepared
        grading = Grading(self._context, package.plan, prepared.path, self._dir / "grader", problem=self._claim.problem)
        while (number := await grading.next_test(scoring, hurry=self._hurry)) is not None:
            if isinstance(number, Infra):
                return number
            test = self._taken_over(package, number)
            if test is None:
                case_run = await first_run(number)
                if not isinstance(case_run, Infra) and not scoring.is_settled(number):
                    case_run = await runs.repeat_if_near(number, case_run)
                self._isolation = min(self._isolation, runs.isolation)
                if not isinstance(case_run, Infra):
                    self._run_wall_ms += case_run.total_wall_ms
                    case_run = self._with_allowed_points(package, number, case_run)
                if isinstance(case_run, Infra):
                    return case_run
                test = self._record(package, number, case_run)
            self._failed = self._failed or test.status is not Verdict.ACCEPTED
            self._tests.append(test)
            if self._on_test is not None:
                self._on_test(test, len(self._tests), len(package.plan.cases))
        self._isolation = min(self._isolation, grading.isolation)
        return scoring.outcome()

    @property
    def _hurry(self) -> bool:
        return self._failed and self._run_wall_ms >= self._settings.failed_budget_ms

    def _upcoming(self, package: ScoredPackage) -> Iterator[int]:
        """Yield the tests that are still to be run, as far as the results so far tell."""
        for number in package.scoring.upcoming(hurry=self._hurry):
            if self._former is None or self._former.reusable(package.fingerprint(number)) is None:
                yield number

    async def _run_one(self, test: str, package: OpenPackage) -> RerunOutcome | Infra:
        """Run the test of this name once, also if the scoring would leave it out."""
        prepared, plan = package.prepared, package.plan
        number = next((number for number, case in enumerate(plan.cases) if case.name == test), None)
        if number is None:
            return RerunOutcome(failure=RerunFailure.NO_TEST, problem_version=self._claim.problem.version)
        runs = CaseRuns(self._context, self._ready_program(plan), prepared, package.limits, keep_error_bytes=KEEP_BYTES)
        case_run = await runs.run_once(number)
        if isinstance(case_run, Infra):
            return case_run
        finding, outcome, compiled = case_run.finding, case_run.outcome, self._compile_result
        case, output = plan.cases[number], runs.output_of(number)
        paths = {RerunFile.INPUT: case.input, RerunFile.ANSWER: case.answer}
        files = {name: prepared.path(archived) for name, archived in paths.items() if archived is not None}
        if output is not None:
            files[RerunFile.OUTPUT] = output
        kept = await trio.to_thread.run_sync(_beginnings, files)
        return RerunOutcome(
            status=finding.status.value,
            reason=exec_rules.why(finding.rule, outcome, case_run.limits, finding.mismatch),
            message=finding.message,
            compiled="" if compiled is None else compiled.output,
            cpu_ms=outcome.cpu_ms,
            wall_ms=outcome.wall_ms,
            memory_kb=outcome.memory_kb,
            exit_code=outcome.exit_code,
            exit_signal=outcome.exit_signal,
            time_limit_ms=case_run.limits.cpu_ms,
            memory_limit_kb=case_run.limits.memory_bytes // 1024,
            problem_version=self._claim.problem.version,
            is_interactive=output is None,
            files=kept | {RerunFile.ERROR: KeptFile(outcome.stderr[:KEEP_BYTES], outcome.stderr_len)},
        )

    def _ready_program(self, plan: Plan) -> ReadyProgram:
        return ReadyProgram(
            claim=self._claim,
            language=self._language,
            directory=self._dir,
            entry=self._sources[0].name,
            files=self._program,
            outputs=outputs.output_names(plan.cases, self._claim) if plan.output_only else {},
        )

    def _taken_over(self, package: ScoredPackage, number: int) -> TestResult | None:
        """Return the test's result of an earlier judging, if its fingerprint is unchanged."""
        if self._former is None or (match := self._former.reusable(package.fingerprint(number))) is None:
            return None
        self._isolation = min(self._isolation, self._former.isolation)
        plan, scoring = package.plan, package.scoring
        case = plan.cases[number]
        points = match.test.score if plan.scored and plan.checker is not None else None
        graded = scoring.record(number, match.test.status, points)
        if match.reason:
            self._reasons.append({**match.reason, "test": case.name})
        return replace(
            match.test,
            name=case.name,
            group=case.group,
            sample=case.sample,
            status=graded.status,
            score=graded.score,
            fingerprint=package.fingerprint(number),
        )

    def _with_allowed_points(self, package: ScoredPackage, number: int, case_run: CaseRun) -> CaseRun | Infra:
        """Infra if the problem's format does not let its validator give these points."""
        ruling = case_run.finding.ruling
        if ruling is None:
            return case_run
        fault = package.scoring.points_fault(number, ruling.verdict, ruling.points, ruling.share)
        return case_run if fault is None else broken(f"test {package.plan.cases[number].name}", fault, ruling.message)

    def _record(self, package: ScoredPackage, number: int, case_run: CaseRun) -> TestResult:
        finding, scoring = case_run.finding, package.scoring
        points = None if finding.ruling is None else finding.ruling.points_of(scoring.worth(number))
        graded = scoring.record(number, finding.status, points)
        test = exec_rules.test_result(
            package.plan.cases[number],
            graded,
            finding.rule,
            case_run.outcome,
            message=finding.message,
            borderline=case_run.borderline,
            fingerprint=package.fingerprint(number),
            settings=self._settings,
        )
        for stream, was_cut in (("stdout", test.truncated_stdout), ("stderr", test.truncated_stderr)):
            if was_cut:
                self._context.metrics.judge_output_truncated.labels(stream=stream).inc()
        if test.status is not Verdict.ACCEPTED:
            why = exec_rules.why(finding.rule, case_run.outcome, case_run.limits, finding.mismatch)
            of_points = {} if points is None else {"score": test.score, "max_score": scoring.worth(number)}
            self._reasons.append({"test": test.name, **why, **of_points})
        if (second := explain.of_second_run(test)) is not None:
            self._reasons.append(second)
        return test

    # -- reporting

    def _explained(self, plan: Plan, outcome: Outcome) -> tuple[Mapping[str, Any], ...]:
        first = explain.of_submission(plan, outcome, self._tests)
        budget = explain.of_budget(plan, outcome, self._tests)
        last = [*([] if budget is None else [budget]), *explain.of_left_out(outcome)]
        return explain.chain(first, self._reasons, last, limit=self._settings.max_explanations)

    def _mistaken(self, sentence: str) -> Report:
        """Report a submission that does not fit this problem: the contestant's mistake; nothing was judged."""
        why = {"rule": "compile", "why": "kind", "sentence": sentence}
        compiled = CompileResult(ok=False, time_ms=0, output=sentence)
        return self._report(Verdict.COMPILE_ERROR, 0.0, compiled, (why,))

    def _report(
        self,
        status: Verdict,
        score: float,
        compiled: CompileResult | None,
        explanation: Sequence[Mapping[str, Any]],
        groups: tuple[GroupResult, ...] = (),
    ) -> Report:
        report = Report(
            status=status,
            score=score,
            time_used_ms=max((test.cpu_ms for test in self._tests), default=0),
            memory_used_kb=max((test.memory_kb for test in self._tests), default=0),
            wall_ms=max((test.wall_ms for test in self._tests), default=0),
            language=self._language.key,
            problem_version=str(self._claim.problem.version),
            isolation=self._isolation,
            compile=compiled,
            tests=tuple(self._tests),
            groups=groups,
            explanation=tuple(explanation),
            compile_wall_ms=self._compile_wall_ms,
            run_wall_ms=self._run_wall_ms,
            stages=self._stages,
        )
        self._log(
            "finish_exec",
            verdict=status.value,
            cpu_ms=report.time_used_ms,
            memory_kb=report.memory_used_kb,
            count=len(self._tests),
            stdout_len=max((test.stdout_len for test in self._tests), default=0),
            stderr_len=max((test.stderr_len for test in self._tests), default=0),
            truncated_stdout=any(test.truncated_stdout for test in self._tests),
            truncated_stderr=any(test.truncated_stderr for test in self._tests),
        )
        return report

    def _log(self, event: str, **fields: Any) -> None:
        observe.log(event, **self._context.about, **fields)


def _ms_since(began: float) -> float:
    return (trio.current_time() - began) * 1000


async def attempted[T](
    context: AttemptContext,
    claim: Claim,
    act: Callable[[Attempt], Awaitable[T | Infra]],
    *,
    former: Former | None = None,
    on_test: Callable[[TestResult, int, int], None] | None = None,
) -> T | Infra:
    """Make one attempt: ``act``, in a directory in ``context.workdir``. Where the node has ``context.start_task``, the
    directory is removed soon after this call has ended, so that the verdict does not wait for it.

    Raises:
      BoxBroken, BlobsUnavailable, BlobMissing: from the ports; they say nothing about the program.
    """
    language = outputs.language_of(claim.language)
    if language is None:
        return Infra("unknown_language", f"this node has no language '{claim.language}'")
    if claim.problem.compare != BY_PACKAGE and comparing.of_text(claim.problem.compare) is None:
        return Infra("unknown_compare", f"this node cannot compare by '{claim.problem.compare}'")
    try:
        is_short = len(claim.code) + sum(len(file.content) for file in claim.files) <= SHORT_BYTES
        directory = await do_blocking(AttemptDir.make, context.workdir, claim, language.source_name, is_short=is_short)
    except OSError as error:
        return trouble_of(error, outage=True)  # nothing of this job has been examined yet
    context = context.of_attempt(_names(claim))
    attempt = Attempt(context, claim, language, directory.path, former=former, on_test=on_test)
    try:
        return await act(attempt)
    except OSError as error:
        return trouble_of(error)
    except TestDataBroken as error:
        return Infra("test_data_broken", str(error))
    finally:
        await context.deferred.add(partial(directory.leave, keep=context.settings.keep_workdir))


def _beginnings(files: Mapping[RerunFile, Path]) -> dict[RerunFile, KeptFile]:
    """Read the beginning of each file; one that the run did not make is empty. Blocking."""
    kept: dict[RerunFile, KeptFile] = {}
    for name, path in files.items():
        try:
            with path.open("rb") as file:
                kept[name] = KeptFile(file.read(KEEP_BYTES), path.stat().st_size)
        except FileNotFoundError:
            kept[name] = KeptFile(b"", 0)
    return kept


def _names(claim: Claim) -> Mapping[str, Any]:
    """Return the log fields that name this attempt."""
    return {
        "job_id": claim.job_id,
        "attempt_id": claim.attempt_id,
        "stream_entry_id": claim.entry_id,
        "trace_id": claim.trace_id,
        "problem_id": claim.problem.id,
        "language": claim.language,
    }
