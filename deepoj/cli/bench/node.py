"""The command ``deepoj bench node``. ``operate.bench.node`` does the work."""

from __future__ import annotations

import json
import statistics
import tempfile
from dataclasses import asdict
from pathlib import Path

import click
import trio
from rich.console import Console

from deepoj.cli.common import print_json
from deepoj.operate.bench.node import NodeFigures, a_node, await_ready, floor, idle, show, submissions
from deepoj.operate.bench.unlimited import unlimited


@click.command()
@click.option("--rounds", default=60, show_default=True, help="Submissions measured.")
@click.option("--idle-seconds", default=60.0, show_default=True, help="How long the idle node is measured.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line.")
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures to this file as JSON too."
)
def node(rounds: int, idle_seconds: float, as_json: bool, output: Path | None) -> None:
    """Measure an idle node's memory and CPU, and the time to a verdict, compared with the least possible."""
    if not as_json:
        Console().print(f"the node's settings:\n{unlimited()}", markup=False)
    with tempfile.TemporaryDirectory(prefix="deepoj-bench-") as scratch:
        home = Path(scratch) / "home"
        with a_node(home, "--roles", "gc"):
            floor_ms = trio.run(floor, home, rounds)
        with a_node(home) as up:
            await_ready(up.base)
            pss_mib, cpu_percent = idle(up.pid, idle_seconds)
            samples = submissions(up.base, rounds, quiet=as_json)
    overheads = [total - program for total, program in samples]
    overhead_ms = statistics.median(overheads)
    figures = NodeFigures(
        idle_pss_mib=round(pss_mib, 1),
        idle_cpu_percent=round(cpu_percent, 2),
        idle_seconds=idle_seconds,
        rounds=rounds,
        submit_to_verdict_ms=round(statistics.median(total for total, _ in samples), 1),
        program_ms=round(statistics.median(program for _, program in samples), 1),
        overhead_ms=round(overhead_ms, 1),
        overhead_p95_ms=round(statistics.quantiles(overheads, n=20)[-1], 1),
        floor_ms=round(floor_ms, 1),
        overhead_to_floor=round(overhead_ms / floor_ms, 2),
    )
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(asdict(figures), indent=2) + "\n")
    if as_json:
        print_json(asdict(figures))
    else:
        show(figures)
