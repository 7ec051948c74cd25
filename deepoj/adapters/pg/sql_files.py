"""Reads the SQL files: named queries, and numbered migrations with their rollbacks.

``sql/`` is beside the package in a checkout, and ``deepoj/_sql`` in an installed one.

A query file holds statements, each under a header::

    -- name: claim
    -- Claims a batch: …
    WITH …;

The line after the name gives the statement's purpose; both lines are required.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from deepoj.words.errors import StartRefused

_HEADER = re.compile(r"^-- name: (?P<name>[a-z_]+)\n-- (?P<purpose>\S.*)\n", re.MULTILINE)
_NUMBERED = re.compile(r"(?P<version>\d{3})_(?P<name>[a-z0-9_]+)\.sql")


class SqlFilesBroken(StartRefused):
    """A file under ``sql/`` is missing or malformed: the installation is broken."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, 2)


@dataclass(frozen=True, slots=True)
class Query:
    """A named statement; ``sql`` is what the server gets, without comments."""

    name: str
    purpose: str
    sql: str


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema. ``checksum`` is the SHA-256 (hex) of the file that applies it.

    A file that was rewritten, and leaves the same schema and rows as before, names the checksum of its former text in a
    line ``-- formerly CHECKSUM``: databases that applied that text have applied this migration.
    """

    version: int
    name: str
    sql: str
    rollback_sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def checksums(self) -> set[str]:
        """Return the checksum and those of former texts."""
        return {self.checksum, *re.findall(r"^-- formerly ([0-9a-f]{64})$", self.sql, re.MULTILINE)}

    @property
    def title(self) -> str:
        """Return version and name: ``007_add_outbox_events``."""
        return f"{self.version:03d}_{self.name}"


def sql_root() -> Path:
    """Return the directory with ``migrations``, ``rollbacks`` and ``queries``. Raises SqlFilesBroken."""
    package = Path(__file__).resolve().parents[2]
    for root in (package.parent / "sql", package / "_sql"):
        if (root / "migrations").is_dir():
            return root
    raise SqlFilesBroken(f"no SQL files: neither {package.parent / 'sql'} nor {package / '_sql'} is there")


def parse_queries(text: str, source: str) -> dict[str, Query]:
    """Return the queries of one file, by name. Raises SqlFilesBroken."""
    headers = list(_HEADER.finditer(text))
    if not headers or text[: headers[0].start()].strip():
        raise SqlFilesBroken(f"{source} must begin with '-- name: …' and a line with the query's purpose")
    ends = [header.start() for header in headers[1:]] + [len(text)]
    queries: dict[str, Query] = {}
    for header, end in zip(headers, ends, strict=True):
        body = text[header.end() : end]
        sql = "\n".join(line for line in body.splitlines() if not line.lstrip().startswith("--")).strip()
        name = header["name"]
        if "-- name:" in body or not sql.endswith(";") or name in queries:
            raise SqlFilesBroken(
                f"{source}: query {name} is defined twice, lacks its semicolon, or precedes a header without purpose"
            )
        queries[name] = Query(name, header["purpose"], sql.removesuffix(";"))
    return queries


def read_queries(root: Path) -> Mapping[str, Query]:
    """Return all queries under ``root/queries``, by name. Raises SqlFilesBroken."""
    queries: dict[str, Query] = {}
    for path in sorted((root / "queries").glob("*.sql")):
        for name, query in parse_queries(path.read_text("utf-8"), path.name).items():
            if name in queries:
                raise SqlFilesBroken(f"{path.name}: query {name} is already defined in another file")
            queries[name] = query
    return MappingProxyType(queries)


@functools.cache
def queries() -> Mapping[str, Query]:
    """Return the program's queries, by name. Raises SqlFilesBroken."""
    return read_queries(sql_root())


def read_migrations(root: Path) -> tuple[Migration, ...]:
    """Return all migrations in order (1, 2, 3 … without a gap), each with its rollback. Raises SqlFilesBroken."""
    migrations = []
    for path in sorted((root / "migrations").glob("*.sql")):
        match = _NUMBERED.fullmatch(path.name)
        rollback = root / "rollbacks" / path.name
        if match is None:
            raise SqlFilesBroken(f"migrations are named NNN_name.sql, not {path.name}")
        if not rollback.is_file():
            raise SqlFilesBroken(f"migration {path.name} has no rollback of the same name")
        migrations.append(
            Migration(int(match["version"]), match["name"], path.read_text("utf-8"), rollback.read_text("utf-8"))
        )
    if [migration.version for migration in migrations] != list(range(1, len(migrations) + 1)):
        raise SqlFilesBroken("migrations must be numbered 1, 2, 3 … without gaps or duplicates")
    return tuple(migrations)
