"""Several nodes of one deployment, each with a part of the roles."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from deepoj.observe import Metrics
from tests.e2e.cluster import Deployment, Servers, deployed
from tests.e2e.leftovers import gone
from tests.e2e.nodes import ACCEPTED, SLEEPS, Node, bearer, family, package, until
from tests.unit.test_observe import contract_events

SETTINGS = {"JOB_RECLAIM_INTERVAL_SEC": "0.5"}


@dataclass(frozen=True)
class Split:
    """One node without worker, and two workers by their names in the ledger."""

    deployment: Deployment
    front: Node
    workers: dict[str, Node]


@pytest.fixture(scope="module")
def split(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Split]:
    deployment = deployed(servers)
    place = tmp_path_factory.mktemp("split")
    with contextlib.ExitStack() as stack:

        def start(name: str, roles: str, port: str, **more: str) -> Node:
            home: Path = place / name
            env = SETTINGS | {"WORKER_ID": name} | more
            return stack.enter_context(deployment.node(home, "--roles", roles, env=env, port=port))

        front = start("front", "api,scheduler", "api", DEEPOJ_PATH_COMPILER_BIN="/usr/bin/no-such-compiler")
        workers = {name: start(name, "worker", "worker") for name in ("worker-a", "worker-b")}
        yield Split(deployment, front, workers)


@pytest.fixture(scope="module")
def token(split: Split) -> str:
    return split.front.token()


def test_a_verdict_comes_through_two_nodes(split: Split, token: str) -> None:
    seen = split.front.judged(token, split.front.problem(token), ACCEPTED)
    assert seen["status"] == "Accepted"
    claimed, finalized = split.deployment.ledger(seen["job_id"])
    assert (claimed.event, finalized.event) == ("claimed", "finalized")
    assert claimed.node in split.workers


def brought(split: Split, token: str, name: str, source: str) -> httpx.Response:
    """A package with a checker is uploaded to a node without worker and C++ compiler."""
    files = {"1.in": "1 2\n", "1.out": "3\n", "deepoj.yaml": f"title: x\nchecker: {{files: [{name}]}}", name: source}
    upload = {"file": ("p.zip", package(files))}
    return split.front.client.post("/api/v1/problems", files=upload, headers=bearer(token))


def test_a_node_that_judges_nothing_compiles_what_it_can(split: Split, token: str) -> None:
    answer = brought(split, token, "check.py", "import sys\nsys.exit(0\n")
    told = answer.json()
    assert (answer.status_code, told["code"], told["details"]["file"]) == (400, "INVALID_PACKAGE", "check.py")
    assert "does not compile" in told["error"]
    assert "unchecked" not in brought(split, token, "check.py", "import sys\nsys.exit(0)\n").json()


@pytest.mark.parametrize(
    ("source", "broken"),
    [("int main() { return x; }\n", "The checker 'check.cpp' does not compile."), ("int main() {}\n", None)],
)
def test_checker_that_the_front_cannot_compile_is_vetted_by_a_worker(
    split: Split, token: str, source: str, broken: str | None
) -> None:
    made = brought(split, token, "check.cpp", source).json()
    assert made["unchecked"] == "The node that took the package has no C++20 (GCC), in which its checker is written."

    def looked() -> dict[str, Any] | None:
        seen = split.front.client.get(f"/api/v1/problems/{made['id']}").json()
        return seen if seen["unchecked"] is None else None

    seen = until(looked, within_s=120, what="a look at the checker")
    assert seen is not None
    assert seen["broken"] == broken


def test_one_trace_is_followed_from_the_request_on_one_node_to_the_ack_on_another(split: Split, token: str) -> None:
    trace_id, parent_id = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    problem_id = split.front.problem(token)
    answer = split.front.client.post(
        "/api/v1/submit",
        json={"problem_id": problem_id, "language": "cpp17", "code": ACCEPTED + "// traced"},
        headers=bearer(token) | {"traceparent": f"00-{trace_id}-{parent_id}-01"},
    )
    version, answered, span_id, flags = answer.headers["traceparent"].split("-")
    assert (version, answered, flags) == ("00", trace_id, "01")
    assert span_id != parent_id
    job_id = answer.json()["job_id"]
    assert split.front.verdict(token, job_id)["data"]["trace_id"] == trace_id
    claimed, _ = split.deployment.ledger(job_id)

    def walk(node: Node) -> list[dict[str, Any]]:
        whole = [line for line in node.log.read_text().splitlines(keepends=True) if line.endswith("\n")]
        return [line for line in map(json.loads, whole) if line.get("trace_id") == trace_id]

    front, worker = split.front, split.workers[claimed.node]
    judged = ["claim", "start_exec", "finish_exec", "db_finalize_ok", "xack_ok"]
    until(lambda: "xack_ok" in [line["event"] for line in walk(worker)], within_s=120, what="the ack is told")
    assert {line["event"] for line in walk(front)} == {"submit", "enqueue"}
    assert [line["event"] for line in walk(worker)] == judged
    assert {line["job_id"] for line in walk(front) + walk(worker)} == {job_id}
    for line in walk(front) + walk(worker):
        assert contract_events().get(line["event"], set()) <= set(line), line
    told = {line["event"]: line for line in walk(front) + walk(worker)}
    assert told["submit"]["span_id"] == span_id
    assert told["submit"]["request_id"] == answer.headers["X-Request-ID"]
    for event in judged:
        assert (told[event]["consumer"], told[event]["attempt_id"]) == (claimed.node, 1)
        assert told[event]["group"].endswith(":workers")
        assert told[event]["stream_entry_id"] == told["enqueue"]["stream_entry_id"]


def test_each_node_tells_the_whole_registry_at_its_own_roles_ports(split: Split) -> None:
    whole = {metric.name for metric in Metrics().registry.collect()}

    def told(node: Node, port: str) -> set[str]:
        return {name.removesuffix("_total") for name in node.families(port)}

    nodes = {"front": (split.front, {"api", "scheduler"})}
    nodes |= {name: (worker, {"worker"}) for name, worker in split.workers.items()}
    for name, (node, ports) in nodes.items():
        for port in ("api", "scheduler", "worker"):
            if port in ports:
                assert told(node, port) == whole, (name, port)
            else:
                assert node.metrics(port) is None, (name, port)


def test_the_scheduler_counts_the_workers(split: Split) -> None:
    until(
        lambda: split.front.measured("scheduler_active_workers", "scheduler") == len(split.workers),
        within_s=120,
        what="both workers are counted",
    )


def test_every_node_is_listed_and_only_workers_take_work(split: Split, token: str) -> None:
    def listed() -> dict[str, dict[str, Any]]:
        answer = split.front.client.get("/api/v1/admin/nodes", headers=bearer(token))
        return {node["node"]: node for node in answer.json()["nodes"]}

    def is_complete() -> bool:
        nodes = listed()
        return len(nodes) == 3 and all(nodes[name]["takes_work"] for name in split.workers)

    until(is_complete, within_s=120, what="both workers take work")
    nodes = listed()
    workers = [nodes.pop(name) for name in split.workers]
    assert [(one["roles"], one["canaries"]["state"], one["live"]) for one in workers] == [
        (["consumer", "reclaim"], "up", True)
    ] * 2
    [front] = nodes.values()
    assert (front["takes_work"], front["live"], front["languages"], front["canaries"]) == (False, True, {}, None)
    assert front["roles"] == ["api", "dispatcher", "gc", "repair"]
    assert front["node"].endswith("-api")


def test_another_worker_finishes_what_a_killed_one_has_begun(split: Split, token: str) -> None:
    """The last test: it kills a worker. The drill worker-kill checks the time of a recovery."""
    front, deployment = split.front, split.deployment
    job_id = front.submit(token, front.problem(token, time_limit_ms=10_000), SLEEPS)
    until(lambda: front.status(token, job_id)["status"] == "Judging", within_s=120, what="it is being judged")
    [first] = deployment.ledger(job_id)
    victim = split.workers[first.node]
    below = family(psutil.Process(victim.process.pid))
    victim.process.kill()
    victim.process.wait(30)
    until(lambda: gone(below), within_s=120, what="the launcher and the program follow their node")
    deployment.becomes(job_id, ACCEPTED)
    assert deployment.events(job_id) == ["claimed"]  # no node takes it as long as the lease lasts
    deployment.leases_run_out()

    assert front.verdict(token, job_id)["status"] == "Accepted"
    ledger = deployment.ledger(job_id)
    assert [attempt.event for attempt in ledger] == ["claimed", "lost", "claimed", "finalized"]
    [other] = set(split.workers) - {first.node}
    again = ledger[2]
    assert (again.node, ledger[3].node) == (other, other)
    assert split.workers[other].measured("worker_reclaim_total", "worker") >= 1
