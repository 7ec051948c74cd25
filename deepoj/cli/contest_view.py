"""Shows contests: their rules and state, waits, cells of a board, a replayed feed, the report of a rehearsal."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import click
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from deepoj.cli.client_view import rows
from deepoj.cli.common import print_json
from deepoj.client.contests.rehearsal import RehearsalReport, team_name
from deepoj.client.shown import shown
from deepoj.contests.board import BoardRow, points_text
from deepoj.contests.clock import minutes_of
from deepoj.contests.ledger import name_of
from deepoj.contests.rehearsal import RehearsalPlan
from deepoj.contests.replay import Replay


def show_contest(contest: Mapping[str, Any], as_json: bool) -> None:
    """Print a contest, for people or as one JSON line."""
    if as_json:
        print_json(contest)
        return
    freeze_ms = contest.get("freeze_ms")
    frozen = "never frozen" if freeze_ms is None else f"frozen for the last {clock_text(freeze_ms)}"
    about = f"{shown(contest['kind'])}, {state_word(contest)}"
    click.echo(f"contest {shown(contest.get('key'))}: {shown(contest.get('name'))} ({about})")
    click.echo(
        f"  starts: {shown(contest.get('start_at') or 'not decided')}, {clock_text(contest['duration_ms'])}, {frozen}"
    )
    if contest["late_ms"]:
        click.echo(
            f"  taken late for {clock_text(contest['late_ms'])}: {contest['late_percent']} % less for each"
            f" {clock_text(contest['late_step_ms'])} that has begun"
        )
    if contest.get("paused_at"):
        click.echo(f"  paused since: {shown(contest['paused_at'])}")
    click.echo(f"  seen by: {'everybody' if contest.get('is_public') else 'its teams'}")
    for line in lines_of_waits(contest.get("waits")):
        click.echo(f"  {line}")
    for line in str(contest.get("final_comment") or "").splitlines():
        click.echo(f"  comment: {shown(line)}")
    rows(contest["problems"], label="problem", name="name", problem_id="id", color="color")


def lines_of_waits(waits: Mapping[str, Any] | None) -> list[str]:
    """Return waits in words; empty where there are none."""
    if not waits or not waits["count"]:
        return []
    return [
        f"waits of the latest {waits['count']} submissions: median {waits['wait_p50_ms']} ms, 99 %"
        f" {waits['wait_p99_ms']} ms",
        f"judging: median {waits['judging_p50_ms']} ms, 99 % {waits['judging_p99_ms']} ms; compile"
        f" {waits['compile_percent']} %, run {waits['run_percent']} %, judge {waits['other_percent']} %",
    ]


def state_word(contest: Mapping[str, Any]) -> str:
    """Return the last thing that has happened to a contest, in a word."""
    state = contest["state"]
    words = {"finalized_at": "finalized", "ended_at": "over", "frozen_at": "frozen", "started_at": "running"}
    return next((word for name, word in words.items() if state.get(name)), "not started")


def clock_text(ms: int) -> str:
    """Return milliseconds as H:MM:SS."""
    minutes, seconds = divmod(ms // 1000, 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"


def cell_text(cell: Mapping[str, Any]) -> str:
    """Return a cell of a board: points, or tries with the minute of the solution."""
    if "points" in cell:
        return points_text(cell["points"]) + "?" * bool(cell["pending"]) if cell["judged"] or cell["pending"] else ""
    tries = f"{cell['judged'] or ''}{'?' * bool(cell['pending'])}"
    return tries if cell["solved_ms"] is None else f"{tries}/{minutes_of(cell['solved_ms'])}"


def show_replay(replayed: Replay) -> None:
    """Print the board of a replayed feed, and the awards that differ from it."""
    objects = replayed.objects
    problems = list(replayed.rows[0].cells) if replayed.rows else []
    labels = [str(objects.of("problems")[problem].get("label") or problem) for problem in problems]
    table = Table(
        Column("rank", justify="right"),
        Column("team", max_width=32, no_wrap=True),
        Column("solved", justify="right"),
        Column("penalty", justify="right"),
        *(Column(label, justify="right") for label in labels),
        box=None,
        pad_edge=False,
    )
    for row in replayed.rows:
        name = name_of(objects.of("teams"), row.team_id)
        table.add_row(str(row.rank), Text(name), str(row.solved), str(row.penalty), *_replay_cells(row))
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 400)
    console.print(Text(replayed.name or replayed.contest_id))
    console.print(table)
    for difference in replayed.differences:
        console.print(
            Text(
                f"{difference.award}: the feed gives it to {_team_list(difference.published)}, its board to"
                f" {_team_list(difference.computed)}"
            )
        )


def _replay_cells(row: BoardRow) -> Iterator[str]:
    """Return each problem's attempts, and the minute of its solution."""
    for cell in row.cells.values():
        if cell.solved_ms is not None:
            yield f"{cell.judged}/{minutes_of(cell.solved_ms)}"
        else:
            yield f"{cell.judged or ''}{'?' * bool(cell.pending)}"


def _team_list(teams: list[str]) -> str:
    return ", ".join(teams) or "no team"


def show_rehearsal(report: RehearsalReport, plan: RehearsalPlan) -> None:
    """Print a report in words."""
    programs = Counter(one.stand_in.value for one in plan.submissions)
    click.echo(
        f"contest {report.key}: {report.sent} submissions were taken, {report.judged} judged, {len(report.lost)} lost"
    )
    click.echo(f"  programs: {', '.join(f'{count} {name}' for name, count in programs.most_common())}")
    for line in lines_of_waits(report.waits):
        click.echo(f"  {line}")
    click.echo(f"  sent late by at most {report.late_p99_ms} ms (99 %)")
    if report.frozen_at is not None:
        click.echo(f"  the board was frozen at {report.frozen_at}, and thawed at {report.thawed_at}")
    for sentence in (*report.lost, *report.wrong_verdicts):
        click.echo(f"  {sentence}")
    for one in report.differences:
        team = team_name(plan.teams[one.team_id], one.team_id)
        click.echo(f"  board of the {one.board}, {team}: {one.found or 'no row'}, expected {one.expected or 'no row'}")
    if not report.differences:
        click.echo("  boards: equal, the feed's and the server's")
