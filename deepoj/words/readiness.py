"""Readiness of a node."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field


class PartState(enum.StrEnum):
    """The state of one dependency or role, as ``ready`` shows it."""

    UP = "up"
    STARTING = "starting"
    RESTARTING = "restarting"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Readiness:
    """The readiness of the whole node: it is ready when every part is up."""

    parts: Mapping[str, PartState] = field(default_factory=dict)
    #: a sentence for each part that is not up
    reasons: Mapping[str, str] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        return all(state is PartState.UP for state in self.parts.values())
