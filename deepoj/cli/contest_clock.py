"""``deepoj contest clock``: the clock of a contest, over the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from deepoj.cli.client_view import rows
from deepoj.cli.common import print_json
from deepoj.cli.connection import AS_JSON, RETRY_FOR, URL, connected
from deepoj.cli.contest_run import RELTIME
from deepoj.cli.contest_view import clock_text
from deepoj.client.contests.requests import path_of
from deepoj.client.shown import shown
from deepoj.words.contests import ClockAct


@click.command("clock")
@click.argument("key")
@click.argument("act", required=False, type=click.Choice([one.value for one in ClockAct]))
@click.option("--reason", default="", help="Why; needed by length, remove, restore, extend and penalty.")
@click.option("--start", "start_at", metavar="TIME", help="move: the new start; remove: the begin of the interval.")
@click.option("--end", "end_at", metavar="TIME", help="remove: the end of the interval.")
@click.option("--duration", "duration_ms", type=RELTIME, help="length: the new one, such as 5:30:00.")
@click.option("--interval", type=int, metavar="NUMBER", help="restore: which one.")
@click.option("--team", metavar="ID", help="extend, penalty: which one.")
@click.option("--extra", "extra_ms", type=RELTIME, help="extend: how much more than others; 0:00:00: no more.")
@click.option("--penalty", "penalty_minutes", type=int, metavar="MINUTES", help="penalty: also negative; 0: none.")
@click.option("--problem", metavar="LABEL", help="hold, release: which one.")
@AS_JSON
@URL
@RETRY_FOR
def contest_clock(
    key: str,
    act: str | None,
    *,
    as_json: bool,
    url: str | None,
    retry_for_s: float,
    **fields: Any,
) -> None:
    """Show the clock of the contest KEY, or do ACT.

    start, move, pause, resume, freeze and thaw it; change its length; remove an interval that shall not count, or
    restore it; extend the time of a team; give a team penalty time; hold and release judging of a problem. Times are
    RFC 3339 with a time zone.
    """
    with connected(url, retry_for_s) as server:
        if act is None:
            found = server.ask("GET", path_of(key, "/clock"))
        else:
            body = {"act": act, **{name: value for name, value in fields.items() if value is not None}}
            found = server.ask("POST", path_of(key, "/clock"), body=body, repeatable=False)
    if as_json:
        print_json(found)
    else:
        _print(found)


def _print(clock: Mapping[str, Any]) -> None:
    time = "not started" if (clock["time_ms"] or -1) < 0 else clock_text(clock["time_ms"])
    paused = f", paused since {shown(clock['paused_at'])}" if clock["paused_at"] else ""
    click.echo(f"contest {shown(clock['key'])}: {time}{paused}")
    if clock["countdown_pause_ms"] is not None:
        click.echo(f"  the countdown is paused with {clock_text(clock['countdown_pause_ms'])} left")
    for name, at in (("starts", "start_at"), ("freezes", "freezes_at"), ("ends", "ends_at")):
        click.echo(f"  {name}: {shown(clock[at] or 'not known')}")
    if clock["intervals"]:
        states = [
            {**one, "state": "restored" if one["is_restored"] else "does not count"} for one in clock["intervals"]
        ]
        rows(states, id="interval", start_at="from", end_at="to", state="state", reason="reason")
    if clock["extensions"]:
        more = [{**one, "extra": clock_text(one["extra_ms"])} for one in clock["extensions"]]
        rows(more, team_id="team", extra="more", ends_at="ends", reason="reason")
    if clock["penalties"]:
        rows(clock["penalties"], team_id="team", minutes="penalty", reason="reason")
    if any(one["is_paused"] for one in clock["judging"]):
        rows([one for one in clock["judging"] if one["is_paused"]], problem="judging is paused", waiting="waiting")
