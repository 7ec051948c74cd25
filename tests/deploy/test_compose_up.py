"""``deploy/compose*.yaml`` under a real Docker engine, as the runbook has it typed, and the same images under Podman.

The files are those that people run. What differs here stands in overlays, which a ``docker`` before the real one in
``PATH`` puts behind the file that they change:

- ``build`` for postgres, redis, minio and prometheus, since no image can be pulled: ``standins/Dockerfile`` makes them
  under the same names. They are Debian's PostgreSQL 17, Redis 8 and Prometheus 2, and SeaweedFS for MinIO. The base
  image is Debian by debootstrap;
- ``network: host`` for builds, since the engine's bridge has no way out;
- a shorter WORKER_PACKAGES;
- another port of this host's for Prometheus.

Grafana is left out: Debian has no package of it.
"""

from __future__ import annotations

import faulthandler
import json
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.deploy.docker_engine import Engine, engine_running, proxies
from tests.deploy.image import DOCKERFILE, stages
from tests.deploy.test_compose import DEPLOY, OBSERVED, services
from tests.deploy.test_image import BUILT_WITH
from tests.e2e.nodes import ROOT, until
from tests.e2e.runbook import CHECKED, ENGLISH, blocks
from tests.ports import free_ports
from tests.servers_s3 import weed_program
from tests.vm.machine import machine

#: chapter 0 of the runbook that the system was ordered by
SECRETS = {
    "JWT_SECRET": "deepoj_dev_jwt_secret_change_me",
    "ADMIN_USERS": "admin",
    "REDIS_PASSWORD": "deepoj_redis_change_me",
    "POSTGRES_PASSWORD": "deepoj_pg_password_change_me",
    "MINIO_ROOT_USER": "deepoj_minio_user",
    "MINIO_ROOT_PASSWORD": "deepoj_minio_password_change_me",
}
SERVICES = {"api", "scheduler", "worker", "redis", "postgres", "minio"}
OURS = ("migrate", "api", "scheduler", "worker")
FILE = "deploy/compose.yaml"
OBSERVED_FILES = f"-f {FILE} -f deploy/compose.observability.yaml"
HEALTHY_S = 300.0
E2E = ROOT / "tests" / "integration" / "test_e2e.py"

#: the commands of its chapters 2, 4 and 5 as it has them typed, and what each must print
COMMANDS = (
    ("docker compose logs --tail=100 scheduler", "控制面模式"),
    ("docker compose logs --tail=100 worker", "工作节点流消费器"),
    ("docker compose logs --tail=200 api", '"event": "node_up"'),
    ("docker compose ps redis", r"oj-redis .*\(healthy\)"),
    ('docker exec -it oj-redis redis-cli -a "$REDIS_PASSWORD" PING', "PONG"),
    ("docker exec -it oj-postgres pg_isready -U deep_oj -d deep_oj", "accepting connections"),
    ('docker exec -it oj-postgres psql -U deep_oj -d deep_oj -c "select * from pg_stat_activity;"', "application_name"),
    (
        "docker run --rm --network deep-oj-net curlimages/curl:8.7.1 -fsS http://oj-minio:9000/minio/health/live"
        " && echo alive",
        r"alive$",
    ),
    ('docker exec -it oj-redis redis-cli -a "$REDIS_PASSWORD" XLEN deepoj:jobs', r"\(integer\) [1-9]"),
    ('docker exec -it oj-redis redis-cli -a "$REDIS_PASSWORD" XINFO GROUPS deepoj:jobs', "deepoj:workers"),
    ('docker exec -it oj-redis redis-cli -a "$REDIS_PASSWORD" XINFO STREAM deepoj:jobs', "last-generated-id"),
    ('docker exec -it oj-redis redis-cli -a "$REDIS_PASSWORD" XRANGE deepoj:jobs - + COUNT 5', "payload_ref"),
    ('docker exec -it oj-redis redis-cli -a "$REDIS_PASSWORD" XPENDING deepoj:jobs deepoj:workers', r"\(integer\) 0"),
    (
        'docker exec -it oj-redis redis-cli -a "$REDIS_PASSWORD" XAUTOCLAIM deepoj:jobs deepoj:workers debug-consumer'
        " 75000 0-0 COUNT 10",
        "0-0",
    ),
    ('docker exec -it oj-redis redis-cli -a "$REDIS_PASSWORD" XTRIM deepoj:jobs MAXLEN "~" 200000', r"\(integer\) 0"),
    ("docker exec -it oj-worker ps -eo pid,ppid,stat,cmd", "deepoj node --roles"),
    ("docker exec -it oj-api date -u && docker exec -it oj-worker date -u", "UTC"),
    ("docker system df", r"^Images "),
    ('curl -i "$API_BASE/metrics"', "HTTP/1.1 403"),
    (
        'docker exec -e PGPASSWORD="$POSTGRES_PASSWORD" -it oj-postgres psql -U deep_oj -d deep_oj'
        ' -c "SELECT status, COUNT(*) FROM outbox_events GROUP BY status ORDER BY status;"',
        r"delivered +\| +[1-9]",
    ),
)

WRAPPER = """#!/bin/bash
if [ "$1" = compose ]; then
    shift
    words=(compose)
    while [ "$1" = -f ]; do
        words+=(-f "$2")
        changed={overlays}/${{2##*/}}
        if [ -e "$changed" ]; then words+=(-f "$changed"); fi
        shift 2
    done
    set -- "${{words[@]}}" "$@"
fi
exec /usr/bin/docker "$@"
"""


@pytest.fixture(scope="module")
def stack() -> Iterator[Engine]:
    """Chapter 0: everything is up. At the end ``down -v``, which must leave nothing."""
    faulthandler.cancel_dump_traceback_later()  # the images take minutes
    with engine_running() as engine:
        prepare(engine)
        (up,) = [line for line in typed("0") if " up " in line]
        engine.run(f"docker compose -f {FILE} down -v --remove-orphans\n{up}")
        until_healthy(engine, SERVICES)
        yield engine
        engine.run(f"docker compose {OBSERVED_FILES} down -v --remove-orphans", OBSERVED)
        left = engine.run("docker ps -aq; docker volume ls -q; docker network ls -q --filter name=deep-oj")
        assert left == ""


def prepare(engine: Engine) -> None:
    """The overlays, the base image, and the environment of the runbook's commands."""
    base = {stage.base for stage in stages(DOCKERFILE.read_text()).values() if ":" in stage.base}.pop()
    engine.import_debian(base)
    context = engine.directory / "standins"
    shutil.copytree(Path(__file__).with_name("standins"), context)
    shutil.copy(weed_program(), context / "weed")
    arguments = {"BASE": base, **proxies()}

    def standin(name: str) -> dict[str, Any]:
        return {"build": {"context": str(context), "target": name, "network": "host", "args": arguments}}

    ours = {name: {"build": {"network": "host", "args": proxies()}} for name in OURS}
    ours["worker"]["build"]["args"]["WORKER_PACKAGES"] = BUILT_WITH  # type: ignore[index]
    api_port, prometheus_port = free_ports(2)
    prometheus = {**standin("prometheus"), "ports": [f"127.0.0.1:{prometheus_port}:9090"]}
    overlays = {
        "compose.yaml": {name: standin(name) for name in ("postgres", "redis", "minio")} | ours,
        "compose.observability.yaml": {"prometheus": prometheus},
    }
    place = engine.directory / "overlays"
    place.mkdir()
    for name, changed in overlays.items():
        (place / name).write_text(yaml.safe_dump({"services": changed}).replace("ports:", "ports: !override"))
    binaries = engine.directory / "bin"
    binaries.mkdir()
    (binaries / "docker").write_text(WRAPPER.format(overlays=place))
    (binaries / "docker").chmod(0o755)
    engine.env |= SECRETS | {
        "PATH": f"{binaries}:{engine.env['PATH']}",
        "API_PUBLISH": f"127.0.0.1:{api_port}",
        "API_BASE": f"http://127.0.0.1:{api_port}",
        "PROMETHEUS": f"http://127.0.0.1:{prometheus_port}",
        # for commands that name no file
        "COMPOSE_FILE": f"{FILE}:{place}/compose.yaml",
    }
    words = [f"--build-arg={key}={value}" for key, value in arguments.items()]
    engine.run(
        shlex.join(
            ["docker", "build", "--network=host", "--target=curl", "--tag=curlimages/curl:8.7.1", *words, str(context)]
        )
    )


def typed(section: str) -> list[str]:
    """The lines of the runbook's section that call Docker."""
    text = "\n".join(block.text for block in blocks(ENGLISH) if block.kind == CHECKED and block.section == section)
    return [line for line in text.splitlines() if line.startswith("docker ")]


def states(engine: Engine) -> dict[str, str]:
    """The health of each running service; ``running`` where nothing is checked."""
    listed = engine.run("docker compose ps --format json").splitlines()
    rows = [json.loads(line) for line in listed]
    return {row["Service"]: row["Health"] or row["State"] for row in rows}


def until_healthy(engine: Engine, names: set[str]) -> None:
    try:
        until(
            lambda: {name for name, state in states(engine).items() if state == "healthy"} >= names,
            within_s=HEALTHY_S,
            what=f"{', '.join(sorted(names))} are healthy",
        )
    except AssertionError as error:
        error.add_note(engine.run("docker compose ps -a; docker compose logs --tail=30"))
        raise


# -- chapter 0


def test_quick_start_brings_up_every_service_healthy(stack: Engine) -> None:
    assert states(stack) == dict.fromkeys(SERVICES, "healthy")
    assert all(f"oj-{name} " in stack.run(typed("0")[-1]) for name in SERVICES)


def test_e2e_script_against_compose_stack_is_accepted(stack: Engine) -> None:
    printed = stack.run(f"python3 {E2E}")
    assert "Submitted, Job ID:" in printed
    assert "Result: Accepted" in printed


# -- chapters 2, 4 and 8


@pytest.mark.parametrize(("command", "pattern"), COMMANDS, ids=[command for command, _ in COMMANDS])
def test_runbook_command_typed_on_a_terminal_prints_what_it_is_for(stack: Engine, command: str, pattern: str) -> None:
    printed = stack.run(command, terminal=True).replace("\r", "")
    assert re.search(pattern, printed, re.MULTILINE), printed


@pytest.mark.parametrize("section", ["2", "4.1", "4.12", "8"])
def test_docker_commands_of_runbook_section_succeed(stack: Engine, section: str) -> None:
    lines = [line for line in typed(section) if "compose.observability.yaml" not in line]
    assert lines
    stack.run("\n".join(lines))
    until_healthy(stack, SERVICES)


def test_runbook_functions_ask_database_and_redis_in_their_containers(stack: Engine) -> None:
    functions = next(block.text for block in blocks(ENGLISH) if block.kind == CHECKED and "redis()" in block.text)
    printed = stack.run(f"{functions}\nredis ping\nsql 'SELECT count(*) > 0 FROM submissions'")
    assert printed.splitlines()[-2:] == ["PONG", "t"]


def test_backup_command_of_runbook_fills_the_directory(stack: Engine) -> None:
    directory = stack.directory / "backups"
    directory.mkdir(mode=0o777)
    directory.chmod(0o777)
    (command,) = [line for line in typed("9") if "/srv/deepoj-backups" in line]
    stack.run(command.replace("/srv/deepoj-backups", str(directory)))
    assert (directory / "new" / "database.dump").stat().st_size > 0


# -- what the containers are


def test_worker_container_judges_in_namespaces_without_any_capability(stack: Engine) -> None:
    status = stack.run("docker exec oj-worker cat /proc/1/status")
    assert set(re.findall(r"^Cap(?:Prm|Eff|Bnd):\s*(\w+)$", status, re.M)) == {"0" * 16}
    assert re.search(r"^Uid:(\s10001){4}$", status, re.M)
    seen = json.loads(stack.run("docker exec oj-worker deepoj doctor --roles worker --json").splitlines()[-1])
    found = {finding["what"]: finding for finding in seen["findings"]}
    assert found["isolation"]["state"] == found["canaries"]["state"] == "ok"
    assert found["isolation"]["detail"].startswith("namespaces")


def test_redis_and_postgres_run_as_users_of_their_own(stack: Engine) -> None:
    """Not so the health check, which may be there at any moment."""
    for name in ("redis", "postgres"):
        first = stack.run(f"docker inspect --format '{{{{.State.Pid}}}}' oj-{name}").strip()
        rows = [row.split() for row in stack.run(f"docker top oj-{name} -o uid,pid,ppid").splitlines()[1:]]
        users = [uid for uid, pid, parent in rows if first in {pid, parent}]
        assert users, name
        assert "0" not in users, name


def test_metrics_without_token_are_for_their_own_container(stack: Engine) -> None:
    for name, port in (("scheduler", 9091), ("worker", 9092), ("api", 18080)):
        url = f"http://oj-{name}:{port}/metrics"
        asked = f"docker run --rm --network deep-oj-net curlimages/curl:8.7.1 -s -o /dev/null -w '%{{http_code}}' {url}"
        assert stack.run(asked) == "403", name
        here = stack.run(f"docker exec oj-{name} curl -sS http://127.0.0.1:{port}/metrics")
        assert ("# TYPE " in here) is (name != "api"), "the API's port may be behind a proxy that looks like this host"


# -- the images in Podman


@pytest.fixture(scope="module")
def podman(stack: Engine) -> Iterator[str]:
    """Podman's command, with our images. Its containers join the network namespace of a container of Docker's."""
    faulthandler.cancel_dump_traceback_later()
    place = stack.directory / "podman"
    places = f"--root={place}/root --runroot={place}/run --tmpdir={place}/tmp"
    command = f"podman {places} --cgroup-manager=cgroupfs --runtime=runc"
    stack.run(f"set -o pipefail; docker save deepoj/worker deepoj/node | {command} load")
    stack.run("docker run --detach --name=place --network=deep-oj-net --entrypoint=sleep deepoj/node infinity")
    yield command
    stack.run(f"{command} rm --all --force --volumes; docker rm --force place")


def podman_options(service: Mapping[str, Any]) -> list[str]:
    """What compose gives the service's container, in Podman's words."""
    spelled = {"systempaths=unconfined": "unmask=ALL", "no-new-privileges:true": "no-new-privileges"}
    security = [spelled.get(option, option) for option in service["security_opt"]]
    security = [option.replace("seccomp=", f"seccomp={DEPLOY}/") for option in security]
    assert (service["init"], service["read_only"]) == (True, True)
    return [
        "--init",
        "--read-only",
        f"--user={service['user']}",
        *(f"--tmpfs={where}" for where in service["tmpfs"]),
        *(f"--cap-drop={name}" for name in service["cap_drop"]),
        *(f"--cap-add={name}" for name in service.get("cap_add", ())),
        *([f"--cgroupns={service['cgroup']}"] if "cgroup" in service else []),
        *(f"--security-opt={option}" for option in security),
        *(f"--volume={volume['source']}:{volume['target']}" for volume in service["volumes"]),
        *(f"--env={name}={value}" for name, value in service["environment"].items()),
    ]


def test_podman_containers_of_images_judge_a_submission(stack: Engine, podman: str) -> None:
    composed = services(**SECRETS)["services"]
    pid = stack.run("docker inspect --format='{{.State.Pid}}' place").strip()
    address = stack.run(
        "docker inspect --format='{{(index .NetworkSettings.Networks \"deep-oj-net\").IPAddress}}' place"
    )
    stack.run("docker compose stop worker")
    for name in ("api", "worker"):
        words = [
            *("run", "--detach", f"--name={name}", f"--network=ns:/proc/{pid}/ns/net", "--dns=127.0.0.11"),
            *podman_options(composed[name]),
            *(composed[name]["image"], *composed[name]["command"]),
        ]
        stack.run(f"{podman} {shlex.join(words)}")
    printed = stack.run(f"python3 {E2E}", {"API_BASE": f"http://{address.strip()}:18080"})
    assert "Result: Accepted" in printed
    assert "db_finalize_ok" in stack.run(f"{podman} logs worker")
    stack.run(f"{podman} stop api worker")
    codes = stack.run(f"{podman} inspect --format='{{{{.State.ExitCode}}}}' api worker").split()
    assert codes == ["0", "0"]
    stack.run("docker compose start worker")


def test_podman_worker_of_full_overlay_judges_at_full_with_cgroup_v2(
    podman: str, stack: Engine, tmp_path: Path
) -> None:
    """In a virtual machine, because few hosts that test this have cgroup v2. Podman reads the images from this host."""
    service = services("compose.full.yaml", **SECRETS)["services"]["worker"]
    assert service["environment"]["SANDBOX_MIN_ISOLATION"] == "full"
    words = [
        *("podman", "--cgroup-manager=cgroupfs", "--runtime=runc", "run", "--rm", "--network=none"),
        *podman_options(service),
        *("deepoj/worker", "judge", "--self_test"),
    ]
    script = f"""
        export CONTAINERS_STORAGE_CONF=$TMPDIR/storage.conf
        cat > $CONTAINERS_STORAGE_CONF <<END
        [storage]
        driver = "overlay"
        graphroot = "$TMPDIR/root"
        runroot = "$TMPDIR/run"
        [storage.options]
        additionalimagestores = ["{stack.directory}/podman/root"]
END
        {shlex.join(words)}
    """
    with machine(tmp_path) as vm:
        done = vm.run(script)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["verdict"] == "OK"


# -- the overlays


def test_full_overlay_judges_at_full_or_says_what_the_host_lacks(stack: Engine) -> None:
    """With cgroup v2 the worker is healthy at the level ``full``, otherwise it ends with a sentence."""
    stack.run(f"docker compose -f {FILE} -f deploy/compose.full.yaml up -d worker")
    try:
        if Path("/sys/fs/cgroup/cgroup.controllers").exists():
            until_healthy(stack, {"worker"})
            metrics = stack.run("docker exec oj-worker curl -fsS http://127.0.0.1:9092/metrics")
            assert re.search(r'^sandbox_isolation\{.*level="full".*\} 1\.0$', metrics, re.M)
        else:
            said = "offers only 'namespaces' isolation where SANDBOX_MIN_ISOLATION=full is asked for: cgroup v2 is not"
            until(lambda: said in stack.run("docker logs oj-worker"), within_s=HEALTHY_S, what=f"it says: {said}")
    finally:
        stack.run(f"docker compose -f {FILE} up -d worker")
    until_healthy(stack, {"worker"})


def test_observability_overlay_scrapes_every_node_with_the_token(stack: Engine) -> None:
    stack.run(f"docker compose {OBSERVED_FILES} up -d --build prometheus", OBSERVED)
    until_healthy(stack, SERVICES)

    def scraped() -> dict[str, str]:
        answer = httpx.get(f"{stack.env['PROMETHEUS']}/api/v1/targets", timeout=30, trust_env=False)
        return {target["labels"]["job"]: target["health"] for target in answer.json()["data"]["activeTargets"]}

    jobs = {"deepoj-api", "deepoj-scheduler", "deepoj-worker"}
    until(lambda: scraped() == dict.fromkeys(jobs, "up"), within_s=HEALTHY_S, what="each job of Prometheus is up")
    checks = "deepoj verify b1 && deepoj verify b2 && deepoj verify b3 && deepoj probe && deepoj pressure --json"
    urls = {
        "API_BASE": "http://api:18080",
        "API_METRICS_URL": "http://api:18080/metrics",
        "SCHEDULER_METRICS_URL": "http://scheduler:9091/metrics",
        "WORKER_METRICS_URL": "http://worker:9092/metrics",
    }
    words = [
        "docker",
        "exec",
        *(f"--env={name}={url}" for name, url in urls.items()),
        "oj-scheduler",
        "sh",
        "-c",
        checks,
    ]
    assert '"stream_key":"deepoj:jobs"' in stack.run(shlex.join(words))
