"""What a rejudge would change on the jury's board: a ledger with the new judgements beside the ledger as it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from deepoj.contests.awards import Medals, awards_of
from deepoj.contests.board import BoardRow
from deepoj.contests.ledger import ContestLedger
from deepoj.words.contest_rejudges import ContestRejudgeScope, RejudgedVerdict
from deepoj.words.contests import ContestObject, EventType

#: awards that say again what the rows say
_OF_ROWS = "rank-"


@dataclass(frozen=True, slots=True)
class RowChange:
    """A team whose row changes. ``cells``: the labels of the problems at which it changes."""

    team_id: str
    before: BoardRow
    after: BoardRow
    cells: Sequence[str]


@dataclass(frozen=True, slots=True)
class VerdictChangeOfTeam:
    """A submission that gets another verdict or score."""

    submission_id: str
    job_id: str
    team_id: str
    problem: str
    before: str
    after: str
    score_before: float | None
    score_after: float | None


@dataclass(frozen=True, slots=True)
class AwardChange:
    """An award that goes to other teams."""

    award_id: str
    before: Sequence[str]
    after: Sequence[str]


@dataclass(frozen=True, slots=True)
class BoardEffect:
    """What new judgements change. Rows are in the order of the board that they make."""

    verdicts: Sequence[VerdictChangeOfTeam]
    rows: Sequence[RowChange]
    awards: Sequence[AwardChange]


def jobs_of(ledger: ContestLedger, scope: ContestRejudgeScope) -> dict[int, list[str]]:
    """Return the jobs of the judged submissions in a scope, by problem. The scope's host is ignored: the store alone
    knows hosts."""
    problems, found = ledger.of(EventType.PROBLEMS), dict[int, list[str]]()
    for submission_id, one in ledger.of(EventType.SUBMISSIONS).items():
        judgement, time_ms = ledger.judgement_of(submission_id), ledger.contest_time_ms(one["at"])
        if (
            judgement is not None
            and one["problem_id"] in problems
            and scope.problem in {None, one["problem_id"]}
            and scope.language in {None, one["language"]}
            and scope.team_id in {None, one["team_id"]}
            and scope.verdict in {None, judgement["verdict"]}
            and (scope.from_ms is None or time_ms >= scope.from_ms)
            and (scope.until_ms is None or time_ms < scope.until_ms)
        ):
            found.setdefault(int(problems[one["problem_id"]]["problem_id"]), []).append(one["job_id"])
    return found


def effect_of(ledger: ContestLedger, judgements: Sequence[RejudgedVerdict]) -> BoardEffect:
    """Return what these judgements would change on the jury's board and in the awards."""
    submissions = ledger.of(EventType.SUBMISSIONS)
    known = [one for one in judgements if one.data["submission_id"] in submissions]
    rejudged = ledger.with_objects(_events(ledger, known))
    before = {row.team_id: row for row in ledger.jury_board.rows()}
    return BoardEffect(
        verdicts=[
            VerdictChangeOfTeam(
                submission_id=submission_id,
                job_id=submissions[submission_id]["job_id"],
                team_id=submissions[submission_id]["team_id"],
                problem=submissions[submission_id]["problem_id"],
                before=former["verdict"],
                after=one.data["verdict"],
                score_before=former.get("score"),
                score_after=one.data.get("score"),
            )
            for one in known
            if (former := ledger.judgement_of(submission_id := one.data["submission_id"])) is not None
            and (former["verdict"], former.get("score")) != (one.data["verdict"], one.data.get("score"))
        ],
        rows=[
            RowChange(row.team_id, before[row.team_id], row, _cells(before[row.team_id], row))
            for row in rejudged.jury_board.rows()
            if row != before[row.team_id]
        ],
        awards=_award_changes(_awards(ledger), _awards(rejudged)),
    )


def _events(ledger: ContestLedger, judgements: Iterable[RejudgedVerdict]) -> Iterable[ContestObject]:
    """Yield the events of new judgements, each after the end of the one that it replaces."""
    for one in judgements:
        submission_id = one.data["submission_id"]
        for judgement_id in ledger.judgements_of.get(submission_id, ()):
            former = ledger.of(EventType.JUDGEMENTS)[judgement_id]
            if former["is_current"]:
                yield ContestObject(EventType.JUDGEMENTS, judgement_id, {**former, "is_current": False})
        yield ContestObject(EventType.JUDGEMENTS, one.id, one.data)


def _cells(before: BoardRow, after: BoardRow) -> list[str]:
    return [label for label, cell in after.cells.items() if cell != before.cells.get(label)]


def _awards(ledger: ContestLedger) -> dict[str, Sequence[str]]:
    return {
        award.id: award.data["team_ids"]
        for award in awards_of(ledger, Medals())
        if award.data is not None and not award.id.startswith(_OF_ROWS)
    }


def _award_changes(before: Mapping[str, Sequence[str]], after: Mapping[str, Sequence[str]]) -> list[AwardChange]:
    return [
        AwardChange(award_id, before.get(award_id, ()), after.get(award_id, ()))
        for award_id in dict.fromkeys([*after, *before])
        if before.get(award_id, ()) != after.get(award_id, ())
    ]
