"""``deepoj contest``: contests. ``replay`` needs a server only with ``--judge``; the other commands need one."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from deepoj.cli import errors
from deepoj.cli.client import RETRY_FOR, URL, connected
from deepoj.cli.common import print_json
from deepoj.cli.contest_clock import contest_clock
from deepoj.cli.contest_demo import demo
from deepoj.cli.contest_package import contest_export, contest_import
from deepoj.cli.contest_rehearsal import ContestRehearsal, print_report
from deepoj.cli.contest_rejudge import contest_rejudge
from deepoj.cli.contest_review import REVIEW_COMMANDS
from deepoj.cli.contest_run import COMMANDS
from deepoj.cli.contest_setup import SETUP_COMMANDS
from deepoj.client import ServerAway, ServerRefused
from deepoj.contests.board import BoardRow
from deepoj.contests.clock import MS_PER_MINUTE, minutes_of
from deepoj.contests.feed import ContestObjects, FeedError, FeedEvent, parse_collection, read_events
from deepoj.contests.ledger import name_of
from deepoj.contests.rehearsal import busiest_from_ms, plan_of
from deepoj.contests.replay import Replay, board_fields
from deepoj.contests.replay import replay as fold
from deepoj.words.exits import CheckFailed

#: names that a feed has in a folder that was downloaded or packed as a whole
_FEED_NAMES = ("event-feed.ndjson", "event-feed.json")

#: a rehearsal waits so long where the server's limit of requests a minute refuses it
_LIMITED_S = 90.0


@click.group()
def contest() -> None:
    """Contests: run those of a server, make one for a try, replay the event feed of a published one."""


for _command in (
    *COMMANDS, *REVIEW_COMMANDS, *SETUP_COMMANDS, contest_clock, contest_export, contest_import, contest_rejudge, demo,
):  # fmt: skip
    contest.add_command(_command)


@contest.command()
@click.argument("feed", type=click.Path(path_type=Path))
@click.option("--board", "board_file", type=click.Path(path_type=Path), help="Write the board to this file as JSON.")
@click.option("--judge", is_flag=True, help="Play it on a server, as its administrator: a dress rehearsal.")
@click.option(
    "--speed",
    type=click.FloatRange(min=0.1, max=1000),
    default=1.0,
    show_default=True,
    help="Of --judge: so many times faster than it was.",
)
@click.option("--from", "from_minute", type=click.IntRange(min=0), help="Of --judge: from this minute on.")
@click.option(
    "--minutes",
    type=click.IntRange(min=1),
    help="Of --judge: only so many minutes; without --from those in which the most submissions arrive.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="One JSON line: {contest_id, teams, problems, submissions, judgements, differences: […]}; of --judge:"
    " {key, sent, judged, lost, wrong_verdicts, differences, waits, …}.",
)
@URL
@RETRY_FOR
def replay(
    feed: Path,
    board_file: Path | None,
    *,
    judge: bool,
    speed: float,
    from_minute: int | None,
    minutes: int | None,
    as_json: bool,
    url: str | None,
    retry_for_s: float,
) -> None:
    """Compute the scoreboard of a published contest from its event feed.

    FEED is an event feed of the ICPC Contest API, 2020-03 to 2026-01: a file, or a folder with one, or with the JSON of
    each endpoint. Its own awards are compared with the board; exit code 1 if they differ.

    With --judge a server plays it as a contest of its own, which only the jury sees: an account of each team sends a
    stand-in program for each submission, at its time, to get the feed's verdict. Then the boards are compared, and the
    waits are shown; exit code 1 if a board differs or a submission is lost. The contest, its problems and its accounts
    stay.
    """
    if judge:
        if board_file is not None:
            raise click.UsageError("--board is not of --judge: `deepoj contest scoreboard` prints the board.")
        _rehearse(feed, from_minute, minutes, speed=speed, as_json=as_json, url=url, retry_for_s=retry_for_s)
        return
    if speed != 1.0 or from_minute is not None or minutes is not None:
        raise click.UsageError("--speed, --from and --minutes are of --judge.")
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


def _rehearse(
    feed: Path,
    from_minute: int | None,
    minutes: int | None,
    *,
    speed: float,
    as_json: bool,
    url: str | None,
    retry_for_s: float,
) -> None:
    try:
        objects = ContestObjects()
        for event in _events(feed):
            objects.apply(event)
        length_ms = None if minutes is None else minutes * MS_PER_MINUTE
        from_ms = (from_minute or 0) * MS_PER_MINUTE
        if from_minute is None and length_ms is not None:
            from_ms = busiest_from_ms(objects, length_ms)
        plan = plan_of(objects, from_ms=from_ms, to_ms=None if length_ms is None else from_ms + length_ms)
    except (FeedError, OSError, UnicodeDecodeError) as error:
        raise CheckFailed(str(error)) from error
    with contextlib.ExitStack() as opened:
        jury = opened.enter_context(connected(url, max(retry_for_s, _LIMITED_S)))
        rehearsal = ContestRehearsal(jury, f"rehearsal-{secrets.token_hex(3)}", plan, speed, errors.say)
        try:
            report = rehearsal.run(opened)
        except BaseException:
            # also Ctrl-C: no account of a team can go on sending
            errors.say(_how_to_remove(rehearsal))
            with contextlib.suppress(ServerAway, ServerRefused):  # the first error is the one to tell
                rehearsal.end()
            raise
    if as_json:
        print_json(report.fields())
    else:
        print_report(report, plan, click.echo)
        errors.say(_how_to_remove(rehearsal))
    if report.lost or report.wrong_verdicts or report.differences:
        raise CheckFailed(
            f"{len(report.lost)} submissions are lost, {len(report.wrong_verdicts)} have another verdict than their"
            f" program, {len(report.differences)} rows of boards differ"
        )


def _how_to_remove(rehearsal: ContestRehearsal) -> str:
    return (
        f"The rehearsal stays as the contest {rehearsal.key}, with its problems and accounts; `deepoj contest delete"
        f" {rehearsal.key} --force` removes the contest."
    )


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
        name = name_of(objects.of("teams"), row.team_id)
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
