"""After a test was changed, jobs are rejudged by the new version; unchanged tests are taken over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import House
from tests.e2e.nodes import ACCEPTED, VERDICT_S, Node, bearer, package, until
from tests.e2e.typed import typed

CASES = {"1.in": "1 2\n", "1.out": "3\n", "2.in": "2 2\n", "2.out": "5\n", "3.in": "3 3\n", "3.out": "6\n"}
MENDED = CASES | {"2.out": "4\n"}


@pytest.fixture
def place(house: House) -> tuple[Node, Path]:
    return house.node, house.home


def asked(node: Node, token: str, method: str, path: str, **more: Any) -> dict[str, Any]:
    answer = node.client.request(method, f"/api/v1{path}", headers=bearer(token), **more)
    assert answer.is_success, answer.text
    found: dict[str, Any] = answer.json()
    return found


def replaced(node: Node, token: str, problem_id: int, cases: dict[str, str]) -> dict[str, Any]:
    files = {"file": ("problem.zip", package(cases), "application/zip")}
    return asked(node, token, "PUT", f"/problems/{problem_id}", files=files)


def audited(home: Path) -> dict[str, Any]:
    done = typed("--home", str(home), "audit", "--json", env={})
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_mended_test_is_run_and_the_others_are_taken_over(place: tuple[Node, Path]) -> None:
    node, home = place
    token = node.token()
    problem_id = node.problem(token, data=package(CASES))
    job_id = node.submit(token, problem_id, ACCEPTED)
    first = node.verdict(token, job_id)
    assert (first["status"], first["data"]["problem_version"]) == ("Wrong Answer", "1")

    assert replaced(node, token, problem_id, MENDED)["version"] == 2
    ran = node.measured("judge_exec_total", "worker")
    opened = asked(node, token, "POST", f"/submissions/{job_id}/rejudge")
    assert opened == {"job_id": job_id, "judging": 2, "repeated": False}
    second = node.verdict(token, job_id)
    assert (second["status"], second["data"]["problem_version"]) == ("Accepted", "2")
    assert [(test["name"], test["status"], test["reused"]) for test in second["data"]["tests"]] == [
        ("1", "Accepted", True),
        ("2", "Accepted", False),
        ("3", "Accepted", True),
    ]
    assert [test["reused_attempt"] for test in second["data"]["tests"]] == [1, None, 1]
    # one test, the compiler unless what it made was kept, and a repetition where the host kept it waiting
    assert 1 <= node.measured("judge_exec_total", "worker") - ran < 4, "fewer than a whole judging"

    told = asked(node, token, "GET", f"/submissions/{job_id}")
    assert [(one["judging"], one["status"], one["data"]["problem_version"]) for one in told["judgings"]] == [
        (1, "Wrong Answer", "1"),
        (2, "Accepted", "2"),
    ]
    assert audited(home)["exceptions"] == []

    # and in full nothing is
    asked(node, token, "POST", f"/submissions/{job_id}/rejudge", params={"full": "true", "judging": 2})
    third = node.verdict(token, job_id)
    assert [test["reused"] for test in third["data"]["tests"]] == [False] * 3
    assert audited(home)["exceptions"] == []


def test_rejudge_of_a_whole_problem(place: tuple[Node, Path]) -> None:
    node, home = place
    token = node.token()
    problem_id = node.problem(token, data=package(CASES))
    jobs = [node.submit(token, problem_id, f"{ACCEPTED}// {number}") for number in range(5)]
    assert [node.verdict(token, job_id)["status"] for job_id in jobs] == ["Wrong Answer"] * 5
    replaced(node, token, problem_id, MENDED)
    ordered = asked(node, token, "POST", f"/problems/{problem_id}/rejudge")
    assert (ordered["submissions"], ordered["problem_version"]) == (5, 2)

    def finished() -> bool:
        return bool(asked(node, token, "GET", f"/problems/{problem_id}/rejudge")["finished"])

    until(finished, within_s=VERDICT_S, what=f"the order is carried out; log: {node.tail()}")
    assert [node.verdict(token, job_id)["status"] for job_id in jobs] == ["Accepted"] * 5
    last = asked(node, token, "GET", f"/problems/{problem_id}/rejudge")
    assert (last["opened"], last["passed"]) == (5, 0)
    assert audited(home)["exceptions"] == []


def test_a_problem_goes_with_its_submissions(place: tuple[Node, Path]) -> None:
    node, home = place
    token = node.token()
    problem_id = node.problem(token)
    job_id = node.submit(token, problem_id, ACCEPTED)
    node.verdict(token, job_id)
    refused = node.client.delete(f"/api/v1/problems/{problem_id}", headers=bearer(token))
    assert refused.status_code == httpx.codes.CONFLICT
    asked(node, token, "DELETE", f"/problems/{problem_id}", params={"force": "true"})
    gone = node.client.get(f"/api/v1/status/{job_id}", headers=bearer(token))
    assert gone.status_code == httpx.codes.NOT_FOUND
    assert audited(home)["exceptions"] == []


@pytest.mark.full
def test_preview_is_judged_by_the_node_and_changes_verdicts_when_applied(place: tuple[Node, Path]) -> None:
    node, home = place
    token = node.token()
    problem_id = node.problem(token, data=package(CASES))
    jobs = [node.submit(token, problem_id, f"{ACCEPTED}// {number}") for number in range(3)]
    jobs.append(node.submit(token, problem_id, "int main(){}"))
    assert [node.verdict(token, job_id)["status"] for job_id in jobs] == ["Wrong Answer"] * 4
    replaced(node, token, problem_id, MENDED)
    path = f"/problems/{problem_id}/rejudge-previews"
    preview = asked(node, token, "POST", path)

    def ready() -> dict[str, Any]:
        body = asked(node, token, "GET", f"{path}/{preview['id']}")
        return body if body["state"] == "ready" else {}

    body = until(ready, within_s=VERDICT_S, what=f"all are judged; log: {node.tail()}")
    assert {(one["before"], one["after"], one["count"]) for one in body["verdicts"]} == {
        ("Wrong Answer", "Accepted", 3), ("Wrong Answer", "Wrong Answer", 1)
    }  # fmt: skip
    assert {one["job_id"] for one in body["changes"]} == set(jobs[:3])
    assert [node.verdict(token, job_id)["status"] for job_id in jobs] == ["Wrong Answer"] * 4
    applied = asked(node, token, "POST", f"{path}/{preview['id']}/apply")
    assert (applied["applied"], applied["left_out"]) == (4, 0)
    assert [node.verdict(token, job_id)["status"] for job_id in jobs] == ["Accepted"] * 3 + ["Wrong Answer"]
    told = node.verdict(token, jobs[0])
    assert [(test["name"], test["reused"]) for test in told["data"]["tests"]] == [
        ("1", True), ("2", False), ("3", True)
    ]  # fmt: skip
    assert audited(home)["exceptions"] == []
