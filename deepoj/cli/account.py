"""``deepoj account``: the data of one's own account on a server, and its erasure."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from deepoj.cli.client import connected
from deepoj.cli.common import print_json
from deepoj.client.keys import Keyring
from deepoj.client.server import RETRY_FOR_S
from deepoj.client.shown import shown

_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON line.")
_URL = click.option("--url", help="The server (default: DEEPOJ_URL, else that of the last login, else this machine).")


@click.group()
def account() -> None:
    """Your own account on a server. Log in first (`deepoj login`)."""


@account.command("export")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE")
@_JSON
@_URL
def export(file: Path, as_json: bool, url: str | None) -> None:
    """Download all data of your account to FILE, as JSON: profile, sessions, submissions with sources and verdicts."""
    part = file.with_name(f"{file.name}.part")
    with connected(url, RETRY_FOR_S) as server:
        try:
            with part.open("wb") as target:
                size = server.download("/api/v1/users/me/export", target.write)
            part.replace(file)
        except OSError as error:
            raise click.ClickException(f"{file} cannot be written: {error.strerror}") from error
        finally:
            part.unlink(missing_ok=True)
    if as_json:
        print_json({"file": str(file), "bytes": size})
    else:
        click.echo(f"{file}: {size} bytes")


@account.command("erase")
@click.option("--username", help="Your username, to confirm: only for an account without a password.")
@_JSON
@_URL
def erase(username: str | None, as_json: bool, url: str | None) -> None:
    """Erase your account. This cannot be undone; export it first.

    Verdicts of your submissions stay under a pseudonym; their sources are deleted. The password is asked for without
    being shown, or read from the first line of stdin if that is not a terminal.
    """
    password = ""
    if username is None:
        if sys.stdin.isatty():
            password = str(click.prompt("Password", hide_input=True, err=True))
        else:
            password = sys.stdin.readline().rstrip("\r\n")
        if not password:
            raise click.UsageError("There is no password on stdin.")
    with connected(url, RETRY_FOR_S) as server:
        pseudonym = server.erase_account(password=password, username=username or "")
        Keyring.of_user().forget(server.url)
    if as_json:
        print_json({"username": pseudonym})
    else:
        click.echo(f"Your account is erased. Its submissions stay under the name {shown(pseudonym)}.")
