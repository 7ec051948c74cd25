"""DEEPOJ_HOME: data, sockets, secrets and logs of the embedded servers, and the lock that one node holds.

::

    <home>/lock             flock: one node at a time; holds its pid
           embedded.json    marks a home with embedded servers, and says where their sockets are
           secrets/         passwords, made once, mode 0600
           objects/         the directory object store
           postgres/        the cluster, owned by the servers' account
           valkey/          append-only file, owned by the servers' account
           run/             sockets, owned by the servers' account
           programs/        copies of the servers' programs, if their account can use none elsewhere
           log/

What if we die here? Secrets are written (and synced) before a server uses them; ``embedded.json`` after them and by
rename; the cluster is made beside its place and renamed into it. So every leftover is either complete or made again.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from deepoj.adapters.children import HostAccount
from deepoj.adapters.embedded.reach import ADVICE, choose_account
from deepoj.words.errors import StartRefused

#: role and database
DATABASE = "deep_oj"
#: PostgreSQL names its socket after a port even without TCP
PG_SOCKET = ".s.PGSQL.5432"
#: sun_path is 108 bytes with its terminator
_SOCKET_PATH_BYTES = 107
#: a socket directory with other characters would need escapes that asyncpg's host lists do not have
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._+@~-]+")


@dataclass(frozen=True, slots=True)
class EmbeddedHome:
    """The embedded servers of one home: paths and addresses. Get one from :meth:`find` or :func:`hold_home`."""

    home: Path
    run_dir: Path
    postgres_password: str = field(repr=False)
    valkey_password: str = field(repr=False)
    #: the account that the servers run as; None for ours
    account: HostAccount | None = None

    @property
    def postgres_dir(self) -> Path:
        return self.home / "postgres"

    @property
    def valkey_dir(self) -> Path:
        return self.home / "valkey"

    @property
    def objects_dir(self) -> Path:
        """Root of the directory object store."""
        return self.home / "objects"

    @property
    def log_dir(self) -> Path:
        return self.home / "log"

    @property
    def valkey_socket(self) -> Path:
        return self.run_dir / "valkey.sock"

    @property
    def postgres_socket(self) -> Path:
        return self.run_dir / PG_SOCKET

    @property
    def database_url(self) -> str:
        """The database's address with the password: not for logs."""
        return f"postgres://{DATABASE}:{self.postgres_password}@/{DATABASE}?host={quote(str(self.run_dir))}"

    @property
    def redis_url(self) -> str:
        """Valkey's address without the password (``valkey_password``)."""
        return f"unix://{quote(str(self.valkey_socket))}"

    def secret(self, name: str) -> str:
        """Return a secret of this home; make it if it is missing. Raises OSError."""
        return _secret(self.home / "secrets" / name)

    def made_secret(self, name: str) -> str:
        """Return a secret of this home; empty: none is made yet. A command makes none, which would be its user's, and
        not the node's. Raises OSError."""
        return self.secret(name) if (self.home / "secrets" / name).exists() else ""

    @contextlib.contextmanager
    def open_run_dir(self) -> Iterator[int]:
        """Open the sockets' directory, for a server to inherit the descriptor."""
        descriptor = os.open(self.run_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @property
    def running(self) -> bool:
        """Whether a node holds this home now."""
        try:
            descriptor = os.open(self.home / "lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    @classmethod
    def find(cls, home: Path) -> EmbeddedHome | None:
        """Return the home of embedded servers for commands; None if no node was ever started on it.

        The servers may be stopped: then they cannot be reached. Raises StartRefused if the home cannot be read.
        """
        home = home.absolute()
        try:
            state = json.loads((home / "embedded.json").read_text())
            return cls(
                home,
                Path(state["run_dir"]),
                (home / "secrets" / "postgres_password").read_text(),
                (home / "secrets" / "valkey_password").read_text(),
            )
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, KeyError) as error:
            raise StartRefused(f"the embedded servers' files in {home} cannot be read: {error}", 2) from error


@contextlib.contextmanager
def hold_home(home: Path) -> Iterator[EmbeddedHome]:
    """Lock the home for this process, making it if needed; inside, everything is ready to start the servers.

    Raises StartRefused: 2 when it cannot be written or another node holds it, 3 when no account can run the servers.
    """
    home = home.absolute()
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(_locked(home))
            embedded = stack.enter_context(_prepared(home))
        except OSError as error:
            sentence = f"DEEPOJ_HOME {home} cannot be used: {error}; set DEEPOJ_HOME to another place"
            raise StartRefused(sentence, 2) from error
        yield embedded


@contextlib.contextmanager
def _locked(home: Path) -> Iterator[None]:
    if not home.exists():
        # As root it is searchable, so that the servers' account can reach a copy of its programs (``in_reach``).
        home.mkdir(parents=True)
        home.chmod(0o711 if os.geteuid() == 0 else 0o700)
    descriptor = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            sentence = f"DEEPOJ_HOME {home} is in use by process {pid}; stop it or set DEEPOJ_HOME to another place"
            raise StartRefused(sentence, 2) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _prepared(home: Path) -> Iterator[EmbeddedHome]:
    account = choose_account(home / "postgres")
    for name in ("secrets", "objects", "log"):
        (home / name).mkdir(mode=0o700, exist_ok=True)
    postgres_password = _secret(home / "secrets" / "postgres_password")
    valkey_password = _secret(home / "secrets" / "valkey_password")
    own_directory(home / "valkey", account)
    _forget_short_run_dir(home)
    run_dir = _run_dir(home, account)
    try:
        write_whole(home / "embedded.json", json.dumps({"version": 1, "run_dir": str(run_dir)}))
        yield EmbeddedHome(home, run_dir, postgres_password, valkey_password, account)
    finally:
        if run_dir.parent != home:
            shutil.rmtree(run_dir, ignore_errors=True)


def own_directory(path: Path, account: HostAccount | None) -> None:
    """Make a 0700 directory that belongs to the servers' account, None for ours.

    Raises OSError; StartRefused (3) if root may not give it to the account or not look into it: a container lacks a
    capability, or the file system has no owners.
    """
    path.mkdir(mode=0o700, exist_ok=True)
    if account is None:
        path.chmod(0o700)
        return
    try:
        path.chmod(0o700)
        os.chown(path, account.uid, account.gid)
        os.scandir(path).close()
    except PermissionError as error:
        sentence = f"{path} cannot be made to belong to {account.name} ({error.strerror}); {ADVICE}"
        raise StartRefused(sentence, 3) from error


def _run_dir(home: Path, account: HostAccount | None) -> Path:
    usual = home / "run"
    if len(os.fsencode(usual / PG_SOCKET)) <= _SOCKET_PATH_BYTES and _PLAIN_PATH.fullmatch(str(usual)):
        own_directory(usual, account)
        return usual
    short = Path(tempfile.mkdtemp(prefix="deepoj-", dir=_short_parent()))
    own_directory(short, account)
    return short


def _short_parent() -> str:
    parent = tempfile.gettempdir()
    longest = len(os.fsencode(f"{parent}/deepoj-12345678/{PG_SOCKET}"))
    return parent if longest <= _SOCKET_PATH_BYTES and _PLAIN_PATH.fullmatch(parent) else "/tmp"  # noqa: S108


def _forget_short_run_dir(home: Path) -> None:
    """Remove the short socket directory of a killed node; we hold the lock, so it is unused."""
    try:
        left = Path(json.loads((home / "embedded.json").read_text())["run_dir"])
    except (FileNotFoundError, ValueError, KeyError):
        return
    if left.parent != home and left.name.startswith("deepoj-") and not left.is_symlink():
        for name in (PG_SOCKET, f"{PG_SOCKET}.lock", "valkey.sock"):
            (left / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # it is gone, or has files of other programs and must stay
            left.rmdir()


def _secret(path: Path) -> str:
    """Return the secret in a file, made if missing; in hex, so that it needs no quoting anywhere."""
    try:
        if known := path.read_text():
            return known
    except FileNotFoundError:
        pass
    fresh = secrets.token_hex(24)
    write_whole(path, fresh)
    return fresh


def write_whole(path: Path, text: str) -> None:
    """Write a file with mode 0600, synced, by rename: a reader sees the old content or the complete new one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, text.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    beside.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Sync a file, or the names in a directory, to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
