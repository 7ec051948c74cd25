"""Judges a submission that a package carries as a node would judge it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import trio

from deepoj.execution.context import AttemptContext
from deepoj.judging.languages import Language
from deepoj.judging.outputs import OUTPUTS
from deepoj.judging.problem import Example
from deepoj.judging.promises import PromiseResult, found, skipped
from deepoj.nursery.idle_slots import HelperSlots
from deepoj.nursery.scopes import with_background_tasks
from deepoj.operate.problem_verify.unpacked import LocalPackage
from deepoj.packages.examples import example_job, example_sources, language_or_why
from deepoj.pipeline.judge import judge
from deepoj.words.errors import Breakage
from deepoj.words.problems import Problem
from deepoj.words.results import TestResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What judging needs. ``versions``: language key → version, of the languages that this host really has."""

    context: AttemptContext
    package: LocalPackage
    versions: Mapping[str, str]
    #: whether tests of a submission run beside each other once there are more slots than submissions
    parallel_tests: bool

    def language(self, key: str | None) -> Language | str:
        """The language, or why nothing in it can be judged here."""
        language = language_or_why(key)
        if isinstance(language, str) or language.key in self.versions:
            return language
        return f"this host has no {language.name}"


async def judge_side_by_side(
    bench: Bench,
    problem: Problem,
    examples: Iterable[Example],
    slots: int,
    on_change: Callable[[Mapping[str, str], str], None],
) -> list[PromiseResult]:
    """Judges the package's submissions, at most ``slots`` at a time. ``on_change`` gets the names of those that are
    being judged, each with its tests so far (``17/50``), and the name of one that has just been judged, or "".

    Raises:
      BoxBroken: the sandbox fell over.
    """
    waiting, under_way = deque(examples), dict[str, str]()
    if bench.parallel_tests:
        idle_slots = HelperSlots(lambda: slots - len(under_way))
        bench = replace(bench, context=replace(bench.context, idle_slots=idle_slots))
    findings, breakages = list[PromiseResult](), list[Breakage]()

    def show_tests(tests: str, name: str) -> None:
        under_way[name] = tests
        on_change(under_way, "")

    def show_test(name: str, _test: TestResult, done: int, total: int) -> None:
        show_tests(f"{done}/{total}", name)

    async def take_turns() -> None:
        while waiting and not breakages:
            example = waiting.popleft()
            show_tests("", example.name)
            try:
                findings.append(await judge_example(bench, problem, example, partial(show_test, example.name)))
            except Breakage as breakage:
                breakages.append(breakage)
            del under_way[example.name]
            on_change(under_way, example.name)

    async def on_all_slots(start: Callable[..., None]) -> None:
        for _ in range(slots - 1):
            start(take_turns)
        await take_turns()

    await with_background_tasks(on_all_slots)
    if breakages:
        raise breakages[0]
    return findings


async def judge_example(
    bench: Bench, problem: Problem, example: Example, on_test: Callable[[TestResult, int, int], None] | None = None
) -> PromiseResult:
    """Judges one of the package's submissions. ``on_test``: as of ``pipeline.judge``.

    Raises:
      BoxBroken: the sandbox fell over.
    """
    language = OUTPUTS if bench.package.plan.output_only else bench.language(example.language)
    if isinstance(language, str):
        return skipped(example, language)
    plan, path = bench.package.plan, bench.package.path
    sources = await trio.to_thread.run_sync(example_sources, plan, path, example, language)
    if isinstance(sources, str):
        return skipped(example, sources)
    job_id = f"verify-{plan.examples.index(example) + 1}"
    claim = example_job(job_id, sources, language.key, problem)
    judged = await judge(bench.context, bench.package, claim, on_test=on_test)
    return found(example, judged, plan.points)
