"""The ledgers of contests on this node: one fold a contest, shared by all that read it.

A ledger is caught up with the database at each read, which costs one statement and, if nothing has happened, nothing
else. With it go the views of its readers: one for the public, one for the jury, one for a team. Those that have not
been read for the longest time are dropped, and made from the first event again when they are asked for.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field

import trio

from deepoj.contests.clics_feed import SeenContest
from deepoj.contests.ledger import ContestLedger
from deepoj.contests.views import ContestViewer
from deepoj.judging.languages import LANGUAGES
from deepoj.judging.outputs import OUTPUTS
from deepoj.ports.contests import Contests
from deepoj.words.contests import Contest

#: contests whose ledgers are kept
_KEPT = 20
#: views that are kept of one contest
_VIEWS = 32
#: events of one statement
_PAGE = 1_000
#: events are folded for so long at a stretch
_HOLD_S = 0.002


@dataclass(slots=True)
class _Kept:
    ledger: ContestLedger = field(default_factory=ContestLedger)
    turn: trio.Lock = field(default_factory=trio.Lock)
    #: held while a view is made, for which readers of the ledger and of other views do not wait
    making: trio.Lock = field(default_factory=trio.Lock)
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
        if viewer not in kept.views:
            async with kept.making:
                if viewer not in kept.views:
                    return await self._with_new_view(contest, kept, viewer)
        async with kept.turn:
            if (view := kept.views.get(viewer)) is not None:
                kept.views.move_to_end(viewer)
                await self._catch_up(contest, kept, begun)
                return kept.ledger, view
        return await self.view(contest, viewer)  # it was dropped meanwhile

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
        await self._follow(contest, kept.ledger, kept.views.values())
        for _ in kept.ledger.lay_out():
            await trio.lowlevel.checkpoint()
        kept.ended = kept.begun

    async def _with_new_view(
        self, contest: Contest, kept: _Kept, viewer: ContestViewer
    ) -> tuple[ContestLedger, SeenContest]:
        """Make a view from the first event on, with a ledger of its own, and then let it follow the shared one."""
        ledger, view = ContestLedger(), SeenContest(viewer, _LANGUAGES)
        await self._follow(contest, ledger, (view,))
        async with kept.turn:
            await self._catch_up(contest, kept, kept.begun)
            await self._follow(contest, ledger, (view,), last=kept.ledger.last)
            kept.views[viewer] = view
            while len(kept.views) > _VIEWS:
                kept.views.popitem(last=False)
        return kept.ledger, view

    async def _follow(
        self, contest: Contest, ledger: ContestLedger, views: Collection[SeenContest], *, last: int | None = None
    ) -> None:
        """Fold the events since those that a ledger has, up to the ``last``. Between two events others have their turn
        after some milliseconds."""
        began = trio.current_time()
        while last is None or ledger.last < last:
            wanted = _PAGE if last is None else min(_PAGE, last - ledger.last)
            events = await self._contests.events(contest.id, ledger.last, wanted)
            if not events:
                return
            for event in events:
                ledger.take((event,))
                for view in views:
                    view.follow(ledger, event)
                if trio.current_time() - began >= _HOLD_S:
                    await trio.lowlevel.checkpoint()
                    began = trio.current_time()


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
