"""Which objects of a contest a viewer sees: the rules of feeds, pages and routes.

What the public and teams get comes from these functions or from the public board. Neither depends on a verdict that the
freeze hides. The jury sees everything. Three rules are elsewhere: what the public board hides
(``ledger.ContestLedger``), who is jury (``api.contest_callers.contest_viewer``), and which verdicts queries hide (the
SQL function ``is_judging_withheld``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from deepoj.contests.ledger import ContestLedger, Object
from deepoj.words.contests import FINAL_COMMENT, EventType


@dataclass(frozen=True, slots=True)
class ContestViewer:
    """Who looks: the jury, an account of a team, or the public (neither)."""

    is_jury: bool = False
    team_id: str | None = None


#: ids of ``texts``: categories of questions, usual answers of the jury
CATEGORIES, ANSWERS = "categories", "answers"

PUBLIC = ContestViewer()
JURY = ContestViewer(is_jury=True)
#: an account of no team in particular: it sees what each team sees, and no team sees less. No team has an empty id
ANY_TEAM = ContestViewer(team_id="")


def seen(ledger: ContestLedger, viewer: ContestViewer, type_: EventType, object_id: str, data: Object) -> bool:
    """Return whether the viewer may see an object, as the contest is now. An empty id of a judgement: the one that
    counts."""
    rule = _RULES.get(type_)
    return viewer.is_jury or rule is None or rule(ledger, viewer, object_id, data)


def final_comment(ledger: ContestLedger, viewer: ContestViewer) -> str:
    """Return what those who finalized the contest say; empty: nothing, or nothing that the viewer sees yet."""
    data = ledger.of(EventType.COMMENTARY).get(FINAL_COMMENT)
    is_seen = data is not None and seen(ledger, viewer, EventType.COMMENTARY, FINAL_COMMENT, data)
    return str(data["message"]) if data is not None and is_seen else ""


def sees_runs(viewer: ContestViewer) -> bool:
    """Return whether the viewer sees single tests of judgements that it sees."""
    return viewer.is_jury


def sees_sources(viewer: ContestViewer, submission: Object) -> bool:
    """Return whether the viewer may read the sources of a submission that it sees."""
    return viewer.is_jury or (viewer.team_id is not None and submission["team_id"] == viewer.team_id)


def reads_statements(viewer: ContestViewer) -> bool:
    """Return whether the viewer may read the statements of problems that it sees."""
    return viewer.is_jury or viewer.team_id is not None


def _sees_problem(ledger: ContestLedger, _viewer: ContestViewer, _label: str, _data: Object) -> bool:
    return ledger.state.get("started_at") is not None


def _sees_group(_ledger: ContestLedger, _viewer: ContestViewer, _group_id: str, data: Object) -> bool:
    return not data.get("hidden")


def _sees_team(ledger: ContestLedger, viewer: ContestViewer, team_id: str, _data: Object) -> bool:
    return team_id == viewer.team_id or not ledger.is_hidden(team_id)


def _sees_account(_ledger: ContestLedger, viewer: ContestViewer, _account_id: str, data: Object) -> bool:
    return viewer.team_id is not None and data.get("team_id") == viewer.team_id


def _sees_submission(ledger: ContestLedger, viewer: ContestViewer, submission_id: str, data: Object) -> bool:
    if data["team_id"] == viewer.team_id:
        return True
    return not ledger.is_hidden(data["team_id"]) and not ledger.is_ignored(submission_id)


def _sees_judgement(ledger: ContestLedger, viewer: ContestViewer, judgement_id: str, data: Object) -> bool:
    submission_id = data["submission_id"]
    submission = ledger.of(EventType.SUBMISSIONS).get(submission_id)
    # an empty id: the judgement that counts
    known_id = judgement_id or ledger.current_judgement(submission_id)
    if submission is None or (known_id is not None and ledger.is_kept_back(known_id)):
        return False
    if submission["team_id"] == viewer.team_id:
        return True
    return _sees_submission(ledger, viewer, submission_id, submission) and not ledger.is_withheld(submission_id)


def _sees_clarification(_ledger: ContestLedger, viewer: ContestViewer, _clarification_id: str, data: Object) -> bool:
    if data.get("from_team_id") is not None and data["from_team_id"] == viewer.team_id:
        return True
    receivers = data.get("to_team_ids")
    if receivers is None:  # to everybody, if the jury wrote it; a question goes to the jury alone
        return data.get("from_team_id") is None
    return viewer.team_id is not None and viewer.team_id in receivers


def _is_jurys(_ledger: ContestLedger, _viewer: ContestViewer, _object_id: str, _data: Object) -> bool:
    return False


def _sees_texts(_ledger: ContestLedger, _viewer: ContestViewer, object_id: str, _data: Object) -> bool:
    return object_id == CATEGORIES


def _sees_extension(_ledger: ContestLedger, viewer: ContestViewer, team_id: str, _data: Object) -> bool:
    return team_id == viewer.team_id


def _sees_award(ledger: ContestLedger, _viewer: ContestViewer, _award_id: str, _data: Object) -> bool:
    return ledger.freeze_ms is None


def _sees_commentary(ledger: ContestLedger, viewer: ContestViewer, object_id: str, data: Object) -> bool:
    if object_id == FINAL_COMMENT and not _sees_award(ledger, viewer, object_id, data):
        return False  # it may say who has won
    # one about a submission may say what became of it
    return ledger.state.get("started_at") is not None and not any(
        _is_hidden(ledger, submission_id) for submission_id in data.get("submission_ids") or ()
    )


def _is_hidden(ledger: ContestLedger, submission_id: str) -> bool:
    judgement = ledger.current_judgement(submission_id)
    return ledger.is_withheld(submission_id) or (judgement is not None and ledger.is_kept_back(judgement))


#: types without a rule are seen by everybody
_RULES: Mapping[EventType, Callable[[ContestLedger, ContestViewer, str, Object], bool]] = {
    EventType.PROBLEMS: _sees_problem,
    EventType.GROUPS: _sees_group,
    EventType.TEAMS: _sees_team,
    EventType.ACCOUNTS: _sees_account,
    EventType.SUBMISSIONS: _sees_submission,
    EventType.JUDGEMENTS: _sees_judgement,
    EventType.CLARIFICATIONS: _sees_clarification,
    EventType.AWARDS: _sees_award,
    EventType.COMMENTARY: _sees_commentary,
    EventType.REVIEWS: _is_jurys,
    EventType.TEXTS: _sees_texts,
    EventType.INTERVALS: _is_jurys,
    EventType.CLOCK: _is_jurys,
    EventType.EXTENSIONS: _sees_extension,
    EventType.PENALTIES: _sees_extension,
}
