"""Languages as data: numbers, keys, templates, limits. ``tests/languages`` judges programs in each of them."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deepoj.adapters.toolchain import versions
from deepoj.judging import verdicts
from deepoj.judging.exec_rules import at_heap_limit, run_limits, run_spec, wall_limit_ms
from deepoj.judging.languages import LANGUAGES, Language, Toolchain, outside_usr, resolve
from deepoj.judging.languages.row import MIB, steps
from deepoj.judging.sources import compiled_names, with_entry, with_sources
from deepoj.words.results import Verdict
from deepoj.words.sandbox import RunVerdict
from tests.fakes.box import outcome
from tests.fakes.settings import judge_settings
from tests.unit.makers import a_problem

TOOLS = Toolchain()


@pytest.mark.parametrize(
    ("named", "key"),
    [
        (1, "cpp17"),
        ("1", "cpp17"),
        (3, "python3"),
        ("3", "python3"),
        ("c17", "c17"),
        (2, "java"),
        (4, "go"),
        ("cpp17", "cpp17"),
        ("cpp20", "cpp20"),
        ("cpp23", "cpp23"),
        ("python3", "python3"),
    ],
)
def test_resolve_known(named: int | str, key: str) -> None:
    language = resolve(named)
    assert language is not None
    assert language.key == key


@pytest.mark.parametrize("named", [0, 5, -1, 99, True, False, "", "5", "C++", "cpp", "１", "9" * 5000, "\0"])
def test_resolve_unknown(named: int | str) -> None:
    assert resolve(named) is None


def test_keys_and_numbers_are_unique() -> None:
    rows = list(LANGUAGES.values())
    numbers = [row.id for row in rows if row.id is not None]
    assert len(set(numbers)) == len(numbers)
    assert all(LANGUAGES[row.key] is row for row in rows)


#: packages of languages that the build installs, or every Debian has
BUILT_WITH = {"gcc", "g++", "python3", "bash"}


def test_packages_that_tests_and_images_install_are_those_of_the_table() -> None:
    packages = {row.package for row in LANGUAGES.values()}
    root = Path(__file__).parents[2]

    def listed(name: str) -> set[str]:
        lines = (root / "tests" / name).read_text().splitlines()
        return {line.split()[0] for line in lines if line and not line.startswith("#")}

    always, others = listed("apt-packages.txt"), listed("apt-packages-languages.txt")
    assert others == packages - always - BUILT_WITH
    (worker,) = re.findall(r'^ARG WORKER_PACKAGES="(.*)"', (root / "deploy" / "Dockerfile").read_text(), re.MULTILINE)
    assert set(worker.split()) == packages - others | {"mold"}


def test_templates_follow_the_toolchain() -> None:
    tools = Toolchain(gxx="/opt/gcc/bin/g++", gcc="/opt/gcc/bin/gcc", python3="/opt/py", max_errors=3)
    cpp, c, python = LANGUAGES["cpp17"], LANGUAGES["c17"], LANGUAGES["python3"]
    compiled = cpp.compile_argv(tools)
    assert compiled is not None
    assert compiled[0] == "/opt/gcc/bin/g++"
    assert "-fmax-errors=3" in compiled
    assert {"-O2", "-std=gnu++17", "-DONLINE_JUDGE"} <= set(compiled)
    assert (c.compile_argv(tools) or ("",))[0] == "/opt/gcc/bin/gcc"
    assert python.run_argv(tools, 256) == ("/opt/py", "/p/main.py")
    assert cpp.compile_line.startswith("g++ -O2 -std=gnu++17")
    assert python.run_line == "python3 /p/main.py"


def test_needs_of_a_runtime_are_added_to_the_problem_limits() -> None:
    problem = replace(a_problem(), time_limit_ms=1000, memory_limit_mb=256)
    settings = judge_settings()
    plain, java = (run_limits(problem, settings, LANGUAGES[key]) for key in ("cpp17", "java"))
    assert (plain.cpu_ms, plain.memory_bytes, plain.processes) == (1000, 256 * MIB, settings.run_processes)
    assert java.cpu_ms == 1000
    assert java.memory_bytes > plain.memory_bytes
    assert java.processes > plain.processes

    slow = run_limits(problem, settings, replace(LANGUAGES["cpp17"], time_factor=2.5))
    assert (slow.cpu_ms, slow.wall_ms) == (2500, wall_limit_ms(2500))


@pytest.mark.parametrize(("key", "told"), [("java", "-Xmx256m"), ("javascript", "--max-old-space-size=256")])
def test_a_runtime_is_told_the_problem_limit(key: str, told: str, tmp_path: Path) -> None:
    """And not what is added to it."""
    language, settings = LANGUAGES[key], judge_settings()
    limits = run_limits(replace(a_problem(), memory_limit_mb=256), settings, language)
    spec = run_spec(
        language, tmp_path, stdin=tmp_path / "in", stdout=tmp_path / "out", limits=limits, toolchain=settings.toolchain
    )
    assert told in spec.argv
    assert spec.keep_stderr_bytes > 0


def test_an_environment_is_a_template_too() -> None:
    assert ("GOMEMLIMIT", "90MiB") in LANGUAGES["go"].run_environment(TOOLS, 100)
    assert all("{" not in value for row in LANGUAGES.values() for _, value in row.run_environment(TOOLS, 100))


JAVA_OUT = b"Terminating due to java.lang.OutOfMemoryError: Java heap space\n"
NODE_OUT = b"FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory\n"


@pytest.mark.parametrize(
    ("key", "ended", "verdict", "rule"),
    [
        ("java", {"exit_code": 3, "stderr": JAVA_OUT}, RunVerdict.MLE, "heap"),
        # a program's own exit code, and its own words
        ("java", {"exit_code": 3}, RunVerdict.RE, "exit"),
        ("java", {"exit_code": 1, "stderr": JAVA_OUT}, RunVerdict.RE, "exit"),
        ("javascript", {"exit_signal": 6, "stderr": NODE_OUT}, RunVerdict.MLE, "heap"),
        ("javascript", {"exit_signal": 6}, RunVerdict.RE, "signal"),
        ("javascript", {"exit_signal": 11, "stderr": NODE_OUT}, RunVerdict.RE, "signal"),
        ("cpp17", {"exit_code": 3, "stderr": JAVA_OUT}, RunVerdict.RE, "exit"),
    ],
)
def test_a_runtime_at_its_heap_limit(key: str, ended: dict[str, Any], verdict: RunVerdict, rule: str) -> None:
    language = LANGUAGES[key]
    limits = run_limits(a_problem(), judge_settings(), language)
    found = at_heap_limit(outcome(RunVerdict.RE, **ended), language, limits)
    assert (found.verdict, found.rule) == (verdict, rule)
    assert verdicts.of_run(found.verdict, rule, exit_code=found.exit_code, exit_signal=found.exit_signal) in (
        Verdict.MEMORY_LIMIT_EXCEEDED,
        Verdict.RUNTIME_ERROR,
    )


@pytest.mark.parametrize(("memory_mb", "rule"), [(128, "heap"), (100, "exit")])
def test_last_words_that_were_lost_are_replaced_by_the_weight(memory_mb: int, rule: str) -> None:
    language = LANGUAGES["java"]
    limits = run_limits(replace(a_problem(), memory_limit_mb=128), judge_settings(), language)
    ended = outcome(RunVerdict.RE, exit_code=3, stderr=b"kept", memory_kb=memory_mb * 1024)
    assert at_heap_limit(replace(ended, stderr_len=1 << 20), language, limits).rule == rule


def test_only_a_runtime_error_can_become_a_memory_limit() -> None:
    """A program that ended well, or at a limit of the box, has said all that counts."""
    language = LANGUAGES["java"]
    limits = run_limits(a_problem(), judge_settings(), language)
    for verdict in set(RunVerdict) - {RunVerdict.RE}:
        ended = outcome(verdict, exit_code=3, stderr=JAVA_OUT)
        assert at_heap_limit(ended, language, limits) == ended


STEPS = [
    (("true", "echo made"), 0, b"made\n"),
    (("exit 3", "echo made"), 3, b""),
    (("false", "echo made"), 1, b""),
    (('echo "$@"',), 0, b"a.x b c.x\n"),
    # ours: a tool that is missing, or that the host has killed
    (("/usr/bin/no-such-compiler",), -signal.SIGKILL, b""),
    (("sh -c 'kill -9 $$'",), -signal.SIGKILL, b""),
    (("sh -c 'kill -SYS $$'",), -signal.SIGKILL, b""),
    # the source's: a compiler that it made crash
    (("sh -c 'kill -SEGV $$'",), 139, b""),
]


@pytest.mark.parametrize(("commands", "code", "said"), STEPS)
def test_steps_end_as_a_single_compiler_would(
    commands: tuple[str, ...], code: int, said: bytes, tmp_path: Path
) -> None:
    done = _run(steps(*commands, sources=("a.x", "b c.x")), tmp_path, (("PATH", "/usr/bin:/bin"),))
    assert (done.returncode, done.stdout) == (code, said), done.stderr


def test_people_read_commands_and_no_wrapping() -> None:
    lines = {row.key: (row.compile_line, row.run_line) for row in LANGUAGES.values()}
    assert lines["go"][0].endswith("go tool link -w -importcfg std/importcfg -o main main.a")
    assert " -importcfg std/importcfg -o main.a main.go && " in lines["go"][0]
    assert all("{" not in line and "/bin/sh" not in line for line, _ in lines.values())
    assert "java -Xmx256m" in lines["java"][1]
    assert lines["python3"][0] == "python3 -m py_compile main.py"


def test_paths_of_tools_outside_usr_are_listed() -> None:
    assert "/etc/java-*-openjdk" in outside_usr()
    assert all(pattern.startswith("/") and not pattern.startswith("/usr") for pattern in outside_usr())


def _run(argv: tuple[str, ...], cwd: Path, env: tuple[tuple[str, str], ...]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(argv, cwd=cwd, env=dict(env), capture_output=True, timeout=120, check=False)


def test_a_language_that_needs_proc_is_not_offered_without_it() -> None:
    rows = [
        replace(LANGUAGES[key], version=("/bin/sh", "-c", "echo 1.0"), accepts=("/bin/true",))
        for key in ("java", "python3")
    ]
    assert versions(rows, Toolchain(), has_proc=True) == {"java": "1.0", "python3": "1.0"}
    assert versions(rows, Toolchain(), has_proc=False) == {"python3": "1.0"}


def test_an_unknown_dialect_is_not_accepted(tmp_path: Path) -> None:
    argv = tuple(word.replace("gnu++23", "gnu++99") for word in LANGUAGES["cpp23"].accepts_argv(TOOLS))
    assert _run(argv, tmp_path, LANGUAGES["cpp23"].compile_env).returncode != 0


def test_default_tools_are_absolute() -> None:
    for tool in (TOOLS.gxx, TOOLS.gcc, TOOLS.python3):
        assert tool.startswith("/")
        assert shutil.which(tool)


@pytest.mark.parametrize(
    ("names", "entry", "told"),
    [
        (["main.cpp"], "main.cpp", ("main.cpp",)),
        (["b.cc", "util.h", "a.cpp", "z.cpp", "notes.txt"], "z.cpp", ("z.cpp", "a.cpp", "b.cc")),
        (["a.c", "b.cpp"], "a.c", ("a.c",)),
        (["main.rs", "util.rs"], "main.rs", ("main.rs",)),
        (["b.py", "a.py", "data.txt"], "b.py", ("b.py", "a.py")),
        (["no_ending", "a.cpp"], "no_ending", ("no_ending",)),
    ],
)
def test_which_files_a_compiler_is_told_of(names: list[str], entry: str, told: tuple[str, ...]) -> None:
    assert compiled_names(names, entry) == told


def test_the_entry_point_stands_in_place_of_the_languages_source() -> None:
    compile_line = LANGUAGES["cpp17"].compile_argv(Toolchain())
    assert compile_line is not None
    assert with_sources(compile_line, "main.cpp", ("z.cpp", "a.cpp"))[-4:] == ("-o", "main", "z.cpp", "a.cpp")
    run_line = LANGUAGES["python3"].run_argv(Toolchain(), 256)
    assert with_entry(run_line, "main.py", "solve.py") == ("/usr/bin/python3", "/p/solve.py")
    assert with_entry(run_line, "main.py", "main.py") == run_line


@pytest.mark.parametrize("language", LANGUAGES.values(), ids=lambda row: row.key)
def test_every_compile_line_takes_other_sources(language: Language) -> None:
    """The source is a word of it, also where a shell runs several commands."""
    line = language.compile_argv(TOOLS)
    assert line is not None
    assert line.count(language.source_name) == 1
    assert "other" in with_sources(line, language.source_name, ("other",))
