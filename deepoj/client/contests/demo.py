"""Plays a small contest on a node, from its creation to its thawed board, through the public API.

A director, a jury and teams would do it like this. The times of the contest are those of the server: it is said to have
started two hours ago, and its freeze and its end are set when the programs before them are sent.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from deepoj import sample
from deepoj.client import ApiClient, new_key
from deepoj.client.contests.problems import file_of, package_of
from deepoj.words.exits import CheckFailed

_BEGAN_BEFORE = dt.timedelta(hours=2)
#: the end of the contest until its last programs are sent
_LONG = dt.timedelta(hours=5)
#: between the last program and what follows it
_GAP = dt.timedelta(milliseconds=500)
_PATIENCE_S = 300.0
_POLL_S = 0.5

_LIMITS = {"time_limit": "1000", "memory_limit": "128", "visibility": "draft"}
_READ = "#include <iostream>\nint main() {\n    long long a, b;\n    std::cin >> a >> b;\n"
#: label → title, name and value of its color, package
_PROBLEMS: Mapping[str, tuple[str, str, str, Callable[[], bytes]]] = {
    "A": (sample.TITLE, "red", "#d32f2f", sample.package),
    "B": ("Larger", "blue", "#1976d2", lambda: package_of({"3 7": "7", "9 -2": "9", "5 5": "5"})),
    "C": ("Difference", "yellow", "#fbc02d", lambda: package_of({"7 3": "4", "3 7": "4", "-2 2": "4"})),
}
#: problem and fate of a program: + accepted, - wrong answer, ! crash, ~ endless loop, ? compile error
_PROGRAMS: Mapping[str, str] = {
    "A+": f"{_READ}    std::cout << a + b << '\\n';\n}}\n",
    "A-": f"{_READ}    std::cout << a - b << '\\n';\n}}\n",
    "B+": f"{_READ}    std::cout << (a > b ? a : b) << '\\n';\n}}\n",
    "B-": f"{_READ}    std::cout << a << '\\n';\n}}\n",
    "C+": f"{_READ}    std::cout << (a > b ? a - b : b - a) << '\\n';\n}}\n",
    "C!": f"{_READ}    return a > b ? 0 : 1;\n}}\n",
    "C~": f"{_READ}    while (a != b || a == b) std::cin.peek();\n}}\n",
    "B?": "this is no program\n",
}
#: team, its name, organization and group, and the programs that it sends before the freeze and in it. No team is
#: hidden: the jury's objects of hidden teams have a property that the specification's checker refuses
_SENT: Sequence[tuple[str, str, str, str, Sequence[str], Sequence[str]]] = (
    ("owls", "Night Owls", "City University", "undergraduates", ("A+", "B+"), ("C!", "C+")),
    ("larks", "Larks", "City University", "graduates", ("A-", "A+", "B+"), ("C~",)),
    ("crows", "Crows", "Institute of Technology", "undergraduates", ("A+", "B?", "B-"), ("B+",)),
    ("gulls", "Gulls", "Harbor College", "graduates", ("A-",), ("A+",)),
)


class DemoContest:
    """A contest that is made, played and finalized. ``jury``: a director's connection; ``opened`` closes those of the
    teams, whose retries are told to ``notice``."""

    def __init__(
        self, jury: ApiClient, key: str, suffix: str, opened: contextlib.ExitStack, notice: Callable[[str], None]
    ) -> None:
        self._jury, self._key, self._suffix, self._opened, self._notice = jury, key, suffix, opened, notice
        self._base = f"/api/v1/contests/{key}"
        self._start = dt.datetime.now(dt.UTC) - _BEGAN_BEFORE
        self._teams: dict[str, ApiClient] = {}
        #: name and password of the first team's account
        self.team = ("", "")

    def play(self) -> None:
        """Play the contest from its creation to its thaw. Raises ServerAway, ServerRefused, CheckFailed."""
        self._make()
        early = [self._submit(team, word) for team, *_, before, _ in _SENT for word in before]
        self._clarify()
        freeze_at_ms = self._contest_time_ms(early)
        self._change(end_ms=freeze_at_ms + _ms(_LONG), freeze_at_ms=freeze_at_ms)
        self._wait_for("frozen_at")
        late = [self._submit(team, word) for team, *_, after in _SENT for word in after]
        self._change(end_ms=self._contest_time_ms(late), freeze_at_ms=freeze_at_ms)
        self._wait_for("ended_at")
        for job_id in (*early, *late):
            self._wait(f"the verdict of {job_id}", partial(self._has_ended, job_id))
        self._ask("POST", "/finalize", {"gold": 1, "silver": 1, "bronze": 1})
        self._ask("PATCH", "", {"thaw_at": dt.datetime.now(dt.UTC).isoformat()})
        self._wait_for("end_of_updates_at")

    def _make(self) -> None:
        rules = {
            "key": self._key,
            "name": "Demonstration Contest",
            "formal_name": "The Deep-OJ Demonstration Contest",
            "duration_ms": _ms(_LONG),
            "freeze_ms": 0,
        }
        self._jury.ask("POST", "/api/v1/contests", body=rules, repeatable=False)
        for label, (title, color, rgb, package) in _PROBLEMS.items():
            problem = {"problem_id": self._upload(title, package()), "color": color, "rgb": rgb}
            self._ask("PUT", f"/problems/{label}", problem)
        lines = ["id\tname\torganization\tgroups\thidden\taccounts"]
        for team, name, organization, group, *_ in _SENT:
            lines.append(f"{team}\t{name}\t{organization}\t{group}\tno\t{self._username(team)}")
        sent = {"format": "csv", "text": "\n".join(lines), "create_accounts": True}
        passwords = {one["username"]: one["password"] for one in self._ask("POST", "/teams", sent)["created"]}
        self.team = next((name, passwords[name]) for name in passwords)
        for team, *_ in _SENT:
            with ApiClient(self._jury.url, notice=self._notice) as server:
                token = server.log_in(self._username(team), passwords[self._username(team)])
            self._teams[team] = self._opened.enter_context(ApiClient(self._jury.url, token, notice=self._notice))
        self._ask("PATCH", "", {"start_at": self._start.isoformat()})
        self._wait_for("started_at")

    def _clarify(self) -> None:
        """Ask, answer one team and all, announce, and comment."""
        about_a = self._say("owls", {"text": "May the numbers be negative?", "problem": "A"})
        self._say(None, {"text": "Yes.", "problem": "A", "reply_to": about_a, "to_all": True})
        general = self._say("gulls", {"text": "Is there coffee?"})
        self._say(None, {"text": "In the hall.", "reply_to": general})
        self._say(None, {"text": "The board is frozen in the last part of the contest."})
        remark = {"message": "{teams:owls} solve the first problem.", "tags": ["accepted"], "team_ids": ["owls"]}
        self._jury.ask("POST", f"/clics/contests/{self._key}/commentary", body=remark, repeatable=False)

    def _say(self, team: str | None, sent: Mapping[str, Any]) -> str:
        server = self._jury if team is None else self._teams[team]
        body = server.ask("POST", f"{self._base}/clarifications", body=sent, repeatable=False)
        return str(body["id"])

    def _submit(self, team: str, word: str) -> str:
        body = {"problem": word[0], "language": sample.LANGUAGE, "code": _PROGRAMS[word]}
        return self._teams[team].submit(body, key=new_key(), contest=self._key)

    def _upload(self, title: str, package: bytes) -> int:
        with file_of(package) as file:
            fields = {"title": title, **_LIMITS}
            made = self._jury.ask("POST", "/api/v1/problems", body=fields, package=file, repeatable=False)
        return int(made["id"])

    def _contest_time_ms(self, jobs: Sequence[str]) -> int:
        """Return the contest time shortly after the last of the submissions, by the server's clock."""
        times = [self._jury.ask("GET", f"/api/v1/submissions/{job}")["created_at"] for job in jobs]
        return _ms(max(dt.datetime.fromisoformat(time) for time in times) - self._start + _GAP)

    def _change(self, *, end_ms: int, freeze_at_ms: int) -> None:
        self._ask("PATCH", "", {"duration_ms": end_ms, "freeze_ms": end_ms - freeze_at_ms})

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return self._jury.ask(method, f"{self._base}{path}", body=body, repeatable=method != "POST")

    def _has_ended(self, job_id: str) -> bool:
        return self._jury.status(job_id).get("state") in {"done", "dead"}

    def _wait_for(self, state: str) -> None:
        self._wait(f"the contest's {state}", lambda: self._ask("GET", "")["state"][state] is not None)

    def _wait(self, what: str, has_happened: Callable[[], bool]) -> None:
        for _ in range(round(_PATIENCE_S / _POLL_S)):
            if has_happened():
                return
            self._jury.sleep(_POLL_S)
        raise CheckFailed(f"{what} did not come within {_PATIENCE_S:.0f} s: does a node with all roles run?")

    def _username(self, team: str) -> str:
        return f"{team}-{self._suffix}"


def _ms(duration: dt.timedelta) -> int:
    return duration // dt.timedelta(milliseconds=1)
