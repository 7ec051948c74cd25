"""Languages as data: numbers, keys, templates, and that this host's tools take every row."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from deepoj.judging.languages import LANGUAGES, Language, Toolchain, resolve
from deepoj.judging.sources import compiled_names, with_entry, with_sources
from deepoj.words import PROGRAM_DIR

TOOLS = Toolchain()


@pytest.mark.parametrize(
    ("named", "key"),
    [
        (1, "cpp17"),
        ("1", "cpp17"),
        (3, "python3"),
        ("3", "python3"),
        ("c17", "c17"),
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


@pytest.mark.parametrize("named", [0, 2, 4, -1, 99, True, False, "", "2", "4", "C++", "cpp", "１", "9" * 5000, "\0"])
def test_resolve_unknown(named: int | str) -> None:
    assert resolve(named) is None


def test_keys_and_numbers_are_unique() -> None:
    rows = list(LANGUAGES.values())
    numbers = [row.id for row in rows if row.id is not None]
    assert len(set(numbers)) == len(numbers)
    assert all(LANGUAGES[row.key] is row for row in rows)


def test_templates_follow_the_toolchain() -> None:
    tools = Toolchain(gxx="/opt/gcc/bin/g++", gcc="/opt/gcc/bin/gcc", python3="/opt/py", max_errors=3)
    cpp, c, python = LANGUAGES["cpp17"], LANGUAGES["c17"], LANGUAGES["python3"]
    compiled = cpp.compile_argv(tools)
    assert compiled is not None
    assert compiled[0] == "/opt/gcc/bin/g++"
    assert "-fmax-errors=3" in compiled
    assert {"-O2", "-std=gnu++17", "-DONLINE_JUDGE"} <= set(compiled)
    assert (c.compile_argv(tools) or ("",))[0] == "/opt/gcc/bin/gcc"
    assert python.run_argv(tools) == ("/opt/py", "/p/main.py")
    assert cpp.compile_line.startswith("g++ -O2 -std=gnu++17")
    assert python.run_line == "python3 /p/main.py"


SOURCES = {
    "c17": '#include <math.h>\n#include <stdio.h>\nint main(void){volatile double x = 4; printf("%.0f\\n", sqrt(x));}',
    "cpp17": "#include <iostream>\nint main(){ if constexpr (__cplusplus == 201703L) std::cout << 2 << '\\n'; }",
    "cpp20": "#include <concepts>\n#include <iostream>\nint main(){ std::integral auto x = 2; std::cout << x; }",
    "cpp23": "#include <iostream>\nint main(){ if consteval {} std::cout << 2z << '\\n'; }",
    "python3": "import random, math\nprint(math.isqrt(4))\nexit()\n",
}
BROKEN = {"python3": "print(", **dict.fromkeys(("c17", "cpp17", "cpp20", "cpp23"), "int main( {")}


def _run(argv: tuple[str, ...], cwd: Path, env: tuple[tuple[str, str], ...]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(argv, cwd=cwd, env=dict(env), capture_output=True, timeout=120, check=False)


@pytest.mark.parametrize("language", LANGUAGES.values(), ids=lambda row: row.key)
def test_rows_hold_on_this_host(language: Language, tmp_path: Path) -> None:
    """Every row compiles and runs with nothing but its own argv and environment."""
    assert _run(language.accepts_argv(TOOLS), tmp_path, language.compile_env).returncode == 0
    version = _run(language.version_argv(TOOLS), tmp_path, language.compile_env)
    assert version.stdout.strip()
    source = tmp_path / language.source_name
    source.write_text(SOURCES[language.key])
    compiled = language.compile_argv(TOOLS)
    assert compiled is not None
    done = _run(compiled, tmp_path, language.compile_env)
    assert done.returncode == 0, done.stderr
    if language.artifact:
        assert (tmp_path / language.artifact).is_file()
        source.unlink()  # running needs the artifact alone
    argv = tuple(word.replace(f"{PROGRAM_DIR}/main", f"{tmp_path}/main") for word in language.run_argv(TOOLS))
    assert _run(argv, tmp_path, language.run_env).stdout.strip() == b"2"


@pytest.mark.parametrize("language", LANGUAGES.values(), ids=lambda row: row.key)
def test_a_broken_source_is_refused_with_words(language: Language, tmp_path: Path) -> None:
    (tmp_path / language.source_name).write_text(BROKEN[language.key])
    compiled = language.compile_argv(TOOLS)
    assert compiled is not None
    done = _run(compiled, tmp_path, language.compile_env)
    assert done.returncode != 0
    assert language.source_name.encode() in done.stderr


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
    run_line = LANGUAGES["python3"].run_argv(Toolchain())
    assert with_entry(run_line, "main.py", "solve.py") == ("/usr/bin/python3", "/p/solve.py")
    assert with_entry(run_line, "main.py", "main.py") == run_line
