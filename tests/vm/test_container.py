"""``deploy/compose.full.yaml`` with cgroup v2: a worker's container as an engine would make it, in a virtual machine.

What the engine does is done by hand: mount, process, IPC and cgroup namespaces, the container's own cgroup mounted
read-only, an init of the engine's before the image's entrypoint, root with the capabilities that compose names and
no others. An engine's seccomp profile is what it does not have.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

import pytest

from tests.deploy.test_compose import services
from tests.vm.machine import REPOSITORY, Machine

GROUP = "/sys/fs/cgroup/engine/container"
#: of linux/capability.h
CAPABILITIES = {
    "CHOWN": 0,
    "DAC_OVERRIDE": 1,
    "FOWNER": 3,
    "KILL": 5,
    "SETGID": 6,
    "SETUID": 7,
    "SETPCAP": 8,
    "SYS_ADMIN": 21,
}


@pytest.fixture(scope="module")
def worker() -> Mapping[str, Any]:
    told: Mapping[str, Any] = services("compose.full.yaml")["services"]["worker"]
    return told


def contained(worker: Mapping[str, Any], script: str) -> str:
    """A shell script that runs ``script`` as the worker's container."""
    assert (worker["cgroup"], worker["user"], worker["cap_drop"]) == ("private", "0:0", ["ALL"])
    assert "no-new-privileges:true" in worker["security_opt"]
    capabilities = ",".join(["-all", *(f"+{name.lower()}" for name in worker["cap_add"])])
    first = f"{script}\n" if not worker["init"] else f"sh -c {shlex.quote(script)} & wait $!\n"
    inside = f"""
        umount /sys/fs/cgroup
        mount -t cgroup2 -o ro,nosuid,nodev,noexec cgroup2 /sys/fs/cgroup
        mount -t proc proc /proc
        cd /
        exec setpriv --no-new-privs --bounding-set={capabilities} --inh-caps={capabilities} sh -c {shlex.quote(first)}
    """
    # nothing but the container is in its group, which is the root of its namespace
    namespaced = f"echo 0 > {GROUP}/cgroup.procs; exec unshare --cgroup sh -ec {shlex.quote(inside)}"
    return f"""
        mkdir -p {GROUP}
        echo '+memory +pids +cpu' > /sys/fs/cgroup/engine/cgroup.subtree_control
        exec unshare --mount --pid --ipc --fork sh -ec {shlex.quote(namespaced)}
    """


def test_a_worker_with_these_capabilities_judges_at_full(vm: Machine, worker: Mapping[str, Any]) -> None:
    entrypoint = REPOSITORY / "deploy" / "scripts" / "worker-entrypoint.sh"
    # the health check is what else an engine starts in a running container
    script = f"""
        grep -E '^(Cap|NoNewPrivs)' /proc/self/status
        grep cgroup2 /proc/self/mounts
        export PATH={REPOSITORY}/.venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 DEEPOJ_HOME=/tmp/home
        export SANDBOX_MIN_ISOLATION={worker["environment"]["SANDBOX_MIN_ISOLATION"]}
        exec {entrypoint} judge --self_test --job_id contained --attempt_id 0
    """

    done = vm.run(contained(worker, script))

    assert done.returncode == 0, done.stdout + done.stderr
    expected = sum(1 << CAPABILITIES[name] for name in worker["cap_add"])
    status = dict(re.findall(r"^(Cap(?:Eff|Bnd|Prm)|NoNewPrivs):\s*(\w+)$", done.stdout, re.M))
    assert {int(status[name], 16) for name in ("CapEff", "CapBnd", "CapPrm")} == {expected}
    assert status["NoNewPrivs"] == "1"
    assert re.search(r"^cgroup2 /sys/fs/cgroup cgroup2 ro,", done.stdout, re.M)
    answer = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    assert answer["verdict"] == "OK", done.stdout + done.stderr
