"""``deepoj contest``: contests. ``replay`` needs no server; the commands of other modules do."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from deepoj.cli.common import print_json
from deepoj.cli.contest_demo import demo
from deepoj.cli.contest_package import contest_export, contest_import
from deepoj.cli.contest_run import COMMANDS
from deepoj.contests.board import BoardRow
from deepoj.contests.clock import minutes_of
from deepoj.contests.feed import FeedError, FeedEvent, parse_collection, read_events
from deepoj.contests.replay import Replay, board_fields
from deepoj.contests.replay import replay as fold
from deepoj.words.exits import CheckFailed

#: names that a feed has in a folder that was downloaded or packed as a whole
_FEED_NAMES = ("event-feed.ndjson", "event-feed.json")


@click.group()
def contest() -> None:
    """Contests: run those of a server, make one for a try, replay the event feed of a published one."""


for _command in (*COMMANDS, contest_export, contest_import, demo):
    contest.add_command(_command)


@contest.command()
@click.argument("feed", type=click.Path(path_type=Path))
@click.option("--board", "board_file", type=click.Path(path_type=Path), help="Write the board to this file as JSON.")
@click.option(
    "--json", "as_json", is_flag=True,
    help="One JSON line: {contest_id, teams, problems, submissions, judgements, differences: […]}.",
)  # fmt: skip
def replay(feed: Path, board_file: Path | None, as_json: bool) -> None:
    """Compute the scoreboard of a published contest from its event feed.

    FEED is an event feed of the ICPC Contest API, 2020-03 to 2026-01: a file, or a folder with one, or with the JSON of
    each endpoint. Its own awards are compared with the board; exit code 1 if they differ.
    """
    try:
        replayed = fold(_events(feed))
    except (FeedError, OSError, UnicodeDecodeError) as error:
        raise CheckFailed(str(error)) from error
    if board_file is not None:
        board_file.write_text(
            "[\n" + ",\n".join(json.dumps(row) for row in board_fields(replayed.rows)) + "\n]\n", encoding="utf-8"
        )
    if as_json:
        print_json(
            {
                "contest_id": replayed.contest_id,
                **{kind: len(replayed.objects.of(kind)) for kind in ("teams", "problems", "submissions", "judgements")},
                "differences": [dataclasses.asdict(difference) for difference in replayed.differences],
            }
        )
    else:
        _print(replayed)
    if replayed.differences:
        raise CheckFailed(f"{len(replayed.differences)} awards of the feed differ from its board")


def _events(feed: Path) -> Iterator[FeedEvent]:
    if feed.is_file():
        with feed.open(encoding="utf-8-sig") as lines:
            yield from read_events(lines, feed.name)
        return
    for name in _FEED_NAMES:
        if (feed / name).is_file():
            yield from _events(feed / name)
            return
    if len(feeds := list(feed.glob("*.ndjson"))) == 1:
        yield from _events(feeds[0])
        return
    files = sorted(feed.glob("*.json"))
    if not files:
        raise FeedError(f"{feed} has neither {' nor '.join(_FEED_NAMES)} nor a JSON file for each endpoint")
    for file in files:
        yield parse_collection(file.stem, file.read_text(encoding="utf-8-sig"), file.name)


def _print(replayed: Replay) -> None:
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
        team = objects.of("teams")[row.team_id]
        name = str(team.get("display_name") or team.get("name") or row.team_id)
        table.add_row(str(row.rank), Text(name), str(row.solved), str(row.penalty), *_cells(row))
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 400)
    console.print(Text(replayed.name or replayed.contest_id))
    console.print(table)
    for difference in replayed.differences:
        console.print(
            Text(
                f"{difference.award}: the feed gives it to {_teams(difference.published)}, its board to"
                f" {_teams(difference.computed)}"
            )
        )


def _cells(row: BoardRow) -> Iterator[str]:
    """Return each problem's attempts, and the minute of its solution."""
    for cell in row.cells.values():
        if cell.solved_ms is not None:
            yield f"{cell.judged}/{minutes_of(cell.solved_ms)}"
        else:
            yield f"{cell.judged or ''}{'?' * bool(cell.pending)}"


def _teams(teams: list[str]) -> str:
    return ", ".join(teams) or "no team"
