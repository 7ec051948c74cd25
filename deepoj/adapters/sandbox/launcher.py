"""The launcher as a child process: its start, its report about this host, one socket per slot process, its end.

The launcher and its runs die with the node, for two reasons. It watches a socket whose other end only the node holds.
And the kernel kills it when the thread that called :func:`start` ends, which also works on a stopped launcher. So start
it from a thread that lives long enough: Trio's. It gets a session of its own, so Ctrl-C reaches only the node.

A slot is three processes of the launcher, each with a socket. A seccomp filter cannot be exchanged, so one process runs
programs and another compiles; the partner runs the program that a run of the same slot is joined with. Each slot has a
partner, instead of taking a second slot: so a box with one slot can join runs, and two joined pairs cannot wait for
each other.
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import trio

from deepoj.adapters.sandbox.orphans import reap_orphans
from deepoj.adapters.sandbox.rates import RateLines
from deepoj.words.errors import BoxBroken, StartRefused
from deepoj.words.sandbox import Isolation, Policy, SandboxError

LAUNCHER = Path(__file__).resolve().parents[2] / "_launcher"
#: a loaded host starts slowly, but a hung launcher must not be waited for
HELLO_S = 30.0
#: after its sockets close, the launcher needs milliseconds; more if a run has to be emptied
LEAVE_S = 10.0
#: a process that was killed ends at once, unless it hangs in the kernel (a disk or mount that does not answer)
_KILLED_S = 5.0
_MESSAGE_BYTES = 128 * 1024
_OPTIONS = {Policy.RUN: "--slot", Policy.COMPILE: "--compile-slot"}


class Part(StrEnum):
    """A feature that a launcher can be started without."""

    #: a cgroup v2 for each run
    CGROUP = "cgroup"
    #: a user namespace for each slot, in which RLIMIT_NPROC counts one run
    PROCESS_QUOTA = "process-quota"
    #: a cgroup v2 without controllers, which counts CPU
    COUNTING = "counting"
    #: a /proc for each slot
    PROC = "proc"
    #: a host name of the box's own, and its namespace
    HOSTNAME = "hostname"
    IPC_NAMESPACE = "ipc-namespace"
    CGROUP_NAMESPACE = "cgroup-namespace"
    #: pivot_root; without it the new root covers the old one
    PIVOT = "pivot"
    #: root's rights over uids and mounts; without it we act as an ordinary user
    ROOT = "root"
    #: limits of CPU time and disk bytes per second for each program
    RATES = "rates"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How a launcher is started."""

    slots: int
    run_uid: int
    run_gid: int
    mounts: tuple[str, ...]
    #: visible at ``HEADERS_DIR``, read-only; empty: none
    headers: str = ""
    #: for each program that has a cgroup
    rates: RateLines = field(default_factory=RateLines)
    without: frozenset[Part] = frozenset()
    #: no namespaces at all
    weak: bool = False

    def command(self, control: int, socks: Sequence[tuple[Policy, int]]) -> list[str]:
        words = [str(LAUNCHER), "--control", str(control), "--uid", str(self.run_uid), "--gid", str(self.run_gid)]
        for policy, sock in socks:
            words += [_OPTIONS[policy], str(sock)]
        for mount in self.mounts:
            words += ["--mount", mount]
        if self.headers:
            words += ["--headers", self.headers]
        if self.rates.cpu_max:
            words += ["--cpu-max", self.rates.cpu_max]
        for line in self.rates.io_max:
            words += ["--io-max", line]
        words += [f"--no-{part}" for part in sorted(self.without)]
        if self.weak:
            words.append("--weak")
        return words


@dataclass(frozen=True, slots=True)
class Hello:
    """The launcher's report. ``fault``: it could not set itself up, and has ended."""

    isolation: Isolation
    process_quota: bool
    #: a cgroup counts the CPU of children that no process waits for
    cpu_counted: bool
    cgroups: str
    #: how many a program may have open where all slots have one user; 0: not bounded, -1: too many slots for a bound
    pipes: int = 0
    fault: SandboxError | None = None


@dataclass(slots=True, eq=False)
class Slot:
    """A slot's socket for each policy, and its partner's socket.

    The holder of the object may use it, for one run (or joined pair) at a time.
    """

    socks: dict[Policy, socket.socket]
    #: with the policy RUN
    partner: socket.socket
    launcher: Launcher = field(repr=False)

    def release(self) -> None:
        """Make the slot free for the next run; close it if its launcher is broken."""
        if self.launcher.broken:
            self.close()
        else:
            self.launcher.free.append(self)

    def close(self) -> None:
        for sock in (*self.socks.values(), self.partner):
            sock.close()


@dataclass(slots=True, eq=False)
class Launcher:
    """A started launcher. Its slots are free or lent; once it is ``broken``, it gets no more requests."""

    setting: Setting
    process: subprocess.Popen[bytes]
    control: socket.socket
    hello: Hello
    free: list[Slot] = field(default_factory=list)
    broken: bool = False

    @property
    def pid(self) -> int:
        return self.process.pid

    def lives(self) -> bool:
        """Return whether it can take a run, as far as is known."""
        return not self.broken and self.process.poll() is None

    def end_if_stopped(self, before: frozenset[int], *, with_inits: bool = False) -> frozenset[int]:
        """Return which of the launcher's processes are stopped by a signal. ``before``: those of the last look.

        Two looks in a row that find the same process stopped end the launcher: the kernel stops a process for a moment
        by itself, as for a new group of its terminal. ``with_inits``: also the init of each cell, which delays one run
        by two seconds at most. How programs stop is theirs.

        Raises:
          BoxBroken: the launcher was ended.
        """
        stopped = self._stopped(with_inits=with_inits)
        if still := stopped & before:
            self.kill()
            raise BoxBroken(f"processes of the sandbox are stopped: {', '.join(map(str, sorted(still)))}")
        return stopped

    def _stopped(self, *, with_inits: bool) -> frozenset[int]:
        slots = _children(self.pid)
        stopped = {pid for pid in (self.pid, *slots) if _is_stopped(pid)}
        if with_inits:
            stopped |= {pid for slot in slots for pid in _children(slot) if _is_stopped(pid, slot) and _is_init(pid)}
        return frozenset(stopped)

    def kill(self) -> None:
        """End it and its runs at once, also if it is stopped: the kernel kills its processes with it."""
        self.close_sockets()
        self.process.kill()

    def close_sockets(self) -> None:
        """Close all sockets: the launcher and its runs then end, and callers that wait see their socket close."""
        self.broken = True
        self.control.close()
        for slot in self.free:
            slot.close()
        self.free.clear()

    async def close(self) -> None:
        """End the launcher and all its runs, and wait until it is gone."""
        self.close_sockets()
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(_leave, self.process)


def _children(pid: int) -> list[int]:
    with suppress(OSError):  # it has ended
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _is_init(pid: int) -> bool:
    """Return whether it is process 1 of a pid namespace. Programs can make none; their name is theirs to choose."""
    with suppress(OSError):
        status = Path(f"/proc/{pid}/status").read_text()
        return any(line.startswith("NSpid:") and line.split()[-1] == "1" for line in status.splitlines())
    return False


def _is_stopped(pid: int, of_session: int | None = None) -> bool:
    """Return whether a launcher or a slot is stopped by a signal or a debugger, or a process in the session of a slot.
    Launchers and slots lead sessions; programs and inits are in that of their slot, and cannot leave it. Any user may
    read that."""
    try:
        state, _, _, session, *_ = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except (OSError, ValueError):  # it has ended
        return False
    return int(session) == (of_session or pid) and state in (b"T", b"t")


def _leave(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(LEAVE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        with suppress(subprocess.TimeoutExpired):  # at `weak`, the next launcher takes other uids than it
            process.wait(_KILLED_S)
    if process.returncode != 0:  # killed, or it hangs: it has not waited for its children
        reap_orphans(LAUNCHER.name)


async def start(setting: Setting) -> Launcher:
    """Start a launcher and read its report.

    Raises:
      StartRefused: the executable is not there.
      BoxBroken: it ended, or was silent for ``HELLO_S``, before its report.
      OSError: there are no descriptors for its sockets.
    """
    ours: list[tuple[dict[Policy, socket.socket], socket.socket]] = []
    inner: list[tuple[Policy, socket.socket]] = []
    with ExitStack() as outer:  # owns our sockets until there is a launcher
        with ExitStack() as handed:
            control, theirs = _pair(outer, handed)
            for _ in range(setting.slots):
                socks = []
                for policy in (*Policy, Policy.RUN):
                    sock, other = _pair(outer, handed)
                    # a host's default may be less than a request: sending would fail, and the launcher seem to have
                    # fallen
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * _MESSAGE_BYTES)
                    socks.append(sock)
                    inner.append((policy, other))
                ours.append((dict(zip(Policy, socks, strict=False)), socks[-1]))
            process = _spawn(setting, theirs, inner)
        launcher = Launcher(setting, process, control, Hello(Isolation.WEAK, False, False, ""))
        launcher.free += [Slot(socks, partner, launcher) for socks, partner in ours]
        outer.pop_all()
    try:
        with trio.move_on_after(HELLO_S):
            launcher.hello = await _hear(control)
            return launcher
        raise BoxBroken(f"the sandbox launcher said nothing for {HELLO_S:g} s")
    except BaseException:
        await launcher.close()
        raise


def _pair(outer: ExitStack, handed: ExitStack) -> tuple[socket.socket, socket.socket]:
    """Return our end, which never blocks, and the launcher's."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    return outer.enter_context(ours), handed.enter_context(theirs)


def _spawn(
    setting: Setting, control: socket.socket, socks: Sequence[tuple[Policy, socket.socket]]
) -> subprocess.Popen[bytes]:
    numbers = [(policy, sock.fileno()) for policy, sock in socks]
    try:
        return subprocess.Popen(
            setting.command(control.fileno(), numbers),
            executable=os.fspath(LAUNCHER),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[control.fileno(), *(number for _, number in numbers)],
            env={},
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        hint = ": build it with `make build`" if isinstance(error, FileNotFoundError) else ""
        raise StartRefused(f"the sandbox launcher {LAUNCHER} cannot be started ({error.strerror}){hint}", 2) from error


async def _hear(control: socket.socket) -> Hello:
    await trio.lowlevel.wait_readable(control)
    try:
        text = control.recv(_MESSAGE_BYTES).decode(errors="replace")
    except ConnectionError as error:
        raise BoxBroken(f"the sandbox launcher ended before it was up: {error}") from error
    if not text:
        raise BoxBroken("the sandbox launcher ended before it was up; its last message is on stderr")
    first, second, third, *rest = text.split("\n")
    if first == "fault":
        return Hello(Isolation.WEAK, False, False, "", fault=SandboxError(second, int(third)))
    return Hello(Isolation(first), second == "quota", third == "counted", rest[1], pipes=int(rest[0]))
