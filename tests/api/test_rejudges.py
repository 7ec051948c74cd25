"""Rejudges over HTTP: who may ask, the answers, deleted problems, and that a repeated request changes nothing."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deepoj.pipeline.rejudge import go_on
from deepoj.words.jobs import Claim, State
from deepoj.words.results import Verdict
from tests.api.house import House, form, house, package, submission
from tests.unit.makers import a_report, an_entry

LEASE_S = 60.0


@dataclass
class Setting:
    home: House
    admin: str
    owner: str
    problem: int

    async def done(self, code: str = "x", status: Verdict = Verdict.WRONG_ANSWER) -> str:
        job_id = await submission(self.home, self.owner, self.problem, code)
        await self.finish(job_id, status)
        return job_id

    async def finish(self, job_id: str, status: Verdict) -> None:
        won = (await self.home.store.claim([an_entry(job_id)], "node-a", LEASE_S, 5))["1-0"]
        assert isinstance(won, Claim)
        told = {"status": status.value, "attempt_id": won.attempt_id, "tests": [{"name": "1", "checker_message": "s"}]}
        assert await self.home.store.finalize(won, a_report(status), told) is None

    async def ask(self, method: str, path: str, token: str | None = None, **more: Any) -> tuple[int, dict[str, Any]]:
        answer = await self.home.ask(method, f"/api/v1{path}", token=token or self.admin, **more)
        return answer.status_code, await answer.get_json()

    async def put(self, fields: dict[str, str], file: bytes | None = None) -> tuple[int, dict[str, Any]]:
        body, content_type = form(fields, file)
        return await self.ask(
            "PUT", f"/problems/{self.problem}", data=body, headers={"Content-Type": content_type}
        )  # fmt: skip


@pytest.fixture
async def setting(tmp_path: Path) -> Setting:
    home = house(tmp_path)
    return Setting(
        home, await home.token("root", is_admin=True), await home.token("owner"), await home.problem()
    )  # fmt: skip


# -- one submission


async def test_a_rejudged_submission_shows_each_verdict(setting: Setting) -> None:
    job_id = await setting.done()
    _, before = await setting.ask("GET", f"/submissions/{job_id}", setting.owner)
    assert [(one["judging"], one["status"]) for one in before["judgings"]] == [(1, "Wrong Answer")]
    status, told = await setting.ask("POST", f"/submissions/{job_id}/rejudge")
    assert (status, told) == (202, {"job_id": job_id, "judging": 2, "repeated": False})
    [noted] = [row for row in setting.home.store.ledger if row.event == "rejudged"]
    assert (noted.owner, noted.judging) == ("root", 2)
    _, waiting = await setting.ask("GET", f"/status/{job_id}", setting.owner)
    assert (waiting["status"], waiting["state"], waiting["data"]) == ("Queuing", "pending", None)
    _, between = await setting.ask("GET", f"/submissions/{job_id}", setting.owner)
    assert (between["judging"], between["data"]) == (2, None)
    assert [(one["judging"], one["status"]) for one in between["judgings"]] == [(1, "Wrong Answer")]
    assert between["judgings"][0]["data"]["tests"][0]["checker_message"] is None, "redacted as the newest"
    await setting.finish(job_id, Verdict.ACCEPTED)
    _, after = await setting.ask("GET", f"/submissions/{job_id}")
    assert (after["status"], after["data"]["attempt_id"]) == ("Accepted", 2)
    assert [(one["judging"], one["attempt_id"], one["status"]) for one in after["judgings"]] == [
        (1, 1, "Wrong Answer"),
        (2, 2, "Accepted"),
    ]
    assert after["judgings"][0]["data"]["tests"][0]["checker_message"] == "s"


async def test_a_double_click_is_one(setting: Setting) -> None:
    job_id = await setting.done()
    path = f"/submissions/{job_id}/rejudge"
    assert (await setting.ask("POST", path))[1]["repeated"] is False
    assert await setting.ask("POST", path) == (202, {"job_id": job_id, "judging": 2, "repeated": True})
    await setting.finish(job_id, Verdict.ACCEPTED)
    assert (await setting.ask("POST", f"{path}?judging=1"))[1] == {"job_id": job_id, "judging": 2, "repeated": True}
    assert setting.home.store.rows[job_id].state is State.DONE
    assert (await setting.ask("POST", f"{path}?judging=2"))[1] == {"job_id": job_id, "judging": 3, "repeated": False}


async def test_rejudge_of_an_unfinished_or_unknown_job_is_refused(setting: Setting) -> None:
    waiting = await submission(setting.home, setting.owner, setting.problem, "waits")
    status, body = await setting.ask("POST", f"/submissions/{waiting}/rejudge")
    assert (status, body["code"]) == (409, "NOT_FINISHED")
    for _ in range(2):
        won = (await setting.home.store.claim([an_entry(waiting)], "node-a", LEASE_S, 2))["1-0"]
        assert isinstance(won, Claim)
        await setting.home.store.give_back(won, reason="x", counts=True)
    await setting.home.store.claim([an_entry(waiting)], "node-a", LEASE_S, 2)
    status, body = await setting.ask("POST", f"/submissions/{waiting}/rejudge")
    assert (status, body["code"]) == (409, "DEAD_LETTER")
    for unknown in (str(uuid.uuid4()), "no job id", "%00", "x" * 100):
        status, body = await setting.ask("POST", f"/submissions/{unknown}/rejudge")
        assert (status, body["code"]) == (404, "JOB_NOT_FOUND"), unknown


@pytest.mark.parametrize("query", ["judging=0", "judging=x", "judging=", f"judging={'9' * 12}", "full=perhaps"])
async def test_a_query_that_can_be_none(setting: Setting, query: str) -> None:
    job_id = await setting.done()
    status, body = await setting.ask("POST", f"/submissions/{job_id}/rejudge?{query}")
    assert (status, body["code"]) == (400, "INVALID_PARAM")
    assert setting.home.store.rows[job_id].judging == 1


async def test_full_is_told_to_who_judges(setting: Setting) -> None:
    plain, full = await setting.done("a"), await setting.done("b")
    await setting.ask("POST", f"/submissions/{plain}/rejudge?full=false")
    await setting.ask("POST", f"/submissions/{full}/rejudge?full=true")
    assert await setting.home.store.former_result(plain, 2) is not None
    assert await setting.home.store.former_result(full, 2) is None


async def test_a_database_that_is_away(setting: Setting) -> None:
    job_id = await setting.done()
    setting.home.store.break_next("rejudge", applied=True)
    status, body = await setting.ask("POST", f"/submissions/{job_id}/rejudge")
    assert (status, body["code"]) == (503, "DB_ERROR")
    assert (await setting.ask("POST", f"/submissions/{job_id}/rejudge"))[1]["repeated"] is True


# -- a whole problem


async def test_rejudge_of_a_problem_reports_its_progress(setting: Setting) -> None:
    jobs = [await setting.done(f"// {n}") for n in range(3)]
    waiting = await submission(setting.home, setting.owner, setting.problem, "waits")
    path = f"/problems/{setting.problem}/rejudge"
    assert (await setting.ask("GET", path))[0] == 404
    status, told = await setting.ask("POST", path)
    assert (status, told["submissions"], told["opened"], told["finished"]) == (202, 4, 0, False)
    assert (told["ordered_by"], told["full"], told["repeated"], told["problem_version"]) == ("root", False, False, 1)
    assert (await setting.ask("POST", path))[1] == told | {"repeated": True}
    await go_on(setting.home.store, "s")
    status, now = await setting.ask("GET", path)
    assert (status, now["opened"], now["passed"], now["finished"]) == (200, 3, 1, True)
    assert [setting.home.store.rows[job_id].judging for job_id in (*jobs, waiting)] == [2, 2, 2, 1]


@pytest.mark.parametrize("problem", ["0", "99999", "x", "9" * 30])
async def test_of_a_problem_that_is_none(setting: Setting, problem: str) -> None:
    for method, path in (("POST", "/rejudge"), ("GET", "/rejudge"), ("DELETE", "")):
        status, body = await setting.ask(method, f"/problems/{problem}{path}")
        assert (status, body["code"]) == (404, "PROBLEM_NOT_FOUND"), (method, path)
    body_, content_type = form({"title": "t"})
    answer = await setting.ask("PUT", f"/problems/{problem}", data=body_, headers={"Content-Type": content_type})
    assert answer[0] == 404


# -- the problem itself


async def test_a_new_package_is_a_new_version_under_a_new_name(setting: Setting) -> None:
    old = await setting.home.store.problem(setting.problem)
    assert old is not None
    sent = package({"1.in": "1\n", "1.out": "2\n"})  # the time of day is in a zip
    status, told = await setting.put({}, sent)
    assert (status, told["version"], told["title"], told["time_limit"]) == (200, 2, "A+B", 1000)
    new = await setting.home.store.problem(setting.problem)
    assert new is not None
    assert new.data_path != old.data_path, "who has claimed by the row as it was still finds its package"
    assert new.data_path in setting.home.blobs.objects
    assert (new.data_hash != old.data_hash, new.compare, new.description) == (True, "tokens", "add")
    status, told = await setting.put({}, sent)
    assert (status, told["version"]) == (200, 2)


async def test_limits_are_a_version_and_words_are_none(setting: Setting) -> None:
    assert (await setting.put({"title": "New", "description": "", "difficulty": "hard"}))[1]["version"] == 1
    status, told = await setting.put({"time_limit": "500", "memory_limit": "64"})
    assert (status, told["version"], told["time_limit"], told["memory_limit"]) == (200, 2, 500, 64)
    assert (told["title"], told["description"], told["difficulty"]) == ("New", "", "hard")


@pytest.mark.parametrize(
    ("fields", "file", "code"),
    [
        ({"title": ""}, None, "INVALID_PARAM"),
        ({"time_limit": "0"}, None, "INVALID_PARAM"),
        ({"compare": "by ear"}, None, "INVALID_PARAM"),
        ({}, b"no zip", "INVALID_PACKAGE"),
        ({}, package({"1.in": "1\n"}), "INVALID_PACKAGE"),
    ],
)
async def test_a_change_that_can_be_none_changes_nothing(
    setting: Setting, fields: dict[str, str], file: bytes | None, code: str
) -> None:
    before = await setting.home.store.problem(setting.problem)
    status, body = await setting.put(fields, file)
    assert (status, body["code"]) == (400, code)
    assert await setting.home.store.problem(setting.problem) == before
    assert setting.home.blobs.objects == {}


async def test_problems_in_pages(setting: Setting) -> None:
    numbers = [setting.problem, *[await setting.home.problem() for _ in range(4)]]
    seen: list[int] = []
    path = "/problems?limit=2"
    while True:
        status, page = await setting.ask("GET", path)
        assert status == 200
        seen += [one["id"] for one in page["problems"]]
        if page["next"] is None:
            break
        path = f"/problems?limit=2&after={page['next']}"
    assert seen == numbers
    assert (await setting.ask("GET", "/problems?limit=201"))[0] == 400


async def test_a_problem_goes_with_its_submissions_by_force_alone(setting: Setting) -> None:
    path = f"/problems/{setting.problem}"
    job_id = await setting.done()
    status, body = await setting.ask("DELETE", path)
    assert (status, body["code"]) == (409, "PROBLEM_HAS_SUBMISSIONS")
    assert (await setting.ask("DELETE", f"{path}?force=perhaps"))[0] == 400
    assert await setting.ask("DELETE", f"{path}?force=true") == (200, {"id": setting.problem, "status": "deleted"})
    assert (await setting.ask("GET", path))[0] == 404
    assert (await setting.ask("GET", f"/submissions/{job_id}"))[0] == 404
    assert (await setting.ask("DELETE", f"/problems/{await setting.home.problem()}"))[0] == 200


async def test_filters_limit_a_rejudge_of_a_problem(setting: Setting) -> None:
    path = f"/problems/{setting.problem}/rejudge"
    status, body = await setting.ask("POST", f"{path}?verdict=Wrong Answer&language=1&since=2026-01-31T12:00:00Z")
    assert status == 202
    assert (body["verdict"], body["language"], body["until"]) == ("Wrong Answer", "cpp17", None)
    assert body["since"] == "2026-01-31T12:00:00+00:00"
    status, body = await setting.ask("GET", path)
    assert (status, body["verdict"]) == (200, "Wrong Answer")
    for query in ("verdict=Wrong", "language=latin", "since=soon", "until=2026-99-99"):
        assert (await setting.ask("POST", f"{path}?{query}"))[0] == 400, query
