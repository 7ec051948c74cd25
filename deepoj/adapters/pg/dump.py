"""The whole database into a file, and back, by PostgreSQL's own programs.

``pg_dump`` reads one snapshot while nodes go on writing. ``pg_restore`` does everything or nothing: one transaction.
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
from deepoj.words import StartRefused, StoreUnavailable


def find_programs(directory: Path | None, bundled: Path | None) -> Path:
    """Where ``pg_dump`` and ``pg_restore`` are: in ``directory`` if one is named, else in ``bundled`` (the embedded
    PostgreSQL's, which reads every older server), else beside what PATH finds. Raises StartRefused (3)."""
    found = shutil.which("pg_dump", path=CHILD_ENVIRONMENT["PATH"])
    for place in (directory,) if directory is not None else (bundled, Path(found).parent if found else None):
        if place is not None and (place / "pg_dump").exists() and (place / "pg_restore").exists():
            return place
    raise StartRefused("pg_dump and pg_restore are missing: install postgresql-client, or name them with --pg-bin", 3)


async def dump(programs: Path, dsn: str, target: Path) -> None:
    """Writes the database to ``target`` in pg_dump's custom format. Raises StoreUnavailable."""
    await _run(programs / "pg_dump", dsn, "--format=custom", "--no-owner", "--no-privileges", f"--file={target}")


async def restore(programs: Path, dsn: str, source: Path) -> None:
    """Fills an empty database from ``source``, wholly or not at all. Raises StoreUnavailable."""
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
        said = done.stderr.decode(errors="replace").strip().splitlines() or [f"it ended with {done.returncode}"]
        raise StoreUnavailable(f"{program.name} of {place_of(dsn)} failed: {said[0]}")


def _apart(dsn: str) -> tuple[str, str]:
    """The URL without its password, and the password: a command line is everybody's to read."""
    parts = urlsplit(dsn)
    account, at, place = parts.netloc.rpartition("@")
    user, _, password = account.partition(":")
    return urlunsplit(parts._replace(netloc=f"{user}{at}{place}")), unquote(password)
