"""The hostile table: what each hostile program is, what it must come to, and why where that is not one thing.

A row says nothing of the host: that must be unharmed after every one of them (``host.HostState``), and an innocent
program directly afterwards, on the same slot, must see, weigh and cost what it did before (``arena.Arena``).

Expected is a word such as ``TLE``, or a word and a rule, ``TLE cpu``. Several words: each is right, and ``why`` says
so.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, field, replace

from deepoj.words.sandbox import Policy
from tests.sandbox.bench import MIB

#: how a call may be refused that the policy refuses
REFUSED = frozenset({errno.EPERM, errno.ENOSYS})
#: how a path may be refused: it is not there, or not to be had
CLOSED = frozenset(
    {errno.ENOENT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENXIO, errno.ENOTDIR, errno.EISDIR, errno.ETXTBSY}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One hostile deed."""

    name: str
    #: source file (without .c) and deed
    program: str = ""
    #: further arguments; ``{secret}``, ``{socket}`` and ``{abstract}`` are put in by the arena
    words: tuple[str, ...] = ()
    expected: tuple[str, ...]
    #: at level ``full``, where that differs
    expected_full: tuple[str, ...] | None = None
    #: the same at level ``weak``, where what the program prints is then not looked at
    expected_weak: tuple[str, ...] | None = None
    why: str = ""
    limits: dict[str, int] = field(default_factory=dict)
    policy: Policy = Policy.RUN
    #: every line that the program prints must say one of these errnos
    answers: frozenset[int] | None = None
    #: what it must print, to the letter
    says: str | None = None
    #: how much it must have written, to the byte
    stdout_len: int | None = None
    #: the host's file with input as standard input
    stdin: bool = False
    #: makes more processes than it may, and ends by that where they are counted rather than refused
    crowd: bool = False
    #: no program of ours but this source, given to the C++ compiler
    source: str | None = None
    #: takes something that all runs of one user share: see FINDINGS
    shared: bool = False
    #: the deed is one to a file in /proc
    needs_proc: bool = False

    def __str__(self) -> str:
        return self.name


def group(program: str, *rows: Row) -> tuple[Row, ...]:
    """Rows of one source file; the deed is the row's name unless it says another."""
    return tuple(replace(one, program=f"{program} {one.program or one.name}") for one in rows)


def row(name: str, *expected: str, **more: object) -> Row:
    """A row in short."""
    return Row(name=name, expected=expected, **more)  # type: ignore[arg-type]


# At `weak`: the scratch is no file system that could be full, and no socket can be made. Of modes and times programs
# are told that they were changed: `test_weak_files.py` sees that they are not.
FULL_UP = ("OLE output",)
NO_SOCKET = ("RE exit",)

# Limits. Rows that never end by themselves have the short ones; all others have the generous ones of the bench.
SLEEPS = {"wall_ms": 400}
BURNS = {"cpu_ms": 250, "wall_ms": 4000}
SMALL = {"memory_bytes": 48 * MIB, "cpu_ms": 40_000, "wall_ms": 90_000}
HOARD = {"wall_ms": 20_000, "scratch_bytes": 32 * MIB, "open_files": 64}
COMPILER = {
    "wall_ms": 20_000,
    "memory_bytes": 384 * MIB,
    "output_bytes": 1 * MIB,
    "processes": 64,
    "scratch_bytes": 64 * MIB,
}
_CLOCK = "whether its CPU or the clock is used up first depends on how many cores it gets"
_ROOM = "who has no room left says so in its own way"
_LATE = "a sampler may see the memory only as the exit code of a program that got no more, or by the family's death"

BOMBS = group(
    "bombs",
    row("fork bomb", "TLE", crowd=True, program="forks", limits=BURNS, why=_CLOCK),
    row("fork bomb in sessions", "TLE", crowd=True, program="fork_sessions", limits=BURNS, why=_CLOCK),
    row("fork bomb of execs", "TLE", crowd=True, program="fork_exec", limits=BURNS, why=_CLOCK),
    row("comet", "OK"),
    row("eight comets", "OK", crowd=True, program="comets"),
    row(
        "vfork chain", "TLE", "RE", program="vforks", limits=SLEEPS, why="the last of the chain gets no more and leaves"
    ),
    row("thread bomb", "TLE", crowd=True, program="threads", limits=BURNS, why=_CLOCK),
    row("forking threads", "TLE", crowd=True, program="forking_threads", limits=BURNS, why=_CLOCK),
    row("zombies", "OK", crowd=True, program="zombies", limits={"cpu_ms": 120_000, "wall_ms": 240_000}),
    row("exec without end", "TLE", program="execs", limits=BURNS, why=_CLOCK),
    row("heap", "MLE memory", limits=SMALL),
    row("mmap", "MLE memory", program="mmaps", limits=SMALL),
    row("mmap populated", "MLE memory", program="populate", limits=SMALL),
    row("brk", "MLE memory", program="breaks", limits=SMALL),
    row("huge pages", "MLE memory", program="huge_pages", limits=SMALL),
    row("page tables", "MLE memory", program="tables", limits=SMALL),
    row("stack", "MLE memory", limits=SMALL),
    row(
        "stack, untouched", "RE signal", "MLE memory", program="sparse_stack", limits=SMALL, why="its end is the limit"
    ),
    row("memory of a family", "MLE memory", program="family_memory", limits=SMALL),
    row("memory that cannot be inspected", "MLE memory", program="undumpable_memory", limits=SMALL),
    row("memory under a false name", "MLE memory", program="disguised_memory", limits=SMALL),
    row("memory without a head", "MLE memory", program="headless_memory", limits=SMALL),
    row("memory of the stopped", "MLE memory", program="stopped_memory", limits=SMALL),
    row("memory of an orphan", "MLE memory", program="orphaned_memory", limits=SMALL),
    row("memory of a vfork child", "MLE memory", program="vforked_memory", limits=SMALL),
    row(
        "tmpfs",
        "OK",
        expected_full=("MLE memory", "OK"),
        expected_weak=FULL_UP,
        program="scratch",
        limits=SMALL,
        why="the scratch has its own budget; under a cgroup its pages are the run's memory too",
    ),
    row(
        "tmpfs mapped",
        "OK",
        "MLE memory",
        program="scratch_mapped",
        limits=SMALL,
        why="mapped pages of the scratch are resident memory as well, if they are seen before the run is over",
    ),
    row("pipes", "OK", "MLE memory", limits=SMALL, why="kernel memory: bounded by descriptors, counted under a cgroup"),
    row("socket buffers", "OK", "MLE memory", program="socket_buffers", limits=SMALL, why="as pipes"),
    row("memory beside a vfork", "MLE memory", program="beside_vfork", limits=SMALL),
    row("memory of a chain of the young", "MLE memory", program="chain_of_the_young", limits=SMALL),
    row("queued connections", "MLE memory", program="queued_connections", limits=SMALL, expected_weak=("OK",)),
    row("queued letters", "MLE memory", program="queued_letters", limits=SMALL, expected_weak=("OK",)),
    row("flood of stdout", "OLE output", program="flood_stdout"),
    row("flood of stderr", "OLE output", program="flood_stderr"),
    row("flood of both", "OLE output", program="flood_both"),
    row("flood through /dev/stdout", "OLE output", program="flood_reopened", needs_proc=True),
    row("flood of vectors", "OLE output", program="flood_vectors"),
    row("flood of a file", "OLE output", program="flood_file"),
    row("flood of children", "OLE output", "OK", program="flood_children", why="the parent has gone before they begin"),
    row("drip", "OLE output", limits={"output_bytes": 32768}),
    row("descriptors", "OK", says=f"error {errno.EMFILE}\nmost 63\n"),
    row("descriptors of many", "OK", program="descriptors_of_many"),
    row("timers", "TLE", limits=BURNS, why=_CLOCK, shared=True),
    row("queued signals", "OK", program="queued_signals", says=f"error {errno.EAGAIN}\n", shared=True),
    row("signals held", "OK", program="hold_signals", shared=True),
    row("pipe pages held", "OK", program="hold_pipe_pages", shared=True),
    row("descriptors in flight", "OK", program="hold_flights", shared=True),
)

PROCESSES = group(
    "processes",
    row("double fork", "OK", program="orphan"),
    row("daemon with the pipes", "OK", program="daemon_holding_pipes"),
    row("daemon that writes on", "OK", "OLE output", program="writing_daemon", why="it may be quick"),
    row("nested daemons", "OK", program="nested_daemons"),
    row("daemon with files", "OK", program="daemon_holding_files"),
    row("stops itself", "TLE wall", program="stop_self", limits=SLEEPS),
    row("stopped children", "OK", program="stopped_children"),
    row("sleeps without end", "TLE wall", program="sleeper", limits=SLEEPS),
    # by the CPU alone: on a host under load 4 s may not hold its 250 ms
    row("deaf", "TLE cpu", limits={**BURNS, "wall_ms": 60_000}),
    row("futex without end", "TLE wall", program="futex_forever", limits=SLEEPS),
    row("uninterruptible", "TLE wall", limits=SLEEPS),
    row("headless", "TLE wall", limits=SLEEPS),
    row("kill(-1)", "TLE wall", program="kill_everybody", limits=SLEEPS),
    row("kills its group", "RE signal", program="kill_group"),
    row("kills its group from a child", "RE signal", program="kill_group_from_child"),
    row("signals to init", "OK", program="signal_init", says="done 0\n"),
    row("signals to init by descriptor", "OK", program="signal_init_by_descriptor", says="done 0\n"),
    row("priorities", "OK", answers=REFUSED),
    row("raises limits", "OK", program="raise_limits", answers=REFUSED),
    row("limits others", "OK", program="limit_others", answers=REFUSED | {errno.ESRCH}),
    row("lowers limits", "OK", program="lower_limits"),
    row("weird clones", "OK", program="weird_clones"),
    row("false twins", "OK", program="false_twins", answers=REFUSED),
    row("new worlds", "OK", program="new_worlds", answers=REFUSED),
    row("subreaper", "OK", answers=REFUSED),
    row("death signals", "OK", program="death_signals"),
    row("forking handlers", "OK", program="forking_handlers"),
    row("last gasp", "RE exit", program="last_gasp"),
    row("one thread leaves", "TLE wall", program="exit_from_thread", limits=SLEEPS),
)

STREAMS = group(
    "streams",
    row("closes all and stays", "TLE wall", program="close_all", limits=SLEEPS),
    row("closes all and leaves", "OK", program="close_and_succeed", stdout_len=0),
    row("writes to a closed stdout", "OK", program="close_stdout_then_write", stdout_len=0),
    row(
        "writes on past the cap",
        "OK",
        program="write_on",
        limits={"output_bytes": 8 * MIB},
        stdout_len=4 * MIB,
    ),
    row("forges a system error", "RE exit", program="forge", stdout_len=0),
    row("flags of its streams", "OK", program="flags", stdin=True),
    row("small pipe", "OK", program="small_pipe", answers=frozenset({errno.EPERM})),
    row("pipe of packets", "OK", program="packets", stdout_len=30_000),
    row("reads its own output", "OK", program="read_back"),
    row(
        "writes to its input",
        "OK",
        program="stdin_as_output",
        expected_weak=("OK",),
        stdin=True,
        # ENOENT: where programs see no /proc, no path leads to the input
        answers=REFUSED | {errno.EBADF, errno.EACCES, errno.EINVAL, errno.EROFS, errno.ENOENT},
    ),
    row("leases", "OK", stdin=True),
    row("circles of descriptors", "OK", program="cycles", shared=True),
    row("terminal", "OK", answers=CLOSED | {errno.ENOTTY}),
    row("splices", "OK", answers=REFUSED),
)

FILES = group(
    "files",
    row("sparse file", "OK", program="sparse", answers=frozenset({errno.EFBIG, errno.ENOSPC})),
    row("too large a file", "RE signal", program="too_large"),
    row("deep directories", "OK", program="deep", says="depth 1\n", expected_weak=FULL_UP),
    row("deep directories without modes", "OK", program="deep_mode_0", policy=Policy.COMPILE),
    row("umask 0777", "OK", program="umask_0777"),
    row("inodes", "OK", says=f"error {errno.ENOSPC}\nbounded 1\n", expected_weak=FULL_UP),
    row("directories", "OK", says=f"error {errno.ENOSPC}\nbounded 1\n", expected_weak=FULL_UP),
    row("names", "OK"),
    row("special files", "OK", program="special", answers=REFUSED | CLOSED, expected_weak=NO_SOCKET),
    row(
        "special files, compiling",
        "OK",
        program="special",
        policy=Policy.COMPILE,
        answers=REFUSED | CLOSED,
        expected_weak=NO_SOCKET,
    ),
    row(
        "links",
        "OK",
        program="links_run",
        stdin=True,
        answers=REFUSED | CLOSED | {errno.EXDEV},
        expected_weak=("OK",),
    ),
    row(
        "links, compiling",
        "OK",
        program="links",
        policy=Policy.COMPILE,
        answers=CLOSED | {errno.EXDEV, errno.ELOOP},
        stdin=True,
    ),
    row("all mode bits", "OK", program="setuid_bits", policy=Policy.COMPILE, says="ids 0\n"),
    row("unnamed files", "OK", program="unnamed", answers=REFUSED | CLOSED, expected_weak=("RE exit",)),
    row(
        "removed files, held",
        "OK",
        "RE exit",
        program="hoard",
        words=("held",),
        limits=HOARD,
        expected_weak=FULL_UP,
        why=_ROOM,
    ),
    row(
        "removed files, mapped",
        "OK",
        "RE exit",
        program="hoard",
        words=("mapped",),
        limits=HOARD,
        expected_weak=FULL_UP,
        why=_ROOM,
    ),
    row(
        "removed files in a thread's table",
        "OK",
        "RE exit",
        program="hoard",
        words=("thread",),
        limits=HOARD,
        expected_weak=FULL_UP,
        why=_ROOM,
    ),
    row(
        "removed files of an unreadable program",
        "OK",
        "RE exit",
        program="hoard",
        words=("unreadable",),
        limits=HOARD,
        expected_weak=FULL_UP,
        why=_ROOM,
    ),
    row("files on the move", "OK", program="moving_hoard", limits=HOARD, expected_weak=FULL_UP),
    row("its own program", "OK", program="own_program", answers=frozenset({errno.ETXTBSY})),
    row("its own place", "OK", program="own_place", answers=CLOSED | {errno.EBUSY, errno.EXDEV, errno.EINVAL}),
    row("attributes", "OK", answers=REFUSED | {errno.ENOTTY}),
    row("files of the system", "OK", program="system_files", answers=CLOSED | {errno.EXDEV, errno.EINVAL, errno.EBUSY}),
    row(
        "watches on directories of all",
        "OK",
        program="watch_common_directories",
        answers=REFUSED | {errno.EINVAL},
        why="fcntl(F_NOTIFY) tells when any process of the host reads or runs a file in /usr/bin",
    ),
    row("answers and sources", "OK", program="files_of", words=("{secret}", "{input}"), answers=CLOSED),
)

ESCAPES = group(
    "escapes",
    row("mounts", "OK", answers=REFUSED),
    row("mounts, compiling", "OK", program="mounts", answers=REFUSED, policy=Policy.COMPILE),
    row("file handles", "OK", program="handles", answers=REFUSED),
    row("namespaces", "OK", answers=REFUSED | CLOSED),
    row("writes to /proc, /sys, /dev", "OK", program="proc_writes", answers=CLOSED),
    row("reads of /proc, /sys, /dev", "OK", program="proc_reads", answers=CLOSED),
    row("tracing", "OK", answers=REFUSED),
    row("tracing, compiling", "OK", program="tracing", answers=REFUSED, policy=Policy.COMPILE),
    row("sockets", "OK", answers=frozenset({errno.EAFNOSUPPORT})),
    row("sockets, compiling", "OK", program="sockets", answers=frozenset({errno.EAFNOSUPPORT}), policy=Policy.COMPILE),
    row(
        "sockets of the host",
        "OK",
        program="host_sockets",
        words=("{socket}", "{abstract}"),
        answers=frozenset({errno.ENOENT, errno.ECONNREFUSED, errno.EACCES, errno.EPERM}),  # of no socket at all: weak
    ),
    row(
        "letters to the host",
        "OK",
        program="letters_to_the_host",
        words=("{socket}", "{abstract}"),
        answers=frozenset({errno.ENOENT, errno.ECONNREFUSED, *REFUSED}),
    ),
    row(
        "letters to the host, compiling",
        "OK",
        program="letters_to_the_host",
        words=("{socket}", "{abstract}"),
        answers=frozenset({errno.ENOENT, errno.ECONNREFUSED, *REFUSED}),
        policy=Policy.COMPILE,
    ),
    row("kernel surface", "OK", program="kernel_surface", answers=REFUSED),
    row("kernel surface, compiling", "OK", program="kernel_surface", answers=REFUSED, policy=Policy.COMPILE),
    row("administration", "OK", answers=REFUSED),
    row("administration, compiling", "OK", program="administration", answers=REFUSED, policy=Policy.COMPILE),
    row("controls", "OK", answers=REFUSED),
    row("seccomp of its own", "OK", program="own_filter", answers=REFUSED),
    row("ipc left behind", "OK", program="ipc", answers=REFUSED),
    row("ipc left behind, compiling", "OK", program="ipc", answers=REFUSED, policy=Policy.COMPILE),
    row("abstract sockets", "OK", program="abstract_sockets", expected_weak=NO_SOCKET),
    row("int 0x80", "RE signal", program="int80"),
    row("int 0x80, fork", "RE signal", program="int80_fork"),
    row("x32", "RE signal"),
    row("far return to 32 bits", "RE signal", program="far_32"),
    row("sysenter", "RE signal"),
    row(
        "vsyscall",
        "OK",
        "RE signal",
        why="a kernel has that page emulated, in which case the filter sees the call, or not at all",
    ),
    row("privileged instructions", "RE signal", program="privileged"),
    row("ports", "RE signal"),
    row("page 0", "OK", program="null_page", answers=REFUSED | {errno.EACCES, errno.EINVAL}),
    row("crash", "RE signal"),
    row("crashes of children", "OK", program="crashes"),
)

_ENDS = ("RE exit", "RE signal", "TLE", "MLE", "OLE")
_COMPILED = (
    "which limit of the compiler's a source meets first is the compiler's affair; it must meet one, or be refused"
)


def source(name: str, text: str, *expected: str) -> Row:
    return Row(
        name=f"compile: {name}",
        expected=expected or _ENDS,
        why=_COMPILED,
        limits={**COMPILER, "cpu_ms": 500 if not expected else 20_000},
        policy=Policy.COMPILE,
        source=text,
    )


COMPILES = (
    source("/dev/random", '#include "/dev/random"\nint main() {}\n'),
    source("itself", "#include __FILE__\n#include __FILE__\nint main() {}\n"),
    source("templates", "template <int N> struct A { typename A<N+1>::T x; typename A<N+2>::T y; };\nA<0> a;\n"),
    source("constants", "constexpr int f(int n) { return n < 2 ? n : f(n-1) + f(n-2); }\nint a[f(60)];\n"),
    source("diagnostics", "#define A(x) x x x x x x x x x x\nint main() { A(A(A(A(A(+ ;))))) }\n"),
    source("a large object", "char a[1 << 30] = {1};\nint main() { return a[5]; }\n"),
    source("a secret", '#include "{secret}"\nint main() {}\n', "RE exit"),
    source("a secret, assembled", 'asm(".incbin \\"{secret}\\"");\nint main() {}\n', "RE exit"),
)

#: what the sandbox does not hold yet; `make hostile` shows for each whether it is still so
FINDINGS = group(
    "files",
    row(
        "locks on files of all",
        "OK",
        program="lock_common_files",
        stdin=True,
        answers=REFUSED,
        why="flock on /usr, /dev/null or the tests' input: a neighbour, or the host, can tell and be held up",
    ),
    row(
        "record locks on files of all",
        "OK",
        program="record_locks_on_common_files",
        stdin=True,
        answers=REFUSED,
        why="the same by fcntl",
    ),
)

TABLE: tuple[Row, ...] = (*BOMBS, *PROCESSES, *STREAMS, *FILES, *ESCAPES, *COMPILES)
