"""The commands ``deepoj backup`` and ``deepoj restore``. ``operate.backup`` does the work."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import click
import trio

from deepoj import __version__
from deepoj.cli.common import operator, print_json, settings
from deepoj.operate.backup import CARD, OBJECTS, back_up, find_pg_programs, put_back, record
from deepoj.words.exits import CheckFailed

_PG_BIN = click.option(
    "--pg-bin",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Directory of pg_dump and pg_restore.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON line: {directory, schema, objects}.")


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@_PG_BIN
@_JSON
def backup(directory: Path, pg_bin: Path | None, as_json: bool) -> None:
    """Copy the database and the object store to the new DIRECTORY; nodes may run meanwhile.

    The backup contains password hashes and all sources: keep it as secret as the database.
    """
    if directory.exists():
        raise click.UsageError(f"{directory} exists already: a backup needs a new directory.")
    cfg = settings()
    part = directory.with_name(f"{directory.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    (part / OBJECTS).mkdir(mode=0o700, parents=True)
    part.chmod(0o700)
    schema, count = trio.run(back_up, cfg, part, find_pg_programs(pg_bin))
    (part / CARD).write_text(json.dumps({"deepoj": __version__, "schema": schema, "objects": count}) + "\n")
    os.sync()
    part.rename(directory)
    trio.run(record, cfg, directory.absolute(), count, operator("backup"))
    _print_result(directory, schema, count, as_json=as_json, action="backed up to")


@click.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@_PG_BIN
@_JSON
def restore(directory: Path, pg_bin: Path | None, as_json: bool) -> None:
    """Fill an empty database and the object store from the backup in DIRECTORY. No node may run meanwhile.

    Refuses a database that is not empty. Afterwards run `deepoj migrate` if the backup has an older schema.
    """
    try:
        card = json.loads((directory / CARD).read_text())
    except FileNotFoundError as error:
        raise click.UsageError(f"{directory} is not a complete backup: it has no {CARD}.") from error
    count = trio.run(put_back, settings(), directory, find_pg_programs(pg_bin))
    if count != card["objects"]:
        raise CheckFailed(f"{directory} contains {count} objects, but was made with {card['objects']}")
    _print_result(directory, card["schema"], count, as_json=as_json, action="restored from")


def _print_result(directory: Path, schema: int, count: int, *, as_json: bool, action: str) -> None:
    if as_json:
        print_json({"directory": str(directory), "schema": schema, "objects": count})
    else:
        click.echo(f"{action} {directory}: the database at schema version {schema}, {count} objects")
