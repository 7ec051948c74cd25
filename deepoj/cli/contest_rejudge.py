"""The command ``deepoj contest rejudge``: what judging again would change on the board, and then Apply or Cancel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from deepoj.cli.client_view import rows
from deepoj.cli.common import print_json
from deepoj.cli.connection import AS_JSON, RETRY_FOR, URL, connected
from deepoj.cli.contest_run import RELTIME
from deepoj.cli.rejudging import RejudgeChoice, rejudge_options
from deepoj.client.contests.requests import path_of
from deepoj.client.shown import shown
from deepoj.contests.board import points_text


@click.command("rejudge")
@click.argument("key")
@click.option("--problem", metavar="LABEL", help="Only submissions to this problem.")
@click.option("--language", help="Only those in this language, by key or number.")
@click.option("--team", metavar="ID", help="Only those of this team.")
@click.option("--from", "from_ms", type=RELTIME, help="Only those sent at or after this contest time.")
@click.option("--until", "until_ms", type=RELTIME, help="Only those sent before this contest time.")
@click.option("--verdict", help="Only those with this verdict, as 'Wrong Answer'.")
@click.option("--host", help="Only those whose verdict this judge node has found.")
@click.option("--full", is_flag=True, help="Run every test again, also unchanged ones.")
@rejudge_options("rejudge", "the rejudges of the contest")
@AS_JSON
@URL
@RETRY_FOR
def contest_rejudge(
    key: str,
    *,
    asked: RejudgeChoice,
    no_wait: bool,
    as_json: bool,
    url: str | None,
    retry_for_s: float,
    **filters: Any,
) -> None:
    """Judge submissions of the contest KEY again without touching their verdicts, and print what would change.

    Filters are combined; without any, it concerns all. --apply then gives all of them their new verdicts at once;
    --cancel gives the rejudge up. The same command again prints the progress.
    """
    scope = {name: value for name, value in filters.items() if value not in (None, False)}
    asked.require_one(has_filters=bool(scope))
    base = path_of(key, "/rejudges")
    with connected(url, retry_for_s) as server:
        if asked.history:
            past = server.ask("GET", base)
            if as_json:
                print_json(past)
            else:
                _show_past(past)
            return
        rejudge = asked.ask(server, base, lambda: server.ask("POST", base, body=scope), waits=not no_wait)
    if as_json:
        print_json(rejudge)
    else:
        _show(rejudge)
    asked.check(rejudge, f"contest {key}: the rejudge was cancelled, or a problem changed meanwhile")


def _show(rejudge: Mapping[str, Any]) -> None:
    judged = f"{shown(rejudge['judged'])} of {shown(rejudge['submissions'])} submissions judged"
    click.echo(f"rejudge {shown(rejudge['id'])} ({shown(rejudge['state'])}): {judged}")
    if rejudge["failed"]:
        click.echo(f"{shown(rejudge['failed'])} could not be judged")
        rows(rejudge["failures"], count="submissions", why="why")
    if rejudge["state"] == "applied":
        click.echo(f"{shown(rejudge['applied'])} submissions have their new verdicts")
    effect = rejudge.get("effect")
    if not isinstance(effect, Mapping):
        return
    click.echo(f"{shown(rejudge['changed'])} would change")
    rows(effect["verdicts"], submission_id="submission", team_id="team", problem="problem", before="old", after="new")
    changed = [
        {"team": one["team_id"], "problems": ", ".join(one["problems"]),
         "old": _stand(one["before"]), "new": _stand(one["after"])}
        for one in effect["rows"]
    ]  # fmt: skip
    rows(changed, team="team", problems="problems", old="old row", new="new row")
    awards = [{**one, "before": ", ".join(one["before"]), "after": ", ".join(one["after"])} for one in effect["awards"]]
    rows(awards, id="award", before="old teams", after="new teams")


def _stand(row: Mapping[str, Any]) -> str:
    if row.get("points") is not None:
        return f"rank {row['rank']}, {points_text(row['points'])} points"
    return f"rank {row['rank']}, {row['solved']} solved, penalty {row['penalty']}"


def _show_past(past: Mapping[str, Any]) -> None:
    rows(
        past["rejudges"], id="rejudge", created_at="at", ordered_by="by", state="state", submissions="submissions",
        changed="would change", problem="problem", team="team", verdict="verdict", language="language", host="host",
    )  # fmt: skip
