"""Custom runs through real nodes: what programs do, what is taken away under them, and that nothing of them stays."""

from __future__ import annotations

import base64
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.cluster import Deployment, Servers, deployed
from tests.e2e.nodes import BROKEN, ENDLESS, VERDICT_S, Node, bearer, running, until

ECHO = "import sys\nprint('hello', sys.stdin.readline().strip())\nprint('and you', file=sys.stderr)\n"
HUNGRY = "#include <vector>\n#include <cstring>\nint main(){ std::vector<char*> all;" + (
    "for(;;){ char* some = new char[1 << 20]; std::memset(some, 1, 1 << 20); all.push_back(some); } }"
)
CHATTY = "import sys\nfor _ in range(400): sys.stdout.write('x' * 1024)\n"
BINARY = "import sys\nsys.stdout.buffer.write(b'\\xff\\x00\\xfe')\n"
FLOOD = "import sys\nwhile True: sys.stdout.write('x' * 65536)\n"
SLEEPS = "import time\ntime.sleep(5)\nprint('done')\n"
#: long enough to be read, and short enough to be waited for
TTL_S = 20


def post(node: Node, token: str, code: str, language: int | str = "python3", **more: Any) -> httpx.Response:
    return node.client.post("/api/v1/run", json={"language": language, "code": code, **more}, headers=bearer(token))


def sent(node: Node, token: str, code: str, language: int | str = "python3", **more: Any) -> str:
    answer = post(node, token, code, language, **more)
    assert answer.status_code == httpx.codes.ACCEPTED, answer.text
    run_id: str = answer.json()["run_id"]
    return run_id


def look(node: Node, token: str, run_id: str) -> dict[str, Any]:
    answer = node.client.get(f"/api/v1/run/{run_id}", headers=bearer(token))
    assert answer.status_code == httpx.codes.OK, answer.text
    seen: dict[str, Any] = answer.json()
    return seen


def ended(node: Node, token: str, run_id: str) -> dict[str, Any]:
    def final() -> dict[str, Any] | None:
        seen = look(node, token, run_id)
        return seen if seen["state"] == "done" else None

    seen = until(final, within_s=VERDICT_S, what=f"an end of {run_id}; log: {node.tail()}")
    assert seen is not None
    return seen


def ran(node: Node, token: str, code: str, language: int | str = "python3", **more: Any) -> dict[str, Any]:
    return ended(node, token, sent(node, token, code, language, **more))


def waiting(node: Node, token: str, run_id: str, state: str) -> None:
    until(lambda: look(node, token, run_id)["state"] == state, within_s=60, what=f"{run_id} is {state}")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with running(tmp_path_factory.mktemp("runs") / "home", env={"RESULT_TTL_SEC": str(TTL_S)}) as up:
        yield up


@pytest.fixture(scope="module")
def token(node: Node) -> str:
    return node.token()


def test_hello_with_stdin(node: Node, token: str) -> None:
    seen = ran(node, token, ECHO, stdin="wörld\n")
    assert (seen["status"], seen["state"]) == ("Finished", "done")
    data = seen["data"]
    assert (data["stdout"], data["stderr"]) == ("hello wörld\n", "and you\n")
    assert (data["exit_code"], data["exit_signal"], data["truncated_stdout"]) == (0, 0, False)
    assert data["memory_used"] > 0
    assert data["isolation"] in {"namespaces", "full"}


def test_a_loop(node: Node, token: str) -> None:
    seen = ran(node, token, ENDLESS, 1, time_limit=300)
    assert seen["status"] == "Time Limit Exceeded"
    assert seen["data"]["explanation"][0]["rule"] in {"cpu", "wall"}


def test_too_much_memory(node: Node, token: str) -> None:
    seen = ran(node, token, HUNGRY, 1, memory_limit=32_768, time_limit=10_000)
    assert seen["status"] == "Memory Limit Exceeded"
    assert seen["data"]["memory_limit"] == 32_768


def test_what_the_compiler_says(node: Node, token: str) -> None:
    seen = ran(node, token, BROKEN, 1)
    assert seen["status"] == "Compile Error"
    assert "undeclared_name" in seen["data"]["compile"]["output"]


def test_a_crash(node: Node, token: str) -> None:
    seen = ran(node, token, "#include <cstdlib>\nint main(){ std::abort(); }", 1)
    assert (seen["status"], seen["data"]["exit_signal"]) == ("Runtime Error", signal.SIGABRT)


def test_output_that_is_kept_in_part(node: Node, token: str) -> None:
    data = ran(node, token, CHATTY)["data"]
    assert (data["stdout_len"], len(data["stdout"]), data["truncated_stdout"]) == (409_600, 262_144, True)
    assert ran(node, token, FLOOD)["status"] == "Output Limit Exceeded"


def test_output_that_is_no_text(node: Node, token: str) -> None:
    data = ran(node, token, BINARY)["data"]
    assert base64.b64decode(data["stdout_base64"]) == b"\xff\0\xfe"


def test_the_same_program_is_compiled_once(node: Node, token: str) -> None:
    code = '#include <cstdio>\nint main(){ int n; std::scanf("%d", &n); std::printf("%d", n); }'
    assert [ran(node, token, code, 1, stdin=told)["data"]["stdout"] for told in "12"] == ["1", "2"]
    hits = [
        sample.value
        for sample in node.families("worker")["worker_compile_cache_total"].samples
        if sample.labels["result"] == "hit"
    ]
    assert sum(hits) >= 1


def test_a_third_one_waits_its_turn(node: Node, token: str) -> None:
    runs = [sent(node, token, SLEEPS, time_limit=5000) for _ in range(2)]
    refused = post(node, token, ECHO)
    assert (refused.status_code, refused.json()["code"]) == (429, "INFLIGHT_CAP_REACHED")
    assert int(refused.headers["Retry-After"]) >= 1
    assert all(ended(node, token, run_id)["data"]["stdout"] == "done\n" for run_id in runs)


def test_it_is_streamed_to_its_end(node: Node, token: str) -> None:
    run_id = sent(node, token, ECHO, stdin="you")
    with node.client.stream("GET", f"/api/v1/run/{run_id}/events", headers=bearer(token)) as stream:
        text = stream.read().decode()
    assert "event: state\n" in text
    assert text.rstrip().rpartition("event: ")[2].startswith("done\n")
    assert "hello you" in text


def test_submissions_go_on_beside_runs(node: Node, token: str) -> None:
    problem_id = node.problem(token)
    runs = [sent(node, token, SLEEPS, time_limit=5000) for _ in range(2)]
    assert node.judged(token, problem_id, "print(sum(map(int, input().split())))", 3)["status"] == "Accepted"
    assert all(ended(node, token, run_id)["status"] == "Finished" for run_id in runs)


def test_a_result_is_forgotten(node: Node, token: str) -> None:
    run_id = sent(node, token, ECHO)
    ended(node, token, run_id)

    def gone() -> bool:
        return node.client.get(f"/api/v1/run/{run_id}", headers=bearer(token)).status_code == httpx.codes.NOT_FOUND

    until(gone, within_s=TTL_S + 60, what="the result is forgotten")


# ---------------------------------------------------------------------------------------------------------------------
# What is taken away


HASTY = {"JOB_LEASE_SEC": "2", "JOB_HEARTBEAT_SEC": "0.5"}


@dataclass
class Front:
    """A node that takes runs and runs none, and its deployment."""

    node: Node
    deployment: Deployment
    token: str

    def worker(self, home: Path) -> AbstractContextManager[Node]:
        return self.deployment.node(home, "--roles", "worker", env=HASTY, port="worker")

    def stands(self) -> str:
        """State and attempt of the run that is under way."""
        return self.deployment.ask("SELECT state, attempt_id FROM runs WHERE state <> 'done'")

    def until_stands(self, where: str) -> None:
        until(lambda: self.stands() == where, within_s=120, what=f"the run is {where}")


@pytest.fixture(scope="module")
def front(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    deployment = deployed(servers)
    with deployment.node(tmp_path_factory.mktemp("front") / "home", "--roles", "api", env=HASTY) as up:
        yield Front(up, deployment, up.token())


def test_what_kills_two_workers_ends_with_a_word(front: Front, tmp_path: Path) -> None:
    run_id = sent(front.node, front.token, SLEEPS, time_limit=9000)
    for attempt in (1, 2):
        with front.worker(tmp_path / f"worker-{attempt}") as worker:
            front.until_stands(f"processing|{attempt}")
            worker.process.kill()
            worker.process.wait(30)
    seen = ended(front.node, front.token, run_id)
    assert (seen["status"], seen["data"]["error_code"]) == ("System Error", "ATTEMPTS_EXHAUSTED")


def test_a_worker_that_drains_gives_it_back(front: Front, tmp_path: Path) -> None:
    with front.worker(tmp_path / "first") as worker:
        run_id = sent(front.node, front.token, SLEEPS, time_limit=9000)
        waiting(front.node, front.token, run_id, "processing")
        assert worker.stop() == 0
        assert front.stands() == "pending|1"
    with front.worker(tmp_path / "second"):
        seen = ended(front.node, front.token, run_id)
    assert (seen["status"], seen["data"]["attempt_id"]) == ("Finished", 2)


def test_redis_away_takes_nothing_and_loses_nothing(front: Front, servers: Servers, tmp_path: Path) -> None:
    with front.worker(tmp_path / "worker"):
        taken = sent(front.node, front.token, SLEEPS, time_limit=9000)
        waiting(front.node, front.token, taken, "processing")
        servers.redis.kill()
        try:
            refused = post(front.node, front.token, ECHO)
            assert (refused.status_code, refused.json()["code"]) == (503, "QUEUE_ERROR")
            assert int(refused.headers["Retry-After"]) >= 1
            assert ended(front.node, front.token, taken)["status"] == "Finished"
            assert front.stands() == ""
        finally:
            servers.redis.start()
        until(lambda: post(front.node, front.token, ECHO).status_code == 202, within_s=60, what="runs are taken again")


def test_nothing_of_them_is_in_the_history(front: Front) -> None:
    assert front.deployment.ask("SELECT count(*) FROM runs") != "0"
    for table in ("attempts", "submissions", "outbox_events"):
        assert front.deployment.ask(f"SELECT count(*) FROM {table}") == "0"
