"""The precompiled headers of this node: built and tried in the sandbox, and readable to every compilation at
``HEADERS_DIR``.

A *header set* is one or more standard headers in the order of their includes; it is precompiled as a whole. No part of
a submission goes into one but the names of these headers. A set of ``HEADERS`` is built after a source first could have
used it, others after ``WANTED`` sources, and this node uses at most ``MOST_SETS`` of the others. A child of the tree
calls ``build``, one set at a time, so that it never takes more than one slot of the sandbox from the jobs. A set is
used once a program compiled with it is the same, byte by byte, as without it.

A header's name on the disk is a digest of what it depends on: the command, and the files of the compiler
(``identity``). After an upgrade another one is built. GCC itself refuses the old one, and the package manager's lists
tell of changes in the headers' own files.

What if we die here? A header is renamed into its place when it is complete and tried. A later build removes abandoned
work directories and unused headers.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import trio

from deepoj import observe
from deepoj.execution import execute
from deepoj.judging.headers import (
    HEADER_NAME,
    HEADERS,
    PRECOMPILED_NAME,
    leaves_out,
    precompile_argv,
    with_headers,
)
from deepoj.ports.sandbox import Box
from deepoj.words.errors import BoxBroken
from deepoj.words.sandbox import HEADERS_DIR, FileIn, FileOut, Policy, RunLimits, RunSpec, RunVerdict

MIB = 1 << 20
#: the largest is some 100 MiB
MAX_BYTES = 256 * MIB
#: for building a header; the limits of submissions do not fit it
LIMITS = RunLimits(
    cpu_ms=60_000,
    wall_ms=180_000,
    memory_bytes=2048 * MIB,
    output_bytes=MIB,
    processes=64,
    scratch_bytes=2 * MAX_BYTES,
)
#: a host under pressure fails now and then; a compiler that cannot build it always does
TRIES = 3
#: sources that could have used a set other than those of ``HEADERS`` before it is built: a second of CPU time pays off
WANTED = 3
#: such sets that a node uses, and that it counts sources of; those wanted longest ago go first
MOST_SETS = 8
MOST_COUNTED = 256
#: directories that stay on the disk, some 20 to 100 MiB each
MOST_KEPT = 24
STALE_S = 3600.0
FORGOTTEN_S = 30 * 86_400.0
_WORK_PREFIX = ".work-"
_NOTE = "whole.json"
#: uses what a header declares, so that a compiler shows if it makes something else of it
_PROBE = """{includes}
template <class T> T twice(T x) {{ return x + x; }}
#ifdef _GLIBCXX_IOSTREAM
struct probe {{ int value; probe() : value(7) {{ std::cout << "made" << std::endl; }} }} made;
int main() {{
    std::string word;
    while (std::cin >> word) std::cout << twice(word) << ' ' << twice(made.value) << '\\n';
    return std::cin.bad();
}}
#else
struct probe {{ int value; probe() : value(twice(7)) {{}} }} made;
int main(int count, char **) {{ return twice(count) - made.value; }}
#endif
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderBuild:
    """A header set to build, for the options in ``compile_argv``, which compiles ``source_name`` into ``artifact``."""

    key: str
    headers: tuple[str, ...]
    compile_argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    source_name: str
    artifact: str

    @property
    def is_usual(self) -> bool:
        """Whether it is built for the first source that could use it."""
        return len(self.headers) == 1 and self.headers[0] in HEADERS


def order(headers: tuple[str, ...], spec: RunSpec, source_name: str, artifact: str, identity: object) -> HeaderBuild:
    """Return the order for the header set that this compilation could use, with a compiler of this ``identity``."""
    argv = precompile_argv(spec.argv, (source_name,))
    digest = hashlib.sha256(json.dumps([2, headers, argv, spec.env, identity]).encode()).hexdigest()
    return HeaderBuild(
        key=digest[:32],
        headers=headers,
        compile_argv=spec.argv,
        env=spec.env,
        source_name=source_name,
        artifact=artifact,
    )


class HeaderCache:
    """The precompiled headers in ``cache_dir``, which the sandbox shows at ``HEADERS_DIR``."""

    def __init__(self, box: Box, cache_dir: Path, *, metrics: observe.Metrics) -> None:
        self._box, self._cache_dir, self._metrics = box, cache_dir, metrics
        #: key of a set that may be used → whether it is usual, the one used last at the end
        self._ready: dict[str, bool] = {}
        #: key of a set that is not built yet → sources that could have used it, the one wanted last at the end
        self._wanted: dict[str, int] = {}
        self._tries: Counter[str] = Counter()
        #: ordered and not built yet
        self._orders: dict[str, HeaderBuild] = {}
        self._ordered = trio.Event()

    def directory(self, candidates: Sequence[HeaderBuild]) -> str | None:
        """Return the directory inside the sandbox of the largest header set that is built; None: none is.

        ``candidates``: the sets that a compilation could use, the largest first.
        """
        for request in candidates:
            if request.key in self._ready:
                self._ready[request.key] = self._ready.pop(request.key)
                return f"{HEADERS_DIR}/{request.key}"
        return None

    def want(self, candidates: Sequence[HeaderBuild]) -> None:
        """Count a compilation for the largest of the sets that it could use, which is perhaps ordered."""
        if candidates:
            self._want(candidates[0])
            if candidates[-1].is_usual:
                self._want(candidates[-1])

    def _want(self, request: HeaderBuild) -> None:
        key = request.key
        if key in self._ready or key in self._orders or self._tries[key] >= TRIES:
            return
        if not request.is_usual:
            self._wanted[key] = self._wanted.pop(key, 0) + 1
            if self._wanted[key] < WANTED:
                if len(self._wanted) > MOST_COUNTED:
                    del self._wanted[next(iter(self._wanted))]
                return
            del self._wanted[key]
        self._orders[key] = request
        self._ordered.set()

    async def next(self) -> HeaderBuild:
        """Wait for an order and return it. It stays in the queue until it is built."""
        while not self._orders:
            self._ordered = trio.Event()
            await self._ordered.wait()
        return next(iter(self._orders.values()))

    async def build(self, request: HeaderBuild) -> bool:
        """Build the header set, unless it exists. Return whether it may be used."""
        started = time.monotonic()
        self._tries[request.key] += 1
        try:
            fault = await self._build(request)
        except (BoxBroken, OSError) as error:
            fault = str(error)
        finally:
            self._orders.pop(request.key, None)
        duration_ms = round((time.monotonic() - started) * 1000)
        part = f"{' '.join(request.headers)}{' (lean)' if leaves_out(request.compile_argv) else ''}"
        if fault:
            observe.log("header_refused", level="warning", part=part, reason=fault, duration_ms=duration_ms)
            return False
        del self._tries[request.key]
        self._ready[request.key] = request.is_usual
        unusual = [key for key, is_usual in self._ready.items() if not is_usual]
        for key in unusual[:-MOST_SETS]:
            del self._ready[key]
        observe.log("header_ready", part=part, path=request.key, duration_ms=duration_ms)
        return True

    async def _build(self, request: HeaderBuild) -> str:
        """Return why it may not be used; empty if it may."""
        place, first = self._cache_dir / request.key, request.headers[0]
        await trio.to_thread.run_sync(_sweep, self._cache_dir, frozenset(self._ready))
        if await trio.to_thread.run_sync(_is_whole, place, first):
            return ""
        work = await trio.to_thread.run_sync(_make_work, self._cache_dir, request)
        try:
            fault = await self._make(request, work) or await self._try(request, work)
            if not fault:
                await trio.to_thread.run_sync(_put, work / "made", place, first)
            return fault
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(functools.partial(shutil.rmtree, work, ignore_errors=True))

    async def _make(self, request: HeaderBuild, work: Path) -> str:
        spec = RunSpec(
            argv=precompile_argv(request.compile_argv, (request.source_name,)),
            policy=Policy.COMPILE,
            limits=LIMITS,
            files_in=(FileIn(HEADER_NAME, work / HEADER_NAME),),
            files_out=(FileOut(PRECOMPILED_NAME, work / PRECOMPILED_NAME, MAX_BYTES),),
            env=request.env,
            keep_stdout_bytes=1024,
            keep_stderr_bytes=1024,
        )
        outcome = await execute.run(self._box, spec, "precompile", metrics=self._metrics)
        if outcome.verdict is not RunVerdict.OK or not outcome.files_out or outcome.stderr_len:
            words = outcome.stderr.decode(errors="replace").strip()
            return f"building it ended with {outcome.verdict} by rule '{outcome.rule}': {words}"
        await trio.to_thread.run_sync(_show, work, request.headers[0])
        return ""

    async def _try(self, request: HeaderBuild, work: Path) -> str:
        """Check that the compiler uses it, and that a program compiled with it is the same as without it."""
        argv = with_headers(request.compile_argv, f"{HEADERS_DIR}/{work.name}/made")
        plain = RunSpec(
            argv=request.compile_argv,
            policy=Policy.COMPILE,
            limits=LIMITS,
            files_in=(FileIn(request.source_name, work / request.source_name),),
            files_out=(FileOut(request.artifact, work / "plain", MAX_BYTES),),
            env=request.env,
        )
        quick = replace(plain, argv=(*argv, "-H"), files_out=(FileOut(request.artifact, work / "quick", MAX_BYTES),))
        for spec in (plain, quick):
            outcome = await execute.run(self._box, spec, "precompile", metrics=self._metrics)
            if outcome.verdict is not RunVerdict.OK or not outcome.files_out:
                return f"a program compiled with it ended with {outcome.verdict} by rule '{outcome.rule}'"
        mark = f"! {HEADERS_DIR}/{work.name}/made/{request.headers[0]}.gch"
        if mark not in outcome.stderr.decode(errors="replace").splitlines():
            return "the compiler does not use it"
        same = await trio.to_thread.run_sync(_are_same, work / "plain", work / "quick")
        return "" if same else "a program compiled with it differs from the same without it"


# ---------------------------------------------------------------------------------------------------------------------
# On the disk; all of it blocks. Programs of other users read here: nothing is secret, and file modes give the access.


def make_cache_dir(cache_dir: Path) -> None:
    """Make the directory at start-up, before the sandbox shows it. Raises OSError."""
    cache_dir.mkdir(parents=True, exist_ok=True)
    cache_dir.chmod(0o755)


def _make_work(cache_dir: Path, request: HeaderBuild) -> Path:
    work = cache_dir / f"{_WORK_PREFIX}{os.getpid()}-{time.monotonic_ns()}"
    _mkdir(work)
    includes = "\n".join(f"#include <{header}>" for header in request.headers)
    (work / HEADER_NAME).write_text(f"{includes}\n")
    (work / request.source_name).write_text(_PROBE.format(includes=includes))
    return work


def _show(work: Path, header: str) -> None:
    """Put the built header where a compilation looks for it."""
    place = work / "made"
    _mkdir(place)
    for part in Path(header).parts[:-1]:
        place /= part
        _mkdir(place)
    made = place / f"{Path(header).name}.gch"
    (work / PRECOMPILED_NAME).rename(made)
    made.chmod(0o644)
    # If the precompiled one cannot be used, as at a second include, GCC wants a file of that name without ``.gch``.
    plain = made.with_suffix("")
    plain.write_text(f"#include_next <{header}>\n")
    plain.chmod(0o644)


def _mkdir(path: Path) -> None:
    path.mkdir()
    path.chmod(0o755)  # mkdir's mode is subject to the umask


def _put(made: Path, place: Path, header: str) -> None:
    """Put it there, in place of a damaged one. Another node of this workspace may put the same one there: either
    will do."""
    precompiled = made / f"{header}.gch"
    (made / _NOTE).write_text(json.dumps(_digest(precompiled)))
    shutil.rmtree(place, ignore_errors=True)
    try:
        made.rename(place)
    except OSError:
        if not _is_whole(place, header):
            raise


def _is_whole(place: Path, header: str) -> bool:
    """Whether the header is complete. Also marks it as still used."""
    try:
        whole = bool(json.loads((place / _NOTE).read_text()) == _digest(place / f"{header}.gch"))
        os.utime(place)
    except (OSError, ValueError):
        return False
    return whole


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _are_same(one: Path, other: Path) -> bool:
    return one.read_bytes() == other.read_bytes()


def _sweep(cache_dir: Path, in_use: frozenset[str]) -> None:
    """Remove abandoned work directories, and header sets that have not been used for long or are too many."""
    now, unused = time.time(), []
    for path in cache_dir.iterdir():
        if path.name in in_use:
            continue
        try:
            age_s = now - path.stat().st_mtime
        except FileNotFoundError:  # another node of this workspace removed it first
            continue
        if path.name.startswith(_WORK_PREFIX):
            if age_s > STALE_S:
                shutil.rmtree(path, ignore_errors=True)
        else:
            unused.append((age_s, path))
    unused.sort()
    room = max(0, MOST_KEPT - len(in_use))
    for place, (age_s, path) in enumerate(unused):
        if place >= room or age_s > FORGOTTEN_S:
            shutil.rmtree(path, ignore_errors=True)
