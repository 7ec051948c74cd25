"""Run a setter's interactor, compiled once per attempt, with the program, one test after the other. Also run
validators, interactive or not, that execute a program in several passes.

Whose fault is a failure? ``judging.interactive`` decides by how the two ended and which ended first. An interactor that
fails is ``Infra`` with its last message, for the setter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import trio

from deepoj.execution import execute
from deepoj.execution.checking import Checking
from deepoj.execution.compiling import Executable
from deepoj.execution.context import AttemptContext
from deepoj.judging import checkers, exec_rules, interactive, interactors, verdicts
from deepoj.judging.checkers import Ruling
from deepoj.judging.languages import Language
from deepoj.judging.problem import Checker
from deepoj.words.problems import Problem
from deepoj.words.results import Infra, Verdict
from deepoj.words.sandbox import Isolation, RunLimits, RunOutcome, RunSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """The program and the test to judge."""

    test: str
    #: the run of the program; its ``stdin`` and ``stdout_to`` are set here
    program: RunSpec
    #: the program's language
    language: Language
    #: None: the test has none, and the interactor gets an empty file
    input: Path | None
    answer: Path | None
    #: the test's own arguments for the interactor
    args: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InteractionResult:
    """The result of a test."""

    verdict: Verdict
    #: what decided: ``interactor``, ``left`` (the program ended too early), or the rule of the program's run
    rule: str
    #: of the program; of several passes the worst figure of each kind
    outcome: RunOutcome
    #: the program's limits
    limits: RunLimits
    #: the interactor's ruling, if it counts
    ruling: Ruling | None
    #: names of the files that the interactor's run left
    left: tuple[str, ...] = ()
    passes: int = 1
    #: the output that a testlib interactor wrote for a checker; exists until the next test
    output: Path | None = None


class Interacting:
    """An interactor, or a multipass validator, during one attempt. ``directory`` is its own, below the attempt's, and
    does not exist yet; ``path`` returns the path of a file of the package."""

    def __init__(
        self,
        context: AttemptContext,
        interactor: Checker,
        path: Callable[[str], Path],
        directory: Path,
        *,
        problem: Problem,
        scored: bool,
    ) -> None:
        self._context, self._interactor, self._dir = context, interactor, directory
        self._problem, self._scored, self._settings = problem, scored, context.settings
        self._language = checkers.language_of(interactor.program)
        #: what the program printed in the last pass, if it did not talk with an interactor
        self.output = directory / "stdout"
        self._compiled = Checking(context, interactor, path, directory, problem=problem, scored=scored)
        #: the weakest isolation of any run
        self.isolation: Isolation = context.box.isolation

    async def judge(self, talk: Interaction) -> InteractionResult | Infra:
        """Run the program on one test, in as many passes as the validator asks for.

        Raises:
          BoxBroken: as ``ports.Box`` does.
          OSError: a file cannot be read, or the directory cannot be written to.
        """
        executable = await self._compiled.executable()
        self.isolation = min(self.isolation, self._compiled.isolation)
        if isinstance(executable, Infra):
            return executable
        number, given, worst = 1, talk.input, None
        while True:
            one = _Pass(talk=talk, input=given, number=number)
            done = await (
                self._interact(one, executable) if self._interactor.interactive else self._check(one, executable)
            )
            if isinstance(done, Infra):
                return done
            worst = done.outcome if worst is None else _worse(worst, done.outcome)
            again = await self._next(one, done)
            if isinstance(again, Infra):
                return again
            if again is None:
                return replace(done, outcome=worst, passes=number)
            number, given = number + 1, again

    # -- a pass

    async def _interact(self, one: _Pass, executable: Executable) -> InteractionResult | Infra:
        """Run the program and the interactor at the same time."""
        program = replace(
            one.talk.program,
            stdin=None,
            stdout_to=None,
            holds_output=interactors.holds_output(self._interactor),
            limits=interactors.program_limits(one.talk.program.limits, self._settings),
        )
        limits = interactors.interactor_limits(program.limits, self._settings, self._language)
        spec = interactors.interactor_spec(
            self._interactor,
            argv=executable.argv,
            files_in=executable.files_in,
            env=executable.env,
            files=self._files(one),
            args=one.talk.args,
            feedback=self._feedback,
            limits=limits,
        )
        joined = await execute.run_joined(
            self._context.box,
            program,
            self._in_passes(spec, one),
            lambda outcome: interactive.is_settled(outcome, self._exit_verdict(outcome)),
            metrics=self._context.metrics,
            about=self._context.about,
        )
        self.isolation = min(self.isolation, joined.program.isolation)
        self.isolation = min(self.isolation, joined.interactor.isolation)
        where = f"test {one.talk.test}"
        joined = replace(joined, program=exec_rules.at_heap_limit(joined.program, one.talk.language, program.limits))
        if joined.program.sandbox_error is not None:
            return exec_rules.sandbox_trouble(where, joined.program.sandbox_error)
        ruling = await self._ruling(one, joined.interactor, limits)
        if joined.interactor.sandbox_error is not None and isinstance(ruling, Infra):
            return ruling
        exit_verdict = ruling.verdict if isinstance(ruling, Ruling) else None
        verdict, rule = interactive.verdict(joined, exit_verdict)
        if verdict is Verdict.SYSTEM_ERROR:
            return ruling if isinstance(ruling, Infra) else _unread_output(where, ruling)
        return InteractionResult(
            verdict=verdict,
            rule=rule,
            outcome=joined.program,
            limits=program.limits,
            ruling=ruling if isinstance(ruling, Ruling) else None,
            left=joined.interactor.files_out,
            output=self._feedback / checkers.OUTPUT if checkers.OUTPUT in joined.interactor.files_out else None,
        )

    async def _check(self, one: _Pass, executable: Executable) -> InteractionResult | Infra:
        """Run the program first, then the validator on its output."""
        where = f"test {one.talk.test}"
        stdout = self.output
        program = replace(one.talk.program, stdin=one.input, stdout_to=stdout)
        outcome = await self._context.run(program, "run")
        self.isolation = min(self.isolation, outcome.isolation)
        outcome = exec_rules.at_heap_limit(outcome, one.talk.language, program.limits)
        if outcome.sandbox_error is not None:
            return exec_rules.sandbox_trouble(where, outcome.sandbox_error)
        verdict = verdicts.of_run(
            outcome.verdict, outcome.rule, exit_code=outcome.exit_code, exit_signal=outcome.exit_signal
        )
        if verdict is Verdict.SYSTEM_ERROR:
            return Infra("sandbox", f"{where}: {outcome.verdict} by rule '{outcome.rule}'")
        ended = InteractionResult(
            verdict=verdict or Verdict.SYSTEM_ERROR,
            rule=outcome.rule,
            outcome=outcome,
            limits=program.limits,
            ruling=None,
        )
        if verdict is not verdicts.COMPARE:
            return ended
        limits = checkers.check_limits(self._problem, self._settings, self._language)
        spec = checkers.check_spec(
            self._interactor,
            argv=executable.argv,
            files_in=executable.files_in,
            env=executable.env,
            files={**self._files(one), checkers.OUTPUT: stdout},
            args=one.talk.args,
            feedback=self._feedback,
            limits=limits,
        )
        checked = await self._context.run(self._in_passes(spec, one), "check")
        self.isolation = min(self.isolation, checked.isolation)
        ruling = await self._ruling(one, checked, limits)
        if isinstance(ruling, Infra):
            return ruling
        return replace(ended, verdict=ruling.verdict, rule="interactor", ruling=ruling, left=checked.files_out)

    # -- the next pass

    async def _next(self, one: _Pass, done: InteractionResult) -> Path | Infra | None:
        """Return the input of the next pass; None: that was the last pass."""
        if not self._interactor.multipass or done.ruling is None or done.rule != "interactor":
            return None
        # What lies in the directory does not tell: a run that did not count may have left it, of an earlier test too.
        asked = interactors.NEXT_PASS in done.left
        again = interactors.next_pass(self._interactor, done.ruling.verdict, asked=asked, number=one.number)
        if isinstance(again, str):
            return checkers.broken(f"test {one.talk.test}", again, done.ruling.message)
        if not again:
            return None
        given = self._dir / f"pass-{one.number + 1}.in"
        if interactors.STATE not in done.left:
            return Infra("sandbox", f"test {one.talk.test}: the validator's state could not be kept")
        new_state = self._state.with_name(f"{self._state.name}.new")
        await trio.to_thread.run_sync(_move, (self._feedback / interactors.NEXT_PASS, given), (new_state, self._state))
        return given

    def _in_passes(self, spec: RunSpec, one: _Pass) -> RunSpec:
        if not self._interactor.multipass:
            return spec
        return interactors.with_passes(spec, self._feedback, self._state, first=one.number == 1)

    # -- both

    @property
    def _feedback(self) -> Path:
        return self._dir / "feedback"

    @property
    def _state(self) -> Path:
        return self._dir / "state"

    def _files(self, one: _Pass) -> Mapping[str, Path]:
        empty = self._dir / "empty"
        return {checkers.INPUT: one.input or empty, checkers.ANSWER: one.talk.answer or empty}

    def _exit_verdict(self, outcome: RunOutcome) -> Verdict | None:
        """Return the verdict by its exit code, before its files have been read."""
        verdict = verdicts.of_check(
            self._interactor.protocol,
            outcome.verdict,
            outcome.rule,
            exit_code=outcome.exit_code,
            exit_signal=outcome.exit_signal,
        )
        return None if verdict is Verdict.SYSTEM_ERROR else verdict

    async def _ruling(self, one: _Pass, outcome: RunOutcome, limits: RunLimits) -> Ruling | Infra:
        names = [name for name in outcome.files_out if name in checkers.FEEDBACK_FILES]
        feedback = await trio.to_thread.run_sync(_take, self._feedback, names)
        # A score is required of the last pass only.
        is_last = interactors.NEXT_PASS not in outcome.files_out
        interactor = replace(self._interactor, scores=self._interactor.scores and is_last)
        return checkers.ruling_of(interactor, outcome, feedback, test=one.talk.test, limits=limits, scored=self._scored)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pass:
    talk: Interaction
    input: Path | None
    #: 1-based
    number: int


def _unread_output(where: str, ruling: Ruling) -> Infra:
    """Blame the interactor although it gave a ruling."""
    return checkers.broken(where, "it did not read the program's output until the time was up", ruling.message)


def _worse(one: RunOutcome, other: RunOutcome) -> RunOutcome:
    """Return the later outcome with the worst figures of both."""
    return replace(
        other,
        cpu_ms=max(one.cpu_ms, other.cpu_ms),
        wall_ms=max(one.wall_ms, other.wall_ms),
        memory_kb=max(one.memory_kb, other.memory_kb),
    )


def _move(*moves: tuple[Path, Path]) -> None:
    """Move files. Blocking."""
    for source, target in moves:
        source.replace(target)


def _take(feedback: Path, names: list[str]) -> Mapping[str, bytes]:
    """Read the feedback files of a run and remove them: the next run starts with an empty directory. Blocking."""
    texts = {name: (feedback / name).read_bytes() for name in names}
    for name in names:
        (feedback / name).unlink()
    return texts
