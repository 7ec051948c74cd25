"""Dump and restore of the whole database by PostgreSQL's own programs.

``pg_dump`` reads one snapshot while nodes keep writing. ``pg_restore`` runs in one transaction: all or nothing.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

import trio

from deepoj.adapters.children import CHILD_ENVIRONMENT
from deepoj.adapters.pg.errors import place_of
from deepoj.words.errors import StartRefused, StoreUnavailable


def find_programs(directory: Path | None, bundled: Path | None) -> Path:
    """Return the directory of ``pg_dump`` and ``pg_restore``. Raises StartRefused (3).

    That is ``directory``, if given; else ``bundled`` (the embedded PostgreSQL's, which reads every older server); else
    the one found in PATH.
    """
    in_path = shutil.which("pg_dump", path=CHILD_ENVIRONMENT["PATH"])
    for place in (directory,) if directory is not None else (bundled, Path(in_path).parent if in_path else None):
        if place is not None and (place / "pg_dump").exists() and (place / "pg_restore").exists():
            return place
    raise StartRefused("pg_dump and pg_restore are missing: install postgresql-client, or name them with --pg-bin", 3)


async def dump(programs: Path, dsn: str, target: Path) -> None:
    """Write the database to ``target`` in pg_dump's custom format. Raises StoreUnavailable."""
    await _run(programs / "pg_dump", dsn, "--format=custom", "--no-owner", "--no-privileges", f"--file={target}")


async def restore(programs: Path, dsn: str, source: Path) -> None:
    """Fill an empty database from ``source``, all or nothing. Raises StoreUnavailable."""
    options = ("--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges")
    await _run(programs / "pg_restore", dsn, *options, str(source))


async def _run(program: Path, dsn: str, *options: str) -> None:
    url, password = _apart(dsn)
    command: Sequence[str] = (str(program), f"--dbname={url}", "--no-password", *options)
    secret = {"PGPASSWORD": password} if password else {}
    done = await trio.run_process(
        command, check=False, stdin=subprocess.DEVNULL, capture_stdout=True, capture_stderr=True,
        env=CHILD_ENVIRONMENT | secret,
    )  # fmt: skip
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {done.returncode}"]
        raise StoreUnavailable(f"{program.name} of {place_of(dsn)} failed: {lines[0]}")


def _apart(dsn: str) -> tuple[str, str]:
    """Split a DSN into the URL without its password and the password: every user can read a command line."""
    parts = urlsplit(dsn)
    account, at, place = parts.netloc.rpartition("@")
    user, _, password = account.partition(":")
    return urlunsplit(parts._replace(netloc=f"{user}{at}{place}")), unquote(password)
