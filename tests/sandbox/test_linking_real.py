"""Programs that mold links behave as those of ld, and the compiler says the same of every source."""

from __future__ import annotations

import re
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from deepoj.adapters.compile_cache import DiskCompileCache
from deepoj.adapters.sandbox.box import LinuxBox
from deepoj.execution.compiling import Compiled, Compiler
from deepoj.judging.languages import LANGUAGES, Toolchain
from deepoj.judging.linking import WARNED, needs_ld
from deepoj.observe import Metrics
from deepoj.words.sandbox import FileIn, Isolation, Policy, RunSpec, RunVerdict
from tests.fakes.settings import judge_settings
from tests.sandbox.bench import limits

MOLD = Path("/usr/bin/ld.mold")
pytestmark = pytest.mark.skipif(not MOLD.exists(), reason="mold is not installed")

#: by language and name; each reads "3 4" and prints something
LINKED = {
    ("cpp17", "streams"): "#include <iostream>\n#include <iomanip>\nint main() { int a, b; std::cin >> a >> b;"
    " std::cout << std::setw(5) << a + b << std::endl; std::cerr << typeid(a).name(); return a; }",
    ("cpp17", "exceptions"): "#include <stdexcept>\n#include <cstdio>\n#include <string>\n"
    'struct B { virtual ~B() {} }; struct D : B { std::string s{"a long string on the heap, for sure"}; };\n'
    'int f(B *b) { return dynamic_cast<D *>(b) ? throw std::runtime_error("r") : 1; }\n'
    'int main() { D d; try { f(&d); } catch (std::exception &e) { std::printf("%s", e.what()); } std::stoi("x"); }',
    ("cpp17", "objects"): "#include <cstdio>\n#include <thread>\n"
    'struct A { int n; A(int n) : n(n) { std::printf("+%d", n); } ~A() { std::printf("-%d", n); } };\n'
    "A a(1); __attribute__((init_priority(200))) A b(2); thread_local A c(3); static int zeros[10'000'000];\n"
    'int main() { static A s(4); std::thread t([] { zeros[9] = c.n; }); t.join(); std::printf("%d", zeros[9]); }',
    ("cpp20", "math"): "#include <bits/stdc++.h>\nint main() { std::atomic<long> x{7}; std::vector<double> v(9, x);"
    " std::cout << std::accumulate(v.begin(), v.end(), std::sqrt(2.0) + std::tgamma(4.5)); }",
    ("c17", "plain"): "#include <math.h>\n#include <stdio.h>\n#include <stdlib.h>\nint counts[1000];\n"
    'int main(void) { double x; if (scanf("%lf", &x)) printf("%.9f %d", pow(x, 0.3), counts[7]); abort(); }',
}
#: what ld refuses, warns of or makes otherwise
LEFT_TO_LD = {
    ("cpp17", "undefined"): "int f();\nint main() { return f(); }\n",
    ("cpp17", "without-main"): "#include <iostream>\nvoid f() { std::cout << 1; }\n",
    ("c17", "old-function"): "#include <stdio.h>\nint main(void) { char n[99]; return tmpnam(n) != 0; }\n",
    (
        "c17",
        "nested",
    ): "int g(int (*f)(int));\nint main(int n, char **v) { int h(int x) { return x + n; } return g(h); }\n"
    "int g(int (*f)(int)) { volatile int x = 1; return f(x); }\n",
}


class Linkers:
    """A compiler that links by mold, and one that does so by ld."""

    def __init__(self, box: LinuxBox, tmp_path: Path) -> None:
        self._box, self._tmp_path, self.cache = box, tmp_path, DiskCompileCache(tmp_path / "cache", metrics=Metrics())
        patient = judge_settings(compile_cpu_ms=60_000, compile_wall_ms=180_000)
        by_ld = replace(patient, toolchain=Toolchain(mold="/nowhere/ld.mold"))
        self.mold, self.ld = (
            Compiler(box, settings=settings, metrics=Metrics(), cache=self.cache) for settings in (patient, by_ld)
        )

    async def compile(self, compiler: Compiler, key: str, text: str) -> tuple[bool, str, bytes]:
        """Return whether it compiles, the compiler's output, and the program."""
        language, into = LANGUAGES[key], self._tmp_path / "into"
        into.mkdir(exist_ok=True)
        (into / "main").unlink(missing_ok=True)
        (into / language.source_name).write_text(text)
        with trio.fail_after(600):
            made = await compiler.compile(
                language, [FileIn(language.source_name, into / language.source_name)], into=into
            )
        assert isinstance(made, Compiled), made
        assert made.result is not None
        assert not made.result.cached
        output = re.sub(r"\./cc\w+\.o", "cc.o", made.result.output)  # a random name
        return made.result.ok, output, (into / "main").read_bytes() if made.result.ok else b""

    async def run(self, program: bytes) -> tuple[RunVerdict, int, int, bytes, bytes]:
        (self._tmp_path / "program").write_bytes(program)
        (self._tmp_path / "in").write_text("3 4\n")
        spec = RunSpec(
            argv=("/p/main",),
            policy=Policy.RUN,
            limits=limits(memory_bytes=256 << 20),
            stdin=self._tmp_path / "in",
            files_in=(FileIn("main", self._tmp_path / "program", executable=True, program=True),),
        )
        ended = await self._box.run(spec)
        return ended.verdict, ended.exit_code, ended.exit_signal, ended.stdout, ended.stderr


@pytest.fixture
async def linkers(tmp_path: Path) -> AsyncIterator[Linkers]:
    async with LinuxBox.open(1, min_isolation=Isolation.WEAK) as box:
        linkers = Linkers(box, tmp_path)
        yield linkers
        linkers.cache.close()


@pytest.mark.parametrize(("key", "name"), LINKED)
async def test_program_of_mold_behaves_as_that_of_ld(linkers: Linkers, key: str, name: str) -> None:
    ours = await linkers.compile(linkers.mold, key, LINKED[key, name])
    plain = await linkers.compile(linkers.ld, key, LINKED[key, name])
    assert ours[:2] == plain[:2] == (True, "")
    assert b"mold " in ours[2]
    assert b"mold " not in plain[2]
    assert await linkers.run(ours[2]) == await linkers.run(plain[2])


def test_only_the_names_that_a_program_asks_for_are_searched(tmp_path: Path) -> None:
    """Of 60 MiB of zeros with "gets" in a string, a search of the whole program held all threads for 3.4 s."""
    source, program = tmp_path / "a.c", tmp_path / "a"
    for text, found in (
        ('char zeros[60 << 20] = {1}; char *name = "\\0gets"; int main(void) { return zeros[5]; }', False),
        ("char *gets(char *); char line[99]; int main(void) { return gets(line) == 0; }", True),
    ):
        source.write_text(text)
        subprocess.run(["gcc", "-fuse-ld=mold", "-o", program, source], check=True, capture_output=True)
        assert needs_ld(program) is found
    whole = program.read_bytes()
    for at, size in ((32, 8), (40, 8), (58, 2)):
        program.write_bytes(whole[:at] + b"\xff" * size + whole[at + size :])
        assert needs_ld(program), "broken headers are left to ld"


@pytest.mark.parametrize(("key", "name"), LEFT_TO_LD)
async def test_source_of_which_ld_speaks_is_linked_by_ld(linkers: Linkers, key: str, name: str) -> None:
    text = LEFT_TO_LD[key, name]
    plain = await linkers.compile(linkers.ld, key, text)
    assert await linkers.compile(linkers.mold, key, text) == plain
    assert plain[1]


def test_functions_with_a_warning_of_glibc_are_known() -> None:
    libc = next(Path("/lib").glob("*-linux-gnu/libc.so.6")).read_bytes()
    names = {name.decode() for name in re.findall(rb"\.gnu\.warning\.(?:__compat_|__)?(\w+?)(?:_chk)?\0", libc)}
    assert names <= set(WARNED.split())
    assert "gets" in names
