"""The account that the embedded servers run as, and programs that this account can execute.

As root the servers run as an existing unprivileged account, because PostgreSQL refuses root. Their data stays in
DEEPOJ_HOME even if the account may not search the directories above it: see ``OWN_DIRECTORY`` in
``deepoj.adapters.children``. PostgreSQL resolves the path of its own program, so the programs need a path that the
account can follow. They are used in place if it can read all of them there, otherwise from a copy.

What if we die here? A copy is made under another name and renamed when it is complete. Its name is the digest of its
content, and each start compares the two: a damaged copy is made again. A node holds a shared lock on its copy; a node
that makes a copy removes the copies that no node holds. The locks are files that only root can open.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from deepoj.adapters.children import CHILD_ENVIRONMENT, HostAccount, run_as
from deepoj.words.errors import StartRefused

#: first choice first; ``nobody`` last, because judged programs run as ``nobody``
_ACCOUNTS = ("daemon", "bin", "mail", "nobody")

#: where copies of programs go, first choice first: a root file system may be read-only, a tmpfs noexec. After these
#: comes DEEPOJ_HOME
PLACES = tuple(Path(place) for place in ("/var/cache/deepoj", "/run/deepoj", "/var/tmp/deepoj", "/tmp/deepoj"))  # noqa: S108

#: what to do where root cannot have servers run as another account
ADVICE = (
    "run as an ordinary user (in a container: --user with a name of its image), or use `deepoj node` with DATABASE_URL"
    " and REDIS_URL of your own servers"
)

#: timeout for a program to print its version, on a busy machine
VERSION_S = 60.0

#: the lock file's name, in a place and in each copy
_LOCK = ".lock"

_SEARCH, _READ_AND_EXECUTE = 0o1, 0o5


@dataclass(frozen=True, slots=True)
class Programs:
    """A server's programs and the files that they find by relative paths."""

    name: str
    top: Path
    #: globs of the files, relative to ``top``
    patterns: tuple[str, ...]
    #: relative to ``top``; answers ``--version``
    main: Path

    def files(self, top: Path) -> list[Path]:
        """Return the files below ``top`` (the original or a copy), sorted."""
        return sorted({file for pattern in self.patterns for file in top.glob(pattern) if file.is_file()})

    def digest(self, top: Path) -> str:
        """Return the hex digest of names, contents and executable bits. Raises OSError."""
        total = hashlib.sha256()
        for file in self.files(top):
            content = file.read_bytes()
            name = os.fspath(file).removeprefix(os.fspath(top))  # relative_to takes most of the time
            total.update(f"{name} {_mode(file.stat()):o} {len(content)}\n".encode())
            total.update(content)
        return total.hexdigest()[:16]


# ---------------------------------------------------------------------------------------------------------------------
# The account


def choose_account(data: Path) -> HostAccount | None:
    """Return the servers' account; None if we are not root. The owner of existing ``data`` keeps it.

    Raises StartRefused: 2 if the owner of ``data`` has no account, 3 if no account can be taken on here."""
    if os.geteuid() != 0:
        return None
    fault = f"none of the accounts {', '.join(_ACCOUNTS)} exists"
    for account in _candidates(data):
        fault_here = _fault_of_account(account)
        if fault_here is None:
            return account
        fault = f"as {account.name}: {fault_here}"
    raise StartRefused(
        f"the embedded servers never run as root, and root cannot run them as another account here ({fault}); {ADVICE}",
        3,
    )


def _candidates(data: Path) -> list[HostAccount]:
    if data.exists() and (uid := data.stat().st_uid) != 0:
        try:
            return [_account(pwd.getpwuid(uid))]
        except KeyError as error:
            sentence = f"{data} belongs to uid {uid}, which has no account on this host; chown it"
            raise StartRefused(sentence, 2) from error
    accounts = []
    for name in _ACCOUNTS:
        with contextlib.suppress(KeyError):
            accounts.append(_account(pwd.getpwnam(name)))
    return accounts


def _account(entry: pwd.struct_passwd) -> HostAccount:
    return HostAccount(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _fault_of_account(account: HostAccount) -> str | None:
    """Return why we cannot run a process as ``account`` and end it; None if we can.

    The root of a container may lack either right.
    """
    command = [*run_as(account), "sh", "-c", "echo && exec cat"]
    read, write = os.pipe()
    try:
        with (
            os.fdopen(read, "rb") as words, os.fdopen(write, "wb") as output,
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=output, stderr=output, cwd="/", env=CHILD_ENVIRONMENT
            ) as child,
        ):  # fmt: skip
            output.close()
            first = words.readline()
            if first != b"\n":
                return first.decode(errors="replace").strip() or "its processes end at once"
            child.kill()  # if this is not allowed, it ends when its stdin is closed
            return None
    except PermissionError:
        return "root may not end its processes"
    except FileNotFoundError:
        return "setpriv is missing (Debian package util-linux)"


# ---------------------------------------------------------------------------------------------------------------------
# The programs


@contextlib.contextmanager
def in_reach(
    account: HostAccount | None, programs: Programs, home: Path, progress: Callable[[str], None]
) -> Iterator[Path]:
    """Give the directory in which ``account`` can execute the programs: ``programs.top`` or a copy of it.

    A copy is not removed before the exit. Raises StartRefused (3) if there is none, OSError if ``programs.top`` is
    unreadable.
    """
    if account is None or (_may_read(account, programs) and _fault_of(account, programs, programs.top) is None):
        yield programs.top
        return
    digest = programs.digest(programs.top)
    faults = []
    for place in (*PLACES, home / "programs"):
        with contextlib.ExitStack() as stack:
            try:
                copy = stack.enter_context(_copied(programs, digest, place))
            except OSError as error:
                faults.append(str(error))
                continue
            fault = _fault_of(account, programs, copy)
            if fault is None:
                progress(f"the account {account.name} uses a copy of the programs of {programs.name} in {copy}")
                yield copy
                return
            faults.append(fault)
        _remove_unused([copy])
    raise StartRefused(
        f"the account {account.name} can use the programs of {programs.name} neither in {programs.top} nor as a copy"
        f" elsewhere ({'; '.join(faults)}): let every user read that directory, or run as an ordinary user",
        3,
    )


def _may_read(account: HostAccount, programs: Programs) -> bool:
    """Return whether the account (with only its own group) may read, in place, all that the programs need."""
    files = programs.files(programs.top)
    inside = {file.parent for file in files}
    above = {directory for inner in inside for directory in inner.parents} - inside
    # A link (as uv makes them) may point below a private directory: a copy has none.
    return (
        all(_may(account, directory.stat(), _SEARCH) for directory in above)
        and all(_may(account, directory.stat(), _READ_AND_EXECUTE) for directory in inside)
        and all(not file.is_symlink() and _may(account, (found := file.stat()), _mode(found) & 0o7) for file in files)
    )


def _mode(file: os.stat_result) -> int:
    """Return the mode of a copy, which gives every user the owner's rights to read and execute."""
    return 0o755 if file.st_mode & stat.S_IXUSR else 0o644


def _may(account: HostAccount, file: os.stat_result, wanted: int) -> bool:
    shift = 6 if file.st_uid == account.uid else 3 if file.st_gid == account.gid else 0
    return (file.st_mode >> shift) & wanted == wanted


def _fault_of(account: HostAccount, programs: Programs, top: Path) -> str | None:
    """Return why the account cannot execute the main program; None if it can."""
    main = str(top / programs.main)
    command = [*run_as(account), main, "--version"]
    try:
        done = subprocess.run(
            command, cwd="/", env=CHILD_ENVIRONMENT, capture_output=True, text=True, check=False, timeout=VERSION_S
        )
    except subprocess.TimeoutExpired:
        return f"{main} prints no version within {VERSION_S:g} s"
    return None if done.returncode == 0 else done.stderr.strip() or f"{main} ended with {done.returncode}"


@contextlib.contextmanager
def _copied(programs: Programs, digest: str, place: Path) -> Iterator[Path]:
    """Give a complete copy in ``place``, locked until the exit. Raises OSError if ``place`` cannot hold one."""
    _make_own(place)
    copy = place / f"{programs.name}-{digest}"
    with contextlib.ExitStack() as stack:
        with _locked(place, fcntl.LOCK_EX):  # one node at a time checks, makes and removes
            if not _is_complete(programs, copy):
                _make(programs, copy)
            stack.enter_context(_locked(copy, fcntl.LOCK_SH))
        yield copy


def _make_own(place: Path) -> None:
    place.mkdir(mode=0o755, exist_ok=True)
    status = place.lstat()
    # Below /tmp another user may have made it, a link, or a copy in it, so that we execute that user's programs.
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise PermissionError(errno.EPERM, "another user can change it", str(place))
    place.chmod(0o755)


def _is_complete(programs: Programs, copy: Path) -> bool:
    return copy.is_dir() and not copy.is_symlink() and copy.name == f"{programs.name}-{programs.digest(copy)}"


@contextlib.contextmanager
def _locked(directory: Path, how: int) -> Iterator[None]:
    """Lock a file of mode 0600 in the directory: every account that may read a directory may lock it, too."""
    descriptor = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


def _make(programs: Programs, copy: Path) -> None:
    """Replace all unused copies by a new one; the caller holds the lock of the place."""
    part = Path(tempfile.mkdtemp(prefix=f".{copy.name}.", dir=copy.parent))
    try:
        for file in programs.files(programs.top):
            target = part / file.relative_to(programs.top)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
            target.chmod(_mode(file.stat()))
        for directory, _, _ in os.walk(part):
            Path(directory).chmod(0o755)
        _remove_unused([copy])  # if it exists, it is damaged
        try:
            part.rename(copy)
        except OSError as error:
            raise OSError(errno.EBUSY, "it is damaged, and another node uses it", str(copy)) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    others = [*copy.parent.glob(f"{programs.name}-*"), *copy.parent.glob(f".{programs.name}-*")]
    _remove_unused([other for other in others if other != copy])


def _remove_unused(copies: Sequence[Path]) -> None:
    for copy in copies:
        with contextlib.suppress(OSError), _locked(copy, fcntl.LOCK_EX | fcntl.LOCK_NB):
            shutil.rmtree(copy)
