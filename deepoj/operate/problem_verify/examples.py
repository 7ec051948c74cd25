"""Judges a submission that a package carries as a node would judge it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

import trio

from deepoj.execution.context import AttemptContext
from deepoj.judging.languages import Language, resolve
from deepoj.judging.outputs import OUTPUTS
from deepoj.judging.problem import Example
from deepoj.judging.promises import PromiseResult, found, skipped
from deepoj.judging.sources import PLAIN_NAME, takes_several
from deepoj.nursery.scopes import with_background_tasks
from deepoj.operate.problem_verify.unpacked import LocalPackage
from deepoj.pipeline.judge import judge
from deepoj.words.errors import Breakage
from deepoj.words.jobs import Claim
from deepoj.words.problems import Problem
from deepoj.words.sources import SourceFile, Sources


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What judging needs. ``versions``: language key → version, of the languages that this host really has."""

    context: AttemptContext
    package: LocalPackage
    versions: Mapping[str, str]

    def language(self, key: str | None) -> Language | str:
        """The language, or why nothing in it can be judged here."""
        language = None if key is None else resolve(key)
        if language is None:
            return f"there is no language '{key}'" if key else "its language is not known"
        return language if language.key in self.versions else f"this host has no {language.name}"


async def judge_side_by_side(
    bench: Bench,
    problem: Problem,
    examples: Iterable[Example],
    slots: int,
    on_change: Callable[[Collection[str], int], None],
) -> list[PromiseResult]:
    """Judges the package's submissions, at most ``slots`` at a time. ``on_change`` gets the names of those that are
    being judged, and the number of those that have just been judged.

    Raises:
      BoxBroken: the sandbox fell over.
    """
    waiting, under_way = deque(examples), dict[str, None]()
    findings, breakages = list[PromiseResult](), list[Breakage]()

    async def take_turns() -> None:
        while waiting and not breakages:
            example = waiting.popleft()
            under_way[example.name] = None
            on_change(under_way, 0)
            try:
                findings.append(await judge_example(bench, problem, example))
            except Breakage as breakage:
                breakages.append(breakage)
            del under_way[example.name]
            on_change(under_way, 1)

    async def on_all_slots(start: Callable[..., None]) -> None:
        for _ in range(slots - 1):
            start(take_turns)
        await take_turns()

    await with_background_tasks(on_all_slots)
    if breakages:
        raise breakages[0]
    return findings


async def judge_example(bench: Bench, problem: Problem, example: Example) -> PromiseResult:
    """Judges one of the package's submissions.

    Raises:
      BoxBroken: the sandbox fell over.
    """
    language = OUTPUTS if bench.package.plan.output_only else bench.language(example.language)
    if isinstance(language, str):
        return skipped(example, language)
    sources = await trio.to_thread.run_sync(_sources, example, language, bench.package)
    if isinstance(sources, str):
        return skipped(example, sources)
    claim = Claim(
        # it tells them apart in the work directory
        job_id=f"verify-{bench.package.plan.examples.index(example) + 1}",
        attempt_id=1,
        judging=1,
        lease_owner="verify",
        entry_id="",
        user_id=0,
        language=language.key,
        code=sources.code,
        entry_point=sources.entry_point,
        beside=sources.beside,
        trace_id="",
        problem=problem,
        waited_ms=0,
    )
    judged = await judge(bench.context, bench.package, claim)
    return found(example, judged, bench.package.plan.points)


def _sources(example: Example, language: Language, package: LocalPackage) -> Sources | str:
    """The submission as a contestant would send it, or why that is impossible. Blocking."""
    names = (example.entry, *(name for name in example.files if name != example.entry))
    top = str(PurePosixPath(example.entry).parent)
    plain = {name: name.removeprefix(f"{top}/") for name in names}
    texts = {name: package.path(name).read_bytes().decode("utf-8", "replace") for name in names}
    code = texts[example.entry]
    if language is OUTPUTS:
        is_named = len(package.plan.cases) > 1
    else:
        # where the package's own files stand beside it, they may call it by its name
        is_named = takes_several(language) and bool(package.plan.included_for(language.key))
    if len(names) == 1 and not is_named:
        return Sources(code=code)
    if not takes_several(language):
        return f"a program in {language.name} is one file here"
    if strange := [name for name in plain.values() if not PLAIN_NAME.fullmatch(name)]:
        return f"a submission's files have plain names and no folders, and not '{strange[0]}'"
    return Sources(
        code=code,
        entry_point=plain[example.entry],
        beside=tuple(SourceFile(plain[name], texts[name]) for name in names[1:]),
    )
