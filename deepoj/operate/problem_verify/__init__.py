"""``deepoj problem verify``: checks that a package's example submissions get the verdicts promised by its author.

Judges with the sandbox of this host and the code of a node; needs no running node and no store.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import trio

from deepoj.adapters.compile_cache import DiskCompileCache
from deepoj.adapters.toolchain import versions
from deepoj.config.model import Config
from deepoj.execution.compiling import Compiler
from deepoj.execution.context import AttemptContext
from deepoj.execution.toolchain_cache import ToolchainCache
from deepoj.judging import timing
from deepoj.judging.abilities import BY_PACKAGE
from deepoj.judging.checkers import language_of
from deepoj.judging.format_defaults import ChosenLimit
from deepoj.judging.languages import resolve
from deepoj.judging.problem import Example, Plan
from deepoj.judging.promises import Kept, PromiseResult, skipped
from deepoj.operate.problem_verify.examples import Bench, judge_side_by_side
from deepoj.operate.problem_verify.inputs import InputFault, check_inputs
from deepoj.operate.problem_verify.progress import ProgressView
from deepoj.operate.problem_verify.unpacked import LocalPackage, unpacked
from deepoj.packages.formats import PackageFault
from deepoj.packages.vetting import programs_of, vetted
from deepoj.wiring.settings import judging, metrics_of, problem_rules, rates, toolchain_dir, unzipping
from deepoj.words.errors import StartRefused
from deepoj.words.exits import USAGE
from deepoj.words.problems import Problem


@dataclass(slots=True, kw_only=True)
class Verified:
    """What came of it."""

    plan: Plan
    #: with the limits that decided
    problem: Problem
    #: the time limit is what the accepted submissions need (``timing``)
    time_limit_measured: bool = False
    #: time and memory as an upload would set them, and whose defaults they are
    limits: tuple[ChosenLimit, ChosenLimit]
    findings: list[PromiseResult] = field(default_factory=list)
    #: inputs times validators that were looked at
    inputs_checked: int = 0
    input_faults: list[InputFault] = field(default_factory=list)
    #: why nothing can be judged by it; an upload would be refused
    fault: PackageFault | None = None

    def count(self, kept: Kept) -> int:
        """How many submissions came to that."""
        return sum(finding.kept is kept for finding in self.findings)

    @property
    def skips(self) -> int:
        """What could not be looked at: submissions, and validators."""
        return self.count(Kept.SKIPPED) + sum(fault.skipped for fault in self.input_faults)

    @property
    def differences(self) -> int:
        """Promises that were not kept, and inputs that are not as they should be."""
        return self.count(Kept.DIFFERS) + sum(not fault.skipped for fault in self.input_faults)


async def verify_package(
    cfg: Config, path: Path, room: Path, limits: tuple[int | None, int | None], view: ProgressView
) -> Verified:
    (files := room / "package").mkdir()
    (workdir := room / "work").mkdir()
    view.stage("reading the package")
    package = await trio.to_thread.run_sync(_read, cfg, path, files)
    plan = package.plan
    time_ms, memory_mb = limits
    chosen = problem_rules(cfg).choose_limits(plan, time_ms, memory_mb)
    verified = Verified(plan=plan, problem=_problem_of(plan, chosen), limits=chosen)
    inputs = len({case.input for case in plan.cases if case.input is not None})
    from deepoj.adapters.sandbox.box import LinuxBox  # noqa: PLC0415 - it loads the extension: not for a usage error

    view.expect(inputs=inputs * len(plan.input_validators), submissions=len(plan.examples))
    async with AsyncExitStack() as stack:
        box = await stack.enter_async_context(
            LinuxBox.open(
                cfg.worker.pool_size,
                run_uid=cfg.security.run_as_uid,
                run_gid=cfg.security.run_as_gid,
                min_isolation=cfg.sandbox_min_isolation,
                mounts=cfg.path.mount_dirs,
                rates=rates(cfg),
            )
        )
        settings, metrics = judging(cfg), metrics_of(cfg)
        wanted = {key: found for key in _languages(plan) if (found := resolve(key)) is not None}
        find = partial(versions, wanted.values(), settings.toolchain, has_proc=box.has_proc)
        there = await trio.to_thread.run_sync(find)
        # each submission requests the checker again
        compiled = stack.enter_context(closing(DiskCompileCache(room / "compiled", metrics=metrics)))
        toolchain_cache = ToolchainCache(box=box, cache_dir=toolchain_dir(cfg), settings=settings)
        compiler = Compiler(box, settings=settings, metrics=metrics, cache=compiled, toolchain_cache=toolchain_cache)
        context = AttemptContext(box=box, compiler=compiler, workdir=workdir, settings=settings, metrics=metrics)
        parallel = cfg.worker.parallel_tests
        bench = Bench(context=context, package=package, versions=there, parallel_tests=parallel)
        view.stage(", ".join(f"compiling the {what}" for what, _ in programs_of(plan)))
        look = await vetted(
            compiler, plan, package.path, await _room(room / "programs"), versions=there, settings=settings
        )
        if isinstance(look, PackageFault):
            verified.fault = look
            return verified
        if (missing := _missing(plan, there)) is not None:
            verified.findings = [skipped(example, missing) for example in plan.examples]
            return verified

        def on_input() -> None:
            verified.inputs_checked += 1
            view.advance()

        for validator in plan.input_validators:
            view.stage(validator.program.entry)
            verified.input_faults += await check_inputs(bench, verified.problem, validator, on_input)

        async def judge(examples: Iterable[Example]) -> None:
            verified.findings += await judge_side_by_side(
                bench, verified.problem, examples, cfg.worker.pool_size, view.judging
            )

        factor = timing.factor_of(plan) if time_ms is None else None
        if factor is not None:
            usual, most_ms = verified.problem, cfg.api.limits.max_time_limit_ms
            verified.problem = replace(usual, time_limit_ms=most_ms)
            await judge(filter(timing.is_measured, plan.examples))
            found_ms = timing.measured_limit_ms(verified.findings, factor, most_ms, plan.limits.time_resolution_ms)
            verified.time_limit_measured = found_ms is not None
            verified.problem = replace(usual, time_limit_ms=found_ms or usual.time_limit_ms)
        judged = {finding.example.name for finding in verified.findings}
        await judge(example for example in plan.examples if example.name not in judged)
    verified.findings.sort(key=lambda finding: plan.examples.index(finding.example))
    return verified


def _read(cfg: Config, path: Path, into: Path) -> LocalPackage:
    try:
        package = unpacked(path, into, unzipping(cfg), cfg.api.limits.problem_zip_max_bytes)
    except OSError as error:
        raise StartRefused(f"{error.filename or path}: {error.strerror or error}", USAGE) from error
    if isinstance(package, PackageFault):
        raise StartRefused(f"{path} cannot be read as a problem package: {package.sentence}", USAGE)
    return package


def _problem_of(plan: Plan, limits: tuple[ChosenLimit, ChosenLimit]) -> Problem:
    """The problem that an upload of the package would make."""
    own_way = plan.checker is not None or plan.compare is not None
    return Problem(
        id=0,
        title=plan.title,
        description="",
        difficulty="",
        time_limit_ms=limits[0].value,
        memory_limit_mb=limits[1].value,
        compare=BY_PACKAGE if own_way else "tokens",
        data_path="",
        data_hash="",
    )


async def _room(path: Path) -> Path:
    await trio.Path(path).mkdir()
    return path


def _missing(plan: Plan, versions: Mapping[str, str]) -> str | None:
    """Why nothing can be judged on this host by the package's own programs; None: it can."""
    for what, program in programs_of(plan):
        language = language_of(program)
        if language is not None and language.package and language.key not in versions:
            return f"this host has no {language.name}, in which the {what} is written"
    return None


def _languages(plan: Plan) -> Sequence[str]:
    keys = [example.language for example in plan.examples if example.language is not None]
    keys += [program.language for _, program in programs_of(plan)]
    return tuple(dict.fromkeys([*keys, *(validator.program.language for validator in plan.input_validators)]))
