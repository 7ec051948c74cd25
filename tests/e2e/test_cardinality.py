"""Metrics of a node after many odd requests: the number of series depends on routes and reasons, not on users, jobs or
requests."""

from __future__ import annotations

import re
import socket
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.nodes import ACCEPTED, BROKEN, WRONG, Node, bearer, running, until

#: number of users, problems, and submissions of each
PEOPLE, PROBLEMS, EACH = 4, 4, 3
#: unknown paths, methods and values, each sent once: more than the allowed label sets of a family
HOSTILE = 70
#: prefix of all sent names and values: no label may contain it
MARK = "zq9mark"
#: allowed samples of the registry, buckets included; these requests give far fewer
SERIES_MAX = 3000
#: allowed label sets of one family, buckets not counted
OF_ONE_MAX = 60

ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-|[0-9a-f]{16,}|[0-9]{4,}")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    place: Path = tmp_path_factory.mktemp("cardinality")
    with running(place / "home", env={"SUBMIT_MAX_INFLIGHT": "0"}) as up:
        yield up


def hostile_requests(node: Node, token: str, number: int) -> None:
    """Requests whose path, method, header and values are all new."""
    word = f"{MARK}{number:05d}"
    client, known = node.client, bearer(token)
    client.get(f"/{word}/{number}")
    client.get(f"/api/v1/status/{word}", headers=known)
    client.get(f"/api/v1/status/01a21ad3-0000-7000-8000-{number:012d}", headers=known)
    client.get(f"/api/v1/problems/{10_000 + number}")
    client.get(f'/api/v1/{word}%22%7D%0Ahttp_requests_total%7Bpath="x"', headers={"Host": word, "X-Request-ID": word})
    client.request(f"X{word.upper()}", "/api/v1/health")
    client.request("DELETE", f"/api/v1/submit?{word}={word}", headers={"User-Agent": word})
    client.post("/api/v1/submit", json={"problem_id": number, "language": word, "code": word}, headers=known)
    client.post("/api/v1/submit", json={"problem_id": word, "language": number + 10_000, "code": ""}, headers=known)
    client.post("/api/v1/auth/login", json={"username": word, "password": word})
    client.get("/api/v1/admin/dlq", headers=known | {"Accept-Language": word}, params={"before": word})


def garbage(node: Node, number: int) -> None:
    """Send bytes that are no HTTP, which the server answers without the application."""
    with socket.create_connection(("127.0.0.1", node.ports["api"]), timeout=30) as link:
        link.sendall(f"{MARK}{number} \x01 {MARK}\r\n\r\n".encode())
        link.recv(4096)


def labels(node: Node) -> Iterator[tuple[str, dict[str, str]]]:
    for name, family in node.families().items():
        for sample in family.samples:
            yield name, sample.labels


def test_series_stay_few_and_no_label_is_what_somebody_sent(node: Node) -> None:
    admin = node.token()
    problems = [node.problem(admin) for _ in range(PROBLEMS)]
    names = [f"{MARK}user{number}" for number in range(PEOPLE)]
    tokens = [node.token(name) for name in names]
    jobs = [
        (token, node.submit(token, problems[(person + turn) % PROBLEMS], f"{code}\n// {MARK} {person} {turn}"))
        for person, token in enumerate(tokens)
        for turn, code in enumerate((ACCEPTED, WRONG, BROKEN)[:EACH])
    ]

    def many(numbers: Iterable[int]) -> None:
        for number in numbers:
            hostile_requests(node, admin, number)

    threads = [
        threading.Thread(target=many, args=(part,)) for part in (range(HOSTILE // 2), range(HOSTILE // 2, HOSTILE))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(20):
        garbage(node, number)
    until(lambda: all(node.verdict(token, job) for token, job in jobs), within_s=600, what="every verdict")

    seen = list(labels(node))
    methods = {own["method"] for _, own in seen if "method" in own}
    assert {"OTHER", "DELETE"} <= methods
    assert "unmatched" in {own["path"] for _, own in seen if "path" in own}

    forbidden = {*names, *(job for _, job in jobs), *map(str, problems[1:]), "admin"} - {"4", "5", "6"}
    ours = {"le", "instance", "service"}
    values = {(name, label, value) for name, own in seen for label, value in own.items() if label not in ours}
    wrong = [
        where
        for where in values
        if MARK in where[2].lower() or ID.search(where[2]) or where[2] in forbidden or len(where[2]) > 64
    ]
    assert not wrong
    of_one = Counter(
        name for name, own in {(name, tuple(sorted((k, v) for k, v in own.items() if k != "le"))) for name, own in seen}
    )
    assert {name: count for name, count in of_one.items() if count > OF_ONE_MAX} == {}
    assert len(seen) <= SERIES_MAX

    # the same requests again add no series
    before = {(name, tuple(sorted(own.items()))) for name, own in labels(node)}
    for number in range(HOSTILE, HOSTILE + 10):
        hostile_requests(node, admin, number)
    after = {(name, tuple(sorted(own.items()))) for name, own in labels(node)}
    grown = {found for found in after - before if found[0].startswith(("http_", "submission_", "submit_"))}
    assert not grown
    assert node.client.get("/api/v1/health").status_code == httpx.codes.OK
