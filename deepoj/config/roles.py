"""The roles of a node, and short names for several roles."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping


class Role(enum.StrEnum):
    """A part of a node's work."""

    API = "api"
    DISPATCHER = "dispatcher"
    CONSUMER = "consumer"
    RECLAIM = "reclaim"
    REPAIR = "repair"
    GC = "gc"


#: short names for several roles
ROLE_ALIASES: Mapping[str, frozenset[Role]] = {
    "worker": frozenset({Role.CONSUMER, Role.RECLAIM}),
    "scheduler": frozenset({Role.REPAIR, Role.GC}),
    "all": frozenset(Role),
}


def role_names(value: object) -> list[str]:
    """Return the role names of a comma-separated string, a YAML list or a set of roles."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, Iterable):
        raise ValueError("a list of role names is required")
    return [str(part).strip() for part in parts if str(part).strip()]


def expand_roles(value: object) -> frozenset[Role]:
    """Convert role names and aliases to roles. Raises ValueError with the name of an unknown one."""
    roles: set[Role] = set()
    for name in role_names(value):
        if name in ROLE_ALIASES:
            roles |= ROLE_ALIASES[name]
        elif name in frozenset(Role):
            roles.add(Role(name))
        else:
            raise ValueError(f'"{name}" is not a role')
    return frozenset(roles)
