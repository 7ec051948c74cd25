"""``deepoj bench``: benchmarks of this host. They compare alternatives in one run, as ratios where those are reliable.

A benchmark asserts nothing: if a figure is required, the table says whether it is met, and the exit code is 0 in either
case. Each benchmark is a module here with a click command, loaded when it is called.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping

import click

from deepoj.cli.examples import with_examples

#: benchmark → its line in the help
BENCHMARKS: Mapping[str, str] = {
    "sandbox": "The cost of an execution in the sandbox, compared with a bare one and with other sandboxes.",
    "judge": "The cost of judging a submission, compared with compiling and running the program bare.",
    "node": "An idle node's memory and CPU, and the time to a verdict, compared with the least possible.",
    "api": "The load that the API bears, compared with a bare application.",
    "web": "The people that the web pages bear, and the time of each page, compared with the API's reads.",
    "slow": "What 500 slow readers and 500 slow writers cost a person who submits, beside the same without them.",
    "contest": "The board of a large contest: its fold, and how fast a verdict reaches a thousand live boards.",
    "queue": "The cost of the pipeline's steps with a deep queue and full tables, compared with empty ones.",
}


class Benchmarks(click.Group):
    """A click group that imports a benchmark only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(BENCHMARKS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in BENCHMARKS:
            return None
        command = getattr(importlib.import_module(f"{__name__}.{cmd_name}"), cmd_name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{cmd_name} is not a click command")
        return with_examples(command, f"bench {cmd_name}")

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(BENCHMARKS.items()))


@click.group(cls=Benchmarks)
def bench() -> None:
    """Benchmark this host."""
