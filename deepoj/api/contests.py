"""The ledgers of contests on this node: one fold a contest, shared by all that read it.

A ledger is caught up with the database at each read, which costs one statement and, if nothing has happened, nothing
else. Reads that wait for one another share a statement that began after they did, so a thousand spectators who are
woken by one verdict cost two. Ledgers that have not been read for the longest time are dropped.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import trio

from deepoj.contests.ledger import ContestLedger
from deepoj.ports.contests import Contests
from deepoj.words.contests import Contest

#: contests whose ledgers are kept
_KEPT = 20
#: events of one statement
_PAGE = 5_000


@dataclass(slots=True)
class _Kept:
    ledger: ContestLedger = field(default_factory=ContestLedger)
    turn: trio.Lock = field(default_factory=trio.Lock)
    #: statements that have begun, and the number of the last one that has ended well
    begun: int = 0
    ended: int = 0


class ContestLedgers:
    """Raises StoreUnavailable."""

    def __init__(self, contests: Contests) -> None:
        self._contests = contests
        self._kept: OrderedDict[int, _Kept] = OrderedDict()

    async def ledger(self, contest: Contest) -> ContestLedger:
        """Return the contest as it is now. It goes on changing: read what you need before you wait for anything."""
        kept = self._kept.setdefault(contest.id, _Kept())
        self._kept.move_to_end(contest.id)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        begun_before = kept.begun
        async with kept.turn:
            if kept.ended > begun_before:
                return kept.ledger
            kept.begun += 1
            while events := await self._contests.events(contest.id, kept.ledger.last, _PAGE):
                kept.ledger.take(events)
            kept.ended = kept.begun
        return kept.ledger


def topic_of(contest: Contest) -> str:
    """Return the topic that is notified of each event of a contest (``api.live.events``)."""
    return f"contest-{contest.id}"
