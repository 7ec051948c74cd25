"""``deepoj drill NAME --live``: one fault in a running system, which goes on.

The recovery time of a busy machine is not asserted, only that it is reported and decides the result.
"""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster import Deployment, Servers, deployed
from tests.e2e.nodes import ACCEPTED, Node
from tests.e2e.typed import typed

SETTINGS = {
    "JOB_LEASE_SEC": "4",
    "JOB_HEARTBEAT_SEC": "0.4",
    "JOB_RECLAIM_GRACE_SEC": "1",
    "JOB_RECLAIM_INTERVAL_SEC": "0.5",
    "SCHEDULER_REPAIR_INTERVAL_MS": "500",
    "SCHEDULER_REPAIR_MIN_AGE_SEC": "1.5",
    # two workers have room for four: the drills' twelve canaries wait for one another
    "WORKER_POOL_SIZE": "2",
}
#: longer than the drill's own deadlines
DRILL_S = 900.0


@dataclass(frozen=True)
class Told:
    """Output and exit code of a drill."""

    exit_code: int
    out: str
    err: str

    @property
    def line(self) -> Mapping[str, Any]:
        (line,) = self.out.splitlines() or [self.err]
        told: Mapping[str, Any] = json.loads(line)
        return told


@dataclass(frozen=True)
class System:
    """One node without worker and two workers."""

    deployment: Deployment
    front: Node
    token: str
    start: Callable[[str], contextlib.AbstractContextManager[Node]]
    place: Path

    def drill(self, *args: str, env: Mapping[str, str] | None = None) -> Told:
        told = {"PATH": "/usr/bin:/bin", "DEEPOJ_HOME": str(self.place), "PORT": str(self.front.ports["api"])}
        env = told | SETTINGS | self.deployment.env | {"TOKEN": self.token} | dict(env or {})
        done = typed("drill", *args, "--live", env=env, cwd=self.place, within_s=DRILL_S)
        return Told(done.returncode, done.stdout, done.stderr)

    def submissions(self) -> int:
        return int(self.deployment.ask("SELECT count(*) FROM submissions"))


@pytest.fixture(scope="module")
def system(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    deployment = deployed(servers)
    place = tmp_path_factory.mktemp("live")

    def start(name: str) -> contextlib.AbstractContextManager[Node]:
        env = SETTINGS | {"WORKER_ID": name}
        return deployment.node(place / name, "--roles", "worker", env=env, port="worker")

    with (
        deployment.node(place / "front", "--roles", "api,dispatcher,scheduler", env=SETTINGS) as front,
        start("worker-a"),
        start("worker-b"),
    ):
        yield System(deployment, front, front.token(), start, place)


def recovered(told: Told) -> Mapping[str, Any]:
    """Return the only recovery of a drill. AssertionError if a job was lost or judged twice."""
    line = told.line
    assert line["violations"] == [], told.err
    assert line["finished"] == line["jobs"] > 0
    assert line["live"] is True
    (recovery,) = line["recoveries"]
    assert recovery["recovery_s"] is not None, told.err
    assert told.exit_code == (0 if line["ok"] else 1)
    assert line["ok"] is recovery["met"]
    found: Mapping[str, Any] = recovery
    return found


def test_the_problem_of_the_canaries_wants_an_administrator_once(system: System) -> None:
    student = system.front.token("student", "a students password")
    system.deployment.ask("UPDATE problems SET title = 'another' WHERE title LIKE '%of the drill%'")
    for env in ({"TOKEN": ""}, {"TOKEN": student}):
        told = system.drill("redis-wipe", "--yes", env=env)
        assert (told.exit_code, told.out) == (2, "")
        assert "give an administrator's token once" in told.err


def test_of_several_nodes_none_is_killed_that_was_not_named(system: System) -> None:
    told = system.drill("worker-kill", "--yes")
    assert told.exit_code == 2
    assert str(system.front.process.pid) in told.err
    assert "--pid" in told.err


def test_without_a_yes_nothing_is_submitted(system: System) -> None:
    before = system.submissions()
    told = system.drill("worker-kill", "--pid", str(system.front.process.pid))
    assert told.exit_code == 2
    assert f"kills process {system.front.process.pid}" in told.err
    assert system.submissions() == before
    assert system.front.ready()


def test_our_stream_is_wiped_and_nothing_else_and_its_entries_are_put_back(system: System) -> None:
    redis = system.deployment.servers.redis.client()
    redis.set("somebody:elses", "1")
    recovery = recovered(system.drill("redis-wipe", "--yes", "--json"))
    assert recovery["bound_s"] == pytest.approx(1.5 + 0.5 + 4 + 1 + 0.5)
    assert system.deployment.ask("SELECT count(*) FROM outbox_events WHERE event_type = 'repair'") != "0"
    assert redis.get("somebody:elses") in {"1", b"1"}


def test_a_trimmed_stream_in_a_table_for_people_and_a_system_that_judges_afterwards(system: System) -> None:
    told = system.drill("stream-trim", "--yes", env={"COLUMNS": "200"})
    assert "trims the stream" in told.err
    assert "stream trimmed to nothing" in told.out
    assert "0 violations" in told.out
    verdict = system.front.judged(system.token, system.front.problem(system.token), ACCEPTED)
    assert verdict["status"] == "Accepted"


def test_connections_to_the_database_that_were_cut_off_are_made_again(system: System) -> None:
    recovery = recovered(system.drill("postgres-restart", "--yes", "--json"))
    assert int(recovery["what"].split()[0]) >= 3  # at least one of each node
    assert system.front.ready()


def test_jobs_of_a_killed_node_are_taken_over(system: System) -> None:
    with system.start("worker-c") as node:
        pid = str(node.process.pid)
        recovery = recovered(system.drill("worker-kill", "--yes", "--json", "--pid", pid, "--node", "worker-c"))
        assert recovery["bound_s"] == pytest.approx(5.5)
        assert node.process.wait(30) == -signal.SIGKILL
    lost = system.deployment.ask("SELECT count(*) FROM attempts WHERE event = 'lost' AND node = 'worker-c'")
    assert int(lost) >= 1


def test_a_node_that_does_not_hold_the_canaries_is_left_alone(system: System) -> None:
    """A node without worker holds no canary, and neither does an unknown name."""
    told = system.drill("worker-kill", "--yes", "--jobs", "2", "--pid", str(system.front.process.pid))
    assert told.exit_code == 2
    assert "was left alone" in told.err
    assert "--node" in told.err
    assert system.front.ready()


def test_settings_of_two_systems_harm_neither(system: System, servers: Servers) -> None:
    other = deployed(servers)
    done = typed("migrate", env={"PATH": "/usr/bin:/bin"} | other.env, cwd=system.place)
    assert done.returncode == 0, done.stderr
    told = system.drill("postgres-restart", "--yes", env={"DATABASE_URL": other.env["DATABASE_URL"]})
    assert told.exit_code == 2
    assert "two systems" in told.err


def test_a_stream_that_is_not_this_systems_is_left_alone(system: System) -> None:
    redis = system.deployment.servers.redis.client()
    redis.xadd("elsewhere:dev:jobs", {"job_id": "another"})
    told = system.drill("redis-wipe", "--yes", env={"JOB_STREAM_KEY": "elsewhere:dev:jobs"})
    assert told.exit_code == 2
    assert "no canary is in elsewhere:dev:jobs" in told.err
    assert redis.xlen("elsewhere:dev:jobs") == 1
