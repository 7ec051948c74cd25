"""D1 and D3 of the runbook on real servers, and limits that several nodes share."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.e2e.cluster import Deployment, Servers, deployed
from tests.e2e.nodes import ACCEPTED, Node, bearer, until

FRONT = ("--roles", "api,dispatcher,scheduler")


@pytest.fixture
def deployment(servers: Servers) -> Deployment:
    return deployed(servers)


def submit(node: Node, token: str, problem_id: int, number: int = 0) -> httpx.Response:
    body = {"problem_id": problem_id, "language": 1, "code": f"{ACCEPTED}\n// {number}\n"}
    return node.client.post("/api/v1/submit", json=body, headers=bearer(token))


def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert int(answer.headers["Retry-After"]) >= 1


def lag_of(node: Node) -> tuple[float, float]:
    """The lag, and whether it is known."""
    samples = node.families()["api_pressure_snapshot"].samples
    fields = {sample.labels["field"]: sample.value for sample in samples}
    return fields["lag"], fields["lag_valid"]


def test_d1_without_redis_submissions_wait_in_the_outbox_and_limits_hold(
    deployment: Deployment, tmp_path: Path
) -> None:
    limited = {"SUBMIT_RATE_LIMIT_USER_PER_WINDOW": "4", "SUBMIT_RATE_LIMIT_WINDOW_SEC": "3600"}
    with deployment.node(tmp_path / "home", env=limited) as node:
        token = node.token()
        problem_id = node.problem(token)
        deployment.servers.redis.kill()
        try:
            jobs = [submit(node, token, problem_id, number).raise_for_status().json()["job_id"] for number in range(4)]
            refused(submit(node, token, problem_id, 4), 429, "RATE_LIMITED")
            pending = "SELECT count(*) FROM outbox_events WHERE status = 'pending'"
            assert deployment.ask(pending) == "4"
            until(
                lambda: deployment.ask(f"{pending} AND attempts > 0 AND last_error IS NOT NULL") == "4",
                within_s=300,
                what="the outbox rows say why",
            )
        finally:
            deployment.servers.redis.start()
        assert [node.verdict(token, job_id)["status"] for job_id in jobs] == ["Accepted"] * 4
        delivered = "SELECT count(*) FROM outbox_events WHERE status = 'delivered' AND stream_entry_id IS NOT NULL"
        assert deployment.ask(delivered) == "4"
        assert [deployment.events(job_id) for job_id in jobs] == [["claimed", "finalized"]] * 4


def test_d3_a_backlog_refuses_until_it_is_worked_off(deployment: Deployment, tmp_path: Path) -> None:
    marks = {
        "API_BACKPRESSURE_LAG_HIGH": "4",
        "API_BACKPRESSURE_LAG_LOW": "1",
        "SCHEDULER_METRICS_POLL_INTERVAL_MS": "50",
    }
    with deployment.node(tmp_path / "front", *FRONT, env=marks) as front:
        token = front.token()
        problem_id = front.problem(token)
        answers = [submit(front, token, problem_id, number) for number in range(4)]
        # a job that is sent while outbox and stream are read counts twice, so that fewer than four may shut the door
        accepted = [answer for answer in answers if answer.status_code == httpx.codes.OK]
        for answer in answers[len(accepted) :]:
            refused(answer, 429, "BACKPRESSURE")
        jobs = [answer.json()["job_id"] for answer in accepted]
        until(
            lambda: submit(front, token, problem_id, 0).status_code == httpx.codes.TOO_MANY_REQUESTS,
            within_s=300,
            what="the backlog shuts the door",
        )
        refused(submit(front, token, problem_id, 5), 429, "BACKPRESSURE")
        assert front.status(token, jobs[0])["status"] == "Queuing"
        assert front.measured("api_backpressure_reject_total") >= 2
        # what waits in the outbox counts as well: the dispatcher may not have sent all of it yet
        until(lambda: lag_of(front) == (len(jobs), 1), within_s=300, what="the whole backlog in the stream")
        with deployment.node(tmp_path / "worker", "--roles", "worker", port="worker"):
            until(
                lambda: submit(front, token, problem_id, 6).status_code == httpx.codes.OK,
                within_s=300,
                what="the door is open again",
            )
            for job_id in jobs:
                assert front.verdict(token, job_id)["status"] == "Accepted"


def test_without_an_outbox_redis_away_is_an_error_and_repair_mends_it(deployment: Deployment, tmp_path: Path) -> None:
    direct = {
        "OUTBOX_ENABLED": "false",
        "SCHEDULER_REPAIR_INTERVAL_MS": "500",
        "SCHEDULER_REPAIR_MIN_AGE_SEC": "1",
    }
    with deployment.node(tmp_path / "home", env=direct) as node:
        token = node.token()
        problem_id = node.problem(token)
        sent = submit(node, token, problem_id, 1).raise_for_status().json()["job_id"]
        assert node.verdict(token, sent)["status"] == "Accepted"
        assert deployment.ask("SELECT event_type, status FROM outbox_events") == "submit|delivered"
        deployment.servers.redis.kill()
        try:
            refused(submit(node, token, problem_id, 2), 503, "QUEUE_ERROR")
            job_id = deployment.ask("SELECT job_id FROM submissions WHERE state = 'pending'")
            assert (
                deployment.ask(
                    f"SELECT count(*) FROM outbox_events WHERE job_id = '{job_id}' AND event_type = 'submit'"
                )
                == "0"
            )
        finally:
            deployment.servers.redis.start()
        assert node.verdict(token, job_id)["status"] == "Accepted"
        assert deployment.ask(f"SELECT event_type FROM outbox_events WHERE job_id = '{job_id}' LIMIT 1") == "repair"


@pytest.mark.full
def test_two_nodes_count_together(deployment: Deployment, tmp_path: Path) -> None:
    limited = {"SUBMIT_RATE_LIMIT_IP_PER_WINDOW": "4", "SUBMIT_RATE_LIMIT_WINDOW_SEC": "3600"}
    with (
        deployment.node(tmp_path / "one", *FRONT, env=limited) as one,
        deployment.node(tmp_path / "other", *FRONT, env=limited) as other,
    ):
        token = one.token()
        problem_id = one.problem(token)
        nodes = (one, other, one, other)
        answers = [submit(node, token, problem_id, number) for number, node in enumerate(nodes)]
        assert [answer.status_code for answer in answers] == [200] * 4
        for node in (one, other):
            refused(submit(node, token, problem_id, 9), 429, "RATE_LIMITED")
        with deployment.servers.redis.client() as client:
            assert client.keys(f"{deployment.database}:rate_limit:*") == [
                f"{deployment.database}:rate_limit:submit:ip:127.0.0.1".encode()
            ]
