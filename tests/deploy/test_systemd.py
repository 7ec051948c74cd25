"""``deploy/systemd``: read by systemd's own tools."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"
#: what the issue allows; systemd's own word for it is OK
EXPOSURE = 3.0


@pytest.fixture(
    params=["deepoj@api.service", "deepoj-api@1.service", "deepoj@scheduler.service", "deepoj-worker.service"]
)
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The unit as it would be installed, with a program that is there."""
    name: str = request.param
    source = UNITS / re.sub(r"@\w+", "@", name)
    target = tmp_path / name
    target.write_text(source.read_text().replace("/opt/deepoj/bin/deepoj ", "/bin/true "))
    return target


def test_systemd_verifies_each_unit(unit: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_exposure_of_each_unit_is_ok(unit: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--no-pager", "--offline=true", str(unit)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    level = re.search(r"Overall exposure level.*: ([\d.]+)", done.stdout)
    assert level is not None, done.stdout + done.stderr
    assert float(level[1]) <= EXPOSURE


def test_worker_unit_delegates_its_cgroup() -> None:
    text = (UNITS / "deepoj-worker.service").read_text()
    assert re.search(r"^Delegate=memory pids cpu io$", text, re.M)
    assert re.search(r"^CapabilityBoundingSet=$", text, re.M)
