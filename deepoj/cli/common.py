"""What every command needs: the global options and the settings that come of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from deepoj.config import Config, load


@dataclass(frozen=True, slots=True)
class GlobalOptions:
    """``deepoj --config FILE --home DIR``."""

    config_file: Path | None = None
    home: Path | None = None


def settings(flags: Mapping[str, object] | None = None) -> Config:
    """The settings of the running command. ``flags``: its own options under the keys of the settings file (None for
    an option not given). Raises ConfigError."""
    context = click.get_current_context(silent=True)
    options = context.find_object(GlobalOptions) if context is not None else None
    options = options or GlobalOptions()
    return load({"home": options.home, **(flags or {})}, config_file=options.config_file)


def print_json(value: object) -> None:
    """Exactly one line on stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")
    sys.stdout.flush()
