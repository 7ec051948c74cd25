"""What pages show of a contest, and to whom.

All that the public and teams get is taken through ``views.seen`` and from the public board. So no page of theirs
depends on a verdict that the freeze hides.
"""

from __future__ import annotations

import datetime as dt
import enum
import itertools
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from quart import Response, request
from werkzeug.http import dump_cookie

from deepoj.api.contesting import Contesting
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.limits import RequestLimits
from deepoj.contests.board import BoardCell, points_text
from deepoj.contests.clock import minutes_of, moment_of
from deepoj.contests.ledger import ContestLedger, Object, in_order, name_of
from deepoj.contests.points_board import lost_percent
from deepoj.contests.views import ContestViewer, seen, sees_sources
from deepoj.web.forms import SentForm
from deepoj.web.turns import next_turn
from deepoj.web.visitor import Visitor, Visitors
from deepoj.words.contests import Contest, EventType
from deepoj.words.results import Verdict

#: cookie with the newest clarification that this browser has shown; its path is that of the contest's pages
READ_COOKIE = "deepoj_read"
_YEAR_S = 366 * 86400
#: verdict of a submission that has none yet, or none that the viewer sees
_WAITING = "Judging"


class ContestPhase(enum.StrEnum):
    """How far a contest is."""

    COMING = "coming"
    RUNNING = "running"
    FROZEN = "frozen"
    OVER = "over"
    FINAL = "final"


UNDER_WAY = frozenset({ContestPhase.RUNNING, ContestPhase.FROZEN})


def phase_of(contest: Contest) -> ContestPhase:
    """Return how far a contest is."""
    if contest.finalized_at is not None:
        return ContestPhase.FINAL
    if contest.ended_at is not None:
        return ContestPhase.OVER
    if contest.started_at is None:
        return ContestPhase.COMING
    return ContestPhase.RUNNING if contest.frozen_at is None else ContestPhase.FROZEN


def end_of(contest: Contest) -> dt.datetime | None:
    """Return when a contest ends; None: its start is not known, or it is paused."""
    return moment_of(contest, contest.rules.duration_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPoints:
    """Points at a problem. ``share`` of the problem's: 0: none, 1 to 3: a part, 4: all."""

    points: str
    most: str
    share: int
    #: name and points
    subtasks: tuple[tuple[str, str], ...]
    judged: int
    pending: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownProblem:
    """A problem of a contest."""

    label: str
    name: str
    #: ``#rrggbb``; empty: no color
    rgb: str
    color: str
    time_limit_ms: int
    memory_limit_mb: int
    problem_id: int
    ordinal: int
    max_score: float
    #: languages in which the contest has a statement of its own
    statements: tuple[str, ...]

    @property
    def most(self) -> str:
        return points_text(self.max_score)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSubmission:
    """A submission of a contest. ``verdict``: ``Judging`` while the viewer sees none."""

    id: str
    #: empty: the viewer may not read the submission
    job_id: str
    team: str
    team_id: str
    label: str
    language: str
    at: str
    #: contest time
    minute: int
    verdict: str
    #: on no board
    is_ignored: bool
    #: the jury must verify it
    to_verify: bool
    #: that it counts, as a text; empty: none, or problems count
    points: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownClarification:
    """A question with its answers, or an announcement."""

    id: str
    #: name of the team that asks; empty: the jury speaks
    team: str
    is_own: bool
    label: str
    category: str
    text: str
    at: str
    is_new: bool
    answers: Sequence[ShownClarification] = ()


@dataclass(frozen=True, slots=True)
class ContestReading:
    """A contest as one viewer sees it. Its ledger goes on changing: use it before you wait for anything."""

    contest: Contest
    ledger: ContestLedger
    viewer: ContestViewer

    @property
    def path(self) -> str:
        return f"/contests/{self.contest.key}"

    def deadline(self) -> dt.datetime | None:
        """Return the end of the contest for the viewer's team, which may have more time; None: it is not known."""
        return moment_of(self.contest, self.contest.rules.duration_ms + self._extra_ms)

    def may_submit(self) -> bool:
        """Return whether the viewer's team may submit: also late homework, and in more time than others have."""
        phase = phase_of(self.contest)
        if self.viewer.team_id is None or phase in (ContestPhase.COMING, ContestPhase.FINAL):
            return False
        return phase is not ContestPhase.OVER or _is_ahead(self._last_moment())

    def may_ask(self) -> bool:
        """Return whether the viewer asks the jury here. The jury writes where the contest is run, also if it is in a
        team."""
        is_contestant = self.viewer.team_id is not None and not self.viewer.is_jury
        return is_contestant and phase_of(self.contest) is not ContestPhase.FINAL

    def late_end(self) -> dt.datetime | None:
        """Return until when the viewer's team may submit late; None: not at all, or it is not known."""
        return self._last_moment() if self.contest.rules.late_ms else None

    def takes_late(self) -> bool:
        """Return whether the contest is over and still takes late submissions."""
        return phase_of(self.contest) is ContestPhase.OVER and _is_ahead(self.late_end())

    def late_percent(self) -> int:
        """Return how many percent of its points a submission of the viewer's team loses now."""
        rules, now_ms = self.contest.rules, round(dt.datetime.now(dt.UTC).timestamp() * 1000)
        if self.ledger.clock is None:
            return 0
        late_ms = self.ledger.clock.time_ms(now_ms) - rules.duration_ms - self._extra_ms
        return lost_percent(late_ms, step_ms=rules.late_step_ms, percent=rules.late_percent)

    def _last_moment(self) -> dt.datetime | None:
        """Return until when the viewer's team may submit; None: it is not known."""
        rules = self.contest.rules
        return moment_of(self.contest, rules.duration_ms + rules.late_ms + self._extra_ms)

    @property
    def _extra_ms(self) -> int:
        return 0 if self.viewer.team_id is None else self.ledger.extension_ms(self.viewer.team_id)

    def objects(self, type_: EventType) -> Iterator[tuple[str, Object]]:
        """Yield id and data of the objects of a type that the viewer sees."""
        for object_id, data in self.ledger.of(type_).items():
            if seen(self.ledger, self.viewer, type_, object_id, data):
                yield object_id, data

    def problems(self) -> list[ShownProblem]:
        """Return the problems that the viewer sees, in their order."""
        return sorted(
            (_problem(label, data, self.ledger.max_score(label)) for label, data in self.objects(EventType.PROBLEMS)),
            key=lambda problem: (problem.ordinal, problem.label),
        )

    def problem(self, label: str) -> ShownProblem:
        """Return a problem. Raises Refused if the viewer sees none with the label."""
        data = self.ledger.of(EventType.PROBLEMS).get(label)
        if data is None or not seen(self.ledger, self.viewer, EventType.PROBLEMS, label, data):
            raise Refused(ApiError.NO_SUCH_PROBLEM)
        return _problem(label, data, self.ledger.max_score(label))

    def minute_of(self, at: str) -> int:
        """Return the minute of the contest of an event's time."""
        return minutes_of(self.ledger.contest_time_ms(at))

    def team_name(self, team_id: str | None) -> str:
        return name_of(self.ledger.of(EventType.TEAMS), team_id)

    def teams(self) -> dict[str, str]:
        """Return id and name of the teams that the viewer sees, sorted by name."""
        seen_teams = dict(self.objects(EventType.TEAMS))
        return {team_id: name_of(seen_teams, team_id) for team_id in in_order(seen_teams)}

    def solved(self) -> set[str]:
        """Return the labels of the problems that the viewer's team has solved."""
        return {
            submission.label for submission in self.submissions(team_id=self.viewer.team_id or "")
            if submission.verdict == Verdict.ACCEPTED
        }  # fmt: skip

    def results(self) -> dict[str, ShownPoints]:
        """Return the points of the viewer's team by problem, as far as it sees its verdicts; nothing where problems
        count."""
        if not self.ledger.is_scored or self.viewer.team_id is None:
            return {}
        own: dict[str, list[str]] = {}
        for submission_id, data in self.objects(EventType.SUBMISSIONS):
            if data["team_id"] == self.viewer.team_id:
                own.setdefault(data["problem_id"], []).append(submission_id)
        return {
            problem.label: shown_points(self._cell(own.get(problem.label, ())), problem.max_score)
            for problem in self.problems()
        }

    def submissions(
        self, *, team_id: str | None = None, label: str | None = None, skipped: int = 0
    ) -> Iterator[ShownSubmission]:
        """Yield the submissions that the viewer sees, the newest first: all, or of a team, a problem.

        ``skipped``: leave out so many, which are not rendered: a page after 100,000 of them held the event loop for
        1.4 s.
        """
        sent = self.ledger.objects[EventType.SUBMISSIONS]
        newest = self.ledger.newest_submissions(team_id, label) if skipped < len(sent) else ()
        found = (
            (one, sent[one]) for one in newest if seen(self.ledger, self.viewer, EventType.SUBMISSIONS, one, sent[one])
        )
        for submission_id, data in itertools.islice(found, skipped, None):
            yield self._submission(submission_id, data)

    def submission(self, submission_id: str, data: Object) -> ShownSubmission | None:
        """Return a submission; None: the viewer does not see it."""
        if not seen(self.ledger, self.viewer, EventType.SUBMISSIONS, submission_id, data):
            return None
        return self._submission(submission_id, data)

    def newest(self) -> str:
        """Return the id of the newest submission that the viewer sees; ``0``: there is none."""
        newest = reversed(self.ledger.objects[EventType.SUBMISSIONS].items())
        found = (one for one, data in newest if seen(self.ledger, self.viewer, EventType.SUBMISSIONS, one, data))
        return next(found, "0")

    def unjudged(self) -> int:
        """Return the number of submissions without a verdict."""
        return sum(self.ledger.judgement_of(one) is None for one in self.ledger.of(EventType.SUBMISSIONS))

    def clarifications(self, *, read: int = 0) -> list[ShownClarification]:
        """Return questions and announcements that the viewer sees, the newest first; answers are with their question.
        ``read``: number of the newest one that was shown before."""
        answers: dict[str, list[ShownClarification]] = {}
        roots: list[tuple[str, Object]] = []
        found = dict(self.objects(EventType.CLARIFICATIONS))
        for clarification_id, data in found.items():
            if (asked := data.get("reply_to_id")) in found:
                answers.setdefault(asked, []).append(self._clarification(clarification_id, data, read))
            else:
                roots.append((clarification_id, data))
        return [
            self._clarification(clarification_id, data, read, answers.get(clarification_id, ()))
            for clarification_id, data in reversed(roots)
        ]

    def unread(self, read: int) -> int:
        """Return the number of clarifications by others after the one with the number ``read``."""
        return sum(
            number_of(clarification_id) > read and data.get("from_team_id") in self._others
            for clarification_id, data in self.objects(EventType.CLARIFICATIONS)
        )

    def frame(self) -> dict[str, Any]:
        """Return what the head of each page of a contest needs."""
        phase, now = phase_of(self.contest), dt.datetime.now(dt.UTC)
        turn = next_turn(self.contest, self.deadline(), self.late_end(), now)
        return {
            "contest": self.contest,
            "viewer": self.viewer,
            "contest_phase": phase.value,
            "contest_path": self.path,
            "contest_end": self.deadline(),
            "late_end": self.late_end(),
            "extra_ms": self._extra_ms,
            "turn": turn,
            "turn_s": None if turn is None else turn.refresh_s(now),
            "clock_mark": self.clock_mark(),
            "is_answer": request.method == "POST",
            "is_late": self.takes_late(),
            "is_scored": self.ledger.is_scored,
            "is_under_way": self.is_under_way,
            "is_still_open": phase is ContestPhase.OVER and self.may_submit(),
            "contest_problems": self.problems(),
            "team_name": "" if self.viewer.team_id is None else self.team_name(self.viewer.team_id),
            "given_minutes": 0 if self.viewer.team_id is None else self.given_minutes(self.viewer.team_id),
            "is_live": phase is not ContestPhase.FINAL and (self.viewer.is_jury or self.viewer.team_id is not None),
            "unread": 0 if self.viewer.is_jury else self.unread(read_before()),
            "open_questions": self.ledger.unanswered() if self.viewer.is_jury else 0,
        }

    def clock_mark(self) -> str:
        """Return a mark of the rules, the state and the times of the contest for the viewer's team: a page with another
        one is out of date."""
        ledger = self.ledger
        return f"{zlib.crc32(repr((ledger.contest, ledger.state, ledger.clock, self._extra_ms)).encode()):08x}"

    @property
    def is_under_way(self) -> bool:
        """Whether a team still takes part: the contest has started, and is not over for all."""
        return self.contest.started_at is not None and self.contest.closed_at is None

    def require_key(self, form: SentForm) -> None:
        """Raise Refused unless the contest's key is typed, while it is under way: an act that cannot be undone."""
        if self.is_under_way:
            form.require_typed(self.contest.key)

    def given_minutes(self, team_id: str) -> int:
        """Return the minutes of penalty time that the jury has given a team."""
        given = self.ledger.of(EventType.PENALTIES).get(team_id)
        return 0 if given is None else int(given["minutes"])

    @property
    def _others(self) -> set[str | None]:
        """Teams whose clarifications are news for the viewer; None: those of the jury."""
        return {None} if not self.viewer.is_jury else {*self.ledger.of(EventType.TEAMS)}

    def _submission(self, submission_id: str, data: Object) -> ShownSubmission:
        judgement_id, judgement = self.ledger.current_judgement(submission_id), None
        if judgement_id is not None:
            judgement = self.ledger.judgement(judgement_id)
        is_seen = (
            judgement_id is not None
            and judgement is not None
            and seen(self.ledger, self.viewer, EventType.JUDGEMENTS, judgement_id, judgement)
        )
        return ShownSubmission(
            id=submission_id,
            job_id=data.get("job_id") or "" if sees_sources(self.viewer, data) else "",
            team=self.team_name(data["team_id"]),
            team_id=data["team_id"],
            label=data["problem_id"],
            language=data["language"],
            at=data["at"],
            minute=self.minute_of(data["at"]),
            is_ignored=self.ledger.is_ignored(submission_id),
            to_verify=self.viewer.is_jury and self.ledger.to_verify(submission_id),
            verdict=judgement["verdict"] if judgement is not None and is_seen else _WAITING,
            points=points_text(self._cell((submission_id,)).points or 0) if self.ledger.is_scored and is_seen else "",
        )

    def _cell(self, submission_ids: Sequence[str]) -> BoardCell:
        return self.ledger.cell_of(
            submission_ids, lambda judgement: seen(self.ledger, self.viewer, EventType.JUDGEMENTS, "", judgement)
        )

    def _clarification(
        self, clarification_id: str, data: Object, read: int, answers: Sequence[ShownClarification] = ()
    ) -> ShownClarification:
        team_id = data.get("from_team_id")
        return ShownClarification(
            id=clarification_id,
            team="" if team_id is None else self.team_name(team_id),
            is_own=team_id is not None and team_id == self.viewer.team_id,
            label=data.get("problem_id") or "",
            category=data.get("category") or "",
            text=data["text"],
            at=data["at"],
            is_new=number_of(clarification_id) > read and team_id in self._others,
            answers=answers,
        )


class ContestReader:
    """Finds the contests of requests. Raises StoreUnavailable."""

    def __init__(self, contesting: Contesting, limits: RequestLimits, visitors: Visitors) -> None:
        self.contesting, self._limits, self._visitors = contesting, limits, visitors

    async def read(self, visitor: Visitor, key: str, *, is_costly: bool = False) -> ContestReading:
        """Return a contest as the visitor sees it. Raises Refused if the visitor does not.

        ``is_costly``: the page takes much longer than others of ``Limit.SPECTATOR``.
        """
        sight = await self.contesting.find(key, visitor.user)
        if visitor.account is None and (is_costly or not self.contesting.is_kept(sight.contest)):
            await self._limits.count_costly()
        return ContestReading(sight.contest, await self.contesting.ledger(sight.contest), sight.viewer)

    async def remains(self, visitor: Visitor, reading: ContestReading) -> bool:
        """Return whether the visitor still sees the contest as the same viewer: if not, its stream has to end."""
        user = None if visitor.account is None else await self._visitors.user_now(visitor)
        if user is None and visitor.account is not None:
            return False
        try:
            now = await self.contesting.find(reading.contest.key, user)
        except Refused:
            return False
        return (now.contest.id, now.viewer) == (reading.contest.id, reading.viewer)


def _is_ahead(at: dt.datetime | None) -> bool:
    return at is not None and dt.datetime.now(dt.UTC) < at


def read_before() -> int:
    """Return the number of the newest clarification that this browser has shown."""
    return number_of(request.cookies.get(READ_COOKIE, ""))


def remember_read(response: Response, found: Iterable[ShownClarification], path: str, *, is_encrypted: bool) -> None:
    """Let the browser remember that it has shown these clarifications. ``path``: of the pages that mark new ones."""
    ids = [one.id for root in found for one in (root, *root.answers)]
    if ids:
        newest = str(max(map(number_of, ids)))
        cookie = dump_cookie(
            READ_COOKIE, newest, max_age=_YEAR_S, path=path, httponly=True, samesite="Lax", secure=is_encrypted
        )
        response.headers.add("Set-Cookie", cookie)


def number_of(clarification_id: str) -> int:
    """Return a clarification's number; 0 if it has none."""
    is_number = clarification_id.isascii() and clarification_id.isdigit() and len(clarification_id) <= 9
    return int(clarification_id) if is_number else 0


def shown_points(cell: BoardCell, max_score: float) -> ShownPoints:
    """Return the points of a cell at a problem that gives ``max_score``."""
    points = cell.points or 0.0
    share = 4 if points >= max_score else min(3, int(3 * points / max_score) + 1) if points > 0 else 0
    return ShownPoints(
        points=points_text(points),
        most=points_text(max_score),
        share=share,
        subtasks=tuple((name, points_text(of_subtask)) for name, of_subtask in cell.subtasks),
        judged=cell.judged,
        pending=cell.pending,
    )


def _problem(label: str, data: Object, max_score: float) -> ShownProblem:
    return ShownProblem(
        label=label,
        name=data["name"],
        rgb=data.get("rgb") or "",
        color=data.get("color") or "",
        time_limit_ms=data["time_limit_ms"],
        memory_limit_mb=data["memory_limit_mb"],
        problem_id=data["problem_id"],
        ordinal=data["ordinal"],
        max_score=max_score,
        statements=tuple(data.get("statements") or ()),
    )
