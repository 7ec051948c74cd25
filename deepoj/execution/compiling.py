"""Compile sources into a program that can be run, or into the compiler's messages about them.

Contestants' submissions and setters' checkers and interactors go through the same :class:`Compiler`.

The result of a compilation is cached by a digest of everything that decides it (``compile_key``,
``ports.CompileCache``). A result is cached if the same compilation would give it again: a program, or the compiler's
refusal, unless its messages could be those of a host that lacked memory, space or another resource. A second request
for the same compilation waits for the first.

A C++ source that begins with headers of ``judging.headers`` is compiled with them precompiled and, if the operator
wants it (``compile.lean_headers``), a lean one without ``<future>`` and ``<filesystem>``. If the compiler then prints
nothing, the result is used. Otherwise its messages could differ, so the source is compiled again by the plain command,
and that result counts.

C and C++ are linked by mold where it is installed. Where it could do or say something else than ``ld``, the source is
compiled again with ``ld`` (``judging.linking``), and that result counts. So the linker depends on the source and the
host alone.

Whose fault is a failure? What the source causes is a ``CompileResult`` that is not ok: the compiler refuses it, or
exceeds its limits of time, memory or output. A compiler that is missing, blocked or killed by the host is ``Infra``
(``runs.compile_trouble``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import trio

from deepoj import observe
from deepoj.execution import execute
from deepoj.execution import header_cache as precompiled
from deepoj.execution.compile_key import CompileKey, compile_key_of, compiler_identity, is_gxx
from deepoj.execution.deferred import DeferredWork
from deepoj.execution.header_cache import HeaderCache
from deepoj.execution.toolchain_cache import ToolchainCache
from deepoj.execution.workdir import SHORT_BYTES, do_blocking
from deepoj.judging import exec_rules
from deepoj.judging.exec_rules import JudgeSettings
from deepoj.judging.headers import ALL, leaving_out, with_headers
from deepoj.judging.languages import Language
from deepoj.judging.linking import is_linkers, needs_ld, with_mold
from deepoj.judging.sources import compiled_names, with_entry, with_sources
from deepoj.ports.sandbox import Box, CompileCache
from deepoj.words.results import CompileResult, Infra
from deepoj.words.sandbox import FileIn, Isolation, RunLimits, RunOutcome, RunSpec, RunVerdict

#: A compiler that prints one of these may have met a host that lacks a resource, or a bug of its own: the result is not
#: cached. A source can make the compiler print them; it is then compiled again each time.
_PERHAPS_OURS = re.compile(
    r"internal compiler error|[Oo]ut of memory|virtual memory exhausted|Cannot allocate memory|No space left on device"
    r"|Resource temporarily unavailable|Input/output error|Too many open files|Read-only file system|[Qq]uota exceeded"
    r"|[Kk]illed|(?<!compilation )terminated|[Ss]ignal|cannot exec"
)


#: how long the result of an early compilation waits for a call that takes it over: commit and claim take milliseconds
EARLY_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Executable:
    """The part of a ``RunSpec`` that a compiled (or interpreted) program needs."""

    argv: tuple[str, ...]
    files_in: tuple[FileIn, ...]
    env: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """The outcome of a compilation."""

    #: None: this language needs no compilation
    result: CompileResult | None
    #: None exactly if the result is not ok
    executable: Executable | None
    #: the explanation for the report, if the result is not ok
    reason: Mapping[str, Any] = field(default_factory=dict)
    #: 0 if nothing was compiled now
    wall_ms: int = 0
    #: the weakest isolation of any run of the compilation; None if there was none
    isolation: Isolation | None = None


class Compiler:
    """Compiles in ``box``, within the node's limits for compiling. Without ``cache`` no result is cached; without
    ``headers`` no header is precompiled; without ``toolchain_cache`` no language that needs a toolchain archive can be
    compiled. To be used in one trio loop."""

    def __init__(
        self,
        box: Box,
        *,
        settings: JudgeSettings,
        metrics: observe.Metrics,
        cache: CompileCache | None = None,
        headers: HeaderCache | None = None,
        toolchain_cache: ToolchainCache | None = None,
    ) -> None:
        self._box, self._settings, self._metrics = box, settings, metrics
        self._cache, self._headers, self._toolchain_cache = cache, headers, toolchain_cache
        #: key → the event that is set when its compilation has ended and its result is kept
        self._running: dict[str, trio.Event] = {}
        #: key → its early compilation that no call of ``compile`` has taken over
        self._early: dict[str, _EarlyResult] = {}

    @property
    def early_count(self) -> int:
        """How many early compilations no call has taken over."""
        return len(self._early)

    @property
    def box(self) -> Box:
        """The sandbox, for other work of packages."""
        return self._box

    async def compile(
        self,
        language: Language,
        sources: Sequence[FileIn],
        entry: str | None = None,
        *,
        into: Path,
        limits: RunLimits | None = None,
        memory_mb: int = 256,
        user_id: int | None = None,
        deferred: DeferredWork | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> Compiled | Infra:
        """Compile ``sources``: host files, each with its name in the sandbox. The artifact is put into the directory
        ``into``.

        ``entry`` names the entry point if there are several sources; headers, as ``testlib.h``, may be among them. A
        single source should have the language's ``source_name``.

        ``limits``: instead of the node's, for programs that are not a contestant's. ``memory_mb``: of the later runs,
        for runtimes that need to know it. ``user_id``: the sources' author; None: a setter. ``deferred``: keeps the
        result, whose files stay in ``into`` until then; None: this call keeps it. ``about``: log fields.

        Raises:
          BoxBroken: as ``ports.Box`` does.
          OSError: a source cannot be read, or ``into`` cannot be written to.
          ValueError: ``entry`` names none of the sources, or there are several and it is None.
        """
        entry = _entry_of(sources, entry)
        executable = self._executable(language, sources, entry, into, memory_mb)
        spec = await self._spec(language, sources, entry, into, limits=limits, user_id=user_id)
        if isinstance(spec, Infra):
            return spec
        if spec is None:
            return Compiled(result=None, executable=executable)
        job = _Job(language, spec, executable, about)
        if self._cache is None and self._headers is None:
            return await self._compile(job, None)
        compile_key = await self._key(language, sources, spec)
        if self._cache is None or compile_key is None:
            return await self._compile(job, compile_key)
        return await self._through_cache(job, compile_key, self._cache, into, deferred or DeferredWork())

    async def compile_early(
        self,
        language: Language,
        sources: Sequence[FileIn],
        *,
        into: Path,
        user_id: int,
        on_begin: Callable[[], None],
        about: Mapping[str, Any],
    ) -> bool:
        """Compile for a call of ``compile`` that is about to come with these sources, their first as the entry point,
        and without ``limits``. Return once that call has taken the result over, or ``EARLY_S`` after there is one.
        Return False if there was a result and no call took it.

        Without a cache nothing is done. ``on_begin`` is called once ``early_count`` counts it. Raises as ``compile``
        does.
        """
        spec = await self._spec(language, sources, sources[0].name, into, limits=None, user_id=user_id)
        if self._cache is None or spec is None or isinstance(spec, Infra):
            return True
        compile_key = await self._key(language, sources, spec)
        if compile_key is None:
            return True
        key = compile_key.key
        if key in self._running or key in self._early or self._cache.has(key):
            return True
        executable = Executable(argv=(), files_in=())  # the call that takes the result over has its own
        early = self._early[key] = _EarlyResult(spec)
        on_begin()
        try:
            with early.scope:
                outcome = await self._run_now(_Job(language, spec, executable, about), compile_key)
                if outcome.verdict is not RunVerdict.SE:  # else the call tries for itself
                    early.outcome = outcome
            early.ended.set()
            with trio.move_on_after(EARLY_S):
                await early.taken.wait()
            if self._early.get(key) is not early:  # a call is about to take the files out of ``into``
                await early.taken.wait()
        finally:
            early.ended.set()
            if self._early.get(key) is early:
                del self._early[key]
        self._metrics.compile_early.labels(result="used" if early.is_used else "unused").inc()
        return early.is_used or early.outcome is None

    async def precompile(self, language: Language, header: str) -> bool:
        """Build a header of ``judging.headers`` for this language now, unless it exists, and that for lean sources if
        the operator wants it. Return whether both may be used. Without this call a header is built once a source could
        have used it."""
        spec = exec_rules.compile_spec(language, Path(), self._settings)
        if self._headers is None or spec is None or not is_gxx(language):
            return False
        identity = await trio.to_thread.run_sync(compiler_identity, spec.argv[0], self._linker(language))
        if identity is None:
            return False
        has_lean = header == ALL and self._settings.toolchain.lean_headers
        lines = (spec.argv, leaving_out(spec.argv)) if has_lean else (spec.argv,)
        orders = [
            precompiled.order((header,), replace(spec, argv=line), language.source_name, language.artifact, identity)
            for line in lines
        ]
        return all([await self._headers.build(order) for order in orders])

    async def _through_cache(
        self, job: _Job, compile_key: CompileKey, cache: CompileCache, into: Path, deferred: DeferredWork
    ) -> Compiled | Infra:
        key, waited = compile_key.key, False
        while True:
            kept = await cache.take(key, into)
            if kept is not None:
                self._metrics.compile_cache.labels(result="joined" if waited else "hit").inc()
                return job.compiled(replace(kept, cached=True))
            first = self._running.get(key)
            if first is None:
                break
            await first.wait()
            waited = True
        self._metrics.compile_cache.labels(result="miss").inc()
        self._running[key] = trio.Event()
        is_kept = False
        try:
            compiled = await self._compile(job, compile_key)
            if isinstance(compiled, Compiled) and compiled.result is not None and _is_repeatable(compiled):
                files = [file.path for file in job.spec.files_out] if compiled.result.ok else []
                is_kept = True
                # Keeping reads the whole program. The attempt's tests run meanwhile; requests for the same wait.
                await deferred.add(partial(self._keep, cache, key, compiled.result, files))
            return compiled
        finally:
            if not is_kept:
                self._running.pop(key).set()

    async def _keep(self, cache: CompileCache, key: str, result: CompileResult, files: Sequence[Path]) -> None:
        try:
            await cache.keep(key, result, files)
        finally:
            self._running.pop(key).set()

    async def _compile(self, job: _Job, compile_key: CompileKey | None) -> Compiled | Infra:
        # Only the failure of a compiler that runs code of the source depends on the host's kills.
        runs_source = job.language.compile_runs_source
        kills = _host_kills() if runs_source else 0
        outcome = await self._run(job, compile_key)
        # The count holds kills of any cgroup. At `full` the sandbox counts its own, and a run killed so is no RE.
        host_may = runs_source and outcome.verdict is RunVerdict.RE and outcome.isolation is not Isolation.FULL
        host_killed = host_may and _host_kills() != kills
        blame = exec_rules.compile_trouble(outcome, job.language, host_killed=host_killed)
        if blame is not None:
            return blame
        sentence = exec_rules.compile_sentence(outcome, job.language, job.spec.limits)
        output = exec_rules.compiler_output(outcome, self._settings.compile_output_kept)
        if sentence:
            output = f"{output}\n{sentence}" if output else sentence
        ok = outcome.verdict is RunVerdict.OK and not sentence
        rule = outcome.rule if outcome.verdict is not RunVerdict.OK else "artifact"
        result = CompileResult(ok=ok, time_ms=outcome.cpu_ms, output=output)
        return job.compiled(result, why=rule, sentence=sentence, outcome=outcome)

    async def _run(self, job: _Job, compile_key: CompileKey | None) -> RunOutcome:
        """Compile, or take over the result of the same compilation, which began early."""
        if self._headers is not None and compile_key is not None:  # not for a draft that may be refused
            self._headers.want(compile_key.header_sets)
        early = None if compile_key is None else self._early.pop(compile_key.key, None)
        outcome = None if early is None else await early.take(job.spec)
        return outcome or await self._run_now(job, compile_key)

    async def _run_now(self, job: _Job, compile_key: CompileKey | None) -> RunOutcome:
        is_mold = compile_key is not None and compile_key.is_mold
        if compile_key is not None and (directory := self._headers_directory(compile_key)) is not None:
            outcome, is_mold = await self._run_quick(job, with_headers(compile_key.argv, directory), is_mold=is_mold)
            self._metrics.compile_headers.labels(result="used" if _counts(outcome) else "again").inc()
            if _counts(outcome):
                return outcome
        elif compile_key is not None and compile_key.argv != job.spec.argv:
            outcome, is_mold = await self._run_quick(job, compile_key.argv, is_mold=is_mold)
            if _counts(outcome):
                return outcome
        if is_mold:
            outcome = await self._run_once(job, with_mold(job.spec.argv))
            if not await self._wants_ld(job, outcome):
                return outcome
        return await self._run_once(job, job.spec.argv)

    async def _run_quick(self, job: _Job, argv: Sequence[str], *, is_mold: bool) -> tuple[RunOutcome, bool]:
        """Compile by a quick command. Return also whether the plain command, if it has to follow, may use mold."""
        outcome = await self._run_once(job, with_mold(argv) if is_mold else argv)
        if not (is_mold and await self._wants_ld(job, outcome)):
            return outcome, is_mold
        # else it is repeated by the plain command anyway
        return (await self._run_once(job, argv) if _counts(outcome) else outcome), False

    async def _run_once(self, job: _Job, argv: Sequence[str]) -> RunOutcome:
        spec = replace(job.spec, argv=tuple(argv))
        outcome = await execute.run(self._box, spec, "compile", metrics=self._metrics, about=job.about)
        self._metrics.compile_duration_seconds.observe(outcome.wall_ms / 1000)
        return outcome

    async def _wants_ld(self, job: _Job, outcome: RunOutcome) -> bool:
        """Whether ``ld`` could have done or said something else than mold in this compilation."""
        if is_linkers(outcome.stdout + outcome.stderr):
            return True
        if not outcome.files_out:
            return False
        program = job.spec.files_out[0].path
        return await do_blocking(needs_ld, program, is_short=program.stat().st_size <= SHORT_BYTES)

    def _headers_directory(self, compile_key: CompileKey) -> str | None:
        """Return the directory of headers that the compilation can use precompiled, if it exists."""
        if self._headers is None or not compile_key.header_sets:
            return None
        directory = self._headers.directory(compile_key.header_sets)
        if directory is None:
            self._metrics.compile_headers.labels(result="missing").inc()
        return directory

    def _linker(self, language: Language) -> str:
        """Return mold's file if the language may be linked by it; else an empty string."""
        return self._settings.toolchain.mold if language.is_gcc else ""

    # -- the parts of a RunSpec

    async def _spec(
        self,
        language: Language,
        sources: Sequence[FileIn],
        entry: str,
        into: Path,
        *,
        limits: RunLimits | None,
        user_id: int | None,
    ) -> RunSpec | Infra | None:
        """Return None if this language needs no compilation."""
        archive = None if self._toolchain_cache is None else await self._toolchain_cache.get(language)
        if isinstance(archive, Infra):
            return archive
        if archive is None and language.archive is not None and language.archive.is_required:
            return Infra("kit", f"compiling {language.key} needs a toolchain archive, and this node keeps none")
        spec = exec_rules.compile_spec(language, into, self._settings)
        if spec is None:
            return None
        names = compiled_names((source.name for source in sources), entry)
        argv = with_sources(spec.argv, language.source_name, names)
        archives = (
            () if archive is None or language.archive is None else (exec_rules.archive_file(language.archive, archive),)
        )
        return replace(spec, argv=argv, files_in=(*sources, *archives), limits=limits or spec.limits, user_id=user_id)

    async def _key(self, language: Language, sources: Sequence[FileIn], spec: RunSpec) -> CompileKey | None:
        tool, linker = language.tool(self._settings.toolchain), self._linker(language)
        may_be_lean = self._settings.toolchain.lean_headers and self._headers is not None
        make = partial(compile_key_of, may_be_lean=may_be_lean)
        return await on_sources(sources, make, spec, language, tool, linker, self._box.isolation)

    def _executable(
        self, language: Language, sources: Sequence[FileIn], entry: str, into: Path, memory_mb: int
    ) -> Executable:
        argv = with_entry(language.run_argv(self._settings.toolchain, memory_mb), language.source_name, entry)
        if language.artifact:
            artifact = language.artifact
            files: tuple[FileIn, ...] = (FileIn(artifact, into / artifact, executable=True, program=True),)
        else:
            files = tuple(replace(source, program=True) for source in sources)
            if len(sources) > 1:
                # Bash, Lua and Perl look for the files beside a program in the working directory.
                files += tuple(sources)
        return Executable(argv=argv, files_in=files, env=language.run_environment(self._settings.toolchain, memory_mb))


@dataclass(frozen=True, slots=True)
class _Job:
    """One call of ``compile``."""

    language: Language
    spec: RunSpec
    executable: Executable
    about: Mapping[str, Any] | None

    def compiled(
        self, result: CompileResult, *, why: str = "exit", sentence: str = "", outcome: RunOutcome | None = None
    ) -> Compiled:
        """Return the outcome. ``outcome``: None if nothing was compiled now."""
        reason = {"rule": "compile", "why": why, "sentence": sentence or "compilation failed"}
        return Compiled(
            result=result,
            executable=self.executable if result.ok else None,
            reason={} if result.ok else reason,
            wall_ms=outcome.wall_ms if outcome else 0,
            isolation=outcome.isolation if outcome else None,
        )


@dataclass(slots=True)
class _EarlyResult:
    """The result of an early compilation. ``outcome``: None until it ends, or if it broke."""

    spec: RunSpec
    outcome: RunOutcome | None = None
    #: around the compilation
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    ended: trio.Event = field(default_factory=trio.Event)
    #: set once the call that took it over needs nothing more of it
    taken: trio.Event = field(default_factory=trio.Event)
    is_used: bool = False

    async def take(self, spec: RunSpec) -> RunOutcome | None:
        """Wait for the outcome, and move its files to the places of ``spec``. Return None if there is none, or a file
        cannot be moved. A cancelled call ends the compilation."""
        try:
            await self.ended.wait()
            if self.outcome is None:
                return None
            for made, wanted in zip(self.spec.files_out, spec.files_out, strict=True):
                if made.name in self.outcome.files_out:
                    made.path.replace(wanted.path)
            self.is_used = True
            return self.outcome
        except OSError:
            return None
        finally:
            self.scope.cancel()
            self.taken.set()


def _counts(outcome: RunOutcome) -> bool:
    """Whether the plain command would do and say the same as the quick one did. It would take even longer. A failure of
    the sandbox is judged as one."""
    is_silent = outcome.verdict is RunVerdict.OK and not (outcome.stdout_len or outcome.stderr_len)
    return (is_silent and bool(outcome.files_out)) or outcome.verdict in (RunVerdict.TLE, RunVerdict.SE)


def _is_repeatable(compiled: Compiled) -> bool:
    """Whether the same compilation would give the same result again."""
    result = compiled.result
    if result is None or result.ok:
        return result is not None
    return compiled.reason.get("why") == "exit" and not _PERHAPS_OURS.search(result.output)


# ---------------------------------------------------------------------------------------------------------------------
# Sources


async def on_sources[*Ts, T](sources: Sequence[FileIn], work: Callable[[*Ts], T], *args: *Ts) -> T:
    """Do work that reads and hashes ``sources``.

    Raises:
      OSError: a source cannot be read; and what ``work`` raises.
    """
    size_bytes = sum(source.path.stat().st_size for source in sources)
    return await do_blocking(work, *args, is_short=size_bytes <= SHORT_BYTES)


def _host_kills(vmstat: Path = Path("/proc/vmstat")) -> int:
    """How many processes the kernel has killed for lack of memory since boot; 0 if the kernel does not say."""
    try:
        match = re.search(r"^oom_kill (\d+)$", vmstat.read_text("ascii"), re.MULTILINE)
    except OSError:
        return 0
    return 0 if match is None else int(match[1])


def _entry_of(sources: Sequence[FileIn], entry: str | None) -> str:
    if entry is None and len(sources) == 1:
        return sources[0].name
    if entry is None or entry not in {source.name for source in sources}:
        raise ValueError(f"the entry point {entry} is none of the {len(sources)} sources")
    return entry
