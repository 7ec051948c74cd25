"""Sent data, passwords and keys are in no log line, neither of successes nor of failures."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.cluster import Deployment, Servers, deployed
from tests.e2e.nodes import ACCEPTED, Node, bearer, package, until

#: marker in all data that must not be logged
MARK = "hunter2MARK"
METRICS_TOKEN = f"{MARK}-metrics-token"
JWT_SECRET = f"{MARK}-jwt-secret-0123456789"

#: programs that contain the marker, print it, and fail in each way
PROGRAMS = {
    "Accepted": ACCEPTED,
    "Wrong Answer": f'#include <cstdio>\nint main(){{puts("{MARK}");fputs("{MARK}",stderr);}}',
    "Compile Error": f"int main(){{ return {MARK}; }}",
    "Runtime Error": f'#include <cstdio>\n#include <cstdlib>\nint main(){{fputs("{MARK}",stderr);std::abort();}}',
}


@pytest.fixture(scope="module")
def told(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, Deployment]]:
    deployment = deployed(servers, is_migrated=False)
    home: Path = tmp_path_factory.mktemp("secrets") / "home"
    env = {"METRICS_TOKEN": METRICS_TOKEN, "JWT_SECRET": JWT_SECRET, "WORKER_LOG_THROTTLE_SEC": "0"}
    with deployment.node(home, "--log-level", "debug", env=env) as node:
        yield node, deployment


JSON = {"Content-Type": "application/json"}


def talk(node: Node, token: str, problem_id: int, number: int) -> list[int]:
    """Send the marker in every place of a request. Return the status codes."""
    key = f"{MARK}-{number}"
    submission = {"problem_id": problem_id, "language": "cpp17", "code": f"// {key}\n{ACCEPTED}", "stdin": MARK}
    account = {"username": f"somebody{number}", "password": key}
    answers = [
        node.client.post("/api/v1/submit", json=submission, headers=bearer(token) | {"Idempotency-Key": key}),
        node.client.post("/api/v1/submit", json=submission | {"language": key}, headers=bearer(token)),
        node.client.post("/api/v1/submit", json=submission, headers=bearer(key)),
        node.client.post("/api/v1/submit", content=f'{{"code": "{key}', headers=bearer(token) | JSON),
        node.client.post("/api/v1/auth/register", json=account),
        node.client.post("/api/v1/auth/login", json=account),
        node.client.post("/api/v1/auth/login", json=account | {"password": f"{key}wrong"}),
        node.client.get(f"/api/v1/status/{key}?token={key}", headers={"Cookie": f"token={key}"} | bearer(token)),
        node.client.get(f"/{key}?password={key}", headers={"X-Request-ID": f"{key} no", "traceparent": key}),
        node.client.get("/metrics", headers=bearer(f"{METRICS_TOKEN}wrong")),
    ]
    return [answer.status_code for answer in answers]


def lines_that_tell(node: Node) -> list[str]:
    return [line for line in node.log.read_text(errors="replace").splitlines() if MARK in line]


@contextlib.contextmanager
def without_table(deployment: Deployment, table: str) -> Iterator[None]:
    """Rename a table, so that PostgreSQL answers with an error that quotes the statement."""
    deployment.ask(f"ALTER TABLE {table} RENAME TO {table}_away")
    try:
        yield
    finally:
        deployment.ask(f"ALTER TABLE {table}_away RENAME TO {table}")


def test_code_input_passwords_and_tokens_are_in_no_log_line(told: tuple[Node, Deployment]) -> None:
    node, deployment = told
    number = itertools.count()
    token = node.token("admin", f"{MARK}-password")
    problem_id = node.problem(token, data=package({"1.in": "1 2\n", "1.out": "3\n"}))
    hidden = node.problem(token, data=package({"1.in": f"1 2 {MARK}\n", "1.out": f"{MARK}\n"}))
    for status, code in PROGRAMS.items():
        assert node.judged(token, problem_id, f"{code}\n// {MARK}")["status"] == status
    assert node.judged(token, hidden, ACCEPTED)["status"] == "Wrong Answer"
    assert talk(node, token, problem_id, next(number)) == [200, 400, 401, 400, 201, 200, 401, 404, 404, 401]

    # failures: errors of the database, an outage of it, and one of Redis
    with without_table(deployment, "users"):
        assert httpx.codes.SERVICE_UNAVAILABLE in talk(node, token, problem_id, next(number))
    deployment.servers.postgres.kill()
    try:
        assert httpx.codes.SERVICE_UNAVAILABLE in talk(node, token, problem_id, next(number))
    finally:
        deployment.servers.postgres.start()
    until(node.ready, within_s=120, what="ready again")
    deployment.servers.redis.kill()
    try:
        talk(node, token, problem_id, next(number))
        until(lambda: "child_restart" in node.log.read_text(), within_s=120, what="the loss of Redis is told")
    finally:
        deployment.servers.redis.start()
    until(node.ready, within_s=120, what="ready again")
    assert node.judged(token, problem_id, f"{ACCEPTED}\n// {MARK} after all")["status"] == "Accepted"

    assert node.stop() == 0
    log = node.log.read_text()
    assert {"http_unavailable", "child_restart", "xack_ok"} <= {
        word.partition(" ")[0].rstrip('",') for word in log.split("event=")[1:]
    }
    assert not lines_that_tell(node)
    # neither passwords and keys of the servers, nor hashes and tokens made of ours
    for secret in (token, deployment.servers.redis.password, deployment.env["MINIO_SECRET_KEY"], METRICS_TOKEN):
        assert secret
        assert secret not in log
