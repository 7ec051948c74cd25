"""Contests: what is stored of them. The names are those of the ICPC Contest API."""

from __future__ import annotations

import datetime as dt
import enum
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deepoj.words.accounts import NewAccount
from deepoj.words.results import Verdict

#: the most points that a problem gives if its contest says nothing else
USUAL_SCORE = 100.0
#: an id of the Contest API
ID = re.compile(r"[a-zA-Z0-9_]([a-zA-Z0-9_.-]{0,34}[a-zA-Z0-9_-])?")
#: the id of the remark that is made when the contest is finalized, in its commentary
FINAL_COMMENT = "final"
#: the id of a group is a part of that of its award, which has 36 characters at most
MAX_GROUP_ID_CHARS = 23
#: entries of a list of teams, groups, organizations or accounts
MAX_TEAM_ENTRIES = 2000
#: of a team without an answer of the jury
MAX_QUESTIONS = 20


class ContestKind(enum.StrEnum):
    """By which rules the board counts."""

    #: problems solved, then penalty time
    ICPC = "icpc"
    #: points: of each subtask the best that any submission has got
    IOI = "ioi"
    #: points of the best submission; late ones lose some
    HOMEWORK = "homework"


class ContestRegistration(enum.StrEnum):
    """Who makes teams."""

    #: those who run the contest
    CLOSED = "closed"
    #: each account that sees the contest, too: a team of one, until the end
    OPEN = "open"


class ContestFeedback(enum.StrEnum):
    """When teams see the verdicts of their own submissions."""

    FULL = "full"
    #: when the contest is over for all of its teams and its board shows all
    HIDDEN = "hidden"


class EventType(enum.StrEnum):
    """What an event is about; the Contest API's names of collections."""

    CONTEST = "contest"
    STATE = "state"
    PROBLEMS = "problems"
    GROUPS = "groups"
    ORGANIZATIONS = "organizations"
    TEAMS = "teams"
    ACCOUNTS = "accounts"
    SUBMISSIONS = "submissions"
    JUDGEMENTS = "judgements"
    CLARIFICATIONS = "clarifications"
    AWARDS = "awards"
    COMMENTARY = "commentary"
    #: what the jury has decided about a submission (``contests.reviews``); not of the Contest API
    REVIEWS = "reviews"
    #: lists of texts that the director writes: categories of questions, usual answers; not of the Contest API
    TEXTS = "texts"
    #: beyond the Contest API: time that is no time of the contest, and teams that have more of it
    INTERVALS = "intervals"
    EXTENSIONS = "extensions"
    #: penalty time that the jury gives a team; not of the Contest API, whose total has it
    PENALTIES = "penalties"
    #: an act on the clock, with its reason
    CLOCK = "clock"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContestRules:
    """What a contest's director decides, and may change."""

    name: str
    formal_name: str = ""
    is_public: bool = True
    #: None: not known yet
    start_at: dt.datetime | None = None
    duration_ms: int
    #: so long before the end the board stops showing verdicts; None: never
    freeze_ms: int | None = None
    #: for each rejected attempt at a problem that is solved later
    penalty_ms: int = 20 * 60_000
    is_compile_error_free: bool = True
    #: when the board shows all verdicts again; None: not decided yet
    thaw_at: dt.datetime | None = None
    feedback: ContestFeedback = ContestFeedback.FULL
    #: a verdict is seen by teams, and counts on their board, when the jury has verified it
    is_verifying: bool = False
    #: teams may run programs on inputs of their own while it runs
    allows_custom_runs: bool = True
    #: homework: so long after the end submissions are taken
    late_ms: int = 0
    #: … and lose so many percent of their points for each such time that has begun
    late_step_ms: int = 24 * 3_600_000
    late_percent: int = 0
    #: keys of the languages that are taken, among those of each problem; empty: all of them
    languages: tuple[str, ...] = ()
    registration: ContestRegistration = ContestRegistration.CLOSED

    @property
    def freeze_at_ms(self) -> int | None:
        """The contest time at which the board is frozen; None: never."""
        return None if self.freeze_ms is None else self.duration_ms - self.freeze_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """A contest as its row has it."""

    id: int
    #: its id in addresses and in the Contest API
    key: str
    kind: ContestKind
    rules: ContestRules
    created_by: int | None
    #: the countdown to its start was paused when so much of it was left; None: it was not
    countdown_pause_ms: int | None
    #: wall clock that is no time of the contest, in order: from, and to; None: the contest is paused
    removed: tuple[tuple[dt.datetime, dt.datetime | None], ...]
    #: what has happened, at the time for which it was set; None: not yet
    started_at: dt.datetime | None
    frozen_at: dt.datetime | None
    ended_at: dt.datetime | None
    #: the last team's time, and that of late homework, is over
    closed_at: dt.datetime | None
    thawed_at: dt.datetime | None
    finalized_at: dt.datetime | None
    end_of_updates_at: dt.datetime | None

    @property
    def paused_at(self) -> dt.datetime | None:
        """When the pause began that goes on; None: it is not paused."""
        return self.removed[-1][0] if self.removed and self.removed[-1][1] is None else None

    @property
    def has_shown_hidden(self) -> bool:
        """Whether it showed its teams the verdicts that it had hidden: it takes no submissions any more."""
        is_hidden = self.rules.feedback is ContestFeedback.HIDDEN
        return is_hidden and is_thawed(self.closed_at, self.frozen_at, self.thawed_at)

    @property
    def shows_all(self) -> bool:
        """Whether it is over for all of its teams, and hides no verdict from anybody."""
        is_settled = not self.rules.is_verifying or self.finalized_at is not None
        return is_settled and is_thawed(self.closed_at, self.frozen_at, self.thawed_at)


def is_thawed(closed_at: object, frozen_at: object, thawed_at: object) -> bool:
    """Return whether a contest is over for all of its teams, and its freeze, if it had one, is lifted. The times are
    None before."""
    return closed_at is not None and (frozen_at is None or thawed_at is not None)


class ClockAct(enum.StrEnum):
    """What is done to the clock of a contest by hand."""

    START = "start"
    MOVE = "move"
    #: the countdown before the start, the contest afterwards
    PAUSE = "pause"
    RESUME = "resume"
    FREEZE = "freeze"
    THAW = "thaw"
    LENGTH = "length"
    #: an interval of the wall clock is no time of the contest, or is again
    REMOVE = "remove"
    RESTORE = "restore"
    #: a team has more time
    EXTEND = "extend"
    #: a team has more penalty time than its solutions give, or less
    PENALTY = "penalty"
    #: judging of one problem
    HOLD = "hold"
    RELEASE = "release"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockChange:
    """An act on the clock, with what it needs."""

    act: ClockAct
    reason: str = ""
    #: MOVE, REMOVE
    start_at: dt.datetime | None = None
    #: REMOVE
    end_at: dt.datetime | None = None
    #: PAUSE of the countdown: so much is left then; None: what is left now
    left_ms: int | None = None
    #: LENGTH
    duration_ms: int = 0
    #: RESTORE
    interval: int = 0
    #: EXTEND; 0: no more than others
    team_id: str = ""
    extra_ms: int = 0
    #: PENALTY: minutes, also negative, in place of those that were given before; team_id as above
    penalty_min: int = 0
    #: HOLD, RELEASE: a problem's label
    label: str = ""


@dataclass(frozen=True, slots=True)
class ContestStanding:
    """The contests whose state may still change by itself."""

    #: those in which something is due now
    due: tuple[int, ...]
    #: how many have started and are not over
    running: int
    #: how many events all of them have
    events: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ContestWaits:
    """How long the latest judged submissions of a contest took, in milliseconds; all 0 if there are none.

    ``wait``: from the submission to its claim by a node. ``judging``: from there to the verdict; ``compile`` and
    ``run`` (the tests) are parts of its sum."""

    count: int
    wait_p50_ms: int
    wait_p99_ms: int
    judging_p50_ms: int
    judging_p99_ms: int
    judging_sum_ms: int
    compile_sum_ms: int
    run_sum_ms: int


@dataclass(frozen=True, slots=True)
class ContestObject:
    """What an object is from now on. ``data`` None: it is deleted. The design's table has the fields of each type
    (``deploy/docs/contests.md``)."""

    type: EventType
    id: str
    data: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class ContestEvent:
    """One event of a contest's ledger. ``number``: from 1, without gaps."""

    number: int
    at: dt.datetime
    object: ContestObject


@dataclass(frozen=True, slots=True, kw_only=True)
class ContestProblem:
    """A problem in a contest."""

    #: A, B, …: its id in the contest
    label: str
    problem_id: int
    #: from 1
    ordinal: int
    #: instead of the problem's title; empty: its title
    name: str = ""
    #: ``#rrggbb``, and its name; empty: none
    rgb: str = ""
    color: str = ""
    #: instead of the problem's; None: the problem's
    time_limit_ms: int | None = None
    memory_limit_mb: int | None = None
    #: in its package now; 0: not known
    tests: int = 0
    #: in contests that count points: the most that it gives
    max_score: float = USUAL_SCORE


def id_of_name(name: str, letter: str) -> str:
    """Return an id for a name of a list: the name itself if it can be an id, else one that depends on it alone."""
    if ID.fullmatch(name) and len(name) <= MAX_GROUP_ID_CHARS:
        return name
    return f"{letter}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def team_of_one(user_id: int) -> ContestObject:
    """Return the team that an account is by itself. It has no name: that of the account is added when it is read, so an
    erased account has left none in the ledger."""
    team_id = f"u{user_id}"
    data: dict[str, Any] = {"user_id": user_id, "organization_id": None, "group_ids": [], "is_hidden": False}
    return ContestObject(EventType.TEAMS, team_id, {**data, "label": team_id})


@dataclass(frozen=True, slots=True)
class ContestMember:
    """An account of a team. ``networks``: from which it logs in until the contest is over; empty: as before."""

    username: str
    team_id: str
    networks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NewMembers:
    """Accounts of teams that are created with the teams. ``by``: the administrator's name."""

    accounts: Sequence[NewAccount]
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContestPlace:
    """Where a submission of a contest belongs."""

    contest_id: int
    key: str
    name: str
    #: of the problem
    label: str
    #: the author's team
    team_id: str
    #: judging of the problem is paused
    is_paused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HostContest:
    """A contest of an account that keeps one of its problems from practice."""

    key: str
    name: str
    #: of the problem
    label: str
    #: it takes submissions now; False: it is over and has not shown its verdicts yet
    is_running: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ClarificationDraft:
    """A question of a team, an answer, or an announcement. No team and no receivers: an announcement to all."""

    from_team_id: str | None = None
    #: None: to everybody
    to_team_ids: tuple[str, ...] | None = None
    reply_to_id: str | None = None
    #: label; None: about none
    problem_id: str | None = None
    category: str = ""
    text: str


class ReviewAct(enum.StrEnum):
    """What the jury does about a submission."""

    #: takes it for review, so that others leave it
    CLAIM = "claim"
    #: gives it back, also for another account
    RELEASE = "release"
    #: the verdict is right: teams may see it
    VERIFY = "verify"
    #: proposes another verdict, which counts when it is confirmed
    OVERRIDE = "override"
    CONFIRM = "confirm"
    #: drops the proposal
    WITHDRAW = "withdraw"
    #: the submission is on no board
    IGNORE = "ignore"
    #: … and counts again
    RESTORE = "restore"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewDraft:
    """An act of the jury about a submission."""

    act: ReviewAct
    #: number of the judging that the jury has looked at
    judging: int
    #: of an override
    verdict: Verdict | None = None
    #: of an override, or why it is ignored
    reason: str = ""


class ContestRefusal(enum.StrEnum):
    """Why a change of a contest was refused."""

    KEY_TAKEN = "key_taken"
    UNKNOWN_CONTEST = "unknown_contest"
    UNKNOWN_PROBLEM = "unknown_problem"
    UNKNOWN_ACCOUNT = "unknown_account"
    UNKNOWN_CLARIFICATION = "unknown_clarification"
    #: the team has ``MAX_QUESTIONS`` without an answer
    QUESTIONS_FULL = "questions_full"
    #: the problem has another label in this contest
    PROBLEM_TWICE = "problem_twice"
    #: there are submissions to it
    PROBLEM_USED = "problem_used"
    #: the start of a contest that runs is not moved
    HAS_STARTED = "has_started"
    #: the change would move an end, a freeze or a thaw that has happened
    HAS_HAPPENED = "has_happened"
    #: the team has submissions
    TEAM_USED = "team_used"
    NOT_OVER = "not_over"
    #: people do not make teams of this contest, or not any more
    REGISTRATION_CLOSED = "registration_closed"
    #: the account has no team of one
    NOT_REGISTERED = "not_registered"
    UNJUDGED = "unjudged"
    #: the jury has not verified a verdict
    UNVERIFIED = "unverified"
    #: a rejudge of the contest is neither applied nor cancelled
    REJUDGING = "rejudging"
    #: another account has claimed the submission
    CLAIMED = "claimed"
    #: the submission has another judging by now
    JUDGED_AGAIN = "judged_again"
    #: an override waits for its confirmation
    PROPOSED = "proposed"
    #: no override waits for its confirmation
    NOT_PROPOSED = "not_proposed"
    #: who proposes an override does not confirm it, unless no other account is of the jury
    OWN_PROPOSAL = "own_proposal"
    UNKNOWN_SUBMISSION = "unknown_submission"
    UNANSWERED = "unanswered"
    FINALIZED = "finalized"
    #: another change came first
    MOVED = "moved"
    NOT_STARTED = "not_started"
    #: there is no such interval, or none of the contest's past
    UNKNOWN_INTERVAL = "unknown_interval"
    UNKNOWN_TEAM = "unknown_team"
    #: there are no such new passwords, or not any more
    UNKNOWN_PASSWORDS = "unknown_passwords"
    #: it is paused, frozen or held already, or is not
    NOTHING_TO_DO = "nothing_to_do"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentaryDraft:
    """A remark on what happens in a contest, for spectators. Empty ids: it is about nothing of that kind."""

    message: str
    tags: tuple[str, ...] = ()
    team_ids: tuple[str, ...] = ()
    #: labels
    problem_ids: tuple[str, ...] = ()
    submission_ids: tuple[str, ...] = ()
