"""Settings after reading and before the checks: the rules read and change them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from deepoj.words.errors import StartRefused


class ConfigError(StartRefused):
    """A setting is wrong, unknown or contradicts another: ``str()`` is the sentence, the exit code is 2."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, 2)


@dataclass(slots=True)
class SettingsDraft:
    """The typed value of every key, its source, and the changes that rules made."""

    values: dict[str, Any]
    #: of keys that a flag, the environment or the file set
    sources: dict[str, str]
    warnings: list[str] = field(default_factory=list)
    #: sources of derived defaults
    decided: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def is_set(self, name: str) -> bool:
        """Return whether a flag, the environment or the file set the key."""
        return name in self.sources

    def where(self, name: str) -> str:
        """Return the key with its source, for error sentences."""
        return f"{name} ({self.source(name)})"

    def source(self, name: str) -> str:
        """Return the source of the value."""
        return self.sources.get(name) or self.decided.get(name, "default")

    def default(self, name: str, value: object, why: str) -> None:
        """Set the value unless the key was set by the user."""
        if not self.is_set(name) and self.values[name] != value:
            self.values[name] = value
            self.decided[name] = f"default ({why})"
