"""The ledgers of contests on this node: one fold a contest, shared by all that read it.

A ledger is caught up with the database at each read, which costs one statement and, if nothing has happened, nothing
else. With it go the views of its readers: one for the public, one for the jury, one for a team. Those that have not
been read for the longest time are dropped, and made from the first event again when they are asked for.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

import trio

from deepoj.contests.clics_feed import SeenContest
from deepoj.contests.ledger import ContestLedger
from deepoj.contests.views import ContestViewer
from deepoj.judging.languages import LANGUAGES
from deepoj.judging.outputs import OUTPUTS
from deepoj.ports.contests import Contests
from deepoj.words.contests import Contest, ContestEvent

#: contests whose ledgers are kept
_KEPT = 20
#: views that are kept of one contest
_VIEWS = 32
#: events of one statement: the node does nothing else while they are folded
_PAGE = 1_000


@dataclass(slots=True)
class _Kept:
    ledger: ContestLedger = field(default_factory=ContestLedger)
    turn: trio.Lock = field(default_factory=trio.Lock)
    #: times that it was caught up: begun, and the last one that has ended well
    begun: int = 0
    ended: int = 0
    views: OrderedDict[ContestViewer, SeenContest] = field(default_factory=OrderedDict)


class ContestLedgers:
    """Raises StoreUnavailable."""

    def __init__(self, contests: Contests) -> None:
        self._contests = contests
        self._kept: OrderedDict[int, _Kept] = OrderedDict()

    async def ledger(self, contest: Contest) -> ContestLedger:
        """Return the contest as it is now. It goes on changing: read what you need before you wait for anything."""
        kept = self._of(contest)
        begun = kept.begun
        async with kept.turn:
            await self._catch_up(contest, kept, begun)
        return kept.ledger

    async def view(self, contest: Contest, viewer: ContestViewer) -> tuple[ContestLedger, SeenContest]:
        """Return the same, and with it what a viewer sees of it."""
        kept = self._of(contest)
        begun = kept.begun
        async with kept.turn:
            view = kept.views.get(viewer)
            if view is None:
                view = kept.views[viewer] = await self._made(contest, viewer, kept.ledger.last)
            kept.views.move_to_end(viewer)
            while len(kept.views) > _VIEWS:
                kept.views.popitem(last=False)
            await self._catch_up(contest, kept, begun)
        return kept.ledger, view

    def _of(self, contest: Contest) -> _Kept:
        kept = self._kept.setdefault(contest.id, _Kept())
        self._kept.move_to_end(contest.id)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return kept

    async def _catch_up(self, contest: Contest, kept: _Kept, begun_before: int) -> None:
        """Take in what has happened, unless that was begun after the reader came, and has ended: readers who wait for
        one another, such as a thousand who are woken by one verdict, share it."""
        if kept.ended > begun_before:
            return
        kept.begun += 1
        while events := await self._contests.events(contest.id, kept.ledger.last, _PAGE):
            _fold(kept.ledger, kept.views.values(), events)
        kept.ended = kept.begun

    async def _made(self, contest: Contest, viewer: ContestViewer, last: int) -> SeenContest:
        """Return a view that has followed the ledger up to an event."""
        ledger, view = ContestLedger(), SeenContest(viewer, _LANGUAGES)
        while events := await self._contests.events(contest.id, ledger.last, min(_PAGE, last - ledger.last)):
            _fold(ledger, (view,), events)
        return view


def _fold(ledger: ContestLedger, views: Iterable[SeenContest], events: Iterable[ContestEvent]) -> None:
    for event in events:
        ledger.take((event,))
        for view in views:
            view.follow(ledger, event)


#: languages of submissions, as the Contest API shows them: the judge finds out by itself which file is run
_LANGUAGES = {
    language.key: {
        "name": language.name,
        "entry_point_required": False,
        "entry_point_name": None,
        "extensions": [language.source_name.rpartition(".")[2]],
    }
    for language in (*LANGUAGES.values(), OUTPUTS)
}


def topic_of(contest: Contest) -> str:
    """Return the topic that is notified of each event of a contest (``api.live.events``)."""
    return f"contest-{contest.id}"
