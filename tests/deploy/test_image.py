"""The images, built by the steps of ``deploy/Dockerfile`` in Debian roots, run as ``deploy/compose.yaml`` says.

There is no container engine: namespaces, the user, the capabilities, the read-only root, what is mounted and the
health checks are made by hand of what ``docker-compose config`` gives. An engine's seccomp profile and its network
are what these runs do not have.
"""

from __future__ import annotations

import contextlib
import faulthandler
import functools
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

import deepoj
from tests.deploy import roots
from tests.deploy.image import DOCKERFILE, Image, build, ignored, stages, step
from tests.deploy.test_compose import services
from tests.e2e.cluster import Deployment, deployed, servers_running
from tests.e2e.nodes import ACCEPTED, LIFTED, STOP_S, Node, until
from tests.ports import free_ports

#: each language is hundreds of megabytes; the rest of the default list is only looked up
BUILT_WITH = "g++ python3"
ROLES = ("api", "scheduler", "worker")
#: a first build fetches some hundred megabytes, and the machine may be busy
START_S = 300.0
HOME = "/var/lib/deepoj"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Image]]:
    faulthandler.cancel_dump_traceback_later()  # a first build takes minutes
    directory = tmp_path_factory.mktemp("stages")
    directory.parent.chmod(0o755)
    try:
        yield build(directory, {"WORKER_PACKAGES": BUILT_WITH})
    finally:
        roots.forget(directory)


@pytest.fixture(scope="module")
def composed() -> Mapping[str, Any]:
    told: Mapping[str, Any] = services()["services"]
    return told


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with servers_running(tmp_path_factory.mktemp("objects")) as servers:
        # containers have users of their own
        servers.postgres.root.chmod(0o711)
        servers.redis.directory.chmod(0o711)
        servers.redis.socket.chmod(0o777)
        yield deployed(servers)


def container(
    image: Image, service: Mapping[str, Any], *, env: Mapping[str, str], home: Path, binds: Mapping[str, Path]
) -> roots.Within:
    """What the service's container would be, on this machine's network."""
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    user, _, group = service["user"].partition(":")
    assert user == group
    home.mkdir()
    os.chown(home, int(user), int(group))
    return roots.Within(
        image.root,
        {**image.env, **env},
        workdir=image.workdir,
        user=int(user),
        capabilities=service.get("cap_add", ()),
        setpriv=["--no-new-privs"],
        read_only=service["read_only"],
        tmpfs=[where.partition(":")[0] for where in service["tmpfs"]],
        binds={**binds, HOME: home},
    )


def image_of(images: Mapping[str, Image], service: Mapping[str, Any]) -> Image:
    image = images[service["build"]["target"]]
    assert str(image.user) == service["user"].partition(":")[0]
    return image


def told(service: Mapping[str, Any], deployment: Deployment, ports: Mapping[str, int]) -> dict[str, str]:
    """The service's environment, with the tests' servers and ports where compose names its own."""
    ours = deployment.env | {"ADMIN_REGISTRATION": "open", "METRICS_TOKEN": "letters1"}
    named: Mapping[str, str] = service["environment"]
    here = {
        "PORT": str(ports["api"]),
        "API_HOST": "127.0.0.1",
        "SCHEDULER_METRICS_PORT": str(ports["scheduler"]),
        "WORKER_METRICS_PORT": str(ports["worker"]),
        "MINIO_BUCKET": ours["MINIO_BUCKET"],
    }
    return {**LIFTED, **{name: ours.get(name, value) for name, value in named.items()}, **here}


def binds(deployment: Deployment) -> dict[str, Path]:
    """Where the servers' sockets are."""
    places = (deployment.servers.postgres.root, deployment.servers.redis.directory)
    return {str(place): place for place in places}


@pytest.fixture
def plain(images: Mapping[str, Image], composed: Mapping[str, Any], tmp_path: Path) -> roots.Within:
    """The worker's container, told nothing but how it judges."""
    service = composed["worker"]
    tmp_path.chmod(0o755)
    env = {"SANDBOX_MIN_ISOLATION": service["environment"]["SANDBOX_MIN_ISOLATION"]}
    return container(image_of(images, service), service, env=env, home=tmp_path / "home", binds={})


def run(image: Image, within: roots.Within, *words: str) -> str:
    done = within.run(*image.entrypoint, *words, timeout_s=START_S)
    assert done.returncode == 0, done.stdout
    return done.stdout


# -- what is in them


def test_each_image_has_what_it_is_for_and_no_more(images: Mapping[str, Image]) -> None:
    for name in ("node", "worker"):
        root = images[name].root
        assert (root / "opt/deepoj/bin/deepoj").exists()
        assert not list((root / "var/lib/apt/lists").glob("*"))
        assert not (root / "src").exists()
    assert not (images["node"].root / "usr/bin/gcc").exists()
    assert (images["worker"].root / "usr/bin/g++").exists()
    package = next((images["node"].root / "opt/deepoj/lib").glob("python3*/site-packages/deepoj"))
    for name in (
        "_launcher",
        "_meter",
        "_sql",
        "_docs/runbook.md",
        "judging/testlib/testlib.h",
        "api/docs",
        "web/static/manifest.json",
    ):
        assert (package / name).exists(), name


def test_local_build_results_are_not_in_the_image() -> None:
    assert ignored("deepoj/_launcher")
    assert ignored("deepoj/cli/__pycache__/x.pyc")
    assert ignored("tests/conftest.py")
    assert ignored("deepoj/web/assets/node_modules/esbuild/package.json")
    assert not ignored("deepoj/cli/__init__.py")


def test_a_step_that_is_not_known_here_is_not_left_out() -> None:
    nothing = Image(Path("/nowhere"))
    for word, rest in (("ADD", "x /y"), ("HEALTHCHECK", "NONE"), ("STOPSIGNAL", "SIGKILL")):
        with pytest.raises(ValueError, match=word):
            step(nothing, word, rest, {}, {})


def test_every_package_of_the_default_list_is_to_be_had(images: Mapping[str, Image]) -> None:
    (default,) = (rest for word, rest in stages(DOCKERFILE.read_text())["worker"].steps if word == "ARG")
    packages = default.partition("=")[2].strip('"').split()
    assert set(BUILT_WITH.split()) < set(packages)
    with roots.cache():
        within = roots.builder(images["build"].root)
        words = f"apt-get update -qq && apt-get install --simulate --no-install-recommends {' '.join(packages)}"
        done = within.run("sh", "-ec", words)
    assert done.returncode == 0, done.stdout[-2000:]


# -- what they do


def test_the_program_is_there_and_is_an_ordinary_user_without_capabilities(
    images: Mapping[str, Image], plain: roots.Within
) -> None:
    assert deepoj.__version__ in run(images["worker"], plain, "--version")
    status = plain.run("cat", "/proc/self/status").stdout
    assert dict(re.findall(r"^(Cap\w+|NoNewPrivs):\s*(\w+)$", status, re.M)) == {
        **dict.fromkeys(("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"), "0" * 16),
        "NoNewPrivs": "1",
    }
    assert re.search(r"^Uid:(\s10001){4}$", status, re.M)
    assert plain.run("id").stdout.strip() == "uid=10001(deepoj) gid=10001(deepoj) groups=10001(deepoj)"
    assert plain.run("touch", "/opt/x").returncode != 0


def test_image_judges_at_the_level_of_compose(images: Mapping[str, Image], plain: roots.Within) -> None:
    answer = json.loads(run(images["worker"], plain, "judge", "--self_test").splitlines()[-1])
    assert answer["verdict"] == "OK", answer
    seen = json.loads(plain.run(*images["worker"].entrypoint, "doctor", "--roles", "worker", "--json").stdout)
    states = {finding["what"]: finding["state"] for finding in seen["findings"]}
    assert states["user namespaces"] == "ok", seen


def test_a_submission_goes_through_containers_of_the_images(
    images: Mapping[str, Image], composed: Mapping[str, Any], deployment: Deployment, tmp_path: Path
) -> None:
    tmp_path.chmod(0o755)
    ports = dict(zip(ROLES, free_ports(3), strict=True))

    def contained(name: str) -> tuple[Image, roots.Within]:
        service = composed[name]
        image = image_of(images, service)
        env = told(service, deployment, ports)
        return image, container(image, service, env=env, home=tmp_path / name, binds=binds(deployment))

    run(*contained("migrate"), *composed["migrate"]["command"])
    with contextlib.ExitStack() as stack:
        for name in ROLES:
            image, within = contained(name)
            words = composed[name]["command"]
            log = tmp_path / f"{name}.log"
            node = stack.enter_context(started(within.command(*image.entrypoint, *words), log))
            until_well(node, functools.partial(healthy, composed[name], within, name, ports), log)
        with httpx.Client(base_url=f"http://127.0.0.1:{ports['api']}", timeout=30, trust_env=False) as client:
            api = Node(node, ports, tmp_path / "worker.log", tmp_path / "worker.log", client)
            token = api.token()
            seen = api.judged(token, api.problem(token), ACCEPTED)
        assert seen["status"] == "Accepted"
        # an engine's stop: SIGTERM for the first process of the container
        (first,) = psutil.Process(node.pid).children()
        first.terminate()
        assert node.wait(STOP_S) == 0, log.read_text()[-3000:]


@contextlib.contextmanager
def started(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        yield process
    finally:
        process.kill()
        process.wait(STOP_S)


def until_well(node: subprocess.Popen[bytes], well: Callable[[], bool], log: Path) -> None:
    """Returns when the health check says yes; AssertionError with the node's log if it ends or takes too long."""
    try:
        until(lambda: node.poll() is not None or well(), within_s=START_S, what=f"{log.stem} is well")
        assert node.poll() is None, f"{log.stem} ended with {node.returncode}"
    except AssertionError as error:
        error.add_note(log.read_text()[-3000:])
        raise


def healthy(service: Mapping[str, Any], within: roots.Within, name: str, ports: Mapping[str, int]) -> bool:
    """The service's own health check, in its container, asked at the port that the node has here."""
    kind, *words = service["healthcheck"]["test"]
    words = [word.replace("$$", "$") for word in words]
    words = [re.sub(r"(127\.0\.0\.1):\d+", rf"\1:{ports[name]}", word) for word in words]
    done = within.run(*(["sh", "-c", *words] if kind == "CMD-SHELL" else words))
    return done.returncode == 0
