"""The command ``deepoj bench slow``. ``operate.bench.slow`` does the work."""

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
from deepoj.operate.bench.slow import SETTINGS, USUAL, SlowLoad, measure, show


@click.command()
@click.option(
    "--clients",
    default=USUAL.clients,
    show_default=True,
    type=click.IntRange(1, 5000),
    help="Slow readers, and as many slow writers.",
)
@click.option(
    "--seconds", default=USUAL.seconds, show_default=True, help="Duration alone, and with them, over all turns."
)
@click.option("--turns", default=USUAL.turns, show_default=True, type=click.IntRange(1), help="Turns of that load.")
@click.option("--teams", default=USUAL.teams, show_default=True, type=click.IntRange(1), help="Teams of the board.")
@click.option("--problems", default=USUAL.problems, show_default=True, type=click.IntRange(1), help="Its problems.")
@click.option("--submissions", default=USUAL.submissions, show_default=True, help="Judged submissions of the contest.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line.")
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures to this file as JSON too."
)
def slow(as_json: bool, output: Path | None, **how: Any) -> None:
    """Measure what clients that hardly read and hardly write cost a person, compared with the same without them."""
    console = Console(quiet=as_json)
    cores = sorted(os.sched_getaffinity(0))[:CORES]
    os.sched_setaffinity(0, cores)  # inherited by all processes started from here
    console.print(
        f"everything on the cores {', '.join(map(str, cores))}; the node's settings:\n{SETTINGS}", markup=False
    )
    with tempfile.TemporaryDirectory(prefix="deepoj-bench-") as scratch:
        figures = measure(Path(scratch), SlowLoad(**how), console)
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(figures.flat(), indent=2) + "\n")
    if as_json:
        print_json(figures.flat())
    else:
        show(figures, console)
