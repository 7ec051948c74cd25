"""Dead letters over HTTP: rights, answers, and that a repeated decision changes nothing."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deepoj.words.jobs import Claim, ClaimRefusal, State
from deepoj.words.results import Verdict
from tests.api.house import House, house, submission
from tests.unit.makers import an_entry

BASE = "/api/v1/admin/dlq"
LEASE_S = 60.0


async def dies(home: House, job_id: str, attempts: int = 2) -> None:
    """Use up the attempts of a job."""
    for _ in range(attempts):
        won = (await home.store.claim([an_entry(job_id)], "node-a", LEASE_S, attempts))["1-0"]
        assert isinstance(won, Claim)
        await home.store.give_back(won, reason="BoxBroken: x", counts=True)
    answers = await home.store.claim([an_entry(job_id)], "node-a", LEASE_S, attempts)
    assert answers == {"1-0": ClaimRefusal.DEAD}


@dataclass
class Setting:
    home: House
    admin: str
    owner: str
    problem: int

    async def dead(self, code: str = "x") -> str:
        job_id = await submission(self.home, self.owner, self.problem, code)
        await dies(self.home, job_id)
        return job_id

    async def get(self, path: str = "", token: str | None = None) -> tuple[int, dict[str, Any]]:
        answer = await self.home.ask("GET", BASE + path, token=token or self.admin)
        return answer.status_code, await answer.get_json()

    async def post(self, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
        sent = {} if body is None else body
        answer = await self.home.ask("POST", BASE + path, token=self.admin, json=sent)
        return answer.status_code, await answer.get_json()


@pytest.fixture
async def setting(tmp_path: Path) -> Setting:
    home = house(tmp_path)
    return Setting(
        home, await home.token("root", is_admin=True), await home.token("owner"), await home.problem()
    )  # fmt: skip


async def test_dead_letters_in_pages(setting: Setting) -> None:
    jobs = [await setting.dead(f"// {n}") for n in range(5)]
    seen: list[str] = []
    path = "?limit=2"
    while True:
        status, page = await setting.get(path)
        assert status == 200
        seen += [letter["job_id"] for letter in page["letters"]]
        if page["next"] is None:
            break
        path = f"?limit=2&before={page['next']}"
    assert seen == jobs[::-1]
    letter = (await setting.get())[1]["letters"][0]
    assert (letter["username"], letter["attempt_id"], letter["error_code"]) == ("owner", 2, "ATTEMPTS_EXHAUSTED")
    assert "id" not in letter


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=x", "limit=", "before=0", "before=-1", "before=9" * 9]
)
async def test_a_page_that_can_be_none(setting: Setting, query: str) -> None:
    status, body = await setting.get(f"?{query}")
    assert (status, body["code"]) == (400, "INVALID_PARAM")


async def test_one_letter_with_its_ledger(setting: Setting) -> None:
    job_id = await setting.dead()
    status, told = await setting.get(f"/{job_id}")
    assert status == 200
    assert told["letter"]["job_id"] == job_id
    assert [event["event"] for event in told["events"]] == ["claimed", "given_back"] * 2 + ["dead"]
    alive = await submission(setting.home, setting.owner, setting.problem, "alive")
    for unknown in (str(uuid.uuid4()), "%00", "no job id", "x" * 100, alive):
        status, body = await setting.get(f"/{unknown}")
        assert (status, body["code"]) == (404, "JOB_NOT_FOUND"), unknown


@pytest.mark.parametrize(("verb", "state"), [("requeue", State.PENDING), ("discard", State.DONE)])
async def test_a_decision_twice_is_one(setting: Setting, verb: str, state: State) -> None:
    job_id = await setting.dead()
    status, told = await setting.post(f"/{job_id}/{verb}", {"attempt_id": 2, "note": "看过了"})
    assert (status, told["repeated"], told["attempt_id"]) == (200, False, 2)
    assert setting.home.store.rows[job_id].state is state
    status, told = await setting.post(f"/{job_id}/{verb}", {"attempt_id": 2})
    assert (status, told["repeated"]) == (200, True)
    [decided] = [row for row in setting.home.store.ledger if row.event == told["decision"]]
    assert (decided.owner, decided.detail) == ("root", "看过了")
    status, body = await setting.post(f"/{job_id}/{verb}")
    assert (status, body["code"]) == (409, "NOT_A_DEAD_LETTER")


async def test_discarded_job_is_system_error_to_its_author(setting: Setting) -> None:
    job_id = await setting.dead()
    await setting.post(f"/{job_id}/discard", {"note": "a word among us"})
    answer = await setting.home.ask("GET", f"/api/v1/submissions/{job_id}", token=setting.owner)
    shown = await answer.get_json()
    assert (shown["status"], shown["state"], shown["error_code"]) == (Verdict.SYSTEM_ERROR, "done", "DISCARDED")
    assert shown["data"]["explanation"][0]["rule"] == "discarded"
    assert "a word among us" not in await answer.get_data(as_text=True)
    answer = await setting.home.ask("GET", f"/api/v1/status/{job_id}", token=setting.owner)
    assert (await answer.get_json())["status"] == "System Error"


async def test_a_decision_about_an_earlier_death(setting: Setting) -> None:
    job_id = await setting.dead()
    await setting.post(f"/{job_id}/requeue", {"attempt_id": 2})
    await dies(setting.home, job_id)
    status, body = await setting.post(f"/{job_id}/discard", {"attempt_id": 2})
    assert (status, body["code"]) == (409, "STALE_ATTEMPT")
    assert (await setting.post(f"/{job_id}/discard", {"attempt_id": 4}))[0] == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"attempt_id": -1}, "INVALID_PARAM"),
        ({"attempt_id": 2**64}, "INVALID_PARAM"),
        ({"attempt_id": "2"}, "INVALID_PARAM"),
        ({"note": "x" * 501}, "INVALID_PARAM"),
        ({"note": "\0"}, "INVALID_PARAM"),
        ([], "BAD_REQUEST"),
    ],
)
async def test_bodies_that_are_none(setting: Setting, body: object, code: str) -> None:
    job_id = await setting.dead()
    status, answer = await setting.post(f"/{job_id}/discard", body)
    assert (status, answer["code"]) == (400, code)
    assert setting.home.store.rows[job_id].state is State.DEAD


@pytest.mark.parametrize("verb", ["requeue", "discard"])
async def test_unknown_letters_cannot_be_decided(setting: Setting, verb: str) -> None:
    for unknown in (str(uuid.uuid4()), "no job id"):
        status, body = await setting.post(f"/{unknown}/{verb}")
        assert (status, body["code"]) == (404, "JOB_NOT_FOUND")


async def test_a_database_that_is_away(setting: Setting) -> None:
    job_id = await setting.dead()
    setting.home.store.break_next("decide", applied=True)
    status, body = await setting.post(f"/{job_id}/requeue", {"attempt_id": 2})
    assert (status, body["code"]) == (503, "DB_ERROR")
    status, told = await setting.post(f"/{job_id}/requeue", {"attempt_id": 2})
    assert (status, told["repeated"]) == (200, True)
