"""The command ``deepoj bench queue``. ``operate.bench.queue`` does the work."""

from __future__ import annotations

import json
import tempfile
from contextlib import ExitStack
from pathlib import Path

import click
import trio
from rich.console import Console

from deepoj.cli.common import print_json
from deepoj.observe import configure
from deepoj.operate.bench.queue import figures_of, fill_and_measure, open_stage, show
from deepoj.operate.bench.unlimited import unlimited


@click.command()
@click.option("--waiting", default=100_000, show_default=True, help="Waiting jobs in the first database.")
@click.option("--finished", default=1_000_000, show_default=True, help="Finished jobs in the second database.")
@click.option("--rounds", default=200, show_default=True, help="How often each step is measured.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line.")
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures to this file as JSON too."
)
def queue(waiting: int, finished: int, rounds: int, as_json: bool, output: Path | None) -> None:
    """Measure the pipeline's steps with a deep queue and full tables, compared with empty ones."""
    console = Console(quiet=as_json)
    configure(level="warning")  # the dispatch step logs each event
    console.print(f"the nodes' settings:\n{unlimited()}", markup=False)
    with tempfile.TemporaryDirectory(prefix="deepoj-bench-") as scratch, ExitStack() as stack:
        stages = [stack.enter_context(open_stage(Path(scratch), name)) for name in ("empty", "waiting", "finished")]
        times = trio.run(fill_and_measure, stages, (waiting, finished, rounds), console)
    figures = figures_of(times, rounds=rounds, waiting=waiting, finished=finished)
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(figures.flat(), indent=2) + "\n")
    if as_json:
        print_json(figures.flat())
    else:
        show(figures, console)
