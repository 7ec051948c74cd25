"""The ledgers of a node: one fold for all readers, in turns short enough for others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest
import trio

from deepoj.api import contest_ledgers
from deepoj.api.contest_ledgers import ContestLedgers
from deepoj.contests.views import PUBLIC, ContestViewer
from deepoj.words.contests import Contest, ContestEvent
from tests.contests.ledgers import MadeLedger, Step, feed
from tests.fakes.contests import NoContests

NEXT: Step = ("state", 0, 0, "")
#: 300 verdicts of the freeze, and its end
FROZEN: list[Step] = [
    NEXT, NEXT, *([("submit", 1, 299, "")] * 300), *([("judge", 0, 0, "Accepted")] * 300), NEXT, NEXT,
]  # fmt: skip


class MadeContests(NoContests):
    """Contests with events that were made up."""

    def __init__(self, steps: list[Step]) -> None:
        self._made = MadeLedger()
        self.take(*steps)
        self.told = 0

    def take(self, *steps: Step) -> None:
        for each in steps:
            self._made.take(each)

    async def events(self, contest_id: int, after: int, limit: int) -> list[ContestEvent]:
        await trio.lowlevel.checkpoint()
        found = self._made.events[after : after + limit]
        self.told += len(found)
        return found

    async def feed(self, viewer: ContestViewer) -> bytes:
        """Return the feed on a node that has read nothing before."""
        _, view = await ContestLedgers(self).view(contest(), viewer)
        return feed(view)


def contest() -> Contest:
    return cast("Contest", SimpleNamespace(id=1, key="finals"))


async def test_event_is_read_once_however_many_teams_read_their_feeds() -> None:
    made = MadeContests(FROZEN)
    ledgers = ContestLedgers(made)
    teams = [ContestViewer(team_id=f"t{team}") for team in range(200)]
    for team in teams:
        await ledgers.view(contest(), team)
    made.told = 0
    made.take(("submit", 0, 300, ""))
    views = [(await ledgers.view(contest(), team))[1] for team in teams]
    assert made.told == 1
    assert [feed(view) for view in views[:3]] == [await made.feed(team) for team in teams[:3]]


async def test_reader_who_goes_away_leaves_no_event_by_half(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contest_ledgers, "_HOLD_S", 0.0)
    made = MadeContests(FROZEN)
    ledgers = ContestLedgers(made)
    for viewer in (PUBLIC, ContestViewer(team_id="t1")):
        await ledgers.view(contest(), viewer)
    made.take(NEXT)

    turns = 0
    while True:  # each time one turn later
        turns += 1
        with trio.CancelScope() as gone:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_cancel_after, turns, gone)
                await ledgers.view(contest(), PUBLIC)
        if not gone.cancelled_caught:
            break
    for viewer in (PUBLIC, ContestViewer(team_id="t1"), ContestViewer(team_id="t2")):
        _, view = await ledgers.view(contest(), viewer)
        assert feed(view) == await made.feed(viewer)


async def _cancel_after(turns: int, scope: trio.CancelScope) -> None:
    for _ in range(turns):
        await trio.lowlevel.checkpoint()
    scope.cancel()
