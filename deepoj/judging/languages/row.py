"""The fields of a row of the table of languages.

Templates are tuples of words in which ``{gxx}``, ``{memory_mb}`` and so on (``toolchain.py``) are filled in. Every argv
runs in the sandbox with the scratch as its working directory, so file names are plain. Compiled files are in
``PROGRAM_DIR``, which is read-only.
"""

from __future__ import annotations

from dataclasses import dataclass

from deepoj.judging.languages.toolchain import Toolchain

MIB = 1024 * 1024
#: shown to people instead of a problem's limit
_SHOWN_MEMORY_MB = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Heap:
    """The end of a runtime that knows the memory limit and whose heap has reached it. A program can forge the message
    and the exit code. Then it gets Memory Limit Exceeded instead of the Runtime Error that it would have had."""

    #: a message on stderr
    says: bytes
    exit_code: int = 0
    exit_signal: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolchainArchive:
    """A language toolchain cache: files that compiling needs and the toolchain's packages lack. It is made once per
    toolchain, in the sandbox, and shown to every compilation as ``PROGRAM_DIR/name``."""

    #: leaves ``name`` in the scratch
    make: tuple[str, ...]
    name: str
    env: tuple[tuple[str, str], ...] = ()
    #: False: compiling works without it, slower, and does not wait for it
    is_required: bool = True
    cpu_ms: int = 300_000
    wall_ms: int = 600_000
    memory_bytes: int = 1536 * MIB
    scratch_bytes: int = 2048 * MIB
    max_bytes: int = 512 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """One language (dialect)."""

    #: the number in the original system, for the one dialect that has it
    id: int | None = None
    key: str
    name: str
    #: the Debian package of its tools; empty if it needs none
    package: str
    #: the name of the contestant's source in the scratch
    source_name: str
    #: None: no compilation
    compile: tuple[str, ...] | None
    #: a command of the same messages that people are shown instead, where ``compile`` is a program of ours
    compile_shown: tuple[str, ...] = ()
    #: the file that compiling leaves and running needs; empty: the source itself runs
    artifact: str = ""
    run: tuple[str, ...]
    #: prints a version as its first line
    version: tuple[str, ...]
    #: exits 0 exactly when the tools of this host support the dialect
    accepts: tuple[str, ...]
    compile_env: tuple[tuple[str, str], ...] = ()
    #: a template, too
    run_env: tuple[tuple[str, str], ...] = ()
    #: maximum size of the ``artifact``
    artifact_max_bytes: int = 64 * MIB

    #: on the problem's time limit
    time_factor: float = 1.0
    #: beside the problem's memory limit: the size of a runtime that limits its heap by itself
    memory_added_mb: int = 0
    #: beside a program's own processes: the runtime's own threads
    processes_added: int = 0
    heap: Heap | None = None
    #: on the time limits of a compilation
    compile_factor: float = 1.0
    archive: ToolchainArchive | None = None
    #: Compiling runs code of the source (Perl's BEGIN, Template Haskell, a module beside it), or may do so. The source
    #: can kill the compiler then. Interpreters are assumed to do so; Ruby's check runs no code, but uses a shell.
    compile_runs_source: bool = False
    #: its compiler or its programs fail where they see no /proc (tests/languages tries each)
    needs_proc: bool = False
    #: glob patterns of host paths outside of /usr that the tools read
    outside_usr: tuple[str, ...] = ()

    @property
    def is_gcc(self) -> bool:
        """Whether GCC compiles and links it."""
        return self.compile is not None and self.compile[0] in ("{gcc}", "{gxx}")

    def compile_argv(self, toolchain: Toolchain) -> tuple[str, ...] | None:
        return None if self.compile is None else toolchain.fill(self.compile)

    def run_argv(self, toolchain: Toolchain, memory_mb: int) -> tuple[str, ...]:
        """Return the command that runs a program. ``memory_mb``: the problem's limit."""
        return toolchain.fill(self.run, memory_mb)

    def run_environment(self, toolchain: Toolchain, memory_mb: int) -> tuple[tuple[str, str], ...]:
        """Return the environment, like ``run_argv``, as names and values."""
        names = tuple(name for name, _ in self.run_env)
        values = toolchain.fill(tuple(value for _, value in self.run_env), memory_mb)
        return tuple(zip(names, values, strict=True))

    def version_argv(self, toolchain: Toolchain) -> tuple[str, ...]:
        return toolchain.fill(self.version)

    def tool(self, toolchain: Toolchain) -> str:
        """Return the file that identifies the tools: when it changes, everything that they have made is made again."""
        return self.version_argv(toolchain)[0]

    def accepts_argv(self, toolchain: Toolchain) -> tuple[str, ...]:
        return toolchain.fill(self.accepts)

    @property
    def compile_line(self) -> str:
        """The compile command with the tools' short names, for people; empty if there is none."""
        return "" if self.compile is None else _for_people(self.compile_shown or self.compile)

    @property
    def run_line(self) -> str:
        """The run command with the tools' short names, for people, for a limit of 256 MB."""
        return _for_people(self.run)


def _for_people(template: tuple[str, ...]) -> str:
    words = Toolchain.short().fill(template, _SHOWN_MEMORY_MB)
    line = " ".join(words)
    if len(words) > 2 and words[2].endswith(_END):
        line = words[2].removesuffix(_END).rpartition("\n")[2].replace('"$@"', " ".join(words[4:]))
    return line.replace("/usr/bin/", "")


#: If a step's tool is missing or was killed by the host, the shell ends as a single compiler would end then: by
#: SIGKILL. So the end does not look like the compiler's own.
_END = "; code=$?; case $code in 126|127|137|159) kill -9 $$;; esac; exit $code"


def steps(*commands: str, brought: str = "sh", sources: tuple[str, ...] = (), functions: str = "") -> tuple[str, ...]:
    """Return the argv of several shell commands, run one after the other until one fails. ``"$@"`` in them is
    ``sources``, which are words of the argv as in any other compile line. ``"$0"`` is ``brought``, a path in
    ``PROGRAM_DIR``: at `weak` that directory has another name, which the sandbox inserts only at the beginning of a
    word. ``functions``: shell functions for the commands, not shown to people."""
    return ("/bin/sh", "-c", f"{functions}{' && '.join(commands)}{_END}", brought, *sources)


def literal(text: str) -> str:
    """Return a word of a template with its braces escaped."""
    return text.replace("{", "{{").replace("}", "}}")
