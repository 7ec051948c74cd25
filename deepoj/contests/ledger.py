"""A contest, folded from the events of its ledger: its objects, its times, and its two boards.

Each event changes the object that it names. A submission or a judgement changes one cell of the boards, so its cost
does not grow with those before it. An event that changes the layout (times, rules, problems, teams) or deletes an
object drops the boards, and the next reader lays out new ones.

The public board hides verdicts from the freeze on, until the thaw: it shows that teams submitted.
"""

from __future__ import annotations

import copy
import datetime as dt
import heapq
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from deepoj.contests.board import AttemptOutcome, Board, BoardAttempt, BoardCell
from deepoj.contests.clock import ContestClock, merged, parse_time
from deepoj.contests.points_board import PointsBoard, after_lateness, is_scored, subtasks_of
from deepoj.words.contests import (
    USUAL_SCORE,
    ContestEvent,
    ContestFeedback,
    ContestKind,
    ContestObject,
    EventType,
    is_thawed,
)
from deepoj.words.names import name_key
from deepoj.words.results import Verdict

Object = Mapping[str, Any]
#: verdicts that say nothing about the program
_JUDGES_FAULT = {Verdict.SYSTEM_ERROR.value, Verdict.INVALID.value}
#: types of events that may change the layout of the boards
_LAYOUT = {
    EventType.CONTEST, EventType.STATE, EventType.PROBLEMS, EventType.TEAMS, EventType.GROUPS, EventType.INTERVALS,
    EventType.EXTENSIONS, EventType.PENALTIES,
}  # fmt: skip
#: submissions, or cells, of a step of ``lay_out``
_STEP = 200

#: rules of the contest by which a submission counts
_BOARD_RULES = (
    "kind", "duration_ms", "penalty_ms", "is_compile_error_free", "late_ms", "late_step_ms", "late_percent",
)  # fmt: skip
#: problems, teams, and the times and rules by which submissions count
type _Layout = tuple[tuple[str, ...], tuple[str, ...], tuple[Any, ...]]


@dataclass(slots=True)
class ContestLedger:
    """A contest after the events that it has taken in."""

    #: number of the last event, and its time
    last: int = 0
    at: dt.datetime | None = None
    #: the contest's id in addresses and in the Contest API
    key: str = ""
    #: None: its start is not known yet
    clock: ContestClock | None = None
    #: data of the contest and of its state (``deploy/docs/contests.md``)
    contest: Object = field(default_factory=dict)
    state: Object = field(default_factory=dict)
    #: in the order of their first event
    objects: dict[EventType, dict[str, Object]] = field(default_factory=lambda: {type_: {} for type_ in EventType})
    #: submission → its judgements in order
    judgements_of: dict[str, list[str]] = field(default_factory=dict)
    #: submission → its reviews in order (``contests.reviews``)
    reviews_of: dict[str, list[Object]] = field(default_factory=dict)
    #: problem → the largest number of tests that a judgement of it has
    tests_of: dict[str, int] = field(default_factory=dict)
    #: languages of submissions
    _languages: set[str] = field(default_factory=set)
    #: team and problem → their submissions in the order of their first events
    submissions_of: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    #: submission → number of its first event, judgement → that of its last one
    _numbers: dict[EventType, dict[str, int]] = field(
        default_factory=lambda: {EventType.SUBMISSIONS: {}, EventType.JUDGEMENTS: {}}
    )
    #: the jury's and the public one; None: to be laid out
    _boards: tuple[Board, Board] | None = None
    #: the layout that they have
    _laid_out_by: _Layout | None = None

    def take(self, events: Iterable[ContestEvent]) -> None:
        """Take events in, in order.

        Raises:
          ValueError: an event is missing.
        """
        for event in events:
            if event.number != self.last + 1:
                raise ValueError(f"event {self.last + 1} is missing: this is {event.number}")
            self.last, self.at = event.number, event.at
            self._apply(event)
            if self._boards is None:
                continue
            if event.object.type in _LAYOUT:
                if self._layout() != self._laid_out_by:
                    self._boards = None
            elif event.object.data is None:
                self._boards = None
            elif (submission := _submission_of(event)) is not None:
                self._put(submission, *self._boards)

    @property
    def jury_board(self) -> Board:
        """The board with every verdict."""
        return self._laid_out()[0]

    @property
    def public_board(self) -> Board:
        """The board that hides what the freeze hides."""
        return self._laid_out()[1]

    def with_objects(self, objects: Iterable[ContestObject]) -> ContestLedger:
        """Return the contest as it would be if these were its next events. This one stays as it is."""
        made = ContestLedger()
        for one in fields(self):
            setattr(made, one.name, _copied(getattr(self, one.name)))
        made._boards, at = None, self.at or dt.datetime.min.replace(tzinfo=dt.UTC)
        made.take(ContestEvent(self.last + number, at, one) for number, one in enumerate(objects, 1))
        return made

    def of(self, type_: EventType) -> Mapping[str, Object]:
        """Return the objects of a type by id."""
        return self.objects[type_]

    def number_of(self, type_: EventType, object_id: str) -> int:
        """Return the number of a submission's first event, or of a judgement's last one."""
        return self._numbers[type_][object_id]

    def newest_submissions(self, team_id: str | None, problem_id: str | None) -> Iterator[str]:
        """Yield the ids of submissions, the newest first: all, or of a team, to a problem. Those that a filter leaves
        out cost nothing: going through 100,000 of them for a filter that none fits held the event loop for 0.1 s."""
        sent = self.objects[EventType.SUBMISSIONS]
        if team_id is None and problem_id is None:
            yield from reversed(sent)
            return
        cells = (
            reversed(submissions)
            for (team, problem), submissions in self.submissions_of.items()
            if team_id in (None, team) and problem_id in (None, problem)
        )
        numbers = self._numbers[EventType.SUBMISSIONS]
        yield from (one for one in heapq.merge(*cells, key=numbers.__getitem__, reverse=True) if one in sent)

    # -- times

    def contest_time_ms(self, at: str) -> int:
        """Return the contest time of an event's time; 0 while there is no start."""
        return 0 if self.clock is None else self.clock.time_ms(parse_time(at))

    def extension_ms(self, team_id: str) -> int:
        """Return for how much longer than the contest a team may submit."""
        return int(self.objects[EventType.EXTENSIONS].get(team_id, {}).get("extra_ms", 0))

    @property
    def freeze_ms(self) -> int | None:
        """Contest time from which on verdicts are hidden now; None: none are."""
        freeze_ms = self.contest.get("freeze_ms")
        if freeze_ms is None or self.state.get("thawed_at") is not None:
            return None
        return int(self.contest["duration_ms"]) - int(freeze_ms)

    @property
    def is_frozen(self) -> bool:
        """Whether the board hides verdicts from the public and from other teams."""
        return self.state.get("frozen_at") is not None and self.state.get("thawed_at") is None

    def is_withheld(self, submission_id: str) -> bool:
        """Return whether the verdict of a submission is hidden from other teams and the public."""
        freeze_ms = self.freeze_ms
        submission = self.objects[EventType.SUBMISSIONS].get(submission_id)
        if submission is None or freeze_ms is None:
            return False
        return self.contest_time_ms(submission["at"]) >= freeze_ms

    def has_language(self, key: str) -> bool:
        """Return whether the contest takes a language, or took one of its programs before."""
        taken = self.contest.get("languages")
        return not taken or key in taken or key in self._languages

    # -- teams

    def is_hidden(self, team_id: str) -> bool:
        """Return whether boards leave a team out: it is hidden, or one of its groups is, or there is none."""
        team = self.objects[EventType.TEAMS].get(team_id)
        if team is None or team.get("is_hidden"):
            return True
        groups = self.objects[EventType.GROUPS]
        return any(groups.get(group, {}).get("hidden") for group in team.get("group_ids") or ())

    # -- judgements

    def judgement_of(self, submission_id: str) -> Object | None:
        """Return the judgement of a submission that counts now, with the verdict that counts."""
        judgement_id = self.current_judgement(submission_id)
        return None if judgement_id is None else self.judgement(judgement_id)

    def current_judgement(self, submission_id: str) -> str | None:
        """Return the id of the judgement of a submission that counts now; None: it is being judged."""
        judgements = self.objects[EventType.JUDGEMENTS]
        for judgement_id in reversed(self.judgements_of.get(submission_id, ())):
            if judgement_id in judgements and judgements[judgement_id]["is_current"]:
                return judgement_id
        return None

    # -- reviews

    def judgement(self, judgement_id: str) -> Object:
        """Return a judgement, with the verdict that the jury has given instead of its own."""
        data = self.objects[EventType.JUDGEMENTS][judgement_id]
        review = self.review_of(data["submission_id"])
        if review.get("override") is None or review["override_judging"] != judging_of(judgement_id):
            return data
        points: dict[str, Any] = {}
        if "score" in data and review["override"] != Verdict.PARTIAL:
            label = self.objects[EventType.SUBMISSIONS][data["submission_id"]]["problem_id"]
            is_solved = review["override"] == Verdict.ACCEPTED
            points = {"score": self.max_score(label) if is_solved else 0, "groups": []}
        return {**data, "verdict": review["override"], **points}

    def review_of(self, submission_id: str) -> Object:
        """Return what the jury has decided about a submission; empty: nothing."""
        return self.objects[EventType.REVIEWS].get(submission_id, {})

    def is_ignored(self, submission_id: str) -> bool:
        """Return whether the jury has put a submission on no board."""
        return bool(self.review_of(submission_id).get("is_ignored"))

    @property
    def keeping_back(self) -> tuple[bool, bool]:
        """Return whether all verdicts are hidden from their own teams, too, and whether unverified ones are. All are
        hidden until no team may submit and the board shows all: a team with more time must not learn from others."""
        contest, state = self.contest, self.state
        is_shown = is_thawed(state.get("closed_at"), state.get("frozen_at"), state.get("thawed_at"))
        return (
            contest.get("feedback") == ContestFeedback.HIDDEN and not is_shown,
            bool(contest.get("is_verifying")) and state.get("finalized_at") is None,
        )

    def is_kept_back(self, judgement_id: str) -> bool:
        """Return whether a judgement is kept from its own team, too: until the contest is over and shows all, or until
        the jury has verified it. The same rule as ``is_judging_withheld`` of migration 038."""
        are_all, are_unverified = self.keeping_back
        if are_all or not are_unverified:
            return are_all
        submission_id = self.objects[EventType.JUDGEMENTS][judgement_id]["submission_id"]
        return self.review_of(submission_id).get("verified") != judging_of(judgement_id)

    def to_verify(self, submission_id: str) -> bool:
        """Return whether the jury must verify the present verdict of a submission before the contest is finalized."""
        judgement_id = self.current_judgement(submission_id)
        if judgement_id is None or not self.contest.get("is_verifying") or self.is_ignored(submission_id):
            return False
        return self.review_of(submission_id).get("verified") != judging_of(judgement_id)

    def unanswered(self) -> int:
        """Return the number of questions of teams without an answer."""
        clarifications = self.objects[EventType.CLARIFICATIONS]
        answered = {one.get("reply_to_id") for one in clarifications.values()}
        return sum(
            one.get("from_team_id") is not None and clarification_id not in answered
            for clarification_id, one in clarifications.items()
        )

    def judge_failures(self) -> list[str]:
        """Return the submissions that count on the boards and whose verdict says that the judge failed."""
        return [
            submission_id
            for submission_id, submission in self.objects[EventType.SUBMISSIONS].items()
            if (judgement := self.judgement_of(submission_id)) is not None
            and judgement["verdict"] in _JUDGES_FAULT
            and not self.is_hidden(submission["team_id"])
            and self._attempt_pair(submission_id) is not None
        ]

    def _outcome_of(self, judgement: Object | None) -> AttemptOutcome:
        """Return what a submission with a judgement means to the jury's board."""
        if judgement is None:
            return AttemptOutcome.PENDING
        verdict = judgement["verdict"]
        if verdict == Verdict.ACCEPTED.value:
            return AttemptOutcome.SOLVED
        is_free = verdict in _JUDGES_FAULT or (
            verdict == Verdict.COMPILE_ERROR.value and self.contest.get("is_compile_error_free")
        )
        return AttemptOutcome.FREE if is_free else AttemptOutcome.REJECTED

    # -- points

    @property
    def is_scored(self) -> bool:
        """Whether the contest counts points."""
        return is_scored(self.contest.get("kind"))

    def max_score(self, label: str) -> float:
        """Return the most points that a problem gives."""
        return float(self.objects[EventType.PROBLEMS][label].get("max_score") or USUAL_SCORE)

    def cell_of(self, submission_ids: Iterable[str], is_seen: Callable[[Object], bool]) -> BoardCell:
        """Return the cell of submissions of one team to one problem; a judgement that is not seen counts as none."""
        attempts = []
        for submission_id in submission_ids:
            if (pair := self._attempt_pair(submission_id)) is not None:
                judgement = self.judgement_of(submission_id)
                is_shown = judgement is not None and is_seen(judgement)
                attempts.append(pair[0] if is_shown else _without_verdict(pair[0]))
        return self._empty_board((), ()).cell_of(sorted(attempts))

    def _points_of(self, judgement: Object | None, late_ms: int) -> tuple[float, tuple[tuple[str, float], ...]]:
        """Return what a submission with a judgement gets, and its subtasks. ``late_ms``: after its deadline, negative
        before it."""
        if judgement is None or not self.is_scored:
            return 0.0, ()
        score = float(judgement.get("score") or 0)
        if self.contest["kind"] == ContestKind.HOMEWORK:
            rule = {"step_ms": self.contest["late_step_ms"], "percent": self.contest["late_percent"]}
            return after_lateness(score, late_ms, **rule), ()
        return score, subtasks_of(score, judgement.get("groups") or ())

    def _empty_board(self, teams: Iterable[str], problems: Iterable[str]) -> Board:
        if self.is_scored:
            return PointsBoard(teams, problems, adds_subtasks=self.contest["kind"] == ContestKind.IOI)
        given = {team: int(one["minutes"]) for team, one in self.objects[EventType.PENALTIES].items()}
        return Board(teams, problems, penalty_ms=int(self.contest.get("penalty_ms", 0)), given=given)

    # -- folding

    def _apply(self, event: ContestEvent) -> None:
        object_ = event.object
        if object_.type is EventType.CONTEST:
            self.key, self.contest = object_.id, object_.data or {}
            self._set_clock()
        elif object_.type is EventType.STATE:
            self.state = object_.data or {}
        elif object_.data is None:
            self.objects[object_.type].pop(object_.id, None)
        else:
            self.objects[object_.type][object_.id] = object_.data
        if object_.type is EventType.INTERVALS:
            self._set_clock()
        elif object_.type is EventType.SUBMISSIONS:
            if object_.data is not None:
                self._languages.add(object_.data["language"])
            numbers = self._numbers[EventType.SUBMISSIONS]
            if object_.data is not None and object_.id not in numbers:
                of_cell = object_.data["team_id"], object_.data["problem_id"]
                self.submissions_of.setdefault(of_cell, []).append(object_.id)
            numbers.setdefault(object_.id, event.number)
        elif object_.type is EventType.REVIEWS and object_.data is not None:
            self.reviews_of.setdefault(object_.id, []).append(object_.data)
        elif object_.type is EventType.JUDGEMENTS and object_.data is not None:
            self._numbers[EventType.JUDGEMENTS][object_.id] = event.number
            judgements = self.judgements_of.setdefault(object_.data["submission_id"], [])
            if object_.id not in judgements:
                judgements.append(object_.id)
            submission = self.objects[EventType.SUBMISSIONS].get(object_.data["submission_id"])
            if submission is not None:
                problem_id, tests = submission["problem_id"], len(object_.data.get("runs") or ())
                self.tests_of[problem_id] = max(tests, self.tests_of.get(problem_id, 0))

    def _set_clock(self) -> None:
        start = self.contest.get("start_at")
        gone = [
            (parse_time(one["start_at"]), None if one["end_at"] is None else parse_time(one["end_at"]))
            for one in self.objects[EventType.INTERVALS].values()
            if not one["is_restored"]
        ]
        self.clock = None if start is None else ContestClock(parse_time(start), merged(gone))

    def lay_out(self) -> Iterator[None]:
        """Lay out the boards, unless they are laid out. Each step takes about a millisecond. The caller may do other
        work between two steps, but take in no event. Reading a board does all steps at once."""
        if self._boards is not None:
            return
        layout = self._layout()
        order, teams, *_ = layout
        jury, public = (self._empty_board(teams, order) for _ in range(2))
        for some in itertools.batched(self.objects[EventType.SUBMISSIONS], _STEP, strict=False):
            pairs = [pair for each in some if (pair := self._attempt_pair(each)) is not None]
            jury.add(of_jury for of_jury, _ in pairs)
            public.add(of_public for _, of_public in pairs)
            yield
        for board in (jury, public):
            for _ in itertools.batched(board.settle(), _STEP, strict=False):
                yield
        self._boards, self._laid_out_by = (jury, public), layout

    def _laid_out(self) -> tuple[Board, Board]:
        if self._boards is None:
            for _ in self.lay_out():
                pass
        if self._boards is None:
            raise AssertionError("lay_out has laid them out")
        return self._boards

    def _layout(self) -> _Layout:
        """Return what the boards depend on besides submissions and judgements."""
        problems = self.objects[EventType.PROBLEMS]
        order = sorted(problems, key=lambda label: (problems[label]["ordinal"], label))
        extensions = tuple((team, one["extra_ms"]) for team, one in self.objects[EventType.EXTENSIONS].items())
        return (
            tuple(order),
            tuple(team for team in in_order(self.objects[EventType.TEAMS]) if not self.is_hidden(team)),
            (
                self.clock,
                self.freeze_ms,
                self.keeping_back,
                extensions,
                tuple((team, one["minutes"]) for team, one in self.objects[EventType.PENALTIES].items()),
                # what a verdict of the jury gives
                tuple(problems[label].get("max_score") for label in order),
                *(self.contest.get(name) for name in _BOARD_RULES),
            ),
        )

    def _put(self, submission_id: str, jury: Board, public: Board) -> None:
        """Put a submission on both boards."""
        pair = self._attempt_pair(submission_id)
        for board, attempt in zip((jury, public), pair or (None, None), strict=True):
            if attempt is None:
                board.remove(submission_id)
            else:
                board.put(attempt)

    def _attempt_pair(self, submission_id: str) -> tuple[BoardAttempt, BoardAttempt] | None:
        """Return a submission as the jury's and as the public board has it; None: it was sent outside of the contest's
        time, or is ignored."""
        submission, clock = self.objects[EventType.SUBMISSIONS].get(submission_id), self.clock
        if submission is None or clock is None or self.is_ignored(submission_id):
            return None
        at_ms, freeze_ms = parse_time(submission["at"]), self.freeze_ms
        time_ms = clock.time_ms(at_ms)
        deadline_ms = int(self.contest.get("duration_ms", 0)) + self.extension_ms(submission["team_id"])
        if not 0 <= time_ms < deadline_ms + int(self.contest.get("late_ms") or 0):
            return None
        judgement_id = self.current_judgement(submission_id)
        judgement = None if judgement_id is None else self.judgement(judgement_id)
        points, subtasks = self._points_of(judgement, time_ms - deadline_ms)
        of_jury = BoardAttempt(
            time_ms=time_ms,
            # what was sent in an interval that is removed has one contest time, and keeps its order
            number=(at_ms << 32) + self.number_of(EventType.SUBMISSIONS, submission_id),
            submission_id=submission_id,
            team_id=submission["team_id"],
            problem_id=submission["problem_id"],
            outcome=self._outcome_of(judgement),
            points=points,
            subtasks=subtasks,
        )
        is_withheld = (freeze_ms is not None and time_ms >= freeze_ms) or (
            judgement_id is not None and self.is_kept_back(judgement_id)
        )
        return of_jury, _without_verdict(of_jury) if is_withheld else of_jury


def _without_verdict(attempt: BoardAttempt) -> BoardAttempt:
    return replace(attempt, outcome=AttemptOutcome.PENDING, points=0.0, subtasks=())


def _copied(value: Any) -> Any:
    """Return a copy of a field that can be changed: of a dictionary, and of the dictionaries and lists in it."""
    if not isinstance(value, dict):
        return value
    return {key: copy.copy(one) if isinstance(one, dict | list) else one for key, one in value.items()}


def name_of(objects: Mapping[str, Object], object_id: str | None) -> str:
    """Return what an object is called; its id if it has no name, empty if there is none."""
    data = objects.get(object_id or "", {})
    return str(data.get("display_name") or data.get("name") or object_id or "")


def in_order(objects: Mapping[str, Object]) -> list[str]:
    """Return the ids of objects, sorted by their names."""
    return sorted(objects, key=lambda object_id: (name_key(name_of(objects, object_id)), name_key(object_id)))


def judging_of(judgement_id: str) -> int:
    """Return the number of the judging of a judgement: 1, and one more with each rejudge."""
    return int(judgement_id.rpartition("-")[2])


def _submission_of(event: ContestEvent) -> str | None:
    """Return the submission whose cell an event changes."""
    if event.object.type in {EventType.SUBMISSIONS, EventType.REVIEWS}:
        return event.object.id
    if event.object.type is EventType.JUDGEMENTS and event.object.data is not None:
        submission: str = event.object.data["submission_id"]
        return submission
    return None
