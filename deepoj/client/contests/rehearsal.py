"""The dress rehearsal of ``deepoj contest replay FEED --judge``: a feed's contest, played on a server over its API.

Each submission of the feed is sent by an account of its team, at its time, as a program that gets the feed's verdict.
The server's clock need not be ours: the contest is made longer than it plays, and ended when all is sent.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from deepoj.client import ApiClient, ServerAway, ServerRefused, new_key
from deepoj.client.contests.problems import file_of, package_of
from deepoj.client.contests.requests import path_of
from deepoj.contests.board import BoardCell, BoardRow
from deepoj.contests.ledger import name_of
from deepoj.contests.rehearsal import (
    BoardDifference,
    PlannedSubmission,
    RehearsalPlan,
    RehearsedSubmission,
    StandIn,
    differences,
)
from deepoj.sample import LANGUAGE
from deepoj.words.contests import ClockAct
from deepoj.words.exits import CheckFailed
from deepoj.words.names import printable_line

#: how long before the first submission the contest starts, and how long after the last one it would end by itself
_LEAD_S, _SLACK = 2.0, dt.timedelta(minutes=30)
#: time limit of the stand-in problems: their endless program should not take longer than others
_LIMITS = {"time_limit": "500", "memory_limit": "128", "visibility": "draft"}
_CASES: Mapping[str, str] = {f"{a} {b}": f"{a + b}" for a, b in ((1, 2), (0, 3), (-5, 7), (40, 2), (999, 1), (6, 6))}
_READ = "#include <iostream>\nint main() {\n    long long a, b;\n    std::cin >> a >> b;\n"
#: the endless one loops at the first test alone: a test at its limit is run up to three times
_PROGRAMS: Mapping[StandIn, str] = {
    StandIn.ACCEPTED: f"{_READ}    std::cout << a + b << '\\n';\n}}\n",
    StandIn.WRONG: f"{_READ}    std::cout << a - b << '\\n';\n}}\n",
    StandIn.ENDLESS: f"{_READ}    while (a == 1 && b == 2) std::cin.peek();\n    std::cout << a + b << '\\n';\n}}\n",
    StandIn.CRASH: f"{_READ}    return 3;\n}}\n",
    StandIn.BROKEN: "this is no program\n",
}
#: a server makes a password digest for each new account, so a request of many would take minutes
_TEAMS_A_REQUEST, _ACCOUNTS_A_REQUEST = 200, 40
#: requests under way at once
_SENDERS = 16
_TELL_EVERY_S = 10.0
#: for the verdicts, after the last submission, as long as they go on coming
_PATIENCE_S = 300.0
_POLL_S = 1.0
#: pause between two looks at all submissions, which are a page or more of each problem
_LOOK_S = 5.0
_ABSENT: Mapping[str, Any] = {"state": "absent", "status": ""}
_MS = dt.timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class RehearsalReport:
    """What a rehearsal has found. Milliseconds; the shares are of the time from a claim to its verdict."""

    key: str
    speed: float
    teams: int
    problems: int
    sent: int
    judged: int
    #: submissions that the server refused, or that got no verdict
    lost: Sequence[str]
    #: submissions whose verdict is not that of their program
    wrong_verdicts: Sequence[str]
    differences: Sequence[BoardDifference]
    #: 99 of 100 submissions were sent at most so late; a sender that is late measures less than it should
    late_p99_ms: int
    waits: Mapping[str, Any]
    #: when the board froze and was thawed; None: the feed's does not freeze in this time
    frozen_at: str | None
    thawed_at: str | None

    def fields(self) -> dict[str, Any]:
        """Return the report as JSON has it."""
        return dataclasses.asdict(self)


@dataclass(slots=True)
class _Sent:
    """A submission and what became of it."""

    planned: PlannedSubmission
    job_id: str = ""
    late_ms: int = 0
    refusal: str = ""


class ContestRehearsal:
    """Plays a plan on a server. ``jury``: an administrator's connection. ``tell`` shows a line of progress.

    Its methods raise ServerAway, ServerRefused and CheckFailed.
    """

    def __init__(
        self, jury: ApiClient, key: str, plan: RehearsalPlan, speed: float, tell: Callable[[str], None]
    ) -> None:
        self._jury, self.key, self._plan, self._speed, self._tell = jury, key, plan, speed, tell
        self._teams = {team: f"t{number}" for number, team in enumerate(plan.teams, 1)}
        self._labels = dict(zip(plan.problems, _labels(list(plan.problems.values())), strict=True))
        self._feed_teams = {there: team for team, there in self._teams.items()}
        self._feed_problems = {label: problem for problem, label in self._labels.items()}
        self._told_at = time.monotonic()
        #: problems that were made, by number
        self.problem_ids: list[int] = []

    def run(self, opened: contextlib.ExitStack) -> RehearsalReport:
        """Make the contest, play it and compare. ``opened`` closes the teams' connections."""
        self._make()
        teams = self._accounts(opened)
        self._start()
        return self._compare(self._play(teams), teams)

    def end(self, at_ms: int | None = None) -> None:
        """End the contest at a contest time, by default now, if it has started: no team can send to it any more."""
        rules = self._ask("GET", "")
        state = rules["state"]
        if state["started_at"] is not None and state["ended_at"] is None:
            now_ms = (dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(state["started_at"])) // _MS
            length_ms, freeze_ms = rules["duration_ms"], rules["freeze_ms"]
            # a freeze that has begun stays where it is
            first_ms = 1000 if freeze_ms is None else max(1000, length_ms - freeze_ms)
            changes = {"duration_ms": max(first_ms, now_ms if at_ms is None else at_ms)}
            if freeze_ms is not None:
                changes["freeze_ms"] = freeze_ms - (length_ms - changes["duration_ms"])
            self._ask("PATCH", "", changes)

    # -- before

    def _make(self) -> None:
        plan = self._plan
        length = dt.timedelta(milliseconds=(plan.to_ms - plan.from_ms) / self._speed) + _SLACK
        rules = {
            "key": self.key,
            "name": f"Rehearsal: {plan.name}"[:200],
            "is_public": False,
            "duration_ms": length // _MS,
            "freeze_ms": None,
            "penalty_ms": plan.penalty_ms,
            "is_compile_error_free": plan.is_compile_error_free,
        }
        self._jury.ask("POST", "/api/v1/contests", body=rules, repeatable=False)
        self._tell(f"contest {self.key}: {len(self._labels)} problems, {len(self._teams)} teams are made")
        for problem, label in self._labels.items():
            with file_of(package_of(_CASES)) as file:
                fields = {"title": f"Rehearsal {self.key} {label}", **_LIMITS}
                made = self._jury.ask("POST", "/api/v1/problems", body=fields, package=file, repeatable=False)
            self.problem_ids.append(int(made["id"]))
            name = str(plan.problems[problem].get("name") or label)[:100]
            self._ask("PUT", f"/problems/{label}", {"problem_id": made["id"], "name": name})
        teams = [
            {"id": there, "name": team_name(plan.teams[team], team), "hidden": team in plan.hidden}
            for team, there in self._teams.items()
        ]
        for part in _parts(teams, _TEAMS_A_REQUEST):
            self._import("teams", part)

    def _accounts(self, opened: contextlib.ExitStack) -> dict[str, ApiClient]:
        """Make an account for each team that sends, log in, and return the connections by the feed's team."""
        sending = dict.fromkeys(one.team_id for one in self._plan.submissions)
        names = {f"{self.key}-{self._teams[team]}": team for team in sending}
        passwords: dict[str, str] = {}
        accounts = [
            {"id": name, "username": name, "type": "team", "team_id": self._teams[team]} for name, team in names.items()
        ]
        for part in _parts(accounts, _ACCOUNTS_A_REQUEST):
            passwords |= {one["username"]: one["password"] for one in self._import("accounts", part)["created"]}
            self._tell(f"{len(passwords)} of {len(names)} accounts are made")
        found: dict[str, ApiClient] = {}
        with ApiClient(self._jury.url) as server:
            for name, team in names.items():
                token = server.log_in(name, passwords[name])
                found[team] = opened.enter_context(ApiClient(self._jury.url, token))
        return found

    def _start(self) -> None:
        self._ask("PATCH", "", {"start_at": dt.datetime.now(dt.UTC).isoformat()})
        for _ in range(round(_PATIENCE_S / _POLL_S)):
            if self._ask("GET", "")["state"]["started_at"] is not None:
                return
            self._jury.sleep(_POLL_S)
        raise CheckFailed("the contest did not start: does a node with the role scheduler run?")

    # -- while it plays

    def _play(self, teams: Mapping[str, ApiClient]) -> list[_Sent]:
        """Send each submission at its time."""
        sent = [_Sent(one) for one in self._plan.submissions]
        pool = ThreadPoolExecutor(_SENDERS, thread_name_prefix="rehearsal")
        zero = time.monotonic() + _LEAD_S
        futures: list[Future[None]] = []
        freeze_at_ms = self._plan.freeze_at_ms
        try:
            for number, one in enumerate(sent):
                if freeze_at_ms is not None and one.planned.time_ms >= freeze_at_ms:
                    self._wait(self._due(zero, freeze_at_ms), zero, number, len(sent))
                    self._freeze()
                    freeze_at_ms = None
                due = self._due(zero, one.planned.time_ms)
                self._wait(due, zero, number, len(sent))
                futures.append(pool.submit(self._send, teams[one.planned.team_id], one, due))
            if freeze_at_ms is not None:
                self._freeze()
            pool.shutdown(wait=True)
        finally:  # Ctrl-C: what is not under way is not sent
            pool.shutdown(wait=True, cancel_futures=True)
        for future in futures:
            future.result()
        return sent

    def _due(self, zero: float, time_ms: int) -> float:
        """Return when a contest time of the feed is reached; ``zero``: when it plays its first moment."""
        return zero + max(0, time_ms - self._plan.from_ms) / 1000 / self._speed

    def _wait(self, due: float, zero: float, sent: int, count: int) -> None:
        """Wait until a time, and tell how far it is."""
        while (left_s := due - time.monotonic()) > 0:
            self._jury.sleep(min(left_s, _POLL_S))
            if time.monotonic() - self._told_at >= _TELL_EVERY_S:
                self._told_at = time.monotonic()
                at_s, length_s = self._told_at - zero, self._due(0, self._plan.to_ms)
                self._tell(f"{at_s:.0f} of {length_s:.0f} s: {sent} of {count} submissions are sent")

    def _freeze(self) -> None:
        """Freeze the board now, by the jury's act: the node's clock need not be ours."""
        self._ask("POST", "/clock", {"act": ClockAct.FREEZE.value})
        self._tell("the board is frozen")

    def _thaw(self) -> None:
        """Thaw the board of the contest, which is over, and wait until it shows everything."""
        self._ask("POST", "/clock", {"act": ClockAct.THAW.value})
        for _ in range(round(_PATIENCE_S / _POLL_S)):
            if self._ask("GET", "")["state"]["thawed_at"] is not None:
                self._tell("the board is thawed")
                return
            self._jury.sleep(_POLL_S)
        raise CheckFailed("the board was not thawed: does a node with the role scheduler run?")

    def _send(self, server: ApiClient, one: _Sent, due: float) -> None:
        one.late_ms = max(0, round((time.monotonic() - due) * 1000))
        mark = f"// {self.key} {one.planned.feed_id}\n"  # equal programs of a team would be one submission
        body = {
            "problem": self._labels[one.planned.problem_id],
            "language": LANGUAGE,
            "code": mark + _PROGRAMS[one.planned.stand_in],
        }
        try:
            one.job_id = server.submit(body, key=new_key(), contest=self.key)
        except (ServerAway, ServerRefused) as error:
            one.refusal = str(error)

    # -- after

    def _compare(self, sent: Sequence[_Sent], teams: Mapping[str, ApiClient]) -> RehearsalReport:
        taken = {one.job_id: one for one in sent if one.job_id}
        found = self._verdicts(taken)
        started = dt.datetime.fromisoformat(self._ask("GET", "")["state"]["started_at"])
        judged: list[RehearsedSubmission] = []
        lost = [f"{one.planned.feed_id}: {one.refusal}" for one in sent if one.refusal]
        wrong: list[str] = []
        for job_id, one in taken.items():
            status = found.get(job_id, _ABSENT)
            verdict = status["status"] if status["state"] == "done" else ""
            if not verdict:
                lost.append(f"{one.planned.feed_id}: {job_id} is {status['state']}")
            elif verdict != one.planned.stand_in:
                wrong.append(f"{one.planned.feed_id}: {job_id} is {verdict}, not {one.planned.stand_in}")
            if status is not _ABSENT:
                at = dt.datetime.fromisoformat(status["created_at"]) - started
                judged.append(RehearsedSubmission(one.planned, verdict, at // _MS))
        self.end(max((one.time_ms for one in judged), default=0) + 1000)
        plan, board = self._plan, self._ask("GET", "/scoreboard")
        if plan.freeze_at_ms is not None:
            self._thaw()
        # what the teams see now has to be what the jury sees
        seen = next(iter(teams.values())).ask("GET", path_of(self.key, "/scoreboard"))
        state = self._ask("GET", "")["state"]
        in_feed = [dataclasses.replace(one, time_ms=one.planned.time_ms) for one in judged]
        there = sorted(judged, key=lambda one: one.time_ms)
        late = sorted(one.late_ms for one in sent)
        return RehearsalReport(
            key=self.key,
            speed=self._speed,
            teams=len(self._teams),
            problems=len(self._labels),
            sent=len(taken),
            judged=sum(bool(one.verdict) for one in judged),
            lost=lost,
            wrong_verdicts=wrong,
            differences=[
                *differences("feed", plan.board(plan.promised()), plan.board(in_feed)),
                *differences("server", plan.board(there), self._rows(board)),
                *differences("teams", self._rows(board), self._rows(seen)),
            ],
            late_p99_ms=late[-1 - len(late) // 100],
            waits=self._ask("GET", "/waits"),
            frozen_at=state["frozen_at"],
            thawed_at=state["thawed_at"],
        )

    def _verdicts(self, taken: Mapping[str, _Sent]) -> dict[str, dict[str, Any]]:
        """Return the submissions by job id when all have their verdicts, or when none came for a while."""
        found: dict[str, dict[str, Any]] = {}
        waiting, waited_s = len(taken), 0.0
        problems = list(self.problem_ids)
        while True:
            for problem_id in problems:
                found |= {one["job_id"]: one for one in self._listed(problem_id)}
            left = [one for one in taken if one not in found or found[one]["state"] not in {"done", "dead"}]
            if not left or waited_s >= _PATIENCE_S:
                return found
            waited_s = waited_s + _LOOK_S if len(left) == waiting else 0.0
            waiting = len(left)
            self._tell(f"{len(taken) - waiting} of {len(taken)} verdicts are here")
            self._jury.sleep(_LOOK_S)
            unfinished = {found[one]["problem_id"] for one in left if one in found}
            problems = [one for one in self.problem_ids if one in unfinished] or list(self.problem_ids)

    def _listed(self, problem_id: int) -> Iterator[dict[str, Any]]:
        """Yield the submissions of a problem, page by page."""
        path = f"/api/v1/submissions?problem_id={problem_id}&limit=200"
        before: str | None = ""
        while before is not None:
            page = self._jury.ask("GET", f"{path}&before={quote(before, safe='')}" if before else path)
            yield from page["submissions"]
            before = page["next"]

    def _rows(self, board: Mapping[str, Any]) -> list[BoardRow]:
        return [
            BoardRow(
                row["rank"],
                self._feed_teams[row["team_id"]],
                row["solved"],
                row["penalty"],
                0,
                {self._feed_problems[cell["problem"]]: BoardCell() for cell in row["cells"]},
            )
            for row in board["rows"]
            if self._feed_teams[row["team_id"]] not in self._plan.hidden
        ]

    def _import(self, list_format: str, objects: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        sent = {"format": list_format, "text": json.dumps(objects), "create_accounts": list_format == "accounts"}
        return self._ask("POST", "/teams", sent)

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return self._jury.ask(method, path_of(self.key, path), body=body, repeatable=method != "POST")


def _labels(problems: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return labels that a contest takes: the feed's if all can be, else A1, A2, …"""
    labels = [str(one.get("label") or "") for one in problems]
    usable = all(label.isascii() and label.isalnum() and len(label) <= 10 for label in labels)
    if usable and len(set(labels)) == len(labels):
        return labels
    return [f"A{number}" for number, _ in enumerate(problems, 1)]


def team_name(team: Mapping[str, Any], team_id: str) -> str:
    """Return the name of a team as a server takes it."""
    name = " ".join(name_of({team_id: team}, team_id).split())[:100]
    return printable_line(name, "") or team_id


def _parts[T](items: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    for first in range(0, len(items), most):
        yield items[first : first + most]
