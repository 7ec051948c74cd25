"""Driving ``deepoj/_meter``, the small process that measures (``sandbox_ext/meter.c``): bare runs, runs in a slot."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import deepoj
from deepoj.adapters.sandbox.files import RunFiles
from deepoj.adapters.sandbox.launcher import Slot
from deepoj.adapters.sandbox.talk import request
from deepoj.words.errors import BoxBroken, StartRefused
from deepoj.words.sandbox import RunSpec

METER = Path(deepoj.__file__).with_name("_meter")
#: the longest single answer: a duration that was asked for, or one run of a loaded host
ANSWER_S = 120.0
SOON_NS = 2_000_000

type Way = Literal["bare", "slot"]
_ORDERS: dict[Way, str] = {"bare": "b", "slot": "s"}


@dataclass(frozen=True, slots=True)
class Measured:
    """``slot_us`` and ``busy_us`` are of the slot's latest answer, see ``struct doj_result``; 0 before it had one."""

    runs: int
    ns: int
    slot_us: int
    busy_us: int

    @property
    def runs_per_s(self) -> float:
        return self.runs * 1e9 / self.ns


@dataclass(frozen=True, slots=True)
class Stretch:
    """Runs one after the other from a moment of ``time.monotonic_ns`` for so many milliseconds, one at least."""

    at_ns: int
    ms: int

    @classmethod
    def soon(cls, ms: int) -> Stretch:
        """Return a stretch that begins soon, so that several meters can get it before."""
        return cls(time.monotonic_ns() + SOON_NS, ms)


class BadRunError(Exception):
    """A run did not end by itself with exit code 0; the message says what "it" did instead."""


class Meter:
    """One meter. One order at a time: :meth:`start`, then :meth:`finish`."""

    def __init__(self, process: subprocess.Popen[bytes], control: socket.socket) -> None:
        self._process = process
        self._control = control

    def start(self, way: Way, stretch: Stretch | None = None) -> None:
        """One run, or a stretch of runs."""
        order = _ORDERS[way] if stretch is None else f"{_ORDERS[way]} {stretch.at_ns} {stretch.ms}"
        try:
            self._control.send(order.encode())
        except OSError as error:
            raise BoxBroken(f"the meter fell: {error.strerror}") from error

    def finish(self) -> Measured:
        """Raises BadRunError, and BoxBroken when the meter fell or hangs."""
        try:
            line = self._control.recv(256).decode()
        except TimeoutError as error:
            raise BoxBroken(f"the meter did not answer within {ANSWER_S:g} s") from error
        if not line:
            raise BoxBroken("the meter fell")
        if line.startswith("!"):
            raise BadRunError(line[2:])
        return Measured(*map(int, line.split()))

    def run(self, way: Way, stretch: Stretch | None = None) -> Measured:
        self.start(way, stretch)
        return self.finish()


@contextmanager
def metering(
    argv: Sequence[str | Path], *, slot: Slot | None = None, spec: RunSpec | None = None, reads: bool = False
) -> Iterator[Meter]:
    """A meter of ``argv``, which is executed as it stands, and, with a slot, of ``spec`` in it. ``reads``: the bare
    program's stdout is read through a pipe, else it is /dev/null.

    Raises:
      StartRefused: the meter is not there.
      OSError: a file of the spec cannot be opened.
    """
    control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    control.settimeout(ANSWER_S)
    words = [str(METER), str(theirs.fileno()), *(["--read"] if reads else [])]
    with control:
        if slot is None or spec is None:
            process = _start(words, argv, theirs, [])
        else:
            sock = slot.socks[spec.policy]
            message = request(0, spec)
            control.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * len(message) + 4096)
            with RunFiles(spec) as files:
                fds = [sock.fileno(), *files.fds]
                process = _start([*words, "--slot", *map(str, fds)], argv, theirs, fds)
            control.send(message)
        try:
            yield Meter(process, control)
        finally:
            control.close()  # it ends by itself then, unless it hangs in a run
            _end(process)


def _start(
    words: Sequence[str], argv: Sequence[str | Path], theirs: socket.socket, fds: Sequence[int]
) -> subprocess.Popen[bytes]:
    with theirs:
        try:
            return subprocess.Popen(
                [*words, "--", *(os.fspath(word) for word in argv)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno(), *fds],
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise StartRefused(
                f"{METER} cannot be started ({error.strerror}): build it with `make build`", 2
            ) from error


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
