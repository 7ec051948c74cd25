"""``deepoj config``: shows the effective settings and their sources, with secrets masked, and the reference."""

from __future__ import annotations

import sys

import click

from deepoj.cli.common import print_json, settings
from deepoj.config.keys import Shown, effective


@click.group()
def config() -> None:
    """Show the effective settings with their sources, or the reference of all settings."""


@config.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON line: {key: {value, source}}.")
@click.option("--changed", is_flag=True, help="Only settings that are not at their default.")
def show(as_json: bool, changed: bool) -> None:
    """Print every setting, its value (secrets masked) and its source."""
    cfg = settings()
    items = [item for item in effective(cfg) if not changed or item.source != "default"]
    if as_json:
        print_json({item.key: {"value": item.value, "source": item.source} for item in items})
        return
    _table(items)
    for warning in cfg.warnings:
        click.echo(f"warning: {warning}", err=True)


@config.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON line: [{key, environment, default, allowed, doc, …}].")
def reference(as_json: bool) -> None:
    """Print what every setting does, its environment name, default and range, as Markdown."""
    from deepoj.config import reference as settings_reference  # noqa: PLC0415 - not needed for `show`

    if as_json:
        print_json(settings_reference.as_json())
        return
    click.echo(settings_reference.markdown(), nl=False)


def _table(items: list[Shown]) -> None:
    from rich.console import Console  # noqa: PLC0415 - a third of the start-up time, and not needed for --json
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False)
    for title in ("setting", "value", "source"):
        table.add_column(title, overflow="fold")
    for item in items:
        table.add_row(item.key, _text(item.value), item.source)
    # Lines in a pipe are not wrapped, so that they can be searched with grep.
    Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else 400).print(table)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value)
