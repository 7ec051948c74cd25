"""What ordinary programs do lives in the box: threads, exceptions, growth, large output, sleep, regular expressions,
children, files, JIT compilers. Each program is compiled in the box as well, under the compilers' policy.

The languages that the judge does not know yet are here already: their runtimes are what a policy breaks first.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from deepoj.adapters.linux_box import LinuxBox
from deepoj.words import FileIn, FileOut, Policy, RunLimits, RunOutcome, RunSpec, RunVerdict
from tests.sandbox.bench import MIB, limits, open_box

SOURCES = Path(__file__).parent / "ordinary"
#: configuration of runtimes that stands outside /usr
MOUNTS = [path for path in ("/etc/mono", "/etc/fpc.cfg", "/etc/php") if Path(path).exists()]
ENV = (("PATH", "/usr/bin:/bin"), ("LC_ALL", "C.UTF-8"), ("TMPDIR", "/w"), ("HOME", "/w"))
LARGE = "x" * 200_000


@dataclass(frozen=True, kw_only=True)
class Ordinary:
    """One program: how it is made and run, and what it needs beside the defaults of a run."""

    source: str
    #: the command, and what it leaves
    compile: tuple[str, ...] = ()
    artifact: str = ""
    run: tuple[str, ...]
    memory_mib: int = 256
    #: the default of a run; a runtime with more threads says so
    processes: int = 20
    open_files: int = 64
    env: tuple[tuple[str, str], ...] = ()
    #: mode → what it prints before "done"; the one mode "" is a program without modes
    modes: dict[str, str] = field(default_factory=dict)

    @property
    def tool(self) -> str:
        return (self.compile or self.run)[0]


def native(source: str, standard: str, modes: dict[str, str]) -> Ordinary:
    tool = "/usr/bin/g++" if source.endswith("cpp") else "/usr/bin/gcc"
    command = (tool, "-O2", f"-std={standard}", "-pthread", "-o", "main", source, "-lm")
    return Ordinary(source=source, compile=command, artifact="main", run=("./main",), modes=modes)


def silent(*modes: str) -> dict[str, str]:
    return dict.fromkeys(modes, "")


SAID = {
    "cpp20": "coroutine 300000\nthreads 1\nranges 165 1 42 8\n",
    "cpp23": "expected 4 odd\noptional 5\ngrid 2 1 7\nyyyyy\n",
    "java": """\
hot 488037
threads 2054256 true
locks 4000
collected 200000
caught 1001
recursion 100000
sorted 0 499999547508
big 688423210
text 22bb ü
future 21
file kept
random 8 true
input hello
200000 true
""",
    "node": f"""\
input hello
hot 488037
threads 933429 1866858
collected 1000
caught 1001 5000
sorted 0 688423210
text 22bb 2 1,234,567
file kept 8
hash ca978112
child heard
atomics 0 timed-out
wasm 42
{LARGE}
""",
    "go": f"""\
input hello
hot 488037
goroutines 499500 1000
collected 181
caught true true
recursion 1000000
sorted 0 true 688423210
text 22bb
file kept 8
child heard <nil>
signal user defined signal 1
timer
{LARGE}
""",
    "rust": f"""\
input hello
hot 488037
threads 28 499500
maps 1000 19901400
growth 13107200
caught true true
recursion 200000
sorted 0 true
file kept
child heard
slept true
{LARGE}
""",
    "ruby": f"""\
input hello
hot 256782
threads 2800 45
caught 3 5000
sorted 0 688423210
text 22bb 0cc175b9
fiber 01 1
child heard false x
file kept 4 4 true
{LARGE}
""",
    "perl": f"""\
input hello
hot 256782
text 22bb 0 5050 2
caught dead
child heard 3 4
file 4
{LARGE}
""",
    "lua": f"""\
input hello
hot 256782
text 22bb 0
caught false false 10000
coroutine 12
file kept 0
child heard true
clock true true
{LARGE}
""",
    "php": f"""\
input hello
hot 256782
text 22bb 0 ["\\u00fc"]
caught 1000
generator 45
file kept 8 1
child heard
{LARGE}
""",
    "pascal": f"""\
input hello
hot 488037
threads 4000
caught dead
growth 3001000 100000
sorted ab
file TRUE TRUE
{LARGE}
""",
    "mono": f"""\
input hello
hot 488037
threads 20 7467432
caught 1000 5000
sorted 0 22bb
file kept 36
{LARGE}
""",
}

PYTHON_MODES = {
    **silent("numbers", "containers", "text", "recursion", "threads", "loop", "children", "pools", "executor"),
    **silent("files", "world", "hot"),
    "large_output": f"{LARGE}\n0,1,2\nab\nc\n",
}

PROGRAMS = {
    "c17": native(
        "c17.c",
        "gnu17",
        {
            **silent("growth", "sorting", "recursion", "mapped_file", "made_code", "memory_shared_by_name", "naps"),
            **silent("clocks", "alarms", "jumps", "overflow", "queued", "children", "semaphores", "sockets", "events"),
            **silent("threads", "files", "world"),
            "large_output": "x" * 262_144 + "\n",
        },
    ),
    "cpp17": native(
        "cpp17.cpp",
        "gnu++17",
        {
            **silent("exceptions", "threads", "futures", "text", "randomness", "sorting", "files", "time", "values"),
            "large_output": LARGE + "\n",
        },
    ),
    "cpp20": native("cpp20.cpp", "gnu++20", {"": SAID["cpp20"]}),
    "cpp23": native("cpp23.cpp", "gnu++23", {"": SAID["cpp23"]}),
    "python3": Ordinary(source="python3.py", run=("/usr/bin/python3", "python3.py"), modes=PYTHON_MODES),
    # PyPy makes its nursery as large as the CPU's cache says: 358 MB in all were seen where that is 300 MB
    "pypy3": Ordinary(source="python3.py", run=("/usr/bin/pypy3", "python3.py"), modes=PYTHON_MODES, memory_mib=512),
    "java": Ordinary(
        source="Main.java",
        compile=("/usr/bin/javac", "-encoding", "UTF-8", "Main.java"),
        artifact="Main.class",
        run=("/usr/bin/java", "-Xmx160m", "-Xss1m", "-XX:+UseSerialGC", "Main"),
        processes=64,
        modes={"": SAID["java"]},
    ),
    "node": Ordinary(source="main.js", run=("/usr/bin/node", "main.js"), processes=40, modes={"": SAID["node"]}),
    "go": Ordinary(
        source="main.go",
        compile=("/usr/bin/go", "build", "-p", "2", "-o", "main", "main.go"),
        artifact="main",
        run=("./main",),
        env=(("GOCACHE", "/w/cache"), ("GOFLAGS", "-mod=mod"), ("GO111MODULE", "off")),
        processes=40,
        modes={"": SAID["go"]},
    ),
    "rust": Ordinary(
        source="main.rs",
        compile=("/usr/bin/rustc", "-O", "-o", "main", "main.rs"),
        artifact="main",
        run=("./main",),
        modes={"": SAID["rust"]},
    ),
    # Ruby reserves its main stack by touching all of it, and a run's stack may be as large as its memory
    "ruby": Ordinary(
        source="main.rb",
        run=("/bin/sh", "-c", "ulimit -s 16384 && exec /usr/bin/ruby main.rb"),
        modes={"": SAID["ruby"]},
    ),
    "perl": Ordinary(source="main.pl", run=("/usr/bin/perl", "main.pl"), modes={"": SAID["perl"]}),
    "lua": Ordinary(source="main.lua", run=("/usr/bin/lua5.4", "main.lua"), modes={"": SAID["lua"]}),
    "php": Ordinary(source="main.php", run=("/usr/bin/php", "main.php"), modes={"": SAID["php"]}),
    "pascal": Ordinary(
        source="main.pas",
        compile=("/usr/bin/fpc", "-O2", "main.pas"),
        artifact="main",
        run=("./main",),
        modes={"": SAID["pascal"]},
    ),
    "mono": Ordinary(
        source="main.cs",
        compile=("/usr/bin/mcs", "-optimize", "main.cs"),
        artifact="main.exe",
        run=("/usr/bin/mono", "main.exe"),
        modes={"": SAID["mono"]},
    ),
}
ROWS = [(name, mode) for name, program in PROGRAMS.items() for mode in program.modes]


@pytest.fixture
async def box() -> AsyncIterator[LinuxBox]:
    """With what runtimes read outside /usr."""
    async with open_box(2, mounts=MOUNTS) as opened:
        yield opened


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where artifacts stand: the first test of a program compiles it for the others."""
    return tmp_path_factory.mktemp("ordinary")


async def artifact(box: LinuxBox, name: str, program: Ordinary, made: Path) -> Path:
    """The host's file that is run."""
    source, target = SOURCES / program.source, made / f"{name}-{program.artifact}"
    if not program.compile:
        return source
    if target.exists():
        return target
    compiled = await box.run(
        RunSpec(
            argv=program.compile,
            policy=Policy.COMPILE,
            env=(*ENV, *program.env),
            files_in=(FileIn(program.source, source),),
            files_out=(FileOut(program.artifact, target, 64 * MIB),),
            limits=limits(
                cpu_ms=180_000,
                wall_ms=300_000,
                memory_bytes=1024 * MIB,
                processes=64,
                scratch_bytes=512 * MIB,
                open_files=256,
            ),
        )
    )
    assert (compiled.verdict, compiled.files_out) == (RunVerdict.OK, (program.artifact,)), words_of(compiled)
    return target


def run_limits(program: Ordinary) -> RunLimits:
    return limits(
        cpu_ms=60_000,
        wall_ms=120_000,
        memory_bytes=program.memory_mib * MIB,
        processes=program.processes,
        open_files=program.open_files,
    )


def words_of(outcome: RunOutcome) -> str:
    """What a person needs when a row fails."""
    figures = f"{outcome.verdict} {outcome.rule} exit {outcome.exit_code} signal {outcome.exit_signal}"
    return f"{figures} {outcome.memory_kb} kB\n{outcome.stdout[-1000:].decode()}\n{outcome.stderr[-2000:].decode()}"


@pytest.mark.parametrize(("name", "mode"), ROWS, ids=[f"{name}-{mode}" if mode else name for name, mode in ROWS])
async def test_an_ordinary_program_lives(box: LinuxBox, made: Path, tmp_path: Path, name: str, mode: str) -> None:
    program = PROGRAMS[name]
    assert shutil.which(program.tool), f"{program.tool} is missing: see tests/apt-packages.txt"
    main = await artifact(box, name, program, made)
    (tmp_path / "in").write_text("hello\n")

    outcome = await box.run(
        RunSpec(
            argv=(*program.run, mode) if mode else program.run,
            env=(*ENV, *program.env),
            stdin=tmp_path / "in",
            files_in=(FileIn(program.artifact or program.source, main, executable=bool(program.artifact)),),
            limits=run_limits(program),
            keep_stdout_bytes=MIB,
        )
    )

    assert outcome.verdict is RunVerdict.OK, words_of(outcome)
    assert outcome.stdout.decode() == program.modes[mode] + "done\n"
    assert outcome.stderr == b""
