"""Made-up ledgers: any legal order of events, from a list of steps that hypothesis can shrink."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from hypothesis import strategies as st

from deepoj.contests.clics_feed import SeenContest, TeamContest
from deepoj.contests.ledger import ContestLedger
from deepoj.contests.views import ANY_TEAM, ContestViewer
from deepoj.words.contests import ContestEvent, ContestObject, EventType
from deepoj.words.results import Verdict

START = dt.datetime(2026, 1, 31, 9, tzinfo=dt.UTC)
DURATION_MIN, FREEZE_MIN = 300, 60
TEAMS, PROBLEMS = 6, 3
#: events of the contest, its problems, groups and teams
LAID_OUT = 2 + PROBLEMS + 3 + 2 * TEAMS
STATES = ("started_at", "frozen_at", "ended_at", "closed_at", "thawed_at", "finalized_at", "end_of_updates_at")
LANGUAGES = {"cpp20": {"name": "C++20", "entry_point_required": False, "extensions": ["cpp"]}}

#: what a step does, then numbers that choose of what
type Step = tuple[str, int, int, str]
#: what changes which verdicts are seen
MOVES = ("move", "freeze", "state", "gap", "gap", "restore", "extend", "penalty")
#: what the jury decides, and whether verdicts are kept from their teams
REVIEWS = ("review", "keep")
_STEPS = (
    "submit",
    "submit",
    "submit",
    "judge",
    "judge",
    "judge",
    "rejudge",
    "team",
    "account",
    "group",
    "rule",
    "clarify",
    "comment",
)
_VERDICTS = [verdict.value for verdict in Verdict]


def steps(*more: str, size: int = 30) -> st.SearchStrategy[list[Step]]:
    """Lists of steps; of ``MOVES`` and ``REVIEWS`` those that are named."""
    step = st.tuples(
        st.sampled_from(_STEPS + more), st.integers(0, 17), st.integers(-3, 310), st.sampled_from(_VERDICTS)
    )
    return st.lists(step, max_size=size)


def iso(at: dt.datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def minute(number: float) -> dt.datetime:
    return START + dt.timedelta(minutes=number)


class MadeLedger:
    """Events of a contest. ``verdict``: submission, the step's verdict → the verdict that is written."""

    def __init__(
        self, verdict: Callable[[dict[str, Any], str], str] = lambda _submission, word: word, **rules: Any
    ) -> None:
        self.events: list[ContestEvent] = []
        self.submissions: dict[str, dict[str, Any]] = {}
        self.contest: dict[str, Any] = {
            "name": "Finals", "formal_name": "", "kind": "icpc", "start_at": iso(START),
            "duration_ms": DURATION_MIN * 60_000, "freeze_ms": FREEZE_MIN * 60_000, "penalty_ms": 20 * 60_000,
            "is_compile_error_free": True, "thaw_at": None, "feedback": "full", "is_verifying": False,
            "allows_custom_runs": True, "late_ms": 0, "late_step_ms": 86_400_000, "late_percent": 0,
            "countdown_pause_ms": None,
            "languages": [], "registration": "closed",
            **rules,
        }  # fmt: skip
        self.state: dict[str, Any] = dict.fromkeys(STATES)
        #: a team had more time: the contest is closed after its end
        self.has_extensions = False
        self.teams: dict[str, dict[str, Any]] = {}
        self.groups = {f"g{g}": {"name": f"Group {g}", "type": "site", "hidden": g == 1} for g in range(2)}
        self._verdict = verdict
        self._judged: dict[str, dict[str, Any]] = {}
        self._judgings: dict[str, int] = {}
        self._clarifications = self._comments = 0
        self.gaps: dict[str, dict[str, Any]] = {}
        self.tell(EventType.CONTEST, "finals", self.contest)
        self.tell(EventType.STATE, "finals", self.state)
        for label in "ABC"[:PROBLEMS]:
            self.problem(label, f"Problem {label}")
        self.tell(EventType.ORGANIZATIONS, "o1", {"name": "Uni", "formal_name": "", "country": "SWE"})
        for key, data in self.groups.items():
            self.tell(EventType.GROUPS, key, data)
        for team in range(TEAMS):
            self.teams[f"t{team}"] = {
                "name": f"Team {9 - team}", "display_name": "", "label": "",
                "organization_id": ["o1", "later"][team % 2],
                "group_ids": [f"g{team % 5 == 4:d}"], "is_hidden": team == 3,
            }  # fmt: skip
            self.tell(EventType.TEAMS, f"t{team}", self.teams[f"t{team}"])
            self.tell(
                EventType.ACCOUNTS,
                str(team),
                {"username": f"u{team}" if team else None, "type": "team", "team_id": f"t{team}"},
            )

    def tell(self, type_: EventType, object_id: str, data: dict[str, Any] | None) -> None:
        number = len(self.events) + 1
        kept = None if data is None else dict(data)
        self.events.append(ContestEvent(number, minute(number / 100), ContestObject(type_, object_id, kept)))

    def problem(self, label: str, name: str) -> None:
        data = {
            "label": label, "ordinal": ord(label), "name": name, "problem_id": ord(label), "rgb": "#ff0000",
            "color": "red", "time_limit_ms": 1500, "memory_limit_mb": 256,
        }  # fmt: skip
        self.tell(EventType.PROBLEMS, label, data)

    def take(self, each: Step) -> None:
        kind, n, m, word = each
        if self.state["end_of_updates_at"] is None:
            getattr(self, f"_{kind}")(n, m, word)

    def _submit(self, n: int, m: int, _word: str) -> None:
        submission_id = str(len(self.submissions) + 1)
        self.submissions[submission_id] = {
            "job_id": f"job-{submission_id}", "team_id": f"t{n % TEAMS}", "problem_id": "ABC"[n % PROBLEMS],
            "language": "cpp20", "at": iso(minute(m) + dt.timedelta(milliseconds=n // TEAMS)),
        }  # fmt: skip
        self.tell(EventType.SUBMISSIONS, submission_id, self.submissions[submission_id])

    def _points(self, n: int, m: int, verdict: str) -> dict[str, Any]:
        """Points of two subtasks, one of which has a group above it; some packages count otherwise."""
        if self.contest["kind"] == "icpc":
            return {}
        if verdict == Verdict.COMPILE_ERROR:
            return {"score": 0, "groups": []}
        first, second = (n + len(verdict)) % 4 * 10, abs(m) % 7 * 0.1
        score = first if n == 16 else first + second
        return {"score": score, "groups": [["", score], ["late", second], ["1", first], ["late/2", second]]}

    def _judge(self, n: int, m: int, word: str) -> None:
        waiting = [each for each in self.submissions if each not in self._judged]
        if not waiting:
            return
        submission_id = waiting[n % len(waiting)]
        judging = self._judgings[submission_id] = self._judgings.get(submission_id, 0) + 1
        verdict = self._verdict(self.submissions[submission_id], word)
        tests = 1 + len(verdict) % 4
        at = iso(minute(200 + n / 10))
        self._judged[submission_id] = {
            "submission_id": submission_id, "verdict": verdict, "is_current": True, "began_at": at, "ended_at": at,
            "runs": [[Verdict.ACCEPTED.value, 10]] * (tests - 1) + [[verdict, 20]],
            **self._points(n, m, verdict),
        }  # fmt: skip
        self.tell(EventType.JUDGEMENTS, f"{submission_id}-{judging}", self._judged[submission_id])

    def _rejudge(self, n: int, _m: int, _word: str) -> None:
        if not self._judged:
            return
        submission_id = list(self._judged)[n % len(self._judged)]
        former = self._judged.pop(submission_id) | {"is_current": False}
        self.tell(EventType.JUDGEMENTS, f"{submission_id}-{self._judgings[submission_id]}", former)

    def _team(self, n: int, m: int, _word: str) -> None:
        team = self.teams[f"t{n % TEAMS}"]
        team["is_hidden"] = not team["is_hidden"] if m % 2 else team["is_hidden"]
        team["name"] = f"Team {m}"
        self.tell(EventType.TEAMS, f"t{n % TEAMS}", None if n == 17 else team)

    def _account(self, n: int, m: int, _word: str) -> None:
        """An account goes to another team, or out of the contest."""
        data = {"username": f"u{n % TEAMS}", "type": "team", "team_id": f"t{m % TEAMS}"}
        self.tell(EventType.ACCOUNTS, str(n % TEAMS), None if n == 17 else data)

    def _group(self, n: int, m: int, _word: str) -> None:
        group = self.groups[f"g{n % 2}"]
        group["hidden"] = bool(m % 2)
        self.tell(EventType.GROUPS, f"g{n % 2}", None if n > 14 else group)
        if n == 7:
            self.tell(EventType.ORGANIZATIONS, "later", {"name": "Late", "formal_name": "", "country": ""})

    def _rule(self, n: int, m: int, _word: str) -> None:
        self.contest["is_compile_error_free"] = bool(m % 2)
        self.tell(EventType.CONTEST, "finals", self.contest)
        self.problem("ABC"[n % PROBLEMS], f"Problem {m}")

    def _clarify(self, n: int, m: int, _word: str) -> None:
        self._clarifications += 1
        question = n % 3 == 0
        self.tell(EventType.CLARIFICATIONS, str(self._clarifications), {
            "from_team_id": f"t{n % TEAMS}" if question else None,
            "to_team_ids": [f"t{n % TEAMS}", "t5"] if n % 3 == 1 else None,
            "reply_to_id": str(self._clarifications - 1) if not question and self._clarifications > 1 else None,
            "problem_id": "A" if m % 2 else None, "category": "", "text": "?", "at": iso(minute(m)),
        })  # fmt: skip

    def _comment(self, n: int, m: int, _word: str) -> None:
        self._comments += 1
        self.tell(EventType.COMMENTARY, str(self._comments), {
            "message": "!", "tags": ["accepted"] if n % 2 else [], "team_ids": [f"t{n % TEAMS}"],
            "problem_ids": ["A"] if m % 2 else [],
            "submission_ids": list(self.submissions)[n % 4 : n % 4 + 1], "at": iso(minute(m)),
        })  # fmt: skip

    def _review(self, n: int, m: int, word: str) -> None:
        if not self.submissions:
            return
        submission_id = list(self.submissions)[n % len(self.submissions)]
        judging = self._judgings.get(submission_id, 1)
        self.tell(EventType.REVIEWS, submission_id, {
            "is_ignored": m % 4 == 0, "verified": judging if m % 3 else None,
            "override": word if m % 5 == 0 else None, "override_judging": judging if m % 5 == 0 else None,
        })  # fmt: skip

    def _keep(self, n: int, m: int, _word: str) -> None:
        self.contest |= {"is_verifying": bool(n % 2), "feedback": "hidden" if m % 2 else "full"}
        self.tell(EventType.CONTEST, "finals", self.contest)

    def _move(self, _n: int, m: int, _word: str) -> None:
        if self.state["started_at"] is None:
            self.contest["start_at"] = iso(minute(m)) if m % 5 else None
            self.tell(EventType.CONTEST, "finals", self.contest)

    def _freeze(self, n: int, m: int, _word: str) -> None:
        self.contest["freeze_ms"] = None if n == 0 else max(0, m) * 60_000 % self.contest["duration_ms"]
        self.tell(EventType.CONTEST, "finals", self.contest)

    def _gap(self, n: int, m: int, _word: str) -> None:
        """Remove an interval, which may overlap others; or begin a pause, or end it."""
        paused = next((each for each, gap in self.gaps.items() if gap["end_at"] is None), None)
        gap_id = paused if paused is not None and n % 3 == 0 else str(len(self.gaps) + 1)
        end = None if n % 3 == 0 and paused is None else iso(minute(m + 4 * n))
        if paused is not None and gap_id == paused:
            end = max(str(end), self.gaps[paused]["start_at"])
        begin = self.gaps[gap_id]["start_at"] if gap_id in self.gaps else iso(minute(m))
        self.gaps[gap_id] = {"start_at": begin, "end_at": end, "is_restored": False, "reason": "power", "by": 1}
        self.tell(EventType.INTERVALS, gap_id, self.gaps[gap_id])

    def _restore(self, n: int, _m: int, _word: str) -> None:
        there = [each for each, gap in self.gaps.items() if not gap["is_restored"]]
        if there:
            gap = self.gaps[there[n % len(there)]]
            gap |= {"is_restored": True, "end_at": gap["end_at"] or gap["start_at"]}
            self.tell(EventType.INTERVALS, there[n % len(there)], gap)

    def _extend(self, n: int, m: int, _word: str) -> None:
        team = f"t{n % TEAMS}"
        data = {"team_id": team, "extra_ms": m * 1_000, "reason": "ill", "by": 1}
        self.has_extensions = self.has_extensions or m > 0
        self.tell(EventType.EXTENSIONS, team, data if m > 0 else None)

    def _penalty(self, n: int, m: int, _word: str) -> None:
        team = f"t{n % TEAMS}"
        data = {"team_id": team, "minutes": m, "reason": "loud", "by": 1}
        self.tell(EventType.PENALTIES, team, data if m else None)

    def _state(self, n: int, _m: int, _word: str) -> None:
        at = next((each for each in STATES if self.state[each] is None), None)
        if at is None or (at == "started_at" and self.contest["start_at"] is None):
            return
        self.state[at] = iso(minute(STATES.index(at) * 100))
        if at == "ended_at" and not self.has_extensions and not self.contest["late_ms"]:
            self.state["closed_at"] = self.state[at]
        if at == "end_of_updates_at" or n < 12:
            if at == "finalized_at":
                self.tell(EventType.AWARDS, "winner", {"citation": "Winner", "team_ids": ["t1", "t3"]})
            self.tell(EventType.STATE, "finals", self.state)
        else:
            self.state[at] = None
            if at == "ended_at":
                self.state["closed_at"] = None


class Followed:
    """A viewer's view that follows a ledger, as on a node: a team's is that of all teams, and what is its own."""

    def __init__(self, viewer: ContestViewer) -> None:
        self._team_id = viewer.team_id
        self._view = SeenContest(viewer if viewer.team_id is None else ANY_TEAM, LANGUAGES)

    def follow(self, ledger: ContestLedger, event: ContestEvent) -> None:
        for _ in self._view.follow(ledger, event):
            pass

    @property
    def seen(self) -> SeenContest | TeamContest:
        return self._view if self._team_id is None else self._view.as_team(self._team_id)


def followed(
    viewers: Sequence[ContestViewer], events: Iterable[ContestEvent]
) -> tuple[ContestLedger, list[SeenContest | TeamContest]]:
    """Fold events step by step, as a node does."""
    ledger, views = ContestLedger(), [Followed(viewer) for viewer in viewers]
    for event in events:
        ledger.take([event])
        for view in views:
            view.follow(ledger, event)
    return ledger, [view.seen for view in views]


def feed(view: SeenContest | TeamContest, place: int = 0) -> bytes:
    lines = b""
    while (read := view.log.read(place))[0]:
        lines, place = lines + read[0], read[1]
    return lines
