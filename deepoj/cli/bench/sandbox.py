"""The command ``deepoj bench sandbox``. ``operate.bench.sandbox`` does the work."""

from __future__ import annotations

import json
import tempfile
from functools import partial
from pathlib import Path

import click
import trio

from deepoj.cli.common import print_json, settings
from deepoj.operate.bench.meter import BadRunError
from deepoj.operate.bench.sandbox import measure, trivial_programs
from deepoj.operate.bench.sandbox_figures import show
from deepoj.words.errors import StartRefused


@click.command()
@click.option("--rounds", default=1000, show_default=True, type=click.IntRange(1), help="Rounds measured.")
@click.option(
    "--program",
    type=click.Path(exists=True, dir_okay=False, resolve_path=True, path_type=Path),
    help="Measure with this program instead of trivial ones; it gets no arguments and must exit 0.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON line.")
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures to this file as JSON too."
)
def sandbox(rounds: int, program: Path | None, as_json: bool, output: Path | None) -> None:
    """Measure the cost of an execution in the sandbox, compared with a bare one and with other sandboxes."""
    with tempfile.TemporaryDirectory(prefix="deepoj-bench-") as scratch:
        directory = Path(scratch)
        directory.chmod(0o755)  # other sandboxes read the programs as other users
        programs = {"program": program} if program is not None else trivial_programs(directory)
        try:
            figures = trio.run(partial(measure, settings(), programs, rounds, quiet=as_json))
        except BadRunError as error:
            raise StartRefused(f"a run went wrong while it was measured: {error}", 1) from error
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(figures.flat(), indent=2) + "\n")
    if as_json:
        print_json(figures.flat())
    else:
        show(figures)
