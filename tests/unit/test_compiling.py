"""Compiling against a scripted box: what is asked of it, what comes of the answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from deepoj.judging.languages import LANGUAGES
from deepoj.judging.runs import JudgeSettings
from deepoj.observe import Metrics
from deepoj.pipeline.compiling import Compiled, Compiler
from deepoj.words import CompileResult, FileIn, Infra, Policy, RunLimits, RunVerdict
from tests.fakes.box import ScriptedBox, outcome

LIMITS = RunLimits(cpu_ms=1, wall_ms=2, memory_bytes=3, output_bytes=4)


class Bench:
    def __init__(self, tmp_path: Path, metrics: Metrics) -> None:
        self.box = ScriptedBox()
        self.into = tmp_path / "attempt"
        self.into.mkdir()
        self.compiler = Compiler(self.box, settings=JudgeSettings(), metrics=metrics)
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
    assert [(file.name, file.program) for file in made.executable.files_in] == [("util.py", True), ("solve.py", True)]
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
