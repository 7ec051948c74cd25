"""Every setting by its key: its environment name, what it may be, and its value as it may be shown."""

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

#: about the settings, not settings
NOT_KEYS = frozenset({"sources", "warnings"})


@dataclass(frozen=True, slots=True)
class Leaf:
    """One key: how it is called in the environment, and what it may be."""

    key: str
    info: FieldInfo
    env: str | None
    secret: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """One effective setting as people may see it: secrets masked, with its source."""

    key: str
    value: object
    source: str


@cache
def leaves() -> Mapping[str, Leaf]:
    """Every key of the contract, in its order."""
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
    """The value under a dotted key."""
    value: Any = cfg
    for part in name.split("."):
        value = getattr(value, part)
    return value


def allowed(info: FieldInfo) -> str:
    """What a setting may be, in words."""
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
    """The value as it may be shown: secrets hidden, and passwords inside URLs too."""
    if value in ("", None):
        return value
    if name in leaves() and leaves()[name].secret:
        return MASK
    return mask_url(value) if isinstance(value, str) and "://" in value else value


def effective(cfg: Config) -> list[Shown]:
    """Every setting with its source, secrets masked; values are JSON types."""
    return [Shown(name, _plain(mask(name, value_of(cfg, name))), cfg.sources[name]) for name in leaves()]


def _plain(value: object) -> object:
    if isinstance(value, frozenset):
        return sorted(str(item) for item in value)
    if isinstance(value, Path):
        return str(value)
    return json.loads(json.dumps(value))
