"""The awards of a contest, computed from the jury's board: all verdicts count, also those that the freeze hides.

Where points count, there is no award for the first solution.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from deepoj.contests.board import BoardRow
from deepoj.contests.ledger import ContestLedger
from deepoj.words.contests import ContestObject, EventType

#: the ids that ``awards_of`` gives
COMPUTED_AWARD = re.compile(
    r"winner|(gold|silver|bronze)-medal|(first-to-solve|group-winner|rank)-.*", re.ASCII | re.DOTALL
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Medals:
    """How many ranks get each medal. Teams of the same rank get the same, so there may be more medals than ranks."""

    gold: int = 4
    silver: int = 4
    bronze: int = 4


def awards_of(ledger: ContestLedger, medals: Medals) -> list[ContestObject]:
    """Return the awards of the contest as it is now. Teams without a solution or points get none."""
    rows = [row for row in ledger.jury_board.rows() if row.has_result]
    return [
        ContestObject(EventType.AWARDS, award_id, {"citation": citation, "team_ids": teams})
        for award_id, citation, teams in _awards(ledger, rows, medals)
        if teams
    ]


def _awards(ledger: ContestLedger, rows: Sequence[BoardRow], medals: Medals) -> Iterator[tuple[str, str, list[str]]]:
    yield "winner", "Contest winner", _teams(rows, 1, 1)
    last = 0
    for medal, ranks in (("gold", medals.gold), ("silver", medals.silver), ("bronze", medals.bronze)):
        first, last = last + 1, last + ranks
        yield f"{medal}-medal", f"{medal.capitalize()} medal", _teams(rows, first, last)
    for label in () if ledger.is_scored else ledger.jury_board.problems:
        solvers = sorted(ledger.jury_board.first_to_solve(label))
        yield f"first-to-solve-{label}", f"First to solve problem {label}", solvers
    for group_id, group in ledger.of(EventType.GROUPS).items():
        members = [row for row in rows if _is_in(ledger, row.team_id, group_id)]
        best = _teams(members, members[0].rank, members[0].rank) if members else []
        yield f"group-winner-{group_id}", f"Winner of {group['name']}", best
    for rank in dict.fromkeys(row.rank for row in rows):
        yield f"rank-{rank}", f"Rank {rank}", _teams(rows, rank, rank)


def _teams(rows: Sequence[BoardRow], first: int, last: int) -> list[str]:
    return [row.team_id for row in rows if first <= row.rank <= last]


def _is_in(ledger: ContestLedger, team_id: str, group_id: str) -> bool:
    return group_id in (ledger.of(EventType.TEAMS)[team_id].get("group_ids") or ())
