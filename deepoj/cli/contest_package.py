"""The commands ``deepoj contest export`` and ``import``: a contest as one file, with its problems and teams."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from deepoj.cli import errors
from deepoj.cli.common import print_json
from deepoj.cli.connection import AS_JSON, RETRY_FOR, URL, connected
from deepoj.client.contests.exchange import export_contest, import_contest
from deepoj.client.shown import shown


@click.command("export")
@click.argument("key")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@AS_JSON
@URL
@RETRY_FOR
def contest_export(key: str, file: Path, as_json: bool, url: str | None, retry_for_s: float) -> None:
    """Write the contest KEY to FILE, a zip: rules, problems with their packages, teams with their accounts.

    For administrators. It has no passwords, submissions or clarifications.
    """
    with connected(url, retry_for_s) as server:
        done = export_contest(server, key, file)
    _print(done, as_json, "exported")


@click.command("import")
@click.argument("file", type=click.Path(exists=True, path_type=Path))
@click.option("--key", help="Its key here, instead of that in FILE.")
@click.option("--create-accounts", is_flag=True, help="Make accounts that are missing, and print their passwords.")
@AS_JSON
@URL
@RETRY_FOR
def contest_import(
    file: Path, *, key: str | None, create_accounts: bool, as_json: bool, url: str | None, retry_for_s: float
) -> None:
    """Make a contest of FILE, which `deepoj contest export` has written, or of a contest package of another system: a
    folder or a zip of the ICPC's formats. It starts as FILE says if that is to come, else it has no start yet.

    For administrators. Its problems are made as drafts. If the import ends in the middle, what it had made is deleted.
    """
    with connected(url, retry_for_s) as server:
        done = import_contest(server, file, key, create_accounts=create_accounts, notice=errors.say)
    _print(done, as_json, "imported")


def _print(done: Mapping[str, Any], as_json: bool, what: str) -> None:
    if as_json:
        print_json(done)
        return
    click.echo(f"contest {shown(done['key'])} is {what}: {done['problems']} problems, {done['teams']} teams")
    if done.get("ignored"):
        click.echo(f"  not read: {', '.join(map(shown, done['ignored']))}")
    for account in done.get("created", ()):
        click.echo(f"  {shown(account['username'])}\t{shown(account['password'])}")
