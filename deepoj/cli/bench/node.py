"""The command ``deepoj bench node``. ``operate.bench.node`` does the work."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import click
import trio
from rich.console import Console
from rich.progress import track

from deepoj.cli.common import print_json, settings
from deepoj.operate.bench.node import a_node, await_ready, floor, idle
from deepoj.operate.bench.node_drain import SOURCES, TESTS, drain
from deepoj.operate.bench.node_figures import NodeFigures, show
from deepoj.operate.bench.node_latency import TimedVerdict, a_submitter, stage_means_ms
from deepoj.operate.bench.unlimited import unlimited
from deepoj.wiring.settings import judging

#: submissions and walks of the floor alternate in turns of so many
_TURN = 10
_DRAIN_ROUNDS = 2


@click.command()
@click.option("--rounds", default=60, show_default=True, type=click.IntRange(2), help="Submissions measured.")
@click.option("--idle-seconds", default=30.0, show_default=True, help="How long the idle node is measured.")
@click.option(
    "--drain",
    "drain_count",
    default=60,
    show_default=True,
    type=click.IntRange(2),
    help="Queued programs of a language.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON line.")
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures to this file as JSON too."
)
def node(rounds: int, idle_seconds: float, drain_count: int, as_json: bool, output: Path | None) -> None:
    """Measure an idle node's memory and CPU, and its time to a verdict and its throughput, compared with the least
    possible."""
    console = Console(quiet=as_json)
    console.print(f"the node's settings:\n{unlimited()}", markup=False)
    with tempfile.TemporaryDirectory(prefix="deepoj-bench-") as scratch:
        figures = _measured(Path(scratch), rounds, idle_seconds, drain_count, console)
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(figures.flat(), indent=2) + "\n")
    if as_json:
        print_json(figures.flat())
    else:
        show(figures, console)


def _measured(scratch: Path, rounds: int, idle_seconds: float, drain_count: int, console: Console) -> NodeFigures:
    bare, toolchain = scratch / "floor", judging(settings()).toolchain
    samples: list[TimedVerdict] = []
    floors_ms: list[float] = []
    # the servers of the floor are those of a node without work
    with a_node(scratch / "home") as up, a_submitter(scratch / "home", up.base, (1, TESTS)) as submitter:
        await_ready(up.base)
        console.print(f"idling for {idle_seconds:g} s")
        pss_mib, cpu_percent = idle(up.pid, idle_seconds)
        with a_node(bare, "--roles", "gc"):
            submitter.measure()  # the first fetches the test data
            before = submitter.stages()
            turns = [min(_TURN, rounds - done) for done in range(0, rounds, _TURN)]
            for count in track(turns, description="submitting", console=console, transient=True):
                floors_ms += trio.run(floor, bare, count)
                samples += [submitter.measure() for _ in range(count)]
            stages_ms = stage_means_ms(before, submitter.stages())
        console.print("draining queues")
        each = max(1, drain_count // _DRAIN_ROUNDS)
        drains = {key: drain(submitter, key, toolchain, count=each, rounds=_DRAIN_ROUNDS) for key in SOURCES}
    return NodeFigures(
        idle_pss_mib=pss_mib,
        idle_cpu_percent=cpu_percent,
        idle_seconds=idle_seconds,
        samples=samples,
        floors_ms=floors_ms,
        stages_ms=stages_ms,
        drain_count=each * _DRAIN_ROUNDS,
        drains=drains,
    )
