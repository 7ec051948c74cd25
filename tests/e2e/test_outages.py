"""Servers that go away under a running node and come back: nothing is lost, and the node is not restarted."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from tests.e2e.cluster import Deployment, Servers, deployed
from tests.e2e.nodes import ACCEPTED, SLEEPS, Node, children_named, running, until


@dataclass
class Cluster:
    """A node on servers that a test can take away."""

    node: Node
    deployment: Deployment

    @property
    def servers(self) -> Servers:
        return self.deployment.servers


@pytest.fixture(scope="module")
def cluster(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    deployment = deployed(servers)
    with deployment.node(tmp_path_factory.mktemp("outages") / "home") as node:
        yield Cluster(node, deployment)


@pytest.fixture(scope="module")
def token(cluster: Cluster) -> str:
    return cluster.node.token()


@pytest.fixture(scope="module")
def problem_id(cluster: Cluster, token: str) -> int:
    return cluster.node.problem(token)


def unready(node: Node) -> bool:
    return node.client.get("/api/v1/ready").status_code == httpx.codes.SERVICE_UNAVAILABLE


def test_redis_away_while_submitting(cluster: Cluster, token: str, problem_id: int) -> None:
    cluster.servers.redis.kill()
    try:
        job_id = cluster.node.submit(token, problem_id, ACCEPTED)
        until(lambda: unready(cluster.node), within_s=120, what="ready says that Redis is away")
        assert cluster.node.status(token, job_id)["status"] == "Queuing"
        # The outbox keeps it, says why, and asks again.
        until(
            lambda: cluster.deployment.ask(
                f"SELECT count(*) FROM outbox_events WHERE job_id = '{job_id}' AND status = 'pending'"
                " AND attempts > 0 AND last_error IS NOT NULL"
            ) == "1",
            within_s=120,
            what="the outbox row says why",
        )  # fmt: skip
    finally:
        cluster.servers.redis.start()
    assert cluster.node.verdict(token, job_id)["status"] == "Accepted"
    assert cluster.deployment.events(job_id) == ["claimed", "finalized"]
    until(cluster.node.ready, within_s=120, what="ready again")


def test_postgres_away_answers_503_and_comes_back(cluster: Cluster, token: str, problem_id: int) -> None:
    done = cluster.node.judged(token, problem_id, ACCEPTED)
    cluster.servers.postgres.kill()
    try:
        body = {"problem_id": problem_id, "language": 1, "code": ACCEPTED}
        refused = cluster.node.client.post("/api/v1/submit", json=body, headers={"Authorization": f"Bearer {token}"})
        assert refused.status_code == httpx.codes.SERVICE_UNAVAILABLE
        assert refused.json()["code"] == "DB_ERROR"
        assert int(refused.headers["Retry-After"]) > 0
        until(lambda: unready(cluster.node), within_s=120, what="ready says that the database is away")
    finally:
        cluster.servers.postgres.start()
    # The server answers: from the very first request on, nothing may stumble over the old connections.
    assert cluster.node.status(token, done["job_id"]) == done
    for _ in range(10):
        assert cluster.node.status(token, done["job_id"]) == done
    assert cluster.node.judged(token, problem_id, ACCEPTED)["status"] == "Accepted"
    until(cluster.node.ready, within_s=120, what="ready again")
    assert cluster.node.process.poll() is None


def test_postgres_away_while_judging(cluster: Cluster, token: str) -> None:
    """The verdict is found while the database is away: it is written once it is back, not judged again."""
    slow = '#include <unistd.h>\n#include <cstdio>\nint main(){sleep(5);int a,b;scanf("%d%d",&a,&b);printf("%d",a+b);}'
    job_id = cluster.node.submit(token, cluster.node.problem(token, time_limit_ms=10_000), slow)
    until(lambda: cluster.node.status(token, job_id)["status"] == "Judging", within_s=120, what="it is being judged")
    errors = "worker_finalize_errors_total"
    before = cluster.node.measured(errors, "worker")
    cluster.servers.postgres.kill()
    try:
        until(
            lambda: cluster.node.measured(errors, "worker") > before,
            within_s=120,
            what="a verdict that cannot be written",
        )
    finally:
        cluster.servers.postgres.start()
    assert cluster.node.verdict(token, job_id)["status"] == "Accepted"
    assert cluster.deployment.events(job_id) == ["claimed", "finalized"]


def test_test_data_that_cannot_be_fetched_is_nobodys_fault(cluster: Cluster, token: str) -> None:
    problem_id = cluster.node.problem(token)
    cluster.servers.objects.stop()
    try:
        job_id = cluster.node.submit(token, problem_id, ACCEPTED)
        until(
            lambda: "given_back" in cluster.deployment.events(job_id),
            within_s=120,
            what="the job is given back, not judged wrong",
        )
    finally:
        cluster.servers.objects.start()
    assert cluster.node.verdict(token, job_id)["status"] == "Accepted"


def works(node: Node, token: str, job_id: str) -> bool:
    """The node answers from its database again, and says that it is ready."""
    answer = node.client.get(f"/api/v1/status/{job_id}", headers={"Authorization": f"Bearer {token}"})
    return answer.status_code == httpx.codes.OK and node.ready()


#: a stop does not wait, and no lease runs out while a test waits
HASTY = {"CLEANUP_TIMEOUT_SEC": "1", "API_SHUTDOWN_TIMEOUT_SEC": "1", "JOB_LEASE_SEC": "3600"}


def test_a_node_with_its_own_servers_loses_nothing(home: Path) -> None:
    """Three lives of a home: servers are killed under it, it is killed with all it has, it drains in mid-judging."""
    with running(home, env=HASTY) as node:
        token = node.token()
        problem_id = node.problem(token)
        before = node.judged(token, problem_id, ACCEPTED)
        for name in ("postgres", "valkey"):
            pids = [server.pid for server in children_named(node.process, name)]
            assert pids, name
            for pid in pids:  # all of PostgreSQL's: a backend outlives its parent for a moment, and answers
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            until(lambda: works(node, token, before["job_id"]), within_s=120, what=f"{name} is back without a restart")
            assert node.status(token, before["job_id"]) == before
            assert node.judged(token, problem_id, ACCEPTED)["status"] == "Accepted"
        assert node.process.poll() is None

        everything = psutil.Process(node.process.pid).children(recursive=True)
        node.process.kill()
        for one in everything:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        node.process.wait(30)

    with running(home, env=HASTY) as node:
        assert node.status(token, before["job_id"]) == before
        assert node.judged(token, problem_id, ACCEPTED)["status"] == "Accepted"

        # SIGTERM in the middle of a long judging gives the job back; it needs no lease to run out
        job_id = node.submit(token, node.problem(token, time_limit_ms=10_000), SLEEPS)
        until(lambda: node.status(token, job_id)["status"] == "Judging", within_s=120, what="it is being judged")
        assert node.stop() == 0
    with running(home, env=HASTY) as node:
        until(
            lambda: node.status(token, job_id)["status"] == "Judging", within_s=120, what="it is judged again at once"
        )
