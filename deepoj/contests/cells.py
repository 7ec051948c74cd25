"""What is behind a cell of the board: the submissions of a team to a problem, their judgements, and what each adds.

It is computed from what a viewer may see (``views``) and from the viewer's board, so the sum of what is shown is the
number on the board.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from deepoj.contests.board import AttemptOutcome, Board, BoardAttempt, BoardCell
from deepoj.contests.clock import MS_PER_MINUTE, minutes_of
from deepoj.contests.ledger import ContestLedger, Object, name_of
from deepoj.contests.points_board import PointsBoard, PointsTally
from deepoj.contests.views import ContestViewer, seen, sees_sources
from deepoj.words.contests import EventType


class AttemptEffect(StrEnum):
    """What a submission adds to its cell."""

    #: no verdict, or one that the freeze hides
    PENDING = "pending"
    #: the minute of the solution
    SOLVED = "solved"
    #: penalty time, once the problem is solved
    REJECTED = "rejected"
    #: rejected, and costs nothing
    FREE = "free"
    #: nothing: the problem was solved before
    LATER = "later"
    #: points, where points count
    IMPROVED = "improved"
    #: nothing, where points count: earlier submissions have as many
    LOWER = "lower"
    #: nothing: it was sent outside of the contest's time, the jury ignores it, or boards leave its team out
    OUTSIDE = "outside"


@dataclass(frozen=True, slots=True, kw_only=True)
class CellJudgement:
    """A judgement. ``event``: the number of its last event in the contest's ledger, for the jury alone: gaps tell when
    hidden judgings ended."""

    id: str
    event: int | None
    verdict: str
    began_at: str | None
    ended_at: str | None
    #: no rejudge has replaced it
    is_current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CellAttempt:
    """A submission. ``event``: the number of its first event, for the jury alone."""

    submission_id: str
    #: None: the viewer may not read it
    job_id: str | None
    event: int | None
    at: str
    time_ms: int
    language: str
    effect: AttemptEffect
    #: that it adds; None: problems count, not points
    points: float | None
    #: those that the viewer sees, oldest first
    judgements: Sequence[CellJudgement]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedCell:
    """A cell with what is behind it, oldest first. ``penalty_minutes``: what it adds to its team's."""

    team_id: str
    team: str
    label: str
    cell: BoardCell
    is_first: bool
    penalty_minutes: int
    attempts: Sequence[CellAttempt]


def opened_cell(ledger: ContestLedger, viewer: ContestViewer, team_id: str, label: str) -> OpenedCell | None:
    """Return what a viewer sees of a cell; None: it sees no such team or problem."""
    for type_, object_id in ((EventType.TEAMS, team_id), (EventType.PROBLEMS, label)):
        data = ledger.of(type_).get(object_id)
        if data is None or not seen(ledger, viewer, type_, object_id, data):
            return None
    board = ledger.jury_board if viewer.is_jury else ledger.public_board
    cell = board.cell(team_id, label)
    penalty = 0
    if cell.solved_ms is not None and not ledger.is_scored:
        lost_ms = int(ledger.contest.get("penalty_ms", 0)) * cell.rejected
        penalty = minutes_of(cell.solved_ms) + lost_ms // MS_PER_MINUTE
    return OpenedCell(
        team_id=team_id,
        team=name_of(ledger.of(EventType.TEAMS), team_id),
        label=label,
        cell=cell,
        is_first=team_id in board.first_to_solve(label),
        penalty_minutes=penalty,
        attempts=list(_attempts(ledger, viewer, board, team_id, label)),
    )


def _attempts(
    ledger: ContestLedger, viewer: ContestViewer, board: Board, team_id: str, label: str
) -> Iterator[CellAttempt]:
    counted = board.attempts(team_id, label)
    effects = _gains(board.tally(), counted) if isinstance(board, PointsBoard) else _effects(counted)
    nothing = AttemptEffect.OUTSIDE, 0.0 if ledger.is_scored else None
    submissions = ledger.of(EventType.SUBMISSIONS)
    for submission_id in ledger.submissions_of.get((team_id, label), ()):
        data = submissions.get(submission_id)
        if data is None or not seen(ledger, viewer, EventType.SUBMISSIONS, submission_id, data):
            continue
        effect, points = effects.get(submission_id, nothing)
        yield CellAttempt(
            submission_id=submission_id,
            job_id=data.get("job_id") if sees_sources(viewer, data) else None,
            event=ledger.number_of(EventType.SUBMISSIONS, submission_id) if viewer.is_jury else None,
            at=data["at"],
            time_ms=ledger.contest_time_ms(data["at"]),
            language=data["language"],
            effect=effect,
            points=points,
            judgements=list(_judgements(ledger, viewer, submission_id)),
        )


def _effects(attempts: Sequence[BoardAttempt]) -> dict[str, tuple[AttemptEffect, float | None]]:
    effects: dict[str, tuple[AttemptEffect, float | None]] = {}
    is_solved = False
    for attempt in attempts:
        effect = AttemptEffect.LATER if is_solved else AttemptEffect(attempt.outcome.value)
        effects[attempt.submission_id] = effect, None
        is_solved = is_solved or attempt.outcome is AttemptOutcome.SOLVED
    return effects


def _gains(tally: PointsTally, attempts: Sequence[BoardAttempt]) -> dict[str, tuple[AttemptEffect, float | None]]:
    """Return what each attempt adds to the points of those before it."""
    gains: dict[str, tuple[AttemptEffect, float | None]] = {}
    for attempt in attempts:
        points = tally.points
        tally.add(attempt)
        effect = AttemptEffect.IMPROVED if tally.points > points else AttemptEffect.LOWER
        if attempt.outcome is AttemptOutcome.PENDING:
            effect = AttemptEffect.PENDING
        gains[attempt.submission_id] = effect, round(tally.points - points, 6)
    return gains


def _judgements(ledger: ContestLedger, viewer: ContestViewer, submission_id: str) -> Iterator[CellJudgement]:
    judgements: Mapping[str, Object] = ledger.of(EventType.JUDGEMENTS)
    for judgement_id in ledger.judgements_of.get(submission_id, ()):
        data = judgements.get(judgement_id)
        if data is not None and seen(ledger, viewer, EventType.JUDGEMENTS, judgement_id, data):
            yield CellJudgement(
                id=judgement_id,
                event=ledger.number_of(EventType.JUDGEMENTS, judgement_id) if viewer.is_jury else None,
                verdict=ledger.judgement(judgement_id)["verdict"],
                began_at=data.get("began_at"),
                ended_at=data.get("ended_at"),
                is_current=data["is_current"],
            )
