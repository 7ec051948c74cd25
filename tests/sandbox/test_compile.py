"""Compilers in the box: an honest program comes out, a hostile source ends in bounded time."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from deepoj.words.sandbox import FileIn, FileOut, Policy, RunOutcome, RunSpec, RunVerdict
from tests.sandbox.bench import MIB, Bench, limits

ENV = (("PATH", "/usr/bin:/bin"), ("LC_ALL", "C"), ("TMPDIR", "."))


async def compile_in(bench: Bench, directory: Path, source: str, *, cpu_ms: int = 30_000) -> RunOutcome:
    (directory / "main.cpp").write_text(source)
    return await bench.box.run(
        RunSpec(
            argv=("/usr/bin/g++", "-O2", "-std=gnu++17", "-o", "main", "main.cpp"),
            policy=Policy.COMPILE,
            env=ENV,
            files_in=(FileIn("main.cpp", directory / "main.cpp"),),
            files_out=(FileOut("main", directory / "program", 16 * MIB),),
            limits=limits(
                cpu_ms=cpu_ms,
                wall_ms=120_000,
                memory_bytes=1024 * MIB,
                output_bytes=4 * MIB,
                processes=64,
                scratch_bytes=128 * MIB,
            ),
        )
    )


async def test_a_program_is_compiled_and_runs(bench: Bench, tmp_path: Path) -> None:
    source = '#include <iostream>\nint main() { int a, b; std::cin >> a >> b; std::cout << a + b << "\\n"; }\n'
    compiled = await compile_in(bench, tmp_path, source)

    assert (compiled.verdict, compiled.files_out, compiled.stderr) == (RunVerdict.OK, ("main",), b"")

    (tmp_path / "in").write_text("1 2\n")
    outcome = await bench.box.run(
        RunSpec(
            argv=("./main",),
            limits=limits(),
            stdin=tmp_path / "in",
            files_in=(FileIn("main", tmp_path / "program", executable=True),),
        )
    )
    assert (outcome.verdict, outcome.stdout) == (RunVerdict.OK, b"3\n")


async def test_a_broken_source_gets_the_compilers_words(bench: Bench, tmp_path: Path) -> None:
    outcome = await compile_in(bench, tmp_path, "int main() { return x; }\n")

    assert (outcome.verdict, outcome.exit_code, outcome.files_out) == (RunVerdict.RE, 1, ())
    assert b"main.cpp:1:" in outcome.stderr


@pytest.mark.parametrize(
    "source",
    [
        '#include "/dev/random"\nint main() {}\n',
        '#include "/dev/zero"\nint main() {}\n',
        "template <int N> struct A { typename A<N + 1>::T x; typename A<N + 2>::T y; };\nA<0> a;\nint main() {}\n",
        "template <class T> int f(T t) { return f(&t) + f(&t); }\nint main() { return f(0); }\n",
        '#include "/etc/shadow"\nint main() {}\n',
        "#define A(x) x x x x x x x x x x\n#define B(x) A(A(A(A(x))))\nint main() { B(B(B(B(B(B(1;)))))) }\n",
    ],
    ids=["random", "zero", "templates", "recursion", "shadow", "macros"],
)
async def test_a_hostile_source_ends(bench: Bench, tmp_path: Path, source: str) -> None:
    outcome = await compile_in(bench, tmp_path, source, cpu_ms=2000)

    assert outcome.verdict in (RunVerdict.RE, RunVerdict.TLE, RunVerdict.MLE, RunVerdict.OLE)
    assert outcome.files_out == ()
    assert (await bench.run("ok")).verdict is RunVerdict.OK


async def test_running_is_allowed_less_than_compiling(bench: Bench) -> None:
    """What compilers do to files: a link, here."""
    assert (await bench.run("link_file", "made", "/p/main", policy=Policy.COMPILE)).exit_code == 0
    assert (await bench.run("link_file", "made", "/p/main", policy=Policy.RUN)).exit_code == 1


async def slot_waits(bench: Bench, *argv: str) -> int:
    """Return how often the slot of a compilation waited. It does so once for each sample."""
    slots = psutil.Process(bench.box.launcher_pid).children()
    before = {slot.pid: int(slot.num_ctx_switches().voluntary) for slot in slots}
    # so much that all cores together could not touch it between two samples
    lim = limits(memory_bytes=(os.cpu_count() or 1) * 256 * MIB)
    outcome = await bench.box.run(RunSpec(argv=argv, policy=Policy.COMPILE, env=ENV, limits=lim))
    assert outcome.verdict is RunVerdict.OK
    return max(int(slot.num_ctx_switches().voluntary) - before[slot.pid] for slot in slots)


async def test_several_processes_of_a_compiler_far_below_the_memory_limit_are_sampled_as_rarely_as_one(
    bench: Bench,
) -> None:
    """A sample each millisecond took a fifth of the CPU time of a small compilation."""
    one = await slot_waits(bench, "/usr/bin/sleep", "2")
    assert await slot_waits(bench, "/bin/sh", "-c", "sleep 2; :") < 2 * one + 60
