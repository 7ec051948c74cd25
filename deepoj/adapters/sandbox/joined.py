"""Two runs joined by pipes: a slot runs the program, and the slot's partner runs the interactor.

The pipes lead directly from one run to the other. Other holders of the pipes' ends:

* A writing end is also held by the slot of its run, until the slot has recorded the time of the run's end (``run.c``).
  So a run that ends because the other one did always has the later time. If a run closes its output and lives on, its
  slot notices and closes the end (``hold.c``): the other run then reads the end of its input.
* The program's writing end is also held here until the program's end was reported, if it ``holds_output``.
* The reading ends are held here until both runs have ended. So no run is killed by SIGPIPE because the other left
  first: whether a program's last newline comes before or after the interactor's exit is chance, and must not decide a
  verdict. A run that writes into a full pipe without a reader waits until its own wall limit. Except for an interactor
  that waits so: the end that it writes to is closed ``QUIET_S`` after the program's end.

What if the node dies? The launcher ends with it, and both runs with the launcher.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import trio

from deepoj.adapters.sandbox import talk
from deepoj.adapters.sandbox.files import RunFiles
from deepoj.adapters.sandbox.launcher import Slot
from deepoj.adapters.sandbox.verdict import Ended
from deepoj.words.errors import BoxBroken
from deepoj.words.sandbox import Joined, Policy, RunOutcome, RunSpec

#: from a program's end until the interactor's writes to it fail
QUIET_S = 1.0


@dataclass(slots=True, eq=False)
class _Side:
    """One of the two runs."""

    sock: socket.socket
    serial: int
    spec: RunSpec
    files: RunFiles


@dataclass(frozen=True, slots=True)
class _End:
    """Outcome of a run, the cause of its end, and the time of that on the host's monotonic clock."""

    outcome: RunOutcome
    by: Ended
    at_us: int
    #: bytes in the pipe to the run, and in the one from it, when its end was reported
    unread: int
    unread_by_other: int


@dataclass(slots=True)
class _Pipes:
    """Two pipes as (reading end, writing end): ``there`` from the program to the interactor, ``back`` the other way."""

    there: tuple[int, int]
    back: tuple[int, int]
    _open: set[int] = field(default_factory=set)

    @classmethod
    @contextmanager
    def open(cls) -> Iterator[_Pipes]:
        """Open both pipes. Raises OSError if no descriptors are left."""
        there = os.pipe2(os.O_CLOEXEC)
        try:
            back = os.pipe2(os.O_CLOEXEC)
        except OSError:
            for fd in there:
                os.close(fd)
            raise
        pipes = cls(there, back, {*there, *back})
        try:
            for fd in (there[0], back[0]):
                # a program may reopen its /dev/stdin under any uid; no other process can reach the pipe
                os.fchmod(fd, 0o666)
            yield pipes
        finally:
            pipes.let_go(*there, *back)

    def unread(self, reading_end: int) -> int:
        """Return the number of bytes in the pipe; 0 if the end was closed."""
        if reading_end not in self._open:
            return 0
        answer = fcntl.ioctl(reading_end, termios.FIONREAD, b"\0" * 4)
        return int.from_bytes(answer, sys.byteorder)

    def let_go(self, *fds: int) -> None:
        for fd in fds:
            if fd in self._open:
                self._open.remove(fd)
                os.close(fd)


async def run_joined(
    slot: Slot,
    serials: tuple[int, int],
    program: RunSpec,
    interactor: RunSpec,
    is_settled: Callable[[RunOutcome], bool],
) -> Joined:
    """Run both programs. See ``ports.Box``; raises as ``LinuxBox.run`` does."""
    for spec in (program, interactor):
        if spec.policy is not Policy.RUN or spec.stdin is not None or spec.stdout_to is not None:
            raise ValueError("joined runs have no stdin or stdout_to of their own, and compile nothing")
    try:
        to_program = talk.request(serials[0], program, joined=True)
        to_interactor = talk.request(serials[1], interactor, joined=True)
    except ValueError as fault:
        return _refused(talk.refused(fault, slot.launcher.hello.isolation))
    with (
        _Pipes.open() as pipes,
        RunFiles(program, (pipes.back[0], pipes.there[1])) as of_program,
        RunFiles(interactor, (pipes.there[0], pipes.back[1])) as of_interactor,
    ):
        contestant = _Side(slot.socks[Policy.RUN], serials[0], program, of_program)
        partner = _Side(slot.partner, serials[1], interactor, of_interactor)
        talk.send(slot, partner.sock, to_interactor, of_interactor)
        talk.send(slot, contestant.sock, to_program, of_program)
        pipes.let_go(pipes.back[1])
        if not program.holds_output:
            pipes.let_go(pipes.there[1])
        ends = await _EndWatch(slot, contestant, partner, pipes, is_settled).until_both_ended()
        mine, theirs = ends[contestant], ends[partner]
        return Joined(
            program=mine.outcome,
            interactor=theirs.outcome,
            interactor_first=theirs.at_us < mine.at_us,
            apart_ms=abs(theirs.at_us - mine.at_us) // 1000,
            unread_by_interactor=mine.unread_by_other,
            unread_by_program=mine.unread,
            program_cut=mine.by is Ended.CANCELLED,
        )


def _refused(outcome: RunOutcome) -> Joined:
    return Joined(
        program=outcome,
        interactor=outcome,
        interactor_first=False,
        apart_ms=0,
        unread_by_interactor=0,
        unread_by_program=0,
        program_cut=False,
    )


@dataclass(slots=True)
class _EndWatch:
    """Waits for the ends of both runs."""

    slot: Slot
    contestant: _Side
    partner: _Side
    pipes: _Pipes
    is_settled: Callable[[RunOutcome], bool]
    ends: dict[_Side, _End] = field(default_factory=dict)
    #: sides whose slot has answered: nothing of their run is left
    answered: set[_Side] = field(default_factory=set)

    async def until_both_ended(self) -> dict[_Side, _End]:
        """Wait for both runs. Raises BoxBroken, OSError; after any exception, neither run is left."""
        try:
            await self._hear_both()
        except BaseException:
            with trio.CancelScope(shield=True):
                for side in self._waiting():
                    await talk.cancel(self.slot, side.sock, side.serial)
            raise
        return self.ends

    async def _hear_both(self) -> None:
        longest_s = max(talk.longest_s(self.contestant.spec), talk.longest_s(self.partner.spec))
        deadline = trio.current_time() + longest_s + talk.OVERDUE_S
        quiet_until: float | None = None
        with closing(select.epoll()) as ready:
            for side in (self.contestant, self.partner):
                ready.register(side.sock, select.EPOLLIN)
            while waiting := self._waiting():
                until = deadline if quiet_until is None else min(deadline, quiet_until)
                with trio.move_on_at(until) as patience:
                    await talk.wait_readable(self.slot, ready.fileno())
                if patience.cancelled_caught and until == deadline:
                    raise talk.overdue(self.slot)
                if patience.cancelled_caught:
                    self.pipes.let_go(self.pipes.back[0])
                    quiet_until = None
                readable = {fd for fd, _ in ready.poll(0)}
                for side in waiting:
                    if side.sock.fileno() in readable:
                        ready.unregister(side.sock)
                        self._hear(side)
                        if side is self.contestant:
                            quiet_until = trio.current_time() + QUIET_S

    def _waiting(self) -> list[_Side]:
        return [side for side in (self.contestant, self.partner) if side not in self.answered]

    def _hear(self, side: _Side) -> None:
        message = talk.answer(self.slot, side.sock, side.serial)
        self.answered.add(side)  # also if its files cannot be put in their place
        by, at_us = talk.ended(message)
        outcome = talk.outcome(message, side.spec, side.files, self.slot.launcher.hello.isolation)
        to_it, from_it = self.pipes.back[0], self.pipes.there[0]
        if side is self.partner:
            to_it, from_it = from_it, to_it
        else:
            self.pipes.let_go(self.pipes.there[1])
        self.ends[side] = _End(outcome, by, at_us, self.pipes.unread(to_it), self.pipes.unread(from_it))
        if side is self.partner and self.contestant not in self.ends and self.is_settled(outcome):
            try:
                talk.order_end(self.contestant.sock, self.contestant.serial)
            except OSError as error:
                self.slot.launcher.close_sockets()
                raise BoxBroken(f"the sandbox launcher is gone: {error.strerror}") from error
