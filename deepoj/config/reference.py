"""Generates the reference of all settings from the settings model, independently of the settings of this host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path

from deepoj.config.checks import NO_EFFECT_YET
from deepoj.config.keys import Leaf, allowed, leaves, value_of
from deepoj.config.model import Config
from deepoj.config.roles import ROLE_ALIASES, Role

HEAD = """# Settings

Generated from the settings model by `deepoj config reference`; do not edit. Flags override the environment, the
environment overrides `config.yaml`, and that overrides the default. `deepoj config show` prints the effective settings
and their sources. `config.example.yaml` has every setting in the form of the file.
"""
#: defaults in words, for settings whose default is derived from other settings
FOLLOWS: Mapping[str, str] = {
    "home": "`./.deepoj`",
    "path.workspace_root": "`<home>/workspace`",
    "api.stream.stream_key": "`<redis.key_prefix>[:<redis.key_env>]:jobs`",
    "worker.stream.stream_key": "as `api.stream.stream_key`",
    "worker.stream.group": "`<redis.key_prefix>[:<redis.key_env>]:workers`",
    "worker.stream.consumer": "`worker.id`, else host name and process id",
    "worker.workspace": "as `path.workspace_root`",
    "scheduler.metrics.instance_id": "`scheduler.scheduler_id`",
    **{f"{role}.redis_url": "as `api.redis_url`" for role in ("scheduler", "worker")},
    **{f"{role}.database_url": "as `api.database_url`" for role in ("scheduler", "worker")},
    **{
        f"worker.minio.{name}": f"as `api.minio.{name}`"
        for name in ("endpoint", "access_key", "secret_key", "bucket", "secure")
    },
    **{
        f"api.limits.{kind}.{name}": f"as `api.limits.rate_limit.{name}`"
        for kind in ("auth_rate_limit", "submit_rate_limit")
        for name in ("ip_limit", "user_limit", "window_sec")
    },
}  # fmt: skip


def _allowed(leaf: Leaf) -> str:
    if leaf.key in ("roles", "without_roles"):
        return f"a list of {', '.join([*Role, *ROLE_ALIASES])}"
    return "a directory" if leaf.info.annotation is Path else allowed(leaf.info).partition(" (")[0]


def as_json() -> list[dict[str, object]]:
    """Return ``{key, environment, default, allowed, doc, secret, effect}`` of each setting. A derived default is a
    text."""
    return [
        {
            "key": leaf.key,
            "environment": leaf.env,
            "default": FOLLOWS.get(leaf.key) or _plain(_default(leaf)),
            "allowed": _allowed(leaf),
            "doc": leaf.info.description or "",
            "secret": leaf.secret,
            "effect": leaf.key not in NO_EFFECT_YET,
        }
        for leaf in leaves().values()
    ]


def markdown() -> str:
    """Return the whole reference, one table per group."""
    return "\n".join([HEAD, *_groups()]).rstrip() + "\n"


def _groups() -> Iterator[str]:
    for group, members in groupby(leaves().values(), key=lambda leaf: leaf.key.rpartition(".")[0]):
        yield f"## {group or 'The node'}\n"
        yield "| Setting | Environment | Default | What it does |"
        yield "|---|---|---|---|"
        yield from map(_row, members)
        yield ""


def _row(leaf: Leaf) -> str:
    env = f"`{leaf.env}`" if leaf.env else "flags only"
    default = FOLLOWS.get(leaf.key) or _code(_plain(_default(leaf)))
    doc = f"{leaf.info.description or ''} ({_allowed(leaf)})"
    if leaf.secret:
        doc += " Secret."
    if leaf.key in NO_EFFECT_YET:
        doc += " *No effect yet.*"
    return f"| `{leaf.key}` | {env} | {default} | {doc.replace('|', chr(92) + '|')} |"


def _default(leaf: Leaf) -> object:
    """Return the default of the model, without the rules that depend on this host."""
    return value_of(Config(), leaf.key)


def _plain(value: object) -> object:
    match value:
        case frozenset():
            return ["all"] if value else []
        case tuple():
            return list(value)
        case Path():
            return str(value)
        case float() if value.is_integer():
            return int(value)
        case _:
            return value


def _code(value: object) -> str:
    match value:
        case "" | []:
            return "empty"
        case bool():
            return f"`{str(value).lower()}`"
        case list():
            return f"`{','.join(map(str, value))}`"
        case _:
            return f"`{value}`"
