"""The next start of a node removes processes, cgroups and directories that a killed node has left."""

from __future__ import annotations

from pathlib import Path

import psutil

from tests.e2e.cluster import Servers, deployed
from tests.e2e.leftovers import gone
from tests.e2e.nodes import ACCEPTED, SLEEPS, family, until

SETTINGS = {"JOB_RECLAIM_INTERVAL_SEC": "0.5"}


def test_attempts_of_a_killed_node_are_swept_at_the_next_start(servers: Servers, home: Path) -> None:
    deployment = deployed(servers)
    with deployment.node(home, env=SETTINGS) as node:
        token = node.token()
        job_id = node.submit(token, node.problem(token, time_limit_ms=10_000), SLEEPS)
        [directory] = until(
            lambda: list((home / "workspace" / "attempts").glob(f"{job_id}-1/*.stdout")),
            within_s=120,
            what="its program runs",
        )
        attempt = directory.parent
        below = family(psutil.Process(node.process.pid))
        node.process.kill()
        node.process.wait(30)
        until(lambda: gone(below), within_s=120, what="everything that the node had started is gone")
        assert attempt.is_dir(), "no node ran that could remove it"
    deployment.becomes(job_id, ACCEPTED)
    with deployment.node(home, env=SETTINGS) as node:
        assert not attempt.exists()
        deployment.leases_run_out()
        assert node.verdict(token, job_id)["status"] == "Accepted"
        attempts = home / "workspace" / "attempts"
        until(lambda: not list(attempts.iterdir()), within_s=120, what="the directory of the last attempt is removed")
