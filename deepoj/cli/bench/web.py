"""The command ``deepoj bench web``. ``operate.bench.web`` does the work."""

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
from deepoj.operate.bench.unlimited import unlimited
from deepoj.operate.bench.web import USUAL, WebLoad, measure, show


@click.command()
@click.option("--people", default=USUAL.people, show_default=True, type=click.IntRange(1), help="Live streams.")
@click.option("--rate", default=USUAL.rate, show_default=True, help="Submissions per second.")
@click.option("--seconds", default=USUAL.seconds, show_default=True, help="Duration of the load, over all turns.")
@click.option("--page-every-s", default=USUAL.page_every_s, show_default=True, help="A person's time between pages.")
@click.option("--turns", default=USUAL.turns, show_default=True, type=click.IntRange(1), help="Turns of that load.")
@click.option("--warm-seconds", default=USUAL.warm_seconds, show_default=True, help="Submits before, not measured.")
@click.option("--rounds", default=USUAL.rounds, show_default=True, type=click.IntRange(1), help="Rounds of each page.")
@click.option("--round-seconds", default=USUAL.round_seconds, show_default=True, help="Duration of each part of them.")
@click.option("--teams", default=USUAL.teams, show_default=True, type=click.IntRange(1), help="Teams of large pages.")
@click.option("--problems", default=USUAL.problems, show_default=True, type=click.IntRange(1), help="Their problems.")
@click.option("--submissions", default=USUAL.submissions, show_default=True, help="Their judged submissions.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line.")
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures to this file as JSON too."
)
def web(as_json: bool, output: Path | None, **how: Any) -> None:
    """Measure the people that the web pages bear, and the time of each page, compared with the API's reads; and the
    times and sizes of large pages, at the first look and later."""
    console = Console(quiet=as_json)
    cores = sorted(os.sched_getaffinity(0))[:CORES]
    os.sched_setaffinity(0, cores)  # inherited by all processes started from here
    console.print(
        f"everything on the cores {', '.join(map(str, cores))}; the nodes' settings:\n{unlimited()}", markup=False
    )
    with tempfile.TemporaryDirectory(prefix="deepoj-bench-") as scratch:
        figures = measure(Path(scratch), WebLoad(**how), console)
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(figures.flat(), indent=2) + "\n")
    if as_json:
        print_json(figures.flat())
    else:
        show(figures, console)
