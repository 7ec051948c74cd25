"""Submit to verdict, one submission after the other, as a client sees it that watches by the event stream.

Each submission is new to the node. Its time is from sending the request to receiving the event ``done``, by one clock,
minus the wall times of its compilation and its runs, as the sandbox measured them. The means of the stages are of the
node's own histogram ``job_stage_seconds``, over the same submissions.
"""

from __future__ import annotations

import http.client
import json
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from deepoj.adapters.embedded.home import EmbeddedHome
from deepoj.observe.metrics import STAGES
from deepoj.operate.bench.node import SOURCE, START_S, a_package
from deepoj.words.errors import StartRefused

#: wall times are rounded up to the millisecond: by half of one on average
_ROUNDED_UP_MS = 0.5


@dataclass(frozen=True, slots=True)
class TimedVerdict:
    """Milliseconds of one submission: in all, and of the program's compilation and runs."""

    total_ms: float
    program_ms: float

    @property
    def overhead_ms(self) -> float:
        return self.total_ms - self.program_ms


@dataclass(frozen=True, slots=True)
class Submitter:
    """An account with the node's problems, and two connections: one submits, one watches."""

    base: str
    headers: Mapping[str, str]
    #: tests of a problem → its id
    problems: Mapping[int, int]
    submitting: http.client.HTTPConnection
    watching: http.client.HTTPConnection
    #: of the node's metrics
    metrics_token: str

    def submit(self, body: Mapping[str, object]) -> str:
        """Return the id of the new job. Raises StartRefused."""
        self.submitting.request("POST", "/api/v1/submit", json.dumps(body), dict(self.headers))
        answer = self.submitting.getresponse()
        said = answer.read()
        if answer.status != httpx.codes.OK:
            raise StartRefused(f"the measured node refused a submit: {answer.status} {said[:300]!r}", 1)
        return str(json.loads(said)["job_id"])

    def await_verdict(self, job_id: str) -> tuple[float, dict[str, Any]]:
        """Watch a job until its verdict. Return when the event came (``perf_counter``), and its body.

        Raises StartRefused when the stream ended without one, or the program was not accepted.
        """
        self.watching.request("GET", f"/api/v1/status/{job_id}/events", headers=dict(self.headers))
        answer = self.watching.getresponse()
        seen: dict[str, Any] = {}
        ended = 0.0
        is_done = False
        while line := answer.readline():
            if is_done and line.startswith(b"data: "):
                ended, seen = time.perf_counter(), json.loads(line.removeprefix(b"data: "))
            is_done = line == b"event: done\n" or (is_done and line != b"\n")
        if seen.get("status") != "Accepted":
            raise StartRefused(f"the measured program was not accepted: {json.dumps(seen)[:500]}", 1)
        return ended, seen

    def measure(self) -> TimedVerdict:
        """Submit a new program and watch it. Raises StartRefused."""
        source = SOURCE.replace("{nonce}", secrets.token_hex(8))
        body = {"problem_id": self.problems[1], "language": "cpp17", "code": source}
        began = time.perf_counter()
        ended, seen = self.await_verdict(self.submit(body))
        walls = [seen["data"]["compile"]["wall_ms"], *(test["wall_ms"] for test in seen["data"]["tests"])]
        return TimedVerdict((ended - began) * 1000, sum(wall - _ROUNDED_UP_MS for wall in walls if wall))

    def stages(self) -> dict[str, tuple[float, float]]:
        """Return the sum of seconds and the count of each stage so far."""
        found = dict.fromkeys(STAGES, (0.0, 0.0))
        headers = {"Authorization": f"Bearer {self.metrics_token}"}
        answer = httpx.get(f"{self.base}/metrics", headers=headers, timeout=START_S, trust_env=False)
        text = answer.raise_for_status().text
        for family in text_string_to_metric_families(text):
            if family.name == "job_stage_seconds":
                values = {
                    (sample.labels["stage"], sample.name.rpartition("_")[2]): sample.value
                    for sample in family.samples
                    if "le" not in sample.labels
                }
                found = {stage: (values[stage, "sum"], values[stage, "count"]) for stage in STAGES}
        return found


@contextmanager
def a_submitter(home: Path, base: str, tests: tuple[int, ...]) -> Iterator[Submitter]:
    """An account of a new node, with a problem of so many tests each.

    Raises StartRefused if ``home`` is not the node's."""
    embedded = EmbeddedHome.find(home)
    if embedded is None:
        raise StartRefused(f"the measured node has left nothing in {home}", 3)
    with httpx.Client(base_url=base, timeout=START_S, trust_env=False) as client:
        account = {"username": "admin", "password": secrets.token_urlsafe(12)}
        client.post("/api/v1/auth/register", json=account).raise_for_status()
        token = client.post("/api/v1/auth/login", json=account).raise_for_status().json()["token"]
        client.headers["Authorization"] = f"Bearer {token}"
        problems = {}
        for count in tests:
            files = {"file": ("p.zip", a_package(count))}
            made = client.post("/api/v1/problems", data={"title": f"A+B {count}"}, files=files)
            problems[count] = int(made.raise_for_status().json()["id"])
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    url = httpx.URL(base)
    one, other = (http.client.HTTPConnection(url.host, url.port, timeout=START_S) for _ in range(2))
    try:
        yield Submitter(base, headers, problems, one, other, embedded.secret("metrics_token"))
    finally:
        one.close()
        other.close()


def stage_means_ms(
    before: Mapping[str, tuple[float, float]], after: Mapping[str, tuple[float, float]]
) -> dict[str, float]:
    """Return the mean milliseconds of each stage between two looks; 0 for one that did not occur."""
    means = {}
    for stage in STAGES:
        (sum_before, count_before), (sum_after, count_after) = before[stage], after[stage]
        count = count_after - count_before
        means[stage] = 1000 * (sum_after - sum_before) / count if count else 0.0
    return means
