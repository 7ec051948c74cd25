"""The runbook's commands, executed against a real node, and its symptoms, each provoked.

Commands of Docker, systemd and Kubernetes are not run here: their shell is parsed, and files, services and containers
that they name exist.
"""

from __future__ import annotations

import contextlib
import re
import select
import shlex
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest
import yaml
from prometheus_client import Counter, start_http_server

from deepoj.observe import Metrics
from deepoj.operate.drill import clocks
from tests.e2e import runbook
from tests.e2e.cluster import SETTINGS, Deployment, Servers, deployed
from tests.e2e.nodes import ACCEPTED, DEEPOJ, ENDLESS, ROOT, SLEEPS, Node, bearer, children_named, environment, until
from tests.e2e.places import CGROUPS_OF_OTHERS, NO_CGROUPS, place, small_disk
from tests.e2e.runbook import CHECKED, ENGLISH, EXECUTED, LOOKED, Shell
from tests.e2e.test_canary import LYING
from tests.e2e.test_without_root import without_namespaces
from tests.e2e.typed import typed
from tests.servers_redis import running as redis_running

BLOCKS = runbook.blocks(ENGLISH)
HUNGRY = "#include <vector>\nint main(){ std::vector<char> a(400u << 20, 1); return a[12345] - 1; }"
CHATTY = '#include <cstdio>\nint main(){ for (;;) std::puts("and so on and so on and so on and so on"); }'
#: size of a disk that holds a node and is soon filled
SMALL_MB = 32


@dataclass
class Site:
    """A node, its deployment, and a shell with the runbook's variables."""

    node: Node
    deployment: Deployment
    home: Path
    shell: Shell
    token: str

    def look(self, section: str, extra: Mapping[str, str] | None = None, around: Sequence[str] = ()) -> str:
        """Run the blocks ``sh look`` of a section in order. AssertionError if one does not show the expected lines."""
        found = [block for block in BLOCKS if block.section == section and block.kind == LOOKED]
        assert found, section
        return "\n".join(self.shell.run(block, extra, around) for block in found)


@contextlib.contextmanager
def site(
    deployment: Deployment,
    directory: Path,
    *args: str,
    env: Mapping[str, str] | None = None,
    port: str = "api",
    around: Sequence[str] = (),
) -> Iterator[Site]:
    """Run a node whose metrics need a token."""
    home = directory / "home"
    with deployment.node(home, *args, env=env, port=port, around=around) as node:
        token = node.token()
        with tempfile.TemporaryDirectory(prefix="ojrun", dir="/tmp") as room:
            yield Site(node, deployment, home, Shell(Path(room), names(node, deployment, home, token)), token)


def names(node: Node, deployment: Deployment, home: Path, token: str) -> dict[str, str]:
    """Return the environment of the runbook's reader."""
    namespace = deployment.database
    metrics = {f"{name.upper()}_METRICS_URL": f"http://127.0.0.1:{port}/metrics" for name, port in node.ports.items()}
    ours = {
        "API_BASE": node.base,
        "NODE_LOG": str(node.log),
        "DEEPOJ_HOME": str(home),
        "TOKEN": token,
        "JOB_ID": "none",
    }
    stream = {"STREAM_KEY": f"{namespace}:jobs", "GROUP": f"{namespace}:workers"}
    shell = metrics | ours | stream | deployment.env | {"DEEPOJ": str(DEEPOJ)}
    return shell | {"REDIS_URL": deployment.servers.redis.url}


@pytest.fixture(scope="module")
def over_tcp(servers: Servers) -> Iterator[Servers]:
    """Servers with Redis at a TCP port, as the runbook's ``redis-cli -h -p`` needs it."""
    with (
        tempfile.TemporaryDirectory(prefix="ojrb", dir="/tmp") as short,
        redis_running("valkey", Path(short), tcp=True) as redis,
    ):
        yield Servers(servers.postgres, redis, servers.objects)


@pytest.fixture(scope="module")
def there(over_tcp: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One site for all tests that leave it healthy."""
    fast = {"SCHEDULER_REPAIR_INTERVAL_MS": "500", "SCHEDULER_GC_ENABLED": "true", "SCHEDULER_GC_INTERVAL_MS": "500"}
    with site(deployed(over_tcp), tmp_path_factory.mktemp("there"), env=fast) as found:
        prepare(found)
        yield found


def prepare(found: Site) -> None:
    """Run the blocks at the head of the runbook, which set variables."""
    for block in BLOCKS:
        if block.section == "" and block.kind == EXECUTED:
            found.shell.run(block)


# -- the text


def test_every_command_does_what_the_text_says(there: Site) -> None:
    """Run all blocks `sh run` in order."""
    ran = [block for block in BLOCKS if block.kind == EXECUTED]
    assert len(ran) > 15
    for block in ran:
        there.shell.run(block)


def test_blocks_that_cannot_run_here_name_existing_things() -> None:
    checked = [block for block in BLOCKS if block.kind == CHECKED]
    assert len(checked) > 8
    assert [problem for block in checked for problem in problems(block.text)] == []


def problems(text: str) -> list[str]:
    """Return the mistakes in commands that are not run."""
    parsed = subprocess.run(["/bin/bash", "-n"], input=text, capture_output=True, text=True, check=False)
    if parsed.returncode:
        return [parsed.stderr]
    found = []
    for line in re.split(r"\n|; ", text):
        words = shlex.split(re.sub(r"^\w+\(\) \{ | *;? *\}$", "", line.strip()))
        match words:
            case ["docker", "compose", *rest]:
                found += composed(rest)
            case ["docker", "exec", container, *_]:
                known = {one.get("container_name") for one in services("deploy/compose.yaml").values()}
                found += [] if container in known else [f"{container} is no container of deploy/compose.yaml"]
            case ["systemctl", *rest]:
                units = [word for word in rest if word.endswith(".service")]
                assert units, line
                for unit in units:
                    file = re.sub(r"@.*", "@.service", unit)
                    found += [] if (ROOT / "deploy" / "systemd" / file).exists() else [f"no unit {unit}"]
            case ["kubectl", *rest]:
                found += deployed_there(rest)
            case ["make", target]:
                makefile = (ROOT / "Makefile").read_text()
                known_target = re.search(rf"^{target}:", makefile, flags=re.MULTILINE)
                found += [] if known_target else [f"the Makefile has no target {target}"]
            case ["deepoj", named, *_]:
                found += [] if typed(named, "--help", env={}).returncode == 0 else [f"deepoj has no command {named}"]
    return found


def services(*files: str) -> dict[str, dict[str, str]]:
    told: dict[str, dict[str, str]] = {}
    for file in files:
        told |= yaml.safe_load((ROOT / file).read_text())["services"]
    return told


def composed(words: list[str]) -> list[str]:
    """Check that the compose files and the services in them exist."""
    files = []
    while words[:1] == ["-f"]:
        files.append(words[1])
        words = words[2:]
    missing = [file for file in files if not (ROOT / file).exists()]
    if missing or not files:
        return [f"no compose file: {missing}"]
    what, *rest = words
    named = [word for word in rest if not word.startswith("-")]
    if what in ("exec", "run"):  # the rest is a command in the container
        named = named[:1]
    known = services(*files)
    return [f"{name} is no service of {files}" for name in named if name not in known]


def deployed_there(words: list[str]) -> list[str]:
    found = []
    manifests = "\n".join(path.read_text() for path in (ROOT / "deploy" / "kubernetes").rglob("*.yaml"))
    for word in words:
        option, _, value = word.partition("=")
        if option == "--kustomize" and not (ROOT / value / "kustomization.yaml").exists():
            found.append(f"no kustomization in {value}")
        if option == "--namespace" and not re.search(rf"^namespace: {value}$", manifests, flags=re.MULTILINE):
            found.append(f"no namespace {value}")
        if option == "--selector" and value.replace("=", ": ") not in manifests:
            found.append(f"nothing is labelled {value}")
    return found


def test_the_table_has_the_seeds_rows_and_ours_each_with_a_look() -> None:
    linked = [re.findall(r"\(#(\d+)-", " ".join(row))[0] for row in runbook.rows(ENGLISH)]
    sections = [section for section in runbook.headings(ENGLISH) if section.startswith("4.")]
    assert linked == [section.replace(".", "") for section in sections]
    assert len(sections) == 14 + 12
    looks = {block.section for block in BLOCKS if block.kind == LOOKED}
    assert looks == set(sections)
    assert {block.section for block in BLOCKS if block.kind == LOOKED and not block.shows} == set()
    provoked = {name.removeprefix("test_row_").split("_")[0] for name in globals() if name.startswith("test_row_")}
    assert {f"4.{number}" for number in provoked} == set(sections)


# -- the table, row by row: provoked, looked at, and well again


def judged(there: Site, code: str) -> str:
    """Judge a program under a new problem. Return its verdict."""
    problem_id = there.node.problem(there.token)
    status: str = there.node.judged(there.token, problem_id, code)["status"]
    return status


def down(there: Site, part: str) -> None:
    def seen() -> bool:
        answer = there.node.client.get("/api/v1/ready")
        details = answer.json().get("details", {})
        return answer.status_code == httpx.codes.SERVICE_UNAVAILABLE and details.get(part, {}).get("state") == "down"

    until(seen, within_s=120, what=f"{part} is down in ready; log: {there.node.tail()}")


def test_row_1_redis_is_away(there: Site) -> None:
    problem_id = there.node.problem(there.token)
    there.deployment.servers.redis.kill()
    try:
        job_id = there.node.submit(there.token, problem_id, ACCEPTED)
        down(there, "redis")
        run = there.node.client.post("/api/v1/run", json={"language": 1, "code": ACCEPTED}, headers=bearer(there.token))
        assert (run.status_code, run.json()["code"]) == (503, "QUEUE_ERROR")
        tried = f"SELECT 1 FROM outbox_events WHERE job_id = '{job_id}' AND attempts > 0 AND last_error IS NOT NULL"
        until(lambda: there.deployment.ask(tried), within_s=120, what="the outbox says why")
        there.look("4.1")
    finally:
        there.deployment.servers.redis.start()
    assert there.node.verdict(there.token, job_id)["status"] == "Accepted"
    until(there.node.ready, within_s=120, what="ready again")


def test_row_2_somebody_holds_a_lock(there: Site) -> None:
    problem_id = there.node.problem(there.token)
    dsn = there.deployment.env["DATABASE_URL"]
    with subprocess.Popen(["psql", dsn, "-XAt"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as away:
        assert away.stdin is not None
        away.stdin.write("BEGIN; LOCK TABLE problems, submissions IN ACCESS EXCLUSIVE MODE;\n")
        away.stdin.flush()
        answers: list[httpx.Response] = []
        body = {"problem_id": problem_id, "language": 1, "code": ACCEPTED}

        looked = threading.Event()

        def submit() -> None:
            """Submit repeatedly, so that one request waits for the lock as long as the commands run."""
            with httpx.Client(base_url=there.node.base, timeout=120, trust_env=False) as client:
                while not (answers and looked.is_set()):
                    answers.append(client.post("/api/v1/submit", json=body, headers=bearer(there.token)))

        waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        held = "SELECT 1 FROM pg_locks l JOIN pg_class c ON c.oid = l.relation WHERE c.relname = 'submissions'"
        until(lambda: there.deployment.ask(f"{held} AND mode = 'AccessExclusiveLock' AND granted LIMIT 1"),
              within_s=120, what="the lock is held")  # fmt: skip
        thread = threading.Thread(target=submit)
        thread.start()
        try:
            until(lambda: there.deployment.ask(f"{waiting} LIMIT 1"), within_s=120, what="somebody waits")
            there.look("4.2")
            looked.set()
            thread.join(120)
        finally:
            looked.set()
            away.stdin.close()
            thread.join(120)
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(503, "DB_ERROR")}
    assert judged(there, ACCEPTED) == "Accepted"


def test_row_5_a_loop_without_end(there: Site) -> None:
    assert judged(there, ENDLESS) == "Time Limit Exceeded"
    there.look("4.5")


def test_row_6_too_much_memory(there: Site) -> None:
    assert judged(there, HUNGRY) == "Memory Limit Exceeded"
    there.look("4.6")


def test_row_4_a_consumer_claims_nothing(there: Site) -> None:
    key, group = f"{there.deployment.database}:jobs", f"{there.deployment.database}:workers"
    with httpx.Client(base_url=there.node.base) as person, there.deployment.servers.redis.client() as redis:
        form = re.search(r'name="(form_token)" value="([^"]*)"', person.get("/login").text)
        assert form is not None
        account = {"username": "admin", "password": "password", form[1]: form[2]}
        person.post("/login", data=account, headers={"Origin": there.node.base})
        says = "no node has claimed one for"
        assert says not in person.get("/manage/system").text
        transaction = redis.pipeline(transaction=True)  # else a node reads it
        entry = transaction.xadd(key, {"data": "{}"}).xreadgroup(group, "stranger", {key: ">"}, count=1).execute()[0]
        try:
            until(lambda: says in person.get("/manage/system").text, within_s=45, what="the page names it")
        finally:
            redis.xgroup_delconsumer(key, group, "stranger")
            redis.xdel(key, entry)
        until(lambda: says not in person.get("/manage/system").text, within_s=60, what="it is over")


def test_row_7_the_launcher_is_killed(there: Site) -> None:
    assert judged(there, ACCEPTED) == "Accepted"
    before = children_named(there.node.process, "_launcher")
    assert before
    for process in before:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    assert judged(there, ACCEPTED + "// again") == "Accepted"
    there.look("4.7")
    until(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in before),
          within_s=120, what="nothing of the killed launcher is left")  # fmt: skip


def test_row_7_an_idle_sandbox_is_stopped(there: Site) -> None:
    before = children_named(there.node.process, "_launcher")
    stopped = [one for one in before if one.ppid() == there.node.process.pid]
    for process in stopped:
        process.suspend()
    until(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in before),
          within_s=120, what="the stopped sandbox is replaced, without a run")  # fmt: skip
    until(there.node.ready, within_s=120, what="the node has another sandbox")
    assert '"child": "sandbox"' in there.node.log.read_text()
    assert f"processes of the sandbox are stopped: {stopped[0].pid}" in there.node.log.read_text()
    assert judged(there, ACCEPTED + "// after the stop") == "Accepted"
    # what the node announces, which is what `deepoj doctor` of later rows tells, is up to a period older than itself
    until(lambda: not parts_not_up(there), within_s=60, what="the node announces that all of its parts are up")
    there.look("4.7")


def parts_not_up(there: Site) -> list[str]:
    answer = there.node.client.get("/api/v1/admin/nodes", headers=bearer(there.token)).raise_for_status()
    return [part for node in answer.json()["nodes"] for part in node["not_up"]]


def test_row_8_output_without_end(there: Site) -> None:
    assert judged(there, CHATTY) == "Output Limit Exceeded"
    there.look("4.8")


@pytest.mark.needs("mounts")
@pytest.mark.parametrize(
    ("mounts", "says"),
    [
        pytest.param(NO_CGROUPS, "cgroup v2 is not mounted", marks=pytest.mark.full),
        (CGROUPS_OF_OTHERS, "cgroup v2 is mounted"),
    ],
    ids=["not mounted", "not delegated"],
)
def test_row_9_no_cgroups_or_somebody_elses(there: Site, mounts: str, says: str) -> None:
    with place(mounts) as around:
        assert says in there.look("4.9", around=around)


def test_row_10_a_label_with_ids(there: Site) -> None:
    """The metrics of a node, and one more with a label of job ids."""
    found = Metrics()
    slow = Counter("worker_slow_jobs", "What must never be.", ["job_id"], registry=found.registry)
    for number in range(5000):
        slow.labels(job_id=f"01a21ad3-0000-7000-8000-{number:012d}").inc()
    server, thread = start_http_server(0, addr="127.0.0.1", registry=found.registry)
    try:
        said = there.look("4.10", {"WORKER_METRICS_URL": f"http://127.0.0.1:{server.server_port}/metrics"})
    finally:
        server.shutdown()
        server.server_close()
        thread.join(60)
    assert int(said.split()[0]) > 5000
    # the bound of the row holds for a real node
    assert len([line for line in lines_of(there, "worker") if not line.startswith("#")]) < 3000


def lines_of(there: Site, port: str) -> list[str]:
    url = f"http://127.0.0.1:{there.node.ports[port]}/metrics"
    headers = {"Authorization": f"Bearer {SETTINGS['METRICS_TOKEN']}"}
    return httpx.get(url, headers=headers, trust_env=False).raise_for_status().text.splitlines()


def test_row_11_a_clock_that_is_off(there: Site, tmp_path: Path) -> None:
    right = int(there.look("4.11").split()[0])
    assert abs(right) <= 5
    shift = tmp_path / "shift"
    clocks.shift(shift, 3600)
    off = int(there.look("4.11", clocks.environment(clocks.build(tmp_path), shift)).split()[0])
    assert 3595 <= off <= 3700


@pytest.mark.needs("mounts")
@pytest.mark.full
def test_row_12_the_disk_is_full(over_tcp: Servers, tmp_path: Path) -> None:
    """A node whose home is a small, full disk; then the measure of the table helps."""
    deployment, home = deployed(over_tcp), tmp_path / "home"
    home.mkdir()
    workspace = home / "workspace"
    with place(small_disk(home, SMALL_MB)) as around:
        with site(deployment, tmp_path, around=around) as found:
            prepare(found)
            problem_id = found.node.problem(found.token)
            assert found.node.judged(found.token, problem_id, ACCEPTED)["status"] == "Accepted"
            filler = ["dd", "if=/dev/zero", f"of={workspace / 'filler'}", "bs=64k"]
            filled = subprocess.run([*around, *filler], capture_output=True, text=True, check=False)
            assert "No space left on device" in filled.stderr, filled
            job_id = found.node.submit(found.token, problem_id, ACCEPTED + "// 2")
            until(lambda: "disk_full" in found.node.log.read_text(), within_s=120, what="it is given back")
            said = found.look("4.12", around=around)
            assert re.search(rf" 100% {re.escape(str(home))}$", said, flags=re.MULTILINE), said
            token = found.token
        subprocess.run([*around, "rm", "-r", str(workspace)], check=True)
        with deployment.node(home, around=around) as node:
            assert node.verdict(token, job_id)["status"] == "Accepted"
    assert list(home.iterdir()) == []  # all of it was on the small disk


def test_row_13_the_object_store_is_away(there: Site) -> None:
    problem_id = there.node.problem(there.token)
    there.deployment.servers.objects.stop()
    try:
        job_id = there.node.submit(there.token, problem_id, ACCEPTED)
        down(there, "objects")
        until(lambda: "given_back" in there.deployment.events(job_id), within_s=120, what="it is given back")
        there.look("4.13")
    finally:
        there.deployment.servers.objects.start()
    assert there.node.verdict(there.token, job_id)["status"] == "Accepted"


def test_row_14_metrics_want_a_token(there: Site) -> None:
    there.look("4.14")


@dataclass
class Deserted:
    """A site whose workers have ended, one of them while it judged a job that is dead now."""

    site: Site
    job_id: str

    @property
    def unread(self) -> int:
        """Entries that no worker has read."""
        deployment = self.site.deployment
        with deployment.servers.redis.client() as client:
            [group] = client.xinfo_groups(f"{deployment.database}:jobs")
            return int(group["lag"])

    def until_no_worker_counts(self) -> None:
        headers = {"Authorization": f"Bearer {SETTINGS['METRICS_TOKEN']}"}
        url = f"http://127.0.0.1:{self.site.node.ports['scheduler']}/metrics"
        none = re.compile(r"^scheduler_active_workers\{.*\} 0\.0$", flags=re.MULTILINE)
        until(
            lambda: none.search(httpx.get(url, headers=headers, trust_env=False).text), within_s=120, what="0 workers"
        )


CAP = {"SUBMIT_MAX_INFLIGHT_PER_USER": "20"}


@pytest.fixture(scope="module")
def deserted(over_tcp: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deserted]:
    deployment, place = deployed(over_tcp), tmp_path_factory.mktemp("deserted")
    with site(
        deployment, place, "--roles", "api,scheduler", env={"SCHEDULER_REPAIR_INTERVAL_MS": "500"} | CAP
    ) as found:
        prepare(found)
        problem_id = found.node.problem(found.token, time_limit_ms=10_000)
        job_id = found.node.submit(found.token, problem_id, SLEEPS)
        with deployment.node(place / "w1", "--roles", "worker", port="worker") as worker:
            until(lambda: "claimed" in deployment.events(job_id), within_s=120, what="it is claimed")
            everything = psutil.Process(worker.process.pid).children(recursive=True)
            worker.process.send_signal(signal.SIGKILL)
            worker.process.wait(60)
            for one in everything:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
        deployment.ask("UPDATE submissions SET judging_attempts = 1000")  # as if more nodes had died before
        deployment.leases_run_out()
        env = {"JOB_RECLAIM_INTERVAL_SEC": "0.5"}
        with deployment.node(place / "w2", "--roles", "worker", env=env, port="worker"):
            until(lambda: found.node.status(found.token, job_id)["state"] == "dead", within_s=120, what="it is dead")
        yield Deserted(found, job_id)


def test_row_15_nodes_die_until_the_attempts_are_used_up(deserted: Deserted) -> None:
    found = deserted.site
    found.look("4.15", {"JOB_ID": deserted.job_id})
    assert found.node.status(found.token, deserted.job_id)["state"] == "pending"
    until(lambda: deserted.unread == 1, within_s=120, what="it is sent again")


def test_row_16_a_compiler_lies(over_tcp: Servers, tmp_path_factory: pytest.TempPathFactory) -> None:
    place = tmp_path_factory.mktemp("compiler")
    for path in (place, *place.parents):
        if str(path) not in ("/", "/tmp"):
            path.chmod(0o755)
    compiler = place / "g++"
    compiler.write_text(LYING)
    compiler.chmod(0o755)
    mounts = f"/lib,/lib64,/usr,/bin,/etc/alternatives,{place}"
    env = {"DEEPOJ_PATH_COMPILER_BIN": str(compiler), "DEEPOJ_PATH_MOUNT_DIRS": mounts}
    deployment, home = deployed(over_tcp), tmp_path_factory.mktemp("lies") / "home"
    with (
        deployment.node(home, env=env, port="worker") as node,
        tempfile.TemporaryDirectory(prefix="ojrun", dir="/tmp") as room,
    ):
        node.wait_for_api()
        found = Site(node, deployment, home, Shell(Path(room), names(node, deployment, home, "")), "")
        prepare(found)
        down(found, "canary")
        found.look("4.16")


@pytest.mark.needs("mounts", "user namespaces")
@pytest.mark.full
def test_row_17_the_host_offers_less_than_is_wanted(there: Site, tmp_path: Path) -> None:
    """A node that needs cgroups where there are none, and one that may run without namespaces."""
    wants = {"SANDBOX_MIN_ISOLATION": "full"}
    settings, _ports = environment(tmp_path / "refused", there.deployment.env | wants)
    with place(NO_CGROUPS) as around, weak(there.deployment) as node:
        done = subprocess.run(
            [*around, str(DEEPOJ), "node", "--log", "json", "--roles", "worker"],
            env=settings, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        assert done.returncode == 2, done.stderr
        log = tmp_path / "refused.err"
        log.write_text(done.stderr)
        url = f"http://127.0.0.1:{node.ports['worker']}/metrics"
        there.look("4.17", {"NODE_LOG": str(log), "WORKER_METRICS_URL": url}, around)


def test_row_19_clients_hold_all_connections(over_tcp: Servers, tmp_path_factory: pytest.TempPathFactory) -> None:
    """One address opens more connections than it may, and guesses a password."""
    deployment, home = deployed(over_tcp), tmp_path_factory.mktemp("crowded") / "home"
    limits = {"API_MAX_CONNECTIONS_PER_ADDRESS": "4", "AUTH_RATE_LIMIT_USER_PER_WINDOW": "3"}
    env = limits | {"TRUSTED_PROXIES": "192.0.2.1"}  # a trusted proxy has no limit of connections
    with (
        deployment.node(home, "--roles", "api,scheduler", env=env) as node,
        tempfile.TemporaryDirectory(prefix="ojrun", dir="/tmp") as room,
        contextlib.ExitStack() as crowd,
    ):
        found = Site(node, deployment, home, Shell(Path(room), names(node, deployment, home, "")), "")
        prepare(found)
        many = [socket.create_connection(("127.0.0.1", node.ports["api"]), timeout=60) for _ in range(8)]
        for one in many:
            crowd.enter_context(one)
        # our own connection waits, too: a guess on it must not meet its end
        until(lambda: sum(map(is_closed, many)) >= 4, within_s=60, what="those that are too many are closed")
        guess = {"username": "somebody", "password": "not the password"}
        answers = [node.client.post("/api/v1/auth/login", json=guess).status_code for _ in range(4)]
        assert answers == [401, 401, 401, 429]
        found.look("4.19")


def is_closed(connection: socket.socket) -> bool:
    """Return whether the other side, which sends nothing, has ended a connection."""
    return bool(select.select([connection], [], [], 0)[0])


@contextlib.contextmanager
def weak(deployment: Deployment) -> Iterator[Node]:
    """A worker of an ordinary user where namespaces are refused."""
    with tempfile.TemporaryDirectory(prefix="ojweak", dir="/tmp") as directory:
        Path(directory).chmod(0o777)
        env = {"SANDBOX_MIN_ISOLATION": "weak", "HOME": directory}
        home = Path(directory) / "home"
        with deployment.node(home, "--roles", "worker", env=env, port="worker", around=without_namespaces()) as node:
            yield node


# last, because ended workers count for half a minute


def test_row_3_the_backlog_grows(deserted: Deserted) -> None:
    found = deserted.site
    problem_id = found.node.problem(found.token)
    while (now := deserted.unread) < 3:
        found.node.submit(found.token, problem_id, f"{ACCEPTED}// {now}")
        until(lambda now=now: deserted.unread == now + 1, within_s=120, what="it is in the stream")  # type: ignore[misc]
    found.look("4.3")


def test_row_4_no_worker_takes_jobs(deserted: Deserted) -> None:
    deserted.until_no_worker_counts()
    deserted.site.look("4.4")


def test_row_20_browsers_are_logged_out(deserted: Deserted) -> None:
    """A form whose token another node has signed is refused; one of ours begins a session."""
    found = deserted.site
    client = found.node.client
    fields = {"username": "somebody", "password": "a long password"}
    strange = client.post("/login", data={**fields, "form_token": "of-another-node"})
    assert strange.status_code == 403
    shown = client.get("/register").text
    token = re.findall(r'name="form_token" value="([^"]+)"', shown)[0]
    assert client.post("/register", data={**fields, "form_token": token}).status_code == 303
    client.cookies.clear()
    found.look("4.20")


def test_row_18_one_user_sends_very_much(deserted: Deserted) -> None:
    """Without a worker no job finishes; other users are not refused."""
    found = deserted.site
    problem_id = found.node.problem(found.token)
    flood, other = found.node.token("flood"), found.node.token("other")
    for number in range(20):
        found.node.submit(flood, problem_id, f"{ACCEPTED}// {number}")
    body = {"problem_id": problem_id, "language": 1, "code": f"{ACCEPTED}// one more"}
    refused = found.node.client.post("/api/v1/submit", json=body, headers={"Authorization": f"Bearer {flood}"})
    assert (refused.status_code, refused.json()["code"]) == (429, "USER_INFLIGHT_CAP_REACHED")
    assert int(refused.headers["Retry-After"]) > 0
    found.node.submit(other, problem_id, ACCEPTED)
    found.look("4.18")


def test_row_21_people_cannot_log_in(deserted: Deserted) -> None:
    client = deserted.site.node.client
    token = re.findall(r'name="form_token" value="([^"]+)"', client.get("/login").text)[0]
    fields = {"username": "stranger", "password": "a long password", "form_token": token}
    assert client.post("/login", data=fields).status_code == 401
    client.cookies.clear()
    deserted.site.look("4.21")


def test_row_22_pages_without_style(deserted: Deserted) -> None:
    """A style of another build is asked for, as by a browser that has the page of another node."""
    assert deserted.site.node.client.get("/assets/site.0123456789.css").status_code == 404
    deserted.site.look("4.22")


def test_row_23_a_contest_does_not_start(deserted: Deserted) -> None:
    """A trigger refuses each change of the contest, as a fault of its rows would."""
    found = deserted.site
    found.deployment.ask(
        "INSERT INTO contests (key, kind, name, is_public, start_at, duration_ms, penalty_ms, is_compile_error_free)"
        " VALUES ('finals', 'icpc', 'Finals', true, now(), 3600000, 0, true);"
        "INSERT INTO contest_counters (contest_id) SELECT id FROM contests;"
        "CREATE FUNCTION breaks() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken'; END $$;"
        "CREATE TRIGGER breaks BEFORE UPDATE ON contests FOR EACH ROW EXECUTE FUNCTION breaks()"
    )

    def has_failed() -> bool:
        return "contest_advance_failed" in found.node.log.read_text()

    until(has_failed, within_s=60, what="the node has tried to start it")
    found.look("4.23")
    found.deployment.ask("DROP FUNCTION breaks CASCADE")
    started = "SELECT started_at IS NOT NULL FROM contests"
    until(lambda: found.deployment.ask(started) == "t", within_s=60, what="the contest has started")
    found.deployment.ask("DELETE FROM contests")


def test_row_24_submissions_of_a_contest_wait(deserted: Deserted) -> None:
    node, admin = deserted.site.node, {"Authorization": f"Bearer {deserted.site.token}"}
    team = {"Authorization": f"Bearer {node.token('waiter')}"}
    contest = {"key": "waiting", "name": "Waiting", "duration_ms": 3_600_000, "freeze_ms": None}
    path, client = "/api/v1/contests/waiting", node.client
    problem = {"problem_id": node.problem(deserted.site.token)}
    assert client.post("/api/v1/contests", json=contest, headers=admin).status_code == 201
    assert client.put(f"{path}/problems/A", json=problem, headers=admin).status_code == 200
    teams = {"format": "csv", "text": "id,name,accounts\n1,Owls,waiter\n"}
    assert client.post(f"{path}/teams", json=teams, headers=admin).status_code == 200
    assert client.post(f"{path}/clock", json={"act": "start"}, headers=admin).status_code == 200
    sent = {"problem": "A", "language": "cpp17", "code": ACCEPTED}
    assert client.post(f"{path}/submit", json=sent, headers=team).status_code == 200
    deserted.until_no_worker_counts()
    deserted.site.look("4.24")


def test_row_25_a_node_is_silent(deserted: Deserted) -> None:
    """The worker that was killed, of which nothing was heard since."""
    env = {"PATH": "/usr/bin:/bin", **deserted.site.deployment.env}
    until(lambda: "silent" in typed("nodes", env=env).stdout, within_s=60, what="it is silent")
    deserted.site.look("4.25")


def test_row_26_no_backup(deserted: Deserted) -> None:
    assert "0|" in deserted.site.look("4.26")
