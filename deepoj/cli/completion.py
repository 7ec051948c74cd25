"""``deepoj completion``: prints click's shell code that completes commands, options and choices."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

VARIABLE = "_DEEPOJ_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of `deepoj` for SHELL: for its `eval`, or for its directory of completions."""
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"there is no completion for {shell}.")
    # not `source()`, which runs this host's bash to check its version
    maker = kind(context.find_root().command, {}, "deepoj", VARIABLE)
    click.echo(maker.source_template % maker.source_vars(), nl=False)
