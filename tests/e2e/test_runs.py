"""Custom runs through real nodes: outcomes of programs, crashes of nodes and servers, and clean-up."""

from __future__ import annotations

import base64
import contextlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import host
from tests.e2e.cluster import Deployment, Servers, deployed
from tests.e2e.nodes import BROKEN, ENDLESS, VERDICT_S, Node, bearer, until

ECHO = "import sys\nprint('hello', sys.stdin.readline().strip())\nprint('and you', file=sys.stderr)\n"
HUNGRY = "#include <vector>\n#include <cstring>\nint main(){ std::vector<char*> all;" + (
    "for(;;){ char* some = new char[1 << 20]; std::memset(some, 1, 1 << 20); all.push_back(some); } }"
)
CHATTY = "import sys\nfor _ in range(400): sys.stdout.write('x' * 1024)\n"
BINARY = "import sys\nsys.stdout.buffer.write(b'\\xff\\x00\\xfe')\n"
FLOOD = "import sys\nwhile True: sys.stdout.write('x' * 65536)\n"
#: sleeps for as many seconds as its input says
SLEEPS = "import time\ntime.sleep(float(input()))\nprint('done')\n"


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


@pytest.fixture(scope="module")
def deployment(servers: Servers) -> Deployment:
    return deployed(servers)


@pytest.fixture(scope="module")
def node(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with deployment.node(tmp_path_factory.mktemp("runs") / "home", env={"RUN_KEPT_MAX_BYTES": str(KEPT)}) as up:
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
    assert data["isolation"] in {host.level(), "full"}


def test_a_loop(node: Node, token: str) -> None:
    seen = ran(node, token, ENDLESS, 1, time_limit=300)
    assert seen["status"] == "Time Limit Exceeded"
    assert seen["data"]["explanation"][0]["rule"] in {"cpu", "wall"}


def test_too_much_memory(node: Node, token: str) -> None:
    seen = ran(node, token, HUNGRY, 1, memory_limit=32_768, time_limit=10_000)
    assert seen["status"] == "Memory Limit Exceeded"
    assert seen["data"]["memory_limit"] == 32_768


def test_compile_error_shows_the_compilers_output(node: Node, token: str) -> None:
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
        if sample.labels["result"] in ("hit", "joined")  # the first may still be on its way into the cache
    ]
    assert sum(hits) >= 1


def test_events_of_a_run_are_streamed_to_its_end(node: Node, token: str) -> None:
    run_id = sent(node, token, ECHO, stdin="you")
    with node.client.stream("GET", f"/api/v1/run/{run_id}/events", headers=bearer(token)) as stream:
        text = stream.read().decode()
    assert "event: state\n" in text
    assert text.rstrip().rpartition("event: ")[2].startswith("done\n")
    assert "hello you" in text


def test_submissions_go_on_beside_runs(node: Node, token: str) -> None:
    problem_id = node.problem(token)
    runs = [sent(node, token, SLEEPS, time_limit=5000, stdin="3") for _ in range(2)]
    assert node.judged(token, problem_id, "print(sum(map(int, input().split())))", 3)["status"] == "Accepted"
    assert all(ended(node, token, run_id)["status"] == "Finished" for run_id in runs)


def test_a_result_is_forgotten(node: Node, deployment: Deployment, token: str) -> None:
    run_id = sent(node, token, ECHO)
    ended(node, token, run_id)
    row = f"run_id = '{run_id.removeprefix('run-')}'"
    deployment.ask(f"UPDATE runs SET finished_at = now() - interval '1 year' WHERE {row}")
    assert node.client.get(f"/api/v1/run/{run_id}", headers=bearer(token)).status_code == httpx.codes.NOT_FOUND
    until(lambda: deployment.ask(f"SELECT 1 FROM runs WHERE {row}") == "", within_s=120, what="the row is gone")


#: bytes of the results of a user that are kept
KEPT = 1_200_000
#: bytes that are no text, as many as each output keeps
NOISY = "import sys\nfor s in sys.stdout, sys.stderr: s.buffer.write(b'\\xff\\0' * 300_000)\n"


def test_results_of_a_user_stay_within_his_bytes(node: Node, deployment: Deployment) -> None:
    token = node.token("noisy", "a password")
    runs = [ran(node, token, NOISY + "#" * n)["run_id"] for n in range(4)]
    answers = [node.client.get(f"/api/v1/run/{run_id}", headers=bearer(token)) for run_id in runs]
    assert [answer.status_code for answer in answers] == [404, 404, 200, 200]
    assert len(answers[-1].content) < 4 / 3 * 2 * 262_144 + 10_000
    data = answers[-1].json()["data"]
    assert (data["stdout"], data["stderr"]) == (None, None)
    assert base64.b64decode(data["stderr_base64"]) == b"\xff\0" * 131_072
    size = deployment.ask(
        "SELECT sum(octet_length(stdout) + octet_length(stderr)) FROM runs"
        " WHERE user_id = (SELECT id FROM users WHERE username = 'noisy')"
    )
    assert int(size) <= KEPT


@pytest.mark.full
def test_where_runs_are_disabled_none_is_taken_and_none_is_run(
    servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> None:
    deployment, place = deployed(servers), tmp_path_factory.mktemp("disabled")
    off = {"RUN_ENABLED": "false"}
    with (
        deployment.node(place / "open", "--roles", "api", env={"RUN_MAX_WAIT_SEC": "5"}) as taker,
        deployment.node(place / "closed", env=off) as up,
    ):
        token = up.token()
        refused = post(up, token, ECHO)
        assert (refused.status_code, refused.json()["code"]) == (403, "RUN_DISABLED")
        judged = up.judged(token, up.problem(token), "print(sum(map(int, input().split())))", 3)
        assert judged["status"] == "Accepted"
        seen = ran(taker, token, ECHO)
        assert (seen["status"], seen["data"]["error_code"]) == ("System Error", "RUN_EXPIRED")


# ---------------------------------------------------------------------------------------------------------------------
# Crashes and outages


#: as long as a start of a worker takes on a loaded machine
PATIENT = {"RUN_MAX_WAIT_SEC": "3600"}
#: sleep of a run that must not end by itself, in seconds; its wall limit is 27
LONG = "25"


@dataclass
class Front:
    """A node without worker, its deployment, and at most one worker."""

    node: Node
    deployment: Deployment
    token: str
    place: Path
    _ends: contextlib.ExitStack
    _workers: list[Node] = field(default_factory=list)

    def worker(self) -> Node:
        """Return the running worker, or start one."""
        if not self._workers or self._workers[-1].process.poll() is not None:
            home = self.place / f"worker-{len(self._workers)}"
            up = self.deployment.node(home, "--roles", "worker", env=PATIENT, port="worker")
            self._workers.append(self._ends.enter_context(up))
        return self._workers[-1]

    def stop_worker(self) -> None:
        if self._workers:
            self._workers[-1].stop()

    def stands(self) -> str:
        """Return state and attempt of the current run."""
        return self.deployment.ask("SELECT state, attempt_id FROM runs WHERE state <> 'done'")

    def until_stands(self, where: str) -> None:
        until(lambda: self.stands() == where, within_s=120, what=f"the run is {where}")

    def lease_runs_out(self) -> None:
        """End the lease of the current run in the database: leases are long, so that a slow machine loses none."""
        self.deployment.ask("UPDATE runs SET due_at = now() WHERE state = 'processing'")


@pytest.fixture(scope="module")
def front(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    deployment = deployed(servers)
    place = tmp_path_factory.mktemp("front")
    with (
        deployment.node(place / "home", "--roles", "api", env=PATIENT) as up,
        contextlib.ExitStack() as ends,
    ):
        yield Front(up, deployment, up.token(), place, ends)


def test_a_third_one_waits_its_turn(front: Front) -> None:
    front.stop_worker()
    runs = [sent(front.node, front.token, ECHO, stdin="you") for _ in range(2)]
    refused = post(front.node, front.token, ECHO)
    assert (refused.status_code, refused.json()["code"]) == (429, "INFLIGHT_CAP_REACHED")
    assert int(refused.headers["Retry-After"]) >= 1
    front.worker()
    assert [ended(front.node, front.token, run_id)["data"]["stdout"] for run_id in runs] == ["hello you\n"] * 2
    assert ran(front.node, front.token, ECHO, stdin="third")["data"]["stdout"] == "hello third\n"


def test_redis_away_takes_nothing_and_loses_nothing(front: Front, servers: Servers) -> None:
    front.worker()
    taken = sent(front.node, front.token, SLEEPS, time_limit=9000, stdin="3")
    until(lambda: look(front.node, front.token, taken)["state"] != "pending", within_s=120, what="it is in hand")
    servers.redis.kill()
    try:
        refused = post(front.node, front.token, ECHO)
        assert (refused.status_code, refused.json()["code"]) == (503, "QUEUE_ERROR")
        assert int(refused.headers["Retry-After"]) >= 1
        assert ended(front.node, front.token, taken)["status"] == "Finished"
        assert front.stands() == ""
    finally:
        servers.redis.start()
    again = until(lambda: taken_again(front), within_s=120, what="runs are taken again")
    assert ended(front.node, front.token, again)["status"] == "Finished"


def taken_again(front: Front) -> str:
    """Return the id of a claimed run; empty if there is none."""
    answer = post(front.node, front.token, ECHO)
    return str(answer.json()["run_id"]) if answer.status_code == httpx.codes.ACCEPTED else ""


def test_a_worker_that_drains_gives_it_back(front: Front) -> None:
    worker = front.worker()
    run_id = sent(front.node, front.token, SLEEPS, time_limit=9000, stdin=LONG)
    front.until_stands("processing|1")
    assert worker.stop() == 0
    assert front.stands() == "pending|1"
    front.deployment.ask("UPDATE runs SET stdin = '0' WHERE state = 'pending'")
    front.worker()
    seen = ended(front.node, front.token, run_id)
    assert (seen["status"], seen["data"]["attempt_id"]) == ("Finished", 2)


def test_run_that_kills_two_workers_fails_with_a_reason(front: Front) -> None:
    front.worker()
    run_id = sent(front.node, front.token, SLEEPS, time_limit=9000, stdin=LONG)
    for attempt in (1, 2):
        worker = front.worker()
        front.until_stands(f"processing|{attempt}")
        worker.process.kill()
        worker.process.wait(30)
        front.lease_runs_out()
    seen = ended(front.node, front.token, run_id)
    assert (seen["status"], seen["data"]["error_code"]) == ("System Error", "ATTEMPTS_EXHAUSTED")


def test_nothing_of_them_is_in_the_history(front: Front) -> None:
    assert front.deployment.ask("SELECT count(*) FROM runs") != "0"
    for table in ("attempts", "submissions", "outbox_events"):
        assert front.deployment.ask(f"SELECT count(*) FROM {table}") == "0"
