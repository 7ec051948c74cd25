"""The awards of a contest, and its results as the ICPC's site takes them.

Both are computed from the jury's board: all verdicts count, also those that the freeze hides. Where points count, there
is no award for the first solution, and no result for the ICPC.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from deepoj.contests.board import BoardRow
from deepoj.contests.ledger import ContestLedger, name_of
from deepoj.words.contests import ContestObject, EventType
from deepoj.words.names import name_key
from deepoj.words.stamps import stamp_of

#: the ids that ``awards_of`` gives
COMPUTED_AWARD = re.compile(
    r"winner|(gold|silver|bronze)-medal|(first-to-solve|group-winner|rank)-.*", re.ASCII | re.DOTALL
)
_GROUP_WINNER = "group-winner-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Medals:
    """How many ranks get each medal. Teams of the same rank get the same, so there may be more medals than ranks.

    ``by_median``: teams without a medal are ranked by the number of their solutions alone, and not at all below the
    median (``results_of``).
    """

    gold: int = 4
    silver: int = 4
    bronze: int = 4
    by_median: bool = False


class IcpcAward(enum.StrEnum):
    """What a team gets; the value is the word of ``results.tsv``."""

    GOLD = "Gold Medal"
    SILVER = "Silver Medal"
    BRONZE = "Bronze Medal"
    RANKED = "Ranked"
    HONORABLE = "Honorable"


_MEDALS: Mapping[str, IcpcAward] = {
    "gold-medal": IcpcAward.GOLD,
    "silver-medal": IcpcAward.SILVER,
    "bronze-medal": IcpcAward.BRONZE,
}


@dataclass(frozen=True, slots=True)
class IcpcResult:
    """A team in the results. ``rank``: None: it is not ranked."""

    team_id: str
    name: str
    icpc_id: str | None
    rank: int | None
    award: IcpcAward
    solved: int
    #: minutes
    penalty: int
    #: of the last solution, in minutes; None: it has none
    last_minute: int | None
    #: names of the groups that it wins
    groups: tuple[str, ...]


def standings_stamp(ledger: ContestLedger) -> str:
    """Return a text that other standings do not have: who finalizes a contest must have seen them."""
    return stamp_of([(row.rank, row.team_id, row.standing) for row in ledger.jury_board.rows()])


def awards_of(ledger: ContestLedger, medals: Medals) -> list[ContestObject]:
    """Return the awards of the contest as it is now. Teams without a solution or points get none, but an honorable
    mention."""
    rows = [row for row in ledger.jury_board.rows() if row.has_result]
    return [
        ContestObject(EventType.AWARDS, award_id, {"citation": citation, "team_ids": teams})
        for award_id, citation, teams in _awards(ledger, rows, medals)
        if teams
    ]


def results_of(ledger: ContestLedger, awards: Mapping[str, Sequence[str]]) -> list[IcpcResult]:
    """Return the results by the ICPC's rules, the ranked teams first. ``awards``: award → its teams.

    Teams with a medal have their rank of the board. The others are ranked by the number of their solutions alone; those
    with fewer than the median team are not ranked: theirs is an honorable mention. The median team of an even number is
    the better one of the lower half, as for DOMjudge.
    """
    teams, rows = ledger.of(EventType.TEAMS), ledger.jury_board.rows()
    median = rows[len(rows) // 2].solved if rows else 0
    medal_of = {team: medal for award_id, medal in _MEDALS.items() for team in awards.get(award_id, ())}
    groups, rank_of, results = _groups_won(ledger, awards), dict[int, int](), list[IcpcResult]()
    for row in rows:
        award, rank = medal_of.get(row.team_id), row.rank
        if award is None:
            award = IcpcAward.RANKED if row.solved >= median else IcpcAward.HONORABLE
            rank = rank_of.setdefault(row.solved, row.rank)
        results.append(
            IcpcResult(
                team_id=row.team_id,
                name=name_of(teams, row.team_id),
                icpc_id=teams[row.team_id].get("icpc_id"),
                rank=None if award is IcpcAward.HONORABLE else rank,
                award=award,
                solved=row.solved,
                penalty=row.penalty,
                last_minute=row.last_minute if row.solved else None,
                groups=groups.get(row.team_id, ()),
            )
        )
    return sorted(results, key=lambda one: (one.rank is None, one.rank or 0, name_key(one.name)))


def _groups_won(ledger: ContestLedger, awards: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Return the names of the groups that each team wins."""
    won: dict[str, tuple[str, ...]] = {}
    for group_id, group in ledger.of(EventType.GROUPS).items():
        for team in () if group.get("hidden") else awards.get(f"{_GROUP_WINNER}{group_id}", ()):
            won[team] = (*won.get(team, ()), group["name"])
    return won


def _awards(ledger: ContestLedger, rows: Sequence[BoardRow], medals: Medals) -> Iterator[tuple[str, str, list[str]]]:
    yield "winner", "Contest winner", _teams(rows, 1, 1)
    last, medalists = 0, dict[str, list[str]]()
    for medal, ranks in (("gold", medals.gold), ("silver", medals.silver), ("bronze", medals.bronze)):
        first, last = last + 1, last + ranks
        medalists[f"{medal}-medal"] = _teams(rows, first, last)
        yield f"{medal}-medal", f"{medal.capitalize()} medal", medalists[f"{medal}-medal"]
    for label in () if ledger.is_scored else ledger.jury_board.problems:
        solvers = sorted(ledger.jury_board.first_to_solve(label))
        yield f"first-to-solve-{label}", f"First to solve problem {label}", solvers
    for group_id, group in ledger.of(EventType.GROUPS).items():
        members = [row for row in rows if _is_in(ledger, row.team_id, group_id)]
        best = _teams(members, members[0].rank, members[0].rank) if members else []
        yield f"{_GROUP_WINNER}{group_id}", f"Winner of {group['name']}", best
    ranked: dict[int, list[str]] = {}
    if medals.by_median and not ledger.is_scored:
        results = results_of(ledger, medalists)
        for one in results:
            if one.rank is not None and one.solved:
                ranked.setdefault(one.rank, []).append(one.team_id)
        honorable = [one.team_id for one in results if one.award is IcpcAward.HONORABLE]
        yield "honorable-mention", "Honorable mention", honorable
    else:
        for row in rows:
            ranked.setdefault(row.rank, []).append(row.team_id)
    for rank, teams in ranked.items():
        yield f"rank-{rank}", f"Rank {rank}", teams


def _teams(rows: Sequence[BoardRow], first: int, last: int) -> list[str]:
    return [row.team_id for row in rows if first <= row.rank <= last]


def _is_in(ledger: ContestLedger, team_id: str, group_id: str) -> bool:
    return group_id in (ledger.of(EventType.TEAMS)[team_id].get("group_ids") or ())
