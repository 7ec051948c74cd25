"""Who can judge what: nodes announce their languages, and whoever answers clients knows what live nodes have.

What if a node dies? Its announcement runs out. What if the database is away? Nobody knows then who lives, which is not
the same as nobody: submissions are taken as long as their language is known at all, and wait for a node.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import trio

from deepoj.ports import Roster

#: version or versions, by language key
type Languages = Mapping[str, tuple[str, ...]]

#: between two announcements, and between two looks at them
PERIOD_S = 5.0
#: how long an announcement holds
LEASE_S = 30.0
#: a look that is older says nothing any more
MAX_AGE_S = 30.0


@dataclass(slots=True)
class LatestLanguages:
    """The last look: a request cannot wait for a new one."""

    _seen: Languages | None = None
    _at: float = 0.0

    def put(self, seen: Languages | None) -> None:
        self._seen, self._at = seen, trio.current_time()

    def get(self) -> Languages | None:
        """None: no live node that judges is known, or it is unknown which there are."""
        return self._seen if trio.current_time() - self._at <= MAX_AGE_S else None


async def announce(roster: Roster, node: str, languages: Mapping[str, str]) -> None:
    """For a node that takes work now.

    Raises:
      StoreUnavailable: an earlier announcement may still hold.
    """
    await roster.announce(node, languages, LEASE_S)


async def look(roster: Roster, latest: LatestLanguages) -> None:
    """Keeps what is there now.

    Raises:
      StoreUnavailable: the last look stands until it is too old.
    """
    latest.put(await roster.live_languages())
