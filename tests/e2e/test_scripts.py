"""The runbook's scripts: each passes on a healthy deployment and fails when what it verifies is broken.

A script calls a command of ``deepoj`` with the runbook's names of settings. Tests run the script where that matters,
otherwise the command.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from deepoj.adapters.redis.stream import LAG_COUNTED
from tests.e2e.cluster import Deployment, Servers, deployed
from tests.e2e.nodes import ACCEPTED, DEEPOJ, ROOT, Node, until
from tests.e2e.typed import typed
from tests.servers_redis import RedisServer

SCRIPTS = ROOT / "deploy" / "scripts"
#: short periods; finished jobs are past retention at once, and retention is a dry run
SETTINGS = {
    "SCHEDULER_REPAIR_INTERVAL_MS": "300",
    "SCHEDULER_GC_ENABLED": "true",
    "SCHEDULER_GC_INTERVAL_MS": "300",
    "SCHEDULER_DB_RETENTION_DAYS": "0",
    "SCHEDULER_STREAM_TRIM_MAXLEN": "1",
}
VERIFY = {
    "b1": "verify_b1_no_etcd.sh",
    "b2": "verify_b2_no_legacy_dataplane.sh",
    "b3": "verify_b3_control_plane.sh",
    "c1": "verify_c1_stream_enqueue.sh",
    "d1": "verify_d1_outbox.sh",
}


@dataclass(frozen=True)
class Site:
    """A node, its deployment and a problem to submit to."""

    node: Node
    deployment: Deployment
    problem_id: int

    @property
    def env(self) -> dict[str, str]:
        ports = self.node.ports
        urls = {f"{name.upper()}_METRICS_URL": f"http://127.0.0.1:{ports[name]}/metrics" for name in ports}
        return self.deployment.env | urls | {"PROBLEM_ID": str(self.problem_id)}

    def run(self, script: str, *args: str, **broken: str) -> subprocess.CompletedProcess[str]:
        return run(script, self.env | broken, *args)

    def asked(self, *args: str, **broken: str) -> subprocess.CompletedProcess[str]:
        """Run the command of a script."""
        return typed(*args, env=self.env | broken)

    def fails(self, check: str, *args: str, code: int = 1, **broken: str) -> str:
        """Assert that the command of a verification fails. Return its line on stderr."""
        return line_of(self.asked("verify", check, *args, **broken), code)

    def script_fails(self, check: str, *args: str, code: int = 1, **broken: str) -> str:
        """The same for its script."""
        return line_of(self.run(VERIFY[check], *args, **broken), code)


def line_of(done: subprocess.CompletedProcess[str], code: int) -> str:
    assert done.returncode == code, done
    (line,) = done.stderr.splitlines()
    return line


def run(script: str, env: Mapping[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(SCRIPTS / script), *args], env={"PATH": "/usr/bin:/bin", "DEEPOJ": str(DEEPOJ), **env},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def site(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    deployment = deployed(servers)
    with deployment.node(tmp_path_factory.mktemp("scripts") / "home", env=SETTINGS) as node:
        yield Site(node, deployment, node.problem(node.token()))


def redis(site: Site, *command: str | int) -> Any:
    server: RedisServer = site.deployment.servers.redis
    with server.client() as client:
        return client.execute_command(*command)


@pytest.mark.parametrize("check", VERIFY)
def test_each_is_good_on_a_good_deployment(site: Site, check: str) -> None:
    done = site.asked("verify", check)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert all(line.startswith("ok  ") for line in done.stdout.splitlines())
    told = site.run(VERIFY[check], "--json")
    assert (told.returncode, told.stderr) == (0, ""), told
    (line,) = told.stdout.splitlines()
    assert json.loads(line)["ok"] is True
    assert len(json.loads(line)["verified"]) == len(done.stdout.splitlines()) > 0


def test_the_loops_say_what_the_runbook_greps_for(site: Site) -> None:
    node = site.node
    token = node.token()
    for number in range(3):
        assert node.judged(token, site.problem_id, f"{ACCEPTED}// {number}")["status"] == "Accepted"
    for event in ("event=db_gc_plan", "event=stream_trim", "event=repair_started", "event=gc_started"):
        until(lambda event=event: event in node.log.read_text(), within_s=120, what=event)  # type: ignore[misc]
    assert node.measured("scheduler_db_gc_total", "scheduler") > 0
    assert "event=db_gc_delete" not in node.log.read_text()  # a dry run
    assert int(site.deployment.ask("SELECT count(*) FROM submissions")) >= 3
    site.deployment.ask(
        "UPDATE submissions SET state = 'pending', status = 'pending', result = NULL, judging = 2,"
        " updated_at = now() - interval '1 h' WHERE id = (SELECT max(id) FROM submissions)"
    )
    site.deployment.ask("UPDATE outbox_events SET dispatched_at = now() - interval '1 h'")
    until(lambda: "event=repair_xadd" in node.log.read_text(), within_s=120, what="a lost job is put back")


# -- b1


def test_b1_fails_where_something_speaks_of_etcd(site: Site, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for part in ("deepoj", "deploy", "sql"):
        shutil.copytree(ROOT / part, tree / part, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    assert site.asked("verify", "b1", "--tree", str(tree)).returncode == 0
    (tree / "deploy" / "compose.yaml").write_text("services:\n  etcd:\n    image: quay.io/coreos/etcd\n")
    assert "deploy/compose.yaml:2" in site.script_fails("b1", "--tree", str(tree))


def test_b1_fails_without_a_node_that_is_ready(site: Site) -> None:
    assert "cannot be reached" in site.fails("b1", code=3, API_METRICS_URL="http://127.0.0.1:9/metrics")
    with telling("no metrics") as url:
        assert "/api/v1/ready answers 404" in site.fails("b1", API_METRICS_URL=url)


# -- b2


def test_b2_fails_where_a_list_or_a_result_is_in_redis(site: Site) -> None:
    namespace = site.deployment.database
    for words, says in (
        (("LPUSH", f"{namespace}:queue", "job"), f"{namespace}:queue is a list"),
        (("SET", f"{namespace}:result:1", "AC"), "results must be only in the database"),
    ):
        redis(site, *words)
        try:
            assert says in site.fails("b2")
        finally:
            redis(site, "DEL", words[1])


def test_b2_fails_without_the_stream_or_the_group(site: Site) -> None:
    assert "is not a stream" in site.script_fails("b2", STREAM_KEY=f"{site.deployment.database}:elsewhere")
    assert "has no group unknown" in site.script_fails("b2", GROUP="unknown")


def test_b2_fails_where_sources_speak_of_a_queue_beside_the_stream(site: Site, tmp_path: Path) -> None:
    (tmp_path / "deepoj").mkdir()
    (tmp_path / "deepoj" / "queue.py").write_text(
        'def push(client):\n    client.execute_command("LPUSH", "q", "job")\n'
    )
    assert "deepoj/queue.py:2" in site.fails("b2", "--tree", str(tmp_path))


# -- b2 and b3: what the scheduler tells


@pytest.mark.parametrize("check", ["b2", "b3"])
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("control_plane_only 1\nlegacy_loops_started 1\n", "legacy_loops_started is 1 at"),
        ("control_plane_only 0\nlegacy_loops_started 0\n", "control_plane_only is 0 at"),
        ("legacy_loops_started 0\n", "control_plane_only is missing"),
    ],
)
def test_a_scheduler_that_is_more_than_a_control_plane_fails(site: Site, check: str, text: str, says: str) -> None:
    with telling(text) as url:
        assert says in site.fails(check, SCHEDULER_METRICS_URL=url)


def test_b3_fails_where_a_metric_of_the_runbook_is_not_told(site: Site) -> None:
    with telling("control_plane_only 1\nlegacy_loops_started 0\nscheduler_repair_total 1\n") as url:
        line = site.fails("b3", SCHEDULER_METRICS_URL=url)
    assert "has no scheduler_stream_trim_total, scheduler_db_gc_total" in line


def test_b3_fails_where_repair_is_switched_off(site: Site, tmp_path: Path) -> None:
    off = SETTINGS | {"SCHEDULER_REPAIR_ENABLED": "false"}
    with site.deployment.node(tmp_path / "home", "--roles", "scheduler", env=off, port="scheduler") as node:
        url = f"http://127.0.0.1:{node.ports['scheduler']}/metrics"
        line = site.fails("b3", "--within", "3", SCHEDULER_METRICS_URL=url)
    assert "the repair loop did not run" in line


# -- c1 and d1


@pytest.fixture(scope="module")
def silent(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A deployment without a dispatcher: submissions stay in the outbox."""
    deployment = deployed(servers)
    args = ("--roles", "api,scheduler,worker", "--no-dispatcher")
    with deployment.node(tmp_path_factory.mktemp("silent") / "home", *args) as node:
        yield Site(node, deployment, node.problem(node.token()))


def test_c1_fails_where_no_entry_comes(silent: Site) -> None:
    assert "got no entry of it" in silent.fails("c1", "--within", "2")


def test_c1_fails_where_the_entry_is_not_what_it_should_be(silent: Site) -> None:
    """Another sender publishes entries without payload."""
    key = f"{silent.deployment.database}:jobs"
    done = threading.Event()

    def forge() -> None:
        sent = set()
        while not done.wait(0.1):
            for job_id in silent.deployment.ask("SELECT job_id FROM submissions").split():
                if job_id not in sent:
                    fields = ("job_id", job_id, "enqueue_ts", "1", "payload_ref", "x", "priority", "0", "event_id", "1")
                    redis(silent, "XADD", key, "*", *fields)
                    sent.add(job_id)

    thread = threading.Thread(target=forge)
    thread.start()
    try:
        assert "ms from the clock of Redis" in silent.fails("c1")
    finally:
        done.set()
        thread.join()


def test_d1_fails_where_an_event_stays(silent: Site) -> None:
    assert "was not delivered within 2 s" in silent.fails("d1", "--within", "2")


def test_d1_fails_where_events_are_stuck(silent: Site) -> None:
    silent.fails("d1", "--within", "0.2")  # one more waiting event
    silent.deployment.ask(
        "UPDATE outbox_events SET attempts = 7, last_error = 'connection refused',"
        " created_at = now() - interval '2 min'"
    )
    line = silent.fails("d1")
    assert "were not delivered within 60 s" in line
    assert "connection refused" in line


def test_d1_fails_where_a_submission_has_no_event(site: Site) -> None:
    site.deployment.ask(
        "CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN DELETE FROM outbox_events WHERE id = NEW.id; RETURN NULL; END $$;"
        "CREATE TRIGGER forget AFTER INSERT ON outbox_events FOR EACH ROW EXECUTE FUNCTION forget()"
    )
    try:
        assert "without an outbox event" in site.fails("d1")
    finally:
        site.deployment.ask("DROP TRIGGER forget ON outbox_events; DROP FUNCTION forget()")


@pytest.mark.parametrize("check", ["c1", "d1"])
def test_script_without_problem_id_says_so(site: Site, check: str) -> None:
    assert "PROBLEM_ID" in site.script_fails(check, code=2, PROBLEM_ID="")
    assert "PROBLEM_NOT_FOUND" in site.fails(check, PROBLEM_ID="999999")


def test_servers_that_are_away_are_told_in_one_line(site: Site) -> None:
    assert "cannot be used" in site.fails("b2", code=3, REDIS_URL="127.0.0.1:9")
    assert "cannot be reached" in site.script_fails("b3", code=3, SCHEDULER_METRICS_URL="http://127.0.0.1:9/metrics")
    assert site.asked("verify", "d1", DATABASE_URL="postgres://x:y@127.0.0.1:9/z").returncode == 3
    done = run(VERIFY["b1"], {"DEEPOJ": "/nowhere/deepoj"})
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "make build" in done.stderr


# -- the probe

PROBE = "repo_survey_probe.sh"


def test_the_probe_shows_stream_tables_and_metrics(site: Site) -> None:
    done = site.run(PROBE)
    assert (done.returncode, done.stderr) == (0, ""), done
    lines = done.stdout.splitlines()
    heads = [line for line in lines if line.startswith("[")]
    assert heads == ["[1/3] stream", "[2/3] tables", "[3/3] metrics"]
    key = f"{site.deployment.database}:jobs"
    assert f"      XLEN {key} = {redis(site, 'XLEN', key)}" in lines
    (tables,) = [line for line in lines if "tables: " in line]
    assert {"users", "problems", "submissions", "outbox_events", "attempts"} <= set(tables.split(": ")[1].split(", "))
    assert "      submissions.job_id uuid" in lines or "      submissions.job_id text" in lines
    for name in ("submission_total", "scheduler_repair_total", "worker_claim_total"):
        assert name in done.stdout
    (line,) = site.asked("probe", "--json").stdout.splitlines()
    assert [look["fault"] for look in json.loads(line)["looks"]] == [None, None, None]


def test_the_probe_looks_at_the_others_when_one_is_away(site: Site) -> None:
    done = site.asked("probe", REDIS_URL="127.0.0.1:9", WORKER_METRICS_URL="http://127.0.0.1:9/metrics")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "stream: " in line
    assert "check REDIS_URL" in line
    assert "worker at http://127.0.0.1:9/metrics" in line
    assert "tables" not in line
    assert "submissions.job_id" in done.stdout
    assert "scheduler http" in done.stdout


def test_the_probe_fails_where_something_is_not_what_it_should_be(site: Site) -> None:
    key = f"{site.deployment.database}:list"
    redis(site, "LPUSH", key, "job")
    try:
        assert "is not a stream but a list" in site.run(PROBE, STREAM_KEY=key).stderr
    finally:
        redis(site, "DEL", key)
    with telling("http_requests_total 1\n") as url:
        line = site.asked("probe", API_METRICS_URL=url).stderr
    assert "has no http_request_duration_seconds, submission_total" in line


def test_the_probe_says_so_when_nothing_is_there() -> None:
    nowhere = {f"{role}_METRICS_URL": "http://127.0.0.1:9/metrics" for role in ("API", "SCHEDULER", "WORKER")}
    servers = {"REDIS_URL": "127.0.0.1:9", "DATABASE_URL": "postgres://x:y@127.0.0.1:9/z"}
    done = typed("probe", env=nowhere | servers)
    assert done.returncode == 3
    assert "nothing of the deployment can be reached" in done.stderr


# -- the pressure


def test_the_pressure_is_one_line_in_the_runbooks_fields(silent: Site) -> None:
    """All waiting jobs are in the outbox."""
    silent.fails("d1", "--within", "0.2")
    waiting = int(silent.deployment.ask("SELECT count(*) FROM outbox_events WHERE status = 'pending'"))
    done = silent.run("collect_stream_pressure.sh")
    assert (done.returncode, done.stderr) == (0, "")
    (line,) = done.stdout.splitlines()
    seen = json.loads(line)
    assert list(seen) == [
        "ts_ms", "stream_key", "group", "xlen", "pending", "lag", "lag_valid", "oldest_age_ms", "oldest_age_source",
        "approx", "backlog", "outbox_pending", "outbox_lanes", "waiting",
    ]  # fmt: skip
    namespace = silent.deployment.database
    assert (seen["stream_key"], seen["group"]) == (f"{namespace}:jobs", f"{namespace}:workers")
    assert (seen["outbox_pending"], seen["pending"], seen["backlog"]) == (waiting, 0, 0)
    assert (seen["oldest_age_source"], seen["approx"]) == ("outbox", False)
    assert seen["oldest_age_ms"] > 0
    assert "a submission that waits for its turn" in silent.asked("pressure").stdout
    away = silent.asked("pressure", REDIS_URL="127.0.0.1:1")
    assert f"{waiting} wait in the outbox, stored safely" in line_of(away, 3)
    text = silent.node.families()["api_pressure_snapshot"]
    assert {sample.labels["field"] for sample in text.samples} >= {"lag", "outbox_pending", "oldest_age_seconds"}


def test_an_unknown_lag_is_null(site: Site) -> None:
    key = f"{site.deployment.database}:other"
    add = "for _ = 1, ARGV[1] do redis.call('XADD', KEYS[1], '*', 'job_id', 'j', 'enqueue_ts', '1') end"
    redis(site, "EVAL", add, 1, key, LAG_COUNTED + 2)
    redis(site, "XGROUP", "CREATE", key, "g", "0")
    behind = redis(site, "XRANGE", key, "-", "+", "COUNT", 2)[1][0]
    redis(site, "XDEL", key, behind)  # a hole behind the last delivery
    seen = json.loads(site.asked("pressure", "--json", JOB_STREAM_KEY=key, JOB_STREAM_GROUP="g").stdout)
    assert (seen["lag"], seen["lag_valid"], seen["backlog"]) == (None, False, None)
    assert seen["oldest_age_source"] == "backlog"


@contextlib.contextmanager
def telling(text: str) -> Iterator[str]:
    """Run a server with constant ``/metrics``. Yield its URL."""

    class Telling(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == "/metrics"
            self.send_response(200 if found else 404)
            self.end_headers()
            self.wfile.write(text.encode() if found else b"")

        def log_message(self, *_args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Telling) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/metrics"
        finally:
            server.shutdown()
            thread.join()
