"""Compilation in a scripted box: its runs, and the results of their outcomes."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import trio
import trio.testing

from deepoj.execution.compiling import Compiled, Compiler, on_sources
from deepoj.execution.deferred import DeferredWork
from deepoj.execution.header_cache import MOST_KEPT, MOST_SETS, WANTED, HeaderBuild, HeaderCache, order
from deepoj.execution.toolchain_cache import ToolchainCache
from deepoj.judging import borderline
from deepoj.judging.exec_rules import JudgeSettings
from deepoj.judging.headers import first_includes, is_lean, leaving_out, precompile_argv
from deepoj.judging.languages import LANGUAGES, Toolchain
from deepoj.observe import Metrics
from deepoj.words.results import CompileResult, Infra
from deepoj.words.sandbox import FileIn, Isolation, Policy, RunLimits, RunOutcome, RunSpec, RunVerdict
from tests.fakes.box import ScriptedBox, outcome
from tests.fakes.settings import judge_settings

LIMITS = RunLimits(cpu_ms=1, wall_ms=2, memory_bytes=3, output_bytes=4)


class Bench:
    def __init__(self, tmp_path: Path, metrics: Metrics) -> None:
        self.box = ScriptedBox()
        self.into = tmp_path / "attempt"
        self.into.mkdir()
        settings = judge_settings()
        toolchain_cache = ToolchainCache(box=self.box, cache_dir=tmp_path / "kits", settings=settings)
        self.compiler = Compiler(self.box, settings=settings, metrics=metrics, toolchain_cache=toolchain_cache)
        self._tmp_path = tmp_path

    def sources(self, **texts: str) -> list[FileIn]:
        """``a_cpp="…"`` is a source ``a.cpp``."""
        found = []
        for key, text in texts.items():
            name = key.replace("_", ".")
            (self._tmp_path / name).write_text(text)
            found.append(FileIn(name, self._tmp_path / name))
        return found


@pytest.fixture
def bench(tmp_path: Path, metrics: Metrics) -> Bench:
    return Bench(tmp_path, metrics)


async def test_several_sources_keep_their_names(bench: Bench) -> None:
    sources = bench.sources(b_cpp="int f();", testlib_h="#pragma once", a_cpp="int main(){}")
    made = await bench.compiler.compile(LANGUAGES["cpp20"], sources, "b.cpp", into=bench.into, limits=LIMITS)
    assert isinstance(made, Compiled)
    (spec,) = bench.box.runs(Policy.COMPILE)
    assert spec.argv[-4:] == ("-o", "main", "b.cpp", "a.cpp")
    assert [file.name for file in spec.files_in] == ["b.cpp", "testlib.h", "a.cpp"]
    assert spec.limits == LIMITS
    assert made.executable is not None
    assert made.executable.argv == ("/p/main",)
    (program,) = made.executable.files_in
    assert program == FileIn("main", bench.into / "main", executable=True, program=True)
    assert program.path.exists()


async def test_an_interpreted_program_brings_all_its_files(bench: Bench) -> None:
    sources = bench.sources(util_py="x = 1", solve_py="import util")
    made = await bench.compiler.compile(LANGUAGES["python3"], sources, "solve.py", into=bench.into)
    assert isinstance(made, Compiled)
    assert made.executable is not None
    assert made.executable.argv[-1] == "/p/solve.py"
    assert [(file.name, file.program) for file in made.executable.files_in] == [
        *(("util.py", True), ("solve.py", True)),
        # Bash, Lua and Perl look for them in the working directory
        *(("util.py", False), ("solve.py", False)),
    ]
    (spec,) = bench.box.runs(Policy.COMPILE)
    assert spec.argv[-2:] == ("solve.py", "util.py")


@pytest.mark.parametrize("entry", [None, "c.cpp"])
async def test_an_entry_point_that_is_no_source(bench: Bench, entry: str | None) -> None:
    with pytest.raises(ValueError, match="entry point"):
        await bench.compiler.compile(LANGUAGES["cpp20"], bench.sources(a_cpp="", b_cpp=""), entry, into=bench.into)


async def test_the_compilers_words(bench: Bench) -> None:
    bench.box.on(Policy.COMPILE, b"broken", outcome(RunVerdict.RE, exit_code=1, stderr=b"main.cpp:1: error: no"))
    made = await bench.compiler.compile(LANGUAGES["cpp17"], bench.sources(main_cpp="broken"), into=bench.into)
    assert isinstance(made, Compiled)
    assert made.result == CompileResult(ok=False, time_ms=1, output="main.cpp:1: error: no")
    assert made.executable is None
    assert made.reason["why"] == "exit"


async def test_a_compiler_that_could_not_run_is_ours(bench: Bench) -> None:
    bench.box.on(Policy.COMPILE, b"main", outcome(RunVerdict.SE))
    made = await bench.compiler.compile(LANGUAGES["cpp17"], bench.sources(main_cpp="int main"), into=bench.into)
    assert isinstance(made, Infra)


# ---------------------------------------------------------------------------------------------------------------------
# The compile cache


def counted(metrics: Metrics, counter: str, result: str) -> float:
    """Return how often a counter with the label ``result`` counted this one."""
    for family in metrics.registry.collect():
        for sample in family.samples:
            if sample.name == counter and sample.labels["result"] == result:
                return sample.value
    return 0.0


class Shelf:
    """``ports.CompileCache`` in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[CompileResult, dict[str, bytes]]] = {}
        #: until it is set, ``keep`` waits
        self.gate: trio.Event | None = None

    def has(self, key: str) -> bool:
        return key in self.kept

    async def take(self, key: str, into: Path) -> CompileResult | None:
        await trio.lowlevel.checkpoint()
        if key not in self.kept:
            return None
        result, files = self.kept[key]
        for name, data in files.items():
            (into / name).write_bytes(data)
        return result

    async def keep(self, key: str, result: CompileResult, files: Sequence[Path]) -> None:
        await trio.lowlevel.checkpoint()
        if self.gate is not None:
            await self.gate.wait()
        self.kept[key] = result, {path.name: path.read_bytes() for path in files}


class Keeping(Bench):
    def __init__(self, tmp_path: Path, metrics: Metrics) -> None:
        super().__init__(tmp_path, metrics)
        self.shelf, self.tool = Shelf(), tmp_path / "compiler"
        self.tool.write_text("#!/bin/sh\n")
        self.mold = tmp_path / "ld.mold"
        tools = Toolchain(gxx=str(self.tool), python3=str(self.tool), mold=str(self.mold))
        self.settings = judge_settings(toolchain=tools)
        self.metrics = metrics

    def install_mold(self, version: str) -> None:
        self.mold.write_text(f"#!/bin/sh\n# {version}\n")
        self.mold.chmod(0o755)

    def compiler_with(self, settings: JudgeSettings | None = None) -> Compiler:
        return Compiler(self.box, settings=settings or self.settings, metrics=self.metrics, cache=self.shelf)

    def compiler_with_headers(self, *, is_lean: bool = True) -> Compiler:
        directory = self.tool.with_name("headers")
        directory.mkdir(exist_ok=True)
        headers = HeaderCache(self.box, directory, metrics=self.metrics)
        settings = replace(self.settings, toolchain=replace(self.settings.toolchain, lean_headers=is_lean))
        return Compiler(self.box, settings=settings, metrics=self.metrics, cache=self.shelf, headers=headers)

    async def compile(self, key: str = "cpp17", *, compiler: Compiler | None = None, **texts: str) -> Compiled | Infra:
        compiler = compiler or self.compiler_with()
        for path in self.into.iterdir():
            path.unlink()
        sources = self.sources(**(texts or {"main_cpp": "int main(){}"}))
        return await compiler.compile(LANGUAGES[key], sources, sources[0].name, into=self.into)

    @property
    def compilations(self) -> int:
        return len(self.box.runs(Policy.COMPILE))

    def counted(self, result: str) -> float:
        return counted(self.metrics, "worker_compile_cache_total", result)


@pytest.fixture
def keeping(tmp_path: Path, metrics: Metrics) -> Keeping:
    return Keeping(tmp_path, metrics)


async def test_the_same_is_compiled_once(keeping: Keeping) -> None:
    first, second = await keeping.compile(), await keeping.compile()
    assert isinstance(first, Compiled)
    assert isinstance(second, Compiled)
    assert first.result == CompileResult(ok=True, time_ms=200, output="")
    assert second.result == CompileResult(ok=True, time_ms=200, output="", cached=True)
    assert second.executable == first.executable
    assert (keeping.into / "main").read_bytes() == b"int main(){}"
    assert (first.wall_ms, second.wall_ms, second.isolation) == (250, 0, None)
    assert keeping.compilations == 1
    assert (keeping.counted("miss"), keeping.counted("hit")) == (1, 1)


@pytest.mark.parametrize(
    "words",
    [
        "main.cpp:1: error: no",
        "main.cpp:1:10: fatal error: x.h: No such file or directory\ncompilation terminated.",
        "/usr/bin/ld: main.o: undefined reference to `f()'\ncollect2: error: ld returned 1 exit status",
    ],
)
async def test_a_refusal_is_kept_with_its_words(keeping: Keeping, words: str) -> None:
    keeping.box.on(Policy.COMPILE, b"broken", outcome(RunVerdict.RE, exit_code=1, stderr=words.encode()))
    first, second = [await keeping.compile(main_cpp="broken") for _ in range(2)]
    assert isinstance(first, Compiled)
    assert isinstance(second, Compiled)
    assert second.result == CompileResult(ok=False, time_ms=1, output=words, cached=True)
    assert second.executable is None
    assert second.reason == first.reason
    assert keeping.compilations == 1


@pytest.mark.parametrize(
    "ended",
    [
        outcome(RunVerdict.TLE, cpu_ms=10_001),
        outcome(RunVerdict.MLE),
        outcome(RunVerdict.OLE),
        outcome(RunVerdict.SE),
        outcome(RunVerdict.RE, exit_signal=11),
        outcome(RunVerdict.RE, exit_code=1, stderr=b"cc1plus: out of memory allocating 65536 bytes"),
        outcome(RunVerdict.RE, exit_code=1, stderr=b"main.s: No space left on device"),
        outcome(RunVerdict.RE, exit_code=1, stderr=b"g++: error: fork: Resource temporarily unavailable"),
        outcome(RunVerdict.RE, exit_code=1, stderr=b"main.cpp:1: internal compiler error: in x, at y.c:3"),
        outcome(RunVerdict.RE, exit_code=1, stderr=b"g++: fatal error: Killed signal terminated program cc1plus"),
        outcome(files_out=()),
    ],
    ids=["time", "memory", "output", "ours", "signal", "host-memory", "disk", "processes", "bug", "killed", "nothing"],
)
async def test_compilation_that_might_end_otherwise_is_not_kept(keeping: Keeping, ended: RunOutcome) -> None:
    keeping.box.on(Policy.COMPILE, b"int", ended)
    for _ in range(2):
        found = await keeping.compile()
        assert isinstance(found, Infra) or (found.result is not None and not found.result.ok)
    assert keeping.compilations == 2
    assert keeping.shelf.kept == {}


async def test_all_that_goes_in_is_in_the_key(keeping: Keeping) -> None:
    """A program made by another compiler, command, limit or source is never taken from the cache."""
    default = keeping.settings
    await keeping.compile()
    await keeping.compile("cpp20")
    await keeping.compile(main_cpp="int main(){ }")
    await keeping.compile(other_cpp="int main(){}")
    await keeping.compile(main_cpp="int main(){}", util_h="")
    await keeping.compile(main_cpp="int main(){}", util_h="//")
    await keeping.compile(compiler=keeping.compiler_with(replace(default, compile_cpu_ms=1)))
    await keeping.compile(compiler=keeping.compiler_with(replace(default, compile_output_kept=1)))
    await keeping.compile(
        compiler=keeping.compiler_with(replace(default, toolchain=replace(default.toolchain, max_errors=1)))
    )
    keeping.box._isolation = Isolation.FULL
    await keeping.compile()
    keeping.tool.write_text("#!/bin/true\n")
    await keeping.compile()
    for version in "12":
        keeping.install_mold(version)
        await keeping.compile()
    assert keeping.compilations == len(keeping.shelf.kept) == 13


@pytest.mark.parametrize(
    ("said", "linked_by"),
    [
        (outcome(), ["mold"]),
        (outcome(stderr=b"main.cpp:1: warning: unused"), ["mold"]),
        (outcome(RunVerdict.RE, exit_code=1, stderr=b"main.cpp:1: error: no"), ["mold"]),
        (outcome(RunVerdict.TLE), ["mold"]),
        (outcome(stderr=b"mold: warning: odd"), ["mold", "ld"]),
        (outcome(RunVerdict.RE, exit_code=1, stderr=b"collect2: error: ld returned 1 exit status"), ["mold", "ld"]),
        (outcome(RunVerdict.RE, exit_code=1, stderr=b"g++: error: unknown '-fuse-ld=mold'"), ["mold", "ld"]),
    ],
)
async def test_source_is_linked_again_by_ld_if_mold_spoke(
    keeping: Keeping, said: RunOutcome, linked_by: list[str]
) -> None:
    keeping.install_mold("1")
    keeping.box.on(
        Policy.COMPILE, b"int", lambda spec, _stdin: said if "-fuse-ld=mold" in spec.argv else outcome(stderr=b"of ld")
    )
    compiled = await keeping.compile()
    specs = keeping.box.runs(Policy.COMPILE)
    assert ["mold" if "-fuse-ld=mold" in spec.argv else "ld" for spec in specs] == linked_by
    assert isinstance(compiled, Compiled)
    assert compiled.result is not None
    assert (compiled.result.output == "of ld") == (linked_by[-1] == "ld")


@pytest.mark.parametrize("key", ["python3", "rust", "c17"])
async def test_only_what_gcc_compiles_is_linked_by_mold(keeping: Keeping, key: str) -> None:
    keeping.install_mold("1")
    await keeping.compile(key)
    (spec,) = keeping.box.runs(Policy.COMPILE)
    assert ("-fuse-ld=mold" in spec.argv) == (key == "c17")


async def test_sources_cannot_be_cut_another_way(keeping: Keeping) -> None:
    """File sets whose concatenated names and contents are equal have different keys."""
    await keeping.compile(a_cpp="int x;", ab_cpp="")
    await keeping.compile(a_cpp="int x;a", b_cpp="")
    assert len(keeping.shelf.kept) == 2


async def test_same_sources_during_a_compilation_wait_for_its_result(keeping: Keeping, autojump_clock: object) -> None:
    compiler = keeping.compiler_with()
    keeping.box.hold()
    found: list[Compiled | Infra] = []
    sources = keeping.sources(main_cpp="int main(){}")

    async def compile_into(name: str) -> None:
        into = keeping.into / name
        into.mkdir()
        found.append(await compiler.compile(LANGUAGES["cpp17"], sources, into=into))
        assert (into / "main").exists()

    async with trio.open_nursery() as nursery:
        for name in "abc":
            nursery.start_soon(compile_into, name)
        await keeping.box.wait_running(1)
        await trio.testing.wait_all_tasks_blocked(0.5)
        keeping.box.release()
    assert keeping.compilations == 1
    assert (keeping.counted("miss"), keeping.counted("joined")) == (1, 2)


async def test_same_sources_while_a_result_is_being_kept_wait_for_it(keeping: Keeping, autojump_clock: object) -> None:
    compiler, sources = keeping.compiler_with(), keeping.sources(main_cpp="int main(){}")
    places = [keeping.into / name for name in "ab"]
    for place in places:
        place.mkdir()
    keeping.shelf.gate = trio.Event()

    async def compile_again() -> None:
        await compiler.compile(LANGUAGES["cpp17"], sources, into=places[1])

    async with trio.open_nursery() as nursery:
        deferred = DeferredWork(nursery.start_soon)
        await compiler.compile(LANGUAGES["cpp17"], sources, into=places[0], deferred=deferred)
        assert not keeping.shelf.kept  # the program is usable before it is kept
        nursery.start_soon(compile_again)
        await trio.testing.wait_all_tasks_blocked(0.5)
        keeping.shelf.gate.set()
    assert (places[1] / "main").exists()
    assert keeping.compilations == 1
    assert (keeping.counted("miss"), keeping.counted("joined")) == (1, 1)


@pytest.mark.parametrize(("length", "in_thread"), [(2, False), (200_000, True)])
async def test_long_sources_are_hashed_in_a_thread(bench: Bench, length: int, *, in_thread: bool) -> None:
    thread = await on_sources(bench.sources(a_cpp=" " * length, b_cpp=""), threading.get_ident)
    assert (thread != threading.get_ident()) is in_thread


async def test_waiting_compilation_starts_when_the_first_is_cancelled(keeping: Keeping, autojump_clock: object) -> None:
    compiler = keeping.compiler_with()
    keeping.box.hold()
    sources = keeping.sources(main_cpp="int main(){}")
    found: list[Compiled | Infra] = []

    async def compile_it() -> None:
        found.append(await compiler.compile(LANGUAGES["cpp17"], sources, into=keeping.into))

    scope = trio.CancelScope()

    async def first() -> None:
        with scope:
            await compile_it()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(first)
        await keeping.box.wait_running(1)
        nursery.start_soon(compile_it)
        await trio.testing.wait_all_tasks_blocked(0.5)
        scope.cancel()
        await trio.testing.wait_all_tasks_blocked(0.5)
        await keeping.box.wait_running(1)
        keeping.box.release()
    assert len(found) == 1
    assert keeping.compilations == 2


async def test_a_compiler_that_is_not_there_is_asked_all_the_same(keeping: Keeping) -> None:
    keeping.tool.unlink()
    await keeping.compile()
    assert keeping.compilations == 1
    assert keeping.shelf.kept == {}


# ---------------------------------------------------------------------------------------------------------------------
# Precompiled headers


@pytest.mark.parametrize(
    ("source", "headers"),
    [
        ("#include <bits/stdc++.h>\nint main(){}", "bits/stdc++.h"),
        ("#include<iostream>", "iostream"),
        (" \t# \tinclude \t<iostream> \t\r\n", "iostream"),
        ("\ufeff#include <iostream>\n", "iostream"),
        ("// a\n/* b\n * c **/ /**/\n\n#include <iostream>\r\n#include <vector>", "iostream vector"),
        ("// a\r\n#include <iostream>\n", "iostream"),
        ("#include <vector>\n// x\n\n#include <iostream>\nint x;\n#include <map>\n", "vector iostream"),
        ("#include <map>\n#include <set>\n#include <map>\n#include <ios>\n", "map set ios"),
        ("#include <map>\n\ufeff#include <set>\n", "map"),
        ('#include <map>\n#pragma GCC optimize("O3")\n#include <set>\n', "map"),
        ('#include <map>\n#include "set"\n#include <queue>\n', "map"),
        ("#include <map>\n#include <other.h>\n#include <queue>\n", "map"),
        ("#include <bits/stdc++.h>\n#include <map>\n#include <ext/rope>\n", "bits/stdc++.h ext/rope"),
        ("#include <map>\n#include <bits/stdc++.h>\n#include <set>\n", "map bits/stdc++.h"),
        ('#include "iostream"\n', ""),
        ("#include <other.h>\n#include <iostream>\n", ""),
        ("#include <iostream> // x\n", ""),
        ("#include <iostream> x\n", ""),
        ("#include <iostream>\\\n\n", ""),
        ("#include_next <iostream>\n", ""),
        ("#import <iostream>\n", ""),
        ("#define X\n#include <iostream>\n", ""),
        ('#pragma GCC optimize("O3")\n#include <iostream>\n', ""),
        ("// a \\\n#include <iostream>\n", ""),
        ("// a \\ b\n#include <iostream>\n", ""),
        ("/* a *\\\n/ int x; /* */\n#include <iostream>\n", ""),
        ("/* a /* */ */\n#include <iostream>\n", ""),
        ("/* a\n#include <iostream>\n", ""),
        ("// a\r#include <iostream>\n", ""),
        ("\r#include <iostream>\n", ""),
        (";\n#include <iostream>\n", ""),
        ("#\n#include <iostream>\n", ""),
        ("%:include <iostream>\n", ""),
        ("", ""),
    ],
)
def test_which_headers_a_source_begins_with(source: str, headers: str) -> None:
    assert first_includes(source.encode()) == tuple(headers.split())


@pytest.mark.parametrize("begins", ["/*", "//\n", "/**/", "\n", "#", "#include <map>\n", "#include <map>\n//\n"])
def test_a_long_beginning_costs_little(begins: str) -> None:
    assert len(first_includes((begins * 100_000 + "x").encode())) == ("map" in begins)


@pytest.mark.parametrize(
    ("source", "lean"),
    [
        ("#include <bits/stdc++.h>\nint asynch, path, include_all;", True),
        ("#include <bits/stdc++.h>\n#include <ext/rope>\n#define LINE a \\\nb", True),
        ("#include <iostream>\n", False),
        ("#include <map>\n#include <bits/stdc++.h>\n", False),
        ("#include <bits/stdc++.h>\n#include <vector>\n", False),
        ("#include <bits/stdc++.h>\nint x;\n#include <ext/rope>", False),
        ('#include <bits/stdc++.h>\nint x;\n#include "other"', False),
        ("#include <bits/stdc++.h>\n%:import HEADER", False),
        ("#include <bits/stdc++.h>\nusing std::promise;", False),
        ("#include <bits/stdc++.h>\nauto x = std::fut\\\nure<int>();", False),
        ("#include <bits/stdc++.h>\nauto x = std::fut\\ \t\r\nure<int>();", False),
        ("#include <bits/stdc++.h>\nauto x = std::fut\\\f\v\0\nure<int>();", False),
        ("#include <bits/stdc++.h>\nauto x = std::filesyste\\u006d::path();", False),
        ("#include <bits/stdc++.h>\nauto x = std::filesyste\\U0000006d::path();", False),
        ("#include <bits/stdc++.h>\nauto x = std::filesyste\\N{LATIN SMALL LETTER M}::path();", False),
        ("#include <bits/stdc++.h>\n#include_next HEADER", False),
        ("#include <bits/stdc++.h>\n#define PASTE(a, b) a ## b", False),
        ("#include <bits/stdc++.h>\n%:define PASTE(a, b) a %:%: b", False),
        ("#include <bits/stdc++.h>\n#ifdef __cpp_lib_filesystem", False),
        ("#include <bits/stdc++.h>\n#ifdef _GLIBCXX_FUTURE", False),
        ("#include <bits/stdc++.h>\nint __CONCAT(fut, ure);", False),
        ('#include <bits/stdc++.h>\n# 2 "main.cpp" 3', False),
        ("#include <bits/stdc++.h>\nusing namespace std;\nusing namespace std::chrono ;", True),
        ("#include <bits/stdc++.h>\nnamespace std { template <class T> void swap(T &, T &); }", False),
        ("#include <bits/stdc++.h>\nusing namespace std;\nnamespace std { void f(); }", False),
        ("#include <bits/stdc++.h>\nnamespace std::chrono namespace std ; namespace  std", False),
        ("#include <bits/stdc++.h>\nauto t = std::chrono::file_clock::now();", False),
        ("#include <bits/stdc++.h>\nauto e = make_error_code(x);", False),
    ],
)
def test_which_sources_are_lean(source: str, *, lean: bool) -> None:
    assert is_lean(source.encode()) == lean


@pytest.mark.parametrize("end", ["", ";", "{"])
@pytest.mark.parametrize("piece", ["namespace std ", "namespace std::", "namespace\n", "# ", "\\ ", "/*"])
def test_a_source_is_looked_at_once_however_it_repeats(piece: str, end: str) -> None:
    """2 MiB: a look from each piece to the end would last for minutes."""
    source = "#include <bits/stdc++.h>\n" + piece * (2**21 // len(piece)) + end
    assert is_lean(source.encode()) == (end == ";" or "std" not in piece)


MOLD, LEAN = "-fuse-ld=mold", leaving_out(("g++",))[1]
BITS = "#include <bits/stdc++.h>\nint main(){}"


@pytest.mark.parametrize("has_mold", [False, True])
@pytest.mark.parametrize(
    ("first_outcome", "commands"),
    [
        (outcome(), ["lean"]),
        (outcome(RunVerdict.TLE), ["lean"]),
        (outcome(stderr=b"main.cpp:1: warning: unused"), ["lean", "plain"]),
        (outcome(RunVerdict.RE, exit_code=1, stderr=b"main.cpp:1: error: no"), ["lean", "plain"]),
    ],
)
async def test_lean_source_is_compiled_by_the_plain_command_if_the_compiler_prints_something(
    keeping: Keeping, first_outcome: RunOutcome, commands: list[str], *, has_mold: bool
) -> None:
    if has_mold:
        keeping.install_mold("1")

    def compile_it(spec: RunSpec, _stdin: bytes) -> RunOutcome:
        return first_outcome if LEAN in spec.argv else outcome(stderr=b"of the plain command")

    keeping.box.on(Policy.COMPILE, b"int", compile_it)
    compiled = await keeping.compile(compiler=keeping.compiler_with_headers(), main_cpp=BITS)
    runs = keeping.box.runs(Policy.COMPILE)
    assert ["lean" if LEAN in spec.argv else "plain" for spec in runs] == commands
    assert [MOLD in spec.argv for spec in runs] == [has_mold] * len(commands)
    assert isinstance(compiled, Compiled)
    assert compiled.result is not None
    assert (compiled.result.output == "of the plain command") == (commands[-1] == "plain")


async def test_lean_source_stays_lean_if_only_the_linker_is_in_doubt(keeping: Keeping) -> None:
    keeping.install_mold("1")

    def link_half(spec: RunSpec, _stdin: bytes) -> RunOutcome:
        [program] = spec.files_out
        program.path.write_bytes(b"\x7fELF")
        return outcome()

    keeping.box.on(Policy.COMPILE, b"int", link_half)
    await keeping.compile(compiler=keeping.compiler_with_headers(), main_cpp=BITS)
    assert [(LEAN in spec.argv, MOLD in spec.argv) for spec in keeping.box.runs(Policy.COMPILE)] == [
        (True, True), (True, False),
    ]  # fmt: skip


async def test_only_lone_submissions_are_lean_where_the_operator_wants_it(keeping: Keeping) -> None:
    await keeping.compile(main_cpp=BITS)
    await keeping.compile(compiler=keeping.compiler_with_headers(is_lean=False), main_cpp=BITS)
    compiler = keeping.compiler_with_headers()
    await keeping.compile(compiler=compiler, main_cpp=BITS, other_cpp="int x;")
    await keeping.compile(compiler=compiler, main_cpp="#include <iostream>\nint main(){}")
    await keeping.compile("c17", compiler=compiler, main_c=BITS)
    assert not any(LEAN in spec.argv for spec in keeping.box.runs(Policy.COMPILE))
    another = keeping.compiler_with_headers()
    await keeping.compile(compiler=another, main_cpp=BITS)
    assert LEAN in keeping.box.runs(Policy.COMPILE)[-1].argv
    assert another._headers is not None
    assert LEAN in (await another._headers.next()).compile_argv, "the header is precompiled for this command"


def test_the_command_that_precompiles() -> None:
    argv = ("/usr/bin/g++", "-O2", "-std=gnu++17", "-pipe", "-DX", "-o", "main", "main.cpp", "-lm")
    assert precompile_argv(argv, ("main.cpp",)) == (
        "/usr/bin/g++", "-O2", "-std=gnu++17", "-pipe", "-DX", "-x", "c++-header", "header.h", "-o", "header.h.gch",
    )  # fmt: skip


class Headers:
    """A header cache whose compiler uses each precompiled header, and the compilations that could use it."""

    def __init__(self, tmp_path: Path, metrics: Metrics) -> None:
        self.directory = tmp_path / "headers"
        self.directory.mkdir()
        self.box = ScriptedBox()
        self.box.on(Policy.COMPILE, b"", self._compile)
        self.cache = HeaderCache(self.box, self.directory, metrics=metrics)

    def _compile(self, spec: RunSpec, _stdin: bytes) -> RunOutcome:
        words = spec.argv
        at = words.index("-I") + 1 if "-H" in words else 0
        return outcome(stderr=f"! {words[at]}/vector.gch\n".encode() if at else b"")

    def sets(self, *headers: str) -> list[HeaderBuild]:
        spec = RunSpec(argv=("/g++", "-o", "main", "main.cpp"), limits=LIMITS)
        return [order(headers[:count], spec, "main.cpp", "main", 1) for count in range(len(headers), 0, -1)]

    async def build(self, *headers: str) -> str:
        request = self.sets(*headers)[0]
        assert await self.cache.build(request)
        return f"/h/{request.key}"


@pytest.fixture
def headers(tmp_path: Path, metrics: Metrics) -> Headers:
    return Headers(tmp_path, metrics)


async def test_header_set_is_ordered_after_enough_sources(headers: Headers) -> None:
    for _ in range(WANTED):
        assert not headers.cache._orders
        headers.cache.want(headers.sets("vector", "map"))
    assert headers.cache.directory(headers.sets("vector", "map")) is None
    assert (await headers.cache.next()).headers == ("vector", "map")


async def test_largest_built_header_set_is_used(headers: Headers) -> None:
    one, two = await headers.build("vector"), await headers.build("vector", "map")
    for count, directory in ((1, one), (2, two), (3, two)):
        assert headers.cache.directory(headers.sets(*("vector", "map", "set")[:count])) == directory
    assert headers.cache.directory(headers.sets("map", "vector")) is None


async def test_header_set_used_longest_ago_makes_room(headers: Headers) -> None:
    names = [("vector", f"{number}") for number in range(MOST_SETS)]
    for each in names:
        await headers.build(*each)
    headers.cache.directory(headers.sets(*names[0]))
    await headers.build("vector", "map")
    built = [headers.cache.directory(headers.sets(*each)) is not None for each in names]
    assert built == [True, False, *[True] * (MOST_SETS - 2)]


async def test_header_sets_on_the_disk_are_bounded(headers: Headers) -> None:
    for number in range(MOST_KEPT + 5):
        (headers.directory / f"{number}").mkdir()
        os.utime(headers.directory / f"{number}", (time.time() - 100 + number,) * 2)
    await headers.build("vector")
    await headers.build("vector", "map")
    left = {path.name for path in headers.directory.iterdir()}
    assert len(left) == MOST_KEPT + 1, "the one that was built last comes on top"
    assert str(MOST_KEPT + 4) in left
    assert "0" not in left


async def test_toolchain_archive_is_shown_to_the_compilation(bench: Bench) -> None:
    made = await bench.compiler.compile(LANGUAGES["go"], bench.sources(main_go="package main"), into=bench.into)
    assert isinstance(made, Compiled)
    archive, spec = bench.box.runs(Policy.COMPILE)
    assert spec.argv[-1] == "main.go"
    assert [(file.name, file.program) for file in spec.files_in] == [("main.go", False), ("go-std.tar", True)]
    assert spec.files_in[1].path.parent == archive.files_out[0].path.parent


async def test_toolchain_archive_that_cannot_be_made_is_infra(bench: Bench) -> None:
    bench.box.on(Policy.COMPILE, b"", outcome(RunVerdict.RE, exit_code=1, files_out=()))
    made = await bench.compiler.compile(LANGUAGES["go"], bench.sources(main_go="package main"), into=bench.into)
    assert isinstance(made, Infra)
    assert made.code == "kit"
    assert len(bench.box.specs) == 1


async def test_without_a_shelf_there_is_no_kit(bench: Bench, metrics: Metrics) -> None:
    compiler = Compiler(bench.box, settings=judge_settings(), metrics=metrics)
    made = await compiler.compile(LANGUAGES["go"], bench.sources(main_go="package main"), into=bench.into)
    assert isinstance(made, Infra)
    assert bench.box.specs == []


async def test_a_runtime_is_told_the_limit_of_the_runs_to_come(bench: Bench) -> None:
    made = await bench.compiler.compile(
        LANGUAGES["javascript"], bench.sources(main_js="1"), into=bench.into, memory_mb=100
    )
    assert isinstance(made, Compiled)
    assert made.executable is not None
    assert "--max-old-space-size=100" in made.executable.argv


async def test_a_starved_compiler_is_repeated_alone(bench: Bench) -> None:
    starved = outcome(RunVerdict.TLE, rule="wall", wall_ms=60_000, delay_ms=50_000)
    replies = [starved, outcome()]
    bench.box.on(Policy.COMPILE, b"main", lambda spec, stdin: replies.pop(0))

    made = await bench.compiler.compile(LANGUAGES["cpp20"], bench.sources(main_cpp="int main(){}"), into=bench.into)

    assert isinstance(made, Compiled)
    assert made.result is not None
    assert made.result.ok
    assert [spec.alone_within_s for spec in bench.box.runs(Policy.COMPILE)] == [None, borderline.STARVED_WAIT_S]


async def test_a_compiler_that_is_starved_twice_is_no_compile_error(bench: Bench) -> None:
    starved = outcome(RunVerdict.TLE, rule="wall", wall_ms=60_000, delay_ms=50_000)
    bench.box.on(Policy.COMPILE, b"main", starved)

    made = await bench.compiler.compile(LANGUAGES["cpp20"], bench.sources(main_cpp="int main(){}"), into=bench.into)

    assert isinstance(made, Infra)
    assert not made.outage
    assert len(bench.box.runs(Policy.COMPILE)) == 2
