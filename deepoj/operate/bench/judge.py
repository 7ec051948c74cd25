"""``deepoj bench judge``: measures the cost of judging relative to compiling and running the same program bare.

In each round, the two sides of every ratio are measured one after the other, in alternating order. Ratios are of
medians over the rounds, without the first round.

* ``compile``: a source that includes ``bits/stdc++.h``, compiled by :class:`Compiler` with the precompiled header and
  without the cache ÷ the host's ``g++`` with the same flags.
* ``cached``: a submission with ten small tests and a cached program, from the claim to the report ÷ ten bare runs, each
  a posix_spawn with stdin and stdout in files, and a wait.
* ``fresh_iostream``, ``fresh_all``: the same for a new source ÷ a plain compilation and bare runs of its program.
* ``parallel``: forty tests of 100 ms with two idle slots ÷ the same with one slot.
* ``large``: a hundred tests of 10 MB, each read and written completely ÷ the bare runs; and the growth of this
  process's peak memory and of the launcher.
"""

from __future__ import annotations

import os
import secrets
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from deepoj.adapters.compile_cache import DiskCompileCache
from deepoj.adapters.sandbox.box import LinuxBox
from deepoj.config.model import Config
from deepoj.execution.compiling import Compiled, Compiler
from deepoj.execution.context import AttemptContext
from deepoj.execution.header_cache import HeaderCache, make_cache_dir
from deepoj.judging.exec_rules import JudgeSettings
from deepoj.judging.headers import HEADERS
from deepoj.judging.languages import LANGUAGES
from deepoj.judging.problem import Case, Plan
from deepoj.nursery.idle_slots import HelperSlots
from deepoj.nursery.scopes import with_background_tasks
from deepoj.observe import Metrics
from deepoj.operate.bench.bounds import missed_of, verdict_of
from deepoj.operate.bench.sandbox_rounds import MIB, Memory
from deepoj.pipeline.judge import judge as judge_claim
from deepoj.ports.tasks import Start
from deepoj.wiring.settings import judging
from deepoj.words.errors import StartRefused
from deepoj.words.jobs import Claim
from deepoj.words.problems import Problem
from deepoj.words.results import Infra, Verdict
from deepoj.words.sandbox import FileIn

LANGUAGE = LANGUAGES["cpp17"]
SMALL_TESTS = 10
LARGE_BYTES = 10_000_000
#: of the rounds, how many go to what takes longer
CACHED_TIMES = 4
PARALLEL_TESTS = 40
#: forty tests take four seconds
PARALLEL_ROUNDS = 3
SOURCE = """#include <{header}>
using namespace std;
int main() {{
    long long a, b;
    while (cin >> a >> b) cout << a + b << endl;
}}
"""
#: adds two numbers, after 100 ms of CPU time
SLOW_SOURCE = """#include <cstdio>
#include <ctime>
int main() {
    long long a, b;
    if (std::scanf("%lld%lld", &a, &b) != 2) return 1;
    while (std::clock() < CLOCKS_PER_SEC / 10) {}
    std::printf("%lld\\n", a + b);
}
"""
#: reads all and writes it again, as fast as contestants are taught to
LARGE_SOURCE = """#include <iostream>
int main() {
    std::ios::sync_with_stdio(false);
    std::cin.tie(nullptr);
    long long x;
    while (std::cin >> x) std::cout << x << '\\n';
}
"""


@dataclass(frozen=True, slots=True)
class JudgeTimes:
    """Milliseconds, one a round."""

    ours: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        return round(statistics.median(self.ours) / statistics.median(self.bare), 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeFigures:
    """All that was measured; ``pairs`` by name."""

    rounds: int
    isolation: str
    #: those that could be precompiled
    headers: tuple[str, ...]
    pairs: dict[str, JudgeTimes]
    large_tests: int
    large_growth_mib: float

    def flat(self) -> dict[str, object]:
        """As JSON: every key is there in every run."""
        flat: dict[str, object] = {
            "isolation": self.isolation,
            "rounds": self.rounds,
            "large_tests": self.large_tests,
            "headers": list(self.headers),
        }
        for name, pair in self.pairs.items():
            flat[f"{name}_bare_ms"] = round(statistics.median(pair.bare), 2)
            flat[f"{name}_ms"] = round(statistics.median(pair.ours), 2)
            flat[f"{name}_ratio"] = pair.ratio
        flat["large_growth_mib"] = self.large_growth_mib
        flat["missed"] = missed_of("judge", flat)
        return flat


def show(figures: JudgeFigures, console: Console) -> None:
    flat = figures.flat()
    table = Table("figure", "bare", "ours", "ratio", "required", title=f"judging, isolation {figures.isolation}")
    words = {
        "compile": "compile bits/stdc++.h",
        "cached": f"{SMALL_TESTS} small tests, program kept",
        "fresh_iostream": f"compile <iostream>, {SMALL_TESTS} tests",
        "fresh_all": f"compile bits/stdc++.h, {SMALL_TESTS} tests",
        "parallel": f"{PARALLEL_TESTS} tests of 100 ms; one slot, two",
        "large": f"{figures.large_tests} tests of 10 MB",
    }
    for name, line in words.items():
        bare_ms, ours_ms, ratio = (flat[f"{name}_{part}"] for part in ("bare_ms", "ms", "ratio"))
        table.add_row(line, f"{bare_ms} ms", f"{ours_ms} ms", str(ratio), verdict_of("judge", f"{name}_ratio", flat))
    growth = f"{figures.large_growth_mib} MiB"
    table.add_row("… node and launcher grow by", "", growth, "", verdict_of("judge", "large_growth_mib", flat))
    console.print(table)


# ---------------------------------------------------------------------------------------------------------------------
# Measuring


@dataclass(frozen=True, slots=True)
class _Case:
    """One case on disk."""

    name: str
    input: Path
    answer: Path


class _Cases:
    """``ports.TestData`` of cases that are there, and what it has prepared."""

    def __init__(self, cases: Sequence[_Case]) -> None:
        self._files = {f"{case.name}.in": case.input for case in cases}
        self._files |= {f"{case.name}.ans": case.answer for case in cases}
        self.plan = Plan(
            format="own",
            cases=tuple(Case(name=case.name, input=f"{case.name}.in", answer=f"{case.name}.ans") for case in cases),
        )

    def path(self, name: str) -> Path:
        return self._files[name]

    def digest(self, name: str) -> str:
        return name  # nothing is taken over in here

    def is_here(self, _problem: Problem) -> bool:
        return True

    async def prepare(self, _problem: Problem) -> _Cases:
        return self

    async def release(self, _problem: Problem) -> None:
        pass


async def measure(cfg: Config, scratch: Path, counts: tuple[int, int], quiet: bool) -> JudgeFigures:
    rounds, large_tests = counts
    cache_dir = scratch / "headers"
    make_cache_dir(cache_dir)
    metrics = Metrics()
    async with _a_box(cfg, 1, cache_dir) as box:
        headers = HeaderCache(box, cache_dir, metrics=metrics)
        cache = DiskCompileCache(scratch / "compiled", metrics=metrics)
        compiler = Compiler(box, settings=_patient(cfg), metrics=metrics, cache=cache, headers=headers)
        keeps_nothing = Compiler(box, settings=_patient(cfg), metrics=metrics, headers=headers)
        try:
            made = [header for header in HEADERS if await compiler.precompile(LANGUAGE, header)]
            context = AttemptContext(
                box=box,
                compiler=compiler,
                workdir=scratch / "attempts",
                settings=_patient(cfg),
                metrics=metrics,
                idle_slots=HelperSlots(lambda: 0),
            )
            place = _JudgePlace(context, box.launcher_pid, scratch)
            pairs = {name: JudgeTimes() for name in ("compile", "cached", "fresh_iostream", "fresh_all")}
            for number in track(range(-1, rounds), description="measuring", disable=quiet, transient=True):
                found = await place.round(number, keeps_nothing)
                if number >= 0:
                    for name, bare_ms, ours_ms in found:
                        pairs[name].bare.append(bare_ms)
                        pairs[name].ours.append(ours_ms)
            pairs["large"], growth = await place.large(large_tests)
            async with _a_box(cfg, 2, cache_dir) as wide:
                both = replace(context, box=wide, idle_slots=HelperSlots(lambda: 1))
                pairs["parallel"] = await place.parallel(both, min(rounds, PARALLEL_ROUNDS))
        finally:
            cache.close()
        return JudgeFigures(
            rounds=rounds,
            isolation=box.isolation.value,
            headers=tuple(made),
            pairs=pairs,
            large_tests=large_tests,
            large_growth_mib=growth,
        )


def _a_box(cfg: Config, slots: int, headers: Path) -> AbstractAsyncContextManager[LinuxBox]:
    return LinuxBox.open(
        slots,
        run_uid=cfg.security.run_as_uid,
        run_gid=cfg.security.run_as_gid,
        min_isolation=cfg.sandbox_min_isolation,
        mounts=cfg.path.mount_dirs,
        headers=headers,
    )


def _patient(cfg: Config) -> JudgeSettings:
    """The node's, but that a loaded host is slow and not wrong: the same limits would refuse the source here."""
    return replace(judging(cfg), compile_cpu_ms=60_000, compile_wall_ms=180_000)


class _JudgePlace:
    """Where submissions are judged, and the same programs compiled and run bare."""

    def __init__(self, context: AttemptContext, launcher_pid: int, scratch: Path) -> None:
        self._context, self._launcher_pid, self._scratch = context, launcher_pid, scratch
        self._kept = _fresh("iostream")
        self._small = list(_small_cases(scratch))

    async def round(self, number: int, keeps_nothing: Compiler) -> list[tuple[str, float, float]]:
        """(name, bare, ours) in milliseconds."""
        all_of_it = _fresh("bits/stdc++.h")
        found = [("compile", *await _both(number, self._plain(all_of_it), self._compiled(keeps_nothing, all_of_it)))]
        program = self._scratch / "bare"
        self._plain(self._kept, program)()
        await self._judged(self._kept, self._small)()
        for each in range(CACHED_TIMES):
            halves = await _both(number + each, self._bare(program), self._judged(self._kept, self._small))
            found.append(("cached", *halves))
        for name, header in (("fresh_iostream", "iostream"), ("fresh_all", "bits/stdc++.h")):
            source = _fresh(header)
            plain, bare = self._plain(source, program), self._bare(program)

            def both_bare(plain: _Bare = plain, bare: _Bare = bare) -> None:
                plain()
                bare()

            found.append((name, *await _both(number, both_bare, self._judged(source, self._small))))
        return found

    async def large(self, tests: int) -> tuple[JudgeTimes, float]:
        program = self._scratch / "large"
        self._plain(LARGE_SOURCE, program)()
        cases = list(_large_cases(self._scratch, tests))
        await self._judged(LARGE_SOURCE, cases[:1])()
        memory = Memory(self._launcher_pid)
        bare_ms, ours_ms = await _both(1, self._bare(program, cases), self._judged(LARGE_SOURCE, cases))
        return JudgeTimes([ours_ms], [bare_ms]), round(max(0.0, memory.growth_bytes() / MIB), 2)

    async def parallel(self, wide: AttemptContext, rounds: int) -> JudgeTimes:
        """Judge the same tests with one slot and with those of ``wide``, in turn; the program is compiled before."""
        cases, times = list(_small_cases(self._scratch, PARALLEL_TESTS)), JudgeTimes()
        await self._judged(SLOW_SOURCE, cases[:1])()
        for number in range(rounds):
            ways = [(times.bare, self._context), (times.ours, wide)]
            for found, context in ways if number % 2 else reversed(ways):
                found.append(await self._judged(SLOW_SOURCE, cases, context)())
        return times

    # -- the halves

    def _plain(self, source: str, program: Path | None = None) -> _Bare:
        def plain() -> None:
            with tempfile.TemporaryDirectory(dir=self._scratch) as place:
                (Path(place) / LANGUAGE.source_name).write_text(source)
                argv = LANGUAGE.compile_argv(self._context.settings.toolchain) or ()
                subprocess.run(argv, cwd=place, env=dict(LANGUAGE.compile_env), check=True)
                if program is not None:
                    (Path(place) / LANGUAGE.artifact).replace(program)

        return plain

    def _compiled(self, compiler: Compiler, source: str) -> _Ours:
        async def compiled() -> float:
            began = time.perf_counter()
            with tempfile.TemporaryDirectory(dir=self._scratch) as place:
                into = Path(place)
                (into / LANGUAGE.source_name).write_text(source)
                made = await compiler.compile(
                    LANGUAGE, [FileIn(LANGUAGE.source_name, into / LANGUAGE.source_name)], into=into
                )
                if not isinstance(made, Compiled) or made.executable is None:
                    raise StartRefused(f"what is measured does not compile: {made}", 1)
            return _ms_since(began)

        return compiled

    def _bare(self, program: Path, cases: Sequence[_Case] = ()) -> _Bare:
        def bare() -> None:
            stdout = self._scratch / "stdout"
            for case in cases or self._small:
                actions = [
                    (os.POSIX_SPAWN_OPEN, 0, str(case.input), os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 1, str(stdout), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
                ]
                pid = os.posix_spawn(program, [str(program)], {}, file_actions=actions)
                if os.waitpid(pid, 0)[1] != 0:
                    raise StartRefused("what is measured does not run bare", 1)

        return bare

    def _judged(self, source: str, cases: Sequence[_Case], context: AttemptContext | None = None) -> _Ours:
        async def timed(start: Start) -> float:
            began = time.perf_counter()
            here = replace(context or self._context, start_task=start)
            found = await judge_claim(here, _Cases(cases), _claim(source))
            if isinstance(found, Infra) or found.status is not Verdict.ACCEPTED:
                raise StartRefused(f"what is measured is not accepted: {found}", 1)
            return _ms_since(began)

        async def judged() -> float:
            # As on a node, the report does not wait for what is deferred; what is measured next does.
            return await with_background_tasks(timed)

        return judged


type _Bare = Callable[[], None]
#: returns how long it took, in milliseconds
type _Ours = Callable[[], Awaitable[float]]


async def _both(number: int, bare: _Bare, ours: _Ours) -> tuple[float, float]:
    """(bare, ours) in milliseconds, taken in an order that alternates with ``number``."""
    bare_ms = ours_ms = 0.0
    for is_bare in (True, False) if number % 2 else (False, True):
        if is_bare:
            began = time.perf_counter()
            bare()
            bare_ms = _ms_since(began)
        else:
            ours_ms = await ours()
    return bare_ms, ours_ms


def _ms_since(began: float) -> float:
    return (time.perf_counter() - began) * 1000


def _fresh(header: str) -> str:
    return SOURCE.format(header=header) + f"// {secrets.token_hex(8)}\n"


def _small_cases(scratch: Path, count: int = SMALL_TESTS) -> Iterator[_Case]:
    for number in range(count):
        case = _Case(str(number), scratch / f"{number}.in", scratch / f"{number}.ans")
        case.input.write_text(f"{number} 1\n")
        case.answer.write_text(f"{number + 1}\n")
        yield case


def _large_cases(scratch: Path, tests: int) -> Iterator[_Case]:
    """All of one file: what is measured is not the disk."""
    first = scratch / "large.in"
    line_bytes = 8
    with first.open("wb") as file:
        file.writelines(b"%07d\n" % (1_000_000 + number) for number in range(LARGE_BYTES // line_bytes))
    for number in range(tests):
        yield _Case(f"large {number}", first, first)


def _claim(source: str) -> Claim:
    problem = Problem(
        id=1, title="", description="", difficulty="", time_limit_ms=10_000, memory_limit_mb=256, compare="tokens",
        data_path="", data_hash="",
    )  # fmt: skip
    return Claim(
        job_id=secrets.token_hex(8), attempt_id=1, judging=1, lease_owner="", entry_id="", user_id=1,
        language=LANGUAGE.key, code=source, trace_id="", problem=problem, waited_ms=0,
    )  # fmt: skip
