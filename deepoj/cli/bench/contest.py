"""The command ``deepoj bench contest``. ``operate.bench.contest`` does the work."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from deepoj.cli.common import print_json
from deepoj.operate.bench.api import CORES
from deepoj.operate.bench.contest import USUAL, ContestLoad, measure, show


@click.command()
@click.option("--teams", default=USUAL.teams, show_default=True, type=click.IntRange(1), help="Teams of the contest.")
@click.option("--problems", default=USUAL.problems, show_default=True, type=click.IntRange(1), help="Its problems.")
@click.option("--submissions", default=USUAL.submissions, show_default=True, help="Submissions that are judged.")
@click.option("--spectators", default=USUAL.spectators, show_default=True, type=click.IntRange(1), help="Live boards.")
@click.option("--rate", default=USUAL.rate, show_default=True, help="Verdicts per second.")
@click.option("--seconds", default=USUAL.seconds, show_default=True, help="Duration without, and with verdicts.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line.")
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures to this file as JSON too."
)
def contest(as_json: bool, output: Path | None, **how: Any) -> None:
    """Measure the board of a large contest: its fold, and how fast a verdict reaches those who watch it."""
    console = Console(quiet=as_json)
    cores = sorted(os.sched_getaffinity(0))[:CORES]
    os.sched_setaffinity(0, cores)  # inherited by all processes started from here
    console.print(f"everything on the cores {', '.join(map(str, cores))}", markup=False)
    with tempfile.TemporaryDirectory(prefix="deepoj-bench-") as scratch:
        figures = measure(Path(scratch), ContestLoad(**how), console)
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(figures.flat(), indent=2) + "\n")
    if as_json:
        print_json(figures.flat())
    else:
        show(figures, console)
