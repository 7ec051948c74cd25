"""The commands. A command's module is loaded when it is called, so ``deepoj --help`` and ``deepoj judge`` stay light.

A new command: a click command in ``deepoj/cli/NAME.py``, a line in :data:`COMMANDS`, and its examples in
``deepoj/cli/examples.py``.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from deepoj import __version__
from deepoj.cli import errors
from deepoj.cli.examples import with_examples
from deepoj.cli.imports import importing
from deepoj.words.exits import GOOD

#: command → its module and function, and its line in the help, so that the help imports no command
COMMANDS: Mapping[str, tuple[str, str]] = {
    "login": ("deepoj.cli.client:login", "Log in to a server; its token is stored for the commands below."),
    "logout": ("deepoj.cli.client:logout", "Delete the stored token of a server."),
    "submit": ("deepoj.cli.client:submit", "Send a solution, and watch the judging."),
    "submit-batch": (
        "deepoj.cli.submit_batch:submit_batch",
        "Send many solutions at once, and read the verdicts.",
    ),
    "cancel-batch": ("deepoj.cli.submit_batch:cancel_batch", "Delete the waiting submissions of a batch."),
    "status": ("deepoj.cli.client:status", "Show the state of a submission, or watch it."),
    "run": ("deepoj.cli.client:run", "Run a program on an input of your own, on the server."),
    "rerun": ("deepoj.cli.rerun:rerun", "Run one test of a submission again, and show what the program prints."),
    "problems": ("deepoj.cli.client:problems", "List the server's problems."),
    "languages": ("deepoj.cli.client:languages", "List the languages of the server."),
    "account": ("deepoj.cli.account:account", "Your own account: download its data, or erase it."),
    "node": ("deepoj.cli.node:node", "Run one node with the roles you choose."),
    "up": ("deepoj.cli.node:up", "Run a node with its own PostgreSQL, Valkey and object store."),
    "migrate": ("deepoj.cli.migrate:migrate", "Migrate the database's schema to the version this program needs."),
    "judge": ("deepoj.cli.judge:judge", "Run or compile one program in the sandbox (judge protocol v1)."),
    "doctor": ("deepoj.cli.doctor:doctor", "Report what this host can do, and what it lacks."),
    "drill": (
        "deepoj.cli.drill:drill",
        "Break a temporary deployment on purpose; check that no job is lost or judged twice.",
    ),
    "bench": ("deepoj.cli.bench:bench", "Benchmark this host; tables, or JSON."),
    "nodes": ("deepoj.cli.nodes:nodes", "List the nodes, with their roles and canaries."),
    "pressure": ("deepoj.cli.pressure:pressure", "Show how much work waits, and for how long."),
    "probe": ("deepoj.cli.probe:probe", "Check the stream, the tables and the metrics of a deployment once."),
    "verify": ("deepoj.cli.verify:verify", "Check a running deployment against the runbook."),
    "audit": ("deepoj.cli.audit:audit", "Prove that each submission has exactly one final verdict."),
    "backup": ("deepoj.cli.backup:backup", "Copy the database and the object store to a directory."),
    "restore": ("deepoj.cli.backup:restore", "Fill an empty database and the object store from a backup."),
    "problem": ("deepoj.cli.problem:problem", "Import and show problems; verify packages."),
    "contest": ("deepoj.cli.contest:contest", "Run contests, and compute the scoreboard of a published event feed."),
    "dlq": ("deepoj.cli.dlq:dlq", "Dead letters: list, show, requeue, discard."),
    "admin": (
        "deepoj.cli.admin:admin",
        "Accounts: create administrators; list, disable, enable, erase, set passwords.",
    ),
    "config": ("deepoj.cli.config:config", "Show the effective settings and where each comes from."),
    "completion": ("deepoj.cli.completion:completion", "Print the completion script for bash, zsh or fish."),
}


class LazyGroup(click.Group):
    """A click group that imports a command only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        with importing():
            command = getattr(importlib.import_module(module), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}:{name} is not a click command")
        return with_examples(command, cmd_name)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete from the table: completion must not import every command."""
        commands = [CompletionItem(name, help=line) for name, (_, line) in COMMANDS.items()]
        return [
            *(item for item in commands if str(item.value).startswith(incomplete)),
            *click.Command.shell_complete(self, ctx, incomplete),
        ]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="Settings file (default: config.yaml).")
@click.option("--home", type=click.Path(path_type=Path), help="Directory of this node's data (default: ./.deepoj).")
@click.version_option(__version__, prog_name="deepoj", message="%(prog)s %(version)s")
@click.pass_context
def group(context: click.Context, config_file: Path | None, home: Path | None) -> None:
    """An online judge in one program per host: nothing lost, nothing judged twice."""
    from deepoj.cli.common import GlobalOptions  # noqa: PLC0415 - settings are not needed for `--help`

    context.obj = GlobalOptions(config_file, home)


def run(args: Sequence[str]) -> int:
    """Run one command line and return its exit code. Exceptions caused by bugs are not caught."""
    try:
        code = group.main(list(args), prog_name="deepoj", standalone_mode=False)
    except errors.EXPECTED as error:
        return errors.end(error)
    return code if isinstance(code, int) else GOOD


def main() -> None:
    """The ``deepoj`` command: never returns."""
    sys.excepthook = errors.exit_on_bug
    sys.exit(run(sys.argv[1:]))
