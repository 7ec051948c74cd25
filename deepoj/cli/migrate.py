"""``deepoj migrate``: migrates the database's schema to a version, and reports the steps."""

from __future__ import annotations

import click
import trio

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.pg.migrations import Migrator, Step
from deepoj.cli.common import print_json, settings
from deepoj.wiring.targets import database_url


@click.command()
@click.option(
    "--to", type=click.IntRange(min=0), help="Target version (default: the newest; with --rollback: one step back)."
)
@click.option("--rollback", is_flag=True, help="Undo migrations, newest first. Loses the data that they added.")
@click.option("--dry-run", is_flag=True, help="Only report the steps.")
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON line: {dry_run, version, steps: [{migration, direction}]}."
)
def migrate(to: int | None, rollback: bool, dry_run: bool, as_json: bool) -> None:
    """Migrate the database's schema to the version this program needs."""
    steps, version = trio.run(_go, database_url(settings()), to, rollback, dry_run)
    if as_json:
        fields = [{"migration": step.migration.title, "direction": step.direction} for step in steps]
        print_json({"dry_run": dry_run, "version": version, "steps": fields})
        return
    for step in steps:
        click.echo(f"{'would go ' if dry_run else ''}{step.direction} {step.migration.title}")
    click.echo(f"the schema is at version {version}" + ("" if steps else ": nothing to do"))


async def _go(dsn: str, to: int | None, rollback: bool, dry_run: bool) -> tuple[list[Step], int]:
    async with AioBridge.open() as bridge:
        migrator = Migrator(bridge, dsn)
        go = migrator.rollback if rollback else migrator.migrate
        steps = await go(to, dry_run=dry_run)
        return steps, await migrator.schema_version()
