"""Shared by all commands: the global options, the settings, and access to the database."""

from __future__ import annotations

import json
import os
import pwd
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deepoj.config.loader import load
from deepoj.config.model import Config
from deepoj.wiring.targets import database_url

if TYPE_CHECKING:
    from deepoj.adapters.pg import PgStore


@dataclass(frozen=True, slots=True)
class GlobalOptions:
    """``deepoj --config FILE --home DIR``."""

    config_file: Path | None = None
    home: Path | None = None


def settings(flags: Mapping[str, object] | None = None) -> Config:
    """Return the settings of the running command. ``flags``: its options by their keys in the settings file (None for
    an option not given). Raises ConfigError."""
    context = click.get_current_context(silent=True)
    options = context.find_object(GlobalOptions) if context is not None else None
    options = options or GlobalOptions()
    return load({"home": options.home, **(flags or {})}, config_file=options.config_file)


def with_store[T](work: Callable[[PgStore], Awaitable[T]]) -> T:
    """Call ``work`` with the configured database, over one connection, and return its result."""
    import trio  # noqa: PLC0415 - `deepoj judge` and `--help` stay light

    from deepoj import observe  # noqa: PLC0415
    from deepoj.adapters.aio_bridge import AioBridge  # noqa: PLC0415
    from deepoj.adapters.pg import PgStore  # noqa: PLC0415

    observe.configure(level="warning")  # the output is the result

    async def go(dsn: str) -> T:
        async with AioBridge.open() as bridge, PgStore.open(bridge, dsn, min_conns=0, max_conns=1) as store:
            return await work(store)

    return trio.run(go, database_url(settings()))


def print_json(value: object) -> None:
    """Print the value as exactly one line on stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def operator(command: str) -> str:
    """Return who runs this command, as logs of acts name him: ``root (deepoj dlq)``."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = f"uid {os.getuid()}"
    return f"{name} (deepoj {command})"
