"""Who may call which route of contests, in each state of a contest, as one table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from tests.contests.scene import BASE, HOUR_MS, Scene, ago, finals, opened, scene

__all__ = ["scene"]

_CALLERS = ("stranger", "member", "owl", "setter", "jury", "operator", "admin")
_READ = (200,) * 7
_RUN = (401, 403, 403, 403, 200, 403, 200)
#: the contest has no such submission
_NONE = (401, 403, 403, 403, 404, 403, 404)
_TOO_LATE = (401, 403, 403, 403, 409, 403, 409)
#: stands in a request for the id of the contest's problem
_PROBLEM = "the problem"
#: each route with a request → who gets which status while the contest runs, in the order of the callers
_ROUTES: Mapping[tuple[str, str], tuple[dict[str, Any] | None, tuple[int, ...]]] = {
    ("GET", ""): (None, _READ),
    ("GET", "/finals"): (None, _READ),
    ("GET", "/finals/teams"): (None, _READ),
    ("GET", "/finals/clarifications"): (None, _READ),
    ("GET", "/finals/scoreboard"): (None, _READ),
    ("GET", "/finals/scoreboard.csv"): (None, _READ),
    ("GET", "/finals/scoreboard.html"): (None, _READ),
    ("GET", "/finals/scoreboard/1/A"): (None, _READ),
    ("GET", "/finals/submissions"): (None, _READ),
    ("GET", "/finals/awards"): (None, _READ),
    ("GET", "/finals/waits"): (None, _RUN),
    ("POST", ""): (finals(), _TOO_LATE),
    ("PATCH", "/finals"): ({"name": "Renamed"}, _RUN),
    ("PUT", "/finals/problems/A"): ({"problem_id": _PROBLEM}, _RUN),
    ("DELETE", "/finals/problems/Z"): (None, _RUN),
    ("POST", "/finals/teams"): ({"format": "csv", "text": "4,Fourth"}, _RUN),
    ("POST", "/finals/submit"): (
        {"problem": "A", "language": "cpp17", "code": "x"}, (401, 403, 200, 403, 403, 403, 403),
    ),
    # the member is in a team that the director has made
    ("POST", "/finals/registration"): (None, (401, 409, 200, 409, 409, 409, 409)),
    ("DELETE", "/finals/registration"): (None, (401, 403, 403, 403, 403, 403, 403)),
    ("POST", "/finals/clarifications"): ({"text": "x"}, (401, 403, 201, 403, 201, 403, 201)),
    ("POST", "/finals/rejudges"): ({}, (401, 403, 403, 403, 400, 403, 400)),
    ("GET", "/finals/rejudges"): (None, _RUN),
    ("GET", "/finals/rejudges/1"): (None, (401, 403, 403, 403, 404, 403, 404)),
    ("POST", "/finals/rejudges/1/apply"): (None, (401, 403, 403, 403, 404, 403, 404)),
    ("POST", "/finals/rejudges/1/cancel"): (None, (401, 403, 403, 403, 404, 403, 404)),
    ("GET", "/finals/reviews"): (None, _RUN),
    ("GET", "/finals/submissions/7/review"): (None, _NONE),
    ("POST", "/finals/submissions/7/review"): ({"act": "claim"}, _NONE),
    ("POST", "/finals/finalize"): ({}, _TOO_LATE),
    ("DELETE", "/finals"): (None, _TOO_LATE),
}  # fmt: skip
_NO_SUBMIT = {("POST", "/finals/submit"): (401, 403, 403, 403, 403, 403, 403)}
#: state → what differs in it
_STATES: Mapping[str, Mapping[tuple[str, str], tuple[int, ...]]] = {
    "before": _NO_SUBMIT | {
        ("GET", "/finals/scoreboard/1/A"): (404, 404, 404, 404, 200, 404, 200),
        ("DELETE", "/finals"): (401, 403, 403, 403, 200, 403, 404)},
    "running": {},
    "frozen": {},
    # the question that was asked in this state has no answer
    "over": _NO_SUBMIT,
    "finalized": _NO_SUBMIT | {
        ("PATCH", "/finals"): _TOO_LATE,
        ("POST", "/finals/submissions/7/review"): _TOO_LATE,
        ("PUT", "/finals/problems/A"): _TOO_LATE,
        ("DELETE", "/finals/problems/Z"): _TOO_LATE,
        ("POST", "/finals/teams"): _TOO_LATE,
        ("POST", "/finals/registration"): (401,) + (409,) * 6,
        ("DELETE", "/finals/registration"): (401,) + (409,) * 6,
        ("POST", "/finals/rejudges"): _TOO_LATE,
        ("POST", "/finals/clarifications"): (401, 403, 409, 403, 409, 403, 409),
    },
}  # fmt: skip


async def _brought_to(scene: Scene, state: str) -> None:
    """Make a contest that is in a state."""
    await opened(scene, start_at=ago(2 * HOUR_MS) if state != "before" else ago(-HOUR_MS))
    length_h = {"frozen": 2.5, "over": 1, "finalized": 1}.get(state, 5)
    await scene.done("jury", "PATCH", "/finals", {"duration_ms": round(length_h * HOUR_MS)})
    await scene.advance()
    if state == "finalized":
        await scene.done("jury", "POST", "/finals/finalize", {})
    reached = {name for name, at in (await scene.done("jury", "GET", "/finals"))["state"].items() if at is not None}
    last = {"before": None, "running": "started_at", "frozen": "frozen_at", "over": "ended_at"}
    assert last.get(state, "finalized_at") in reached | {None}


@pytest.mark.parametrize("state", _STATES)
async def test_who_may_do_what(scene: Scene, state: str) -> None:
    await _brought_to(scene, state)
    found = {}
    for (method, path), (sent, _) in _ROUTES.items():
        body = sent and {name: scene.problem_id if value == _PROBLEM else value for name, value in sent.items()}
        found[method, path] = tuple([(await scene.ask(who, method, path, body))[0] for who in _CALLERS])
    assert found == {route: statuses for route, (_, statuses) in _ROUTES.items()} | dict(_STATES[state])


async def test_the_table_names_every_route(scene: Scene) -> None:
    there = {
        (method, rule.rule.removeprefix(BASE))
        for rule in scene.home.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith(BASE)
    }
    named = {(method, path.replace("/finals", "/<key>")) for method, path in _ROUTES}
    parts = {
        "/[AZ](?=/|$)": "/<label>",
        "(?<=rejudges)/1": "/<rejudge_id>",
        "(?<=scoreboard)/1": "/<team>",
        "/7/": "/<submission_id>/",
    }
    for pattern, name in parts.items():
        named = {(method, re.sub(pattern, name, path)) for method, path in named}
    assert there == named


async def test_the_jury_makes_no_accounts(scene: Scene) -> None:
    await opened(scene)
    sent = {"format": "csv", "text": "5,Fifth", "create_accounts": True}
    assert (await scene.ask("jury", "POST", "/finals/teams", sent))[0] == 403
    assert (await scene.ask("admin", "POST", "/finals/teams", sent))[0] == 200
