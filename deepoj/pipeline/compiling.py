"""Compiling: sources become a program that runs can bring, or the compiler's words about them.

Contestants' submissions and setters' checkers and interactors go through the same :class:`Compiler`.

What came of a compilation is kept by a digest of all that goes into it (``ports.CompileCache``): sources, command,
environment, limits, the isolation of the box, and the compiler, which is its file and what the package manager knows of
packages: headers and linkers change with those. Kept is what the same compilation would come to again: a program, or
the compiler's refusal, unless its words could be those of a host that was out of something. Whoever wants the same
compilation at the same time waits for the first.

A C++ source that begins with one of ``judging.headers`` is compiled with the header precompiled. What the compiler then
does without a word is taken, for it is the same program; of anything else the words could differ, so the source is
compiled once more without, and that counts.

Whose fault is it? What the source brings about is a ``CompileResult`` that is not ok: the compiler refuses it, or runs
out of its time, memory or output. A compiler that is missing, blocked or killed by the host is ``Infra``
(``runs.compile_trouble``).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import trio

from deepoj import observe
from deepoj.judging import checkers, runs
from deepoj.judging.headers import first_include, with_headers
from deepoj.judging.languages import Language
from deepoj.judging.runs import JudgeSettings
from deepoj.judging.sources import compiled_names, with_entry, with_sources
from deepoj.pipeline import headers as precompiled
from deepoj.pipeline import running
from deepoj.pipeline.headers import HeaderShelf
from deepoj.pipeline.kits import Kits
from deepoj.ports import Box, CompileCache
from deepoj.words import CompileResult, FileIn, Infra, Isolation, RunLimits, RunOutcome, RunSpec, RunVerdict

#: what a package manager rewrites whenever it installs or removes anything
_PACKAGE_LISTS = (
    Path("/var/lib/dpkg/status"),
    Path("/var/lib/rpm/rpmdb.sqlite"),
    Path("/lib/apk/db/installed"),
)
#: A compiler that says such a thing may have met a host out of something, or its own bug: not to be kept. A source can
#: make it say so, and is compiled anew each time.
_PERHAPS_OURS = re.compile(
    r"internal compiler error|[Oo]ut of memory|virtual memory exhausted|Cannot allocate memory|No space left on device"
    r"|Resource temporarily unavailable|Input/output error|Too many open files|Read-only file system|[Qq]uota exceeded"
    r"|[Kk]illed|(?<!compilation )terminated|[Ss]ignal|cannot exec"
)


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
    """Compiles in ``box``, within the node's limits for compiling. Without ``cache`` nothing is kept, without
    ``headers`` none is precompiled, without ``kits`` no language that needs one. Of one trio loop."""

    def __init__(
        self,
        box: Box,
        *,
        settings: JudgeSettings,
        metrics: observe.Metrics,
        cache: CompileCache | None = None,
        headers: HeaderShelf | None = None,
        kits: Kits | None = None,
    ) -> None:
        self._box, self._settings, self._metrics = box, settings, metrics
        self._cache, self._headers, self._kits = cache, headers, kits
        #: key → set when the one who compiles it has come to an end
        self._under_way: dict[str, trio.Event] = {}

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
        about: Mapping[str, Any] | None = None,
    ) -> Compiled | Infra:
        """Compiles ``sources``: host files, each with its name in the scratch. ``entry`` names the one of several that
        is the entry point; headers may stand beside, ``testlib.h`` say. A single source should have the language's
        ``source_name``. The artifact comes to stand in the directory ``into``.

        ``limits``: others than the node's, for what is not a contestant's. ``memory_mb``: of the runs to come, for
        runtimes that are told it. ``user_id``: whose sources they are; None: a setter's. ``about``: log fields.

        Raises:
          BoxBroken: as ``ports.Box`` does.
          OSError: a source cannot be read, or nothing can be written in ``into``.
          ValueError: ``entry`` names none of the sources, or several were given and none named.
        """
        entry = _entry_of(sources, entry)
        executable = self._executable(language, sources, entry, into, memory_mb)
        kit = None if self._kits is None else await self._kits.get(language)
        if isinstance(kit, Infra):
            return kit
        if language.kit is not None and kit is None:
            return Infra("kit", f"compiling {language.key} needs a kit, and nothing is kept here")
        spec = self._spec(language, sources, entry, into, kit=kit, limits=limits, user_id=user_id)
        if spec is None:
            return Compiled(result=None, executable=executable)
        job = _Job(language, spec, executable, about)
        if self._cache is None and self._headers is None:
            return await self._compile(job, None)
        seen = await trio.to_thread.run_sync(
            _look, spec, language, language.tool(self._settings.toolchain), self._box.isolation
        )
        if self._cache is None or seen is None:
            return await self._compile(job, seen)
        return await self._through_cache(job, seen, self._cache, into)

    async def precompile(self, language: Language, header: str) -> bool:
        """Makes a header of ``judging.headers`` for this language now, or finds it made; whether it may be used. Who
        does not call this gets it made once a source could have used it."""
        spec = runs.compile_spec(language, Path(), self._settings)
        if self._headers is None or spec is None or not _is_gxx(language):
            return False
        identity = await trio.to_thread.run_sync(_identity, spec.argv[0])
        if identity is None:
            return False
        name = language.source_name
        return await self._headers.build(precompiled.order(header, spec, name, language.artifact, identity))

    async def _through_cache(self, job: _Job, seen: _Seen, cache: CompileCache, into: Path) -> Compiled | Infra:
        waited = False
        while True:
            kept = await cache.take(seen.key, into)
            if kept is not None:
                self._metrics.compile_cache.labels(result="joined" if waited else "hit").inc()
                return job.compiled(replace(kept, cached=True))
            first = self._under_way.get(seen.key)
            if first is None:
                break
            await first.wait()
            waited = True
        self._metrics.compile_cache.labels(result="miss").inc()
        done = self._under_way[seen.key] = trio.Event()
        try:
            compiled = await self._compile(job, seen)
            if isinstance(compiled, Compiled) and compiled.result is not None and _stays(compiled):
                files = [file.path for file in job.spec.files_out] if compiled.result.ok else []
                await cache.keep(seen.key, compiled.result, files)
            return compiled
        finally:
            del self._under_way[seen.key]
            done.set()

    async def _compile(self, job: _Job, seen: _Seen | None) -> Compiled | Infra:
        kills = await trio.to_thread.run_sync(_host_kills)
        outcome = await self._run(job, self._quicker(job, seen))
        # The count holds kills of any group. At `full` the box counts those of its own, and such a run is no RE.
        others_may = outcome.isolation is not Isolation.FULL
        host_killed = others_may and await trio.to_thread.run_sync(_host_kills) != kills
        blame = runs.compile_trouble(outcome, job.language, host_killed=host_killed)
        if blame is not None:
            return blame
        sentence = runs.compile_sentence(outcome, job.language, job.spec.limits)
        said = runs.said(outcome, self._settings.compile_output_kept)
        if sentence:
            said = f"{said}\n{sentence}" if said else sentence
        ok = outcome.verdict is RunVerdict.OK and not sentence
        rule = outcome.rule if outcome.verdict is not RunVerdict.OK else "artifact"
        result = CompileResult(ok=ok, time_ms=outcome.cpu_ms, output=said)
        return job.compiled(result, why=rule, sentence=sentence, outcome=outcome)

    async def _run(self, job: _Job, quicker: RunSpec | None) -> RunOutcome:
        if quicker is not None:
            outcome = await running.run(self._box, quicker, "compile", metrics=self._metrics, about=job.about)
            silent = outcome.verdict is RunVerdict.OK and not (outcome.stdout_len or outcome.stderr_len)
            # without the header it would have run out of time all the more; a failure of the sandbox is judged as such
            if (silent and outcome.files_out) or outcome.verdict in (RunVerdict.TLE, RunVerdict.SE):
                self._metrics.compile_headers.labels(result="used").inc()
                self._metrics.compile_duration_seconds.observe(outcome.wall_ms / 1000)
                return outcome
            self._metrics.compile_headers.labels(result="again").inc()
        outcome = await running.run(self._box, job.spec, "compile", metrics=self._metrics, about=job.about)
        self._metrics.compile_duration_seconds.observe(outcome.wall_ms / 1000)
        return outcome

    def _quicker(self, job: _Job, seen: _Seen | None) -> RunSpec | None:
        """The same compilation with its header precompiled, if there is such a header."""
        if self._headers is None or seen is None or seen.header is None:
            return None
        directory = self._headers.directory(seen.header)
        if directory is None:
            self._metrics.compile_headers.labels(result="missing").inc()
            return None
        return replace(job.spec, argv=with_headers(job.spec.argv, directory))

    # -- what is asked for

    def _spec(
        self,
        language: Language,
        sources: Sequence[FileIn],
        entry: str,
        into: Path,
        *,
        kit: Path | None,
        limits: RunLimits | None,
        user_id: int | None,
    ) -> RunSpec | None:
        spec = runs.compile_spec(language, into, self._settings)
        if spec is None:
            return None
        names = compiled_names((source.name for source in sources), entry)
        argv = with_sources(spec.argv, language.source_name, names)
        kits = () if kit is None or language.kit is None else (runs.kit_file(language.kit, kit),)
        return replace(spec, argv=argv, files_in=(*sources, *kits), limits=limits or spec.limits, user_id=user_id)

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
        """``outcome``: None where nothing was compiled now."""
        reason = {"rule": "compile", "why": why, "sentence": sentence or "the compiler refused the source"}
        return Compiled(
            result=result,
            executable=self.executable if result.ok else None,
            reason={} if result.ok else reason,
            wall_ms=outcome.wall_ms if outcome else 0,
            isolation=outcome.isolation if outcome else None,
        )


def _stays(compiled: Compiled) -> bool:
    """Whether the same compilation would come to the same again."""
    result = compiled.result
    if result is None or result.ok:
        return result is not None
    return compiled.reason.get("why") == "exit" and not _PERHAPS_OURS.search(result.output)


# ---------------------------------------------------------------------------------------------------------------------
# What goes into a compilation; all of it blocks


@dataclass(frozen=True, slots=True)
class _Seen:
    """Names a compilation by its content."""

    key: str
    #: the header that it could use precompiled
    header: precompiled.Order | None


def _look(spec: RunSpec, language: Language, tool: str, isolation: Isolation) -> _Seen | None:
    """None: there is no such compiler."""
    identity = _identity(tool)
    if identity is None:
        return None
    # a kit is named by all that it comes from, and is large
    kits = [file.path.name for file in spec.files_in if file.program]
    texts = {file.name: file.path.read_bytes() for file in spec.files_in if not file.program}
    content = [(name, hashlib.sha256(text).hexdigest()) for name, text in sorted(texts.items())]
    asked = [
        spec.argv,
        spec.env,
        asdict(spec.limits),
        [(file.name, file.max_bytes) for file in spec.files_out],
        [spec.keep_stdout_bytes, spec.keep_stderr_bytes],
        kits,
    ]
    key = hashlib.sha256(json.dumps([1, identity, isolation, asked, content]).encode()).hexdigest()
    return _Seen(key, _header(spec, language, texts, identity))


def _host_kills(vmstat: Path = Path("/proc/vmstat")) -> int:
    """How many processes the kernel has killed for want of memory since it started; 0 where it does not say."""
    try:
        found = re.search(r"^oom_kill (\d+)$", vmstat.read_text("ascii"), re.MULTILINE)
    except OSError:
        return 0
    return 0 if found is None else int(found[1])


def _identity(tool: str) -> object | None:
    """What stands for the compiler and all that comes with it."""
    try:
        real = Path(tool).resolve()
        return [str(real), _version_of(real), [_version_of(path) for path in _PACKAGE_LISTS if path.exists()]]
    except OSError:
        return None


def _version_of(path: Path) -> tuple[int, ...]:
    """Differs for another file, and once it has been written to."""
    seen = path.stat()
    return seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns


def _is_gxx(language: Language) -> bool:
    return language.compile is not None and language.compile[0] == "{gxx}"


def _header(
    spec: RunSpec, language: Language, texts: Mapping[str, bytes], identity: object
) -> precompiled.Order | None:
    # A setter's program is compiled once: a header for such alone is not worth a slot of the box while it is made.
    if not _is_gxx(language) or checkers.BESIDE in spec.env:
        return None
    told = [word for word in spec.argv if word in texts]
    if len(told) != 1:  # of several, each would have to begin with it
        return None
    header = first_include(texts[told[0]])
    return None if header is None else precompiled.order(header, spec, told[0], language.artifact, identity)


def _entry_of(sources: Sequence[FileIn], entry: str | None) -> str:
    if entry is None and len(sources) == 1:
        return sources[0].name
    if entry is None or entry not in {source.name for source in sources}:
        raise ValueError(f"the entry point {entry} is none of the {len(sources)} sources")
    return entry
