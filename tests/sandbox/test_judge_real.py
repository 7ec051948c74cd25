"""The judge step through the real sandbox: verdicts with real compilers and programs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from deepoj.adapters.sandbox.box import LinuxBox
from deepoj.judging.languages import LANGUAGES
from deepoj.judging.result import as_result
from deepoj.judging.run_bounds import MAX_SOURCES
from deepoj.pipeline.judge import judge
from deepoj.words.results import Infra, Report, Verdict
from deepoj.words.sources import SourceFile
from tests.fakes.attempts import attempt_context
from tests.fakes.settings import judge_settings
from tests.fakes.testdata import PlainTestData
from tests.host import PROC
from tests.sandbox.bench import open_box
from tests.unit.makers import a_claim, a_problem

V = Verdict
CASES = [(b"1 2\n", b"3\n"), (b"-5 3\n", b"-2\n"), (b"1000000000 1000000000\n", b"2000000000\n")]
#: bits/stdc++.h takes ten times as long, and test_compiling_real.py has it
CPP = (
    "#include <cstdlib>\n#include <iostream>\n#include <stdexcept>\n#include <vector>\n#include <unistd.h>\n"
    "using namespace std;\nint main(){ long long a,b; cin>>a>>b; %s }\n"
)


@pytest.fixture
async def box() -> AsyncIterator[LinuxBox]:
    async with open_box(2) as opened:
        yield opened


@pytest.mark.parametrize(("language", "ending"), [("python3", "py"), ("cpp17", "h")])
async def test_a_program_of_as_many_files_as_a_submission_may_have(
    language: str, ending: str, box: LinuxBox, tmp_path: Path
) -> None:
    """A program in an interpreted language brings each file to two places."""
    code = {
        "python3": "import part62\na, b = input().split()\nprint(int(a) + int(b))\n",
        "cpp17": CPP.replace("using", '#include "part62.h"\nusing', 1) % "cout << a + b;",
    }[language]
    beside = tuple(SourceFile(f"part{number}.{ending}", "\n") for number in range(MAX_SOURCES - 1))
    name = LANGUAGES[language].source_name
    report = await verdict(box, tmp_path, language, code, entry_point=name, beside=beside)
    assert report.status is V.ACCEPTED, report


async def verdict(
    box: LinuxBox,
    tmp_path: Path,
    language: str,
    code: str,
    *,
    time_limit_ms: int = 3000,
    cases: int = len(CASES),
    entry_point: str | None = None,
    beside: tuple[SourceFile, ...] = (),
) -> Report:
    data = tmp_path / "data"
    data.mkdir()
    problem = replace(a_problem(), time_limit_ms=time_limit_ms)
    claim = replace(a_claim(), language=language, code=code, entry_point=entry_point, beside=beside, problem=problem)
    with trio.fail_after(120):
        settings = judge_settings(compile_wall_ms=100_000)  # beside other parts of the suite
        context = attempt_context(box, tmp_path / "workspace", settings)
        found = await judge(context, PlainTestData(data, CASES[:cases]), claim)
    assert isinstance(found, Report), found
    assert found.isolation is box.isolation
    assert not list((tmp_path / "workspace").iterdir())
    assert as_result(claim, found)["status"] == found.status.value
    return found


ACCEPTED = {
    "cpp17": CPP % "cout << a+b << endl;",
    "cpp20": CPP % "cout << a+b << endl;",
    "cpp23": CPP % "cout << a+b << endl;",
    "c17": '#include <stdio.h>\nint main(void){ long long a,b; scanf("%lld %lld",&a,&b); printf("%lld\\n",a+b); }\n',
    "python3": "import sys, collections\nprint(sum(map(int, sys.stdin.read().split())))\nexit()\n",
}


SEVERAL = {
    "cpp17": ("go.cpp", {
        "go.cpp": '#include <iostream>\n#include "add.h"\n'
        "int main(){ long long a,b; std::cin>>a>>b; std::cout<<add(a,b)<<std::endl; }\n",
        "add.h": "long long add(long long, long long);\n",
        "add.cpp": '#include "add.h"\nlong long add(long long a, long long b) { return a + b; }\n',
    }),
    "java": ("Go.java", {
        "Go.java": "public class Go { public static void main(String[] a) {"
        " var in = new java.util.Scanner(System.in); System.out.println(Add.up(in.nextLong(), in.nextLong())); } }\n",
        "Add.java": "class Add { static long up(long a, long b) { return a + b; } }\n",
    }),
    "python3": ("go.py", {
        "go.py": "import add\nprint(add.up(*map(int, input().split())))\n",
        "add.py": "def up(a, b): return a + b\n",
    }),
}  # fmt: skip


@pytest.mark.parametrize(
    "language",
    [pytest.param(key, marks=pytest.mark.needs(PROC) if LANGUAGES[key].needs_proc else ()) for key in SEVERAL],
)
async def test_several_files(language: str, box: LinuxBox, tmp_path: Path) -> None:
    entry, files = SEVERAL[language]
    beside = tuple(SourceFile(name, text) for name, text in files.items() if name != entry)
    report = await verdict(box, tmp_path, language, files[entry], entry_point=entry, beside=beside)
    assert report.status is V.ACCEPTED, report
    assert len(report.tests) == 3


@pytest.mark.parametrize("language", ACCEPTED)
async def test_accepted(language: str, box: LinuxBox, tmp_path: Path) -> None:
    report = await verdict(box, tmp_path, language, ACCEPTED[language])
    assert report.status is V.ACCEPTED, report
    assert len(report.tests) == 3
    assert report.compile is not None
    assert report.compile.ok
    assert report.compile.output == ""
    assert 0 < report.memory_used_kb < 64 * 1024
    assert report.compile_wall_ms > 0


@pytest.mark.parametrize(
    ("language", "code", "status", "rule"),
    [
        ("cpp17", CPP % "cout << a-b << endl;", V.WRONG_ANSWER, "compare"),
        ("cpp17", CPP % "cout << a+b << endl; return 3;", V.RUNTIME_ERROR, "exit"),
        ("cpp17", CPP % "cout << a+b << endl; return -1;", V.RUNTIME_ERROR, "exit"),
        ("cpp17", CPP % "abort();", V.RUNTIME_ERROR, "signal"),
        ("cpp17", CPP % "volatile int *p = nullptr; *p = 1;", V.RUNTIME_ERROR, "signal"),
        ("cpp17", CPP % "throw runtime_error(\"x\");", V.RUNTIME_ERROR, "signal"),
        ("cpp17", CPP % "for (volatile int i = 0;; i = i + 1) {}", V.TIME_LIMIT_EXCEEDED, "cpu"),
        ("cpp17", CPP % "for (;;) sleep(3600);", V.TIME_LIMIT_EXCEEDED, "wall"),
        (
            "cpp17",
            CPP % "vector<char> v; for (;;) { v.resize(v.size() + (1 << 20), 1); cerr << (int)v.back(); }",
            V.MEMORY_LIMIT_EXCEEDED,
            "memory",
        ),
        ("cpp17", CPP % "for (;;) cout << \"xxxxxxxxxxxxxxxx\\n\";", V.OUTPUT_LIMIT_EXCEEDED, "output"),
        ("c17", "int main(void){ return 1; }", V.RUNTIME_ERROR, "exit"),
        # the linker takes it, no kernel does: the name of the interpreter does not end
        (
            "c17",
            '__asm__(".section .interp,\\"a\\"\\n.ascii \\"x\\"\\n.text"); int main(void){ return 0; }',
            V.RUNTIME_ERROR,
            "exec",
        ),
        ("python3", "print(1)", V.WRONG_ANSWER, "compare"),
        ("python3", "raise SystemExit(7)", V.RUNTIME_ERROR, "exit"),
        ("python3", "1/0", V.RUNTIME_ERROR, "exit"),
        ("python3", "while True: pass", V.TIME_LIMIT_EXCEEDED, "cpu"),
        ("python3", "x = bytearray(1 << 30)", V.MEMORY_LIMIT_EXCEEDED, "memory"),
    ],
)  # fmt: skip
async def test_not_accepted(
    box: LinuxBox, tmp_path: Path, *, language: str, code: str, status: Verdict, rule: str
) -> None:
    # a short limit, for the clock's is at least 2 s above: a busy host must find the time for the CPU's in those
    time_limit_ms = 100 if status is V.TIME_LIMIT_EXCEEDED else 3000
    report = await verdict(box, tmp_path, language, code, time_limit_ms=time_limit_ms, cases=1)
    assert report.status is status, report
    assert [reason["rule"] for reason in report.explanation] == ["verdict", rule]
    assert report.score == 0.0


@pytest.mark.parametrize(
    ("language", "code", "words"),
    [
        ("cpp17", "int main(){ return undeclared; }", "‘undeclared’ was not declared"),
        ("cpp17", "int main(){}\nint f();\nint g = f();", "undefined reference"),
        ("c17", "int main(void){ return undeclared; }", "‘undeclared’ undeclared"),
        ("python3", "def f(:\n", "SyntaxError"),
        ("python3", "if True:\nprint()", "IndentationError"),
        ("cpp17", "#include </dev/random>\nint main(){}", ""),
        ("cpp17", '#include "main.cpp"\nint main(){}', "#include nested depth"),
        ("cpp17", "template<int N> struct A { A<N+1> a; }; A<0> a; int main(){}", "template instantiation depth"),
        # DOMjudge's memstatic: the assembler meets the limit, or the linker, which writes the array a second time
        ("cpp17", "char big[1u << 31] = {1}; int main(){}", "this server's limit: the files of a compilation may have"),
        (
            "c17",
            "int big[80000000] = {1}; int main(void){}",
            "this server's limit: the files of a compilation may have",
        ),
        ("c17", "char big[70000000] = {1}; int main(void){}", "An array with initial values is part of them"),
        # the driver's words for a compiler that the host killed, brought in by the source
        (
            "cpp17",
            '#line 1 "g++: fatal error: Killed signal terminated program cc1plus'
            '\\ncompilation terminated.\\n"\nint x = y;',
            "Killed signal",
        ),
    ],
)
async def test_compile_error(language: str, code: str, words: str, box: LinuxBox, tmp_path: Path) -> None:
    report = await verdict(box, tmp_path, language, code)
    assert report.status is V.COMPILE_ERROR, report
    assert report.compile is not None
    assert words in report.compile.output
    assert report.compile.output
    assert report.tests == ()


async def test_an_endless_compilation_is_a_compile_error(box: LinuxBox, tmp_path: Path) -> None:
    code = "constexpr int f(long n){ int s = 0; for (long i = 0; i < n; ++i) s ^= i; return s; }\n"
    data = tmp_path / "data"
    data.mkdir()
    claim = replace(a_claim(), code=code + "constexpr int x = f(1L << 60); int main(){ return x; }")
    settings = judge_settings(compile_cpu_ms=500)
    with trio.fail_after(120):
        found = await judge(attempt_context(box, tmp_path / "w", settings), PlainTestData(data, CASES), claim)
    assert isinstance(found, Report)
    assert found.status is V.COMPILE_ERROR
    assert found.compile is not None
    # either g++ gives up by its own constexpr limit or the box stops it: both are the source's doing
    assert "constexpr" in found.compile.output or "longer than 0.5 s" in found.compile.output


async def test_a_missing_compiler_is_ours(box: LinuxBox, tmp_path: Path) -> None:
    from deepoj.judging.languages import Toolchain
    from deepoj.words.results import Infra

    data = tmp_path / "data"
    data.mkdir()
    settings = judge_settings(toolchain=Toolchain(gxx="/usr/bin/no-such-compiler"))
    with trio.fail_after(120):
        found = await judge(attempt_context(box, tmp_path / "w", settings), PlainTestData(data, CASES), a_claim())
    assert isinstance(found, Infra)
    assert found.code == "sandbox"


async def test_jobs_of_a_problem_at_the_same_time_share_no_stderr_and_leave_its_data_alone(
    box: LinuxBox, tmp_path: Path
) -> None:
    """A stderr file of both, or one beside the test data, would show in the counts or in the directory."""
    data = tmp_path / "data"
    data.mkdir()
    tests = PlainTestData(data, CASES[:1])
    before = sorted((path.name, path.stat().st_mtime_ns, path.read_bytes()) for path in data.iterdir())
    directory_changed_ns = data.stat().st_mtime_ns
    reports: dict[int, Report | Infra] = {}

    async def one(number: int) -> None:
        code = CPP % f"cerr << string({number}, 'x') << flush; usleep(300'000); cout << a+b << endl;"
        claim = replace(a_claim(f"job-{number}"), language="cpp17", code=code, problem=a_problem())
        context = attempt_context(box, tmp_path / f"workspace-{number}", judge_settings(compile_wall_ms=100_000))
        reports[number] = await judge(context, tests, claim)

    with trio.fail_after(240):
        async with trio.open_nursery() as nursery:
            for number in (1000, 3000):
                nursery.start_soon(one, number)

    for number, report in reports.items():
        assert isinstance(report, Report), report
        assert [(test.status, test.stderr_len) for test in report.tests] == [(V.ACCEPTED, number)]
    assert sorted((path.name, path.stat().st_mtime_ns, path.read_bytes()) for path in data.iterdir()) == before
    assert data.stat().st_mtime_ns == directory_changed_ns
