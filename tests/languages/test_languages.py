"""Every language is judged right: accepted, wrong, crash, endless loop, over memory, compile error, and what ordinary
programs use (threads, exceptions, growth, large output, sleep, regular expressions, children, files, JIT compilers).

A language's programs are in the folder of its key: ``sum`` adds, or does what the first word of its input says;
``broken`` does not compile; ``ordinary`` prints ``ordinary.out``, or does one of its ``MODES``. They go through the
judge step and the sandbox, as submissions do.

``make test-full`` demands ``FIXED``, ``make test-languages`` (``DEEPOJ_TEST_LANGUAGES=all``) every row of the table. A
missing tool is a failure, not a skip.
"""

from __future__ import annotations

import faulthandler
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from deepoj.adapters.compile_cache import DiskCompileCache
from deepoj.adapters.sandbox import box as boxes
from deepoj.adapters.sandbox.box import LinuxBox
from deepoj.adapters.sandbox.launcher import Part
from deepoj.adapters.sandbox.preflight import settle
from deepoj.adapters.toolchain import version
from deepoj.execution.compiling import Compiler
from deepoj.execution.toolchain_cache import ToolchainCache
from deepoj.judging.exec_rules import archive_file, compile_spec
from deepoj.judging.languages import LANGUAGES
from deepoj.observe import Metrics
from deepoj.pipeline.judge import judge
from deepoj.words.results import Infra, Report, Verdict
from deepoj.words.sandbox import FileIn, Isolation
from tests.fakes.attempts import attempt_context
from tests.fakes.settings import judge_settings
from tests.fakes.testdata import PlainTestData
from tests.host import PROC
from tests.sandbox.bench import open_box
from tests.unit.makers import a_claim, a_problem

HERE = Path(__file__).parent
FIXED = ("c17", "cpp17", "cpp20", "cpp23", "java", "python3", "go", "rust", "javascript", "perl", "bash")
ALL = os.environ.get("DEEPOJ_TEST_LANGUAGES") == "all"
KEYS = tuple(LANGUAGES) if ALL else FIXED
ROWS = [pytest.param(key, marks=pytest.mark.needs(PROC) if LANGUAGES[key].needs_proc else ()) for key in KEYS]

#: a host under load takes its time for compiling
SETTINGS = judge_settings(compile_cpu_ms=60_000, compile_wall_ms=240_000)
FATES = {
    "accepted": (Verdict.ACCEPTED, ""),
    "wrong": (Verdict.WRONG_ANSWER, "compare"),
    "crash": (Verdict.RUNTIME_ERROR, None),
    "memory": (Verdict.MEMORY_LIMIT_EXCEEDED, None),
}
LARGE = "x" * 200_000
_PYTHON = {
    **dict.fromkeys(("numbers", "containers", "text", "recursion", "threads", "loop", "children", "pools"), ""),
    **dict.fromkeys(("executor", "files", "world", "hot"), ""),
    "large_output": f"{LARGE}\n0,1,2\nab\nc\n",
}
#: ordinary programs of many parts, each a run of its own: mode → what it prints before "done"
MODES: dict[str, dict[str, str]] = {
    "c17": {
        **dict.fromkeys(("growth", "sorting", "recursion", "mapped_file", "made_code", "memory_shared_by_name"), ""),
        **dict.fromkeys(("naps", "clocks", "alarms", "jumps", "overflow", "queued", "children", "semaphores"), ""),
        **dict.fromkeys(("sockets", "events", "threads", "files", "world"), ""),
        "large_output": "x" * 262_144 + "\n",
    },
    "cpp17": {
        **dict.fromkeys(("exceptions", "threads", "futures", "text", "randomness", "sorting", "files", "time"), ""),
        "values": "",
        "large_output": LARGE + "\n",
    },
    "python3": _PYTHON,
    "pypy3": _PYTHON,
}
#: modes that end otherwise at `weak`, where nothing can be mounted or made private: /tmp and /dev/shm (tmpfile, named
#: semaphores and memory), /proc, sockets with names, modes of files (which C++ sets when it has copied one)
NOT_AT_WEAK = {
    "c17": {"memory_shared_by_name", "semaphores", "sockets", "files", "world"},
    "cpp17": {"files"},
    "python3": {"loop", "pools", "executor"},
}


def ordinary_modes(key: str, isolation: Isolation) -> dict[str, str]:
    """Mode → what the program prints before "done", of those that this level has."""
    missing = NOT_AT_WEAK.get(key, set()) if isolation is Isolation.WEAK else set()
    return {mode: text for mode, text in MODES[key].items() if mode not in missing}


@pytest.fixture
async def box() -> AsyncIterator[LinuxBox]:
    async with open_box(1) as opened:
        yield opened


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of toolchain archives and of compiled programs, which are made once for all tests."""
    return tmp_path_factory.mktemp("shelf")


class Judge:
    """The judge step with one language's programs."""

    def __init__(self, box: LinuxBox, shelf: Path, directory: Path, key: str) -> None:
        self._box, self._dir, self._key = box, directory, key
        self._metrics = Metrics()
        toolchain_cache = ToolchainCache(box=box, cache_dir=shelf / "kits", settings=SETTINGS)
        self.cache = DiskCompileCache(shelf / "compiled", metrics=self._metrics)
        self._compiler = Compiler(
            box, settings=SETTINGS, metrics=self._metrics, cache=self.cache, toolchain_cache=toolchain_cache
        )
        assert version(LANGUAGES[key], SETTINGS.toolchain), (
            f"the tools of {key} are missing: see tests/apt-packages*.txt and `deepoj doctor`"
        )

    async def __call__(
        self, program: str, cases: Sequence[tuple[str, str]], *, time_limit_ms: int = 30_000, compare: str = "tokens"
    ) -> Report:
        report = await self.outcome(program, cases, time_limit_ms=time_limit_ms, compare=compare)
        assert isinstance(report, Report), report
        return report

    async def outcome(
        self, program: str, cases: Sequence[tuple[str, str]], *, time_limit_ms: int, compare: str
    ) -> Report | Infra:
        code = (HERE / self._key / f"{program}{Path(LANGUAGES[self._key].source_name).suffix}").read_text()
        problem = replace(a_problem(), time_limit_ms=time_limit_ms, memory_limit_mb=256, compare=compare)
        # the limit for a hung test is two minutes, which a toolchain archive on a loaded host takes honestly
        faulthandler.cancel_dump_traceback_later()
        with trio.fail_after(900):
            return await judge(
                attempt_context(
                    self._box, self._dir / "workspace", SETTINGS, metrics=self._metrics, compiler=self._compiler
                ),
                PlainTestData(self._dir, [(given.encode(), answer.encode()) for given, answer in cases]),
                replace(a_claim(), language=self._key, code=code, problem=problem),
            )


@pytest.fixture(params=ROWS)
def key(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def judged(box: LinuxBox, shelf: Path, tmp_path: Path, key: str) -> Iterator[Judge]:
    one = Judge(box, shelf, tmp_path, key)
    with closing(one.cache):
        yield one


async def test_fates(judged: Judge) -> None:
    report = await judged("sum", [(f"{fate} 1 2\n", "3\n") for fate in FATES])

    assert report.compile is not None
    assert report.compile.ok, report.compile
    # what the sandbox refuses a compiler is the sandbox's business, no contestant's
    assert "not permitted" not in report.compile.output
    found = dict(zip(FATES, report.tests, strict=True))
    assert {fate: test.status for fate, test in found.items()} == {fate: FATES[fate][0] for fate in FATES}, report
    assert found["crash"].reason in ("exit", "signal")
    assert found["memory"].reason in ("memory", "heap")
    assert found["accepted"].memory_kb < 200 * 1024


@pytest.mark.full
async def test_language_at_weak_is_judged(shelf: Path, tmp_path: Path, key: str) -> None:
    """Landlock refuses what a box does not show, and the program's directory has its name of the host."""
    async with LinuxBox.open(1, at_most=Isolation.WEAK, min_isolation=Isolation.WEAK) as box:
        one = Judge(box, shelf, tmp_path, key)
        with closing(one.cache):
            report = await one("sum", [("accepted 1 2\n", "3\n")])
            assert report.status is Verdict.ACCEPTED, report
            await check_ordinary(one, key, Isolation.WEAK)


@pytest.mark.full
async def test_without_proc_exactly_the_languages_that_need_it_fail(
    shelf: Path, tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container whose engine hides a part of /proc, as Podman does by default."""
    without = frozenset({Part.CGROUP, Part.PROC})
    monkeypatch.setattr(boxes, "settle", lambda setting, level: settle(replace(setting, without=without), level))
    async with LinuxBox.open(1) as box:
        assert not box.has_proc
        one = Judge(box, shelf / "without_proc", tmp_path, key)
        with closing(one.cache):
            report = await one.outcome("sum", [("accepted 1 2\n", "3\n")], time_limit_ms=30_000, compare="tokens")
    works = isinstance(report, Report) and report.status is Verdict.ACCEPTED
    assert works is not LANGUAGES[key].needs_proc, report


async def test_an_endless_loop(judged: Judge) -> None:
    report = await judged("sum", [("loop 1 2\n", "3\n")], time_limit_ms=1000)

    assert report.status is Verdict.TIME_LIMIT_EXCEEDED, report
    assert report.tests[0].reason in ("cpu", "wall")  # wall: a host that has three times as much to do


async def test_a_compile_error(judged: Judge, key: str) -> None:
    report = await judged("broken", [("accepted 1 2\n", "3\n")])

    assert report.status is Verdict.COMPILE_ERROR, report
    assert report.compile is not None
    # it is the compiler that says so, of this source
    assert Path(LANGUAGES[key].source_name).name in report.compile.output or "broken" in report.compile.output
    assert report.tests == ()


@pytest.mark.needs(PROC)
@pytest.mark.parametrize("key", ["java"], indirect=True)
async def test_java_compiles_with_its_archive_as_without(judged: Judge, box: LinuxBox, shelf: Path) -> None:
    cases = [("accepted 1 2\n", "3\n")]
    without = await judged("sum", cases), await judged("broken", cases)
    cache, java = ToolchainCache(box=box, cache_dir=shelf / "kits", settings=SETTINGS), LANGUAGES["java"]
    assert await cache.build("java") == ""
    archive = await cache.get(java)
    assert isinstance(archive, Path)
    assert java.archive is not None

    reports = await judged("sum", cases), await judged("broken", cases)
    spec = compile_spec(java, HERE / "java", SETTINGS)
    assert spec is not None
    files = (FileIn("Main.java", HERE / "java" / "sum.java"), archive_file(java.archive, archive))
    env = (*spec.env, ("JAVA_TOOL_OPTIONS", "-Xlog:class+load"))
    loaded = await box.run(replace(spec, env=env, files_in=files, files_out=(), keep_stdout_bytes=1 << 20))

    for plain, report in zip(without, reports, strict=True):
        assert plain.compile is not None
        assert report.compile is not None
        assert (report.status, report.compile.output) == (plain.status, plain.compile.output)
        assert not report.compile.cached
    assert reports[0].status is Verdict.ACCEPTED
    assert b"com.sun.tools.javac.main.Main source: shared objects file (top)" in loaded.stdout


async def check_ordinary(judged: Judge, key: str, isolation: Isolation) -> None:
    modes = ordinary_modes(key, isolation) if key in MODES else {"ordinary": ""}
    if key in MODES:
        cases = [(f"{mode}\n", f"{said}done\n") for mode, said in modes.items()]
    else:
        said = (HERE / key / "ordinary.out").read_text().replace("@200000 x@", LARGE)
        cases = [("hello\n", said)]

    report = await judged("ordinary", cases, compare="exact")

    failed = {name: test for name, test in zip(modes, report.tests, strict=True) if test.status is not Verdict.ACCEPTED}
    assert not failed, report
    assert report.status is Verdict.ACCEPTED, report


async def test_an_ordinary_program_lives(box: LinuxBox, judged: Judge, key: str) -> None:
    await check_ordinary(judged, key, box.isolation)


def test_every_language_has_its_programs() -> None:
    folders = {path.name: {file.stem for file in path.iterdir()} for path in HERE.iterdir() if path.is_dir()}
    folders.pop("__pycache__", None)
    assert set(folders) == set(LANGUAGES)
    assert [key for key, files in folders.items() if not {"sum", "broken", "ordinary"} <= files] == []
