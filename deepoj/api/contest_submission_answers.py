"""Submissions of a contest, and cells of its board with their submissions, as the answers of routes show them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import asdict

from deepoj.api.contest_sight import ContestSight
from deepoj.api.models.contest_boards import (
    CellAttemptView,
    CellJudgementView,
    ContestSubmissionPage,
    ContestSubmissionView,
    OpenedCellView,
)
from deepoj.contests.cells import OpenedCell
from deepoj.contests.ledger import ContestLedger, Object
from deepoj.contests.views import seen
from deepoj.words.contests import EventType

#: submissions of a page
_PAGE = 100


def cell_view(key: str, opened: OpenedCell, hosts: Mapping[str, str]) -> OpenedCellView:
    """Return a cell of the contest ``key``. ``hosts``: judgement → the node that judged."""
    return OpenedCellView(
        contest=key,
        team_id=opened.team_id,
        team=opened.team,
        problem=opened.label,
        judged=opened.cell.judged,
        rejected=opened.cell.rejected,
        pending=opened.cell.pending,
        solved_ms=opened.cell.solved_ms,
        is_first=opened.is_first,
        points=opened.cell.points,
        subtasks=dict(opened.cell.subtasks) or None,
        penalty=opened.penalty_minutes,
        attempts=[
            CellAttemptView(
                **{
                    **asdict(attempt),
                    "effect": attempt.effect.value,
                    "judgements": [
                        CellJudgementView(**asdict(one), host=hosts.get(one.id)) for one in attempt.judgements
                    ],
                }
            )
            for attempt in opened.attempts
        ],
    )


def submission_page(
    sight: ContestSight, ledger: ContestLedger, *, team_id: str, label: str, before: int | None
) -> ContestSubmissionPage:
    """Return the submissions that the viewer sees, the newest first: all, or of a team or a problem."""
    shown: list[ContestSubmissionView] = []
    for one in _submissions(sight, ledger, team_id, label, before):
        if len(shown) == _PAGE:
            return ContestSubmissionPage(submissions=shown, next_before=int(shown[-1].id))
        shown.append(one)
    return ContestSubmissionPage(submissions=shown, next_before=None)


def _submissions(
    sight: ContestSight, ledger: ContestLedger, team_id: str, label: str, before: int | None
) -> Iterator[ContestSubmissionView]:
    viewer = sight.viewer
    for submission_id, data in _newest_first(ledger, before):
        if (team_id or data["team_id"], label or data["problem_id"]) != (data["team_id"], data["problem_id"]):
            continue
        if not seen(ledger, viewer, EventType.SUBMISSIONS, submission_id, data):
            continue
        judgement = ledger.judgement_of(submission_id)
        is_judged = judgement is not None and seen(ledger, viewer, EventType.JUDGEMENTS, "", judgement)
        yield ContestSubmissionView(
            id=submission_id,
            job_id=data.get("job_id") if viewer.is_jury or data["team_id"] == viewer.team_id else None,
            event=ledger.number_of(EventType.SUBMISSIONS, submission_id) if viewer.is_jury else None,
            team_id=data["team_id"],
            problem=data["problem_id"],
            language=data["language"],
            at=data["at"],
            time_ms=ledger.contest_time_ms(data["at"]),
            verdict=judgement["verdict"] if judgement is not None and is_judged else None,
        )


def _newest_first(ledger: ContestLedger, before: int | None) -> Iterator[tuple[str, Object]]:
    """Yield all submissions, or those before the one with the id ``before``.

    If there is none with this id, they begin with the first that has a smaller one: an empty page would tell whether it
    is that of a submission that the viewer does not see.
    """
    sent = ledger.objects[EventType.SUBMISSIONS]
    newest = reversed(sent.items())
    if before is None:
        return newest
    if str(before) in sent:
        return itertools.islice(itertools.dropwhile(lambda one: one[0] != str(before), newest), 1, None)
    return itertools.dropwhile(lambda one: int(one[0]) > before, newest)
