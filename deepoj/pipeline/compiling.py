"""Compiling: sources become a program that runs can bring, or the compiler's words about them.

Contestants' submissions and setters' checkers and interactors go through the same :class:`Compiler`.

Whose fault is it? What the source brings about is a ``CompileResult`` that is not ok: the compiler refuses it, or runs
out of its time, memory or output. A compiler that is missing, blocked or killed by the host is ``Infra``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from deepoj import observe
from deepoj.judging import runs
from deepoj.judging.languages import Language
from deepoj.judging.runs import JudgeSettings
from deepoj.judging.sources import compiled_names, with_entry, with_sources
from deepoj.pipeline import running
from deepoj.ports import Box
from deepoj.words import CompileResult, FileIn, Infra, Isolation, RunLimits, RunSpec, RunVerdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Executable:
    """What running a compiled (or interpreted) program asks of a ``RunSpec``."""

    argv: tuple[str, ...]
    files_in: tuple[FileIn, ...]
    env: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """What came of compiling."""

    #: None: this language has nothing to compile
    result: CompileResult | None
    #: None exactly if the result is not ok
    executable: Executable | None
    #: an explanation for the report, of a result that is not ok
    reason: Mapping[str, Any] = field(default_factory=dict)
    #: 0 where nothing was compiled now
    wall_ms: int = 0
    #: the weakest that any run of it had; None where there was none
    isolation: Isolation | None = None


class Compiler:
    """Compiles in ``box``, within the node's limits for compiling."""

    def __init__(self, box: Box, *, settings: JudgeSettings, metrics: observe.Metrics) -> None:
        self._box, self._settings, self._metrics = box, settings, metrics

    async def compile(
        self,
        language: Language,
        sources: Sequence[FileIn],
        entry: str | None = None,
        *,
        into: Path,
        limits: RunLimits | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> Compiled | Infra:
        """Compiles ``sources``: host files, each with its name in the scratch. ``entry`` names the one of several that
        is the entry point; headers may stand beside, ``testlib.h`` say. A single source should have the language's
        ``source_name``. The artifact comes to stand in the directory ``into``.

        ``limits``: others than the node's, for what is not a contestant's. ``about``: log fields.

        Raises:
          BoxBroken: as ``ports.Box`` does.
          OSError: a source cannot be read, or nothing can be written in ``into``.
          ValueError: ``entry`` names none of the sources, or several were given and none named.
        """
        entry = _entry_of(sources, entry)
        executable = self._executable(language, sources, entry, into)
        spec = self._spec(language, sources, entry, into, limits)
        if spec is None:
            return Compiled(result=None, executable=executable)
        return await self._compile_now(language, spec, executable, about)

    async def _compile_now(
        self, language: Language, spec: RunSpec, executable: Executable, about: Mapping[str, Any] | None
    ) -> Compiled | Infra:
        outcome = await running.run(self._box, spec, "compile", metrics=self._metrics, about=about)
        self._metrics.compile_duration_seconds.observe(outcome.wall_ms / 1000)
        blame = runs.compile_trouble(outcome)
        if blame is not None:
            return blame
        sentence = runs.compile_sentence(outcome, language, self._settings)
        said = runs.said(outcome, self._settings.compile_output_kept)
        if sentence:
            said = f"{said}\n{sentence}" if said else sentence
        ok = outcome.verdict is RunVerdict.OK and not sentence
        reason: dict[str, Any] = {}
        if not ok:
            rule = outcome.rule if outcome.verdict is not RunVerdict.OK else "artifact"
            reason = {"rule": "compile", "why": rule, "sentence": sentence or "the compiler refused the source"}
        return Compiled(
            result=CompileResult(ok=ok, time_ms=outcome.cpu_ms, output=said),
            executable=executable if ok else None,
            reason=reason,
            wall_ms=outcome.wall_ms,
            isolation=outcome.isolation,
        )

    # -- what is asked for

    def _spec(
        self, language: Language, sources: Sequence[FileIn], entry: str, into: Path, limits: RunLimits | None
    ) -> RunSpec | None:
        spec = runs.compile_spec(language, into, self._settings)
        if spec is None:
            return None
        names = compiled_names((source.name for source in sources), entry)
        argv = with_sources(spec.argv, language.source_name, names)
        return replace(spec, argv=argv, files_in=tuple(sources), limits=limits or spec.limits)

    def _executable(self, language: Language, sources: Sequence[FileIn], entry: str, into: Path) -> Executable:
        argv = language.run_argv(self._settings.toolchain)
        if language.artifact:
            artifact = language.artifact
            files: tuple[FileIn, ...] = (FileIn(artifact, into / artifact, executable=True, program=True),)
        else:
            argv = with_entry(argv, language.source_name, entry)
            files = tuple(replace(source, program=True) for source in sources)
        return Executable(argv=argv, files_in=files, env=language.run_env)


def _entry_of(sources: Sequence[FileIn], entry: str | None) -> str:
    if entry is None and len(sources) == 1:
        return sources[0].name
    if entry is None or entry not in {source.name for source in sources}:
        raise ValueError(f"the entry point {entry} is none of the {len(sources)} sources")
    return entry
