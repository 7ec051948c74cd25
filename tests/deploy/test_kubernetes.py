"""``deploy/kubernetes``: built by kustomize, held against Kubernetes' own schemas and pod security."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from deepoj.config.draft import ConfigError
from deepoj.config.keys import leaves
from deepoj.config.loader import load

WHERE = Path(__file__).parents[2] / "deploy" / "kubernetes"
VERSION = "1.33"
#: KEDA's, whose schema Kubernetes does not have
FOREIGN = {"ScaledObject"}

type Manifest = Mapping[str, Any]


@pytest.fixture(scope="module")
def manifests() -> list[Manifest]:
    done = subprocess.run(
        ["kustomize", "build", str(WHERE / "example")], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def pods(manifests: list[Manifest]) -> Iterator[tuple[str, str, Manifest]]:
    """Name, namespace, pod spec."""
    for one in manifests:
        if one["kind"] in {"Deployment", "Job"}:
            yield one["metadata"]["name"], one["metadata"]["namespace"], one["spec"]["template"]["spec"]


def test_each_is_valid_to_kubernetes(manifests: list[Manifest]) -> None:
    kinds = [one["kind"] for one in manifests]
    assert {"Namespace", "Deployment", "Service", "Job", "PodDisruptionBudget", "ScaledObject"} <= set(kinds)
    for one in manifests:
        if one["kind"] not in FOREIGN:
            kubernetes_validate.validate(one, VERSION, strict=True)


def test_api_and_scheduler_pass_the_restricted_pod_security(manifests: list[Manifest]) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/"""
    levels = {
        one["metadata"]["name"]: one["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
        for one in manifests
        if one["kind"] == "Namespace"
    }
    assert levels == {"deepoj": "restricted", "deepoj-workers": "privileged"}
    seen = []
    for name, namespace, pod in pods(manifests):
        assert pod["securityContext"]["runAsNonRoot"], name
        assert not pod.get("hostNetwork") or pod.get("hostPID") or pod.get("hostIPC")
        assert all(set(volume) - {"name"} <= {"emptyDir", "configMap", "secret"} for volume in pod["volumes"]), name
        for container in pod["containers"]:
            rights = container["securityContext"]
            assert rights["allowPrivilegeEscalation"] is False
            assert rights["capabilities"] == {"drop": ["ALL"]}
            assert not rights.get("privileged")
            assert rights["readOnlyRootFilesystem"]
            if levels[namespace] == "restricted":
                seen.append(name)
                assert pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
                assert "procMount" not in rights
    assert set(seen) == {"deepoj-api", "deepoj-scheduler", "deepoj-migrate"}


def test_the_worker_has_what_a_user_namespace_takes_and_its_cpu_whole(manifests: list[Manifest]) -> None:
    (pod,) = [pod for name, _, pod in pods(manifests) if name == "deepoj-worker"]
    assert pod["hostUsers"] is False
    (container,) = pod["containers"]
    assert container["securityContext"]["procMount"] == "Unmasked"
    assert container["resources"]["requests"] == container["resources"]["limits"]


def test_every_deployment_is_probed_and_keeps_one(manifests: list[Manifest]) -> None:
    budgets = {
        tuple(one["spec"]["selector"]["matchLabels"].items())
        for one in manifests
        if one["kind"] == "PodDisruptionBudget"
    }
    for one in manifests:
        if one["kind"] == "Deployment":
            assert tuple(one["spec"]["selector"]["matchLabels"].items()) in budgets
            for container in one["spec"]["template"]["spec"]["containers"]:
                assert {"startupProbe", "livenessProbe"} <= set(container)
                ports = {port["name"] for port in container["ports"]}
                for probe in (told for name, told in container.items() if name.endswith("Probe")):
                    assert (probe.get("httpGet") or probe["tcpSocket"])["port"] in ports


def test_probed_ports_listen_beyond_the_loopback(manifests: list[Manifest]) -> None:
    """The kubelet asks at the pod's address. API_HOST is where every port listens, those of the metrics too."""
    addresses = [one["data"].get("API_HOST") for one in manifests if one["kind"] == "ConfigMap"]
    assert addresses == ["0.0.0.0", "0.0.0.0"]


def test_workers_scale_by_what_waits_in_the_database(manifests: list[Manifest]) -> None:
    (scaled,) = [one for one in manifests if one["kind"] == "ScaledObject"]
    assert scaled["metadata"]["namespace"] == "deepoj-workers"
    assert scaled["spec"]["scaleTargetRef"]["name"] == "deepoj-worker"
    (trigger,) = scaled["spec"]["triggers"]
    told = trigger["metadata"]
    assert (trigger["type"], told["connectionFromEnv"]) == ("postgresql", "DATABASE_URL")
    assert {"query", "targetQueryValue"} <= set(told)  # played in tests/contract/test_store_lanes.py
    assert "deepoj:" not in str(scaled["spec"]), "a stream's name follows REDIS_KEY_PREFIX"


def test_pods_are_told_settings_and_all_secrets(manifests: list[Manifest]) -> None:
    known = {leaf.env for leaf in leaves().values()}
    for one in manifests:
        if one["kind"] == "ConfigMap":
            assert set(one["data"]) <= known
        if one["kind"] == "Secret":
            assert {"DATABASE_URL", "REDIS_PASSWORD", "JWT_SECRET", "METRICS_TOKEN"} <= set(one["data"]) <= known
    secrets = {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in manifests if one["kind"] == "Secret"}
    for _, namespace, pod in pods(manifests):
        for container in pod["containers"]:
            assert {variable["name"] for variable in container.get("env", [])} <= known
            refs = [source["secretRef"]["name"] for source in container["envFrom"] if "secretRef" in source]
            assert refs
            assert {(namespace, ref) for ref in refs} <= secrets


def test_an_example_that_was_left_as_it_is_does_not_start(
    manifests: list[Manifest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token secret of the example is public: with it, anybody could enter the API."""
    monkeypatch.chdir(tmp_path)  # where no settings file is
    data = next(one["data"] for one in manifests if one["kind"] == "Secret")
    secrets = {name: base64.b64decode(value).decode() for name, value in data.items()}
    with pytest.raises(ConfigError, match=r"JWT_SECRET\) has 9 bytes; it needs at least 16"):
        load({}, secrets, None)
    load({}, secrets | {"JWT_SECRET": "one of your own, of 32 bytes....."}, None)
