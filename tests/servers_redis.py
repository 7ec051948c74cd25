"""Real Redis-speaking servers for tests: Valkey from its wheel and Debian's redis-server, on unix sockets."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from deepoj.adapters.embedded.valkey import find_program
from tests.ports import free_port
from tests.servers import tied

KINDS = ("valkey", "redis")
_DEADLINE_S = 300.0


def server_program(kind: str) -> Path:
    """Return the path of the executable. AssertionError if it is missing."""
    if kind == "valkey":
        return find_program()
    found = shutil.which("redis-server", path=f"/usr/bin:{os.defpath}")
    assert found, "redis-server is missing: apt-get install redis-server"
    return Path(found)


class RedisServer:
    """One server with its data in ``directory``, whose path must be short: a socket's has at most 107 bytes."""

    def __init__(self, kind: str, directory: Path, *, password: str = "secret-of-the-test", tcp: bool = False) -> None:
        self.kind = kind
        self.directory = directory
        self.password = password
        self.port = free_port() if tcp else 0
        self.socket = directory / "redis.sock"
        assert len(os.fsencode(self.socket)) <= 107
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address without the password."""
        return f"127.0.0.1:{self.port}" if self.port else f"unix://{self.socket}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def client(self) -> redis.Redis:
        """Return a synchronous client of redis-py, for checks from outside."""
        return redis.Redis(
            unix_socket_path=str(self.socket),
            password=self.password,
            protocol=2,
            socket_timeout=30,
            retry=Retry(NoBackoff(), 0),
        )

    def start(self) -> None:
        """Start the server and return when it answers."""
        settings = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "requirepass": self.password,
            "dir": str(self.directory),
            "save": "",
            "appendonly": "yes",
            "appendfsync": "always",
            "daemonize": "no",
        }
        argv = [str(server_program(self.kind))]
        for name, value in settings.items():
            argv += [f"--{name}", value]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(tied(*argv), stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + _DEADLINE_S
        while True:
            with contextlib.suppress(redis.ConnectionError), self.client() as client:
                client.ping()
                return
            assert self._process.poll() is None, (self.directory / "log").read_text()
            assert time.monotonic() < deadline, f"{self.kind} does not answer"
            time.sleep(0.01)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        process.send_signal(signal.SIGCONT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)


@contextlib.contextmanager
def running(kind: str, directory: Path, *, tcp: bool = False) -> Iterator[RedisServer]:
    server = RedisServer(kind, directory, tcp=tcp)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def grow_old(client: redis.Redis, key: str, group: str, idle_ms: int) -> None:
    """Set the idle time of all pending entries of the group to ``idle_ms``; each stays with its consumer."""
    if not client.exists(key) or not client.xinfo_groups(key):
        return  # no consumer has read yet
    pending: list[dict[str, Any]] = client.xpending_range(key, group, "-", "+", 100)
    for one in pending:
        client.xclaim(key, group, one["consumer"], 0, [one["message_id"]], idle=idle_ms, justid=True)
