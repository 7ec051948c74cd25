"""The nodes and their languages (``sql/queries/roster.sql``).

What if a node dies? Its announcement expires by the database's clock.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from deepoj.adapters.pg.pool import PgPool
from deepoj.words.readiness import PartState
from deepoj.words.roster import SILENT_S, AnnouncedNode, CanaryFacts, DiskUse, NodeFacts

if TYPE_CHECKING:
    import asyncpg

#: events of the ledger in which a node's latest verdict is looked for
_LATEST_EVENTS = 1000


class PgRoster:
    """The nodes (``ports.Roster``)."""

    def __init__(self, pool: PgPool) -> None:
        self._pool = pool

    async def announce(
        self,
        node: str,
        languages: Mapping[str, str],
        lease_s: float,
        facts: NodeFacts | None = None,
        *,
        takes_work: bool | None = True,
    ) -> None:
        stored, known = json.dumps(asdict(facts or NodeFacts())), json.dumps(dict(languages))
        await self._pool.rows("announce", node, known, lease_s, stored, takes_work, repeatable=True)

    async def withdraw(self, node: str) -> None:
        await self._pool.rows("withdraw_node", node, repeatable=True)

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
        rows = await self._pool.rows("announced_nodes", limit, _LATEST_EVENTS, SILENT_S, repeatable=True)
        return [_announced(row, _facts(row["facts"])) for row in rows]


def _announced(row: asyncpg.Record, facts: NodeFacts) -> AnnouncedNode:
    return AnnouncedNode(
        node=row["node"],
        languages=json.loads(row["languages"]),
        is_live=row["is_live"],
        takes_work=row["takes_work"],
        seen_at=row["seen_at"].isoformat(),
        isolation=facts.isolation or row["isolation"],
        judged_at=None if row["judged_at"] is None else row["judged_at"].isoformat(),
        facts=facts,
    )


def _facts(stored: str) -> NodeFacts:
    facts = json.loads(stored)
    return NodeFacts(
        version=facts.get("version", ""),
        roles=tuple(facts.get("roles", ())),
        disks=tuple(
            DiskUse(
                directory=one["directory"],
                free_bytes=one["free_bytes"],
                total_bytes=one["total_bytes"],
                free_files=one.get("free_files", 0),
                total_files=one.get("total_files", 0),
            )
            for one in facts.get("disks", ())
        ),
        isolation=facts.get("isolation"),
        canaries=_canaries(facts.get("canaries")),
        not_up=facts.get("not_up", {}),
        upkeep=facts.get("upkeep", {}),
        clock=facts.get("clock"),
    )


def _canaries(facts: Mapping[str, Any] | None) -> CanaryFacts | None:
    if facts is None or facts["state"] not in set(PartState):  # of a later version
        return None
    return CanaryFacts(state=PartState(facts["state"]), since=facts["since"], reason=facts["reason"])
