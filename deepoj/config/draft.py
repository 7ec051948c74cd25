"""Settings between reading and checking."""

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
    """Settings under way: typed values of every key, where they came from, and what was decided about them."""

    values: dict[str, Any]
    #: only of keys that were set
    sources: dict[str, str]
    warnings: list[str] = field(default_factory=list)
    #: sources of derived defaults
    decided: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def told(self, name: str) -> bool:
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
        if not self.told(name) and self.values[name] != value:
            self.values[name] = value
            self.decided[name] = f"default ({why})"
