"""One attempt under the judge step: prepare the programs, run test by test, decide, report."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import trio

from deepoj import observe
from deepoj.execution import execute
from deepoj.execution.checking import Checking, Output
from deepoj.execution.compiling import Compiler
from deepoj.execution.interacting import Interacting, Talk
from deepoj.execution.workdir import SOURCES
from deepoj.judging import borderline, exec_rules, explain, outputs, verdicts
from deepoj.judging.abilities import BY_PACKAGE, lacks, way_of
from deepoj.judging.checkers import Ruling, broken
from deepoj.judging.compare import Mismatch, compare_files
from deepoj.judging.exec_rules import JudgeSettings
from deepoj.judging.languages import Language
from deepoj.judging.paths import base
from deepoj.judging.problem import Case, Checker, Compare, Plan
from deepoj.judging.reuse import Deciders, Former, checkers_mark, program_mark
from deepoj.judging.scoring import Outcome, Scoring
from deepoj.judging.sources import driver_of, scratch_names, takes_several, with_entry
from deepoj.ports.sandbox import Box
from deepoj.ports.testdata import Prepared, TestData
from deepoj.words.jobs import Claim
from deepoj.words.results import Borderline, CompileResult, GroupResult, Infra, Report, TestResult, Verdict
from deepoj.words.sandbox import FileIn, RunLimits, RunOutcome, RunSpec
from deepoj.words.sources import SourceFile


@dataclass(frozen=True, slots=True)
class _Finding:
    """The verdict of a test and its reason."""

    status: Verdict
    rule: str
    mismatch: Mismatch | None = None
    #: for setters only
    message: str = ""
    #: the checker's ruling, whose points may count
    ruling: Ruling | None = None


@dataclass(frozen=True, slots=True)
class _TestRun:
    """One execution of the program on a test: its limits and its finding."""

    outcome: RunOutcome
    limits: RunLimits
    finding: _Finding
    #: whether the run ended by itself close to its time limit
    near: bool = False
    #: set if this is the second of two runs
    borderline: Borderline | None = None


class Attempt:
    """One attempt's compilation and test runs, and the measurements so far."""

    def __init__(
        self,
        box: Box,
        compiler: Compiler,
        claim: Claim,
        language: Language,
        directory: Path,
        *,
        settings: JudgeSettings,
        metrics: observe.Metrics,
        former: Former | None,
        on_test: Callable[[TestResult, int, int], None] | None,
    ) -> None:
        self._former = former
        self._box, self._compiler = box, compiler
        self._claim, self._language, self._dir = claim, language, directory
        self._settings, self._metrics, self._on_test = settings, metrics, on_test
        self._limits = exec_rules.run_limits(claim.problem, settings, language)
        self._tests: list[TestResult] = []
        #: the explanations of the tests, in their order
        self._reasons: list[Mapping[str, Any]] = []
        self._isolation = box.isolation
        self._compile_wall_ms = 0
        self._run_wall_ms = 0
        #: the problem's checker, once it has been needed
        self._checking: Checking | None = None
        #: the interactor or multipass validator, once it has been needed
        self._interacting: Interacting | None = None
        #: the entry point first, the problem's own files last
        self._sources = self._named_sources(())
        #: the result of compiling, or the sources themselves
        self._program: tuple[FileIn, ...] = ()
        #: the problem's own files among ``_sources``
        self._beside: tuple[FileIn, ...] = ()
        #: of an output-only problem: test → the name of the source that is its output
        self._outputs: Mapping[str, str] = {}

    async def judge(self, test_data: TestData) -> Report | Infra:
        self._log("start_exec")
        # Only a package with its own way of judging adds files to programs. Otherwise a compile error needs no package.
        own_way = self._claim.problem.compare == BY_PACKAGE
        compiled = None if own_way else await self._compiled()
        if isinstance(compiled, Infra | Report):
            return compiled
        prepared = await test_data.prepare(self._claim.problem)
        try:
            if mistake := outputs.mistaken(prepared.plan, self._language, self._claim) or self._put_beside(prepared):
                return self._mistaken(mistake)
            if own_way or self._beside:
                compiled = await self._compiled()
            if isinstance(compiled, Infra | Report):
                return compiled
            outcome = await self._run_all(prepared)
        finally:
            with trio.CancelScope(shield=True):
                await test_data.release(self._claim.problem)
        if isinstance(outcome, Infra):
            return outcome
        if outcome.status is Verdict.SYSTEM_ERROR:
            return Infra("no_verdict", f"{len(self._tests)} tests of {len(prepared.plan.cases)} gave no verdict")
        explained = self._explained(prepared.plan, outcome)
        return self._report(outcome.status, outcome.score, compiled, explained, outcome.groups)

    async def _compiled(self) -> CompileResult | Report | Infra | None:
        """Compile. Return a report if the compiler refuses the source; None if this language needs no compilation."""
        compiled = await self._compile()
        if isinstance(compiled, CompileResult) and not compiled.ok:
            return self._report(Verdict.COMPILE_ERROR, 0.0, compiled, self._reasons)
        return compiled

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
        compiled = await self._compiler.compile(
            self._language,
            self._sources,
            self._sources[0].name,
            into=self._dir,
            user_id=self._claim.user_id,
            about=self._names(),
        )
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

    # -- running

    async def _run_all(self, prepared: Prepared) -> Outcome | Infra:
        plan = prepared.plan
        if (lack := lacks(plan, self._claim.problem.compare)) is not None:
            return Infra("unsupported_plan", lack)
        if not plan.cases:
            return Infra("no_verdict", "the problem has no tests")
        try:
            scoring = Scoring(plan)
        except ValueError as error:
            return Infra("unsupported_plan", str(error))
        if plan.output_only:
            self._outputs = outputs.output_names(plan.cases, self._claim)
        self._limits = exec_rules.run_limits(self._claim.problem, self._settings, self._language, plan.limits)
        deciders = await trio.to_thread.run_sync(self._deciders, prepared)
        failed = False
        while True:
            hurry = failed and self._run_wall_ms >= self._settings.failed_budget_ms
            if (number := scoring.next(hurry=hurry)) is None:
                return scoring.outcome()
            # Submitted outputs are cheap to check, and their assignment depends on the names of all tests.
            fingerprint = "" if plan.output_only else deciders.fingerprint(plan.cases[number])
            test = self._taken_over(scoring, number, plan, fingerprint)
            if test is None:
                finding = await self._try_case(number, prepared, again=not scoring.is_settled(number))
                if not isinstance(finding, Infra):
                    finding = self._with_allowed_points(scoring, number, plan.cases[number], finding)
                if isinstance(finding, Infra):
                    return finding
                test = self._record(scoring, number, plan.cases[number], finding)
            test = replace(test, fingerprint=fingerprint)
            failed = failed or test.status is not Verdict.ACCEPTED
            self._tests.append(test)
            if self._on_test is not None:
                self._on_test(test, len(self._tests), len(plan.cases))

    def _deciders(self, prepared: Prepared) -> Deciders:
        """Return everything that decides the tests of this attempt. Blocking."""
        sources = {one.name: one.path.read_bytes() for one in self._sources}
        program = program_mark(self._language, sources, self._sources[0].name, self._settings.toolchain)
        checkers = checkers_mark(prepared.plan, self._settings.toolchain)
        return Deciders(program, prepared.plan, prepared.digest, self._claim.problem.compare, self._limits, checkers)

    def _taken_over(self, scoring: Scoring, number: int, plan: Plan, fingerprint: str) -> TestResult | None:
        """Return the test's result of an earlier judging, if its fingerprint is unchanged."""
        match = self._former.reusable(fingerprint) if self._former is not None else None
        if self._former is None or match is None:
            return None
        self._isolation = min(self._isolation, self._former.isolation)
        case = plan.cases[number]
        points = match.test.score if plan.scored and plan.checker is not None else None
        graded = scoring.record(number, match.test.status, points)
        if match.reason:
            self._reasons.append({**match.reason, "test": case.name})
        return replace(
            match.test, name=case.name, group=case.group, sample=case.sample, status=graded.status, score=graded.score
        )

    async def _try_case(self, number: int, prepared: Prepared, *, again: bool) -> _TestRun | Infra:
        """Run a test, and run it again if it is close to the limit and ``again`` allows it.

        Neighbours make a run's CPU time longer, never shorter. So a second run beside them that is within the limit
        decides. Only if it is not within the limit, a third run is made alone, while the node's other runs wait."""
        first = await self._run_case(number, prepared)
        if isinstance(first, Infra) or not (again and first.near):
            return first
        if first.finding.status not in (Verdict.ACCEPTED, Verdict.PARTIAL, Verdict.TIME_LIMIT_EXCEEDED):
            return first
        second = await self._run_case(number, prepared)
        if not isinstance(second, Infra) and second.finding.status is Verdict.TIME_LIMIT_EXCEEDED:
            second = await self._run_case(number, prepared, alone_within_s=self._settings.borderline_wait_ms / 1000)
        if isinstance(second, Infra):
            return second
        both = Borderline(
            first_ms=first.outcome.cpu_ms,
            first_status=first.finding.status,
            again_ms=second.outcome.cpu_ms,
            again_status=second.finding.status,
            limit_ms=self._limits.cpu_ms,
            margin_percent=self._settings.borderline_percent,
            alone=second.outcome.alone,
        )
        return replace(second, borderline=both)

    async def _run_case(
        self, number: int, prepared: Prepared, *, alone_within_s: float | None = None
    ) -> _TestRun | Infra:
        case = prepared.plan.cases[number]
        stdout = self._dir / f"{number}.stdout"
        limits = self._limits
        if case.answer is not None:
            limits = exec_rules.for_answer(limits, prepared.path(case.answer).stat().st_size)
        spec = exec_rules.run_spec(
            self._language,
            self._dir,
            stdin=None if case.input is None else prepared.path(case.input),
            stdout=stdout,
            limits=limits,
            toolchain=self._settings.toolchain,
        )
        argv = with_entry(spec.argv, self._language.source_name, self._sources[0].name)
        extra = {base(name): FileIn(base(name), prepared.path(name)) for name in case.extra_files}
        program = tuple(one for one in self._program if one.program or one.name not in extra)
        spec = replace(
            spec,
            argv=(*argv, *case.args),
            files_in=(*program, *extra.values()),
            user_id=self._claim.user_id,
        )
        checker = prepared.plan.checker
        if checker is not None and (checker.interactive or checker.multipass):
            test_run = await self._interact(case, spec, checker, prepared)
        else:
            spec = replace(
                spec,
                limits=borderline.widened(limits, self._settings.borderline_percent),
                alone_within_s=alone_within_s,
            )
            test_run = await self._run_alone(case, spec, stdout, prepared)
        return test_run

    def _with_allowed_points(self, scoring: Scoring, number: int, case: Case, test_run: _TestRun) -> _TestRun | Infra:
        """Infra if the problem's format does not let its validator give these points."""
        ruling = test_run.finding.ruling
        if ruling is None:
            return test_run
        fault = scoring.points_fault(number, ruling.verdict, ruling.points, ruling.share)
        return test_run if fault is None else broken(f"test {case.name}", fault, ruling.message)

    def _record(self, scoring: Scoring, number: int, case: Case, test_run: _TestRun) -> TestResult:
        finding = test_run.finding
        points = None if finding.ruling is None else finding.ruling.points_of(scoring.worth(number))
        graded = scoring.record(number, finding.status, points)
        test = exec_rules.test_result(
            case,
            graded,
            finding.rule,
            test_run.outcome,
            message=finding.message,
            borderline=test_run.borderline,
            settings=self._settings,
        )
        for stream, was_cut in (("stdout", test.truncated_stdout), ("stderr", test.truncated_stderr)):
            if was_cut:
                self._metrics.judge_output_truncated.labels(stream=stream).inc()
        if test.status is not Verdict.ACCEPTED:
            why = exec_rules.why(finding.rule, test_run.outcome, test_run.limits, finding.mismatch)
            of_points = {} if points is None else {"score": test.score, "max_score": scoring.worth(number)}
            self._reasons.append({"test": test.name, **why, **of_points})
        if (second := explain.of_second_run(test)) is not None:
            self._reasons.append(second)
        return test

    def _explained(self, plan: Plan, outcome: Outcome) -> tuple[Mapping[str, Any], ...]:
        first = explain.of_submission(plan, outcome, self._tests)
        budget = explain.of_budget(plan, outcome, self._tests)
        last = [*([] if budget is None else [budget]), *explain.of_left_out(outcome)]
        return explain.chain(first, self._reasons, last, limit=self._settings.max_explanations)

    async def _run_alone(self, case: Case, spec: RunSpec, stdout: Path, prepared: Prepared) -> _TestRun | Infra:
        outcome = await (self._take_output(case, stdout) if prepared.plan.output_only else self._run(spec))
        measured = exec_rules.at_heap_limit(outcome, self._language, self._limits)
        self._run_wall_ms += measured.wall_ms
        if measured.sandbox_error is not None:
            return exec_rules.sandbox_trouble(f"test {case.name}", measured.sandbox_error)
        outcome = borderline.held_to(measured, self._limits)
        status = verdicts.of_run(
            outcome.verdict, outcome.rule, exit_code=outcome.exit_code, exit_signal=outcome.exit_signal
        )
        if status is Verdict.SYSTEM_ERROR:
            return Infra("sandbox", f"test {case.name}: {outcome.verdict} by rule '{outcome.rule}'")
        if status is verdicts.COMPARE:
            finding = await self._check_output(case, stdout, prepared)
        else:
            finding = _Finding(status, outcome.rule)
            await trio.to_thread.run_sync(_tidy, stdout, status, self._settings.keep_workdir)
        if isinstance(finding, Infra):
            return finding
        near = borderline.is_near(measured, self._limits, self._settings.borderline_percent)
        return _TestRun(outcome, replace(spec.limits, cpu_ms=self._limits.cpu_ms), finding, near=near)

    async def _take_output(self, case: Case, stdout: Path) -> RunOutcome:
        """Use the output submitted for a test in place of a run's output."""
        name = self._outputs.get(case.name)
        sent = None if name is None else self._dir / SOURCES / name
        output_bytes = await trio.to_thread.run_sync(_copy, sent, stdout)
        return outputs.taken_for_run(output_bytes, self._box.isolation)

    async def _interact(self, case: Case, spec: RunSpec, checker: Checker, prepared: Prepared) -> _TestRun | Infra:
        """Run the program with an interactor, or with a multipass validator; then the checker that follows an
        interactor, if there is one."""
        if self._interacting is None:
            self._interacting = self._new_interacting(checker, prepared)
        input_path, answer = (None if name is None else prepared.path(name) for name in (case.input, case.answer))
        talk = Talk(
            test=case.name,
            program=spec,
            language=self._language,
            input=input_path,
            answer=answer,
            args=case.checker_args,
        )
        result = await self._interacting.judge(talk)
        self._isolation = min(self._isolation, self._interacting.isolation)
        if isinstance(result, Infra):
            return result
        self._run_wall_ms += result.outcome.wall_ms
        finding = _Finding(
            result.verdict, result.rule, message=result.ruling.message if result.ruling else "", ruling=result.ruling
        )
        after = prepared.plan.output_checker
        if after is not None and result.verdict is Verdict.ACCEPTED:
            if result.output is None:
                return Infra("checker_broken", f"test {case.name}: the interactor wrote nothing for its checker")
            if self._checking is None:
                self._checking = self._new_checking(after, prepared)
            ruling = await self._checking.check(
                Output(test=case.name, output=result.output, input=input_path, answer=answer, args=case.checker_args)
            )
            self._isolation = min(self._isolation, self._checking.isolation)
            if isinstance(ruling, Infra):
                return ruling
            finding = _Finding(ruling.verdict, "checker", message=ruling.message, ruling=ruling)
        return _TestRun(result.outcome, result.limits, finding)

    def _new_interacting(self, checker: Checker, prepared: Prepared) -> Interacting:
        return Interacting(
            self._box,
            self._compiler,
            checker,
            prepared.path,
            self._dir / "interactor",
            problem=self._claim.problem,
            scored=prepared.plan.scored,
            settings=self._settings,
            metrics=self._metrics,
            about=self._names(),
        )

    async def _check_output(self, case: Case, stdout: Path, prepared: Prepared) -> _Finding | Infra:
        """Decide whether the output of a program that ended well is right, by the problem's checker or by comparing."""
        plan = prepared.plan
        input_path, answer = (None if name is None else prepared.path(name) for name in (case.input, case.answer))
        if plan.checker is not None:
            if self._checking is None:
                self._checking = self._new_checking(plan.checker, prepared)
            output = Output(test=case.name, output=stdout, input=input_path, answer=answer, args=case.checker_args)
            ruling = await self._checking.check(output)
            self._isolation = min(self._isolation, self._checking.isolation)
            if isinstance(ruling, Infra):
                return ruling
            finding = _Finding(ruling.verdict, "checker", message=ruling.message, ruling=ruling)
            await trio.to_thread.run_sync(_tidy, stdout, finding.status, self._settings.keep_workdir)
            return finding
        way = way_of(plan, self._claim.problem.compare)
        if way is None or answer is None:
            return Infra("unsupported_plan", f"test {case.name}: there is nothing to compare by")
        return await trio.to_thread.run_sync(
            functools.partial(_compare, way, answer, stdout, keep=self._settings.keep_workdir, scored=plan.scored)
        )

    def _new_checking(self, checker: Checker, prepared: Prepared) -> Checking:
        return Checking(
            self._box,
            self._compiler,
            checker,
            prepared.path,
            self._dir / "checker",
            problem=self._claim.problem,
            scored=prepared.plan.scored,
            settings=self._settings,
            metrics=self._metrics,
            about=self._names(),
        )

    async def _run(self, spec: RunSpec) -> RunOutcome:
        outcome = await execute.run(self._box, spec, "run", metrics=self._metrics, about=self._names())
        self._isolation = min(self._isolation, outcome.isolation)
        return outcome

    # -- both

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
        observe.log(event, **self._names(), **fields)

    def _names(self) -> dict[str, Any]:
        """Return the log fields that name this attempt."""
        claim = self._claim
        return {
            "job_id": claim.job_id,
            "attempt_id": claim.attempt_id,
            "stream_entry_id": claim.entry_id,
            "trace_id": claim.trace_id,
            "problem_id": claim.problem.id,
            "language": claim.language,
        }


def _compare(way: Compare, answer: Path, stdout: Path, *, keep: bool, scored: bool) -> _Finding:
    """Compare, and remove the output, in one visit to a thread."""
    mismatch = compare_files(way, answer, stdout)
    status = Verdict.ACCEPTED if mismatch is None else Verdict.WRONG_ANSWER
    _tidy(stdout, status, keep)
    if mismatch is None:
        return _Finding(status, "ok")
    if scored and mismatch.share:
        ruling = Ruling(verdict=Verdict.PARTIAL, share=mismatch.share)
        return _Finding(Verdict.PARTIAL, "compare", mismatch, str(mismatch), ruling)
    return _Finding(status, "compare", mismatch, str(mismatch))


def _tidy(stdout: Path, status: Verdict, keep: bool) -> None:
    """Remove the output. ``keep``: leave an output that was not right for a person to look at."""
    if not keep or status is Verdict.ACCEPTED:
        stdout.unlink(missing_ok=True)


def _copy(source: Path | None, target: Path) -> int:
    """Copy ``source`` to ``target``, or make ``target`` empty without one. Return its size."""
    if source is None:
        target.touch()
        return 0
    return shutil.copyfile(source, target).stat().st_size
