"""Impossible starts: one clear line, exit code 2 or 3, and no process left."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping
from pathlib import Path

from deepoj.adapters.embedded import hold_home
from tests.e2e.cluster import Servers
from tests.e2e.leftovers import Leftovers, nothing_left
from tests.e2e.nodes import environment
from tests.e2e.typed import typed
from tests.servers import STRANGER

SERVERS = {"JWT_SECRET": "a-secret-of-the-tests-only-0123456789"}


def start(home: Path, env: Mapping[str, str], *args: str) -> tuple[int, list[str]]:
    """Run the command. Return its exit code and the lines on stderr that are no log lines."""
    settings, _ports = environment(home, env)
    done = typed(*args, env=settings)
    return done.returncode, [line for line in done.stderr.splitlines() if not line.startswith("{")]


def refused(home: Path, env: Mapping[str, str], *args: str, code: int, says: str) -> None:
    before = Leftovers.count(home)
    got, lines = start(home, env, *args)
    assert got == code, lines
    assert len(lines) == 1, lines
    assert lines[0].startswith("deepoj: ")
    assert says in lines[0]
    nothing_left(home, before)


def test_port_taken(home: Path) -> None:
    with contextlib.closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused(home, {"PORT": port}, "up", code=2, says=port)


def test_metrics_port_taken(home: Path) -> None:
    with contextlib.closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused(home, {"WORKER_METRICS_PORT": port}, "up", code=2, says=port)


def test_unwritable_home(tmp_path: Path) -> None:
    # a file in the way: root may write everywhere else
    (tmp_path / "file").write_text("")
    home = tmp_path / "file" / "home"
    refused(home, {}, "up", code=2, says=str(home))


def test_home_in_use(home: Path) -> None:
    """This process locks the home as a node does."""
    with hold_home(home):
        got, lines = start(home, {}, "up")
    assert got == 2
    assert f"in use by process {os.getpid()}" in lines[0]


def test_missing_compiler(home: Path) -> None:
    refused(home, {"DEEPOJ_PATH_COMPILER_BIN": "/nonexistent/g++"}, "up", code=3, says="/nonexistent/g++")


def test_wrong_setting(home: Path) -> None:
    refused(home, {"JOB_LEASE_SEC": "soon"}, "up", code=2, says="JOB_LEASE_SEC")


def test_unknown_setting(home: Path) -> None:
    refused(home, {"DEEPOJ_HOEM": "x"}, "up", code=2, says="DEEPOJ_HOEM")


def test_no_jwt_secret_without_the_embedded_default(home: Path) -> None:
    refused(home, {}, "node", "--roles", "api", code=2, says="JWT_SECRET")


def test_wrong_database_password(home: Path, servers: Servers) -> None:
    """The server needs a password and gets a wrong one."""
    dsn = servers.postgres.dsn("postgres", user=STRANGER, password="a wrong one")
    refused(home, SERVERS | {"DATABASE_URL": dsn}, "node", code=3, says="password")
