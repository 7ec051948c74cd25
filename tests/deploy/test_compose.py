"""``deploy/compose*.yaml`` and ``deploy/Dockerfile``: as the runbook's table (chapter 2) and contract §9 have them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from deepoj.config.keys import leaves
from tests.deploy.image import DOCKERFILE, stages

DEPLOY = Path(__file__).parents[2] / "deploy"
SECRETS = dict.fromkeys(
    (
        "JWT_SECRET",
        "ADMIN_USERS",
        "REDIS_PASSWORD",
        "POSTGRES_PASSWORD",
        "MINIO_ROOT_USER",
        "MINIO_ROOT_PASSWORD",
    ),
    "letters1",
)
#: what the overlay for observability needs beside these
OBSERVED = {"METRICS_TOKEN": "letters1", "GRAFANA_ADMIN_PASSWORD": "letters1"}
OURS = ("api", "scheduler", "worker", "migrate")


def composed(*overlays: str, **env: str) -> subprocess.CompletedProcess[str]:
    files = [word for name in ("compose.yaml", *overlays) for word in ("-f", str(DEPLOY / name))]
    return subprocess.run(
        ["docker-compose", *files, "config", "--format", "json"],
        env={"PATH": "/usr/bin:/bin", "HOME": "/", **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def services(*overlays: str, **env: str) -> Mapping[str, Any]:
    done = composed(*overlays, **(SECRETS | env))
    assert done.returncode == 0, done.stderr
    told: Mapping[str, Any] = json.loads(done.stdout)
    return told


@pytest.fixture(scope="module")
def plain() -> Mapping[str, Any]:
    return services()


def test_the_services_are_those_of_the_runbook(plain: Mapping[str, Any]) -> None:
    names = {name: service["container_name"] for name, service in plain["services"].items()}
    assert names == {
        name: f"oj-{name}" for name in ("api", "scheduler", "worker", "redis", "postgres", "minio", "migrate")
    }
    assert {network["name"] for network in plain["networks"].values()} == {"deep-oj-net"}


def test_only_the_api_is_published(plain: Mapping[str, Any]) -> None:
    ports = {name: service.get("ports", []) for name, service in plain["services"].items()}
    assert [(port["target"], port["published"]) for port in ports.pop("api")] == [(18080, "18080")]
    assert not any(ports.values())


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_that_is_not_set_is_named(name: str) -> None:
    done = composed(**{other: value for other, value in SECRETS.items() if other != name})
    assert done.returncode != 0
    assert f"set {name}" in done.stderr


@pytest.mark.parametrize("name", OBSERVED)
def test_observability_overlay_without_a_secret_is_refused(name: str) -> None:
    env = SECRETS | {other: value for other, value in OBSERVED.items() if other != name}
    done = composed("compose.observability.yaml", **env)
    assert done.returncode != 0
    assert f"set {name}" in done.stderr


def test_images_of_others_have_exact_versions() -> None:
    """Three numbers, or MinIO's time to the second, or Debian's point release: no tag that is moved later."""
    composed_images = [
        service["image"]
        for service in services("compose.observability.yaml", **OBSERVED)["services"].values()
        if "build" not in service
    ]
    bases = [stage.base for stage in stages(DOCKERFILE.read_text()).values() if stage.base not in ("build", "node")]
    assert len(composed_images) == 5
    assert len(bases) == 2
    for image in [*composed_images, *bases]:
        assert is_pinned(image), image


def is_pinned(image: str) -> bool:
    name, _, tag = image.partition(":")
    forms = {
        "debian": r"\d+\.\d+-slim",
        "postgres": r"\d+\.\d+-alpine\d+\.\d+",
        "minio/minio": r"RELEASE\.\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ",
    }
    return re.fullmatch(forms.get(name, r"v?\d+\.\d+\.\d+(-alpine\d+\.\d+)?"), tag) is not None


def test_security_profile_of_worker_is_found_from_the_compose_file(plain: Mapping[str, Any]) -> None:
    """Compose looks for it below the directory of the first file."""
    (profile,) = [option for option in plain["services"]["worker"]["security_opt"] if option.startswith("seccomp=")]
    assert (DEPLOY / profile.removeprefix("seccomp=")).is_file()


def test_other_containers_reach_the_metrics_of_every_node(plain: Mapping[str, Any]) -> None:
    assert {plain["services"][name]["environment"]["API_HOST"] for name in ("api", "scheduler", "worker")} == {
        "0.0.0.0"
    }


def test_everything_lives_on_after_a_fall_and_says_whether_it_is_well(plain: Mapping[str, Any]) -> None:
    for name, service in plain["services"].items():
        if name == "migrate":
            assert service["restart"] == "no"
        else:
            assert service["restart"] == "unless-stopped", name
            assert service["healthcheck"]["test"], name
            assert int(service["logging"]["options"]["max-file"]) > 1, name


def test_nodes_start_after_what_they_need(plain: Mapping[str, Any]) -> None:
    for name in ("api", "scheduler", "worker"):
        after = {other: told["condition"] for other, told in plain["services"][name]["depends_on"].items()}
        assert after == {
            "migrate": "service_completed_successfully",
            **dict.fromkeys(("postgres", "redis", "minio"), "service_healthy"),
        }


def test_our_services_are_told_nothing_that_is_no_setting(plain: Mapping[str, Any]) -> None:
    known = {leaf.env for leaf in leaves().values()}
    for name in OURS:
        assert set(plain["services"][name]["environment"]) <= known, name


def test_the_api_is_told_what_webhooks_github_and_pages_of_others_take() -> None:
    told = {
        "WEBHOOKS_SECRET": "letters1",
        "GITHUB_CLIENT_ID": "id1",
        "GITHUB_CLIENT_SECRET": "letters2",
        "GITHUB_REDIRECT_URL": "https://judge.example.org/api/v1/auth/github/callback",
        "CORS_ALLOWED_ORIGINS": "https://judge.example.org",
    }
    assert told.items() <= services(**told)["services"]["api"]["environment"].items()


@pytest.mark.parametrize("name", OURS)
def test_our_services_have_no_right_that_they_do_not_need(plain: Mapping[str, Any], name: str) -> None:
    service = plain["services"][name]
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["read_only"]
    assert service["user"] == "10001:10001"
    assert "no-new-privileges:true" in service["security_opt"]
    assert not service.get("privileged")
    opened = [option for option in service["security_opt"] if option != "no-new-privileges:true"]
    assert bool(opened) == (name == "worker")


def test_the_level_full_gets_what_it_takes_and_no_more() -> None:
    worker = services("compose.full.yaml")["services"]["worker"]
    assert worker["environment"]["SANDBOX_MIN_ISOLATION"] == "full"
    assert (worker["cgroup"], worker["user"]) == ("private", "0:0")
    assert set(worker["cap_add"]) == {
        "SYS_ADMIN", "SETUID", "SETGID", "SETPCAP", "KILL", "CHOWN", "DAC_OVERRIDE", "FOWNER",
    }  # fmt: skip
    assert worker["cap_drop"] == ["ALL"]


def test_prometheus_asks_at_names_and_ports_that_are_there() -> None:
    told = services("compose.observability.yaml", **OBSERVED)["services"]
    prometheus = yaml.safe_load((DEPLOY / "observability" / "prometheus.yml").read_text())
    reached = {service["container_name"] for service in told.values()} | set(told)
    for job in prometheus["scrape_configs"]:
        for group in job.get("static_configs", []):
            assert {target.partition(":")[0] for target in group["targets"]} <= reached
        for group in job.get("dns_sd_configs", []):
            assert set(group["names"]) <= reached
    for name in ("prometheus", "grafana"):
        assert all(port["host_ip"] == "127.0.0.1" for port in told[name]["ports"])


def test_the_seccomp_profile_denies_nothing_that_the_sandbox_needs() -> None:
    profile = json.loads((DEPLOY / "seccomp-worker.json").read_text())
    denied = {name for rule in profile["syscalls"] if rule["action"] != "SCMP_ACT_ALLOW" for name in rule["names"]}
    assert {"kexec_load", "init_module", "bpf", "ptrace", "io_uring_setup"} <= denied
    assert not denied & {"unshare", "clone", "clone3", "setns", "mount", "umount2", "pivot_root", "seccomp", "prctl"}
    policy = (DEPLOY.parent / "sandbox_ext" / "policy.txt").read_text()
    allowed = set(re.findall(r"^(\w+) +(?:allow|compile|check)\b", policy, re.MULTILINE))
    assert len(allowed) > 100
    assert not denied & allowed


# -- the images


def test_the_dockerfile_is_to_the_linters_liking() -> None:
    done = subprocess.run(
        [Path(__file__).parents[2] / ".venv" / "bin" / "hadolint", str(DEPLOY / "Dockerfile")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_files_that_the_images_copy_exist_and_are_sent_to_the_builder() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    sent = {line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [words.split()[:-1] for words in re.findall(r"^COPY (?!--from)(.*)$", text, re.M)]
    for source in (word for words in copied for word in words):
        assert (DEPLOY.parent / source).exists(), source
        assert source in sent, source


def test_the_last_user_of_each_image_is_an_ordinary_one() -> None:
    stages = re.split(r"^FROM ", (DEPLOY / "Dockerfile").read_text(), flags=re.M)[2:]
    assert [re.findall(r"^USER (\S+)", stage, re.M)[-1] for stage in stages] == ["10001", "10001"]
