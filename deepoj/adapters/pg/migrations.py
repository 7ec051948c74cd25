"""Migrates the schema to a version: each step in a transaction of its own, recorded with its checksum.

One connection holds a session advisory lock throughout. Of several nodes that start at once, one migrates and the
others find it done. If we die in the middle, the current step is rolled back, the steps before it are recorded, and the
lock goes with the connection: the next run continues from there. Each file is re-runnable, so one that was applied by
hand is applied again without harm.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg

from deepoj.adapters import aio_bridge
from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.pg.errors import FOREIGN, place_of, translate
from deepoj.adapters.pg.sql_files import Migration, read_migrations, sql_root
from deepoj.words.errors import StartRefused, StoreUnavailable

if TYPE_CHECKING:
    _Connection = asyncpg.Connection[asyncpg.Record]

_LOCK = "hashtextextended('deepoj.migrate', 0)"
_CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version    integer     PRIMARY KEY,
    name       text        NOT NULL,
    checksum   text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)"""


class MigrationRefused(StartRefused):
    """The schema cannot be migrated: a file changed after it was applied, or the database is newer than the program."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, 2)


class Direction(enum.StrEnum):
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Step:
    """One migration to apply (up) or to roll back (down)."""

    direction: Direction
    migration: Migration


@dataclass(frozen=True, slots=True)
class Applied:
    """A row of ``schema_migrations``."""

    version: int
    name: str
    checksum: str


def needed_version(migrations: Sequence[Migration] | None = None) -> int:
    """The schema version that this program's queries are written for. Raises SqlFilesBroken."""
    return (read_migrations(sql_root()) if migrations is None else migrations)[-1].version


def plan(migrations: Sequence[Migration], applied: Sequence[Applied], target: int) -> list[Step]:
    """Return the steps from ``applied`` to version ``target``. Raises MigrationRefused."""
    known = {migration.version: migration for migration in migrations}
    if target != 0 and target not in known:
        raise MigrationRefused(f"there is no migration {target}: the last one is {max(known)}")
    for row in applied:
        if row.version not in known:
            raise MigrationRefused(
                f"the database has migration {row.version:03d}_{row.name}, which this program does not know: "
                f"the program is older than the schema"
            )
        if row.checksum not in known[row.version].checksums:
            raise MigrationRefused(
                f"sql/migrations/{known[row.version].title}.sql was changed after it was applied to this database: "
                f"restore the file and put the change into a new migration"
            )
    present = {row.version for row in applied}
    down = [Step(Direction.DOWN, known[version]) for version in sorted(present, reverse=True) if version > target]
    up = [
        Step(Direction.UP, migration)
        for migration in migrations
        if migration.version <= target and migration.version not in present
    ]
    return down + up


class Migrator:
    """Migrates one database. Raises StoreUnavailable, StoreRefused, MigrationRefused, SqlFilesBroken."""

    def __init__(
        self,
        bridge: AioBridge,
        dsn: str,
        *,
        migrations: Sequence[Migration] | None = None,
        connect_timeout_s: float = 5.0,
        lock_timeout_s: float = 60.0,
        step_timeout_s: float = 600.0,
        table_wait_s: float = 2.0,
        table_tries: int = 100,
    ) -> None:
        self._bridge = bridge
        self._dsn = dsn
        self._migrations = read_migrations(sql_root()) if migrations is None else tuple(migrations)
        self._connect_timeout_s = connect_timeout_s
        self._lock_timeout_s = lock_timeout_s
        self._step_timeout_s = step_timeout_s
        self._table_wait_s = table_wait_s
        self._table_tries = table_tries

    @property
    def needed_version(self) -> int:
        return self._migrations[-1].version

    async def schema_version(self) -> int:
        """Return the highest applied version; 0 for an empty database. Changes nothing."""
        return await self._bridge.run(self._schema_version)

    async def migrate(self, to: int | None = None, *, dry_run: bool = False) -> list[Step]:
        """Apply the missing steps up to ``to`` (default: all). Return the steps done, or to do with ``dry_run``."""
        return await self._bridge.run(self._run, self.needed_version if to is None else to, Direction.UP, dry_run)

    async def rollback(self, to: int | None = None, *, dry_run: bool = False) -> list[Step]:
        """Roll back everything above ``to`` (default: the last step only), newest first; 0 empties the schema."""
        return await self._bridge.run(self._run, to, Direction.DOWN, dry_run)

    async def _schema_version(self) -> int:
        async with self._connection() as connection:
            return max((row.version for row in await self._applied(connection)), default=0)

    async def _run(self, target: int | None, direction: Direction, dry_run: bool) -> list[Step]:
        async with self._connection() as connection:
            await self._lock(connection)
            applied = await self._applied(connection)
            version = max((row.version for row in applied), default=0)
            steps = plan(self._migrations, applied, max(version - 1, 0) if target is None else target)
            steps = [step for step in steps if step.direction is direction]
            if not dry_run:
                await connection.execute(_CREATE_TABLE)
                for step in steps:
                    await self._apply(connection, step)
            return steps

    async def _apply(self, connection: _Connection, step: Step) -> None:
        """Run a step and record it. While it waits for a table, everything that comes later waits behind it: so it soon
        gives up, lets the others pass, and tries again."""
        for tried in range(self._table_tries):
            if tried:
                await connection.execute(f"SELECT pg_sleep({self._table_wait_s})")
            try:
                return await self._apply_once(connection, step)
            except asyncpg.LockNotAvailableError:
                continue
        raise StoreUnavailable(
            f"migration {step.migration.version} of {place_of(self._dsn)} could not lock a table that it changes:"
            " another transaction holds it, such as a dump's; end that, then migrate again"
        )

    async def _apply_once(self, connection: _Connection, step: Step) -> None:
        """Run a step and record it, in one transaction. Raises LockNotAvailableError."""
        migration = step.migration
        async with connection.transaction():
            await connection.execute(f"SET LOCAL lock_timeout = {round(self._table_wait_s * 1000)}")
            if step.direction is Direction.UP:
                await connection.execute(migration.sql, timeout=self._step_timeout_s)
                await connection.execute(
                    "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)",
                    migration.version,
                    migration.name,
                    migration.checksum,
                )
            else:
                await connection.execute(migration.rollback_sql, timeout=self._step_timeout_s)
                await connection.execute("DELETE FROM schema_migrations WHERE version = $1", migration.version)

    async def _lock(self, connection: _Connection) -> None:
        try:
            await connection.execute(f"SELECT pg_advisory_lock({_LOCK})", timeout=self._lock_timeout_s)
        except TimeoutError as error:
            raise StoreUnavailable(
                f"another node has been migrating {place_of(self._dsn)} for {self._lock_timeout_s:g} s: try again later"
            ) from error

    @staticmethod
    async def _applied(connection: _Connection) -> list[Applied]:
        if await connection.fetchval("SELECT to_regclass('schema_migrations')") is None:
            return []
        rows = await connection.fetch("SELECT version, name, checksum FROM schema_migrations ORDER BY version")
        return [Applied(row["version"], row["name"], row["checksum"]) for row in rows]

    @asynccontextmanager
    async def _connection(self) -> AsyncGenerator[_Connection]:
        """Open a connection for migrating, and close it at the end. Translates foreign exceptions."""
        try:
            connection: _Connection = await asyncpg.connect(
                self._dsn,
                timeout=self._connect_timeout_s,
                command_timeout=30.0,
                server_settings={"application_name": "deepoj-migrate", "client_min_messages": "warning"},
            )
            try:
                yield connection
                async with aio_bridge.timeout(5.0):
                    await connection.close()
            finally:
                connection.terminate()
        except FOREIGN as error:
            raise translate(error, place_of(self._dsn)) from error
