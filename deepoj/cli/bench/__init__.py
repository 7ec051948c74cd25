"""``deepoj bench``: figures of this host, measured side by side in one run, as ratios where ratios can be trusted.

A benchmark asserts nothing: where a figure is required, the table says whether it is met, and the exit code is 0 either
way. Each is a module here with a click command, loaded when it is called.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping

import click

from deepoj.cli.examples import with_examples

#: benchmark → its line in the help
BENCHMARKS: Mapping[str, str] = {
    "sandbox": "What a run in the sandbox costs beside a bare one, and other sandboxes beside ours.",
    "judge": "What judging a submission costs beside compiling and running the program bare.",
    "node": "What a node weighs when idle, and how long a verdict takes beside the floor.",
    "api": "What the API bears beside a bare application on the same server.",
    "queue": "What a deep queue and full tables cost the steps of the walk, beside empty tables.",
}


class Benchmarks(click.Group):
    """The one does not wait for what the other imports."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(BENCHMARKS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in BENCHMARKS:
            return None
        command = getattr(importlib.import_module(f"{__name__}.{cmd_name}"), cmd_name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{cmd_name} is no click command")
        return with_examples(command, f"bench {cmd_name}")

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(BENCHMARKS.items()))


@click.group(cls=Benchmarks)
def bench() -> None:
    """Measure this host: ratios, side by side in one run."""
