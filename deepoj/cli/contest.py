"""``deepoj contest``: contests. ``replay`` needs a server only with ``--judge``; the other commands need one."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import secrets
from pathlib import Path

import click

from deepoj.cli import errors
from deepoj.cli.common import print_json
from deepoj.cli.connection import RETRY_FOR, URL, connected
from deepoj.cli.contest_clock import contest_clock
from deepoj.cli.contest_demo import demo
from deepoj.cli.contest_package import contest_export, contest_import
from deepoj.cli.contest_rejudge import contest_rejudge
from deepoj.cli.contest_review import REVIEW_COMMANDS
from deepoj.cli.contest_run import COMMANDS
from deepoj.cli.contest_setup import SETUP_COMMANDS
from deepoj.cli.contest_view import show_rehearsal, show_replay
from deepoj.client import ServerAway, ServerRefused
from deepoj.client.contests.feed_files import events_of
from deepoj.client.contests.rehearsal import ContestRehearsal
from deepoj.contests.clock import MS_PER_MINUTE
from deepoj.contests.feed import ContestObjects, FeedError
from deepoj.contests.rehearsal import busiest_from_ms, plan_of
from deepoj.contests.replay import board_fields
from deepoj.contests.replay import replay as fold
from deepoj.words.exits import CheckFailed

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
        replayed = fold(events_of(feed))
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
        show_replay(replayed)
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
        for event in events_of(feed):
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
        show_rehearsal(report, plan)
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
