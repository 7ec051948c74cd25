"""The command ``deepoj bench api``. ``operate.bench.api`` does the work."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from deepoj.cli.common import print_json
from deepoj.operate.bench.api import CORES, USUAL, Load, measure, show
from deepoj.operate.bench.unlimited import unlimited


@click.command()
@click.option("--rounds", default=USUAL.rounds, show_default=True, type=click.IntRange(1), help="Rounds measured.")
@click.option("--seconds", default=USUAL.seconds, show_default=True, help="Duration of each part of a round.")
@click.option("--clients", default=USUAL.clients, show_default=True, type=click.IntRange(1), help="Connections.")
@click.option("--rate", default=USUAL.rate, show_default=True, help="Submissions per second while a worker judges.")
@click.option("--steady-seconds", default=USUAL.steady_seconds, show_default=True, help="Duration of that load.")
@click.option("--streams", default=USUAL.streams, show_default=True, type=click.IntRange(1), help="Live event streams.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line.")
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures to this file as JSON too."
)
def api(as_json: bool, output: Path | None, **how: Any) -> None:
    """Measure the load that the API bears, compared with hypercorn-trio's own bare application."""
    load = Load(**how)
    console = Console(quiet=as_json)
    cores = sorted(os.sched_getaffinity(0))[:CORES]
    os.sched_setaffinity(0, cores)  # inherited by all processes started from here
    console.print(
        f"everything on the cores {', '.join(map(str, cores))}; the nodes' settings:\n{unlimited()}", markup=False
    )
    with tempfile.TemporaryDirectory(prefix="deepoj-bench-") as scratch:
        figures = measure(Path(scratch), load, console)
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(figures.flat(), indent=2) + "\n")
    if as_json:
        print_json(figures.flat())
    else:
        show(figures, console)
