"""The jury sees what a program prints for one test: a node runs it again, and nothing of that counts."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.cluster import Servers, deployed
from tests.e2e.conftest import House
from tests.e2e.nodes import ACCEPTED, SLEEPS, VERDICT_S, WRONG, bearer, family, package, until
from tests.e2e.test_rejudge import asked, audited

CASES = {
    "problem.yaml": "name: Sum\n",
    "data/sample/1.in": "1 0\n",
    "data/sample/1.ans": "1\n",
    "data/secret/2.in": "7 2\n",
    "data/secret/2.ans": "9\n",
}
FLOODS = '#include <cstdio>\nint main(){ std::fputs("oh dear", stderr); for(;;) std::puts("0123456789abcdef"); }'


def rerun(house: House, token: str, job_id: str, test: str) -> dict[str, Any]:
    """Run a test again over the API, and return the rerun when it is done."""
    node = house.node
    path = f"/submissions/{job_id}/reruns"
    number = (
        node.client.post(f"/api/v1{path}", json={"test": test}, headers=bearer(token)).raise_for_status().json()["id"]
    )

    def done() -> dict[str, Any]:
        body = asked(node, token, "GET", f"{path}/{number}")
        return body if body["state"] == "done" else {}

    return until(done, within_s=VERDICT_S, what="the end of the rerun")


def files(found: dict[str, Any]) -> dict[str, str | None]:
    return {one["name"]: one["text"] for one in found["files"]}


def test_a_wrong_output_is_shown_beside_input_and_answer_and_counts_nowhere(house: House) -> None:
    node, token = house.node, house.node.token()
    problem_id = node.problem(token, data=package(CASES))
    job_id = node.submit(token, problem_id, WRONG)
    before = node.verdict(token, job_id)
    assert before["status"] == "Wrong Answer"
    found = rerun(house, token, job_id, "secret/2")
    assert (found["status"], found["judged"]["status"], found["failure"]) == ("Wrong Answer", "Wrong Answer", None)
    assert files(found) == {"input": "7 2\n", "answer": "9\n", "output": "5", "error": ""}
    assert rerun(house, token, job_id, "sample/1")["status"] == "Accepted"
    assert rerun(house, token, job_id, "no/such")["failure"] == "no_test"
    assert node.verdict(token, job_id) == before
    assert audited(house.home)["exceptions"] == []


def test_an_endless_output_is_kept_from_its_beginning(house: House) -> None:
    node, token = house.node, house.node.token()
    problem_id = node.problem(token, data=package(CASES))
    job_id = node.submit(token, problem_id, FLOODS)
    assert node.verdict(token, job_id)["status"] == "Output Limit Exceeded"
    found = rerun(house, token, job_id, "secret/2")
    assert found["status"] == "Output Limit Exceeded"
    (output,) = (one for one in found["files"] if one["name"] == "output")
    assert output["truncated"]
    assert output["size"] > len(output["text"])
    assert output["text"].startswith("0123456789abcdef\n")
    assert files(found)["error"] == "oh dear"


@pytest.mark.full
def test_a_refused_source_shows_the_compiler(house: House) -> None:
    node, token = house.node, house.node.token()
    job_id = node.submit(token, node.problem(token, data=package(CASES)), "int main({")
    assert node.verdict(token, job_id)["status"] == "Compile Error"
    found = rerun(house, token, job_id, "secret/2")
    assert (found["status"], found["files"]) == ("Compile Error", [])
    assert "error" in found["compile_output"]
    assert ACCEPTED not in found["compile_output"]


REFEREE = """
import sys
secret = int(open(sys.argv[1]).read())
for turn in range(3):
    guess = int(sys.stdin.readline())
    print("right" if guess == secret else "no", flush=True)
    if guess == secret:
        sys.exit(42)
open(sys.argv[3] + "/judgemessage.txt", "w").write("three guesses were wrong")
sys.exit(43)
"""
GUESSES = """
#include <cstdio>
int main() {
    char word[9];
    for (int guess = 0; guess < 3; guess++) {
        std::printf("%d\\n", guess);
        std::fflush(stdout);
        std::scanf("%8s", word);
    }
    std::fputs("lost", stderr);
}
"""


@pytest.mark.full
def test_an_interactive_test_shows_what_its_interactor_says(house: House) -> None:
    node, token = house.node, house.node.token()
    cases = {
        "problem.yaml": "name: Guess\nvalidation: custom interactive\n",
        "data/secret/1.in": "7\n",
        "data/secret/1.ans": "",
        "output_validators/referee/referee.py": REFEREE,
    }
    job_id = node.submit(token, node.problem(token, data=package(cases)), GUESSES)
    assert node.verdict(token, job_id)["status"] == "Wrong Answer"
    found = rerun(house, token, job_id, "secret/1")
    assert (found["status"], found["interactive"]) == ("Wrong Answer", True)
    assert found["message"] == "three guesses were wrong"
    assert files(found) == {"input": "7\n", "answer": "", "error": "lost"}


@pytest.mark.full
def test_a_rerun_whose_node_is_killed_is_shown_by_another(servers: Servers, tmp_path: Path) -> None:
    deployment = deployed(servers)
    with deployment.node(tmp_path / "front", "--roles", "api,dispatcher,scheduler") as front:
        token = front.token()
        with deployment.node(tmp_path / "first", "--roles", "worker", port="worker") as first:
            problem_id = front.problem(token, data=package(CASES), time_limit_ms=10_000)
            job_id = front.submit(token, problem_id, ACCEPTED)
            assert front.verdict(token, job_id)["status"] == "Accepted"
            deployment.becomes(job_id, SLEEPS)
            path = f"/api/v1/submissions/{job_id}/reruns"
            asked_for = front.client.post(path, json={"test": "secret/2"}, headers=bearer(token)).raise_for_status()
            number = asked_for.json()["id"]

            def state() -> str:
                return str(front.client.get(f"{path}/{number}", headers=bearer(token)).json()["state"])

            until(lambda: state() == "running", within_s=VERDICT_S, what="the first attempt")
            for process in family(psutil.Process(first.process.pid)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        assert state() == "running"
        deployment.becomes(job_id, ACCEPTED)
        deployment.ask("UPDATE reruns SET due_at = now()")
        with deployment.node(tmp_path / "second", "--roles", "worker", port="worker"):
            until(lambda: state() == "done", within_s=VERDICT_S, what="the second attempt")
        found = front.client.get(f"{path}/{number}", headers=bearer(token)).json()
        assert files(found)["output"] == "9"
        assert deployment.ask("SELECT attempt_id, attempts FROM reruns").strip() == "2|2"
