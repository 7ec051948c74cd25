"""The launcher as a child process: starting it, what it says of this host, one socket a slot, ending it.

The launcher is started from whatever thread calls, and dies with the *process*: it watches a socket that only the node
holds the other end of. (A parent death signal follows the thread that started the child, and falls with a change of
credentials.) It gets a session of its own, so Ctrl-C reaches the node only.
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import trio

from deepoj.words import BoxBroken, Isolation, SandboxError, StartRefused

LAUNCHER = Path(__file__).resolve().parents[1] / "_launcher"
#: a loaded host starts slowly; a hung one must not be waited for
HELLO_S = 30.0
#: after its sockets are closed the launcher needs milliseconds, more if a run has to be emptied
LEAVE_S = 10.0
_MESSAGE_BYTES = 128 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How a launcher is started."""

    slots: int
    run_uid: int
    run_gid: int
    mounts: tuple[str, ...]
    cgroup: bool = True
    process_quota: bool = True

    def command(self, control: int, slots: Sequence[int]) -> list[str]:
        words = [str(LAUNCHER), "--control", str(control), "--uid", str(self.run_uid), "--gid", str(self.run_gid)]
        for slot in slots:
            words += ["--slot", str(slot)]
        for mount in self.mounts:
            words += ["--mount", mount]
        if not self.cgroup:
            words.append("--no-cgroup")
        if not self.process_quota:
            words.append("--no-process-quota")
        return words


@dataclass(frozen=True, slots=True)
class Hello:
    """What the launcher found. ``fault``: it could not set itself up, and is gone."""

    isolation: Isolation
    process_quota: bool
    cgroups: str
    fault: SandboxError | None = None


@dataclass(slots=True, eq=False)
class Slot:
    """One socket; whoever holds the object may use it, one run at a time."""

    sock: socket.socket
    launcher: Launcher = field(repr=False)


@dataclass(slots=True, eq=False)
class Launcher:
    """A started launcher. Its slots are free or in somebody's hands; once ``broken`` nothing more is asked of it."""

    setting: Setting
    process: subprocess.Popen[bytes]
    control: socket.socket
    hello: Hello
    free: list[Slot] = field(default_factory=list)
    broken: bool = False

    @property
    def pid(self) -> int:
        return self.process.pid

    def close_sockets(self) -> None:
        """The launcher and every run of it end by themselves now. Runs in other hands see their socket end."""
        self.broken = True
        self.control.close()
        for slot in self.free:
            slot.sock.close()
        self.free.clear()

    async def close(self) -> None:
        """Ends the launcher and waits until it is gone; with it goes all that it runs."""
        self.close_sockets()
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(_leave, self.process)


def _leave(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(LEAVE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


async def start(setting: Setting) -> Launcher:
    """Starts a launcher and hears its hello.

    Raises:
      StartRefused: the executable is not there.
      BoxBroken: it ended, or was silent for ``HELLO_S``, before it said anything.
    """
    control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(setting.slots)]
    try:
        process = _spawn(setting, theirs, [inner for _, inner in pairs])
    except BaseException:
        for sock in (control, *(outer for outer, _ in pairs)):
            sock.close()
        raise
    finally:
        for sock in (theirs, *(inner for _, inner in pairs)):
            sock.close()
    for sock in (control, *(outer for outer, _ in pairs)):
        sock.setblocking(False)
    launcher = Launcher(setting, process, control, Hello(Isolation.WEAK, False, ""))
    launcher.free += [Slot(outer, launcher) for outer, _ in pairs]
    try:
        with trio.move_on_after(HELLO_S):
            launcher.hello = await _hear(control)
            return launcher
        raise BoxBroken(f"the sandbox launcher said nothing for {HELLO_S:g} s")
    except BaseException:
        await launcher.close()
        raise


def _spawn(setting: Setting, control: socket.socket, slots: Sequence[socket.socket]) -> subprocess.Popen[bytes]:
    for sock in slots:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * _MESSAGE_BYTES)
    numbers = [sock.fileno() for sock in slots]
    try:
        return subprocess.Popen(
            setting.command(control.fileno(), numbers),
            executable=os.fspath(LAUNCHER),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[control.fileno(), *numbers],
            env={},
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        raise StartRefused(
            f"the sandbox launcher {LAUNCHER} cannot be started ({error.strerror}): build it with `make build`", 2
        ) from error


async def _hear(control: socket.socket) -> Hello:
    await trio.lowlevel.wait_readable(control)
    try:
        text = control.recv(_MESSAGE_BYTES).decode(errors="replace")
    except ConnectionError as error:
        raise BoxBroken(f"the sandbox launcher ended before it was up: {error}") from error
    if not text:
        raise BoxBroken("the sandbox launcher ended before it was up; its last words are on stderr")
    first, second, third = text.split("\n")[:3]
    if first == "fault":
        return Hello(Isolation.WEAK, False, "", SandboxError(second, int(third)))
    return Hello(Isolation(first), second == "quota", third)
