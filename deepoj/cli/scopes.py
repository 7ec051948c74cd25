"""The options that name some submissions of a problem, for its rejudges and previews of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import click

_OPTIONS = (
    click.option("--verdict", help="Only submissions with this verdict, as 'Wrong Answer'."),
    click.option("--language", help="Only submissions in this language, by key or number."),
    click.option("--since", metavar="TIME", help="Only those submitted at or after it, as 2026-01-31T12:00:00Z."),
    click.option("--until", metavar="TIME", help="Only those submitted before it."),
    click.option("--full", is_flag=True, help="Run every test again, also unchanged ones."),
)


def scope_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options to a command, which gets them as ``scope``: the parameters of a request."""

    @wraps(command)
    def with_scope(
        *args: Any,
        verdict: str | None,
        language: str | None,
        since: str | None,
        until: str | None,
        full: bool,
        **options: Any,
    ) -> None:
        given = {"verdict": verdict, "language": language, "since": since, "until": until}
        scope: Mapping[str, str] = {name: value for name, value in given.items() if value is not None}
        command(*args, scope={**scope, **({"full": "true"} if full else {})}, **options)

    for option in reversed(_OPTIONS):
        with_scope = option(with_scope)
    return with_scope
