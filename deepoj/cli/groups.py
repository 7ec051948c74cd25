"""``deepoj admin groups``: groups of people, for operators with access to the database."""

from __future__ import annotations

import dataclasses
import sys

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deepoj.accounts.names import clean_group_name, clean_username
from deepoj.adapters.pg import PgStore
from deepoj.cli.common import operator, print_json, with_store
from deepoj.words.exits import CheckFailed
from deepoj.words.groups import GroupRefusal, UserGroup

_GROUP_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON line: the group.")


@click.group()
def groups() -> None:
    """Manage groups of people: classes, courses, teams."""


@groups.command("list")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Maximum number of groups.")
@click.option("--after", default="", help="Continue after this name: `next` of the previous page.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line: {groups: […], next}.")
def list_groups(limit: int, after: str, as_json: bool) -> None:
    """List groups by name."""
    found = with_store(lambda store: store.groups.groups(limit + 1, after=after))
    page = found[:limit]
    next_after = page[-1].name if len(found) > limit else None
    if as_json:
        print_json({"groups": [dataclasses.asdict(group) for group in page], "next": next_after})
        return
    table = Table("id", "name", "members", "made at", box=None, pad_edge=False)
    for group in page:
        table.add_row(
            str(group.id), Text(group.name), str(group.members), group.created_at.replace("T", " ")[:19]
        )  # fmt: skip
    if page:
        Console(highlight=False, width=None if sys.stdout.isatty() else 400).print(table)
    click.echo(f"{len(page)} groups" + ("" if next_after is None else f", and more: --after {next_after}"))


@groups.command("create")
@click.argument("name")
@_GROUP_JSON
def create_group(name: str, as_json: bool) -> None:
    """Make a group without members."""
    stored = _group_name(name)
    made = with_store(lambda store: store.groups.create_group(stored, by=operator("admin")))
    _print_group(made, name, as_json, "made")


@groups.command("rename")
@click.argument("name")
@click.argument("new_name")
@_GROUP_JSON
def rename_group(name: str, new_name: str, as_json: bool) -> None:
    """Give the group NAME another name."""
    stored = _group_name(new_name)

    async def work(store: PgStore) -> UserGroup | GroupRefusal:
        return await store.groups.rename_group((await _found(store, name)).id, stored, by=operator("admin"))

    _print_group(with_store(work), new_name, as_json, "renamed")


@groups.command("remove")
@click.argument("name")
@_GROUP_JSON
def remove_group(name: str, as_json: bool) -> None:
    """Remove a group; its members keep their accounts."""

    async def work(store: PgStore) -> UserGroup:
        group = await _found(store, name)
        await store.groups.remove_group(group.id, by=operator("admin"))
        return group

    _print_group(with_store(work), name, as_json, "removed")


@groups.command("add")
@click.argument("name")
@click.argument("usernames", nargs=-1, required=True)
@_GROUP_JSON
def add_members(name: str, usernames: tuple[str, ...], as_json: bool) -> None:
    """Put people into the group NAME, all of them or none."""
    cleaned = {raw: clean_username(raw) for raw in usernames}

    async def work(store: PgStore) -> UserGroup:
        group = await _found(store, name)
        unknown = {raw for raw, username in cleaned.items() if username is None}
        if not unknown:
            usable = [username for username in cleaned.values() if username is not None]
            added = await store.groups.add_members(group.id, usable, by=operator("admin"))
            unknown = {name} if isinstance(added, GroupRefusal) else set(added)
        if unknown:
            raise CheckFailed(f"there is no account {', '.join(sorted(unknown))}: nothing was changed")
        return await _found(store, name)

    _print_group(with_store(work), name, as_json, "changed")


@groups.command("take-out")
@click.argument("name")
@click.argument("username")
@_GROUP_JSON
def take_out(name: str, username: str, as_json: bool) -> None:
    """Take the person USERNAME out of the group NAME."""

    async def work(store: PgStore) -> UserGroup:
        group, account = await _found(store, name), await store.accounts.credentials(username)
        if account is None or not await store.groups.remove_member(group.id, account.user.id, by=operator("admin")):
            raise CheckFailed(f"{username} is not in the group {group.name}")
        return await _found(store, name)

    _print_group(with_store(work), name, as_json, "changed")


async def _found(store: PgStore, name: str) -> UserGroup:
    group = await store.groups.group_named(_group_name(name))
    if group is None:
        raise _unknown(name)
    return group


def _unknown(name: str) -> CheckFailed:
    return CheckFailed(f"there is no group {name}: see `deepoj admin groups list`")


def _group_name(name: str) -> str:
    stored = clean_group_name(name)
    if stored is None:
        raise click.UsageError(f"{name!r} cannot be the name of a group: 1 to 64 printable characters.")
    return stored


def _print_group(group: UserGroup | GroupRefusal, name: str, as_json: bool, state: str) -> None:
    match group:
        case GroupRefusal.NAME_TAKEN:
            raise CheckFailed(f"another group is called {name}: choose another name")
        case GroupRefusal.UNKNOWN_GROUP:
            raise _unknown(name)
        case UserGroup():
            if as_json:
                print_json(dataclasses.asdict(group))
            else:
                click.echo(f"the group {group.name} is {state} (id {group.id}, {group.members} members)")
