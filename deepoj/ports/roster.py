"""The nodes and their languages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from deepoj.words.roster import AnnouncedNode, NodeFacts


class Roster(Protocol):
    """The nodes and their languages. Raises StoreUnavailable. Implemented by ``adapters.pg.roster``."""

    async def announce(
        self,
        node: str,
        languages: Mapping[str, str],
        lease_s: float,
        facts: NodeFacts | None = None,
        *,
        takes_work: bool | None = True,
    ) -> None:
        """Announce the node with its languages (language key → version) for ``lease_s``, in place of its earlier
        announcement. A node that does not take work now counts as one that has no language. None: whether it takes work
        stays as it was announced, for as long as was said then."""
        ...

    async def withdraw(self, node: str) -> None:
        """Forget the node's announcement: it ends on purpose."""
        ...

    async def live_languages(self) -> Mapping[str, tuple[str, ...]] | None:
        """Return language key → versions of all live nodes that take work; None: there is no such node."""
        ...

    async def announced_nodes(self, limit: int) -> list[AnnouncedNode]:
        """Return the nodes that were announced within a day, live ones first, by name, at most ``limit``."""
        ...
