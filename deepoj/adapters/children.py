"""Server processes as children: started so that they cannot outlive the node, waited for by pidfd, stopped in order.

PR_SET_PDEATHSIG ends them when the node is killed with -9. Three facts of the kernel shape this module:

* the signal is sent when the parent *thread* ends, so a child is started on the main thread (trio.run_process would use
  a worker thread);
* a change of credentials clears it, so ``setpriv`` sets it as its last act before it executes the server;
* if the node dies between fork and that last act, no signal is sent. So the start of a server first looks for orphans
  (:func:`orphans_of`).

Every child has a session of its own: a Ctrl-C at the terminal reaches only the node, which stops its servers in order.

A server starts inside its data directory and may inherit descriptors of other directories. It opens them by
:data:`OWN_DIRECTORY` and :func:`inherited`, and the kernel checks no directory above them. So a server that runs as
another account works below a directory that this account may not search (a home below /root).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import trio

from deepoj.words.errors import StartRefused

#: a log larger than this is rotated at the next start
LOG_ROTATE_BYTES = 4 * 1024 * 1024

#: the whole environment of a server; in particular without LD_LIBRARY_PATH of a packed executable
CHILD_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8", "HOME": "/"}

#: the path by which a process opens the directory that it was started in
OWN_DIRECTORY = "/proc/self/cwd"

# linux/prctl.h
_PR_SET_PDEATHSIG, _PR_GET_PDEATHSIG = 1, 2
_PR_GET_DUMPABLE, _PR_SET_DUMPABLE = 3, 4


def inherited(descriptor: int) -> str:
    """Return the path by which a child opens the directory of a descriptor that it inherited."""
    return f"/proc/self/fd/{descriptor}"


@dataclass(frozen=True, slots=True)
class HostAccount:
    """An unprivileged account that exists on this host."""

    name: str
    uid: int
    gid: int


class ChildProcess:
    """A running child process. One task at a time may :meth:`wait`."""

    def __init__(self, name: str, process: subprocess.Popen[bytes]) -> None:
        self.name = name
        self._process = process
        self._pidfd = os.pidfd_open(process.pid)

    @property
    def pid(self) -> int:
        return self._process.pid

    def poll(self) -> int | None:
        """Return the exit status (negative: the signal that ended it), None while it runs."""
        status = self._process.poll()
        if status is not None and self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1
        return status

    async def wait(self) -> int:
        """Return the exit status when the process ends; a cancelled wait leaves it running."""
        while (status := self.poll()) is None:
            await trio.lowlevel.wait_readable(self._pidfd)
        return status

    async def stop(self, with_signal: signal.Signals, grace_s: float) -> None:
        """Send a signal, and after ``grace_s`` kill the process group. Returns when the process is gone; shielded."""
        with trio.CancelScope(shield=True):
            self._signal(with_signal)
            with trio.move_on_after(grace_s):
                await self.wait()
            self._signal(signal.SIGKILL)
            await self.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self.poll() is not None:
            return
        if number is signal.SIGKILL:
            # Its children too: killing only initdb leaves the server that it uses. The child leads its group, and its
            # number cannot be reused before it is waited for.
            os.killpg(self.pid, number)
        else:
            signal.pidfd_send_signal(self._pidfd, number)


def spawn(
    name: str,
    argv: Sequence[str],
    *,
    directory: Path,
    log: Path,
    death_signal: signal.Signals,
    account: HostAccount | None,
    stdin: bytes = b"",
    descriptors: Sequence[int] = (),
) -> ChildProcess:
    """Start a server. Call it on the main thread. Raises StartRefused if it cannot be started.

    Args:
      directory: its working directory (:data:`OWN_DIRECTORY`).
      log: the file to which its stdout and stderr are appended.
      death_signal: the signal that it gets when we die.
      account: the account that it runs as, None for ours.
      stdin: its input (for secrets, which must not be in argv).
      descriptors: the descriptors that it inherits (:func:`inherited`).
    """
    command = [*run_as(account, "--pdeathsig", death_signal.name), *argv]
    stdin_fd = os.memfd_create(f"deepoj-{name}-stdin")
    try:
        os.write(stdin_fd, stdin)
        os.lseek(stdin_fd, 0, os.SEEK_SET)
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                stdin=stdin_fd,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=directory,
                env=CHILD_ENVIRONMENT,
                pass_fds=descriptors,
                start_new_session=True,
            )
    except OSError as error:
        raise StartRefused(f"{name} cannot be started: {error}", 3) from error
    finally:
        os.close(stdin_fd)
    return ChildProcess(name, process)


def run_as(account: HostAccount | None, *options: str) -> list[str]:
    """Return the prefix that runs a command as ``account`` (None: ours). ``options``: more options of setpriv."""
    credentials: list[str] = []
    if account is not None:
        credentials = [f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups", "--inh-caps=-all"]
    return ["setpriv", *credentials, "--no-new-privs", *options, "--"]


async def run_once(child: ChildProcess, log: Path, deadline_s: float) -> None:
    """Wait until a child ends by itself. Raises StartRefused if it fails or misses the deadline.

    In every case the child is gone afterwards.
    """
    status = None
    try:
        with trio.move_on_after(deadline_s):
            status = await child.wait()
    finally:
        await child.stop(signal.SIGKILL, 0)
    if status is None:
        raise StartRefused(f"{child.name} did not end within {deadline_s:.0f} s; see its log {log}", 3)
    if status != 0:
        raise StartRefused(f"{child.name} failed with status {status}: {last_line(log)} (more in {log})", 3)


def rotate(log: Path) -> None:
    """Rename a large log to ``<name>.1``, in place of an older one."""
    if log.exists() and log.stat().st_size > LOG_ROTATE_BYTES:
        log.replace(log.with_name(f"{log.name}.1"))


def last_line(log: Path) -> str:
    """Return the last line of a log, cut; empty if there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 4096))
            lines = file.read().decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1][:300] if lines else ""


# ---------------------------------------------------------------------------------------------------------------------
# Orphans: servers of a killed node, found by their working directory


def orphans_of(directory: Path) -> list[int]:
    """Return processes whose working directory *is* ``directory`` (device and inode), other than ourselves.

    Our servers work in their own data directory, which no other program has a reason to use. This proves more than a
    pid file, whose number may have been reused.
    """
    try:
        wanted = directory.stat()
    except FileNotFoundError:
        return []
    return [pid for pid in _all_pids() if pid != os.getpid() and _works_in(pid, wanted)]


def works_elsewhere(pid: int, directory: Path) -> bool:
    """Return whether a process exists and does not work in ``directory``; False where we cannot see that."""
    return Path(f"/proc/{pid}").exists() and _works_in(pid, directory.stat()) is False


def _all_pids() -> list[int]:
    return [int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit()]


def _works_in(pid: int, wanted: os.stat_result) -> bool | None:
    """Return whether a process works in this directory; None where we may not see that (a kernel thread, for one)."""
    try:
        current = _look(pid, lambda process: (process / "cwd").stat())
    except PermissionError:
        return None
    except OSError:  # ended meanwhile
        return False
    return (current.st_dev, current.st_ino) == (wanted.st_dev, wanted.st_ino)


def _runs(pid: int, executables: Sequence[str]) -> bool:
    try:
        return _look(pid, lambda process: (process / "exe").readlink()).name.removesuffix(" (deleted)") in executables
    except OSError:
        return False


def _look[T](pid: int, read: Callable[[Path], T]) -> T:
    """Read a file of a process. Root in a container lacks the right to (CAP_SYS_PTRACE); the process's own user may."""
    process = Path(f"/proc/{pid}")
    try:
        return read(process)
    except PermissionError:
        if os.geteuid() != 0:
            raise
        status = process.stat()
    with _files_of(status.st_uid, status.st_gid):
        return read(process)


@contextlib.contextmanager
def _files_of(uid: int, gid: int) -> Iterator[None]:
    """Open files as another user, on this thread alone; what is inside must not await.

    The kernel clears the thread's death signal and makes the process invisible to others; both are put back.
    """
    libc = ctypes.CDLL(None)
    death_signal, visible = ctypes.c_int(), libc.prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0)
    libc.prctl(_PR_GET_PDEATHSIG, ctypes.byref(death_signal), 0, 0, 0)
    try:
        libc.setfsgid(gid)
        libc.setfsuid(uid)
        yield
    finally:
        libc.setfsuid(os.geteuid())
        libc.setfsgid(os.getegid())
        libc.prctl(_PR_SET_DUMPABLE, visible, 0, 0, 0)
        libc.prctl(_PR_SET_PDEATHSIG, death_signal.value, 0, 0, 0)


async def outlive_orphans(directory: Path, executables: Sequence[str], *, grace_s: float, deadline_s: float) -> None:
    """Wait until no process of ``executables`` works in ``directory`` any more; shielded, with a deadline.

    After a kill -9 of the node its servers are already stopping: they get ``grace_s`` for it, then they are killed.
    Other programs that work there (a shell) are left alone. Raises StartRefused at the deadline.
    """
    asked = trio.current_time()
    with trio.CancelScope(shield=True, deadline=asked + deadline_s):
        while True:
            orphans = [pid for pid in orphans_of(directory) if _runs(pid, executables)]
            if not orphans:
                return
            if trio.current_time() - asked >= grace_s:
                for pid in orphans:
                    _kill_orphan(pid, directory, executables)
            await trio.sleep(0.02)
    raise StartRefused(f"processes {orphans_of(directory)} of an earlier start do not leave {directory}; end them", 3)


def _kill_orphan(pid: int, directory: Path, executables: Sequence[str]) -> None:
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        # Checked again with the pidfd open: from here on the number cannot mean another process.
        if pid in orphans_of(directory) and _runs(pid, executables):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except ProcessLookupError:
        pass
    finally:
        os.close(pidfd)
