"""``deploy/cluster``: one node for each role, started from its files as its text says."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from deepoj.config.keys import leaves
from tests import host
from tests.e2e.cluster import Deployment, Servers, deployed
from tests.e2e.nodes import ACCEPTED, DEEPOJ, PROGRAMS, Node, environment, furnish, running
from tests.e2e.typed import typed

CLUSTER = Path(__file__).parents[2] / "deploy" / "cluster"
ROLES = ("api", "scheduler", "worker")
#: values in place of the example's: our servers and isolation level, and no other host of administrators
OF_THIS_HOST = {"SANDBOX_MIN_ISOLATION": str(host.asked()), "ADMIN_REGISTRATION": "open"}
METRICS_TOKEN = "the-token-of-the-tests"


def listed(role: str) -> dict[str, str]:
    """Return the environment of a role, as systemd would read it."""
    lines = (CLUSTER / f"{role}.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def filled(role: str, deployment: Deployment) -> dict[str, str]:
    """Return the same with the values of this deployment, for the names in the file alone."""
    ours = deployment.env | {"METRICS_TOKEN": METRICS_TOKEN}
    # whom this deployment shares its servers with, the example has not
    shared = {name: ours[name] for name in ("REDIS_KEY_PREFIX", "MINIO_BUCKET")}
    return {name: ours[name] for name in listed(role)} | shared | OF_THIS_HOST


def deepoj(role: str, *words: str, env: Mapping[str, str], home: Path) -> subprocess.CompletedProcess[str]:
    settings, _ = environment(home, env)
    return typed("--config", str(CLUSTER / f"{role}.yaml"), *words, env=settings)


@pytest.mark.parametrize("role", ROLES)
def test_the_example_itself_is_in_order(role: str, tmp_path: Path) -> None:
    env = listed(role)
    assert set(env) <= {leaf.env for leaf in leaves().values()}
    shown = deepoj(role, "config", "show", env=env, home=tmp_path)
    assert shown.returncode == 0, shown.stderr


def test_only_the_api_is_told_what_only_the_api_needs() -> None:
    assert set(listed("api")) - set(listed("scheduler")) == {"JWT_SECRET", "ADMIN_USERS"}
    assert listed("scheduler") == listed("worker")
    for role in ROLES:
        text = re.sub(r"#.*", "", (CLUSTER / f"{role}.yaml").read_text())
        assert not [name for name in ("secret", "password", "token") if name in text.lower()], role


def test_its_text_names_what_is_there() -> None:
    text = (CLUSTER / "README.md").read_text()
    units = CLUSTER.parent / "systemd"
    for role, unit in zip(ROLES, ("deepoj@.service", "deepoj@.service", "deepoj-worker.service"), strict=True):
        assert f"({role}.yaml)" in text
        assert f"({role}.env)" in text
        assert (units / unit).exists()
        assert unit.replace("@.", f"@{role}.") in text
        assert "--config /etc/deepoj/config.yaml node" in (units / unit).read_text()
        assert "EnvironmentFile=-/etc/deepoj/environment" in (units / unit).read_text()


@pytest.mark.full
def test_a_submission_goes_through_a_node_of_each_role(servers: Servers, tmp_path: Path) -> None:
    deployment = deployed(servers, is_migrated=False)
    migrated = deepoj("scheduler", "migrate", env=filled("scheduler", deployment), home=tmp_path / "migrating")
    assert migrated.returncode == 0, migrated.stderr
    with contextlib.ExitStack() as stack:

        def start(role: str) -> Node:
            command = [str(DEEPOJ), "--config", str(CLUSTER / f"{role}.yaml"), "node", "--log", "json"]
            env = filled(role, deployment)
            furnish(tmp_path / role, PROGRAMS)
            return stack.enter_context(running(tmp_path / role, env=env, command=command, port=role))

        nodes = {role: start(role) for role in ROLES}
        api = nodes["api"]
        seen = api.judged(token := api.token(), api.problem(token), ACCEPTED)
        assert seen["status"] == "Accepted"
        assert deployment.events(seen["job_id"]) == ["claimed", "finalized"]
        for role, node in nodes.items():
            for other in set(ROLES) - {role}:
                assert node.metrics(other) is None, f"{role} does the work of {other} too"
            assert node.stop() == 0, role
