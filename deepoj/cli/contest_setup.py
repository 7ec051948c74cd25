"""The commands ``deepoj contest copy``, ``team``, ``credentials``, ``practice`` and
``statement``."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from deepoj.cli.client_view import rows
from deepoj.cli.common import print_json
from deepoj.cli.connection import AS_JSON, RETRY_FOR, URL, connected
from deepoj.client.contests.requests import path_of, statement_body, statement_path
from deepoj.client.shown import shown
from deepoj.words.names import no_formula

_HEADS = ("team_id", "team", "username", "password")


@click.command("copy")
@click.argument("key")
@click.argument("new_key", metavar="NEWKEY")
@click.option("--name", default="", help="Its name; default: the same.")
@click.option("--start", "start_at", metavar="TIME", help="When it starts, as 2026-01-31T09:00:00+08:00.")
@click.option("--teams", is_flag=True, help="With the same teams and accounts.")
@AS_JSON
@URL
@RETRY_FOR
def contest_copy(
    key: str,
    new_key: str,
    *,
    name: str,
    start_at: str | None,
    teams: bool,
    as_json: bool,
    url: str | None,
    retry_for_s: float,
) -> None:
    """Make the contest NEWKEY with the rules and problems of the contest KEY, for another group."""
    sent = {"key": new_key, "name": name, "start_at": start_at, "teams": teams}
    with connected(url, retry_for_s) as server:
        made = server.ask("POST", path_of(key, "/copy"), body=sent, repeatable=False)
    if as_json:
        print_json(made)
    else:
        click.echo(f"contest {shown(made['key'])} has {len(made['problems'])} problems")


@click.command("team")
@click.argument("key")
@click.argument("team_id", metavar="ID")
@click.option("--hide/--show", "hidden", default=None, help="Whether boards leave it out.")
@click.option(
    "--network",
    "networks",
    multiple=True,
    metavar="CIDR",
    help="While the contest runs, it is used from here only; repeatable.",
)
@click.option("--anywhere", is_flag=True, help="It logs in from anywhere.")
@click.option("--remove", is_flag=True, help="Remove the team, which has no submissions; its accounts stay.")
@AS_JSON
@URL
@RETRY_FOR
def contest_team(
    key: str,
    team_id: str,
    *,
    hidden: bool | None,
    networks: tuple[str, ...],
    anywhere: bool,
    remove: bool,
    as_json: bool,
    url: str | None,
    retry_for_s: float,
) -> None:
    """Set up the team ID of the contest KEY, or remove it.

    Networks hold for logins until the contest is over. Sessions that exist are ended by new passwords
    (deepoj contest credentials).
    """
    changes: dict[str, Any] = {} if hidden is None else {"hidden": hidden}
    if networks or anywhere:
        changes["networks"] = list(networks)
    if remove == bool(changes) or (networks and anywhere):
        raise click.UsageError("Give what shall change, or --remove.")
    path = path_of(key, f"/teams/{quote(team_id, safe='')}")
    with connected(url, retry_for_s) as server:
        done = server.ask("DELETE", path, repeatable=False) if remove else server.ask("PATCH", path, body=changes)
    if as_json:
        print_json(done)
    elif remove:
        click.echo(f"team {shown(team_id)} is removed")
    else:
        where = ", ".join(done["networks"]) or "anywhere"
        click.echo(f"team {shown(team_id)}: {'hidden' if done['hidden'] else 'shown'}, logs in from {where}")


@click.command("credentials")
@click.argument("key")
@click.option("--team", "teams", multiple=True, metavar="ID", help="Only this team; repeatable.")
@click.option("--csv", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write them to this file.")
@click.option("--apply", "applied", metavar="SET", help="Let this set hold: old passwords and sessions end.")
@click.option("--drop", "dropped", metavar="SET", help="Throw this set away.")
@click.option("--pending", is_flag=True, help="List the sets of the last day.")
@AS_JSON
@URL
@RETRY_FOR
def contest_credentials(
    key: str,
    *,
    teams: tuple[str, ...],
    file: Path | None,
    applied: str | None,
    dropped: str | None,
    pending: bool,
    as_json: bool,
    url: str | None,
    retry_for_s: float,
) -> None:
    """Make new passwords for the accounts of the teams of the contest KEY, and print them: nothing keeps them.

    For administrators. The old passwords hold until you have the new ones and apply their set (--apply), which is kept
    for a day. Accounts with a right are left out.
    """
    makes = bool(teams) or file is not None
    if sum((makes, applied is not None, dropped is not None, pending)) > 1:
        raise click.UsageError("Make passwords, or give one of --apply, --drop and --pending.")
    path = path_of(key, "/credentials")
    with connected(url, retry_for_s) as server:
        if applied is not None:
            done = server.ask("POST", f"{path}/{quote(applied, safe='')}/apply")
        elif dropped is not None:
            done = server.ask("DELETE", f"{path}/{quote(dropped, safe='')}", repeatable=False)
        elif pending:
            done = server.ask("GET", path)
        else:
            done = server.ask("POST", path, body={"teams": list(teams) or None}, repeatable=False)
    if file is not None:
        _write(file, done["credentials"])
    if as_json:
        print_json(done)
    elif applied is not None:
        click.echo(f"{len(done['usernames'])} accounts have their new passwords")
    elif dropped is not None:
        click.echo("thrown away: the old passwords hold")
    elif pending:
        sets = [{**one, "accounts": len(one["usernames"])} for one in done["sets"]]
        rows(sets, set_id="set", made_at="made", made_by="by", accounts="accounts", applied_at="holds since")
    else:
        _show_made(key, file, done)


@click.command("practice")
@click.argument("key")
@AS_JSON
@URL
@RETRY_FOR
def contest_practice(key: str, as_json: bool, url: str | None, retry_for_s: float) -> None:
    """Open the problems of the contest KEY for practice: its drafts are listed for everybody.

    The contest must be over, and its board thawed. What another contest has that is not over stays a draft.
    Submissions of practice are on no board.
    """
    with connected(url, retry_for_s) as server:
        done = server.ask("POST", path_of(key, "/practice"))
    if as_json:
        print_json(done)
    else:
        click.echo(f"listed now: {', '.join(done['opened']) or 'no draft was left'}")
        for one in done["held"]:
            label, other = shown(one["label"]), shown(one["contest"])
            click.echo(f"{label} stays a draft: the contest {other} has it and is not over")


@click.command("statement")
@click.argument("key")
@click.argument("label")
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--lang", "language", default="en", show_default=True, help="Language of the statement.")
@click.option("--restore", is_flag=True, help="Go back to the problem's own statement.")
@AS_JSON
@URL
@RETRY_FOR
def contest_statement(
    key: str,
    label: str,
    *,
    file: Path | None,
    language: str,
    restore: bool,
    as_json: bool,
    url: str | None,
    retry_for_s: float,
) -> None:
    """Print the statement that the problem LABEL has in the contest KEY, or give it one of its own: FILE.

    For administrators and the jury. FILE is Markdown, or TeX or PDF by its name's end. The problem itself and other
    contests keep theirs.
    """
    if restore and file is not None:
        raise click.UsageError("Give a file or --restore.")
    path = statement_path(key, label, language)
    with connected(url, retry_for_s) as server:
        done = server.ask("GET", f"{path}/source")
        if restore:
            done = server.ask("DELETE", f"{path}?revision={quote(done['revision'], safe='')}")
        elif file is not None:
            body = statement_body(file.suffix, file.read_bytes(), str(file))
            done = server.ask("PUT", path, body={**body, "revision": done["revision"]})
    if as_json:
        print_json(done)
    elif restore:
        click.echo(f"problem {shown(label)} has its own statement again")
    elif file is None:
        click.echo(done["source"] if done["pdf"] is None else "The statement is a PDF.", nl=done["pdf"] is not None)
    else:
        click.echo("Saved. A judge node is to render it." if done["pending"] else f"Saved: {shown(done['title'])}")
        for note in done["notes"]:
            click.echo(f"  {shown(note)}")


#: the commands, for the group
SETUP_COMMANDS = (contest_copy, contest_team, contest_credentials, contest_practice, contest_statement)


def _show_made(key: str, file: Path | None, done: dict[str, Any]) -> None:
    """Print new passwords, unless they are in a file, and how they are applied."""
    if file is None:
        rows(done["credentials"], **{head: head for head in _HEADS})
    else:
        click.echo(f"{len(done['credentials'])} passwords are in {file}")
    if done["set_id"]:
        click.echo(f"The old ones hold until: deepoj contest credentials {shown(key)} --apply {done['set_id']}")


def _write(file: Path, made: list[dict[str, str]]) -> None:
    """Write passwords to a file that its owner alone can read."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(_HEADS)
        for one in made:
            writer.writerow([no_formula(one[head]) for head in _HEADS])
