"""Contests as the answers of routes show them."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from deepoj.api.contest_sight import ContestSight
from deepoj.api.models.contests import (
    AwardView,
    CellView,
    ClarificationList,
    ClarificationView,
    ContestGroupView,
    ContestProblemView,
    ContestStateView,
    ContestWaitsView,
    OrganizationView,
    RowView,
    ScoreboardView,
    TeamPage,
    TeamView,
)
from deepoj.contests.clock import iso_time, minutes_of, moment_of
from deepoj.contests.ledger import ContestLedger, name_of
from deepoj.contests.views import JURY, PUBLIC
from deepoj.words.contests import Contest, ContestWaits, EventType
from deepoj.words.names import name_key

#: fields of a problem that are not those of its events
_COMPUTED = frozenset({"problem_id", "max_score", "statements"})
#: boards that are kept
_KEPT = 20


def _state(contest: Contest) -> ContestStateView:
    return ContestStateView(**{name: iso_time(getattr(contest, name)) for name in ContestStateView.model_fields})


def contest_fields(contest: Contest) -> dict[str, Any]:
    """Return the fields of a ``ContestItem``."""
    rules = contest.rules
    return {
        "key": contest.key,
        "name": rules.name,
        "formal_name": rules.formal_name,
        "kind": contest.kind.value,
        "is_public": rules.is_public,
        "start_at": iso_time(rules.start_at),
        "duration_ms": rules.duration_ms,
        "freeze_ms": rules.freeze_ms,
        "penalty_ms": rules.penalty_ms,
        "is_compile_error_free": rules.is_compile_error_free,
        "thaw_at": iso_time(rules.thaw_at),
        "feedback": rules.feedback.value,
        "is_verifying": rules.is_verifying,
        "allows_custom_runs": rules.allows_custom_runs,
        "late_ms": rules.late_ms,
        "late_step_ms": rules.late_step_ms,
        "late_percent": rules.late_percent,
        "languages": list(rules.languages),
        "registration": rules.registration.value,
        "countdown_pause_ms": contest.countdown_pause_ms,
        "paused_at": iso_time(contest.paused_at),
        "ends_at": iso_time(moment_of(contest, rules.duration_ms)),
        "state": _state(contest),
    }


def waits_view(waits: ContestWaits) -> ContestWaitsView:
    """Return waits with the shares of judging in percent."""
    whole_ms = max(1, waits.judging_sum_ms)
    compile_percent, run_percent = (round(100 * ms / whole_ms) for ms in (waits.compile_sum_ms, waits.run_sum_ms))
    return ContestWaitsView(
        count=waits.count,
        wait_p50_ms=waits.wait_p50_ms,
        wait_p99_ms=waits.wait_p99_ms,
        judging_p50_ms=waits.judging_p50_ms,
        judging_p99_ms=waits.judging_p99_ms,
        compile_percent=compile_percent,
        run_percent=run_percent,
        other_percent=max(0, 100 - compile_percent - run_percent) if waits.count else 0,
    )


def problem_views(sight: ContestSight, ledger: ContestLedger) -> list[ContestProblemView]:
    """Return the problems that the viewer sees, in their order."""
    shown = sight.objects(ledger, EventType.PROBLEMS)
    return [
        ContestProblemView(
            problem_id=shown[label]["problem_id"] if sight.viewer.is_jury else None,
            max_score=ledger.max_score(label),
            statements=list(shown[label].get("statements") or ()),
            **{name: shown[label][name] for name in ContestProblemView.model_fields if name not in _COMPUTED},
        )
        for label in ledger.jury_board.problems
        if label in shown
    ]


def team_page(sight: ContestSight, ledger: ContestLedger) -> TeamPage:
    """Return the teams that the viewer sees."""
    accounts: dict[str, list[str]] = {}
    for account in sight.objects(ledger, EventType.ACCOUNTS).values():
        accounts.setdefault(account["team_id"], []).append(account["username"])
    groups = sight.objects(ledger, EventType.GROUPS)
    return TeamPage(
        teams=[
            TeamView(
                id=team_id,
                icpc_id=team.get("icpc_id"),
                name=team["name"],
                display_name=name_of(ledger.of(EventType.TEAMS), team_id),
                label=team.get("label") or team_id,
                organization_id=team["organization_id"],
                organization=_organization(ledger, team_id),
                group_ids=[group for group in team["group_ids"] if group in groups],
                is_hidden=team["is_hidden"],
                accounts=sorted(accounts.get(team_id, ()), key=name_key),
            )
            for team_id, team in sight.objects(ledger, EventType.TEAMS).items()
        ],
        groups=[
            ContestGroupView(
                id=one, icpc_id=data.get("icpc_id"), name=data["name"], type=data["type"], hidden=data["hidden"]
            )
            for one, data in groups.items()
        ],
        organizations=[
            OrganizationView(
                id=one,
                icpc_id=data.get("icpc_id"),
                name=data["name"],
                formal_name=data["formal_name"],
                country=data["country"],
            )
            for one, data in sight.objects(ledger, EventType.ORGANIZATIONS).items()
        ],
    )


def _organization(ledger: ContestLedger, team_id: str) -> str | None:
    organization = ledger.of(EventType.ORGANIZATIONS).get(
        ledger.of(EventType.TEAMS)[team_id].get("organization_id") or ""
    )
    return None if organization is None else str(organization["name"])


def clarification_list(sight: ContestSight, ledger: ContestLedger) -> ClarificationList:
    """Return the clarifications that the viewer sees."""
    shown = sight.objects(ledger, EventType.CLARIFICATIONS)
    return ClarificationList(
        clarifications=[
            # an answer to all does not name the question of a team to others
            clarification_view(
                one, {**data, "reply_to_id": data["reply_to_id"] if data["reply_to_id"] in shown else None}
            )
            for one, data in shown.items()
        ]
    )


def clarification_view(clarification_id: str, data: Any) -> ClarificationView:
    """Return one clarification."""
    return ClarificationView(
        id=clarification_id,
        from_team_id=data["from_team_id"],
        to_team_ids=data["to_team_ids"],
        reply_to=data["reply_to_id"],
        problem=data["problem_id"],
        category=data["category"],
        text=data["text"],
        at=data["at"],
    )


@dataclass(frozen=True, slots=True)
class _Made:
    """A board, and what it was made of: the number of the ledger's last event, and the contest's row."""

    last: int
    contest: Contest
    view: ScoreboardView
    encoded: bytes


class Scoreboards:
    """The scoreboards of this node, each made once for all who read it, until something happens in its contest.

    The board of 500 teams and 20 problems costs 60 ms of a core, and everybody may read it.
    """

    def __init__(self) -> None:
        self._made: OrderedDict[tuple[int, bool], _Made] = OrderedDict()

    def view(self, sight: ContestSight, ledger: ContestLedger) -> ScoreboardView:
        """Return the board that the viewer sees."""
        return self._current(sight, ledger).view

    def encoded(self, sight: ContestSight, ledger: ContestLedger) -> bytes:
        """Return the same as JSON."""
        return self._current(sight, ledger).encoded

    def _current(self, sight: ContestSight, ledger: ContestLedger) -> _Made:
        key = (sight.contest.id, sight.viewer.is_jury)
        made = self._made.get(key)
        if made is None or (made.last, made.contest) != (ledger.last, sight.contest):
            # for the jury or for the public: nothing of a single team is in it
            shared = ContestSight(sight.contest, JURY if sight.viewer.is_jury else PUBLIC)
            view = _scoreboard(shared, ledger)
            made = self._made[key] = _Made(ledger.last, sight.contest, view, view.model_dump_json().encode())
        self._made.move_to_end(key)
        while len(self._made) > _KEPT:
            self._made.popitem(last=False)
        return made


def _scoreboard(sight: ContestSight, ledger: ContestLedger) -> ScoreboardView:
    board, problems = sight.board(ledger), problem_views(sight, ledger)
    first = {problem.label: board.first_to_solve(problem.label) for problem in problems}
    teams = ledger.of(EventType.TEAMS)
    return ScoreboardView(
        contest=sight.contest.key,
        state=_state(sight.contest),
        is_frozen=ledger.is_frozen and not sight.viewer.is_jury,
        problems=problems,
        rows=[
            RowView(
                rank=row.rank,
                team_id=row.team_id,
                name=name_of(teams, row.team_id),
                organization=_organization(ledger, row.team_id),
                solved=row.solved,
                penalty=row.penalty,
                points=row.points,
                cells=[
                    CellView(
                        problem=label,
                        judged=row.cells[label].judged,
                        rejected=row.cells[label].rejected,
                        pending=row.cells[label].pending,
                        solved_ms=row.cells[label].solved_ms,
                        is_first=row.team_id in teams_first,
                        points=row.cells[label].points,
                        subtasks=dict(row.cells[label].subtasks) or None,
                    )
                    for label, teams_first in first.items()
                ],
            )
            for row in board.rows()
        ],
    )


def csv_head(board: ScoreboardView, *, is_scored: bool) -> list[str]:
    """Return the head of the board as CSV."""
    labels = [problem.label for problem in board.problems]
    of_team = ["rank", "team_id", "team", "organization"]
    if is_scored:
        return [*of_team, "points", *labels]
    return [*of_team, "solved", "penalty", *(f"{label} {what}" for label in labels for what in ("tries", "minute"))]


def csv_row(row: RowView) -> list[object]:
    """Return a row of the board for CSV: tries and minute of each problem, or its points."""
    if row.points is not None:
        return [row.rank, row.team_id, row.name, row.organization or "", row.points, *(one.points for one in row.cells)]
    tries = [
        value
        for one in row.cells
        for value in (one.judged + one.pending, "" if one.solved_ms is None else minutes_of(one.solved_ms))
    ]
    return [row.rank, row.team_id, row.name, row.organization or "", row.solved, row.penalty, *tries]


def award_views(sight: ContestSight, ledger: ContestLedger) -> list[AwardView]:
    """Return the awards that the viewer sees."""
    return [
        AwardView(id=award_id, citation=data["citation"], team_ids=data["team_ids"])
        for award_id, data in sight.objects(ledger, EventType.AWARDS).items()
    ]
