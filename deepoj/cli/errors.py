"""Ends a failed command: with one clear line and an exit code of the contract, or with the traceback of a bug.

Exit codes: 0 success, 1 a check failed, 2 usage or configuration, 3 a dependency is unreachable, 4 a supervised child
failed permanently (or a bug), 130 interrupted.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from types import TracebackType

import click

from deepoj.words.errors import Breakage, StartRefused
from deepoj.words.exits import CHECK_FAILED, FELL, INTERRUPTED, UNREACHABLE, USAGE, CheckFailed

#: exceptions that are not bugs
EXPECTED = (
    click.ClickException, click.Abort, KeyboardInterrupt, CheckFailed, StartRefused, Breakage,
    BaseExceptionGroup,
)  # fmt: skip


def say(sentence: str) -> None:
    """Print one line on stderr."""
    print(f"deepoj: {' '.join(sentence.split())}", file=sys.stderr, flush=True)


def leaves_of(error: BaseException) -> Iterator[BaseException]:
    """Yield the exceptions inside nested groups, or the exception itself."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves_of(inner)
    else:
        yield error


def verdict(error: BaseException) -> tuple[str, int] | None:
    """Return the message and exit code of an exception or of nested groups; None for a bug.

    A refused start takes precedence over breakages during the shutdown, but never hides a bug.
    """
    leaves = list(leaves_of(error))
    refused = [leaf for leaf in leaves if isinstance(leaf, StartRefused)]
    broken = [leaf for leaf in leaves if isinstance(leaf, Breakage)]
    interrupted = [leaf for leaf in leaves if isinstance(leaf, KeyboardInterrupt)]
    if not leaves or len(refused) + len(broken) + len(interrupted) < len(leaves):
        return None
    if refused:
        return str(refused[0]), refused[0].exit_code
    if broken:
        return str(broken[0]), UNREACHABLE
    return "interrupted", INTERRUPTED


def end(error: BaseException) -> int:
    """Print the line of an expected exception and return its exit code. Bugs are raised again."""
    match error:
        case click.exceptions.NoArgsIsHelpError():
            click.echo(error.format_message(), err=True)
            return USAGE
        case click.ClickException():
            context = getattr(error, "ctx", None)
            hint = f" Try `{context.command_path} --help`." if isinstance(context, click.Context) else ""
            ending: tuple[str, int] | None = (error.format_message() + hint, USAGE)
        case click.Abort():
            ending = ("interrupted", INTERRUPTED)
        case CheckFailed():
            ending = (str(error), CHECK_FAILED)
        case _:
            ending = verdict(error)
    if ending is None:
        raise error
    if ending[0]:
        say(ending[0])
    return ending[1]


def exit_on_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A ``sys.excepthook`` that prints the traceback and exits with 4, because 1 means a failed check."""
    traceback.print_exception(kind, error, trace)
    raise SystemExit(FELL)
