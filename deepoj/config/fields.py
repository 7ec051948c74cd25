"""How a setting is declared: with its default, environment name, range, and a sentence for the reference.

Attribute paths are the keys of ``config.yaml``: ``cfg.api.outbox.dispatch_interval_ms``. Seconds may be fractions;
fields with another unit (``_ms``, ``_kb``, ``_bytes``) are integers.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

DAY_MS = 24 * 3600 * 1000
DAY_SEC = 24 * 3600
GIB = 1024**3


def key(
    default: object,
    env: str | None = None,
    *,
    doc: str = "",
    ge: float | None = None,
    le: float | None = None,
    min_length: int | None = None,
    secret: bool = False,
    flag_only: bool = False,
) -> Any:
    """Declare a setting.

    ``env``: its environment name; by default ``DEEPOJ_`` and the key in capitals. ``doc``: a sentence for the
    reference: what the setting does, its unit, and when to change it.
    """
    return Field(
        default,
        description=doc,
        ge=ge,
        le=le,
        min_length=min_length,
        json_schema_extra={"env": env, "secret": secret, "flag_only": flag_only},
    )


def whole(default: int, env: str | None = None, *, doc: str = "", ge: int = 1, le: int = 2**31 - 1) -> Any:
    """Declare an integer setting, positive unless ``ge`` says otherwise."""
    return key(default, env, doc=doc, ge=ge, le=le)


class Section(BaseModel):
    """A group of settings: frozen, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True, arbitrary_types_allowed=True)


def section(model: type[Section]) -> Any:
    """Declare a nested group with its defaults."""
    return Field(default_factory=model)
