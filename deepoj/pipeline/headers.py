"""Precompiled headers of this node: made in the box, tried, and shown to every compilation at ``HEADERS_DIR``.

Nothing that a contestant sent goes into one. A header is made when a source first could have used it, which is compiled
without; ``build`` is called by a child of the tree, one header at a time, so that it never takes more than one slot of
the box from the jobs. It counts once a program compiled with it is the same, byte by byte, as without.

What a header depends on is its name on the disk: the command, and the files of the compiler (``identity``). After an
upgrade another one is made; GCC refuses the old one by itself, and the headers' own files are the package manager's.

What if we die here? A header is renamed into its place when it is whole and tried. Work directories that nobody comes
back for, and headers that nobody wants any more, go at a later build.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import trio

from deepoj import observe
from deepoj.judging.headers import HEADER_NAME, PRECOMPILED_NAME, precompile_argv, with_headers
from deepoj.pipeline import running
from deepoj.ports import Box
from deepoj.words import HEADERS_DIR, BoxBroken, FileIn, FileOut, Policy, RunLimits, RunSpec, RunVerdict

MIB = 1 << 20
#: the largest is some 100 MiB
MAX_BYTES = 256 * MIB
#: of making one; what a submission may take says nothing about ours
LIMITS = RunLimits(
    cpu_ms=60_000,
    wall_ms=180_000,
    memory_bytes=2048 * MIB,
    output_bytes=MIB,
    processes=64,
    scratch_bytes=2 * MAX_BYTES,
)
#: a host under pressure fails now and then; a compiler that cannot do it always
TRIES = 3
STALE_S = 3600.0
FORGOTTEN_S = 30 * 86_400.0
_WORK_PREFIX = ".work-"
_NOTE = "whole.json"
#: uses what a header brings, so that a compiler which makes something else of it shows
_PROBE = """#include <{header}>
struct probe {{ int value; probe() : value(7) {{ std::cout << "made" << std::endl; }} }} made;
template <class T> T twice(T x) {{ return x + x; }}
int main() {{
    std::string word;
    while (std::cin >> word) std::cout << twice(word) << ' ' << twice(made.value) << '\\n';
    return std::cin.bad();
}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A header to make: ``compile_argv`` compiles ``source_name`` into ``artifact`` with the options that it is for."""

    key: str
    header: str
    compile_argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    source_name: str
    artifact: str


def order(header: str, spec: RunSpec, source_name: str, artifact: str, identity: object) -> Order:
    """The order for the header that this compilation could use, with a compiler of this ``identity``."""
    argv = precompile_argv(spec.argv, (source_name,))
    digest = hashlib.sha256(json.dumps([1, header, argv, spec.env, identity]).encode()).hexdigest()
    return Order(
        key=digest[:32],
        header=header,
        compile_argv=spec.argv,
        env=spec.env,
        source_name=source_name,
        artifact=artifact,
    )


class HeaderShelf:
    """The headers below ``shelf``, which the box shows at ``HEADERS_DIR``."""

    def __init__(self, box: Box, shelf: Path, *, metrics: observe.Metrics) -> None:
        self._box, self._shelf, self._metrics = box, shelf, metrics
        self._ready: set[str] = set()
        self._tries: Counter[str] = Counter()
        #: ordered and not made yet
        self._wanted: dict[str, Order] = {}
        self._bell = trio.Event()

    def directory(self, wanted: Order) -> str | None:
        """Where, inside the box, a compilation finds the header; None: not yet, and it is ordered."""
        if wanted.key in self._ready:
            return f"{HEADERS_DIR}/{wanted.key}"
        if self._tries[wanted.key] < TRIES and wanted.key not in self._wanted:
            self._wanted[wanted.key] = wanted
            self._bell.set()
        return None

    async def next(self) -> Order:
        """Waits for an order; it stands until it is built."""
        while not self._wanted:
            self._bell = trio.Event()
            await self._bell.wait()
        return next(iter(self._wanted.values()))

    async def build(self, wanted: Order) -> bool:
        """Makes the header, or finds it made; whether it may be used."""
        started = time.monotonic()
        self._tries[wanted.key] += 1
        try:
            fault = await self._build(wanted)
        except (BoxBroken, OSError) as error:
            fault = str(error)
        finally:
            self._wanted.pop(wanted.key, None)
        duration_ms = round((time.monotonic() - started) * 1000)
        if fault:
            observe.log("header_refused", level="warning", part=wanted.header, reason=fault, duration_ms=duration_ms)
            return False
        self._ready.add(wanted.key)
        observe.log("header_ready", part=wanted.header, path=wanted.key, duration_ms=duration_ms)
        return True

    async def _build(self, wanted: Order) -> str:
        """Why it may not be used; empty if it may."""
        place = self._shelf / wanted.key
        await trio.to_thread.run_sync(_sweep, self._shelf, frozenset(self._ready))
        if await trio.to_thread.run_sync(_is_whole, place, wanted.header):
            return ""
        work = await trio.to_thread.run_sync(_make_work, self._shelf, wanted)
        try:
            fault = await self._make(wanted, work) or await self._try(wanted, work)
            if not fault:
                await trio.to_thread.run_sync(_put, work / "made", place, wanted.header)
            return fault
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(functools.partial(shutil.rmtree, work, ignore_errors=True))

    async def _make(self, wanted: Order, work: Path) -> str:
        spec = RunSpec(
            argv=precompile_argv(wanted.compile_argv, (wanted.source_name,)),
            policy=Policy.COMPILE,
            limits=LIMITS,
            files_in=(FileIn(HEADER_NAME, work / HEADER_NAME),),
            files_out=(FileOut(PRECOMPILED_NAME, work / PRECOMPILED_NAME, MAX_BYTES),),
            env=wanted.env,
            keep_stdout_bytes=1024,
            keep_stderr_bytes=1024,
        )
        outcome = await running.run(self._box, spec, "precompile", metrics=self._metrics)
        if outcome.verdict is not RunVerdict.OK or not outcome.files_out or outcome.stderr_len:
            words = outcome.stderr.decode(errors="replace").strip()
            return f"making it came to {outcome.verdict} by rule '{outcome.rule}': {words}"
        await trio.to_thread.run_sync(_show, work, wanted.header)
        return ""

    async def _try(self, wanted: Order, work: Path) -> str:
        """A program compiled with it is used by the compiler, and is the same as without it."""
        argv = with_headers(wanted.compile_argv, f"{HEADERS_DIR}/{work.name}/made")
        plain = RunSpec(
            argv=wanted.compile_argv,
            policy=Policy.COMPILE,
            limits=LIMITS,
            files_in=(FileIn(wanted.source_name, work / wanted.source_name),),
            files_out=(FileOut(wanted.artifact, work / "plain", MAX_BYTES),),
            env=wanted.env,
        )
        quick = replace(plain, argv=(*argv, "-H"), files_out=(FileOut(wanted.artifact, work / "quick", MAX_BYTES),))
        for spec in (plain, quick):
            outcome = await running.run(self._box, spec, "precompile", metrics=self._metrics)
            if outcome.verdict is not RunVerdict.OK or not outcome.files_out:
                return f"a program compiled with it came to {outcome.verdict} by rule '{outcome.rule}'"
        mark = f"! {HEADERS_DIR}/{work.name}/made/{wanted.header}.gch"
        if mark not in outcome.stderr.decode(errors="replace").splitlines():
            return "the compiler does not use it"
        same = await trio.to_thread.run_sync(_are_same, work / "plain", work / "quick")
        return "" if same else "a program compiled with it differs from the same without it"


# ---------------------------------------------------------------------------------------------------------------------
# On the disk; all of it blocks. Programs of other users read here: nothing is secret, and what counts is the mode.


def make_shelf(shelf: Path) -> None:
    """For start-up, before the box shows it. Raises OSError."""
    shelf.mkdir(parents=True, exist_ok=True)
    shelf.chmod(0o755)


def _make_work(shelf: Path, wanted: Order) -> Path:
    work = shelf / f"{_WORK_PREFIX}{os.getpid()}-{time.monotonic_ns()}"
    _mkdir(work)
    (work / HEADER_NAME).write_text(f"#include <{wanted.header}>\n")
    (work / wanted.source_name).write_text(_PROBE.format(header=wanted.header))
    return work


def _show(work: Path, header: str) -> None:
    """Puts what was made where a compilation looks for it."""
    place = work / "made"
    _mkdir(place)
    for part in Path(header).parts[:-1]:
        place /= part
        _mkdir(place)
    made = place / f"{Path(header).name}.gch"
    (work / PRECOMPILED_NAME).rename(made)
    made.chmod(0o644)
    # where the precompiled one cannot be used, as at a second include, GCC wants a file of the name without its ending
    plain = made.with_suffix("")
    plain.write_text(f"#include_next <{header}>\n")
    plain.chmod(0o644)


def _mkdir(path: Path) -> None:
    path.mkdir()
    path.chmod(0o755)  # whatever the umask


def _put(made: Path, place: Path, header: str) -> None:
    """In place of a ruin. Another node of this workspace may come with the same one meanwhile: either will do."""
    precompiled = made / f"{header}.gch"
    (made / _NOTE).write_text(json.dumps(_digest(precompiled)))
    shutil.rmtree(place, ignore_errors=True)
    try:
        made.rename(place)
    except OSError:
        if not _is_whole(place, header):
            raise


def _is_whole(place: Path, header: str) -> bool:
    """Also notes that it is wanted."""
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


def _sweep(shelf: Path, in_use: frozenset[str]) -> None:
    now = time.time()
    for path in shelf.iterdir():
        if path.name in in_use:
            continue
        limit = STALE_S if path.name.startswith(_WORK_PREFIX) else FORGOTTEN_S
        try:
            old = now - path.stat().st_mtime > limit
        except FileNotFoundError:  # another node of this workspace was quicker
            continue
        if old:
            shutil.rmtree(path, ignore_errors=True)
