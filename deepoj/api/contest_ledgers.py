"""The ledgers of contests on this node: one fold a contest, shared by all that read it.

A ledger is caught up with the database at each read, which costs one statement and, if nothing has happened, nothing
else. With it go the views of its readers: one for the public, one for the jury, one for all teams. They are made from
the first event on when they are asked for. Contests that have not been read for the longest time are dropped.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from dataclasses import dataclass, field

import trio

from deepoj.contests.clics import encoded_object
from deepoj.contests.clics_feed import SeenContest, TeamContest
from deepoj.contests.ledger import ContestLedger
from deepoj.contests.views import ANY_TEAM, ContestViewer
from deepoj.judging.languages import LANGUAGES
from deepoj.judging.languages.endings import endings_like
from deepoj.judging.outputs import OUTPUTS
from deepoj.ports.contests import Contests
from deepoj.words.contests import Contest, ContestEvent, EventType

#: contests whose ledgers are kept
_KEPT = 20
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
    #: of PUBLIC, JURY, and ANY_TEAM
    views: dict[ContestViewer, SeenContest] = field(default_factory=dict)


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

    def is_kept(self, contest: Contest) -> bool:
        """Return whether the contest need not be folded from its first event to be read."""
        return contest.id in self._kept

    async def object(self, contest: Contest, viewer: ContestViewer, type_: EventType, object_id: str) -> bytes | None:
        """Return an object of the Contest API as the viewer sees it now, None if it sees none. No view is made."""
        return encoded_object(await self.ledger(contest), viewer, _LANGUAGES, type_, object_id)

    async def view(self, contest: Contest, viewer: ContestViewer) -> tuple[ContestLedger, SeenContest | TeamContest]:
        """Return the contest as it is now, and with it what a viewer sees of it."""
        if viewer.is_jury or viewer.team_id is None:
            return await self._view(contest, viewer)
        ledger, view = await self._view(contest, ANY_TEAM)
        return ledger, view.as_team(viewer.team_id)

    async def _view(self, contest: Contest, viewer: ContestViewer) -> tuple[ContestLedger, SeenContest]:
        kept = self._of(contest)
        begun = kept.begun
        if viewer not in kept.views:
            async with kept.making:
                if viewer not in kept.views:
                    made = await self._with_new_view(contest, kept, viewer)
                    if made is not None:
                        return made
        async with kept.turn:
            if viewer in kept.views:
                await self._catch_up(contest, kept, begun)
            if (view := kept.views.get(viewer)) is not None:
                return kept.ledger, view
        return await self._view(contest, viewer)  # an account has got another name meanwhile

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
        await self._follow(contest, kept.ledger, kept.views)
        for _ in kept.ledger.lay_out():
            await trio.lowlevel.checkpoint()
        kept.ended = kept.begun

    async def _with_new_view(
        self, contest: Contest, kept: _Kept, viewer: ContestViewer
    ) -> tuple[ContestLedger, SeenContest] | None:
        """Make a view from the first event on, with a ledger of its own, and then let it follow the shared one. None:
        an account has got another name meanwhile, and the view may have the former one."""
        async with kept.turn:
            await self._catch_up(contest, kept, kept.begun)
            before = kept.ledger.last
        ledger, views = ContestLedger(), {viewer: SeenContest(viewer, _LANGUAGES)}
        await self._follow(contest, ledger, views, before=before)
        async with kept.turn:
            await self._catch_up(contest, kept, kept.begun)
            await self._follow(contest, ledger, views, before=before, last=kept.ledger.last)
            kept.views |= views
        return (kept.ledger, views[viewer]) if views else None

    async def _follow(
        self,
        contest: Contest,
        ledger: ContestLedger,
        views: dict[ContestViewer, SeenContest],
        *,
        before: int = 0,
        last: int | None = None,
    ) -> None:
        """Fold the events since those that a ledger has, up to the ``last``. When an account has got another name by an
        event after the number ``before``, the views are taken out: their feeds have lines with the former name. Others
        have their turn after some milliseconds."""
        began = trio.current_time()
        while last is None or ledger.last < last:
            wanted = _PAGE if last is None else min(_PAGE, last - ledger.last)
            events = await self._contests.events(contest.id, ledger.last, wanted)
            if not events:
                break
            for event in events:
                if event.number > before and _renames(ledger, event):
                    views.clear()
                ledger.take((event,))
                for _ in itertools.chain.from_iterable(view.follow(ledger, event) for view in views.values()):
                    if trio.current_time() - began >= _HOLD_S:
                        # a reader that goes away here must leave no event by half
                        await trio.lowlevel.cancel_shielded_checkpoint()
                        began = trio.current_time()
                if trio.current_time() - began >= _HOLD_S:
                    await trio.lowlevel.checkpoint()
                    began = trio.current_time()


def _renames(ledger: ContestLedger, event: ContestEvent) -> bool:
    """Return whether an account has another name than it had in its earlier events: it was erased. The store adds names
    when it is read, so those events have the new name now, too."""
    if event.object.type is not EventType.ACCOUNTS:
        return False
    known, data = ledger.of(EventType.ACCOUNTS).get(event.object.id), event.object.data
    if known is None:
        return data is None  # it was taken out of the contest before
    return data is not None and bool(known.get("username") != data.get("username"))


#: languages of submissions, as the Contest API shows them: the judge finds out by itself which file is run
_LANGUAGES = {
    language.key: {
        "name": language.name,
        "entry_point_required": False,
        "extensions": endings_like(language.source_name.rpartition(".")[2]),
    }
    for language in (*LANGUAGES.values(), OUTPUTS)
}


def topic_of(contest: Contest) -> str:
    """Return the topic that is notified of each event of a contest (``api.live.events``)."""
    return f"contest-{contest.id}"
