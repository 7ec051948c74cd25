"""The scoreboard of a feed of another system, and where the feed's own awards differ from it. Contests of ours are
folded by ``ledger``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from deepoj.contests.board import AttemptOutcome, Board, BoardAttempt, BoardRow
from deepoj.contests.feed import ContestObjects, ContestTimes, FeedError, FeedEvent, Object, time_of
from deepoj.contests.ledger import in_order

#: judgement types that cost nothing where the feed does not say so: the specification's known ones
_FREE = {"CE", "JE", "SE", "CS"}
_ACCEPTED = "AC"


@dataclass(frozen=True, slots=True)
class AwardDifference:
    """An award of the feed that its own submissions do not give."""

    award: str
    published: list[str]
    computed: list[str]


@dataclass(frozen=True, slots=True)
class Replay:
    """A feed's contest, folded."""

    contest_id: str
    name: str
    objects: ContestObjects
    rows: list[BoardRow]
    differences: list[AwardDifference]


def replay(events: Iterable[FeedEvent]) -> Replay:
    """Fold a feed.

    Raises FeedError: it is no feed, or not of a contest whose board counts problems solved.
    """
    objects = ContestObjects()
    for event in events:
        objects.apply(event)
    times = ContestTimes.of(objects.contest)
    if objects.contest.get("scoreboard_type", "pass-fail") != "pass-fail":
        raise FeedError("this contest's board counts points; only boards that count problems solved can be replayed")
    board = board_of(objects, times)
    rows = board.rows()
    return Replay(
        contest_id=str(objects.contest.get("id", "")),
        name=str(objects.contest.get("name", "")),
        objects=objects,
        rows=rows,
        differences=list(_differences(objects, board, rows)),
    )


def board_of(objects: ContestObjects, times: ContestTimes) -> Board:
    """Return the scoreboard of the objects: of teams that are shown, with submissions within the contest's duration.

    Raises FeedError.
    """
    listed = objects.of("teams")
    teams = [team for team in in_order(listed) if not is_hidden(objects, listed[team])]
    board = Board(teams, problems_of(objects), penalty_ms=times.penalty_ms)
    words = judgement_types(objects, times)
    for number, (submission_id, item) in enumerate(objects.of("submissions").items()):
        time_ms = time_of(item, times, f"submission {submission_id}")
        if 0 <= time_ms < times.duration_ms:
            board.put(
                BoardAttempt(
                    time_ms=time_ms,
                    number=number,
                    submission_id=submission_id,
                    team_id=str(item.get("team_id")),
                    problem_id=str(item.get("problem_id")),
                    outcome=_outcome(words.get(submission_id), objects.of("judgement-types")),
                )
            )
    return board


def is_hidden(objects: ContestObjects, team: Object) -> bool:
    """Return whether the board leaves out a team: it is hidden, or one of its groups is."""
    groups = (objects.of("groups").get(str(group), {}) for group in team.get("group_ids") or ())
    return bool(team.get("hidden")) or any(group.get("hidden") for group in groups)


def problems_of(objects: ContestObjects) -> list[str]:
    """Return the ids of the problems, in the order of the board."""
    return sorted(objects.of("problems"), key=lambda problem: _place(objects.of("problems")[problem]))


def judgement_types(objects: ContestObjects, times: ContestTimes) -> dict[str, str | None]:
    """Return the judgement type that counts of each submission that has a judgement; None: it is not finished.

    Raises FeedError.
    """
    return {one: _last_type(judgements) for one, judgements in _judgements_by_submission(objects, times).items()}


def _place(problem: Object) -> tuple[int, str]:
    return (int(problem.get("ordinal") or 0), str(problem.get("label") or ""))


def _judgements_by_submission(objects: ContestObjects, times: ContestTimes) -> Mapping[str, list[Object]]:
    """Return the judgements of each submission, by when they began, then in the feed's order."""
    found: dict[str, list[tuple[int, Object]]] = {}
    for judgement_id, item in objects.of("judgements").items():
        began = 0
        if item.get("start_contest_time") is not None:
            began = time_of(item, times, f"judgement {judgement_id}", "start_contest_time")
        found.setdefault(str(item.get("submission_id")), []).append((began, item))
    return {
        submission: [item for _, item in sorted(judgements, key=lambda judgement: judgement[0])]
        for submission, judgements in found.items()
    }


def _last_type(judgements: Iterable[Object]) -> str | None:
    """Return what the last finished judgement says that counts.

    A rejudgement follows the judgement that it replaces. Feeds of 2020-03 mark what does not count any more with
    ``valid``, those since 2023-06 with ``current``.
    """
    word: str | None = None
    for judgement in judgements:
        if judgement.get("valid", True) is not False and judgement.get("current", True) is not False:
            word = judgement.get("judgement_type_id") or judgement.get("simplified_judgement_type_id") or word
    return word


def _outcome(word: str | None, types: Mapping[str, Object]) -> AttemptOutcome:
    if word is None:
        return AttemptOutcome.PENDING
    type_: Object = types.get(word, {})
    if type_.get("solved", word == _ACCEPTED):
        return AttemptOutcome.SOLVED
    return AttemptOutcome.REJECTED if type_.get("penalty", word not in _FREE) else AttemptOutcome.FREE


def _differences(objects: ContestObjects, board: Board, rows: list[BoardRow]) -> Iterable[AwardDifference]:
    """Compare the awards that follow from the board. Medals and ``rank-…`` are the director's to set."""
    teams = objects.of("teams")
    for award, item in objects.of("awards").items():
        kind, _, subject = award.partition("-winner-")
        if award == "winner":
            computed = _leaders(rows)
        elif award.startswith("first-to-solve-"):
            problem = award.removeprefix("first-to-solve-")
            computed = _first_to_solve(rows, problem)
        elif kind == "group":
            computed = _leaders(row for row in rows if subject in map(str, teams[row.team_id].get("group_ids") or ()))
        elif kind == "organization":
            computed = _leaders(row for row in rows if str(teams[row.team_id].get("organization_id")) == subject)
        else:
            continue
        published = {str(team) for team in item.get("team_ids") or ()}
        if award.startswith("first-to-solve-") and (
            # by a coarse clock several solutions are the first; one of them came first
            (published and published <= computed)
            # not given yet: an earlier attempt has no verdict
            or (not published and not board.first_to_solve(award.removeprefix("first-to-solve-")))
        ):
            continue
        if published != computed:
            yield AwardDifference(award, sorted(published), sorted(computed))


def _first_to_solve(rows: Iterable[BoardRow], problem: str) -> set[str]:
    """Return the teams with the first solution. Earlier attempts without a verdict do not keep it back: in a published
    feed they will not get one."""
    times = {row.team_id: row.cells[problem].solved_ms for row in rows if problem in row.cells}
    first = min((time_ms for time_ms in times.values() if time_ms is not None), default=None)
    return set() if first is None else {team for team, time_ms in times.items() if time_ms == first}


def _leaders(rows: Iterable[BoardRow]) -> set[str]:
    """Return the best teams of rows in the order of their rank; none has solved nothing."""
    leaders: list[BoardRow] = []
    for row in rows:
        if row.solved and (not leaders or row.rank == leaders[0].rank):
            leaders.append(row)
    return {row.team_id for row in leaders}


def board_fields(rows: Iterable[BoardRow]) -> list[dict[str, Any]]:
    """Return the board as the command writes it: a dict a row. ``penalty`` in minutes."""
    return [{"rank": row.rank, "team_id": row.team_id, "solved": row.solved, "penalty": row.penalty} for row in rows]
