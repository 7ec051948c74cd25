"""The nodes that judge, as they announce themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskUse:
    """The file system of one of a node's directories."""

    #: ``work`` or ``blobs``
    directory: str
    free_bytes: int
    total_bytes: int

    @property
    def used_percent(self) -> int:
        return 0 if self.total_bytes <= 0 else round(100 * (1 - self.free_bytes / self.total_bytes))


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """What a node says of itself beside its languages. Empty: a node of an older version, which says nothing."""

    version: str = ""
    roles: tuple[str, ...] = ()
    disks: tuple[DiskUse, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnouncedNode:
    """A node that judges, or did within a day. Times are ISO 8601, by the database's clock."""

    node: str
    #: language key → version
    languages: Mapping[str, str]
    #: whether its last announcement is valid
    is_live: bool
    #: end of its last announcement
    live_until: str
    #: of its latest verdict, if that is among the latest events of the ledger; None: not known
    isolation: str | None
    judged_at: str | None
    facts: NodeFacts = field(default_factory=NodeFacts)
