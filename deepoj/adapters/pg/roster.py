"""The nodes that judge, and their languages (``sql/queries/roster.sql``).

What if a node dies? Its announcement expires by the database's clock.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from deepoj.adapters.pg.pool import PgPool
from deepoj.words.roster import AnnouncedNode

#: events of the ledger in which a node's latest verdict is looked for
_LATEST_EVENTS = 1000


class PgRoster:
    """Nodes that judge (``ports.Roster``)."""

    def __init__(self, pool: PgPool) -> None:
        self._pool = pool

    async def announce(self, node: str, languages: Mapping[str, str], lease_s: float) -> None:
        await self._pool.rows("announce", node, json.dumps(dict(languages)), lease_s, repeatable=True)

    async def live_languages(self) -> Mapping[str, tuple[str, ...]] | None:
        rows = await self._pool.rows("live_languages", repeatable=True)
        if not rows:
            return None
        versions_of: dict[str, set[str]] = {}
        for row in rows:
            if row["language"] is not None:
                versions_of.setdefault(row["language"], set()).add(row["version"])
        return {key: tuple(sorted(versions)) for key, versions in versions_of.items()}

    async def announced_nodes(self, limit: int) -> list[AnnouncedNode]:
        return [
            AnnouncedNode(
                node=row["node"],
                languages=json.loads(row["languages"]),
                is_live=row["is_live"],
                live_until=row["live_until"].isoformat(),
                isolation=row["isolation"],
                judged_at=None if row["judged_at"] is None else row["judged_at"].isoformat(),
            )
            for row in await self._pool.rows("announced_nodes", limit, _LATEST_EVENTS, repeatable=True)
        ]
