"""The table of all languages that can be judged. Debian 13 packages all of them. It packages Kotlin as well (1.3, of
2019), but that compiler calls functions that only JDK 21's library has, and fails under 17. Scala's works under both.

Decisions, with their reasons:

* C and C++ link dynamically. A static program starts in 0.5 ms instead of 1.3 ms. But it weighs 2.2 MB instead of 16 KB
  and is copied into the scratch for every test, which cancels the gain. Linking takes equally long.
* ``-pipe`` saves the temporary assembler file (6 % of a small compilation).
* Interpreted languages are compiled, too: a syntax check makes a syntax error a Compile Error with the interpreter's
  message instead of a Runtime Error on the first test.
* Python's hash seed is fixed, so that a rejudge repeats the judged run. For the same reason the number of a runtime's
  threads is fixed, which would otherwise follow the host's number of CPUs.
* ``site`` stays on (``-S`` would take ``exit()`` away from contestants); the user's site directory does not exist.
* A runtime that can limit its heap is given the limit (JVM, Node), and may need more memory than that for itself. Go's
  collector is told to work harder before the limit; otherwise it would pass the limit with half of it in use. All
  others are held to the measured memory.
* Go is compiled by its compiler and linker alone: ``go build`` compiles the standard library for every user with an
  empty cache (20 s), and all programs could write to a shared cache. The archives of the library are a toolchain cache,
  without the packages for networks, databases and tools.
* Ruby touches its main stack from end to end, and a run's stack may be as large as its memory: it gets a smaller one.
* PyPy sizes its nursery by the CPU's cache, which may be 300 MB.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from deepoj.judging.languages.families import BIN, COMPILE_ENV, ENV, compiled, java, native, on_jvm, present, script
from deepoj.judging.languages.row import Heap, Language, ToolchainArchive, literal, steps
from deepoj.words.sandbox import PROGRAM_DIR

_PYTHON_ENV = (*ENV, ("PYTHONDONTWRITEBYTECODE", "1"), ("PYTHONHASHSEED", "0"), ("PYTHONNOUSERSITE", "1"))
#: Checks as ``py_compile`` does, with the same messages. But that module writes bytecode, which no run reads, and
#: imports argparse and traceback, which takes longer than the interpreter's own start. ``_exit`` saves the time that
#: freeing all objects takes. A sentence before the message names a source in Python 2: that is what most of the broken
#: sources in old packages are. A name that the source sets itself proves nothing.
_PYTHON_CHECK = r"""import posix, sys
def is_python2(error, name):
    import re
    if not isinstance(error, SyntaxError):
        return False
    if re.search("Missing parentheses in call|multiple exception types must be parenthesized", str(error.msg)):
        return True
    with open(name, "rb") as source:
        text = source.read()
    if re.search(rb"\b(?:raw_input|xrange|unicode)\s*=[^=]", text):
        return False
    old = rb"\b(?:raw_input|xrange|unicode)[ \t]*\(|\.(?:has_key|iter(?:items|keys|values))\(|\w[ \t]*<>|\dL\b|`"
    old += rb"|\braise[ \t]+[\w.]+[ \t]*,"
    old += rb'''|(?<![\w.])print[ \t]*(?:["']|>>)'''
    line = rb'''^(?:[^#'"\n]*?(?:%s)|[ \t]*except\b[^#:\n(]*,)''' % old
    return re.search(line, text, re.MULTILINE) is not None
for name in sys.argv[1:]:
    try:
        with open(name, "rb") as source:
            compile(source.read(), name, "exec", dont_inherit=True)
    except Exception as error:
        from py_compile import PyCompileError
        if is_python2(error, name):
            sys.stderr.write("This looks like Python 2. This judge runs Python %d.%d.\n" % sys.version_info[:2])
        sys.stderr.write(PyCompileError(type(error), error, name).msg)
        sys.exit(1)
sys.stderr.flush()
posix._exit(0)
"""

#: Go finds no folder for its telemetry at XDG_CONFIG_HOME. The telemetry's child would begin a session, which the
#: sandbox refuses, and the compiler complains of that. Without GOROOT it finds its files by /proc, which may be missing
_GO_ENV = (
    *COMPILE_ENV,
    ("GOROOT", "/usr/lib/go"),
    ("GOCACHE", "/w/cache"),
    ("GOFLAGS", "-mod=mod"),
    ("GO111MODULE", "off"),
    ("CGO_ENABLED", "0"),
    ("XDG_CONFIG_HOME", "none"),
)
#: Node works without /etc/ssl/openssl.cnf where it does not exist, as in a box; at `weak` access is refused, and Node
#: ends
_NO_OPENSSL_CONF = ("OPENSSL_CONF", "/dev/null")
#: packages for reading, computing and printing; the whole library would add 156 MB to each compilation
_GO_PACKAGES = (
    "bufio bytes cmp compress/gzip container/... context crypto/md5 crypto/rand crypto/sha1 crypto/sha256 crypto/sha512"
    " encoding/base32 encoding/base64 encoding/binary encoding/csv encoding/hex encoding/json errors flag fmt hash/..."
    " index/suffixarray io io/fs io/ioutil iter log maps math math/... os os/exec os/signal path path/filepath reflect"
    " regexp regexp/syntax runtime runtime/debug slices sort strconv strings structs sync sync/atomic syscall"
    " text/scanner text/tabwriter time unicode unicode/... unique unsafe"
)
_GO_LINE = "{{if .Export}}{{.ImportPath}} {{.Export}}{{end}}"
#: one archive per package, and the list by which the compiler and the linker find them
_GO_ARCHIVE = steps(
    "mkdir std",
    literal(f"{BIN}/go list -deps -export -f '{_GO_LINE}' {_GO_PACKAGES} >list"),
    "(n=0; while read -r path file; do"
    ' n=$((n + 1)); mv "$file" std/$n.a && echo "packagefile $path=std/$n.a"'
    " || exit 1; done <list >std/importcfg)",
    "tar cf go-std.tar std",
)

_ROWS: tuple[Language, ...] = (
    native(key="c17", name="C17 (GCC)", standard="gnu17"),
    native(key="cpp17", name="C++17 (GCC)", standard="gnu++17", number=1),
    native(key="cpp20", name="C++20 (GCC)", standard="gnu++20"),
    native(key="cpp23", name="C++23 (GCC)", standard="gnu++23"),
    java(key="java", name="Java (OpenJDK)", number=2),
    Language(
        id=3,
        key="python3",
        name="Python 3 (CPython)",
        package="python3",
        source_name="main.py",
        compile=("{python3}", "-I", "-S", "-c", _PYTHON_CHECK, "main.py"),
        compile_shown=("{python3}", "-m", "py_compile", "main.py"),
        run=("{python3}", f"{PROGRAM_DIR}/main.py"),
        version=("{python3}", "--version"),
        accepts=("{python3}", "-c", ""),
        compile_env=_PYTHON_ENV,
        run_env=_PYTHON_ENV,
        compile_runs_source=True,
    ),
    Language(
        key="pypy3",
        name="Python 3 (PyPy)",
        package="pypy3",
        source_name="main.py",
        compile=(f"{BIN}/pypy3", "-I", "-S", "-c", _PYTHON_CHECK, "main.py"),
        compile_shown=(f"{BIN}/pypy3", "-m", "py_compile", "main.py"),
        run=(f"{BIN}/pypy3", f"{PROGRAM_DIR}/main.py"),
        version=(f"{BIN}/pypy3", "--version"),
        accepts=present(f"{BIN}/pypy3"),
        compile_env=(*_PYTHON_ENV, ("PYPY_GC_NURSERY", "4M")),
        run_env=(*_PYTHON_ENV, ("PYPY_GC_NURSERY", "4M")),
        compile_runs_source=True,
    ),
    Language(
        id=4,
        key="go",
        name="Go",
        package="golang-go",
        source_name="main.go",
        compile=steps(
            'tar xf "$0"',
            f'{BIN}/go tool compile -p main -complete -importcfg std/importcfg -o main.a "$@"',
            f"{BIN}/go tool link -w -importcfg std/importcfg -o main main.a",
            brought=f"{PROGRAM_DIR}/go-std.tar",
            sources=("main.go",),
        ),
        artifact="main",
        run=(f"{PROGRAM_DIR}/main",),
        version=(f"{BIN}/go", "version"),
        accepts=present(f"{BIN}/go"),
        compile_env=_GO_ENV,
        run_env=(*ENV, ("GOMAXPROCS", "2"), ("GOMEMLIMIT", "{most_memory_mb}MiB")),
        processes_added=12,
        archive=ToolchainArchive(make=_GO_ARCHIVE, name="go-std.tar", env=_GO_ENV),
    ),
    compiled(
        key="rust",
        name="Rust",
        package="rustc",
        source_name="main.rs",
        by=(f"{BIN}/rustc", "--edition", "2021", "-C", "opt-level=2", "-o", "main", "main.rs"),
    ),
    Language(
        key="javascript",
        name="JavaScript (Node.js)",
        package="nodejs",
        source_name="main.js",
        compile=(f"{BIN}/node", "--check", "main.js"),
        run=(f"{BIN}/node", "--max-old-space-size={memory_mb}", "--stack-size={stack_kb}", f"{PROGRAM_DIR}/main.js"),
        version=(f"{BIN}/node", "--version"),
        accepts=present(f"{BIN}/node"),
        compile_env=(*COMPILE_ENV, _NO_OPENSSL_CONF),
        run_env=(*ENV, _NO_OPENSSL_CONF),
        memory_added_mb=128,
        processes_added=20,
        heap=Heap(says=b"JavaScript heap out of memory", exit_signal=6),
        compile_runs_source=True,
    ),
    on_jvm(
        key="scala",
        name="Scala (JVM)",
        package="scala",
        source_name="main.scala",
        compiler=f"{BIN}/scalac",
        libraries=("/usr/share/java/scala-library.jar",),
        version=(f"{BIN}/scalac", "-version"),
    ),
    Language(
        key="csharp",
        name="C# (Mono)",
        package="mono-mcs",
        source_name="main.cs",
        compile=(f"{BIN}/mcs", "-optimize+", "-out:main.exe", "main.cs"),
        artifact="main.exe",
        run=(f"{BIN}/mono", f"{PROGRAM_DIR}/main.exe"),
        version=(f"{BIN}/mcs", "--version"),
        accepts=present(f"{BIN}/mcs", f"{BIN}/mono"),
        compile_env=COMPILE_ENV,
        run_env=ENV,
        processes_added=16,
        needs_proc=True,
        outside_usr=("/etc/mono",),
    ),
    Language(
        key="ruby",
        name="Ruby",
        package="ruby",
        source_name="main.rb",
        compile=steps("ulimit -s 16384", f'{BIN}/ruby -c "$@"', sources=("main.rb",)),
        run=("/bin/sh", "-c", 'ulimit -s 16384; exec "$0" "$@"', f"{BIN}/ruby", f"{PROGRAM_DIR}/main.rb"),
        version=(f"{BIN}/ruby", "--version"),
        accepts=present(f"{BIN}/ruby"),
        compile_env=COMPILE_ENV,
        run_env=ENV,
    ),
    replace(
        script(
            key="php",
            name="PHP",
            package="php-cli",
            source_name="main.php",
            check=(f"{BIN}/php", "-d", "display_errors=stderr", "-l"),
            run=(f"{BIN}/php", "-d", "memory_limit=-1", "-d", "display_errors=stderr"),
            version=(f"{BIN}/php", "--version"),
        ),
        outside_usr=("/etc/php",),
    ),
    script(
        key="perl",
        name="Perl",
        package="perl",
        source_name="main.pl",
        check=(f"{BIN}/perl", "-c"),
        run=(f"{BIN}/perl",),
        version=(f"{BIN}/perl", "-e", 'printf "perl %vd\\n", $^V'),
    ),
    script(
        key="lua",
        name="Lua",
        package="lua5.4",
        source_name="main.lua",
        check=(f"{BIN}/luac5.4", "-p"),
        run=(f"{BIN}/lua5.4",),
        version=(f"{BIN}/lua5.4", "-v"),
    ),
    script(
        key="bash",
        name="Bash",
        package="bash",
        source_name="main.sh",
        check=(f"{BIN}/bash", "-n"),
        run=(f"{BIN}/bash",),
        version=(f"{BIN}/bash", "--version"),
    ),
    replace(
        compiled(
            key="haskell",
            name="Haskell (GHC)",
            package="ghc",
            source_name="main.hs",
            by=(f"{BIN}/ghc", "-v0", "-O2", "-o", "main", "main.hs"),
        ),
        compile_factor=2.0,
        compile_runs_source=True,
        needs_proc=True,
        outside_usr=("/var/lib/ghc",),
    ),
    compiled(
        key="ocaml",
        name="OCaml",
        package="ocaml",
        source_name="main.ml",
        by=(
            f"{BIN}/ocamlopt", "-I", "+str", "-I", "+unix", "unix.cmxa", "str.cmxa", "-o", "main", "main.ml",
        ),
        version=(f"{BIN}/ocamlopt", "-version"),
    ),
    replace(
        compiled(
            key="pascal",
            name="Pascal (Free Pascal)",
            package="fp-compiler",
            source_name="main.pas",
            by=(f"{BIN}/fpc", "-O2", "-l-", "-v0ew", "-dONLINE_JUDGE", "-omain", "main.pas"),
            version=(f"{BIN}/fpc", "-iV"),
        ),
        outside_usr=("/etc/fpc.cfg",),
    ),
)  # fmt: skip

#: every language by its key, in the order shown to people
LANGUAGES: Mapping[str, Language] = MappingProxyType({language.key: language for language in _ROWS})

#: by the original system's numbers
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


def outside_usr() -> tuple[str, ...]:
    """Return glob patterns of the paths outside of /usr that the tools of all languages read, each once."""
    return tuple(dict.fromkeys(pattern for language in _ROWS for pattern in language.outside_usr))
