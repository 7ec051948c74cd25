"""The nodes, as they announce themselves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from deepoj.words.readiness import PartState

#: the most nodes that are listed
MAX_NODES = 200
#: a node that has not announced itself for longer is not live: it missed two announcements
SILENT_S = 11.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskUse:
    """The file system of one of a node's directories."""

    #: ``work`` or ``blobs``
    directory: str
    free_bytes: int
    total_bytes: int
    #: files that can still be made, and at most; 0 of 0: no fixed number, or a node of an older version
    free_files: int = 0
    total_files: int = 0

    @property
    def used_percent(self) -> int:
        return 0 if self.total_bytes <= 0 else round(100 * (1 - self.free_bytes / self.total_bytes))


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryFacts:
    """The canaries of a node: ``up`` after a clean round, ``down`` while one differs, ``starting`` before."""

    state: PartState
    #: ISO 8601, by the node's clock; None: not known
    since: str | None = None
    #: why the node takes no work
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """Facts about a node beside its languages. Empty: a node of an older version, which announces none."""

    version: str = ""
    roles: tuple[str, ...] = ()
    disks: tuple[DiskUse, ...] = ()
    #: of its sandbox; None: it has none, or an older version
    isolation: str | None = None
    #: None: it does not judge, or an older version
    canaries: CanaryFacts | None = None
    #: part that keeps it from judging, and is not up → its reason
    not_up: Mapping[str, str] = field(default_factory=dict)
    #: metric with its labels → count since the node's start, of repair, deletion and canaries, without zeros
    upkeep: Mapping[str, int] = field(default_factory=dict)
    #: the node's clock, ISO 8601; None: a node of an older version
    clock: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnouncedNode:
    """A node that was there within a day. Times are ISO 8601, by the database's clock."""

    node: str
    #: language key → version; empty: it does not judge
    languages: Mapping[str, str]
    #: whether its last announcement is valid and at most ``SILENT_S`` old
    is_live: bool
    #: whether it is live and takes submissions now
    takes_work: bool
    #: its last announcement
    seen_at: str
    #: as announced; else of its latest verdict, if that is among the latest events of the ledger; None: not known
    isolation: str | None
    judged_at: str | None
    facts: NodeFacts = field(default_factory=NodeFacts)

    @property
    def clock_off_s(self) -> float:
        """Return how far its clock is ahead of the database's; negative: behind. 0: not known."""
        if self.facts.clock is None:
            return 0.0
        ahead = dt.datetime.fromisoformat(self.facts.clock) - dt.datetime.fromisoformat(self.seen_at)
        return ahead.total_seconds()

    @property
    def fails_canaries(self) -> bool:
        canaries = self.facts.canaries
        return self.is_live and canaries is not None and canaries.state is PartState.DOWN
