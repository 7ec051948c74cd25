"""A verdict that a contest keeps back reaches neither its team nor the public, on any route, until it is released."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from deepoj.api.live.events import LiveEvent
from deepoj.api.live.jobs import JobFeed
from deepoj.api.redact import HiddenSteps
from deepoj.api.submitting import status_body, status_word_of
from deepoj.words.jobs import State
from deepoj.words.live import EndedTests
from deepoj.words.results import Verdict
from deepoj.words.submissions import SubmissionQuery
from tests.api.house import House, house_on
from tests.contests.scene import HOUR_MS, TEAMS, Scene, ago, finals, opened, scene
from tests.contract.labs import claim, report
from tests.web.visits import Visit, registered

__all__ = ["scene"]

_STEPS = HiddenSteps(time_ms=0, memory_kb=0)
_OF_THE_ANSWER = {"x-request-id", "date", "traceparent", "set-cookie", "etag"}
#: … of it, too: the id of its request, the token of a stranger's forms, the nonce of its policy, its time
_NOISE = re.compile(
    rb'[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|name="form_token" value="[^"]*"|nonce[-=][\w"-]+'
    rb'|<time [^>]*data-time="server">[^<]*'
    rb'|(?<=">)[^<]*(?=</time>)'  # how long ago it was; the moment is in the element's attribute
)
_TEST = {"name": "1", "cpu_ms": 7, "memory_kb": 900, "sample": False}


def _result(verdict: Verdict) -> dict[str, Any]:
    tests = [{**_TEST, "status": verdict.value}]
    return {"status": verdict.value, "score": 1.0, "time_used": 7, "memory_used": 900, "tests": tests}


async def _submitted(scene: Scene, code: str = "1") -> tuple[str, str]:
    """Submit a program of the owls with a callback. Return its job and its id in the contest."""
    sent = {"problem": "A", "language": "cpp17", "code": code}
    job_id = str((await scene.done("owl", "POST", "/finals/submit", sent))["job_id"])
    scene.lab.sql(f"UPDATE submissions SET callback_url = 'https://example.org/' WHERE job_id = '{job_id}'")
    return job_id, scene.lab.sql(f"SELECT id FROM submissions WHERE job_id = '{job_id}'").strip()


async def _judged(scene: Scene, job_id: str, verdict: Verdict, entry_id: str = "1-1") -> None:
    won = await claim(scene.lab, job_id, entry_id=entry_id)
    assert await scene.lab.store.leases.finalize(won, report(verdict), _result(verdict)) is None


async def _visit(scene: Scene, home: House[Any], name: str) -> Visit:
    """Return the pages' visitor of an account, logged in."""
    await registered(home, f"{name}2")
    scene.lab.sql(
        f"UPDATE users SET password_hash = (SELECT password_hash FROM users WHERE username = '{name}2')"
        f" WHERE username = '{name}'"
    )
    visit = Visit(home)
    assert (await visit.log_in(name)).status == 303
    return visit


def _paths(home: House[Any], job_id: str, submission_id: str, scene: Scene) -> list[str]:
    """Return each GET route whose parameters this contest has, but streams."""
    values = {
        "key": "finals", "contest_id": "finals", "label": "A", "job_id": job_id, "submission_id": submission_id,
        "problem_id": str(scene.problem_id), "name": "owl", "username": "owl", "team": "1",
    }  # fmt: skip
    endpoints = ("submissions", "judgements", "runs", "scoreboard", "problems", "state", "awards", "accounts")
    found = []
    for rule in home.app.url_map.iter_rules():
        if "GET" not in (rule.methods or ()) or rule.rule.endswith(("/events", "event-feed")):
            continue
        for endpoint in endpoints if "endpoint" in rule.arguments else ("",):
            known = values | {"endpoint": endpoint, "object_id": submission_id}
            if rule.arguments <= known.keys():
                path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
                found.append(path.format(**known))
    for verdict in ("Accepted", "Wrong Answer"):
        found.append(f"/api/v1/submissions?verdict={verdict.replace(' ', '%20')}")
        found.append(f"/submissions?verdict={verdict.replace(' ', '%20')}")
    return found


async def _answers(scene: Scene, tmp_path: Path, job_id: str, submission_id: str, cookies: dict[str, str]) -> Any:
    """Return what each route answers to a stranger and to the team, on a node that has read nothing before."""
    home, found = house_on(tmp_path, scene.lab.store, has_pages=True), {}
    session = "; ".join(f"{name}={value}" for name, value in cookies.items())
    for path in _paths(home, job_id, submission_id, scene):
        is_page = not path.startswith(("/api/", "/clics/"))
        for who in ("stranger", "lark", "owl"):
            headers = {"Cookie": session} if is_page and who == "owl" else {}
            answer = await home.ask("GET", path, token=None if is_page else scene.tokens.get(who), headers=headers)
            kept = sorted((name, value) for name, value in answer.headers if name.lower() not in _OF_THE_ANSWER)
            body = await answer.get_data(as_text=False)
            found[path, who] = (answer.status_code, _NOISE.sub(b"", repr(kept).encode()), _NOISE.sub(b"", body))
    return found


def _other_world(scene: Scene, job_id: str) -> None:
    """Change the verdict that was withheld, wherever it is stored."""
    result = json.dumps(_result(Verdict.ACCEPTED))
    scene.lab.sql(
        "ALTER TABLE contest_events DISABLE TRIGGER USER; ALTER TABLE submissions DISABLE TRIGGER USER;"
        """UPDATE contest_events SET data = data || '{"verdict": "Accepted"}' WHERE type = 'judgements';"""
        f"UPDATE submissions SET status = 'Accepted', result = '{result}' WHERE job_id = '{job_id}';"
        f"UPDATE webhook_deliveries SET verdict = 'Accepted' WHERE job_id = '{job_id}';"
        "ALTER TABLE submissions ENABLE TRIGGER USER"
    )


@pytest.mark.parametrize("rules", [{"is_verifying": True}, {"feedback": "hidden"}])
async def test_a_withheld_verdict_changes_no_answer_to_its_team(
    scene: Scene, tmp_path: Path, rules: Mapping[str, Any]
) -> None:
    await opened(scene, freeze_ms=None, **rules)
    job_id, submission_id = await _submitted(scene)
    await _judged(scene, job_id, Verdict.WRONG_ANSWER)
    home = house_on(tmp_path, scene.lab.store, has_pages=True)
    cookies = (await _visit(scene, home, "owl")).cookies
    one_world = await _answers(scene, tmp_path, job_id, submission_id, cookies)
    _other_world(scene, job_id)
    other_world = await _answers(scene, tmp_path, job_id, submission_id, cookies)
    assert [place for place, answer in one_world.items() if answer != other_world[place]] == []
    shown = {path for (path, who), answer in one_world.items() if who == "owl" and answer[0] == 200}
    assert {f"/api/v1/status/{job_id}", f"/submissions/{job_id}", "/contests/finals/submissions"} <= shown
    assert len(shown) > 40, "the routes are asked with parameters that exist"


async def _waits(_scene: Scene, _job_id: str) -> None:
    """Leave the judging waiting."""


async def _runs(scene: Scene, job_id: str) -> None:
    await claim(scene.lab, job_id, entry_id="1-1")


async def _ends(scene: Scene, job_id: str) -> None:
    await _judged(scene, job_id, Verdict.ACCEPTED)


async def _is_dead(scene: Scene, job_id: str) -> None:
    scene.lab.sql(f"UPDATE submissions SET state = 'dead', status = 'System Error' WHERE job_id = '{job_id}'")


async def _waits_again(scene: Scene, job_id: str) -> None:
    """Open a second judging after the first."""
    await _ends(scene, job_id)
    await scene.lab.store.rejudges.rejudge(job_id, None, by="jury", in_full=True, stream_key="s")


async def _ends_again(scene: Scene, job_id: str) -> None:
    await _waits_again(scene, job_id)
    await _judged(scene, job_id, Verdict.WRONG_ANSWER, "2-1")


#: what becomes of a judging whose verdict is withheld
_FATES = {fate.__name__: fate for fate in (_waits, _runs, _ends, _is_dead, _waits_again, _ends_again)}
_WITHHOLDING: list[Mapping[str, Any]] = [{"is_verifying": True}, {"feedback": "hidden"}]


@pytest.mark.parametrize("rules", _WITHHOLDING)
@pytest.mark.parametrize("fate", _FATES)
async def test_identical_program_during_a_withheld_judging_gets_the_first_job_whatever_becomes_of_it(
    scene: Scene, rules: Mapping[str, Any], fate: str
) -> None:
    await opened(scene, freeze_ms=None, **rules)
    job_id, _ = await _submitted(scene)
    await _FATES[fate](scene, job_id)
    again = {"problem": "A", "language": "cpp17", "code": "1"}
    assert (await scene.done("owl", "POST", "/finals/submit", again))["job_id"] == job_id
    other = await scene.done("owl", "POST", "/finals/submit", {**again, "code": "2"})
    assert other["job_id"] != job_id
    scene.lab.sql(f"UPDATE submissions SET created_at = created_at - interval '1 hour' WHERE job_id = '{job_id}'")
    after = await scene.done("owl", "POST", "/finals/submit", again)
    assert after["job_id"] != job_id, "the window of identical programs is over"


async def test_identical_program_after_its_shown_verdict_is_a_new_job(scene: Scene) -> None:
    await opened(scene, freeze_ms=None)
    job_id, _ = await _submitted(scene)
    await _ends(scene, job_id)
    again = await scene.done("owl", "POST", "/finals/submit", {"problem": "A", "language": "cpp17", "code": "1"})
    assert again["job_id"] != job_id


async def test_identical_program_in_another_contest_makes_no_difference_to_a_withheld_one(scene: Scene) -> None:
    """A submission to the other contest takes the place of an unfinished one among unfinished twins."""
    again = {"problem": "A", "language": "cpp17", "code": "1"}
    await opened(scene, freeze_ms=None, feedback="hidden")
    await scene.done("jury", "POST", "", finals(key="other", freeze_ms=None))
    await scene.done("jury", "PUT", "/other/problems/A", {"problem_id": scene.problem_id, "rgb": "#ff0000"})
    await scene.done("jury", "POST", "/other/teams", {"format": "csv", "text": TEAMS})
    await scene.done("jury", "PATCH", "/other", {"start_at": ago(HOUR_MS)})
    await scene.advance()
    for who, fate in (("owl", _waits), ("lark", _ends)):
        job_id = (await scene.done(who, "POST", "/finals/submit", again))["job_id"]
        await fate(scene, job_id)
        assert (await scene.done(who, "POST", "/other/submit", again))["job_id"] != job_id
        assert (await scene.done(who, "POST", "/finals/submit", again))["job_id"] == job_id, who


@pytest.mark.parametrize("fate", _FATES)
async def test_users_cap_counts_a_withheld_judging_for_five_minutes_whatever_becomes_of_it(
    scene: Scene, fate: str
) -> None:
    await opened(scene, freeze_ms=None, feedback="hidden")
    jobs = [(await _submitted(scene, code))[0] for code in "123"]
    await _FATES[fate](scene, jobs[0])
    counted = f"SELECT inflight_of(user_id, 9) FROM submissions WHERE job_id = '{jobs[0]}'"
    assert scene.lab.sql(counted).strip() == "3"
    scene.lab.sql(f"UPDATE submissions SET created_at = now() - interval '5 minutes 1 s' WHERE job_id = '{jobs[0]}'")
    assert scene.lab.sql(counted).strip() == "2"
    await scene.done("jury", "PATCH", "/finals", {"duration_ms": HOUR_MS})
    await scene.advance()
    shown = 3 if fate in {"_waits", "_runs"} else 2
    assert scene.lab.sql(counted).strip() == str(shown), "released, only what is unfinished counts"


@pytest.mark.parametrize("rules", _WITHHOLDING)
async def test_a_withheld_judging_looks_the_same_to_its_team_whatever_becomes_of_it(
    scene: Scene, tmp_path: Path, rules: Mapping[str, Any]
) -> None:
    """Its start, too: how long others wait before it says which programs take long."""
    await opened(scene, freeze_ms=None, **rules)
    job_id, submission_id = await _submitted(scene)
    home = house_on(tmp_path, scene.lab.store, has_pages=True)
    cookies = (await _visit(scene, home, "owl")).cookies

    async def seen() -> tuple[Any, list[LiveEvent]]:
        return await _answers(scene, tmp_path, job_id, submission_id, cookies), await _events(scene, job_id)

    async def again() -> None:
        await scene.lab.store.rejudges.rejudge(job_id, None, by="jury", in_full=True, stream_key="s")

    first, events = await seen()
    won = await claim(scene.lab, job_id, entry_id="1-1")
    ends = partial(scene.lab.store.leases.finalize, won, report(Verdict.ACCEPTED), _result(Verdict.ACCEPTED))
    for act in (_nothing, ends, again, partial(_judged, scene, job_id, Verdict.WRONG_ANSWER, "2-1")):
        await act()
        answers, streamed = await seen()
        assert [place for place, answer in first.items() if answer != answers[place]] == [], act
        assert streamed == events, act


async def test_a_submission_after_a_withheld_judging_looks_the_same_whatever_became_of_it(
    scene: Scene, tmp_path: Path
) -> None:
    """Numbers of events have gaps where one is hidden."""
    await opened(scene, freeze_ms=None, feedback="hidden")
    job_id, _ = await _submitted(scene)
    cookies = (await _visit(scene, house_on(tmp_path, scene.lab.store, has_pages=True), "owl")).cookies
    at, later_id = ago(0), "999"
    later = json.dumps({"job_id": "later", "team_id": "1", "problem_id": "A", "language": "cpp17", "at": at})

    async def seen() -> Any:
        # replica: the ledger refuses changes
        scene.lab.sql(
            f"SELECT tell_contest(1, 'submissions', '{later_id}', '{later}'); SET session_replication_role = replica;"
            f" UPDATE contest_events SET at = '{at}' WHERE object_id = '{later_id}'"
        )
        found = await _answers(scene, tmp_path, job_id, later_id, cookies)
        scene.lab.sql(
            f"SET session_replication_role = replica; DELETE FROM contest_events WHERE object_id = '{later_id}';"
            " UPDATE contest_counters SET last = last - 1"
        )
        return found

    first = await seen()
    rejudge = partial(scene.lab.store.rejudges.rejudge, job_id, None, by="jury", in_full=True, stream_key="s")
    ends_again = partial(_judged, scene, job_id, Verdict.WRONG_ANSWER, "2-1")
    for act in (partial(_ends, scene, job_id), rejudge, ends_again):
        await act()
        answers = await seen()
        assert [place for place, answer in first.items() if answer != answers[place]] == [], act
    api, pages = "/api/v1/contests/finals", "/contests/finals"
    lists = [f"{api}/submissions", f"{api}/scoreboard/1/A", f"{pages}/submissions", f"{pages}/board/1/A"]
    assert [first[path, "owl"][0] for path in lists] == [200] * 4, "they are among the routes that are asked"


async def _nothing() -> None:
    """Leave the judging running."""


async def _events(scene: Scene, job_id: str) -> list[LiveEvent]:
    """Return what a stream tells the author at its start."""
    feed = JobFeed(
        scene.lab.store.live,
        job_id,
        is_whole=False,
        steps=_STEPS,
        last=None,
        body=lambda finished: status_body(finished, is_whole=False, steps=_STEPS),
        word=status_word_of,
    )
    return [*await feed.events()]


async def test_the_stream_of_a_withheld_judging_tells_no_test_and_no_end(scene: Scene) -> None:
    await opened(scene, freeze_ms=None, is_verifying=True)
    job_id, submission_id = await _submitted(scene)
    won = await claim(scene.lab, job_id)
    part = EndedTests(job_id=job_id, attempt_id=won.attempt_id, first=1, count=2, tests=(_TEST,))
    await scene.lab.store.live.tell_live([part], [], [])
    assert [event.name for event in await _events(scene, job_id)] == ["state"]
    assert await scene.lab.store.leases.finalize(won, report(Verdict.ACCEPTED), _result(Verdict.ACCEPTED)) is None
    [state] = await _events(scene, job_id)
    assert isinstance(state.data, Mapping)
    assert (state.data["state"], state.data["status"]) == (State.PROCESSING, "Judging")
    await scene.done("jury", "POST", f"/finals/submissions/{submission_id}/review", {"act": "verify", "judging": 1})
    assert (await _events(scene, job_id))[-1].name == "done"


def _is_due(scene: Scene, job_id: str) -> bool:
    return (
        scene.lab.sql(f"SELECT isfinite(next_attempt_at) FROM webhook_deliveries WHERE job_id = '{job_id}'").strip()
        == "t"
    )


async def test_verifying_releases_the_verdict_and_its_callback_and_a_rejudge_withholds_the_next(scene: Scene) -> None:
    await opened(scene, freeze_ms=None, is_verifying=True)
    job_id, submission_id = await _submitted(scene)
    await _judged(scene, job_id, Verdict.ACCEPTED)
    status = f"/api/v1/submissions/{job_id}"

    async def shown() -> tuple[str, int, int, int]:
        answer = json.loads(await (await scene.home.ask("GET", status, token=scene.tokens["owl"])).get_data())
        [row, *_] = (await scene.done("lark", "GET", "/finals/scoreboard"))["rows"]
        return answer["status"], len(answer["judgings"]), len(answer["webhooks"]), row["solved"]

    assert await shown() == ("Judging", 0, 0, 0)
    assert not _is_due(scene, job_id)
    await scene.done("jury", "POST", f"/finals/submissions/{submission_id}/review", {"act": "verify", "judging": 1})
    assert await shown() == ("Accepted", 1, 1, 1)
    assert _is_due(scene, job_id)
    await scene.lab.store.rejudges.rejudge(job_id, None, by="jury", in_full=True, stream_key="s")
    await _judged(scene, job_id, Verdict.WRONG_ANSWER, "2-1")
    assert await shown() == ("Judging", 1, 0, 0), "the verified judging is shown still"


async def test_hidden_feedback_shows_all_when_the_contest_is_over(scene: Scene) -> None:
    await opened(scene, freeze_ms=None, feedback="hidden", start_at=ago(2 * HOUR_MS))
    job_id, _ = await _submitted(scene)
    await _judged(scene, job_id, Verdict.ACCEPTED)
    lists = scene.lab.store.lists
    query = SubmissionQuery(verdict=Verdict.ACCEPTED)
    assert not (await lists.submissions(query, 5)).items
    for sees_withheld, count in ((False, 1), (True, 0)):
        unfinished = SubmissionQuery(is_unfinished=True, sees_withheld=sees_withheld)
        assert len((await lists.submissions(unfinished, 5)).items) == count
    assert not _is_due(scene, job_id)
    await scene.done("jury", "PATCH", "/finals", {"duration_ms": HOUR_MS})
    await scene.advance()
    assert len((await lists.submissions(query, 5)).items) == 1
    assert _is_due(scene, job_id)
    assert scene.lab.sql("SELECT count(*) FROM solved").strip() == "1"


async def _solved(scene: Scene, who: str = "stranger") -> int:
    """Return how many problems the owls have solved on the board of somebody."""
    rows = (await scene.done(who, "GET", "/finals/scoreboard"))["rows"]
    return int(next(row["solved"] for row in rows if row["team_id"] == "1"))


@pytest.mark.parametrize("freeze_ms", [None, HOUR_MS])
async def test_hidden_feedback_waits_for_the_team_with_the_most_time(scene: Scene, freeze_ms: int | None) -> None:
    await opened(scene, freeze_ms=freeze_ms, feedback="hidden")
    job_id, _ = await _submitted(scene)
    await _judged(scene, job_id, Verdict.ACCEPTED)
    if freeze_ms is not None:
        scene.lab.sql(f"UPDATE contests SET freeze_ms = {freeze_ms}, frozen_at = now()")
    extend = {"act": "extend", "team": "2", "extra_ms": 2 * HOUR_MS, "reason": "ill"}
    await scene.done("jury", "POST", "/finals/clock", extend)
    # it is over since half an hour, and one team has an hour and a half left
    scene.lab.sql(f"UPDATE contests SET duration_ms = {3 * HOUR_MS // 2}, thaw_at = now()")
    await scene.advance()
    state = (await scene.done("owl", "GET", "/finals"))["state"]
    assert (state["ended_at"] is None, state["closed_at"], state["thawed_at"]) == (False, None, None)
    assert [await _solved(scene), await _solved(scene, "owl"), await _solved(scene, "jury")] == [0, 0, 1]
    assert not _is_due(scene, job_id)
    assert scene.lab.sql("SELECT count(*) FROM solved").strip() == "0"
    assert (await scene.ask("jury", "POST", "/finals/practice"))[1]["code"] == "CONTEST_NOT_OVER"
    same = {"problem_id": scene.problem_id, "language": "cpp17", "code": "1"}
    tried = await scene.home.ask("POST", "/api/v1/submit", token=scene.tokens["owl"], json=same)
    assert (await tried.get_json())["code"] == "CONTEST_PROBLEM", "its verdict would be that of the contest"
    await scene.done("jury", "POST", "/finals/clock", {**extend, "extra_ms": HOUR_MS // 4})
    await scene.advance()
    state = (await scene.done("owl", "GET", "/finals"))["state"]
    assert (state["closed_at"] > state["ended_at"], (state["thawed_at"] or "") >= state["closed_at"]) == (
        True, freeze_ms is not None,
    )  # fmt: skip
    assert [await _solved(scene), await _solved(scene, "owl")] == [1, 1]
    assert _is_due(scene, job_id)
    assert scene.lab.sql("SELECT count(*) FROM solved").strip() == "1"
    refused = await scene.ask("jury", "POST", "/finals/clock", extend)
    assert (refused[0], refused[1]["code"]) == (409, "CONTEST_STARTED"), "its verdicts were shown"


async def test_hidden_feedback_of_homework_waits_for_late_solutions(scene: Scene) -> None:
    await opened(scene, kind="homework", freeze_ms=None, feedback="hidden", late_ms=4 * HOUR_MS)
    job_id, _ = await _submitted(scene)
    await _judged(scene, job_id, Verdict.ACCEPTED)
    await scene.done("jury", "PATCH", "/finals", {"duration_ms": HOUR_MS})
    await scene.advance()
    assert (await scene.done("owl", "GET", "/finals"))["state"]["ended_at"] is not None
    assert not _is_due(scene, job_id)
    await scene.done("jury", "PATCH", "/finals", {"late_ms": HOUR_MS // 2})
    await scene.advance()
    assert _is_due(scene, job_id)
    refused = await scene.ask("jury", "PATCH", "/finals", {"late_ms": 4 * HOUR_MS})
    assert (refused[0], refused[1]["code"]) == (409, "CONTEST_STARTED")


async def test_late_time_that_is_over_may_grow_and_not_shrink(scene: Scene) -> None:
    await opened(scene, kind="homework", freeze_ms=None, late_ms=HOUR_MS // 2)
    await scene.done("jury", "PATCH", "/finals", {"duration_ms": HOUR_MS})
    await scene.advance()
    assert (await scene.done("owl", "GET", "/finals"))["state"]["closed_at"] is not None
    shorter = await scene.ask("jury", "PATCH", "/finals", {"late_ms": 0})
    assert (shorter[0], shorter[1]["code"]) == (409, "CONTEST_STARTED"), "what was taken counts"
    await scene.done("jury", "PATCH", "/finals", {"late_ms": 4 * HOUR_MS})
    assert (await scene.done("owl", "GET", "/finals"))["state"]["closed_at"] is None
    job_id, _ = await _submitted(scene)
    await _judged(scene, job_id, Verdict.ACCEPTED)
    assert (await scene.done("jury", "GET", "/finals/scoreboard"))["rows"][0]["points"] > 0


async def test_more_time_closes_an_open_contest_later(scene: Scene) -> None:
    await opened(scene, freeze_ms=None)
    await scene.done("jury", "PATCH", "/finals", {"duration_ms": HOUR_MS})
    await scene.advance()
    state = (await scene.done("owl", "GET", "/finals"))["state"]
    assert state["closed_at"] == state["ended_at"]
    extend = {"act": "extend", "team": "2", "extra_ms": 2 * HOUR_MS, "reason": "ill"}
    await scene.done("jury", "POST", "/finals/clock", extend)
    assert (await scene.done("owl", "GET", "/finals"))["state"]["closed_at"] is None


async def test_a_contest_that_verifies_has_no_mark_and_no_practice_before_it_is_finalized(scene: Scene) -> None:
    await opened(scene, freeze_ms=None, is_verifying=True)
    job_id, submission_id = await _submitted(scene)
    await _judged(scene, job_id, Verdict.ACCEPTED)
    await scene.done("jury", "PATCH", "/finals", {"duration_ms": HOUR_MS})
    await scene.advance()
    assert scene.lab.sql("SELECT count(*) FROM solved").strip() == "0"
    status, _ = await scene.ask("jury", "POST", "/finals/practice")
    assert status == 409, "practice would show the verdict"
    status, body = await scene.ask("jury", "POST", "/finals/finalize", {})
    assert (status, body["code"]) == (409, "CONTEST_UNVERIFIED")
    await scene.done("jury", "POST", f"/finals/submissions/{submission_id}/review", {"act": "verify", "judging": 1})
    await scene.done("jury", "POST", "/finals/finalize", {})
    await scene.advance()
    assert scene.lab.sql("SELECT count(*) FROM solved").strip() == "1"
    await scene.done("jury", "POST", "/finals/practice")
