"""Judges the submissions that a package carries, one after the other, as a node would judge them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import trio

from deepoj import observe
from deepoj.cli.problem_verify.unpacked import LocalPackage
from deepoj.judging.languages import Language, resolve
from deepoj.judging.outputs import OUTPUTS
from deepoj.judging.problem import Example
from deepoj.judging.promises import Finding, found, skipped
from deepoj.judging.runs import JudgeSettings
from deepoj.judging.sources import started_class, takes_several
from deepoj.pipeline.compiling import Compiler
from deepoj.pipeline.judge import judge
from deepoj.ports import Box
from deepoj.words import Claim, Problem, SourceFile, Sources

#: of these a file has to be called as the class in it
_NAMED_BY_CLASS = frozenset({".java"})
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What judging needs. ``versions``: language key → version, of the languages that this host really has."""

    box: Box
    compiler: Compiler
    package: LocalPackage
    versions: Mapping[str, str]
    workdir: Path
    settings: JudgeSettings
    metrics: observe.Metrics

    def language(self, key: str | None) -> Language | str:
        """The language, or why nothing in it can be judged here."""
        language = None if key is None else resolve(key)
        if language is None:
            return f"there is no language '{key}'" if key else "its language is not known"
        return language if language.key in self.versions else f"this host has no {language.name}"


async def judge_example(bench: Bench, problem: Problem, number: int, example: Example) -> Finding:
    """Judges one of the package's submissions. ``number`` tells them apart in the work directory.

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
        job_id=f"verify-{number}",
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
    judged = await judge(
        bench.box,
        bench.package,
        claim,
        workdir=bench.workdir,
        settings=bench.settings,
        metrics=bench.metrics,
        compiler=bench.compiler,
    )
    return found(example, judged, bench.package.plan.points)


def _sources(example: Example, language: Language, package: LocalPackage) -> Sources | str:
    """The submission as a contestant would send it, or why nobody could. Blocking."""
    names = (example.entry, *(name for name in example.files if name != example.entry))
    top = str(PurePosixPath(example.entry).parent)
    plain = {name: name.removeprefix(f"{top}/") for name in names}
    texts = {name: package.path(name).read_bytes().decode("utf-8", "replace") for name in names}
    code = texts[example.entry]
    named = PurePosixPath(example.entry).suffix in _NAMED_BY_CLASS and takes_several(language)
    if language is OUTPUTS:
        named = len(package.plan.cases) > 1
    # where the package's own files stand beside it, they may call it by its name
    named = named or (takes_several(language) and bool(package.plan.included_for(language.key)))
    if len(names) == 1 and not named:
        return Sources(code=code)
    if len(names) == 1 and PurePosixPath(example.entry).suffix in _NAMED_BY_CLASS:
        # others start whatever class there is, whatever its file is called
        plain[example.entry] = f"{started_class(code) or PurePosixPath(example.entry).stem}.java"
    if not takes_several(language):
        return f"a program in {language.name} is one file here"
    if strange := [name for name in plain.values() if not _PLAIN.fullmatch(name)]:
        return f"a submission's files have plain names and no folders, and not '{strange[0]}'"
    return Sources(
        code=code,
        entry_point=plain[example.entry],
        beside=tuple(SourceFile(plain[name], texts[name]) for name in names[1:]),
    )
