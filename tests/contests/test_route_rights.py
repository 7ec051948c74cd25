"""Who may call which route of contests and see which of their pages, in each state of a contest, as one table."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from deepoj.contests.clics import access_of
from deepoj.contests.views import JURY
from deepoj.web.visitor import Visitors, _digest
from tests.api.house import House, house_on, package
from tests.contests.scene import BASE, HOUR_MS, Scene, ago, finals, opened, scene
from tests.web.pages import LOGIN
from tests.web.test_rights import pattern
from tests.web.visits import SESSION, Visit

__all__ = ["scene"]

#: without an account, without a team, of two teams; those with a role; an administrator
_CALLERS = ("stranger", "member", "owl", "lark", "setter", "jury", "operator", "admin")
#: those of them to whom a private contest does not exist
_OUTSIDE = ("stranger", "member", "setter", "operator")
type _Statuses = tuple[int, ...]
_API, _CLICS, _PAGES, _MANAGE = (
    f"{BASE}/finals",
    "/clics/contests/finals",
    "/contests/finals",
    "/manage/contests/finals",
)


def _zip() -> str:
    """Return a program as the Contest API wants it: a zip in base64."""
    return base64.b64encode(package({"main.cpp": "int main(){}"})).decode()


#: stands in a request for the id of the contest's problem
_PROBLEM = "the problem"

_ADMIN_404: _Statuses = (401, 403, 403, 403, 403, 403, 403, 404)
_ALL: _Statuses = (200,) * 8
_RUN: _Statuses = (401, 403, 403, 403, 403, 200, 403, 200)
#: the contest has no such submission
_NO_SUBMISSION: _Statuses = (401, 403, 403, 403, 403, 404, 403, 404)
_TOO_LATE: _Statuses = (401, 403, 403, 403, 403, 409, 403, 409)
_CLOSED: _Statuses = (401, 403, 403, 403, 403, 403, 403, 403)
#: pages: of teams and those who run contests; of the latter, answered and refused
_INSIDE: _Statuses = (LOGIN, 403, 200, 200, 403, 200, 403, 200)
_NO_FILE: _Statuses = (LOGIN, 403, 404, 404, 403, 404, 403, 404)
_JURY_PAGE: _Statuses = (LOGIN, 403, 403, 403, 403, 200, 403, 200)
_JURY_FORM: _Statuses = (LOGIN, 403, 403, 403, 403, 303, 403, 303)
_JURY_LATE: _Statuses = (LOGIN, 403, 403, 403, 403, 409, 403, 409)
_TEAM_FORM: _Statuses = (LOGIN, 403, 303, 303, 403, 403, 403, 403)
_CLOSED_FORM: _Statuses = (LOGIN, 403, 403, 403, 403, 403, 403, 403)


def _jury(status: int) -> _Statuses:
    """Return the statuses of a route of the API that is for those who run contests."""
    return (401, 403, 403, 403, 403, status, 403, status)


def _jury_page(status: int) -> _Statuses:
    return (LOGIN, *_jury(status)[1:])


#: the problem has none, or the language is unknown
_SAMPLES: _Statuses = (LOGIN, 403, 400, 400, 403, 400, 403, 400)
_SENT = {"language": "cpp17", "code": "int main(){}"}
_ZIPPED = {"problem_id": "A", "language_id": "cpp17", "files": [{"data": _zip(), "mime": "application/zip"}]}
#: endpoints that not everybody has
_ENDPOINTS: Mapping[str, _Statuses] = {
    "account": (404, *_ALL[1:]),
    "accounts": (404, 404, 200, 200, 404, 200, 404, 200),
    "persons": (404, 404, 200, 200, 404, 200, 404, 200),
}
#: each route and page with a request → who gets which status while the contest runs, in the order of the callers
_ROUTES: Mapping[tuple[str, str], tuple[dict[str, Any] | None, _Statuses]] = {
    ("GET", BASE): (None, _ALL),
    # there are results once the contest is finalized
    **{("GET", f"{_API}/results.{ending}"): (None, _jury(409)) for ending in ("tsv", "json")},
    **{("GET", f"{_MANAGE}/results.{ending}"): (None, _jury_page(409)) for ending in ("tsv", "json")},
    **{("GET", f"{_PAGES}/scoreboard{ending}"): (None, _ALL) for ending in (".csv", ".html")},
    **{("GET", f"{_MANAGE}/scoreboard{ending}"): (None, _JURY_PAGE) for ending in (".csv", ".html")},
    **{("GET", f"{_API}{path}"): (None, _ALL)
       for path in ("", "/teams", "/clarifications", "/scoreboard", "/scoreboard.csv", "/awards")},
    ("POST", BASE): (finals(), _TOO_LATE),
    ("PATCH", _API): ({"name": "Renamed"}, _RUN),
    ("PUT", f"{_API}/problems/A"): ({"problem_id": _PROBLEM}, _RUN),
    ("DELETE", f"{_API}/problems/Z"): (None, _RUN),
    ("POST", f"{_API}/teams"): ({"format": "csv", "text": "4,Fourth"}, _RUN),
    ("POST", f"{_API}/submit"): ({"problem": "A", **_SENT}, (401, 403, 200, 200, 403, 403, 403, 403)),
    ("POST", f"{_API}/clarifications"): ({"text": "x"}, (401, 403, 201, 201, 403, 201, 403, 201)),
    ("GET", f"{_API}/texts"): (None, _ALL),
    ("PUT", f"{_API}/texts"): ({"categories": ["Statements"]}, _RUN),
    ("GET", f"{_API}/reviews"): (None, _RUN),
    ("GET", f"{_API}/submissions/7/review"): (None, _NO_SUBMISSION),
    ("POST", f"{_API}/submissions/7/review"): ({"act": "claim"}, _NO_SUBMISSION),
    ("GET", f"{_MANAGE}/submissions/7"): (None, (LOGIN, *_NO_SUBMISSION[1:])),
    ("POST", f"{_MANAGE}/submissions/7"): ({"act": "claim", "judging": "1"}, (LOGIN, *_NO_SUBMISSION[1:])),
    ("POST", f"{_API}/finalize"): ({}, _TOO_LATE),
    ("GET", "/clics/"): (None, _ALL),
    ("GET", "/clics/contests"): (None, _ALL),
    # each account's own; callbacks are disabled on this server
    ("GET", "/clics/webhooks"): (None, (401, *_ALL[1:])),
    ("GET", "/clics/webhooks/9"): (None, (401, *(404,) * 7)),
    ("POST", "/clics/webhooks"): ({"url": "https://example.org/", "token": "t"}, (401, *(400,) * 7)),
    ("DELETE", "/clics/webhooks/9"): (None, (401, *(404,) * 7)),
    ("GET", _CLICS): (None, _ALL),
    **{("GET", f"{_CLICS}/{type_}"): (None, _ENDPOINTS.get(type_, _ALL))
       for type_ in ("access", "account", *(each["type"] for each in access_of(JURY, counts_points=False)["endpoints"]))
       if type_ != "contest"},
    ("GET", f"{_CLICS}/teams/2"): (None, _ALL),
    ("GET", f"{_CLICS}/submissions/1/files"): (None, (404,) * 8),
    # the problem of this test has no statement
    ("GET", f"{_CLICS}/problems/A/statement/en"): (None, (404,) * 8),
    ("PATCH", _CLICS): ({"id": "finals", "start_time": None}, _CLOSED),
    ("POST", f"{_CLICS}/submissions"): (_ZIPPED, (401, 403, 200, 200, 403, 403, 403, 403)),
    ("POST", f"{_CLICS}/clarifications"): ({"text": "x"}, (401, 403, 200, 200, 403, 200, 403, 200)),
    ("GET", "/contests"): (None, _ALL),
    **{("GET", f"{_PAGES}{path}"): (None, _ALL)
       for path in ("", "/scoreboard", "/scoreboard/events", "/clarifications")},
    ("GET", f"{_PAGES}/board"): (None, (303,) * 8),
    ("GET", f"{_PAGES}/events"): (None, tuple(404 if one == 403 else one for one in _INSIDE)),
    ("GET", f"{_PAGES}/submissions"): (None, _ALL),
    ("GET", f"{_PAGES}/problems/A"): (None, _INSIDE),
    ("GET", f"{_PAGES}/problems/A/statement/files/none.png"): (None, _NO_FILE),
    ("GET", f"{_PAGES}/problems/A/attachments/none.txt"): (None, _NO_FILE),
    ("POST", f"{_PAGES}/problems/A"): (_SENT, _TEAM_FORM),
    ("POST", f"{_PAGES}/clarifications"): ({"text": "why?"}, _TEAM_FORM),
    ("GET", "/manage/contests"): (None, _JURY_PAGE),
    ("POST", "/manage/contests"): ({"key": "finals"}, (LOGIN, 403, 403, 403, 403, 400, 403, 400)),
    **{("GET", f"{_MANAGE}{path}"): (None, _JURY_PAGE)
       for path in ("", "/scoreboard", "/scoreboard/events", "/events", "/submissions", "/clarifications")},
    ("POST", f"{_MANAGE}/clarifications"): ({"text": "x"}, _JURY_FORM),
    ("POST", _MANAGE): ({"act": "remove_problem", "label": "Z", "confirm": "finals"}, _JURY_FORM),
    # awards and commentary, rejudges and reviews, teams and their passwords, the clock: those who run contests
    ("POST", f"{_CLICS}/awards"): ({"id": "", "citation": "x", "team_ids": ["1"]}, _jury(400)),
    ("PUT", f"{_CLICS}/awards/x"): ({"id": "x", "citation": "x", "team_ids": ["1"]}, _jury(200)),
    ("PATCH", f"{_CLICS}/awards/x"): ({"id": "x", "citation": "y"}, _jury(200)),
    ("DELETE", f"{_CLICS}/awards/x"): (None, (401, 403, 403, 403, 403, 204, 403, 404)),
    ("POST", f"{_CLICS}/commentary"): ({"message": ""}, _jury(400)),
    **{("GET", f"{_API}{path}"): (None, _jury(200)) for path in ("/rejudges", "/waits", "/clock")},
    ("POST", f"{_API}/rejudges"): ({"verdict": "none"}, _jury(400)),
    ("GET", f"{_API}/rejudges/9"): (None, _jury(404)),
    ("POST", f"{_API}/rejudges/9/apply"): ({}, _jury(404)),
    ("POST", f"{_API}/rejudges/9/cancel"): ({}, _jury(404)),
    ("GET", f"{_API}/submissions/9/review"): (None, _jury(404)),
    ("POST", f"{_API}/submissions/9/review"): ({"act": "claim"}, _jury(404)),
    ("POST", f"{_API}/copy"): ({"key": "finals"}, _jury(409)),
    ("PATCH", f"{_API}/teams/3"): ({"hidden": False}, _jury(200)),
    ("PATCH", f"{_API}/teams/9"): ({}, _jury(404)),
    ("DELETE", f"{_API}/teams/9"): (None, _jury(404)),
    # of an administrator alone: passwords are theirs
    ("POST", f"{_API}/credentials"): ({"teams": ["9"]}, _ADMIN_404),
    ("GET", f"{_API}/credentials"): (None, (401, 403, 403, 403, 403, 403, 403, 200)),
    ("POST", f"{_API}/credentials/9/apply"): ({}, _ADMIN_404),
    ("DELETE", f"{_API}/credentials/9"): (None, _ADMIN_404),
    ("POST", f"{_API}/practice"): ({}, _jury(409)),
    ("POST", f"{_API}/clock"): ({"act": "resume"}, _jury(409)),
    ("POST", f"{_API}/registration"): ({}, (401, 409, 200, 200, 409, 409, 409, 409)),
    ("DELETE", f"{_API}/registration"): (None, (401, *(409,) * 7)),
    **{("GET", f"{_API}{path}"): (None, _ALL) for path in ("/scoreboard/1/A", "/scoreboard.html", "/submissions")},
    ("GET", f"{_API}/problems/A/statement"): (None, (401, *_INSIDE[1:])),
    ("GET", f"{_API}/problems/A/statement/files/none.png"): (None, (401, *_NO_FILE[1:])),
    ("GET", f"{_API}/problems/A/attachments/none.txt"): (None, (401, *_NO_FILE[1:])),
    # the problem of this test has no package
    ("GET", f"{_API}/problems/A/statement/en/source"): (None, _jury(400)),
    ("PUT", f"{_API}/problems/A/statement/en"): ({"format": "md", "source": "x", "revision": "e9"}, _jury(409)),
    ("DELETE", f"{_API}/problems/A/statement/en"): (None, _jury(409)),
    ("GET", f"{_MANAGE}/problems/A/statement"): (None, _JURY_PAGE),
    ("POST", f"{_MANAGE}/problems/A/statement"): (
        {"action": "save", "lang": "en", "format": "md", "code": "x", "revision": "e9"}, _jury_page(409),
    ),
    ("GET", f"{_PAGES}/board/1/A"): (None, _ALL),
    ("POST", f"{_PAGES}/problems/A/run"): ({"language": "none", "code": "x"}, _SAMPLES),
    ("GET", f"{_PAGES}/problems/A/run"): (None, (LOGIN, 403, 303, 303, 403, 303, 403, 303)),
    ("POST", f"{_PAGES}/problems/A/samples"): ({"language": "none", "code": "x"}, _SAMPLES),
    ("GET", f"{_PAGES}/problems/A/samples"): (None, (LOGIN, 403, 303, 303, 403, 303, 403, 303)),
    ("POST", f"{_PAGES}/registration"): ({"act": "register"}, (LOGIN, 409, 303, 303, 409, 409, 409, 409)),
    **{("GET", f"{_MANAGE}{path}"): (None, _JURY_PAGE)
       for path in ("/rejudges", "/waits", "/teams", "/afterwards", "/clock", "/finalize")},
    ("POST", f"{_MANAGE}/finalize"): ({"gold": "1", "silver": "1", "bronze": "1", "confirm": "finals"}, _JURY_LATE),
    ("GET", f"{_MANAGE}/teams/1"): (None, _JURY_PAGE),
    ("GET", f"{_MANAGE}/teams/none"): (None, _jury_page(404)),
    ("GET", f"{_MANAGE}/rejudges/9"): (None, _jury_page(404)),
    ("GET", f"{_MANAGE}/submissions/9"): (None, _jury_page(404)),
    **{("POST", f"{_MANAGE}{path}"): ({"act": "none", "verdict": "none"}, _jury_page(400))
       for path in ("/rejudges", "/teams", "/afterwards", "/clock")},
    ("POST", f"{_MANAGE}/rejudges/9"): ({"act": "cancel"}, _jury_page(404)),
    ("POST", f"{_MANAGE}/submissions/9"): ({"act": "claim"}, _jury_page(404)),
    ("GET", f"{_MANAGE}/credentials"): (None, (LOGIN, 403, 403, 403, 403, 403, 403, 200)),
    ("POST", f"{_MANAGE}/credentials"): ({"act": "make", "team-9": "1"}, (LOGIN, 403, 403, 403, 403, 403, 403, 404)),
    ("POST", f"{_MANAGE}/credentials.csv"): ({"slips": ""}, (LOGIN, 403, 403, 403, 403, 403, 403, 200)),
    ("DELETE", _API): (None, _TOO_LATE),
}  # fmt: skip
_NO_SUBMIT = {
    ("POST", f"{_API}/submit"): _CLOSED,
    ("POST", f"{_CLICS}/submissions"): _CLOSED,
    ("POST", f"{_PAGES}/problems/A"): _CLOSED_FORM,
}
#: state → what differs in it
_STATES: Mapping[str, Mapping[tuple[str, str], _Statuses]] = {
    "before": _NO_SUBMIT | {
        ("PATCH", _CLICS): _RUN,
        # there is no such problem yet
        ("POST", f"{_CLICS}/submissions"): (401, 403, 400, 400, 403, 403, 403, 403),
        ("GET", f"{_PAGES}/problems/A"): (LOGIN, 403, 404, 404, 403, 200, 403, 200),
        ("GET", f"{_API}/problems/A/statement"): (401, 403, 404, 404, 403, 200, 403, 200),
        ("GET", f"{_API}/scoreboard/1/A"): (404, 404, 404, 404, 404, 200, 404, 200),
        ("GET", f"{_PAGES}/board/1/A"): (404, 404, 404, 404, 404, 200, 404, 200),
        ("POST", f"{_PAGES}/problems/A/run"): (LOGIN, 403, 404, 404, 403, 400, 403, 400),
        ("GET", f"{_PAGES}/problems/A/run"): (LOGIN, 403, 404, 404, 403, 303, 403, 303),
        ("POST", f"{_PAGES}/problems/A/samples"): (LOGIN, 403, 404, 404, 403, 400, 403, 400),
        ("GET", f"{_PAGES}/problems/A/samples"): (LOGIN, 403, 404, 404, 403, 303, 403, 303),
        ("POST", f"{_PAGES}/problems/A"): (LOGIN, 403, 404, 404, 403, 403, 403, 403),
        ("DELETE", _API): (401, 403, 403, 403, 403, 200, 403, 404),
    },
    "running": {},
    "frozen": {},
    # the question that was asked in this state has no answer
    "over": _NO_SUBMIT,
    "thawed": _NO_SUBMIT | {("POST", f"{_API}/practice"): _RUN},
    # an account without a team makes itself one; a team that the jury made stays
    "open": {
        ("POST", f"{_API}/registration"): (401, *(200,) * 7),
        ("DELETE", f"{_API}/registration"): (401, 200, 403, 403, 200, 200, 200, 200),
        ("POST", f"{_PAGES}/registration"): (LOGIN, *(303,) * 7),
    },
    "finalized": _NO_SUBMIT | {
        **{("GET", f"{_API}/results.{ending}"): _RUN for ending in ("tsv", "json")},
        **{("GET", f"{_MANAGE}/results.{ending}"): _JURY_PAGE for ending in ("tsv", "json")},
        ("PATCH", _API): _TOO_LATE,
        ("PUT", f"{_API}/texts"): _TOO_LATE,
        ("POST", f"{_API}/submissions/7/review"): _TOO_LATE,
        ("PUT", f"{_API}/problems/A"): _TOO_LATE,
        ("DELETE", f"{_API}/problems/Z"): _TOO_LATE,
        ("POST", f"{_API}/teams"): _TOO_LATE,
        ("POST", f"{_API}/clarifications"): (401, 403, 409, 409, 403, 409, 403, 409),
        ("POST", f"{_CLICS}/clarifications"): _CLOSED,
        ("POST", f"{_PAGES}/clarifications"): (LOGIN, 403, 409, 409, 403, 403, 403, 403),
        ("POST", f"{_MANAGE}/clarifications"): _JURY_LATE,
        ("POST", _MANAGE): _JURY_LATE,
        ("PUT", f"{_CLICS}/awards/x"): _CLOSED,
        ("PATCH", f"{_CLICS}/awards/x"): _jury(404),
        ("DELETE", f"{_CLICS}/awards/x"): _jury(404),
        ("POST", f"{_API}/registration"): (401, *(409,) * 7),
        ("POST", f"{_PAGES}/registration"): (LOGIN, *(409,) * 7),
        ("POST", f"{_API}/submissions/9/review"): _TOO_LATE,
        ("PATCH", f"{_API}/teams/3"): _TOO_LATE,
    },
}  # fmt: skip


async def _brought_to(scene: Scene, state: str, **changes: Any) -> None:
    """Make a contest that is in a state."""
    if state == "open":
        changes["registration"] = "open"
    await opened(scene, start_at=ago(2 * HOUR_MS) if state != "before" else ago(-HOUR_MS), **changes)
    length_h = {"frozen": 2.5, "over": 1, "thawed": 1, "finalized": 1}.get(state, 5)
    await scene.done("jury", "PATCH", "/finals", {"duration_ms": round(length_h * HOUR_MS)})
    await scene.advance()
    if state == "thawed":
        await scene.done("jury", "POST", "/finals/clock", {"act": "thaw"})
    if state == "finalized":
        await scene.done("jury", "POST", "/finals/finalize", {})
    reached = {name for name, at in (await scene.done("jury", "GET", "/finals"))["state"].items() if at is not None}
    last = {"before": None, "running": "started_at", "frozen": "frozen_at", "over": "ended_at", "thawed": "thawed_at",
            "open": "started_at", "finalized": "finalized_at"}  # fmt: skip
    assert last[state] in reached | {None}


async def _asked(
    scene: Scene, tmp_path: Path, key: str = "finals", callers: Sequence[str] = _CALLERS
) -> dict[tuple[str, str], _Statuses]:
    """Return the statuses of every route and page, asked by these callers of the contest with a key."""
    home = house_on(tmp_path, scene.lab.store, has_pages=True)
    visits = {who: await _visit(home, who) for who in callers}
    home.streams.close()
    found = {}
    for (method, path), (sent, _) in _ROUTES.items():
        asked = path.replace("/finals", f"/{key}")
        body = sent and {name: scene.problem_id if value == _PROBLEM else value for name, value in sent.items()}
        statuses = []
        for who in callers:
            if path.startswith(("/contests", "/manage")):
                reply = await (visits[who].get(asked) if method == "GET" else visits[who].post(asked, body))
                statuses.append(LOGIN if reply.location.startswith("/login") else reply.status)
            else:
                answer = await home.ask(method, asked, token=scene.tokens.get(who), json=body)
                statuses.append(answer.status_code)
        found[method, path] = tuple(statuses)
    return found


async def _visit(home: House[Any], who: str) -> Visit:
    """Return a visitor with a session of an account that has no password."""
    account = await home.ports.accounts.credentials("root" if who == "admin" else who)
    if account is None:
        return Visit(home)
    await home.ports.sessions.open_session(_digest(who), account, client="", address="127.0.0.1")
    value = f"{account.user.id}.{account.token_epoch}.{int(time.time())}.{who}"
    return Visit(home, {SESSION: f"{value}.{Visitors(home.ports.sessions, home.settings)._mac('session', value)}"})


def _expected(state: str) -> dict[tuple[str, str], _Statuses]:
    return {route: statuses for route, (_, statuses) in _ROUTES.items()} | dict(_STATES[state])


#: much as others
_FULL = {"thawed", "open"}


@pytest.mark.parametrize(
    "state", [pytest.param(state, marks=pytest.mark.full if state in _FULL else ()) for state in _STATES]
)
async def test_who_may_do_what(scene: Scene, tmp_path: Path, state: str) -> None:
    await _brought_to(scene, state)
    found = await _asked(scene, tmp_path)
    expected = _expected(state)
    assert {each: found[each] for each in found if found[each] != expected[each]} == {}


async def test_a_private_contest_is_none_to_those_outside_of_it(scene: Scene, tmp_path: Path) -> None:
    await _brought_to(scene, "open", is_public=False)
    absent = await _asked(scene, tmp_path, "absent", _OUTSIDE)
    found, inside = await _asked(scene, tmp_path), _expected("open")
    wrong = {}
    for route in _ROUTES:
        expected = dict(zip(_CALLERS, inside[route], strict=True)) | dict(zip(_OUTSIDE, absent[route], strict=True))
        # what makes a contest is asked of none
        if found[route] != tuple(expected.values()) and route[1] != BASE:
            wrong[route] = found[route]
    assert wrong == {}


async def test_the_table_names_every_route(scene: Scene, tmp_path: Path) -> None:
    home = house_on(tmp_path, scene.lab.store, has_pages=True)
    there = {
        (method, pattern(rule.rule))
        for rule in home.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith((BASE, "/clics/", "/contests", "/manage/contests"))
    }
    adapter = home.app.url_map.bind("localhost")
    named = {(method, pattern(adapter.match(path, method, return_rule=True)[0].rule)) for method, path in _ROUTES}
    assert there == named


async def test_the_jury_makes_no_accounts(scene: Scene) -> None:
    await opened(scene)
    sent = {"format": "csv", "text": "5,Fifth", "create_accounts": True}
    assert (await scene.ask("jury", "POST", "/finals/teams", sent))[0] == 403
    assert (await scene.ask("admin", "POST", "/finals/teams", sent))[0] == 200
