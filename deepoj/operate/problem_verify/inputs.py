"""Runs the programs that a package brings to look at its inputs: is each as the problem's author meant inputs to be?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath
from types import MappingProxyType

from deepoj.execution.checking import Checking
from deepoj.execution.compiling import Executable
from deepoj.judging.checkers import BUILT, language_of, with_runtime
from deepoj.judging.exec_rules import MIB
from deepoj.judging.problem import Case, Checker, Protocol
from deepoj.judging.text import cut, visible
from deepoj.operate.problem_verify.examples import Bench
from deepoj.words.problems import Problem
from deepoj.words.results import Infra
from deepoj.words.sandbox import RunLimits, RunOutcome, RunSpec, RunVerdict

#: the exit code that calls an input good
ACCEPTS: Mapping[Protocol, int] = MappingProxyType(dict.fromkeys(Protocol, 0) | {Protocol.VALIDATOR: 42})
#: a setter's program, run by the setter: only against one that never ends
_LIMITS = RunLimits(cpu_ms=30_000, wall_ms=90_000, memory_bytes=1024 * MIB, output_bytes=8 * MIB, processes=64)
_WORDS_CHARS = 400


@dataclass(frozen=True, slots=True)
class InputFault:
    """An input that a validator does not accept, or a validator that cannot say. ``input`` is None for all inputs."""

    validator: str
    input: str | None
    why: str
    #: the validator cannot be run on this host
    skipped: bool = False


async def check_inputs(
    bench: Bench, problem: Problem, validator: Checker, on_input: Callable[[], None]
) -> list[InputFault]:
    """Every input of the package by one validator. ``on_input`` is called after each.

    Raises:
      BoxBroken: the sandbox fell over.
    """
    name = validator.program.entry
    program = await _compiled(bench, problem, validator)
    if isinstance(program, InputFault):
        return [program]
    faults = []
    limits = with_runtime(_LIMITS, language_of(validator.program))
    inputs = {case.input: case for case in reversed(bench.package.plan.cases) if case.input is not None}
    for one, case in reversed(inputs.items()):
        spec = RunSpec(
            argv=(*program.argv, *validator.args, *_args(validator, case), *case.args),
            limits=limits,
            stdin=bench.package.path(one),
            files_in=program.files_in,
            env=program.env,
        )
        outcome = await bench.context.run(spec, "validate")
        why = _why_not(validator.protocol, outcome)
        if why:
            faults.append(InputFault(name, one, why))
        on_input()
    return faults


def _args(validator: Checker, case: Case) -> tuple[str, ...]:
    """The arguments that the case has for this validator, which goes by its folder's name or its file's."""
    args = dict(case.input_args)
    entry = PurePosixPath(validator.program.entry)
    for name in (PurePosixPath(validator.program.root).name, entry.name, entry.stem):
        if name in args:
            return args[name]
    return args.get("", ())


def _why_not(protocol: Protocol, outcome: RunOutcome) -> str:
    """Why an input is not accepted; empty if it is."""
    if outcome.verdict is RunVerdict.SE:
        return f"the sandbox failed: {outcome.sandbox_error or outcome.rule}"
    speaks = outcome.rule in {"ok", "exit"}
    if speaks and outcome.exit_code == ACCEPTS[protocol]:
        return ""
    if speaks:
        ended = f"exit code {outcome.exit_code}, and not {ACCEPTS[protocol]}"
    else:
        ended = f"signal {outcome.exit_signal}" if outcome.exit_signal else f"ended by its limit ({outcome.rule})"
    said = cut(visible((outcome.stderr or outcome.stdout)[: 4 * _WORDS_CHARS]).strip(), _WORDS_CHARS)
    return f"{ended}: {said}" if said else ended


async def _compiled(bench: Bench, problem: Problem, validator: Checker) -> Executable | InputFault:
    program = validator.program
    language = BUILT if program.language == BUILT.key else bench.language(program.language)
    if isinstance(language, str):
        return InputFault(program.entry, None, language, skipped=True)
    checking = Checking(
        bench.context,
        validator,
        bench.package.path,
        bench.context.workdir / f"validator-{sha256(program.entry.encode()).hexdigest()[:16]}",
        problem=problem,
        scored=False,
    )
    made = await checking.executable()
    return InputFault(program.entry, None, made.message) if isinstance(made, Infra) else made
