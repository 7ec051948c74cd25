"""The nodes that judge, as they announce themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


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
