"""Run a submission on its tests, and decide about each run.

A test whose CPU time was close to its limit is run again (``judging.borderline``). The checker and the interactor are
compiled for the first test that needs them.
"""

from __future__ import annotations

import functools
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import trio

from deepoj.execution.checking import Checking, Output
from deepoj.execution.context import AttemptContext
from deepoj.execution.interacting import Interacting, Interaction
from deepoj.execution.workdir import SOURCES, do_blocking
from deepoj.judging import borderline, exec_rules, outputs, verdicts
from deepoj.judging.abilities import way_of
from deepoj.judging.checkers import Ruling
from deepoj.judging.compare import Mismatch, compare_files
from deepoj.judging.languages import Language
from deepoj.judging.paths import base
from deepoj.judging.problem import Case, Checker, Compare
from deepoj.judging.sources import with_entry
from deepoj.ports.testdata import Prepared
from deepoj.words.jobs import Claim
from deepoj.words.results import Borderline, Infra, Verdict
from deepoj.words.sandbox import FileIn, RunLimits, RunOutcome, RunSpec

#: of an output and its answer together: compared in 0.1 to 0.3 ms
_SHORT_BYTES = 8 * 1024


@dataclass(frozen=True, slots=True)
class CaseFinding:
    """The verdict of a test and its reason."""

    status: Verdict
    rule: str
    mismatch: Mismatch | None = None
    #: for setters only
    message: str = ""
    #: the checker's ruling, whose points may count
    ruling: Ruling | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """The end of the program on a test, before its output is decided about."""

    case: Case
    #: the test's, without the margin that the run had
    limits: RunLimits
    answer_bytes: int
    stdout: Path
    #: with the margin
    measured: RunOutcome
    #: whether the run ended by itself close to its time limit
    near: bool


@dataclass(frozen=True, slots=True)
class CaseRun:
    """One execution of the program on a test: its limits and its finding."""

    outcome: RunOutcome
    limits: RunLimits
    finding: CaseFinding
    #: whether the run ended by itself close to its time limit
    near: bool = False
    #: of all executions of the program for this test
    total_wall_ms: int = 0
    #: set if this is the second of two runs
    borderline: Borderline | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyProgram:
    """A submission that can be run: compiled, or the sources themselves."""

    claim: Claim
    language: Language
    #: the attempt's
    directory: Path
    #: the entry point's name in the sandbox
    entry: str
    files: tuple[FileIn, ...]
    #: of an output-only problem: test → the name of the source that is its output
    outputs: Mapping[str, str]


class CaseRuns:
    """The test runs of one attempt. ``limits`` are the program's, before a test widens them. ``keep_error_bytes``: keep
    each test's output (``output_of``), and so much of what it writes to standard error."""

    def __init__(
        self,
        context: AttemptContext,
        program: ReadyProgram,
        prepared: Prepared,
        limits: RunLimits,
        *,
        keep_error_bytes: int | None = None,
    ) -> None:
        self._context, self._program, self._prepared, self._limits = context, program, prepared, limits
        self._settings, self._problem = context.settings, program.claim.problem
        self._widened = borderline.widened(limits, self._settings.borderline_percent)
        #: how outputs are compared; None: see ``way_of``
        self._way = way_of(prepared.plan, self._problem.compare)
        self._keep_error_bytes = keep_error_bytes
        #: verdicts of tests whose output stays in the directory
        self._kept: frozenset[Verdict] = frozenset()
        if keep_error_bytes is not None:
            self._kept = frozenset(Verdict)
        elif self._settings.keep_workdir:  # for a person to look at
            self._kept = frozenset(Verdict) - {Verdict.ACCEPTED}
        #: the weakest isolation of any run
        self.isolation = context.box.isolation
        #: of this process's clock: while the program ran on at least one test, with the sandbox's own work
        self.run_s = 0.0
        self._under_way = 0
        self._began_s = 0.0
        #: the run of every test, without the test's own files and limits
        self._common_spec: RunSpec | None = None
        #: the problem's checker, once it has been needed
        self._checking: Checking | None = None
        #: the interactor or multipass validator, once it has been needed
        self._interacting: Interacting | None = None

    @property
    def one_at_a_time(self) -> bool:
        """Whether tests must not be run beside each other: an interactor keeps two processes busy, and has one
        directory."""
        checker = self._prepared.plan.checker
        return checker is not None and (checker.interactive or checker.multipass)

    @property
    def decides_in_sandbox(self) -> bool:
        """Whether ``conclude`` runs a program of its own."""
        return self._prepared.plan.checker is not None

    async def run_once(self, number: int) -> CaseRun | Infra:
        """Run a test once and decide about it."""
        return await self._run_case(number)

    async def execute(
        self,
        number: int,
        *,
        alone_within_s: float | None = None,
        gate: AbstractAsyncContextManager[object] | None = None,
    ) -> Execution:
        """Run the program once on a test. Other tests may run at the same time. Not where ``one_at_a_time``."""
        case, stdout = self._prepared.plan.cases[number], self._stdout(number)
        answer_bytes, margin = self._answer_bytes(case), self._settings.borderline_percent
        limits = exec_rules.for_answer(self._limits, answer_bytes)
        widened = self._widened if limits is self._limits else borderline.widened(limits, margin)
        spec = self._spec(case, widened, stdout, alone_within_s=alone_within_s, gate=gate)
        output_only = self._prepared.plan.output_only
        with self._timed():
            outcome = await (self._take_output(case, stdout) if output_only else self._context.run(spec, "run"))
        self.isolation = min(self.isolation, outcome.isolation)
        measured = exec_rules.at_heap_limit(outcome, self._program.language, self._limits)
        near = borderline.is_near(measured, self._limits, margin)
        return Execution(
            case=case, limits=limits, answer_bytes=answer_bytes, stdout=stdout, measured=measured, near=near
        )

    async def repeat_if_near(self, number: int, first: CaseRun) -> CaseRun | Infra:
        """Run a test again if its first run was close to the limit.

        Neighbours make a run's CPU time longer, never shorter. So a second run beside them that is within the limit
        decides. Only if it is not within the limit, a third run is made alone, while the node's other runs wait."""
        if not first.near:
            return first
        if first.finding.status not in (Verdict.ACCEPTED, Verdict.PARTIAL, Verdict.TIME_LIMIT_EXCEEDED):
            return first
        wall_ms = first.total_wall_ms
        second = await self._run_case(number)
        if not isinstance(second, Infra) and second.finding.status is Verdict.TIME_LIMIT_EXCEEDED:
            wall_ms += second.total_wall_ms
            second = await self._run_case(number, alone_within_s=self._settings.borderline_wait_ms / 1000)
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
        return replace(second, borderline=both, total_wall_ms=wall_ms + second.total_wall_ms)

    async def _run_case(self, number: int, *, alone_within_s: float | None = None) -> CaseRun | Infra:
        checker = self._prepared.plan.checker
        if checker is not None and (checker.interactive or checker.multipass):
            case = self._prepared.plan.cases[number]
            limits = exec_rules.for_answer(self._limits, self._answer_bytes(case))
            return await self._interact(case, self._spec(case, limits, self._stdout(number)), checker)
        return await self.conclude(await self.execute(number, alone_within_s=alone_within_s))

    def _answer_bytes(self, case: Case) -> int:
        return 0 if case.answer is None else self._prepared.path(case.answer).stat().st_size

    def _spec(
        self,
        case: Case,
        limits: RunLimits,
        stdout: Path,
        *,
        alone_within_s: float | None = None,
        gate: AbstractAsyncContextManager[object] | None = None,
    ) -> RunSpec:
        """Return the run of a test. All but the test's own is composed once."""
        prepared, program = self._prepared, self._program
        if self._common_spec is None:
            spec = exec_rules.run_spec(
                program.language,
                program.directory,
                stdin=None,
                stdout=stdout,
                limits=limits,
                toolchain=self._settings.toolchain,
            )
            self._common_spec = replace(
                spec,
                argv=with_entry(spec.argv, program.language.source_name, program.entry),
                files_in=program.files,
                user_id=program.claim.user_id,
                keep_stderr_bytes=max(spec.keep_stderr_bytes, self._keep_error_bytes or 0),
            )
        common = self._common_spec
        extra = {base(name): FileIn(base(name), prepared.path(name)) for name in case.extra_files}
        files = common.files_in
        if extra:
            files = (*(one for one in files if one.program or one.name not in extra), *extra.values())
        return replace(
            common,
            argv=(*common.argv, *case.args),
            limits=limits,
            stdin=None if case.input is None else prepared.path(case.input),
            stdout_to=stdout,
            files_in=files,
            alone_within_s=alone_within_s,
            gate=gate,
        )

    @contextmanager
    def _timed(self) -> Iterator[None]:
        """Count the time in ``run_s``, once where tests run beside each other."""
        if not self._under_way:
            self._began_s = trio.current_time()
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self.run_s += trio.current_time() - self._began_s

    def output_of(self, number: int) -> Path | None:
        """Return where the output of a test is that has been run last; None: it went to an interactor."""
        checker = self._prepared.plan.checker
        if checker is not None and checker.interactive:
            return None
        return self._stdout(number) if self._interacting is None else self._interacting.output

    def _stdout(self, number: int) -> Path:
        return self._program.directory / f"{number}.stdout"

    # -- without an interactor

    async def conclude(self, execution: Execution) -> CaseRun | Infra:
        """Decide about the program's run and its output, and remove the output."""
        case, stdout, measured = execution.case, execution.stdout, execution.measured
        if measured.sandbox_error is not None:
            return exec_rules.sandbox_trouble(f"test {case.name}", measured.sandbox_error)
        outcome = borderline.held_to(measured, self._limits)
        status = verdicts.of_run(
            outcome.verdict, outcome.rule, exit_code=outcome.exit_code, exit_signal=outcome.exit_signal
        )
        if status is Verdict.SYSTEM_ERROR:
            return Infra("sandbox", f"test {case.name}: {outcome.verdict} by rule '{outcome.rule}'")
        if status is verdicts.COMPARE:
            finding = await self._check_output(execution, outcome.stdout_len)
        else:
            finding = CaseFinding(status, outcome.rule)
            await do_blocking(_tidy, stdout, status, self._kept, is_short=outcome.stdout_len <= _SHORT_BYTES)
        if isinstance(finding, Infra):
            return finding
        return CaseRun(outcome, execution.limits, finding, near=execution.near, total_wall_ms=measured.wall_ms)

    async def _take_output(self, case: Case, stdout: Path) -> RunOutcome:
        """Use the output submitted for a test in place of a run's output."""
        name = self._program.outputs.get(case.name)
        sent = None if name is None else self._program.directory / SOURCES / name
        output_bytes = await trio.to_thread.run_sync(_copy, sent, stdout)
        return outputs.taken_for_run(output_bytes, self._context.box.isolation)

    async def _check_output(self, execution: Execution, output_bytes: int) -> CaseFinding | Infra:
        """Decide whether the output of a program that ended well is right, by the problem's checker or by comparing."""
        plan, kept, case, stdout = self._prepared.plan, self._kept, execution.case, execution.stdout
        if plan.checker is not None:
            finding = await self._check(plan.checker, case, stdout)
            if not isinstance(finding, Infra):
                await do_blocking(_tidy, stdout, finding.status, kept, is_short=output_bytes <= _SHORT_BYTES)
            return finding
        _, answer = self._files_of(case)
        if self._way is None or answer is None:
            return Infra("unsupported_plan", f"test {case.name}: there is nothing to compare by")
        compare = functools.partial(_compare, self._way, answer, stdout, kept=kept, scored=plan.scored)
        return await do_blocking(compare, is_short=output_bytes + execution.answer_bytes <= _SHORT_BYTES)

    # -- with an interactor or a multipass validator

    async def _interact(self, case: Case, spec: RunSpec, checker: Checker) -> CaseRun | Infra:
        """Run the program with an interactor, or with a multipass validator; then the checker that follows an
        interactor, if there is one."""
        plan = self._prepared.plan
        if self._interacting is None:
            self._interacting = Interacting(
                self._context,
                checker,
                self._prepared.path,
                self._program.directory / "interactor",
                problem=self._problem,
                scored=plan.scored,
            )
        input_path, answer = self._files_of(case)
        talk = Interaction(
            test=case.name,
            program=spec,
            language=self._program.language,
            input=input_path,
            answer=answer,
            args=case.checker_args,
        )
        with self._timed():
            result = await self._interacting.judge(talk)
        self.isolation = min(self.isolation, self._interacting.isolation)
        if isinstance(result, Infra):
            return result
        message = result.ruling.message if result.ruling else ""
        finding: CaseFinding | Infra = CaseFinding(result.verdict, result.rule, message=message, ruling=result.ruling)
        if plan.output_checker is not None and result.verdict is Verdict.ACCEPTED:
            if result.output is None:
                return Infra("checker_broken", f"test {case.name}: the interactor wrote nothing for its checker")
            finding = await self._check(plan.output_checker, case, result.output)
        if isinstance(finding, Infra):
            return finding
        return CaseRun(result.outcome, result.limits, finding, total_wall_ms=result.outcome.wall_ms)

    # -- the checker

    async def _check(self, checker: Checker, case: Case, output: Path) -> CaseFinding | Infra:
        """Let the problem's checker decide about an output."""
        if self._checking is None:
            self._checking = Checking(
                self._context,
                checker,
                self._prepared.path,
                self._program.directory / "checker",
                problem=self._problem,
                scored=self._prepared.plan.scored,
            )
        input_path, answer = self._files_of(case)
        ruling = await self._checking.check(
            Output(test=case.name, output=output, input=input_path, answer=answer, args=case.checker_args)
        )
        self.isolation = min(self.isolation, self._checking.isolation)
        if isinstance(ruling, Infra):
            return ruling
        return CaseFinding(ruling.verdict, "checker", message=ruling.message, ruling=ruling)

    def _files_of(self, case: Case) -> tuple[Path | None, Path | None]:
        """Return the paths of the test's input and answer."""
        path = self._prepared.path
        return None if case.input is None else path(case.input), None if case.answer is None else path(case.answer)


def _compare(way: Compare, answer: Path, stdout: Path, *, kept: Collection[Verdict], scored: bool) -> CaseFinding:
    """Compare, and remove the output, in one visit to a thread."""
    mismatch = compare_files(way, answer, stdout)
    status = Verdict.ACCEPTED if mismatch is None else Verdict.WRONG_ANSWER
    _tidy(stdout, status, kept)
    if mismatch is None:
        return CaseFinding(status, "ok")
    if scored and mismatch.share:
        ruling = Ruling(verdict=Verdict.PARTIAL, share=mismatch.share)
        return CaseFinding(Verdict.PARTIAL, "compare", mismatch, str(mismatch), ruling)
    return CaseFinding(status, "compare", mismatch, str(mismatch))


def _tidy(stdout: Path, status: Verdict, kept: Collection[Verdict]) -> None:
    """Remove the output, but not of a test with one of the verdicts ``kept``."""
    if status not in kept:
        stdout.unlink(missing_ok=True)


def _copy(source: Path | None, target: Path) -> int:
    """Copy ``source`` to ``target``, or make ``target`` empty without one. Return its size."""
    if source is None:
        target.touch()
        return 0
    return shutil.copyfile(source, target).stat().st_size
