"""What the commands share that judge submissions again: ``deepoj problem preview`` and ``deepoj contest rejudge``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click

from deepoj.client.server import ApiClient
from deepoj.words.exits import CheckFailed

#: pause between two looks
_POLL_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RejudgeChoice:
    """What is asked of a command: to show, apply or cancel a rejudge, or to list past ones; none: to start one."""

    shown_id: int | None
    applied_id: int | None
    cancelled_id: int | None
    history: bool

    @property
    def starts(self) -> bool:
        return (self.shown_id, self.applied_id, self.cancelled_id) == (None, None, None) and not self.history

    def require_one(self, *, has_filters: bool) -> None:
        """Raise UsageError if more is asked than one thing."""
        given = (self.shown_id, self.applied_id, self.cancelled_id, self.history or None)
        if sum(one is not None for one in given) + has_filters > 1:
            raise click.UsageError("Give filters, or one of --show, --apply, --cancel and --history.")

    def ask(
        self, server: ApiClient, path: str, start: Callable[[], Mapping[str, Any]], *, waits: bool
    ) -> Mapping[str, Any]:
        """Do what is asked of the rejudges at a path, and return the rejudge. ``waits``: until all is judged."""
        if self.applied_id is not None:
            return server.ask("POST", f"{path}/{self.applied_id}/apply")
        if self.cancelled_id is not None:
            return server.ask("POST", f"{path}/{self.cancelled_id}/cancel")
        if self.shown_id is not None:
            return server.ask("GET", f"{path}/{self.shown_id}")
        rejudge = start()
        while rejudge.get("state") == "running" and waits:
            server.sleep(_POLL_S)
            rejudge = server.ask("GET", f"{path}/{rejudge['id']}")
        return rejudge

    def check(self, rejudge: Mapping[str, Any], sentence: str) -> None:
        """Raise CheckFailed with a sentence if a rejudge that was started can no longer be applied."""
        if self.starts and rejudge.get("state") not in ("running", "ready"):
            raise CheckFailed(sentence)


def rejudge_options(name: str, history: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the options to a command, which gets them as ``asked``, a RejudgeChoice. ``name``: what the command calls a
    rejudge; ``history``: what it lists."""
    number = click.IntRange(min=1)
    options = (
        click.option("--no-wait", is_flag=True, help="Do not wait until everything is judged."),
        click.option("--show", "shown_id", type=number, metavar=name.upper(), help=f"Print this {name}."),
        click.option("--apply", "applied_id", type=number, metavar=name.upper(), help=f"Apply this {name}."),
        click.option("--cancel", "cancelled_id", type=number, metavar=name.upper(), help=f"Cancel this {name}."),
        click.option("--history", is_flag=True, help=f"List {history}."),
    )

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def with_choice(
            *args: Any,
            shown_id: int | None,
            applied_id: int | None,
            cancelled_id: int | None,
            history: bool,
            **others: Any,
        ) -> None:
            asked = RejudgeChoice(shown_id=shown_id, applied_id=applied_id, cancelled_id=cancelled_id, history=history)
            command(*args, asked=asked, **others)

        for option in reversed(options):
            with_choice = option(with_choice)
        return with_choice

    return decorate
