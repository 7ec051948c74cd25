"""The languages of the nodes that judge now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Roster(Protocol):
    """The languages of the nodes that judge now. Raises StoreUnavailable."""

    async def announce(self, node: str, languages: Mapping[str, str], lease_s: float) -> None:
        """Announce the node's languages (language key → version) for ``lease_s``, in place of its earlier ones."""
        ...

    async def live_languages(self) -> Mapping[str, tuple[str, ...]] | None:
        """Return language key → versions of all nodes whose announcement is valid; None: there is no such node."""
        ...
