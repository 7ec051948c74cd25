"""Event streams between nodes: the client at one node, the job at another, and crashes of both and of servers."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.cluster import Deployment, Servers, deployed
from tests.e2e.nodes import Node, bearer, package, until

#: short leases, and frequent heartbeats, so that a loaded machine keeps them
SETTINGS = {
    "JOB_LEASE_SEC": "6",
    "JOB_HEARTBEAT_SEC": "0.4",
    "JOB_RECLAIM_GRACE_SEC": "1",
    "JOB_RECLAIM_INTERVAL_SEC": "0.5",
}
#: sleeps for its first number in milliseconds
SLEEPER = (
    '#include <unistd.h>\n#include <cstdio>\nint main(){int a,b;scanf("%d%d",&a,&b);usleep(a*1000);printf("%d",a+b);}'
)
#: sleep of a program during a test of the stream. A client on a loaded machine is late, and a stream of a job that
#: has ended reports only the end
LONG_MS = 6000
#: the client reads for so long without a byte; a keep-alive comes every 15 s
SILENT_S = 300.0


@dataclass(frozen=True)
class Split:
    """Two API nodes, and two workers by their names in the ledger."""

    deployment: Deployment
    front: Node
    other: Node
    workers: dict[str, Node]


@pytest.fixture(scope="module")
def split(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Split]:
    deployment = deployed(servers)
    place = tmp_path_factory.mktemp("live")
    with contextlib.ExitStack() as stack:

        def start(name: str, roles: str, port: str) -> Node:
            home: Path = place / name
            # tests that run beside each other would end together
            env = SETTINGS | {"WORKER_ID": name, "WORKER_PARALLEL_TESTS": "false"}
            return stack.enter_context(deployment.node(home, "--roles", roles, env=env, port=port))

        front, other = start("front", "api,scheduler", "api"), start("other", "api", "api")
        workers = {name: start(name, "worker", "worker") for name in ("worker-a", "worker-b")}
        yield Split(deployment, front, other, workers)


@pytest.fixture(scope="module")
def token(split: Split) -> str:
    return split.front.token()


@pytest.fixture(scope="module")
def author(split: Split, token: str) -> str:
    """The token of a user without rights."""
    return split.front.token("alice", "a password")


def problem(split: Split, token: str, *sleeps_ms: int) -> int:
    cases: dict[str, str] = {}
    for number, sleep_ms in enumerate(sleeps_ms, 1):
        cases |= {f"{number}.in": f"{sleep_ms} 1\n", f"{number}.out": f"{sleep_ms + 1}\n"}
    return split.front.problem(token, data=package(cases), time_limit_ms=10_000)


@dataclass
class Watching:
    """An open stream; ``last_id`` is the id with which its client would reconnect."""

    lines: Iterator[str]
    last_id: str = ""

    def next(self) -> tuple[str, dict[str, Any]] | None:
        """Return name and data of the next event; None: the stream ended properly."""
        fields: dict[str, str] = {}
        for line in self.lines:
            if line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                fields[name] = value
            elif "event" in fields:
                self.last_id = fields["id"]
                return fields["event"], json.loads(fields["data"])
        return None

    def until(self, event: str) -> dict[str, Any]:
        """Return the data of the next event of this name."""
        while (got := self.next()) is not None:
            if got[0] == event:
                return got[1]
        raise AssertionError(f"the stream ended before {event}")

    def rest(self) -> list[tuple[str, dict[str, Any]]]:
        return list(iter(self.next, None))


@contextlib.contextmanager
def watching(node: Node, token: str, job_id: str, *, last_id: str | None = None) -> Iterator[Watching]:
    headers = bearer(token) | ({} if last_id is None else {"Last-Event-ID": last_id})
    path = f"/api/v1/status/{job_id}/events"
    with node.client.stream("GET", path, headers=headers, timeout=SILENT_S) as answer:
        assert answer.status_code == httpx.codes.OK, answer.read()
        yield Watching(answer.iter_lines())


def test_each_test_is_seen_as_it_ends_at_whichever_node_one_asks(split: Split, token: str, author: str) -> None:
    job_id = split.front.submit(author, problem(split, token, *[50] * 4, LONG_MS, *[50] * 5), SLEEPER + "// seen")
    with watching(split.front, author, job_id) as here, watching(split.other, token, job_id) as there:
        for stream in (here, there):
            while stream.until("state")["state"] != "processing":
                pass
        seen = [here.until("test") for _ in range(4)]
        # the long test and five more have not run yet
        assert split.front.status(author, job_id)["state"] == "processing"
        here_rest, there_rest = here.rest(), there.rest()
    assert [name for name, _ in here_rest][-2:] == ["state", "done"]
    seen += [data for name, data in here_rest if name == "test"]
    done = here_rest[-1][1]
    assert done == split.front.status(author, job_id)
    assert done["status"] == "Accepted"
    assert [(one["index"], one["count"], one["attempt_id"]) for one in seen] == [(n, 10, 1) for n in range(1, 11)]
    assert [one["test"] for one in seen] == done["data"]["tests"]
    # the administrator at the other node has seen all that the status shows
    of_admin = there_rest[-1][1]
    assert of_admin == split.other.status(token, job_id)
    assert [data["test"] for name, data in there_rest if name == "test"] == of_admin["data"]["tests"]
    assert of_admin["data"]["tests"] != done["data"]["tests"]
    # only the result is left
    until(lambda: split.deployment.ask("SELECT count(*) FROM live_tests") == "0", within_s=60, what="forgotten")


def test_reconnected_stream_misses_nothing_also_at_another_node(split: Split, token: str) -> None:
    job_id = split.front.submit(token, problem(split, token, 50, 50, LONG_MS, 50, 50, 50), SLEEPER + "// again")
    with watching(split.front, token, job_id) as first:
        indexes = [first.until("test")["index"] for _ in range(2)]
    with watching(split.other, token, job_id, last_id=first.last_id) as second:
        indexes += [data["index"] for name, data in second.rest() if name == "test"]
    assert indexes == [1, 2, 3, 4, 5, 6]


def test_a_database_that_is_killed_ends_no_stream(split: Split, token: str) -> None:
    """Notifications and live tests may be lost with it, but no event is."""
    job_id = split.front.submit(token, problem(split, token, *[500] * 12), SLEEPER + "// killed")
    postgres = split.deployment.servers.postgres
    with watching(split.other, token, job_id) as stream:
        assert stream.until("test")["index"] == 1
        postgres.kill()
        postgres.start()
        rest = stream.rest()
    assert [name for name, _ in rest][-1] == "done"
    done = rest[-1][1]
    assert (done["state"], done["status"]) == ("done", "Accepted")
    attempt = done["data"]["attempt_id"]
    shown = {data["index"] for name, data in rest if name == "test" and data["attempt_id"] == attempt}
    assert shown | {1} == set(range(1, 13))


def test_the_new_attempts_events_follow_when_a_node_is_killed(split: Split, token: str) -> None:
    """The last test but one: it kills a worker."""
    job_id = split.front.submit(token, problem(split, token, 50, 50, 50, LONG_MS, 50), SLEEPER + "// dies")
    with watching(split.other, token, job_id) as stream:
        assert [stream.until("test")["index"] for _ in range(3)] == [1, 2, 3]
        [claimed] = split.deployment.ledger(job_id)
        victim = split.workers.pop(claimed.node)
        victim.process.kill()
        victim.process.wait(30)
        name, state = stream.next() or ("", {})
        assert (name, state["state"], state["attempt_id"], state["judging"]) == ("state", "processing", 2, 1)
        rest = stream.rest()
    assert [(data["index"], data["attempt_id"]) for name, data in rest if name == "test"] == [
        (n, 2) for n in range(1, 6)
    ]
    assert rest[-1][0] == "done"
    assert rest[-1][1]["data"]["attempt_id"] == 2
    [survivor] = split.workers
    assert split.deployment.ledger(job_id)[-1].node == survivor


def test_a_node_that_stops_ends_its_streams_whole(split: Split, token: str) -> None:
    """The last test: it stops the workers and an API node."""
    for worker in split.workers.values():
        worker.stop()
    job_id = split.front.submit(token, problem(split, token, 1), SLEEPER + "// waits")
    with watching(split.other, token, job_id) as stream:
        assert stream.until("state")["state"] == "pending"
        assert split.other.stop() == 0
        # a cut stream would lack its last chunk
        assert stream.next() is None
    with watching(split.front, token, job_id, last_id=stream.last_id) as again:
        assert again.until("state")["state"] == "pending"
