"""Which nodes are there, and which languages they can judge: every node announces itself, and nodes that serve the API
read the languages.

What if a node dies? Its announcement expires. What if the database is away? Then the live nodes are unknown, which does
not mean that there are none: submissions are accepted if their language is known at all, and wait for a node.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import trio

from deepoj.ports.roster import Roster
from deepoj.words.errors import StoreUnavailable
from deepoj.words.roster import NodeFacts

#: version or versions, by language key
type Languages = Mapping[str, tuple[str, ...]]

#: period of announcing, and of reading the announcements
PERIOD_S = 5.0
#: how long an announcement is valid
LEASE_S = 30.0
#: how long a node that ends waits for the database to forget it
WITHDRAW_S = 1.0
#: the age after which the last reading is no longer used
MAX_AGE_S = 30.0


@dataclass(slots=True)
class LatestLanguages:
    """The last reading: a request cannot wait for a new one."""

    _languages: Languages | None = None
    _at: float = 0.0

    def put(self, languages: Languages | None) -> None:
        self._languages, self._at = languages, trio.current_time()

    def get(self) -> Languages | None:
        """Return None if no live node that judges is known, or if the live nodes are unknown."""
        return self._languages if trio.current_time() - self._at <= MAX_AGE_S else None


async def announce(
    roster: Roster, node: str, languages: Mapping[str, str], facts: NodeFacts, *, takes_work: bool | None
) -> None:
    """Announce a node. Its languages count while it takes work. None: it does not know yet, and what it announced
    before a short restart stays valid for as long as was said then.

    Raises:
      StoreUnavailable: an earlier announcement may still be valid.
    """
    await roster.announce(node, languages, LEASE_S, facts, takes_work=takes_work)


async def withdraw(roster: Roster, node: str) -> None:
    """Take back the announcement of a node that ends on purpose, so that it is not reported as silent. In bounded time,
    despite a cancel; if the database is away, the announcement expires by itself."""
    with trio.CancelScope(shield=True, deadline=trio.current_time() + WITHDRAW_S), suppress(StoreUnavailable):
        await roster.withdraw(node)


async def look(roster: Roster, latest: LatestLanguages) -> None:
    """Read the languages of the live nodes into ``latest``.

    Raises:
      StoreUnavailable: the last reading is used until it is too old.
    """
    latest.put(await roster.live_languages())
