"""Nodes of a stage as real processes: they can be killed or stopped, and their clock and disk can be disturbed.

The kernel kills a node when this process dies, for any reason. As root, a node gets a private mount namespace with a
small file system for its workspace, which disappears with the node.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import trio

from deepoj.adapters.children import CHILD_ENVIRONMENT, ChildProcess, last_line
from deepoj.operate.drill import clocks
from deepoj.words.errors import StartRefused

#: timeout of a node's start, enough for a loaded machine
UP_S = 120.0
#: pause before a failed node is restarted, like an operator's supervisor does
_AGAIN_S = 0.3
_STOP_S = 60.0
_LOOK_S = 0.05
#: size of a node's workspace if we may mount: more than a node needs, but quick to fill
_DISK_MB = 24

_MOUNT = 'mount -t tmpfs -o size=%dm,mode=0755 deepoj-drill "$0" && exec "$@"'


def may_mount() -> bool:
    """Return whether nodes can get a small file system of their own."""
    if os.geteuid() != 0:
        return False
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0


@dataclass(frozen=True, slots=True)
class Fall:
    """The unexpected end of a node."""

    node: str
    exit_code: int
    words: str


@dataclass(slots=True)
class Setup:
    """Settings, directory and possible faults of a node."""

    directory: Path
    settings: Mapping[str, str]
    clock_library: Path | None
    small_disk: bool


class NodeProcess:
    """One node. Faults take :attr:`busy` first, so that only one disturbs it at a time."""

    def __init__(self, name: str, setup: Setup) -> None:
        self.name = name
        self.busy = trio.Lock()
        self.falls: list[Fall] = []
        self._port = 0
        self._setup = setup
        self.log = setup.directory / f"{name}.log"
        self._clock = setup.directory / f"{name}.clock"
        self._workspace = setup.directory / f"{name}.workspace"
        self._child: ChildProcess | None = None
        self._wanted = trio.Event()
        self._down = trio.Event()
        self._log_from = 0

    # -- start and stop

    async def keep(self) -> None:
        """Run the node while it is wanted; restart it when it fails."""
        while True:
            if not self._wanted.is_set():
                self._down.set()
            await self._wanted.wait()
            self._child = self._spawn()
            try:
                status = await self._child.wait()
            except trio.Cancelled:
                await self._child.stop(signal.SIGKILL, 0)
                raise
            self._child, self._port = None, 0
            if self._wanted.is_set():
                self.falls.append(Fall(self.name, status, last_line(self.log)))
                await trio.sleep(_AGAIN_S)

    @property
    def port(self) -> int:
        """Port of its API, which changes with each start; 0 while the node is down."""
        self._port = self._port or self._logged_port()
        return self._port

    async def start(self) -> None:
        """Wait until the node is up. Raises StartRefused."""
        self._wanted.set()
        with trio.move_on_after(UP_S):
            while not self.port:
                await trio.sleep(_LOOK_S)
            return
        raise StartRefused(f"node {self.name} was not up within {UP_S:g} s: {last_line(self.log)} ({self.log})", 3)

    async def kill(self) -> None:
        """Send SIGKILL and wait until the node has ended."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """Send SIGTERM and wait until the node has ended."""
        await self._end(signal.SIGTERM)

    async def _end(self, number: signal.Signals) -> None:
        if not self._wanted.is_set():
            return
        self._wanted, self._down = trio.Event(), trio.Event()
        self.signal(number)
        with trio.move_on_after(_STOP_S):
            await self._down.wait()
            return
        raise StartRefused(f"node {self.name} did not end within {_STOP_S:g} s of {number.name} ({self.log})", 3)

    def signal(self, number: signal.Signals) -> None:
        if self._child is not None and self._child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._child.pid, number)

    # -- faults

    def shift_clock(self, minutes: int) -> None:
        """Shift the node's clock."""
        clocks.shift(self._clock, minutes * 60)

    @contextlib.contextmanager
    def full_disk(self) -> Iterator[None]:
        """Context in which its workspace is full. Requires ``small_disk``."""
        pid = self._child.pid if self._child is not None else 0
        filler = Path(f"/proc/{pid}/root{self._workspace}/.filler")
        with contextlib.suppress(OSError), filler.open("wb") as file:
            while True:
                file.write(b"\0" * 262_144)
                file.flush()
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # the node may have ended, and its disk with it
                filler.unlink(missing_ok=True)

    # -- the process

    def _spawn(self) -> ChildProcess:
        setup = self._setup
        home = setup.directory / f"{self.name}.home"
        home.mkdir(exist_ok=True)
        self._workspace.mkdir(exist_ok=True)
        if not self._clock.exists():
            self.shift_clock(0)
        environment = CHILD_ENVIRONMENT | dict(setup.settings) | {
            "DEEPOJ_HOME": str(home),
            "WORKSPACE": str(self._workspace),
            "WORKER_ID": self.name,
            "HOME": str(home),
        }  # fmt: skip
        command = ["setpriv", "--pdeathsig", "KILL", "--"]
        if setup.clock_library is not None:
            # set by env, so that setpriv and the shell keep their clock
            variables = clocks.environment(setup.clock_library, self._clock)
            command += ["env", *(f"{name}={value}" for name, value in variables.items())]
        config = setup.directory / "drill.yaml"  # empty, so that no other config.yaml is found
        config.touch()
        command += [sys.executable, "-m", "deepoj", "--config", str(config), "node", "--log", "json"]
        if setup.small_disk:
            mount = ["sh", "-c", _MOUNT % _DISK_MB, str(self._workspace)]
            command = ["unshare", "--mount", "--propagation", "private", "--", *mount, *command]
        self._log_from = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command,
                env=environment,
                cwd=setup.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return ChildProcess(self.name, process)

    def _logged_port(self) -> int:
        """Return the port that the node has logged since its last start; 0 if none."""
        if self._child is None or not self.log.exists():
            return 0
        with self.log.open("rb") as file:
            file.seek(self._log_from)
            for line in file:
                if b'"roles"' in line and line.endswith(b"\n"):
                    address = str(json.loads(line).get("address", ""))
                    return int(address.rpartition(":")[2].strip("/") or 0)
        return 0
