"""What a row of the table of languages holds.

Templates are tuples of words in which ``{gxx}``, ``{memory_mb}`` and so on (``toolchain.py``) are filled in. Every argv
runs in the sandbox with the scratch as its working directory, so file names are plain; what was compiled stands in
``PROGRAM_DIR``, which cannot be written.
"""

from __future__ import annotations

from dataclasses import dataclass

from deepoj.judging.languages.toolchain import Toolchain

MIB = 1024 * 1024
#: shown to people instead of a problem's limit
_SHOWN_MEMORY_MB = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Heap:
    """How a runtime that was told the memory limit ends when its heap has reached it. It is a matter of words and of
    how it ended, which a program can forge: it gets Memory Limit Exceeded then, in place of the Runtime Error that it
    would have had."""

    #: on stderr
    says: bytes
    exit_code: int = 0
    exit_signal: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """What compiling needs and the toolchain's packages do not bring: made once for a toolchain, in the sandbox, and
    shown to every compilation as ``PROGRAM_DIR/name``."""

    #: leaves ``name`` in the scratch
    make: tuple[str, ...]
    name: str
    env: tuple[tuple[str, str], ...] = ()
    cpu_ms: int = 300_000
    wall_ms: int = 600_000
    memory_bytes: int = 1536 * MIB
    scratch_bytes: int = 2048 * MIB
    max_bytes: int = 512 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """One language (dialect)."""

    #: the number of the original system, for the one dialect that carries it
    id: int | None = None
    key: str
    name: str
    #: the Debian package of its tools; empty if it needs none
    package: str
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
    #: a template too
    run_env: tuple[tuple[str, str], ...] = ()
    #: the largest ``artifact`` that is taken out of the box
    artifact_max_bytes: int = 64 * MIB

    #: on the problem's time limit
    time_factor: float = 1.0
    #: beside the problem's memory limit: what the runtime weighs that holds its heap to the limit by itself
    memory_added_mb: int = 0
    #: beside what a program may start: the runtime's own threads
    processes_added: int = 0
    heap: Heap | None = None
    #: on what a compilation may take of time
    compile_factor: float = 1.0
    kit: Kit | None = None
    #: compiling runs code of the source (Perl's BEGIN, Template Haskell, a module beside it), or may do so: the source
    #: can kill the compiler then. Of interpreters we assume it; Ruby's check runs no code, and goes through a shell.
    compile_runs_source: bool = False
    #: glob patterns of host paths outside of /usr that the tools read
    outside_usr: tuple[str, ...] = ()

    def compile_argv(self, toolchain: Toolchain) -> tuple[str, ...] | None:
        return None if self.compile is None else toolchain.fill(self.compile)

    def run_argv(self, toolchain: Toolchain, memory_mb: int) -> tuple[str, ...]:
        """``memory_mb``: the problem's limit."""
        return toolchain.fill(self.run, memory_mb)

    def run_environment(self, toolchain: Toolchain, memory_mb: int) -> tuple[tuple[str, str], ...]:
        """As ``run_argv``, name by value."""
        names = tuple(name for name, _ in self.run_env)
        values = toolchain.fill(tuple(value for _, value in self.run_env), memory_mb)
        return tuple(zip(names, values, strict=True))

    def version_argv(self, toolchain: Toolchain) -> tuple[str, ...]:
        return toolchain.fill(self.version)

    def tool(self, toolchain: Toolchain) -> str:
        """The file that stands for the tools: when it is another, what they have made is made anew."""
        return self.version_argv(toolchain)[0]

    def accepts_argv(self, toolchain: Toolchain) -> tuple[str, ...]:
        return toolchain.fill(self.accepts)

    @property
    def compile_line(self) -> str:
        """For people: the compile command with the tools' short names, empty if there is none."""
        return "" if self.compile is None else _for_people(self.compile)

    @property
    def run_line(self) -> str:
        """For people: the run command with the tools' short names, for a limit of 256 MB."""
        return _for_people(self.run)


def _for_people(template: tuple[str, ...]) -> str:
    words = Toolchain.short().fill(template, _SHOWN_MEMORY_MB)
    line = " ".join(words)
    if len(words) > 2 and words[2].endswith(_END):
        line = words[2].removesuffix(_END).rpartition("\n")[2].replace('"$@"', " ".join(words[4:]))
    return line.replace("/usr/bin/", "")


#: A step whose tool is missing or was killed by the host ends us as a single compiler is ended then: by SIGKILL, so
#: that nobody takes it for the compiler's word.
_END = "; code=$?; case $code in 126|127|137|159) kill -9 $$;; esac; exit $code"


def steps(*commands: str, brought: str = "sh", sources: tuple[str, ...] = (), functions: str = "") -> tuple[str, ...]:
    """The argv of several shell commands in a row, until one fails. ``"$@"`` in them stands for ``sources``, which are
    words of the argv as in any other compile line, and ``"$0"`` for ``brought``, a path in ``PROGRAM_DIR``: at `weak`
    that directory has another name, which the sandbox puts in only where a word begins with it. ``functions``: of the
    shell, for the commands, and not shown to people."""
    return ("/bin/sh", "-c", f"{functions}{' && '.join(commands)}{_END}", brought, *sources)


def literal(text: str) -> str:
    """A word of a template that has braces of its own."""
    return text.replace("{", "{{").replace("}", "}}")
