"""The embedded PostgreSQL and Valkey of a stage, which can be stopped, killed and restarted.

They listen on unix sockets. Nodes reach them through links; the drill itself connects directly.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from typing import Protocol

import trio

from deepoj.adapters.children import orphans_of
from deepoj.adapters.embedded import EmbeddedHome, run_postgres, run_valkey
from deepoj.words.errors import ServerFell, StreamUnavailable


class _Runner(Protocol):
    async def __call__(self, home: EmbeddedHome, *, task_status: trio.TaskStatus[None]) -> None: ...


class EmbeddedServer:
    """One embedded server. Faults take :attr:`busy` first, so that only one disturbs it at a time."""

    def __init__(self, home: EmbeddedHome, run: _Runner, main_pid: Callable[[EmbeddedHome], int | None]) -> None:
        self._home, self._run, self._main_pid = home, run, main_pid
        self._scope: trio.CancelScope | None = None
        self._ended = trio.Event()
        self.busy = trio.Lock()

    async def up(self, tasks: trio.Nursery) -> None:
        """Start the server, and wait until it accepts connections. Raises StartRefused."""
        self._ended = trio.Event()
        self._scope = await tasks.start(self._serve)

    async def down(self) -> None:
        """Stop the server, and wait until it has ended."""
        if self._scope is not None:
            self._scope.cancel()
        await self._ended.wait()

    async def crash(self) -> None:
        """Send SIGKILL, and wait until the server has ended."""
        pid = self._main_pid(self._home)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await self._ended.wait()

    async def _serve(self, *, task_status: trio.TaskStatus[trio.CancelScope]) -> None:
        ended = self._ended
        try:
            with trio.CancelScope() as scope, contextlib.suppress(ServerFell):
                await self._run(self._home, task_status=_Relay(task_status, scope))
        finally:
            ended.set()


class _Relay:
    """Reports the scope as started when the server reports that it has started."""

    def __init__(self, status: trio.TaskStatus[trio.CancelScope], scope: trio.CancelScope) -> None:
        self._status, self._scope = status, scope

    def started(self, value: None = None) -> None:
        self._status.started(self._scope)


def postgres(home: EmbeddedHome) -> EmbeddedServer:
    return EmbeddedServer(home, run_postgres, _postmaster)


def valkey(home: EmbeddedHome) -> EmbeddedServer:
    return EmbeddedServer(home, run_valkey, lambda home: next(iter(orphans_of(home.valkey_dir)), None))


def _postmaster(home: EmbeddedHome) -> int | None:
    try:
        return int((home.postgres_dir / "postmaster.pid").read_text().split()[0])
    except (FileNotFoundError, ValueError, IndexError):
        return None


async def ask_valkey(home: EmbeddedHome, *words: str) -> str:
    """Send one command directly, bypassing the links. Return the first line of its answer. Raises StreamUnavailable."""
    command = b"".join(b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode()) for word in words)
    answer = b""
    try:
        async with await trio.open_unix_socket(str(home.valkey_socket)) as stream:
            await stream.send_all(f"AUTH {home.valkey_password}\r\n".encode() + b"*%d\r\n" % len(words) + command)
            while answer.count(b"\r\n") < 2:
                more = await stream.receive_some(4096)
                if not more:
                    break
                answer += more
    except (OSError, trio.BrokenResourceError) as error:
        raise StreamUnavailable(f"Valkey does not answer: {error}") from error
    lines = answer.decode(errors="replace").split("\r\n")
    if len(lines) < 2 or lines[0] != "+OK":
        raise StreamUnavailable(f"Valkey says {lines[0]!r}")
    return lines[1]
