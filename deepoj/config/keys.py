"""Every setting by its key: its environment name, its allowed values, and its value with secrets hidden."""

from __future__ import annotations

import enum
import json
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from deepoj.config.addresses import MASK, mask_url
from deepoj.config.fields import Section
from deepoj.config.model import Config

#: fields of ``Config`` that are no settings
NOT_KEYS = frozenset({"sources", "warnings"})


@dataclass(frozen=True, slots=True)
class Leaf:
    """One setting: its key, its field in the model, and its environment name (None: it is set by a flag only)."""

    key: str
    info: FieldInfo
    env: str | None
    secret: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """One setting with its value in force and its source; a secret is masked."""

    key: str
    value: object
    source: str


@cache
def leaves() -> Mapping[str, Leaf]:
    """Return all settings by key, in the order of the contract."""
    return {leaf.key: leaf for leaf in _walk(Config, "")}


def _walk(model: type[Section], prefix: str) -> Iterator[Leaf]:
    for name, info in model.model_fields.items():
        annotation = info.annotation
        if not prefix and name in NOT_KEYS:
            continue
        if isinstance(annotation, type) and issubclass(annotation, Section):
            yield from _walk(annotation, f"{prefix}{name}.")
            continue
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        env = extra.get("env") or f"DEEPOJ_{prefix}{name}".upper().replace(".", "_")
        yield Leaf(
            f"{prefix}{name}", info, None if extra.get("flag_only") else str(env), secret=bool(extra.get("secret"))
        )


def value_of(cfg: Config, name: str) -> Any:
    """Return the value of a dotted key."""
    value: Any = cfg
    for part in name.split("."):
        value = getattr(value, part)
    return value


def allowed(info: FieldInfo) -> str:
    """Describe the allowed values of a setting."""
    annotation = info.annotation
    low = next((item.ge for item in info.metadata if hasattr(item, "ge")), None)
    high = next((item.le for item in info.metadata if hasattr(item, "le")), None)
    if annotation is bool:
        return "true or false"
    if annotation in (int, float):
        kind = "a whole number" if annotation is int else "a number"
        return f"{kind} from {low} to {high}"
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return f"one of {', '.join(str(member.value) for member in annotation)}"
    if typing.get_origin(annotation) is typing.Literal:
        return f"one of {', '.join(typing.get_args(annotation))}"
    if typing.get_origin(annotation) is tuple:
        return "a list of texts (in the environment separated by commas)"
    shortest = next((item.min_length for item in info.metadata if hasattr(item, "min_length")), None)
    return f"a text of at least {shortest} characters" if shortest else "a text"


def mask(name: str, value: object) -> object:
    """Return the value with secrets hidden, and with passwords hidden in URLs."""
    if value in ("", None):
        return value
    if name in leaves() and leaves()[name].secret:
        return MASK
    return mask_url(value) if isinstance(value, str) and "://" in value else value


def effective(cfg: Config) -> list[Shown]:
    """Return every setting with its source. Secrets are masked; values are JSON types."""
    return [Shown(name, _plain(mask(name, value_of(cfg, name))), cfg.sources[name]) for name in leaves()]


def _plain(value: object) -> object:
    if isinstance(value, frozenset):
        return sorted(str(item) for item in value)
    if isinstance(value, Path):
        return str(value)
    return json.loads(json.dumps(value))
