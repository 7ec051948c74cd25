"""Languages as data: what a source is called, how it is compiled, how it runs.

A language is a row of ``LANGUAGES``; nothing else in the program knows a compiler's name. The argv rows are templates
over the fields of ``Toolchain`` (``{gxx}``, ``{max_errors}``), so that an operator's ``path.compiler_bin`` reaches
them. Every argv runs in the sandbox with the scratch as its working directory, so file names are plain.

Decisions, with their reasons:

* C and C++ link dynamically. A static program starts in 0.5 ms instead of 1.3 ms, but it weighs 2.2 MB instead of
  16 KB and is copied into the scratch for every test, which eats the gain; linking takes equally long.
* ``-pipe`` saves the temporary assembler file (6 % of a small compilation).
* Python is compiled too: ``py_compile`` makes a syntax error a Compile Error with the interpreter's words instead of a
  Runtime Error on the first test.
* Python's hash seed is fixed: a rejudge must see the run that was judged.
* ``site`` stays on (``-S`` would take ``exit()`` away from contestants), the user's site directory does not exist.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from deepoj.words import PROGRAM_DIR


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolchain:
    """Where the tools are (absolute paths, the same inside the box) and how talkative a compiler may be."""

    gxx: str = "/usr/bin/g++"
    gcc: str = "/usr/bin/gcc"
    python3: str = "/usr/bin/python3"
    max_errors: int = 10

    def fill(self, template: tuple[str, ...]) -> tuple[str, ...]:
        """The argv that a template stands for."""
        values = {"gxx": self.gxx, "gcc": self.gcc, "python3": self.python3, "max_errors": self.max_errors}
        return tuple(word.format_map(values) for word in template)


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """One language (dialect). Templates are filled by ``Toolchain.fill`` or by the ``*_argv`` methods."""

    #: the number of the original system, for the one dialect that carries it
    id: int | None
    key: str
    name: str
    #: what the contestant's source is called in the scratch
    source_name: str
    #: None: nothing to do before running
    compile: tuple[str, ...] | None
    #: what compiling leaves that running needs, by name; empty: the source itself runs
    artifact: str = ""
    run: tuple[str, ...]
    #: prints a version as its first line
    version: tuple[str, ...]
    #: exits 0 exactly when the tools of this host know the dialect
    accepts: tuple[str, ...]
    compile_env: tuple[tuple[str, str], ...] = ()
    run_env: tuple[tuple[str, str], ...] = ()
    #: the largest ``artifact`` that is taken out of the box
    artifact_max_bytes: int = 64 * 1024 * 1024

    def compile_argv(self, toolchain: Toolchain) -> tuple[str, ...] | None:
        return None if self.compile is None else toolchain.fill(self.compile)

    def run_argv(self, toolchain: Toolchain) -> tuple[str, ...]:
        return toolchain.fill(self.run)

    def version_argv(self, toolchain: Toolchain) -> tuple[str, ...]:
        return toolchain.fill(self.version)

    def accepts_argv(self, toolchain: Toolchain) -> tuple[str, ...]:
        return toolchain.fill(self.accepts)

    @property
    def compile_line(self) -> str:
        """For people: the compile command with the tools' short names, empty if there is none."""
        return "" if self.compile is None else " ".join(_SHORT.fill(self.compile))

    @property
    def run_line(self) -> str:
        """For people: the run command with the tools' short names."""
        return " ".join(_SHORT.fill(self.run))


_SHORT = Toolchain(gxx="g++", gcc="gcc", python3="python3")

#: TMPDIR: the scratch is the only writable place; PATH: the driver looks for as and ld there
_NATIVE_COMPILE_ENV = (("PATH", "/usr/bin:/bin"), ("LC_ALL", "C.UTF-8"), ("TMPDIR", "."))
_NATIVE_RUN_ENV = (("PATH", "/usr/bin:/bin"), ("LC_ALL", "C.UTF-8"))
_PYTHON_ENV = (
    ("PATH", "/usr/bin:/bin"),
    ("LC_ALL", "C.UTF-8"),
    ("PYTHONDONTWRITEBYTECODE", "1"),
    ("PYTHONHASHSEED", "0"),
    ("PYTHONNOUSERSITE", "1"),
)


def _native(*, key: str, name: str, standard: str, number: int | None = None) -> Language:
    """A dialect of g++ or gcc."""
    cxx = standard.startswith("gnu++")
    tool, source, kind = ("{gxx}", "main.cpp", "c++") if cxx else ("{gcc}", "main.c", "c")
    flags = ("-O2", f"-std={standard}", "-pipe", "-DONLINE_JUDGE", "-fmax-errors={max_errors}")
    libraries = () if cxx else ("-lm",)
    return Language(
        id=number,
        key=key,
        name=name,
        source_name=source,
        compile=(tool, *flags, "-o", "main", source, *libraries),
        artifact="main",
        run=(f"{PROGRAM_DIR}/main",),
        version=(tool, "--version"),
        accepts=(tool, f"-std={standard}", "-fsyntax-only", "-x", kind, "/dev/null"),
        compile_env=_NATIVE_COMPILE_ENV,
        run_env=_NATIVE_RUN_ENV,
    )


_ROWS: tuple[Language, ...] = (
    _native(key="c17", name="C17 (GCC)", standard="gnu17"),
    _native(key="cpp17", name="C++17 (GCC)", standard="gnu++17", number=1),
    _native(key="cpp20", name="C++20 (GCC)", standard="gnu++20"),
    _native(key="cpp23", name="C++23 (GCC)", standard="gnu++23"),
    Language(
        id=3,
        key="python3",
        name="Python 3 (CPython)",
        source_name="main.py",
        compile=("{python3}", "-S", "-m", "py_compile", "main.py"),
        run=("{python3}", f"{PROGRAM_DIR}/main.py"),
        version=("{python3}", "--version"),
        accepts=("{python3}", "-c", ""),
        compile_env=_PYTHON_ENV,
        run_env=_PYTHON_ENV,
    ),
)

#: every language by its key, in the order shown to people
LANGUAGES: Mapping[str, Language] = MappingProxyType({language.key: language for language in _ROWS})

#: the original's numbers (2 Java and 4 Go are reserved: they resolve once those languages are rows)
_BY_NUMBER: Mapping[int, Language] = MappingProxyType(
    {language.id: language for language in _ROWS if language.id is not None}
)


def resolve(number_or_key: int | str) -> Language | None:
    """The language that a client names by number (1), by a number in text ("1") or by key ("cpp17"); else None.

    ``True`` is not 1: a JSON boolean is no language.
    """
    if isinstance(number_or_key, bool):
        return None
    if isinstance(number_or_key, int):
        return _BY_NUMBER.get(number_or_key)
    if number_or_key.isascii() and number_or_key.isdigit() and len(number_or_key) <= 3:
        return _BY_NUMBER.get(int(number_or_key))
    return LANGUAGES.get(number_or_key)
