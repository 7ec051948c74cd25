"""What the rows of one kind have in common."""

from __future__ import annotations

from dataclasses import replace

from deepoj.judging.languages.row import Heap, Language, literal, steps
from deepoj.words import PROGRAM_DIR

BIN = "/usr/bin"
#: PATH: drivers look for as and ld there, scripts for what they call; TMPDIR, HOME: the scratch is all that is writable
ENV = (("PATH", "/usr/bin:/bin"), ("LC_ALL", "C.UTF-8"))
COMPILE_ENV = (*ENV, ("TMPDIR", "."), ("HOME", "/w"))


def present(*tools: str) -> tuple[str, ...]:
    """An acceptance probe: are they all there? Starting each of them would take seconds where they are JVMs."""
    return ("/bin/sh", "-c", 'for tool do [ -x "$tool" ] || exit 1; done', "sh", *tools)


def native(*, key: str, name: str, standard: str, number: int | None = None) -> Language:
    """A dialect of g++ or gcc."""
    cxx = standard.startswith("gnu++")
    tool, source, kind = ("{gxx}", "main.cpp", "c++") if cxx else ("{gcc}", "main.c", "c")
    package = "g++" if cxx else "gcc"
    flags = ("-O2", f"-std={standard}", "-pipe", "-DONLINE_JUDGE", "-fmax-errors={max_errors}")
    libraries = () if cxx else ("-lm",)
    return Language(
        id=number,
        key=key,
        name=name,
        package=package,
        source_name=source,
        compile=(tool, *flags, "-o", "main", source, *libraries),
        artifact="main",
        run=(f"{PROGRAM_DIR}/main",),
        version=(tool, "--version"),
        accepts=(tool, f"-std={standard}", "-fsyntax-only", "-x", kind, "/dev/null"),
        compile_env=(*ENV, ("TMPDIR", ".")),
        run_env=ENV,
    )


def compiled(
    *, key: str, name: str, package: str, source_name: str, by: tuple[str, ...], version: tuple[str, ...] = ()
) -> Language:
    """A compiler that leaves a program ``main``."""
    return Language(
        key=key,
        name=name,
        package=package,
        source_name=source_name,
        compile=by,
        artifact="main",
        run=(f"{PROGRAM_DIR}/main",),
        version=version or (by[0], "--version"),
        accepts=present(by[0]),
        compile_env=COMPILE_ENV,
        run_env=ENV,
    )


def script(
    *,
    key: str,
    name: str,
    package: str,
    source_name: str,
    check: tuple[str, ...],
    run: tuple[str, ...],
    version: tuple[str, ...],
) -> Language:
    """An interpreter. ``check`` looks at the syntax of the source, so that what is wrong with it is a Compile Error
    with the interpreter's words instead of a Runtime Error on the first test."""
    return Language(
        key=key,
        name=name,
        package=package,
        source_name=source_name,
        compile=(*check, source_name),
        run=(*run, f"{PROGRAM_DIR}/{source_name}"),
        version=version,
        accepts=present(version[0]),
        compile_env=COMPILE_ENV,
        run_env=ENV,
        compile_runs_source=True,
    )


#: A compiler's JVM: one collector thread, no optimizing compiler (it lives for a second), a heap within the limit.
_TOOL_FLAGS = ("-Xmx640m", "-Xss16m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")


def _jvm(
    *,
    key: str,
    name: str,
    package: str,
    source_name: str,
    compiler: str,
    flags: str,
    main_class: str,
    libraries: tuple[str, ...],
    version: tuple[str, ...],
    main_in_shell: str = "",
) -> Language:
    """A language of the JVM. A program is many class files, so a jar is what is taken out of the box. ``compiler``
    must leave them below ``classes``. ``main_in_shell``: what stands for ``main_class`` in the compile line, where it
    follows the entry point's name."""
    main = main_in_shell or main_class
    jar = f"{BIN}/jar {' '.join('-J' + flag for flag in _TOOL_FLAGS)} --create --file main.jar --no-compress"
    class_path = ":".join((f"{PROGRAM_DIR}/main.jar", *libraries))
    return Language(
        key=key,
        name=name,
        package=package,
        source_name=source_name,
        compile=steps(
            "mkdir classes",
            f'{compiler} {flags} "$@"',
            f'([ -f "classes/{main}.class" ] || '
            f'! echo "{source_name}: no class {main}, outside of packages, to start with" >&2)',
            f"{jar} -C classes .",
            sources=(source_name,),
        ),
        artifact="main.jar",
        run=(
            f"{BIN}/java", "-Xmx{memory_mb}m", "-Xss64m",
            "-XX:+UseSerialGC", "-XX:ActiveProcessorCount=2", "-XX:-UsePerfData",
            # the heap is held to the problem's limit, and the end says so on stderr: see Heap
            "-XX:+ExitOnOutOfMemoryError", "-XX:+DisplayVMOutputToStderr", "-cp", class_path, main_class,
        ),
        version=version,
        accepts=present(f"{BIN}/java", f"{BIN}/jar", compiler.split(maxsplit=1)[0]),
        compile_env=COMPILE_ENV,
        run_env=ENV,
        # beside a heap of 256 MiB some 140 were seen: code, classes, stacks, and what the compiler of hot code works in
        memory_added_mb=256,
        processes_added=32,
        heap=Heap(says=b"java.lang.OutOfMemoryError", exit_code=3),
        outside_usr=("/etc/java-*-openjdk",),
    )  # fmt: skip


def java(*, key: str, name: str, number: int) -> Language:
    """javac and java of the host's default JDK."""
    row = _jvm(
        key=key,
        name=name,
        package="default-jdk-headless",
        source_name="Main.java",
        compiler=f"{BIN}/javac",
        flags=f"{' '.join('-J' + flag for flag in _TOOL_FLAGS)} -encoding UTF-8 -Xmaxerrs {{max_errors}} -d classes",
        main_class="Main",
        libraries=(),
        version=(f"{BIN}/javac", "-version"),
        main_in_shell=literal("${1%.java}"),
    )
    return replace(row, id=number)


def on_jvm(
    *, key: str, name: str, package: str, source_name: str, compiler: str, main_class: str, libraries: tuple[str, ...],
    version: tuple[str, ...],
) -> Language:  # fmt: skip
    """A guest of the JVM, whose compiler is a large Java program itself and starts slowly."""
    row = _jvm(
        key=key,
        name=name,
        package=package,
        source_name=source_name,
        compiler=compiler,
        flags="-d classes",
        main_class=main_class,
        libraries=libraries,
        version=version,
    )
    options = " ".join(_TOOL_FLAGS)
    return replace(row, compile_env=(*COMPILE_ENV, ("JAVA_OPTS", options)), compile_factor=3.0)
