"""``deepoj contest``: the commands that run contests of a server, over its API."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click
import httpx

from deepoj.cli.client_view import rows
from deepoj.cli.common import print_json
from deepoj.cli.connection import AS_JSON, RETRY_FOR, URL, connected
from deepoj.cli.contest_view import cell_text, clock_text, show_contest, state_word
from deepoj.client import ServerRefused
from deepoj.client.contests.requests import path_of
from deepoj.client.shown import shown
from deepoj.contests.board import points_text
from deepoj.contests.clock import parse_reltime
from deepoj.contests.team_files import TEAM_LISTS
from deepoj.words.contests import ContestFeedback, ContestKind, ContestRegistration

#: the value of an option that empties a field
_NONE = "none"
_STRUCTURED = (".json", ".yaml", ".yml")


class Reltime(click.ParamType[Any]):
    """A duration such as 5:00:00, in milliseconds; ``none`` is None."""

    name = "H:MM:SS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == _NONE or isinstance(value, int):
            return value
        try:
            return parse_reltime(value)
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


class _Keys(click.ParamType[Any]):
    """Keys with commas; ``all`` is none of them."""

    name = "KEYS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return [] if value == "all" else [key.strip() for key in str(value).split(",") if key.strip()]


#: type of an option that is a contest time or a length
RELTIME = Reltime()
_TIME = "RFC 3339 with a time zone, such as 2026-01-31T09:00:00+08:00; none: not decided"
_RULES = (
    click.option("--formal-name", help="Its full name."),
    click.option("--public/--private", "is_public", default=None, help="Who sees it: everybody, or its teams alone."),
    click.option("--start", "start_at", metavar="TIME", help=f"When it starts: {_TIME}."),
    click.option("--freeze", "freeze_ms", type=RELTIME, help="How long before the end the board freezes, or none."),
    click.option("--penalty", "penalty_ms", type=RELTIME, help="For a rejected attempt; 0:20:00 unless said."),
    click.option(
        "--compile-errors-free/--compile-errors-cost",
        "is_compile_error_free",
        default=None,
        help="Whether a compile error costs no penalty.",
    ),
    click.option(
        "--feedback",
        type=click.Choice([one.value for one in ContestFeedback]),
        help="When teams see their verdicts: full, at once; hidden, afterwards.",
    ),
    click.option(
        "--verifying/--not-verifying",
        "is_verifying",
        default=None,
        help="Whether a verdict is seen only when the jury has verified it.",
    ),
    click.option(
        "--custom-runs/--no-custom-runs",
        "allows_custom_runs",
        default=None,
        help="Whether teams may run programs on inputs of their own while it runs.",
    ),
    click.option("--late", "late_ms", type=RELTIME, help="Homework: how long after the end submissions are taken."),
    click.option(
        "--late-step",
        "late_step_ms",
        type=RELTIME,
        help="Homework: for each such time that has begun, late submissions lose --late-percent.",
    ),
    click.option("--late-percent", type=click.IntRange(0, 100), help="Homework: percent of the points that are lost."),
    click.option(
        "--registration",
        type=click.Choice([one.value for one in ContestRegistration]),
        help="Who makes teams: closed, those who run the contest; open, everybody makes a team of one.",
    ),
    click.option(
        "--languages",
        type=_Keys(),
        metavar="KEY,KEY,…",
        help="The languages that are taken, among those of each problem; all: no restriction.",
    ),
    click.option("--thaw", "thaw_at", metavar="TIME", help=f"When the board shows all verdicts: {_TIME}."),
)


def _with_rules(command: Any) -> Any:
    for option in reversed(_RULES):
        command = option(command)
    return command


def _fields(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a request from the options that are given."""
    given = {name: value for name, value in options.items() if value is not None}
    return {name: None if value == _NONE else value for name, value in given.items()}


@click.command("list")
@AS_JSON
@URL
@RETRY_FOR
def contest_list(as_json: bool, url: str | None, retry_for_s: float) -> None:
    """List the contests that you see, newest first."""
    with connected(url, retry_for_s) as server:
        found = server.ask("GET", "/api/v1/contests")
    if as_json:
        print_json(found)
        return
    listed = [{**one, "length": clock_text(one["duration_ms"]), "state": state_word(one)} for one in found["contests"]]
    rows(listed, key="key", name="name", start_at="start", length="length", state="state")


@click.command("create")
@click.argument("key")
@click.option("--name", required=True, help="Its name.")
@click.option("--duration", "duration_ms", type=RELTIME, required=True, help="Its length, such as 5:00:00.")
@click.option(
    "--kind",
    type=click.Choice([one.value for one in ContestKind]),
    default=ContestKind.ICPC.value,
    show_default=True,
    help="What counts: problems and penalty; points by subtask (ioi); points, less if late (homework).",
)
@_with_rules
@AS_JSON
@URL
@RETRY_FOR
def contest_create(key: str, *, as_json: bool, url: str | None, retry_for_s: float, **options: Any) -> None:
    """Make the contest KEY; problems and teams are added afterwards. It starts and ends by itself."""
    with connected(url, retry_for_s) as server:
        made = server.ask("POST", "/api/v1/contests", body={"key": key, **_fields(options)}, repeatable=False)
    show_contest(made, as_json)


@click.command("show")
@click.argument("key")
@AS_JSON
@URL
@RETRY_FOR
def contest_show(key: str, as_json: bool, url: str | None, retry_for_s: float) -> None:
    """Show the contest KEY: its times, its state, its problems, and for the jury how long submissions wait."""
    with connected(url, retry_for_s) as server:
        found = server.ask("GET", path_of(key))
        try:
            waits = server.ask("GET", path_of(key, "/waits"))
        except ServerRefused as refused:
            if refused.status not in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
                raise
            waits = None
    show_contest({**found, "waits": waits}, as_json)


@click.command("set")
@click.argument("key")
@click.option("--name", help="Its name.")
@click.option("--duration", "duration_ms", type=RELTIME, help="Its length, such as 5:00:00.")
@_with_rules
@AS_JSON
@URL
@RETRY_FOR
def contest_set(key: str, *, as_json: bool, url: str | None, retry_for_s: float, **options: Any) -> None:
    """Change the contest KEY: names, start, length, freeze, penalty, thaw. What no option names stays as it is."""
    changes = _fields(options)
    if not changes:
        raise click.UsageError("There is nothing to change: give an option.")
    with connected(url, retry_for_s) as server:
        show_contest(server.ask("PATCH", path_of(key), body=changes), as_json)


@click.command("delete")
@click.argument("key")
@click.option("--force", is_flag=True, help="Also if it has started: its ledger and boards are lost.")
@AS_JSON
@URL
@RETRY_FOR
def contest_delete(key: str, force: bool, as_json: bool, url: str | None, retry_for_s: float) -> None:
    """Delete the contest KEY; its submissions stay."""
    with connected(url, retry_for_s) as server:
        gone = server.ask("DELETE", path_of(key, "?force=true" if force else ""), repeatable=False)
    if as_json:
        print_json(gone)
    else:
        click.echo(f"the contest {shown(key)} is deleted")


@click.command("problem")
@click.argument("key")
@click.argument("label")
@click.argument("problem_id", required=False, type=click.IntRange(min=1), metavar="[ID]")
@click.option("--ordinal", type=click.IntRange(min=1), help="Its place, from 1; a new problem is the last.")
@click.option("--name", help="Name in the contest, instead of the problem's title.")
@click.option("--rgb", metavar="#RRGGBB", help="The color of its balloons.")
@click.option("--color", help="The name of this color.")
@click.option(
    "--time-limit", "time_limit_ms", type=click.IntRange(min=0), help="In ms, instead of the problem's; 0: its own."
)
@click.option(
    "--memory-limit", "memory_limit_mb", type=click.IntRange(min=0), help="In MB, instead of the problem's; 0: its own."
)
@click.option("--max-score", type=float, help="ioi, homework: the most points that it gives; 100 unless said.")
@click.option("--remove", is_flag=True, help="Take the problem out of the contest.")
@AS_JSON
@URL
@RETRY_FOR
def contest_problem(
    key: str,
    label: str,
    problem_id: int | None,
    *,
    remove: bool,
    as_json: bool,
    url: str | None,
    retry_for_s: float,
    **fields: Any,
) -> None:
    """Give LABEL (A, B, …) of the contest KEY the problem ID, change what the options name, or take it out.

    What no option names stays as it is, and a problem that is there needs no ID.
    """
    sent = {name: value for name, value in {"problem_id": problem_id, **fields}.items() if value is not None}
    if remove == bool(sent):
        raise click.UsageError("Give the ID of a problem, an option that changes it, or --remove.")
    sent |= {name: None for name in ("time_limit_ms", "memory_limit_mb") if sent.get(name) == 0}
    path = path_of(key, f"/problems/{quote(label, safe='')}")
    with connected(url, retry_for_s) as server:
        changed = server.ask("DELETE", path) if remove else server.ask("PUT", path, body=sent)
    show_contest(changed, as_json)


@click.command("teams")
@click.argument("key")
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--format", "list_format", type=click.Choice(["csv", *TEAM_LISTS]), help="What FILE is; default: told by itself."
)
@click.option("--members", metavar="GROUP", help="Import each member of a group of accounts as a team of its own.")
@click.option("--create-accounts", is_flag=True, help="Make accounts that are missing, and print their passwords.")
@AS_JSON
@URL
@RETRY_FOR
def contest_teams(
    key: str,
    file: Path | None,
    *,
    list_format: str | None,
    members: str | None,
    create_accounts: bool,
    as_json: bool,
    url: str | None,
    retry_for_s: float,
) -> None:
    """List the teams of the contest KEY, or import FILE or the members of a group.

    FILE is CSV or TSV (id, name, organization, groups, hidden, accounts), a table of the ICPC (groups.tsv,
    institutions.tsv, teams.tsv or teams2.tsv, accounts.tsv), or a file of the Contest API, JSON or YAML: groups,
    organizations, teams, accounts. Import them in this order: a team names its group. If a line is wrong, nothing is
    imported. What is not taken of it is named.
    """
    if members is not None and file is not None:
        raise click.UsageError("Give FILE or --members.")
    with connected(url, retry_for_s) as server:
        if file is None and members is None:
            found = server.ask("GET", path_of(key, "/teams"))
        elif file is None:
            found = server.ask("POST", path_of(key, "/teams"), body={"format": "members", "text": members})
        else:
            body = {
                "format": list_format or _format_of(file),
                "text": _text_of(file),
                "create_accounts": create_accounts,
            }
            found = server.ask("POST", path_of(key, "/teams"), body=body, repeatable=not create_accounts)
    if as_json:
        print_json(found)
    elif file is None and members is None:
        listed = [{**one, "accounts": ", ".join(one["accounts"])} for one in found["teams"]]
        rows(listed, id="id", name="team", organization="organization", accounts="accounts")
    else:
        counts = ("teams", "groups", "organizations")
        click.echo(f"{', '.join(f'{found[one]} {one}' for one in counts)}, {found['accounts']} accounts of teams")
        for note in found["notes"]:
            click.echo(f"  not taken: {shown(note)}")
        for account in found["created"]:
            click.echo(f"  {shown(account['username'])}\t{shown(account['password'])}")


@click.command("clarify")
@click.argument("key")
@click.argument("text", required=False)
@click.option("--problem", metavar="LABEL", help="The problem that it is about.")
@click.option("--category", default="", help="Its category, any word.")
@click.option("--reply-to", metavar="ID", help="The clarification that it answers.")
@click.option("--team", "to_teams", multiple=True, metavar="ID", help="A team that it is for; repeatable.")
@click.option("--to-all", is_flag=True, help="Send an answer to all, with its question.")
@AS_JSON
@URL
@RETRY_FOR
def contest_clarify(
    key: str,
    text: str | None,
    *,
    problem: str | None,
    category: str,
    reply_to: str | None,
    to_teams: tuple[str, ...],
    to_all: bool,
    as_json: bool,
    url: str | None,
    retry_for_s: float,
) -> None:
    """List the clarifications of the contest KEY; with TEXT ask, answer or announce.

    A member of a team asks those who run the contest. These answer (--reply-to), or announce to all.
    """
    with connected(url, retry_for_s) as server:
        if text is None:
            found = server.ask("GET", path_of(key, "/clarifications"))
        else:
            sent = {"text": text, "problem": problem, "category": category, "reply_to": reply_to,
                    "to_teams": list(to_teams) or None, "to_all": to_all}  # fmt: skip
            found = server.ask("POST", path_of(key, "/clarifications"), body=sent, repeatable=False)
    if as_json:
        print_json(found)
    elif text is None:
        rows(found["clarifications"], id="id", from_team_id="from", reply_to="answers", problem="problem", text="text")
    else:
        click.echo(f"clarification {shown(found['id'])} is sent")


@click.command("scoreboard")
@click.argument("key")
@click.option("--csv", "as_csv", is_flag=True, help="As CSV.")
@click.option("--html", "html_file", type=click.Path(dir_okay=False, path_type=Path), help="Write it as one HTML file.")
@AS_JSON
@URL
@RETRY_FOR
def contest_scoreboard(
    key: str, *, as_csv: bool, html_file: Path | None, as_json: bool, url: str | None, retry_for_s: float
) -> None:
    """Print the scoreboard of the contest KEY as you see it: those who run it see through the freeze."""
    with connected(url, retry_for_s) as server:
        if as_csv:
            server.download(path_of(key, "/scoreboard.csv"), sys.stdout.buffer.write)
            return
        if html_file is not None:
            with html_file.open("wb") as file:
                server.download(path_of(key, "/scoreboard.html"), file.write)
            return
        board = server.ask("GET", path_of(key, "/scoreboard"))
    if as_json:
        print_json(board)
        return
    labels = [problem["label"] for problem in board["problems"]]
    listed = [{**row, **{cell["problem"]: cell_text(cell) for cell in row["cells"]}} for row in board["rows"]]
    is_scored = any("points" in row for row in board["rows"])
    totals = {"points": "points"} if is_scored else {"solved": "solved", "penalty": "penalty"}
    for row in listed if is_scored else ():
        row["points"] = points_text(row["points"])
    rows(listed, rank="rank", name="team", **totals, **{label: label for label in labels})
    if board["is_frozen"]:
        click.echo("The board is frozen: later verdicts are not shown.")


@click.command("finalize")
@click.argument("key")
@click.option("--gold", type=click.IntRange(0, 1000), default=4, show_default=True, help="Ranks with a gold medal.")
@click.option("--silver", type=click.IntRange(0, 1000), default=4, show_default=True, help="Ranks with a silver medal.")
@click.option("--bronze", type=click.IntRange(0, 1000), default=4, show_default=True, help="Ranks with a bronze medal.")
@click.option(
    "--by-median",
    is_flag=True,
    help="Rank the others by problems alone; those below the median team get an honorable mention.",
)
@click.option("--comment", default="", help="What all who see the contest read about its results, after the thaw.")
@AS_JSON
@URL
@RETRY_FOR
def contest_finalize(
    key: str,
    *,
    gold: int,
    silver: int,
    bronze: int,
    by_median: bool,
    comment: str,
    as_json: bool,
    url: str | None,
    retry_for_s: float,
) -> None:
    """Finalize the contest KEY, which is over: compute its awards, and change nothing any more.

    This cannot be undone. Refused while a submission has no verdict, a question no answer, or a rejudge is open.
    """
    with connected(url, retry_for_s) as server:
        sent = {"gold": gold, "silver": silver, "bronze": bronze, "by_median": by_median,
                "comment": comment}  # fmt: skip
        done = server.ask("POST", path_of(key, "/finalize"), body=sent, repeatable=False)
    if as_json:
        print_json(done)
    else:
        rows([{**one, "teams": ", ".join(one["team_ids"])} for one in done["awards"]], id="award", teams="teams")


@click.command("results")
@click.argument("key")
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@AS_JSON
@URL
@RETRY_FOR
def contest_results(key: str, file: Path | None, *, as_json: bool, url: str | None, retry_for_s: float) -> None:
    """Print the results of the finalized contest KEY as the ICPC's site takes them (results.tsv), or write FILE.

    Medals, ranks by the median rule, honorable mentions. With --json, results.json.
    """
    path = path_of(key, "/results.json" if as_json else "/results.tsv")
    with connected(url, retry_for_s) as server:
        if file is None:
            server.download(path, sys.stdout.buffer.write)
            return
        with file.open("wb") as out:
            server.download(path, out.write)


#: the commands, for the group
COMMANDS = (
    contest_list, contest_create, contest_show, contest_set, contest_delete, contest_problem, contest_teams,
    contest_clarify, contest_scoreboard, contest_finalize, contest_results,
)  # fmt: skip


def _format_of(file: Path) -> str:
    """Return what a file is: the name helps where its keys, such as id and name alone, do not say it."""
    return file.stem if file.suffix in _STRUCTURED and file.stem in TEAM_LISTS else "auto"


def _text_of(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{file} is not text in UTF-8.") from error
