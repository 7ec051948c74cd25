"""Whom the embedded servers run as, and how that account gets at its files without a foreign mode being changed.

As root the servers run as an account that exists already (PostgreSQL refuses root). If it cannot walk to its files (a
home below /root, say), each server gets a private mount namespace in which its directories are bound to places that it
can walk to. The namespace belongs to the process and vanishes with it; the node itself uses the real paths.
"""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deepoj.adapters.children import Account
from deepoj.words import StartRefused

#: first choice first; not ``nobody``, if it can be helped: that is whom judged programs run as
_ACCOUNTS = ("daemon", "bin", "mail", "nobody")

#: directories of every Linux system that no server of ours needs to see: one of them is covered in the namespace
_COVERABLE = ("/mnt", "/media", "/srv", "/opt", "/home")

_BIND = """set -e
base=$1; shift
mount -t tmpfs -o mode=0711,size=64k deepoj "$base"
n=0
while [ "$1" != -- ]; do n=$((n+1)); mkdir "$base/$n"; mount --bind "$1" "$base/$n"; shift; done
shift
exec "$@"
"""


@dataclass(frozen=True, slots=True)
class View:
    """How a server sees the host: ``around`` goes before its command, ``bound`` says which path is where for it."""

    around: tuple[str, ...] = ()
    bound: tuple[tuple[Path, str], ...] = ()

    def path(self, host: Path) -> str:
        """The server's name for a host path."""
        resolved = host.resolve()
        for source, inside in self.bound:
            if resolved.is_relative_to(source):
                return str(inside / resolved.relative_to(source))
        return str(resolved)


def choose_account(data: Path) -> Account | None:
    """None when we are not root: servers run as ourselves. The owner of existing ``data`` keeps it."""
    if os.geteuid() != 0:
        return None
    if data.exists() and (uid := data.stat().st_uid) != 0:
        try:
            return _account(pwd.getpwuid(uid))
        except KeyError as error:
            raise StartRefused(
                f"{data} belongs to uid {uid}, which has no account on this host; chown it", 2
            ) from error
    for name in _ACCOUNTS:
        try:
            return _account(pwd.getpwnam(name))
        except KeyError:
            continue
    raise StartRefused(f"none of the accounts {', '.join(_ACCOUNTS)} exists to run PostgreSQL as; run as a user", 3)


def _account(entry: pwd.struct_passwd) -> Account:
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def can_walk_to(account: Account, path: Path) -> bool:
    """Whether the account (without groups but its own) may search every directory above ``path``."""
    return all(_may_search(account, parent.stat()) for parent in path.resolve().parents)


def require_readable(account: Account | None, top: Path, programs: Sequence[Path]) -> None:
    """Raises StartRefused (3) unless the account may read and execute the programs, seen from ``top`` on: a namespace
    helps with what is above, not with an installation made under a tight umask."""
    if account is None:
        return
    for program in programs:
        status = program.stat()
        readable = _may(account, status, stat.S_IRUSR, stat.S_IRGRP, stat.S_IROTH)
        inside = [path for path in (program, *program.parents) if path.is_relative_to(top)]
        if not readable or not all(_may_search(account, path.stat()) for path in inside):
            raise StartRefused(f"the account {account.name} may not use {program}; run chmod -R a+rX {top}", 3)


def _may_search(account: Account, file: os.stat_result) -> bool:
    return _may(account, file, stat.S_IXUSR, stat.S_IXGRP, stat.S_IXOTH)


def _may(account: Account, file: os.stat_result, as_owner: int, as_group: int, as_other: int) -> bool:
    if file.st_uid == account.uid:
        return bool(file.st_mode & as_owner)
    if file.st_gid == account.gid:
        return bool(file.st_mode & as_group)
    return bool(file.st_mode & as_other)


def view_for(account: Account | None, directories: Sequence[Path]) -> View:
    """The view in which ``account`` gets at all of ``directories``: the plain one, if that does it."""
    beyond_reach = [directory for directory in directories if account and not can_walk_to(account, directory)]
    if not beyond_reach:
        return View()
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode != 0:
        name = account.name if account else ""
        raise StartRefused(
            f"the embedded servers' account {name} cannot reach {beyond_reach[0]}, and no mount namespace can be made"
            " here to help it; choose a place that everybody can walk to, or do not run as root",
            3,
        )
    sources = [directory.resolve() for directory in directories]
    for base in _COVERABLE:
        if Path(base).is_dir() and not any(source.is_relative_to(base) for source in sources):
            bound = tuple((source, f"{base}/{number}") for number, source in enumerate(sources, start=1))
            unshare = ("unshare", "--mount", "--propagation", "private", "--", "/bin/sh", "-c", _BIND, "sh", base)
            return View((*unshare, *map(str, sources), "--"), bound)
    raise StartRefused(
        f"no directory of {', '.join(_COVERABLE)} can serve as a mount point for the embedded servers", 3
    )
