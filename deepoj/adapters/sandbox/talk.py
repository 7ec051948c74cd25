"""One run over a slot's socket: the request with its descriptors, the answer, a cancel, and the answer's meaning.

After every call the socket is in step again, or the launcher is marked broken: then all its sockets are closed, and the
kernel ends everything that it runs.
"""

from __future__ import annotations

import errno
import os
import socket

import trio

from deepoj import _sandbox
from deepoj.adapters.sandbox.files import RunFiles
from deepoj.adapters.sandbox.launcher import Slot
from deepoj.adapters.sandbox.verdict import Ended, Figures, decide, is_unfit
from deepoj.words.errors import BoxBroken
from deepoj.words.sandbox import Isolation, Policy, RunOutcome, RunSpec, RunVerdict, SandboxError

#: a cancelled run is killed in milliseconds; emptying a fork bomb on a loaded host takes longer
CANCEL_S = 15.0
#: beyond a run's longest time, which the slot enforces: for copying files and emptying the slot on a loaded host
OVERDUE_S = 60.0
#: interval of looks at a sandbox that works on a run
LOOK_S = 2.0


def longest_s(spec: RunSpec) -> float:
    """Return the longest time of a run: a multiple of its wall limit, on a host that keeps it from running."""
    return spec.limits.wall_ms / 1000 * _sandbox.WALL_STRETCH


async def ask(slot: Slot, serial: int, spec: RunSpec, files: RunFiles, message: bytes) -> bytes:
    """Send a request and return the slot's answer; a cancelled call ends the run."""
    sock = slot.socks[spec.policy]
    send(slot, sock, message, files)
    try:
        with trio.move_on_after(longest_s(spec) + OVERDUE_S):
            await wait_readable(slot, sock.fileno())
            return answer(slot, sock, serial)
    except trio.Cancelled:
        with trio.CancelScope(shield=True):
            await cancel(slot, sock, serial)
        raise
    raise overdue(slot)


async def wait_readable(slot: Slot, descriptor: int) -> None:
    """Wait until a slot has answered. Raises BoxBroken if processes of the sandbox are stopped: their runs would seem
    to be slow until ``OVERDUE_S``, and a heartbeat would extend their leases."""
    before = frozenset[int]()
    while True:
        with trio.move_on_after(LOOK_S):
            await trio.lowlevel.wait_readable(descriptor)
            return
        before = slot.launcher.end_if_stopped(before)


def send(slot: Slot, sock: socket.socket, message: bytes, files: RunFiles) -> None:
    """Send a request. Raises BoxBroken."""
    try:
        socket.send_fds(sock, [message], files.fds)
    except OSError as error:
        slot.launcher.close_sockets()
        raise BoxBroken(f"the sandbox launcher is gone: {error.strerror}") from error


def answer(slot: Slot, sock: socket.socket, serial: int) -> bytes:
    """Read the answer to a run from a readable socket. Raises BoxBroken."""
    message = _read(slot, sock)
    if _sandbox.unpack_result(message)[0] != serial:
        slot.launcher.close_sockets()
        raise BoxBroken("the sandbox launcher answered for another run")
    return message


def _read(slot: Slot, sock: socket.socket) -> bytes:
    try:
        message = sock.recv(_sandbox.RESULT_BYTES + 1)
    except OSError:
        message = b""
    if not message:
        slot.launcher.close_sockets()
        raise BoxBroken("the sandbox launcher fell during a run")
    return message


def overdue(slot: Slot) -> BoxBroken:
    """Give up the launcher of a run that does not end: the heartbeat would extend its lease without end."""
    slot.launcher.close_sockets()
    return BoxBroken(f"the sandbox launcher did not answer within {OVERDUE_S:g} s after the run's longest time")


async def cancel(slot: Slot, sock: socket.socket, serial: int) -> None:
    """End a run and wait until the slot is clean. If that fails, the slot is given up with its launcher."""
    try:
        order_end(sock, serial)
        with trio.move_on_after(CANCEL_S):
            await trio.lowlevel.wait_readable(sock)
            _read(slot, sock)
            return
    except (OSError, BoxBroken):
        pass
    slot.launcher.close_sockets()


def order_end(sock: socket.socket, serial: int) -> None:
    """Tell a slot to end a run; the answer comes all the same. Raises OSError."""
    sock.send(_sandbox.pack_cancel(serial))


def request(serial: int, spec: RunSpec, *, joined: bool = False) -> bytes:
    """Return the message that requests a run; the descriptors of ``RunFiles`` are sent with it.

    Raises ValueError for a spec that no sandbox carries out (``refused``): too many files or arguments, a limit out of
    range, a file name with a slash, …
    """
    limits = spec.limits
    return _sandbox.pack_run(
        serial,
        spec.policy is Policy.COMPILE,
        _sandbox.STDOUT_PIPE if joined else _sandbox.STDOUT_TO if spec.stdout_to is not None else 0,
        (
            limits.cpu_ms * 1000,
            limits.wall_ms * 1000,
            limits.memory_bytes,
            limits.output_bytes,
            limits.scratch_bytes,
            spec.keep_stdout_bytes,
            spec.keep_stderr_bytes,
            limits.processes,
            limits.open_files,
        ),
        tuple(os.fsencode(word) for word in spec.argv),
        tuple(os.fsencode(f"{name}={value}") for name, value in spec.env),
        tuple((os.fsencode(file.name), file.executable, file.program) for file in spec.files_in),
        tuple((os.fsencode(file.name), file.max_bytes) for file in spec.files_out),
    )


def outcome(message: bytes, spec: RunSpec, files: RunFiles, isolation: Isolation) -> RunOutcome:
    """Return the outcome in an answer, and put the run's files in their places."""
    (
        _, step, error, ended_by, exit_code, exit_signal, oom_kill, copied,
        cpu_us, wall_us, memory_bytes, stdout_len, stderr_len, _, _, delay_us, _,
    ) = _sandbox.unpack_result(message)  # fmt: skip
    unfit = is_unfit(step, error, spec)
    figures = Figures(
        ended_by=Ended(ended_by),
        exit_code=exit_code,
        exit_signal=exit_signal,
        cpu_us=cpu_us,
        wall_us=wall_us,
        delay_us=delay_us,
        memory_bytes=memory_bytes,
        output_bytes=stdout_len + stderr_len,
        oom_kill=oom_kill,
        faulted=bool(step) and not unfit,
        unfit=unfit,
    )
    verdict, rule = decide(figures, spec.limits)
    return RunOutcome(
        verdict=verdict,
        rule=rule,
        exit_code=exit_code,
        exit_signal=exit_signal,
        cpu_ms=_up(cpu_us, 1000),
        wall_ms=_up(wall_us, 1000),
        delay_ms=delay_us // 1000,
        memory_kb=_up(memory_bytes, 1024),
        stdout=files.stdout() if stdout_len else b"",
        stdout_len=stdout_len,
        truncated_stdout=stdout_len > spec.keep_stdout_bytes,
        stderr=files.stderr() if stderr_len else b"",
        stderr_len=stderr_len,
        truncated_stderr=stderr_len > spec.keep_stderr_bytes,
        isolation=isolation,
        oom_kill=oom_kill,
        files_out=files.keep(copied),
        sandbox_error=SandboxError(step, error) if figures.faulted else None,
    )


def refused(fault: ValueError, isolation: Isolation) -> RunOutcome:
    """Return the outcome of a run that ``request`` refuses. It is a failure of ours, not of the node: packages and
    submissions decide what a spec holds, so no refusal may end the process that judges for all others."""
    return RunOutcome(
        verdict=RunVerdict.SE,
        rule="sandbox",
        exit_code=0,
        exit_signal=0,
        cpu_ms=0,
        wall_ms=0,
        memory_kb=0,
        stdout=b"",
        stdout_len=0,
        truncated_stdout=False,
        stderr=b"",
        stderr_len=0,
        truncated_stderr=False,
        isolation=isolation,
        sandbox_error=SandboxError(f"request refused, {fault}", errno.EINVAL),
    )


def ended(message: bytes) -> tuple[Ended, int]:
    """Return what ended a run, and when that was seen or decided: µs of the host's monotonic clock."""
    fields = _sandbox.unpack_result(message)
    return Ended(fields[3]), fields[16]


def _up(value: int, unit: int) -> int:
    return -(-value // unit)
