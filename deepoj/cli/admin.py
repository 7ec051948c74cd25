"""``deepoj admin``: management of accounts, for operators with access to the database."""

from __future__ import annotations

import sys
from collections.abc import Collection

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deepoj.accounts.names import USERNAME_RULE, clean_prefix, clean_username
from deepoj.accounts.passwords import MAX_BYTES, MIN_CHARS, Passwords, is_password
from deepoj.adapters.pg import PgStore
from deepoj.cli.common import operator, print_json, with_store
from deepoj.cli.groups import groups
from deepoj.ports.accounts import Accounts
from deepoj.words.accounts import Account, AccountRefusal, RightsRefusal, User, UserRole
from deepoj.words.errors import Breakage
from deepoj.words.exits import CheckFailed

_PASSWORD_STDIN = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input instead of asking for it."
)


@click.group()
def admin() -> None:
    """Manage accounts and groups. Needs the database, not a running node."""


admin.add_command(groups)


@admin.command("create-user")
@click.argument("name")
@click.option("--password-stdin", is_flag=True, help="Read a new account's password from standard input.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line: {id, username, created}.")
def create_user(name: str, password_stdin: bool, as_json: bool) -> None:
    """Make NAME an administrator: create the account, or promote the existing one, which keeps its password."""
    username = _username(name)

    async def work(store: PgStore) -> tuple[User, bool]:
        promoted = await store.accounts.promote(username, by=operator("admin"))
        if promoted is not None:
            return promoted, False
        password_hash = await Passwords().hash(_password(password_stdin))
        new_user = await store.accounts.create_user(username, password_hash, None, is_admin=True, by=operator("admin"))
        if isinstance(new_user, AccountRefusal):
            raise Breakage(f"{username} was just registered by another user: run this again to promote it")
        return new_user, True

    user, created = with_store(work)
    if as_json:
        print_json({"id": user.id, "username": user.username, "created": created})
    else:
        click.echo(f"{user.username} is {'a new' if created else 'now an'} administrator (id {user.id})")


@admin.command("list-users")
@click.option("--name", "prefix", default="", help="Only names that begin with this text, in any case.")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Maximum number of accounts."
)
@click.option("--after", default="", help="Continue after this name: `next` of the previous page.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line: {users: […], next}.")
def list_users(prefix: str, limit: int, after: str, as_json: bool) -> None:
    """List accounts by name."""
    accounts = with_store(lambda store: store.accounts.accounts(limit + 1, after=after, prefix=clean_prefix(prefix)))
    page = accounts[:limit]
    next_after = page[-1].user.username if len(accounts) > limit else None
    if as_json:
        print_json({"users": [account.flat() for account in page], "next": next_after})
        return
    table = Table("id", "name", "e-mail", "rights", "from", "made at", box=None, pad_edge=False)
    for account in page:
        table.add_row(
            str(account.user.id), Text(account.user.username), Text(account.user.email or ""), _rights(account),
            "here" if account.github_id is None else "GitHub", account.created_at.replace("T", " ")[:19],
        )  # fmt: skip
    if page:
        Console(highlight=False, width=None if sys.stdout.isatty() else 400).print(table)
    click.echo(f"{len(page)} accounts" + ("" if next_after is None else f", and more: --after {next_after}"))


_ACCOUNT_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON line: the changed account.")


@admin.command("disable-user")
@click.argument("name")
@_ACCOUNT_JSON
def disable_user(name: str, as_json: bool) -> None:
    """Disable an account: its tokens are revoked at once, and logins are refused."""
    _change(name, as_json, "disabled", is_disabled=True)


@admin.command("enable-user")
@click.argument("name")
@_ACCOUNT_JSON
def enable_user(name: str, as_json: bool) -> None:
    """Enable an account again; its earlier tokens stay revoked."""
    _change(name, as_json, "enabled", is_disabled=False)


@admin.command("demote-user")
@click.argument("name")
@_ACCOUNT_JSON
def demote_user(name: str, as_json: bool) -> None:
    """Make an administrator an ordinary account."""
    _change(name, as_json, "no administrator", is_admin=False)


@admin.command("set-roles")
@click.argument("name")
@click.argument("roles", nargs=-1, type=click.Choice([role.value for role in UserRole]))
@_ACCOUNT_JSON
def set_roles(name: str, roles: tuple[str, ...], as_json: bool) -> None:
    """Give an account these roles, and take all others; without roles, take all."""
    state = f"{', '.join(sorted(set(roles)))} now" if roles else "without a role now"
    _change(name, as_json, state, roles=[UserRole(role) for role in roles])


@admin.command("erase-user")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line: {id, username}, the pseudonym.")
def erase_user(name: str, yes: bool, as_json: bool) -> None:
    """Erase an account. This cannot be undone.

    Verdicts of its submissions stay under a pseudonym; a node with the role gc deletes their sources.
    """
    if not yes:
        click.confirm(f"Erase the account {name} for good?", abort=True, err=True)

    async def work(store: PgStore) -> tuple[int, str | RightsRefusal]:
        user_id = await _id_of(store.accounts, name)
        return user_id, await store.account_data.erase(user_id, by=None, operator=operator("admin"))

    user_id, pseudonym = with_store(work)
    if pseudonym is RightsRefusal.LAST_ADMINISTRATOR:
        raise CheckFailed(f"{name} is the last administrator: appoint another one first (deepoj admin create-user)")
    if isinstance(pseudonym, RightsRefusal):
        raise _unknown(name)
    if as_json:
        print_json({"id": user_id, "username": pseudonym})
    else:
        click.echo(f"{name} is erased; its submissions stay under the name {pseudonym}")


@admin.command("set-password")
@click.argument("name")
@_PASSWORD_STDIN
@_ACCOUNT_JSON
def set_password(name: str, password_stdin: bool, as_json: bool) -> None:
    """Set a temporary password; all tokens of the account are revoked."""

    async def work(store: PgStore) -> Account:
        user_id = await _id_of(store.accounts, name)
        password_hash = await Passwords().hash(_password(password_stdin))
        await store.accounts.set_password(user_id, password_hash, temporary=True, by=operator("admin"))
        account = await store.accounts.account(user_id)
        if account is None:
            raise _unknown(name)
        return account

    _print_change(with_store(work), as_json, "given a new password")


def _change(
    name: str,
    as_json: bool,
    state: str,
    *,
    is_admin: bool | None = None,
    is_disabled: bool | None = None,
    roles: Collection[UserRole] | None = None,
) -> None:
    async def work(store: PgStore) -> Account | RightsRefusal:
        user_id = await _id_of(store.accounts, name)
        return await store.accounts.change_rights(
            user_id, is_admin=is_admin, is_disabled=is_disabled, roles=roles, by=None, operator=operator("admin")
        )

    answer = with_store(work)
    if answer is RightsRefusal.LAST_ADMINISTRATOR:
        raise CheckFailed(f"{name} is the last administrator: appoint another one first (deepoj admin create-user)")
    if isinstance(answer, RightsRefusal):
        raise _unknown(name)
    _print_change(answer, as_json, state)


def _print_change(account: Account, as_json: bool, state: str) -> None:
    if as_json:
        print_json(account.flat())
    else:
        click.echo(f"{account.user.username} is {state} (id {account.user.id})")


def _rights(account: Account) -> str:
    words = ["administrator"] * account.user.is_admin + sorted(account.user.roles)
    words += ["disabled"] * account.is_disabled
    return ", ".join(words)


def _username(name: str) -> str:
    username = clean_username(name)
    if username is None:
        raise click.UsageError(f"{name!r} cannot be a username: {USERNAME_RULE}.")
    return username


def _password(from_stdin: bool) -> str:
    if from_stdin:
        password = sys.stdin.readline().rstrip("\n")
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    if not is_password(password):
        raise click.UsageError(
            f"a password has at least {MIN_CHARS} characters and at most {MAX_BYTES} bytes in UTF-8."
        )
    return password


async def _id_of(accounts: Accounts, name: str) -> int:
    account = await accounts.credentials(_username(name))
    if account is None:
        raise _unknown(name)
    return account.user.id


def _unknown(name: str) -> CheckFailed:
    return CheckFailed(f"there is no account {name}: see `deepoj admin list-users`")
