"""The sandbox on Linux: ``ports.Box`` over the launcher in ``sandbox_ext``.

The path of a run: the host's files are opened here and go to a slot as descriptors, with the limits, in one message.
The slot runs the program, measures it and answers in one message. The verdict is decided here from the figures
(``verdict``). A run occupies one slot; calls beyond the slots wait, first come first served.

Cancelling a run tells the slot to end it and waits, shielded, until the slot is clean. If the launcher falls, its runs
raise ``BoxBroken`` and the next run starts another one, within a budget: a host whose launchers keep falling must not
look healthy.

What if the node dies? The launcher sees its sockets close, kills its runs and ends.
"""

from __future__ import annotations

import glob
import itertools
import math
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import trio

from deepoj.adapters.sandbox import joined, talk
from deepoj.adapters.sandbox import launcher as launching
from deepoj.adapters.sandbox.files import RunFiles
from deepoj.adapters.sandbox.launcher import Launcher, Setting, Slot
from deepoj.adapters.sandbox.preflight import Preflight, settle
from deepoj.adapters.sandbox.rates import Rates, rate_lines
from deepoj.judging.languages import outside_usr
from deepoj.words.errors import BoxAway, BoxBroken, StartRefused
from deepoj.words.sandbox import Isolation, Joined, RunOutcome, RunSpec

#: how many launchers may be started again within the window
RESTARTS = 5
RESTART_WINDOW_S = 60.0
#: a run is called overdue so long after its longest time: a loaded host needs seconds to empty a slot. Its launcher is
#: given up later (``talk.OVERDUE_S``)
LATE_S = 10.0
#: visible in every box, in addition to ``mounts`` (``parts`` in ``sandbox_ext/rootfs.c``)
BUILT_IN = ("/usr", "/bin", "/lib", "/lib64", "/lib32", "/libx32", "/sbin", "/etc/alternatives")


@dataclass(slots=True, eq=False)
class LinuxBox:
    """The sandbox (``ports.Box``). Made by :meth:`open`."""

    preflight: Preflight
    _setting: Setting
    _isolation: Isolation
    _launcher: Launcher
    _turns: trio.Semaphore
    _starting: trio.Lock = field(default_factory=trio.Lock)
    _restarts: deque[float] = field(default_factory=deque)
    #: processes of the launcher that were stopped at the last look
    _stopped: frozenset[int] = frozenset()
    #: serial of a run that has a slot → when its limits must have ended it
    _due: dict[int, float] = field(default_factory=dict)
    _serials: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def isolation(self) -> Isolation:
        return self._isolation

    @property
    def has_proc(self) -> bool:
        return self.preflight.has_proc

    @property
    def launcher_pid(self) -> int:
        """The parent process of every run; for tests and operators."""
        return self._launcher.pid

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        slots: int,
        *,
        run_uid: int = 65534,
        run_gid: int = 65534,
        min_isolation: Isolation = Isolation.NAMESPACES,
        at_most: Isolation = Isolation.FULL,
        mounts: Sequence[str] = (),
        headers: Path | None = None,
        rates: Rates | None = None,
    ) -> AsyncIterator[LinuxBox]:
        """Open a box that runs ``slots`` programs at a time.

        Args:
          run_uid, run_gid: for a node that runs as root, the programs' ids. At ``weak``, programs get uids from there
            downwards, one for each slot and policy, that no other box of this host uses. For another node, programs run
            as its own user, in a user namespace that maps it to this uid.
          mounts: host paths that are visible read-only, besides the built-in ones.
          headers: an absolute path, visible read-only at ``HEADERS_DIR``, except at ``weak``. Files that are added to
            it later are visible, too.
          rates: CPU time and disk bytes that each program may use per second, at ``full``; None: without limit.
          at_most: a stronger level is not tried. For tests of the weaker levels.

        Raises:
          StartRefused: the host offers less than ``min_isolation``, the launcher is missing, a mount does not exist.
          BoxBroken: the launcher fell while it started.
        """
        if run_uid == 0 or run_gid == 0:
            raise StartRefused("security.run_as_uid and run_as_gid must not be 0: programs would run as root", 2)
        setting = _setting(slots, run_uid, run_gid, mounts=mounts, headers=headers, rates=rates)
        launcher, checked = await settle(setting, at_most)
        if launcher is None or checked.isolation is None or checked.isolation < min_isolation:
            if launcher is not None:
                await launcher.close()
            raise StartRefused(_too_little(checked, min_isolation), 2)
        box = cls(checked, launcher.setting, checked.isolation, launcher, trio.Semaphore(slots))
        try:
            yield box
        finally:
            await box._launcher.close()

    async def restore(self) -> None:
        await self._alive()

    def check(self) -> str:
        if not self._launcher.lives():
            raise BoxBroken("the sandbox launcher has ended")
        stopped, self._stopped = self._stopped, frozenset()
        self._stopped = self._launcher.end_if_stopped(stopped, with_inits=True)
        late_s = trio.current_time() - min(self._due.values(), default=math.inf)
        return f"a run takes over {LATE_S:g} s longer than its limits allow" if late_s > LATE_S else ""

    async def run(self, spec: RunSpec) -> RunOutcome:
        """Run one program. See ``ports.Box``.

        Raises:
          BoxBroken: the launcher fell or hung; the run has no outcome.
          BoxAway: there is no launcher and none can be started, or not yet; the run was never begun.
          OSError: a host file of the spec cannot be opened or put in its place.
        """
        serial = next(self._serials)
        try:
            message = talk.request(serial, spec)
        except ValueError as fault:
            return talk.refused(fault, self._isolation)
        with RunFiles(spec) as files:
            async with spec.gate or nullcontext():
                answer = await self._ask(serial, spec, files, message)
            return talk.outcome(answer, spec, files, self._isolation)

    async def _ask(self, serial: int, spec: RunSpec, files: RunFiles, message: bytes) -> bytes:
        await self._take_turn()
        try:
            slot = (await self._alive()).free.pop()
            self._due[serial] = trio.current_time() + talk.longest_s(spec)
            try:
                return await talk.ask(slot, serial, spec, files, message)
            finally:
                del self._due[serial]
                slot.release()
        finally:
            self._turns.release()

    async def _take_turn(self) -> None:
        """Acquire a turn. If one is free, other tasks do not run first, as they do in ``Semaphore.acquire``: a slot is
        idle meanwhile, and the run itself lets them run."""
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            self._turns.acquire_nowait()
        except trio.WouldBlock:
            await self._turns.acquire()

    async def run_joined(
        self, program: RunSpec, interactor: RunSpec, *, is_settled: Callable[[RunOutcome], bool]
    ) -> Joined:
        """Run two programs joined by pipes, in one turn. See ``ports.Box``; raises as :meth:`run`."""
        serials = next(self._serials), next(self._serials)
        async with self._turns:
            slot = (await self._alive()).free.pop()
            longest_s = max(talk.longest_s(program), talk.longest_s(interactor))
            self._due[serials[0]] = trio.current_time() + longest_s
            try:
                return await joined.run_joined(slot, serials, program, interactor, is_settled)
            finally:
                del self._due[serials[0]]
                slot.release()

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[Slot]:
        """Lend a free slot to a caller that uses ``talk.request`` itself (the bench, to measure without Python).

        The caller must have read all answers before it returns the slot. Raises BoxAway, as :meth:`run` does.
        """
        async with self._turns:
            slot = (await self._alive()).free.pop()
            try:
                yield slot
            finally:
                slot.release()

    async def _alive(self) -> Launcher:
        """Return the launcher, restarted if it fell. A caller that holds a turn finds a free slot."""
        if self._stopped and self._launcher.lives():
            raise BoxAway("processes of the sandbox are stopped: they are looked at again within seconds")
        if self._launcher.lives():
            return self._launcher
        async with self._starting:
            if self._launcher.lives():
                return self._launcher
            await self._launcher.close()
            now = trio.current_time()
            while self._restarts and self._restarts[0] < now - RESTART_WINDOW_S:
                self._restarts.popleft()
            if len(self._restarts) >= RESTARTS:
                raise BoxAway(f"the sandbox launcher fell {RESTARTS} times in {RESTART_WINDOW_S:g} s: see its stderr")
            self._restarts.append(now)
            try:
                launcher = await launching.start(self._setting)
            except (StartRefused, BoxBroken, OSError) as error:  # OSError: no processes, descriptors or memory left
                raise BoxAway(f"the sandbox launcher cannot be started again: {error}") from error
            if launcher.hello.fault is not None or launcher.hello.isolation is not self._isolation:
                await launcher.close()
                raise BoxAway(f"the sandbox launcher offers less than at the start: {launcher.hello}")
            self._launcher, self._stopped = launcher, frozenset()
            return launcher


def _setting(
    slots: int, run_uid: int, run_gid: int, *, mounts: Sequence[str], headers: Path | None, rates: Rates | None
) -> Setting:
    shown = _mounts(mounts)
    return Setting(
        slots=slots,
        run_uid=run_uid,
        run_gid=run_gid,
        mounts=shown,
        headers=str(headers or ""),
        rates=rate_lines(rates or Rates(), (*BUILT_IN, *shown)),
    )


# ---------------------------------------------------------------------------------------------------------------------
# Checks of this host


async def preflight(
    *,
    slots: int = 1,
    run_uid: int = 65534,
    run_gid: int = 65534,
    mounts: Sequence[str] = (),
    rates: Rates | None = None,
) -> Preflight:
    """Return what :meth:`LinuxBox.open` would find here. Raises StartRefused, BoxBroken as it does."""
    setting = _setting(slots, run_uid, run_gid, mounts=mounts, headers=None, rates=rates)
    launcher, checked = await settle(setting)
    if launcher is not None:
        await launcher.close()
    return checked


def _too_little(checked: Preflight, least: Isolation) -> str:
    offered = f"only '{checked.isolation}'" if checked.isolation else "no"
    why = "; ".join(checked.reasons)
    return f"this host offers {offered} isolation where SANDBOX_MIN_ISOLATION={least} is asked for: {why}"


def _mounts(asked: Sequence[str]) -> tuple[str, ...]:
    """Return the paths to pass to the launcher, without those that are always visible."""
    of_toolchains = [path for pattern in outside_usr() for path in sorted(glob.glob(pattern))]  # noqa: PTH207 - absolute
    extra = [*of_toolchains, *asked]
    paths: list[str] = []
    for path in dict.fromkeys(extra):
        if path.rstrip("/") in BUILT_IN or path.startswith("/usr/"):
            continue
        if not path.startswith("/") or not Path(path).exists():
            raise StartRefused(f"path.mount_dirs names {path!r}, which is not an absolute path that exists here", 2)
        paths.append(path)
    return tuple(paths)
