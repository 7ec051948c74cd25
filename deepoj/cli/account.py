"""``deepoj account``: the data of one's own account on a server, its tokens for programs, and its erasure."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deepoj.cli.common import print_json
from deepoj.cli.connection import connected
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
    password = "" if username is not None else _read_password()
    with connected(url, RETRY_FOR_S) as server:
        pseudonym = server.erase_account(password=password, username=username or "")
        Keyring.of_user().forget(server.url)
    if as_json:
        print_json({"username": pseudonym})
    else:
        click.echo(f"Your account is erased. Its submissions stay under the name {shown(pseudonym)}.")


@account.group("tokens")
def tokens() -> None:
    """Tokens for programs: each has a name, and ends by itself."""


@tokens.command("list")
@_JSON
@_URL
def list_tokens(as_json: bool, url: str | None) -> None:
    """List the tokens that you made, newest first; not those of `deepoj login`."""
    with connected(url, RETRY_FOR_S) as server:
        found = server.access_tokens()
    if as_json:
        print_json({"tokens": found})
        return
    columns = ("id", "name", "created_at", "used_at", "expires_at")
    table = Table("id", "name", "made at", "last used", "expires", box=None, pad_edge=False)
    for one in found:
        table.add_row(*(Text(_cell(one.get(column))) for column in columns))
    if found:
        Console(highlight=False, width=None if sys.stdout.isatty() else 400).print(table)
    click.echo(f"{len(found)} tokens")


@tokens.command("make")
@click.argument("name")
@click.option("--no-password", is_flag=True, help="Your account has no password, because you log in with GitHub.")
@_JSON
@_URL
def make_token(name: str, no_password: bool, as_json: bool, url: str | None) -> None:
    """Make a token for a program; NAME says what it is for. The token alone is printed, and not shown again.

    A program uses it as DEEPOJ_TOKEN. The password is asked for without being shown, or read from the first line of
    stdin if that is not a terminal.
    """
    password = "" if no_password else _read_password()
    with connected(url, RETRY_FOR_S) as server:
        made = server.make_access_token(name, password)
    if as_json:
        print_json(made)
    else:
        click.echo(shown(made["token"]))


@tokens.command("end")
@click.argument("token_id", metavar="ID")
@_JSON
@_URL
def end_token(token_id: str, as_json: bool, url: str | None) -> None:
    """End the token ID (see `deepoj account tokens list`). The program that uses it is refused from then on."""
    with connected(url, RETRY_FOR_S) as server:
        ended = server.end_access_token(token_id)
    if as_json:
        print_json(ended)
    else:
        click.echo(f"The token {shown(token_id)} is ended.")


def _cell(value: object) -> str:
    return "never" if value is None else shown(str(value))


def _read_password() -> str:
    if sys.stdin.isatty():
        password = str(click.prompt("Password", hide_input=True, err=True))
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise click.UsageError("There is no password on stdin.")
    return password
