"""The command ``deepoj bench judge``. ``operate.bench.judge`` does the work."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import click
import trio
from rich.console import Console

from deepoj.cli.common import print_json, settings
from deepoj.observe import configure
from deepoj.operate.bench.judge import measure, show


@click.command()
@click.option("--rounds", default=7, show_default=True, type=click.IntRange(1), help="Rounds measured.")
@click.option("--large-tests", default=100, show_default=True, type=click.IntRange(1), help="Tests of 10 MB.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line.")
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures to this file as JSON too."
)
def judge(rounds: int, large_tests: int, as_json: bool, output: Path | None) -> None:
    """Measure the cost of judging a submission, compared with compiling and running the program bare."""
    configure(level="warning")  # the judge step logs each attempt
    with tempfile.TemporaryDirectory(prefix="deepoj-bench-") as scratch:
        figures = trio.run(measure, settings(), Path(scratch), (rounds, large_tests), as_json)
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(figures.flat(), indent=2) + "\n")
    if as_json:
        print_json(figures.flat())
    else:
        show(figures, Console())
