"""The common parts of similar rows."""

from __future__ import annotations

from dataclasses import replace

from deepoj.judging.languages.row import Heap, Language, ToolchainArchive, literal, steps
from deepoj.words.sandbox import PROGRAM_DIR

BIN = "/usr/bin"
#: PATH: drivers look for as and ld there, scripts for the tools that they call. TMPDIR, HOME: only the scratch is
#: writable; /tmp is another name of it, but not at `weak`
BASE_ENV = (("PATH", "/usr/bin:/bin"), ("LC_ALL", "C.UTF-8"))
ENV = (*BASE_ENV, ("TMPDIR", "/w"))
_NATIVE_COMPILE_ENV = (*BASE_ENV, ("TMPDIR", "."))
COMPILE_ENV = (*_NATIVE_COMPILE_ENV, ("HOME", "/w"))


def present(*tools: str) -> tuple[str, ...]:
    """Return an acceptance probe that checks that all tools exist. Starting each of them would take seconds where they
    are JVMs."""
    return ("/bin/sh", "-c", 'for tool do [ -x "$tool" ] || exit 1; done', "sh", *tools)


def native(*, key: str, name: str, standard: str, number: int | None = None) -> Language:
    """Return a dialect of g++ or gcc."""
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
        compile_env=_NATIVE_COMPILE_ENV,
        run_env=ENV,
    )


def compiled(
    *, key: str, name: str, package: str, source_name: str, by: tuple[str, ...], version: tuple[str, ...] = ()
) -> Language:
    """Return a compiled language whose compiler leaves a program ``main``."""
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
    """Return an interpreted language. ``check`` checks the syntax of the source, so that an error in it is a Compile
    Error with the interpreter's message instead of a Runtime Error on the first test."""
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


#: Flags of a compiler's JVM: one collector thread, no optimizing compiler (it lives for a second), a heap within the
#: limit.
_TOOL_FLAGS = ("-Xmx640m", "-Xss16m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")


#: Loading and checking the compiler's classes takes a third of a small compilation. The JVM maps them from this archive
#: (class data sharing) instead. It holds the classes that compiling ``_SAMPLE`` takes, which has what contestants use.
_TOOL_CLASSES = "java-tools.jsa"
_SAMPLE = """import java.io.*;
import java.util.*;
import java.util.function.*;
import java.util.stream.*;
public class Sample {
    enum Kind { ODD, EVEN }
    interface Shape { double area(); default String label() { return "shape " + area(); } }
    static class Box<T extends Comparable<T>> implements Shape {
        private final List<T> held = new ArrayList<>();
        void add(T item) { held.add(item); Collections.sort(held); }
        public double area() { return held.size(); }
    }
    static int depth(int n) { return n <= 0 ? 0 : 1 + depth(n - 1); }
    public static void main(String[] args) throws IOException {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        StringTokenizer words = new StringTokenizer(Objects.requireNonNullElse(in.readLine(), "1 2"));
        Scanner scanner = new Scanner("3 4");
        Map<String, Integer> counts = new HashMap<>();
        while (words.hasMoreTokens()) counts.merge(words.nextToken(), 1, Integer::sum);
        PriorityQueue<int[]> queue = new PriorityQueue<>((a, b) -> a[0] - b[0]);
        queue.add(new int[] {scanner.nextInt(), 1});
        long[][] table = new long[3][4];
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < 3; i++) for (long cell : table[i]) text.append(cell).append(i % 2 == 0 ? "a" : "b");
        Runnable later = new Runnable() { public void run() { text.append(depth(3)); } };
        later.run();
        switch (text.toString()) { case "x": text.append(Kind.ODD); break; default: text.append(Kind.EVEN.ordinal()); }
        try { text.append(new Box<Integer>().label()); } catch (RuntimeException error) { throw error; }
        finally { scanner.close(); }
        System.out.println(IntStream.range(0, 5).boxed().filter(n -> n > 1).map(String::valueOf)
            .collect(Collectors.joining(",")) + text + counts + queue.size());
        System.out.printf("%d %.3f%n", 1L << 40, Math.sqrt(2.0));
    }
}
"""
_TRAINING = """import java.util.spi.ToolProvider;
public class Training {
    public static void main(String[] args) {
        ToolProvider javac = ToolProvider.findFirst("javac").get(), jar = ToolProvider.findFirst("jar").get();
        javac.run(System.out, System.err, "-encoding", "UTF-8", "-Xmaxerrs", "10", "-d", "classes", "Sample.java");
        jar.run(System.out, System.err, "--create", "--file", "main.jar", "--no-compress", "--manifest", "manifest",
            "--main-class", "Sample", "-C", "classes", ".");
    }
}
"""
_TOOL_ARCHIVE = ToolchainArchive(
    make=steps(
        "mkdir classes",
        "echo 'Class-Path: ' >manifest",
        literal(f"printf %s '{_SAMPLE}' >Sample.java"),
        literal(f"printf %s '{_TRAINING}' >Training.java"),
        f"{BIN}/java {' '.join(_TOOL_FLAGS)} -XX:ArchiveClassesAtExit={_TOOL_CLASSES} Training.java",
    ),
    name=_TOOL_CLASSES,
    env=COMPILE_ENV,
    is_required=False,
)
#: calls a tool of the JDK, with the archive if it is there
_WITH_ARCHIVE = "".join(
    literal(
        f"""{tool}() {{
  if [ -f "$0" ]; then {BIN}/{tool} -J-XX:SharedArchiveFile="$0" "$@"; else {BIN}/{tool} "$@"; fi
}}
"""
    )
    for tool in ("javac", "jar", "javap")
)


#: Prints the class to start. Candidates are the classes in ``classes`` that have a method ``main(String[])``, in any
#: package. The class named like the entry point's file is preferred, then ``Main``, then the first. They are found by
#: the contents of class files: the name and the type of the method. A class that only calls this method contains
#: these, too: of several candidates javap tells which have it.
_MAIN_CLASS = literal(
    r"""started() {
  mains=$(cd classes && export LC_ALL=C && grep -rlaP '\x01\x00\x04main' . | grep -v '[$]' | while read -r file; do
    grep -qaP '\x01\x00\x16\(\[Ljava/lang/String;\)V' "$file" && echo "$file"
  done | sed 's|^[.]/||; s|[.]class$||' | sort)
  case $mains in
  "") echo "no class has a method main(String[]) to start with" >&2; return 1;;
  *"
"*) for wanted in "${1%.*}" Main $mains; do for main in $mains; do
      [ "$main" = "$wanted" ] && JAVAP -public -cp classes "$main" |
        grep -q 'public static .*void main(java[.]lang[.]String' && echo "$main" | tr / . && return 0
    done; done; echo "no class has a public method main(String[]) to start with" >&2; return 1;;
  *) echo "$mains" | tr / .;;
  esac
}
"""
)


def _jvm(
    *,
    key: str,
    name: str,
    package: str,
    source_name: str,
    compiler: str,
    flags: str,
    libraries: tuple[str, ...],
    version: tuple[str, ...],
    tool_archive: ToolchainArchive | None = None,
) -> Language:
    """Return a language of the JVM. A program is many class files, so a jar is copied out of the box; it names the
    class to start. ``compiler`` must leave them below ``classes``."""
    tool_flags = " ".join(f"-J{flag}" for flag in _TOOL_FLAGS)
    jar = f'jar {tool_flags} --create --file main.jar --no-compress --manifest manifest --main-class "$main"'
    return Language(
        key=key,
        name=name,
        package=package,
        source_name=source_name,
        compile=steps(
            "mkdir classes",
            f'{compiler} {flags} "$@"',
            'main=$(started "$@")',
            f'echo "Class-Path: {" ".join(f"file:{path}" for path in libraries)}" >manifest',
            f"{jar} -C classes .",
            brought=f"{PROGRAM_DIR}/{_TOOL_CLASSES}",
            sources=(source_name,),
            functions=_WITH_ARCHIVE + _MAIN_CLASS.replace("JAVAP", f"javap {tool_flags}"),
        ),
        artifact="main.jar",
        run=(
            f"{BIN}/java", "-Xmx{memory_mb}m", "-Xss64m",
            "-XX:+UseSerialGC", "-XX:ActiveProcessorCount=2", "-XX:-UsePerfData",
            # the heap is limited to the problem's limit, and stderr shows when it ends the program: see Heap
            "-XX:+ExitOnOutOfMemoryError", "-XX:+DisplayVMOutputToStderr",
            "-jar", f"{PROGRAM_DIR}/main.jar",
        ),
        version=version,
        accepts=present(f"{BIN}/java", f"{BIN}/jar", version[0]),
        compile_env=COMPILE_ENV,
        run_env=ENV,
        # Beside a heap of 256 MiB some 140 were seen: code, classes, stacks, and the memory of the optimizing compiler.
        # An endless recursion is a Runtime Error or Memory Limit Exceeded by chance: while the JVM unwinds 64 MiB of
        # compiled frames, its arenas take 200 to 500 MiB, depending on the number of compiled frames (-Xint: 100 MiB in
        # all). No headroom that a host could spare covers that, and smaller stacks would end honest recursions.
        memory_added_mb=256,
        processes_added=32,
        heap=Heap(says=b"java.lang.OutOfMemoryError", exit_code=3),
        needs_proc=True,  # java and javac find their libraries by /proc/self/exe
        outside_usr=("/etc/java-*-openjdk",),
        archive=tool_archive,
    )  # fmt: skip


def java(*, key: str, name: str, number: int) -> Language:
    """Return javac and java of the host's default JDK."""
    row = _jvm(
        key=key,
        name=name,
        package="default-jdk-headless",
        source_name="Main.java",
        compiler="javac",
        flags=f"{' '.join('-J' + flag for flag in _TOOL_FLAGS)} -encoding UTF-8 -Xmaxerrs {{max_errors}} -d classes",
        libraries=(),
        version=(f"{BIN}/javac", "-version"),
        tool_archive=_TOOL_ARCHIVE,
    )
    return replace(row, id=number)


def on_jvm(
    *, key: str, name: str, package: str, source_name: str, compiler: str, libraries: tuple[str, ...],
    version: tuple[str, ...],
) -> Language:  # fmt: skip
    """Return another JVM language, whose compiler is a large Java program itself and starts slowly."""
    row = _jvm(
        key=key,
        name=name,
        package=package,
        source_name=source_name,
        compiler=compiler,
        flags="-d classes",
        libraries=libraries,
        version=version,
    )
    options = " ".join(_TOOL_FLAGS)
    return replace(row, compile_env=(*COMPILE_ENV, ("JAVA_OPTS", options)), compile_factor=3.0)
