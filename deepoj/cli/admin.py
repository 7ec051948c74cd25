"""``deepoj admin``: what only somebody with the database's password may do."""

from __future__ import annotations

import sys
from collections.abc import Callable

import click
import trio

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.pg import PgStore
from deepoj.api.auth import Passwords, clean_username
from deepoj.cli.common import database_url, print_json, settings
from deepoj.words import AccountRefusal, Breakage, User

#: as the API has it
MIN_PASSWORD = 6


@click.group()
def admin() -> None:
    """Accounts, from the inside."""


@admin.command("create-user")
@click.argument("name")
@click.option("--password-stdin", is_flag=True, help="Read a new account's password from standard input.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line: {id, username, created}.")
def create_user(name: str, password_stdin: bool, as_json: bool) -> None:
    """Make NAME an administrator: a new account, or a promotion of the one that is there (its password stays)."""
    username = clean_username(name)
    if username is None:
        raise click.UsageError(f"{name!r} cannot be a username: 3 to 32 letters, digits, '_', '.' or '-'.")

    def ask() -> str:
        if password_stdin:
            return sys.stdin.readline().rstrip("\n")
        said: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return said

    user, created = trio.run(_go, database_url(settings()), username, ask)
    if as_json:
        print_json({"id": user.id, "username": user.username, "created": created})
    else:
        click.echo(f"{user.username} is {'a new' if created else 'now an'} administrator (id {user.id})")


async def _go(dsn: str, username: str, ask: Callable[[], str]) -> tuple[User, bool]:
    async with AioBridge.open() as bridge, PgStore.open(bridge, dsn, min_conns=0, max_conns=1) as store:
        promoted = await store.promote(username)
        if promoted is not None:
            return promoted, False
        password = ask()
        if len(password) < MIN_PASSWORD:
            raise click.UsageError(f"a password has at least {MIN_PASSWORD} characters.")
        made = await store.create_user(username, await Passwords().hash(password), None, is_admin=True)
        if isinstance(made, AccountRefusal):
            raise Breakage(f"{username} was registered by somebody else just now: run this again to promote it")
        return made, True
