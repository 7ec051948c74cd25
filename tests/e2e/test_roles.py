"""Several nodes of one deployment, each with a part of the roles."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from deepoj.observe import Metrics
from tests.e2e.cluster import Deployment, Servers, deployed
from tests.e2e.leftovers import gone
from tests.e2e.nodes import ACCEPTED, Node, family, until

LEASE_S = 4.0
GRACE_S = 1.0
#: a lease is short for the test's sake, and beaten often so that a loaded machine keeps it
SETTINGS = {
    "JOB_LEASE_SEC": f"{LEASE_S:g}",
    "JOB_HEARTBEAT_SEC": "0.4",
    "JOB_RECLAIM_GRACE_SEC": f"{GRACE_S:g}",
    "JOB_RECLAIM_INTERVAL_SEC": "0.5",
}
SLOW = '#include <unistd.h>\n#include <cstdio>\nint main(){sleep(5);int a,b;scanf("%d%d",&a,&b);printf("%d",a+b);}'


@dataclass(frozen=True)
class Split:
    """One node that takes submissions and keeps order, two that judge, by their names in the ledger."""

    deployment: Deployment
    front: Node
    workers: dict[str, Node]


@pytest.fixture(scope="module")
def split(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Split]:
    deployment = deployed(servers)
    place = tmp_path_factory.mktemp("split")
    with contextlib.ExitStack() as stack:

        def start(name: str, roles: str, port: str) -> Node:
            home: Path = place / name
            env = SETTINGS | {"WORKER_ID": name}
            return stack.enter_context(deployment.node(home, "--roles", roles, env=env, port=port))

        front = start("front", "api,scheduler", "api")
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
        within_s=60,
        what="both workers are counted",
    )


def test_another_worker_finishes_what_a_killed_one_has_begun(split: Split, token: str) -> None:
    """Last: it costs a worker."""
    front, deployment = split.front, split.deployment
    job_id = front.submit(token, front.problem(token, time_limit_ms=10_000), SLOW)
    until(lambda: front.status(token, job_id)["status"] == "Judging", within_s=60, what="it is being judged")
    [first] = deployment.ledger(job_id)
    victim = split.workers[first.node]
    below = family(psutil.Process(victim.process.pid))
    victim.process.kill()
    victim.process.wait(30)
    until(lambda: gone(below), within_s=60, what="the launcher and the program follow their node")

    assert front.verdict(token, job_id)["status"] == "Accepted"
    ledger = deployment.ledger(job_id)
    assert [attempt.event for attempt in ledger] == ["claimed", "lost", "claimed", "finalized"]
    [other] = set(split.workers) - {first.node}
    again = ledger[2]
    assert (again.node, ledger[3].node) == (other, other)
    # not before the lease was over, and far sooner than the ordinary lease and grace of 75 s
    assert LEASE_S <= again.at_s - first.at_s < 60
    assert split.workers[other].measured("worker_reclaim_total", "worker") >= 1
