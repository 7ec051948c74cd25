"""Judge: from a won claim to a report. Compile in the box, run each test in the box, compare, explain.

Whose fault is it? Everything the contestant's program or source can bring about is a verdict; everything else is
``Infra``, to be tried again, or a breakage raised through.

Which test is next, and what they all come to, is the scoring's business (``judging.scoring``). Unless the package says
otherwise, all tests are judged, so that a teacher sees all of them. Once one has failed and the runs have taken
``settings.failed_budget_ms`` altogether, only those are still run that can change the verdict or the score: a hopeless
program must not hold a slot for an hour. The explanation says so.

A test whose CPU time came close to its limit is run again, and the last run decides (``judging.borderline``);
not one that can change nothing any more.

A rejudge (``former``) takes over the tests that the same things decided as before (``judging.reuse``).

What if we die here? The lease runs out and the next attempt starts over in a directory of its own (``workdir``).
"""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import trio

from deepoj import observe
from deepoj.judging import borderline, explain, outputs, runs, verdicts
from deepoj.judging import compare as comparing
from deepoj.judging.abilities import BY_PACKAGE, lacks, way_of
from deepoj.judging.checkers import Ruling, broken
from deepoj.judging.compare import Mismatch, compare_files
from deepoj.judging.languages import Language
from deepoj.judging.packages.names import base
from deepoj.judging.problem import Case, Checker, Compare, Plan
from deepoj.judging.reuse import Deciders, Former, checkers_mark, program_mark
from deepoj.judging.runs import JudgeSettings
from deepoj.judging.scoring import Outcome, Scoring
from deepoj.judging.sources import driver_of, scratch_names, takes_several, with_entry
from deepoj.pipeline import running
from deepoj.pipeline.checking import Checking, Output
from deepoj.pipeline.compiling import Compiler
from deepoj.pipeline.interacting import Interacting, Talk
from deepoj.pipeline.workdir import SOURCES, AttemptDir, trouble_of
from deepoj.ports import Box, Prepared, TestData
from deepoj.words import (
    Borderline,
    Claim,
    CompileResult,
    FileIn,
    GroupResult,
    Infra,
    Isolation,
    Report,
    RunLimits,
    RunOutcome,
    RunSpec,
    SourceFile,
    TestDataBroken,
    TestResult,
    Verdict,
)


async def judge(
    box: Box,
    test_data: TestData,
    claim: Claim,
    *,
    workdir: Path,
    settings: JudgeSettings,
    metrics: observe.Metrics,
    compiler: Compiler | None = None,
    former: Former | None = None,
    on_test: Callable[[TestResult, int, int], None] | None = None,
) -> Report | Infra:
    """Judges one attempt. ``workdir`` is the workspace; a directory in it lives as long as this call.

    ``compiler``: the node's; None is one that keeps nothing. ``former``: what of an earlier judging may be taken over.
    ``on_test`` is told each test as it ends, in order: the how manieth it is, from 1, and of how many at most.

    Raises:
      BoxBroken, BlobsUnavailable, BlobMissing: as the ports do; nothing is known about the program.
    """
    language = outputs.language_of(claim.language)
    if language is None:
        return Infra("unknown_language", f"this node has no language '{claim.language}'")
    if claim.problem.compare != BY_PACKAGE and comparing.of_text(claim.problem.compare) is None:
        return Infra("unknown_compare", f"this node cannot compare by '{claim.problem.compare}'")
    try:
        attempt = await trio.to_thread.run_sync(AttemptDir.make, workdir, claim, language.source_name)
    except OSError as error:
        return trouble_of(error, outage=True)  # nothing of this job has been looked at yet
    compiler = compiler or Compiler(box, settings=settings, metrics=metrics)
    walk = _Walk(
        box, compiler, claim, language, attempt.path, settings=settings, metrics=metrics, former=former, on_test=on_test
    )
    try:
        return await walk.judge(test_data)
    except OSError as error:
        return trouble_of(error)
    except TestDataBroken as error:
        return Infra("test_data_broken", str(error))
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(attempt.close, settings.keep_workdir)


# ---------------------------------------------------------------------------------------------------------------------
# The walk


@dataclass(frozen=True, slots=True)
class _Found:
    """What a test came to, and why."""

    status: Verdict
    rule: str
    mismatch: Mismatch | None = None
    #: for setters
    message: str = ""
    #: what a checker said, whose points may count
    ruling: Ruling | None = None


@dataclass(frozen=True, slots=True)
class _Met:
    """What came of running the program on a test: under which limits, and what was found of it."""

    outcome: RunOutcome
    limits: RunLimits
    found: _Found
    #: whether the run ended by itself close to its time limit
    near: bool = False
    #: set if this is the second of two runs
    borderline: Borderline | None = None


class _Walk:
    """One attempt's compile and runs, and what has been measured so far."""

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
        self._limits = runs.run_limits(claim.problem, settings, language)
        self._tests: list[TestResult] = []
        #: why the tests came to what they did, in their order
        self._reasons: list[Mapping[str, Any]] = []
        self._isolation = box.isolation
        self._compile_wall_ms = 0
        self._run_wall_ms = 0
        #: the problem's checker at work, if it has one
        self._checking: Checking | None = None
        #: the same of one that speaks with the program, or has it run in several passes
        self._interacting: Interacting | None = None
        #: the entry point first; the problem's own that stand beside them, last
        self._sources = self._named_sources(())
        #: what compiling leaves, or the sources themselves
        self._program: tuple[FileIn, ...] = ()
        #: of ``_sources`` the problem's own
        self._beside: tuple[FileIn, ...] = ()
        #: of an output-only problem: test → the name of the source that is its output
        self._outputs: Mapping[str, str] = {}

    async def judge(self, test_data: TestData) -> Report | Infra:
        self._tell("start_exec")
        # only a package that says itself how it is judged puts files beside programs: other compile errors need none
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
        """A report if the compiler refuses it. None: this language has nothing to compile."""
        compiled = await self._compile()
        if isinstance(compiled, CompileResult) and not compiled.ok:
            return self._report(Verdict.COMPILE_ERROR, 0.0, compiled, self._reasons)
        return compiled

    # -- compiling

    def _named_sources(self, beside: Collection[str]) -> list[FileIn]:
        """What the contestant sent, with its names in the scratch."""
        files = self._claim.files or (SourceFile("", self._claim.code),)
        return [
            FileIn(name, self._dir / SOURCES / (file.name or self._language.source_name))
            for name, file in zip(scratch_names(self._language, files, beside=beside), files, strict=True)
        ]

    def _put_beside(self, prepared: Prepared) -> str:
        """Takes in the problem's own files that stand beside every program; why this one cannot have them, or empty."""
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
        """None: this language has nothing to compile."""
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
        self._isolation = min(self._isolation, compiled.isolation or self._isolation, key=_strength)
        self._program = () if compiled.executable is None else compiled.executable.files_in
        # where the program runs they stand too: it may read them as data
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
        self._limits = runs.run_limits(self._claim.problem, self._settings, self._language, plan.limits)
        deciders = await trio.to_thread.run_sync(self._deciders, prepared)
        failed = False
        while True:
            hurry = failed and self._run_wall_ms >= self._settings.failed_budget_ms
            if (number := scoring.next(hurry=hurry)) is None:
                return scoring.outcome()
            # outputs that were sent are cheap to look at, and which is whose hangs on the names of all tests
            fingerprint = "" if plan.output_only else deciders.fingerprint(plan.cases[number])
            test = self._taken_over(scoring, number, plan, fingerprint)
            if test is None:
                found = await self._try_case(number, prepared, again=not scoring.is_settled(number))
                if not isinstance(found, Infra):
                    found = self._with_allowed_points(scoring, number, plan.cases[number], found)
                if isinstance(found, Infra):
                    return found
                test = self._record(scoring, number, plan.cases[number], found)
            test = replace(test, fingerprint=fingerprint)
            failed = failed or test.status is not Verdict.ACCEPTED
            self._tests.append(test)
            if self._on_test is not None:
                self._on_test(test, len(self._tests), len(plan.cases))

    def _deciders(self, prepared: Prepared) -> Deciders:
        """Everything that decides the tests of this attempt. Blocking."""
        sources = {one.name: one.path.read_bytes() for one in self._sources}
        program = program_mark(self._language, sources, self._sources[0].name, self._settings.toolchain)
        checkers = checkers_mark(prepared.plan, self._settings.toolchain)
        return Deciders(program, prepared.plan, prepared.digest, self._claim.problem.compare, self._limits, checkers)

    def _taken_over(self, scoring: Scoring, number: int, plan: Plan, fingerprint: str) -> TestResult | None:
        """The test as an earlier judging found it, if nothing has changed of what decided it."""
        found = self._former.reusable(fingerprint) if self._former is not None else None
        if self._former is None or found is None:
            return None
        self._isolation = min(self._isolation, self._former.isolation, key=_strength)
        case = plan.cases[number]
        points = found.test.score if plan.scored and plan.checker is not None else None
        graded = scoring.record(number, found.test.status, points)
        if found.reason:
            self._reasons.append({**found.reason, "test": case.name})
        return replace(
            found.test, name=case.name, group=case.group, sample=case.sample, status=graded.status, score=graded.score
        )

    async def _try_case(self, number: int, prepared: Prepared, *, again: bool) -> _Met | Infra:
        """Runs a test, again if it is close to the limit and ``again`` allows it.

        Neighbours make a run's CPU time longer, never shorter. So a second run beside them that is within the limit
        decides. Only one that is not is made again alone, where the others of the node wait for it."""
        first = await self._run_case(number, prepared)
        if isinstance(first, Infra) or not (again and first.near):
            return first
        if first.found.status not in (Verdict.ACCEPTED, Verdict.PARTIAL, Verdict.TIME_LIMIT_EXCEEDED):
            return first
        second = await self._run_case(number, prepared)
        if not isinstance(second, Infra) and second.found.status is Verdict.TIME_LIMIT_EXCEEDED:
            second = await self._run_case(number, prepared, alone_within_s=self._settings.borderline_wait_ms / 1000)
        if isinstance(second, Infra):
            return second
        both = Borderline(
            first_ms=first.outcome.cpu_ms,
            first_status=first.found.status,
            again_ms=second.outcome.cpu_ms,
            again_status=second.found.status,
            limit_ms=self._limits.cpu_ms,
            margin_percent=self._settings.borderline_percent,
            alone=second.outcome.alone,
        )
        return replace(second, borderline=both)

    async def _run_case(self, number: int, prepared: Prepared, *, alone_within_s: float | None = None) -> _Met | Infra:
        case = prepared.plan.cases[number]
        stdout = self._dir / f"{number}.stdout"
        limits = self._limits
        if case.answer is not None:
            limits = runs.for_answer(limits, prepared.path(case.answer).stat().st_size)
        spec = runs.run_spec(
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
            met = await self._speak(case, spec, checker, prepared)
        else:
            spec = replace(
                spec,
                limits=borderline.widened(limits, self._settings.borderline_percent),
                alone_within_s=alone_within_s,
            )
            met = await self._run_alone(case, spec, stdout, prepared)
        return met

    def _with_allowed_points(self, scoring: Scoring, number: int, case: Case, met: _Met) -> _Met | Infra:
        """Infra if the problem's format does not let its validator give these points."""
        ruling = met.found.ruling
        if ruling is None:
            return met
        fault = scoring.points_fault(number, ruling.verdict, ruling.points, ruling.share)
        return met if fault is None else broken(f"test {case.name}", fault, ruling.message)

    def _record(self, scoring: Scoring, number: int, case: Case, met: _Met) -> TestResult:
        found = met.found
        points = None if found.ruling is None else found.ruling.points_of(scoring.worth(number))
        graded = scoring.record(number, found.status, points)
        test = runs.test_result(
            case,
            graded,
            found.rule,
            met.outcome,
            message=found.message,
            borderline=met.borderline,
            settings=self._settings,
        )
        for stream, was_cut in (("stdout", test.truncated_stdout), ("stderr", test.truncated_stderr)):
            if was_cut:
                self._metrics.judge_output_truncated.labels(stream=stream).inc()
        if test.status is not Verdict.ACCEPTED:
            why = runs.why(found.rule, met.outcome, met.limits, found.mismatch)
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

    async def _run_alone(self, case: Case, spec: RunSpec, stdout: Path, prepared: Prepared) -> _Met | Infra:
        outcome = await (self._take_output(case, stdout) if prepared.plan.output_only else self._run(spec))
        measured = runs.at_heap_limit(outcome, self._language, self._limits)
        self._run_wall_ms += measured.wall_ms
        if measured.sandbox_error is not None:
            return runs.sandbox_trouble(f"test {case.name}", measured.sandbox_error)
        outcome = borderline.held_to(measured, self._limits)
        status = verdicts.of_run(
            outcome.verdict, outcome.rule, exit_code=outcome.exit_code, exit_signal=outcome.exit_signal
        )
        if status is Verdict.SYSTEM_ERROR:
            return Infra("sandbox", f"test {case.name}: {outcome.verdict} by rule '{outcome.rule}'")
        if status is verdicts.COMPARE:
            found = await self._look_at(case, stdout, prepared)
        else:
            found = _Found(status, outcome.rule)
            await trio.to_thread.run_sync(_tidy, stdout, status, self._settings.keep_workdir)
        if isinstance(found, Infra):
            return found
        near = borderline.is_near(measured, self._limits, self._settings.borderline_percent)
        return _Met(outcome, replace(spec.limits, cpu_ms=self._limits.cpu_ms), found, near=near)

    async def _take_output(self, case: Case, stdout: Path) -> RunOutcome:
        """What was sent for a test, in the place of a run's output."""
        name = self._outputs.get(case.name)
        sent = None if name is None else self._dir / SOURCES / name
        output_bytes = await trio.to_thread.run_sync(_copy, sent, stdout)
        return outputs.taken_for_run(output_bytes, self._box.isolation)

    async def _speak(self, case: Case, spec: RunSpec, checker: Checker, prepared: Prepared) -> _Met | Infra:
        """The program and an interactor, or a validator of several passes; and the checker that comes after an
        interactor, if there is one."""
        if self._interacting is None:
            self._interacting = self._speak_with(checker, prepared)
        input_path, answer = (None if name is None else prepared.path(name) for name in (case.input, case.answer))
        talk = Talk(
            test=case.name,
            program=spec,
            language=self._language,
            input=input_path,
            answer=answer,
            args=case.checker_args,
        )
        talked = await self._interacting.judge(talk)
        self._isolation = min(self._isolation, self._interacting.isolation, key=_strength)
        if isinstance(talked, Infra):
            return talked
        self._run_wall_ms += talked.outcome.wall_ms
        found = _Found(
            talked.verdict, talked.rule, message=talked.ruling.message if talked.ruling else "", ruling=talked.ruling
        )
        after = prepared.plan.output_checker
        if after is not None and talked.verdict is Verdict.ACCEPTED:
            if talked.output is None:
                return Infra("checker_broken", f"test {case.name}: the interactor wrote nothing for its checker")
            if self._checking is None:
                self._checking = self._check_with(after, prepared)
            ruling = await self._checking.check(
                Output(test=case.name, output=talked.output, input=input_path, answer=answer, args=case.checker_args)
            )
            self._isolation = min(self._isolation, self._checking.isolation, key=_strength)
            if isinstance(ruling, Infra):
                return ruling
            found = _Found(ruling.verdict, "checker", message=ruling.message, ruling=ruling)
        return _Met(talked.outcome, talked.limits, found)

    def _speak_with(self, checker: Checker, prepared: Prepared) -> Interacting:
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

    async def _look_at(self, case: Case, stdout: Path, prepared: Prepared) -> _Found | Infra:
        """Whether the output of a program that ended well is right: by the problem's checker, or by comparing."""
        plan = prepared.plan
        input_path, answer = (None if name is None else prepared.path(name) for name in (case.input, case.answer))
        if plan.checker is not None:
            if self._checking is None:
                self._checking = self._check_with(plan.checker, prepared)
            output = Output(test=case.name, output=stdout, input=input_path, answer=answer, args=case.checker_args)
            ruling = await self._checking.check(output)
            self._isolation = min(self._isolation, self._checking.isolation, key=_strength)
            if isinstance(ruling, Infra):
                return ruling
            found = _Found(ruling.verdict, "checker", message=ruling.message, ruling=ruling)
            await trio.to_thread.run_sync(_tidy, stdout, found.status, self._settings.keep_workdir)
            return found
        way = way_of(plan, self._claim.problem.compare)
        if way is None or answer is None:
            return Infra("unsupported_plan", f"test {case.name}: there is nothing to compare by")
        return await trio.to_thread.run_sync(
            functools.partial(_compare, way, answer, stdout, keep=self._settings.keep_workdir, scored=plan.scored)
        )

    def _check_with(self, checker: Checker, prepared: Prepared) -> Checking:
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
        outcome = await running.run(self._box, spec, "run", metrics=self._metrics, about=self._names())
        self._isolation = min(self._isolation, outcome.isolation, key=_strength)
        return outcome

    # -- both

    def _mistaken(self, sentence: str) -> Report:
        """What was sent is nothing for this problem: the contestant's doing, and nothing was judged."""
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
        self._tell(
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

    def _tell(self, event: str, **fields: Any) -> None:
        observe.log(event, **self._names(), **fields)

    def _names(self) -> dict[str, Any]:
        """Whose judging this is, for the log."""
        claim = self._claim
        return {
            "job_id": claim.job_id,
            "attempt_id": claim.attempt_id,
            "stream_entry_id": claim.entry_id,
            "trace_id": claim.trace_id,
            "problem_id": claim.problem.id,
            "language": claim.language,
        }


def _compare(way: Compare, answer: Path, stdout: Path, *, keep: bool, scored: bool) -> _Found:
    """Compares, and removes the output, all in one visit to a thread."""
    mismatch = compare_files(way, answer, stdout)
    status = Verdict.ACCEPTED if mismatch is None else Verdict.WRONG_ANSWER
    _tidy(stdout, status, keep)
    if mismatch is None:
        return _Found(status, "ok")
    if scored and mismatch.share:
        ruling = Ruling(verdict=Verdict.PARTIAL, share=mismatch.share)
        return _Found(Verdict.PARTIAL, "compare", mismatch, str(mismatch), ruling)
    return _Found(status, "compare", mismatch, str(mismatch))


def _tidy(stdout: Path, status: Verdict, keep: bool) -> None:
    """``keep``: an output that was not right stays, for a person to look at."""
    if not keep or status is Verdict.ACCEPTED:
        stdout.unlink(missing_ok=True)


def _copy(source: Path | None, target: Path) -> int:
    """Makes ``target`` of ``source``, or empty without one; returns its size."""
    if source is None:
        target.touch()
        return 0
    return shutil.copyfile(source, target).stat().st_size


def _strength(isolation: Isolation) -> int:
    return isolation.strength
