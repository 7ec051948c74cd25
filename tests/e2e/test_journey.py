"""The main journey through a real node: what the runbook's chapter 3 says, and the verdicts people expect."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.nodes import ACCEPTED, BROKEN, ENDLESS, WRONG, Node, package, until

CHAPTER = Path(__file__).with_name("runbook_chapter3.md")


def commands(*sections: str) -> str:
    """The shell commands of the runbook's sections, as they stand there."""
    text = CHAPTER.read_text()
    found = []
    for section in sections:
        body = text[text.index(f"### {section} ") :].split("\n### ")[0]
        found.append(re.findall(r"```bash\n(.*?)```", body, flags=re.DOTALL)[0])
    return "\n".join(found)


@pytest.fixture(scope="module")
def token(node: Node) -> str:
    return node.token()


@pytest.fixture(scope="module")
def problem_id(node: Node, token: str) -> int:
    return node.problem(token)


def test_the_runbooks_chapter_3_gives_accepted(node: Node, tmp_path: Path) -> None:
    script = f"set -euo pipefail\nexport API_BASE={node.base}\n" + commands("3.2", "3.3", "3.4", "3.5")
    done = subprocess.run(
        ["/bin/bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "TOKEN acquired: " in done.stdout
    assert re.search(r"^\[\d+\] status=Accepted$", done.stdout, flags=re.MULTILINE), done.stdout
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    assert answer["status"] == "Accepted"
    assert [test["status"] for test in answer["data"]["tests"]] == ["Accepted"]


def test_accepted_shows_each_tests_time_and_memory(node: Node, token: str) -> None:
    three = package({f"{n}.in": f"{n} 1\n" for n in (1, 2, 10)} | {f"{n}.ans": f"{n + 1}\n" for n in (1, 2, 10)})
    seen = node.judged(token, node.problem(token, data=three), ACCEPTED)
    tests = seen["data"]["tests"]
    assert [test["name"] for test in tests] == ["1", "2", "10"]
    assert all(test["memory_kb"] > 0 and test["cpu_ms"] >= 0 and test["wall_ms"] > 0 for test in tests)
    assert seen["data"]["memory_used"] == max(test["memory_kb"] for test in tests)
    assert seen["data"]["isolation"] in {"namespaces", "full"}


def test_a_wrong_program(node: Node, token: str, problem_id: int) -> None:
    assert node.judged(token, problem_id, WRONG)["status"] == "Wrong Answer"


def test_a_broken_program_gets_the_compilers_words(node: Node, token: str, problem_id: int) -> None:
    seen = node.judged(token, problem_id, BROKEN)
    assert seen["status"] == "Compile Error"
    assert "undeclared_name" in seen["data"]["compile"]["output"]
    assert seen["data"]["tests"] == []


def test_an_endless_loop(node: Node, token: str, problem_id: int) -> None:
    seen = node.judged(token, problem_id, ENDLESS)
    assert seen["status"] == "Time Limit Exceeded"
    assert seen["data"]["time_used"] >= 1000


def test_a_crash(node: Node, token: str, problem_id: int) -> None:
    seen = node.judged(token, problem_id, "#include <cstdlib>\nint main(){ std::abort(); }")
    assert seen["status"] == "Runtime Error"


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("c17", '#include <stdio.h>\nint main(void){int a,b;scanf("%d%d",&a,&b);printf("%d\\n",a+b);return 0;}'),
        ("cpp20", ACCEPTED),
        (3, "print(sum(map(int, input().split())))"),
        ("python3", "print(sum(map(int, input().split())))"),
    ],
)
def test_every_language_by_number_or_key(
    node: Node, token: str, problem_id: int, language: int | str, code: str
) -> None:
    assert node.judged(token, problem_id, code, language)["status"] == "Accepted"


def test_a_second_look_is_the_same(node: Node, token: str, problem_id: int) -> None:
    job_id = node.submit(token, problem_id, ACCEPTED)
    assert node.verdict(token, job_id) == node.status(token, job_id)


def test_metrics_moved_and_hold_no_job_id(node: Node, token: str, problem_id: int) -> None:
    job_id = node.submit(token, problem_id, ACCEPTED)
    node.verdict(token, job_id)
    text = node.client.get("/metrics").text
    assert job_id not in text
    for name in ("worker_claim_total", "worker_finalize_total", "judge_verdict_total", "api_outbox_dispatch_total"):
        values = [float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(f"{name}{{")]
        assert sum(values) >= 1, name


def test_one_trace_from_the_request_to_the_ack(node: Node, token: str, problem_id: int) -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    answer = node.client.post(
        "/api/v1/submit",
        json={"problem_id": problem_id, "language": "cpp17", "code": ACCEPTED + "// traced"},
        headers={"Authorization": f"Bearer {token}", "traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"},
    )
    node.verdict(token, answer.json()["job_id"])
    walk = {"submit", "enqueue", "claim", "start_exec", "finish_exec", "db_finalize_ok", "xack_ok"}

    def seen() -> set[str]:
        # The log is being written: its last line may be half there.
        whole = [line for line in node.log.read_text().splitlines(keepends=True) if line.endswith("\n")]
        return {line["event"] for line in map(json.loads, whole) if line.get("trace_id") == trace_id}

    until(lambda: walk <= seen(), within_s=30, what=f"the whole walk under one trace id: {seen()}")
