"""A contest as one account sees it, for the API, the Contest API and the web pages."""

from __future__ import annotations

from dataclasses import dataclass

from deepoj.api.contest_errors import ContestError
from deepoj.api.errors import Refused
from deepoj.api.rights import Right, may
from deepoj.contests.board import Board
from deepoj.contests.ledger import ContestLedger, Object
from deepoj.contests.views import JURY, ContestViewer, seen
from deepoj.ports.contests import Contests
from deepoj.words.accounts import User
from deepoj.words.contests import Contest, EventType


@dataclass(frozen=True, slots=True)
class ContestSight:
    """A contest, and as whom an account looks at it."""

    contest: Contest
    viewer: ContestViewer

    @property
    def feed_viewer(self) -> ContestViewer:
        """As whom the account reads the event feed: there one of the jury is of no team."""
        return JURY if self.viewer.is_jury else self.viewer

    def board(self, ledger: ContestLedger) -> Board:
        """Return the board that the viewer sees."""
        return ledger.jury_board if self.viewer.is_jury else ledger.public_board

    def objects(self, ledger: ContestLedger, type_: EventType) -> dict[str, Object]:
        """Return the objects of a type that the viewer sees, by id."""
        return {
            object_id: data
            for object_id, data in ledger.of(type_).items()
            if seen(ledger, self.viewer, type_, object_id, data)
        }


async def find_contest(contests: Contests, key: str, user: User | None) -> ContestSight:
    """Return a contest that the account sees; a contest that is not public is not there for others.

    Raises Refused (404) or StoreUnavailable.
    """
    contest = await contests.contest(key)
    sight = None if contest is None else await sight_of(contests, user, contest)
    if sight is None:
        raise Refused(ContestError.NO_SUCH_CONTEST)
    return sight


async def sight_of(contests: Contests, user: User | None, contest: Contest) -> ContestSight | None:
    """Return the contest as an account sees it; None: it does not see it. Raises StoreUnavailable."""
    is_jury = user is not None and may(user, Right.RUN_CONTESTS)
    team_id = None if user is None else await contests.team_of(contest.id, user.id)
    is_own = user is not None and contest.created_by == user.id
    is_seen = contest.rules.is_public or is_jury or is_own or team_id is not None
    return ContestSight(contest, ContestViewer(is_jury=is_jury, team_id=team_id)) if is_seen else None


async def feed_viewer(contests: Contests, user: User | None, contest: Contest) -> ContestViewer | None:
    """Return as whom an account reads the event feed; None: it does not see the contest. Raises StoreUnavailable."""
    sight = await sight_of(contests, user, contest)
    return None if sight is None else sight.feed_viewer
